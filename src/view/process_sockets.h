/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk over the sockets of all processes, and then over those of TCP and UDP that no process
 * holds, which the views of sockets share.
 */
#ifndef NUNCHI_VIEW_PROCESS_SOCKETS_H
#define NUNCHI_VIEW_PROCESS_SOCKETS_H

#include "guest/linux/socket.h"
#include "guest/linux/socket_tables.h"
#include "view/process_files.h"

/* As osquery has it, instead of the process and of the descriptor. */
#define NO_PROCESS (-1)

struct process_sockets {
	struct process_files files;
	/* Sockets that processes hold, by the addresses of their structs socket. */
	struct hash_map held;
	struct linux_socket_tables tables; /* with all sockets, if those of no process are shown */
	bool collects;                     /* the tables are yet to be walked */
	size_t next;                       /* of these */
	const struct linux_table_socket *own; /* the current one if no process holds it, or NULL */
	enum read_result own_result;          /* whether it is known that no process holds it */
	struct linux_open_file file;          /* the current descriptor's, if one does */
	uint64_t address;                     /* of the struct socket, or 0 */
	struct linux_socket socket;           /* after process_sockets_read() */
};

/* Begins a walk. If this fails, nothing is to be closed. */
struct nunchi_error *process_sockets_open(struct process_sockets *walk, struct guest_kernel *guest,
					  const struct number_filter *pids,
					  const struct number_filter *fds);
void process_sockets_close(struct process_sockets *walk);
/*
 * For fill(): whether there is a socket: the current descriptor may be another file. Warns if this
 * cannot be known. On a running guest it may be closed meanwhile; then it is none.
 */
bool process_sockets_get(struct process_sockets *walk, struct view_row *row);
/* For fill(), after process_sockets_get(): reads the socket. */
void process_sockets_read(struct process_sockets *walk);
/* As process_files_next(); then the sockets of no process. */
struct nunchi_error *process_sockets_next(struct process_sockets *walk, struct view_row *row,
					  uint64_t stable,
					  bool (*fill)(void *state, struct view_row *row),
					  void *state);

/* Sets the cells that say who has the socket, after process_sockets_get(). */
void row_socket_owner(struct view_row *row, unsigned pid, unsigned fd, unsigned inode,
		      struct process_sockets *walk);
/* Set a cell to what was read of the socket: an address, a port, the path, the namespace. */
void row_socket_side(struct view_row *row, unsigned column, struct process_sockets *walk,
		     bool remote);
void row_socket_port(struct view_row *row, unsigned column, struct process_sockets *walk,
		     bool remote);
void row_socket_path(struct view_row *row, unsigned column, struct process_sockets *walk);
void row_socket_namespace(struct view_row *row, unsigned column, struct process_sockets *walk);

#endif
