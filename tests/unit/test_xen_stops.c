/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xen's guests are watched by their event ring, which nobody leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "target/controller.h"
#include "xen_watch.h"

static void test_events(void **state)
{
	struct target *target = open_watched();
	const struct target_stops_ops *stops = target->ops->stops;
	struct target_stop stop;

	(void)state;
	assert_true(target->support[TARGET_EVENTS].available);
	assert_non_null(
	    strstr(target->support[TARGET_EVENTS].reason, "interface 7: cr3, cr4, msr"));
	check(stops->open(target));
	assert_true(GUEST->has_ring);
	/* The guest cannot reach the page of the ring. */
	assert_false(fake->ring_populated);
	assert_int_equal(records(), 1);
	check(stops->observe(target, TARGET_EVENT_CR3, 0));
	check(stops->observe(target, TARGET_EVENT_CR4, 0));
	check(stops->observe(target, TARGET_EVENT_MSR, 0xc0000082));
	check(stops->observe(target, TARGET_EVENT_MSR, 0xc0000082));
	assert_int_equal(GUEST->controls, 1 << RING_CR3 | 1 << RING_CR4);
	assert_int_equal(GUEST->msrs, 1);
	assert_false(is_readable(target));
	assert_int_equal(next(target).kind, TARGET_STOP_NONE);
	happen(1, RING_CR3, 0x1234000);
	happen(0, 0xc0000082, 0xffffffff81000000);
	assert_true(is_readable(target));
	stop = next(target);
	assert_int_equal(stop.kind, TARGET_STOP_EVENT);
	assert_int_equal(stop.event, TARGET_EVENT_CR3);
	assert_int_equal(stop.vcpu, 1);
	assert_int_equal(stop.value, 0x1234000);
	assert_int_equal(stop.old, 1);
	/* Each vCPU waits until it is told to go on. */
	assert_int_equal(GUEST->waiting, 3);
	check(stops->go(target, &stop, 0));
	assert_int_equal(GUEST->waiting, 1);
	stop = next(target);
	assert_int_equal(stop.event, TARGET_EVENT_MSR);
	assert_int_equal(stop.index, 0xc0000082);
	assert_int_equal(stop.value, 0xffffffff81000000);
	check(stops->go(target, &stop, 0));
	assert_int_equal(GUEST->waiting, 0);
	assert_int_equal(next(target).kind, TARGET_STOP_NONE);
	assert_false(is_readable(target));
	stops->close(target);
	assert_clean();
	target_close(target);
	assert_int_equal(fake->ring_strays, 0);
}

/* Where watching has ended within a hit, go() says why. */
static void test_end_is_explained(void **state)
{
	struct target *target = open_watched();
	const struct target_stops_ops *stops = target->ops->stops;
	struct target_stop stop;
	struct nunchi_error *err;

	(void)state;
	check(stops->open(target));
	insert(target, PLACE);
	meet(1, PLACE);
	stop = next(target);
	fake->refuse = EPERM;
	err = stops->observe(target, TARGET_EVENT_CR3, 0);
	fake->refuse = 0;
	assert_int_equal(nunchi_error_errno(err), EPERM);
	nunchi_error_destroy(err);
	err = stops->go(target, &stop, stop.registers.rip);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	assert_non_null(strstr(nunchi_error_message(err), "Xen refuses to switch an event on"));
	nunchi_error_destroy(err);
	target_close(target);
	for (int i = 0; i < 500 && records(); i++)
		poll(NULL, 0, 10);
	assert_clean();
}

/* A confined process that opens twice does not lose the vCPU that stands still. */
static void test_opened_twice(void **state)
{
	struct target *target = open_watched();
	const struct controller_setup second = {.target = target, .watch = true};
	struct controller *controller;
	const struct target_stops_ops *stops;
	struct target_stop stop;
	struct nunchi_error *err;

	(void)state;
	check(controller_start(&second, &controller));
	target->controller = controller;
	stops = target_stops(target);
	check(stops->open(target));
	happen(1, RING_CR3, 2);
	check(stops->next(target, &stop));
	assert_int_equal(stop.kind, TARGET_STOP_EVENT);
	err = stops->open(target);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	check(stops->go(target, &stop, stop.registers.rip));
	assert_int_equal(GUEST->waiting, 0);
	target_close(target);
	assert_clean();
	/* Two processes had what was opened once. */
	fake->open = 0;
	fake->mapped = 0;
}

