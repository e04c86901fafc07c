/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_socket.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	SOCKET_COLUMNS(X)                                                                          \
	X(status, INTEGER, "0, or the errno for which it failed; 115: it goes on without waiting")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* __sys_connect_file(file, address, size, flags); the address is in the kernel's memory. */
static enum probe_next enter(struct probe_hit *hit)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	enum read_result result;
	uint64_t socket = 0;

	result =
	    linux_read_field(kernel, hit_argument(hit, 0), &kernel->layout.file_private, &socket);
	if (result == READ_OK)
		hit_socket(hit, COLUMN_family, socket, false);
	else
		row_unread(hit->row, COLUMN_family, result);
	hit_socket_address(hit, COLUMN_family, hit_argument(hit, 1), hit_argument(hit, 2), true);
	return PROBE_RETURNS;
}

static bool leave(struct probe_hit *hit)
{
	hit_status(hit, COLUMN_status);
	hit_check_socket(hit, COLUMN_family, COLUMN_status);
	return true;
}

const struct probe probe_connect = {
    .schema = {"connect", "connections that a process opens: connect(), io_uring", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"__sys_connect_file", enter, leave}}}},
};
