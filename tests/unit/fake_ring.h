/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Xen's end of the event ring, for tests and the benchmark: puts requests, takes responses and does
 * with them what vm_event_resume() in xen/common/vm_event.c does. The structures are written down
 * here once more, as in public/vm_event.h, so that a mistake in ring_layout.def is seen.
 */
#ifndef NUNCHI_TESTS_FAKE_RING_H
#define NUNCHI_TESTS_FAKE_RING_H

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FAKE_VCPUS 64
#define FAKE_SLOTS 8

struct fake_header {
	uint32_t version, flags, reason, vcpu;
	uint16_t view, pad[3];
};

/* What follows the header, by the reason. */
union fake_data {
	struct {
		uint64_t gfn, offset, gla;
		uint32_t flags, pad;
	} access;
	struct {
		uint32_t index, pad;
		uint64_t value, old;
	} control;
	struct {
		uint64_t msr, value, old;
	} msr;
	struct {
		uint64_t gfn;
	} step;
	struct {
		uint16_t view;
	} fast_step;
	struct {
		uint64_t gfn;
		uint32_t length;
		uint8_t type, pad[3];
	} debug3; /* up to version 5 */
	struct {
		uint64_t gfn, pending;
		uint32_t length;
		uint8_t type, pad[3];
	} debug6;
	struct {
		uint32_t length, leaf, subleaf, pad;
	} cpuid;
	struct {
		uint32_t vector, type, error, pad;
		uint64_t cr2;
	} interrupt;
	struct {
		uint32_t info, pad1;
		uint64_t qualification;
		uint8_t which, write, pad2[6];
	} descriptor;
	struct {
		uint64_t reason, qualification;
	} vmexit;
	struct {
		uint32_t bytes;
		uint16_t port;
		uint8_t in, string;
	} io;
	uint64_t words[4];
};

#define FAKE_GENERAL                                                                               \
	uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;                                           \
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rflags
#define FAKE_CONTROL uint64_t rip, cr0, cr2, cr3, cr4, sysenter[3], efer, star, lstar
#define FAKE_SEGMENTS                                                                              \
	uint32_t bases[4];                                                                         \
	uint64_t fs_base, gs_base;                                                                 \
	uint32_t cs, ss, ds, es, fs, gs;                                                           \
	uint64_t shadow_gs

struct fake_registers3 {
	FAKE_GENERAL;
	uint64_t dr7;
	FAKE_CONTROL;
	uint64_t fs_base, gs_base;
	uint32_t cs_arbytes, pad;
};
struct fake_registers4 {
	FAKE_GENERAL;
	uint64_t dr6, dr7;
	FAKE_CONTROL;
	FAKE_SEGMENTS;
	uint16_t selectors[6];
	uint32_t pad;
};
struct fake_registers5 {
	FAKE_GENERAL;
	uint64_t dr6, dr7;
	FAKE_CONTROL;
	uint64_t gdtr_base;
	FAKE_SEGMENTS;
	uint16_t gdtr_limit, selectors[6], pad;
};
struct fake_registers7 {
	FAKE_GENERAL;
	uint64_t dr6, dr7;
	FAKE_CONTROL;
	uint64_t gdtr_base, npt_base, vmtrace_pos;
	FAKE_SEGMENTS;
	uint16_t gdtr_limit, selectors[6], pad;
};

struct fake_slot {
	struct fake_header header;
	union fake_data data;
	union {
		struct fake_registers3 v3;
		struct fake_registers4 v4;
		struct fake_registers5 v5; /* version 6 as well */
		struct fake_registers7 v7;
		struct {
			uint32_t size;
			uint8_t bytes[340];
		} read;
		uint8_t instruction[16];
	} u;
};
_Static_assert(sizeof(union fake_data) == 32, "fake_data");
_Static_assert(offsetof(struct fake_slot, u) == 56, "fake_slot.u");

/* Reasons and flags, as numbers in vm_event.h. */
enum {
	FAKE_ACCESS = 1,
	FAKE_CONTROL_WRITE = 4,
	FAKE_MSR = 5,
	FAKE_BREAKPOINT = 6,
	FAKE_SINGLE_STEP = 7,
	FAKE_REQUEST = 8,
	FAKE_DEBUG = 9,
	FAKE_CPUID = 10,
	FAKE_INTERRUPT = 12,
	FAKE_DESCRIPTOR = 13,
	FAKE_UNIMPLEMENTED = 14,
	FAKE_VMEXIT = 15,
	FAKE_IO = 16,

	FAKE_PAUSED = 0x1,
	FAKE_EMULATE = 0x4,
	FAKE_NO_WRITE = 0x8,
	FAKE_TOGGLE = 0x10,
	FAKE_READ_DATA = 0x20,
	FAKE_DENY = 0x40,
	FAKE_VIEW = 0x80,
	FAKE_SET_REGISTERS = 0x100,
	FAKE_INSTRUCTION = 0x200,
	FAKE_NEXT_INTERRUPT = 0x400,
	FAKE_FAST_STEP = 0x800,
	FAKE_NESTED = 0x1000
};

