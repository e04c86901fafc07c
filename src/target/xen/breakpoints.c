/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Breakpoints in the kernel of a PVH or HVM guest: INT3, written over the first byte of an
 * instruction, of which Xen tells by the event ring (stops.c).
 *
 * What is written is in the undo log before. Only the kernel's own code is written to, which stays
 * where it is until the guest ends, and only two kinds of places. A function that may be traced
 * begins with the NOP that the compiler left there, or with ENDBR (or what the kernel wrote over
 * it) and that NOP. They need not be executed, so that a vCPU goes on behind them. Where a call
 * returns to there is any instruction: if it is a plain one, Xen executes it from a copy. Either
 * way the INT3 stays. All that is done while the guest is paused, for a vCPU that meets an INT3 is
 * asked by Xen for its bytes once more.
 *
 * The guest can see the INT3. Its kernel does not change the place meanwhile: before it traces the
 * function itself it compares what stands there, and refuses.
 */
#include "arch/x86/idle.h"
#include "arch/x86/paging.h"
#include "arch/x86/plain.h"
#include "target/xen/internal.h"
#include "target/xen/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/*
 * Where Linux has its own code: mapped by large pages, in the upper part of this only modules are
 * mapped by small ones.
 */
#define IMAGE_START 0xffffffff80000000
#define IMAGE_SMALL 0xffffffffa0000000
#define IMAGE_END   0xffffffffc0000000
/* The bit of CR3 by which the page table of user space differs, where it has one of its own. */
#define USER_TABLE ((uint64_t)1 << 12)

/* A place in the guest's code, mapped. */
struct place {
	uint8_t *page;
	size_t size; /* of what is known in breakpoint.code; the rest is on the next page */
	struct xen_breakpoint breakpoint;
};

/* ---- Finding the page ------------------------------------------------------------------------ */

static bool read_entry(void *data, gpa_t address, size_t size, uint64_t *ret)
{
	const struct xen_target *xen = data;
	const struct xen_calls *calls = &xen->xen.calls;
	uint64_t frame = address.v >> PAGE_SHIFT;
	int error = -1;
	uint8_t *page = calls->map(xen->xen.driver, xen->domain.id, 1, &frame, &error);

	if (page && !error) {
		*ret = 0;
		memcpy(ret, page + address.v % PAGE_SIZE, size);
	}
	if (page)
		calls->unmap(page, 1);
	return page && !error;
}

/* Translates by the page tables of a vCPU. False if the address is not mapped there. */
static bool walk(struct xen_target *xen, const struct x86_registers *registers, uint64_t mask,
		 uint64_t address, struct x86_walk *ret)
{
	struct x86_paging paging = x86_paging_from_registers(registers->cr0, registers->cr3 & ~mask,
							     registers->cr4, registers->efer);

	return (paging.mode == X86_MODE_4LEVEL || paging.mode == X86_MODE_5LEVEL) &&
	       x86_walk(&paging, read_entry, xen, gva(address), ret) == X86_FAULT_NONE;
}

static bool find_page(struct xen_target *xen, uint64_t address, struct x86_walk *ret)
{
	for (unsigned i = 0; i < xen->domain.vcpus; i++) {
		struct x86_registers registers;
		struct nunchi_error *err =
		    xen_get_registers(&xen->xen, &xen->domain, i, &registers);

		if (!err && (walk(xen, &registers, 0, address, ret) ||
			     walk(xen, &registers, USER_TABLE, address, ret)))
			return true;
		nunchi_error_destroy(err);
	}
	return false;
}

static struct nunchi_error *no_code(uint64_t address)
{
	return error_create_at(
	    NUNCHI_ERROR_UNSUPPORTED, address,
	    "on Xen only the kernel's own code can have breakpoints: modules, and "
	    "what was needed to start, may be unloaded");
}

static struct nunchi_error *map_place(struct xen_target *xen, uint64_t address, struct place *ret)
{
	uint16_t offset = (uint16_t)(address % PAGE_SIZE);
	struct x86_walk found;

	if (address < IMAGE_START || address >= IMAGE_END || !find_page(xen, address, &found) ||
	    !found.executable || (address >= IMAGE_SMALL && found.page_shift == PAGE_SHIFT))
		return no_code(address);
	*ret = (struct place){
	    .size = PAGE_SIZE - offset,
	    .breakpoint = {.address = address,
			   .patch = {.frame = found.address.v >> PAGE_SHIFT, .offset = offset}}};
	ret->page =
	    xen->xen.calls.map_page(xen->xen.driver, xen->domain.id, ret->breakpoint.patch.frame);
	if (!ret->page)
		return error_create_errno(errno, "cannot map the guest's code");
	if (ret->size > RING_INSTRUCTION_SIZE)
		ret->size = RING_INSTRUCTION_SIZE;
	memcpy(ret->breakpoint.code, ret->page + offset, ret->size);
	return NULL;
}

/* ---- What stands there ----------------------------------------------------------------------- */

