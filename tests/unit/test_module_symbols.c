/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/module_symbols.h"

#include "symbols/symbol_index_private.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char strings[] = "\0start\0data\0start2";

enum { START = 1, DATA = 7, START2 = 12 };

static struct module_symbols *make(void)
{
	struct module_symbols *symbols = NULL;

	assert_null(module_symbols_create(&symbols));
	return symbols;
}

static void add(struct module_symbols *symbols, uint32_t module, const Elf64_Sym *table,
		uint32_t count, const char *types)
{
	struct module_symtab symtab = {
	    .symbols = (const uint8_t *)table,
	    .count = count,
	    .strings = strings,
	    .strings_size = sizeof(strings),
	    .types = types,
	    .word_size = 8,
	};

	assert_null(module_symbols_add(symbols, module, &symtab));
}

static void assert_symbol(const struct module_symbols *symbols, size_t i, uint64_t address,
			  const char *name, uint32_t module, char type)
{
	struct module_symbol symbol = module_symbols_get(symbols, i);

	assert_int_equal(symbol.address, address);
	assert_string_equal(symbol.name, name);
	assert_int_equal(symbol.module, module);
	assert_int_equal(symbol.type, type);
}

static void test_two_modules(void **state)
{
	static const Elf64_Sym one[] = {
	    {0},
	    {.st_name = DATA, .st_shndx = 2, .st_value = 0x2000},
	    {.st_name = START, .st_shndx = 1, .st_value = 0x1000},
	};
	static const Elf64_Sym two[] = {
	    {.st_name = START, .st_shndx = 1, .st_value = 0x3000},
	    {.st_name = START2, .st_shndx = 1, .st_value = 0x3000},
	    /* Another module's, which livepatch modules keep in their tables. */
	    {.st_name = DATA, .st_shndx = SHN_UNDEF, .st_value = 0x2000},
	};
	struct module_symbols *symbols = make();
	size_t at;

	(void)state;
	add(symbols, 1, two, 3, NULL);
	module_symbols_seal(symbols);
	add(symbols, 0, one, 3, "?dT");
	module_symbols_seal(symbols);
	assert_int_equal(module_symbols_count(symbols), 4);
	assert_symbol(symbols, 0, 0x1000, "start", 0, 'T');
	assert_symbol(symbols, 1, 0x2000, "data", 0, 'd');
	assert_symbol(symbols, 2, 0x3000, "start", 1, '?');
	assert_symbol(symbols, 3, 0x3000, "start2", 1, '?');
	assert_true(module_symbols_at(symbols, 0, 0x1fff, &at));
	assert_int_equal(at, 0);
	/* Symbols of another module in between do not count. */
	assert_true(module_symbols_at(symbols, 0, 0x9000, &at));
	assert_int_equal(at, 1);
	assert_false(module_symbols_at(symbols, 1, 0x2fff, &at));
	assert_false(module_symbols_at(symbols, 2, 0x9000, &at));
	module_symbols_destroy(symbols);
}

/* Names outside of the table, without an end, and letters that are none. */
static void test_hostile(void **state)
{
	static const Elf64_Sym table[] = {
	    {.st_name = UINT32_MAX, .st_shndx = 1, .st_value = 1},
	    {.st_name = sizeof(strings), .st_shndx = 1, .st_value = 2},
	    {.st_name = START, .st_shndx = 1, .st_value = 3},
	};
	struct module_symbols *symbols = make();
	struct module_symtab cut = {.symbols = (const uint8_t *)table,
				    .count = 3,
				    .strings = strings,
				    .strings_size = START + 4,
				    .word_size = 8};

	(void)state;
	assert_int_equal(module_symtab_last_name((const uint8_t *)table, 3, 8), UINT32_MAX);
	assert_null(module_symbols_add(symbols, 0, &cut));
	module_symbols_seal(symbols);
	assert_int_equal(module_symbols_count(symbols), 0);
	add(symbols, 0, table, 3, "\n\n\n");
	module_symbols_seal(symbols);
	assert_int_equal(module_symbols_count(symbols), 1);
	assert_symbol(symbols, 0, 3, "start", 0, '?');
	module_symbols_destroy(symbols);
	module_symbols_destroy(NULL);
}

static void test_narrow(void **state)
{
	static const Elf32_Sym table[] = {
	    {.st_name = DATA, .st_shndx = 1, .st_value = 0xf8001000},
	};
	struct module_symtab symtab = {.symbols = (const uint8_t *)table,
				       .count = 1,
				       .strings = strings,
				       .strings_size = sizeof(strings),
				       .types = "b",
				       .word_size = 4};
	struct module_symbols *symbols = make();

	(void)state;
	assert_int_equal(module_symtab_entry(4), sizeof(Elf32_Sym));
	assert_null(module_symbols_add(symbols, 5, &symtab));
	module_symbols_seal(symbols);
	assert_symbol(symbols, 0, 0xf8001000, "data", 5, 'b');
	module_symbols_destroy(symbols);
}

/* A module with too many symbols adds none of them, so that adding it again gives no copies. */
static void test_limit(void **state)
{
	struct module_symbols *symbols = make();
	Elf64_Sym *table = calloc(SYMBOL_COUNT_MAX, sizeof(*table));
	struct module_symtab symtab = {.symbols = (const uint8_t *)table,
				       .count = SYMBOL_COUNT_MAX,
				       .strings = strings,
				       .strings_size = sizeof(strings),
				       .word_size = 8};
	struct nunchi_error *err;

	(void)state;
	assert_non_null(table);
	for (size_t i = 0; i < SYMBOL_COUNT_MAX; i++)
		table[i] = (Elf64_Sym){.st_name = DATA, .st_shndx = 1, .st_value = i};
	add(symbols, 0, table + 1, 1, "d");
	err = module_symbols_add(symbols, 1, &symtab);
	assert_non_null(err);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_UNSUPPORTED);
	nunchi_error_destroy(err);
	add(symbols, 2, table + 2, 1, "d");
	module_symbols_seal(symbols);
	assert_int_equal(module_symbols_count(symbols), 2);
	assert_symbol(symbols, 1, 2, "data", 2, 'd');
	module_symbols_destroy(symbols);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_two_modules),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_narrow),
	    cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