/* What was not asked for goes on at once. */
static void test_other_events(void **state)
{
	struct target *target = open_watched();

	(void)state;
	check(target->ops->stops->open(target));
	happen(0, RING_CR0, 5);
	assert_int_equal(next(target).kind, TARGET_STOP_NONE);
	assert_int_equal(GUEST->waiting, 0);
	target->ops->stops->close(target);
	target_close(target);
	assert_clean();
}

/*
 * An access to a page on which somebody left permissions: without emulation it is repeated for
 * ever. Another event behind it is told of at once, for which the descriptor is not readable again.
 */
static void test_leftover_permissions(void **state)
{
	struct target *target = open_watched();
	struct target_stop stop;
	uint8_t *slot = FAKE_SLOT(0);

	(void)state;
	check(target->ops->stops->open(target));
	happen(0, RING_CR0, 5);
	store_le32(slot + RING_AT_REASON, RING_REASON_ACCESS);
	happen(1, RING_CR4, 0x20);
	stop = next(target);
	assert_int_equal(stop.kind, TARGET_STOP_EVENT);
	assert_int_equal(stop.vcpu, 1);
	assert_int_equal(GUEST->waiting, 2);
	assert_true(load_le32(slot + RING_AT_FLAGS) & RING_FLAG_EMULATE);
	target_close(target);
	assert_clean();
}

/* vCPUs that wait when watching ends, one of which was told of and one not. */
static void test_close_answers(void **state)
{
	struct target *target = open_watched();

	(void)state;
	check(target->ops->stops->open(target));
	check(target->ops->stops->observe(target, TARGET_EVENT_CR3, 0));
	happen(0, RING_CR3, 1);
	happen(1, RING_CR3, 2);
	assert_int_equal(next(target).kind, TARGET_STOP_EVENT);
	/* Xen cannot disable it the first time. */
	fake->ring_busy = true;
	target_close(target);
	assert_clean();
	assert_int_equal(fake->ring_strays, 0);
}

/* The ring of another program is left as it is. */
static void test_somebody_else(void **state)
{
	struct target *target = open_watched();
	struct nunchi_error *err;

	(void)state;
	GUEST->has_ring = true;
	GUEST->controls = 8;
	err = target->ops->stops->open(target);
	assert_true(error_is(err, NUNCHI_ERROR_BUSY));
	assert_non_null(strstr(nunchi_error_message(err), "somebody else watches this guest"));
	nunchi_error_destroy(err);
	target_close(target);
	assert_true(GUEST->has_ring);
	assert_int_equal(GUEST->controls, 8);
	assert_int_equal(records(), 0);
	GUEST->has_ring = false;
}

/* It comes when we have looked already. */
static void test_somebody_else_first(void **state)
{
	struct target *target = open_watched();
	struct nunchi_error *err;

	(void)state;
	fake->ring_stolen = true;
	err = target->ops->stops->open(target);
	assert_true(error_is(err, NUNCHI_ERROR_BUSY));
	nunchi_error_destroy(err);
	target_close(target);
	assert_true(GUEST->has_ring);
	assert_int_equal(GUEST->controls, 8);
	assert_int_equal(records(), 0);
	GUEST->has_ring = false;
}

/* Xen made the ring and could not say so. */
static void test_answer_lost(void **state)
{
	struct target *target = open_watched();
	struct nunchi_error *err;

	(void)state;
	fake->ring_fault = true;
	err = target->ops->stops->open(target);
	assert_non_null(err);
	assert_false(error_is(err, NUNCHI_ERROR_BUSY));
	nunchi_error_destroy(err);
	target_close(target);
	assert_clean();
}

