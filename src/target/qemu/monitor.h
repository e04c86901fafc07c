/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What commands of QEMU's human monitor print, other than `info mtree`. Pure.
 */
#ifndef NUNCHI_TARGET_QEMU_MONITOR_H
#define NUNCHI_TARGET_QEMU_MONITOR_H

#include "arch/x86/registers.h"
#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

/*
 * `info registers` of one vCPU, in long mode ("RIP=", 16 digits) or not ("EIP=", 8 digits). QEMU
 * prints neither LSTAR, STAR nor the base of GS that SWAPGS would load.
 * Source: x86_cpu_dump_state() in QEMU's target/i386/cpu-dump.c (helper.c before 5.1).
 */
struct nunchi_error *monitor_parse_registers(const char *text, size_t size, unsigned vcpu,
					     struct x86_registers *ret);

/*
 * `gpa2hva 0xADDRESS`: where those bytes are in QEMU's own address space, and in which region.
 * NUNCHI_ERROR_FAULT if there is no RAM. Source: hmp_gpa2hva() in QEMU's monitor code, 2.10 on.
 */
struct nunchi_error *monitor_parse_gpa2hva(const char *text, size_t size, uint64_t address,
					   uint64_t *ret);

/*
 * `xp /Ngx ADDRESS`: N little-endian words of 8 bytes from there, size = 8 * N bytes in all, or
 * NUNCHI_ERROR_FAULT. Source: memory_dump() in QEMU's monitor code.
 */
struct nunchi_error *monitor_parse_xp(const char *text, size_t text_size, uint64_t address,
				      void *buffer, size_t size);

#endif
