/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs of nunchi's own that the library starts: finding such a program, checking that it may be
 * started, starting it. It lies beside the file that contains this code, or in the folder for
 * programs of libraries (libexec).
 */
#ifndef NUNCHI_CORE_OWN_PROGRAM_H
#define NUNCHI_CORE_OWN_PROGRAM_H

#include "core/error.h"

#include <sys/types.h>

struct own_program {
	const char *name;    /* "nunchi-guard" */
	const char *without; /* hint where it is not installed */
};

/*
 * The first descriptor that a program is given; 0 to 2 are /dev/null, all others are closed. At
 * most OWN_PROGRAM_FDS can be given.
 */
#define OWN_PROGRAM_FD  3
#define OWN_PROGRAM_FDS 3

/*
 * Starts the program, with all signals blocked and in a session of its own, so that Ctrl-C on our
 * terminal does not end it. fds[i] becomes the descriptor OWN_PROGRAM_FD + i; the caller keeps fds.
 * arguments begin with the program's name; arguments and environment end with NULL. *ret_path,
 * which the caller frees, is where it was found, and is set as well where it cannot be started.
 */
struct nunchi_error *own_program_start(const struct own_program *program, const int *fds,
				       size_t count, const char *const *arguments,
				       const char *const *environment, char **ret_path, pid_t *ret);

/* Opens the program; *ret_path is where it was found, and the caller frees it. */
struct nunchi_error *own_program_open(const struct own_program *program, char **ret_path, int *ret);
/*
 * Does the same for code that is in the file `own` (an absolute path; NULL: unknown), if programs
 * were configured to be installed in the folder `installed`.
 */
struct nunchi_error *own_program_open_at(const struct own_program *program, const char *own,
					 const char *installed, char **ret_path, int *ret);

#endif
