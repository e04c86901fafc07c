/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's clocks. Source: include/linux/timekeeper_internal.h, kernel/time/timekeeping.c.
 */
#ifndef NUNCHI_GUEST_LINUX_TIME_H
#define NUNCHI_GUEST_LINUX_TIME_H

#include "guest/linux/linux.h"

struct linux_clock {
	int64_t boot_ns;      /* wall clock at boot, ns since 1970 (getboottime64()) */
	int64_t uptime_ns;    /* since boot, including time asleep, at the last timer tick */
	int64_t monotonic_ns; /* since boot, without time asleep, at the last timer tick */
	/* in every try, or when the guest was stopped, the kernel was writing the timekeeper */
	bool torn;
};

/* Reads the timekeeper; on a running guest, at a moment when the kernel does not write it. */
enum read_result linux_clock_read(struct linux_kernel *kernel, struct linux_clock *ret);

#endif
