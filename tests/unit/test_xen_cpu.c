/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPU records of Xen, each register from where Xen's headers have it: the structures are written
 * down here once more, as in public/arch-x86/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "target/xen/cpu.h"
#include "target/xen/layout.h"

#include <string.h>

struct hvm_hw_cpu {
	uint8_t fpu_regs[512];
	uint64_t rax, rbx, rcx, rdx, rbp, rsi, rdi, rsp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4;
	uint64_t dr0, dr1, dr2, dr3, dr6, dr7;
	uint32_t cs_sel, ds_sel, es_sel, fs_sel, gs_sel, ss_sel, tr_sel, ldtr_sel;
	uint32_t limits[10];
	uint64_t cs_base, ds_base, es_base, fs_base, gs_base, ss_base, tr_base, ldtr_base;
	uint64_t idtr_base, gdtr_base;
	uint32_t arbytes[8];
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t shadow_gs, msr_flags, msr_lstar, msr_star, msr_cstar, msr_syscall_mask, msr_efer;
	uint64_t rest[4];
};
_Static_assert(sizeof(struct hvm_hw_cpu) == XEN_HVM_CPU_SIZE, "hvm_hw_cpu");

struct context64 {
	uint8_t fpu[512];
	uint64_t flags;
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint32_t error_code, entry_vector;
	uint64_t rip;
	uint16_t cs, pad0;
	uint32_t saved_upcall_mask;
	uint64_t rflags, rsp;
	struct {
		uint16_t selector, pad[3];
	} ss, es, ds, fs, gs;
	uint8_t traps[256 * 16];
	uint64_t ldt[2], gdt[17], kernel_ss, kernel_sp;
	uint64_t ctrlreg[8], debugreg[8];
	uint64_t event_callback, failsafe_callback, syscall_callback, vm_assist;
	uint64_t fs_base, gs_base_kernel, gs_base_user;
};
_Static_assert(sizeof(struct context64) == XEN_PV_CPU_SIZE, "vcpu_guest_context of 64 bits");

struct context32 {
	uint8_t fpu[512];
	uint32_t flags, ebx, ecx, edx, esi, edi, ebp, eax;
	uint16_t error_code, entry_vector;
	uint32_t eip;
	uint16_t cs;
	uint8_t saved_upcall_mask, pad0;
	uint32_t eflags, esp;
	struct {
		uint16_t selector, pad;
	} ss, es, ds, fs, gs;
	uint8_t traps[256 * 8];
	uint32_t ldt[2], gdt[17], kernel_ss, kernel_sp;
	uint32_t ctrlreg[8], debugreg[8];
	uint32_t callbacks[4], vm_assist;
};
_Static_assert(sizeof(struct context32) == XEN_PV32_CPU_SIZE, "vcpu_guest_context of 32 bits");

/* Every two bytes of a record are others, so that each register has a value of its own. */
static void number(void *record, size_t size)
{
	for (size_t i = 0; i + 2 <= size; i += 2)
		store_le16((uint8_t *)record + i, (uint16_t)(0x1000 + i));
}

