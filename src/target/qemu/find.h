/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the QEMU process for a word of the user, and connects to its QMP socket. */
#ifndef NUNCHI_TARGET_QEMU_FIND_H
#define NUNCHI_TARGET_QEMU_FIND_H

#include "core/buffer.h"
#include "core/error.h"
#include "target/qemu/process.h"
#include "target/qemu/qmp_client.h"

/*
 * Finds the process for NAME, PID or SOCKET (without "qemu:"). If the word is a socket, it is
 * stored in *ret_socket, which the caller frees; otherwise *ret_socket is NULL.
 * NUNCHI_ERROR_NOT_FOUND, or _AMBIGUOUS with the processes and their owners to choose from.
 */
struct nunchi_error *qemu_find(const char *word, struct qemu_process *ret, char **ret_socket);

/*
 * Makes a QMP connection that accepts commands: on the given socket (may be NULL), or on any other
 * socket of the process, or through libvirt where that holds the process's monitor (libvirt.h).
 * NUNCHI_ERROR_BUSY with the name of the client that uses the socket,
 * _UNSUPPORTED if there is no socket.
 */
struct nunchi_error *qemu_connect(const struct qemu_process *process, const char *socket,
				  const struct qmp_wait *wait, struct qmp_client **ret);

/* Connects to all sockets of a process, without negotiating. Returns the number of connections. */
size_t qemu_connect_all(const struct qemu_process *process, const char *socket,
			struct qmp_client *clients[CMDLINE_SOCKETS_MAX + 1],
			struct nunchi_error **ret_err);

/*
 * The word for target_open() that means this process: "qemu:NAME", or "qemu:PID" if the name means
 * another guest, or several, or has characters that may look like others.
 */
char *qemu_target_word(const struct qemu_process *process, const struct qemu_processes *all);

/* How many guests the name may mean, as in qemu_find(). */
size_t qemu_count_named(const struct qemu_processes *all, const char *name);

#endif
