/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that reads one guest, on request, until nobody asks any more. */
#ifndef NUNCHI_TOP_READER_H
#define NUNCHI_TOP_READER_H

#include "top/reading.h"

struct top_reader_options {
	const char *target;
	bool live; /* a guest that runs, and not a file */
	const struct nunchi_guest_options
	    *guest; /* the guest is never paused, whatever this says */
	/* Called first; limits the memory of the process. */
	void (*prepare)(void *data);
	void *data;
};

/*
 * Opens the guest, says so by a reading without rows, then answers each request that comes by the
 * descriptor. Returns when that is closed, or after a reading that tells an error.
 */
void top_reader_run(const struct top_reader_options *options, int fd);

#endif
