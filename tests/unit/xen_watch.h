/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests share that watch a guest of Xen by its event ring: what happens in the guest, a
 * page of code in it, and a process that watches it and is killed.
 */
#ifndef NUNCHI_TESTS_XEN_WATCH_H
#define NUNCHI_TESTS_XEN_WATCH_H

#include "core/clock.h"
#include "page_writer.h"
#include "target/stops.h"
#include "target/xen/internal.h"
#include "target/xen/ring_layout.h"
#include "xen_setup.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define GUEST (&fake->domains[2])

static inline struct target *open_watched(void)
{
	const struct target_options options = {.sigbus_guard = false};
	struct target *target = NULL;
	struct nunchi_error *err = xen_target_open_with(&fake_calls, "xen:pvh", &options, &target);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	return target;
}

static inline void check(struct nunchi_error *err)
{
	if (err)
		fail_msg("%s", nunchi_error_message(err));
}

/* Xen tells of a vCPU, which waits; of a control register or, from 0x100 on, of an MSR. */
static inline void happen(uint32_t vcpu, uint32_t index, uint64_t value)
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

static inline bool is_readable(const struct target *target)
{
	struct pollfd pfd = {.fd = target->ops->stops->fd(target), .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static inline struct target_stop next(struct target *target)
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
static inline void map_text(uint64_t address, uint64_t flags)
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

static inline int setup_text(void **state)
{
	int failed = setup(state);

	if (!failed)
		map_text(TEXT, 0);
	return failed;
}

static inline void insert(struct target *target, uint64_t place)
{
	check(target->ops->stops->insert(target, TEXT + place));
}

/* A vCPU meets an INT3. */
static inline void meet(uint32_t vcpu, uint64_t place)
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
static inline void assert_went_to(uint64_t rip)
{
	assert_true(load_le32(fake->last_answer + RING_AT_FLAGS) & RING_FLAG_REGISTERS);
	assert_int_equal(load_le64(fake->last_answer + 208), rip);
}

/* The ring is gone with all that was switched on, and no vCPU waits; no breakpoint is left. */
static inline void assert_clean(void)
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

/* ---- Kills
 * ---------------------------------------------------------------------------------------- */

/*
 * A process that watches the guest with two breakpoints, whose vCPUs wait; its guard in *ret_guard.
 */
static inline pid_t watching_process(pid_t *ret_guard)
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

static inline void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* What it had open and mapped is closed by the kernel. */
	fake->open = 0;
	fake->mapped = 0;
}

#endif
