/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses the output of commands of QEMU's human monitor, except `info mtree`. Pure functions. */
#ifndef NUNCHI_TARGET_QEMU_MONITOR_H
#define NUNCHI_TARGET_QEMU_MONITOR_H

#include "arch/x86/registers.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Parses `info registers` of one vCPU in long mode ("RIP=", 16 digits) or in another mode ("EIP=",
 * 8 digits). QEMU prints neither LSTAR and STAR nor the base of GS that SWAPGS would load. Source:
 * x86_cpu_dump_state() in QEMU's target/i386/cpu-dump.c (helper.c before 5.1).
 */
struct nunchi_error *monitor_parse_registers(const char *text, size_t size, unsigned vcpu,
					     struct x86_registers *ret);

/*
 * Parses `info registers -a` for the first `count` vCPUs; *ret_known tells which of them are there.
 */
void monitor_parse_all_registers(const char *text, size_t size, unsigned count,
				 struct x86_registers *ret, bool *ret_known);

/*
 * Parses `gpa2hva 0xADDRESS`: the address of these bytes in QEMU's process. NUNCHI_ERROR_FAULT if
 * there is no RAM at the address. Source: hmp_gpa2hva() in QEMU's monitor code, since 2.10.
 */
struct nunchi_error *monitor_parse_gpa2hva(const char *text, size_t size, uint64_t address,
					   uint64_t *ret);

/*
 * Parses `xp /Ngx ADDRESS`: N little-endian words of 8 bytes, size = 8 * N bytes in all.
 * NUNCHI_ERROR_FAULT if the address cannot be read. Source: memory_dump() in QEMU's monitor code.
 */
struct nunchi_error *monitor_parse_xp(const char *text, size_t text_size, uint64_t address,
				      void *buffer, size_t size);

#endif
