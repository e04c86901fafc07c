/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/bytes.h"
#include "target/xen/ring_layout.h"

/* Offsets by version, of the fields that moved. */
static const struct {
#define FIXED(...)
#define MOVED(since, name, ...) uint16_t name[RING_VERSIONS];
#include "target/xen/ring_layout.def"
#undef MOVED
} moved = {
#define MOVED(since, name, field, size, ...) .name = {__VA_ARGS__},
#include "target/xen/ring_layout.def"
#undef MOVED
#undef FIXED
};

static inline uint64_t load(const uint8_t *at, unsigned size)
{
	switch (size) {
	case 1:
		return *at;
	case 2:
		return load_le16(at);
	case 4:
		return load_le32(at);
	default:
		return load_le64(at);
	}
}

/* A field that never moved, and one that did: 0 where the version lacks it. */
#define GET(request, name) load((request) + RING_AT_##name, RING_SIZE_##name)
#define GET_MOVED(version, request, name)                                                          \
	(HAS(version, name)                                                                        \
	     ? load((request) + moved.name[(version)-RING_OLDEST], RING_SIZE_##name)               \
	     : 0)
#define HAS(version, name) (moved.name[(version)-RING_OLDEST] != 0)

/* The registers that a response can replace, but for rip, which moved. */
#define GENERAL(X)                                                                                 \
	X(rax, RAX)                                                                                \
	X(rcx, RCX)                                                                                \
	X(rdx, RDX)                                                                                \
	X(rbx, RBX)                                                                                \
	X(rsp, RSP)                                                                                \
	X(rbp, RBP)                                                                                \
	X(rsi, RSI)                                                                                \
	X(rdi, RDI)                                                                                \
	X(r8, R8)                                                                                  \
	X(r9, R9)                                                                                  \
	X(r10, R10)                                                                                \
	X(r11, R11)                                                                                \
	X(r12, R12)                                                                                \
	X(r13, R13)                                                                                \
	X(r14, R14)                                                                                \
	X(r15, R15)                                                                                \
	X(rflags, RFLAGS)

static void decode_registers(uint32_t version, const uint8_t *request, struct ring_event *event)
{
	struct x86_registers *to = &event->registers;

	to->has_general = to->has_rip = to->has_segments = true;
	to->has_cr2 = to->has_efer = to->has_syscall = to->has_star = true;
	to->has_kernel_gs = HAS(version, kernel_gs_base);
	to->has_gdt = HAS(version, gdt_base);
#define X(name, field) to->name = GET(request, field);
	GENERAL(X)
#undef X
	to->rip = GET_MOVED(version, request, rip);
	to->cr0 = GET_MOVED(version, request, cr0);
	to->cr2 = GET_MOVED(version, request, cr2);
	to->cr3 = GET_MOVED(version, request, cr3);
	to->cr4 = GET_MOVED(version, request, cr4);
	to->efer = GET_MOVED(version, request, efer);
	to->star = GET_MOVED(version, request, star);
	to->lstar = GET_MOVED(version, request, lstar);
	to->fs_base = GET_MOVED(version, request, fs_base);
	to->gs_base = GET_MOVED(version, request, gs_base);
	to->kernel_gs_base = GET_MOVED(version, request, kernel_gs_base);
	to->gdt_base = GET_MOVED(version, request, gdt_base);
	event->dr6 = GET_MOVED(version, request, dr6);
	event->dr7 = GET_MOVED(version, request, dr7);
	/* Since version 4 above the 20 bits of the segment's limit. */
	event->cs_attributes =
	    (uint16_t)(HAS(version, cs) ? GET_MOVED(version, request, cs) >> 20
					: GET_MOVED(version, request, cs_attributes));
}

static void decode_access(const uint8_t *request, struct ring_event *event)
{
	uint64_t flags = GET(request, ACCESS_FLAGS);

	event->u.access.frame = GET(request, ACCESS_FRAME);
	event->u.access.offset = GET(request, ACCESS_OFFSET);
	event->u.access.linear = GET(request, ACCESS_LINEAR);
	event->u.access.read = flags & RING_ACCESS_READ;
	event->u.access.write = flags & RING_ACCESS_WRITE;
	event->u.access.execute = flags & RING_ACCESS_EXECUTE;
	event->u.access.has_linear = flags & RING_ACCESS_HAS_LINEAR;
	event->u.access.at_linear = flags & RING_ACCESS_AT_LINEAR;
	event->u.access.in_walk = flags & RING_ACCESS_IN_WALK;
}

static void decode_debug(uint32_t version, const uint8_t *request, struct ring_event *event)
{
	event->u.debug.frame = GET(request, DEBUG_FRAME);
	event->u.debug.pending = GET_MOVED(version, request, debug_pending);
	event->u.debug.length = (uint32_t)GET_MOVED(version, request, debug_length);
	event->u.debug.type = (uint8_t)GET_MOVED(version, request, debug_type);
}

/* What the frequent kinds say beside registers. False if it cannot be. */
static bool decode_kind(uint32_t version, const uint8_t *request, struct ring_event *event)
{
	switch (event->kind) {
	case RING_ACCESS:
		decode_access(request, event);
		return event->u.access.offset < 4096;
	case RING_CONTROL:
		event->u.control.index = (enum ring_control)GET(request, CONTROL_INDEX);
		event->u.control.value = GET(request, CONTROL_VALUE);
		event->u.control.old = GET(request, CONTROL_OLD);
		return GET(request, CONTROL_INDEX) <= RING_XCR0;
	case RING_MSR:
		event->u.msr.index = GET(request, MSR_INDEX);
		event->u.msr.value = GET(request, MSR_VALUE);
		event->u.msr.old = GET(request, MSR_OLD);
		return event->u.msr.index <= UINT32_MAX;
	case RING_BREAKPOINT:
	case RING_DEBUG:
		decode_debug(version, request, event);
		return true;
	case RING_SINGLE_STEP:
		event->u.step.frame = GET(request, STEP_FRAME);
		return true;
	case RING_CPUID:
		event->u.cpuid.length = (uint32_t)GET(request, CPUID_LENGTH);
		event->u.cpuid.leaf = (uint32_t)GET(request, CPUID_LEAF);
		event->u.cpuid.subleaf = (uint32_t)GET(request, CPUID_SUBLEAF);
		return true;
	default:
		return true;
	}
}

static bool decode_rare_kind(const uint8_t *request, struct ring_event *event)
{
	switch (event->kind) {
	case RING_INTERRUPT:
		event->u.interrupt.vector = (uint32_t)GET(request, INTERRUPT_VECTOR);
		event->u.interrupt.type = (uint32_t)GET(request, INTERRUPT_TYPE);
		event->u.interrupt.error = (uint32_t)GET(request, INTERRUPT_ERROR);
		event->u.interrupt.cr2 = GET(request, INTERRUPT_CR2);
		return true;
	case RING_DESCRIPTOR:
		event->u.descriptor.which = (enum ring_descriptor)GET(request, DESCRIPTOR_WHICH);
		event->u.descriptor.write = GET(request, DESCRIPTOR_WRITE);
		event->u.descriptor.instruction_information =
		    (uint32_t)GET(request, DESCRIPTOR_INFORMATION);
		event->u.descriptor.exit_qualification = GET(request, DESCRIPTOR_QUALIFICATION);
		return GET(request, DESCRIPTOR_WHICH) >= RING_IDTR &&
		       GET(request, DESCRIPTOR_WHICH) <= RING_TR;
	case RING_VMEXIT:
		event->u.vmexit.reason = GET(request, VMEXIT_REASON);
		event->u.vmexit.qualification = GET(request, VMEXIT_QUALIFICATION);
		return true;
	case RING_IO:
		event->u.io.size = (uint32_t)GET(request, IO_SIZE);
		event->u.io.port = (uint16_t)GET(request, IO_PORT);
		event->u.io.in = GET(request, IO_IN);
		event->u.io.string = GET(request, IO_STRING);
		return event->u.io.size == 1 || event->u.io.size == 2 || event->u.io.size == 4;
	default:
		return true;
	}
}

/* False for a reason that this version lacks, or has only on ARM or on other rings. */
static bool kind_of(uint32_t version, uint64_t reason, enum ring_kind *ret)
{
	static const uint8_t kinds[] = {
	    [RING_REASON_ACCESS] = 1 + RING_ACCESS,
	    [RING_REASON_CONTROL] = 1 + RING_CONTROL,
	    [RING_REASON_MSR] = 1 + RING_MSR,
	    [RING_REASON_BREAKPOINT] = 1 + RING_BREAKPOINT,
	    [RING_REASON_SINGLE_STEP] = 1 + RING_SINGLE_STEP,
	    [RING_REASON_REQUEST] = 1 + RING_REQUEST,
	    [RING_REASON_DEBUG] = 1 + RING_DEBUG,
	    [RING_REASON_CPUID] = 1 + RING_CPUID,
	    [RING_REASON_INTERRUPT] = 1 + RING_INTERRUPT,
	    [RING_REASON_DESCRIPTOR] = 1 + RING_DESCRIPTOR,
	    [RING_REASON_UNIMPLEMENTED] = 1 + RING_UNIMPLEMENTED,
	    [RING_REASON_VMEXIT] = 1 + RING_VMEXIT,
	    [RING_REASON_IO] = 1 + RING_IO,
	};

	if (reason >= ARRAY_SIZE(kinds) || !kinds[reason])
		return false;
	if (reason > RING_REASON_UNIMPLEMENTED && version < RING_VMEXIT_SINCE)
		return false;
	*ret = (enum ring_kind)(kinds[reason] - 1);
	return true;
}

struct nunchi_error *ring_decode(uint32_t version, const uint8_t *request, struct ring_event *ret)
{
	uint64_t flags = GET(request, FLAGS), reason = GET(request, REASON);
	struct ring_event event = {.vcpu = (uint32_t)GET(request, VCPU)};

	if (!kind_of(version, reason, &event.kind))
		return error_create(
		    NUNCHI_ERROR_DATA,
		    "an event of vCPU %u has kind %u, unknown in interface version %u", event.vcpu,
		    (unsigned)reason, version);
	if (!decode_kind(version, request, &event) || !decode_rare_kind(request, &event))
		return error_create(NUNCHI_ERROR_DATA,
				    "an event of vCPU %u, kind %u, has values that cannot be",
				    event.vcpu, (unsigned)reason);
	event.nested = version >= RING_NESTED_SINCE && flags & RING_FLAG_NESTED;
	event.has_view = flags & RING_FLAG_VIEW;
	if (event.has_view)
		event.view = (uint16_t)GET(request, VIEW);
	decode_registers(version, request, &event);
	*ret = event;
	return NULL;
}

/* ---- Responses --------------------------------------------------------------------------------
 */

void ring_encode_neutral(const uint8_t *request, uint32_t version, struct ring_response *ret)
{
	/* Xen compares and denies by what the response says of the event: copy it over. */
	memcpy(ret->bytes, request, RING_DATA);
	store_le32(ret->bytes + RING_AT_VERSION, version);
	store_le32(ret->bytes + RING_AT_FLAGS, GET(request, FLAGS) & RING_FLAG_PAUSED);
	ret->size = RING_DATA;
}

static const char *refuse_emulation(uint32_t version, const struct ring_event *event,
				    const struct ring_answer *answer)
{
	bool for_breakpoint = answer->emulation == RING_EMULATE_INSTRUCTION;
	size_t most = ring_slot_sizes[version - RING_OLDEST] - (size_t)RING_AT_READ_DATA;

	if (for_breakpoint ? event->kind != RING_BREAKPOINT
			   : event->kind != RING_ACCESS && event->kind != RING_DESCRIPTOR)
		return "Xen does not emulate so for an event of this kind";
	if (for_breakpoint && (answer->size != RING_INSTRUCTION_SIZE || !answer->data))
		return "the instruction must have all of its 16 bytes";
	if (answer->emulation == RING_EMULATE_DATA &&
	    (!answer->size || !answer->data || answer->size > most))
		return "the data that is read has no bytes, or more than a slot has room for";
	if (answer->registers && (for_breakpoint || answer->emulation == RING_EMULATE_DATA))
		return "registers and data to emulate with share their place";
	return NULL;
}

static const char *refuse_fast_step(uint32_t version, const struct ring_event *event,
				    const struct ring_answer *answer)
{
	if (version < RING_FAST_STEP_SINCE)
		return "this Xen has no fast single-step";
	/* The view lies where Xen looks for the page or the register. */
	if (answer->emulation != RING_EXECUTE && event->kind == RING_ACCESS)
		return "an access cannot be emulated with a fast single-step";
	if (answer->deny)
		return "a write cannot be denied with a fast single-step";
	return NULL;
}

/* Why Xen would ignore a part of the answer; NULL if it would not. */
static const char *refuse(uint32_t version, const struct ring_event *event,
			  const struct ring_answer *answer)
{
	const char *reason = NULL;

	if (answer->emulation != RING_EXECUTE)
		reason = refuse_emulation(version, event, answer);
	if (!reason && answer->step == RING_STEP_FAST)
		reason = refuse_fast_step(version, event, answer);
	if (reason)
		return reason;
	if (answer->deny && event->kind != RING_MSR &&
	    (event->kind != RING_CONTROL || event->u.control.index == RING_XCR0))
		return "only writes of CR0, CR3, CR4 and of MSRs can be denied";
	if (answer->registers && !(answer->registers->has_general && answer->registers->has_rip))
		return "registers are missing";
	return NULL;
}

static void encode_registers(uint32_t version, const uint8_t *request,
			     const struct x86_registers *from, struct ring_response *to)
{
	size_t size = ring_slot_sizes[version - RING_OLDEST];

	memcpy(to->bytes + RING_DATA, request + RING_DATA, size - RING_DATA);
#define X(name, field) store_le64(to->bytes + RING_AT_##field, from->name);
	GENERAL(X)
#undef X
	store_le64(to->bytes + moved.rip[version - RING_OLDEST], from->rip);
	to->size = size;
}

/* Flags; and the data, padded with zeros to a multiple of 8 bytes. */
static uint32_t encode_emulation(const struct ring_answer *answer, struct ring_response *to)
{
	size_t at =
	    answer->emulation == RING_EMULATE_DATA ? RING_AT_READ_DATA : RING_AT_INSTRUCTION;

	switch (answer->emulation) {
	case RING_EXECUTE:
		return 0;
	case RING_EMULATE:
		return RING_FLAG_EMULATE;
	case RING_EMULATE_NO_WRITE:
		return RING_FLAG_EMULATE | RING_FLAG_NO_WRITE;
	case RING_EMULATE_DATA:
	case RING_EMULATE_INSTRUCTION:
		break;
	}
	to->size = (at + answer->size + 7) / 8 * 8;
	memset(to->bytes + RING_DATA, 0, to->size - RING_DATA);
	memcpy(to->bytes + at, answer->data, answer->size);
	if (answer->emulation == RING_EMULATE_INSTRUCTION)
		return RING_FLAG_EMULATE | RING_FLAG_INSTRUCTION;
	store_le32(to->bytes + RING_AT_READ_SIZE, (uint32_t)answer->size);
	return RING_FLAG_EMULATE | RING_FLAG_READ_DATA;
}

struct nunchi_error *ring_encode(uint32_t version, const uint8_t *request,
				 const struct ring_event *event, const struct ring_answer *answer,
				 bool toggle, struct ring_response *ret)
{
	const char *reason = refuse(version, event, answer);
	uint32_t flags = RING_FLAG_PAUSED;

	if (reason)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "this is no answer to the event of vCPU %u: %s", event->vcpu,
				    reason);
	ring_encode_neutral(request, version, ret);
	flags |= encode_emulation(answer, ret);
	if (answer->deny)
		flags |= RING_FLAG_DENY;
	if (toggle)
		flags |= RING_FLAG_TOGGLE_STEP;
	if (answer->step == RING_STEP_FAST) {
		flags |= RING_FLAG_FAST_STEP;
		store_le16(ret->bytes + RING_AT_FAST_VIEW, answer->fast_view);
	}
	if (answer->switch_view) {
		flags |= RING_FLAG_VIEW;
		store_le16(ret->bytes + RING_AT_VIEW, answer->view);
	}
	if (answer->registers) {
		flags |= RING_FLAG_REGISTERS;
		encode_registers(version, request, answer->registers, ret);
	}
	if (answer->next_interrupt)
		flags |= RING_FLAG_NEXT_INTERRUPT;
	store_le32(ret->bytes + RING_AT_FLAGS, flags);
	return NULL;
}
