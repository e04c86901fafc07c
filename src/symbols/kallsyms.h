/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds and decodes the kernel's own symbol table (kallsyms) in the bytes of its image. Supports
 * every layout since Linux 4.6. The layout is determined by checking the data, never by the
 * version. Sources: scripts/kallsyms.c and kernel/kallsyms.c of Linux 4.6 – 7.2.
 */
#ifndef NUNCHI_SYMBOLS_KALLSYMS_H
#define NUNCHI_SYMBOLS_KALLSYMS_H

#include "arch/address.h"
#include "core/error.h"
#include "symbols/symbol_index.h"

#include <stddef.h>
#include <stdint.h>

/* Contiguous bytes of a kernel image: all of it, or its read-only data. Borrowed. */
struct kernel_image {
	const uint8_t *data;
	size_t size;
	gva_t address;      /* of data[0]; a multiple of 8 */
	unsigned word_size; /* 8 or 4 bytes */
};

struct kallsyms;

/*
 * Finds the tables in the image and checks them against each other. The result borrows the image's
 * bytes (see kallsyms_set_image()). Fails with NUNCHI_ERROR_NOT_FOUND, _AMBIGUOUS or _DATA.
 */
struct nunchi_error *kallsyms_find(const struct kernel_image *image, struct kallsyms **ret);
void kallsyms_destroy(struct kallsyms *kallsyms);
uint32_t kallsyms_count(const struct kallsyms *kallsyms);
/* One line about the layout that was found, for `nunchi info`. Owned by kallsyms. */
const char *kallsyms_description(const struct kallsyms *kallsyms);

/*
 * Stores the addresses of `count` names: 0 if a name is missing, the first address if it occurs
 * several times. If a name is missing but has exactly one variant (see symbol_variant.h), the
 * address of the variant is stored. Passes over all symbols once without building an index, which
 * makes attaching fast.
 */
struct nunchi_error *kallsyms_lookup(const struct kallsyms *kallsyms, const char *const *names,
				     size_t count, uint64_t *ret_addresses);
/*
 * Tells kallsyms that the image's bytes are now at another address of this process. Needed when the
 * mapping that kallsyms_find() read has been replaced. NUNCHI_ERROR_DATA if there are fewer bytes
 * than before.
 */
struct nunchi_error *kallsyms_set_image(struct kallsyms *kallsyms,
					const struct kernel_image *image);
/* Makes an index of all symbols, by name and by address. The index copies the names. */
struct nunchi_error *kallsyms_to_index(const struct kallsyms *kallsyms, struct symbol_index **ret);

#endif
