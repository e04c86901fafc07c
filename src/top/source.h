/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The other side of reader.h: starts a reader for each guest, asks it, and starts another one when
 * the guest rebooted or went away.
 */
#ifndef NUNCHI_TOP_SOURCE_H
#define NUNCHI_TOP_SOURCE_H

#include "top/reader.h"
#include "worker/worker.h"

/* How long after a failure the guest is opened again. */
#define TOP_RETRY_US (2 * 1000000ull)

struct top_source {
	struct top_reader_options options;
	struct worker worker;
	bool asked;     /* an answer is on its way */
	bool greeted;   /* the reader has opened the guest */
	bool ever;      /* some reader has */
	bool restarted; /* what is shown was read by a reader that is gone */
	uint64_t retry_at;
	struct top_reading *now, *before;
	uint64_t now_at;            /* when `now` came */
	struct nunchi_error *error; /* why there is nothing newer; NULL: nothing is wrong */
};

/*
 * Readings that follow each other sooner, because a key asked for one, are not compared: the ticks
 * by which a guest counts would make noise of it.
 */
#define TOP_LEAST_US 150000

/* Starts the reader. `others` are sources whose descriptors the reader must not keep open. */
struct nunchi_error *top_source_start(struct top_source *source, struct top_source *const *others,
				      size_t count);
/* Asks for a reading, unless one is on its way. */
void top_source_ask(struct top_source *source, const struct top_request *request);
/*
 * Takes a reading, which becomes the source's. The reading before stays to be compared with, unless
 * it is of another boot of the guest. A saved guest has none: each reading of it is of one moment.
 */
void top_source_keep(struct top_source *source, struct top_reading *reading);
/*
 * Takes what has come, without waiting. True if there is news: a reading, or an error. The error
 * stays until the next reading.
 */
bool top_source_take(struct top_source *source);
/* Ends the reader and frees what was read. */
void top_source_stop(struct top_source *source);

#endif
