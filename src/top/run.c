/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/run.h"

#include "core/clock.h"
#include "core/error.h"
#include "top/batch.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

void top_pane_update(struct top_pane *pane)
{
	struct top_model *model = &pane->model;

	pane->order.filter = pane->filter;
	if (!pane->source.now)
		return;
	if (!top_model_update(model, pane->source.now, pane->source.before, &pane->order))
		return;
	if (pane->chosen < 0)
		pane->at = 0;
	for (size_t i = 0; i < model->count && pane->chosen >= 0; i++) {
		if (model->rows[i].task->numbers[TOP_PID].value == pane->chosen) {
			pane->at = i;
			return;
		}
	}
	if (pane->at >= model->count)
		pane->at = model->count ? model->count - 1 : 0;
}

/* Asks for what the pane shows. */
static void ask(struct top_pane *pane)
{
	const struct top_request request = {
	    .threads = pane->threads,
	    .files = pane->details == TOP_FILES,
	    .maps = pane->details == TOP_MAPS,
	    .pid = pane->details_pid,
	};

	if (!pane->source.asked && pane->source.greeted)
		pane->again = false;
	top_source_ask(&pane->source, &request);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void prepare_panes(struct top *top)
{
	const struct top_options *options = top->options;

	for (size_t i = 0; i < options->count; i++)
		top->panes[i] = (struct top_pane){
		    .target = options->targets[i],
		    .order = {.column = TOP_COLUMN_CPU, .filter = ""},
		    .threads = options->threads,
		    .chosen = -1,
		    .source = {.options = {.target = options->targets[i],
					   .live = options->live[i],
					   .guest = options->guest,
					   .prepare = options->prepare,
					   .data = options->data},
			       .worker.fd = -1},
		};
	top->count = options->count;
}

/* The descriptors of all readers; those that have none are -1, which poll() leaves out. */
static void wait_for(struct top *top, uint64_t until, bool keys)
{
	struct pollfd polls[TOP_MOST_TARGETS + 1];
	uint64_t now = clock_us();
	size_t count = 0;

	for (size_t i = 0; i < top->count; i++)
		polls[count++] = (struct pollfd){top->panes[i].source.worker.fd, POLLIN, 0};
	if (keys)
		polls[count++] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
	/* A signal ends the wait: the caller looks what it asks for. */
	if (poll(polls, count, until <= now ? 0 : (int)((until - now + 999) / 1000)) > 0 && keys)
		top->hung_up |= polls[count - 1].revents & (POLLHUP | POLLERR | POLLNVAL);
}

static struct nunchi_error *start_pane(struct top *top, struct top_pane *pane)
{
	struct top_source *others[TOP_MOST_TARGETS];
	size_t count = 0;

	for (size_t i = 0; i < top->count; i++)
		others[count++] = &top->panes[i].source;
	return top_source_start(&pane->source, others, count);
}

/* Waits until all guests are open, or one cannot be opened. */
static struct nunchi_error *open_all(struct top *top, const char **ret_target)
{
	size_t opened = 0;

	for (size_t i = 0; i < top->count; i++) {
		struct nunchi_error *err = start_pane(top, &top->panes[i]);

		if (err)
			return err;
	}
	while (opened < top->count && !top->options->ended(top->options->data)) {
		opened = 0;
		wait_for(top, clock_us() + CLOCK_US_PER_S, false);
		for (size_t i = 0; i < top->count; i++) {
			struct top_pane *pane = &top->panes[i];

			top_source_take(&pane->source);
			opened += pane->source.greeted;
			if (pane->source.error) {
				struct nunchi_error *err = pane->source.error;

				pane->source.error = NULL;
				*ret_target = pane->target;
				return err;
			}
		}
	}
	return NULL;
}

/* ---- Batch ----------------------------------------------------------------------------------- */

static struct nunchi_error *print_pane(struct top *top, struct top_pane *pane)
{
	const struct top_options *options = top->options;
	const struct top_source *source = &pane->source;
	_cleanup_buffer_ struct buffer text = {.limit = (size_t)1 << 30};
	struct nunchi_error *err = NULL;

	if (source->error) {
		options->warn(pane->target, nunchi_error_message(source->error), options->data);
		if (options->json)
			err = top_batch_json_error(pane->target, source->error, &text);
	} else if (options->json) {
		err = top_batch_json(pane->target, source->now, &pane->model, &text);
	} else {
		top_batch_text(pane->target, source->now, &pane->model, options->width, &text);
		if (text.failed)
			err = &error_nomem;
	}
	for (size_t i = 0; !source->error && i < source->now->warning_count; i++) {
		_cleanup_buffer_ struct buffer warning = {.limit = 65536};

		top_text_append(source->now, &source->now->warnings[i], &warning);
		options->warn(pane->target, buffer_string(&warning), options->data);
	}
	if (!err && text.size && !options->write(text.data, text.size, options->data))
		err = error_create(NUNCHI_ERROR_CANCELLED, "nobody reads the output");
	return err;
}

/* A running guest is compared with what it was one interval ago, so its first reading is not shown.
 */
static struct nunchi_error *take_batch(struct top *top, struct top_pane *pane)
{
	struct nunchi_error *err;

	if (!pane->source.error && !pane->source.before && pane->source.options.live)
		return NULL;
	top_pane_update(pane);
	err = print_pane(top, pane);
	pane->refreshes++;
	pane->failed = pane->source.error != NULL;
	return err;
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void restart_lost(struct top *top)
{
	uint64_t now = clock_us();

	for (size_t i = 0; i < top->count; i++) {
		struct top_source *source = &top->panes[i].source;

		if (source->worker.fd < 0 && now >= source->retry_at) {
			nunchi_error_destroy(start_pane(top, &top->panes[i]));
			source->retry_at = now + TOP_RETRY_US;
		}
	}
}

/* Asks each guest once an interval; files once, and when something else of them is to be seen. */
static void ask_due(struct top *top)
{
	uint64_t now = clock_us();
	bool due = now >= top->next_at;

	if (due) {
		top->next_at += top->interval_us;
		/* After a long stop refreshes are not made up for. */
		if (top->next_at <= now)
			top->next_at = now + top->interval_us;
	}
	for (size_t i = 0; i < top->count; i++) {
		struct top_pane *pane = &top->panes[i];

		/* A guest that was opened anew is not kept waiting. */
		if (pane->source.restarted || pane->again ||
		    (pane->source.options.live ? due : !pane->source.now))
			ask(pane);
	}
}

static struct nunchi_error *take_all(struct top *top, bool *ret_news)
{
	for (size_t i = 0; i < top->count; i++) {
		struct top_pane *pane = &top->panes[i];
		struct nunchi_error *err = NULL;

		if (!top_source_take(&pane->source))
			continue;
		*ret_news = true;
		if (top->options->batch)
			err = take_batch(top, pane);
		else
			top_pane_update(pane);
		if (err)
			return err;
	}
	return NULL;
}

/* Whether all is printed that was asked for. */
static bool is_complete(const struct top *top)
{
	for (size_t i = 0; i < top->count; i++) {
		const struct top_pane *pane = &top->panes[i];
		uint64_t wanted = pane->source.options.live ? top->options->refreshes : 1;

		if (!top->options->batch || !wanted || pane->refreshes < wanted)
			return false;
	}
	return true;
}

/* When there is something to be done, if nothing comes. */
static uint64_t next_time(const struct top *top)
{
	uint64_t at = top->next_at;

	for (size_t i = 0; i < top->count; i++) {
		const struct top_source *source = &top->panes[i].source;

		if (source->worker.fd < 0 && source->retry_at < at)
			at = source->retry_at;
	}
	return at;
}

static struct nunchi_error *follow(struct top *top, struct top_screen *screen)
{
	struct nunchi_error *err = NULL;
	bool news = true, goes_on = true;

	top->next_at = clock_us();
	while (!err && goes_on && !top->hung_up && !top->options->ended(top->options->data)) {
		ask_due(top);
		if (screen && news)
			top_screen_draw(screen);
		news = false;
		wait_for(top, next_time(top), screen != NULL);
		if (screen)
			goes_on = top_screen_keys(screen);
		err = take_all(top, &news);
		restart_lost(top);
		if (!err && is_complete(top))
			break;
	}
	return err;
}

struct nunchi_error *top_run(const struct top_options *options, const char **ret_target)
{
	struct top top = {.options = options, .interval_us = options->interval_us};
	struct top_screen *screen = NULL;
	struct nunchi_error *err;

	*ret_target = NULL;
	prepare_panes(&top);
	err = open_all(&top, ret_target);
	if (!err && !options->batch)
		err = top_screen_open(&top, &screen);
	if (!err)
		err = follow(&top, screen);
	for (size_t i = 0; !err && i < top.count; i++) {
		if (!top.panes[i].failed)
			continue;
		*ret_target = top.panes[i].target;
		err = error_create(NUNCHI_ERROR_IO, "the last refresh failed");
	}
	top_screen_close(screen);
	for (size_t i = 0; i < top.count; i++) {
		top_source_stop(&top.panes[i].source);
		top_model_deinit(&top.panes[i].model);
	}
	return err;
}
