/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layouts of the event ring: ring_layout.def as constants (fields that never moved) and as one
 * table by version. Numbers are those of Xen's public/vm_event.h and public/io/ring.h.
 */
#ifndef NUNCHI_TARGET_XEN_RING_LAYOUT_H
#define NUNCHI_TARGET_XEN_RING_LAYOUT_H

#include "target/xen/ring.h"

#include <stddef.h>
#include <stdint.h>

/* The shared page: struct vm_event_sring. */
enum {
	RING_REQUESTS = 0, /* index of the next request that Xen writes */
	RING_REQUEST_EVENT = 4,
	RING_RESPONSES = 8, /* index of the next response that we write */
	RING_RESPONSE_EVENT = 12,
	RING_FIRST_SLOT = 64
};

#define RING_VERSIONS (RING_NEWEST - RING_OLDEST + 1)

/* Size of a slot by version, a multiple of 8. */
#define RING_SLOT_SIZES 312, 376, 384, 384, 400
static const uint16_t ring_slot_sizes[RING_VERSIONS] = {RING_SLOT_SIZES};
#define RING_SLOT_MOST 400
#define RING_DATA      56 /* offset of the last member, a union */

/* VM_EVENT_FLAG_*. */
enum {
	RING_FLAG_PAUSED = 1 << 0,
	RING_FLAG_EMULATE = 1 << 2,
	RING_FLAG_NO_WRITE = 1 << 3,
	RING_FLAG_TOGGLE_STEP = 1 << 4,
	RING_FLAG_READ_DATA = 1 << 5,
	RING_FLAG_DENY = 1 << 6,
	RING_FLAG_VIEW = 1 << 7,
	RING_FLAG_REGISTERS = 1 << 8,
	RING_FLAG_INSTRUCTION = 1 << 9,
	RING_FLAG_NEXT_INTERRUPT = 1 << 10,
	RING_FLAG_FAST_STEP = 1 << 11, /* since version 6 */
	RING_FLAG_NESTED = 1 << 12     /* since version 7 */
};
#define RING_FAST_STEP_SINCE 6
#define RING_NESTED_SINCE    7
#define RING_VMEXIT_SINCE    7 /* and I/O */

/* VM_EVENT_REASON_*. */
enum {
	RING_REASON_ACCESS = 1,
	RING_REASON_CONTROL = 4,
	RING_REASON_MSR = 5,
	RING_REASON_BREAKPOINT = 6,
	RING_REASON_SINGLE_STEP = 7,
	RING_REASON_REQUEST = 8,
	RING_REASON_DEBUG = 9,
	RING_REASON_CPUID = 10,
	RING_REASON_INTERRUPT = 12,
	RING_REASON_DESCRIPTOR = 13,
	RING_REASON_UNIMPLEMENTED = 14,
	RING_REASON_VMEXIT = 15,
	RING_REASON_IO = 16
};

/* MEM_ACCESS_*. */
enum {
	RING_ACCESS_READ = 1 << 0,
	RING_ACCESS_WRITE = 1 << 1,
	RING_ACCESS_EXECUTE = 1 << 2,
	RING_ACCESS_HAS_LINEAR = 1 << 3,
	RING_ACCESS_AT_LINEAR = 1 << 4,
	RING_ACCESS_IN_WALK = 1 << 5
};

/* Offsets of the fields that never moved, and sizes of all: RING_AT_REASON, RING_SIZE_rip, … */
enum {
#define FIXED(since, name, field, size, offset)                                                    \
	RING_AT_##name = (offset), RING_SIZE_##name = (size),
#define MOVED(since, name, field, size, ...) RING_SIZE_##name = (size),
#include "target/xen/ring_layout.def"
#undef FIXED
#undef MOVED
};

/*
 * Decodes the copy of a request of a known version, but for its ticket. Which version and vCPU it
 * says is the caller's to check.
 */
struct nunchi_error *ring_decode(uint32_t version, const uint8_t *request, struct ring_event *ret);

/* The first bytes of a response: all that Xen looks at by its flags. */
struct ring_response {
	uint8_t bytes[RING_SLOT_MOST];
	size_t size; /* a multiple of 8 */
};

/* The response that resumes the vCPU, if it waits, and does nothing else. */
void ring_encode_neutral(const uint8_t *request, uint32_t version, struct ring_response *ret);

/*
 * Encodes an answer to a request, whose event it was decoded to. Fails if Xen would ignore a part
 * of the answer. toggle: single-stepping is to be switched over.
 */
struct nunchi_error *ring_encode(uint32_t version, const uint8_t *request,
				 const struct ring_event *event, const struct ring_answer *answer,
				 bool toggle, struct ring_response *ret);

#endif
