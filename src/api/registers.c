/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"

#include <string.h>

uint32_t nunchi_vcpu_count(const struct nunchi_guest *guest)
{
	if (!guest || !guest->target->support[TARGET_REGISTERS].available)
		return 0;
	return guest->target->vcpu_count ? guest->target->vcpu_count : 1;
}

static void copy(const struct x86_registers *from, struct nunchi_registers *ret)
{
	*ret = (struct nunchi_registers){
	    .size = ret->size,
	    .has_general = from->has_general,
	    .has_rip = from->has_rip,
	    .has_selectors = from->has_selectors,
	    .has_segments = from->has_segments,
	    .has_kernel_gs = from->has_kernel_gs,
	    .has_cr2 = from->has_cr2,
	    .has_efer = from->has_efer,
	    .rax = from->rax,
	    .rbx = from->rbx,
	    .rcx = from->rcx,
	    .rdx = from->rdx,
	    .rsi = from->rsi,
	    .rdi = from->rdi,
	    .rbp = from->rbp,
	    .rsp = from->rsp,
	    .r8 = from->r8,
	    .r9 = from->r9,
	    .r10 = from->r10,
	    .r11 = from->r11,
	    .r12 = from->r12,
	    .r13 = from->r13,
	    .r14 = from->r14,
	    .r15 = from->r15,
	    .rip = from->rip,
	    .rflags = from->rflags,
	    .cs = from->cs,
	    .ss = from->ss,
	    .ds = from->ds,
	    .es = from->es,
	    .fs = from->fs,
	    .gs = from->gs,
	    .fs_base = from->fs_base,
	    .gs_base = from->gs_base,
	    .kernel_gs_base = from->kernel_gs_base,
	    .cr0 = from->cr0,
	    .cr2 = from->cr2,
	    .cr3 = from->cr3,
	    .cr4 = from->cr4,
	    .efer = from->efer,
	};
}

struct nunchi_error *nunchi_registers(struct nunchi_guest *guest, uint32_t vcpu,
				      struct nunchi_registers *ret)
{
	API_REQUIRE(guest && ret);

	struct nunchi_registers copied = {.size = ret->size};
	struct x86_registers registers = {0};
	uint32_t count = nunchi_vcpu_count(guest);
	struct nunchi_error *err;

	/* Where no registers are known, the target says why. */
	if (count && vcpu >= count)
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "%s: there is no vCPU %u, of %u whose registers are known",
				    guest->target->name, vcpu, count);
	err = target_get_registers(guest->target, vcpu, &registers);
	if (err)
		return err;
	copy(&registers, &copied);
	memcpy(ret, &copied, ret->size < sizeof(copied) ? ret->size : sizeof(copied));
	return NULL;
}
