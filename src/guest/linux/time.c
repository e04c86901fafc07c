/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/time.h"

#define NSEC_PER_SEC 1000000000LL

/*
 * The core timekeeper: since 6.13 in a struct tk_data (tk_core, an array timekeeper_data since
 * 6.17); before, in an unnamed struct behind a sequence counter.
 */
static uint64_t timekeeper_address(const struct linux_kernel *kernel)
{
	uint64_t core = kernel->symbol[LINUX_timekeeper_data];
	uint64_t counter = kernel->layout.size[LAYOUT_seqcount], word = kernel->word_size;

	if (!core)
		core = kernel->symbol[LINUX_tk_core];
	if (!core)
		return 0;
	if (kernel->layout.tk_data_timekeeper.present)
		return core + kernel->layout.tk_data_timekeeper.offset;
	/* The timekeeper is aligned as its pointers are. */
	return core + ((counter ? counter : word) + word - 1) / word * word;
}

static bool has_layout(const struct layout *layout)
{
	return layout->timekeeper_xtime_sec.present && layout->timekeeper_xtime_nsec.present &&
	       layout->timekeeper_shift.present && layout->timekeeper_offs_real.present &&
	       layout->timekeeper_offs_boot.present && layout->timekeeper_wall_sec.present &&
	       layout->timekeeper_wall_nsec.present;
}

bool linux_clock_read(struct linux_kernel *kernel, struct linux_clock *ret)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object keeper = {0};
	uint64_t real, boot, nanoseconds, shift;
	int64_t seconds;

	if (!has_layout(layout) ||
	    linux_read_object(kernel, LAYOUT_timekeeper, timekeeper_address(kernel), &keeper) !=
		MEMORY_OK)
		return false;
	/* Sums wrap: the values may be anything. */
	real = object_u64(&keeper, &layout->timekeeper_offs_real);
	boot = object_u64(&keeper, &layout->timekeeper_offs_boot);
	seconds = (int64_t)((uint64_t)object_s64(&keeper, &layout->timekeeper_xtime_sec) +
			    (uint64_t)object_s64(&keeper, &layout->timekeeper_wall_sec));
	shift = object_u64(&keeper, &layout->timekeeper_shift);
	if (shift > 63 || seconds < 0 || seconds > INT64_MAX / NSEC_PER_SEC / 2)
		return false;
	nanoseconds = (uint64_t)object_s64(&keeper, &layout->timekeeper_wall_nsec) +
		      (object_u64(&keeper, &layout->timekeeper_xtime_nsec) >> shift);
	*ret = (struct linux_clock){
	    .boot_ns = (int64_t)(real - boot),
	    .uptime_ns = (int64_t)((uint64_t)seconds * NSEC_PER_SEC + nanoseconds + boot),
	};
	return true;
}
