/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/time.h"

#define NSEC_PER_SEC 1000000000LL

/* Limit of the tries; the kernel writes the timekeeper at every tick, for about a microsecond. */
#define CLOCK_TRIES 64

/*
 * The address of the core timekeeper. Since 6.13 it is in a struct tk_data (the variable tk_core,
 * since 6.17 the array timekeeper_data); before, in an unnamed struct after a sequence counter.
 */
static uint64_t timekeeper_address(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_time);
	uint64_t core = kernel->symbol[LINUX_timekeeper_data];
	uint64_t counter = layout->size[LAYOUT_seqcount], word = kernel->word_size;

	if (!core)
		core = kernel->symbol[LINUX_tk_core];
	if (!core)
		return 0;
	if (layout->tk_data_timekeeper.present)
		return core + layout->tk_data_timekeeper.offset;
	/* The timekeeper has the alignment of its pointers. */
	return core + ((counter ? counter : word) + word - 1) / word * word;
}

static bool has_layout(const struct layout *layout)
{
	return layout->timekeeper_xtime_sec.present && layout->timekeeper_xtime_nsec.present &&
	       layout->timekeeper_shift.present && layout->timekeeper_offs_real.present &&
	       layout->timekeeper_offs_boot.present && layout->timekeeper_wall_sec.present &&
	       layout->timekeeper_wall_nsec.present;
}

/*
 * Computes the clocks from the timekeeper; false if its values are impossible. Sums may wrap,
 * because the values are untrusted.
 */
static bool decode(const struct layout *layout, const struct object *keeper,
		   struct linux_clock *ret)
{
	uint64_t real = object_u64(keeper, &layout->timekeeper_offs_real);
	uint64_t boot = object_u64(keeper, &layout->timekeeper_offs_boot);
	uint64_t shift = object_u64(keeper, &layout->timekeeper_shift), nanoseconds;
	int64_t seconds = (int64_t)((uint64_t)object_s64(keeper, &layout->timekeeper_xtime_sec) +
				    (uint64_t)object_s64(keeper, &layout->timekeeper_wall_sec));

	if (shift > 63 || seconds < 0 || seconds > INT64_MAX / NSEC_PER_SEC / 2)
		return false;
	nanoseconds = (uint64_t)object_s64(keeper, &layout->timekeeper_wall_nsec) +
		      (object_u64(keeper, &layout->timekeeper_xtime_nsec) >> shift);
	*ret = (struct linux_clock){
	    .boot_ns = (int64_t)(real - boot),
	    .uptime_ns = (int64_t)((uint64_t)seconds * NSEC_PER_SEC + nanoseconds + boot),
	    .monotonic_ns = (int64_t)((uint64_t)seconds * NSEC_PER_SEC + nanoseconds),
	};
	return true;
}

/*
 * Reads the sequence counter, the first member of all these structures: it is odd while the kernel
 * writes the timekeeper, and has another value afterwards (include/linux/seqlock.h).
 */
static enum read_result read_counter(struct linux_kernel *kernel, uint32_t *ret)
{
	uint64_t core = kernel->symbol[LINUX_timekeeper_data];

	return linux_read_u32(kernel, core ? core : kernel->symbol[LINUX_tk_core], ret);
}

enum read_result linux_clock_read(struct linux_kernel *kernel, struct linux_clock *ret)
{
	uint64_t address = timekeeper_address(kernel);
	_cleanup_object_ struct object keeper = {0};
	enum read_result result;
	uint32_t before, after;
	bool torn = true;

	if (!address)
		return READ_NO_SYMBOL;
	if (!has_layout(&kernel->layout))
		return READ_NO_LAYOUT;
	result = read_counter(kernel, &before);
	for (unsigned i = 0; result == READ_OK && i < CLOCK_TRIES && torn; i++) {
		result = linux_read_object(kernel, LAYOUT_timekeeper, address, &keeper);
		if (result == READ_OK)
			result = read_counter(kernel, &after);
		if (result != READ_OK)
			break;
		torn = before & 1 || before != after;
		before = after;
		/* If the guest does not run, waiting for the end of a write is useless. */
		if (!kernel->guest.live)
			break;
	}
	if (result != READ_OK)
		return result;
	if (!decode(&kernel->layout, &keeper, ret))
		return READ_BAD_DATA;
	ret->torn = torn;
	return READ_OK;
}
