/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reports guests of this host that appear, change and disappear, through an event loop. */
#ifndef NUNCHI_EVENT_WATCH_H
#define NUNCHI_EVENT_WATCH_H

#include "event/loop.h"
#include "target/kind.h"

/*
 * Called for each change; returns false if no more calls are wanted. The strings are valid during
 * the call.
 */
typedef bool event_changed_fn(const struct nunchi_found *guest, enum nunchi_list_change change,
			      void *data);

/* What a watch lists, and when. */
struct event_watch_source {
	/* Lists the guests, as target_list() does. ask: also ask for the states of guests. */
	struct nunchi_error *(*list)(bool ask, target_found_fn *found, void *data);
	/* period of looking for guests that appeared, changed or disappeared */
	uint64_t every_us;
	uint64_t ask_every_us; /* period of asking for states, at least */
	/* Descriptors whose events cause listing at once. One with fd -1 is ignored. */
	const struct target_wake *wakes;
	size_t wake_count;
};

struct event_watch;

/*
 * Creates a watch: calls changed() for each change, in dispatches of the loop; the first dispatch
 * reports all guests that are there. The watch destroys the wakes at its end; if it cannot be
 * created, they stay the caller's.
 */
struct nunchi_error *event_watch_create_with(struct event_loop *loop,
					     const struct event_watch_source *source,
					     event_changed_fn *changed, void *data,
					     struct event_watch **ret);
/*
 * Creates a watch on this host: lists all that target_list() finds, every second and when a wake
 * reports an event, and asks QEMU's monitors for states every ten seconds.
 */
struct nunchi_error *event_watch_create(struct event_loop *loop, event_changed_fn *changed,
					void *data, struct event_watch **ret);
/* Ends the watch and frees it. Must not be called within changed(). NULL is accepted. */
void event_watch_destroy(struct event_watch *watch);
/* Whether changed() returned false, so that nothing is reported any more. */
bool event_watch_has_ended(const struct event_watch *watch);

#endif
