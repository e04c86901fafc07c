/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two files of nunchi sql share. */
#ifndef NUNCHI_CLI_SQL_H
#define NUNCHI_CLI_SQL_H

#include "cli.h"

struct sql_state {
	struct nunchi_sql *sql;
	char **words; /* the targets as they were given, with their names */
	struct targets targets;
	char *text; /* that was read; owned */
};

/* Executes the statements of a text one after the other; the first that fails is the last. */
int sql_run_text(struct cli *cli, struct sql_state *state, const char *text);
/* Reads statements from the terminal. */
int sql_shell(struct cli *cli, struct sql_state *state);

#endif
