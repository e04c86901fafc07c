/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Understanding commands of a shell as people paste them: prompts, quotes, what is written into
 * which file. Pure functions.
 */
#ifndef NUNCHI_DOCTOR_STORY_SHELL_H
#define NUNCHI_DOCTOR_STORY_SHELL_H

#include <stdbool.h>
#include <stddef.h>

/* The command that a line of a terminal holds, without its prompt; NULL if it is none. */
const char *shell_command(const char *line);

enum shell_act {
	SHELL_OTHER,
	SHELL_WRITE,        /* text becomes the content of file */
	SHELL_APPEND,       /* text is added to file */
	SHELL_EDIT,         /* file is opened in an editor */
	SHELL_REMOVE,       /* file (a pattern, or several between blanks) is removed */
	SHELL_BOOT_OPTIONS, /* text is added to every Linux entry (grubby, kernelstub) */
};

#define SHELL_TEXT 4096

struct shell {
	enum shell_act act;
	char file[512];
	char text[SHELL_TEXT]; /* "\n" of echo -e are newlines */
	char end[64];          /* a here-document's last line; "" if there is none */
};

/* What a command does to files. */
void shell_parse(const char *command, struct shell *ret);

#endif
