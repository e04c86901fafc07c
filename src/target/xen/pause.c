/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stopping a domain so that it goes on again whatever happens to us. Xen counts pauses and does not
 * say whose they are: ours must be undone exactly once, or somebody else's would be. So the guard
 * process makes both calls, by a handle of its own, and marks in the journal how far it is; only
 * where it was killed too, in the very moment of a call, is it not known whether that happened.
 */
#include "target/xen/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* How often a call is made that fails because the kernel just moved its argument's page. */
#define MOST_TRIES 1000
/* What a call may take of which the owner was killed. */
#define STEP_MS 1000

/*
 * What the guard needs for its calls, in a page that it shares with us: the hypervisor reads and
 * writes the argument there, so that no page may have to be copied first.
 */
struct guard_call {
	int (*raw_call)(int fd, struct xen_raw_call *call);
	int fd;
	uint32_t version;
	uint16_t domain;
	struct xen_raw_call call;
	struct xen_domctl argument;
};

/* In the guard's process. */
static int act(int fd, void *data, bool undo)
{
	struct guard_call *call = data;
	int errnum = EFAULT;

	mlock(call, sizeof(*call));
	for (int i = 0; i < MOST_TRIES && (errnum == EFAULT || errnum == EAGAIN || errnum == EINTR);
	     i++) {
		memset(&call->argument, 0, sizeof(call->argument));
		call->argument.command = undo ? XEN_OP_UNPAUSE : XEN_OP_PAUSE;
		call->argument.version = call->version;
		call->argument.domain = call->domain;
		call->call =
		    (struct xen_raw_call){.number = XEN_HYPERCALL_DOMCTL,
					  .arguments = {(uint64_t)(uintptr_t)&call->argument}};
		errnum = call->raw_call(fd, &call->call) < 0 ? errno : 0;
	}
	return errnum;
}

static struct nunchi_error *make_call(struct xen_target *xen)
{
	struct guard_call *call =
	    mmap(NULL, sizeof(*call), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (call == MAP_FAILED)
		return &error_nomem;
	*call = (struct guard_call){.raw_call = xen->xen.library.raw_call,
				    .fd = xen->xen.library.raw_open(),
				    .version = xen->xen.domctl,
				    .domain = xen->domain.id};
	if (call->fd < 0) {
		int errnum = errno;

		munmap(call, sizeof(*call));
		return error_create_errno(errnum, "cannot open /dev/xen/privcmd for the guard");
	}
	xen->call = call;
	return NULL;
}

static struct nunchi_error *start_guard(struct xen_target *xen)
{
	struct nunchi_error *err = xen->call ? NULL : make_call(xen);

	if (err)
		return err;
	return guard_create(
	    &(struct guard_plan){.fd = xen->call->fd, .act = act, .data = xen->call}, &xen->guard);
}

void xen_pause_deinit(struct xen_target *xen)
{
	guard_destroy(xen->guard);
	xen->guard = NULL;
	if (!xen->call)
		return;
	close(xen->call->fd);
	munmap(xen->call, sizeof(*xen->call));
	xen->call = NULL;
}

/* A guard that is there and knows the record. */
static struct nunchi_error *arm_guard(struct xen_target *xen)
{
	const char *path = journal_path(xen->journal);
	uint64_t cookie = journal_cookie(xen->journal);
	struct nunchi_error *err;

	if (xen->guard) {
		err = guard_arm(xen->guard, path, cookie);
		if (!err)
			return NULL;
		/* Somebody killed it: another one. */
		nunchi_error_destroy(err);
		guard_destroy(xen->guard);
		xen->guard = NULL;
	}
	err = start_guard(xen);
	return err ? err : guard_arm(xen->guard, path, cookie);
}

static bool is_paused(struct xen_target *xen, bool *ret_gone)
{
	struct xen_domain domain;
	struct nunchi_error *err = xen_still_there(xen, &domain);
	bool paused = !err && domain.flags & XEN_INFO_PAUSED;

	*ret_gone = error_is(err, NUNCHI_ERROR_GONE);
	/* Without an answer the worse is taken for true. */
	paused |= err && !*ret_gone;
	nunchi_error_destroy(err);
	return paused;
}

/* Nothing of ours is left. An older record that nobody could decide upon stays. */
static void forget(struct xen_target *xen)
{
	bool gone;

	if (xen->guard)
		guard_disarm(xen->guard);
	if (xen->unsettled && is_paused(xen, &gone)) {
		journal_mark(journal_path(xen->journal), journal_cookie(xen->journal),
			     JOURNAL_STEP_DOING);
		journal_abandon(xen->journal);
	} else {
		journal_erase(xen->journal);
		xen->unsettled = false;
	}
	xen->journal = NULL;
}

/* Leaves the record for the next, and what is left to be done to whoever reads the error. */
static struct nunchi_error *cannot_tell(struct xen_target *xen, const char *doing)
{
	journal_abandon(xen->journal);
	xen->journal = NULL;
	guard_destroy(xen->guard);
	xen->guard = NULL;
	return error_hint(
	    error_create(NUNCHI_ERROR_GONE,
			 "the guard process was killed while it %s the guest: whether "
			 "that happened cannot be told",
			 doing),
	    "if the guest stands still and nobody else has paused it: xl unpause %u",
	    xen->domain.id);
}

/* The guard was killed while it was to pause: what came of it. */
static struct nunchi_error *pause_without_answer(struct xen_target *xen, bool *ret_again)
{
	bool gone;

