/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPU records of Xen, of running guests (hypercalls getvcpucontext, gethvmcontext) and saved ones
 * (.xen_prstatus, records of a save stream) alike. Pure functions; layout.h has the offsets.
 *
 * Sources: Xen's public/arch-x86/xen.h, xen-x86_64.h and xen-x86_32.h (struct vcpu_guest_context),
 * public/arch-x86/hvm/save.h (struct hvm_hw_cpu), arch_get_info_guest() in xen/arch/x86/domctl.c;
 * none of these layouts has changed from 4.6 on.
 */
#ifndef NUNCHI_TARGET_XEN_CPU_H
#define NUNCHI_TARGET_XEN_CPU_H

#include "arch/x86/registers.h"

enum xen_guest_kind { XEN_GUEST_PV, XEN_GUEST_PV32, XEN_GUEST_HVM };

/*
 * Decodes a struct hvm_hw_cpu, of which every Xen writes XEN_HVM_CPU_LEAST bytes: up to EFER. All
 * of struct x86_registers is there.
 */
struct x86_registers xen_cpu_from_hvm(const uint8_t *record);

/*
 * Decodes a struct vcpu_guest_context of XEN_PV_CPU_SIZE bytes, for XEN_GUEST_PV32 of
 * XEN_PV32_CPU_SIZE. What it does not hold of a PV guest Xen prescribes: paging is on, on four
 * levels (PAE for 32 bits). Of an HVM guest, whose record dump-core writes so too, long mode is
 * concluded where a register has more than 32 bits. CR3 of a PV guest is unfolded to the address of
 * its kernel's page table, and lstar is the address that Xen was told to enter at.
 */
struct x86_registers xen_cpu_from_context(const uint8_t *context, enum xen_guest_kind kind);

#endif
