/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics/metrics.h"

#include "core/clock.h"
#include "core/error.h"
#include "metrics/guest.h"
#include "metrics/render.h"
#include "metrics/server.h"
#include "metrics/textfile.h"

#include <stdlib.h>
#include <string.h>

/* Whoever asks again within this time gets the reading that there is. */
#define AGE_US (1 * CLOCK_US_PER_S)
/* After this time the guests that have not been read are left out; Prometheus waits for 10 s. */
#define ROUND_US (8 * CLOCK_US_PER_S)
/* A signal may come right before a wait, which it then does not end. */
#define WAIT_US (CLOCK_US_PER_S / 2)

struct metrics {
	const struct metrics_options *options;
	struct metrics_guest *guests;
	enum nunchi_error_code *told; /* why each guest cannot be read, as was told; 0: it can */
	struct server server;
	bool reading;                 /* a round of readings goes on */
	bool has_read;                /* there was one */
	uint64_t read_at, round_ends; /* of clock_us() */
	uint64_t write_at;            /* when the file is written next */
	/* Why the file could not be written, as was told; 0: it could. */
	enum nunchi_error_code file_told;
	int file_errno;
};

/* ---- Guests ---------------------------------------------------------------------------------- */

static void start_guests(struct metrics *metrics)
{
	int others[METRICS_MOST_TARGETS + SERVER_MOST_CLIENTS + 1];

	for (size_t i = 0; i < metrics->options->count; i++) {
		size_t count = 0;

		others[count++] = metrics->options->listener;
		for (size_t n = 0; n < SERVER_MOST_CLIENTS; n++)
			others[count++] = metrics->server.clients[n].fd;
		for (size_t n = 0; n < metrics->options->count; n++)
			others[count++] = metrics->guests[n].worker.fd;
		metrics_guest_start(&metrics->guests[i], others, count);
	}
}

static struct nunchi_error *open_guests(struct metrics *metrics)
{
	const struct metrics_options *options = metrics->options;

	metrics->guests = calloc(options->count, sizeof(*metrics->guests));
	metrics->told = calloc(options->count, sizeof(*metrics->told));
	if (!metrics->guests || !metrics->told)
		return &error_nomem;
	for (size_t i = 0; i < options->count; i++) {
		struct metrics_guest *guest = &metrics->guests[i];
		struct buffer label = {0};

		guest->worker.fd = -1;
		guest->options = (struct metrics_reader_options){
		    .target = options->targets[i],
		    .live = options->live[i],
		    .findings = options->findings,
		    .guest = options->guest,
		    .prepare = options->prepare,
		    .data = options->data,
		};
		metrics_label(&label, options->targets[i], strlen(options->targets[i]));
		if (label.failed)
			buffer_deinit(&label);
		/* The guest owns the text from here on. */
		guest->label = label.data;
		if (!guest->label)
			return &error_nomem;
	}
	start_guests(metrics);
	return NULL;
}

static void tell(struct metrics *metrics, size_t i)
{
	const struct metrics_options *options = metrics->options;
	const struct metrics_guest *guest = &metrics->guests[i];
	enum nunchi_error_code code =
	    guest->fresh || !guest->error ? 0 : nunchi_error_code(guest->error);

	if (code && code != metrics->told[i])
		options->fail(options->targets[i], guest->error, options->data);
	if (guest->fresh && metrics->told[i])
		options->back(options->targets[i], options->data);
	if (code || guest->fresh)
		metrics->told[i] = code;
}

/* ---- Rounds of readings ---------------------------------------------------------------------- */

static void begin_round(struct metrics *metrics)
{
	uint64_t now = clock_us();

	for (size_t i = 0; i < metrics->options->count; i++)
		metrics_guest_want(&metrics->guests[i]);
	metrics->reading = true;
	metrics->read_at = now;
	/* What is written once is waited for. */
	metrics->round_ends = metrics->options->listener >= 0 || metrics->options->interval_us
				  ? now + ROUND_US
				  : CLOCK_NEVER;
}

/* Whether the round is over: all guests have answered, or the time is up. */
static bool step_round(struct metrics *metrics)
{
	bool settled = true;

	for (size_t i = 0; i < metrics->options->count; i++) {
		metrics_guest_step(&metrics->guests[i]);
		settled &= metrics_guest_is_settled(&metrics->guests[i]);
	}
	if (!metrics->reading || (!settled && clock_us() < metrics->round_ends))
		return false;
	for (size_t i = 0; i < metrics->options->count; i++) {
		if (!metrics_guest_is_settled(&metrics->guests[i]))
			metrics_guest_give_up(&metrics->guests[i]);
		tell(metrics, i);
	}
	metrics->reading = false;
	metrics->has_read = true;
	return true;
}

