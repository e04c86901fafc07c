/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics/reading.h"

#include "core/cleanup.h"

#include <math.h>
#include <string.h>

#define MAGIC 0x3173636972746d6eULL

const char *const metrics_socket_states[METRICS_SOCKETS_STATES] = {
    [METRICS_SOCKET_NONE] = "NONE",
    [METRICS_SOCKET_ESTABLISHED] = "ESTABLISHED",
    [METRICS_SOCKET_SYN_SENT] = "SYN_SENT",
    [METRICS_SOCKET_SYN_RECV] = "SYN_RECV",
    [METRICS_SOCKET_FIN_WAIT1] = "FIN_WAIT1",
    [METRICS_SOCKET_FIN_WAIT2] = "FIN_WAIT2",
    [METRICS_SOCKET_TIME_WAIT] = "TIME_WAIT",
    [METRICS_SOCKET_CLOSED] = "CLOSED",
    [METRICS_SOCKET_CLOSE_WAIT] = "CLOSE_WAIT",
    [METRICS_SOCKET_LAST_ACK] = "LAST_ACK",
    [METRICS_SOCKET_LISTEN] = "LISTEN",
    [METRICS_SOCKET_CLOSING] = "CLOSING",
};

const char *const metrics_severities[METRICS_SEVERITIES] = {
    [METRICS_OK] = "ok",           [METRICS_UNKNOWN] = "unknown", [METRICS_NOTE] = "note",
    [METRICS_WARNING] = "warning", [METRICS_ALARM] = "alarm",
};

void metrics_reading_clear(struct metrics_reading *reading)
{
	*reading =
	    (struct metrics_reading){.magic = MAGIC,
				     .uptime_ms = METRICS_ABSENT,
				     .load = {METRICS_ABSENT, METRICS_ABSENT, METRICS_ABSENT},
				     .threads = METRICS_ABSENT,
				     .taint = METRICS_ABSENT,
				     .modules = METRICS_ABSENT,
				     .attach_us = METRICS_ABSENT,
				     .read_us = METRICS_ABSENT};
	for (size_t i = 0; i < ARRAY_SIZE(reading->memory); i++)
		reading->memory[i] = METRICS_ABSENT;
	for (size_t i = 0; i < ARRAY_SIZE(reading->processes); i++)
		reading->processes[i] = METRICS_ABSENT;
	for (size_t i = 0; i < METRICS_PROTOCOLS; i++)
		for (size_t state = 0; state < METRICS_SOCKETS_STATES; state++)
			reading->sockets[i][state] = METRICS_ABSENT;
}

void metrics_reading_miss(struct metrics_reading *reading, enum metrics_family family,
			  enum nunchi_absence absence)
{
	if ((unsigned)absence < METRICS_ABSENCES)
		reading->missing[family][absence]++;
}

/* How many families one view gives: that one, and those that stand behind it. */
static unsigned families_of(enum metrics_family family)
{
	switch (family) {
	case METRICS_LOAD1:
		return METRICS_LOAD15 - METRICS_LOAD1 + 1;
	case METRICS_PROCESSES:
		return METRICS_THREADS - METRICS_PROCESSES + 1;
	default:
		return 1;
	}
}

static void miss_view(struct metrics_reading *reading, enum metrics_family family, unsigned reason)
{
	for (unsigned i = 0; i < families_of(family); i++)
		reading->missing[family + i][reason]++;
}

void metrics_reading_set(struct metrics_reading *reading, enum metrics_family family, int64_t value)
{
	if (family == METRICS_MODULES)
		reading->modules = value;
	if (family == METRICS_PROCESSES)
		reading->threads = value;
	for (size_t i = 0; family == METRICS_PROCESSES && i < METRICS_STATES; i++)
		reading->processes[i] = value;
	for (size_t i = 0; family == METRICS_SOCKETS && i < METRICS_PROTOCOLS; i++)
		for (size_t state = 0; state < METRICS_SOCKETS_STATES; state++)
			reading->sockets[i][state] = value;
	if (family == METRICS_FINDINGS) {
		memset(reading->checks, 0, sizeof(reading->checks));
		reading->check_count = 0;
	}
}

void metrics_reading_fail(struct metrics_reading *reading, enum metrics_family family,
			  enum nunchi_error_code code)
{
	metrics_reading_set(reading, family, METRICS_ABSENT);
	if (code >= NUNCHI_ERROR_NOMEM && code <= NUNCHI_ERROR_STOP)
		miss_view(reading, family, METRICS_ABSENCES + (unsigned)code - 1);
}

