/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's own tables of TCP and UDP sockets, in which also those are that no process holds:
 * closed ones in TIME_WAIT, connections that nobody has accepted yet, sockets of the kernel itself.
 * Source: include/net/inet_hashtables.h, include/net/udp.h, include/linux/rculist_nulls.h.
 */
#ifndef NUNCHI_GUEST_LINUX_SOCKET_TABLES_H
#define NUNCHI_GUEST_LINUX_SOCKET_TABLES_H

#include "guest/linux/linux.h"

struct linux_table_socket {
	uint64_t sock; /* address of the struct sock, or inet_timewait_sock, or request_sock */
	/* Of the struct socket that it belonged to; 0: none, or it could not be read. */
	uint64_t socket;
};

struct linux_socket_tables {
	struct linux_kernel *kernel;
	struct linux_table_socket *items; /* owned */
	size_t count, capacity;
	/* The tables that were walked; the sockets, with the number of the last walk to them. */
	struct hash_map seen;
	uint64_t walks;
	uint64_t slots; /* of the tables that were walked */
	/* Why some sockets are missing; the first reason. */
	enum read_result broken;
};

/*
 * Collects all sockets of all network namespaces' tables; none if memory runs out, which `broken`
 * then says.
 */
void linux_socket_tables_collect(struct linux_socket_tables *tables);
void linux_socket_tables_deinit(struct linux_socket_tables *tables);
/* Whether a socket that was in a table is in one still. */
bool linux_socket_is_in_table(struct linux_kernel *kernel, uint64_t sock);
/*
 * Reads the address of the struct socket that a socket belongs to; 0 for one that has none, as in
 * TIME_WAIT.
 */
enum read_result linux_socket_of(struct linux_kernel *kernel, uint64_t sock, uint64_t *ret);

#endif
