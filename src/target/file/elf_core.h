/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF core of a machine: QEMU's dump-guest-memory, with and without paging, virsh dump
 * --memory-only, makedumpfile -E, /proc/vmcore. 32 and 64 bits, little-endian, x86.
 *
 * p_paddr is what counts. With paging QEMU writes a segment per virtual mapping, so that one
 * physical range appears many times. What lies between p_filesz and p_memsz was not dumped: QEMU
 * where a mapping leaves RAM, makedumpfile where pages were excluded.
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
	uint64_t cut_off;       /* bytes of segments past the end of the file */
	struct extents extents; /* normalized */
	struct notes notes;
};

void elf_core_deinit(struct elf_core *core);
#define _cleanup_elf_core_ _cleanup_(elf_core_deinit)

/* True if the first size bytes of a file are those of an ELF file of any kind. */
bool elf_core_matches(const void *start, size_t size);

/*
 * Fails where the headers are damaged or describe no machine of ours. A file that merely ends too
 * early gives what is there; the rest is missing in the extents.
 */
struct nunchi_error *elf_core_parse(const struct source *source, struct elf_core *ret);

#endif
