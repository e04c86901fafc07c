/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/process_sockets.h"

static struct nunchi_error *check(struct linux_kernel *kernel)
{
	struct nunchi_error *err = linux_files_check(kernel);

	return err ? err : linux_sockets_check(kernel);
}

struct nunchi_error *process_sockets_open(struct process_sockets *walk, struct guest_kernel *guest,
					  const struct number_filter *pids,
					  const struct number_filter *fds)
{
	bool all = number_filter_passes(pids, NO_PROCESS) && number_filter_passes(fds, NO_PROCESS);
	struct nunchi_error *err;

	/* To know those that no process holds takes those of all processes. */
	err = process_files_open(&walk->files, guest, all ? NULL : pids, all ? NULL : fds, check);
	if (err || !all)
		return err;
	walk->tables.kernel = walk->files.processes.kernel;
	walk->collects = true;
	return NULL;
}

void process_sockets_close(struct process_sockets *walk)
{
	process_files_close(&walk->files);
	linux_socket_tables_deinit(&walk->tables);
	hash_map_deinit(&walk->held);
	linux_socket_deinit(&walk->socket);
}

/*
 * Gets the current file, and its socket if it is one; READ_NONE if it is not open any more. On a
 * running guest it may be closed meanwhile, and its memory be used again: then the descriptor
 * refers to another file.
 */
static enum read_result find_socket(struct process_sockets *walk)
{
	enum read_result result = READ_NONE;
	uint64_t before = 0;

	for (int tries = 0; tries < 4; tries++) {
		if (!process_files_get(&walk->files, &walk->file))
			return READ_NONE;
		result = walk->file.result;
		if (result == READ_OK)
			result = linux_file_socket(walk->files.processes.kernel, &walk->files.file,
						   &walk->address);
		if (result == READ_OK || walk->file.file == before)
			break;
		before = walk->file.file;
	}
	return result;
}

/*
 * Whether the current socket of the tables is one that no process holds. On a running guest it may
 * be gone meanwhile, or have been accepted.
 */
static bool is_of_no_process(struct process_sockets *walk)
{
	struct linux_kernel *kernel = walk->tables.kernel;
	const struct linux_table_socket *own = walk->own;
	enum read_result result = linux_socket_of(kernel, own->sock, &walk->address);

	walk->own_result = result;
	if (result == READ_OK && walk->address && hash_map_find(&walk->held, walk->address))
		return false;
	return !kernel->guest.live ||
	       (result == READ_OK && (!walk->address || walk->address == own->socket) &&
		linux_socket_is_in_table(kernel, own->sock));
}

bool process_sockets_get(struct process_sockets *walk, struct view_row *row)
{
	enum read_result result;

	if (walk->own)
		return is_of_no_process(walk);
	result = find_socket(walk);
	process_walk_warn(&walk->files.processes, row, result,
			  "some of its open files cannot be read, and may be sockets");
	if (result != READ_OK || !walk->address)
		return false;
	if (walk->tables.count && hash_map_insert(&walk->held, walk->address, 0) == HASH_NOMEM)
		row_unread(row, 0, READ_NO_MEMORY);
	return true;
}

void process_sockets_read(struct process_sockets *walk)
{
	struct linux_kernel *kernel = walk->files.processes.kernel;

	if (walk->own)
		linux_socket_read_bare(kernel, walk->own->sock, &walk->socket);
	else
		linux_socket_read(kernel, walk->address, &walk->socket);
}

struct nunchi_error *process_sockets_next(struct process_sockets *walk, struct view_row *row,
					  uint64_t stable,
					  bool (*fill)(void *state, struct view_row *row),
					  void *state)
{
	struct linux_socket_tables *tables = &walk->tables;
	struct nunchi_error *err = NULL;

	/* Before the processes are walked: what a process opens meanwhile is not among them. */
	if (walk->collects)
		linux_socket_tables_collect(tables);
	walk->collects = false;
	if (!walk->own)
		err = process_files_next(&walk->files, row, stable, fill, state);
	if (!walk->own && err != &error_stop)
		return err;
	if (!walk->own && tables->broken)
		row_warn(row, "some sockets that no process holds may be missing: %s",
			 read_result_string(tables->broken));
	while (walk->next < tables->count) {
		walk->own = &tables->items[walk->next++];
		if (row_settle(row, &tables->kernel->guest, stable, fill, state))
			return NULL;
	}
	return &error_stop;
}

void row_socket_owner(struct view_row *row, unsigned pid, unsigned fd, unsigned inode,
		      struct process_sockets *walk)
{
	struct linux_kernel *kernel = walk->files.processes.kernel;
	uint64_t number = 0;
	enum read_result result;

	if (!walk->own) {
		row_integer(row, pid, walk->files.processes.pid);
		row_integer(row, fd, (int64_t)walk->files.fd);
		row_read_integer(row, inode, walk->file.inode_result, (int64_t)walk->file.inode);
		return;
	}
	row_read_integer(row, pid, walk->own_result, NO_PROCESS);
	row_read_integer(row, fd, walk->own_result, NO_PROCESS);
	result = linux_socket_inode(kernel, walk->address, &number);
	row_read_integer(row, inode, result, (int64_t)number);
}

void row_socket_side(struct view_row *row, unsigned column, struct process_sockets *walk,
		     bool remote)
{
	struct process_walk *processes = &walk->files.processes;
	enum read_result result;

	buffer_clear(&processes->text);
	result = linux_socket_side(processes->kernel, &walk->socket, remote, &processes->text);
	row_read_text(row, column, result, &processes->text);
}

void row_socket_port(struct view_row *row, unsigned column, struct process_sockets *walk,
		     bool remote)
{
	int64_t port = 0;
	enum read_result result =
	    linux_socket_port(walk->files.processes.kernel, &walk->socket, remote, &port);

	row_read_integer(row, column, result, port);
}

void row_socket_path(struct view_row *row, unsigned column, struct process_sockets *walk)
{
	struct process_walk *processes = &walk->files.processes;
	enum read_result result;

	buffer_clear(&processes->text);
	result = linux_socket_path(processes->kernel, &walk->socket, &processes->text);
	row_read_text(row, column, result, &processes->text);
}

void row_socket_namespace(struct view_row *row, unsigned column, struct process_sockets *walk)
{
	uint64_t number = 0;
	enum read_result result =
	    linux_socket_namespace(walk->files.processes.kernel, &walk->socket, &number);

	row_read_integer(row, column, result, (int64_t)number);
}
