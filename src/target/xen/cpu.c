/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/cpu.h"

#include "arch/address.h"
#include "core/bytes.h"
#include "core/cleanup.h"
#include "target/xen/layout.h"

#include <stddef.h>

#define CR0_PE   ((uint64_t)1 << 0)
#define CR0_PG   ((uint64_t)1 << 31)
#define CR4_PAE  ((uint64_t)1 << 5)
#define CR4_LA57 ((uint64_t)1 << 12)
#define EFER_LME ((uint64_t)1 << 8)
#define EFER_LMA ((uint64_t)1 << 10)
/*
 * SCE, LME, LMA and NXE: Xen runs every 64-bit PV guest with these bits, but does not report its
 * own EFER.
 */
#define PV_EFER ((uint64_t)0xd01)

/* Where a register is in a record, and where in struct x86_registers. */
struct place {
	uint16_t member, at;
};
#define PLACE(name, offset)                                                                        \
	{                                                                                          \
		offsetof(struct x86_registers, name), offset                                       \
	}

static const struct place hvm_general[] = {
    PLACE(rax, XEN_HVM_CPU_RAX),        PLACE(rbx, XEN_HVM_CPU_RBX),
    PLACE(rcx, XEN_HVM_CPU_RCX),        PLACE(rdx, XEN_HVM_CPU_RDX),
    PLACE(rbp, XEN_HVM_CPU_RBP),        PLACE(rsi, XEN_HVM_CPU_RSI),
    PLACE(rdi, XEN_HVM_CPU_RDI),        PLACE(rsp, XEN_HVM_CPU_RSP),
    PLACE(r8, XEN_HVM_CPU_R8),          PLACE(r9, XEN_HVM_CPU_R8 + 1 * 8),
    PLACE(r10, XEN_HVM_CPU_R8 + 2 * 8), PLACE(r11, XEN_HVM_CPU_R8 + 3 * 8),
    PLACE(r12, XEN_HVM_CPU_R8 + 4 * 8), PLACE(r13, XEN_HVM_CPU_R8 + 5 * 8),
    PLACE(r14, XEN_HVM_CPU_R8 + 6 * 8), PLACE(r15, XEN_HVM_CPU_R8 + 7 * 8),
};
static const struct place hvm_selectors[] = {
    PLACE(cs, XEN_HVM_CPU_CS), PLACE(ss, XEN_HVM_CPU_SS),     PLACE(ds, XEN_HVM_CPU_DS),
    PLACE(es, XEN_HVM_CPU_ES), PLACE(fs, XEN_HVM_CPU_FS),     PLACE(gs, XEN_HVM_CPU_GS),
    PLACE(tr, XEN_HVM_CPU_TR), PLACE(ldtr, XEN_HVM_CPU_LDTR),
};
static const struct place pv_general[] = {
    PLACE(r15, XEN_PV_CPU_R15),          PLACE(r14, XEN_PV_CPU_R15 + 1 * 8),
    PLACE(r13, XEN_PV_CPU_R15 + 2 * 8),  PLACE(r12, XEN_PV_CPU_R15 + 3 * 8),
    PLACE(rbp, XEN_PV_CPU_R15 + 4 * 8),  PLACE(rbx, XEN_PV_CPU_R15 + 5 * 8),
    PLACE(r11, XEN_PV_CPU_R15 + 6 * 8),  PLACE(r10, XEN_PV_CPU_R15 + 7 * 8),
    PLACE(r9, XEN_PV_CPU_R15 + 8 * 8),   PLACE(r8, XEN_PV_CPU_R15 + 9 * 8),
    PLACE(rax, XEN_PV_CPU_R15 + 10 * 8), PLACE(rcx, XEN_PV_CPU_R15 + 11 * 8),
    PLACE(rdx, XEN_PV_CPU_R15 + 12 * 8), PLACE(rsi, XEN_PV_CPU_R15 + 13 * 8),
    PLACE(rdi, XEN_PV_CPU_R15 + 14 * 8), PLACE(rsp, XEN_PV_CPU_RSP),
};
static const struct place pv_selectors[] = {
    PLACE(cs, XEN_PV_CPU_CS), PLACE(ss, XEN_PV_CPU_SS), PLACE(ds, XEN_PV_CPU_DS),
    PLACE(es, XEN_PV_CPU_ES), PLACE(fs, XEN_PV_CPU_FS), PLACE(gs, XEN_PV_CPU_GS),
};
static const struct place pv32_general[] = {
    PLACE(rbx, XEN_PV32_CPU_EBX),         PLACE(rcx, XEN_PV32_CPU_EBX + 1 * 4),
    PLACE(rdx, XEN_PV32_CPU_EBX + 2 * 4), PLACE(rsi, XEN_PV32_CPU_EBX + 3 * 4),
    PLACE(rdi, XEN_PV32_CPU_EBX + 4 * 4), PLACE(rbp, XEN_PV32_CPU_EBX + 5 * 4),
    PLACE(rax, XEN_PV32_CPU_EBX + 6 * 4), PLACE(rsp, XEN_PV32_CPU_ESP),
};
static const struct place pv32_selectors[] = {
    PLACE(cs, XEN_PV32_CPU_CS), PLACE(ss, XEN_PV32_CPU_SS), PLACE(ds, XEN_PV32_CPU_DS),
    PLACE(es, XEN_PV32_CPU_ES), PLACE(fs, XEN_PV32_CPU_FS), PLACE(gs, XEN_PV32_CPU_GS),
};

