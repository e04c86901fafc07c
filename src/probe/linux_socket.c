/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_socket.h"

#include "core/bytes.h"

#include <arpa/inet.h>
#include <string.h>

/* include/linux/socket.h; those of this host may have other numbers. */
enum { FAMILY_UNSPEC = 0, FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10 };
/* The size of a struct sockaddr_un, the largest of the addresses that are shown. */
#define MAX_ADDRESS 110
#define IPV4_SIZE   4
#define IPV6_SIZE   16

struct name {
	uint64_t number;
	const char *name;
};

static const struct name families[] = {
    {FAMILY_UNSPEC, "unspec"},
    {FAMILY_UNIX, "unix"},
    {FAMILY_INET, "inet"},
    {3, "ax25"},
    {4, "ipx"},
    {5, "appletalk"},
    {FAMILY_INET6, "inet6"},
    {15, "key"},
    {16, "netlink"},
    {17, "packet"},
    {21, "rds"},
    {29, "can"},
    {30, "tipc"},
    {31, "bluetooth"},
    {38, "alg"},
    {40, "vsock"},
    {42, "qipcrtr"},
    {44, "xdp"},
    {45, "mctp"},
};

/* include/uapi/linux/in.h */
static const struct name protocols[] = {
    {1, "icmp"},   {2, "igmp"},      {6, "tcp"},   {17, "udp"},    {33, "dccp"},
    {41, "ipv6"},  {47, "gre"},      {50, "esp"},  {51, "ah"},     {58, "icmpv6"},
    {132, "sctp"}, {136, "udplite"}, {255, "raw"}, {262, "mptcp"},
};

static void set_name(struct probe_hit *hit, unsigned column, const struct name *names, size_t count,
		     uint64_t number)
{
	struct buffer *text = &linux_hit_of(hit)->text;

	for (size_t i = 0; i < count; i++) {
		if (names[i].number == number) {
			row_string(hit->row, column, names[i].name);
			return;
		}
	}
	buffer_clear(text);
	buffer_append_unsigned(text, number, 10, 1);
	row_text(hit->row, column, text->data, text->size);
}

static void set_family(struct probe_hit *hit, unsigned first, uint64_t family)
{
	set_name(hit, first + SOCKET_family, families, ARRAY_SIZE(families), family);
}

/* None of the columns applies until one is set. */
static void set_none(struct probe_hit *hit, unsigned first)
{
	for (unsigned i = 0; i < SOCKET_COLUMN_COUNT; i++) {
		const struct nunchi_cell *cell = row_cell(hit->row, first + i);

		if (cell->kind != NUNCHI_CELL_VALUE)
			row_absent(hit->row, first + i, NUNCHI_ABSENT_NOT_APPLICABLE);
	}
}

static void set_address(struct probe_hit *hit, unsigned column, int family, const void *bytes)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(family, bytes, text, sizeof(text)))
		row_string(hit->row, column, text);
}

/* An address without a port is of no use where the port is 0: the side is not bound. */
static void set_side(struct probe_hit *hit, unsigned first, bool remote, int family,
		     const void *address, uint16_t port)
{
	set_address(hit, first + (remote ? SOCKET_remote_address : SOCKET_local_address), family,
		    address);
	row_integer(hit->row, first + (remote ? SOCKET_remote_port : SOCKET_local_port), port);
}

/* ---- struct sock ----------------------------------------------------------------------------- */

/* Reads the address of one side, of 4 or 16 bytes. */
static bool read_address(struct linux_kernel *kernel, uint64_t sock, bool wide, bool remote,
			 uint8_t *ret)
{
	const struct layout *layout = &kernel->layout;
	const struct field *field = remote ? &layout->sock_remote : &layout->sock_local;

	if (wide)
		field = remote ? &layout->sock_remote6 : &layout->sock_local6;
	return field->present && linux_read(kernel, sock + field->offset, ret,
					    wide ? IPV6_SIZE : IPV4_SIZE) == READ_OK;
}

static void set_inet(struct probe_hit *hit, unsigned first, uint64_t sock, bool wide, bool remote)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	const struct layout *layout = &kernel->layout;
	int family = wide ? AF_INET6 : AF_INET;
	uint8_t address[IPV6_SIZE];
	uint64_t port;

	if (linux_read_field(kernel, sock, &layout->sock_local_port, &port) == READ_OK && port &&
	    read_address(kernel, sock, wide, false, address))
		set_side(hit, first, false, family, address, (uint16_t)port);
	/* The remote port is kept in network byte order, the own one is not. */
	if (remote && linux_read_field(kernel, sock, &layout->sock_remote_port, &port) == READ_OK &&
	    read_address(kernel, sock, wide, true, address))
		set_side(hit, first, true, family, address,
			 (uint16_t)((port & 0xff) << 8 | (port >> 8 & 0xff)));
}