void metrics_reading_cut(struct metrics_reading *reading, enum metrics_family family)
{
	metrics_reading_set(reading, family, METRICS_ABSENT);
	metrics_reading_part(reading, family);
}

void metrics_reading_part(struct metrics_reading *reading, enum metrics_family family)
{
	miss_view(reading, family, METRICS_ROWS_MISSING);
}

const char *metrics_reason(unsigned reason)
{
	static const char *const errors[] = {
	    [NUNCHI_ERROR_NOMEM] = "out of memory",
	    [NUNCHI_ERROR_NOT_FOUND] = "not found",
	    [NUNCHI_ERROR_ARGUMENT] = "wrong argument",
	    [NUNCHI_ERROR_DATA] = "damaged data",
	    [NUNCHI_ERROR_TRUNCATED] = "truncated file",
	    [NUNCHI_ERROR_IO] = "input/output error",
	    [NUNCHI_ERROR_FAULT] = "address not mapped",
	    [NUNCHI_ERROR_PERMISSION] = "no permission",
	    [NUNCHI_ERROR_UNSUPPORTED] = "not supported",
	    [NUNCHI_ERROR_BUSY] = "busy",
	    [NUNCHI_ERROR_GONE] = "gone",
	    [NUNCHI_ERROR_REBOOTED] = "rebooted",
	    [NUNCHI_ERROR_NO_KERNEL] = "no kernel",
	    [NUNCHI_ERROR_AMBIGUOUS] = "ambiguous",
	    [NUNCHI_ERROR_TIMEOUT] = "timeout",
	    [NUNCHI_ERROR_CANCELLED] = "cancelled",
	    [NUNCHI_ERROR_STOP] = "ended",
	};

	if (reason < METRICS_ABSENCES)
		return nunchi_absence_string((enum nunchi_absence)reason);
	if (reason == METRICS_ROWS_MISSING)
		return "rows missing";
	reason -= METRICS_ABSENCES - 1;
	return reason < ARRAY_SIZE(errors) ? errors[reason] : "unknown";
}

/* ---- What came from another process ---------------------------------------------------------- */

size_t metrics_reading_size(const void *data, size_t size)
{
	uint64_t magic;

	if (size < sizeof(magic))
		return 0;
	memcpy(&magic, data, sizeof(magic));
	return magic == MAGIC ? sizeof(struct metrics_reading) : SIZE_MAX;
}

static bool has_end(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool are_ascending(const struct metrics_cpu *cpus, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (cpus[i].core < 0 || cpus[i].core >= METRICS_MOST_CPUS ||
		    (i && cpus[i].core <= cpus[i - 1].core))
			return false;
	return true;
}

/* At most METRICS_MOST_FINDINGS of them. */
static bool are_different(const struct metrics_check *checks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!has_end(checks[i].name, sizeof(checks[i].name)))
			return false;
		for (size_t other = 0; other < i; other++)
			if (!strcmp(checks[i].name, checks[other].name))
				return false;
	}
	return true;
}

static bool is_among(const struct metrics_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->items[i], name))
			return true;
	return false;
}

bool metrics_names_add(struct metrics_names *names, const struct metrics_reading *reading)
{
	for (size_t i = 0; i < reading->check_count; i++) {
		const char *name = reading->checks[i].name;

		if (is_among(names, name))
			continue;
		if (names->count == ARRAY_SIZE(names->items))
			return false;
		memcpy(names->items[names->count++], name, sizeof(names->items[0]));
	}
	return true;
}

bool metrics_reading_decode(const void *data, size_t size, struct metrics_reading *ret)
{
	if (size != sizeof(*ret) || metrics_reading_size(data, size) != size)
		return false;
	memcpy(ret, data, size);
	for (size_t i = 0; i < ARRAY_SIZE(ret->load); i++)
		if (!isfinite(ret->load[i]))
			return false;
	return has_end(ret->message, sizeof(ret->message)) &&
	       has_end(ret->hint, sizeof(ret->hint)) &&
	       has_end(ret->hostname, sizeof(ret->hostname)) &&
	       has_end(ret->kernel, sizeof(ret->kernel)) && ret->error >= 0 &&
	       ret->error <= NUNCHI_ERROR_STOP && ret->cpu_count <= METRICS_MOST_CPUS &&
	       ret->check_count <= METRICS_MOST_FINDINGS &&
	       are_ascending(ret->cpus, ret->cpu_count) &&
	       are_different(ret->checks, ret->check_count);
}
