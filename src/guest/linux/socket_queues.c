/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What waits in a socket. Source: tcp_diag_get_info(), udp_diag_get_info(); get_tcp4_sock() of
 * net/ipv4/tcp_ipv4.c, udp_rqueue_get() of include/net/udp.h.
 */
#include "guest/linux/socket.h"

enum { PROTOCOL_UDP = 17, PROTOCOL_UDPLITE = 136, STATE_LISTEN = 10 };

/* include/linux/net.h; a raw socket may have any protocol. */
enum { TYPE_STREAM = 1, TYPE_DGRAM = 2 };

/* Reads a field of 32 bits of the struct sock, or of the structure that begins with it. */
static enum read_result of_sock(struct linux_kernel *kernel, const struct linux_socket *socket,
				const struct field *field, uint32_t *ret)
{
	uint64_t value = 0;
	enum read_result result = linux_read_field(kernel, socket->sock.address, field, &value);

	*ret = (uint32_t)value;
	return result;
}

/* The distance between two fields: *ret = high - low. */
static enum read_result distance(struct linux_kernel *kernel, const struct linux_socket *socket,
				 const struct field *high, const struct field *low, int64_t *ret)
{
	uint32_t from = 0, to = 0;
	enum read_result result = of_sock(kernel, socket, low, &from);

	if (result == READ_OK)
		result = of_sock(kernel, socket, high, &to);
	*ret = (int32_t)(to - from);
	return result;
}

static bool is_tcp(const struct linux_socket *socket)
{
	return socket->protocol == LINUX_PROTOCOL_TCP && socket->type == TYPE_STREAM;
}

static bool is_udp(const struct linux_socket *socket)
{
	return (socket->protocol == PROTOCOL_UDP || socket->protocol == PROTOCOL_UDPLITE) &&
	       socket->type == TYPE_DGRAM;
}

/* Whether the socket has such queues; READ_NONE if it has others, or none. */
static enum read_result has_queues(const struct linux_socket *socket)
{
	if (socket->result != READ_OK)
		return socket->result;
	if (!linux_socket_is_inet(socket) || socket->protocol_result == READ_NONE)
		return READ_NONE;
	if (socket->protocol_result != READ_OK)
		return socket->protocol_result;
	if (socket->type_result != READ_OK)
		return socket->type_result;
	return socket->protocol == LINUX_PROTOCOL_SCTP || socket->protocol == LINUX_PROTOCOL_MPTCP
		   ? READ_NONE
		   : READ_OK;
}

enum read_result linux_socket_received(struct linux_kernel *kernel,
				       const struct linux_socket *socket, int64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	enum read_result result = has_queues(socket);
	uint32_t size = 0, freed = 0;

	*ret = 0;
	if (result != READ_OK || socket->is_bare)
		return result;
	if (is_tcp(socket) && socket->state != STATE_LISTEN) {
		result = distance(kernel, socket, &layout->tcp_queue_received,
				  &layout->tcp_queue_copied, ret);
		/* The two are not read at one moment, as in the kernel, which shows 0 then. */
		if (*ret < 0)
			*ret = 0;
		return result;
	}
	result = of_sock(
	    kernel, socket,
	    is_tcp(socket) ? &layout->sock_queue_backlog : &layout->sock_queue_received, &size);
	/* Of what was read the kernel takes a part off later. */
	if (result == READ_OK && is_udp(socket))
		result = of_sock(kernel, socket, &layout->udp_queue_deficit, &freed);
	*ret = (int32_t)(size - freed);
	return result;
}

enum read_result linux_socket_sent(struct linux_kernel *kernel, const struct linux_socket *socket,
				   int64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	enum read_result result = has_queues(socket);
	uint32_t size = 0;

	*ret = 0;
	if (result != READ_OK || socket->is_bare)
		return result;
	if (is_tcp(socket) && socket->state != STATE_LISTEN)
		return distance(kernel, socket, &layout->tcp_queue_written,
				&layout->tcp_queue_acknowledged, ret);
	result =
	    of_sock(kernel, socket,
		    is_tcp(socket) ? &layout->sock_queue_limit : &layout->sock_queue_sent, &size);
	/* The socket itself counts as one byte: sk_wmem_alloc_get(). */
	*ret = is_tcp(socket) ? (int64_t)size : (int64_t)(int32_t)size - 1;
	return result;
}
