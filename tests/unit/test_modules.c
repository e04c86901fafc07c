/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Symbols and types of modules: the limits over all modules, and tables that cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/linux/code.h"
#include "guest/linux/lookup.h"
#include "guest/linux/module.h"
#include "guest/linux/module_index.h"
#include "symbols/symbol_index.h"
#include "symbols/type_index.h"

#include "btf_blob.h"
#include "toy_kernel.h"

#include <elf.h>
#include <stdio.h>

#define L (&toy->kernel.layout)

/*
 * A gigabyte of addresses behind the toy's own, at each 2 MiB of which the same 2 MiB of its memory
 * are mapped: tables that are larger than the toy.
 */
#define HUGE_TABLE    (TOY_BASE + ((uint64_t)1 << 30))
#define HUGE_PHYSICAL ((uint64_t)4 << 20)

/* Offsets in the toy's structures. */
enum { MODULE_LIST = 0, MODULE_SIZE = 128, BTF_MODULE_SIZE = 32, BTF_SIZE = 16 };

static void module_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_module, &L->module_list, MODULE_LIST, 16);
	toy_field(toy, LAYOUT_module, &L->module_state, 16, 4);
	toy_array(toy, LAYOUT_module, &L->module_name, 24, 1, 56);
	toy_field(toy, LAYOUT_module, &L->module_kallsyms, 80, 8);
	toy_field(toy, LAYOUT_module, &L->module_core_base, 88, 8);
	toy_field(toy, LAYOUT_module, &L->module_core_size, 96, 4);
	toy_field(toy, LAYOUT_mod_kallsyms, &L->mod_kallsyms_symtab, 0, 8);
	toy_field(toy, LAYOUT_mod_kallsyms, &L->mod_kallsyms_num_symtab, 8, 4);
	toy_field(toy, LAYOUT_mod_kallsyms, &L->mod_kallsyms_strtab, 16, 8);
	toy_field(toy, LAYOUT_btf_module, &L->btf_module_list, 0, 16);
	toy_field(toy, LAYOUT_btf_module, &L->btf_module_module, 16, 8);
	toy_field(toy, LAYOUT_btf_module, &L->btf_module_btf, 24, 8);
	toy_field(toy, LAYOUT_btf, &L->btf_data, 0, 8);
	toy_field(toy, LAYOUT_btf, &L->btf_data_size, 8, 4);
}

static uint64_t get(struct toy *toy, uint64_t address)
{
	uint64_t value;

	memcpy(&value, toy->ram + (address - TOY_BASE), 8);
	return value;
}

static uint64_t new_list(struct toy *toy)
{
	uint64_t head = toy_alloc(toy, 16);

	toy_put(toy, head, head, 8);
	toy_put(toy, head + 8, head, 8);
	return head;
}

static void append(struct toy *toy, uint64_t head, uint64_t node)
{
	uint64_t last = get(toy, head + 8);

	toy_put(toy, node, head, 8);
	toy_put(toy, node + 8, last, 8);
	toy_put(toy, last, node, 8);
	toy_put(toy, head + 8, node, 8);
}

static void put_huge_table(struct toy *toy)
{
	uint64_t directory = toy_alloc_page(toy) - TOY_BASE;

	for (unsigned i = 0; i < 512; i++)
		toy_put_physical(toy, directory + i * 8, HUGE_PHYSICAL | 0xe3, 8);
	toy_put_physical(toy, TOY_PDPT + 8, directory | 0x63, 8);
}

static void put_kernel_types(struct toy *toy)
{
	struct blob blob = {0};
	uint8_t *data;
	size_t size;

	blob_int(&blob, "long", 8, 1);
	data = blob_finish(&blob, &size);
	assert_null(type_index_copy_btf(data, size, &toy->kernel.types));
	free(data);
}

static int setup(void **state)
{
	struct toy *toy;

	toy_setup(state);
	toy = *state;
	module_layout(toy);
	put_huge_table(toy);
	toy->kernel.symbol[LINUX_modules] = new_list(toy);
	toy->kernel.symbol[LINUX_btf_modules] = new_list(toy);
	assert_null(symbol_index_create(&toy->kernel.symbols));
	assert_null(symbol_index_add(toy->kernel.symbols, "_text", 5, TOY_BASE, 'T'));
	assert_null(symbol_index_seal(toy->kernel.symbols));
	put_kernel_types(toy);
	return 0;
}

static int teardown(void **state)
{
	struct toy *toy = *state;

	linux_module_index_destroy(toy->kernel.modules);
	symbol_index_unref(toy->kernel.symbols);
	type_index_unref(toy->kernel.types);
	return toy_teardown(state);
}

