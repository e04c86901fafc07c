/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "export/export.h"
#include "guest/linux/image.h"

#include <string.h>

/* CONFIG_PHYSICAL_START of every distribution's x86-64 kernel. */
#define PHYSICAL_START 0x1000000u
/* The part of the address space that is kept for the image (Documentation/arch/x86/x86_64/mm.rst).
 */
#define IMAGE_SPACE ((uint64_t)1 << 30)
/* Limit of the size of BTF; that of Linux 7.2 has 8 MB. */
#define BTF_LIMIT ((uint64_t)64 << 20)
#define PIECE     65536

uint64_t export_shift(const struct linux_kernel *kernel)
{
	uint64_t linked = LINUX_KERNEL_MAP + PHYSICAL_START;

	return kernel->word_size == 8 && kernel->text_virtual > linked
		   ? kernel->text_virtual - linked
		   : 0;
}

uint64_t export_linked(uint64_t address, uint64_t shift)
{
	bool in_image =
	    address >= LINUX_KERNEL_MAP + shift && address - LINUX_KERNEL_MAP < IMAGE_SPACE;

	return in_image ? address - shift : address;
}

struct nunchi_error *export_system_map(struct linux_kernel *kernel, export_write *write, void *data)
{
	struct export_text text = {.write = write, .data = data, .cancel = kernel->guest.cancel};
	uint64_t shift = export_shift(kernel);
	struct symbol_index *symbols;
	struct nunchi_error *err = kernel->guest.system->symbols(&kernel->guest, &symbols);

	if (err)
		return err;
	for (size_t i = 0; i < symbol_index_count(symbols) && export_text_step(&text); i++) {
		struct symbol symbol = symbol_index_get(symbols, i);

		/* A name with a newline would be two lines. */
		if (strpbrk(symbol.name, " \t\r\n"))
			continue;
		buffer_append_unsigned(&text.buffer, export_linked(symbol.address, shift), 16,
				       kernel->word_size * 2);
		buffer_append_char(&text.buffer, ' ');
		buffer_append_char(&text.buffer, symbol.type);
		buffer_append_char(&text.buffer, ' ');
		buffer_append_string(&text.buffer, symbol.name);
		buffer_append_char(&text.buffer, '\n');
	}
	return export_text_end(&text);
}

bool export_btf_size(const struct linux_kernel *kernel, uint64_t *ret)
{
	uint64_t start = kernel->symbol[LINUX_start_btf], stop = kernel->symbol[LINUX_stop_btf];

	if (!start || stop <= start || stop - start > BTF_LIMIT)
		return false;
	*ret = stop - start;
	return true;
}

struct nunchi_error *export_btf(struct linux_kernel *kernel, export_write *write, void *data)
{
	uint64_t at = kernel->symbol[LINUX_start_btf], stop, size;
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	struct nunchi_error *err = NULL;

	if (!piece)
		return &error_nomem;
	if (!export_btf_size(kernel, &size))
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "the kernel has no BTF between the symbols __start_BTF and "
				    "__stop_BTF");
	stop = at + size;
	while (!err && at < stop) {
		size = stop - at < PIECE ? stop - at : PIECE;
		if (linux_read(kernel, at, piece, size) != READ_OK)
			return error_create_at(NUNCHI_ERROR_FAULT, at,
					       "the kernel's BTF at 0x%llx cannot be read",
					       (unsigned long long)at);
		err = write(piece, size, data);
		at += size;
	}
	return err;
}
