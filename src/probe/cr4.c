/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(value, ADDRESS, "new value of the register")                                             \
	X(old, ADDRESS, "value until then")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static enum probe_next enter(struct probe_hit *hit)
{
	row_address(hit->row, COLUMN_value, hit->stop->value);
	row_address(hit->row, COLUMN_old, hit->stop->old);
	return PROBE_ROW;
}

const struct probe probe_cr4 = {
    .schema = {"cr4", "features of the processor that the kernel switches on or off (CR4)", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{.enter = enter, .event = TARGET_EVENT_CR4}}}},
};
