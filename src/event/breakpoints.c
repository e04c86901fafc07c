/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "event/breakpoints.h"

#include "arch/x86/idle.h"
#include "core/array.h"

#include <string.h>

#define RENEW_US (1 * CLOCK_US_PER_S)

/* The trap flag: a trap behind each instruction. */
#define RFLAGS_TF 0x100
/* Control-flow enforcement, with tracking of indirect branches. */
#define CR4_CET ((uint64_t)1 << 23)

struct breakpoint {
	breakpoint_hit_fn *hit;
	void *data;
	uint64_t address;
	bool removed; /* freed at the end of the dispatch */
	struct breakpoint *next;
};

struct place {
	uint64_t address;
	struct breakpoint *users; /* NULL: it can be removed from the guest */
};

struct observer {
	breakpoint_hit_fn *hit;
	void *data;
	enum target_event event;
	uint32_t index;
};

struct breakpoints {
	struct target *target;
	struct address_space *code;
	struct place *places;
	size_t count, capacity;
	struct observer *observers;
	size_t observer_count, observer_capacity;
	uint64_t renew_us; /* when the guest's pages are mapped anew */
	bool dispatching;
	bool removed;    /* users were removed during a dispatch, and are to be freed */
	const char *end; /* why watching ends; NULL: it does not */
};

struct nunchi_error *breakpoints_create(struct target *target, struct address_space *code,
					struct breakpoints **ret)
{
	struct breakpoints *set = calloc(1, sizeof(*set));

	if (!set)
		return &error_nomem;
	set->target = target;
	set->code = code;
	*ret = set;
	return NULL;
}

void breakpoints_destroy(struct breakpoints *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++) {
		while (set->places[i].users) {
			struct breakpoint *user = set->places[i].users;

			set->places[i].users = user->next;
			free(user);
		}
	}
	free(set->places);
	free(set->observers);
	free(set);
}

static struct place *find_place(const struct breakpoints *set, uint64_t address)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->places[i].address == address)
			return &set->places[i];
	}
	return NULL;
}

/* Takes one breakpoint without users out of the guest; false if all have users. */
static bool make_room(struct breakpoints *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct nunchi_error *err;

		if (set->places[i].users)
			continue;
		err = target_stops(set->target)->remove(set->target, set->places[i].address);
		nunchi_error_destroy(err);
		if (err)
			return false;
		set->places[i] = set->places[--set->count];
		return true;
	}
	return false;
}

static struct nunchi_error *insert(struct breakpoints *set, uint64_t address)
{
	struct nunchi_error *err;

	if (set->count == BREAKPOINTS_MAX && !make_room(set))
		return error_create(NUNCHI_ERROR_BUSY, "more than %d breakpoints", BREAKPOINTS_MAX);
	if (!ARRAY_RESERVE(set->places, set->count, set->capacity, 1))
		return &error_nomem;
	for (;;) {
		err = target_stops(set->target)->insert(set->target, address);
		if (!error_is(err, NUNCHI_ERROR_BUSY) || !make_room(set))
			break;
		nunchi_error_destroy(err);
	}
	if (!err)
		set->places[set->count++] = (struct place){.address = address};
	return err;
}

struct nunchi_error *breakpoints_add(struct breakpoints *set, uint64_t address,
				     breakpoint_hit_fn *hit, void *data, struct breakpoint **ret)
{
	struct breakpoint *user = malloc(sizeof(*user));
	struct place *place = find_place(set, address);
	struct nunchi_error *err = NULL;

	if (!user)
		return &error_nomem;
	if (!place) {
		err = insert(set, address);
		place = err ? NULL : &set->places[set->count - 1];
	}
	if (err) {
		free(user);
		return err;
	}
	*user =
	    (struct breakpoint){.hit = hit, .data = data, .address = address, .next = place->users};
	place->users = user;
	*ret = user;
	return NULL;
}

/* Frees the users of a place that were removed. */
static void sweep(struct place *place)
{
	struct breakpoint **at = &place->users;

	while (*at) {
		struct breakpoint *user = *at;

		if (user->removed) {
			*at = user->next;
			free(user);
		} else {
			at = &user->next;
		}
	}
}

void breakpoints_remove(struct breakpoints *set, struct breakpoint *breakpoint)
{
	if (!breakpoint)
		return;
	breakpoint->removed = true;
	/* A dispatch goes along the list. */
	if (set->dispatching)
		set->removed = true;
	else
		sweep(find_place(set, breakpoint->address));
}

