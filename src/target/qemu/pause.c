/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pauses a guest by QMP's `stop` and `cont` in such a way that it is resumed whatever happens to
 * this process (journal/undo.h). QEMU does not count: one `cont` ends all earlier `stop`s. So a
 * guest that is paused already is not touched, and is not resumed later.
 */
#include "target/qemu/find.h"
#include "target/qemu/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

/* Resuming has a longer time limit than all other commands, and cannot be cancelled. */
#define RESUME_US 10000000
#define GUARD_ID  "nunchi-guard"

static struct nunchi_error *look(void *data, enum undo_seen *ret)
{
	struct qemu_target *qemu = data;
	enum qemu_status status;
	struct nunchi_error *err = qemu_query_status(qemu, &status);

	if (err)
		return err;
	if (status == QEMU_RUNNING)
		*ret = UNDO_SEEN_CLEAR;
	else
		*ret = status == QEMU_PAUSED ? UNDO_SEEN_SET : UNDO_SEEN_GONE;
	return NULL;
}

static struct nunchi_error *set(void *data)
{
	struct qemu_target *qemu = data;
	const struct qmp_wait wait = qemu_wait(qemu);
	struct nunchi_error *err;

	qemu->base.paused_since_us = clock_us();
	err = qmp_client_execute(qemu->qmp, "stop", NULL, &wait, NULL);
	qemu->resumed_us = qmp_client_resumed_us(qemu->qmp);
	return err;
}

static struct nunchi_error *send_cont(struct qemu_target *qemu)
{
	const struct qmp_wait wait = {.deadline_us = clock_us() + RESUME_US};

	return qmp_client_execute(qemu->qmp, "cont", NULL, &wait, NULL);
}

/*
 * The connection broke while the guest was paused: connects again, to any of its sockets, and sends
 * `cont`.
 */
static struct nunchi_error *cont_anew(struct qemu_target *qemu)
{
	const struct qmp_wait wait = {.deadline_us = clock_us() + QEMU_GREETING_US};
	struct qmp_client *client;
	struct nunchi_error *err = qemu_connect(&qemu->process, qemu->socket, &wait, &client);

	if (err)
		return err;
	qemu->resets_before += qmp_client_resets(qemu->qmp);
	qmp_client_destroy(qemu->qmp);
	qemu->qmp = client;
	/* The guard uses the old connection, so end it; the next pause starts a new guard. */
	guard_destroy(qemu->undo.guard);
	qemu->undo.guard = NULL;
	return send_cont(qemu);
}

static struct nunchi_error *clear(void *data)
{
	struct qemu_target *qemu = data;
	struct nunchi_error *err = send_cont(qemu);

	if (error_is(err, NUNCHI_ERROR_GONE) && qemu_is_alive(qemu)) {
		nunchi_error_destroy(err);
		err = cont_anew(qemu);
	}
	/*
	 * QEMU refuses if the guest has ended or was reset meanwhile, which also ended the pause.
	 */
	if (err && (error_is(err, NUNCHI_ERROR_UNSUPPORTED) || !qemu_is_alive(qemu))) {
		nunchi_error_destroy(err);
		return NULL;
	}
	return err;
}

static bool ran(void *data, struct undo_ran *ret)
{
	const struct qemu_target *qemu = data;

	return undo_threads_ran(&qemu->threads, ret);
}

/*
 * By QEMU's events, which come before the answer to a command. Their times are only compared for
 * being the same: the host's clock may be set back. A connection that is new has seen none.
 */
static bool was_resumed(void *data, bool by_time)
{
	struct qemu_target *qemu = data;
	enum undo_seen seen;
	struct nunchi_error *err = look(qemu, &seen);
	uint64_t resumed = qmp_client_resumed_us(qemu->qmp);
	bool unknown = err || qmp_client_is_relayed(qemu->qmp);

	nunchi_error_destroy(err);
	if (unknown)
		return by_time;
	return seen == UNDO_SEEN_CLEAR || (resumed && resumed != qemu->resumed_us);
}

/* Process ids mean the same in processes of one pid namespace alone. */
static uint64_t pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : st.st_ino;
}

