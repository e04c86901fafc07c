/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/socket.h"

#include "core/bytes.h"

#include <arpa/inet.h>
#include <string.h>

#define MAX_UNIX_ADDRESS 110 /* of a struct sockaddr_un, with its family */
#define FAMILY_SIZE      2
#define TYPE_SOCKET      12     /* of an inode: S_IFSOCK */
#define MODE_PATH        0x4000 /* of a file: FMODE_PATH */
/* include/net/tcp_states.h; SCTP and DCCP use them as well. */
enum { STATE_TIME_WAIT = 6, STATE_LISTEN = 10, STATE_NEW_SYN_RECV = 12 };

/* Of a socket: include/linux/net.h */
enum { TYPE_STREAM = 1, TYPE_SEQPACKET = 5, TYPE_DCCP = 6 };

struct nunchi_error *linux_sockets_check(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_socket);

	if (layout->socket_alloc_socket.present && layout->socket_alloc_inode.present &&
	    layout->socket_sk.present && layout->sock_family.present &&
	    linux_has_field(kernel, &layout->file_private) &&
	    linux_has_field(kernel, &layout->file_inode) &&
	    linux_has_field(kernel, &layout->inode_mode))
		return NULL;
	return linux_lacks_fields("sockets cannot be read",
				  "a field of file, inode, socket_alloc, socket or sock");
}

void linux_socket_deinit(struct linux_socket *socket)
{
	object_deinit(&socket->sock);
}

/* Reads the type of an inode; READ_BAD_DATA if there is no such type. */
static enum read_result read_type(struct linux_kernel *kernel, uint64_t inode, uint64_t *ret)
{
	/* A bit for each type of include/uapi/linux/stat.h; 0: an anonymous inode */
	static const unsigned types =
	    1 << 0 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << TYPE_SOCKET;
	uint64_t mode;
	enum read_result result =
	    linux_read_field(kernel, inode, &kernel->layout.inode_mode, &mode);

	if (result != READ_OK)
		return result;
	*ret = mode >> 12;
	return mode && types >> *ret & 1 ? READ_OK : READ_BAD_DATA;
}

/* Whether a file points to a socket which points back to it, and whose inode is a socket's. */
static bool is_of(struct linux_kernel *kernel, const struct object *file, uint64_t socket,
		  uint64_t inode)
{
	uint64_t back, type;

	return linux_read_field(kernel, socket, &kernel->layout.socket_file, &back) == READ_OK &&
	       back == file->address && read_type(kernel, inode, &type) == READ_OK &&
	       type == TYPE_SOCKET;
}

/*
 * The kernel allocates a socket and its inode as one structure, and the file points to both. Where
 * it does not, one of the pointers may be damaged: then it is a socket's all the same if the inode
 * is that of a socket, unless the file was opened with O_PATH, or if the socket knows the file.
 */
enum read_result linux_file_socket(struct linux_kernel *kernel, const struct object *file,
				   uint64_t *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_socket);
	uint64_t mask = kernel->word_size == 4 ? UINT32_MAX : UINT64_MAX, type = 0;
	uint64_t distance = layout->socket_alloc_inode.offset - layout->socket_alloc_socket.offset;
	uint64_t socket = object_u64(file, &layout->file_private);
	uint64_t inode = object_u64(file, &layout->file_inode);
	enum read_result result;

	*ret = socket;
	if (socket && inode == ((socket + distance) & mask))
		return READ_OK;
	if (socket && is_of(kernel, file, socket, (socket + distance) & mask))
		return READ_OK;
	*ret = 0;
	result = read_type(kernel, inode, &type);
	if (result == READ_OK && type == TYPE_SOCKET &&
	    !(object_u64(file, &layout->file_mode) & MODE_PATH))
		*ret = (inode - distance) & mask;
	return result;
}

/* The kernel has each of the two lead to the other. */
static enum read_result check_back(struct linux_kernel *kernel, uint64_t sock, uint64_t socket)
{
	uint64_t back = 0;
	enum read_result result;

	if (!linux_has_field(kernel, &kernel->layout.table_sock_socket))
		return READ_OK;
	result = linux_read_field(kernel, sock, &kernel->layout.table_sock_socket, &back);
	return result == READ_OK && back != socket ? READ_BAD_DATA : result;
}

