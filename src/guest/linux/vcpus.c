/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/vcpus.h"

#define CR0_PG ((uint64_t)1 << 31)

/* Limit of the vCPUs looked at; more would give no new information. */
#define MAX_VCPUS 64

unsigned linux_vcpu_count(const struct target *target)
{
	unsigned count = target->vcpu_count ? target->vcpu_count : 1;

	if (!target->support[TARGET_REGISTERS].available)
		return 0;
	return count < MAX_VCPUS ? count : MAX_VCPUS;
}

static void add_lead(struct linux_vcpu *vcpu, struct target *target, uint64_t root, const char *how)
{
	struct linux_lead *lead = &vcpu->leads[vcpu->lead_count];

	lead->paging = vcpu->paging;
	lead->paging.root.v = root;
	lead->how = how;
	if (linux_image_find(target->memory, &lead->paging, target->frames == TARGET_FRAMES_MACHINE,
			     &lead->image))
		vcpu->lead_count++;
}

bool linux_vcpu_read(struct target *target, unsigned number, struct linux_vcpu *ret)
{
	struct linux_vcpu vcpu = {.number = number};
	_cleanup_error_ struct nunchi_error *err =
	    target_get_registers(target, number, &vcpu.registers);
	uint64_t entry, root;

	if (err)
		return false;
	vcpu.is_unclear = vcpu.registers.in_smm;
	if (vcpu.registers.cr0 & CR0_PG) {
		vcpu.is_paged = true;
		vcpu.paging = x86_paging_from_registers(vcpu.registers.cr0, vcpu.registers.cr3,
							vcpu.registers.cr4, vcpu.registers.efer);
		root = vcpu.paging.root.v;
		add_lead(&vcpu, target, root, "CR3 of a vCPU");
		/*
		 * With page-table isolation, CR3 in user mode is the user half; the kernel half is
		 * the other page of the pair.
		 */
		if (root & PAGE_SIZE)
			add_lead(&vcpu, target, root & ~(uint64_t)PAGE_SIZE,
				 "CR3 of a vCPU (kernel half)");
		if (memory_read(target->memory, gpa(root), &entry, sizeof(entry), NULL) !=
		    MEMORY_OK)
			vcpu.is_unclear = true;
	}
	*ret = vcpu;
	return true;
}

static bool leads_to(const struct linux_vcpu *vcpu, const struct linux_image *image)
{
	for (size_t i = 0; i < vcpu->lead_count; i++) {
		const struct linux_image *found = &vcpu->leads[i].image;

		if (!image || (found->virtual_start == image->virtual_start &&
			       found->physical_start == image->physical_start))
			return true;
	}
	return false;
}

static void say_where(const struct linux_vcpu *vcpu, struct buffer *text)
{
	buffer_printf(text, "vCPU %u is ", vcpu->number);
	if (vcpu->registers.has_rip)
		buffer_printf(text, "at 0x%llx, ", (unsigned long long)vcpu->registers.rip);
	if (!vcpu->is_paged)
		buffer_append_string(text, "paging off");
	else if (vcpu->lead_count)
		buffer_printf(text,
			      "in an image at physical 0x%llx that is not confirmed as a kernel",
			      (unsigned long long)vcpu->leads[0].image.physical_start);
	else
		buffer_printf(text, "under the page table at physical 0x%llx, which is not Linux's",
			      (unsigned long long)vcpu->paging.root.v);
}

/* How much a vCPU that runs no kernel tells: one in another image more than one in firmware. */
static int weight(const struct linux_vcpu *vcpu)
{
	return vcpu->lead_count ? 2 : vcpu->is_paged;
}

bool linux_vcpus_deny(struct target *target, const struct linux_image *image, struct buffer *text)
{
	unsigned count = linux_vcpu_count(target), known = 0;
	struct linux_vcpu told = {0};

	for (unsigned i = 0; i < count; i++) {
		struct linux_vcpu vcpu;

		if (!linux_vcpu_read(target, i, &vcpu))
			continue;
		if (vcpu.is_unclear || leads_to(&vcpu, image))
			return false;
		if (!known++ || weight(&vcpu) > weight(&told))
			told = vcpu;
	}
	if (!known)
		return false;
	say_where(&told, text);
	if (known > 1)
		buffer_printf(text, "; no other of the %u vCPUs runs one", known);
	return true;
}
