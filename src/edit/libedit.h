/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is used of libedit, which is loaded when it is first needed. */
#ifndef NUNCHI_EDIT_LIBEDIT_H
#define NUNCHI_EDIT_LIBEDIT_H

#include "core/library.h"

#include <histedit.h>

#define LIBEDIT_FUNCTIONS(FUNCTION)                                                                \
	FUNCTION(el_deletestr)                                                                     \
	FUNCTION(el_end)                                                                           \
	FUNCTION(el_get)                                                                           \
	FUNCTION(el_gets)                                                                          \
	FUNCTION(el_init)                                                                          \
	FUNCTION(el_insertstr)                                                                     \
	FUNCTION(el_line)                                                                          \
	FUNCTION(el_push)                                                                          \
	FUNCTION(el_resize)                                                                        \
	FUNCTION(el_set)                                                                           \
	FUNCTION(el_source)                                                                        \
	FUNCTION(history)                                                                          \
	FUNCTION(history_end)                                                                      \
	FUNCTION(history_init)

struct libedit {
	void *handle;
	LIBEDIT_FUNCTIONS(LIBRARY_MEMBER)
};

struct nunchi_error *libedit_load(struct libedit *ret);

#endif
