/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/socket.h"
#include "view/process_files.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id")                                                              \
	X(fd, INTEGER, "descriptor")                                                               \
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
	X(type, TEXT, "stream, dgram, raw, seqpacket …, or its number")                            \
	X(sock, ADDRESS, "address of its struct sock")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* The columns that need no more than the table of files. */
#define OF_FILES                                                                                   \
	(VIEW_COLUMN_BIT(COLUMN_pid) | VIEW_COLUMN_BIT(COLUMN_fd) | VIEW_COLUMN_BIT(COLUMN_socket))

struct open_sockets {
	struct process_files files;
	const struct view_request *request;
	struct linux_socket socket;
};

static struct nunchi_error *check(struct linux_kernel *kernel)
{
	struct nunchi_error *err = linux_files_check(kernel);

	return err ? err : linux_sockets_check(kernel);
}

static struct nunchi_error *open_sockets_open(void *data, struct guest_kernel *guest,
					      const struct view_request *request)
{
	struct open_sockets *state = data;

	state->request = request;
	return process_files_open(&state->files, guest, request->numbers[COLUMN_pid],
				  request->numbers[COLUMN_fd], check);
}

static void put_text(struct open_sockets *state, struct view_row *row, unsigned column,
		     enum read_result result)
{
	row_read_text(row, column, result, &state->files.processes.text);
	buffer_clear(&state->files.processes.text);
}

static void put_type(struct open_sockets *state, struct view_row *row)
{
	/* include/linux/net.h */
	static const char *const names[] = {
	    [1] = "stream",    [2] = "dgram", [3] = "raw",     [4] = "rdm",
	    [5] = "seqpacket", [6] = "dccp",  [10] = "packet",
	};
	const struct linux_socket *socket = &state->socket;
	struct buffer *text = &state->files.processes.text;

	if (socket->type < ARRAY_SIZE(names) && names[socket->type])
		buffer_append_string(text, names[socket->type]);
	else
		buffer_append_unsigned(text, socket->type, 10, 1);
	put_text(state, row, COLUMN_type, socket->type_result);
}

static void put_sides(struct open_sockets *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->files.processes.kernel;
	const struct linux_socket *socket = &state->socket;
	struct buffer *text = &state->files.processes.text;
	enum read_result result;
	int64_t port = 0;

	put_text(state, row, COLUMN_local_address, linux_socket_side(kernel, socket, false, text));
	put_text(state, row, COLUMN_remote_address, linux_socket_side(kernel, socket, true, text));
	result = linux_socket_port(kernel, socket, false, &port);
	row_read_integer(row, COLUMN_local_port, result, port);
	result = linux_socket_port(kernel, socket, true, &port);
	row_read_integer(row, COLUMN_remote_port, result, port);
}

static void put_socket(struct open_sockets *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->files.processes.kernel;
	struct linux_socket *socket = &state->socket;
	struct buffer *text = &state->files.processes.text;
	enum read_result result;
	const char *name = "";
	uint64_t number = 0;

	buffer_clear(text);
	row_read_integer(row, COLUMN_family, socket->result, (int64_t)socket->family);
	row_read_integer(row, COLUMN_protocol, socket->protocol_result, (int64_t)socket->protocol);
	row_read_address(row, COLUMN_sock, socket->result, socket->sock.address);
	put_type(state, row);
	put_sides(state, row);
	if (view_wants(state->request, COLUMN_path))
		put_text(state, row, COLUMN_path, linux_socket_path(kernel, socket, text));
	result = linux_socket_state(kernel, socket, &name);
	buffer_append_string(text, name);
	put_text(state, row, COLUMN_state, result);
	if (view_wants(state->request, COLUMN_net_namespace)) {
		result = linux_socket_namespace(kernel, socket, &number);
		row_read_integer(row, COLUMN_net_namespace, result, (int64_t)number);
	}
}

/*
 * Gets the current file, and its socket if it is one; READ_NONE if it is not open any more. On a
 * running guest it may be closed meanwhile, and its memory be used again: then the descriptor
 * refers to another file.
 */
static enum read_result find_socket(struct open_sockets *state, struct linux_open_file *ret,
				    uint64_t *ret_socket)
{
	enum read_result result = READ_NONE;
	uint64_t before = 0;

	for (int tries = 0; tries < 4; tries++) {
		if (!process_files_get(&state->files, ret))
			return READ_NONE;
		result = ret->result;
		if (result == READ_OK)
			result = linux_file_socket(state->files.processes.kernel,
						   &state->files.file, ret_socket);
		if (result == READ_OK || ret->file == before)
			break;
		before = ret->file;
	}
	return result;
}

static bool fill(void *data, struct view_row *row)
{
	struct open_sockets *state = data;
	struct process_walk *processes = &state->files.processes;
	struct linux_open_file file;
	enum read_result result;
	uint64_t socket = 0;

	result = find_socket(state, &file, &socket);
	process_walk_warn(processes, row, result,
			  "some of its open files cannot be read, and may be sockets");
	if (result != READ_OK || !socket)
		return false;
	row_integer(row, COLUMN_pid, processes->pid);
	row_integer(row, COLUMN_fd, (int64_t)state->files.fd);
	row_read_integer(row, COLUMN_socket, file.inode_result, (int64_t)file.inode);
	if (!(state->request->columns & ~OF_FILES))
		return true;
	linux_socket_read(processes->kernel, socket, &state->socket);
	put_socket(state, row);
	return true;
}

static struct nunchi_error *open_sockets_next(void *data, struct view_row *row)
{
	struct open_sockets *state = data;

	return process_files_next(&state->files, row, UINT64_MAX, fill, state);
}

static void open_sockets_close(void *data)
{
	struct open_sockets *state = data;

	process_files_close(&state->files);
	linux_socket_deinit(&state->socket);
}

const struct view view_process_open_sockets = {
    .schema = {"process_open_sockets", "sockets that processes hold, of all network namespaces",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct open_sockets), open_sockets_open, open_sockets_next,
		   open_sockets_close}},
};
