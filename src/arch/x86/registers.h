/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registers of one vCPU. A target fills what it has and sets the flags of those; the others are
 * 0. Of a vCPU in 32-bit mode the high halves are 0.
 */
#ifndef NUNCHI_ARCH_X86_REGISTERS_H
#define NUNCHI_ARCH_X86_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

struct x86_registers {
	bool has_general;   /* rax to r15 but rsp, and rflags */
	bool has_rip;       /* rip and rsp */
	bool has_selectors; /* cs to ldtr */
	bool has_segments;  /* fs_base and gs_base */
	bool has_kernel_gs; /* kernel_gs_base */
	bool has_gdt;       /* gdt_base */
	bool has_idt;       /* idt_base */
	bool has_cr2;
	bool has_efer;
	bool has_syscall; /* lstar */
	bool has_star;
	bool has_cstar;
	bool has_sysenter; /* sysenter_eip */
	bool has_debug;    /* dr[0] to dr[3], dr[6] and dr[7] */
	/* In system management mode; the registers are the firmware's. False if not known. */
	bool in_smm;

	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rflags;
	uint64_t rip, rsp;
	/* Always there: without them no address could be translated. */
	uint64_t cr0, cr3, cr4;
	uint64_t cr2;
	uint64_t efer;
	uint16_t cs, ss, ds, es, fs, gs, tr, ldtr;
	/* The base that GS has now, and the other one, which SWAPGS puts in its place. */
	uint64_t fs_base, gs_base, kernel_gs_base;
	uint64_t gdt_base, idt_base;
	uint64_t lstar; /* where SYSCALL of 64-bit code enters the kernel */
	uint64_t star;  /* the selectors that SYSCALL and SYSRET load */
	uint64_t
	    cstar; /* where SYSCALL of 32-bit code enters a 64-bit kernel, on AMD's processors */
	uint64_t sysenter_eip; /* where SYSENTER enters the kernel */
	uint64_t dr[8];
};

#endif
