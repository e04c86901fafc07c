/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rows of one view, as HTML, and what is missing of them. */
#ifndef NUNCHI_REPORT_SECTIONS_H
#define NUNCHI_REPORT_SECTIONS_H

#include "core/buffer.h"
#include "report/tree.h"

#include <nunchi/nunchi.h>

/* A page with more serves nobody; what is left out is said. */
#define SECTION_MOST_ROWS    ((size_t)50000)
#define SECTION_MOST_COLUMNS 16
#define SECTION_ABSENCES     (NUNCHI_ABSENT_NULL + 1)

enum section_form {
	SECTION_FACTS,        /* a column a line; it has one row */
	SECTION_PAIRS,        /* a row a line: its name and its value */
	SECTION_TABLE,        /* a row a line */
	SECTION_OF_PROCESSES, /* the same, with the name of the process behind its id */
	SECTION_TREE          /* processes */
};

struct section_kind {
	const char *name;          /* of the view, and of the section in links */
	const char *title, *about; /* about: a sentence, or "" */
	enum section_form form;
	const char *columns[SECTION_MOST_COLUMNS + 1]; /* up to a NULL */
};

enum section_name {
#define SECTION(name, ...) SECTION_##name,
#include "report/sections.def"
#undef SECTION
	SECTION_COUNT
};

extern const struct section_kind section_kinds[SECTION_COUNT];

struct section_row {
	size_t at, size;      /* its cells in section.cells */
	int64_t order;        /* rows with a smaller one come first */
	size_t number;        /* in the order in which they were read */
	size_t branches;      /* where in its cells those of the tree are put in; 0: nowhere */
	const char *severity; /* of findings, a word of our own; else NULL */
	bool torn;
};

/* What the page tells of a process in other places. */
struct section_process {
	size_t name_at, name_size; /* in section_processes.names */
	int64_t start;             /* seconds since 1970 */
	bool has_start, is_kernel_thread;
};

/* By the numbers of their rows. */
struct section_processes {
	struct section_process *items;
	struct tree_node *nodes;
	size_t *ids, *order; /* once all are read */
	size_t count, capacity, node_capacity;
	struct buffer names; /* HTML */
};

struct section {
	const struct section_kind *kind;
	const struct nunchi_column *columns[SECTION_MOST_COLUMNS];
	size_t column_count;
	struct buffer cells;
	struct section_row *rows;
	size_t count, capacity;
	uint64_t absent[SECTION_MOST_COLUMNS][SECTION_ABSENCES];
	uint64_t torn;
	bool no_memory;
	bool cut;                            /* there are more rows than are kept */
	char *failure;                       /* why the view could not be read; owned; or NULL */
	struct section_processes *processes; /* of the page; filled by the section of processes */
};

/* most_bytes: of the HTML of its rows. */
void section_init(struct section *section, enum section_name name,
		  struct section_processes *processes, size_t most_bytes);
void section_deinit(struct section *section);
void section_processes_deinit(struct section_processes *processes);
/* For rows_query.take; data is the section. */
void section_take(void *data, const struct nunchi_cell *cells, size_t count, bool torn);
/* Puts the rows in order. False if memory was short, now or before. */
bool section_finish(struct section *section);
/* The process of that id, or TREE_NONE. */
size_t section_process_find(const struct section_processes *processes, int64_t pid);
/* Appends all rows with their tags. */
void section_rows(const struct section *section, struct buffer *out);

#endif
