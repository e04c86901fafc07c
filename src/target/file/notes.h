/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF notes of a saved guest, in ELF cores and kdump files alike: vCPU registers and VMCOREINFO.
 *
 * Sources: the kernel's include/linux/elfcore.h and arch/x86/include/uapi/asm/ptrace-abi.h (struct
 * elf_prstatus), QEMU's target/i386/arch_dump.c (struct QEMUCPUState), the kernel's
 * kernel/vmcore_info.c.
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
	QEMU_STATE_SIZE = 440, /* struct QEMUCPUState; before QEMU 3 it ended with cr[4] */
	QEMU_STATE_LEAST = 432,
	QEMU_STATE_VERSION = 1,
	/*
	 * Our own ("NUNCHI"), in snapshots of PV guests of Xen: 4 bytes, enum target_frames of the
	 * segments' addresses and of those in the page tables.
	 */
	NOTE_FRAMES = 1,
};

struct notes {
	/*
	 * One a vCPU. cr0, cr3 and cr4 are 0 where only the general registers were saved
	 * (has_control). EFER is in no note: its LME and LMA are concluded from CR0, CR4 and the
	 * machine, its other bits are 0.
	 */
	struct x86_registers *vcpus;
	size_t vcpu_count;
	bool has_control;    /* QEMU's notes are there */
	bool machine_frames; /* our own note says so */
	bool long_mode;      /* an x86-64 PRSTATUS is there */
	char *vmcoreinfo;    /* NUL added after vmcoreinfo_size bytes; NULL: none */
	size_t vmcoreinfo_size;
	/* The n-th note of each kind is of vCPU n, over all segments. */
	size_t prstatus_count;
	size_t qemu_count;
	size_t size;  /* of the segments parsed, NOTES_SIZE_LIMIT at most */
	bool damaged; /* a note ran over the end: what follows was left out */
};

void notes_deinit(struct notes *notes);
#define _cleanup_notes_ _cleanup_(notes_deinit)

/*
 * Adds the notes of one note segment; may be called again for another. Only fails for memory. Past
 * NOTES_SIZE_LIMIT in all, no more are taken.
 */
struct nunchi_error *notes_parse(struct notes *notes, const void *bytes, size_t size);
/* Takes VMCOREINFO text that stands outside of notes. */
struct nunchi_error *notes_set_vmcoreinfo(struct notes *notes, const void *bytes, size_t size);

/* Writes a struct elf_prstatus of PRSTATUS64_SIZE or PRSTATUS32_SIZE bytes, zeroed before. */
void notes_encode_prstatus(const struct x86_registers *registers, bool x86_64, unsigned vcpu,
			   uint8_t *ret);
/* Writes a struct QEMUCPUState of QEMU_STATE_SIZE bytes, zeroed before. */
void notes_encode_qemu(const struct x86_registers *registers, uint8_t *ret);

/* Concludes EFER, once all notes are parsed. x86_64: what the file says of the machine. */
void notes_conclude(struct notes *notes, bool x86_64);

#endif
