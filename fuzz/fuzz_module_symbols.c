/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of a module's symbols. The first byte is the word size (4, else 8), the second the
 * number of symbols; the symbol table, a letter for each symbol and the names follow. They are
 * given as two modules, so that equal addresses and names occur.
 */
#include "symbols/module_symbols.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Exactly as large as it is, so that a sanitizer sees any byte beyond. */
static void *copy_of(const uint8_t *data, size_t size)
{
	void *copy = malloc(size ? size : 1);

	check(copy != NULL);
	memcpy(copy, data, size);
	return copy;
}

static void use(const struct module_symbols *symbols)
{
	uint64_t last = 0;
	size_t at;

	for (size_t i = 0; i < module_symbols_count(symbols); i++) {
		struct module_symbol symbol = module_symbols_get(symbols, i);

		check(*symbol.name && strlen(symbol.name) <= 512 && symbol.module < 2);
		check(symbol.address >= last);
		last = symbol.address;
		check(module_symbols_at(symbols, symbol.module, symbol.address, &at) && at >= i);
	}
	module_symbols_at(symbols, 7, UINT64_MAX, &at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct module_symtab table = {0};
	struct module_symbols *symbols = NULL;
	uint8_t *entries;
	char *types, *strings;
	size_t entry;

	if (size < 2)
		return 0;
	table.word_size = data[0] == 4 ? 4 : 8;
	table.count = data[1];
	entry = module_symtab_entry(table.word_size);
	data += 2;
	size -= 2;
	if (size < table.count * (entry + 1))
		return 0;
	entries = copy_of(data, table.count * entry);
	types = copy_of(data + table.count * entry, table.count);
	table.strings_size = size - table.count * (entry + 1);
	strings = copy_of(data + size - table.strings_size, table.strings_size);
	table.symbols = entries;
	table.types = types;
	table.strings = strings;
	module_symtab_last_name(entries, table.count, table.word_size);
	check(!module_symbols_create(&symbols));
	check(!module_symbols_add(symbols, 0, &table));
	table.types = NULL;
	check(!module_symbols_add(symbols, 1, &table));
	free(entries);
	free(types);
	free(strings);
	module_symbols_seal(symbols);
	use(symbols);
	module_symbols_destroy(symbols);
	return 0;
}
