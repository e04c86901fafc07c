/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal/undo.h"

#include "core/io.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How many guards are started for one pause, if each is killed before it has paused the guest. */
#define GUARDS_MAX 3
/* How much of the boot id is in a key. */
#define BOOT_SIZE 8

void undo_init(struct undo *undo, const struct undo_ops *ops, void *data, const char *kind,
	       const char *format, ...)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char boot[BOOT_SIZE + 1] = "", name[80];
	va_list args;

	*undo = (struct undo){.ops = ops, .data = data};
	/*
	 * A log in /tmp may be older than the last boot, after which ids begin anew. So the key
	 * contains the boot id.
	 */
	if (fd < 0 || io_read_full(fd, boot, BOOT_SIZE) != BOOT_SIZE)
		snprintf(boot, sizeof(boot), "0");
	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	snprintf(undo->key, sizeof(undo->key), "%s-%s-%s", kind, boot, name);
	undo->kind = strlen(kind) + 1;
	undo->boot = undo->kind + strlen(boot) + 1;
}

void undo_deinit(struct undo *undo)
{
	guard_destroy(undo->guard);
	undo_log_leave(undo->log);
	undo->guard = NULL;
	undo->log = NULL;
}

static struct undo_actor actor_of(const struct undo *undo)
{
	struct undo_actor actor = undo->ops->actor;

	actor.data = undo->data;
	return actor;
}

/* The CPU time of the guest, for the log; NULL if it is unknown. */
static const uint64_t *ran_now(const struct undo *undo, struct undo_ran *ret)
{
	const struct undo_actor *actor = &undo->ops->actor;

	return actor->ran && actor->ran(undo->data, ret) ? &ret->ns : NULL;
}

/* Whether the guest is paused, or may be. */
static bool may_be_set(const struct undo *undo)
{
	struct undo_actor actor = actor_of(undo);
	enum undo_seen seen = undo_look(&actor);

	return seen == UNDO_SEEN_SET || seen == UNDO_SEEN_UNKNOWN;
}

/* ---- The guard ------------------------------------------------------------------------------- */

static void end_guard(struct undo *undo)
{
	guard_destroy(undo->guard);
	undo->guard = NULL;
}

/* Makes sure that there is a guard and that it has taken the log. */
static struct nunchi_error *arm(struct undo *undo)
{
	struct guard_plan plan = {0};
	struct nunchi_error *err;

	if (undo->guard) {
		err = guard_arm(undo->guard, undo->log);
		if (!error_is(err, NUNCHI_ERROR_GONE))
			return err;
		/* Somebody killed the guard: start another one. */
		nunchi_error_destroy(err);
		end_guard(undo);
	}
	err = undo->ops->plan(undo->data, &plan);
	if (!err)
		err = guard_create(&plan, &undo->guard);
	return err ? err : guard_arm(undo->guard, undo->log);
}

/* Leaves the log to the guard, which keeps trying to undo, and to the next nunchi. */
static void leave_to_guard(struct undo *undo)
{
	undo_log_leave(undo->log);
	undo->log = NULL;
	guard_leave(undo->guard);
	undo->guard = NULL;
}

/* ---- The log --------------------------------------------------------------------------------- */

static struct nunchi_error *mark_ran(struct undo *undo, enum undo_state state, const uint64_t *ran)
{
	int errnum = undo_log_append_ran(undo->log, undo->entry, undo->ops->type, state, ran);

	return errnum ? error_create_errno(errnum, "cannot write the undo log %s",
					   undo_log_path(undo->log))
		      : NULL;
}

static struct nunchi_error *mark(struct undo *undo, enum undo_state state)
{
	return mark_ran(undo, state, NULL);
}

/*
 * Called when all entries of this process are undone. Removes the log, unless it has entries of an
 * earlier nunchi that are undecided.
 */
static void finish(struct undo *undo)
{
	if (undo->guard)
		guard_disarm(undo->guard);
	if (undo->unsure && may_be_set(undo)) {
		undo_log_leave_older(undo->log);
	} else {
		undo_log_erase(undo->log);
		undo->unsure = false;
	}
	undo->log = NULL;
}

/*
 * The error for a guard that was killed during a call, while the guest is paused: whether the call
 * was executed is unknown.
 */
static struct nunchi_error *cannot_tell(struct undo *undo, const char *doing)
{
	char advice[256];

	undo->ops->advise(undo->data, advice, sizeof(advice));
	undo_log_leave(undo->log);
	undo->log = NULL;
	end_guard(undo);
	return error_hint(error_create(NUNCHI_ERROR_GONE,
				       "the guard process was killed while it %s the guest, so it "
				       "is unknown whether that took effect",
				       doing),
			  "%s", advice);
}

/* ---- Doing ----------------------------------------------------------------------------------- */

