/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * src/target/xen/ring_layout.def and ring_layout.h against Xen's own headers: compiled by
 * tests/xen/headers.py, never run.
 */
#include "target/xen/ring_layout.h"

#define __XEN_TOOLS__ 1
#include <sys/types.h>

#include <xen/vm_event.h>

#define VERSION VM_EVENT_INTERFACE_VERSION

#define SAME(a, b) _Static_assert((a) == (b), #a " is not " #b)
/* The one of five values that is for the version of these headers. */
#define OF_VERSION(a, b, c, d, e)                                                                  \
	(VERSION == 3 ? a : VERSION == 4 ? b : VERSION == 5 ? c : VERSION == 6 ? d : e)
#define OF_VERSIONS(...)         OF_VERSION(__VA_ARGS__)
#define SIZE_IS(size, field)     SAME(sizeof(((struct vm_event_st *)0)->field), size)
#define OFFSET_IS(offset, field) SAME(offsetof(struct vm_event_st, field), offset)

#define SINCE_3(check) check
#if VM_EVENT_INTERFACE_VERSION == 3
#define SINCE_ONLY_3(check) check
#else
#define SINCE_ONLY_3(check)
#endif
#if VM_EVENT_INTERFACE_VERSION >= 4
#define SINCE_4(check) check
#else
#define SINCE_4(check)
#endif
#if VM_EVENT_INTERFACE_VERSION >= 5
#define SINCE_5(check) check
#else
#define SINCE_5(check)
#endif
#if VM_EVENT_INTERFACE_VERSION >= 6
#define SINCE_6(check) check
#else
#define SINCE_6(check)
#endif
/* Added by Xen 4.17 and 4.18 within version 7. */
#ifdef VM_EVENT_REASON_VMEXIT
#define SINCE_VMEXIT(check) check
SAME(RING_REASON_VMEXIT, VM_EVENT_REASON_VMEXIT);
_Static_assert(VERSION >= RING_VMEXIT_SINCE, "VMEXIT");
#else
#define SINCE_VMEXIT(check)
#endif
#ifdef VM_EVENT_REASON_IO_INSTRUCTION
#define SINCE_IO(check) check
SAME(RING_REASON_IO, VM_EVENT_REASON_IO_INSTRUCTION);
#else
#define SINCE_IO(check)
#endif

#define FIXED(since, name, field, size, offset)                                                    \
	SINCE_##since(SIZE_IS(size, field); OFFSET_IS(offset, field);)
#define MOVED(since, name, field, size, ...)                                                       \
	SINCE_##since(SIZE_IS(size, field); OFFSET_IS(OF_VERSION(__VA_ARGS__), field);)
#include "target/xen/ring_layout.def"

/* A breakpoint has the same data as a debug exception. */
SAME(offsetof(struct vm_event_st, u.software_breakpoint), RING_AT_DEBUG_FRAME);
SAME(sizeof(((struct vm_event_st *)0)->u.software_breakpoint),
     sizeof(((struct vm_event_st *)0)->u.debug_exception));

_Static_assert(VERSION >= RING_OLDEST && VERSION <= RING_NEWEST, "vm_event");
SAME(sizeof(struct vm_event_st), OF_VERSIONS(RING_SLOT_SIZES));
SAME(sizeof(union vm_event_sring_entry), OF_VERSIONS(RING_SLOT_SIZES));
_Static_assert(sizeof(struct vm_event_st) <= RING_SLOT_MOST, "slot");
SAME(offsetof(struct vm_event_st, data), RING_DATA);
SAME(RING_AT_READ_DATA + sizeof(((struct vm_event_st *)0)->data.emul.read.data),
     sizeof(struct vm_event_st));
SAME(RING_INSTRUCTION_SIZE, sizeof(((struct vm_event_st *)0)->data.emul.insn.data));
SAME(offsetof(struct vm_event_sring, req_prod), RING_REQUESTS);
SAME(offsetof(struct vm_event_sring, req_event), RING_REQUEST_EVENT);
SAME(offsetof(struct vm_event_sring, rsp_prod), RING_RESPONSES);
SAME(offsetof(struct vm_event_sring, rsp_event), RING_RESPONSE_EVENT);
SAME(offsetof(struct vm_event_sring, ring), RING_FIRST_SLOT);
SAME(__CONST_RING_SIZE(vm_event, 4096), RING_SLOTS);

