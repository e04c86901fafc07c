/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Breakpoints in guests of Xen, and what happens to them if who set them is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "xen_watch.h"

#include <sys/resource.h>

static void test_breakpoints(void **state)
{
	struct target *target = open_watched();
	const struct target_stops_ops *stops = target->ops->stops;
	struct target_stop stop;

	(void)state;
	assert_non_null(strstr(target->support[TARGET_EVENTS].reason, "the kernel's functions"));
	check(stops->open(target));
	check(stops->hold(target));
	assert_int_equal(GUEST->pauses, 1);
	insert(target, PLACE);
	assert_true(GUEST->traps);
	assert_int_equal(fake->text[PLACE], MONITOR_INT3);
	check(stops->release(target));
	assert_int_equal(GUEST->pauses, 0);
	meet(1, PLACE);
	meet(0, PLACE);
	stop = next(target);
	assert_int_equal(stop.kind, TARGET_STOP_BREAKPOINT);
	assert_int_equal(stop.vcpu, 1);
	assert_true(stop.others_run);
	assert_int_equal(stop.registers.rip, TEXT + PLACE);
	/* Within a hit, while the other vCPU may run. */
	insert(target, LAST_PLACE);
	assert_int_equal(fake->text[LAST_PLACE], MONITOR_INT3);
	assert_int_equal(GUEST->pauses, 0);
	check(stops->go(target, &stop, stop.registers.rip));
	assert_int_equal(GUEST->waiting, 1);
	assert_went_to(TEXT + PLACE + sizeof(nop));
	assert_int_equal(load_le64(fake->last_answer + RING_AT_RSP), 0x5001);
	assert_int_equal(fake->text[PLACE], MONITOR_INT3);
	/* The other one has met it before it is removed. */
	stop = next(target);
	assert_int_equal(stop.vcpu, 0);
	check(stops->remove(target, TEXT + PLACE));
	assert_memory_equal(fake->text + PLACE, nop, sizeof(nop));
	check(stops->go(target, &stop, stop.registers.rip));
	assert_went_to(TEXT + PLACE);
	/* Of one that met it then nothing is told, for it goes on with what is there now. */
	meet(1, PLACE);
	assert_int_equal(next(target).kind, TARGET_STOP_NONE);
	assert_int_equal(GUEST->waiting, 0);
	assert_int_equal(GUEST->trapped, 0);
	target_close(target);
	assert_memory_equal(fake->text + LAST_PLACE, nop, sizeof(nop));
	assert_clean();
}

/* Where a call returns to, Xen executes what stood there. */
static void test_return_addresses(void **state)
{
	static const uint8_t call[] = {0xe8, 1, 2, 3, 4}, move[] = {0x49, 0x89, 0xc4};
	static const uint8_t by_register[] = {0xff, 0xd0, 0x0f, 0x1f, 0x00};
	struct target *target = open_watched();
	const struct target_stops_ops *stops = target->ops->stops;
	struct target_stop stop;

	(void)state;
	check(stops->open(target));
	memcpy(fake->text + 0x100, call, sizeof(call));
	memcpy(fake->text + 0x105, move, sizeof(move));
	insert(target, 0x105);
	assert_int_equal(fake->text[0x105], MONITOR_INT3);
	meet(0, 0x105);
	stop = next(target);
	assert_int_equal(stop.kind, TARGET_STOP_BREAKPOINT);
	check(stops->go(target, &stop, stop.registers.rip));
	assert_int_equal(load_le32(fake->last_answer + RING_AT_FLAGS),
			 RING_FLAG_PAUSED | RING_FLAG_EMULATE | RING_FLAG_INSTRUCTION);
	assert_memory_equal(fake->last_answer + RING_AT_INSTRUCTION, move, sizeof(move));
	assert_int_equal(fake->last_answer[RING_AT_INSTRUCTION + 3], 0xc3);
	assert_int_equal(GUEST->waiting, 0);
	/* If it was removed meanwhile, the vCPU executes it itself. */
	meet(0, 0x105);
	stop = next(target);
	check(stops->remove(target, TEXT + 0x105));
	assert_memory_equal(fake->text + 0x105, move, sizeof(move));
	check(stops->go(target, &stop, stop.registers.rip));
	assert_went_to(TEXT + 0x105);
	/* A NOP that is never rewritten. */
	memcpy(fake->text + 0x110, by_register, sizeof(by_register));
	insert(target, 0x112);
	meet(0, 0x112);
	stop = next(target);
	check(stops->go(target, &stop, stop.registers.rip));
	assert_went_to(TEXT + 0x115);
	target_close(target);
	assert_memory_equal(fake->text + 0x112, by_register + 2, 3);
	assert_clean();
}

