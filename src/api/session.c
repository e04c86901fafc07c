/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions: several queries on a guest that is checked once, and paused once if asked for. */
#include "api/guest.h"
#include "core/options.h"

/* After this many calls in a session on a running guest, a new generation of its memory begins. */
#define CALLS_OF_A_GENERATION 1024

struct nunchi_error *nunchi_session_open(struct nunchi_guest *guest,
					 const struct nunchi_session_options *options,
					 struct nunchi_session **ret)
{
	API_REQUIRE(guest && ret);

	struct nunchi_session *session = &guest->session;
	struct nunchi_session_options own = {0};
	struct nunchi_error *err = NULL;
	struct guest_kernel *kernel;

	if (options)
		err =
		    options_take("nunchi_session_options", options, options->size,
				 offsetof(struct nunchi_session_options, hold), &own, sizeof(own));
	if (!err && session->open)
		err = error_create(NUNCHI_ERROR_BUSY,
				   "%s: a session is open; a guest has one at a time",
				   guest->target->name);
	if (!err)
		err = guest_kernel(guest, &kernel);
	if (!err && own.hold && guest->target->live) {
		err = target_pause(guest->target);
		session->holds = !err;
		kernel->live = err != NULL;
	}
	if (err)
		return err;
	session->moment = (struct moment){.target = guest->target};
	session->open = true;
	session->serial++;
	session->calls = 0;
	*ret = session;
	return NULL;
}

struct nunchi_error *nunchi_session_close(struct nunchi_session *session)
{
	struct nunchi_error *err = NULL;

	if (!session || !session->open)
		return NULL;
	session->open = false;
	moment_end(&session->moment);
	if (session->holds) {
		session->holds = false;
		session->guest->kernel->live = true;
		err = target_resume(session->guest->target);
	}
	return guest_error(session->guest, err);
}

void nunchi_guest_cancel(struct nunchi_guest *guest)
{
	if (guest)
		cancel_request(&guest->cancel);
}

void nunchi_session_cancel(struct nunchi_session *session)
{
	cancel_request(&session->guest->cancel);
}

uint64_t nunchi_session_moment(const struct nunchi_session *session)
{
	if (!session->guest->target->live || session->holds)
		return 1;
	return session->moment.captured ? session->moment.number : 0;
}

struct nunchi_error *session_begin(struct nunchi_guest *guest)
{
	struct nunchi_session *session = &guest->session;

	/*
	 * A request to cancel that came after the last session was closed was meant for that
	 * session.
	 */
	if (!session->open)
		cancel_clear(&guest->cancel);
	if (cancel_requested(&guest->cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	if (!session->open)
		return NULL;
	if (session->moment.captured)
		moment_set_aside(&session->moment);
	else if (guest->target->live && !session->holds &&
		 ++session->calls % CALLS_OF_A_GENERATION == 0)
		memory_new_generation(guest->target->memory);
	return NULL;
}

struct nunchi_error *session_run(struct nunchi_guest *guest,
				 struct nunchi_error *(*work)(void *data), void *data)
{
	struct nunchi_session *session = &guest->session;

	if (!session_captures(guest))
		return work(data);
	return moment_run(&session->moment, true, work, data);
}