void linux_socket_read(struct linux_kernel *kernel, uint64_t address, struct linux_socket *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_socket);
	uint64_t sock = 0;

	ret->address = address;
	ret->is_bare = false;
	ret->family = 0;
	ret->type_result = linux_read_field(kernel, address, &layout->socket_type, &ret->type);
	ret->result = linux_read_field(kernel, address, &layout->socket_sk, &sock);
	if (ret->result == READ_OK)
		ret->result =
		    sock ? linux_read_object(kernel, LAYOUT_sock, sock, &ret->sock) : READ_NONE;
	if (ret->result == READ_OK)
		ret->result = check_back(kernel, sock, address);
	ret->protocol_result = ret->result;
	if (ret->result != READ_OK)
		return;
	ret->family = object_u64(&ret->sock, &layout->sock_family);
	ret->state = object_u64(&ret->sock, &layout->sock_state);
	ret->protocol = object_u64(&ret->sock, &layout->sock_protocol);
	if (!layout->sock_protocol.present)
		ret->protocol_result = READ_NO_LAYOUT;
	if (ret->family != LINUX_FAMILY_PACKET)
		return;
	/* It keeps its own, in network byte order; sk_protocol stays 0. */
	ret->protocol_result =
	    linux_read_field(kernel, sock, &layout->packet_sock_protocol, &ret->protocol);
	ret->protocol = ntohs((uint16_t)ret->protocol);
}

bool linux_socket_is_bare(uint64_t state)
{
	return state == STATE_TIME_WAIT || state == STATE_NEW_SYN_RECV;
}

void linux_socket_read_bare(struct linux_kernel *kernel, uint64_t sock, struct linux_socket *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_socket);
	enum read_result result;

	linux_layout(kernel, LAYOUT_GROUP_socket_table);
	ret->address = 0;
	ret->is_bare = false;
	ret->result = linux_read_object(kernel, LAYOUT_sock_common, sock, &ret->sock);
	ret->type_result = ret->protocol_result = ret->result;
	if (ret->result != READ_OK)
		return;
	ret->family = object_u64(&ret->sock, &layout->sock_family);
	ret->state = object_u64(&ret->sock, &layout->sock_common_state);
	ret->protocol = LINUX_PROTOCOL_TCP;
	ret->type = TYPE_STREAM;
	if (ret->state == STATE_TIME_WAIT) {
		/* The state in which it was closed, if that has not ended yet. */
		result = linux_read_field(kernel, sock, &layout->timewait_state, &ret->state);
		if (result != READ_OK)
			ret->result = result;
	}
	ret->is_bare = linux_socket_is_bare(object_u64(&ret->sock, &layout->sock_common_state));
	if (ret->is_bare)
		return;
	ret->protocol_result =
	    linux_read_field(kernel, sock, &layout->sock_protocol, &ret->protocol);
	ret->type_result = linux_read_field(kernel, sock, &layout->table_sock_type, &ret->type);
	result = linux_read_field(kernel, sock, &layout->table_sock_socket, &ret->address);
	if (result != READ_OK)
		ret->result = result;
}

bool linux_socket_is_inet(const struct linux_socket *socket)
{
	return socket->family == LINUX_FAMILY_INET || socket->family == LINUX_FAMILY_INET6;
}

enum read_result linux_socket_side(struct linux_kernel *kernel, const struct linux_socket *socket,
				   bool remote, struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	bool wide = socket->family == LINUX_FAMILY_INET6;
	const struct field *field = remote ? &layout->sock_remote : &layout->sock_local;
	char text[INET6_ADDRSTRLEN];

	if (wide)
		field = remote ? &layout->sock_remote6 : &layout->sock_local6;
	if (socket->result != READ_OK)
		return socket->result;
	/* An SCTP socket has lists of addresses. */
	if (!linux_socket_is_inet(socket) || socket->protocol == LINUX_PROTOCOL_SCTP)
		return READ_NONE;
	if (!field->present || field->offset + (wide ? 16 : 4) > socket->sock.size)
		return READ_NO_LAYOUT;
	inet_ntop(wide ? AF_INET6 : AF_INET, socket->sock.data + field->offset, text, sizeof(text));
	return buffer_append_string(ret, text) ? READ_OK : READ_NO_MEMORY;
}

enum read_result linux_socket_port(struct linux_kernel *kernel, const struct linux_socket *socket,
				   bool remote, int64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	const struct field *field = remote ? &layout->sock_remote_port : &layout->sock_local_port;

	if (socket->result != READ_OK)
		return socket->result;
	if (!linux_socket_is_inet(socket) || (remote && socket->protocol == LINUX_PROTOCOL_SCTP))
		return READ_NONE;
	if (!field->present)
		return READ_NO_LAYOUT;
	*ret = (int64_t)object_u64(&socket->sock, field);
	/* The remote port is kept in network byte order, the own one is not. */
	if (remote)
		*ret = ntohs((uint16_t)*ret);
	return READ_OK;
}

