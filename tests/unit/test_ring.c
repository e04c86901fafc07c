/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The event ring of Xen: what is decoded, what is answered, exactly once, to an end that may lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "fake_ring.h"
#include "target/xen/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define NEAR_WRAP (UINT32_MAX - 2)

/* Both ends of a ring, on a page of exactly 4 KiB. */
struct both {
	struct fake_xen xen;
	struct ring *ring;
	void *page;
};

static struct both setup_told(uint32_t version, uint32_t told, uint32_t start)
{
	struct both both = {.page = aligned_alloc(4096, 4096)};

	assert_non_null(both.page);
	memset(both.page, 0xa5, 4096);
	both.xen = fake_xen(both.page, version, start);
	assert_null(ring_create(both.page, told, FAKE_VCPUS, start, &both.ring));
	return both;
}

static struct both setup(uint32_t version, uint32_t start)
{
	return setup_told(version, version, start);
}

static void teardown(struct both *both)
{
	ring_destroy(both->ring);
	free(both->page);
}

static void must_fail(struct nunchi_error *err, enum nunchi_error_code code, const char *text)
{
	assert_non_null(err);
	assert_int_equal(nunchi_error_code(err), code);
	if (!strstr(nunchi_error_message(err), text))
		fail_msg("'%s' does not say '%s'", nunchi_error_message(err), text);
	nunchi_error_destroy(err);
}

static struct ring_event take(struct both *both)
{
	struct ring_event event = {0};

	assert_null(ring_take(both->ring, &event));
	return event;
}

static void must_be_empty(struct both *both)
{
	struct ring_event event;

	assert_ptr_equal(ring_take(both->ring, &event), &error_stop);
}

static struct fake_slot request(uint32_t reason, uint32_t vcpu)
{
	return (struct fake_slot){.header = {.reason = reason, .vcpu = vcpu, .flags = FAKE_PAUSED}};
}

/* Puts a request and takes its event. */
static struct ring_event event_of(struct both *both, struct fake_slot slot)
{
	fake_put(&both->xen, &slot);
	return take(both);
}

static void answer(struct both *both, struct ring_event event, struct ring_answer answer)
{
	assert_null(ring_answer(both->ring, event.ticket, &answer));
	assert_true(ring_must_notify(both->ring));
	assert_false(ring_must_notify(both->ring));
	fake_resume(&both->xen);
}

static void must_refuse(struct both *both, struct ring_event event, struct ring_answer answer,
			const char *text)
{
	must_fail(ring_answer(both->ring, event.ticket, &answer), NUNCHI_ERROR_ARGUMENT, text);
	assert_false(ring_must_notify(both->ring));
}

/* ---- What is decoded --------------------------------------------------------------------------
 */

#define FILL_COMMON(r)                                                                             \
	do {                                                                                       \
		(r)->rax = 1;                                                                      \
		(r)->rcx = 2;                                                                      \
		(r)->rdx = 3;                                                                      \
		(r)->rbx = 4;                                                                      \
		(r)->rsp = 5;                                                                      \
		(r)->rbp = 6;                                                                      \
		(r)->rsi = 7;                                                                      \
		(r)->rdi = 8;                                                                      \
		(r)->r8 = 9;                                                                       \
		(r)->r9 = 10;                                                                      \
		(r)->r10 = 11;                                                                     \
		(r)->r11 = 12;                                                                     \
		(r)->r12 = 13;                                                                     \
		(r)->r13 = 14;                                                                     \
		(r)->r14 = 15;                                                                     \
		(r)->r15 = 16;                                                                     \
		(r)->rflags = 17;                                                                  \
		(r)->dr7 = 18;                                                                     \
		(r)->rip = 19;                                                                     \
		(r)->cr0 = 20;                                                                     \
		(r)->cr2 = 21;                                                                     \
		(r)->cr3 = 22;                                                                     \
		(r)->cr4 = 23;                                                                     \
		(r)->efer = 24;                                                                    \
		(r)->star = 25;                                                                    \
		(r)->lstar = 26;                                                                   \
		(r)->fs_base = 27;                                                                 \
		(r)->gs_base = 28;                                                                 \
	} while (0)
#define FILL_SINCE_4(r)                                                                            \
	do {                                                                                       \
		FILL_COMMON(r);                                                                    \
		(r)->dr6 = 29;                                                                     \
		(r)->shadow_gs = 30;                                                               \
		(r)->cs = 0xa9bfffff; /* 12 bits of attributes above the limit */                  \
	} while (0)

static void fill_registers(uint32_t version, struct fake_slot *slot)
{
	memset(&slot->u, 0xcc, sizeof(slot->u));
	if (version == 3) {
		FILL_COMMON(&slot->u.v3);
		slot->u.v3.cs_arbytes = 0xa9b;
	} else if (version == 4) {
		FILL_SINCE_4(&slot->u.v4);
	} else if (version < 7) {
		FILL_SINCE_4(&slot->u.v5);
		slot->u.v5.gdtr_base = 31;
	} else {
		FILL_SINCE_4(&slot->u.v7);
		slot->u.v7.gdtr_base = 31;
	}
}

static void check_registers(uint32_t version, const struct ring_event *event)
{
	const struct x86_registers *r = &event->registers;
	const uint64_t general[] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp,   r->rbp,
				    r->rsi, r->rdi, r->r8,  r->r9,  r->r10,   r->r11,
				    r->r12, r->r13, r->r14, r->r15, r->rflags};

	for (size_t i = 0; i < ARRAY_SIZE(general); i++)
		assert_int_equal(general[i], i + 1);
	assert_true(r->has_general && r->has_rip && r->has_segments && r->has_cr2);
	assert_true(r->has_efer && r->has_syscall && r->has_star);
	assert_false(r->has_selectors || r->has_debug || r->has_idt || r->in_smm);
	assert_int_equal(r->has_kernel_gs, version >= 4);
	assert_int_equal(r->has_gdt, version >= 5);
	assert_int_equal(event->dr7, 18);
	assert_int_equal(r->rip, 19);
	assert_int_equal(r->cr0, 20);
	assert_int_equal(r->cr2, 21);
	assert_int_equal(r->cr3, 22);
	assert_int_equal(r->cr4, 23);
	assert_int_equal(r->efer, 24);
	assert_int_equal(r->star, 25);
	assert_int_equal(r->lstar, 26);
	assert_int_equal(r->fs_base, 27);
	assert_int_equal(r->gs_base, 28);
	assert_int_equal(event->dr6, version >= 4 ? 29 : 0);
	assert_int_equal(r->kernel_gs_base, version >= 4 ? 30 : 0);
	assert_int_equal(r->gdt_base, version >= 5 ? 31 : 0);
	assert_int_equal(event->cs_attributes, 0xa9b);
}