/* name is "PID-START-NAMESPACE", as undo_init() got it. */
bool qemu_is_dead(void *data, const char *name)
{
	uint64_t started, start, namespace;
	struct nunchi_error *err;
	bool gone;
	int pid;

	(void)data;
	if (sscanf(name, "%9d-%" SCNu64 "-%" SCNu64, &pid, &started, &namespace) != 3 ||
	    namespace != pid_namespace())
		return false;
	err = process_start_time(pid, &start);
	gone = error_is(err, NUNCHI_ERROR_GONE) || (!err && start != started);
	nunchi_error_destroy(err);
	return gone;
}

static struct nunchi_error *plan(void *data, struct guard_plan *ret)
{
	static const char undo[] = QMP_RESYNC "{\"execute\":\"cont\",\"id\":\"" GUARD_ID "\"}\n";
	struct qemu_target *qemu = data;

	*ret = (struct guard_plan){.handle = qmp_client_fd(qemu->qmp),
				   .kind = GUARD_SEND,
				   .undo = undo,
				   .undo_size = sizeof(undo) - 1,
				   .done = "\"" GUARD_ID "\"",
				   .threads = &qemu->threads};
	return NULL;
}

static void advise(void *data, char *ret, size_t size)
{
	(void)data;
	snprintf(ret, size,
		 "if the guest stands still and nobody else has paused it, send `cont` to "
		 "its monitor");
}

static const struct undo_ops undo_ops = {
    .type = UNDO_PAUSE,
    .words = {"paused", "resuming it", "paused: it was resumed"},
    .actor = {.look = look, .clear = clear, .ran = ran},
    .set = set,
    .plan = plan,
    .was_resumed = was_resumed,
    .is_dead = qemu_is_dead,
    .advise = advise,
};

void qemu_undo_init(struct qemu_target *qemu, struct undo *undo, const struct undo_ops *ops,
		    const char *kind)
{
	undo_init(undo, ops, qemu, kind, "%d-%" PRIu64 "-%" PRIu64, qemu->process.pid,
		  qemu->process.start_time, pid_namespace());
}

void qemu_pause_init(struct qemu_target *qemu)
{
	qemu_undo_init(qemu, &qemu->undo, &undo_ops, "qemu");
}

struct nunchi_error *qemu_pause(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);
	struct nunchi_error *err;
	char *repaired;
	bool ours;

	err = undo_do(&qemu->undo, &ours, &repaired);
	target_note_repair(target, repaired, !qemu->undo.unsure);
	if (!ours)
		target->paused_since_us = 0;
	return err;
}

/*
 * Adds the time for which the guest was paused, from the timestamps of QEMU's events STOP and
 * RESUME, which are exact. If they are impossible (the time is longer than measured here, including
 * QMP's latency), uses the time measured here.
 */
static void count_pause(struct qemu_target *qemu)
{
	struct target *target = &qemu->base;
	uint64_t most = clock_us() - target->paused_since_us;
	uint64_t stopped = qmp_client_stopped_us(qemu->qmp);
	uint64_t resumed = qmp_client_resumed_us(qemu->qmp);

	if (!target->paused_since_us)
		return;
	if (stopped && resumed >= stopped && resumed - stopped <= most)
		target->paused_us += resumed - stopped;
	else
		target->paused_us += most;
	target->paused_since_us = 0;
}

struct nunchi_error *qemu_resume(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);
	struct nunchi_error *err = undo_undo(&qemu->undo);

	count_pause(qemu);
	return err;
}

void qemu_repair(struct qemu_target *qemu)
{
	struct undo *const undos[] = {&qemu->undo, &qemu->stub.undo};
	char *repaired;
	bool complete;

	for (size_t i = 0; qemu->qmp && i < ARRAY_SIZE(undos); i++) {
		complete = undo_repair(undos[i], &repaired);
		target_note_repair(&qemu->base, repaired, complete);
	}
	if (qemu->qmp)
		return;
	if (undo_log_look(qemu->undo.key) == UNDO_LOG_LEFT ||
	    undo_log_look(qemu->stub.undo.key) == UNDO_LOG_LEFT) {
		target_note(&qemu->base,
			    "a nunchi that was killed may have left this guest paused, which only "
			    "QMP could tell and undo: %s",
			    qemu->no_qmp);
		qemu->base.unrepaired++;
	}
}
