/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stopping a guest so that it goes on again whatever happens to us. */
#include "target/qemu/find.h"
#include "target/qemu/internal.h"

#include <string.h>

/* Undoing a pause is given more time than anything else, and is not cancelled. */
#define RESUME_US 10000000
#define GUARD_ID  "nunchi-guard"

static struct nunchi_error *start_guard(struct qemu_target *qemu)
{
	static const char undo[] = QMP_RESYNC "{\"execute\":\"cont\",\"id\":\"" GUARD_ID "\"}\n";
	const struct guard_plan plan = {.fd = qmp_client_fd(qemu->qmp),
					.undo = undo,
					.undo_size = sizeof(undo) - 1,
					.done = "\"" GUARD_ID "\""};

	return guard_create(&plan, &qemu->guard);
}

/* Whatever happens to us from here on, the guard sends `cont`. */
static struct nunchi_error *arm_guard(struct qemu_target *qemu)
{
	const char *path = journal_path(qemu->journal);
	uint64_t cookie = journal_cookie(qemu->journal);
	struct nunchi_error *err;

	if (qemu->guard) {
		err = guard_arm(qemu->guard, path, cookie);
		if (!err)
			return NULL;
		/* Somebody killed it: another one. */
		nunchi_error_destroy(err);
		guard_destroy(qemu->guard);
		qemu->guard = NULL;
	}
	err = start_guard(qemu);
	return err ? err : guard_arm(qemu->guard, path, cookie);
}

static void pause_is_undone(struct qemu_target *qemu)
{
	if (qemu->guard)
		guard_disarm(qemu->guard);
	journal_erase(qemu->journal);
	qemu->journal = NULL;
	qemu->ours = false;
}

/* We cannot: the guard goes on trying, and the record stays for the next nunchi. */
static void leave_to_guard(struct qemu_target *qemu)
{
	journal_abandon(qemu->journal);
	qemu->journal = NULL;
	guard_leave(qemu->guard);
	qemu->guard = NULL;
	qemu->ours = false;
}

static struct nunchi_error *send_cont(struct qemu_target *qemu)
{
	const struct qmp_wait wait = {.deadline_us = qmp_now_us() + RESUME_US};

	return qmp_client_execute(qemu->qmp, "cont", NULL, &wait, NULL);
}

/*
 * A guest that is stopped already is left as it is, and not resumed by us later. That stop may be
 * that of a nunchi that died: then its record says so, and it becomes ours.
 */
static struct nunchi_error *pause_stopped(struct qemu_target *qemu, bool paused)
{
	struct nunchi_error *err;

	qemu->base.paused_since_us = 0;
	qemu->ours = false;
	if (!paused || journal_look(qemu->key) != JOURNAL_LEFT)
		return NULL;
	err = journal_take(qemu->key, &qemu->journal);
	if (err || !qemu->journal) {
		/* Another nunchi was faster: the pause is its own now. */
		nunchi_error_destroy(err);
		return NULL;
	}
	err = arm_guard(qemu);
	if (err) {
		journal_abandon(qemu->journal);
		qemu->journal = NULL;
		return err;
	}
	qemu->ours = true;
	return NULL;
}

static struct nunchi_error *stop(struct qemu_target *qemu)
{
	const struct qmp_wait wait = qemu_wait(qemu);
	struct nunchi_error *err;

	qemu->ours = true;
	qemu->base.paused_since_us = target_now_us();
	err = qmp_client_execute(qemu->qmp, "stop", NULL, &wait, NULL);
	if (!err)
		return NULL;
	/* It may be stopped, or be so yet, though we have no answer. */
	struct nunchi_error *undo = send_cont(qemu);
	if (!undo || error_is(undo, NUNCHI_ERROR_UNSUPPORTED) || !qemu_is_alive(qemu))
		pause_is_undone(qemu);
	else
		leave_to_guard(qemu);
	nunchi_error_destroy(undo);
	return err;
}

struct nunchi_error *qemu_pause(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);
	bool running, paused, left;
	struct nunchi_error *err = qemu_query_status(qemu, &running, &paused);

	if (err)
		return err;
	if (!running)
		return pause_stopped(qemu, paused);
	err = journal_write(qemu->key, "pause", &qemu->journal, &left);
	if (err)
		return error_hint(err, "without the journal a pause could outlive us, so it is not "
				       "made");
	err = arm_guard(qemu);
	if (err) {
		pause_is_undone(qemu);
		return err;
	}
	return stop(qemu);
}

/* The connection broke while the guest was paused: another one, on any of its sockets. */
static struct nunchi_error *cont_anew(struct qemu_target *qemu)
{
	const struct qmp_wait wait = {.deadline_us = qmp_now_us() + QEMU_GREETING_US};
	struct qmp_client *client;
	struct nunchi_error *err = qemu_connect(&qemu->process, qemu->socket, &wait, &client);

	if (err)
		return err;
	qemu->resets_before += qmp_client_resets(qemu->qmp);
	qmp_client_destroy(qemu->qmp);
	qemu->qmp = client;
	/* The guard has the old connection: the next pause makes a new one. */
	guard_destroy(qemu->guard);
	qemu->guard = NULL;
	return send_cont(qemu);
}

/*
 * How long it stood still: by QEMU's own events, which are exact, unless they make no sense beside
 * our clock, which also counts what it took to be heard.
 */
static void count_pause(struct qemu_target *qemu)
{
	struct target *target = &qemu->base;
	uint64_t most = target_now_us() - target->paused_since_us;
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
	struct nunchi_error *err;

	if (!qemu->ours)
		return NULL;
	err = send_cont(qemu);
	if (error_is(err, NUNCHI_ERROR_GONE) && qemu_is_alive(qemu)) {
		nunchi_error_destroy(err);
		err = cont_anew(qemu);
	}
	count_pause(qemu);
	if (err && !error_is(err, NUNCHI_ERROR_UNSUPPORTED) && qemu_is_alive(qemu)) {
		leave_to_guard(qemu);
		return err;
	}
	/* Refused: the guest has ended or was reset meanwhile, and our pause with it. */
	nunchi_error_destroy(err);
	pause_is_undone(qemu);
	return NULL;
}

void qemu_repair(struct qemu_target *qemu)
{
	struct nunchi_error *err;
	bool running = false, paused = false;

	if (journal_look(qemu->key) != JOURNAL_LEFT)
		return;
	if (!qemu->qmp) {
		target_note(&qemu->base,
			    "a nunchi that was killed may have left this guest paused, which only "
			    "QMP could tell and undo: %s",
			    qemu->no_qmp);
		return;
	}
	err = journal_take(qemu->key, &qemu->journal);
	if (err || !qemu->journal) {
		nunchi_error_destroy(err);
		return;
	}
	err = qemu_query_status(qemu, &running, &paused);
	if (!err && paused)
		err = send_cont(qemu);
	if (!err) {
		if (paused)
			target_note(&qemu->base, "a nunchi that was killed had left this guest "
						 "paused: it was resumed");
		pause_is_undone(qemu);
		return;
	}
	target_note(&qemu->base,
		    "a nunchi that was killed left this guest paused; resuming it "
		    "failed: %s",
		    nunchi_error_message(err));
	nunchi_error_destroy(err);
	journal_abandon(qemu->journal);
	qemu->journal = NULL;
}
