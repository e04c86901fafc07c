/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page-table roots under which a kernel may lie, from the surest source to the last resort. A root
 * is only a candidate: linux_kernel_attach() demands witnesses.
 */
#ifndef NUNCHI_GUEST_LINUX_ROOTS_H
#define NUNCHI_GUEST_LINUX_ROOTS_H

#include "core/cancel.h"
#include "guest/linux/image.h"
#include "target/target.h"

struct linux_root {
	struct x86_paging paging;
	struct linux_image image;
	const char *how;     /* static */
	uint64_t note_stext; /* where a VMCOREINFO note that led here says _stext is, or 0 */
};

#define LINUX_MAX_ROOTS 32

struct linux_roots {
	struct linux_root items[LINUX_MAX_ROOTS]; /* distinct images */
	size_t count;
};

enum linux_root_source {
	LINUX_ROOTS_REGISTERS,  /* CR3 of the vCPUs */
	LINUX_ROOTS_TRAMPOLINE, /* the real-mode trampoline's page table in the first megabyte */
	LINUX_ROOTS_VMCOREINFO, /* the note that the file or hypervisor hands over */
	LINUX_ROOTS_DATA,       /* .data's 2 MiB boundary, by the end-of-stack magic */
	LINUX_ROOTS_NOTE_SCAN,  /* VMCOREINFO at page starts */
	LINUX_ROOTS_PAE_SCAN,   /* the directory pointers of a 32-bit kernel's own page table */
	LINUX_ROOT_SOURCE_COUNT
};

/*
 * Adds the candidates of one source; ends early when cancelled. Where addresses are machine frames
 * (enum target_frames) only the vCPUs' page tables are one.
 */
void linux_roots_collect(struct linux_roots *roots, struct target *target,
			 enum linux_root_source source, const struct cancel *cancel);

/*
 * Whether the vCPUs' page tables lead to another image than that one, and none of them to it. False
 * where they cannot be asked, or are in firmware or in a guest of the guest.
 */
bool linux_roots_contradict(struct target *target, const struct linux_image *image);

#endif