static void decodes_registers_of_all_versions(void **state)
{
	(void)state;
	for (uint32_t version = RING_OLDEST; version <= RING_NEWEST; version++) {
		struct both both = setup(version, 0);

		/* Each slot, the last one ends where the page has room for two more. */
		for (uint32_t i = 0; i < 2 * RING_SLOTS; i++) {
			struct fake_slot slot = request(FAKE_REQUEST, i);
			struct ring_event event;

			fill_registers(version, &slot);
			event = event_of(&both, slot);
			assert_int_equal(event.kind, RING_REQUEST);
			assert_int_equal(event.vcpu, i);
			assert_false(event.nested || event.has_view);
			check_registers(version, &event);
			answer(&both, event, (struct ring_answer){0});
			assert_int_equal(both.xen.vcpus[i].resumed, 1);
		}
		teardown(&both);
	}
}

static void decodes_views_and_nesting(void **state)
{
	(void)state;
	for (uint32_t version = RING_OLDEST; version <= RING_NEWEST; version++) {
		struct both both = setup(version, 0);
		struct fake_slot slot = request(FAKE_REQUEST, 3);
		struct ring_event event;

		both.xen.views = true;
		both.xen.vcpus[3].view = 0x0102;
		slot.header.flags |= FAKE_NESTED;
		event = event_of(&both, slot);
		assert_true(event.has_view);
		assert_int_equal(event.view, 0x0102);
		/* Up to version 6 the bit is not defined. */
		assert_int_equal(event.nested, version == 7);
		teardown(&both);
	}
}

static void decodes_memory_access(void **state)
{
	struct both both = setup(7, 0);
	struct fake_slot slot = request(FAKE_ACCESS, 1);

	(void)state;
	slot.data.access.gfn = 0x123456789;
	slot.data.access.offset = 0xffc;
	slot.data.access.gla = 0xffffffff81000ffc;
	for (unsigned bit = 0; bit < 6; bit++) {
		struct ring_event event;

		slot.data.access.flags = 1U << bit;
		event = event_of(&both, slot);
		assert_int_equal(event.kind, RING_ACCESS);
		assert_int_equal(event.u.access.frame, 0x123456789);
		assert_int_equal(event.u.access.offset, 0xffc);
		assert_int_equal(event.u.access.linear, 0xffffffff81000ffc);
		assert_int_equal(event.u.access.read, bit == 0);
		assert_int_equal(event.u.access.write, bit == 1);
		assert_int_equal(event.u.access.execute, bit == 2);
		assert_int_equal(event.u.access.has_linear, bit == 3);
		assert_int_equal(event.u.access.at_linear, bit == 4);
		assert_int_equal(event.u.access.in_walk, bit == 5);
		answer(&both, event, (struct ring_answer){0});
	}
	teardown(&both);
}

static void decodes_writes_of_registers(void **state)
{
	struct both both = setup(4, 0);
	struct fake_slot slot = request(FAKE_CONTROL_WRITE, 1);
	struct ring_event event;

	(void)state;
	for (uint32_t index = RING_CR0; index <= RING_XCR0; index++) {
		slot.data.control.index = index;
		slot.data.control.value = 0x80050033;
		slot.data.control.old = 0x80050031;
		event = event_of(&both, slot);
		assert_int_equal(event.kind, RING_CONTROL);
		assert_int_equal(event.u.control.index, index);
		assert_int_equal(event.u.control.value, 0x80050033);
		assert_int_equal(event.u.control.old, 0x80050031);
		answer(&both, event, (struct ring_answer){0});
	}
	slot = request(FAKE_MSR, 1);
	slot.data.msr.msr = 0xc0000082;
	slot.data.msr.value = 0xffffffff81800000;
	slot.data.msr.old = 5;
	event = event_of(&both, slot);
	assert_int_equal(event.kind, RING_MSR);
	assert_int_equal(event.u.msr.index, 0xc0000082);
	assert_int_equal(event.u.msr.value, 0xffffffff81800000);
	assert_int_equal(event.u.msr.old, 5);
	teardown(&both);
}

static void decodes_debugging(void **state)
{
	static const uint32_t reasons[] = {FAKE_BREAKPOINT, FAKE_DEBUG};

	(void)state;
	for (uint32_t version = RING_OLDEST; version <= RING_NEWEST; version++) {
		struct both both = setup(version, 0);
		struct ring_event event;
		struct fake_slot slot;

		for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
			slot = request(reasons[i], 2);
			if (version < 6) {
				slot.data.debug3.gfn = 0x77;
				slot.data.debug3.length = 1;
				slot.data.debug3.type = 6;
			} else {
				slot.data.debug6.gfn = 0x77;
				slot.data.debug6.pending = 0x4000;
				slot.data.debug6.length = 1;
				slot.data.debug6.type = 6;
			}
			event = event_of(&both, slot);
			assert_int_equal(event.kind, i ? RING_DEBUG : RING_BREAKPOINT);
			assert_int_equal(event.u.debug.frame, 0x77);
			assert_int_equal(event.u.debug.pending, version < 6 ? 0 : 0x4000);
			assert_int_equal(event.u.debug.length, 1);
			assert_int_equal(event.u.debug.type, 6);
		}
		slot = request(FAKE_SINGLE_STEP, 3);
		slot.data.step.gfn = 0x78;
		event = event_of(&both, slot);
		assert_int_equal(event.kind, RING_SINGLE_STEP);
		assert_int_equal(event.u.step.frame, 0x78);
		teardown(&both);
	}
}

static void decodes_other_kinds(void **state)
{
	struct both both = setup(5, 0);
	struct ring_event event;
	struct fake_slot slot;

	(void)state;
	slot = request(FAKE_CPUID, 0);
	slot.data.cpuid.length = 2;
	slot.data.cpuid.leaf = 0x40000000;
	slot.data.cpuid.subleaf = 7;
	event = event_of(&both, slot);
	assert_int_equal(event.kind, RING_CPUID);
	assert_int_equal(event.u.cpuid.length, 2);
	assert_int_equal(event.u.cpuid.leaf, 0x40000000);
	assert_int_equal(event.u.cpuid.subleaf, 7);
	slot = request(FAKE_INTERRUPT, 1);
	slot.data.interrupt.vector = 14;
	slot.data.interrupt.type = 3;
	slot.data.interrupt.error = 4;
	slot.data.interrupt.cr2 = 0x7fff00001000;
	event = event_of(&both, slot);
	assert_int_equal(event.kind, RING_INTERRUPT);
	assert_int_equal(event.u.interrupt.vector, 14);
	assert_int_equal(event.u.interrupt.type, 3);
	assert_int_equal(event.u.interrupt.error, 4);
	assert_int_equal(event.u.interrupt.cr2, 0x7fff00001000);
	slot = request(FAKE_DESCRIPTOR, 2);
	slot.data.descriptor.info = 0x11;
	slot.data.descriptor.qualification = 0x22;
	slot.data.descriptor.which = RING_TR;
	slot.data.descriptor.write = 1;
	event = event_of(&both, slot);
	assert_int_equal(event.kind, RING_DESCRIPTOR);
	assert_int_equal(event.u.descriptor.which, RING_TR);
	assert_true(event.u.descriptor.write);
	assert_int_equal(event.u.descriptor.instruction_information, 0x11);
	assert_int_equal(event.u.descriptor.exit_qualification, 0x22);
	event = event_of(&both, request(FAKE_UNIMPLEMENTED, 3));
	assert_int_equal(event.kind, RING_UNIMPLEMENTED);
	teardown(&both);
}

