/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/process_sockets.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id; -1: no process has it among its files")                       \
	X(port, INTEGER, "port (IPv4, IPv6); of a raw socket the protocol")                        \
	X(protocol, INTEGER, "protocol: 6 TCP, 17 UDP …; 0 of a UNIX socket")                      \
	X(family, INTEGER, "address family: 1 UNIX, 2 IPv4, 10 IPv6")                              \
	X(address, TEXT, "own address; 0.0.0.0 or ::: any. Not of SCTP, which has several")        \
	X(fd, INTEGER, "descriptor; -1 if no process has it")                                      \
	X(socket, INTEGER, "inode number of the socket")                                           \
	X(path, TEXT, "path of a UNIX socket; in the abstract name space each NUL is '@'")         \
	X(net_namespace, INTEGER, "number of the socket's namespace, as in /proc/PID/ns/net")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct listening_ports {
	struct process_sockets sockets;
	const struct view_request *request;
};

static struct nunchi_error *listening_ports_open(void *data, struct guest_kernel *guest,
						 const struct view_request *request)
{
	struct listening_ports *state = data;

	state->request = request;
	return process_sockets_open(&state->sockets, guest, request->numbers[COLUMN_pid],
				    request->numbers[COLUMN_fd]);
}

static bool fill(void *data, struct view_row *row)
{
	struct listening_ports *state = data;
	struct process_sockets *sockets = &state->sockets;
	const struct linux_socket *socket = &sockets->socket;
	enum read_result result;
	bool listens = false;

	if (!process_sockets_get(sockets, row))
		return false;
	process_sockets_read(sockets);
	result = linux_socket_listens(sockets->files.processes.kernel, socket, &listens);
	process_walk_warn(&sockets->files.processes, row, result,
			  "some of its sockets cannot be read, and may be listening");
	if (!listens)
		return false;
	row_socket_owner(row, COLUMN_pid, COLUMN_fd, COLUMN_socket, sockets);
	row_integer(row, COLUMN_family, (int64_t)socket->family);
	row_read_integer(row, COLUMN_protocol, socket->protocol_result, (int64_t)socket->protocol);
	row_socket_side(row, COLUMN_address, sockets, false);
	row_socket_port(row, COLUMN_port, sockets, false);
	if (view_wants(state->request, COLUMN_path))
		row_socket_path(row, COLUMN_path, sockets);
	if (view_wants(state->request, COLUMN_net_namespace))
		row_socket_namespace(row, COLUMN_net_namespace, sockets);
	return true;
}

static struct nunchi_error *listening_ports_next(void *data, struct view_row *row)
{
	struct listening_ports *state = data;

	return process_sockets_next(&state->sockets, row, UINT64_MAX, fill, state);
}

static void listening_ports_close(void *data)
{
	struct listening_ports *state = data;

	process_sockets_close(&state->sockets);
}

const struct view view_listening_ports = {
    .schema = {"listening_ports", "ports and paths at which processes take what others send",
	       columns, ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_pid) | VIEW_COLUMN_BIT(COLUMN_fd) |
		      VIEW_COLUMN_BIT(COLUMN_protocol) | VIEW_COLUMN_BIT(COLUMN_address) |
		      VIEW_COLUMN_BIT(COLUMN_port) | VIEW_COLUMN_BIT(COLUMN_net_namespace)},
    .providers = {{&guest_linux, sizeof(struct listening_ports), listening_ports_open,
		   listening_ports_next, listening_ports_close}},
};
