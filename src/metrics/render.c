/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics/render.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct page {
	struct buffer *out;
	enum metrics_form form;
};

struct family {
	const char *name, *type, *unit, *help;
};

static const struct family families[METRICS_FAMILIES] = {
#define FAMILY(id, name, type, unit, help) [METRICS_##id] = {name, type, unit, help},
#include "metrics/families.def"
#undef FAMILY
};

/* ---- Samples --------------------------------------------------------------------------------- */

/*
 * What nunchi_escape() gives has no control characters, so that the backslash and the quotes are
 * all that is left to be escaped in a label, and in JSON alike.
 */
static void append_quoted(struct buffer *out, const char *escaped)
{
	for (const char *at = escaped; *at; at++) {
		if (*at == '\\' || *at == '"')
			buffer_append_char(out, '\\');
		buffer_append_char(out, *at);
	}
}

void metrics_label(struct buffer *out, const char *text, size_t size)
{
	size_t capacity = nunchi_escape(text, size, NULL, 0) + 1;
	char *escaped = malloc(capacity);

	if (!escaped) {
		out->failed = out->no_memory = true;
		return;
	}
	nunchi_escape(text, size, escaped, capacity);
	append_quoted(out, escaped);
	free(escaped);
}

static const char *suffix_of(const struct family *family)
{
	if (!strcmp(family->type, "counter"))
		return "_total";
	return !strcmp(family->type, "info") ? "_info" : "";
}

/* A name or word of our own. */
static void sample_label(const struct page *page, const char *name, const char *value)
{
	buffer_printf(page->out, page->form == METRICS_JSON ? ",\"%s\":\"%s\"" : ",%s=\"%s\"", name,
		      value);
}

/* Text of the guest, or of the process that reads it. */
static void sample_foreign(const struct page *page, const char *name, const char *value)
{
	buffer_printf(page->out, page->form == METRICS_JSON ? ",\"%s\":\"" : ",%s=\"", name);
	metrics_label(page->out, value, strlen(value));
	buffer_append_char(page->out, '"');
}

static void sample_begin(const struct page *page, enum metrics_family which,
			 const struct metrics_source *source)
{
	const struct family *family = &families[which];

	buffer_printf(page->out,
		      page->form == METRICS_JSON ? "{\"name\":\"%s%s\",\"labels\":{\"guest\":\""
						 : "%s%s{guest=\"",
		      family->name, suffix_of(family));
	buffer_append_string(page->out, source->label);
	buffer_append_char(page->out, '"');
}

static void sample_end(const struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void sample_end(const struct page *page, const char *format, ...)
{
	va_list args;

	buffer_append_string(page->out, page->form == METRICS_JSON ? "},\"value\":" : "} ");
	va_start(args, format);
	buffer_vprintf(page->out, format, args);
	va_end(args);
	buffer_append_string(page->out, page->form == METRICS_JSON ? "}\n" : "\n");
}

/* ---- Families -------------------------------------------------------------------------------- */

static void write_plain(const struct page *page, enum metrics_family family,
			const struct metrics_source *source, int64_t value)
{
	if (value < 0)
		return;
	sample_begin(page, family, source);
	sample_end(page, "%" PRId64, value);
}

/* A time in units of 1/per second. */
static void end_seconds(const struct page *page, int64_t value, int64_t per)
{
	sample_end(page, "%" PRId64 ".%0*" PRId64, value / per, per == 1000 ? 3 : 6, value % per);
}

static void write_seconds(const struct page *page, enum metrics_family family,
			  const struct metrics_source *source, int64_t value, int64_t per)
{
	if (value < 0)
		return;
	sample_begin(page, family, source);
	end_seconds(page, value, per);
}

static void write_load(const struct page *page, enum metrics_family family,
		       const struct metrics_source *source, double value)
{
	if (value < 0)
		return;
	sample_begin(page, family, source);
	sample_end(page, "%.2f", value);
}

static void write_guest(const struct page *page, const struct metrics_source *source)
{
	const struct metrics_reading *reading = source->reading;

	sample_begin(page, METRICS_GUEST, source);
	sample_foreign(page, "hostname", reading->hostname);
	sample_foreign(page, "kernel", reading->kernel);
	sample_end(page, "1");
}

/* Samples that differ in one label. */
static void write_list(const struct page *page, enum metrics_family family,
		       const struct metrics_source *source, const char *label,
		       const char *const *words, const int64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (values[i] < 0)
			continue;
		sample_begin(page, family, source);
		sample_label(page, label, words[i]);
		sample_end(page, "%" PRId64, values[i]);
	}
}

