/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running a command of the host and taking what it prints: no shell, bounded time and size. */
#ifndef NUNCHI_DOCTOR_FACTS_COMMAND_H
#define NUNCHI_DOCTOR_FACTS_COMMAND_H

#include "core/buffer.h"

/*
 * Runs a command line (words between single spaces, looked up in the system's own folders and then
 * in PATH's), with an environment of our own. Standard output is appended to ret, up to its limit,
 * after which or after `seconds` the command is killed. Gives 0, an errno if it could not be run or
 * timed out (ENOENT: there is no such command), or EIO if it failed without printing anything.
 */
int command_run(const char *line, unsigned seconds, struct buffer *ret);

#endif
