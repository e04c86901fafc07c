/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a kernel's image: the symbol table is searched for, looked up in and decoded, and
 * once more after some bytes of the image changed, as in a running guest.
 *
 *	u8   bit 0: words of 4 bytes; bits 4-7: number of changes
 *	u64  address of the image
 *	then of each change u24 offset into the image (modulo its size) and u8 new value
 *	then the image
 */
#include "core/error.h"
#include "symbols/kallsyms.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 9
#define CHANGE_SIZE 4

DEFINE_CLEANUP(struct kallsyms, kallsyms_destroy)
DEFINE_CLEANUP(struct symbol_index, symbol_index_unref)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every result has to hold together, whatever it is. */
static void use_index(const struct kallsyms *kallsyms)
{
	_cleanup_(cleanup_symbol_index_unref_p) struct symbol_index *index = NULL;
	_cleanup_error_ struct nunchi_error *err = kallsyms_to_index(kallsyms, &index);
	size_t count, at;

	if (err)
		return;
	count = symbol_index_count(index);
	if (count != kallsyms_count(kallsyms))
		abort();
	for (size_t i = 0; i < count; i++) {
		struct symbol symbol = symbol_index_get(index, i);

		if (!*symbol.name || strlen(symbol.name) > 512)
			abort();
		if (i && symbol_index_get(index, i - 1).address > symbol.address)
			abort();
	}
	if (count && (!symbol_index_find(index, symbol_index_get(index, count / 2).name, &at) ||
		      at > count / 2))
		abort();
	symbol_index_suggest(index, "init_taks");
}

static void use(const struct kallsyms *kallsyms)
{
	static const char *const names[] = {"_text", "_stext", "linux_banner", "init_task", "_text",
					    "",      "t",      "duplicate"};
	uint64_t addresses[ARRAY_SIZE(names)];
	_cleanup_error_ struct nunchi_error *err =
	    kallsyms_lookup(kallsyms, names, ARRAY_SIZE(names), addresses);

	if (!err && addresses[0] != addresses[4])
		abort();
	use_index(kallsyms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(cleanup_kallsyms_destroy_p) struct kallsyms *kallsyms = NULL;
	_cleanup_error_ struct nunchi_error *err = NULL;
	_cleanup_free_ uint8_t *copy = NULL;
	struct kernel_image image = {0};
	const uint8_t *changes = data + HEADER_SIZE;
	size_t change_count;

	if (size < HEADER_SIZE)
		return 0;
	change_count = data[0] >> 4;
	if (size - HEADER_SIZE <= change_count * CHANGE_SIZE)
		return 0;
	image.word_size = data[0] & 1 ? 4 : 8;
	memcpy(&image.address.v, data + 1, sizeof(image.address.v));
	image.size = size - HEADER_SIZE - change_count * CHANGE_SIZE;
	copy = malloc(image.size);
	memcpy(copy, changes + change_count * CHANGE_SIZE, image.size);
	image.data = copy;
	err = kallsyms_find(&image, &kallsyms);
	if (err)
		return 0;
	use(kallsyms);
	for (size_t i = 0; i < change_count; i++) {
		const uint8_t *change = changes + i * CHANGE_SIZE;

		copy[(change[0] | change[1] << 8 | change[2] << 16) % image.size] = change[3];
	}
	use(kallsyms);
	return 0;
}
