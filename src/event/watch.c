/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches the guests of the host: lists them repeatedly and compares the lists. */
#include "event/watch.h"

#include "core/array.h"
#include "core/clock.h"
#include "target/kind.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>

/* If asking all monitors takes as long as this, the watch then rests for so many times as long. */
#define LONG_US 50000
#define REST    4

/* A guest as last seen. */
struct seen {
	struct nunchi_found guest; /* its strings are in `text` */
	char *text;
	bool there;
};

/* A descriptor that reports that guests appeared or disappeared. */
struct wake {
	struct event_watch *watch;
	struct target_wake target;
	struct event_source *source; /* NULL if it cannot report any more */
};

struct event_watch {
	struct event_watch_source source; /* without .wakes */
	struct wake *wakes;
	size_t wake_count;
	event_changed_fn *changed;
	void *data;
	struct seen *seen;
	size_t count, capacity;
	int timer;
	struct event_source *on_timer;
	uint64_t asked_us; /* when monitors were last asked for states … */
	uint64_t took_us;  /* … and how long that took */
	bool news;         /* peek() found a guest that is new or changed */
	bool first;
	bool ended; /* changed() returned false */
	bool nomem;
};

/* Copies the description of a guest; false if memory is short. */
static bool keep(struct seen *seen, const struct nunchi_found *guest)
{
	const char *from[] = {guest->target, guest->name, guest->hypervisor, guest->state,
			      guest->access, guest->uuid, guest->user};
	const char **to[] = {&seen->guest.target, &seen->guest.name,   &seen->guest.hypervisor,
			     &seen->guest.state,  &seen->guest.access, &seen->guest.uuid,
			     &seen->guest.user};
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

/*
 * Whether two descriptions are of the same guest, which may have changed: a domain is recognised by
 * its UUID, a process by its id.
 */
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

static void tell(struct event_watch *watch, const struct nunchi_found *guest,
		 enum nunchi_list_change change)
{
	watch->ended |= !watch->changed(guest, change, watch->data);
}

static struct seen *add_seen(struct event_watch *watch)
{
	if (!ARRAY_RESERVE(watch->seen, watch->count, watch->capacity, 1))
		return NULL;
	watch->seen[watch->count] = (struct seen){0};
	return &watch->seen[watch->count++];
}

static bool found(const struct nunchi_found *guest, void *data)
{
	struct event_watch *watch = data;
	enum nunchi_list_change change = watch->first ? NUNCHI_LIST_THERE : NUNCHI_LIST_CAME;
	struct seen *seen = NULL;
	bool news = true;

	for (size_t i = 0; i < watch->count && !seen; i++) {
		/*
		 * Two guests may have the same UUID, so match each description with one that is not
		 * matched yet.
		 */
		if (!watch->seen[i].there && is_same(&watch->seen[i].guest, guest)) {
			seen = &watch->seen[i];
			news = !is_equal(&seen->guest, guest);
			change = NUNCHI_LIST_CHANGED;
		}
	}
	if (!seen) {
		seen = add_seen(watch);
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

/* Reports that the guests that were not listed this time are gone. */
static void sweep(struct event_watch *watch)
{
	size_t kept = 0;

	for (size_t i = 0; i < watch->count; i++) {
		struct seen *seen = &watch->seen[i];

		if (seen->there) {
			watch->seen[kept++] = *seen;
			continue;
		}
		if (!watch->ended)
			tell(watch, &seen->guest, NUNCHI_LIST_WENT);
		free(seen->text);
	}
	watch->count = kept;
}

/*
 * A callback for listing: stops at the first guest that is new or changed. A state that was not
 * asked for is no change.
 */
static bool peek(const struct nunchi_found *guest, void *data)
{
	struct event_watch *watch = data;

	for (size_t i = 0; i < watch->count; i++) {
		struct seen *seen = &watch->seen[i];
		struct nunchi_found now = *guest;

		if (seen->there || !is_same(&seen->guest, guest))
			continue;
		if (!strcmp(now.state, "unknown"))
			now.state = seen->guest.state;
		seen->there = true;
		watch->news = !is_equal(&seen->guest, &now);
		return !watch->news;
	}
	watch->news = true;
	return false;
}

static void forget_there(struct event_watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		watch->seen[i].there = false;
}

/*
 * Whether nothing changed, as far as can be known without asking QEMU's monitors. A monitor serves
 * one client at a time; if each look connected to it, a program that manages the guest would find
 * its monitor busy.
 */
static bool is_as_before(struct event_watch *watch)
{
	struct nunchi_error *err;
	bool failed;

	forget_there(watch);
	watch->news = false;
	err = watch->source.list(false, peek, watch);
	failed = err != NULL;
	nunchi_error_destroy(err);
	for (size_t i = 0; i < watch->count; i++)
		watch->news |= !watch->seen[i].there;
	return !failed && !watch->news;
}

/*
 * Where monitors take long to answer, they are asked less often, whatever came or went: else
 * whoever starts and ends processes that look like guests could keep the watch busy all the time.
 * The news are seen again at the next look.
 */
static bool is_too_soon(const struct event_watch *watch, uint64_t now)
{
	return watch->took_us >= LONG_US && now - watch->asked_us < REST * watch->took_us;
}

static struct nunchi_error *look(struct event_watch *watch)
{
	struct nunchi_error *err;
	uint64_t now = clock_us();

	if (watch->ended)
		return NULL;
	if (!watch->first && is_too_soon(watch, now))
		return NULL;
	if (!watch->first && now - watch->asked_us < watch->source.ask_every_us &&
	    is_as_before(watch))
		return NULL;
	watch->asked_us = now;
	forget_there(watch);
	err = watch->source.list(true, found, watch);
	watch->took_us = clock_us() - now;
	if (!err && watch->nomem)
		err = &error_nomem;
	if (!err && !watch->ended)
		sweep(watch);
	watch->first = false;
	return err;
}

/* ---- On the loop ----------------------------------------------------------------------------- */

static struct nunchi_error *timer_ready(void *data, short events)
{
	struct event_watch *watch = data;
	uint64_t times;

	(void)events;
	if (read(watch->timer, &times, sizeof(times)) != sizeof(times))
		return NULL;
	return look(watch);
}

static struct nunchi_error *wake_ready(void *data, short events)
{
	struct wake *wake = data;

	/* If the connection has ended (xenstored ended), only the timer is used from now on. */
	if (!(events & POLLIN) || !wake->target.clear(wake->target.data)) {
		event_source_remove(wake->source);
		wake->source = NULL;
		return NULL;
	}
	return look(wake->watch);
}

static void destroy_wake(const struct target_wake *wake)
{
	if (wake->destroy)
		wake->destroy(wake->data);
}

/* Frees the watch, but not the targets of its wakes, which stay the caller's. */
static void destroy_without_wakes(struct event_watch *watch)
{
	event_source_remove(watch->on_timer);
	for (size_t i = 0; i < watch->wake_count; i++)
		event_source_remove(watch->wakes[i].source);
	if (watch->timer >= 0)
		close(watch->timer);
	free(watch->wakes);
	for (size_t i = 0; i < watch->count; i++)
		free(watch->seen[i].text);
	free(watch->seen);
	free(watch);
}

void event_watch_destroy(struct event_watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->wake_count; i++) {
		event_source_remove(watch->wakes[i].source);
		watch->wakes[i].source = NULL;
		destroy_wake(&watch->wakes[i].target);
	}
	destroy_without_wakes(watch);
}

bool event_watch_has_ended(const struct event_watch *watch)
{
	return watch->ended;
}

/* Starts a timer that expires at once and then periodically. */
static struct nunchi_error *start_timer(struct event_watch *watch)
{
	const struct itimerspec times = {
	    .it_value.tv_nsec = 1,
	    .it_interval = {.tv_sec = (time_t)(watch->source.every_us / CLOCK_US_PER_S),
			    .tv_nsec = (long)(watch->source.every_us % CLOCK_US_PER_S * 1000)}};

	watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->timer < 0 || timerfd_settime(watch->timer, 0, &times, NULL))
		return error_create_errno(errno, "cannot make a timer");
	return NULL;
}

static struct nunchi_error *add_wakes(struct event_loop *loop, struct event_watch *watch)
{
	const struct event_watch_source *source = &watch->source;

	watch->wakes = calloc(source->wake_count + 1, sizeof(*watch->wakes));
	if (!watch->wakes)
		return &error_nomem;
	for (size_t i = 0; i < source->wake_count; i++) {
		struct wake *wake = &watch->wakes[i];
		struct nunchi_error *err;

		*wake = (struct wake){.watch = watch, .target = source->wakes[i]};
		watch->wake_count = i + 1;
		err = event_loop_add(loop, wake->target.fd, wake_ready, wake, &wake->source);
		if (err)
			return err;
	}
	return NULL;
}

struct nunchi_error *event_watch_create_with(struct event_loop *loop,
					     const struct event_watch_source *source,
					     event_changed_fn *changed, void *data,
					     struct event_watch **ret)
{
	struct event_watch *watch = calloc(1, sizeof(*watch));
	struct nunchi_error *err;

	if (!watch)
		return &error_nomem;
	*watch = (struct event_watch){
	    .source = *source, .changed = changed, .data = data, .timer = -1, .first = true};
	err = start_timer(watch);
	if (!err)
		err = event_loop_add(loop, watch->timer, timer_ready, watch, &watch->on_timer);
	if (!err)
		err = add_wakes(loop, watch);
	if (err)
		destroy_without_wakes(watch);
	else
		*ret = watch;
	return err;
}

/* ---- This host ------------------------------------------------------------------------------- */

#define EVERY_US     CLOCK_US_PER_S
#define ASK_EVERY_US (10 * CLOCK_US_PER_S)

/* Collects the wakes of all kinds of targets on this host. */
static struct nunchi_error *find_wakes(struct target_wake **wakes, size_t *ret_count)
{
	size_t capacity = 0;
	const struct target_kind *kind;

	for (size_t n = 0; (kind = target_kind(n)); n++) {
		struct nunchi_error *err;

		if (!kind->wake)
			continue;
		if (!ARRAY_RESERVE(*wakes, *ret_count, capacity, 1))
			return &error_nomem;
		err = kind->wake(&(*wakes)[*ret_count]);
		if (err)
			return err;
		*ret_count += (*wakes)[*ret_count].fd >= 0;
	}
	return NULL;
}

struct nunchi_error *event_watch_create(struct event_loop *loop, event_changed_fn *changed,
					void *data, struct event_watch **ret)
{
	_cleanup_free_ struct target_wake *wakes = NULL;
	size_t count = 0;
	struct nunchi_error *err = find_wakes(&wakes, &count);

	if (!err) {
		const struct event_watch_source source = {.list = target_list,
							  .every_us = EVERY_US,
							  .ask_every_us = ASK_EVERY_US,
							  .wakes = wakes,
							  .wake_count = count};

		err = event_watch_create_with(loop, &source, changed, data, ret);
	}
	for (size_t i = 0; err && i < count; i++)
		destroy_wake(&wakes[i]);
	return err;
}