enum read_result linux_socket_path(struct linux_kernel *kernel, const struct linux_socket *socket,
				   struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t place, size;
	char name[MAX_UNIX_ADDRESS];
	enum read_result result;

	if (socket->result != READ_OK)
		return socket->result;
	if (socket->family != LINUX_FAMILY_UNIX)
		return READ_NONE;
	result = linux_read_field(kernel, socket->sock.address, &layout->unix_sock_addr, &place);
	if (result == READ_OK && !place)
		return READ_NONE;
	if (result == READ_OK)
		result = linux_read_field(kernel, place, &layout->unix_address_size, &size);
	if (result != READ_OK)
		return result;
	if (!layout->unix_address_name.present)
		return READ_NO_LAYOUT;
	if (size <= FAMILY_SIZE || size > sizeof(name) + 1)
		return READ_BAD_DATA;
	size -= FAMILY_SIZE;
	result =
	    linux_read(kernel, place + layout->unix_address_name.offset + FAMILY_SIZE, name, size);
	if (result != READ_OK)
		return result;
	/* Only the name of a file ends with a NUL. */
	if (name[0])
		size = strnlen(name, size);
	for (char *at = name; (at = memchr(at, '\0', size - (size_t)(at - name)));)
		*at = '@';
	return buffer_append(ret, name, size) ? READ_OK : READ_NO_MEMORY;
}

enum read_result linux_socket_state(struct linux_kernel *kernel, const struct linux_socket *socket,
				    const char **ret)
{
	/* include/net/tcp_states.h; the names are those of osquery. */
	static const char *const names[] =
	    {
		NULL,        "ESTABLISHED", "SYN_SENT", "SYN_RECV",   "FIN_WAIT1",
		"FIN_WAIT2", "TIME_WAIT",   "CLOSED",   "CLOSE_WAIT", "LAST_ACK",
		"LISTEN",    "CLOSING",     "SYN_RECV", /* NEW_SYN_RECV, which ss and netstat show
							   so too */
	    };

	if (socket->result != READ_OK)
		return socket->result;
	if (socket->family != LINUX_FAMILY_UNIX &&
	    (!linux_socket_is_inet(socket) ||
	     (socket->protocol != LINUX_PROTOCOL_TCP && socket->protocol != LINUX_PROTOCOL_MPTCP)))
		return READ_NONE;
	if (!kernel->layout.sock_state.present)
		return READ_NO_LAYOUT;
	if (socket->state >= ARRAY_SIZE(names) || !names[socket->state])
		return READ_BAD_DATA;
	*ret = names[socket->state];
	return READ_OK;
}

/* Whether such a socket has connections, so that its state says whether it listens. */
static bool has_connections(const struct linux_socket *socket)
{
	return socket->type == TYPE_STREAM || socket->type == TYPE_SEQPACKET ||
	       socket->type == TYPE_DCCP;
}

enum read_result linux_socket_listens(struct linux_kernel *kernel,
				      const struct linux_socket *socket, bool *ret)
{
	const struct layout *layout = &kernel->layout;
	enum read_result result = socket->result;
	uint64_t value = 0;

	*ret = false;
	if (result == READ_OK && socket->family == LINUX_FAMILY_UNIX) {
		result =
		    linux_read_field(kernel, socket->sock.address, &layout->unix_sock_addr, &value);
		*ret = result == READ_OK && value;
		return result;
	}
	if (result != READ_OK || !linux_socket_is_inet(socket))
		return result;
	if (socket->type_result != READ_OK)
		return socket->type_result;
	if (!layout->sock_state.present || !layout->sock_local_port.present ||
	    !layout->sock_remote_port.present)
		return READ_NO_LAYOUT;
	if (has_connections(socket))
		*ret = socket->state == STATE_LISTEN;
	else
		*ret = object_u64(&socket->sock, &layout->sock_local_port) &&
		       !object_u64(&socket->sock, &layout->sock_remote_port);
	return READ_OK;
}

enum read_result linux_socket_inode(struct linux_kernel *kernel, uint64_t address, uint64_t *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_socket);
	uint64_t inode =
	    address + layout->socket_alloc_inode.offset - layout->socket_alloc_socket.offset;

	return address ? linux_read_field(kernel, inode, &layout->inode_ino, ret) : READ_NONE;
}

enum read_result linux_socket_namespace(struct linux_kernel *kernel,
					const struct linux_socket *socket, uint64_t *ret)
{
	const struct layout *layout = &kernel->layout;

	if (socket->result != READ_OK)
		return socket->result;
	if (!layout->sock_net.present)
		return READ_NO_LAYOUT;
	return linux_read_field(kernel, object_u64(&socket->sock, &layout->sock_net),
				&layout->net_inum, ret);
}
