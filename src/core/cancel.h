/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A request to end what runs, made by another thread or by a signal handler and polled by long
 * loops and by waits. A request to a parent is a request to each of its children, so that
 * cancelling a context cancels all that was opened in it.
 *
 * Storage of all zeros is a flag that nobody has requested yet.
 */
#ifndef NUNCHI_CORE_CANCEL_H
#define NUNCHI_CORE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct cancel {
	atomic_bool requested;
	const struct cancel *parent; /* NULL: none; outlives this one */
	/* A flag in memory of another process, which counts as well; NULL: none */
	const atomic_bool *other;
};

/*
 * Any thread, and signal handlers. Whoever sees the request may free the flag: the store is the
 * last that this does to it.
 */
static inline void cancel_request(struct cancel *cancel)
{
	atomic_store_explicit(&cancel->requested, true, memory_order_release);
}

/* Makes the flag usable again after a request; requests to its parents stay. */
static inline void cancel_clear(struct cancel *cancel)
{
	atomic_store_explicit(&cancel->requested, false, memory_order_relaxed);
}

/* Whether the work should end. NULL stands for work that nobody can cancel. */
static inline bool cancel_requested(const struct cancel *cancel)
{
	for (; cancel; cancel = cancel->parent) {
		if (atomic_load_explicit(&cancel->requested, memory_order_acquire) ||
		    (cancel->other && atomic_load_explicit(cancel->other, memory_order_acquire)))
			return true;
	}
	return false;
}

#endif
