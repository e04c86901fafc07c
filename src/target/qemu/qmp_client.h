/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection to a QMP socket. Every wait has a time limit and can be cancelled.
 *
 * QEMU serves one client of a socket at a time. A second client is connected, but receives nothing,
 * not even the greeting, until the first one disconnects. In that case functions fail with
 * NUNCHI_ERROR_BUSY.
 */
#ifndef NUNCHI_TARGET_QEMU_QMP_CLIENT_H
#define NUNCHI_TARGET_QEMU_QMP_CLIENT_H

#include "core/cancel.h"
#include "core/clock.h"
#include "target/qemu/qmp.h"

#include <sys/types.h>

/* Time limit of a command. QEMU's main loop may be blocked by slow disks. */
#define QMP_COMMAND_US 5000000

enum qmp_phase {
	/* the queue of the listening socket is full, and connecting is tried again */
	QMP_PHASE_CONNECTING,
	QMP_PHASE_GREETING,     /* connected, nothing received */
	QMP_PHASE_CAPABILITIES, /* the greeting was received, capabilities are being negotiated */
	QMP_PHASE_READY,        /* commands can be sent */
	QMP_PHASE_DEAD,         /* the connection was closed, or the peer sent invalid data */
};

struct qmp_client;

/* The limit of a wait. */
struct qmp_wait {
	uint64_t deadline_us;        /* time of clock_us() */
	const struct cancel *cancel; /* may be NULL */
};

/*
 * Connects to the socket at path without waiting. The phase is QMP_PHASE_CONNECTING if the socket's
 * queue is full; QEMU's has room for two clients.
 */
struct nunchi_error *qmp_client_create(const char *path, struct qmp_client **ret);
/*
 * Takes over a connected socket (SOCK_NONBLOCK) on which a process of ours, pid, speaks QMP in
 * place of QEMU. The process ends when the connection does, and is waited for then.
 */
struct nunchi_error *qmp_client_attach(int fd, pid_t pid, struct qmp_client **ret);
/* Closes the connection and frees. NULL is accepted. */
void qmp_client_destroy(struct qmp_client *client);

/* Frees without ending the connection, which a forked process goes on to use. NULL is accepted. */
void qmp_client_leave(struct qmp_client *client);

/* The descriptor of the connection, for poll(); owned by the client. */
int qmp_client_fd(const struct qmp_client *client);
/*
 * The process that called listen() on the socket, as the kernel recorded it; 0 if that process is
 * not visible in this PID namespace, or if the client is not connected yet.
 */
pid_t qmp_client_peer(const struct qmp_client *client);
/* Whether a process of ours speaks in place of QEMU (qmp_client_attach()). */
bool qmp_client_is_relayed(const struct qmp_client *client);
enum qmp_phase qmp_client_phase(const struct qmp_client *client);
/* QEMU's version, 0.0 before the greeting. */
unsigned qmp_client_major(const struct qmp_client *client);
unsigned qmp_client_minor(const struct qmp_client *client);
/* Number of RESET events received so far. */
unsigned qmp_client_resets(const struct qmp_client *client);

/*
 * The time when QEMU last stopped or resumed its vCPUs, from its events (its wall clock, in
 * microseconds); 0 if there was no such event on this connection.
 */
uint64_t qmp_client_stopped_us(const struct qmp_client *client);
uint64_t qmp_client_resumed_us(const struct qmp_client *client);

/*
 * Handles the data that has arrived, without waiting, and with one read at most, so that a peer
 * that keeps sending does not block the caller. Returns whether there may be more data. An error
 * sets the phase QMP_PHASE_DEAD.
 */
bool qmp_client_advance(struct qmp_client *client);

/*
 * Waits until one of several connections is ready; *ret is its index. NULL entries are ignored.
 * NUNCHI_ERROR_BUSY if all connections stay silent until the deadline.
 */
struct nunchi_error *qmp_client_negotiate(struct qmp_client *const *clients, size_t count,
					  const struct qmp_wait *wait, size_t *ret);

/*
 * Executes a command. *ret (may be NULL) is a new reference to the returned value. arguments are
 * borrowed. If QEMU answers with an error, fails with NUNCHI_ERROR_UNSUPPORTED.
 */
struct nunchi_error *qmp_client_execute(struct qmp_client *client, const char *command,
					const json_t *arguments, const struct qmp_wait *wait,
					json_t **ret);

/* The same for a command that takes a descriptor, of which QEMU gets a copy. */
struct nunchi_error *qmp_client_execute_with_fd(struct qmp_client *client, const char *command,
						const json_t *arguments, int fd,
						const struct qmp_wait *wait);

/*
 * Executes a command of the human monitor on a vCPU (-1: any vCPU). *ret is its output, which the
 * caller frees.
 */
struct nunchi_error *qmp_client_human(struct qmp_client *client, const char *line, int vcpu,
				      const struct qmp_wait *wait, char **ret);

DEFINE_CLEANUP(struct qmp_client, qmp_client_destroy)
#define _cleanup_qmp_client_ _cleanup_(cleanup_qmp_client_destroy_p)

static inline void cleanup_json_p(json_t **json)
{
	json_decref(*json);
}
#define _cleanup_json_ _cleanup_(cleanup_json_p)

#endif
