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

#include "core/cleanup.h"
#include "core/error.h"
#include "target/xen/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than any Xen allows (HVM_MAX_VCPUS, MAX_VIRT_CPUS). */
#define XEN_VCPU_LIMIT 8192

enum {
	XEN_HVM_CODE_END = 0, /* types of entries in an HVM context */
	XEN_HVM_CODE_CPU = 2,
	XEN_HVM_DESCRIPTOR_SIZE = 8, /* type, instance, length */
};

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
 * Takes the vCPUs out of an HVM context (hypercall gethvmcontext, record HVM_CONTEXT). False if it
 * is damaged or cut off; what came before is taken. Fails for memory alone.
 */
struct nunchi_error *xen_hvm_context_decode(const uint8_t *bytes, size_t size,
					    struct xen_vcpus *vcpus, bool *ret_whole);

#endif