static void decodes_kinds_of_version_7(void **state)
{
	struct fake_slot exit = request(FAKE_VMEXIT, 0), io = request(FAKE_IO, 1);

	(void)state;
	exit.data.vmexit.reason = 0x30;
	exit.data.vmexit.qualification = 0x181;
	io.data.io.bytes = 2;
	io.data.io.port = 0x3f8;
	io.data.io.in = 1;
	io.data.io.string = 0;
	for (uint32_t version = RING_OLDEST; version <= RING_NEWEST; version++) {
		struct both both = setup(version, 0);
		struct ring_event event;

		fake_put(&both.xen, &exit);
		fake_put(&both.xen, &io);
		if (version < 7) {
			must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA, "kind 15");
			must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA, "kind 16");
			fake_resume(&both.xen);
			assert_int_equal(both.xen.vcpus[0].pauses + both.xen.vcpus[1].pauses, 0);
		} else {
			event = take(&both);
			assert_int_equal(event.kind, RING_VMEXIT);
			assert_int_equal(event.u.vmexit.reason, 0x30);
			assert_int_equal(event.u.vmexit.qualification, 0x181);
			event = take(&both);
			assert_int_equal(event.kind, RING_IO);
			assert_int_equal(event.u.io.size, 2);
			assert_int_equal(event.u.io.port, 0x3f8);
			assert_true(event.u.io.in);
			assert_false(event.u.io.string);
		}
		teardown(&both);
	}
}

/* ---- What is answered -------------------------------------------------------------------------
 */

/* The response to the last request of vCPU 1, which must have these flags beside that to resume. */
static const struct fake_slot *applied(struct both *both, uint32_t reason, uint32_t flags)
{
	const struct fake_slot *last = &both->xen.vcpus[1].last;

	assert_int_equal(last->header.version, both->xen.version);
	assert_int_equal(last->header.vcpu, 1);
	assert_int_equal(last->header.reason, reason);
	assert_int_equal(last->header.flags, FAKE_PAUSED | flags);
	assert_int_equal(both->xen.vcpus[1].pauses, 0);
	return last;
}

static void copies_the_access_into_the_response(void **state)
{
	(void)state;
	for (uint32_t version = RING_OLDEST; version <= RING_NEWEST; version++) {
		struct both both = setup(version, NEAR_WRAP);
		struct fake_slot slot = request(FAKE_ACCESS, 1);

		slot.data.access.gfn = 0x1000;
		slot.data.access.offset = 8;
		slot.data.access.gla = 0xffff888001000008;
		slot.data.access.flags = 0x1a;
		/* The slot is another one than that of the request. */
		event_of(&both, request(FAKE_REQUEST, 2));
		answer(&both, event_of(&both, slot), (struct ring_answer){0});
		assert_memory_equal(&applied(&both, FAKE_ACCESS, 0)->data, &slot.data,
				    sizeof(slot.data));
		answer(&both, event_of(&both, slot),
		       (struct ring_answer){.emulation = RING_EMULATE});
		assert_memory_equal(&applied(&both, FAKE_ACCESS, FAKE_EMULATE)->data, &slot.data,
				    sizeof(slot.data));
		answer(&both, event_of(&both, slot),
		       (struct ring_answer){.emulation = RING_EMULATE_NO_WRITE});
		applied(&both, FAKE_ACCESS, FAKE_EMULATE | FAKE_NO_WRITE);
		teardown(&both);
	}
}

static void emulates_with_data(void **state)
{
	uint8_t data[341];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	for (uint32_t version = RING_OLDEST; version <= RING_NEWEST; version++) {
		struct both both = setup(version, 0);
		size_t most = fake_slot_size(version) - 60;
		struct ring_answer with = {.emulation = RING_EMULATE_DATA, .data = data};
		static const uint32_t reasons[] = {FAKE_ACCESS, FAKE_DESCRIPTOR};

		for (size_t i = 0; i < 2 * most; i++) {
			struct fake_slot slot = request(reasons[i % 2], 1);
			const struct fake_slot *last;

			slot.data.descriptor.which = RING_GDTR;
			/* From long to short, so that what is behind the data would be old. */
			with.size = most - i / 2;
			answer(&both, event_of(&both, slot), with);
			last = applied(&both, reasons[i % 2], FAKE_EMULATE | FAKE_READ_DATA);
			assert_int_equal(last->u.read.size, with.size);
			assert_memory_equal(last->u.read.bytes, data, with.size);
			for (size_t k = with.size; k % 8 != 4; k++)
				assert_int_equal(last->u.read.bytes[k], 0);
		}
		with.size = most + 1;
		must_refuse(&both, event_of(&both, request(FAKE_ACCESS, 1)), with, "room");
		with.size = 0;
		must_refuse(&both, event_of(&both, request(FAKE_ACCESS, 1)), with, "no bytes");
		teardown(&both);
	}
}

static void emulates_an_instruction(void **state)
{
	static const uint8_t code[17] =
	    "\x55\x48\x89\xe5\x41\x57\x41\x56\x41\x55\x41\x54\x53\x50\x90";

	(void)state;
	for (uint32_t version = RING_OLDEST; version <= RING_NEWEST; version++) {
		struct both both = setup(version, 0);
		struct ring_answer with = {.emulation = RING_EMULATE_INSTRUCTION, .data = code};
		struct ring_event event;

		with.size = 16;
		answer(&both, event_of(&both, request(FAKE_BREAKPOINT, 1)), with);
		assert_memory_equal(
		    applied(&both, FAKE_BREAKPOINT, FAKE_EMULATE | FAKE_INSTRUCTION)->u.instruction,
		    code, 16);
		event = event_of(&both, request(FAKE_BREAKPOINT, 1));
		with.size = 15;
		must_refuse(&both, event, with, "16 bytes");
		with.size = 17;
		must_refuse(&both, event, with, "16 bytes");
		with.size = 16;
		with.registers = &event.registers;
		must_refuse(&both, event, with, "share their place");
		/* Without the bytes Xen would execute INT3 once more. */
		must_refuse(&both, event, (struct ring_answer){.emulation = RING_EMULATE},
			    "does not emulate");
		with.registers = NULL;
		event = event_of(&both, request(FAKE_ACCESS, 2));
		must_refuse(&both, event, with, "does not emulate");
		event = event_of(&both, request(FAKE_CPUID, 3));
		must_refuse(&both, event, (struct ring_answer){.emulation = RING_EMULATE},
			    "does not emulate");
		teardown(&both);
	}
}

