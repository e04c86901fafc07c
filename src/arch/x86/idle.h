/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Instructions without effect, with which the kernel's functions begin: NOPs, and ENDBR. */
#ifndef NUNCHI_ARCH_X86_IDLE_H
#define NUNCHI_ARCH_X86_IDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The size of the instruction at the start of code if it is without effect, else 0. tracked: the
 * processor waits for ENDBR behind an indirect branch, so that it must be executed.
 */
unsigned x86_idle_size(const uint8_t *code, size_t size, bool tracked);

/* The size of ENDBR, and of the NOP that is written over it. */
#define X86_MARK_SIZE 4

/*
 * X86_MARK_SIZE if the code, of at least as many bytes, begins with ENDBR or with the NOP that the
 * kernel writes over an ENDBR to which no indirect branch may lead; else 0. Source:
 * gen_endbr_poison() of arch/x86/include/asm/ibt.h, up to 6.13 and since 6.14.
 */
unsigned x86_mark_size(const uint8_t *code);

#endif