/* vCPUs that have met an INT3 when watching ends execute what stands there. */
static void test_close_at_breakpoint(void **state)
{
	struct target *target = open_watched();

	(void)state;
	check(target->ops->stops->open(target));
	insert(target, PLACE);
	meet(0, PLACE);
	meet(1, PLACE);
	assert_int_equal(next(target).kind, TARGET_STOP_BREAKPOINT);
	target_close(target);
	assert_false(load_le32(fake->last_answer + RING_AT_FLAGS) & RING_FLAG_REGISTERS);
	assert_int_equal(GUEST->trapped, 0);
	assert_clean();
}

/* Those of the guest, and of its debuggers. */
static void test_breakpoints_of_others(void **state)
{
	struct target *target = open_watched();

	(void)state;
	check(target->ops->stops->open(target));
	insert(target, PLACE);
	fake->text[0x10] = MONITOR_INT3;
	meet(1, 0x10);
	assert_int_equal(next(target).kind, TARGET_STOP_NONE);
	assert_int_equal(GUEST->trapped, 2);
	assert_int_equal(GUEST->waiting, 0);
	/* Whoever answers, the guest gets the trap with the address behind the INT3. */
	assert_int_equal(GUEST->trap_length, 1);
	assert_false(load_le32(fake->last_answer + RING_AT_FLAGS) & RING_FLAG_REGISTERS);
	/* If Xen has another one to give first, the vCPU meets it again. */
	GUEST->trap_error = EBUSY;
	meet(0, 0x10);
	assert_int_equal(next(target).kind, TARGET_STOP_NONE);
	assert_int_equal(GUEST->trapped, 2);
	assert_int_equal(GUEST->waiting, 0);
	assert_false(load_le32(fake->last_answer + RING_AT_FLAGS) & RING_FLAG_REGISTERS);
	/* That of a guest within the guest, at an address that has one. */
	GUEST->trap_error = 0;
	meet(0, PLACE);
	store_le32(FAKE_SLOT(2) + RING_AT_FLAGS, RING_FLAG_PAUSED | RING_FLAG_NESTED);
	assert_int_equal(next(target).kind, TARGET_STOP_NONE);
	assert_int_equal(GUEST->trapped, 3);
	fake->text[0x10] = 0;
	target_close(target);
	assert_clean();
}

/* If Xen never takes it, watching ends, and the guest executes its INT3 itself. */
static void test_trap_is_refused(void **state)
{
	struct target *target = open_watched();
	struct target_stop stop;
	struct nunchi_error *err;

	(void)state;
	check(target->ops->stops->open(target));
	insert(target, PLACE);
	fake->text[0x10] = MONITOR_INT3;
	GUEST->trap_error = EPERM;
	meet(1, 0x10);
	err = target->ops->stops->next(target, &stop);
	assert_int_equal(nunchi_error_errno(err), EPERM);
	nunchi_error_destroy(err);
	assert_false(load_le32(fake->last_answer + RING_AT_FLAGS) & RING_FLAG_REGISTERS);
	/* Of its own INT3 Xen does not tell any more. */
	assert_int_equal(fake->text[0x10], MONITOR_INT3);
	fake->text[0x10] = 0;
	fake->text_unsafe = 0;
	assert_clean();
	target_close(target);
}