SAME(RING_FLAG_PAUSED, VM_EVENT_FLAG_VCPU_PAUSED);
SAME(RING_FLAG_EMULATE, VM_EVENT_FLAG_EMULATE);
SAME(RING_FLAG_NO_WRITE, VM_EVENT_FLAG_EMULATE_NOWRITE);
SAME(RING_FLAG_TOGGLE_STEP, VM_EVENT_FLAG_TOGGLE_SINGLESTEP);
SAME(RING_FLAG_READ_DATA, VM_EVENT_FLAG_SET_EMUL_READ_DATA);
SAME(RING_FLAG_DENY, VM_EVENT_FLAG_DENY);
SAME(RING_FLAG_VIEW, VM_EVENT_FLAG_ALTERNATE_P2M);
SAME(RING_FLAG_REGISTERS, VM_EVENT_FLAG_SET_REGISTERS);
SAME(RING_FLAG_INSTRUCTION, VM_EVENT_FLAG_SET_EMUL_INSN_DATA);
SAME(RING_FLAG_NEXT_INTERRUPT, VM_EVENT_FLAG_GET_NEXT_INTERRUPT);
#ifdef VM_EVENT_FLAG_FAST_SINGLESTEP
SAME(RING_FLAG_FAST_STEP, VM_EVENT_FLAG_FAST_SINGLESTEP);
_Static_assert(VERSION >= RING_FAST_STEP_SINCE, "fast single-step");
#else
_Static_assert(VERSION < RING_FAST_STEP_SINCE, "fast single-step");
#endif
#ifdef VM_EVENT_FLAG_NESTED_P2M
SAME(RING_FLAG_NESTED, VM_EVENT_FLAG_NESTED_P2M);
_Static_assert(VERSION >= RING_NESTED_SINCE, "nested");
#else
_Static_assert(VERSION < RING_NESTED_SINCE, "nested");
#endif

SAME(RING_REASON_ACCESS, VM_EVENT_REASON_MEM_ACCESS);
SAME(RING_REASON_CONTROL, VM_EVENT_REASON_WRITE_CTRLREG);
SAME(RING_REASON_MSR, VM_EVENT_REASON_MOV_TO_MSR);
SAME(RING_REASON_BREAKPOINT, VM_EVENT_REASON_SOFTWARE_BREAKPOINT);
SAME(RING_REASON_SINGLE_STEP, VM_EVENT_REASON_SINGLESTEP);
SAME(RING_REASON_REQUEST, VM_EVENT_REASON_GUEST_REQUEST);
SAME(RING_REASON_DEBUG, VM_EVENT_REASON_DEBUG_EXCEPTION);
SAME(RING_REASON_CPUID, VM_EVENT_REASON_CPUID);
SAME(RING_REASON_INTERRUPT, VM_EVENT_REASON_INTERRUPT);
SAME(RING_REASON_DESCRIPTOR, VM_EVENT_REASON_DESCRIPTOR_ACCESS);
SAME(RING_REASON_UNIMPLEMENTED, VM_EVENT_REASON_EMUL_UNIMPLEMENTED);

SAME(RING_CR0, VM_EVENT_X86_CR0);
SAME(RING_CR3, VM_EVENT_X86_CR3);
SAME(RING_CR4, VM_EVENT_X86_CR4);
SAME(RING_XCR0, VM_EVENT_X86_XCR0);
SAME(RING_IDTR, VM_EVENT_DESC_IDTR);
SAME(RING_GDTR, VM_EVENT_DESC_GDTR);
SAME(RING_LDTR, VM_EVENT_DESC_LDTR);
SAME(RING_TR, VM_EVENT_DESC_TR);
SAME(RING_ACCESS_READ, MEM_ACCESS_R);
SAME(RING_ACCESS_WRITE, MEM_ACCESS_W);
SAME(RING_ACCESS_EXECUTE, MEM_ACCESS_X);
SAME(RING_ACCESS_HAS_LINEAR, MEM_ACCESS_GLA_VALID);
SAME(RING_ACCESS_AT_LINEAR, MEM_ACCESS_FAULT_WITH_GLA);
SAME(RING_ACCESS_IN_WALK, MEM_ACCESS_FAULT_IN_GPT);
