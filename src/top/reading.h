/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What was read of a guest at one moment. A reading is taken by a process of its own, which is
 * confined, and sent to the one that shows it; that one believes neither counts nor offsets.
 */
#ifndef NUNCHI_TOP_READING_H
#define NUNCHI_TOP_READING_H

#include <nunchi/nunchi.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number, or the reason why there is none: absence is TOP_KNOWN or an enum nunchi_absence. */
#define TOP_KNOWN (-1)
struct top_cell {
	int64_t value;
	int32_t absence;
};

struct top_real {
	double value;
	int32_t absence;
};

/* A place in the reading's text; use top_reading_text(). */
struct top_text {
	uint32_t at, size;
	int32_t absence;
};

enum top_number {
	TOP_PID,
	TOP_PROCESS, /* of a thread: the process that it belongs to */
	TOP_PARENT,
	TOP_UID,
	TOP_NICE,
	TOP_THREADS,
	TOP_RESIDENT,
	TOP_USER_MS,
	TOP_SYSTEM_MS,
	TOP_TASK, /* address of the task_struct */
	TOP_NUMBERS
};

struct top_task {
	struct top_cell numbers[TOP_NUMBERS];
	struct top_text name, command;
	char state;
	uint8_t is_kernel, is_thread, torn;
};

enum top_mode {
	TOP_MODE_USER,
	TOP_MODE_NICE,
	TOP_MODE_SYSTEM,
	TOP_MODE_IDLE,
	TOP_MODE_IOWAIT,
	TOP_MODE_IRQ,
	TOP_MODE_SOFTIRQ,
	TOP_MODE_STEAL,
	TOP_MODES
};

struct top_cpu {
	int64_t core;
	struct top_cell ms[TOP_MODES];
};

enum top_memory {
	TOP_MEMORY_TOTAL,
	TOP_MEMORY_FREE,
	TOP_MEMORY_BUFFERS,
	TOP_MEMORY_CACHED,
	TOP_MEMORY_SLAB,
	TOP_MEMORY_SHARED,
	TOP_SWAP_TOTAL,
	TOP_SWAP_FREE,
	TOP_MEMORIES
};

struct top_general {
	/* The guest's clock before its tasks were read, and after them. */
	struct top_cell uptime_ms, tasks_end_ms;
	struct top_real load[3];
	struct top_cell memory[TOP_MEMORIES]; /* bytes */
	struct top_text hostname;
	uint8_t live;   /* the guest runs */
	uint8_t opened; /* the guest could be opened */
	int32_t error;  /* enum nunchi_error_code; 0: none */
	int32_t errnum; /* of the error */
	struct top_text message, hint;
	int64_t details_pid; /* whose files and mappings these are; -1: none were asked for */
};

struct top_reading {
	struct top_general general;
	struct top_cpu *cpus;
	struct top_task *tasks;
	struct top_text *files, *maps; /* of the chosen process, cells separated by tabs */
	struct top_text *warnings;
	char *text;
	size_t cpu_count, task_count, file_count, map_count, warning_count, text_size;
	size_t cpu_capacity, task_capacity, file_capacity, map_capacity, warning_capacity,
	    text_capacity;
};

/* What is asked for. */
struct top_request {
	uint8_t threads;
	uint8_t files, maps; /* of the process `pid` */
	int64_t pid;
};

static inline bool top_known(const struct top_cell *cell)
{
	return cell->absence == TOP_KNOWN;
}

/* NULL if memory is short. */
struct top_reading *top_reading_create(void);
void top_reading_destroy(struct top_reading *reading);
/* Keeps bytes; false if memory is short. */
bool top_reading_keep(struct top_reading *reading, const void *data, size_t size,
		      struct top_text *ret);
/* The bytes of a text; *ret_size is 0 if it is absent, or not within the reading's text. */
const char *top_reading_text(const struct top_reading *reading, const struct top_text *text,
			     size_t *ret_size);

/* ---- On the way from one process to the other ------------------------------------------------ */

#define TOP_FRAME_MOST ((size_t)256 << 20)

/* Writes the reading; false if the other side is gone. */
bool top_reading_send(const struct top_reading *reading, int fd);
/*
 * The size of the reading that begins with these bytes; 0 if there are too few of them to tell,
 * SIZE_MAX if they are none.
 */
size_t top_reading_size(const void *data, size_t size);
/* The reading of exactly these bytes; NULL if memory is short or they are none. */
struct top_reading *top_reading_decode(const void *data, size_t size);

#endif
