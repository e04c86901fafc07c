/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/xen_registers.h"

#include "arch/address.h"
#include "core/bytes.h"

#include <string.h>

#define CR0_PE   ((uint64_t)1 << 0)
#define CR0_PG   ((uint64_t)1 << 31)
#define CR4_PAE  ((uint64_t)1 << 5)
#define EFER_LME ((uint64_t)1 << 8)
#define EFER_LMA ((uint64_t)1 << 10)

/* Of struct vcpu_guest_context, 64 bits. */
enum {
	CONTEXT_R15 = 520,
	CONTEXT_R8 = 592, /* r15 … r12, rbp, rbx, r11 … r8 */
	CONTEXT_RIP = 648,
	CONTEXT_RSP = 672,
	CONTEXT_CR = 4984,
	CONTEXT_FS_BASE = 5144,
	CONTEXT_GS_BASE_KERNEL = 5152,
};

/* The same, 32 bits. */
enum { CONTEXT32_EIP = 548, CONTEXT32_ESP = 560, CONTEXT32_CR = 2716 };

/* Of struct hvm_hw_cpu. */
enum {
	HVM_CPU_RSP = 568,
	HVM_CPU_RIP = 640,
	HVM_CPU_CR0 = 656,
	HVM_CPU_CR3 = 672,
	HVM_CPU_CR4 = 680,
	HVM_CPU_IDT_BASE = 872,
	HVM_CPU_EFER = 992,
};

void xen_vcpus_deinit(struct xen_vcpus *vcpus)
{
	free(vcpus->items);
	memset(vcpus, 0, sizeof(*vcpus));
}

struct nunchi_error *xen_vcpus_set(struct xen_vcpus *vcpus, size_t n,
				   const struct x86_registers *registers)
{
	if (n >= XEN_VCPU_LIMIT)
		return error_create(NUNCHI_ERROR_DATA, "there is no vCPU %zu in any guest of Xen",
				    n);
	if (n >= vcpus->count) {
		struct x86_registers *items =
		    reallocarray(vcpus->items, n + 1, sizeof(*vcpus->items));

		if (!items)
			return &error_nomem;
		memset(items + vcpus->count, 0, (n + 1 - vcpus->count) * sizeof(*items));
		vcpus->items = items;
		vcpus->count = n + 1;
	}
	vcpus->items[n] = *registers;
	return NULL;
}

const char *xen_guest_kind_string(enum xen_guest_kind kind)
{
	return kind == XEN_GUEST_PV     ? "a PV"
	       : kind == XEN_GUEST_PV32 ? "a 32-bit PV"
					: "an HVM or PVH";
}

size_t xen_context_size(enum xen_guest_kind kind)
{
	return kind == XEN_GUEST_PV32 ? XEN_CONTEXT32_SIZE : XEN_CONTEXT_SIZE;
}

/* Whether a register, as it was saved, is one that only long mode has. */
static bool is_long(const uint8_t *context)
{
	uint64_t upper =
	    (load_le64(context + CONTEXT_RIP) | load_le64(context + CONTEXT_RSP) |
	     load_le64(context + CONTEXT_FS_BASE) | load_le64(context + CONTEXT_GS_BASE_KERNEL)) >>
	    32;

	for (size_t at = CONTEXT_R15; at < CONTEXT_R15 + 4 * 8; at += 8)
		upper |= load_le64(context + at);
	for (size_t at = CONTEXT_R8 - 3 * 8; at <= CONTEXT_R8; at += 8)
		upper |= load_le64(context + at);
	return upper != 0;
}

static struct x86_registers decode_32(const uint8_t *context)
{
	uint32_t cr3 = load_le32(context + CONTEXT32_CR + 3 * 4);

	return (struct x86_registers){
	    .rip = load_le32(context + CONTEXT32_EIP),
	    .rsp = load_le32(context + CONTEXT32_ESP),
	    .has_rip = true,
	    .cr0 = load_le32(context + CONTEXT32_CR) | CR0_PG | CR0_PE,
	    /* xen_cr3_to_pfn() of 32 bits: the frame's upper bits stand in the lowest twelve. */
	    .cr3 = (uint64_t)(cr3 >> 12 | cr3 << 20) << PAGE_SHIFT,
	    .cr4 = load_le32(context + CONTEXT32_CR + 4 * 4) | CR4_PAE,
	    .has_efer = true,
	};
}

struct x86_registers xen_context_decode(const uint8_t *context, enum xen_guest_kind kind)
{
	struct x86_registers registers;

	if (kind == XEN_GUEST_PV32)
		return decode_32(context);
	registers = (struct x86_registers){
	    .rip = load_le64(context + CONTEXT_RIP),
	    .rsp = load_le64(context + CONTEXT_RSP),
	    .has_rip = true,
	    .cr0 = load_le64(context + CONTEXT_CR),
	    .cr3 = load_le64(context + CONTEXT_CR + 3 * 8),
	    .cr4 = load_le64(context + CONTEXT_CR + 4 * 8),
	};
	if (kind == XEN_GUEST_PV) {
		/* Xen runs every PV guest with paging, a 64-bit one on four levels. */
		registers.cr0 |= CR0_PG | CR0_PE;
		registers.cr4 |= CR4_PAE;
	}
	registers.has_efer = true;
	if (registers.cr0 & CR0_PG && registers.cr4 & CR4_PAE &&
	    (kind == XEN_GUEST_PV || is_long(context)))
		registers.efer = EFER_LME | EFER_LMA;
	return registers;
}

static struct x86_registers decode_hvm_cpu(const uint8_t *cpu)
{
	return (struct x86_registers){
	    .rip = load_le64(cpu + HVM_CPU_RIP),
	    .rsp = load_le64(cpu + HVM_CPU_RSP),
	    .has_rip = true,
	    .cr0 = load_le64(cpu + HVM_CPU_CR0),
	    .cr3 = load_le64(cpu + HVM_CPU_CR3),
	    .cr4 = load_le64(cpu + HVM_CPU_CR4),
	    .efer = load_le64(cpu + HVM_CPU_EFER),
	    .has_efer = true,
	    .idt_base = load_le64(cpu + HVM_CPU_IDT_BASE),
	    .has_idt = true,
	};
}

struct nunchi_error *xen_hvm_context_decode(const uint8_t *bytes, size_t size,
					    struct xen_vcpus *vcpus, bool *ret_whole)
{
	size_t at = 0;
	bool whole = false;

	while (size - at >= XEN_HVM_DESCRIPTOR_SIZE) {
		uint16_t code = load_le16(bytes + at), instance = load_le16(bytes + at + 2);
		uint32_t length = load_le32(bytes + at + 4);

		at += XEN_HVM_DESCRIPTOR_SIZE;
		whole = code == XEN_HVM_CODE_END;
		if (whole || length > size - at)
			break;
		if (code == XEN_HVM_CODE_CPU && length >= XEN_HVM_CPU_SIZE &&
		    instance < XEN_VCPU_LIMIT) {
			struct x86_registers registers = decode_hvm_cpu(bytes + at);
			struct nunchi_error *err = xen_vcpus_set(vcpus, instance, &registers);

			if (err)
				return err;
		}
		at += length;
	}
	*ret_whole = whole;
	return NULL;
}
