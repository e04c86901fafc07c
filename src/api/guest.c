/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/options.h"
#include "event/loop.h"
#include "target/snapshot/snapshot.h"

#include <fcntl.h>
#include <string.h>

const char *nunchi_version(void)
{
	return NUNCHI_VERSION;
}

struct nunchi_error *nunchi_context_create(unsigned flags, struct nunchi_context **ret)
{
	API_REQUIRE(ret);

	struct nunchi_context *context;

	if (flags & ~(unsigned)NUNCHI_CONTEXT_NO_SIGBUS_GUARD)
		return error_create(NUNCHI_ERROR_ARGUMENT, "unknown context flags 0x%x", flags);
	context = calloc(1, sizeof(*context));
	if (!context)
		return &error_nomem;
	context->flags = flags;
	*ret = context;
	return NULL;
}

void nunchi_context_destroy(struct nunchi_context *context)
{
	if (context)
		event_loop_destroy(context->loop);
	free(context);
}

void nunchi_context_cancel(struct nunchi_context *context)
{
	if (context)
		cancel_request(&context->cancel);
}

bool nunchi_context_cancelled(const struct nunchi_context *context)
{
	return context && cancel_requested(&context->cancel);
}

/* The arguments of nunchi_list(), for its callback. */
struct listing {
	const struct nunchi_context *context;
	bool (*found)(const struct nunchi_found *guest, void *data);
	void *data;
};

static bool give_found(const struct nunchi_found *guest, void *data)
{
	const struct listing *listing = data;

	return !cancel_requested(&listing->context->cancel) && listing->found(guest, listing->data);
}

