/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Control groups. Source: kernel/cgroup/cgroup.c (proc_cgroup_show), fs/kernfs/dir.c.
 */
#ifndef NUNCHI_GUEST_LINUX_CGROUP_H
#define NUNCHI_GUEST_LINUX_CGROUP_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

/*
 * Appends the path in the default (version 2) hierarchy of the tasks of a css_set (the address in
 * task.cgroups), as the line "0::…" of /proc/PID/cgroup shows it to process 1: from the
 * hierarchy's root, " (deleted)" if the group was removed. Appends nothing on a fault.
 */
enum read_result linux_cgroup_path(struct linux_kernel *kernel, uint64_t css_set,
				   struct buffer *ret);

#endif
