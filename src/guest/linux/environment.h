/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The environment of a process: the area that /proc/PID/environ shows, cut into variables.
 */
#ifndef NUNCHI_GUEST_LINUX_ENVIRONMENT_H
#define NUNCHI_GUEST_LINUX_ENVIRONMENT_H

#include "guest/linux/linux.h"

/* The most that is read of one process; execve() itself allows 6 MiB. */
#define LINUX_MAX_ENVIRONMENT   ((size_t)1 << 20)
#define LINUX_ENVIRONMENT_PAGES (LINUX_MAX_ENVIRONMENT / PAGE_SIZE + 1)

struct linux_environment {
	uint64_t start; /* address in the process */
	char *data;     /* owned */
	size_t size;
	size_t capacity;
	size_t at;    /* where the next variable begins */
	size_t count; /* variables before it */
	bool lost;    /* how many they are is not known: one of them holds a gap */
	enum read_result why_lost;
	enum read_result more; /* why the rest of the area is left out, or READ_OK */
	bool unmapped;         /* the process itself took the area out of its memory */
	bool torn;             /* it came out different in every try */
	/* Of each page that the area touches, in order: whether it was read. */
	enum read_result fault[LINUX_ENVIRONMENT_PAGES];
};

/*
 * One variable. Bytes are borrowed from the environment. Where a page is missing, has_key or
 * has_value is false and why says the reason (READ_NONE: there is no "="). What is missing may
 * be the ends of several: behind it has_position is false, with the reason in why_no_position.
 */
struct linux_variable {
	const char *key;
	size_t key_size;
	const char *value;
	size_t value_size;
	size_t position; /* from 0 */
	bool has_key, has_value, has_position;
	enum read_result why, why_no_position;
};

void linux_environment_init(struct linux_environment *environment);
void linux_environment_deinit(struct linux_environment *environment);
/* Empties it, keeping the storage. */
void linux_environment_clear(struct linux_environment *environment);
/* Reads the area of the process. mm: a copy of its mm_struct. */
void linux_environment_read(struct linux_environment *environment, struct linux_kernel *kernel,
			    const struct object *mm);
/* Whether a page of it is empty: on a running guest that may pass (see mm.c), if one waits. */
bool linux_environment_has_gap(const struct linux_environment *environment);
/* A number that changes with what was read. */
uint64_t linux_environment_digest(const struct linux_environment *environment);
/* NUNCHI_ERROR_UNSUPPORTED names the fields that this kernel's types lack for it. */
struct nunchi_error *linux_environment_check(struct linux_kernel *kernel);
/*
 * Reads the environment of a process by a copy of its task_struct; mm is scratch. On a running
 * guest it must come out the same twice while the process keeps its memory, and a page that is
 * missing is given time to come. READ_NONE if the process has no memory, or got other memory
 * meanwhile.
 */
enum read_result linux_environment_of(struct linux_environment *environment,
				      struct linux_kernel *kernel, const struct object *task,
				      struct object *mm);
/* The next variable; false at the end. */
bool linux_environment_next(struct linux_environment *environment, struct linux_variable *ret);

#endif
