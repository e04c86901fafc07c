/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(module, TEXT, "name of the module")                                                      \
	X(address, ADDRESS, "address of its struct module")                                        \
	X(status, INTEGER, "0, or the errno for which it was not loaded")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static enum probe_next enter(struct probe_hit *hit)
{
	hit_module_name(hit, COLUMN_module, hit_argument(hit, 0));
	row_address(hit->row, COLUMN_address, hit_argument(hit, 0));
	return PROBE_RETURNS;
}

static bool leave(struct probe_hit *hit)
{
	hit_status(hit, COLUMN_status);
	return true;
}

const struct probe probe_module_load = {
    .schema = {"module_load",
	       "kernel modules that are loaded; a row when their init() has returned", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"do_init_module", enter, leave}}}},
};
