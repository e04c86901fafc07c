/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF core files of a machine: QEMU's dump-guest-memory, with and without paging, virsh dump
 * --memory-only, makedumpfile -E, /proc/vmcore. 32 and 64 bits, little-endian, x86.
 *
 * The address of a segment is p_paddr. With paging, QEMU writes a segment for each virtual mapping,
 * so that one physical range occurs many times. The bytes between p_filesz and p_memsz were not
 * dumped: QEMU writes such segments if a mapping extends beyond RAM, makedumpfile for excluded
 * pages.
 *
 * Sources: gABI chapters 4 and 5, QEMU's dump/dump.c, makedumpfile's IMPLEMENTATION.
 */
#ifndef NUNCHI_TARGET_FILE_ELF_CORE_H
#define NUNCHI_TARGET_FILE_ELF_CORE_H

#include "core/error.h"
#include "target/file/extents.h"
#include "target/file/notes.h"
#include "target/file/source.h"

#include <stdbool.h>
#include <stdint.h>

struct elf_core {
	uint64_t cut_off; /* bytes of segments that lie beyond the end of the file */
	/*
	 * Segments have virtual addresses of their own: the core holds what was mapped when it was
	 * written, and the guest may have more (QEMU's dump with paging, /proc/vmcore).
	 */
	bool is_mapped;
	struct extents extents; /* normalized */
	struct notes notes;
};

void elf_core_deinit(struct elf_core *core);
#define _cleanup_elf_core_ _cleanup_(elf_core_deinit)

/* Whether the first size bytes of a file are those of an ELF file of any kind. */
bool elf_core_matches(const void *start, size_t size);

/*
 * Parses the file. Fails if the headers are damaged or do not describe an x86 machine. If the file
 * only ends too early, the rest is marked as missing in the extents.
 */
struct nunchi_error *elf_core_parse(const struct source *source, struct elf_core *ret);

#endif
