/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file in which typed lines are kept, one a line:
 * ${XDG_STATE_HOME:-~/.local/state}/nunchi/NAME, or what NUNCHI_HISTORY says, which is no file if
 * it is empty. Only this user may read it. Several processes may add to it at a time.
 *
 * A file is not used that others could have put there or could write: it, and the folders nunchi/
 * and the one above, must belong to this user, and nobody else may write to it and nunchi/; it is
 * no symbolic link, and has one name.
 */
#ifndef NUNCHI_EDIT_HISTORY_H
#define NUNCHI_EDIT_HISTORY_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Lines that are kept; up to twice as many are in the file until it is shortened. */
#define HISTORY_LINES 1000

struct history_file {
	int fd; /* -1: nothing is kept */
};

/*
 * Opens the file, which is created if need be, shortens it if nobody else has it open, and calls
 * take() for each of its last HISTORY_LINES lines, the oldest first. No file is wanted: *ret has
 * none, and there is no error.
 */
struct nunchi_error *history_open(const char *name, void (*take)(const char *line, void *data),
				  void *data, struct history_file *ret);
/* Adds a line, which has no newline. If that fails the file is closed, and no more is kept. */
struct nunchi_error *history_add(struct history_file *file, const char *line);
void history_close(struct history_file *file);

/* Whether HOME is the folder of another user: what it says is not obeyed. */
bool history_home_is_foreign(void);

#endif