/*
 * Loads registers of `width` bytes into members of 8 bytes, and selectors (2 bytes) into members of
 * 2.
 */
static void load_places(struct x86_registers *registers, const uint8_t *record,
			const struct place *places, size_t count, unsigned width)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t *member = (uint8_t *)registers + places[i].member;
		const uint8_t *at = record + places[i].at;

		if (width == 2)
			*(uint16_t *)member = load_le16(at);
		else
			*(uint64_t *)member = width == 8 ? load_le64(at) : load_le32(at);
	}
}
#define LOAD(registers, record, places, width)                                                     \
	load_places(registers, record, places, ARRAY_SIZE(places), width)

struct x86_registers xen_cpu_from_hvm(const uint8_t *record)
{
	struct x86_registers registers = {
	    .cr0 = load_le64(record + XEN_HVM_CPU_CR0),
	    .cr2 = load_le64(record + XEN_HVM_CPU_CR2),
	    .cr3 = load_le64(record + XEN_HVM_CPU_CR3),
	    .cr4 = load_le64(record + XEN_HVM_CPU_CR4),
	    .efer = load_le64(record + XEN_HVM_CPU_EFER),
	    .rip = load_le64(record + XEN_HVM_CPU_RIP),
	    .rflags = load_le64(record + XEN_HVM_CPU_RFLAGS),
	    .idt_base = load_le64(record + XEN_HVM_CPU_IDTR_BASE),
	    .lstar = load_le64(record + XEN_HVM_CPU_LSTAR),
	    .star = load_le64(record + XEN_HVM_CPU_STAR),
	    .cstar = load_le64(record + XEN_HVM_CPU_CSTAR),
	    .sysenter_eip = load_le64(record + XEN_HVM_CPU_SYSENTER),
	    .gdt_base = load_le64(record + XEN_HVM_CPU_GDTR_BASE),
	    .fs_base = load_le64(record + XEN_HVM_CPU_FS_BASE),
	    .gs_base = load_le64(record + XEN_HVM_CPU_GS_BASE),
	    .kernel_gs_base = load_le64(record + XEN_HVM_CPU_SHADOW_GS),
	    .has_efer = true,
	    .has_idt = true,
	    .has_cr2 = true,
	    .has_syscall = true,
	    .has_star = true,
	    .has_cstar = true,
	    .has_sysenter = true,
	    .has_segments = true,
	    .has_kernel_gs = true,
	    .has_gdt = true,
	    .has_rip = true,
	    .has_general = true,
	    .has_selectors = true,
	    .has_debug = true,
	};

	LOAD(&registers, record, hvm_general, 8);
	LOAD(&registers, record, hvm_selectors, 2);
	for (size_t i = 0; i < 4; i++)
		registers.dr[i] = load_le64(record + XEN_HVM_CPU_DR0 + i * 8);
	registers.dr[6] = load_le64(record + XEN_HVM_CPU_DR6);
	registers.dr[7] = load_le64(record + XEN_HVM_CPU_DR6 + 8);
	return registers;
}