static void write_memory(const struct page *page, const struct metrics_source *source)
{
	static const char *const kinds[METRICS_MEMORIES] = {
	    [METRICS_MEMORY_TOTAL] = "total",
	    [METRICS_MEMORY_FREE] = "free",
	    [METRICS_MEMORY_BUFFERS] = "buffers",
	    [METRICS_MEMORY_CACHED] = "cached",
	    [METRICS_MEMORY_ACTIVE] = "active",
	    [METRICS_MEMORY_INACTIVE] = "inactive",
	    [METRICS_MEMORY_SHARED] = "shared",
	    [METRICS_MEMORY_SLAB] = "slab_reclaimable",
	    [METRICS_MEMORY_SWAP_TOTAL] = "swap_total",
	    [METRICS_MEMORY_SWAP_FREE] = "swap_free",
	    [METRICS_MEMORY_SWAP_CACHED] = "swap_cached",
	};

	write_list(page, METRICS_MEMORY, source, "kind", kinds, source->reading->memory,
		   METRICS_MEMORIES);
}

static void write_processes(const struct page *page, const struct metrics_source *source)
{
	static const char *const states[METRICS_STATES] = {
	    [METRICS_RUNNING] = "running",
	    [METRICS_SLEEPING] = "sleeping",
	    [METRICS_UNINTERRUPTIBLE] = "uninterruptible",
	    [METRICS_STOPPED] = "stopped",
	    [METRICS_TRACED] = "traced",
	    [METRICS_ZOMBIE] = "zombie",
	    [METRICS_IDLE] = "idle",
	    [METRICS_OTHER] = "other",
	};

	write_list(page, METRICS_PROCESSES, source, "state", states, source->reading->processes,
		   METRICS_STATES);
}

static void write_cpus(const struct page *page, const struct metrics_source *source)
{
	static const char *const modes[METRICS_MODES] = {"user",   "nice", "system",  "idle",
							 "iowait", "irq",  "softirq", "steal"};
	const struct metrics_reading *reading = source->reading;
	char core[24];

	for (size_t i = 0; i < reading->cpu_count; i++) {
		snprintf(core, sizeof(core), "%" PRId64, reading->cpus[i].core);
		for (size_t mode = 0; mode < METRICS_MODES; mode++) {
			if (reading->cpus[i].ms[mode] < 0)
				continue;
			sample_begin(page, METRICS_CPU, source);
			sample_label(page, "cpu", core);
			sample_label(page, "mode", modes[mode]);
			end_seconds(page, reading->cpus[i].ms[mode], 1000);
		}
	}
}

/* Whether the state is shown although no socket is in it, so that the series does not end. */
static bool is_usual(enum metrics_protocol protocol, enum metrics_socket state)
{
	if (protocol == METRICS_TCP)
		return state != METRICS_SOCKET_NONE;
	if (protocol == METRICS_UNIX)
		return state == METRICS_SOCKET_LISTEN || state == METRICS_SOCKET_ESTABLISHED ||
		       state == METRICS_SOCKET_CLOSED;
	return state == METRICS_SOCKET_NONE;
}

static void write_sockets(const struct page *page, const struct metrics_source *source)
{
	static const char *const protocols[METRICS_PROTOCOLS] = {
	    [METRICS_TCP] = "tcp",       [METRICS_UDP] = "udp",
	    [METRICS_UNIX] = "unix",     [METRICS_NETLINK] = "netlink",
	    [METRICS_PACKET] = "packet", [METRICS_OTHER_PROTOCOL] = "other"};

	for (unsigned protocol = 0; protocol < METRICS_PROTOCOLS; protocol++) {
		for (unsigned state = 0; state < METRICS_SOCKETS_STATES; state++) {
			int64_t count = source->reading->sockets[protocol][state];

			if (count < 0 || (!count && !is_usual(protocol, state)))
				continue;
			sample_begin(page, METRICS_SOCKETS, source);
			sample_label(page, "protocol", protocols[protocol]);
			sample_label(page, "state", metrics_socket_states[state]);
			sample_end(page, "%" PRId64, count);
		}
	}
}

