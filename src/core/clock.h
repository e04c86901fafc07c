/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one clock that deadlines and durations are measured by. */
#ifndef NUNCHI_CORE_CLOCK_H
#define NUNCHI_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* A deadline that never comes. */
#define CLOCK_NEVER UINT64_MAX

#define CLOCK_US_PER_MS 1000ULL
#define CLOCK_US_PER_S  1000000ULL

/* CLOCK_MONOTONIC in microseconds. Async-signal-safe. */
static inline uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * CLOCK_US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

#endif