struct fake_vcpu {
	unsigned pauses; /* vm_event_pause_count */
	bool stepping, fast;
	uint16_t view, fast_view;
	uint64_t requests, resumed;
	struct fake_slot last; /* the last response that was applied */
};

struct fake_xen {
	uint8_t *page;
	uint32_t version;
	size_t size;       /* of a slot */
	uint32_t produced; /* req_prod_pvt */
	uint32_t consumed; /* rsp_cons */
	uint32_t vcpu_count;
	bool views; /* altp2m is active */
	struct fake_vcpu vcpus[FAKE_VCPUS];
	uint64_t responses, wrong_version, wrong_vcpu;
	uint64_t unasked; /* responses that were to resume a vCPU that did not wait */
};

static inline size_t fake_slot_size(uint32_t version)
{
	return offsetof(struct fake_slot, u) + (version == 3   ? sizeof(struct fake_registers3)
						: version == 4 ? sizeof(struct fake_registers4)
						: version < 7  ? sizeof(struct fake_registers5)
							       : sizeof(struct fake_registers7));
}

static inline struct fake_xen fake_xen(void *page, uint32_t version, uint32_t start)
{
	return (struct fake_xen){
	    .page = page,
	    .version = version,
	    .size = fake_slot_size(version),
	    .produced = start,
	    .consumed = start,
	    .vcpu_count = FAKE_VCPUS,
	};
}

/* By words that are atomic, for a sanitizer that sees both ends. */
static inline void fake_move(void *to, const void *from, size_t size)
{
	for (size_t i = 0; i < size / 8; i++)
		__atomic_store_n((uint64_t *)to + i,
				 __atomic_load_n((const uint64_t *)from + i, __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
}

static inline uint32_t *fake_index(const struct fake_xen *xen, size_t offset)
{
	return (uint32_t *)(void *)(xen->page + offset);
}

static inline void *fake_place(const struct fake_xen *xen, uint32_t index)
{
	return xen->page + 64 + (index % FAKE_SLOTS) * xen->size;
}

static inline bool fake_full(const struct fake_xen *xen)
{
	return xen->produced - xen->consumed == FAKE_SLOTS;
}

/* vm_event_put_request() after vm_event_vcpu_pause(); the ring must have room. */
static inline void fake_put(struct fake_xen *xen, struct fake_slot *request)
{
	struct fake_vcpu *vcpu = &xen->vcpus[request->header.vcpu];

	request->header.version = xen->version;
	vcpu->requests++;
	if (request->header.flags & FAKE_PAUSED)
		vcpu->pauses++;
	if (xen->views) {
		request->header.flags |= FAKE_VIEW;
		request->header.view = vcpu->view;
	}
	fake_move(fake_place(xen, xen->produced), request, xen->size);
	__atomic_store_n(fake_index(xen, 0), ++xen->produced, __ATOMIC_RELEASE);
}

/* vm_event_get_response(). */
static inline bool fake_get(struct fake_xen *xen, struct fake_slot *ret)
{
	if (__atomic_load_n(fake_index(xen, 8), __ATOMIC_ACQUIRE) == xen->consumed)
		return false;
	fake_move(ret, fake_place(xen, xen->consumed), xen->size);
	xen->consumed++;
	__atomic_store_n(fake_index(xen, 12), xen->consumed + 1, __ATOMIC_RELAXED);
	return true;
}

/* What vm_event_resume() does with one response. */
static inline void fake_apply(struct fake_xen *xen, const struct fake_slot *response)
{
	uint32_t flags = response->header.flags;
	struct fake_vcpu *vcpu;

	xen->responses++;
	if (response->header.version != xen->version) {
		xen->wrong_version++;
		return;
	}
	if (response->header.vcpu >= xen->vcpu_count) {
		xen->wrong_vcpu++;
		return;
	}
	vcpu = &xen->vcpus[response->header.vcpu];
	if (!vcpu->pauses) {
		xen->unasked += flags & FAKE_PAUSED;
		return;
	}
	if (flags & FAKE_TOGGLE) {
		vcpu->stepping = !vcpu->stepping;
	} else if (flags & FAKE_FAST_STEP && xen->version >= 6) {
		vcpu->stepping = vcpu->fast = true;
		vcpu->fast_view = response->data.fast_step.view;
	}
	if (flags & FAKE_VIEW)
		vcpu->view = response->header.view;
	memcpy(&vcpu->last, response, xen->size);
	if (flags & FAKE_PAUSED) {
		vcpu->pauses--;
		vcpu->resumed++;
	}
}

/* What the event channel makes Xen do. */
static inline void fake_resume(struct fake_xen *xen)
{
	struct fake_slot response = {0};

	while (fake_get(xen, &response))
		fake_apply(xen, &response);
}

/* An instruction of a vCPU was executed: whether there is an event of a single step. */
static inline bool fake_step(struct fake_vcpu *vcpu)
{
	if (!vcpu->stepping)
		return false;
	if (!vcpu->fast)
		return true;
	vcpu->view = vcpu->fast_view;
	vcpu->stepping = vcpu->fast = false;
	return false;
}

#endif