/*
 * The guard was killed during an order to pause the guest: finds out from the log how far it came.
 */
static struct nunchi_error *set_without_answer(struct undo *undo, bool *ret_again)
{
	*ret_again = false;
	switch (undo_log_state(undo->log, undo->entry)) {
	case UNDO_DONE:
		return NULL;
	case UNDO_LOGGED:
	case UNDO_UNDONE:
		*ret_again = true;
		return NULL;
	default:
		if (may_be_set(undo))
			return cannot_tell(undo, "paused");
		*ret_again = true;
		return mark(undo, UNDO_LOGGED);
	}
}

/*
 * Pauses the guest through the guard. If this fails, it is certain that the guest is not paused by
 * it.
 */
static struct nunchi_error *set_by_guard(struct undo *undo)
{
	struct nunchi_error *err;
	bool again = true;
	int errnum = 0;

	for (unsigned i = 0; i < GUARDS_MAX && again; i++) {
		err = i ? arm(undo) : NULL;
		if (!err)
			err = guard_act(undo->guard, undo->entry, false, &errnum);
		if (!err && !errnum)
			return NULL;
		if (!err)
			return error_create_errno(errnum, "the hypervisor refused");
		if (!error_is(err, NUNCHI_ERROR_GONE))
			return err;
		nunchi_error_destroy(err);
		err = set_without_answer(undo, &again);
		if (err || !again)
			return err;
	}
	return error_create(NUNCHI_ERROR_GONE,
			    "somebody killed the guard process %u times before it paused the guest",
			    GUARDS_MAX);
}

/* Pauses the guest from this process, on a target that does not count pauses. */
static struct nunchi_error *set_alone(struct undo *undo)
{
	struct undo_ran ran;
	struct nunchi_error *err = mark_ran(undo, UNDO_DOING, ran_now(undo, &ran)), *undone;

	/* Nothing was done: what there is to undo meanwhile is somebody else's. */
	if (err)
		return err;
	err = undo->ops->set(undo->data);
	if (!err) {
		/*
		 * If UNDO_DONE cannot be written, UNDO_DOING is in the log and is undone as well.
		 */
		nunchi_error_destroy(mark_ran(undo, UNDO_DONE, ran_now(undo, &ran)));
		return NULL;
	}
	/* The guest may be paused, or be paused in a moment, although no answer came. */
	undone = undo->ops->actor.clear(undo->data);
	if (undone)
		leave_to_guard(undo);
	nunchi_error_destroy(undone);
	return err;
}

static struct nunchi_error *begin(struct undo *undo)
{
	struct undo_entries entries;
	struct nunchi_error *err = undo_log_take(undo->key, true, &undo->log);
	int errnum;

	if (err)
		return error_hint(err, "without the undo log the guest could stay paused after "
				       "nunchi has died, so nunchi does not pause it");
	errnum = undo_log_read(undo->log, &entries);
	if (errnum) {
		err = error_create_errno(errnum, "undo log %s", undo_log_path(undo->log));
		undo_log_leave_older(undo->log);
		undo->log = NULL;
		return err;
	}
	undo->unsure |= entries.count > 0;
	undo->entry = entries.next;
	err = mark(undo, UNDO_LOGGED);
	if (!err)
		err = arm(undo);
	if (err)
		finish(undo);
	return err;
}

struct nunchi_error *undo_do(struct undo *undo, bool *ret_ours, char **ret_repaired)
{
	enum undo_seen seen = UNDO_SEEN_CLEAR;
	struct nunchi_error *err;

	*ret_ours = false;
	*ret_repaired = NULL;
	/* Repair what another nunchi left since this guest was opened. */
	if (!undo->unsure)
		undo_repair(undo, ret_repaired);
	err = undo->ops->actor.counted ? NULL : undo->ops->actor.look(undo->data, &seen);
	if (err || seen != UNDO_SEEN_CLEAR)
		return err;
	err = begin(undo);
	if (err)
		return err;
	err = undo->ops->actor.counted ? set_by_guard(undo) : set_alone(undo);
	if (error_is(err, NUNCHI_ERROR_TIMEOUT))
		leave_to_guard(undo);
	else if (err && undo->log)
		finish(undo);
	*ret_ours = !err;
	return err;
}

/* ---- Undoing --------------------------------------------------------------------------------- */

/* Whether somebody has ended the pause: another one, if there is one, is not ours. */
static bool is_ended(struct undo *undo, const struct undo_entry *entry)
{
	struct undo_actor actor = actor_of(undo);
	enum undo_proof proof = undo_prove(&actor, entry);
	bool by_time = proof == UNDO_PROOF_SOMEBODY;

	if (proof == UNDO_PROOF_OURS)
		return false;
	return undo->ops->was_resumed ? undo->ops->was_resumed(undo->data, by_time) : by_time;
}

