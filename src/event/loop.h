/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An event loop: many descriptors are combined into one. A program that uses the library waits for
 * the loop's descriptor in an event loop of its own, and then calls event_loop_dispatch(). No
 * function blocks.
 *
 * Use a loop in one thread at a time. A child made by fork() must use neither the loop nor its
 * sources.
 */
#ifndef NUNCHI_EVENT_LOOP_H
#define NUNCHI_EVENT_LOOP_H

#include "core/error.h"

struct event_loop;
struct event_source;

/*
 * Called when a descriptor is ready; `events` has POLLIN, POLLERR or POLLHUP. May remove any
 * source.
 */
typedef struct nunchi_error *event_ready_fn(void *data, short events);

/* Creates a loop without sources. */
struct nunchi_error *event_loop_create(struct event_loop **ret);
/* Frees the loop. All sources must be removed before. NULL is accepted. */
void event_loop_destroy(struct event_loop *loop);

/* A descriptor that is readable (POLLIN) when there is something to dispatch; owned by the loop. */
int event_loop_fd(const struct event_loop *loop);

/*
 * Adds a source: each dispatch calls ready() if fd can be read, until the source is removed. The
 * caller keeps fd, which must be open until then.
 */
struct nunchi_error *event_loop_add(struct event_loop *loop, int fd, event_ready_fn *ready,
				    void *data, struct event_source **ret);
/* Removes a source and frees it. NULL is accepted. */
void event_source_remove(struct event_source *source);

/*
 * Calls ready() of all sources that are ready now, without waiting. Stops at the first error and
 * returns it; the other sources stay ready. Within a ready() it gives NUNCHI_ERROR_BUSY.
 */
struct nunchi_error *event_loop_dispatch(struct event_loop *loop);

#endif
