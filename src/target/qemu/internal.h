/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the QEMU target share: the target itself. */
#ifndef NUNCHI_TARGET_QEMU_INTERNAL_H
#define NUNCHI_TARGET_QEMU_INTERNAL_H

#include "core/cancel.h"
#include "journal/undo.h"
#include "target/qemu/process.h"
#include "target/qemu/qemu.h"
#include "target/qemu/qmp_client.h"
#include "target/target.h"

/* How long a busy QMP socket is waited for: another nunchi is done by then. */
#define QEMU_GREETING_US 1000000

struct qemu_target {
	struct target base;
	struct qemu_process process;
	char *socket;           /* the one the user named, or NULL */
	int pidfd;              /* -1: not to be had */
	struct qmp_client *qmp; /* NULL: not to be had */
	char *no_qmp;           /* then: why */
	unsigned resets_before; /* seen on connections that are closed */
	const struct cancel *cancel;
	struct undo undo;
};

static inline struct qemu_target *qemu_of(struct target *target)
{
	return (struct qemu_target *)target;
}

/* A command's time, cancellable. */
static inline struct qmp_wait qemu_wait(const struct qemu_target *qemu)
{
	return (struct qmp_wait){clock_us() + QMP_COMMAND_US, qemu->cancel};
}

/* Whether the process still runs (another with its id does not count). */
bool qemu_is_alive(const struct qemu_target *qemu);
/* *ret_paused: stopped by a `stop`, rather than by the guest's end or an error. */
struct nunchi_error *qemu_query_status(struct qemu_target *qemu, bool *ret_running,
				       bool *ret_paused);

/* ---- pause.c ---- */

struct nunchi_error *qemu_pause(struct target *target);
struct nunchi_error *qemu_resume(struct target *target);
void qemu_pause_init(struct qemu_target *qemu);
/* Resumes a guest that a nunchi left paused when it and its guard were killed; notes it. */
void qemu_repair(struct qemu_target *qemu);

/* ---- map.c ---- */

/* Makes and seals the target's memory, and says how it is read. */
struct nunchi_error *qemu_map_memory(struct qemu_target *qemu, bool sigbus_guard,
				     const struct qemu_limits *limits);

#endif