static void write_findings(const struct page *page, const struct metrics_source *source)
{
	const struct metrics_reading *reading = source->reading;

	for (size_t i = 0; i < reading->check_count; i++) {
		for (size_t severity = 0; severity < METRICS_SEVERITIES; severity++) {
			if (reading->checks[i].count[severity] < 0)
				continue;
			sample_begin(page, METRICS_FINDINGS, source);
			sample_foreign(page, "check", reading->checks[i].name);
			sample_label(page, "severity", metrics_severities[severity]);
			sample_end(page, "%" PRId64, reading->checks[i].count[severity]);
		}
	}
}

static void write_missing(const struct page *page, const struct metrics_source *source)
{
	const struct metrics_reading *reading = source->reading;

	for (unsigned family = 0; reading && family < METRICS_FAMILIES; family++) {
		for (unsigned reason = 0; reason < METRICS_REASONS; reason++) {
			if (!reading->missing[family][reason])
				continue;
			sample_begin(page, METRICS_MISSING, source);
			sample_label(page, "family", families[family].name);
			sample_label(page, "reason", metrics_reason(reason));
			sample_end(page, "%" PRIu32, reading->missing[family][reason]);
		}
	}
	if (reading)
		return;
	/* The guest itself. */
	sample_begin(page, METRICS_MISSING, source);
	sample_label(page, "family", "all");
	sample_label(page, "reason", metrics_reason(METRICS_ABSENCES + (unsigned)source->why - 1));
	sample_end(page, "1");
}

/* The families that have one sample a guest. */
static void write_number(const struct page *page, enum metrics_family family,
			 const struct metrics_source *source)
{
	const struct metrics_reading *reading = source->reading;

	switch (family) {
	case METRICS_UPTIME:
		write_seconds(page, family, source, reading->uptime_ms, 1000);
		break;
	case METRICS_LOAD1:
	case METRICS_LOAD5:
	case METRICS_LOAD15:
		write_load(page, family, source, reading->load[family - METRICS_LOAD1]);
		break;
	case METRICS_THREADS:
		write_plain(page, family, source, reading->threads);
		break;
	case METRICS_TAINT:
		write_plain(page, family, source, reading->taint);
		break;
	case METRICS_MODULES:
		write_plain(page, family, source, reading->modules);
		break;
	case METRICS_TORN:
		write_plain(page, family, source, reading->torn);
		break;
	case METRICS_WARNINGS:
		write_plain(page, family, source, reading->warnings);
		break;
	case METRICS_ATTACH:
		write_seconds(page, family, source, reading->attach_us, 1000000);
		break;
	case METRICS_READ:
		write_seconds(page, family, source, reading->read_us, 1000000);
		break;
	default:
		break;
	}
}

static void write_family(const struct page *page, enum metrics_family family,
			 const struct metrics_source *source)
{
	if (family == METRICS_UP)
		write_plain(page, family, source, source->reading != NULL);
	if (family == METRICS_MISSING)
		write_missing(page, source);
	if (!source->reading)
		return;
	switch (family) {
	case METRICS_GUEST:
		write_guest(page, source);
		break;
	case METRICS_MEMORY:
		write_memory(page, source);
		break;
	case METRICS_CPU:
		write_cpus(page, source);
		break;
	case METRICS_PROCESSES:
		write_processes(page, source);
		break;
	case METRICS_SOCKETS:
		write_sockets(page, source);
		break;
	case METRICS_FINDINGS:
		write_findings(page, source);
		break;
	default:
		write_number(page, family, source);
		break;
	}
}

/*
 * The text format has neither units nor infos, and its types name a counter with its suffix. Help
 * is text of our own, which has nothing to be escaped.
 */
static void write_head(const struct page *page, const struct family *family)
{
	const char *suffix = page->form == METRICS_TEXT ? suffix_of(family) : "";
	const char *type =
	    page->form == METRICS_TEXT && !strcmp(family->type, "info") ? "gauge" : family->type;

	if (page->form == METRICS_JSON)
		return;
	buffer_printf(page->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", family->name, suffix,
		      family->help, family->name, suffix, type);
	if (page->form == METRICS_OPENMETRICS && *family->unit)
		buffer_printf(page->out, "# UNIT %s %s\n", family->name, family->unit);
}

void metrics_render(struct buffer *out, enum metrics_form form,
		    const struct metrics_source *sources, size_t count)
{
	const struct page page = {out, form};

	for (unsigned family = 0; family < METRICS_FAMILIES; family++) {
		write_head(&page, &families[family]);
		for (size_t i = 0; i < count; i++)
			write_family(&page, family, &sources[i]);
	}
	if (form == METRICS_OPENMETRICS)
		buffer_append_string(out, "# EOF\n");
}
