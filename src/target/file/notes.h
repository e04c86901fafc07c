/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF notes of a saved guest, in ELF cores and kdump files: registers of the vCPUs, and VMCOREINFO.
 *
 * Sources: include/linux/elfcore.h, arch/x86/include/uapi/asm/ptrace-abi.h (struct elf_prstatus)
 * and kernel/vmcore_info.c of Linux, QEMU's target/i386/arch_dump.c (struct QEMUCPUState).
 */
#ifndef NUNCHI_TARGET_FILE_NOTES_H
#define NUNCHI_TARGET_FILE_NOTES_H

#include "arch/x86/registers.h"
#include "core/cleanup.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTES_SIZE_LIMIT ((uint64_t)16 << 20)
#define NOTES_VCPU_LIMIT 4096

enum {
	NOTE_PRSTATUS = 1,
	PRSTATUS64_SIZE = 336, /* struct elf_prstatus of x86-64 */
	PRSTATUS32_SIZE = 144, /* struct elf_prstatus of i386 */
	QEMU_STATE_SIZE = 440, /* struct QEMUCPUState; before QEMU 3 it ended after cr[4] */
	QEMU_STATE_LEAST = 432,
	QEMU_STATE_VERSION = 1,
	/*
	 * nunchi's own note ("NUNCHI"), in snapshots of PV guests of Xen: 4 bytes, the enum
	 * target_frames of the addresses of segments and of those in page tables.
	 */
	NOTE_FRAMES = 1,
};

struct notes {
	/*
	 * One for each vCPU. cr0, cr3 and cr4 are 0 if only the general registers were saved (see
	 * has_control). No note contains EFER: its bits LME and LMA are derived from CR0, CR4 and
	 * the machine, its other bits are 0.
	 */
	struct x86_registers *vcpus;
	size_t vcpu_count;
	bool has_control;    /* there are QEMU's notes */
	bool machine_frames; /* nunchi's own note says that addresses are machine frames */
	bool long_mode;      /* there is an x86-64 PRSTATUS */
	char *vmcoreinfo;    /* with a NUL after vmcoreinfo_size bytes; NULL: none */
	size_t vmcoreinfo_size;
	/* The n-th note of a kind, counted over all segments, belongs to vCPU n. */
	size_t prstatus_count;
	size_t qemu_count;
	size_t size; /* total size of the segments parsed, at most NOTES_SIZE_LIMIT */
	/* a note extends beyond the end of its segment; the following notes were skipped */
	bool damaged;
};

void notes_deinit(struct notes *notes);
#define _cleanup_notes_ _cleanup_(notes_deinit)

/*
 * Adds the notes of a note segment; may be called for several segments. Fails only if memory is
 * short. Ignores notes beyond a total of NOTES_SIZE_LIMIT.
 */
struct nunchi_error *notes_parse(struct notes *notes, const void *bytes, size_t size);
/* Sets the VMCOREINFO text, if it is stored outside of the notes. */
struct nunchi_error *notes_set_vmcoreinfo(struct notes *notes, const void *bytes, size_t size);

/*
 * Writes a struct elf_prstatus of PRSTATUS64_SIZE or PRSTATUS32_SIZE bytes; ret must contain zeros.
 */
void notes_encode_prstatus(const struct x86_registers *registers, bool x86_64, unsigned vcpu,
			   uint8_t *ret);
/* Writes a struct QEMUCPUState of QEMU_STATE_SIZE bytes; ret must contain zeros. */
void notes_encode_qemu(const struct x86_registers *registers, uint8_t *ret);

/* Derives EFER, after all notes were parsed. x86_64: the file says that the machine is x86-64. */
void notes_conclude(struct notes *notes, bool x86_64);

#endif
