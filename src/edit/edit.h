/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines that are typed on a terminal, edited by libedit, with a history and completion.
 *
 * A process that reads a guest is confined, and may not change the terminal's mode. So there are
 * two processes: the one that was started stays with the terminal, edits, and reads no byte of a
 * guest; its child goes on, reads the guest, and gets the lines over a pair of sockets. If the
 * child ends in whatever way, the first process is there to leave the terminal as it was.
 */
#ifndef NUNCHI_EDIT_EDIT_H
#define NUNCHI_EDIT_EDIT_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Lines of the terminal have fewer bytes. */
#define EDIT_MOST_LINE ((size_t)64 << 10)

/* A word with which a line may begin, and what may follow it. */
struct edit_command {
	const char *name;         /* ".mode" */
	const char *const *words; /* ends with NULL; or NULL */
	bool tables;              /* names of tables */
};

struct edit_options {
	const char *name;         /* of the history's file, "sql_history" */
	const char *first_prompt; /* for the first line of a statement */
	const char *more_prompt;  /* for a later one */
	const char *const *schemas;
	size_t schema_count;
	const struct edit_command *commands;
	size_t command_count;
};

enum edit_role {
	EDIT_NOBODY, /* lines are not edited here: as they come from the terminal */
	EDIT_READER, /* this is the child: lines come by edit_ask() */
	EDIT_ENDED   /* this is the first process, and the child has ended */
};

/*
 * Starts the child, which returns first; in the first process this returns when the child has
 * ended, with its exit status, or 128 and the number of the signal. An error means EDIT_NOBODY, and
 * says why lines cannot be edited. Call it before there is a thread, and before a guest is opened.
 */
struct nunchi_error *edit_start(const struct edit_options *options, enum edit_role *ret,
				int *ret_status);

enum edit_answer { EDIT_LINE, EDIT_INTERRUPTED, EDIT_END };

/*
 * In the child: asks for a line, the first one of a statement or a later one, and waits for it;
 * line has room for EDIT_MOST_LINE bytes. `ended` is asked whenever a signal has come, and ends the
 * wait.
 */
enum edit_answer edit_ask(bool more, char *line, bool (*ended)(void *data), void *data);

#endif
