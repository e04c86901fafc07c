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

/* Limit of the controllers of a kernel: CGROUP_SUBSYS_COUNT is 14 in Linux 7.2. */
#define LINUX_CGROUP_CONTROLLERS 32
/*
 * Appends the path in the hierarchy of a controller, by its number, if that is one of version 1.
 * READ_NONE if there is no such controller, or it is in the default hierarchy.
 */
enum read_result linux_cgroup_path_of(struct linux_kernel *kernel, uint64_t css_set,
				      unsigned controller, struct buffer *ret);

#endif