#define GENERAL(regs, cpu, prefix)                                                                 \
	do {                                                                                       \
		assert_int_equal((regs).rax, (cpu)->prefix##ax);                                   \
		assert_int_equal((regs).rcx, (cpu)->prefix##cx);                                   \
		assert_int_equal((regs).rdx, (cpu)->prefix##dx);                                   \
		assert_int_equal((regs).rbx, (cpu)->prefix##bx);                                   \
		assert_int_equal((regs).rsp, (cpu)->prefix##sp);                                   \
		assert_int_equal((regs).rbp, (cpu)->prefix##bp);                                   \
		assert_int_equal((regs).rsi, (cpu)->prefix##si);                                   \
		assert_int_equal((regs).rdi, (cpu)->prefix##di);                                   \
		assert_int_equal((regs).rip, (cpu)->prefix##ip);                                   \
		assert_int_equal((regs).rflags, (cpu)->prefix##flags);                             \
		assert_true((regs).has_rip && (regs).has_general && (regs).has_selectors);         \
	} while (0)

#define GENERAL_64(regs, cpu)                                                                      \
	do {                                                                                       \
		const uint64_t upper[] = {(cpu)->r8,  (cpu)->r9,  (cpu)->r10, (cpu)->r11,          \
					  (cpu)->r12, (cpu)->r13, (cpu)->r14, (cpu)->r15};         \
		GENERAL(regs, cpu, r);                                                             \
		assert_memory_equal(&(regs).r8, upper, sizeof(upper));                             \
	} while (0)

static void test_hvm(void **state)
{
	struct hvm_hw_cpu cpu;
	struct x86_registers registers;

	(void)state;
	number(&cpu, sizeof(cpu));
	registers = xen_cpu_from_hvm((const uint8_t *)&cpu);
	GENERAL_64(registers, &cpu);
	assert_int_equal(registers.cr0, cpu.cr0);
	assert_int_equal(registers.cr2, cpu.cr2);
	assert_int_equal(registers.cr3, cpu.cr3);
	assert_int_equal(registers.cr4, cpu.cr4);
	assert_int_equal(registers.efer, cpu.msr_efer);
	assert_int_equal(registers.lstar, cpu.msr_lstar);
	assert_int_equal(registers.star, cpu.msr_star);
	assert_int_equal(registers.cstar, cpu.msr_cstar);
	assert_int_equal(registers.sysenter_eip, cpu.sysenter_eip);
	assert_true(registers.has_cstar && registers.has_sysenter);
	assert_int_equal(registers.gdt_base, cpu.gdtr_base);
	assert_int_equal(registers.tr, (uint16_t)cpu.tr_sel);
	assert_int_equal(registers.ldtr, (uint16_t)cpu.ldtr_sel);
	assert_int_equal(registers.fs_base, cpu.fs_base);
	assert_int_equal(registers.gs_base, cpu.gs_base);
	assert_int_equal(registers.kernel_gs_base, cpu.shadow_gs);
	assert_int_equal(registers.idt_base, cpu.idtr_base);
	assert_int_equal(registers.dr[0], cpu.dr0);
	assert_int_equal(registers.dr[3], cpu.dr3);
	assert_int_equal(registers.dr[5], 0);
	assert_int_equal(registers.dr[6], cpu.dr6);
	assert_int_equal(registers.dr[7], cpu.dr7);
	assert_int_equal(registers.cs, (uint16_t)cpu.cs_sel);
	assert_int_equal(registers.ds, (uint16_t)cpu.ds_sel);
	assert_int_equal(registers.es, (uint16_t)cpu.es_sel);
	assert_int_equal(registers.fs, (uint16_t)cpu.fs_sel);
	assert_int_equal(registers.gs, (uint16_t)cpu.gs_sel);
	assert_int_equal(registers.ss, (uint16_t)cpu.ss_sel);
	assert_true(registers.has_efer && registers.has_cr2 && registers.has_syscall);
	assert_true(registers.has_star && registers.has_segments && registers.has_debug);
}

#define SELECTORS(regs, cpu)                                                                       \
	do {                                                                                       \
		assert_int_equal((regs).cs, (cpu)->cs);                                            \
		assert_int_equal((regs).ss, (cpu)->ss.selector);                                   \
		assert_int_equal((regs).es, (cpu)->es.selector);                                   \
		assert_int_equal((regs).ds, (cpu)->ds.selector);                                   \
		assert_int_equal((regs).fs, (cpu)->fs.selector);                                   \
		assert_int_equal((regs).gs, (cpu)->gs.selector);                                   \
		assert_int_equal((regs).dr[0], (cpu)->debugreg[0]);                                \
		assert_int_equal((regs).dr[4], 0);                                                 \
		assert_int_equal((regs).dr[7], (cpu)->debugreg[7]);                                \
		assert_int_equal((regs).cr2, (cpu)->ctrlreg[2]);                                   \
	} while (0)

static void test_pv(void **state)
{
	struct context64 cpu;
	struct x86_registers registers;

	(void)state;
	number(&cpu, sizeof(cpu));
	cpu.flags = XEN_PV_IN_KERNEL;
	registers = xen_cpu_from_context((const uint8_t *)&cpu, XEN_GUEST_PV);
	GENERAL_64(registers, &cpu);
	SELECTORS(registers, &cpu);
	assert_int_equal(registers.cr0, cpu.ctrlreg[0] | 0x80000001);
	assert_int_equal(registers.cr3, cpu.ctrlreg[3]);
	assert_int_equal(registers.cr4, (cpu.ctrlreg[4] | 0x20) & ~(uint64_t)0x1000);
	assert_int_equal(registers.efer, 0xd01);
	assert_int_equal(registers.lstar, cpu.syscall_callback);
	assert_int_equal(registers.fs_base, cpu.fs_base);
	assert_int_equal(registers.gs_base, cpu.gs_base_kernel);
	assert_int_equal(registers.kernel_gs_base, cpu.gs_base_user);
	cpu.flags = 0;
	registers = xen_cpu_from_context((const uint8_t *)&cpu, XEN_GUEST_PV);
	assert_int_equal(registers.gs_base, cpu.gs_base_user);
	assert_int_equal(registers.kernel_gs_base, cpu.gs_base_kernel);
	/* An HVM guest's: nothing is prescribed, long mode is concluded. */
	cpu.ctrlreg[0] = 0x80050033;
	cpu.ctrlreg[4] = 0x6f0;
	registers = xen_cpu_from_context((const uint8_t *)&cpu, XEN_GUEST_HVM);
	assert_int_equal(registers.cr0, 0x80050033);
	assert_int_equal(registers.efer, 0x500);
	assert_false(registers.has_syscall);
	memset(&cpu, 0, offsetof(struct context64, traps));
	memset(&cpu.fs_base, 0, 24);
	registers = xen_cpu_from_context((const uint8_t *)&cpu, XEN_GUEST_HVM);
	assert_int_equal(registers.efer, 0);
}

static void test_pv32(void **state)
{
	struct context32 cpu;
	struct x86_registers registers;

	(void)state;
	number(&cpu, sizeof(cpu));
	cpu.ctrlreg[3] = 0x45678123;
	registers = xen_cpu_from_context((const uint8_t *)&cpu, XEN_GUEST_PV32);
	GENERAL(registers, &cpu, e);
	SELECTORS(registers, &cpu);
	assert_int_equal(registers.r8, 0);
	assert_int_equal(registers.cr0, cpu.ctrlreg[0] | 0x80000001);
	assert_int_equal(registers.cr3, 0x12345678000);
	assert_int_equal(registers.cr4, cpu.ctrlreg[4] | 0x20);
	assert_int_equal(registers.efer, 0);
	assert_true(registers.has_efer && registers.has_debug);
	assert_false(registers.has_segments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hvm),
	    cmocka_unit_test(test_pv),
	    cmocka_unit_test(test_pv32),
	};

	return cmocka_run_group_tests_name("xen_cpu", tests, NULL, NULL);
}
