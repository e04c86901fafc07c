/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's own symbol table, found and decoded from the bytes of its image. Every layout since
 * 4.6; settled by proofs in the data, never by version. Sources: scripts/kallsyms.c and
 * kernel/kallsyms.c of Linux 4.6 – 7.2.
 */
#ifndef NUNCHI_SYMBOLS_KALLSYMS_H
#define NUNCHI_SYMBOLS_KALLSYMS_H

#include "arch/address.h"
#include "core/error.h"
#include "symbols/symbol_index.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of a kernel image (all of it or its read-only data), contiguous. Borrowed. */
struct kernel_image {
	const uint8_t *data;
	size_t size;
	gva_t address;      /* of data[0]; a multiple of 8 */
	unsigned word_size; /* 8 or 4 bytes */
};

struct kallsyms;

/*
 * Finds and proves the tables in the image. The result borrows the image's bytes unless copied
 * (kallsyms_to_index() copies). NUNCHI_ERROR_NOT_FOUND, _AMBIGUOUS or _DATA say why not.
 */
struct nunchi_error *kallsyms_find(const struct kernel_image *image, struct kallsyms **ret);
void kallsyms_destroy(struct kallsyms *kallsyms);
uint32_t kallsyms_count(const struct kallsyms *kallsyms);
/* One line on the layout found, for `nunchi info`. Owned by kallsyms. */
const char *kallsyms_description(const struct kallsyms *kallsyms);

/*
 * Streams the names once, without an index, and gives the addresses of count names (0 where one is
 * missing; the first where it occurs several times). Where a name is missing, its only variant (see
 * symbol_variant.h) is taken for it. For a fast attach.
 */
struct nunchi_error *kallsyms_lookup(const struct kallsyms *kallsyms, const char *const *names,
				     size_t count, uint64_t *ret_addresses);
/*
 * Gives the same bytes at another place of our memory, for bytes that do not stay where they were
 * when kallsyms_find() read them. NUNCHI_ERROR_DATA if there are fewer of them now.
 */
struct nunchi_error *kallsyms_set_image(struct kallsyms *kallsyms,
					const struct kernel_image *image);
/* All symbols, for lookups both ways. */
struct nunchi_error *kallsyms_to_index(const struct kallsyms *kallsyms, struct symbol_index **ret);

#endif
