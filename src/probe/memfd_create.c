/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(memfd_name, TEXT, "name of the file in memory, as the program gave it")                  \
	X(flags, TEXT, "flags of memfd_create(2), as MFD_CLOEXEC; 0x0: none")                      \
	X(result, INTEGER, "the new file descriptor; absent if it failed")                         \
	X(status, INTEGER, "0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* MFD_NAME_MAX_LEN of mm/memfd.c */
#define MAX_NAME 249

static enum probe_next enter(struct probe_hit *hit)
{
	hit_string(hit, COLUMN_memfd_name, hit_call_argument(hit, 0), MAX_NAME);
	hit_flags(hit, COLUMN_flags, &flags_memfd, (uint32_t)hit_call_argument(hit, 1));
	return PROBE_RETURNS;
}

static bool leave(struct probe_hit *hit)
{
	hit_returned(hit, COLUMN_result, COLUMN_status);
	return true;
}

const struct probe probe_memfd_create = {
    .schema = {"memfd_create", "files without a path that live in memory alone", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {CALL_HOOKS("memfd_create", enter, leave)}}},
};
