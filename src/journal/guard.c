/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal/guard.h"
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define UNDO_MAX   512
#define DONE_MAX   64
#define RECORD_MAX 512
/* How long the hypervisor may take to handle the undo. */
#define UNDO_MS 10000

enum order { ORDER_ARM, ORDER_DISARM, ORDER_END, ORDER_DO, ORDER_UNDO };

/* What we tell the guard: one packet each. */
struct message {
	enum order order;
	uint64_t cookie;
	char record[RECORD_MAX];
};

struct guard {
	pid_t pid; /* 0: it was killed, and nothing is left of it */
	int socket;
};

/* All that the guard's process knows. It lives on that process's stack. */
struct duty {
	int target;
	int owner;
	int owner_pidfd;
	char undo[UNDO_MAX];
	size_t undo_size;
	char done[DONE_MAX];
	guard_act_fn *act;
	void *data;
	bool did;             /* by `act`, and not undone yet */
	struct message armed; /* order says whether it is */
};

/* ---- In the guard's process: async-signal-safe calls only -------------------------------------
 */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd pfd = {.fd = fd, .events = events};
	int64_t left = deadline - now_ms();

	return left > 0 && poll(&pfd, 1, (int)left) == 1;
}

static bool send_undo(const struct duty *duty, int64_t deadline)
{
	size_t sent = 0;

	while (sent < duty->undo_size) {
		ssize_t n = send(duty->target, duty->undo + sent, duty->undo_size - sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		else if (!wait_for(duty->target, POLLOUT, deadline))
			return false;
	}
	return true;
}

/*
 * Reads until the answer came. The connection must not be closed before that: the hypervisor may
 * drop requests of a client that is gone.
 */
static bool await_done(const struct duty *duty, int64_t deadline)
{
	size_t length = strlen(duty->done), kept = 0;
	char buffer[DONE_MAX + 4096];

	while (wait_for(duty->target, POLLIN, deadline)) {
		ssize_t n = recv(duty->target, buffer + kept, 4096, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n < 0)
			continue;
		kept += (size_t)n;
		if (memmem(buffer, kept, duty->done, length))
			return true;
		if (kept >= length) {
			memmove(buffer, buffer + kept - (length - 1), length - 1);
			kept = length - 1;
		}
	}
	return false;
}

/*
 * Does or undoes it, marks what came of it, and answers with 0 or an errno: before the mark once it
 * is done, since it is to be for as short as possible; behind it once it is undone, since the owner
 * may then mark the record itself.
 */
static void act(struct duty *duty, bool undo)
{
	const struct message *armed = &duty->armed;
	bool marked = journal_mark(armed->record, armed->cookie,
				   undo ? JOURNAL_STEP_UNDOING : JOURNAL_STEP_DOING);
	/* Without its record nobody could undo it. */
	int result = marked || undo ? duty->act(duty->target, duty->data, undo) : ECANCELED;

	if (!result)
		duty->did = !undo;
	if (!undo)
		send(duty->owner, &result, sizeof(result), MSG_NOSIGNAL);
	journal_mark(armed->record, armed->cookie,
		     duty->did ? JOURNAL_STEP_DONE : JOURNAL_STEP_NONE);
	if (undo)
		send(duty->owner, &result, sizeof(result), MSG_NOSIGNAL);
}

/*
 * Locks the record. Our end of the socket may close before the owner's descriptor of the record
 * does.
 */
static int take_record(const struct duty *duty, int64_t deadline)
{
	const struct message *armed = &duty->armed;
	bool busy;
	int record = journal_take_left(armed->record, armed->cookie, &busy);

	while (record < 0 && busy && now_ms() < deadline) {
		poll(NULL, 0, 5);
		record = journal_take_left(armed->record, armed->cookie, &busy);
	}
	return record;
}

/*
 * Undoes what it did itself. The record is locked first: if somebody repairs already what our owner
 * left, it is not to be undone twice.
 */
static void undo_own(struct duty *duty)
{
	const struct message *armed = &duty->armed;
	int64_t deadline = now_ms() + UNDO_MS;
	int record = take_record(duty, deadline);
	int result = 0;

	if (record < 0)
		return;
	while (duty->did && now_ms() < deadline) {
		result = duty->act(duty->target, duty->data, true);
		duty->did = result && result != EINVAL && result != ESRCH;
		if (duty->did)
			poll(NULL, 0, 50);
	}
	journal_end_left(record, armed->record, !duty->did);
}

static void undo(struct duty *duty)
{
	int64_t deadline = now_ms() + UNDO_MS;

	if (duty->act)
		undo_own(duty);
	else if (send_undo(duty, deadline) && await_done(duty, deadline) && duty->armed.record[0])
		journal_remove_left(duty->armed.record, duty->armed.cookie);
}

/* Takes every order that has come. False when there will be none any more. */
static bool take_orders(struct duty *duty)
{
	struct message message;
	ssize_t size;

	while ((size = recv(duty->owner, &message, sizeof(message), MSG_DONTWAIT)) ==
	       sizeof(message)) {
		if (message.order == ORDER_END)
			_exit(0);
		if (message.order == ORDER_DO || message.order == ORDER_UNDO) {
			act(duty, message.order == ORDER_UNDO);
			continue;
		}
		duty->armed = message;
		duty->armed.record[RECORD_MAX - 1] = '\0';
	}
	return size < 0 && (errno == EAGAIN || errno == EINTR);
}

/*
 * The owner's end of the socket closes when it dies, unless a child of its own still has a copy:
 * its pidfd tells that case.
 */
static void keep_watch(struct duty *duty)
{
	struct pollfd pfds[2] = {{.fd = duty->owner, .events = POLLIN},
				 {.fd = duty->owner_pidfd, .events = POLLIN}};

	for (;;) {
		bool dead;

		if (poll(pfds, 2, -1) < 0 && errno != EINTR)
			break;
		/* Looked at first: what the owner sent before its death has come by then. */
		dead = pfds[1].revents & POLLIN;
		if (!take_orders(duty) || dead)
			break;
	}
	if (duty->armed.order == ORDER_ARM)
		undo(duty);
}

static void close_all_above(int highest)
{
	if (syscall(SYS_close_range, highest + 1, ~0U, 0) == 0)
		return;
	for (int fd = highest + 1; fd < 65536; fd++)
		close(fd);
}

/* Moves what the duty needs to descriptors 0 to 2 and closes all others. */
static bool keep_only(struct duty *duty)
{
	int *fds[] = {&duty->target, &duty->owner, &duty->owner_pidfd};

	for (int i = 0; i < (int)ARRAY_SIZE(fds); i++) {
		/* First above what is going to be overwritten. */
		if (*fds[i] >= 0)
			*fds[i] = fcntl(*fds[i], F_DUPFD, 16);
	}
	if (duty->target < 0 || duty->owner < 0)
		return false;
	for (int i = 0; i < (int)ARRAY_SIZE(fds); i++) {
		if (*fds[i] < 0)
			close(i);
		else if (dup2(*fds[i], i) != i)
			return false;
		else
			*fds[i] = i;
	}
	close_all_above(2);
	return true;
}

static void __attribute__((noreturn)) guard_main(struct duty *duty, pid_t owner)
{
	char ready = 1;

	/* All signals stay blocked, as they were before the fork: only SIGKILL ends the guard. */
	setsid();
	prctl(PR_SET_NAME, "nunchi-guard");
	duty->owner_pidfd = (int)syscall(SYS_pidfd_open, owner, 0);
	if (chdir("/") || !keep_only(duty))
		_exit(1);
	if (send(duty->owner, &ready, 1, MSG_NOSIGNAL) != 1)
		_exit(1);
	/* Died before the pidfd was made: then it is not the owner's, and the socket tells. */
	if (getppid() != owner && duty->owner_pidfd >= 0) {
		close(duty->owner_pidfd);
		duty->owner_pidfd = -1;
	}
	keep_watch(duty);
	_exit(0);
}

/* ---- In our process ---------------------------------------------------------------------------
 */

/* _Fork() runs no handlers of the program we are a library in; older systems lack it. */
#ifndef __GLIBC_PREREQ
#define __GLIBC_PREREQ(major, minor) 0
#endif
static pid_t plain_fork(void)
{
#if __GLIBC_PREREQ(2, 34)
	return _Fork();
#else
	return fork();
#endif
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Its end of the socket closes as it exits; one that is stopped or stuck is killed. */
static void wait_for_exit(const struct guard *guard)
{
	int64_t deadline = now_ms() + 2000;
	struct pollfd pfd = {.fd = guard->socket};

	while (now_ms() < deadline && !(pfd.revents & (POLLHUP | POLLERR)))
		poll(&pfd, 1, 200);
	if (!(pfd.revents & (POLLHUP | POLLERR)))
		kill(guard->pid, SIGKILL);
	reap(guard->pid);
}

static bool is_good(const struct guard_plan *plan)
{
	if (plan->act)
		return !plan->undo;
	return plan->undo_size <= UNDO_MAX && strlen(plan->done) < DONE_MAX && plan->done[0];
}

static struct nunchi_error *start(const struct guard_plan *plan, const int sockets[2], pid_t *ret)
{
	struct duty duty = {.target = plan->fd,
			    .owner = sockets[1],
			    .owner_pidfd = -1,
			    .undo_size = plan->undo_size,
			    .act = plan->act,
			    .data = plan->data,
			    .armed.order = ORDER_DISARM};
	sigset_t all, before;
	pid_t owner = getpid(), pid;

	if (plan->undo) {
		memcpy(duty.undo, plan->undo, plan->undo_size);
		memcpy(duty.done, plan->done, strlen(plan->done));
	}
	/* No handler of ours may run in the child, nor a ^C meant for us end it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = plain_fork();
	if (pid == 0)
		guard_main(&duty, owner);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return error_create_errno(errno, "cannot start the guard process");
	*ret = pid;
	return NULL;
}

/* Until the guard holds only its own descriptors, it is not to be relied on. */
static bool await_ready(int fd)
{
	int64_t deadline = now_ms() + 5000;
	char ready;
	ssize_t n;

	do {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};

		poll(&pfd, 1, 100);
		n = recv(fd, &ready, 1, MSG_DONTWAIT);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR) && now_ms() < deadline);
	return n == 1;
}

struct nunchi_error *guard_create(const struct guard_plan *plan, struct guard **ret)
{
	_cleanup_free_ struct guard *guard = calloc(1, sizeof(*guard));
	struct nunchi_error *err;
	int sockets[2];

	if (!guard)
		return &error_nomem;
	if (!is_good(plan))
		return error_create(NUNCHI_ERROR_ARGUMENT, "guard: the undo is too long");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return error_create_errno(errno, "cannot start the guard process");
	err = start(plan, sockets, &guard->pid);
	close(sockets[1]);
	if (!err && !await_ready(sockets[0])) {
		kill(guard->pid, SIGKILL);
		reap(guard->pid);
		err = error_create(NUNCHI_ERROR_IO, "the guard process ended at once");
	}
	if (err) {
		close(sockets[0]);
		return err;
	}
	guard->socket = sockets[0];
	*ret = no_cleanup_ptr(guard);
	return NULL;
}

static bool tell(struct guard *guard, const struct message *message)
{
	ssize_t n;

	do
		n = send(guard->socket, message, sizeof(*message), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*message);
}

struct nunchi_error *guard_arm(struct guard *guard, const char *record, uint64_t cookie)
{
	struct message message = {.order = ORDER_ARM, .cookie = cookie};

	if (strlen(record) >= sizeof(message.record))
		return error_create(NUNCHI_ERROR_ARGUMENT, "guard: the record's path is too long");
	memcpy(message.record, record, strlen(record));
	if (!tell(guard, &message))
		return error_create_errno(errno, "the guard process is gone");
	return NULL;
}

struct nunchi_error *guard_act(struct guard *guard, bool undo, int *ret)
{
	struct message message = {.order = undo ? ORDER_UNDO : ORDER_DO};
	int64_t deadline = now_ms() + UNDO_MS;
	ssize_t n = -1;
	int result;

	if (!tell(guard, &message))
		return error_create_errno(errno, "the guard process is gone");
	while (wait_for(guard->socket, POLLIN, deadline)) {
		n = recv(guard->socket, &result, sizeof(result), MSG_DONTWAIT);
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	if (n != sizeof(result)) {
		/* One that is only stuck must not do it later, when nobody reckons with it. */
		kill(guard->pid, SIGKILL);
		reap(guard->pid);
		guard->pid = 0;
		return error_create(NUNCHI_ERROR_GONE, "the guard process ended or is stuck");
	}
	*ret = result;
	return NULL;
}

void guard_disarm(struct guard *guard)
{
	struct message message = {.order = ORDER_DISARM};

	tell(guard, &message);
}

void guard_leave(struct guard *guard)
{
	if (!guard)
		return;
	close(guard->socket);
	free(guard);
}

pid_t guard_process(const struct guard *guard)
{
	return guard->pid;
}

void guard_destroy(struct guard *guard)
{
	struct message message = {.order = ORDER_END};

	if (!guard)
		return;
	if (guard->pid) {
		tell(guard, &message);
		wait_for_exit(guard);
	}
	close(guard->socket);
	free(guard);
}
