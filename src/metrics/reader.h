/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that reads one guest, on request, until nobody asks any more. */
#ifndef NUNCHI_METRICS_READER_H
#define NUNCHI_METRICS_READER_H

#include "metrics/reading.h"

struct metrics_reader_options {
	const char *target;
	bool live; /* a guest that runs, and not a file */
	bool findings;
	const struct nunchi_guest_options
	    *guest; /* the guest is never paused, whatever this says */
	/* Called first; limits the memory of the process. */
	void (*prepare)(void *data);
	void *data;
};

/*
 * Opens the guest, says so by a reading in which nothing is known, then answers each byte that
 * comes by the descriptor with a reading. Returns when that is closed, or after a reading that
 * tells an error.
 */
void metrics_reader_run(const struct metrics_reader_options *options, int fd);

#endif