/* Adds a module whose symbol table has `count` entries at `symtab`. */
static uint64_t add_module(struct toy *toy, const char *name, uint64_t symtab, uint32_t count,
			   uint64_t strtab)
{
	uint64_t module = toy_alloc(toy, MODULE_SIZE), tables = toy_alloc(toy, 32);

	append(toy, toy->kernel.symbol[LINUX_modules], module + MODULE_LIST);
	toy_put_bytes(toy, module + L->module_name.offset, name, strlen(name));
	toy_set(toy, module, &L->module_kallsyms, tables);
	toy_set(toy, tables, &L->mod_kallsyms_symtab, symtab);
	toy_set(toy, tables, &L->mod_kallsyms_num_symtab, count);
	toy_set(toy, tables, &L->mod_kallsyms_strtab, strtab);
	return module;
}

/* Adds a module with one symbol. */
static uint64_t add_small(struct toy *toy, const char *name, const char *symbol)
{
	Elf64_Sym entry = {.st_name = 0, .st_shndx = 1, .st_value = 0x1000};
	uint64_t table = toy_alloc(toy, sizeof(entry));

	toy_put_bytes(toy, table, &entry, sizeof(entry));
	return add_module(toy, name, table, 1, toy_string(toy, symbol));
}

static void assert_fails(struct nunchi_error *err, enum nunchi_error_code code, const char *text)
{
	assert_non_null(err);
	if (!strstr(nunchi_error_message(err), text))
		fail_msg("\"%s\" lacks \"%s\"", nunchi_error_message(err), text);
	assert_int_equal(nunchi_error_code(err), code);
	nunchi_error_destroy(err);
}

static void find_fails(struct toy *toy, const char *name, enum nunchi_error_code code,
		       const char *text)
{
	struct guest_symbol found;

	assert_fails(linux_symbol_find(&toy->kernel, name, &found), code, text);
}

/* The limit of four million symbols counts over all calls, and is met again when asked again. */
static void test_symbols_limit(void **state)
{
	static const char *const names[] = {"a:x", "b:x", "c:x", "d:x"};
	struct toy *toy = *state;
	struct guest_symbol found;

	add_small(toy, "small", "first");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add_module(toy, (char[]){names[i][0], 0}, HUGE_TABLE, 1 << 20, HUGE_TABLE);
	assert_null(linux_symbol_find(&toy->kernel, "small:first", &found));
	for (size_t i = 0; i < 3; i++)
		find_fails(toy, names[i], NUNCHI_ERROR_NOT_FOUND, "no symbol \"x\" in the module");
	for (int again = 0; again < 2; again++)
		find_fails(toy, "d:x", NUNCHI_ERROR_UNSUPPORTED, "which is the limit");
	find_fails(toy, "x", NUNCHI_ERROR_UNSUPPORTED, "which is the limit");
	assert_null(linux_symbol_find(&toy->kernel, "small:first", &found));
	assert_string_equal(found.symbol.name, "first");
}

/* Modules whose tables are left out are named; what can be read later is found. */
static void test_symbols_left_out(void **state)
{
	struct toy *toy = *state;
	struct guest_symbol found;
	uint64_t gone, large, tables;

	add_small(toy, "small", "first");
	gone = add_small(toy, "gone", "second");
	large = add_module(toy, "large", HUGE_TABLE, (1 << 20) + 1, HUGE_TABLE);
	tables = get(toy, gone + L->module_kallsyms.offset);
	toy_set(toy, gone, &L->module_kallsyms, TOY_MISSING);
	toy_set(toy, large, &L->module_core_base, 0xffffffffc0000000);
	toy_set(toy, large, &L->module_core_size, 0x1000);
	find_fails(
	    toy, "second", NUNCHI_ERROR_NOT_FOUND,
	    "no symbol \"second\"; modules left out, whose symbol table cannot be read or is "
	    "too large: gone, large");
	find_fails(toy, "gone:second", NUNCHI_ERROR_NOT_FOUND,
		   "in the module gone, whose symbol table cannot be read");
	find_fails(toy, "large:second", NUNCHI_ERROR_NOT_FOUND,
		   "in the module large, whose symbol table is too large");
	find_fails(toy, "small:second", NUNCHI_ERROR_NOT_FOUND, "in the module small");
	assert_fails(linux_symbol_at(&toy->kernel, 0xffffffffc0000010, &found),
		     NUNCHI_ERROR_NOT_FOUND,
		     "in the module large, whose symbol table is too large");
	toy_set(toy, gone, &L->module_kallsyms, tables);
	assert_null(linux_symbol_find(&toy->kernel, "second", &found));
	assert_string_equal(found.module, "gone");
}

/* Reading in vain, however often, takes nothing from what may be read of the other modules. */
static void test_symbols_in_vain(void **state)
{
	struct toy *toy = *state;
	struct guest_symbol found;

	add_module(toy, "entries", TOY_MISSING, 1 << 20, HUGE_TABLE);
	add_module(toy, "names", HUGE_TABLE, 1 << 20, TOY_MISSING);
	add_small(toy, "small", "first");
	for (int i = 0; i < 3; i++) {
		find_fails(toy, "entries:x", NUNCHI_ERROR_NOT_FOUND, "cannot be read");
		find_fails(toy, "names:x", NUNCHI_ERROR_NOT_FOUND, "cannot be read");
	}
	assert_null(linux_symbol_find(&toy->kernel, "small:first", &found));
}

