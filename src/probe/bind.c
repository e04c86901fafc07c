/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_socket.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	SOCKET_COLUMNS(X)

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* security_socket_bind(socket, address, size) */
static enum probe_next enter(struct probe_hit *hit)
{
	hit_socket(hit, COLUMN_family, hit_argument(hit, 0), false);
	hit_socket_address(hit, COLUMN_family, hit_argument(hit, 1), hit_argument(hit, 2), false);
	return PROBE_ROW;
}

const struct probe probe_bind = {
    .schema = {"bind", "addresses that a process asks for: bind(), before the kernel agrees",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"security_socket_bind", enter, NULL}}}},
};