struct nunchi_error *nunchi_list(struct nunchi_context *context,
				 bool (*found)(const struct nunchi_found *guest, void *data),
				 void *data)
{
	API_REQUIRE(context && found);

	struct listing listing = {.context = context, .found = found, .data = data};
	struct nunchi_error *err = target_list(true, give_found, &listing);

	if (!err && cancel_requested(&context->cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	return err;
}

double guest_clock_ms(void)
{
	return (double)clock_us() / 1e3;
}

struct nunchi_error *guest_error(const struct nunchi_guest *guest, struct nunchi_error *err)
{
	return error_context(err, "%s", guest->target->name);
}

static bool copy_string(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

static struct nunchi_error *take_options(struct nunchi_guest *guest,
					 const struct nunchi_guest_options *from,
					 struct nunchi_guest_options *ret)
{
	struct nunchi_guest_options options = {0};
	struct nunchi_error *err = NULL;

	if (from)
		err = options_take("nunchi_guest_options", from, from->size,
				   offsetof(struct nunchi_guest_options, pause), &options,
				   sizeof(options));
	if (err)
		return err;
	if ((unsigned)options.pause > NUNCHI_PAUSE_NEVER)
		return error_create(NUNCHI_ERROR_ARGUMENT, "the pause option %d is invalid",
				    (int)options.pause);
	guest->pause = options.pause;
	guest->count_pages = options.count_pages;
	guest->until_exit = options.until_exit;
	guest->remains = options.remains;
	guest->events = options.events;
	guest->kernel_address = options.kernel;
	guest->finish = options.finish;
	guest->finish_data = options.finish_data;
	*ret = options;
	if (!copy_string(options.symbols_path, &guest->symbols_path) ||
	    !copy_string(options.types_path, &guest->types_path))
		return &error_nomem;
	return NULL;
}

struct opening {
	struct nunchi_guest *guest;
	struct nunchi_guest_options options;
};

static struct nunchi_error *opened(struct target *target, void *data)
{
	struct opening *opening = data;
	const struct nunchi_guest_options *options = &opening->options;
	struct nunchi_error *err =
	    options->confine ? guest_confine(opening->guest, target, options) : NULL;

	if (err || !options->opened || options->opened(options->opened_data))
		return err;
	return error_create(NUNCHI_ERROR_CANCELLED, "opening it was ended");
}

struct nunchi_error *nunchi_guest_open(struct nunchi_context *context, const char *target,
				       const struct nunchi_guest_options *options,
				       struct nunchi_guest **ret)
{
	API_REQUIRE(context && target && ret);

	struct target_options target_options = {
	    .sigbus_guard = !(context->flags & NUNCHI_CONTEXT_NO_SIGBUS_GUARD),
	};
	struct nunchi_guest *guest = calloc(1, sizeof(*guest));
	struct opening opening = {.guest = guest};
	struct nunchi_error *err;

	if (!guest)
		return &error_nomem;
	guest->symbols_fd = guest->types_fd = guest->rollup_fd = -1;
	guest->context = context;
	guest->cancel.parent = &context->cancel;
	guest->session.guest = guest;
	target_options.cancel = &guest->cancel;
	target_options.opened = opened;
	target_options.data = &opening;
	err = take_options(guest, options, &opening.options);
	if (!err)
		err = target_open(target, &target_options, &guest->target);
	if (!err && opening.options.no_note) {
		free(guest->target->vmcoreinfo);
		guest->target->vmcoreinfo = NULL;
		guest->target->vmcoreinfo_size = 0;
	}
	if (!err && guest->count_pages)
		err = memory_count_pages(guest->target->memory);
	if (err) {
		nunchi_guest_close(guest);
		return err;
	}
	*ret = guest;
	return NULL;
}

void nunchi_guest_close(struct nunchi_guest *guest)
{
	if (!guest)
		return;
	guest_leave_cursors(guest);
	nunchi_error_destroy(nunchi_session_close(&guest->session));
	if (guest->target)
		guest->target->leave_mapped = guest->until_exit;
	guest_kernel_destroy(guest->kernel);
	target_close(guest->target);
	guest_confinement_destroy(guest);
	free(guest->symbols_path);
	free(guest->types_path);
	free(guest);
}

struct nunchi_error *nunchi_guest_attach(struct nunchi_guest *guest)
{
	API_REQUIRE(guest);

	struct guest_kernel *kernel;
	struct nunchi_error *err = guest_kernel(guest, &kernel);

	/* In a session guest_kernel() checks only whether the session was cancelled. */
	if (!err && guest->session.open && guest->target->live)
		err = guest_error(guest, kernel->system->check(kernel, guest->target, true));
	return err;
}

static struct nunchi_error *get_kernel(struct nunchi_guest *guest, bool thorough,
				       struct guest_kernel **ret)
{
	struct guest_attach_options options = {
	    .symbols_path = guest->symbols_path,
	    .types_path = guest->types_path,
	    .symbols_fd = guest->symbols_fd >= 0 ? &guest->symbols_fd : NULL,
	    .types_fd = guest->types_fd >= 0 ? &guest->types_fd : NULL,
	    .kernel = guest->kernel_address,
	    .remains = guest->remains,
	    .cancel = &guest->cancel,
	};
	struct nunchi_error *err = session_begin(guest);
	double start;

	if (err)
		return guest_error(guest, err);
	if (guest->session.open) {
		*ret = guest->kernel;
		return NULL;
	}
	start = guest_clock_ms();
	if (guest->target->live && thorough)
		target_renew(guest->target);
	else if (guest->target->live)
		memory_new_generation(guest->target->memory);
	if (!guest->kernel)
		err = guest_attach(guest->target, &options, &guest->kernel);
	else if (guest->target->live)
		err = guest->kernel->system->check(guest->kernel, guest->target, thorough);
	guest->attach_ms += guest_clock_ms() - start;
	if (err)
		return guest_error(guest, err);
	*ret = guest->kernel;
	return NULL;
}

struct nunchi_error *guest_kernel(struct nunchi_guest *guest, struct guest_kernel **ret)
{
	return get_kernel(guest, true, ret);
}

struct nunchi_error *guest_kernel_quickly(struct nunchi_guest *guest, struct guest_kernel **ret)
{
	return get_kernel(guest, false, ret);
}

/* The anonymous memory of this process in KiB, without mapped pages of a guest or file. */
static uint64_t private_kb(const struct nunchi_guest *guest)
{
	_cleanup_close_ int own =
	    guest->rollup_fd >= 0 ? -1 : open(GUEST_ROLLUP, O_RDONLY | O_CLOEXEC);
	static const char name[] = "\nAnonymous:";
	char text[4096];
	ssize_t size = io_pread_full(own >= 0 ? own : guest->rollup_fd, text, sizeof(text) - 1, 0);
	const char *at;

	if (size <= 0)
		return 0;
	text[size] = '\0';
	at = strstr(text, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

void nunchi_guest_timing(const struct nunchi_guest *guest, struct nunchi_timing *ret)
{
	struct memory_stats stats = memory_stats(guest->target->memory);
	struct nunchi_timing timing = {
	    .size = ret->size,
	    .attach_ms = guest->attach_ms,
	    .query_ms = guest->query_ms,
	    .bytes_read = stats.bytes_read,
	    .pages_touched = stats.pages_touched,
	    .paused_us = target_paused_us(guest->target),
	    .private_kb = private_kb(guest),
	};

	memcpy(ret, &timing, ret->size < sizeof(timing) ? ret->size : sizeof(timing));
}

struct nunchi_error *nunchi_snapshot(struct nunchi_guest *guest, const char *path,
				     enum nunchi_format format,
				     bool (*progress)(uint64_t done, uint64_t total, void *data),
				     void *data)
{
	API_REQUIRE(guest && path);

	bool pause = guest->target->live && guest->pause == NUNCHI_PAUSE_ALWAYS;
	struct nunchi_error *err = session_begin(guest);

	if (!err && pause)
		err = target_pause(guest->target);
	if (!err && guest->target->live)
		target_renew(guest->target);
	if (!err) {
		struct output *output = guest_confined_output(guest, path);

		err = output ? snapshot_write_to(guest->target, output, format, progress, data,
						 &guest->cancel)
			     : snapshot_write(guest->target, path, format, progress, data,
					      &guest->cancel);
		if (pause) {
			struct nunchi_error *resumed = target_resume(guest->target);

			if (resumed) {
				nunchi_error_destroy(err);
				err = resumed;
			}
		}
	}
	return guest_error(guest, err);
}
