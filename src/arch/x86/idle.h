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

#endif
