/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_socket.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	SOCKET_COLUMNS(X)                                                                          \
	X(backlog, INTEGER, "how many connections may wait to be accepted")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* security_socket_listen(socket, backlog) */
static enum probe_next enter(struct probe_hit *hit)
{
	hit_socket(hit, COLUMN_family, hit_argument(hit, 0), false);
	row_integer(hit->row, COLUMN_backlog, (int32_t)hit_argument(hit, 1));
	return PROBE_ROW;
}

const struct probe probe_listen = {
    .schema = {"listen", "sockets that a process listens on: listen(), before the kernel agrees",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"security_socket_listen", enter, NULL}}}},
};
