/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ELF file for gdb, of a kernel and a module whose symbols a hostile guest has made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../fuzz/input_guest.h"

#include "export/export.h"

#include <elf.h>

#define KERNEL UINT64_C(0xffffffff81000000)
#define MODULE UINT64_C(0xffffffffc0000000)

/* What each address of the guest leads to. */
static uint64_t memory[512];
static const char strings[] = "\0evil\x1b[2J\0weak\0unknown\0last";

enum { EVIL = 1, WEAK = 10, UNKNOWN = 15, LAST = 23 };

struct elf_test {
	struct input_guest guest;
	struct linux_module_index *index;
	struct cancel cancel;
	struct export_left left;
	struct buffer out;
};

static struct nunchi_error *keep(const void *bytes, size_t size, void *data)
{
	struct elf_test *test = data;

	assert_true(buffer_append(&test->out, bytes, size));
	return NULL;
}

static int setup(void **state)
{
	struct elf_test *test = calloc(1, sizeof(*test));
	const struct input input = {.data = (const uint8_t *)memory, .size = sizeof(memory)};
	struct linux_kernel *kernel = &test->guest.kernel;

	input_guest_init(&test->guest, &input, NULL, 0);
	symbol_index_unref(kernel->symbols);
	assert_null(symbol_index_create(&kernel->symbols));
	kernel->text_virtual = KERNEL;
	kernel->image_end = KERNEL + 0x1000000;
	kernel->guest.cancel = &test->cancel;
	test->index = calloc(1, sizeof(*test->index));
	test->index->generation = memory_generation(kernel->guest.memory);
	kernel->modules = test->index;
	buffer_init(&test->out, (size_t)256 << 20);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct elf_test *test = *state;

	buffer_deinit(&test->out);
	input_guest_deinit(&test->guest);
	free(test);
	return 0;
}

/* A module of one area, whose symbols are read already. */
static void add_module(struct elf_test *test, const Elf64_Sym *table, uint32_t count,
		       const char *types)
{
	const struct module_symtab symtab = {.symbols = (const uint8_t *)table,
					     .count = count,
					     .strings = strings,
					     .strings_size = sizeof(strings),
					     .types = types,
					     .word_size = 8};
	struct linux_module *module = calloc(1, sizeof(*module));

	strcpy(module->name, "mod\x1b");
	module->area_count = 1;
	module->areas[0] = (struct linux_module_area){MODULE, 0x1000};
	module->symbols_read = true;
	test->index->items = module;
	test->index->count = test->index->capacity = 1;
	assert_null(module_symbols_create(&test->index->symbols));
	assert_null(module_symbols_add(test->index->symbols, 0, &symtab));
}

static struct nunchi_error *export(struct elf_test *test)
{
	assert_null(symbol_index_seal(test->guest.kernel.symbols));
	return export_elf(&test->guest.kernel, keep, test, &test->left);
}

static void add(struct elf_test *test, const char *name, uint64_t address, char type)
{
	assert_null(
	    symbol_index_add(test->guest.kernel.symbols, name, strlen(name), address, type));
}

static const Elf64_Shdr *section(const struct elf_test *test, uint32_t type)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)test->out.data;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(test->out.data + header->e_shoff);

	for (unsigned i = 0; i < header->e_shnum; i++) {
		if (sections[i].sh_type == type)
			return &sections[i];
	}
	fail_msg("there is no section of type %u", type);
	return NULL;
}

static const Elf64_Sym *find(const struct elf_test *test, const char *name)
{
	const Elf64_Shdr *table = section(test, SHT_SYMTAB);
	const char *names = test->out.data + section(test, SHT_STRTAB)->sh_offset;
	const Elf64_Sym *symbols = (const Elf64_Sym *)(test->out.data + table->sh_offset);

	for (size_t i = 0; i < table->sh_size / sizeof(*symbols); i++) {
		if (!strcmp(names + symbols[i].st_name, name))
			return &symbols[i];
	}
	fail_msg("there is no symbol %s", name);
	return NULL;
}