struct nunchi_error *breakpoints_observe(struct breakpoints *set, enum target_event event,
					 uint32_t index, breakpoint_hit_fn *hit, void *data)
{
	const struct target_stops_ops *stops = target_stops(set->target);
	struct nunchi_error *err;

	if (!stops->observe)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "%s: there are no events of its registers: only guests of Xen "
				    "have them",
				    set->target->name);
	if (!ARRAY_RESERVE(set->observers, set->observer_count, set->observer_capacity, 1))
		return &error_nomem;
	err = stops->observe(set->target, event, index);
	if (!err)
		set->observers[set->observer_count++] = (struct observer){hit, data, event, index};
	return err;
}

/* ---- Going on -------------------------------------------------------------------------------- */

/*
 * Where the vCPU can go on: behind instructions without effect, which need not be executed, since
 * to execute a single one takes another stop. Not past an address with a breakpoint.
 */
static uint64_t next_address(const struct breakpoints *set, const struct x86_registers *registers)
{
	uint64_t address = registers->rip;
	uint8_t code[16];
	unsigned size, done = 0;

	/* A debugger inside the guest waits for the trap behind the instruction. */
	if (registers->rflags & RFLAGS_TF)
		return address;
	if (address_space_read(set->code, gva(address), code, sizeof(code), NULL) != MEMORY_OK)
		return address;
	while ((size = x86_idle_size(code + done, sizeof(code) - done, registers->cr4 & CR4_CET)) !=
	       0) {
		done += size;
		if (find_place(set, address + done))
			break;
	}
	return address + done;
}

static void call_users(struct breakpoints *set, const struct target_stop *stop)
{
	struct place *place = find_place(set, stop->registers.rip);
	struct breakpoint *first = place ? place->users : NULL;

	set->dispatching = true;
	/* One that is added meanwhile stands before the first. */
	for (struct breakpoint *user = first; user; user = user->next) {
		if (!user->removed)
			user->hit(user->data, stop);
	}
	set->dispatching = false;
	for (size_t i = 0; set->removed && i < set->count; i++)
		sweep(&set->places[i]);
	set->removed = false;
}

/*
 * What the guest wrote since the last stop is read anew. Where other vCPUs run, pages are mapped
 * anew only now and then: on Xen, where it is so, that takes longer than all the rest.
 */
static void forget(struct breakpoints *set, const struct target_stop *stop)
{
	if (stop->others_run && clock_us() < set->renew_us) {
		memory_new_generation(set->target->memory);
		return;
	}
	target_renew(set->target);
	set->renew_us = clock_us() + RENEW_US;
}

static void call_observers(struct breakpoints *set, const struct target_stop *stop)
{
	for (size_t i = 0; i < set->observer_count; i++) {
		const struct observer *observer = &set->observers[i];

		if (observer->event == stop->event &&
		    (stop->event != TARGET_EVENT_MSR || observer->index == stop->index))
			observer->hit(observer->data, stop);
	}
}

void breakpoints_end(struct breakpoints *set, const char *reason)
{
	set->end = reason;
}

struct nunchi_error *breakpoints_dispatch(struct breakpoints *set, struct breakpoints_result *ret)
{
	const struct target_stops_ops *stops = target_stops(set->target);
	struct target_stop stop = {.kind = TARGET_STOP_NONE};
	struct nunchi_error *err;
	uint64_t start;

	*ret = (struct breakpoints_result){.kind = TARGET_STOP_NONE};
	err = stops->next(set->target, &stop);
	if (err)
		return err;
	if (stop.kind == TARGET_STOP_BREAKPOINT || stop.kind == TARGET_STOP_EVENT) {
		uint64_t rip = stop.registers.rip;

		start = clock_us();
		forget(set, &stop);
		if (stop.kind == TARGET_STOP_BREAKPOINT) {
			call_users(set, &stop);
			rip = next_address(set, &stop.registers);
		} else {
			call_observers(set, &stop);
		}
		if (set->end) {
			stops->close(set->target);
			err = error_create(NUNCHI_ERROR_GONE, "%s", set->end);
		} else {
			err = stops->go(set->target, &stop, rip);
		}
		ret->stood_us = clock_us() - start;
	}
	ret->kind = stop.kind;
	return err;
}
