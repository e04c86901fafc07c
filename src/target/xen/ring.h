/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event ring of Xen: a page over which Xen tells us what a guest does, and gets our answers. A
 * pure module over a page that the caller has mapped: no hypercall, no event channel. Layouts of
 * Xen 4.11 to 4.22 are in ring_layout.def. One thread at a time may use a ring.
 *
 * The page is not trusted, and may change at any time: an index is read once and checked against
 * the ring's size; a request is copied once, and only the copy is looked at.
 *
 * A vCPU that waits for an answer stands still until it gets one, for Xen never resumes it by
 * itself. So each synchronous event has a ticket, and ring_answer() takes each ticket exactly once.
 * Asynchronous events are answered, which frees their slot, before ring_take() returns, and so are
 * requests that make no sense, with what is most likely to resume their vCPU.
 *
 * Sources: Xen's public/vm_event.h and public/io/ring.h; xen/common/vm_event.c (vm_event_resume()),
 * xen/arch/x86/vm_event.c, xen/arch/x86/hvm/monitor.c, xen/arch/x86/hvm/vm_event.c.
 */
#ifndef NUNCHI_TARGET_XEN_RING_H
#define NUNCHI_TARGET_XEN_RING_H

#include "arch/x86/registers.h"
#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
	RING_OLDEST = 3, /* VM_EVENT_INTERFACE_VERSION of Xen 4.11 */
	RING_NEWEST = 7, /* since Xen 4.15 */
	RING_SLOTS = 8
};

enum ring_kind {
	RING_ACCESS,      /* what the permissions of a page do not allow */
	RING_CONTROL,     /* a write of a control register */
	RING_MSR,         /* a write of an MSR */
	RING_BREAKPOINT,  /* INT3 */
	RING_SINGLE_STEP, /* an instruction was executed while single-stepping was on */
	RING_REQUEST,     /* the guest asked for an event by a hypercall */
	RING_DEBUG,       /* a debug exception */
	RING_CPUID,
	RING_INTERRUPT,     /* the first one after an answer with next_interrupt */
	RING_DESCRIPTOR,    /* an access to GDTR, IDTR, LDTR or TR */
	RING_UNIMPLEMENTED, /* Xen cannot emulate the instruction */
	RING_VMEXIT,        /* since Xen 4.17 */
	RING_IO             /* since Xen 4.18 */
};

/* Numbers as in Xen: VM_EVENT_X86_*, VM_EVENT_DESC_*. */
enum ring_control { RING_CR0, RING_CR3, RING_CR4, RING_XCR0 };
enum ring_descriptor { RING_IDTR = 1, RING_GDTR, RING_LDTR, RING_TR };

struct ring_event {
	/* For ring_answer(), if the vCPU waits; 0 for an asynchronous event. Never given twice. */
	uint64_t ticket;
	enum ring_kind kind;
	uint32_t vcpu;
	/* Of a guest that runs inside the guest; the registers are the inner one's. Since 4.15. */
	bool nested;
	/* The altp2m view in which it happened, if the guest has views. */
	bool has_view;
	uint16_t view;
	/* Without idt_base, selectors and debug registers; kernel_gs_base since 4.12, gdt_base
	 * since 4.13. */
	struct x86_registers registers;
	uint16_t cs_attributes; /* type in bits 0-3, DPL in 5-6, L in 9, D in 10 */
	uint64_t dr6, dr7;      /* dr6 since 4.12, 0 before */
	union {
		struct {
			uint64_t frame, offset;
			uint64_t linear; /* the virtual address, if has_linear */
			bool read, write, execute;
			bool has_linear;
			bool at_linear; /* the access to `linear` itself */
			bool in_walk;   /* an access of the walk that translates `linear` */
		} access;
		struct {
			enum ring_control index;
			uint64_t value, old;
		} control;
		struct {
			uint64_t index, value, old;
		} msr;
		/* of RING_BREAKPOINT and RING_DEBUG; what re-injecting needs */
		struct {
			uint64_t frame;
			uint64_t pending; /* as VMX has it; since Xen 4.14, 0 before */
			uint32_t length;  /* of the instruction, in bytes */
			uint8_t type;     /* HVMOP_TRAP_* */
		} debug;
		struct {
			uint64_t frame;
		} step;
		struct {
			uint32_t length, leaf, subleaf;
		} cpuid;
		struct {
			uint32_t vector, type, error;
			uint64_t cr2;
		} interrupt;
		struct {
			enum ring_descriptor which;
			bool write;
			/* on Intel: fields of the VMCS with these names */
			uint32_t instruction_information;
			uint64_t exit_qualification;
		} descriptor;
		struct {
			uint64_t reason, qualification;
		} vmexit;
		struct {
			uint32_t size; /* in bytes */
			uint16_t port;
			bool in, string;
		} io;
	} u;
};

