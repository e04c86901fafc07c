/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal/guard.h"

#include "core/io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* How long the guard may take to start, and to execute an order. */
#define START_US (10 * CLOCK_US_PER_S)
#define ORDER_US (10 * CLOCK_US_PER_S)
/* How long the guard may take to end after GUARD_END, and to die after SIGKILL. */
#define END_US  (2 * CLOCK_US_PER_S)
#define KILL_US (2 * CLOCK_US_PER_S)
struct guard {
	pid_t pid; /* 0: the process has ended */
	int pidfd; /* -1: not available (before Linux 5.3) */
	int socket;
};

/* ---- Starting -------------------------------------------------------------------------------- */

const struct own_program guard_program = {
    .name = "nunchi-guard",
    .without = "install all of nunchi: without this program the guest could stay paused after "
	       "nunchi has died, so nunchi does not pause it; --pause never works without it",
};

static struct nunchi_error *start_guard(const struct guard_plan *plan, int socket, char **ret_path,
					bool *ret_pidfd, pid_t *ret)
{
	static const char *const arguments[] = {"nunchi-guard", NULL}, *const environment[] = {
									   NULL};
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	const int fds[OWN_PROGRAM_FDS] = {
	    [GUARD_FD_OWNER - OWN_PROGRAM_FD] = socket,
	    [GUARD_FD_HANDLE - OWN_PROGRAM_FD] = plan->handle,
	    [GUARD_FD_PIDFD - OWN_PROGRAM_FD] = pidfd,
	};

	*ret_pidfd = pidfd >= 0;
	return own_program_start(&guard_program, fds, ARRAY_SIZE(fds), arguments, environment,
				 ret_path, ret);
}

/* ---- Talking --------------------------------------------------------------------------------- */

/* Sends a packet to the guard. Returns 0 or an errno: EPIPE and the like if the guard has ended. */
static int send_packet(const struct guard *guard, const void *packet, size_t size)
{
	ssize_t n;

	do
		n = send(guard->socket, packet, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)size ? 0 : errno;
}

/*
 * Receives the guard's answer: 0 or an errno of the guard; -1 if no answer came in time or the
 * guard has ended.
 */
static int receive_answer(const struct guard *guard, uint64_t within_us)
{
	uint64_t deadline = clock_us() + within_us;

	for (;;) {
		int answer, ready = io_wait(guard->socket, POLLIN, deadline, NULL);
		ssize_t n;

		if (ready <= 0)
			return -1;
		n = recv(guard->socket, &answer, sizeof(answer), MSG_DONTWAIT);
		if (n == sizeof(answer))
			return answer;
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return -1;
	}
}

static void send_kill(const struct guard *guard)
{
	/*
	 * Use the pidfd: if another part of the program has reaped the guard, its process id may
	 * belong to another process.
	 */
	if (guard->pidfd < 0 || syscall(SYS_pidfd_send_signal, guard->pidfd, SIGKILL, NULL, 0))
		kill(guard->pid, SIGKILL);
}

/* Kills the guard. Returns whether it is dead afterwards. */
static bool kill_guard(struct guard *guard)
{
	int status;

	if (guard->pid)
		send_kill(guard);
	if (guard->pid && io_reap(guard->pid, clock_us() + KILL_US, NULL, &status) == 0)
		return false;
	guard->pid = 0;
	return true;
}

static void end_guard(struct guard *guard)
{
	const struct guard_order order = {.op = GUARD_END};
	int status;

	if (!guard->pid)
		return;
	/* A guard that is stopped or hangs is killed. */
	if (send_packet(guard, &order, sizeof(order)) ||
	    io_reap(guard->pid, clock_us() + END_US, NULL, &status) == 0)
		kill_guard(guard);
	guard->pid = 0;
}

