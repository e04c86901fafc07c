/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_socket.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	SOCKET_COLUMNS(X)

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static enum probe_next enter(struct probe_hit *hit)
{
	(void)hit;
	return PROBE_RETURNS;
}

/* The result is the new connection's struct sock, or NULL. */
static bool leave(struct probe_hit *hit)
{
	uint64_t sock = linux_returned_address(linux_hit_of(hit)->kernel, hit->registers);

	if (!sock)
		return false;
	/* The call may have begun long before. */
	hit_now(hit);
	hit_sock(hit, COLUMN_family, sock, true);
	return true;
}

const struct probe probe_accept = {
    .schema = {"accept", "TCP connections that a process has accepted: accept(), io_uring", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux,
		   {{"inet_csk_accept", enter, leave, .needs_result = true,
		     .timed_at_return = true}}}},
};
