/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for many descriptors by one: a program that uses the library waits for the loop's
 * descriptor in a loop of its own, and has what is ready dispatched. Nothing here blocks.
 *
 * One thread at a time. A child of fork() must use neither the loop nor its sources.
 */
#ifndef NUNCHI_EVENT_LOOP_H
#define NUNCHI_EVENT_LOOP_H

#include "core/error.h"

struct event_loop;
struct event_source;

/* A descriptor is ready: `events` has POLLIN, POLLERR or POLLHUP. May remove any source. */
typedef struct nunchi_error *event_ready_fn(void *data, short events);

struct nunchi_error *event_loop_create(struct event_loop **ret);
/* Every source must be removed before. NULL is accepted. */
void event_loop_destroy(struct event_loop *loop);

/* Readable (POLLIN) when there is something to dispatch; the loop's own. */
int event_loop_fd(const struct event_loop *loop);

/* Calls ready() at each dispatch where fd can be read, until the source is removed; fd stays the
 * caller's and must outlive it. */
struct nunchi_error *event_loop_add(struct event_loop *loop, int fd, event_ready_fn *ready,
				    void *data, struct event_source **ret);
/* NULL is accepted. */
void event_source_remove(struct event_source *source);

/*
 * Calls what is ready now, without waiting. The first error ends it and is given back; what else is
 * ready stays so.
 */
struct nunchi_error *event_loop_dispatch(struct event_loop *loop);

#endif
