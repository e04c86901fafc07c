/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard program, nunchi-guard, which only the library starts (journal/guard.h). It executes
 * orders of its owner, and when the owner is gone it undoes what the undo log says. It prints
 * nothing, because nobody would read it. What it cannot undo stays in the log for the next nunchi.
 */
#include "guard/guard.h"

#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* An undo that fails is repeated for this long, at this interval. */
#define UNDO_US  (10 * CLOCK_US_PER_S)
#define RETRY_US (50 * CLOCK_US_PER_MS)

struct duty {
	struct guard_setup setup;
	struct xen_call *xen;      /* for GUARD_XEN */
	struct xen_events *events; /* for GUARD_XEN_EVENTS */
	struct undo_log *log;      /* NULL unless armed */
};

static void answer(int errnum)
{
	send(GUARD_FD_OWNER, &errnum, sizeof(errnum), MSG_NOSIGNAL);
}

/* ---- Orders ---------------------------------------------------------------------------------- */

static int arm(struct duty *duty, const struct guard_order *order)
{
	char path[UNDO_LOG_PATH_MAX];

	undo_log_leave(duty->log);
	duty->log = NULL;
	memcpy(path, order->log, sizeof(path));
	path[sizeof(path) - 1] = '\0';
	return undo_log_take_as_guard(path, order->owner, &duty->log);
}

/*
 * Pauses the guest. The answer is sent before the log is written, because until the owner has the
 * answer the guest is paused without any use.
 */
static void act(struct duty *duty, unsigned entry)
{
	struct undo_ran ran;
	int errnum = ECANCELED;
	bool ran_known;

	/* Without the log nobody could undo the pause. */
	if (duty->log && duty->xen && undo_log_is_there(duty->log))
		errnum = undo_log_append(duty->log, entry, UNDO_PAUSE, UNDO_DOING);
	if (!errnum)
		errnum = xen_call_make(duty->xen, false);
	answer(errnum);
	if (!duty->log)
		return;
	ran_known = !errnum && xen_call_ran(duty->xen, &ran);
	undo_log_append_ran(duty->log, entry, UNDO_PAUSE, errnum ? UNDO_LOGGED : UNDO_DONE,
			    ran_known ? &ran.ns : NULL);
}

/*
 * Resumes the guest, unless somebody has done so since. The log is written before the answer is
 * sent, because the owner writes to the log after the answer.
 */
static void undo(struct duty *duty, unsigned entry)
{
	const struct undo_actor xen = {.ran = xen_call_ran, .data = duty->xen};
	int errnum = ECANCELED;

	if (duty->log && duty->xen) {
		struct undo_entry paused = undo_log_entry(duty->log, entry);
		bool ended = undo_prove(&xen, &paused) == UNDO_PROOF_SOMEBODY;

		undo_log_append(duty->log, entry, UNDO_PAUSE, UNDO_UNDOING);
		errnum = ended ? 0 : xen_call_make(duty->xen, true);
		/*
		 * Somebody else has resumed the guest already (EINVAL), or the domain is gone
		 * (ESRCH).
		 */
		if (errnum == EINVAL || errnum == ESRCH)
			errnum = 0;
		undo_log_append(duty->log, entry, UNDO_PAUSE, errnum ? UNDO_DONE : UNDO_UNDONE);
	}
	answer(errnum);
}

static void carry_out(struct duty *duty, const struct guard_order *order)
{
	switch (order->op) {
	case GUARD_ARM:
		answer(arm(duty, order));
		break;
	case GUARD_DO:
		act(duty, order->entry);
		break;
	case GUARD_UNDO:
		undo(duty, order->entry);
		break;
	case GUARD_DISARM:
		undo_log_leave(duty->log);
		duty->log = NULL;
		break;
	case GUARD_END:
		_exit(0);
	}
}

/* Executes all orders that have arrived. False if no more can come. */
static bool take_orders(struct duty *duty)
{
	struct guard_order order;
	ssize_t size;

	while ((size = recv(GUARD_FD_OWNER, &order, sizeof(order), MSG_DONTWAIT)) == sizeof(order))
		carry_out(duty, &order);
	return size < 0 && (errno == EAGAIN || errno == EINTR);
}

