/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets that processes hold. Source: include/net/sock.h, net/socket.c, net/unix/af_unix.c.
 */
#ifndef NUNCHI_GUEST_LINUX_SOCKET_H
#define NUNCHI_GUEST_LINUX_SOCKET_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

/* include/linux/socket.h; those of this host may have other numbers. */
enum linux_family {
	LINUX_FAMILY_UNIX = 1,
	LINUX_FAMILY_INET = 2,
	LINUX_FAMILY_INET6 = 10,
	LINUX_FAMILY_PACKET = 17,
};

/* include/uapi/linux/in.h */
enum linux_protocol {
	LINUX_PROTOCOL_TCP = 6,
	LINUX_PROTOCOL_SCTP = 132,
	LINUX_PROTOCOL_MPTCP = 262,
};

/* What a socket is and is bound to. The object is owned. */
struct linux_socket {
	uint64_t address;        /* of the struct socket, or 0 */
	enum read_result result; /* of reading the struct sock; READ_NONE: the socket has none */
	struct object sock;
	uint64_t family;
	uint64_t protocol;
	enum read_result protocol_result;
	uint64_t state; /* TCP_ESTABLISHED …, where the family has states */
	uint64_t type;  /* SOCK_STREAM … */
	bool is_bare;   /* see linux_socket_is_bare() */
	enum read_result type_result;
};

/*
 * Checks that this kernel's types have all fields needed. NUNCHI_ERROR_UNSUPPORTED names the
 * structures that lack a field.
 */
struct nunchi_error *linux_sockets_check(struct linux_kernel *kernel);
void linux_socket_deinit(struct linux_socket *socket);
/*
 * Gets the address of the struct socket of an open file (a copy of its struct file); 0 if it is
 * another file. A fault says that this cannot be known.
 */
enum read_result linux_file_socket(struct linux_kernel *kernel, const struct object *file,
				   uint64_t *ret);
/* Reads the socket at an address. */
void linux_socket_read(struct linux_kernel *kernel, uint64_t address, struct linux_socket *ret);
/*
 * Reads a socket of the kernel's tables by the address of its struct sock; ret->address is then
 * that of its struct socket, or 0.
 */
void linux_socket_read_bare(struct linux_kernel *kernel, uint64_t sock, struct linux_socket *ret);
/*
 * Whether a connection in this state is no struct sock, but begins like one: closed, in TIME_WAIT
 * or FIN_WAIT2, or being made.
 */
bool linux_socket_is_bare(uint64_t state);

/* Whether IPv4 or IPv6 keeps the socket's addresses. */
bool linux_socket_is_inet(const struct linux_socket *socket);
/*
 * Append the address of one side, or get its port; READ_NONE for a socket without. The remote
 * address of a socket that is not connected is that of zeros, and so is its port.
 */
enum read_result linux_socket_side(struct linux_kernel *kernel, const struct linux_socket *socket,
				   bool remote, struct buffer *ret);
enum read_result linux_socket_port(struct linux_kernel *kernel, const struct linux_socket *socket,
				   bool remote, int64_t *ret);
/*
 * Appends the path of a UNIX socket as /proc/net/unix shows it: NUL bytes of an abstract name are
 * '@'. READ_NONE if it is not bound, or not a UNIX socket.
 */
enum read_result linux_socket_path(struct linux_kernel *kernel, const struct linux_socket *socket,
				   struct buffer *ret);
/*
 * The state of a TCP, MPTCP or UNIX socket ("LISTEN"); READ_NONE for others. *ret is in static
 * storage.
 */
enum read_result linux_socket_state(struct linux_kernel *kernel, const struct linux_socket *socket,
				    const char **ret);
/*
 * Whether others reach the socket by its port or path, as osquery's listening_ports has it: one
 * that listens for connections; one of IPv4 or IPv6 without connections that has a port, and no
 * other end; each UNIX socket that has a path. A fault says that this cannot be known.
 */
enum read_result linux_socket_listens(struct linux_kernel *kernel,
				      const struct linux_socket *socket, bool *ret);
/*
 * Read what waits in a socket of IPv4 or IPv6, as ss shows it (socket_queues.c). Received: bytes
 * that nobody has read yet; of a TCP socket that listens the connections that nobody has accepted.
 * Sent: bytes that the other end has not acknowledged, or the device not sent; of a TCP socket that
 * listens the limit of these connections. Of datagrams the bytes count that the kernel takes for
 * them. READ_NONE for others: SCTP, MPTCP, UNIX ….
 */
enum read_result linux_socket_received(struct linux_kernel *kernel,
				       const struct linux_socket *socket, int64_t *ret);
enum read_result linux_socket_sent(struct linux_kernel *kernel, const struct linux_socket *socket,
				   int64_t *ret);
/* Reads the inode number of a struct socket; READ_NONE for address 0. */
enum read_result linux_socket_inode(struct linux_kernel *kernel, uint64_t address, uint64_t *ret);
/* Reads the number of the socket's network namespace, as in /proc/PID/ns/net. */
enum read_result linux_socket_namespace(struct linux_kernel *kernel,
					const struct linux_socket *socket, uint64_t *ret);

#endif