static void denies_writes(void **state)
{
	struct ring_answer deny = {.deny = true};
	struct both both = setup(3, 0);
	struct fake_slot slot = request(FAKE_CONTROL_WRITE, 1);

	(void)state;
	for (uint32_t index = RING_CR0; index <= RING_CR4; index++) {
		slot.data.control.index = index;
		answer(&both, event_of(&both, slot), deny);
		assert_int_equal(applied(&both, FAKE_CONTROL_WRITE, FAKE_DENY)->data.control.index,
				 index);
	}
	answer(&both, event_of(&both, request(FAKE_MSR, 1)), deny);
	applied(&both, FAKE_MSR, FAKE_DENY);
	slot.data.control.index = RING_XCR0;
	must_refuse(&both, event_of(&both, slot), deny, "can be denied");
	must_refuse(&both, event_of(&both, request(FAKE_CPUID, 2)), deny, "can be denied");
	teardown(&both);
}

static void sets_registers(void **state)
{
	(void)state;
	for (uint32_t version = RING_OLDEST; version <= RING_NEWEST; version++) {
		struct both both = setup(version, 0);
		struct fake_slot slot = request(FAKE_CPUID, 1);
		struct ring_event event;
		const struct fake_slot *last;

		fill_registers(version, &slot);
		event = event_of(&both, slot);
		event.registers.rip += 2;
		event.registers.r15 = 0x1515;
		event.registers.rsp = 0x1000;
		event.registers.rflags = 0x246;
		answer(&both, event, (struct ring_answer){.registers = &event.registers});
		last = applied(&both, FAKE_CPUID, FAKE_SET_REGISTERS);
		/* All others are as they were in the request. */
		slot.u.v3.r15 = 0x1515;
		slot.u.v3.rsp = 0x1000;
		slot.u.v3.rflags = 0x246;
		*(version == 3 ? &slot.u.v3.rip : &slot.u.v4.rip) = 21;
		assert_memory_equal(&last->u, &slot.u, fake_slot_size(version) - 56);
		event = event_of(&both, slot);
		event.registers.has_general = false;
		must_refuse(&both, event, (struct ring_answer){.registers = &event.registers},
			    "registers are missing");
		teardown(&both);
	}
}

static void switches_views_and_asks_for_interrupts(void **state)
{
	struct both both = setup(6, 0);

	(void)state;
	both.xen.views = true;
	both.xen.vcpus[1].view = 3;
	answer(&both, event_of(&both, request(FAKE_BREAKPOINT, 1)),
	       (struct ring_answer){.switch_view = true, .view = 9, .next_interrupt = true});
	assert_int_equal(
	    applied(&both, FAKE_BREAKPOINT, FAKE_VIEW | FAKE_NEXT_INTERRUPT)->header.view, 9);
	/* To go on does not say in which view, and so leaves it as it is. */
	answer(&both, event_of(&both, request(FAKE_BREAKPOINT, 1)), (struct ring_answer){0});
	applied(&both, FAKE_BREAKPOINT, 0);
	assert_int_equal(both.xen.vcpus[1].view, 9);
	teardown(&both);
}

/* ---- Single-stepping --------------------------------------------------------------------------
 */

static void toggles_single_stepping_only_where_it_differs(void **state)
{
	static const enum ring_step steps[] = {
	    RING_STEP_OFF, RING_STEP_ON,  RING_STEP_ON,   RING_STEP_KEEP, RING_STEP_KEEP,
	    RING_STEP_OFF, RING_STEP_OFF, RING_STEP_KEEP, RING_STEP_ON,   RING_STEP_OFF,
	};
	struct both both = setup(3, 0);
	bool on = false;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		answer(&both, event_of(&both, request(FAKE_SINGLE_STEP, 1)),
		       (struct ring_answer){.step = steps[i]});
		on = steps[i] == RING_STEP_KEEP ? on : steps[i] == RING_STEP_ON;
		assert_int_equal(both.xen.vcpus[1].stepping, on);
		assert_int_equal(ring_stepping(both.ring, 1), on ? RING_STEP_ON : RING_STEP_OFF);
		assert_int_equal(ring_stepping(both.ring, 2), RING_STEP_OFF);
	}
	/* A hypercall switched it on; and the end of everything switches it off. */
	both.xen.vcpus[1].stepping = true;
	ring_set_stepping(both.ring, 1, true);
	event_of(&both, request(FAKE_SINGLE_STEP, 1));
	ring_answer_all(both.ring);
	fake_resume(&both.xen);
	assert_false(both.xen.vcpus[1].stepping);
	assert_int_equal(both.xen.vcpus[1].pauses, 0);
	teardown(&both);
}

static void refused_answers_change_no_state(void **state)
{
	struct both both = setup(3, 0);
	struct ring_event event = event_of(&both, request(FAKE_CPUID, 1));

	(void)state;
	must_refuse(&both, event, (struct ring_answer){.step = RING_STEP_ON, .deny = true},
		    "denied");
	assert_int_equal(ring_stepping(both.ring, 1), RING_STEP_OFF);
	answer(&both, event, (struct ring_answer){.step = RING_STEP_ON});
	assert_true(both.xen.vcpus[1].stepping);
	teardown(&both);
}

static void steps_fast(void **state)
{
	struct both both = setup(6, 0);
	struct ring_answer fast = {
	    .step = RING_STEP_FAST, .switch_view = true, .view = 0, .fast_view = 2};
	struct fake_vcpu *vcpu = &both.xen.vcpus[1];
	struct ring_event event;

	(void)state;
	both.xen.views = true;
	vcpu->view = 2;
	for (int i = 0; i < 3; i++) {
		answer(&both, event_of(&both, request(FAKE_BREAKPOINT, 1)), fast);
		assert_int_equal(applied(&both, FAKE_BREAKPOINT, FAKE_VIEW | FAKE_FAST_STEP)
				     ->data.fast_step.view,
				 2);
		assert_true(vcpu->stepping && vcpu->fast && vcpu->view == 0);
		/* Before the instruction is over, something else happens. */
		event = event_of(&both, request(FAKE_ACCESS, 1));
		assert_int_equal(ring_stepping(both.ring, 1), RING_STEP_FAST);
		must_refuse(&both, event, (struct ring_answer){.step = RING_STEP_ON}, "toggled");
		must_refuse(&both, event, (struct ring_answer){.step = RING_STEP_OFF}, "toggled");
		answer(&both, event, (struct ring_answer){0});
		assert_true(vcpu->stepping && vcpu->fast);
		/* Nor does it switch anything when it is over. */
		assert_false(fake_step(vcpu));
		assert_int_equal(vcpu->view, 2);
	}
	event = event_of(&both, request(FAKE_BREAKPOINT, 1));
	must_refuse(&both, event, (struct ring_answer){.step = RING_STEP_ON}, "toggled");
	/* A hypercall makes it known again. */
	ring_set_stepping(both.ring, 1, false);
	answer(&both, event, (struct ring_answer){.step = RING_STEP_ON});
	assert_true(vcpu->stepping && !vcpu->fast);
	teardown(&both);
}

/* Two events of one vCPU, of which the first is answered by a fast step before the second is taken.
 */
