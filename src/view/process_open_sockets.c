/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/process_sockets.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id; -1: no process has it among its files")                       \
	X(fd, INTEGER, "descriptor; -1 if no process has it")                                      \
	X(socket, INTEGER, "inode number of the socket")                                           \
	X(family, INTEGER, "address family: 1 UNIX, 2 IPv4, 10 IPv6, 16 netlink, 17 packet …")     \
	X(protocol, INTEGER, "protocol: 6 TCP, 17 UDP …; that of Ethernet for a packet socket")    \
	X(local_address, TEXT, "own address (IPv4, IPv6); not of SCTP, which has several")         \
	X(remote_address, TEXT, "address of the other end; 0.0.0.0 or :: if not connected")        \
	X(local_port, INTEGER, "own port; 0: not bound; of a raw socket the protocol")             \
	X(remote_port, INTEGER, "port of the other end; 0 if not connected")                       \
	X(path, TEXT, "path of a UNIX socket; in the abstract name space each NUL is '@'")         \
	X(state, TEXT, "of TCP and UNIX sockets: LISTEN, ESTABLISHED, CLOSED …")                   \
	X(net_namespace, INTEGER, "number of the socket's namespace, as in /proc/PID/ns/net")      \
	X(recv_queue, INTEGER,                                                                     \
	  "bytes not read yet, as ss has it; listening: connections to accept")                    \
	X(send_queue, INTEGER, "bytes not acknowledged or sent; listening: limit of recv_queue")   \
	X(type, TEXT, "stream, dgram, raw, seqpacket …, or its number")                            \
	X(sock, ADDRESS, "address of its struct sock")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* The columns that need no more than the table of files. */
#define OF_FILES                                                                                   \
	(VIEW_COLUMN_BIT(COLUMN_pid) | VIEW_COLUMN_BIT(COLUMN_fd) | VIEW_COLUMN_BIT(COLUMN_socket))

/* Columns that change all the time while a socket is used. */
#define UNSTABLE (VIEW_COLUMN_BIT(COLUMN_recv_queue) | VIEW_COLUMN_BIT(COLUMN_send_queue))

struct open_sockets {
	struct process_sockets sockets;
	const struct view_request *request;
};

static struct nunchi_error *open_sockets_open(void *data, struct guest_kernel *guest,
					      const struct view_request *request)
{
	struct open_sockets *state = data;

	state->request = request;
	return process_sockets_open(&state->sockets, guest, request->numbers[COLUMN_pid],
				    request->numbers[COLUMN_fd]);
}

static void put_type(struct open_sockets *state, struct view_row *row)
{
	/* include/linux/net.h */
	static const char *const names[] = {
	    [1] = "stream",    [2] = "dgram", [3] = "raw",     [4] = "rdm",
	    [5] = "seqpacket", [6] = "dccp",  [10] = "packet",
	};
	const struct linux_socket *socket = &state->sockets.socket;
	struct buffer *text = &state->sockets.files.processes.text;

	buffer_clear(text);
	if (socket->type < ARRAY_SIZE(names) && names[socket->type])
		buffer_append_string(text, names[socket->type]);
	else
		buffer_append_unsigned(text, socket->type, 10, 1);
	row_read_text(row, COLUMN_type, socket->type_result, text);
}

static void put_state(struct open_sockets *state, struct view_row *row)
{
	struct process_walk *processes = &state->sockets.files.processes;
	const char *name = "";
	enum read_result result =
	    linux_socket_state(processes->kernel, &state->sockets.socket, &name);

	buffer_clear(&processes->text);
	buffer_append_string(&processes->text, name);
	row_read_text(row, COLUMN_state, result, &processes->text);
}

static void put_queues(struct open_sockets *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->sockets.files.processes.kernel;
	enum read_result result;
	int64_t bytes = 0;

	if (view_wants(state->request, COLUMN_recv_queue)) {
		result = linux_socket_received(kernel, &state->sockets.socket, &bytes);
		row_read_integer(row, COLUMN_recv_queue, result, bytes);
	}
	if (view_wants(state->request, COLUMN_send_queue)) {
		result = linux_socket_sent(kernel, &state->sockets.socket, &bytes);
		row_read_integer(row, COLUMN_send_queue, result, bytes);
	}
}

static void put_socket(struct open_sockets *state, struct view_row *row)
{
	struct process_sockets *sockets = &state->sockets;
	const struct linux_socket *socket = &sockets->socket;

	row_read_integer(row, COLUMN_family, socket->result, (int64_t)socket->family);
	row_read_integer(row, COLUMN_protocol, socket->protocol_result, (int64_t)socket->protocol);
	row_read_address(row, COLUMN_sock, socket->result, socket->sock.address);
	put_type(state, row);
	row_socket_side(row, COLUMN_local_address, sockets, false);
	row_socket_side(row, COLUMN_remote_address, sockets, true);
	row_socket_port(row, COLUMN_local_port, sockets, false);
	row_socket_port(row, COLUMN_remote_port, sockets, true);
	put_state(state, row);
	put_queues(state, row);
	if (view_wants(state->request, COLUMN_path))
		row_socket_path(row, COLUMN_path, sockets);
	if (view_wants(state->request, COLUMN_net_namespace))
		row_socket_namespace(row, COLUMN_net_namespace, sockets);
}

static bool fill(void *data, struct view_row *row)
{
	struct open_sockets *state = data;
	struct process_sockets *sockets = &state->sockets;

	if (!process_sockets_get(sockets, row))
		return false;
	row_socket_owner(row, COLUMN_pid, COLUMN_fd, COLUMN_socket, sockets);
	if (!(state->request->columns & ~OF_FILES))
		return true;
	process_sockets_read(sockets);
	put_socket(state, row);
	return true;
}

static struct nunchi_error *open_sockets_next(void *data, struct view_row *row)
{
	struct open_sockets *state = data;

	return process_sockets_next(&state->sockets, row, ~UNSTABLE, fill, state);
}

static void open_sockets_close(void *data)
{
	struct open_sockets *state = data;

	process_sockets_close(&state->sockets);
}

const struct view view_process_open_sockets = {
    .schema =
	{"process_open_sockets",
	 "sockets of processes, of closed connections and of the kernel, in all network namespaces",
	 columns, ARRAY_SIZE(columns),
	 .key = VIEW_COLUMN_BIT(COLUMN_pid) | VIEW_COLUMN_BIT(COLUMN_fd) |
		VIEW_COLUMN_BIT(COLUMN_sock),
	 .changing = UNSTABLE},
    .providers = {{&guest_linux, sizeof(struct open_sockets), open_sockets_open, open_sockets_next,
		   open_sockets_close}},
};
