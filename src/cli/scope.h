/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A memory that is looked through, by nunchi yara and nunchi strings. */
#ifndef NUNCHI_CLI_SCOPE_H
#define NUNCHI_CLI_SCOPE_H

#include "cli.h"
#include "scan/memory.h"

#define SCOPE_MOST_PIDS 64

struct scope {
	uint64_t pids[SCOPE_MOST_PIDS];
	size_t pid_count;
	const char *name; /* of processes, or NULL */
	bool all, kernel, ram;
};

/* What the command is asked for; the first member of its state. */
struct look {
	struct select select;
	struct scope scope;
	struct progress progress;
	struct filter filter;
	uint64_t timeout; /* seconds; 0: none */
	double deadline;  /* 0: none */
	bool late;        /* the deadline has passed */
};

#define SCOPE_OPTIONS                                                                              \
	{"ram", OPTION_RAM, NULL, "all of the guest's RAM (the default)"},                         \
	    {"pid", OPTION_PID, "N", "what the page table of process N maps; may be given again"}, \
	    {"name", OPTION_NAME, "NAME", "the same of each process of this name"},                \
	    {"all", OPTION_ALL, NULL, "the same of each process"},                                 \
	    {"kernel-image", OPTION_KERNEL_IMAGE, NULL, "the kernel's image and its modules"},     \
	    {"timeout", OPTION_TIMEOUT, "SECONDS", "fail if it takes longer"},                     \
	    {"progress", OPTION_PROGRESS, NULL,                                                    \
	     "print progress every two seconds also where standard error is no terminal"},         \
	    {"columns", OPTION_COLUMNS, "A,B,…", "show only these columns, in this order"},        \
	    {"where", OPTION_WHERE, "CONDITION",                                                   \
	     "show only rows that meet the condition, as in \"nunchi show\""},                     \
	{                                                                                          \
		"limit", OPTION_LIMIT, "N", "show at most N rows"                                  \
	}

/* Handles one of these; the state begins with a struct look. */
int scope_option(struct cli *cli, void *state, int letter, const char *value);
/* Completes and checks what was asked for, before the guest is opened; gives the exit status. */
int look_start(struct cli *cli, struct look *look, const struct nunchi_view *view);
/* Shows how far it is; false if it is to end: because it is late, or by a signal. */
bool look_goes_on(struct look *look, uint64_t done, uint64_t total);

struct scope_map {
	uint64_t start, end, offset;
	char *path;   /* NULL: it has none; owned */
	bool is_file; /* the offset is one in a file */
};

struct scope_area {
	struct scan_memory memory;
	struct scan_regions regions;
	int64_t pid;      /* -1: no process */
	const char *name; /* of the process, or NULL */
	bool is_virtual;
	struct scope_map *maps; /* by address */
	size_t map_count, map_capacity;
};

/* The mapping in which an address lies, or NULL. */
const struct scope_map *scope_map_at(const struct scope_area *area, uint64_t address);

/* The columns that tell of a place, in this order. */
#define SCOPE_COLUMNS                                                                              \
	{"pid", NUNCHI_TYPE_INTEGER, "process id", NUNCHI_UNIT_NONE},                              \
	    {"name", NUNCHI_TYPE_TEXT, "name of the process", NUNCHI_UNIT_NONE},                   \
	    {"address", NUNCHI_TYPE_ADDRESS, "virtual address", NUNCHI_UNIT_NONE},                 \
	    {"physical", NUNCHI_TYPE_ADDRESS, "guest-physical address of the first byte",          \
	     NUNCHI_UNIT_NONE},                                                                    \
	    {"path", NUNCHI_TYPE_TEXT, "the mapping's file, or a name like [heap]",                \
	     NUNCHI_UNIT_NONE},                                                                    \
	{                                                                                          \
		"offset", NUNCHI_TYPE_INTEGER, "in that file, bytes", NUNCHI_UNIT_NONE             \
	}
#define SCOPE_COLUMN_COUNT 6

/*
 * Opens the guest, and calls work() for each memory: the RAM, each process, the kernel. The guest
 * stands still meanwhile if --pause always was given. A process whose memory cannot be read does
 * not keep the others from being looked at; the exit status tells of it.
 */
int scope_run(struct cli *cli, struct look *look, const char *target,
	      int (*work)(struct cli *cli, struct scope_area *area, void *data), void *data);
/*
 * Tells why looking through an area ended early, and gives the exit status. An error of
 * NUNCHI_ERROR_CANCELLED stands for what look_goes_on() or the area's memory knows.
 */
int look_fail(struct cli *cli, struct look *look, struct scope_area *area,
	      struct nunchi_error *err);
/* A warning that names the process. */
void scope_warn(struct cli *cli, const struct scope_area *area, const char *text);
/* A warning of bytes that could not be read, if there are any. */
void scope_warn_unread(struct cli *cli, const struct scope_area *area, uint64_t bytes);
/* Fills these cells. */
void scope_cells(struct scope_area *area, uint64_t address, struct nunchi_cell *cells);

#endif
