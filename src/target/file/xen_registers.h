/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPU registers out of what Xen's tools save of a guest.
 *
 * Sources: Xen's public/arch-x86/xen.h, xen-x86_64.h and xen-x86_32.h (struct vcpu_guest_context),
 * public/hvm/save.h and public/arch-x86/hvm/save.h (struct hvm_save_descriptor, struct hvm_hw_cpu),
 * arch_get_info_guest() in xen/arch/x86/domctl.c; none of these layouts has changed from 4.6 on.
 */
#ifndef NUNCHI_TARGET_FILE_XEN_REGISTERS_H
#define NUNCHI_TARGET_FILE_XEN_REGISTERS_H

#include "arch/x86/registers.h"
#include "core/cleanup.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than any Xen allows (HVM_MAX_VCPUS, MAX_VIRT_CPUS). */
#define XEN_VCPU_LIMIT 8192

enum {
	XEN_CONTEXT_SIZE = 5168,   /* struct vcpu_guest_context of a 64-bit guest, and of any HVM */
	XEN_CONTEXT32_SIZE = 2800, /* that of a 32-bit PV guest */
	XEN_HVM_CPU_SIZE = 1000,   /* of struct hvm_hw_cpu what every Xen writes: up to EFER */
	XEN_HVM_CODE_END = 0,      /* types of entries in an HVM context */
	XEN_HVM_CODE_CPU = 2,
	XEN_HVM_DESCRIPTOR_SIZE = 8, /* type, instance, length */
};

enum xen_guest_kind { XEN_GUEST_PV, XEN_GUEST_PV32, XEN_GUEST_HVM };
/* "a PV", "an HVM or PVH" (the file does not tell these two apart). Static. */
const char *xen_guest_kind_string(enum xen_guest_kind kind);

/*
 * The vCPUs by their number. One that was offline when the guest was saved has no registers
 * (has_rip is false).
 */
struct xen_vcpus {
	struct x86_registers *items;
	size_t count;
};

void xen_vcpus_deinit(struct xen_vcpus *vcpus);
#define _cleanup_xen_vcpus_ _cleanup_(xen_vcpus_deinit)

/* Sets vCPU n. Fails for memory, or where n is XEN_VCPU_LIMIT or more. */
struct nunchi_error *xen_vcpus_set(struct xen_vcpus *vcpus, size_t n,
				   const struct x86_registers *registers);

/* How many bytes of struct vcpu_guest_context a guest has. */
size_t xen_context_size(enum xen_guest_kind kind);
/*
 * Decodes that many bytes. It does not hold EFER: that a PV guest is in long mode is known, and of
 * an HVM guest concluded where a register has more than 32 bits. CR3 of a PV guest is unfolded to
 * the address of its page table.
 */
struct x86_registers xen_context_decode(const uint8_t *context, enum xen_guest_kind kind);

/*
 * Takes the vCPUs out of an HVM context (hypercall gethvmcontext, record HVM_CONTEXT). False if it
 * is damaged or cut off; what came before is taken. Fails for memory alone.
 */
struct nunchi_error *xen_hvm_context_decode(const uint8_t *bytes, size_t size,
					    struct xen_vcpus *vcpus, bool *ret_whole);

#endif
