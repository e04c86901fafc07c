/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A target whose vCPUs stop when the test says so (target/stops.h). It counts as the hardware
 * would: which breakpoints are set, whether the guest runs, where it goes on. Include after
 * cmocka.h.
 */
#ifndef NUNCHI_TESTS_FAKE_STOPS_H
#define NUNCHI_TESTS_FAKE_STOPS_H

#include "target/stops.h"
#include "target/target.h"

#include <string.h>

#define FAKE_MAX 8192

struct fake_stops {
	struct target target; /* first */
	uint64_t set[FAKE_MAX];
	size_t count;
	size_t room;   /* breakpoints that the processor has */
	unsigned held; /* hold() without release() */
	bool stopped;  /* at a breakpoint, until go() */
	bool closed;
	/* what next() gives; TARGET_STOP_NONE: nothing */
	struct target_stop pending;
	uint64_t went_to; /* rip of the last go() */
	unsigned went, inserted, removed;
	struct nunchi_error *fails; /* given once by next() */
	enum target_state state;
	/* What is observed of the vCPU's registers. */
	struct {
		enum target_event event;
		uint32_t index;
	} observed[16];
	size_t observed_count;
	bool no_events;
};

static inline struct fake_stops *fake_stops_of(struct target *target)
{
	return (struct fake_stops *)target;
}

static inline bool fake_is_set(const struct fake_stops *fake, uint64_t address)
{
	for (size_t i = 0; i < fake->count; i++) {
		if (fake->set[i] == address)
			return true;
	}
	return false;
}

static inline void fake_close(struct target *target)
{
	struct fake_stops *fake = fake_stops_of(target);

	fake->closed = true;
	fake->count = 0;
	fake->stopped = false;
}

static inline struct nunchi_error *fake_next(struct target *target, struct target_stop *ret)
{
	struct fake_stops *fake = fake_stops_of(target);
	struct nunchi_error *err = fake->fails;

	fake->fails = NULL;
	*ret = fake->pending;
	fake->pending = (struct target_stop){.kind = TARGET_STOP_NONE};
	fake->stopped = ret->kind == TARGET_STOP_BREAKPOINT || ret->kind == TARGET_STOP_EVENT;
	return err;
}

static inline struct nunchi_error *fake_go(struct target *target, const struct target_stop *stop,
					   uint64_t rip)
{
	struct fake_stops *fake = fake_stops_of(target);

	(void)stop;
	assert_true(fake->stopped);
	fake->stopped = false;
	fake->went++;
	fake->went_to = rip;
	return NULL;
}

static inline struct nunchi_error *fake_hold(struct target *target)
{
	assert_false(fake_stops_of(target)->stopped);
	fake_stops_of(target)->held++;
	return NULL;
}

static inline struct nunchi_error *fake_release(struct target *target)
{
	assert_int_equal(fake_stops_of(target)->held, 1);
	fake_stops_of(target)->held = 0;
	return NULL;
}

static inline struct nunchi_error *fake_insert(struct target *target, uint64_t address)
{
	struct fake_stops *fake = fake_stops_of(target);

	assert_true(fake->held || fake->stopped);
	assert_false(fake_is_set(fake, address));
	if (fake->count == fake->room)
		return error_create(NUNCHI_ERROR_BUSY, "the processor has %zu breakpoints",
				    fake->room);
	fake->set[fake->count++] = address;
	fake->inserted++;
	return NULL;
}

static inline struct nunchi_error *fake_remove(struct target *target, uint64_t address)
{
	struct fake_stops *fake = fake_stops_of(target);

	assert_true(fake->held || fake->stopped);
	for (size_t i = 0; i < fake->count; i++) {
		if (fake->set[i] == address) {
			fake->set[i] = fake->set[--fake->count];
			fake->removed++;
			return NULL;
		}
	}
	fail_msg("0x%lx has no breakpoint", (unsigned long)address);
	return NULL;
}

static inline struct nunchi_error *fake_observe(struct target *target, enum target_event event,
						uint32_t index)
{
	struct fake_stops *fake = fake_stops_of(target);

	assert_true(fake->held);
	if (fake->no_events)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "no such event");
	fake->observed[fake->observed_count].event = event;
	fake->observed[fake->observed_count++].index = index;
	return NULL;
}

static const struct target_stops_ops fake_stops_ops = {
    .close = fake_close,
    .next = fake_next,
    .go = fake_go,
    .hold = fake_hold,
    .release = fake_release,
    .insert = fake_insert,
    .remove = fake_remove,
    .observe = fake_observe,
};

static inline struct nunchi_error *fake_get_state(struct target *target, enum target_state *ret)
{
	*ret = fake_stops_of(target)->state;
	return NULL;
}

static const struct target_ops fake_stops_target = {
    .kind = "fake", .get_state = fake_get_state, .stops = &fake_stops_ops};

/* The vCPU gets to this address; false if it has no breakpoint there. */
static inline bool fake_hit(struct fake_stops *fake, const struct x86_registers *registers)
{
	if (!fake_is_set(fake, registers->rip))
		return false;
	fake->pending =
	    (struct target_stop){.kind = TARGET_STOP_BREAKPOINT, .registers = *registers};
	return true;
}

#endif
