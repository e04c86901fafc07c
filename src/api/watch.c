/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The context's event loop, and watches of the list of guests. */
#include "event/watch.h"
#include "api/guest.h"
#include "core/io.h"

#include <errno.h>
#include <poll.h>

static struct nunchi_error *get_loop(struct nunchi_context *context, struct event_loop **ret)
{
	struct nunchi_error *err = context->loop ? NULL : event_loop_create(&context->loop);

	if (!err)
		*ret = context->loop;
	return err;
}

static struct nunchi_error *cancelled(void)
{
	return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
}

struct nunchi_error *nunchi_context_fd(struct nunchi_context *context, int *ret)
{
	API_REQUIRE(context && ret);

	struct event_loop *loop;
	struct nunchi_error *err = get_loop(context, &loop);

	if (!err)
		*ret = event_loop_fd(loop);
	return err;
}

struct nunchi_error *nunchi_context_dispatch(struct nunchi_context *context)
{
	API_REQUIRE(context);

	if (cancel_requested(&context->cancel))
		return cancelled();
	return context->loop ? event_loop_dispatch(context->loop) : NULL;
}

struct nunchi_error *nunchi_watch_create(struct nunchi_context *context,
					 bool (*changed)(const struct nunchi_found *guest,
							 enum nunchi_list_change change,
							 void *data),
					 void *data, struct nunchi_watch **ret)
{
	API_REQUIRE(context && changed && ret);

	struct event_watch *watch;
	struct event_loop *loop;
	struct nunchi_error *err = get_loop(context, &loop);

	if (!err)
		err = event_watch_create(loop, changed, data, &watch);
	/* struct nunchi_watch is the public, opaque name of struct event_watch. */
	if (!err)
		*ret = (struct nunchi_watch *)watch;
	return err;
}

void nunchi_watch_destroy(struct nunchi_watch *watch)
{
	event_watch_destroy((struct event_watch *)watch);
}

struct nunchi_error *nunchi_list_watch(struct nunchi_context *context,
				       bool (*changed)(const struct nunchi_found *guest,
						       enum nunchi_list_change change, void *data),
				       void *data)
{
	API_REQUIRE(context && changed);

	struct event_watch *watch;
	struct event_loop *loop;
	struct nunchi_error *err = get_loop(context, &loop);

	if (!err)
		err = event_watch_create(loop, changed, data, &watch);
	if (err)
		return err;
	while (!err && !event_watch_has_ended(watch)) {
		int ready = io_wait(event_loop_fd(loop), POLLIN, CLOCK_NEVER, &context->cancel);

		if (ready == -ECANCELED)
			err = cancelled();
		else if (ready < 0)
			err = error_create_errno(-ready, "cannot wait for changes");
		else
			err = event_loop_dispatch(loop);
	}
	event_watch_destroy(watch);
	return err;
}