static void steps_fast_between_two_events(void **state)
{
	struct both both = setup(7, 0);
	struct fake_vcpu *vcpu = &both.xen.vcpus[1];
	struct fake_slot first = request(FAKE_BREAKPOINT, 1), second = request(FAKE_CPUID, 1);
	struct ring_event event;

	(void)state;
	both.xen.views = true;
	vcpu->view = 2;
	fake_put(&both.xen, &first);
	fake_put(&both.xen, &second);
	event = take(&both);
	answer(&both, event,
	       (struct ring_answer){
		   .step = RING_STEP_FAST, .switch_view = true, .view = 0, .fast_view = 2});
	/* It comes from the view to which the step leads, but was sent before the step. */
	event = take(&both);
	assert_int_equal(event.view, 2);
	must_refuse(&both, event, (struct ring_answer){.step = RING_STEP_ON}, "toggled");
	answer(&both, event, (struct ring_answer){0});
	assert_true(vcpu->stepping && vcpu->fast);
	assert_int_equal(vcpu->pauses, 0);
	teardown(&both);
}

static void refuses_fast_steps_that_cannot_work(void **state)
{
	struct ring_answer fast = {.step = RING_STEP_FAST, .fast_view = 2};
	struct both old = setup(5, 0), both = setup(7, 0);
	struct fake_slot slot = request(FAKE_CONTROL_WRITE, 1);

	(void)state;
	must_refuse(&old, event_of(&old, request(FAKE_CPUID, 1)), fast, "no fast single-step");
	fast.emulation = RING_EMULATE;
	must_refuse(&both, event_of(&both, request(FAKE_ACCESS, 1)), fast, "cannot be emulated");
	fast.emulation = RING_EXECUTE;
	fast.deny = true;
	must_refuse(&both, event_of(&both, slot), fast, "cannot be denied");
	assert_int_equal(ring_stepping(both.ring, 1), RING_STEP_OFF);
	teardown(&old);
	teardown(&both);
}

/* ---- Exactly once -----------------------------------------------------------------------------
 */

static void takes_each_ticket_once(void **state)
{
	struct both both = setup(7, NEAR_WRAP);
	struct ring_event first = event_of(&both, request(FAKE_CPUID, 1));
	struct ring_event second;

	(void)state;
	assert_int_not_equal(first.ticket, 0);
	must_refuse(&both, (struct ring_event){.ticket = 0}, (struct ring_answer){0}, "before");
	must_refuse(&both, (struct ring_event){.ticket = first.ticket + 1}, (struct ring_answer){0},
		    "before");
	must_refuse(&both, (struct ring_event){.ticket = first.ticket + RING_SLOTS},
		    (struct ring_answer){0}, "before");
	answer(&both, first, (struct ring_answer){0});
	must_refuse(&both, first, (struct ring_answer){0}, "before");
	/* The next event has the same place and another ticket. */
	second = event_of(&both, request(FAKE_CPUID, 1));
	assert_int_not_equal(first.ticket, second.ticket);
	must_refuse(&both, first, (struct ring_answer){0}, "before");
	assert_int_equal(both.xen.vcpus[1].pauses, 1);
	ring_answer_all(both.ring);
	assert_true(ring_must_notify(both.ring));
	must_refuse(&both, second, (struct ring_answer){0}, "before");
	fake_resume(&both.xen);
	assert_int_equal(both.xen.vcpus[1].resumed, 2);
	assert_int_equal(both.xen.responses, 2);
	teardown(&both);
}

static void lists_what_waits(void **state)
{
	struct both both = setup(5, 0);
	struct ring_event events[RING_SLOTS], event;
	unsigned position = 0, count = 0;

	(void)state;
	assert_false(ring_waiting(both.ring, &position, &event));
	for (uint32_t i = 0; i < RING_SLOTS; i++)
		events[i] = event_of(&both, request(FAKE_BREAKPOINT, 10 + i));
	answer(&both, events[3], (struct ring_answer){0});
	position = 0;
	while (ring_waiting(both.ring, &position, &event)) {
		assert_int_not_equal(event.vcpu, 13);
		assert_int_equal(event.ticket, events[event.vcpu - 10].ticket);
		assert_int_equal(event.kind, RING_BREAKPOINT);
		answer(&both, event, (struct ring_answer){0});
		assert_int_equal(both.xen.vcpus[event.vcpu].resumed, 1);
		count++;
	}
	assert_int_equal(count, RING_SLOTS - 1);
	ring_answer_all(both.ring);
	assert_false(ring_must_notify(both.ring));
	teardown(&both);
}

static void frees_slots_of_asynchronous_events(void **state)
{
	struct both both = setup(7, NEAR_WRAP);
	struct fake_slot slot = request(FAKE_MSR, 1);
	struct ring_event waits = event_of(&both, request(FAKE_CPUID, 1));

	(void)state;
	slot.header.flags = 0;
	for (uint64_t i = 0; i < 100; i++) {
		struct ring_event event;

		slot.data.msr.value = i;
		event = event_of(&both, slot);
		assert_int_equal(event.ticket, 0);
		assert_int_equal(event.u.msr.value, i);
		assert_true(ring_must_notify(both.ring));
		fake_resume(&both.xen);
		assert_int_equal(both.xen.produced - both.xen.consumed, 1);
		/* It does not resume the vCPU, which waits for another answer. */
		assert_int_equal(both.xen.vcpus[1].pauses, 1);
	}
	answer(&both, waits, (struct ring_answer){0});
	assert_int_equal(both.xen.vcpus[1].pauses, 0);
	teardown(&both);
}

/* A full ring, answered in each of many orders, with the indices going over their end. */
static void answers_a_full_ring_in_any_order(void **state)
{
	struct both both = setup(6, UINT32_MAX - 20);

	(void)state;
	for (uint32_t round = 0; round < 40; round++) {
		struct ring_event events[RING_SLOTS];

		for (uint32_t i = 0; i < RING_SLOTS; i++) {
			struct fake_slot slot = request(FAKE_ACCESS, i * 8);

			slot.data.access.gfn = round * 100 + i;
			fake_put(&both.xen, &slot);
		}
		assert_true(fake_full(&both.xen));
		for (uint32_t i = 0; i < RING_SLOTS; i++)
			events[i] = take(&both);
		must_be_empty(&both);
		for (uint32_t i = 0; i < RING_SLOTS; i++) {
			/* 5 and 8 have no common divisor: each once. */
			uint32_t k = (round + i * 5) % RING_SLOTS;

			answer(&both, events[k], (struct ring_answer){0});
			assert_int_equal(both.xen.vcpus[k * 8].resumed, round + 1);
			assert_int_equal(both.xen.vcpus[k * 8].last.data.access.gfn,
					 round * 100 + k);
		}
	}
	assert_int_equal(both.xen.unasked + both.xen.wrong_version + both.xen.wrong_vcpu, 0);
	teardown(&both);
}

