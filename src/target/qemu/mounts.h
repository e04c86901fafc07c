/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Of which kind the file system is on which a file lies, without touching that file: a file of
 * FUSE or of a network is read by a server, which may let the reader wait for ever, and a process
 * that waits so cannot even be killed.
 */
#ifndef NUNCHI_TARGET_QEMU_MOUNTS_H
#define NUNCHI_TARGET_QEMU_MOUNTS_H

#include "core/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A device number as /proc/PID/maps and mountinfo have it. */
struct mounts_device {
	unsigned major, minor;
};

/*
 * Finds the type of the file system with this device in the text of a /proc/PID/mountinfo
 * (proc_pid_mountinfo(5)). Pure. False if it is not in the text.
 */
bool mounts_find_device(const char *text, size_t size, struct mounts_device device, char *ret,
			size_t ret_size);
/* The same for the mount on which an absolute path lies, links not followed. */
bool mounts_find_path(const char *text, size_t size, const char *path, char *ret, size_t ret_size);

/* Whether files of this type are read by the kernel itself, from memory or a local disk. */
bool mounts_is_local(const char *type);

/*
 * Whether the file system of a mapping of that process is local. Where its mount is not visible,
 * only memory of the kernel's own (memfd, System V, huge pages of both) counts. type gets its name,
 * or "unknown".
 */
bool mounts_device_is_local(pid_t pid, struct mounts_device device, char *type, size_t size);
/* Whether the absolute path lies on a local file system as this process sees it. */
bool mounts_path_is_local(const char *path, char *type, size_t size);

#endif
