/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/current.h"

#include "guest/linux/machine.h"

/* The per-CPU variable with the task that runs; 0 if the kernel has none that is known. */
static uint64_t current_variable(struct linux_kernel *kernel)
{
	const struct field *field = &kernel->layout.pcpu_hot_current_task;

	if (kernel->symbol[LINUX_current_task])
		return kernel->symbol[LINUX_current_task];
	if (!kernel->symbol[LINUX_pcpu_hot] || !linux_has_field(kernel, field))
		return 0;
	return kernel->symbol[LINUX_pcpu_hot] + field->offset;
}

struct nunchi_error *linux_current_check(struct linux_kernel *kernel)
{
	if (current_variable(kernel))
		return NULL;
	return error_hint(
	    error_create(NUNCHI_ERROR_UNSUPPORTED,
			 "this kernel's table of symbols has neither current_task nor "
			 "pcpu_hot, so it is unknown which process an event belongs "
			 "to"),
	    "give its System.map by --symbols FILE: a kernel built without "
	    "CONFIG_KALLSYMS_ALL does not know its variables");
}

enum read_result linux_current(struct linux_kernel *kernel, const struct x86_registers *registers,
			       uint64_t *ret)
{
	uint64_t variable = current_variable(kernel), base = 0;

	if (!variable)
		return READ_NO_SYMBOL;
	/*
	 * The base of the segment is the CPU's area, if the addresses of per-CPU variables begin at
	 * 0 (until 6.14), or its distance from the image. A kernel for one CPU has neither.
	 */
	if (linux_is_smp(kernel))
		base = kernel->word_size == 8 ? registers->gs_base : registers->fs_base;
	variable += base;
	return linux_read_word(kernel, kernel->word_size == 8 ? variable : (uint32_t)variable, ret);
}

enum read_result linux_argument(struct linux_kernel *kernel, const struct x86_registers *registers,
				unsigned i, uint64_t *ret)
{
	const uint64_t wide[LINUX_MAX_ARGUMENTS] = {registers->rdi, registers->rsi, registers->rdx,
						    registers->rcx, registers->r8,  registers->r9};
	const uint64_t narrow[] = {registers->rax, registers->rdx, registers->rcx};

	if (i >= LINUX_MAX_ARGUMENTS)
		return READ_LIMIT;
	if (kernel->word_size == 8) {
		*ret = wide[i];
		return READ_OK;
	}
	if (i < ARRAY_SIZE(narrow)) {
		*ret = (uint32_t)narrow[i];
		return READ_OK;
	}
	/* Behind the return address. */
	return linux_read_word(kernel, registers->rsp + 4 * (1 + i - ARRAY_SIZE(narrow)), ret);
}

enum read_result linux_variadic_argument(struct linux_kernel *kernel,
					 const struct x86_registers *registers, unsigned i,
					 uint64_t *ret)
{
	if (kernel->word_size == 8)
		return linux_argument(kernel, registers, i, ret);
	/* -mregparm does not concern them: all are behind the return address. */
	return linux_read_word(kernel, registers->rsp + 4 * (1 + i), ret);
}

enum read_result linux_return_address(struct linux_kernel *kernel,
				      const struct x86_registers *registers, uint64_t *ret)
{
	return linux_read_word(kernel, registers->rsp, ret);
}

int64_t linux_returned(const struct linux_kernel *kernel, const struct x86_registers *registers)
{
	return kernel->word_size == 8 ? (int64_t)registers->rax : (int32_t)registers->rax;
}

uint64_t linux_returned_address(const struct linux_kernel *kernel,
				const struct x86_registers *registers)
{
	return kernel->word_size == 8 ? registers->rax : (uint32_t)registers->rax;
}