static void render(const struct metrics *metrics, enum metrics_form form, struct buffer *out)
{
	struct metrics_source sources[METRICS_MOST_TARGETS];

	for (size_t i = 0; i < metrics->options->count; i++) {
		const struct metrics_guest *guest = &metrics->guests[i];

		sources[i] = (struct metrics_source){
		    .label = guest->label,
		    .reading = guest->fresh ? &guest->reading : NULL,
		    .why = guest->error ? nunchi_error_code(guest->error) : NUNCHI_ERROR_IO,
		};
	}
	metrics_render(out, form, sources, metrics->options->count);
}

static const char *render_response(struct buffer *out, bool text, void *data)
{
	render(data, text ? METRICS_TEXT : METRICS_OPENMETRICS, out);
	return text ? "text/plain; version=0.0.4; charset=utf-8"
		    : "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

/* ---- Where they go --------------------------------------------------------------------------- */

static struct nunchi_error *write_out(struct metrics *metrics)
{
	const struct metrics_options *options = metrics->options;
	_cleanup_buffer_ struct buffer text = {0};
	enum metrics_form form = options->json ? METRICS_JSON : METRICS_OPENMETRICS;

	render(metrics, options->textfile ? METRICS_TEXT : form, &text);
	if (text.failed)
		return &error_nomem;
	if (options->textfile)
		return textfile_write(options->textfile, text.data, text.size);
	if (!options->write(text.data, text.size, options->data))
		return error_create(NUNCHI_ERROR_CANCELLED, "nobody reads the output");
	return NULL;
}

/*
 * Of a file that is written again and again: what keeps it from being written may go, such as a
 * full disk.
 */
static void tell_file(struct metrics *metrics, struct nunchi_error *err)
{
	const struct metrics_options *options = metrics->options;
	enum nunchi_error_code code = err ? nunchi_error_code(err) : 0;
	int errnum = err ? nunchi_error_errno(err) : 0;

	if (err && (code != metrics->file_told || errnum != metrics->file_errno))
		options->file_fail(err, options->data);
	if (!err && metrics->file_told)
		options->file_back(options->data);
	metrics->file_told = code;
	metrics->file_errno = errnum;
	nunchi_error_destroy(err);
}

/* Begins a round if somebody waits for one, or it is time. */
static void begin_due(struct metrics *metrics)
{
	const struct metrics_options *options = metrics->options;
	uint64_t now = clock_us();

	if (metrics->reading)
		return;
	if (options->listener >= 0) {
		if (!server_has_waiting(&metrics->server))
			return;
		if (metrics->has_read && now < metrics->read_at + AGE_US)
			server_answer(&metrics->server, render_response, metrics);
		else
			begin_round(metrics);
		return;
	}
	if (now < metrics->write_at)
		return;
	metrics->write_at += options->interval_us;
	/* After a long stop nothing is made up for. */
	if (metrics->write_at <= now)
		metrics->write_at = now + options->interval_us;
	begin_round(metrics);
}

static void wait_for(struct metrics *metrics)
{
	struct pollfd polls[METRICS_MOST_TARGETS + SERVER_MOST_CLIENTS + 1];
	uint64_t now = clock_us(), until = now + WAIT_US;
	size_t count = 0;

	for (size_t i = 0; i < metrics->options->count; i++) {
		uint64_t next = metrics_guest_next(&metrics->guests[i]);

		polls[count++] = (struct pollfd){metrics->guests[i].worker.fd, POLLIN, 0};
		until = next < until ? next : until;
	}
	if (metrics->options->listener >= 0) {
		uint64_t next = server_next(&metrics->server);

		count += server_polls(&metrics->server, polls + count);
		until = next < until ? next : until;
	} else if (!metrics->reading && metrics->write_at < until) {
		until = metrics->write_at;
	}
	poll(polls, count, until <= now ? 0 : (int)((until - now + 999) / 1000));
}

static struct nunchi_error *follow(struct metrics *metrics)
{
	const struct metrics_options *options = metrics->options;
	struct nunchi_error *err = NULL;

	while (!err && !options->ended(options->data)) {
		begin_due(metrics);
		/* What can be asked is asked before the wait. */
		if (!step_round(metrics)) {
			wait_for(metrics);
			if (options->listener >= 0)
				server_step(&metrics->server);
			start_guests(metrics);
			continue;
		}
		if (options->listener >= 0)
			server_answer(&metrics->server, render_response, metrics);
		else
			err = write_out(metrics);
		if (options->listener >= 0)
			continue;
		if (!options->interval_us)
			break;
		tell_file(metrics, err);
		err = NULL;
	}
	return err;
}

struct nunchi_error *metrics_run(const struct metrics_options *options, size_t *ret_failed)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	struct nunchi_error *err;

	*ret_failed = 0;
	if (!metrics)
		return &error_nomem;
	metrics->options = options;
	server_init(&metrics->server, options->listener);
	err = open_guests(metrics);
	if (!err)
		err = follow(metrics);
	for (size_t i = 0; metrics->guests && i < options->count; i++) {
		*ret_failed += metrics->told && metrics->told[i];
		metrics_guest_stop(&metrics->guests[i]);
	}
	server_deinit(&metrics->server);
	free(metrics->guests);
	free(metrics->told);
	free(metrics);
	return err;
}
