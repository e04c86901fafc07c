/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The resource limits of a process: getrlimit(2), /proc/PID/limits. */
#ifndef NUNCHI_GUEST_LINUX_LIMITS_H
#define NUNCHI_GUEST_LINUX_LIMITS_H

#include "guest/linux/linux.h"

#define LINUX_LIMITS    16 /* RLIM_NLIMITS of include/uapi/asm-generic/resource.h */
#define LINUX_UNLIMITED (-1)

struct linux_limit {
	const char *resource; /* "nofile": as prlimit(1) names it; static */
	const char *units;    /* "files"; NULL: a number without a unit; static */
	int64_t soft, hard;   /* LINUX_UNLIMITED: there is no limit */
	/* READ_LIMIT: the number does not fit into an int64_t */
	enum read_result soft_result, hard_result;
};

/* Checks that this kernel's types have all fields needed. */
struct nunchi_error *linux_limits_check(struct linux_kernel *kernel);
/*
 * Reads a limit of the process whose task (a copy of a task_struct) this is. number is less than
 * LINUX_LIMITS.
 */
void linux_limit_read(struct linux_kernel *kernel, const struct object *task, unsigned number,
		      struct linux_limit *ret);

#endif
