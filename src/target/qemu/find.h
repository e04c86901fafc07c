/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a user's word to a QEMU process, and to its QMP socket.
 */
#ifndef NUNCHI_TARGET_QEMU_FIND_H
#define NUNCHI_TARGET_QEMU_FIND_H

#include "core/buffer.h"
#include "core/error.h"
#include "target/qemu/process.h"
#include "target/qemu/qmp_client.h"

/*
 * The process that NAME, PID or SOCKET (without "qemu:") means. A socket that was named is given
 * in *ret_socket (caller frees), else that is NULL. Fails with NUNCHI_ERROR_NOT_FOUND, or
 * _AMBIGUOUS with the process ids to choose from.
 */
struct nunchi_error *qemu_find(const char *word, struct qemu_process *ret, char **ret_socket);

/*
 * A QMP connection that is ready, on the socket given (may be NULL) or any other that process has.
 * Fails with NUNCHI_ERROR_BUSY and the holder's name, _UNSUPPORTED if there is no socket …
 */
struct nunchi_error *qemu_connect(const struct qemu_process *process, const char *socket,
				  const struct qmp_wait *wait, struct qmp_client **ret);

/* Connections to all sockets of a process, not yet negotiated. Returns how many. */
size_t qemu_connect_all(const struct qemu_process *process, const char *socket,
			struct qmp_client *clients[CMDLINE_SOCKETS_MAX + 1],
			struct nunchi_error **ret_err);

/* What target_open() takes for this process: "qemu:NAME", "qemu:PID" if others have that name. */
char *qemu_target_word(const struct qemu_process *process, const struct qemu_processes *all);

#endif
