/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registers of one vCPU that introspection uses. A target fills what it has.
 */
#ifndef NUNCHI_ARCH_X86_REGISTERS_H
#define NUNCHI_ARCH_X86_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

struct x86_registers {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t rip, rsp;
	uint64_t idt_base;
	uint64_t cr2;
	uint64_t lstar; /* where system calls enter the kernel */
	/* The base that GS has now, and the other one, which SWAPGS puts in its place. */
	uint64_t fs_base, gs_base, kernel_gs_base;
	bool has_efer;
	bool has_idt;
	bool has_rip; /* rip and rsp */
	bool has_cr2;
	bool has_syscall;  /* lstar */
	bool has_segments; /* fs_base, gs_base, kernel_gs_base */
};

#endif
