/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nunchi metrics: numbers of guests for Prometheus, printed once, written to a file, or given to
 * whoever asks for them by HTTP. Each guest is read by a process of its own, which is confined.
 */
#ifndef NUNCHI_METRICS_METRICS_H
#define NUNCHI_METRICS_METRICS_H

#include <nunchi/nunchi.h>

#include <stddef.h>
#include <stdint.h>

#define METRICS_MOST_TARGETS 64

struct metrics_options {
	const char *const *targets; /* each once */
	size_t count;
	bool live[METRICS_MOST_TARGETS]; /* guests that run, and not files */
	const struct nunchi_guest_options *guest;
	bool findings, json;
	int listener;         /* a socket that listens and does not block; -1: none */
	const char *textfile; /* NULL: none */
	uint64_t interval_us; /* between two writings of it; 0: it is written once */
	/* In each process that reads a guest, before that is opened. */
	void (*prepare)(void *data);
	/* Whether a signal asked us to end. */
	bool (*ended)(void *data);
	/* Takes text for standard output; false if nobody wants any more. */
	bool (*write)(const char *text, size_t size, void *data);
	/* A guest that cannot be read, once for each reason that follows another one. */
	void (*fail)(const char *target, const struct nunchi_error *err, void *data);
	/* A guest that can be read again. */
	void (*back)(const char *target, void *data);
	/* A file that cannot be written, if it is tried again; and one that can be again. */
	void (*file_fail)(const struct nunchi_error *err, void *data);
	void (*file_back)(void *data);
	void *data;
};

/*
 * Runs until it is done or a signal ends it. *ret_failed: how many guests could not be read in the
 * last reading.
 */
struct nunchi_error *metrics_run(const struct metrics_options *options, size_t *ret_failed);

#endif
