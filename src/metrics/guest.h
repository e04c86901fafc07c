/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest, seen from the process that writes metrics: starts the one that reads it, asks that, and
 * starts another one when the guest rebooted or went away.
 */
#ifndef NUNCHI_METRICS_GUEST_H
#define NUNCHI_METRICS_GUEST_H

#include "metrics/reader.h"
#include "worker/worker.h"

struct metrics_guest {
	struct metrics_reader_options options;
	char *label; /* owned */
	struct worker worker;
	bool greeted;                   /* the process has opened the guest */
	bool wanted;                    /* a reading is to be asked for */
	bool asked;                     /* a reading is on its way */
	bool fresh;                     /* `reading` is the answer to the last question */
	uint64_t started_at, asked_at;  /* of clock_us() */
	uint64_t retry_at, retry_us;    /* when the guest is opened again */
	struct metrics_reading reading; /* if it is fresh */
	struct metrics_names names;     /* of the checks of all readings */
	struct nunchi_error *error;     /* why there is none; NULL: it is not known yet */
};

/* Starts the process, unless there is one or it is too early. */
void metrics_guest_start(struct metrics_guest *guest, const int *others, size_t count);
/* Wants a reading anew. */
void metrics_guest_want(struct metrics_guest *guest);
/* Takes what has come, and asks if that is wanted and possible; ends a process that hangs. */
void metrics_guest_step(struct metrics_guest *guest);
/* Whether there is nothing to wait for: a reading is there, or the reason why there is none. */
bool metrics_guest_is_settled(const struct metrics_guest *guest);
/* Gives up the reading that was wanted and has not come. */
void metrics_guest_give_up(struct metrics_guest *guest);
/* When there is something to be done although nothing comes; of clock_us(). */
uint64_t metrics_guest_next(const struct metrics_guest *guest);
void metrics_guest_stop(struct metrics_guest *guest);

#endif
