/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(module, TEXT, "name of the module")                                                      \
	X(address, ADDRESS, "address of its struct module")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static enum probe_next enter(struct probe_hit *hit)
{
	hit_module_name(hit, COLUMN_module, hit_argument(hit, 0));
	row_address(hit->row, COLUMN_address, hit_argument(hit, 0));
	return PROBE_ROW;
}

const struct probe probe_module_unload = {
    .schema = {"module_unload", "kernel modules whose memory is freed: unloaded, or not loaded",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"free_module", enter, NULL}}}},
};
