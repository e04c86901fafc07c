/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/io.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* How long a child is left alone between two looks where its end cannot be polled for. */
#define REAP_US 5000
/* What io_read_all() reads in one call. */
#define CHUNK 65536

/* Milliseconds until the deadline, rounded up; -1 for ever. Cut so that a cancel is noticed. */
static int timeout_until(uint64_t deadline_us, uint64_t now, bool cancellable)
{
	uint64_t left = deadline_us - now, ms = left / CLOCK_US_PER_MS + !!(left % CLOCK_US_PER_MS);

	if (cancellable && ms > IO_CANCEL_MS)
		return IO_CANCEL_MS;
	if (deadline_us == CLOCK_NEVER)
		return -1;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

int io_wait(int fd, short events, uint64_t deadline_us, const struct cancel *cancel)
{
	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = events};
		uint64_t now = clock_us();
		int ready;

		if (cancel_requested(cancel))
			return -ECANCELED;
		ready =
		    poll(&pfd, 1,
			 now >= deadline_us ? 0 : timeout_until(deadline_us, now, cancel != NULL));
		if (ready > 0)
			return 1;
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready == 0 && now >= deadline_us)
			return 0;
	}
}

int io_sleep_until(uint64_t deadline_us, const struct cancel *cancel)
{
	return io_wait(-1, 0, deadline_us, cancel);
}

ssize_t io_read_full(int fd, void *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, (char *)buffer + done, size - done);

		if (n == 0)
			break;
		if (n > 0)
			done += (size_t)n;
		else if (errno == EAGAIN && done)
			break;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)done;
}

ssize_t io_pread_full(int fd, void *buffer, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));

		if (n == 0)
			break;
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)done;
}

int io_write_full(int fd, const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(fd, (const char *)data + done, size - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int io_write_quietly(int fd, const void *data, size_t size)
{
	const struct timespec at_once = {0};
	sigset_t pipe_signal, before, pending;
	int result;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	sigemptyset(&pending);
	/* On Linux the mask is that of this thread alone. */
	if (sigprocmask(SIG_BLOCK, &pipe_signal, &before))
		return io_write_full(fd, data, size);
	sigpending(&pending);
	result = io_write_full(fd, data, size);
	/* Take the signal that the write caused; one that was pending before is somebody else's. */
	if (result == -EPIPE && !sigismember(&pending, SIGPIPE)) {
		while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR)
			;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return result;
}

int io_read_all(int fd, struct buffer *buf)
{
	for (;;) {
		size_t room = buffer_room(buf), size = room < CHUNK ? room : CHUNK;
		char *to = size ? buffer_reserve(buf, size) : NULL, more;
		ssize_t n;

		if (size && !to)
			return -ENOMEM;
		/* A full buffer is enough if the file ends here. */
		n = io_read_full(fd, size ? to : &more, size ? size : 1);
		if (n <= 0)
			return (int)n;
		if (!size)
			return -EFBIG;
		buf->size += (size_t)n;
		buf->data[buf->size] = '\0';
	}
}

/* Whether the process has ended, though its status may have been taken by somebody else. */
static bool has_ended(pid_t pid, int pidfd)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

	if (pidfd >= 0)
		return poll(&pfd, 1, 0) > 0;
	return kill(pid, 0) && errno == ESRCH;
}

int io_reap(pid_t pid, uint64_t deadline_us, const struct cancel *cancel, int *ret_status)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	for (;;) {
		uint64_t now = clock_us(), look = now + REAP_US;
		pid_t got = waitpid(pid, ret_status, WNOHANG);
		int waited;

		if (got == pid)
			return 1;
		if (got < 0 && errno == ECHILD && has_ended(pid, pidfd))
			return -ECHILD;
		if (got < 0 && errno != EINTR && errno != ECHILD)
			return -errno;
		if (now >= deadline_us)
			return 0;
		if (look > deadline_us || pidfd >= 0)
			look = deadline_us;
		waited = io_wait(pidfd, POLLIN, look, cancel);
		if (waited < 0)
			return waited;
	}
}
