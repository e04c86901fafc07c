/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the probes of system calls share. The functions __x64_sys_NAME(registers) and
 * __ia32_sys_NAME(registers), the second for programs of 32 bits, are there since 4.17, in kernels
 * of 32 bits since 5.7: arch/x86/include/asm/syscall_wrapper.h.
 */
#ifndef NUNCHI_PROBE_LINUX_CALL_H
#define NUNCHI_PROBE_LINUX_CALL_H

#include "probe/linux_hit.h"

/* Two hooks, at the functions of the system call `name`. */
#define CALL_HOOKS(name, enter, leave)                                                             \
	{"__x64_sys_" name, enter, leave, .optional = true},                                       \
	{                                                                                          \
		"__ia32_sys_" name, enter, leave, .optional = true, .narrow = true                 \
	}

#define CALL_MAX_ARGUMENTS 6
/* Numbers of system calls by x32 have it: programs of 64 bits with pointers of 32. */
#define CALL_X32_BIT 0x40000000

/*
 * Reads argument i of a system call from a struct pt_regs. narrow: that of a program of 32 bits,
 * whose arguments are in other registers.
 */
enum read_result hit_register(const struct probe_hit *hit, uint64_t registers, bool narrow,
			      unsigned i, uint64_t *ret);
/* Argument i of the system call at whose function of CALL_HOOKS() the hit is; 0 if unreadable. */
uint64_t hit_call_argument(const struct probe_hit *hit, unsigned i);
/*
 * Set the cells for what a system call returned: its result, absent if it failed, and 0 or the
 * errno. hit_returned() takes the number that the function has returned, a long.
 */
void hit_result(struct probe_hit *hit, unsigned result, unsigned status, int64_t value);
void hit_returned(struct probe_hit *hit, unsigned result, unsigned status);

#endif
