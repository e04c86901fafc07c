/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests that come and go: what is there is listed again and again and compared. */
#include "target/target.h"
#include "target/xen/xen.h"

#include <poll.h>
#include <string.h>

#define EVERY_MS 1000
/* How soon a cancelled watch ends. */
#define SLICE_MS 100

/* A guest as it was seen last. */
struct seen {
	struct nunchi_found guest; /* its strings are in `text` */
	char *text;
	bool there;
};

struct watch {
	const struct target_watch_source *source;
	bool (*changed)(const struct nunchi_found *guest, enum nunchi_event change, void *data);
	void *data;
	struct seen *seen;
	size_t count, capacity;
	bool first;
	bool ended; /* changed() returned false */
	bool nomem;
};

static void watch_deinit(struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		free(watch->seen[i].text);
	free(watch->seen);
}

/* Copies a guest; false if memory is short. */
static bool keep(struct seen *seen, const struct nunchi_found *guest)
{
	const char *from[] = {guest->target, guest->name,   guest->hypervisor,
			      guest->state,  guest->access, guest->uuid};
	const char **to[] = {&seen->guest.target, &seen->guest.name,   &seen->guest.hypervisor,
			     &seen->guest.state,  &seen->guest.access, &seen->guest.uuid};
	size_t size = 0;
	char *text, *at;

	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		size += strlen(from[i]) + 1;
	text = at = malloc(size);
	if (!text)
		return false;
	free(seen->text);
	seen->text = text;
	seen->guest = *guest;
	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		*to[i] = at;
		at = stpcpy(at, from[i]) + 1;
	}
	return true;
}

/* The same guest, though perhaps not as it was: a domain by its UUID, a process by its id. */
static bool is_same(const struct nunchi_found *one, const struct nunchi_found *other)
{
	if (one->pid != other->pid || strcmp(one->hypervisor, other->hypervisor))
		return false;
	if (one->uuid[0] || other->uuid[0])
		return !strcmp(one->uuid, other->uuid);
	return one->pid >= 0 || !strcmp(one->target, other->target);
}

static bool is_equal(const struct nunchi_found *one, const struct nunchi_found *other)
{
	return !strcmp(one->target, other->target) && !strcmp(one->name, other->name) &&
	       !strcmp(one->state, other->state) && one->memory == other->memory &&
	       one->vcpus == other->vcpus;
}

static void tell(struct watch *watch, const struct nunchi_found *guest, enum nunchi_event change)
{
	watch->ended |= !watch->changed(guest, change, watch->data);
}

static struct seen *add(struct watch *watch)
{
	if (watch->count == watch->capacity) {
		size_t capacity = watch->capacity ? watch->capacity * 2 : 16;
		struct seen *seen = reallocarray(watch->seen, capacity, sizeof(*seen));

		if (!seen)
			return NULL;
		watch->seen = seen;
		watch->capacity = capacity;
	}
	watch->seen[watch->count] = (struct seen){0};
	return &watch->seen[watch->count++];
}

static bool found(const struct nunchi_found *guest, void *data)
{
	struct watch *watch = data;
	enum nunchi_event change = watch->first ? NUNCHI_EVENT_THERE : NUNCHI_EVENT_CAME;
	struct seen *seen = NULL;
	bool news = true;

	for (size_t i = 0; i < watch->count && !seen; i++) {
		/* Two guests can have the same UUID: each is one that was seen before. */
		if (!watch->seen[i].there && is_same(&watch->seen[i].guest, guest)) {
			seen = &watch->seen[i];
			news = !is_equal(&seen->guest, guest);
			change = NUNCHI_EVENT_CHANGED;
		}
	}
	if (!seen) {
		seen = add(watch);
		if (seen && !keep(seen, guest)) {
			watch->count--;
			seen = NULL;
		}
	} else if (news && !keep(seen, guest)) {
		seen = NULL;
	}
	watch->nomem |= !seen;
	if (!seen)
		return false;
	seen->there = true;
	if (news)
		tell(watch, &seen->guest, change);
	return !watch->ended;
}

/* Those that were not seen this time have gone. */
static void sweep(struct watch *watch)
{
	size_t kept = 0;

	for (size_t i = 0; i < watch->count; i++) {
		struct seen *seen = &watch->seen[i];

		if (seen->there) {
			watch->seen[kept++] = *seen;
			continue;
		}
		if (!watch->ended)
			tell(watch, &seen->guest, NUNCHI_EVENT_WENT);
		free(seen->text);
	}
	watch->count = kept;
}

static struct nunchi_error *look(struct watch *watch)
{
	struct nunchi_error *err;

	for (size_t i = 0; i < watch->count; i++)
		watch->seen[i].there = false;
	err = watch->source->list(found, watch, watch->source->source);
	if (!err && watch->nomem)
		err = &error_nomem;
	if (!err && !watch->ended)
		sweep(watch);
	watch->first = false;
	return err;
}

struct nunchi_error *target_watch_source(const struct target_watch_source *source,
					 bool (*changed)(const struct nunchi_found *guest,
							 enum nunchi_event change, void *data),
					 void *data, const struct cancel *cancel)
{
	_cleanup_(watch_deinit) struct watch watch = {
	    .source = source, .changed = changed, .data = data, .first = true};
	struct nunchi_error *err = NULL;

	while (!err && !watch.ended) {
		err = look(&watch);
		if (!err && cancel_requested(cancel))
			err = error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
		if (!err && !watch.ended)
			source->await(source->source, cancel);
	}
	return err;
}

/* ---- This host ------------------------------------------------------------------------------- */

static struct nunchi_error *list_host(bool (*found_guest)(const struct nunchi_found *guest,
							  void *data),
				      void *data, void *source)
{
	(void)source;
	return target_list(found_guest, data);
}

/* Waits for the next look: a second, or until xenstore says something. */
static void await_host(void *source, const struct cancel *cancel)
{
	struct xen_watch *xen = source;
	struct pollfd pfd = {.fd = xen ? xen_watch_fd(xen) : -1, .events = POLLIN};

	for (int waited = 0; waited < EVERY_MS && !cancel_requested(cancel); waited += SLICE_MS) {
		if (poll(&pfd, 1, SLICE_MS) <= 0)
			continue;
		if (pfd.revents & POLLIN)
			break;
		/* xenstore has gone: from now on only the second counts. */
		pfd.fd = -1;
	}
	if (xen)
		xen_watch_clear(xen);
}

struct nunchi_error *target_watch(bool (*changed)(const struct nunchi_found *guest,
						  enum nunchi_event change, void *data),
				  void *data, const struct cancel *cancel)
{
	struct target_watch_source source = {.list = list_host, .await = await_host};
	struct xen_watch *xen;
	struct nunchi_error *err = xen_watch_create(&xen);

	if (err)
		return err;
	source.source = xen;
	err = target_watch_source(&source, changed, data, cancel);
	xen_watch_destroy(xen);
	return err;
}
