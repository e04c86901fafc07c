/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running programs: commands of the host whose output is a fact, and the system's own tools
 * (grub-mkconfig, grub-script-check, diff …) in the root that they belong to. No shell. A program
 * is ended when it takes too long, when the context is cancelled, and when this process dies.
 *
 * The program is the child of a supervisor, which is the child of this process. The supervisor
 * waits for it and reports its exit status through a pipe, so that the status is known also where
 * this process ignores SIGCHLD or waits for all its children elsewhere.
 */
#ifndef NUNCHI_DOCTOR_FACTS_RUN_H
#define NUNCHI_DOCTOR_FACTS_RUN_H

#include "core/buffer.h"
#include "core/error.h"
#include "doctor/facts/root.h"

/*
 * Called in the child before it enters the root: gives 0 or an errno. It may only call functions
 * that are async-signal-safe.
 */
typedef int tool_prepare(const struct root *root, const void *data);

struct tool {
	const char *const *arguments; /* the first is the program; NULL at the end */
	const struct root *root;      /* where it runs */
	const char *input;            /* its standard input; NULL for none */
	size_t input_size;
	tool_prepare *prepare; /* may be NULL */
	const void *prepare_data;
	unsigned seconds;                     /* the longest it may take */
	const struct nunchi_context *context; /* may be NULL */
};

/*
 * Runs a tool to its end, in the user's language; ret gets what it prints, ret_messages what it
 * says on standard error (the first 64 KiB). Both must be initialised. *ret_status is its exit
 * status; that it was ended by a signal is an error.
 */
struct nunchi_error *tool_run(const struct tool *tool, struct buffer *ret,
			      struct buffer *ret_messages, int *ret_status);

/*
 * Runs a command line (words between single spaces, looked up in the system's own folders and, not
 * for root, then in PATH's), in English. Standard output is appended to ret, up to its limit, after
 * which or after `seconds` the command is killed. Gives 0, an errno if it could not be run or timed
 * out (ENOENT: there is no such command; ECANCELED), or EIO if it failed without printing anything.
 */
int command_run(const char *line, unsigned seconds, const struct nunchi_context *context,
		struct buffer *ret);

#endif
