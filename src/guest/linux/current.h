/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the registers of a vCPU say of the code that runs on it: the task, and the arguments of a
 * function that is about to begin. Sources: arch/x86/include/asm/current.h, the System V ABI, and
 * -mregparm=3 of arch/x86/Makefile for kernels of 32 bits.
 */
#ifndef NUNCHI_GUEST_LINUX_CURRENT_H
#define NUNCHI_GUEST_LINUX_CURRENT_H

#include "arch/x86/registers.h"
#include "guest/linux/linux.h"

/* Arguments of a function that are passed as a whole, the first ones in registers. */
#define LINUX_MAX_ARGUMENTS 6

/* Fails unless the kernel has the variable that linux_current() reads. */
struct nunchi_error *linux_current_check(struct linux_kernel *kernel);
/*
 * Gets the address of the task that runs on the vCPU with these registers, which executes code of
 * the kernel.
 */
enum read_result linux_current(struct linux_kernel *kernel, const struct x86_registers *registers,
			       uint64_t *ret);
/* Gets argument i, from 0, of the function at whose first instruction the vCPU is. */
enum read_result linux_argument(struct linux_kernel *kernel, const struct x86_registers *registers,
				unsigned i, uint64_t *ret);
/* The same for a function with a variable number of arguments, as printf() has. */
enum read_result linux_variadic_argument(struct linux_kernel *kernel,
					 const struct x86_registers *registers, unsigned i,
					 uint64_t *ret);
/* Gets the address to which that function returns. */
enum read_result linux_return_address(struct linux_kernel *kernel,
				      const struct x86_registers *registers, uint64_t *ret);
/* The value that a function has returned, of the guest's word size: a number, sign-extended. */
int64_t linux_returned(const struct linux_kernel *kernel, const struct x86_registers *registers);
/* The same as an address. */
uint64_t linux_returned_address(const struct linux_kernel *kernel,
				const struct x86_registers *registers);

#endif
