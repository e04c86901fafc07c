/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nunchi top: the processes of guests, anew at each interval, on a terminal or as text. Each guest
 * is read by a process of its own, which is confined; this one sees numbers and texts alone.
 */
#ifndef NUNCHI_TOP_TOP_H
#define NUNCHI_TOP_TOP_H

#include <nunchi/nunchi.h>

#define TOP_MOST_TARGETS 11

struct top_options {
	const char *const *targets;
	size_t count;
	bool live[TOP_MOST_TARGETS]; /* guests that run, and not files */
	const struct nunchi_guest_options *guest;
	uint64_t interval_us;
	uint64_t refreshes; /* end after so many; 0: never */
	bool batch, json, threads, color;
	unsigned width; /* of lines of text; 0: no limit */
	/* In each process that reads a guest, before that is opened. */
	void (*prepare)(void *data);
	/* Whether a signal asked us to end. */
	bool (*ended)(void *data);
	/* Takes text; false if nobody wants any more. */
	bool (*write)(const char *text, size_t size, void *data);
	/* In batch mode: what is wrong with a guest at present. */
	void (*warn)(const char *target, const char *text, void *data);
	void *data;
};

/*
 * Runs until the user, a signal or `refreshes` ends it. Fails if a guest cannot be opened at first,
 * *ret_target being that one (NULL: it is about none). A guest that goes away later is opened again
 * when it is back.
 */
struct nunchi_error *top_run(const struct top_options *options, const char **ret_target);

#endif
