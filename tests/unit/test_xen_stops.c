/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xen's guests are watched by their event ring, which nobody leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "page_writer.h"
#include "target/controller.h"
#include "target/stops.h"
#include "target/xen/internal.h"
#include "target/xen/ring_layout.h"
#include "xen_setup.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define GUEST (&fake->domains[2])

static struct target *open_watched(void)
{
	const struct target_options options = {.sigbus_guard = false};
	struct target *target = NULL;
	struct nunchi_error *err = xen_target_open_with(&fake_calls, "xen:pvh", &options, &target);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	return target;
}

static void check(struct nunchi_error *err)
{
	if (err)
		fail_msg("%s", nunchi_error_message(err));
}

/* Xen tells of a vCPU, which waits; of a control register or, from 0x100 on, of an MSR. */
static void happen(uint32_t vcpu, uint32_t index, uint64_t value)
{
	uint32_t at = load_le32(fake->ring + RING_REQUESTS);
	uint8_t *slot = FAKE_SLOT(at);
	const uint64_t one = 1;

	memset(slot, 0, 400);
	store_le32(slot + RING_AT_VERSION, fake->ring_version);
	store_le32(slot + RING_AT_FLAGS, RING_FLAG_PAUSED);
	store_le32(slot + RING_AT_VCPU, vcpu);
	store_le32(slot + RING_AT_REASON, index < 0x100 ? RING_REASON_CONTROL : RING_REASON_MSR);
	store_le64(slot + RING_AT_CONTROL_INDEX, index);
	store_le64(slot + RING_AT_CONTROL_VALUE, value);
	store_le64(slot + RING_AT_CONTROL_OLD, 1);
	store_le32(fake->ring + RING_REQUESTS, at + 1);
	GUEST->waiting |= 1U << vcpu;
	assert_int_equal(write(fake->channels, &one, sizeof(one)), sizeof(one));
}