/* A request that makes no sense, and one behind it. */
static void test_damaged(void **state)
{
	struct target *target = open_watched();

	(void)state;
	check(target->ops->stops->open(target));
	happen(0, RING_CR3, 1);
	store_le32(FAKE_SLOT(0) + RING_AT_VCPU, 77);
	happen(1, RING_CR3, 2);
	target_close(target);
	assert_clean();
}

/* Somebody has removed the ring, and what waits waits still. */
static void test_removed(void **state)
{
	struct target *target = open_watched();

	(void)state;
	check(target->ops->stops->open(target));
	happen(1, RING_CR3, 2);
	GUEST->has_ring = false;
	target_close(target);
	assert_clean();
}

static const char *reason(void)
{
	static char text[256];
	struct target *target = open_watched();

	assert_false(target->support[TARGET_EVENTS].available);
	snprintf(text, sizeof(text), "%s", target->support[TARGET_EVENTS].reason);
	_cleanup_error_ struct nunchi_error *err = target->ops->stops->open(target);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	target_close(target);
	return text;
}

static void test_unsupported(void **state)
{
	(void)state;
	fake->ring_version = 5;
	assert_non_null(strstr(reason(), "needs Xen 4.14"));
	fake->ring_version = 8;
	assert_non_null(strstr(reason(), "newer than this nunchi"));
	fake->ring_version = 7;
	fake->capabilities = 1;
	assert_non_null(strstr(reason(), "no events of the guest's registers"));
	fake->capabilities = 0x1f7b;
	GUEST->info.max_vcpu_id = 8;
	assert_non_null(strstr(reason(), "9 vCPUs"));
	GUEST->info.flags &= ~XEN_INFO_HVM;
	GUEST->info.max_vcpu_id = 0;
	assert_non_null(strstr(reason(), "Xen has none of PV guests"));
	assert_int_equal(records(), 0);
}

static void test_owner_killed(void **state)
{
	pid_t guard, owner = watching_process(&guard);

	(void)state;
	end(owner);
	for (int i = 0; i < 500 && records(); i++)
		poll(NULL, 0, 10);
	assert_clean();
}

static void test_both_killed(void **state)
{
	pid_t guard, owner = watching_process(&guard);
	struct target *target;

	(void)state;
	kill(guard, SIGKILL);
	end(owner);
	poll(NULL, 0, 50);
	assert_int_equal(GUEST->waiting, 3);
	assert_true(GUEST->has_ring);
	/* Whatever the next nunchi opens the guest for. */
	target = open_word("xen:pvh");
	assert_clean();
	assert_memory_equal(fake->text + PLACE, nop, sizeof(nop));
	assert_int_equal(target->note_count, 1);
	assert_non_null(strstr(target->notes[0], "had left this guest with an event ring"));
	target_close(target);
}

/* Who repaired was killed too, when the ring was gone and the vCPUs still waited. */
static void test_repair_killed(void **state)
{
	pid_t guard, owner = watching_process(&guard);

	(void)state;
	kill(guard, SIGKILL);
	end(owner);
	poll(NULL, 0, 50);
	GUEST->has_ring = false;
	target_close(open_word("xen:pvh"));
	assert_clean();
}

/* The guest was given all that it may have meanwhile. */
static void test_repair_without_room(void **state)
{
	pid_t guard, owner = watching_process(&guard);

	(void)state;
	kill(guard, SIGKILL);
	end(owner);
	poll(NULL, 0, 50);
	fake->ring_full = true;
	target_close(open_word("xen:pvh"));
	assert_clean();
	assert_int_equal(GUEST->info.max_pages, 1024);
}

