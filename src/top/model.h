/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is shown of a guest: two readings compared, rows put in order. Pure: nothing here knows of a
 * terminal or of a guest.
 */
#ifndef NUNCHI_TOP_MODEL_H
#define NUNCHI_TOP_MODEL_H

#include "top/reading.h"

/* The columns by which rows are put in order, as they stand from left to right. */
enum top_column {
	TOP_COLUMN_PID,
	TOP_COLUMN_UID,
	TOP_COLUMN_STATE,
	TOP_COLUMN_THREADS,
	TOP_COLUMN_CPU,
	TOP_COLUMN_RESIDENT,
	TOP_COLUMN_MEMORY,
	TOP_COLUMN_TIME,
	TOP_COLUMN_COMMAND,
	TOP_COLUMNS
};

/* A share in percent, or the reason why it is not known. */
struct top_share {
	double percent;
	int32_t absence;
};

struct top_row {
	const struct top_task *task;
	struct top_share cpu, memory;
	struct top_cell time_ms; /* in user mode and in the kernel */
	unsigned depth;          /* in the tree */
	bool is_last;            /* of its parent's children */
};

/* Of one CPU, or of all together. */
struct top_load {
	int64_t core;
	struct top_share busy, user, nice, system, steal, iowait;
};

#define TOP_STATES "RSDTtZI"
struct top_counts {
	size_t tasks, processes, threads, kernel, others;
	size_t states[sizeof(TOP_STATES) - 1];
};

struct top_order {
	enum top_column column;
	bool reverse; /* against the column's usual direction */
	bool tree;
	const char *filter; /* "": all */
};

struct top_model {
	struct top_row *rows; /* those that are shown, in order */
	size_t count, capacity;
	struct top_load *cpus;
	size_t cpu_count, cpu_capacity;
	struct top_load all; /* CPUs */
	struct top_counts counts;
	struct top_cell memory_used, swap_used;
	bool compared; /* there was a reading before */
};

void top_model_deinit(struct top_model *model);
/*
 * Compares a reading with the one before it (NULL: there is none) and puts the rows in order. The
 * rows point into `now`. False if memory is short: then the model is empty.
 */
bool top_model_update(struct top_model *model, const struct top_reading *now,
		      const struct top_reading *before, const struct top_order *order);

/* Whether a column's numbers usually begin with the greatest one. */
bool top_column_descends(enum top_column column);
/* Whether the task's name or command line contains the text, in capitals or not, or its id is it.
 */
bool top_task_matches(const struct top_reading *reading, const struct top_task *task,
		      const char *text);

#endif
