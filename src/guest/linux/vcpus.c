/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/vcpus.h"

#define CR0_PG ((uint64_t)1 << 31)

#define RFLAGS_IF ((uint64_t)1 << 9)
#define HLT       0xf4

/* IP after a reset or INIT, with which a vCPU waits to be started. */
#define RESET_VECTOR 0xfff0

/* The part of an entry of a page table that says where it leads. */
#define LEADS ((uint64_t)0x000ffffffffff001)

/*
 * Page tables that were followed. Those of all processes of a kernel share the part that maps its
 * image, so that it is followed once.
 */
struct followed {
	struct {
		enum x86_mode mode;
		uint64_t entry; /* the last of the top table */
		struct linux_image image;
	} items[4];
	size_t count;
};

unsigned linux_vcpu_count(const struct target *target)
{
	unsigned count = target->vcpu_count ? target->vcpu_count : 1;

	if (!target->support[TARGET_REGISTERS].available)
		return 0;
	return count < LINUX_MAX_VCPUS ? count : LINUX_MAX_VCPUS;
}

/* Finds the image under a page table, unless another table was followed that shares it. */
static bool find_image(struct target *target, const struct x86_paging *paging,
		       struct followed *followed, struct linux_image *ret)
{
	bool is_64 = paging->mode == X86_MODE_4LEVEL || paging->mode == X86_MODE_5LEVEL;
	bool scattered = target->frames == TARGET_FRAMES_MACHINE;
	uint64_t entry;

	if (!is_64 || memory_read(target->memory, gpa(paging->root.v + 511 * 8), &entry,
				  sizeof(entry), NULL) != MEMORY_OK)
		return linux_image_find(target->memory, paging, scattered, ret);
	for (size_t i = 0; i < followed->count; i++) {
		if (followed->items[i].mode != paging->mode ||
		    (followed->items[i].entry ^ entry) & LEADS)
			continue;
		*ret = followed->items[i].image;
		return true;
	}
	if (!linux_image_find(target->memory, paging, scattered, ret))
		return false;
	if (followed->count < ARRAY_SIZE(followed->items)) {
		followed->items[followed->count].mode = paging->mode;
		followed->items[followed->count].entry = entry;
		followed->items[followed->count++].image = *ret;
	}
	return true;
}

static void add_lead(struct linux_vcpu *vcpu, struct target *target, struct followed *followed,
		     uint64_t root, const char *how)
{
	struct linux_lead *lead = &vcpu->leads[vcpu->lead_count];

	lead->paging = vcpu->paging;
	lead->paging.root.v = root;
	lead->how = how;
	if (find_image(target, &lead->paging, followed, &lead->image))
		vcpu->lead_count++;
}

/* Whether the instruction before RIP is HLT, in an image that is contiguous. */
static bool is_parked(struct target *target, const struct linux_vcpu *vcpu)
{
	const struct x86_registers *registers = &vcpu->registers;
	const struct linux_image *image = &vcpu->leads[0].image;
	uint64_t before = registers->rip - 1;
	uint8_t code;

	if (!vcpu->lead_count || !registers->has_rip || !registers->has_general ||
	    registers->rflags & RFLAGS_IF || target->frames == TARGET_FRAMES_MACHINE ||
	    before < image->virtual_start || before >= image->virtual_end)
		return false;
	return memory_read(target->memory,
			   gpa(before - image->virtual_start + image->physical_start), &code, 1,
			   NULL) == MEMORY_OK &&
	       code == HLT;
}

/* Follows the page table of a vCPU whose registers were read. */
static void follow(struct target *target, struct followed *followed, struct linux_vcpu *vcpu)
{
	const struct x86_registers *registers = &vcpu->registers;
	uint64_t entry, root;

	vcpu->is_unclear = registers->in_smm;
	if (!(registers->cr0 & CR0_PG))
		return;
	vcpu->is_paged = true;
	vcpu->paging = x86_paging_from_registers(registers->cr0, registers->cr3, registers->cr4,
						 registers->efer);
	if (target->frames != TARGET_FRAMES_MACHINE)
		linux_find_encryption(target->memory, &vcpu->paging);
	root = vcpu->paging.root.v;
	add_lead(vcpu, target, followed, root, "CR3 of a vCPU");
	/*
	 * With page-table isolation, CR3 in user mode is the user half; the kernel half is the
	 * other page of the pair.
	 */
	if (root & PAGE_SIZE)
		add_lead(vcpu, target, followed, root & ~(uint64_t)PAGE_SIZE,
			 "CR3 of a vCPU (kernel half)");
	if (memory_read(target->memory, gpa(root), &entry, sizeof(entry), NULL) != MEMORY_OK)
		vcpu->is_unclear = true;
	vcpu->is_parked = is_parked(target, vcpu);
}

bool linux_vcpu_read(struct target *target, unsigned number, struct linux_vcpu *ret)
{
	struct followed followed = {0};
	struct linux_vcpu vcpu = {.number = number};
	_cleanup_error_ struct nunchi_error *err =
	    target_get_registers(target, number, &vcpu.registers);

	if (err)
		return false;
	follow(target, &followed, &vcpu);
	*ret = vcpu;
	return true;
}

bool linux_vcpus_each(struct target *target,
		      void (*visit)(const struct linux_vcpu *vcpu, void *data), void *data)
{
	unsigned count = linux_vcpu_count(target);
	_cleanup_free_ struct x86_registers *registers = calloc(count + 1, sizeof(*registers));
	struct followed followed = {0};
	bool known[LINUX_MAX_VCPUS];

	if (!registers)
		return false;
	target_get_all_registers(target, count, registers, known);
	for (unsigned i = 0; i < count; i++) {
		struct linux_vcpu vcpu = {.number = i, .registers = registers[i]};

		if (!known[i])
			continue;
		follow(target, &followed, &vcpu);
		visit(&vcpu, data);
	}
	return true;
}

bool linux_vcpu_leads_to(const struct linux_vcpu *vcpu, const struct linux_image *image)
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

/* Whether a vCPU executes something: it neither is parked nor waits at the reset vector. */
static bool executes(const struct linux_vcpu *vcpu)
{
	return vcpu->is_paged ? !vcpu->is_parked
			      : vcpu->registers.has_rip && vcpu->registers.rip != RESET_VECTOR;
}

bool linux_vcpus_deny(struct target *target, const struct linux_image *image, struct buffer *text)
{
	unsigned count = linux_vcpu_count(target), known = 0;
	bool is_parked_in = false, executes_elsewhere = false;
	struct linux_vcpu told = {0};

	for (unsigned i = 0; i < count; i++) {
		struct linux_vcpu vcpu;

		if (!linux_vcpu_read(target, i, &vcpu))
			continue;
		if (vcpu.is_unclear || (linux_vcpu_leads_to(&vcpu, image) && !vcpu.is_parked))
			return false;
		if (linux_vcpu_leads_to(&vcpu, image)) {
			is_parked_in = true;
			continue;
		}
		executes_elsewhere |= executes(&vcpu);
		if (!known++ || weight(&vcpu) > weight(&told))
			told = vcpu;
	}
	if (!known || (is_parked_in && !executes_elsewhere))
		return false;
	say_where(&told, text);
	if (known > 1)
		buffer_printf(text, "; no other of the %u vCPUs runs one", known);
	return true;
}
