/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two files of nunchi sql share. */
#ifndef NUNCHI_CLI_SQL_H
#define NUNCHI_CLI_SQL_H

#include "cli.h"

#include "edit/edit.h"

struct sql_state {
	struct nunchi_sql *sql;
	char **words; /* the targets as they were given, with their names */
	struct targets targets;
	char *text;  /* that was read; owned */
	bool edited; /* lines come from the process that edits them */
	bool in_shell;
};

/* Executes the statements of a text one after the other; the first that fails is the last. */
int sql_run_text(struct cli *cli, struct sql_state *state, const char *text);
/*
 * Before a guest is opened: has lines of the terminal edited, with the names of schemas, if that
 * can be done. EDIT_ENDED: the shell was, in the child, and *ret_status is its exit status.
 */
enum edit_role sql_shell_start(const char *const *schemas, size_t count, int *ret_status);
/* Reads statements from the terminal. */
int sql_shell(struct cli *cli, struct sql_state *state);

#endif