static struct x86_registers from_pv32(const uint8_t *context)
{
	const uint8_t *control = context + XEN_PV32_CPU_CR;
	uint32_t cr3 = load_le32(control + 3 * 4);
	struct x86_registers registers = {
	    .cr0 = load_le32(control) | CR0_PG | CR0_PE,
	    .cr2 = load_le32(control + 2 * 4),
	    /* The frame may have 32 bits; its upper bits are in the place of the lowest twelve. */
	    .cr3 = (uint64_t)(cr3 >> 12 | cr3 << 20) << PAGE_SHIFT,
	    .cr4 = load_le32(control + 4 * 4) | CR4_PAE,
	    .rip = load_le32(context + XEN_PV32_CPU_EIP),
	    .rflags = load_le32(context + XEN_PV32_CPU_EFLAGS),
	    .has_efer = true,
	    .has_rip = true,
	    .has_general = true,
	    .has_selectors = true,
	    .has_debug = true,
	};

	LOAD(&registers, context, pv32_general, 4);
	LOAD(&registers, context, pv32_selectors, 2);
	for (size_t i = 0; i < 8; i++)
		registers.dr[i] =
		    i == 4 || i == 5 ? 0 : load_le32(context + XEN_PV32_CPU_DR + i * 4);
	return registers;
}

/* Whether a saved register has a value that is possible in long mode only. */
static bool is_long(const struct x86_registers *registers)
{
	uint64_t all = registers->rip | registers->fs_base | registers->gs_base;

	for (size_t i = 0; i < ARRAY_SIZE(pv_general); i++)
		all |= *(const uint64_t *)((const uint8_t *)registers + pv_general[i].member);
	return all >> 32;
}

struct x86_registers xen_cpu_from_context(const uint8_t *context, enum xen_guest_kind kind)
{
	const uint8_t *control = context + XEN_PV_CPU_CR, *bases = context + XEN_PV_CPU_FS_BASE;
	bool in_kernel = load_le64(context + XEN_PV_CPU_FLAGS) & XEN_PV_IN_KERNEL;
	struct x86_registers registers;

	if (kind == XEN_GUEST_PV32)
		return from_pv32(context);
	registers = (struct x86_registers){
	    .cr0 = load_le64(control),
	    .cr2 = load_le64(control + 2 * 8),
	    .cr3 = load_le64(control + 3 * 8),
	    .cr4 = load_le64(control + 4 * 8),
	    .rip = load_le64(context + XEN_PV_CPU_RIP),
	    .rflags = load_le64(context + XEN_PV_CPU_RFLAGS),
	    .fs_base = load_le64(bases),
	    .gs_base = load_le64(bases + 8),
	    .kernel_gs_base = load_le64(bases + 16),
	    .has_efer = true,
	    .has_segments = true,
	    .has_kernel_gs = true,
	    .has_rip = true,
	    .has_general = true,
	    .has_selectors = true,
	    .has_debug = true,
	};
	LOAD(&registers, context, pv_general, 8);
	LOAD(&registers, context, pv_selectors, 2);
	for (size_t i = 0; i < 8; i++)
		registers.dr[i] = i == 4 || i == 5 ? 0 : load_le64(context + XEN_PV_CPU_DR + i * 8);
	if (kind == XEN_GUEST_HVM) {
		/* arch_get_info_guest() stores CR2 only for PV guests. */
		if (registers.cr0 & CR0_PG && registers.cr4 & CR4_PAE && is_long(&registers))
			registers.efer = EFER_LME | EFER_LMA;
		return registers;
	}
	registers.cr0 |= CR0_PG | CR0_PE;
	registers.cr4 = (registers.cr4 | CR4_PAE) & ~CR4_LA57;
	registers.efer = PV_EFER;
	registers.lstar = load_le64(context + XEN_PV_CPU_SYSCALL);
	registers.has_syscall = true;
	if (!in_kernel) {
		uint64_t kernel_gs = registers.gs_base;

		registers.gs_base = registers.kernel_gs_base;
		registers.kernel_gs_base = kernel_gs;
	}
	return registers;
}
