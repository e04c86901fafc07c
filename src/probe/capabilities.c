/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(effective, ADDRESS, "effective capabilities from now on, as CapEff in /proc/PID/status") \
	X(permitted, ADDRESS, "permitted capabilities from now on")                                \
	X(inheritable, ADDRESS, "inheritable capabilities from now on")                            \
	X(status, INTEGER, "0, or the errno for which it was refused")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* A kernel_cap_t is a number of 64 bits, or two of 32 bits with the lower one first. */
static void set_capabilities(struct probe_hit *hit, unsigned column, unsigned argument)
{
	uint64_t value = 0;
	enum read_result result = linux_read(linux_hit_of(hit)->kernel, hit_argument(hit, argument),
					     &value, sizeof(value));

	if (result == READ_OK)
		row_address(hit->row, column, value);
	else
		row_unread(hit->row, column, result);
}

/* security_capset(new, old, effective, inheritable, permitted) */
static enum probe_next enter(struct probe_hit *hit)
{
	set_capabilities(hit, COLUMN_effective, 2);
	set_capabilities(hit, COLUMN_inheritable, 3);
	set_capabilities(hit, COLUMN_permitted, 4);
	return PROBE_RETURNS;
}

static bool leave(struct probe_hit *hit)
{
	hit_status(hit, COLUMN_status);
	return true;
}

const struct probe probe_capabilities = {
    .schema = {"capabilities", "threads that change their capabilities: capset()", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"security_capset", enter, leave}}}},
};
