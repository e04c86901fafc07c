/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is used of libyara, which is loaded when it is first needed. */
#ifndef NUNCHI_SCAN_LIBYARA_H
#define NUNCHI_SCAN_LIBYARA_H

#include "core/library.h"

#include <yara.h>

#define LIBYARA_FUNCTIONS(FUNCTION)                                                                \
	FUNCTION(yr_initialize)                                                                    \
	FUNCTION(yr_finalize)                                                                      \
	FUNCTION(yr_set_configuration)                                                             \
	FUNCTION(yr_compiler_create)                                                               \
	FUNCTION(yr_compiler_destroy)                                                              \
	FUNCTION(yr_compiler_set_callback)                                                         \
	FUNCTION(yr_compiler_set_include_callback)                                                 \
	FUNCTION(yr_compiler_add_file)                                                             \
	FUNCTION(yr_compiler_get_rules)                                                            \
	FUNCTION(yr_rules_destroy)                                                                 \
	FUNCTION(yr_scanner_create)                                                                \
	FUNCTION(yr_scanner_destroy)                                                               \
	FUNCTION(yr_scanner_set_callback)                                                          \
	FUNCTION(yr_scanner_set_flags)                                                             \
	FUNCTION(yr_scanner_set_timeout)                                                           \
	FUNCTION(yr_scanner_scan_mem_blocks)

struct libyara {
	void *handle;
	LIBYARA_FUNCTIONS(LIBRARY_MEMBER)
};

struct nunchi_error *libyara_load(struct libyara *ret);

#endif