/* Undoes the pause without a guard; the log says how far the guard came. */
static struct nunchi_error *clear_alone(struct undo *undo)
{
	struct undo_actor actor = actor_of(undo);
	struct undo_entry entry = undo_log_entry(undo->log, undo->entry);
	enum undo_state state = entry.state;
	struct nunchi_error *err;

	if (state == UNDO_UNDONE)
		return NULL;
	/* DOING means done here, because the guard's answer was received. */
	if (actor.counted && state != UNDO_DONE && state != UNDO_DOING)
		return may_be_set(undo) ? cannot_tell(undo, "resumed") : NULL;
	if (is_ended(undo, &entry))
		return NULL;
	nunchi_error_destroy(mark(undo, UNDO_UNDOING));
	err = actor.restore ? actor.restore(undo->data, undo->log) : NULL;
	return err ? err : actor.clear(undo->data);
}

struct nunchi_error *undo_undo(struct undo *undo)
{
	struct nunchi_error *err;
	int errnum = 0;

	if (!undo->log)
		return NULL;
	if (undo->ops->actor.counted) {
		err = guard_act(undo->guard, undo->entry, true, &errnum);
		if (!err && errnum)
			err = error_create_errno(errnum, "the hypervisor refused");
		if (error_is(err, NUNCHI_ERROR_GONE)) {
			nunchi_error_destroy(err);
			end_guard(undo);
			err = clear_alone(undo);
		}
	} else {
		err = clear_alone(undo);
	}
	if (err) {
		if (undo->log)
			leave_to_guard(undo);
		return err;
	}
	nunchi_error_destroy(mark(undo, UNDO_UNDONE));
	finish(undo);
	return NULL;
}

/* ---- What was left behind -------------------------------------------------------------------- */

/* Whether the guest of a log is gone. Of another kind only those of an earlier boot are. */
static bool is_dead(void *data, const char *guest)
{
	const struct undo *undo = data;
	const char *boot = strchr(guest, '-'), *own = undo->key + undo->kind;

	if (boot && strcspn(boot + 1, "-") == BOOT_SIZE && strcspn(own, "-") == BOOT_SIZE &&
	    strncmp(boot + 1, own, BOOT_SIZE) != 0)
		return true;
	return !strncmp(guest, undo->key, undo->boot) && strcmp(guest, undo->key) != 0 &&
	       undo->ops->is_dead && undo->ops->is_dead(undo->data, guest + undo->boot);
}

static char *describe(struct undo *undo, const struct replay *result)
{
	char advice[256];
	char *text = NULL;
	int size = 0;

	undo->ops->advise(undo->data, advice, sizeof(advice));
	if (result->error)
		size = asprintf(&text, "a nunchi that was killed left this guest %s; %s failed: %s",
				undo->ops->words.state, undo->ops->words.undoing,
				nunchi_error_message(result->error));
	else if (result->unknown)
		size = asprintf(
		    &text, "a newer version of nunchi was killed and left a change of this guest "
			   "that only that version can undo: run that version on this guest");
	else if (result->unsure)
		size = asprintf(&text,
				"this guest is paused, either by a nunchi that was killed while it "
				"paused or resumed the guest, or by somebody else: %s",
				advice);
	else if (result->somebody)
		size = asprintf(&text, "a nunchi that was killed had left this guest paused; it "
				       "has run since, and somebody else has paused it since: it "
				       "is left as it is");
	else if (result->undone)
		size = asprintf(&text, "a nunchi that was killed had left this guest %s",
				undo->ops->words.undone);
	return size < 0 ? NULL : text;
}

bool undo_repair(struct undo *undo, char **ret)
{
	struct undo_actor actor = actor_of(undo);
	struct undo_log *log = NULL;
	struct nunchi_error *err;
	struct replay result;
	bool complete;

	*ret = NULL;
	undo_log_sweep(is_dead, undo);
	err = undo_log_take(undo->key, false, &log);
	if (err && !error_is(err, NUNCHI_ERROR_BUSY) &&
	    asprintf(ret, "%s", nunchi_error_message(err)) < 0)
		*ret = NULL;
	complete = !err || error_is(err, NUNCHI_ERROR_BUSY);
	nunchi_error_destroy(err);
	if (!log)
		return complete;
	actor.needs_proof = !undo->ops->certain;
	replay(log, &actor, &result);
	*ret = describe(undo, &result);
	undo->unsure = result.unsure || result.unknown;
	complete = replay_is_complete(&result);
	if (complete)
		undo_log_erase(log);
	else if (result.undone)
		undo_log_leave(log);
	else
		undo_log_leave_older(log);
	nunchi_error_destroy(result.error);
	return complete;
}