static bool is_readable(const struct target *target)
{
	struct pollfd pfd = {.fd = target->ops->stops->fd(target), .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static struct target_stop next(struct target *target)
{
	struct target_stop stop;

	check(target->ops->stops->next(target, &stop));
	return stop;
}

/* Where the page of code is, and places in it where an instruction without effect is. */
#define TEXT       0xffffffff81abc000
#define PLACE      0x904
#define LAST_PLACE (PAGE_SIZE - sizeof(nop))
#define TABLES     ((uint64_t)0x100000)
static const uint8_t nop[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};

/* Maps the page of code, for all vCPUs. */
static void map_text(uint64_t address, uint64_t flags)
{
	uint8_t *memory = fake_memory();
	struct page_writer writer;

	writer_init(&writer, X86_MODE_4LEVEL, memory, FAKE_FRAMES << PAGE_SHIFT, TABLES);
	writer_map(&writer, address, FAKE_TEXT_FRAME << PAGE_SHIFT, 1, flags);
	munmap(memory, FAKE_FRAMES << PAGE_SHIFT);
	store_le64(fake->cpu + XEN_HVM_CPU_CR0, 0x80050033);
	store_le64(fake->cpu + XEN_HVM_CPU_CR3, writer.root);
	store_le64(fake->cpu + XEN_HVM_CPU_CR4, 0x6f0);
	store_le64(fake->cpu + XEN_HVM_CPU_EFER, 0xd01);
	memset(fake->text, 0xc3, sizeof(fake->text));
	memcpy(fake->text + PLACE, nop, sizeof(nop));
	memcpy(fake->text + LAST_PLACE, nop, sizeof(nop));
}

static int setup_text(void **state)
{
	int failed = setup(state);

	if (!failed)
		map_text(TEXT, 0);
	return failed;
}

static void insert(struct target *target, uint64_t place)
{
	check(target->ops->stops->insert(target, TEXT + place));
}

/* A vCPU meets an INT3. */
static void meet(uint32_t vcpu, uint64_t place)
{
	uint8_t *slot = FAKE_SLOT(load_le32(fake->ring + RING_REQUESTS));

	happen(vcpu, 0, 0);
	store_le32(slot + RING_AT_REASON, RING_REASON_BREAKPOINT);
	store_le64(slot + RING_AT_DEBUG_FRAME, FAKE_TEXT_FRAME);
	store_le32(slot + 40, 1); /* the instruction's length */
	slot[44] = 6;             /* HVMOP_TRAP_sw_exc */
	store_le64(slot + RING_AT_RSP, 0x5000 + vcpu);
	store_le64(slot + 208, TEXT + place); /* rip */
}

/* The last answer of which Xen knows has the vCPU go on somewhere else. */
static void assert_went_to(uint64_t rip)
{
	assert_true(load_le32(fake->last_answer + RING_AT_FLAGS) & RING_FLAG_REGISTERS);
	assert_int_equal(load_le64(fake->last_answer + 208), rip);
}

/* The ring is gone with all that was switched on, and no vCPU waits; no breakpoint is left. */
static void assert_clean(void)
{
	for (size_t i = 0; i < PAGE_SIZE; i++)
		assert_int_not_equal(fake->text[i], MONITOR_INT3);
	assert_int_equal(fake->text_unsafe, 0);
	assert_false(GUEST->traps);
	assert_false(GUEST->has_ring);
	assert_int_equal(GUEST->waiting, 0);
	assert_int_equal(GUEST->controls, 0);
	assert_int_equal(GUEST->msrs, 0);
	assert_int_equal(GUEST->twice, 0);
	assert_false(GUEST->exits);
	assert_int_equal(GUEST->pauses, 0);
	assert_int_equal(fake->ring_unsafe, 0);
	assert_false(fake->ring_populated);
	assert_int_equal(records(), 0);
}

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
	static const uint8_t both[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1f, 0x44, 0x00, 0x00};
	struct target *target = open_watched();
	struct target_stop stop;

	(void)state;
	memcpy(fake->text + 0x100, both, sizeof(both));
	check(target->ops->stops->open(target));
	insert(target, 0x100);
	insert(target, 0x104);
	meet(1, 0x100);
	stop = next(target);
	check(target->ops->stops->go(target, &stop, TEXT + 0x104));
	assert_went_to(TEXT + 0x104);
	target_close(target);
	assert_memory_equal(fake->text + 0x100, both, sizeof(both));
	assert_clean();
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

/* ---- Kills ----------------------------------------------------------------------------------- */

/*
 * A process that watches the guest with two breakpoints, whose vCPUs wait; its guard in *ret_guard.
 */
static pid_t watching_process(pid_t *ret_guard)
{
	int ready[2];
	pid_t pid, guard = 0;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct target *target = open_watched();

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		check(target->ops->stops->open(target));
		check(target->ops->stops->observe(target, TARGET_EVENT_CR3, 0));
		insert(target, PLACE);
		insert(target, LAST_PLACE);
		happen(1, RING_CR3, 1);
		next(target);
		happen(0, RING_CR3, 2);
		/* In one entry of a nested guest Xen can load CR4 and CR3. */
		GUEST->twice = 1;
		guard = guard_process(xen_of(target)->stops.undo.guard);
		if (write(ready[1], &guard, sizeof(guard)) == sizeof(guard))
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &guard, sizeof(guard)), sizeof(guard));
	close(ready[0]);
	assert_true(guard > 0);
	assert_int_equal(GUEST->waiting, 3);
	*ret_guard = guard;
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* What it had open and mapped is closed by the kernel. */
	fake->open = 0;
	fake->mapped = 0;
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
	    TEST(breakpoints),
	    TEST(return_addresses),
	    TEST(close_at_breakpoint),
	    TEST(breakpoints_of_others),
	    TEST(trap_is_refused),
	    TEST(processor_that_ignores_the_length),
	    TEST(go_to_a_breakpoint),
	    TEST(go_elsewhere),
	    TEST(disk_is_full),
	    TEST(end_is_explained),
	    TEST(refused_places),
	    TEST(no_code),
	    TEST(processor_without_breakpoints),
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
	    TEST(overwritten),
	    TEST(overwritten_tail),
	    TEST(restored_once),
	    TEST(page_gone),
	    TEST(page_refused),
	    TEST(repair_killed),
	    TEST(repair_without_room),
	    TEST(guard_killed),
	    TEST(guard_killed_in_its_pause),
	    TEST(guard_waits_for_a_pause),
	    TEST(second),
	    TEST(destroyed),
	    TEST(ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
