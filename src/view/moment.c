/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/moment.h"

/*
 * Limit of the pauses for one piece of work. Reading a copied page may lead to a page that was not
 * copied, and that needs another pause.
 */
#define MAX_CAPTURES 6

bool moment_is_still(const struct moment *moment)
{
	return moment->target->pause_depth || memory_capture_replays(moment->target->memory);
}

void moment_set_aside(struct moment *moment)
{
	memory_capture_replay(moment->target->memory, false);
}

void moment_end(struct moment *moment)
{
	memory_capture_end(moment->target->memory);
	moment->captured = false;
}

static struct nunchi_error *while_paused(struct moment *moment,
					 struct nunchi_error *(*work)(void *data), void *data)
{
	struct nunchi_error *err = target_pause(moment->target), *resumed;

	if (err)
		return err;
	moment->number++;
	err = work(data);
	resumed = target_resume(moment->target);
	if (!resumed)
		return err;
	/*
	 * This error is returned instead of any other: a guest that may stay paused matters most.
	 */
	nunchi_error_destroy(err);
	moment->resume_failed = true;
	return resumed;
}

static struct nunchi_error *fill(void *memory)
{
	return memory_capture_fill(memory);
}

/* Whether an error may be caused by pages that were not copied, and not by the work itself. */
static bool is_caused_by_misses(const struct moment *moment, const struct nunchi_error *err)
{
	return err && memory_capture_misses(moment->target->memory) &&
	       !error_is(err, NUNCHI_ERROR_NOMEM) && !error_is(err, NUNCHI_ERROR_CANCELLED) &&
	       !error_is(err, NUNCHI_ERROR_GONE);
}

/* Runs work on the copies; *ret_enough is true if all pages that it read were copied. */
static struct nunchi_error *replay(struct moment *moment, struct nunchi_error *(*work)(void *data),
				   void *data, bool *ret_enough)
{
	struct nunchi_error *err = work(data);

	*ret_enough = false;
	if (is_caused_by_misses(moment, err)) {
		nunchi_error_destroy(err);
		return NULL;
	}
	*ret_enough = !memory_capture_misses(moment->target->memory);
	return err;
}

/* Runs work until all pages that it reads are copied, or MAX_CAPTURES is reached. */
static struct nunchi_error *capture(struct moment *moment, struct nunchi_error *(*work)(void *data),
				    void *data, bool *ret_enough)
{
	struct memory *memory = moment->target->memory;
	struct nunchi_error *err = NULL;

	*ret_enough = false;
	if (moment->captured) {
		memory_capture_replay(memory, true);
		err = replay(moment, work, data, ret_enough);
		if (err || *ret_enough)
			return err;
		/*
		 * A walk on copies ends at the first page that is missing. So record a run on the
		 * guest itself, which reads all pages.
		 */
		memory_capture_record(memory);
	} else {
		err = memory_capture_begin(memory);
	}
	if (!err)
		err = work(data);
	for (int i = 0; !err && !*ret_enough && i < MAX_CAPTURES; i++) {
		err = memory_capture_prepare(memory);
		if (!err)
			err = while_paused(moment, fill, memory);
		if (!err)
			err = replay(moment, work, data, ret_enough);
	}
	return err;
}

struct nunchi_error *moment_run(struct moment *moment, bool whole_pause,
				struct nunchi_error *(*work)(void *data), void *data)
{
	bool enough;
	struct nunchi_error *err = capture(moment, work, data, &enough);

	moment->captured = !err && enough;
	if (moment->captured)
		return NULL;
	moment_end(moment);
	if (err)
		return err;
	/*
	 * Pause for the whole run only if the user asked for it; otherwise any process in the guest
	 * could cause such a long pause.
	 */
	if (!whole_pause)
		return error_hint(
		    error_create(NUNCHI_ERROR_BUSY,
				 "the guest uses new pages faster than nunchi can copy them"),
		    "--pause always pauses the guest for the whole query");
	return while_paused(moment, work, data);
}