void hit_sock(struct probe_hit *hit, unsigned first, uint64_t sock, bool remote)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t family = 0, protocol = 0;
	enum read_result result;

	result = linux_read_field(kernel, sock, &layout->sock_family, &family);
	if (result != READ_OK) {
		for (unsigned i = 0; i < SOCKET_COLUMN_COUNT; i++)
			row_unread(hit->row, first + i, result);
		return;
	}
	set_family(hit, first, family);
	if (family == FAMILY_INET || family == FAMILY_INET6) {
		if (linux_read_field(kernel, sock, &layout->sock_protocol, &protocol) == READ_OK)
			set_name(hit, first + SOCKET_protocol, protocols, ARRAY_SIZE(protocols),
				 protocol);
		set_inet(hit, first, sock, family == FAMILY_INET6, remote);
	}
	set_none(hit, first);
}

void hit_socket(struct probe_hit *hit, unsigned first, uint64_t socket, bool remote)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	enum read_result result;
	uint64_t sock = 0;

	result = linux_read_field(kernel, socket, &kernel->layout.socket_sk, &sock);
	if (result == READ_OK) {
		hit_sock(hit, first, sock, remote);
		return;
	}
	for (unsigned i = 0; i < SOCKET_COLUMN_COUNT; i++)
		row_unread(hit->row, first + i, result);
}

/* ---- struct sockaddr ------------------------------------------------------------------------- */

/*
 * The size of a path, which ends at its NUL. A name in the abstract name space begins with a NUL,
 * which becomes "@".
 */
static size_t path_size(char *path, size_t size)
{
	if (!size || path[0])
		return strnlen(path, size);
	path[0] = '@';
	return size;
}

/* Reads a socket address into MAX_ADDRESS bytes, the rest of which are 0; *size becomes its size.
 */
static enum read_result read_socket_address(const struct probe_hit *hit, uint64_t address,
					    uint64_t *size, uint8_t *ret)
{
	memset(ret, 0, MAX_ADDRESS);
	if (*size > MAX_ADDRESS)
		*size = MAX_ADDRESS;
	return hit_read(hit, address, ret, *size);
}

bool hit_append_socket_address(const struct probe_hit *hit, uint64_t address, uint64_t size,
			       struct buffer *ret)
{
	uint8_t bytes[MAX_ADDRESS];
	char *path = (char *)bytes + sizeof(uint16_t), text[INET6_ADDRSTRLEN];
	uint16_t family, port;

	if (size < sizeof(family) || read_socket_address(hit, address, &size, bytes) != READ_OK)
		return false;
	family = load_le16(bytes);
	port = load_be16(bytes + 2);
	if (family == FAMILY_INET && size >= 8) {
		inet_ntop(AF_INET, bytes + 4, text, sizeof(text));
		buffer_printf(ret, "{inet %s:%u}", text, port);
	} else if (family == FAMILY_INET6 && size >= 24) {
		inet_ntop(AF_INET6, bytes + 8, text, sizeof(text));
		buffer_printf(ret, "{inet6 [%s]:%u}", text, port);
	} else if (family == FAMILY_UNIX) {
		buffer_append_string(ret, "{unix ");
		hit_append_quoted(path, path_size(path, size - sizeof(family)), ret);
		buffer_append_char(ret, '}');
	} else {
		return false;
	}
	return true;
}

void hit_socket_address(struct probe_hit *hit, unsigned first, uint64_t address, uint64_t size,
			bool remote)
{
	unsigned column = first + (remote ? SOCKET_remote_address : SOCKET_local_address);
	uint8_t bytes[MAX_ADDRESS];
	char *path = (char *)bytes + sizeof(uint16_t);
	enum read_result result;
	uint16_t family;

	if (size < sizeof(family))
		return;
	result = read_socket_address(hit, address, &size, bytes);
	if (result != READ_OK) {
		row_unread(hit->row, column, result);
		return;
	}
	family = load_le16(bytes);
	set_family(hit, first, family);
	if (family == FAMILY_INET && size >= 8)
		set_side(hit, first, remote, AF_INET, bytes + 4, load_be16(bytes + 2));
	else if (family == FAMILY_INET6 && size >= 24)
		set_side(hit, first, remote, AF_INET6, bytes + 8, load_be16(bytes + 2));
	else if (family == FAMILY_UNIX)
		row_text(hit->row, first + SOCKET_socket, path,
			 path_size(path, size - sizeof(family)));
}

/* ENOTSOCK: what was taken for a struct socket is something else */
#define NOT_A_SOCKET 88

void hit_check_socket(struct probe_hit *hit, unsigned first, unsigned status)
{
	if (row_cell(hit->row, status)->integer != NOT_A_SOCKET)
		return;
	for (unsigned i = 0; i < SOCKET_COLUMN_COUNT; i++)
		row_absent(hit->row, first + i, NUNCHI_ABSENT_NOT_APPLICABLE);
}