	*ret_again = false;
	switch (journal_step(xen->journal)) {
	case JOURNAL_STEP_DONE:
		return NULL;
	case JOURNAL_STEP_NONE:
		*ret_again = true;
		return NULL;
	default:
		if (is_paused(xen, &gone))
			return cannot_tell(xen, "paused");
		*ret_again = true;
		return NULL;
	}
}

static struct nunchi_error *refused(struct xen_target *xen, int errnum)
{
	struct nunchi_error *err;

	forget(xen);
	if (errnum == ESRCH)
		return error_create(NUNCHI_ERROR_GONE, "domain %u has ended", xen->domain.id);
	err = error_create_errno(errnum, "Xen refuses it");
	if (errnum == EPERM || errnum == EACCES)
		err = error_hint(err, "the hypervisor's security policy (XSM, FLASK) forbids it");
	return err;
}

struct nunchi_error *xen_pause(struct target *target)
{
	struct xen_target *xen = xen_of(target);
	struct nunchi_error *err;
	bool left, again = true;
	int errnum = 0;

	/* What another left since this guest was opened: overwritten, it would be known no more. */
	if (!xen->unsettled)
		xen_repair(xen);
	err = journal_write(xen->key, "pause", &xen->journal, &left);
	if (err)
		return error_hint(err, "without the journal a pause could outlive us, so it is not "
				       "made");
	xen->unsettled |= left;
	for (int i = 0; i < 3 && again; i++) {
		again = false;
		err = arm_guard(xen);
		if (err) {
			forget(xen);
			return err;
		}
		target->paused_since_us = target_now_us();
		err = guard_act(xen->guard, false, &errnum);
		if (!err)
			return errnum ? refused(xen, errnum) : NULL;
		nunchi_error_destroy(err);
		err = pause_without_answer(xen, &again);
		if (err || !again)
			return err;
	}
	forget(xen);
	return error_create(NUNCHI_ERROR_GONE, "the guard process is killed again and again");
}

/* The guard is gone: we undo it ourselves if it did not begin to. */
static struct nunchi_error *resume_alone(struct xen_target *xen)
{
	struct nunchi_error *err;
	bool gone;

	switch (journal_step(xen->journal)) {
	case JOURNAL_STEP_NONE: /* the record cannot be marked */
	case JOURNAL_STEP_UNDOING:
		return is_paused(xen, &gone) ? cannot_tell(xen, "resumed") : NULL;
	default:
		err = xen_domain_unpause(&xen->xen, xen->domain.id);
		/* Nothing to undo: somebody else did, or it has ended. */
		if ((err && nunchi_error_errno(err) == EINVAL) ||
		    error_is(err, NUNCHI_ERROR_GONE)) {
			nunchi_error_destroy(err);
			return NULL;
		}
		if (err) {
			journal_abandon(xen->journal);
			xen->journal = NULL;
		}
		return err;
	}
}

struct nunchi_error *xen_resume(struct target *target)
{
	struct xen_target *xen = xen_of(target);
	struct nunchi_error *err;
	int errnum = 0;

	if (!xen->journal)
		return NULL;
	err = guard_act(xen->guard, true, &errnum);
	if (err) {
		nunchi_error_destroy(err);
		err = resume_alone(xen);
		guard_destroy(xen->guard);
		xen->guard = NULL;
		if (err)
			return err;
	} else if (errnum && errnum != EINVAL && errnum != ESRCH) {
		/* It goes on trying, and the record stays for the next nunchi. */
		journal_abandon(xen->journal);
		xen->journal = NULL;
		guard_leave(xen->guard);
		xen->guard = NULL;
		return error_create_errno(errnum, "Xen refuses it");
	}
	forget(xen);
	return NULL;
}

/* ---- What was left behind -------------------------------------------------------------------- */

static void repair_done(struct xen_target *xen)
{
	struct nunchi_error *err = xen_domain_unpause(&xen->xen, xen->domain.id);

	if (err && nunchi_error_errno(err) != EINVAL) {
		target_note(&xen->base,
			    "a nunchi that was killed left this guest paused; resuming it failed: "
			    "%s",
			    nunchi_error_message(err));
		journal_abandon(xen->journal);
	} else {
		if (!err)
			target_note(&xen->base, "a nunchi that was killed had left this guest "
						"paused: it was resumed");
		journal_erase(xen->journal);
	}
	nunchi_error_destroy(err);
}

/*
 * How far the owner's guard came. It may be alive and in the midst of a call, of which the outcome
 * is known in a moment; meanwhile it waits for the lock that we hold.
 */
static enum journal_step last_step(const struct journal *journal)
{
	enum journal_step step = journal_step(journal);

	for (int i = 0;
	     i < STEP_MS / 10 && (step == JOURNAL_STEP_DOING || step == JOURNAL_STEP_UNDOING);
	     i++) {
		poll(NULL, 0, 10);
		step = journal_step(journal);
	}
	return step;
}

void xen_repair(struct xen_target *xen)
{
	struct nunchi_error *err;
	enum journal_step step;
	bool paused, gone;

	if (!xen->xen.domctl || journal_look(xen->key) != JOURNAL_LEFT)
		return;
	err = journal_take(xen->key, &xen->journal);
	if (err || !xen->journal) {
		nunchi_error_destroy(err);
		return;
	}
	step = last_step(xen->journal);
	paused = is_paused(xen, &gone);
	if (!paused || step == JOURNAL_STEP_NONE) {
		journal_erase(xen->journal);
	} else if (step == JOURNAL_STEP_DONE) {
		repair_done(xen);
	} else {
		target_note(&xen->base,
			    "this guest is paused, perhaps by a nunchi that was killed in the "
			    "moment it paused or resumed it, perhaps by somebody else: if nobody "
			    "else wants it so, `xl unpause %u`",
			    xen->domain.id);
		journal_abandon(xen->journal);
		xen->unsettled = true;
	}
	xen->journal = NULL;
}