/* Where the processor gives the trap with RIP, whatever the length of the instruction is. */
static void test_processor_that_ignores_the_length(void **state)
{
	struct target *target;

	(void)state;
	fake->ignores_length = true;
	target = open_watched();
	check(target->ops->stops->open(target));
	insert(target, PLACE);
	fake->text[0x10] = MONITOR_INT3;
	meet(1, 0x10);
	assert_int_equal(next(target).kind, TARGET_STOP_NONE);
	assert_int_equal(GUEST->trapped, 2);
	assert_int_equal(GUEST->trap_length, 0);
	assert_went_to(TEXT + 0x11);
	fake->text[0x10] = 0;
	target_close(target);
	assert_clean();
}

/* Two instructions without effect, each with a breakpoint: a vCPU that goes on at the second one
 * meets it. */
static void test_go_to_a_breakpoint(void **state)
{
	/* The second one begins with what the kernel writes over ENDBR. */
	static const uint8_t starts[][9] = {{0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1f, 0x44, 0x00, 0x00},
					    {0x66, 0x0f, 0x1f, 0x00, 0x0f, 0x1f, 0x44, 0x00, 0x00}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		struct target *target = open_watched();
		struct target_stop stop;

		memcpy(fake->text + 0x100, starts[i], sizeof(starts[i]));
		check(target->ops->stops->open(target));
		insert(target, 0x100);
		insert(target, 0x104);
		meet(1, 0x100);
		stop = next(target);
		check(target->ops->stops->go(target, &stop, TEXT + 0x104));
		assert_went_to(TEXT + 0x104);
		target_close(target);
		assert_memory_equal(fake->text + 0x100, starts[i], sizeof(starts[i]));
		assert_clean();
	}
}

/* Who is confined does not choose the registers of a vCPU, nor where else it goes on. */
static void test_go_elsewhere(void **state)
{
	const uint64_t wrong[] = {TEXT, TEXT + PLACE - 1, TEXT + PLACE + 17};
	struct target *target = open_watched();
	const struct target_stops_ops *stops = target->ops->stops;
	struct target_stop stop;

	(void)state;
	check(stops->open(target));
	insert(target, PLACE);
	meet(1, PLACE);
	stop = next(target);
	stop.registers.rsp = 0x666;
	stop.registers.rip = TEXT;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct nunchi_error *err = stops->go(target, &stop, wrong[i]);

		assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
		nunchi_error_destroy(err);
		assert_int_equal(GUEST->waiting, 2);
	}
	check(stops->go(target, &stop, TEXT + PLACE + 5));
	assert_went_to(TEXT + PLACE + 5);
	assert_int_equal(load_le64(fake->last_answer + RING_AT_RSP), 0x5001);
	target_close(target);
	assert_clean();
}

