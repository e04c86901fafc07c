/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each CPU did until now, and the load. Source: fs/proc/stat.c, kernel/time/tick-sched.c,
 * kernel/sched/loadavg.c.
 */
#ifndef NUNCHI_GUEST_LINUX_CPU_TIME_H
#define NUNCHI_GUEST_LINUX_CPU_TIME_H

#include "guest/linux/linux.h"
#include "guest/linux/time.h"

enum linux_cpu_mode {
	LINUX_CPU_USER,
	LINUX_CPU_NICE,
	LINUX_CPU_SYSTEM,
	LINUX_CPU_IDLE,
	LINUX_CPU_IOWAIT,
	LINUX_CPU_IRQ,
	LINUX_CPU_SOFTIRQ,
	LINUX_CPU_STEAL,
	LINUX_CPU_GUEST,
	LINUX_CPU_GUEST_NICE,
	LINUX_CPU_MODES
};

/* Nanoseconds in each mode, as /proc/stat has them: user has the time of guests, too. */
struct linux_cpu_times {
	uint64_t ns[LINUX_CPU_MODES];
	enum read_result result[LINUX_CPU_MODES];
};

/*
 * Reads the times of a CPU that is online. A CPU whose ticks are stopped counts its idle time from
 * the moment when it fell idle, until `clock`.
 */
void linux_cpu_times(struct linux_kernel *kernel, unsigned cpu, const struct linux_clock *clock,
		     enum read_result clock_result, struct linux_cpu_times *ret);

#define LINUX_LOADS 3
/* The load averages of 1, 5 and 15 minutes. */
enum read_result linux_load_average(struct linux_kernel *kernel, double ret[LINUX_LOADS]);

#endif
