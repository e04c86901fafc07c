/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection to a QMP socket. Every wait has an end and looks at the cancel flag.
 *
 * QEMU serves one client of a socket at a time: a second one is connected and hears nothing, not
 * even the greeting, until the first one leaves. That is NUNCHI_ERROR_BUSY here.
 */
#ifndef NUNCHI_TARGET_QEMU_QMP_CLIENT_H
#define NUNCHI_TARGET_QEMU_QMP_CLIENT_H

#include "core/cancel.h"
#include "core/clock.h"
#include "target/qemu/qmp.h"

#include <sys/types.h>

/* How long a command may take: QEMU's main loop may be held up by its disks. */
#define QMP_COMMAND_US 5000000

enum qmp_phase {
	QMP_PHASE_CONNECTING,   /* the queue of the listening socket is full; connecting is tried
				   again */
	QMP_PHASE_GREETING,     /* connected, nothing heard */
	QMP_PHASE_CAPABILITIES, /* greeted, capabilities being settled */
	QMP_PHASE_READY,        /* commands may be sent */
	QMP_PHASE_DEAD,         /* closed, or talking nonsense */
};

struct qmp_client;

/* When a wait ends. */
struct qmp_wait {
	uint64_t deadline_us;        /* on the clock of clock_us() */
	const struct cancel *cancel; /* may be NULL */
};

/*
 * Connects to the socket at path, without waiting for anything: QMP_PHASE_CONNECTING if its queue
 * is full, which QEMU's is with two in it.
 */
struct nunchi_error *qmp_client_create(const char *path, struct qmp_client **ret);
/* NULL is accepted. */
void qmp_client_destroy(struct qmp_client *client);

int qmp_client_fd(const struct qmp_client *client);
/*
 * The process that called listen() on the socket, as the kernel recorded it then; 0 if that process
 * is not visible in our PID namespace, or the client is not connected yet.
 */
pid_t qmp_client_peer(const struct qmp_client *client);
enum qmp_phase qmp_client_phase(const struct qmp_client *client);
/* QEMU's version, 0.0 before its greeting. */
unsigned qmp_client_major(const struct qmp_client *client);
unsigned qmp_client_minor(const struct qmp_client *client);
/* RESET events seen so far. */
unsigned qmp_client_resets(const struct qmp_client *client);

/*
 * When QEMU last stopped its vCPUs, and set them going, by its own events (its wall clock, in
 * microseconds); 0 if it has not, while we were listening.
 */
uint64_t qmp_client_stopped_us(const struct qmp_client *client);
uint64_t qmp_client_resumed_us(const struct qmp_client *client);

/*
 * Takes in what has come, without waiting, and no more than one read's worth of it, so that a peer
 * which talks all the time does not keep the caller. Returns whether there may be more. Errors show
 * as QMP_PHASE_DEAD.
 */
bool qmp_client_advance(struct qmp_client *client);

/*
 * Waits until one of several connections (NULL entries are left out) is ready; *ret is its index.
 * NUNCHI_ERROR_BUSY if all that live stay silent until the deadline.
 */
struct nunchi_error *qmp_client_negotiate(struct qmp_client *const *clients, size_t count,
					  const struct qmp_wait *wait, size_t *ret);

/*
 * Runs a command. *ret (may be NULL) is a new reference to what it returned. arguments are
 * borrowed. An error answer of QEMU's is NUNCHI_ERROR_UNSUPPORTED.
 */
struct nunchi_error *qmp_client_execute(struct qmp_client *client, const char *command,
					const json_t *arguments, const struct qmp_wait *wait,
					json_t **ret);

/* Runs a command of the human monitor for a vCPU (-1: any); *ret is its text, owned by caller. */
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
