/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests of this host that come, change and go, told through an event loop. */
#ifndef NUNCHI_EVENT_WATCH_H
#define NUNCHI_EVENT_WATCH_H

#include "event/loop.h"
#include "target/kind.h"

/* Tells a change; false when no more are wanted. The strings live for the call. */
typedef bool event_changed_fn(const struct nunchi_found *guest, enum nunchi_list_change change,
			      void *data);

/* Where a watch looks. */
struct event_watch_source {
	/* As target_list(). */
	struct nunchi_error *(*list)(bool ask, target_found_fn *found, void *data);
	uint64_t every_us;     /* how often it looks whether guests came, went or changed */
	uint64_t ask_every_us; /* how often it asks for the states at least */
	/* What makes it look at once; none with fd -1. */
	const struct target_wake *wakes;
	size_t wake_count;
};

struct event_watch;

/*
 * Tells what changes there, in dispatches of the loop: at the first one all that is there. The
 * watch destroys the wakes at its end; where it cannot be created they stay the caller's.
 */
struct nunchi_error *event_watch_create_with(struct event_loop *loop,
					     const struct event_watch_source *source,
					     event_changed_fn *changed, void *data,
					     struct event_watch **ret);
/*
 * The same for this host: looks at all that target_list() finds every second, and at once when a
 * wake says so; asks QEMU's monitors for states every ten seconds.
 */
struct nunchi_error *event_watch_create(struct event_loop *loop, event_changed_fn *changed,
					void *data, struct event_watch **ret);
/* Not within changed(). NULL is accepted. */
void event_watch_destroy(struct event_watch *watch);
/* Whether changed() returned false: nothing is told any more. */
bool event_watch_has_ended(const struct event_watch *watch);

#endif