/* A breakpoint cannot be logged within a hit: it is refused, and the guest is watched on. */
static void test_disk_is_full(void **state)
{
	struct target *target = open_watched();
	const struct target_stops_ops *stops = target->ops->stops;
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	struct rlimit limit, full;
	struct target_stop stop;
	struct nunchi_error *err;

	(void)state;
	check(stops->open(target));
	insert(target, PLACE);
	meet(1, PLACE);
	stop = next(target);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	full = (struct rlimit){1, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	err = stops->insert(target, TEXT + LAST_PLACE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, before);
	assert_non_null(strstr(nunchi_error_message(err), "undo log"));
	nunchi_error_destroy(err);
	assert_memory_equal(fake->text + LAST_PLACE, nop, sizeof(nop));
	check(stops->go(target, &stop, stop.registers.rip));
	assert_went_to(TEXT + PLACE + sizeof(nop));
	insert(target, LAST_PLACE);
	target_close(target);
	assert_clean();
}

static void refuses(struct target *target, uint64_t address, const char *reason)
{
	static uint8_t before[PAGE_SIZE];
	struct nunchi_error *err;

	memcpy(before, fake->text, sizeof(before));
	err = target->ops->stops->insert(target, address);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(strstr(nunchi_error_message(err), reason));
	nunchi_error_destroy(err);
	assert_memory_equal(before, fake->text, sizeof(before));
	assert_int_equal(GUEST->pauses, 0);
}

/* Nothing is written where something else stands than functions begin with. */
static void test_refused_places(void **state)
{
	struct target *target = open_watched();
	struct nunchi_error *err;

	(void)state;
	check(target->ops->stops->open(target));
	insert(target, PLACE);
	err = target->ops->stops->insert(target, TEXT + PLACE);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	refuses(target, TEXT + 0x20, "no NOP for tracing");
	/* A NOP that is not whole in its page. */
	refuses(target, TEXT + LAST_PLACE + 1, "no NOP for tracing");
	/* ENDBR, with which functions begin too that must not be traced. */
	memcpy(fake->text + 0x300, "\xf3\x0f\x1e\xfa\x31\xc0\xc3\xcc\xcc", 9);
	refuses(target, TEXT + 0x300, "no NOP for tracing");
	memset(fake->text + 0x300, 0xc3, 9);
	/* Behind a call: what may become a jump, what is no plain instruction, what is cut off. */
	fake->text[0x200] = 0xe8;
	memcpy(fake->text + 0x205, nop, sizeof(nop));
	refuses(target, TEXT + 0x205, "cannot get past the instruction");
	fake->text[0x205] = 0xe9;
	refuses(target, TEXT + 0x205, "cannot get past the instruction");
	fake->text[PAGE_SIZE - 6] = 0xe8;
	fake->text[PAGE_SIZE - 1] = 0x48;
	refuses(target, TEXT + PAGE_SIZE - 1, "cannot get past the instruction");
	fake->text[0x20] = 0xe8;
	refuses(target, TEXT + 0x20, "traces this function already");
	fake->text[0x20] = MONITOR_INT3;
	refuses(target, TEXT + 0x20, "a breakpoint already");
	fake->text[0x20] = 0;
	refuses(target, TEXT + PAGE_SIZE, "only the kernel's own code");
	refuses(target, 0x401000, "only the kernel's own code");
	target_close(target);
	assert_clean();
}

/* A page of data, such as one that had code that was needed to start; a module's; no page tables.
 */
static void test_no_code(void **state)
{
	struct target *target = open_watched();

	(void)state;
	check(target->ops->stops->open(target));
	map_text(TEXT, WRITER_NX);
	refuses(target, TEXT + PLACE, "only the kernel's own code");
	map_text(0xffffffffb0000000, 0);
	refuses(target, 0xffffffffb0000000 + PLACE, "only the kernel's own code");
	map_text(0xffffffffc0001000, 0);
	refuses(target, 0xffffffffc0001000 + PLACE, "only the kernel's own code");
	fake->cpu_error = EINVAL;
	refuses(target, TEXT + PLACE, "only the kernel's own code");
	fake->cpu_error = 0;
	/* The page table of user space is beside the kernel's. */
	map_text(TEXT, 0);
	store_le64(fake->cpu + XEN_HVM_CPU_CR3, TABLES + PAGE_SIZE);
	insert(target, PLACE);
	target_close(target);
	assert_clean();
}

static void test_processor_without_breakpoints(void **state)
{
	struct target *target;
	struct nunchi_error *err;

	(void)state;
	fake->no_breakpoints = "of this test";
	target = open_watched();
	assert_non_null(strstr(target->support[TARGET_EVENTS].reason,
			       "not the kernel's functions: of this test"));
	check(target->ops->stops->open(target));
	refuses(target, TEXT + PLACE, "of this test");
	assert_false(GUEST->traps);
	target_close(target);
	fake->no_breakpoints = NULL;
	fake->capabilities &= ~(1U << XEN_MONITOR_BREAKPOINT);
	target = open_watched();
	check(target->ops->stops->open(target));
	refuses(target, TEXT + PLACE, "this Xen does not tell of INT3");
	err = target->ops->stops->remove(target, TEXT + PLACE);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	target_close(target);
	assert_clean();
}

/* What the guest, or its debugger, has written there since is not written over. */
static void test_overwritten(void **state)
{
	pid_t guard, owner = watching_process(&guard);
	static const uint8_t others[] = {MONITOR_INT3, 0x90, 0x44, 0x00, 0x00};

	(void)state;
	memcpy(fake->text + PLACE, others, sizeof(others));
	fake->text[LAST_PLACE] = 0xe8;
	end(owner);
	for (int i = 0; i < 500 && records(); i++)
		poll(NULL, 0, 10);
	assert_memory_equal(fake->text + PLACE, others, sizeof(others));
	assert_int_equal(fake->text[LAST_PLACE], 0xe8);
	fake->text[PLACE] = 0;
	assert_clean();
}

/* The guest has given the page away. */
static void test_page_gone(void **state)
{
	pid_t guard, owner = watching_process(&guard);

	(void)state;
	fake->text_error = EINVAL;
	end(owner);
	for (int i = 0; i < 500 && records(); i++)
		poll(NULL, 0, 10);
	memset(fake->text, 0, sizeof(fake->text));
	assert_clean();
}

/*
 * The next nunchi writes the bytes back and cannot remove the ring. What the guest sets there then
 * is its own for the one after that.
 */
static void test_restored_once(void **state)
{
	pid_t guard, owner = watching_process(&guard);
	static const uint8_t others[] = {MONITOR_INT3, 0x1f, 0x44, 0x00, 0x00};
	struct target *target;

	(void)state;
	kill(guard, SIGKILL);
	end(owner);
	poll(NULL, 0, 50);
	fake->ring_busy = true;
	target = open_word("xen:pvh");
	assert_non_null(strstr(target->notes[0], "removing it failed"));
	target_close(target);
	assert_memory_equal(fake->text + PLACE, nop, sizeof(nop));
	assert_int_equal(records(), 1);
	memcpy(fake->text + PLACE, others, sizeof(others));
	target_close(open_word("xen:pvh"));
	assert_memory_equal(fake->text + PLACE, others, sizeof(others));
	fake->text[PLACE] = 0;
	assert_clean();
}

/* Behind the INT3 stands what the guest has written there, with a byte as of another INT3. */
static void test_overwritten_tail(void **state)
{
	pid_t guard, owner = watching_process(&guard);
	static const uint8_t others[] = {MONITOR_INT3, 0x1f, MONITOR_INT3, 0x00, 0x00};

	(void)state;
	memcpy(fake->text + PLACE, others, sizeof(others));
	end(owner);
	for (int i = 0; i < 500 && records(); i++)
		poll(NULL, 0, 10);
	assert_memory_equal(fake->text + PLACE, others, sizeof(others));
	memset(fake->text + PLACE, 0, sizeof(others));
	assert_clean();
}

/* While breakpoints cannot be removed, the ring stays, so that a vCPU waits instead of trapping. */
static void test_page_refused(void **state)
{
	pid_t guard, owner = watching_process(&guard);
	struct target *target;

	(void)state;
	fake->text_error = ENOMEM;
	kill(guard, SIGKILL);
	end(owner);
	poll(NULL, 0, 50);
	target = open_word("xen:pvh");
	assert_non_null(strstr(target->notes[0], "Xen refuses to remove breakpoints"));
	target_close(target);
	assert_int_equal(records(), 1);
	assert_true(GUEST->has_ring);
	fake->text_error = 0;
	target_close(open_word("xen:pvh"));
	assert_clean();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup_text, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(breakpoints),
	    TEST(return_addresses),
	    TEST(close_at_breakpoint),
	    TEST(breakpoints_of_others),
	    TEST(trap_is_refused),
	    TEST(processor_that_ignores_the_length),
	    TEST(go_to_a_breakpoint),
	    TEST(go_elsewhere),
	    TEST(disk_is_full),
	    TEST(refused_places),
	    TEST(no_code),
	    TEST(processor_without_breakpoints),
	    TEST(overwritten),
	    TEST(page_gone),
	    TEST(restored_once),
	    TEST(overwritten_tail),
	    TEST(page_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