/* The guard is killed while it has the guest paused to write the bytes back. */
static void test_guard_killed_in_its_pause(void **state)
{
	pid_t guard, owner = watching_process(&guard);
	struct target *target;

	(void)state;
	fake->text_slow = 10000;
	end(owner);
	for (int i = 0; i < 500 && !__atomic_load_n(&GUEST->pauses, __ATOMIC_RELAXED); i++)
		poll(NULL, 0, 10);
	poll(NULL, 0, 50);
	assert_int_equal(GUEST->pauses, 1);
	assert_int_equal(records(), 2);
	kill(guard, SIGKILL);
	poll(NULL, 0, 50);
	fake->text_slow = 0;
	target = open_word("xen:pvh");
	assert_clean();
	assert_int_equal(target->note_count, 2);
	assert_non_null(strstr(target->notes[0], "paused: it was resumed"));
	target_close(target);
}

/* Another nunchi has the guest paused when the guard has to undo: it waits for that. */
static void test_guard_waits_for_a_pause(void **state)
{
	pid_t guard, owner = watching_process(&guard);
	const unsigned open = fake->open;
	const size_t mapped = fake->mapped;
	struct target *target = open_word("xen:pvh");

	(void)state;
	check(target_pause(target));
	fake->open -= open;
	fake->mapped -= mapped;
	kill(owner, SIGKILL);
	assert_int_equal(waitpid(owner, NULL, 0), owner);
	poll(NULL, 0, 200);
	assert_int_equal(GUEST->pauses, 1);
	assert_true(GUEST->has_ring);
	check(target_resume(target));
	for (int i = 0; i < 500 && records(); i++)
		poll(NULL, 0, 10);
	target_close(target);
	assert_clean();
}

static void test_guard_killed(void **state)
{
	struct target *target = open_watched();

	(void)state;
	check(target->ops->stops->open(target));
	kill(guard_process(xen_of(target)->stops.undo.guard), SIGKILL);
	happen(0, RING_CR3, 1);
	assert_int_equal(next(target).kind, TARGET_STOP_EVENT);
	target_close(target);
	assert_clean();
}

static void test_second(void **state)
{
	pid_t guard, owner = watching_process(&guard);
	struct target *target = open_watched();
	struct nunchi_error *err = target->ops->stops->open(target);

	(void)state;
	assert_true(error_is(err, NUNCHI_ERROR_BUSY));
	assert_non_null(strstr(nunchi_error_message(err), "another nunchi watches"));
	nunchi_error_destroy(err);
	assert_true(GUEST->has_ring);
	target_close(target);
	end(owner);
	for (int i = 0; i < 500 && records(); i++)
		poll(NULL, 0, 10);
	assert_clean();
}

static void test_destroyed(void **state)
{
	struct target *target = open_watched();
	struct target_stop stop;

	(void)state;
	check(target->ops->stops->open(target));
	GUEST->there = false;
	GUEST->has_ring = false;
	assert_null(target->ops->stops->next(target, &stop));
	assert_int_equal(stop.kind, TARGET_STOP_GONE);
	target_close(target);
	assert_int_equal(records(), 0);
}

/* Nobody watches a guest that ends or has ended. */
static void test_ended(void **state)
{
	struct target *target = open_watched();
	struct nunchi_error *err;

	(void)state;
	GUEST->info.flags |= XEN_INFO_DYING;
	err = target->ops->stops->open(target);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	nunchi_error_destroy(err);
	GUEST->there = false;
	err = target->ops->stops->open(target);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	nunchi_error_destroy(err);
	target_close(target);
	assert_int_equal(records(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup_text, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(events),
	    TEST(end_is_explained),
	    TEST(opened_twice),
	    TEST(other_events),
	    TEST(leftover_permissions),
	    TEST(close_answers),
	    TEST(somebody_else),
	    TEST(somebody_else_first),
	    TEST(answer_lost),
	    TEST(damaged),
	    TEST(removed),
	    TEST(unsupported),
	    TEST(owner_killed),
	    TEST(both_killed),
	    TEST(repair_killed),
	    TEST(repair_without_room),
	    TEST(guard_killed_in_its_pause),
	    TEST(guard_waits_for_a_pause),
	    TEST(guard_killed),
	    TEST(second),
	    TEST(destroyed),
	    TEST(ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