/* One vCPU is never answered while the others fill all other slots again and again. */
static void one_may_wait_for_ever(void **state)
{
	struct both both = setup(7, NEAR_WRAP);
	struct ring_event waits = event_of(&both, request(FAKE_CPUID, 60));

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		struct ring_event events[RING_SLOTS - 1];

		for (uint32_t k = 0; k < RING_SLOTS - 1; k++)
			events[k] = event_of(&both, request(FAKE_CPUID, k));
		assert_true(fake_full(&both.xen));
		must_be_empty(&both);
		for (uint32_t k = RING_SLOTS - 1; k-- > 0;)
			answer(&both, events[k], (struct ring_answer){0});
	}
	assert_int_equal(both.xen.vcpus[60].pauses, 1);
	answer(&both, waits, (struct ring_answer){0});
	assert_int_equal(both.xen.vcpus[60].pauses, 0);
	teardown(&both);
}

/* ---- Another end than expected ----------------------------------------------------------------
 */

static void refuses_unknown_versions(void **state)
{
	uint64_t page[512];
	struct ring *ring;

	(void)state;
	must_fail(ring_create(page, 2, 1, 0, &ring), NUNCHI_ERROR_UNSUPPORTED, "version 2");
	must_fail(ring_create(page, 8, 1, 0, &ring), NUNCHI_ERROR_UNSUPPORTED, "version 8");
}

/* We were told another version than Xen has, with slots of the same size. */
static void resumes_vcpus_of_another_version(void **state)
{
	struct both both = setup_told(6, 5, 0);
	struct ring_event event;

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		struct fake_slot slot = request(FAKE_ACCESS, i);

		fake_put(&both.xen, &slot);
		must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA,
			  "version 6 in a ring of version 5");
		assert_true(ring_must_notify(both.ring));
		fake_resume(&both.xen);
		assert_int_equal(both.xen.vcpus[i].pauses, 0);
		must_be_empty(&both);
	}
	assert_int_equal(both.xen.wrong_version, 0);
	teardown(&both);
}

/* Somebody else writes into a request of Xen. */
static void resumes_vcpus_of_damaged_requests(void **state)
{
	static const uint32_t versions[] = {0, 3, 5, 7, 8, UINT32_MAX};
	struct both both = setup(6, 0);
	struct ring_event event = event_of(&both, request(FAKE_CPUID, 1));

	(void)state;
	answer(&both, event, (struct ring_answer){0});
	for (uint32_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct fake_slot slot = request(FAKE_CPUID, i);
		struct fake_header *header = fake_place(&both.xen, both.xen.produced);

		fake_put(&both.xen, &slot);
		header->version = versions[i];
		must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA,
			  "in a ring of version 6");
		fake_resume(&both.xen);
		assert_int_equal(both.xen.vcpus[i].pauses, 0);
	}
	assert_int_equal(both.xen.wrong_version, 0);
	teardown(&both);
}

static void survives_vcpus_that_do_not_exist(void **state)
{
	static const uint32_t vcpus[] = {FAKE_VCPUS, FAKE_VCPUS + 1, 0x7fffffff, UINT32_MAX};
	struct both both = setup(7, 0);
	struct ring_event event;

	(void)state;
	for (size_t i = 0; i < 5 * ARRAY_SIZE(vcpus); i++) {
		struct fake_slot slot = request(FAKE_CPUID, 0);
		struct fake_header *header = fake_place(&both.xen, both.xen.produced);

		fake_put(&both.xen, &slot);
		header->vcpu = vcpus[i % ARRAY_SIZE(vcpus)];
		must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA, "with 64 vCPUs");
		fake_resume(&both.xen);
		/* Xen drops the response, but the slot is free again. */
		assert_int_equal(both.xen.produced - both.xen.consumed, 0);
		answer(&both, event_of(&both, request(FAKE_CPUID, 5)), (struct ring_answer){0});
	}
	assert_int_equal(both.xen.wrong_vcpu, 5 * ARRAY_SIZE(vcpus));
	assert_int_equal(both.xen.vcpus[5].pauses, 0);
	teardown(&both);
}

/* The number of vCPUs that we were told is too small. */
static void resumes_vcpus_that_were_not_counted(void **state)
{
	struct both both = setup(7, 0);
	struct fake_slot slot = request(FAKE_CPUID, 33);
	struct ring_event event;

	(void)state;
	ring_destroy(both.ring);
	assert_null(ring_create(both.page, 7, 33, 0, &both.ring));
	fake_put(&both.xen, &slot);
	must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA, "vCPU 33");
	fake_resume(&both.xen);
	assert_int_equal(both.xen.vcpus[33].pauses, 0);
	answer(&both, event_of(&both, request(FAKE_CPUID, 32)), (struct ring_answer){0});
	assert_int_equal(both.xen.vcpus[32].pauses, 0);
	teardown(&both);
}

/* What was answered by itself does nothing but resume, whatever the flags of its request. */
static void does_nothing_by_itself(void **state)
{
	struct both both = setup(7, 0);
	struct fake_slot slot = request(FAKE_MSR, 1);
	struct ring_event waits = event_of(&both, request(FAKE_CPUID, 1)), event;

	(void)state;
	slot.header.flags = ~(uint32_t)FAKE_PAUSED;
	assert_int_equal(event_of(&both, slot).ticket, 0);
	fake_resume(&both.xen);
	assert_int_equal(both.xen.vcpus[1].last.header.reason, FAKE_MSR);
	assert_int_equal(both.xen.vcpus[1].last.header.flags, 0);
	answer(&both, waits, (struct ring_answer){0});
	slot = request(17, 1);
	slot.header.flags = UINT32_MAX;
	fake_put(&both.xen, &slot);
	must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA, "kind 17");
	fake_resume(&both.xen);
	applied(&both, 17, 0);
	assert_int_equal(ring_stepping(both.ring, 1), RING_STEP_OFF);
	teardown(&both);
}

static void refuses_values_that_cannot_be(void **state)
{
	struct fake_slot slots[] = {
	    request(0, 1), /* VM_EVENT_REASON_UNKNOWN */
	    request(2, 1), /* of other rings */
	    request(3, 1),
	    request(11, 1), /* of ARM */
	    request(17, 1),
	    request(UINT32_MAX, 1),
	    request(FAKE_ACCESS, 1),
	    request(FAKE_CONTROL_WRITE, 1),
	    request(FAKE_CONTROL_WRITE, 1),
	    request(FAKE_MSR, 1),
	    request(FAKE_DESCRIPTOR, 1),
	    request(FAKE_DESCRIPTOR, 1),
	    request(FAKE_IO, 1),
	    request(FAKE_IO, 1),
	};
	struct both both = setup(7, 0);
	struct ring_event event;

	(void)state;
	slots[6].data.access.offset = 4096;
	slots[7].data.control.index = 4;
	slots[8].data.control.index = UINT32_MAX;
	slots[9].data.msr.msr = (uint64_t)1 << 32;
	slots[11].data.descriptor.which = 5;
	slots[13].data.io.bytes = 3;
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++) {
		fake_put(&both.xen, &slots[i]);
		must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA, "vCPU 1");
		fake_resume(&both.xen);
		assert_int_equal(both.xen.vcpus[1].pauses, 0);
	}
	teardown(&both);
}