enum ring_emulation {
	RING_EXECUTE, /* no emulation: the processor executes the instruction */
	/* For RING_ACCESS and RING_DESCRIPTOR. An access is emulated only if it is still forbidden
	 * when Xen reads the answer. Of several events of one vCPU the last answer decides. */
	RING_EMULATE,
	RING_EMULATE_NO_WRITE, /* what the instruction writes is dropped */
	RING_EMULATE_DATA,     /* what it reads from memory is `data` */
	/* For RING_BREAKPOINT: `data` are RING_INSTRUCTION_SIZE bytes that Xen emulates in place of
	 * those in memory. */
	RING_EMULATE_INSTRUCTION
};
#define RING_INSTRUCTION_SIZE 16

enum ring_step {
	RING_STEP_KEEP,
	RING_STEP_OFF,
	RING_STEP_ON,
	/* One instruction without an event, then the view fast_view. Since Xen 4.14. */
	RING_STEP_FAST
};

/* All zeros: go on as if nothing had happened. */
struct ring_answer {
	enum ring_emulation emulation;
	const void *data;
	size_t size;
	/* The write does not happen: RING_MSR, and RING_CONTROL but XCR0. */
	bool deny;
	enum ring_step step;
	uint16_t fast_view;
	bool switch_view;
	uint16_t view;
	/* Replaces rax to r15, rsp, rip and rflags, which are all Xen takes; NULL: none. */
	const struct x86_registers *registers;
	bool next_interrupt; /* the next interrupt of the vCPU is an event */
};

struct ring;

/*
 * Makes both ends of the ring empty, as Xen's is after VM_EVENT_ENABLE; the guest must be paused
 * since before that. page is a mapped page of 4 KiB, version Xen's VM_EVENT_INTERFACE_VERSION,
 * start the index of the first request, 0 after VM_EVENT_ENABLE. No vCPU may be single-stepped:
 * an earlier agent may have left it so, which XEN_DOMCTL_DEBUG_OP_SINGLE_STEP_OFF ends.
 */
struct nunchi_error *ring_create(void *page, uint32_t version, uint32_t vcpus, uint32_t start,
				 struct ring **ret);
/* NULL is accepted. Does not answer what waits: ring_answer_all(). */
void ring_destroy(struct ring *ring);

/*
 * Takes the next event; &error_stop if there is none. Any other error has one of two reasons. A
 * request makes no sense (another version, vCPU or kind than can be): it was answered, and the next
 * call takes the next one. Or Xen's index is impossible: then this and each later call fails, while
 * what waits can still be answered.
 */
struct nunchi_error *ring_take(struct ring *ring, struct ring_event *ret);

/*
 * Answers an event. Fails if the ticket was answered before; or if Xen would ignore a part of the
 * answer, and then the event still waits.
 */
struct nunchi_error *ring_answer(struct ring *ring, uint64_t ticket,
				 const struct ring_answer *answer);

/*
 * Whether there are answers that Xen was not told of since the last call; if so, the caller sends
 * the ring's event channel. Xen reads answers only then.
 */
bool ring_must_notify(struct ring *ring);

/*
 * The next of the events that wait; false after the last one. *position is 0 at first. Events may
 * be answered in between.
 */
bool ring_waiting(const struct ring *ring, unsigned *position, struct ring_event *ret);

/* Lets all vCPUs that wait go on, and switches their single-stepping off, but for fast steps. */
void ring_answer_all(struct ring *ring);

/*
 * How a vCPU is single-stepped: RING_STEP_OFF, RING_STEP_ON, or RING_STEP_FAST since a fast step.
 * Xen ends that without an event, and an answer can only toggle. So after a fast step an answer may
 * leave single-stepping as it is or ask for another fast step, until ring_set_stepping().
 */
enum ring_step ring_stepping(const struct ring *ring, uint32_t vcpu);
/*
 * Notes that a hypercall (XEN_DOMCTL_debug_op) switched single-stepping of a vCPU on or off, after
 * Xen was told of all answers.
 */
void ring_set_stepping(struct ring *ring, uint32_t vcpu, bool on);

/*
 * For a domain whose agent was killed. In the page of a ring in which no request is: writes an
 * answer for each of the vCPUs, at most RING_SLOTS, that resumes it if it waits for one and does
 * nothing else. start is the index of the first answer, 0 after VM_EVENT_ENABLE.
 */
void ring_resume_all(void *page, uint32_t version, uint32_t vcpus, uint32_t start);

DEFINE_CLEANUP(struct ring, ring_destroy)
#define _cleanup_ring_ _cleanup_(cleanup_ring_destroy_p)

#endif