/* ---- The owner's end ------------------------------------------------------------------------- */

/*
 * Waits until the owner is gone: its process ended, which the pidfd reports, or its end of the
 * socket was closed. The socket alone is not sufficient, because a child of the owner may have a
 * copy of that end.
 */
static void wait_for_owner_end(struct duty *duty)
{
	struct pollfd pfds[2] = {
	    {.fd = GUARD_FD_OWNER, .events = POLLIN},
	    {.fd = duty->setup.has_pidfd ? GUARD_FD_PIDFD : -1, .events = POLLIN}};

	for (;;) {
		bool ended;

		if (poll(pfds, 2, -1) < 0 && errno != EINTR)
			return;
		/*
		 * Test for the end before reading the orders: then all orders that the owner sent
		 * before its end have arrived.
		 */
		ended = pfds[1].revents & POLLIN;
		if (!take_orders(duty) || ended)
			return;
	}
}

static void undo_everything(struct duty *duty)
{
	const struct undo_actor xen = {
	    .counted = true, .clear = xen_call_undo, .ran = xen_call_ran, .data = duty->xen};
	const struct undo_actor sender = {
	    .look = send_look, .clear = send_undo, .ran = send_ran, .data = &duty->setup};
	const struct undo_actor events = {
	    .restore = xen_events_restore, .clear = xen_events_undo, .data = duty->events};
	const struct undo_actor *actor = duty->xen ? &xen : duty->events ? &events : &sender;
	uint64_t deadline = clock_us() + UNDO_US;
	struct replay result;
	bool failed;

	if (duty->events)
		xen_events_begin(duty->events, duty->log);
	do {
		replay(duty->log, actor, &result);
		failed = result.error != NULL;
		nunchi_error_destroy(result.error);
		result.error = NULL;
		if (failed && (actor == &sender || clock_us() >= deadline))
			break;
		if (failed)
			io_sleep_until(clock_us() + RETRY_US, NULL);
	} while (failed);
	if (!failed && replay_is_complete(&result))
		undo_log_erase(duty->log);
	else
		undo_log_leave(duty->log);
}

/* ---- Starting -------------------------------------------------------------------------------- */

static void close_others(void)
{
	if (syscall(SYS_close_range, GUARD_FD_COUNT, ~0U, 0) == 0)
		return;
	for (int fd = GUARD_FD_COUNT; fd < 65536; fd++)
		close(fd);
}

static bool set_up(struct duty *duty)
{
	ssize_t size = recv(GUARD_FD_OWNER, &duty->setup, sizeof(duty->setup), 0);
	bool known = size >= (ssize_t)sizeof(duty->setup.protocol) &&
		     !strncmp(duty->setup.protocol, GUARD_PROTOCOL, sizeof(duty->setup.protocol));

	if (size <= 0)
		return false;
	if (!known || size != sizeof(duty->setup)) {
		answer(EPROTO);
		return false;
	}
	duty->setup.done[GUARD_DONE_MAX - 1] = '\0';
	duty->setup.pauses[UNDO_KEY_MAX - 1] = '\0';
	if (duty->setup.kind == GUARD_XEN)
		duty->xen = xen_call_create(&duty->setup);
	else if (duty->setup.kind == GUARD_XEN_EVENTS)
		duty->events = xen_events_create(&duty->setup);
	if (duty->setup.kind != GUARD_SEND && !duty->xen && !duty->events) {
		answer(ENOMEM);
		return false;
	}
	answer(0);
	return true;
}

int main(void)
{
	static struct duty duty;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/*
	 * The program was executed through a descriptor, so that its name would be the descriptor's
	 * number.
	 */
	prctl(PR_SET_NAME, "nunchi-guard");
	if (chdir("/"))
		return 1;
	close_others();
	if (!set_up(&duty))
		return 1;
	wait_for_owner_end(&duty);
	if (duty.log)
		undo_everything(&duty);
	return 0;
}
