/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Candidates for the root of the kernel's page table, from several sources, in the order of their
 * reliability. linux_kernel_attach() then confirms a candidate by witnesses.
 */
#ifndef NUNCHI_GUEST_LINUX_ROOTS_H
#define NUNCHI_GUEST_LINUX_ROOTS_H

#include "core/cancel.h"
#include "guest/linux/image.h"
#include "symbols/vmcoreinfo.h"
#include "target/target.h"

struct linux_root {
	struct x86_paging paging;
	struct linux_image image;
	const char *how; /* static */
	/* address of _stext according to the VMCOREINFO note that led to this root, or 0 */
	uint64_t note_stext;
	bool by_vcpu;  /* CR3 of a vCPU led to it */
	bool runs;     /* and one of these vCPUs is not parked (struct linux_vcpu) */
	unsigned vcpu; /* number of such a vCPU, if any, otherwise of a parked one */
};

#define LINUX_MAX_ROOTS 32

struct linux_roots {
	struct linux_root items[LINUX_MAX_ROOTS]; /* with different images */
	size_t count;
};

enum linux_root_source {
	LINUX_ROOTS_REGISTERS,  /* CR3 of the vCPUs */
	LINUX_ROOTS_TRAMPOLINE, /* page table of the real-mode trampoline in the first megabyte */
	LINUX_ROOTS_VMCOREINFO, /* the VMCOREINFO note that the file or hypervisor provides */
	/* start of .data at a multiple of 2 MiB, found by the end-of-stack magic number */
	LINUX_ROOTS_DATA,
	LINUX_ROOTS_NOTE_SCAN, /* VMCOREINFO notes at the start of pages */
	LINUX_ROOTS_SCAN_32,   /* the page directory of a 32-bit kernel */
	LINUX_ROOT_SOURCE_COUNT
};

/*
 * Adds the candidates of one source; ends early if cancelled. If the addresses are machine frames
 * (enum target_frames), only the vCPUs' page tables are a usable source.
 */
void linux_roots_collect(struct linux_roots *roots, struct target *target,
			 enum linux_root_source source, const struct cancel *cancel);

/* Adds the root that a VMCOREINFO note leads to. `how` is static. */
void linux_roots_add_note(struct linux_roots *roots, struct memory *memory,
			  const struct vmcoreinfo *info, const char *how);

/* Whether a vCPU that is not parked is among those that led to the image. */
bool linux_roots_run(const struct linux_roots *roots, const struct linux_image *image);

/*
 * Whether the page tables of the vCPUs lead to another image, and none of them to this one, or only
 * those of parked vCPUs. False if the vCPUs cannot be read, or are in firmware or in a nested
 * guest.
 */
bool linux_roots_contradict(struct target *target, const struct linux_image *image);

#endif
