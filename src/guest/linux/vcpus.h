/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the vCPUs' registers say: to which kernel images their page tables lead. */
#ifndef NUNCHI_GUEST_LINUX_VCPUS_H
#define NUNCHI_GUEST_LINUX_VCPUS_H

#include "arch/x86/registers.h"
#include "core/buffer.h"
#include "guest/linux/image.h"
#include "target/target.h"

/* An image to which the page table of a vCPU leads. */
struct linux_lead {
	struct x86_paging paging;
	struct linux_image image;
	const char *how; /* static */
};

struct linux_vcpu {
	unsigned number;
	struct x86_registers registers;
	struct x86_paging paging; /* if is_paged */
	bool is_paged;
	/*
	 * The registers do not tell what runs: the vCPU is in system management mode, or the memory
	 * lacks its page table.
	 */
	bool is_unclear;
	struct linux_lead leads[2];
	size_t lead_count;
	/*
	 * It is halted in the first lead's image with interrupts off, so that only an NMI, INIT or
	 * SMI ends that: a kernel that panicked, or starts another one, leaves its other vCPUs so.
	 */
	bool is_parked;
};

#define LINUX_MAX_VCPUS 1024

/*
 * The number of vCPUs whose registers are looked at, at most LINUX_MAX_VCPUS; 0 if the target has
 * no registers.
 */
unsigned linux_vcpu_count(const struct target *target);

/*
 * Reads the registers of a vCPU and follows its page table. False if it has no registers, because
 * it was never started.
 */
bool linux_vcpu_read(struct target *target, unsigned number, struct linux_vcpu *ret);

/*
 * Calls visit() for each vCPU that has registers, which are read by one request. False if memory is
 * short.
 */
bool linux_vcpus_each(struct target *target,
		      void (*visit)(const struct linux_vcpu *vcpu, void *data), void *data);

/* Whether the page table of a vCPU leads to the image (NULL: to any). */
bool linux_vcpu_leads_to(const struct linux_vcpu *vcpu, const struct linux_image *image);

/*
 * Whether the registers show that no vCPU runs the kernel with this image (NULL: any kernel): those
 * of at least one vCPU are known, and neither this one's page table nor that of any other leads to
 * the image, but perhaps those of parked vCPUs while this one executes something else. Appends to
 * text where a vCPU is instead ("vCPU 0 is at 0xfff0, paging off").
 */
bool linux_vcpus_deny(struct target *target, const struct linux_image *image, struct buffer *text);

#endif