static void notices_indices_that_cannot_be(void **state)
{
	static const uint32_t moves[] = {6,          7,          9,          100,
					 0x7fffffff, 0x80000000, UINT32_MAX, UINT32_MAX - 2};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		struct both both = setup(7, NEAR_WRAP);
		struct ring_event events[3], event;
		uint32_t *index = fake_index(&both.xen, 0);

		for (uint32_t k = 0; k < ARRAY_SIZE(events); k++)
			events[k] = event_of(&both, request(FAKE_CPUID, k));
		/* Three wait, so there is room for five. */
		*index += moves[i];
		for (int again = 0; again < 3; again++)
			must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA, "damaged");
		*index -= moves[i];
		must_fail(ring_take(both.ring, &event), NUNCHI_ERROR_DATA, "damaged");
		answer(&both, events[1], (struct ring_answer){0});
		ring_answer_all(both.ring);
		fake_resume(&both.xen);
		for (uint32_t k = 0; k < ARRAY_SIZE(events); k++)
			assert_int_equal(both.xen.vcpus[k].resumed, 1);
		teardown(&both);
	}
}

static void takes_as_many_as_there_is_room_for(void **state)
{
	struct both both = setup(7, NEAR_WRAP);

	(void)state;
	for (uint32_t k = 0; k < RING_SLOTS; k++) {
		struct fake_slot slot = request(FAKE_CPUID, k);

		fake_put(&both.xen, &slot);
	}
	for (uint32_t k = 0; k < RING_SLOTS; k++)
		take(&both);
	must_be_empty(&both);
	teardown(&both);
}

/* ---- At random --------------------------------------------------------------------------------
 */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

struct trial {
	struct both both;
	uint64_t seed;
	struct ring_event waiting[RING_SLOTS];
	unsigned count;
	uint64_t put, taken, answered, refused, bad;
};

static uint32_t below(struct trial *trial, uint32_t bound)
{
	return (uint32_t)(next_random(&trial->seed) >> 16) % bound;
}

/* A vCPU does something: may step, may have an event, or two within one exit. */
static void run_guest(struct trial *trial)
{
	static const uint8_t reasons[] = {1, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 2, 17};
	struct fake_xen *xen = &trial->both.xen;
	uint32_t number = below(trial, FAKE_VCPUS);
	struct fake_vcpu *vcpu = &xen->vcpus[number];

	if (vcpu->pauses)
		return;
	if (below(trial, 2))
		fake_step(vcpu);
	for (uint32_t left = below(trial, 8) ? 1 : 2; left && !fake_full(xen); left--) {
		struct fake_slot slot = request(reasons[below(trial, sizeof(reasons))], number);

		for (size_t i = 0; i < ARRAY_SIZE(slot.data.words); i++)
			slot.data.words[i] = below(trial, 6);
		if (!below(trial, 4))
			slot.header.flags = 0;
		slot.u.v3.rax = slot.u.v3.rflags = trial->put;
		fake_put(xen, &slot);
		trial->put++;
	}
}

static void take_at_random(struct trial *trial)
{
	struct ring_event event;
	struct nunchi_error *err = ring_take(trial->both.ring, &event);

	if (err == &error_stop)
		return;
	/* In the order in which they were put. */
	if (!err) {
		assert_int_equal(event.registers.rax, trial->taken);
		assert_int_equal(event.registers.rflags, trial->taken);
	}
	trial->taken++;
	if (err) {
		assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_DATA);
		nunchi_error_destroy(err);
		trial->bad++;
	} else if (event.ticket) {
		trial->waiting[trial->count++] = event;
	}
}

static void answer_at_random(struct trial *trial)
{
	static const uint8_t bytes[16] = {0x90};
	struct ring_answer with = {
	    .emulation = below(trial, 3) ? RING_EXECUTE : (enum ring_emulation)below(trial, 5),
	    .data = bytes,
	    .size = 16,
	    .deny = !below(trial, 5),
	    .step = (enum ring_step)below(trial, 4),
	    .fast_view = (uint16_t)below(trial, 3),
	    .switch_view = !below(trial, 3),
	    .view = (uint16_t)below(trial, 3),
	    .next_interrupt = !below(trial, 4),
	};
	struct ring_event event;
	struct nunchi_error *err;
	uint32_t at;

	if (!trial->count)
		return;
	at = below(trial, trial->count);
	event = trial->waiting[at];
	if (!below(trial, 4))
		with.registers = &event.registers;
	err = ring_answer(trial->both.ring, event.ticket, &with);
	if (err) {
		assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
		nunchi_error_destroy(err);
		trial->refused++;
		return;
	}
	trial->answered++;
	trial->waiting[at] = trial->waiting[--trial->count];
	err = ring_answer(trial->both.ring, event.ticket, &with);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
	nunchi_error_destroy(err);
}

/* What the ring knows of single-stepping is what Xen does, once Xen has read all responses. */
static void check_stepping(const struct trial *trial)
{
	for (uint32_t i = 0; i < FAKE_VCPUS; i++) {
		const struct fake_vcpu *vcpu = &trial->both.xen.vcpus[i];
		enum ring_step step = ring_stepping(trial->both.ring, i);

		if (step == RING_STEP_FAST) {
			assert_int_equal(vcpu->stepping, vcpu->fast);
		} else {
			assert_int_equal(vcpu->stepping, step == RING_STEP_ON);
			assert_false(vcpu->fast);
		}
	}
}

/* Xen reads all responses; sometimes a hypercall sets how a vCPU is stepped. */
static void resume_at_random(struct trial *trial)
{
	uint32_t number = below(trial, FAKE_VCPUS);
	struct fake_vcpu *vcpu = &trial->both.xen.vcpus[number];

	fake_resume(&trial->both.xen);
	check_stepping(trial);
	if (below(trial, 2))
		return;
	vcpu->stepping = below(trial, 2);
	vcpu->fast = false;
	ring_set_stepping(trial->both.ring, number, vcpu->stepping);
}

static void try_version(uint32_t version, uint64_t seed)
{
	struct trial trial = {.both = setup(version, NEAR_WRAP), .seed = seed};
	struct fake_xen *xen = &trial.both.xen;

	printf("version %u, seed 0x%llx\n", version, (unsigned long long)seed);
	xen->views = version >= 6;
	for (int i = 0; i < 100000; i++) {
		uint32_t what = below(&trial, 8);

		if (what < 3)
			run_guest(&trial);
		else if (what < 5)
			take_at_random(&trial);
		else if (what < 7)
			answer_at_random(&trial);
		else
			resume_at_random(&trial);
		assert_true(trial.count <= RING_SLOTS);
	}
	while (trial.taken < trial.put)
		take_at_random(&trial);
	must_be_empty(&trial.both);
	ring_answer_all(trial.both.ring);
	fake_resume(xen);
	check_stepping(&trial);
	for (uint32_t i = 0; i < FAKE_VCPUS; i++) {
		assert_int_equal(xen->vcpus[i].pauses, 0);
		assert_true(xen->vcpus[i].resumed > 10);
	}
	/* One response each, each to a vCPU that waited for it if it says so. */
	assert_int_equal(xen->responses, trial.put);
	assert_int_equal(xen->unasked + xen->wrong_version + xen->wrong_vcpu, 0);
	assert_true(trial.put > 10000 && trial.answered > 5000 && trial.refused > 1000 &&
		    trial.bad > 1000);
	teardown(&trial.both);
}

