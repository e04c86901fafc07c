/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of probes counted: `nunchi trace --summary`. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* Durations are counted in steps of an eighth of a power of two of microseconds. */
#define STEPS      8
#define BUCKETS    (40 * STEPS)
#define MAX_GROUPS 4096

/* Rows of one probe; of system calls, those of one name. */
struct group {
	char *name;
	uint64_t rows, failed, timed;
	double seconds; /* of all that were timed */
	uint32_t durations[BUCKETS];
};

struct summary {
	struct group *groups;
	size_t count, capacity;
};

struct summary *summary_create(void)
{
	return calloc(1, sizeof(struct summary));
}

void summary_destroy(struct summary *summary)
{
	if (!summary)
		return;
	for (size_t i = 0; i < summary->count; i++)
		free(summary->groups[i].name);
	free(summary->groups);
	free(summary);
}

static struct group *find_group(struct summary *summary, const char *name)
{
	struct group *groups;

	for (size_t i = 0; i < summary->count; i++) {
		if (!strcmp(summary->groups[i].name, name))
			return &summary->groups[i];
	}
	if (summary->count == MAX_GROUPS)
		return NULL;
	if (summary->count == summary->capacity) {
		size_t capacity = summary->capacity ? 2 * summary->capacity : 16;

		groups = reallocarray(summary->groups, capacity, sizeof(*groups));
		if (!groups)
			return NULL;
		summary->groups = groups;
		summary->capacity = capacity;
	}
	groups = &summary->groups[summary->count];
	*groups = (struct group){.name = strdup(name)};
	if (!groups->name)
		return NULL;
	summary->count++;
	return groups;
}

/* The number of the power of two, and the eighth of it, in which the microseconds lie. */
static unsigned bucket_of(double seconds)
{
	uint64_t us = seconds * 1e6 < 1e12 ? (uint64_t)(seconds * 1e6) : (uint64_t)1e12;
	unsigned power = us ? 63 - (unsigned)__builtin_clzll(us) : 0;

	return power * STEPS + (unsigned)((us * STEPS >> power) % STEPS);
}

/* The middle of a bucket, in seconds. */
static double middle_of(unsigned bucket)
{
	double start = (double)((uint64_t)1 << bucket / STEPS);

	return start * (1 + (bucket % STEPS + 0.5) / STEPS) / 1e6;
}

static const struct nunchi_cell *find_cell(const struct nunchi_column *const *columns, size_t count,
					   const struct nunchi_cell *cells, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(columns[i]->name, name))
			return cells[i].kind == NUNCHI_CELL_VALUE ? &cells[i] : NULL;
	}
	return NULL;
}

void summary_add(struct summary *summary, const struct nunchi_view *probe,
		 const struct nunchi_column *const *columns, size_t count,
		 const struct nunchi_cell *cells)
{
	const struct nunchi_cell *call = find_cell(columns, count, cells, "syscall");
	const struct nunchi_cell *status = find_cell(columns, count, cells, "status");
	const struct nunchi_cell *duration = find_cell(columns, count, cells, "duration");
	char *name = call ? cli_escape(call->text, call->text_size) : strdup(probe->name);
	struct group *group = name ? find_group(summary, name) : NULL;

	free(name);
	if (!group)
		return;
	group->rows++;
	group->failed += status && status->integer;
	if (duration) {
		group->timed++;
		group->seconds += duration->real;
		group->durations[bucket_of(duration->real)]++;
	}
}

/* The duration below which that part of all lies, in seconds, to about a tenth of itself. */
static double quantile(const struct group *group, double part)
{
	uint64_t wanted = (uint64_t)(part * (double)group->timed + 0.5), seen = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += group->durations[i];
		if (seen && seen >= wanted)
			return middle_of(i);
	}
	return 0;
}

static struct nunchi_cell cell_real(const struct group *group, double value)
{
	if (!group->timed)
		return cell_not_applicable();
	/* In whole microseconds: the rest is noise. */
	return (struct nunchi_cell){.kind = NUNCHI_CELL_VALUE,
				    .type = NUNCHI_TYPE_REAL,
				    .real = (double)(uint64_t)(value * 1e6 + 0.5) / 1e6};
}

static int compare_groups(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->rows != y->rows)
		return x->rows < y->rows ? 1 : -1;
	return strcmp(x->name, y->name);
}

static const struct nunchi_column columns_of_summary[] = {
    {"probe", NUNCHI_TYPE_TEXT, "name of the probe, or of the system call"},
    {"rows", NUNCHI_TYPE_INTEGER, "number of rows"},
    {"failed", NUNCHI_TYPE_INTEGER, "of those, the rows with a status other than 0"},
    {"total", NUNCHI_TYPE_REAL, "seconds that the calls took together"},
    {"p50", NUNCHI_TYPE_REAL, "seconds; half of the calls took less"},
    {"p99", NUNCHI_TYPE_REAL, "seconds; 99 of 100 calls took less"},
};

struct nunchi_error *summary_write(struct cli *cli, struct summary *summary)
{
	struct nunchi_writer *writer;
	struct nunchi_error *err =
	    cli_list_writer(cli, columns_of_summary, ARRAY_SIZE(columns_of_summary), &writer);

	if (err)
		return err;
	if (summary->count)
		qsort(summary->groups, summary->count, sizeof(*summary->groups), compare_groups);
	for (size_t i = 0; i < summary->count && !err; i++) {
		const struct group *group = &summary->groups[i];
		struct nunchi_cell cells[] = {cell_text(group->name),
					      cell_integer((int64_t)group->rows),
					      cell_integer((int64_t)group->failed),
					      cell_real(group, group->seconds),
					      cell_real(group, quantile(group, 0.5)),
					      cell_real(group, quantile(group, 0.99))};

		err = nunchi_writer_row(writer, cells, false);
	}
	if (!err)
		err = nunchi_writer_finish(writer);
	nunchi_writer_destroy(writer);
	return err;
}
