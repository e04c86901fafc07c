/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains that come, change and go while they are watched. */
#include "core/cleanup.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xen_setup.h"

/* What is told is written down; between the looks step() changes something. */
struct story {
	char text[1024];
	unsigned step;
	void (*steps)(struct story *story);
	struct cancel cancel;
	unsigned most; /* events after which no more are wanted; 0: all */
	unsigned told;
};

static struct nunchi_error *list(bool (*found)(const struct nunchi_found *guest, void *data),
				 void *data, void *source)
{
	bool stopped;

	(void)source;
	return xen_list_with(&fake_library, found, data, &stopped);
}

static void await(void *source, const struct cancel *cancel)
{
	struct story *story = source;

	(void)cancel;
	snprintf(story->text + strlen(story->text), sizeof(story->text) - strlen(story->text),
		 "| ");
	story->steps(story);
	story->step++;
}

static bool changed(const struct nunchi_found *guest, enum nunchi_event change, void *data)
{
	static const char *const words[] = {[NUNCHI_EVENT_THERE] = "there",
					    [NUNCHI_EVENT_CAME] = "came",
					    [NUNCHI_EVENT_CHANGED] = "changed",
					    [NUNCHI_EVENT_WENT] = "went"};
	struct story *story = data;
	size_t length = strlen(story->text);

	snprintf(story->text + length, sizeof(story->text) - length, "%s %s %s ", words[change],
		 guest->name, guest->state);
	return ++story->told != story->most;
}

static struct nunchi_error *watch(struct story *story)
{
	const struct target_watch_source source = {list, await, story};

	return target_watch_source(&source, changed, story, &story->cancel);
}

static void life(struct story *story)
{
	switch (story->step) {
	case 0: /* nothing */
		break;
	case 1:
		fake_add(4, 12, "new", XEN_INFO_HVM, 1);
		break;
	case 2:
		fake_value("/local/domain/12/name", "renamed");
		fake->domains[2].pauses = 1;
		break;
	case 3: /* a reboot between two looks: the same UUID and name, and nothing to be seen */
		fake->domains[2].pauses = 0;
		fake->domains[4].info.domain = 13;
		fake_value("/local/domain/13/name", "renamed");
		break;
	case 4: /* another domain in its place */
		memset(fake->domains[4].info.handle, 0x77, 16);
		break;
	case 5:
		fake->domains[4].there = false;
		fake->domains[1].info.flags |= XEN_INFO_SHUTDOWN | 3U << XEN_INFO_SHUTDOWN_SHIFT;
		break;
	default:
		cancel_request(&story->cancel);
	}
}

static void test_lives(void **state)
{
	struct story story = {.steps = life};
	struct nunchi_error *err = watch(&story);

	(void)state;
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_error_destroy(err);
	assert_string_equal(
	    story.text,
	    "there pv running there pvh running there hvm running | | came new running | "
	    "changed pvh paused changed renamed running | changed pvh running | "
	    "came renamed running went renamed running | changed pv crashed went renamed "
	    "running | ");
}

/* Whoever wants no more is told no more, and what cannot be listed is an error. */
static void test_ends(void **state)
{
	struct story story = {.steps = life, .most = 2};
	struct nunchi_error *err = watch(&story);

	(void)state;
	assert_null(err);
	assert_string_equal(story.text, "there pv running there pvh running ");
	story = (struct story){.steps = life};
	fake->refuse = EPERM;
	err = watch(&story);
	assert_non_null(err);
	assert_string_equal(story.text, "");
	nunchi_error_destroy(err);
}

static bool is_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static void test_xenstore(void **state)
{
	struct xen_watch *xen;

	(void)state;
	assert_null(xen_watch_create_with(&fake_library, &xen));
	assert_string_equal(fake->watched, "@introduceDomain=come @releaseDomain=go ");
	assert_false(is_readable(xen_watch_fd(xen)));
	fake_event();
	fake_event();
	assert_true(is_readable(xen_watch_fd(xen)));
	xen_watch_clear(xen);
	assert_false(is_readable(xen_watch_fd(xen)));
	xen_watch_destroy(xen);
	/* Without it guests are looked for every second. */
	fake->no_watch = true;
	assert_null(xen_watch_create_with(&fake_library, &xen));
	assert_null(xen);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(lives),
	    TEST(ends),
	    TEST(xenstore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
