/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decodes vCPU records of Xen, both of running guests (hypercalls getvcpucontext, gethvmcontext)
 * and of saved ones (.xen_prstatus, records of a save stream). Pure functions; layout.h has the
 * offsets.
 *
 * Sources: Xen's public/arch-x86/xen.h, xen-x86_64.h and xen-x86_32.h (struct vcpu_guest_context),
 * public/arch-x86/hvm/save.h (struct hvm_hw_cpu), arch_get_info_guest() in xen/arch/x86/domctl.c.
 * None of these layouts has changed since 4.6.
 */
#ifndef NUNCHI_TARGET_XEN_CPU_H
#define NUNCHI_TARGET_XEN_CPU_H

#include "arch/x86/registers.h"

enum xen_guest_kind { XEN_GUEST_PV, XEN_GUEST_PV32, XEN_GUEST_HVM };

/*
 * Decodes a struct hvm_hw_cpu, of which every version of Xen writes at least XEN_HVM_CPU_LEAST
 * bytes, up to EFER. It contains all of struct x86_registers.
 */
struct x86_registers xen_cpu_from_hvm(const uint8_t *record);

/*
 * Decodes a struct vcpu_guest_context of XEN_PV_CPU_SIZE bytes, or XEN_PV32_CPU_SIZE for
 * XEN_GUEST_PV32. Registers of a PV guest that the record lacks have values that Xen prescribes:
 * paging is enabled with four levels (PAE for 32 bits). For an HVM guest, for which dump-core
 * writes the same record, long mode is assumed if a register has more than 32 bits. CR3 of a PV
 * guest is converted to the address of its kernel's page table, and lstar is the entry point that
 * the guest registered with Xen.
 */
struct x86_registers xen_cpu_from_context(const uint8_t *context, enum xen_guest_kind kind);

#endif
