/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The environment of a process: the area that /proc/PID/environ shows, split into variables. */
#ifndef NUNCHI_GUEST_LINUX_ENVIRONMENT_H
#define NUNCHI_GUEST_LINUX_ENVIRONMENT_H

#include "guest/linux/linux.h"

/* Limit of the bytes read of one process; execve() permits 6 MiB. */
#define LINUX_MAX_ENVIRONMENT   ((size_t)1 << 20)
#define LINUX_ENVIRONMENT_PAGES (LINUX_MAX_ENVIRONMENT / PAGE_SIZE + 1)

struct linux_environment {
	uint64_t start; /* address in the process */
	char *data;     /* owned */
	size_t size;
	size_t capacity;
	size_t at;    /* offset of the next variable */
	size_t count; /* number of variables before it */
	bool lost;    /* `count` is not known any more, because a page with variables is missing */
	enum read_result why_lost;
	enum read_result more; /* why the rest of the area is left out, or READ_OK */
	bool unmapped;         /* the process itself unmapped the area */
	bool torn;             /* all reads gave different bytes */
	/* For each page of the area, in order: whether it was read. */
	enum read_result fault[LINUX_ENVIRONMENT_PAGES];
};

/*
 * One variable. The bytes are borrowed from the environment. If a page is missing, has_key or
 * has_value is false and `why` is the reason (READ_NONE: the variable has no "="). The missing
 * bytes may contain the ends of several variables; so for the following variables has_position is
 * false, with the reason in why_no_position.
 */
struct linux_variable {
	const char *key;
	size_t key_size;
	const char *value;
	size_t value_size;
	size_t position; /* counted from 0 */
	bool has_key, has_value, has_position;
	enum read_result why, why_no_position;
};

void linux_environment_init(struct linux_environment *environment);
void linux_environment_deinit(struct linux_environment *environment);
/* Makes the environment empty, but keeps its buffer. */
void linux_environment_clear(struct linux_environment *environment);
/* Reads the area. mm is a copy of the process's mm_struct. */
void linux_environment_read(struct linux_environment *environment, struct linux_kernel *kernel,
			    const struct object *mm);
/*
 * Whether a page of the area has an empty page-table entry. On a running guest that may be so for a
 * moment only (see mm.c); then read again.
 */
bool linux_environment_has_gap(const struct linux_environment *environment);
/* A hash of what was read, to compare two reads. */
uint64_t linux_environment_digest(const struct linux_environment *environment);
/*
 * Checks that this kernel's types have all fields needed. NUNCHI_ERROR_UNSUPPORTED names the
 * missing ones.
 */
struct nunchi_error *linux_environment_check(struct linux_kernel *kernel);
/*
 * Reads the environment of the process whose task_struct was copied to `task`; mm is scratch space.
 * On a running guest, repeats the read until two reads give the same bytes and the process still
 * has the same memory, and waits a short time for a page that is missing. READ_NONE if the process
 * has no memory, or got another memory meanwhile.
 */
enum read_result linux_environment_of(struct linux_environment *environment,
				      struct linux_kernel *kernel, const struct object *task,
				      struct object *mm);
/* Gets the next variable; false at the end. */
bool linux_environment_next(struct linux_environment *environment, struct linux_variable *ret);

#endif
