/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an initramfs holds: one or more archives of the kind "newc", one behind the other with zeros
 * between them, each compressed or not; microcode comes first, uncompressed
 * (linux/Documentation/driver-api/early-userspace/buffer-format.rst, arch/x86/microcode.rst).
 */
#ifndef NUNCHI_DOCTOR_FACTS_INITRAMFS_H
#define NUNCHI_DOCTOR_FACTS_INITRAMFS_H

#include "core/buffer.h"

#include <stdint.h>
#include <sys/types.h>

/* Gives how many bytes from that offset on were read, 0 at the end, -1 with errno. */
typedef ssize_t (*initramfs_read)(void *data, void *to, size_t size, uint64_t offset);

/*
 * Appends, one a line, "module NAME" for every module of the kernel in it, with '_' for '-', and
 * "modprobe PATH:LINE TEXT" for every line of its modprobe.d that is no comment. Gives 0 or an
 * errno: EBADMSG for what is no initramfs or is broken, EFBIG for one that unpacks to more than 2
 * GiB, ETIMEDOUT after ten seconds, EOPNOTSUPP if nunchi was built without libarchive, ELIBACC if
 * it is compressed and libarchive, which unpacks it, is not installed.
 */
int initramfs_list(initramfs_read read, void *data, struct buffer *ret);

#endif
