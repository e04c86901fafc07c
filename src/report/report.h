/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nunchi report: what a guest is and does, as one page of HTML that needs nothing else. */
#ifndef NUNCHI_REPORT_REPORT_H
#define NUNCHI_REPORT_REPORT_H

#include <nunchi/nunchi.h>

struct report_options {
	struct nunchi_guest *guest;
	const char *target; /* as it was given */
	bool live;          /* a guest that runs, and no file */
	/* Rows that could not be read, each warning once. */
	void (*warn)(const char *text, void *data);
	/* Takes a part of the page; false if it can take no more. */
	bool (*write)(const char *bytes, size_t size, void *data);
	void *data;
};

/* Reads all of the page before it writes any. Fails with NUNCHI_ERROR_CANCELLED if write() does. */
struct nunchi_error *report_write(const struct report_options *options);

#endif