static struct nunchi_error *set_up(const struct guard *guard, const struct guard_plan *plan,
				   bool has_pidfd, const char *path)
{
	struct guard_setup setup = {.protocol = GUARD_PROTOCOL,
				    .kind = plan->kind,
				    .has_pidfd = has_pidfd,
				    .undo_size = plan->undo_size,
				    .domctl = plan->domctl,
				    .ring_version = plan->ring_version,
				    .vcpus = plan->vcpus,
				    .domain = plan->domain};
	int answer;

	if (plan->pauses)
		snprintf(setup.pauses, sizeof(setup.pauses), "%s", plan->pauses);
	if (plan->undo) {
		memcpy(setup.undo, plan->undo, plan->undo_size);
		memcpy(setup.done, plan->done, strlen(plan->done));
		if (plan->threads)
			setup.threads = *plan->threads;
	}
	answer = send_packet(guard, &setup, sizeof(setup)) ? -1 : receive_answer(guard, START_US);
	if (answer == EPROTO)
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED, "%s belongs to another build of nunchi",
				 path),
		    "install the command, the library and nunchi-guard from the same build");
	if (answer > 0)
		return error_create_errno(answer, "%s", path);
	if (answer < 0)
		return error_create(NUNCHI_ERROR_IO, "%s ended at once, or does not answer", path);
	return NULL;
}

struct nunchi_error *guard_create(const struct guard_plan *plan, struct guard **ret)
{
	_cleanup_free_ struct guard *guard = calloc(1, sizeof(*guard));
	_cleanup_free_ char *path = NULL;
	struct nunchi_error *err;
	bool has_pidfd = false;
	int sockets[2];

	if (!guard)
		return &error_nomem;
	if (plan->undo && (plan->undo_size > GUARD_UNDO_MAX || !plan->done[0] ||
			   strlen(plan->done) >= GUARD_DONE_MAX))
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "guard: the command that resumes the guest is too long");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return error_create_errno(errno, "cannot make the guard's socket");
	err = start_guard(plan, sockets[1], &path, &has_pidfd, &guard->pid);
	close(sockets[1]);
	guard->socket = sockets[0];
	guard->pidfd = err ? -1 : (int)syscall(SYS_pidfd_open, guard->pid, 0);
	if (!err)
		err = set_up(guard, plan, has_pidfd, path);
	if (err) {
		guard_destroy(no_cleanup_ptr(guard));
		return err;
	}
	*ret = no_cleanup_ptr(guard);
	return NULL;
}

static struct nunchi_error *is_gone(void)
{
	return error_create(NUNCHI_ERROR_GONE, "the guard process ended or hangs");
}

struct nunchi_error *guard_arm(struct guard *guard, const struct undo_log *log)
{
	struct guard_order order = {.op = GUARD_ARM, .owner = undo_log_owner_number(log)};
	const char *path = undo_log_path(log);
	int answer;

	if (strlen(path) >= sizeof(order.log))
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "guard: the undo log's path is too long");
	memcpy(order.log, path, strlen(path));
	answer = send_packet(guard, &order, sizeof(order)) ? -1 : receive_answer(guard, ORDER_US);
	if (answer < 0)
		return is_gone();
	return answer ? error_create_errno(answer, "the guard process cannot take the undo log %s",
					   path)
		      : NULL;
}

struct nunchi_error *guard_act(struct guard *guard, unsigned entry, bool undo, int *ret)
{
	const struct guard_order order = {.op = undo ? GUARD_UNDO : GUARD_DO, .entry = entry};
	int answer =
	    send_packet(guard, &order, sizeof(order)) ? -1 : receive_answer(guard, ORDER_US);

	if (answer < 0) {
		/*
		 * Kill a guard that hangs: it must not pause or resume the guest at some later
		 * time.
		 */
		if (!kill_guard(guard))
			return error_create(
			    NUNCHI_ERROR_TIMEOUT,
			    "the guard process hangs in a system call and cannot be killed");
		return is_gone();
	}
	*ret = answer;
	return NULL;
}

void guard_disarm(struct guard *guard)
{
	const struct guard_order order = {.op = GUARD_DISARM};

	send_packet(guard, &order, sizeof(order));
}

static void release(struct guard *guard)
{
	close(guard->socket);
	if (guard->pidfd >= 0)
		close(guard->pidfd);
	free(guard);
}

void guard_leave(struct guard *guard)
{
	if (guard)
		release(guard);
}

pid_t guard_process(const struct guard *guard)
{
	return guard->pid;
}

void guard_destroy(struct guard *guard)
{
	if (!guard)
		return;
	end_guard(guard);
	release(guard);
}
