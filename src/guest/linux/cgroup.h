/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Control groups. Source: kernel/cgroup/cgroup.c (proc_cgroup_show), fs/kernfs/dir.c.
 */
#ifndef NUNCHI_GUEST_LINUX_CGROUP_H
#define NUNCHI_GUEST_LINUX_CGROUP_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

/*
 * Appends the cgroup path of the tasks of a css_set (the address in task.cgroups) in the default
 * hierarchy (version 2), as process 1 sees it in the line "0::…" of /proc/PID/cgroup: from the root
 * of the hierarchy, with " (deleted)" if the group was removed. Appends nothing on a fault.
 */
enum read_result linux_cgroup_path(struct linux_kernel *kernel, uint64_t css_set,
				   struct buffer *ret);

/*
 * Finds the container that a cgroup path belongs to, the innermost one: the id of 64 hexadecimal
 * digits that Docker, Podman, containerd and CRI-O give it, or the name that LXC and Incus do.
 * False if it is none of these.
 */
bool linux_cgroup_container(const char *path, size_t size, const char **ret, size_t *ret_size);

#endif
