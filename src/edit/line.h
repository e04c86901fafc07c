/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terminal's side: one line after the other, by libedit. */
#ifndef NUNCHI_EDIT_LINE_H
#define NUNCHI_EDIT_LINE_H

#include "edit/edit.h"
#include "edit/libedit.h"

struct editor;

/*
 * Reads the history. `signals` is a signalfd of SIGCONT, SIGWINCH, and of what ends the program,
 * without waiting. NULL: there is no memory. The options are borrowed.
 */
struct editor *editor_create(const struct edit_options *options, const struct libedit *lib,
			     int signals);
void editor_destroy(struct editor *editor);

/*
 * Reads a line from the terminal, whose mode is as it was before when this returns. EDIT_END: the
 * input has ended, or a signal has come (editor_signal()), or the child's socket, which is quiet
 * while a line is edited, has something.
 * The line is the editor's, until the next call.
 */
enum edit_answer editor_line(struct editor *editor, bool more, int child, const char **ret);

/* The signal that ended editor_line(), or 0. */
int editor_signal(const struct editor *editor);

#endif
