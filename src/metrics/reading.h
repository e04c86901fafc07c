/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What was read of a guest at one moment, of a fixed size. It is taken by a process of its own,
 * which is confined, and sent to the one that writes metrics; that one believes neither its counts
 * nor its texts (metrics_reading_decode()).
 */
#ifndef NUNCHI_METRICS_READING_H
#define NUNCHI_METRICS_READING_H

#include <nunchi/nunchi.h>

#include <stddef.h>
#include <stdint.h>

enum metrics_family {
#define FAMILY(id, name, type, unit, help) METRICS_##id,
#include "metrics/families.def"
#undef FAMILY
	METRICS_FAMILIES
};

/* Numbers are never negative; a negative one stands for a value that is missing. */
#define METRICS_ABSENT (-1)

#define METRICS_MOST_CPUS     1024
#define METRICS_MOST_FINDINGS 128
#define METRICS_MOST_TEXT     256
#define METRICS_MOST_NAME     32

enum metrics_memory {
	METRICS_MEMORY_TOTAL,
	METRICS_MEMORY_FREE,
	METRICS_MEMORY_BUFFERS,
	METRICS_MEMORY_CACHED,
	METRICS_MEMORY_ACTIVE,
	METRICS_MEMORY_INACTIVE,
	METRICS_MEMORY_SHARED,
	METRICS_MEMORY_SLAB,
	METRICS_MEMORY_SWAP_TOTAL,
	METRICS_MEMORY_SWAP_FREE,
	METRICS_MEMORY_SWAP_CACHED,
	METRICS_MEMORIES
};

enum metrics_mode {
	METRICS_MODE_USER,
	METRICS_MODE_NICE,
	METRICS_MODE_SYSTEM,
	METRICS_MODE_IDLE,
	METRICS_MODE_IOWAIT,
	METRICS_MODE_IRQ,
	METRICS_MODE_SOFTIRQ,
	METRICS_MODE_STEAL,
	METRICS_MODES
};

/* Of processes, by the letters of the view. */
enum metrics_state {
	METRICS_RUNNING,
	METRICS_SLEEPING,
	METRICS_UNINTERRUPTIBLE,
	METRICS_STOPPED,
	METRICS_TRACED,
	METRICS_ZOMBIE,
	METRICS_IDLE,
	METRICS_OTHER,
	METRICS_STATES
};

enum metrics_protocol {
	METRICS_TCP,
	METRICS_UDP,
	METRICS_UNIX,
	METRICS_NETLINK,
	METRICS_PACKET,
	METRICS_OTHER_PROTOCOL,
	METRICS_PROTOCOLS
};

/* Of sockets: the first is of those that have none. */
enum metrics_socket {
	METRICS_SOCKET_NONE,
	METRICS_SOCKET_ESTABLISHED,
	METRICS_SOCKET_SYN_SENT,
	METRICS_SOCKET_SYN_RECV,
	METRICS_SOCKET_FIN_WAIT1,
	METRICS_SOCKET_FIN_WAIT2,
	METRICS_SOCKET_TIME_WAIT,
	METRICS_SOCKET_CLOSED,
	METRICS_SOCKET_CLOSE_WAIT,
	METRICS_SOCKET_LAST_ACK,
	METRICS_SOCKET_LISTEN,
	METRICS_SOCKET_CLOSING,
	METRICS_SOCKETS_STATES
};

extern const char *const metrics_socket_states[METRICS_SOCKETS_STATES];

enum metrics_severity {
	METRICS_OK,
	METRICS_UNKNOWN,
	METRICS_NOTE,
	METRICS_WARNING,
	METRICS_ALARM,
	METRICS_SEVERITIES
};

extern const char *const metrics_severities[METRICS_SEVERITIES];

/* Why values are missing: an enum nunchi_absence, or an error of the whole view or guest. */
#define METRICS_ABSENCES (NUNCHI_ABSENT_NULL + 1)
/* The view warned that it gives fewer rows than there are. */
#define METRICS_ROWS_MISSING (METRICS_ABSENCES + NUNCHI_ERROR_STOP)
#define METRICS_REASONS      (METRICS_ROWS_MISSING + 1)

struct metrics_cpu {
	int64_t core;
	int64_t ms[METRICS_MODES];
};

struct metrics_check {
	char name[METRICS_MOST_NAME];
	int64_t count[METRICS_SEVERITIES];
};

struct metrics_reading {
	uint64_t magic;
	int32_t error;  /* enum nunchi_error_code; 0: none */
	int32_t errnum; /* of the error */
	char message[METRICS_MOST_TEXT], hint[METRICS_MOST_TEXT]; /* "": none */
	char hostname[METRICS_MOST_TEXT], kernel[METRICS_MOST_TEXT];
	int64_t uptime_ms;
	double load[3];
	int64_t memory[METRICS_MEMORIES]; /* bytes */
	int64_t processes[METRICS_STATES];
	int64_t threads, taint, modules;
	int64_t sockets[METRICS_PROTOCOLS][METRICS_SOCKETS_STATES];
	int64_t torn, warnings, attach_us, read_us;
	uint32_t missing[METRICS_FAMILIES][METRICS_REASONS];
	uint32_t cpu_count, check_count;
	struct metrics_check checks[METRICS_MOST_FINDINGS]; /* each name once */
	struct metrics_cpu cpus[METRICS_MOST_CPUS];         /* in ascending order */
};

/* Makes it a reading in which nothing is known. */
void metrics_reading_clear(struct metrics_reading *reading);
/* Counts a value that is missing. */
void metrics_reading_miss(struct metrics_reading *reading, enum metrics_family family,
			  enum nunchi_absence absence);
/*
 * What is counted row by row in the view that begins with that family: it becomes 0, or
 * METRICS_ABSENT. The counts of checks are forgotten either way.
 */
void metrics_reading_set(struct metrics_reading *reading, enum metrics_family family,
			 int64_t value);
/*
 * The view that begins with that family could not be read, or not in full: what it counts is
 * missing, for that reason.
 */
void metrics_reading_fail(struct metrics_reading *reading, enum metrics_family family,
			  enum nunchi_error_code code);
/* The view that begins with that family has fewer rows than there are: it counts nothing. */
void metrics_reading_cut(struct metrics_reading *reading, enum metrics_family family);
/* The same, but what was read is worth something by itself, and stays. */
void metrics_reading_part(struct metrics_reading *reading, enum metrics_family family);
/* A word for the reason; index of `missing`. */
const char *metrics_reason(unsigned reason);

/* As worker_size; all readings have one size. */
size_t metrics_reading_size(const void *data, size_t size);
/* The names of checks that a guest's readings had so far. */
struct metrics_names {
	size_t count;
	char items[METRICS_MOST_FINDINGS][METRICS_MOST_NAME];
};

/*
 * Remembers the names of the reading's checks; false if there are too many by now. Labels that
 * differ from reading to reading would fill the memory of whoever keeps them.
 */
bool metrics_names_add(struct metrics_names *names, const struct metrics_reading *reading);
/*
 * Copies the reading that these bytes are; false if they are none. A reading that was taken has at
 * most so many rows as its arrays, each text has an end, no CPU and no check comes twice, and no
 * CPU has a greater number than there are places: what is written of it is well-formed, whatever
 * process sent it.
 */
bool metrics_reading_decode(const void *data, size_t size, struct metrics_reading *ret);

#endif