static void answers_each_request_exactly_once(void **state)
{
	(void)state;
	for (uint32_t version = RING_OLDEST; version <= RING_NEWEST; version++)
		try_version(version, 0x9e3779b97f4a7c15 + version);
}

/* Random words all over the page and in its indices: as many responses as requests taken. */
static void survives_a_hostile_page(void **state)
{
	struct trial trial = {.seed = 0x2545f4914f6cdd1d};
	uint64_t damaged = 0, responses = 0;

	(void)state;
	printf("seed 0x%llx\n", (unsigned long long)trial.seed);
	for (int round = 0; round < 3000; round++) {
		uint32_t version = RING_OLDEST + below(&trial, 5), taken = 0,
			 bits = below(&trial, 33);

		trial.both = setup(version, (uint32_t)next_random(&trial.seed));
		for (int i = 0; i < 40; i++) {
			uint64_t *words = trial.both.page;
			struct ring_event event;
			struct nunchi_error *err;

			for (uint32_t k = below(&trial, 40); k; k--)
				words[8 + below(&trial, 504)] =
				    next_random(&trial.seed) & (((uint64_t)1 << bits) - 1);
			if (!below(&trial, 4))
				words[8] = version | (uint64_t)below(&trial, 8) << 32;
			*fake_index(&trial.both.xen, 0) +=
			    below(&trial, 20) ? below(&trial, 3) : 99;
			err = ring_take(trial.both.ring, &event);
			taken += err != &error_stop &&
				 (!err || !strstr(nunchi_error_message(err), "damaged"));
			damaged += error_is(err, NUNCHI_ERROR_DATA);
			nunchi_error_destroy(err);
			if (!below(&trial, 5))
				ring_answer_all(trial.both.ring);
		}
		ring_answer_all(trial.both.ring);
		assert_int_equal(*fake_index(&trial.both.xen, 8) - trial.both.xen.consumed, taken);
		responses += taken;
		teardown(&trial.both);
	}
	assert_true(damaged > 1000 && responses > 1000);
}

/* ---- With both ends at work -------------------------------------------------------------------
 */

#define THREADED 100000

struct threaded {
	struct both both;
	uint32_t stop;
	uint64_t sent;
};

/* Xen: vCPUs run whenever they are not paused, and put requests that are of one piece. */
static void *front_end(void *data)
{
	struct threaded *threaded = data;
	struct fake_xen *xen = &threaded->both.xen;
	struct fake_slot slot;

	while (threaded->sent < THREADED || xen->responses < threaded->sent) {
		uint64_t before = xen->responses;

		fake_resume(xen);
		for (uint32_t i = 0; i < FAKE_VCPUS; i++) {
			uint32_t number = (uint32_t)(threaded->sent * 29 % FAKE_VCPUS);

			if (threaded->sent == THREADED || fake_full(xen) ||
			    xen->vcpus[number].pauses)
				break;
			slot = request(FAKE_ACCESS, number);
			slot.data.access.gfn = slot.data.access.gla = threaded->sent;
			slot.u.v7.rax = slot.u.v7.shadow_gs = threaded->sent;
			fake_put(xen, &slot);
			threaded->sent++;
		}
		if (before == xen->responses)
			sched_yield();
	}
	__atomic_store_n(&threaded->stop, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void works_while_xen_works(void **state)
{
	struct threaded threaded = {.both = setup(7, NEAR_WRAP)};
	struct ring_event held = {0};
	uint64_t next = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, front_end, &threaded), 0);
	while (!__atomic_load_n(&threaded.stop, __ATOMIC_ACQUIRE)) {
		struct ring_answer go = {.emulation = RING_EMULATE};
		struct ring_event event;

		if (ring_take(threaded.both.ring, &event)) {
			if (held.ticket)
				assert_null(ring_answer(threaded.both.ring, held.ticket, &go));
			held.ticket = 0;
			sched_yield();
			continue;
		}
		assert_int_equal(event.u.access.frame, next);
		assert_int_equal(event.u.access.linear, next);
		assert_int_equal(event.registers.rax, next);
		assert_int_equal(event.registers.kernel_gs_base, next);
		next++;
		/* Each is answered one later, so that the order differs. */
		if (held.ticket)
			assert_null(ring_answer(threaded.both.ring, held.ticket, &go));
		held = event;
	}
	pthread_join(thread, NULL);
	assert_int_equal(next, THREADED);
	assert_int_equal(threaded.both.xen.responses, THREADED);
	for (uint32_t i = 0; i < FAKE_VCPUS; i++)
		assert_int_equal(threaded.both.xen.vcpus[i].resumed,
				 threaded.both.xen.vcpus[i].requests);
	assert_int_equal(threaded.both.xen.unasked, 0);
	teardown(&threaded.both);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decodes_registers_of_all_versions),
	    cmocka_unit_test(decodes_views_and_nesting),
	    cmocka_unit_test(decodes_memory_access),
	    cmocka_unit_test(decodes_writes_of_registers),
	    cmocka_unit_test(decodes_debugging),
	    cmocka_unit_test(decodes_other_kinds),
	    cmocka_unit_test(decodes_kinds_of_version_7),
	    cmocka_unit_test(copies_the_access_into_the_response),
	    cmocka_unit_test(emulates_with_data),
	    cmocka_unit_test(emulates_an_instruction),
	    cmocka_unit_test(denies_writes),
	    cmocka_unit_test(sets_registers),
	    cmocka_unit_test(switches_views_and_asks_for_interrupts),
	    cmocka_unit_test(toggles_single_stepping_only_where_it_differs),
	    cmocka_unit_test(refused_answers_change_no_state),
	    cmocka_unit_test(steps_fast),
	    cmocka_unit_test(steps_fast_between_two_events),
	    cmocka_unit_test(refuses_fast_steps_that_cannot_work),
	    cmocka_unit_test(takes_each_ticket_once),
	    cmocka_unit_test(lists_what_waits),
	    cmocka_unit_test(frees_slots_of_asynchronous_events),
	    cmocka_unit_test(answers_a_full_ring_in_any_order),
	    cmocka_unit_test(one_may_wait_for_ever),
	    cmocka_unit_test(refuses_unknown_versions),
	    cmocka_unit_test(resumes_vcpus_of_another_version),
	    cmocka_unit_test(resumes_vcpus_of_damaged_requests),
	    cmocka_unit_test(survives_vcpus_that_do_not_exist),
	    cmocka_unit_test(resumes_vcpus_that_were_not_counted),
	    cmocka_unit_test(does_nothing_by_itself),
	    cmocka_unit_test(refuses_values_that_cannot_be),
	    cmocka_unit_test(notices_indices_that_cannot_be),
	    cmocka_unit_test(takes_as_many_as_there_is_room_for),
	    cmocka_unit_test(answers_each_request_exactly_once),
	    cmocka_unit_test(survives_a_hostile_page),
	    cmocka_unit_test(works_while_xen_works),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
