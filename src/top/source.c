/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/source.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/io.h"
#include "top/top.h"

#include <stdlib.h>
#include <string.h>

static void run(const void *options, int fd)
{
	top_reader_run(options, fd);
}

struct nunchi_error *top_source_start(struct top_source *source, struct top_source *const *others,
				      size_t count)
{
	int fds[TOP_MOST_TARGETS];
	const struct worker_start start = {
	    .run = run, .data = &source->options, .others = fds, .other_count = count};

	for (size_t i = 0; i < count; i++)
		fds[i] = others[i]->worker.fd;
	source->asked = source->greeted = false;
	return worker_start(&source->worker, &start);
}

void top_source_ask(struct top_source *source, const struct top_request *request)
{
	if (source->worker.fd < 0 || source->asked || !source->greeted)
		return;
	source->asked = !io_write_quietly(source->worker.fd, request, sizeof(*request));
}

/* The reader's error, or that the reader itself is gone. */
static void fail(struct top_source *source, struct nunchi_error *err)
{
	nunchi_error_destroy(source->error);
	source->error = err;
	worker_end(&source->worker);
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
	struct top_reading *reading = top_reading_decode(source->worker.data, source->worker.size);
	bool unasked = source->greeted && !source->asked;

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

bool top_source_take(struct top_source *source)
{
	enum worker_taken taken;
	bool news = false;

	while ((taken = worker_take(&source->worker, top_reading_size)) == WORKER_ANSWER)
		news |= take_answer(source);
	if (taken == WORKER_NOTHING)
		return news;
	if (taken == WORKER_NOMEM)
		fail(source, nunchi_error_create(NUNCHI_ERROR_NOMEM, 0, "out of memory", NULL));
	else
		fail(source, nunchi_error_create(NUNCHI_ERROR_IO, 0,
						 "the process that reads the guest ended", NULL));
	return true;
}

void top_source_stop(struct top_source *source)
{
	worker_deinit(&source->worker);
	top_reading_destroy(source->now);
	top_reading_destroy(source->before);
	nunchi_error_destroy(source->error);
	source->now = source->before = NULL;
	source->error = NULL;
}
