/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plain instructions of 64-bit mode: moves, arithmetic on integers, stack and conditional jumps,
 * which every emulator of x86 knows. Not among them are NOPs, unconditional jumps and calls, which
 * a kernel may rewrite while it runs.
 */
#ifndef NUNCHI_ARCH_X86_PLAIN_H
#define NUNCHI_ARCH_X86_PLAIN_H

#include <stddef.h>
#include <stdint.h>

/* The size of the instruction at the start of code, 0 if it is none of these or is cut off. */
unsigned x86_plain_size(const uint8_t *code, size_t size);

#endif
