/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declarations shared by the files of the QEMU target. */
#ifndef NUNCHI_TARGET_QEMU_INTERNAL_H
#define NUNCHI_TARGET_QEMU_INTERNAL_H

#include "core/cancel.h"
#include "journal/threads.h"
#include "journal/undo.h"
#include "target/qemu/gdb_client.h"
#include "target/qemu/process.h"
#include "target/qemu/qemu.h"
#include "target/qemu/qmp_client.h"
#include "target/qemu/ram.h"
#include "target/target.h"

/* How long to wait for a busy QMP socket; another nunchi is done within this time. */
#define QEMU_GREETING_US 1000000

/* TCG sets any number of breakpoints, KVM four. */
#define QEMU_BREAKPOINTS_MAX 256

/* What is known of the guest while it is watched; begun anew by each target_stops_ops.open(). */
struct qemu_watch {
	struct gdb_stub stub;
	bool steps_over; /* a single step ignores breakpoints */
	bool paused;     /* somebody else has paused the guest, as far as is known */
	bool held;       /* between hold() and release(), or a breakpoint and go() */
	bool resume;     /* release() resumes the guest */
	bool parked;     /* QEMU does not have the breakpoints, until the guest runs again */
	size_t count;
	uint64_t breakpoints[QEMU_BREAKPOINTS_MAX];
};

/* A guest that is watched by QEMU's gdb stub. */
struct qemu_stub {
	int fd;   /* our end of the connection, or -1 */
	int peer; /* QEMU's end, until QEMU has it, or -1 */
	/*
	 * QEMU since 8.1 tells no stop after somebody else has paused and resumed the guest. There
	 * are a timer, and a descriptor that is readable when fd or the timer is; or -1.
	 */
	bool mute;
	int timer, both;
	bool attached;             /* QEMU may have begun to serve gdb there */
	bool undone;               /* nothing of it is left in the guest */
	struct gdb_client *client; /* NULL unless it is watched */
	struct qemu_watch watch;
	struct undo undo;
	unsigned stops; /* so far */
	/* somebody paused the guest while it went on from a breakpoint, which next() has to say */
	bool paused_unsaid;
};

struct qemu_target {
	struct target base;
	struct qemu_process process;
	char *socket;               /* the socket that the user named, or NULL */
	int pidfd;                  /* -1: not available */
	struct qmp_client *qmp;     /* NULL: no connection, for the reason in no_qmp */
	char *no_qmp;               /* owned */
	struct ram_monitor monitor; /* reads over QMP, here or in the process that controls */
	unsigned resets_before;     /* number of resets seen on connections that are closed now */
	const struct cancel *cancel;
	struct undo_threads threads; /* of the vCPUs, as far as QEMU says */
	uint64_t resumed_us;         /* time of the last event RESUME before our pause, or 0 */
	struct undo undo;
	struct qemu_stub stub;
};

static inline struct qemu_target *qemu_of(struct target *target)
{
	return (struct qemu_target *)target;
}

/* The time limit of a command, which can be cancelled. */
static inline struct qmp_wait qemu_wait(const struct qemu_target *qemu)
{
	return (struct qmp_wait){clock_us() + QMP_COMMAND_US, qemu->cancel};
}

/* Whether the process still runs. A later process with the same id does not count. */
bool qemu_is_alive(const struct qemu_target *qemu);
enum qemu_status {
	QEMU_RUNNING,
	QEMU_PAUSED,  /* by `stop`, or by a gdb stub that was told to stop it */
	QEMU_DEBUG,   /* at a breakpoint, or after a single step */
	QEMU_STOPPED, /* because it ended, or because of an error */
};
struct nunchi_error *qemu_query_status(struct qemu_target *qemu, enum qemu_status *ret);

/* ---- pause.c ---- */

/* The functions of struct target_control. */
struct nunchi_error *qemu_pause(struct target *target);
struct nunchi_error *qemu_resume(struct target *target);
void qemu_pause_init(struct qemu_target *qemu);
/* Sets up the undo log for a change of the guest's process. */
void qemu_undo_init(struct qemu_target *qemu, struct undo *undo, const struct undo_ops *ops,
		    const char *kind);
/* See struct undo_ops. */
bool qemu_is_dead(void *data, const char *name);
/*
 * Undoes what was left when a nunchi and its guard were killed, a pause and breakpoints, and adds
 * notes.
 */
void qemu_repair(struct qemu_target *qemu);

/* ---- stub.c, stub_stops.c ---- */

extern const struct target_stops_ops qemu_stops;
void qemu_stub_init(struct qemu_target *qemu);

/* ---- map.c ---- */

/* Makes and seals the target's memory, and sets the capability that says how the memory is read. */
struct nunchi_error *qemu_map_memory(struct qemu_target *qemu, bool sigbus_guard,
				     const struct qemu_limits *limits);

#endif
