/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(address, ADDRESS, "first address whose protection changes")                              \
	X(size, BYTES, "size of the memory")                                                       \
	X(protection, TEXT, "PROT_READ|PROT_WRITE|PROT_EXEC …, or PROT_NONE")                      \
	X(executable, INTEGER, "1 if its content may be executed from now on")                     \
	X(status, INTEGER, "0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* include/uapi/asm-generic/mman-common.h */
#define PROTECTION_EXEC 0x4

static enum probe_next begin(struct probe_hit *hit, uint64_t address, uint64_t size,
			     uint64_t protection)
{
	row_address(hit->row, COLUMN_address, address);
	row_integer(hit->row, COLUMN_size, (int64_t)size);
	hit_flags(hit, COLUMN_protection, &flags_protection, protection);
	row_integer(hit->row, COLUMN_executable, protection & PROTECTION_EXEC ? 1 : 0);
	return view_wants(hit->request, COLUMN_status) ? PROBE_RETURNS : PROBE_ROW;
}

/* do_mprotect_pkey(address, size, protection, key), for programs of 32 bits too */
static enum probe_next enter(struct probe_hit *hit)
{
	return begin(hit, hit_argument(hit, 0), hit_argument(hit, 1), hit_argument(hit, 2));
}

static enum probe_next enter_call(struct probe_hit *hit)
{
	return begin(hit, hit_call_argument(hit, 0), hit_call_argument(hit, 1),
		     hit_call_argument(hit, 2));
}

static bool leave(struct probe_hit *hit)
{
	hit_status(hit, COLUMN_status);
	return true;
}

const struct probe probe_mprotect = {
    .schema = {"mprotect", "memory whose protection changes: mprotect(), pkey_mprotect()", columns,
	       ARRAY_SIZE(columns)},
    /* mm/mprotect.c; a kernel without protection keys has the function under another name */
    .providers = {{&guest_linux,
		   {{"do_mprotect_pkey", enter, leave, .optional = true},
		    {"__x64_sys_mprotect", enter_call, leave, .optional = true,
		     .unless = "do_mprotect_pkey"},
		    {"__ia32_sys_mprotect", enter_call, leave, .optional = true, .narrow = true,
		     .unless = "do_mprotect_pkey"}}}},
};
