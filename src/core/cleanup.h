/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scope-bound clean-up by GNU cleanup attributes, instead of goto ladders.
 *
 *	_cleanup_free_ char *name = strdup(...);
 *	_cleanup_close_ int fd = open(...);
 *	return no_cleanup_ptr(name);        // hand ownership out
 */
#ifndef NUNCHI_CORE_CLEANUP_H
#define NUNCHI_CORE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((__cleanup__(f)))

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_p(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_  _cleanup_(cleanup_free_p)
#define _cleanup_close_ _cleanup_(cleanup_close_p)

/* Defines cleanup_<func>_p for `void func(type *)`; func must accept NULL. */
#define DEFINE_CLEANUP(type, func)                                                                 \
	static inline void cleanup_##func##_p(type **p)                                            \
	{                                                                                          \
		func(*p);                                                                          \
	}

/* Returns the pointer and sets the variable to NULL, so that it is not freed at the end of scope.
 */
#define no_cleanup_ptr(p)                                                                          \
	({                                                                                         \
		__typeof__(p) no_cleanup_tmp = (p);                                                \
		(p) = NULL;                                                                        \
		no_cleanup_tmp;                                                                    \
	})

/* The same for a file descriptor (-1 means none). */
#define no_cleanup_fd(fd)                                                                          \
	({                                                                                         \
		int no_cleanup_tmp = (fd);                                                         \
		(fd) = -1;                                                                         \
		no_cleanup_tmp;                                                                    \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
