/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/source.h"

#include "core/array.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE ((size_t)256 << 10)
/* A reader that does not end in this time once nobody asks any more is killed. */
#define END_US 300000

/*
 * In the new process: a key at the terminal is none of its business, and it prints nothing. It ends
 * when the other end of the pair is closed.
 */
static void be_reader(const struct top_source *source, struct top_source *const *others,
		      size_t count, int fd)
{
	static const int ended[] = {SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = SIG_IGN};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* It must not keep the terminal. */
	if (null < 0)
		_exit(1);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTSTP, &action, NULL);
	sigaction(SIGWINCH, &action, NULL);
	action.sa_handler = SIG_DFL;
	for (size_t i = 0; i < ARRAY_SIZE(ended); i++)
		sigaction(ended[i], &action, NULL);
	for (size_t i = 0; i < count; i++)
		if (others[i]->fd >= 0)
			close(others[i]->fd);
	for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++)
		dup2(null, standard);
	top_reader_run(&source->options, fd);
	_exit(0);
}

struct nunchi_error *top_source_start(struct top_source *source, struct top_source *const *others,
				      size_t count)
{
	int pair[2];
	pid_t pid;

	source->fd = -1;
	source->asked = source->greeted = false;
	source->size = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return error_create_errno(errno, "cannot make a pair of sockets");
	pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return error_create_errno(errno, "cannot start a process that reads the guest");
	}
	if (!pid) {
		close(pair[0]);
		be_reader(source, others, count, pair[1]);
	}
	close(pair[1]);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	source->pid = pid;
	source->fd = pair[0];
	return NULL;
}

/* The reader ends by itself when its descriptor is closed, unless it is in the middle of a walk. */
static void end_reader(struct top_source *source)
{
	int status;

	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
	if (!source->pid)
		return;
	if (!io_reap(source->pid, clock_us() + END_US, NULL, &status)) {
		kill(source->pid, SIGKILL);
		io_reap(source->pid, CLOCK_NEVER, NULL, &status);
	}
	source->pid = 0;
}

void top_source_ask(struct top_source *source, const struct top_request *request)
{
	if (source->fd < 0 || source->asked || !source->greeted)
		return;
	source->asked = !io_write_quietly(source->fd, request, sizeof(*request));
}

/* The reader's error, or that the reader itself is gone. */
static void fail(struct top_source *source, struct nunchi_error *err)
{
	nunchi_error_destroy(source->error);
	source->error = err;
	end_reader(source);
	source->restarted = true;
	source->retry_at = clock_us() + TOP_RETRY_US;
}

static char *copy_text(const struct top_reading *reading, const struct top_text *text)
{
	size_t size;
	const char *bytes = top_reading_text(reading, text, &size);

	return size ? strndup(bytes, size) : NULL;
}

static struct nunchi_error *error_of(const struct top_reading *reading)
{
	char *message = copy_text(reading, &reading->general.message);
	char *hint = copy_text(reading, &reading->general.hint);
	struct nunchi_error *err =
	    nunchi_error_create((enum nunchi_error_code)reading->general.error,
				reading->general.errnum, message ? message : "unknown error", hint);

	free(message);
	free(hint);
	return err;
}

void top_source_keep(struct top_source *source, struct top_reading *reading)
{
	uint64_t at = clock_us();
	bool soon = source->before && at - source->now_at < TOP_LEAST_US;

	/* After a reading that came too soon, the next one is compared with it. */
	if (soon && !source->restarted) {
		top_reading_destroy(source->now);
	} else {
		top_reading_destroy(source->before);
		source->before = source->now;
		source->now_at = at;
	}
	if (source->restarted || !source->options.live) {
		top_reading_destroy(source->before);
		source->before = NULL;
	}
	source->restarted = false;
	source->now = reading;
}

/* Takes a whole answer; true if it is news. */
static bool take_answer(struct top_source *source)
{
	struct top_reading *reading = top_reading_decode(source->data, source->size);
	bool unasked = source->greeted && !source->asked;

	source->size = 0;
	source->asked = false;
	if (reading && unasked) {
		fail(source,
		     nunchi_error_create(NUNCHI_ERROR_IO, 0,
					 "the process that reads the guest sent what it was "
					 "not asked for",
					 NULL));
		top_reading_destroy(reading);
		return true;
	}
	if (!reading) {
		fail(source, nunchi_error_create(NUNCHI_ERROR_NOMEM, 0, "out of memory", NULL));
		return true;
	}
	if (reading->general.error) {
		fail(source, error_of(reading));
		top_reading_destroy(reading);
		return true;
	}
	/* The first answer has no rows: it says that the guest is open. */
	if (!source->greeted) {
		source->greeted = source->ever = true;
		top_reading_destroy(reading);
		return false;
	}
	nunchi_error_destroy(source->error);
	source->error = NULL;
	top_source_keep(source, reading);
	return true;
}

/*
 * How many bytes the answer still lacks, at least; 0: it is whole. SIZE_MAX: it is none. Another
 * one comes only when it was asked for.
 */
static size_t lacking(const struct top_source *source)
{
	size_t whole = top_reading_size(source->data, source->size);

	if (whole == SIZE_MAX || (whole && whole < source->size))
		return SIZE_MAX;
	return whole ? whole - source->size : PIECE;
}

bool top_source_take(struct top_source *source)
{
	bool news = false;

	while (source->fd >= 0) {
		size_t most = lacking(source);
		ssize_t got;

		if (most == SIZE_MAX || most > PIECE)
			most = PIECE;
		if (!ARRAY_RESERVE(source->data, source->size, source->capacity, most)) {
			fail(source,
			     nunchi_error_create(NUNCHI_ERROR_NOMEM, 0, "out of memory", NULL));
			return true;
		}
		got = read(source->fd, source->data + source->size, most);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return news;
		if (got > 0)
			source->size += (size_t)got;
		if (got <= 0 || lacking(source) == SIZE_MAX) {
			fail(source,
			     nunchi_error_create(NUNCHI_ERROR_IO, 0,
						 "the process that reads the guest ended", NULL));
			return true;
		}
		if (!lacking(source))
			news |= take_answer(source);
	}
	return news;
}

void top_source_stop(struct top_source *source)
{
	end_reader(source);
	top_reading_destroy(source->now);
	top_reading_destroy(source->before);
	nunchi_error_destroy(source->error);
	free(source->data);
	source->now = source->before = NULL;
	source->error = NULL;
	source->data = NULL;
}
