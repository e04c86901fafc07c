/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/worker.h"

#include "core/array.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE ((size_t)256 << 10)
/* A process that does not end in this time once nobody asks any more is killed. */
#define END_US 300000

/* In the new process: a key at the terminal is none of its business, and it prints nothing. */
static void be_worker(const struct worker_start *start, int fd)
{
	static const int ignored[] = {SIGINT, SIGTSTP, SIGWINCH}, ended[] = {SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = SIG_IGN};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* It must not keep the terminal. */
	if (null < 0)
		_exit(1);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		sigaction(ignored[i], &action, NULL);
	action.sa_handler = SIG_DFL;
	for (size_t i = 0; i < ARRAY_SIZE(ended); i++)
		sigaction(ended[i], &action, NULL);
	for (size_t i = 0; i < start->other_count; i++)
		if (start->others[i] >= 0)
			close(start->others[i]);
	for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++)
		dup2(null, standard);
	start->run(start->data, fd);
	_exit(0);
}

struct nunchi_error *worker_start(struct worker *worker, const struct worker_start *start)
{
	int pair[2];
	pid_t pid;

	worker->fd = -1;
	worker->size = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return error_create_errno(errno, "cannot make a pair of sockets");
	pid = fork();
	if (pid < 0) {
		struct nunchi_error *err =
		    error_create_errno(errno, "cannot start a process that reads the guest");

		close(pair[0]);
		close(pair[1]);
		return err;
	}
	if (!pid) {
		close(pair[0]);
		be_worker(start, pair[1]);
	}
	close(pair[1]);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	worker->pid = pid;
	worker->fd = pair[0];
	return NULL;
}

/* It ends by itself when its descriptor is closed, unless it is in the middle of a walk. */
void worker_end(struct worker *worker)
{
	int status;

	if (worker->fd >= 0)
		close(worker->fd);
	worker->fd = -1;
	worker->size = 0;
	if (!worker->pid)
		return;
	if (!io_reap(worker->pid, clock_us() + END_US, NULL, &status)) {
		kill(worker->pid, SIGKILL);
		io_reap(worker->pid, CLOCK_NEVER, NULL, &status);
	}
	worker->pid = 0;
}

void worker_deinit(struct worker *worker)
{
	worker_end(worker);
	free(worker->data);
	worker->data = NULL;
	worker->capacity = 0;
}

/* How many bytes the answer still lacks, at least; 0: it is whole. SIZE_MAX: it is none. */
static size_t lacking(const struct worker *worker, worker_size *size_of)
{
	size_t whole = size_of(worker->data, worker->size);

	if (whole == SIZE_MAX || (whole && whole < worker->size))
		return SIZE_MAX;
	return whole ? whole - worker->size : PIECE;
}

enum worker_taken worker_take(struct worker *worker, worker_size *size_of)
{
	/* The answer that was taken before. */
	if (worker->size && !lacking(worker, size_of))
		worker->size = 0;
	while (worker->fd >= 0) {
		size_t most = lacking(worker, size_of);
		ssize_t got;

		if (most > PIECE)
			most = PIECE;
		if (!ARRAY_RESERVE(worker->data, worker->size, worker->capacity, most))
			return WORKER_NOMEM;
		got = read(worker->fd, worker->data + worker->size, most);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return WORKER_NOTHING;
		if (got > 0)
			worker->size += (size_t)got;
		if (got <= 0 || lacking(worker, size_of) == SIZE_MAX)
			return WORKER_ENDED;
		if (!lacking(worker, size_of))
			return WORKER_ANSWER;
	}
	return WORKER_NOTHING;
}
