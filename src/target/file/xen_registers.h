/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers of vCPUs from the data that Xen's tools save of a guest.
 *
 * Sources: Xen's public/arch-x86/xen.h, xen-x86_64.h and xen-x86_32.h (struct vcpu_guest_context),
 * public/hvm/save.h and public/arch-x86/hvm/save.h (struct hvm_save_descriptor, struct hvm_hw_cpu),
 * arch_get_info_guest() in xen/arch/x86/domctl.c. None of these layouts has changed since 4.6.
 */
#ifndef NUNCHI_TARGET_FILE_XEN_REGISTERS_H
#define NUNCHI_TARGET_FILE_XEN_REGISTERS_H

#include "core/cleanup.h"
#include "core/error.h"
#include "target/xen/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limit of the vCPUs, greater than that of any Xen (HVM_MAX_VCPUS, MAX_VIRT_CPUS). */
#define XEN_VCPU_LIMIT 8192

enum {
	XEN_HVM_CODE_END = 0, /* types of entries in an HVM context */
	XEN_HVM_CODE_CPU = 2,
	XEN_HVM_DESCRIPTOR_SIZE = 8, /* type, instance, length */
};

/* "a PV" or "an HVM or PVH" (the file does not distinguish these two). Static storage. */
const char *xen_guest_kind_string(enum xen_guest_kind kind);

/*
 * The vCPUs by number. One that was offline when the guest was saved has no registers (has_rip is
 * false).
 */
struct xen_vcpus {
	struct x86_registers *items;
	size_t count;
};

void xen_vcpus_deinit(struct xen_vcpus *vcpus);
#define _cleanup_xen_vcpus_ _cleanup_(xen_vcpus_deinit)

/* Sets vCPU n. Fails if memory is short, or if n is XEN_VCPU_LIMIT or more. */
struct nunchi_error *xen_vcpus_set(struct xen_vcpus *vcpus, size_t n,
				   const struct x86_registers *registers);

/* The size of struct vcpu_guest_context for a guest, in bytes. */
size_t xen_context_size(enum xen_guest_kind kind);
/*
 * Reads the vCPUs from an HVM context (hypercall gethvmcontext, record HVM_CONTEXT). *ret_whole is
 * false if the context is damaged or cut off; the vCPUs before that are kept. Fails only if memory
 * is short.
 */
struct nunchi_error *xen_hvm_context_decode(const uint8_t *bytes, size_t size,
					    struct xen_vcpus *vcpus, bool *ret_whole);

#endif
