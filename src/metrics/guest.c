/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics/guest.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/io.h"

#include <stdlib.h>

/* How long after a failure the guest is opened again: twice as long after each that follows. */
#define RETRY_LEAST_US (2 * CLOCK_US_PER_S)
#define RETRY_MOST_US  (30 * CLOCK_US_PER_S)
/*
 * A process that does not open the guest, or answers no question, for so long is ended; each view
 * has a limit far below.
 */
#define HANG_US (60 * CLOCK_US_PER_S)

static void run(const void *options, int fd)
{
	metrics_reader_run(options, fd);
}

/* Ends the process, for that reason. */
static void fail(struct metrics_guest *guest, struct nunchi_error *err)
{
	nunchi_error_destroy(guest->error);
	guest->error = err;
	worker_end(&guest->worker);
	guest->greeted = guest->asked = guest->wanted = guest->fresh = false;
	guest->retry_us = guest->retry_us ? guest->retry_us * 2 : RETRY_LEAST_US;
	if (guest->retry_us > RETRY_MOST_US)
		guest->retry_us = RETRY_MOST_US;
	guest->retry_at = clock_us() + guest->retry_us;
}

void metrics_guest_start(struct metrics_guest *guest, const int *others, size_t count)
{
	const struct worker_start start = {
	    .run = run, .data = &guest->options, .others = others, .other_count = count};
	struct nunchi_error *err;

	if (guest->worker.fd >= 0 || clock_us() < guest->retry_at)
		return;
	err = worker_start(&guest->worker, &start);
	guest->started_at = clock_us();
	if (err)
		fail(guest, err);
}

void metrics_guest_want(struct metrics_guest *guest)
{
	guest->wanted = true;
	guest->fresh = false;
}

static struct nunchi_error *error_of(const struct metrics_reading *reading)
{
	return nunchi_error_create((enum nunchi_error_code)reading->error, reading->errnum,
				   *reading->message ? reading->message : "unknown error",
				   *reading->hint ? reading->hint : NULL);
}

static void take_answer(struct metrics_guest *guest)
{
	struct metrics_reading *reading = &guest->reading;
	bool expected = !guest->greeted || guest->asked;

	guest->fresh = false;
	if (!metrics_reading_decode(guest->worker.data, guest->worker.size, reading) || !expected ||
	    !metrics_names_add(&guest->names, reading)) {
		fail(guest, error_create(NUNCHI_ERROR_DATA,
					 "the process that reads the guest sent what is no answer "
					 "to a question"));
		return;
	}
	if (reading->error) {
		fail(guest, error_of(reading));
		return;
	}
	/* The first answer says that the guest is open. */
	if (!guest->greeted) {
		guest->greeted = true;
		return;
	}
	guest->asked = false;
	guest->fresh = true;
	guest->retry_us = 0;
	nunchi_error_destroy(guest->error);
	guest->error = NULL;
}

static void ask(struct metrics_guest *guest)
{
	if (!guest->wanted || !guest->greeted || guest->asked)
		return;
	guest->asked_at = clock_us();
	/* That the process has ended is seen when its answer is taken. */
	(void)io_write_quietly(guest->worker.fd, "", 1);
	guest->asked = true;
	guest->wanted = false;
	guest->fresh = false;
}

/* When a process that has not answered by then is ended. */
static uint64_t hangs_at(const struct metrics_guest *guest)
{
	if (guest->worker.fd < 0)
		return CLOCK_NEVER;
	if (!guest->greeted)
		return guest->started_at + HANG_US;
	return guest->asked ? guest->asked_at + HANG_US : CLOCK_NEVER;
}

void metrics_guest_step(struct metrics_guest *guest)
{
	enum worker_taken taken;

	while ((taken = worker_take(&guest->worker, metrics_reading_size)) == WORKER_ANSWER)
		take_answer(guest);
	if (taken == WORKER_NOMEM)
		fail(guest, &error_nomem);
	if (taken == WORKER_ENDED)
		fail(guest,
		     error_create(NUNCHI_ERROR_IO, "the process that reads the guest ended"));
	if (clock_us() > hangs_at(guest))
		fail(guest, error_create(NUNCHI_ERROR_TIMEOUT,
					 "the process that reads the guest does not answer"));
	ask(guest);
}

bool metrics_guest_is_settled(const struct metrics_guest *guest)
{
	if (guest->worker.fd < 0)
		return guest->error != NULL;
	return !guest->wanted && !guest->asked && guest->greeted;
}

void metrics_guest_give_up(struct metrics_guest *guest)
{
	bool opening = !guest->greeted;

	guest->wanted = false;
	/* Of a guest that could not be opened before, the reason for that stays. */
	if (guest->error && opening)
		return;
	nunchi_error_destroy(guest->error);
	guest->error =
	    error_create(NUNCHI_ERROR_TIMEOUT, opening ? "it takes long to open the guest"
						       : "it takes long to read the guest");
}

uint64_t metrics_guest_next(const struct metrics_guest *guest)
{
	if (guest->worker.fd < 0)
		return guest->retry_at;
	return hangs_at(guest);
}

void metrics_guest_stop(struct metrics_guest *guest)
{
	worker_deinit(&guest->worker);
	nunchi_error_destroy(guest->error);
	guest->error = NULL;
	free(guest->label);
	guest->label = NULL;
}
