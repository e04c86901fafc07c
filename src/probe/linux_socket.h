/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cells about sockets, for the probes of Linux guests. */
#ifndef NUNCHI_PROBE_LINUX_SOCKET_H
#define NUNCHI_PROBE_LINUX_SOCKET_H

#include "probe/linux_hit.h"

/* The columns of a probe about a socket; they stand one behind the other in this order. */
#define SOCKET_COLUMNS(X)                                                                          \
	X(family, TEXT, "address family: inet, inet6, unix, netlink …")                            \
	X(protocol, TEXT, "protocol: tcp, udp …, or its number")                                   \
	X(local_address, TEXT, "own address")                                                      \
	X(local_port, INTEGER, "own port")                                                         \
	X(remote_address, TEXT, "address of the other end")                                        \
	X(remote_port, INTEGER, "port of the other end")                                           \
	X(socket, TEXT, "path of a Unix socket; @NAME: in the abstract name space")
#define SOCKET_COLUMN_ENUM(name, type, doc) SOCKET_##name,
enum { SOCKET_COLUMNS(SOCKET_COLUMN_ENUM) SOCKET_COLUMN_COUNT };

/*
 * Sets the cells from the column `first` on from the struct sock at an address; a side without
 * address stays absent. remote: the socket is connected.
 */
void hit_sock(struct probe_hit *hit, unsigned first, uint64_t sock, bool remote);
/* The same for a struct socket. */
void hit_socket(struct probe_hit *hit, unsigned first, uint64_t socket, bool remote);
/*
 * Sets the cells of one side from the socket address (struct sockaddr) at an address of the kernel
 * or of the process, as a program gave it.
 */
void hit_socket_address(struct probe_hit *hit, unsigned first, uint64_t address, uint64_t size,
			bool remote);
/* Appends it as "{inet 127.0.0.1:80}"; false, and nothing, if it is not readable or unknown. */
bool hit_append_socket_address(const struct probe_hit *hit, uint64_t address, uint64_t size,
			       struct buffer *ret);
/*
 * Takes the cells back if the call failed because its descriptor is no socket, which the cell
 * `status` says.
 */
void hit_check_socket(struct probe_hit *hit, unsigned first, unsigned status);

#endif