/* Whether a call ends before the place: CALL with a displacement, or by a register. */
static bool is_behind_call(const struct place *place)
{
	size_t offset = place->breakpoint.patch.offset;
	const uint8_t *at = place->page + offset;

	return (offset >= 5 && at[-5] == 0xe8) ||
	       (offset >= 2 && at[-2] == 0xff && (at[-1] & 0xf8) == 0xd0);
}

/*
 * Gets the size of the instruction if it is one that nothing in the guest rewrites while it has a
 * breakpoint, and that a vCPU can pass; else 0. Behind calls a NOP of five or of two bytes may be
 * one that the kernel makes a jump of (static keys), which it does without mercy.
 */
static unsigned passable(struct place *place)
{
	/* Where ftrace's call may come. */
	static const uint8_t traced_nop[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	struct xen_breakpoint *breakpoint = &place->breakpoint;
	unsigned size;

	if (place->size >= sizeof(traced_nop) &&
	    !memcmp(breakpoint->code, traced_nop, sizeof(traced_nop)) && !is_behind_call(place))
		return sizeof(traced_nop);
	/* With ENDBR, or its NOP, alone begin also functions that must not be traced. */
	if (place->size >= X86_MARK_SIZE + sizeof(traced_nop) && x86_mark_size(breakpoint->code) &&
	    !memcmp(breakpoint->code + X86_MARK_SIZE, traced_nop, sizeof(traced_nop)))
		return X86_MARK_SIZE;
	if (!is_behind_call(place))
		return 0;
	size = x86_idle_size(breakpoint->code, place->size, false);
	if (size == 3 || size == 4)
		return size;
	breakpoint->has_effect = true;
	return x86_plain_size(breakpoint->code, place->size);
}

/* Fills in what is noted of the instruction, or says why there can be no breakpoint. */
static struct nunchi_error *check(struct place *place)
{
	struct xen_breakpoint *breakpoint = &place->breakpoint;
	struct undo_patch *patch = &breakpoint->patch;
	unsigned size = passable(place);

	/* What is behind the instruction may be another one's to change. */
	patch->size = (uint8_t)(size < UNDO_PATCH_BYTES ? size : UNDO_PATCH_BYTES);
	memcpy(patch->bytes, breakpoint->code, patch->size);
	if (size)
		return NULL;
	if (breakpoint->code[0] == MONITOR_INT3)
		return error_create_at(
		    NUNCHI_ERROR_UNSUPPORTED, breakpoint->address,
		    "there is a breakpoint already: of a kprobe or a debugger in "
		    "the guest, or of another program on this host");
	if (is_behind_call(place))
		return error_create_at(
		    NUNCHI_ERROR_UNSUPPORTED, breakpoint->address,
		    "on Xen nunchi cannot get past the instruction to which they "
		    "return");
	if (breakpoint->code[0] == 0xe8)
		return error_create_at(
		    NUNCHI_ERROR_UNSUPPORTED, breakpoint->address,
		    "something in the guest traces this function already (ftrace, "
		    "a kprobe, BPF)");
	return error_create_at(NUNCHI_ERROR_UNSUPPORTED, breakpoint->address,
			       "there is no NOP for tracing, without which nunchi leaves no "
			       "breakpoint in a guest of Xen");
}

/* ---- Setting and removing -------------------------------------------------------------------- */

static size_t find(const struct xen_stops *stops, uint64_t address)
{
	size_t i = 0;

	while (i < stops->breakpoint_count && stops->breakpoints[i].address != address)
		i++;
	return i;
}

const struct xen_breakpoint *xen_breakpoint_find(const struct xen_stops *stops, uint64_t address)
{
	size_t i = find(stops, address);

	return i < stops->breakpoint_count ? &stops->breakpoints[i] : NULL;
}

struct ring_answer xen_breakpoint_pass(const struct xen_stops *stops,
				       struct x86_registers *registers, uint64_t rip)
{
	const struct xen_breakpoint *breakpoint =
	    rip == registers->rip ? xen_breakpoint_find(stops, rip) : NULL;

	/* Registers and an instruction do not fit into one answer. */
	if (breakpoint && breakpoint->has_effect)
		return (struct ring_answer){.emulation = RING_EMULATE_INSTRUCTION,
					    .data = breakpoint->code,
					    .size = sizeof(breakpoint->code)};
	/* One that was removed meanwhile is executed. */
	if (breakpoint)
		rip += breakpoint->patch.size;
	registers->rip = rip;
	return (struct ring_answer){.registers = registers};
}

static struct nunchi_error *write_it(struct xen_stops *stops, const struct place *place)
{
	const struct undo_patch *patch = &place->breakpoint.patch;
	int errnum = undo_log_append_patch(stops->undo.log, patch, true);

	if (errnum == EFBIG)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the undo log has no room for more breakpoints");
	if (errnum)
		return error_create_errno(errnum, "cannot write the undo log %s",
					  undo_log_path(stops->undo.log));
	stops->breakpoints[stops->breakpoint_count++] = place->breakpoint;
	__atomic_store_n(place->page + patch->offset, MONITOR_INT3, __ATOMIC_SEQ_CST);
	return NULL;
}

static struct nunchi_error *insert(struct xen_target *xen, uint64_t address)
{
	struct place place;
	struct nunchi_error *err = map_place(xen, address, &place);

	if (err)
		return err;
	err = check(&place);
	if (!err)
		err = write_it(&xen->stops, &place);
	xen->xen.calls.unmap(place.page, 1);
	return err;
}

struct nunchi_error *xen_breakpoint_insert(struct xen_target *xen, uint64_t address)
{
	const struct xen_stops *stops = &xen->stops;
	struct nunchi_error *err, *resumed;

	if (find(stops, address) < stops->breakpoint_count)
		return error_create_at(NUNCHI_ERROR_ARGUMENT, address,
				       "there is a breakpoint at 0x%" PRIx64 " already", address);
	if (stops->breakpoint_count == UNDO_PATCHES_MAX)
		return error_create(NUNCHI_ERROR_BUSY, "it has %d breakpoints already",
				    UNDO_PATCHES_MAX);
	err = target_pause(&xen->base);
	if (err)
		return err;
	err = insert(xen, address);
	resumed = target_resume(&xen->base);
	if (!err)
		return resumed;
	nunchi_error_destroy(resumed);
	return err;
}

struct nunchi_error *xen_breakpoint_remove(struct xen_target *xen, uint64_t address)
{
	struct xen_stops *stops = &xen->stops;
	size_t at = find(stops, address);
	struct nunchi_error *err;
	int errnum;

	if (at == stops->breakpoint_count)
		return error_create_at(NUNCHI_ERROR_ARGUMENT, address,
				       "there is no breakpoint at 0x%" PRIx64, address);
	err = target_pause(&xen->base);
	if (err)
		return err;
	errnum =
	    monitor_restore(&stops->monitor, &stops->breakpoints[at].patch, 1, stops->undo.log);
	if (!errnum)
		stops->breakpoints[at] = stops->breakpoints[--stops->breakpoint_count];
	err = target_resume(&xen->base);
	if (!errnum)
		return err;
	nunchi_error_destroy(err);
	return error_create_errno(errnum, "Xen refuses to remove a breakpoint");
}

/* ---- Those of others ------------------------------------------------------------------------- */

/* Whether an INT3 stands still where a vCPU has met one. True if that cannot be found out. */
static bool is_there(const struct xen_target *xen, const struct ring_event *event)
{
	const struct xen_calls *calls = &xen->xen.calls;
	uint64_t frame = event->u.debug.frame;
	int error = -1;
	uint8_t *page = calls->map(xen->xen.driver, xen->domain.id, 1, &frame, &error);
	bool there = true;

	if (page && !error)
		there = page[event->registers.rip % PAGE_SIZE] == MONITOR_INT3;
	if (page)
		calls->unmap(page, 1);
	return there;
}

/*
 * The guest's handler gets RIP and the length of the instruction as the address behind it: Xen
 * tells the processor so, or adds the length to RIP where the processor does not know of that
 * (svm_inject_event() in xen/arch/x86/hvm/svm/svm.c). So RIP stays where it is, and whoever lets
 * the vCPU go on, the trap is the same. Where the processor ignores the length, RIP is set behind
 * the INT3 with the answer, and the length is 0. Then the guest gets the trap with a wrong address
 * if somebody else has to answer.
 */
struct nunchi_error *xen_breakpoint_hand_on(const struct xen_target *xen,
					    const struct ring_event *event,
					    struct x86_registers *ret_registers,
					    struct ring_answer *ret)
{
	bool by_rip = xen->stops.ignores_length;
	struct xen_inject_op op = {.op = XEN_OP_INJECT_EVENT,
				   .vcpu = event->vcpu,
				   .vector = 3,
				   .type = XEN_EVENT_SOFTWARE,
				   .length = by_rip ? 0 : (uint8_t)event->u.debug.length,
				   .error = XEN_EVENT_NO_ERROR};
	int errnum = 0;

	*ret = (struct ring_answer){.emulation = RING_EXECUTE};
	/* One that was removed meanwhile is executed as what it is now. */
	if (!is_there(xen, event))
		return NULL;
	if (xen->xen.calls.device_op(xen->xen.driver, xen->domain.id, &op, sizeof(op)))
		errnum = errno;
	/* Xen has another one to give first: the vCPU meets the INT3 once more. */
	if (errnum == EBUSY)
		return NULL;
	if (errnum)
		return error_create_errno(errnum, "Xen refuses to give the guest the trap of a "
						  "breakpoint of its own");
	if (by_rip) {
		*ret_registers = event->registers;
		ret_registers->rip += event->u.debug.length;
		ret->registers = ret_registers;
	}
	return NULL;
}