/* The local symbols come first, and sh_info says how many they are. */
static void test_locals_come_first(void **state)
{
	static const Elf64_Sym module[] = {
	    {.st_name = WEAK, .st_shndx = 1, .st_value = MODULE},
	    {.st_name = UNKNOWN, .st_shndx = 1, .st_value = MODULE + 8}};
	struct elf_test *test = *state;
	const Elf64_Shdr *table;
	const Elf64_Sym *symbols;

	add(test, "local", KERNEL, 't');
	add(test, "global", KERNEL + 16, 'T');
	add_module(test, module, ARRAY_SIZE(module), "w?");
	assert_null(export(test));
	table = section(test, SHT_SYMTAB);
	symbols = (const Elf64_Sym *)(test->out.data + table->sh_offset);
	assert_int_equal(table->sh_info, 4);
	for (size_t i = 0; i < table->sh_size / sizeof(*symbols); i++)
		assert_int_equal(ELF64_ST_BIND(symbols[i].st_info) == STB_LOCAL,
				 i < table->sh_info);
}

/* A symbol reaches up to the next one that is elsewhere. */
static void test_aliases(void **state)
{
	static const Elf64_Sym module[] = {
	    {.st_name = WEAK, .st_shndx = 1, .st_value = MODULE + 16},
	    {.st_name = UNKNOWN, .st_shndx = 1, .st_value = MODULE + 16},
	    {.st_name = LAST, .st_shndx = 1, .st_value = MODULE + 48}};
	struct elf_test *test = *state;

	add(test, "a", KERNEL + 16, 'T');
	add(test, "b", KERNEL + 16, 't');
	add(test, "c", KERNEL + 64, 't');
	add(test, "d", KERNEL + 80, 't');
	add_module(test, module, ARRAY_SIZE(module), "ttt");
	assert_null(export(test));
	assert_int_equal(find(test, "a")->st_size, 48);
	assert_int_equal(find(test, "b")->st_size, 48);
	assert_int_equal(find(test, "c")->st_size, 16);
	assert_int_equal(find(test, "weak")->st_size, 32);
	assert_int_equal(find(test, "unknown")->st_size, 32);
	assert_int_equal(find(test, "last")->st_size, 0x1000 - 48);
}

/* gdb prints names as they are. */
static void test_names_are_escaped(void **state)
{
	static const Elf64_Sym module[] = {{.st_name = EVIL, .st_shndx = 1, .st_value = MODULE}};
	struct elf_test *test = *state;

	add(test, "evil\nkernel", KERNEL, 't');
	add_module(test, module, ARRAY_SIZE(module), "t");
	assert_null(export(test));
	find(test, "evil\\x1b[2J");
	find(test, "evil\\nkernel");
	assert_null(memchr(test->out.data + section(test, SHT_STRTAB)->sh_offset, '\x1b',
			   test->out.size - section(test, SHT_STRTAB)->sh_offset));
}

/* The work grows with the number of symbols, and not with its square. */
static void test_many_at_one_address(void **state)
{
	struct elf_test *test = *state;

	for (unsigned i = 0; i < 500000; i++)
		add(test, "same", KERNEL, 't');
	alarm(60);
	assert_null(export(test));
	alarm(0);
	assert_int_equal(section(test, SHT_SYMTAB)->sh_info, 500001);
}

static void test_cancelled(void **state)
{
	struct elf_test *test = *state;
	struct nunchi_error *err;

	add(test, "local", KERNEL, 't');
	cancel_request(&test->cancel);
	err = export(test);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_error_destroy(err);
	assert_int_equal(test->out.size, 0);
}

/* Where the symbols of modules are more than the limit, the others are there, and it is said. */
static void test_modules_with_too_many_symbols(void **state)
{
	struct elf_test *test = *state;

	add(test, "kernel", KERNEL, 't');
	add_module(test, NULL, 0, NULL);
	test->index->items[0].symbols_read = false;
	test->index->symbols_left = 0;
	/* The pointers of struct module, and the number of symbols. */
	for (size_t i = 0; i < ARRAY_SIZE(memory); i++)
		memory[i] = 0x100;
	assert_null(export(test));
	memset(memory, 0, sizeof(memory));
	find(test, "kernel");
	assert_true(test->left.module_symbols);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(locals_come_first),   TEST(aliases),   TEST(names_are_escaped),
	    TEST(many_at_one_address), TEST(cancelled), TEST(modules_with_too_many_symbols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