/* The ninth is not named, but not lost in silence either. */
static void test_many_left_out(void **state)
{
	struct toy *toy = *state;

	for (char name[] = "a"; *name < 'j'; ++*name)
		add_module(toy, name, TOY_MISSING, 1, TOY_MISSING);
	find_fails(toy, "x", NUNCHI_ERROR_NOT_FOUND, "a, b, c, d, e, f, g, h and more");
}

/* One struct btf, which every entry of the kernel's list names, of 48 MiB. */
static void put_types(struct toy *toy, size_t modules)
{
	uint64_t btf = toy_alloc(toy, BTF_SIZE);
	struct blob blob = {0};
	uint32_t names;
	uint8_t *data;
	size_t size;

	blob_int(&blob, "", 4, 1);
	data = blob_finish(&blob, &size);
	names = ((uint32_t)48 << 20) - (uint32_t)size;
	memcpy(data + 20, &names, sizeof(names));
	memcpy(toy->ram + HUGE_PHYSICAL, data, size);
	free(data);
	toy_set(toy, btf, &L->btf_data, HUGE_TABLE);
	toy_set(toy, btf, &L->btf_data_size, names + size - 1);
	for (size_t i = 0; i < modules; i++) {
		uint64_t entry = toy_alloc(toy, BTF_MODULE_SIZE);
		char name[16];

		snprintf(name, sizeof(name), "m%zu", i);
		append(toy, toy->kernel.symbol[LINUX_btf_modules], entry);
		toy_set(toy, entry, &L->btf_module_module, add_small(toy, name, "x"));
		toy_set(toy, entry, &L->btf_module_btf, btf);
	}
}

static size_t modules_with_types(struct toy *toy)
{
	size_t count = 0;

	for (size_t i = 0; i < toy->kernel.modules->count; i++)
		count += !!toy->kernel.modules->items[i].types;
	return count;
}

/* The types of all modules together have a limit, too: 256 MiB. */
static void test_types_limit(void **state)
{
	struct toy *toy = *state;
	struct guest_type found;

	put_types(toy, 7);
	assert_fails(linux_type_find(&toy->kernel, "struct nosuch", &found), NUNCHI_ERROR_NOT_FOUND,
		     "the types of 2 modules cannot be read: the types of the modules are larger "
		     "than 256 MiB together, which is the limit");
	assert_int_equal(modules_with_types(toy), 5);
	assert_fails(linux_type_find(&toy->kernel, "m6:struct nosuch", &found),
		     NUNCHI_ERROR_UNSUPPORTED, "which is the limit");
	assert_fails(linux_type_find(&toy->kernel, "m0:struct nosuch", &found),
		     NUNCHI_ERROR_NOT_FOUND, "in the module m0");
}

/* The page with the second half of a struct module is missing: its code is not nobody's. */
static void test_module_unread(void **state)
{
	struct toy *toy = *state;
	struct linux_module_index *index;
	struct linux_code code;

	assert_null(linux_module_index(&toy->kernel, &index));
	assert_int_equal(index->unread, READ_OK);
	append(toy, toy->kernel.symbol[LINUX_modules], TOY_MISSING - 64);
	memory_new_generation(toy->memory);
	assert_null(linux_module_index(&toy->kernel, &index));
	assert_int_equal(index->unread, READ_NOT_SAVED);
	assert_false(index->cut_short);
	toy->kernel.symbol[LINUX_stext] = TOY_BASE;
	toy->kernel.symbol[LINUX_etext] = TOY_BASE + 0x1000;
	assert_null(linux_code_collect(&toy->kernel, &code));
	assert_int_equal(code.broken, READ_NOT_SAVED);
	assert_string_equal(code.incomplete, "a module");
	linux_code_deinit(&code);
}

/* A kernel with symbols, of which none is of loadable modules, and one of which they are unknown.
 */
static void test_no_modules(void **state)
{
	struct toy *toy = *state;
	struct linux_module_index *index;
	struct linux_modules walk;
	struct object module = {0};

	toy->kernel.symbol[LINUX_modules] = 0;
	assert_fails(linux_modules_init(&walk, &toy->kernel), NUNCHI_ERROR_UNSUPPORTED,
		     "the symbol modules is missing");
	toy->kernel.symbol[LINUX_text] = TOY_BASE;
	assert_null(linux_modules_init(&walk, &toy->kernel));
	assert_true(walk.none);
	assert_false(linux_modules_next(&walk, &module));
	linux_modules_deinit(&walk);
	assert_null(linux_module_index(&toy->kernel, &index));
	find_fails(toy, "anything", NUNCHI_ERROR_NOT_FOUND, "anything");
	/* A function of a kernel with modules: only the variable is unknown. */
	toy->kernel.symbol[LINUX_module_put] = TOY_BASE;
	assert_fails(linux_modules_init(&walk, &toy->kernel), NUNCHI_ERROR_UNSUPPORTED,
		     "the symbol modules is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_no_modules, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_module_unread, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_symbols_limit, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_symbols_left_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_symbols_in_vain, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_many_left_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_types_limit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
