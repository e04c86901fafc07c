/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A symbol table for Volatility 3 without debug data: the types are those of BTF, the symbols those
 * of kallsyms. BTF has no types of variables; those that plugins ask for are in variables.def.
 * Volatility finds the shift of a kernel itself, so the addresses are those it is linked to.
 */
#include "export/isf.h"

#include <string.h>

static const struct variable {
	const char *name;
	unsigned stars;
	const char *type;
} variables[] = {
#define VARIABLE(name, stars, type) {#name, stars, type},
#include "symbols/variables.def"
};

static void base64(struct isf *isf, const uint8_t *data, size_t size)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		uint32_t bits = (uint32_t)data[i] << 16;

		if (i + 1 < size)
			bits |= (uint32_t)data[i + 1] << 8;
		if (i + 2 < size)
			bits |= data[i + 2];
		for (unsigned k = 0; k < 4; k++)
			buffer_append_char(&isf->text.buffer,
					   i + k <= size ? digits[bits >> (18 - 6 * k) & 63] : '=');
	}
}

/* By these bytes Volatility knows the kernel again: the string with its NUL, as in the memory. */
static void put_banner(struct isf *isf, struct linux_kernel *kernel, uint64_t address)
{
	char banner[512] = "";
	size_t size;

	if (linux_read_string(kernel, address, banner, sizeof(banner) - 1, &size) != READ_OK)
		return;
	isf_put(isf, ",\"constant_data\":\"");
	banner[size] = '\0';
	base64(isf, (const uint8_t *)banner, size + 1);
	isf_put(isf, "\"");
}

/* The type of a variable, where it is known and the kernel has it. */
static void put_type(struct isf *isf, const char *name)
{
	type_id id;

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		if (strcmp(variables[i].name, name) ||
		    !type_index_find(isf->types, variables[i].type, &id))
			continue;
		isf_put(isf, variables[i].stars ? ",\"type\":{\"kind\":\"pointer\",\"subtype\":"
						: ",\"type\":");
		isf_type(isf, id);
		isf_put(isf, variables[i].stars ? "}" : "");
	}
}

static void put_symbols(struct isf *isf, struct linux_kernel *kernel)
{
	uint64_t shift = export_shift(kernel);
	size_t first;

	isf_open(isf, "symbols");
	for (size_t i = 0; i < symbol_index_count(isf->symbols) && export_text_step(&isf->text);
	     i++) {
		struct symbol symbol = symbol_index_get(isf->symbols, i);

		/* Of several symbols with one name the first. */
		if (!symbol_index_find(isf->symbols, symbol.name, &first) || first != i)
			continue;
		isf_key(isf, symbol.name);
		isf_put(isf, "{\"address\":");
		isf_number(isf, export_linked(symbol.address, shift));
		put_type(isf, symbol.name);
		if (!strcmp(symbol.name, "linux_banner"))
			put_banner(isf, kernel, symbol.address);
		isf_put(isf, "}");
	}
	isf_close(isf);
}

struct nunchi_error *export_isf(struct linux_kernel *kernel, export_write *write, void *data)
{
	struct isf isf = {.text = {.write = write, .data = data, .cancel = kernel->guest.cancel},
			  .first = true};
	struct guest_type found;
	struct symbol_index *symbols;
	/* The error says why there are no types. */
	struct nunchi_error *err =
	    kernel->guest.system->type_find(&kernel->guest, "task_struct", &found);

	if (!err)
		err = kernel->guest.system->symbols(&kernel->guest, &symbols);
	if (err)
		return err;
	isf.types = kernel->types;
	isf.symbols = symbols;
	isf_put(&isf,
		"{\"metadata\":{\"format\":\"6.2.0\",\"producer\":{\"name\":\"nunchi\","
		"\"version\":\"" NUNCHI_VERSION "\"},\"linux\":{\"symbols\":[],\"types\":[]}}");
	isf.first = false;
	isf_types(&isf);
	put_symbols(&isf, kernel);
	isf_put(&isf, "}\n");
	return export_text_end(&isf.text);
}
