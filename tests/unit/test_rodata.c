/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is kept of a kernel's image after the attach: a running guest that gives its pages back must
 * not get them again because nunchi reads its symbols and types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attach_guest.h"
#include "btf_blob.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TYPES (3 * MIB) /* where the types are in the image */

static uint64_t blocks(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks;
}

/* The types of a kernel: one structure. */
static void put_types(struct guest *guest, uint64_t physical)
{
	struct blob blob = {0};
	uint32_t word = blob_int(&blob, "int", 4, 1);
	uint8_t *data;
	size_t size;

	blob_type(&blob, 4, 0, 1, "task_struct", 8);
	blob_member(&blob, "pid", word, 32);
	data = blob_finish(&blob, &size);
	memcpy(guest->ram + physical + TYPES, data, size);
	free(data);
}

/* Puts the guest's RAM into a file of shared memory, as QEMU does with memory-backend-memfd. */
static int share(struct guest *guest, unsigned flags)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, RAM), 0);
	for (uint64_t at = 16 * MIB; at < 16 * MIB + IMAGE; at += MIB)
		assert_int_equal(pwrite(fd, guest->ram + at, MIB, (off_t)at), MIB);
	assert_int_equal(pwrite(fd, guest->ram + 0x98000, 4096, 0x98000), 4096);
	memory_destroy(guest->target.memory);
	assert_null(memory_create(true, &guest->target.memory));
	assert_null(memory_add_window(guest->target.memory, gpa(0), RAM, fd, 0, flags));
	assert_null(memory_seal(guest->target.memory));
	return fd;
}

/* Reads every record of the types; false if one is no longer what it was. */
static bool read_types(const struct type_index *types)
{
	bool whole = true;
	char text[64];

	for (type_id id = 0; id < type_index_count(types); id++) {
		struct type_member member;
		struct type type;

		type_index_spell(types, id, text, sizeof(text));
		whole = type_index_get(types, id, &type) && whole;
		if (type.kind == TYPE_STRUCT)
			whole = type_index_member(types, id, 0, &member) && whole;
	}
	return whole;
}

static void put_guest(struct guest *guest)
{
	put_kernel(guest, 16 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	put_types(guest, 16 * MIB);
}

/* The whole image is ballooned away after the attach. */
static void test_given_back(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel;
	struct symbol_index *symbols;
	struct nunchi_error *err;
	uint64_t before;
	bool whole;
	int fd;

	put_guest(guest);
	fd = share(guest, MEMORY_WINDOW_LIVE);
	guest->target.live = true;
	kernel = found_at(guest, 16 * MIB);
	assert_non_null(kernel->types);
	before = blocks(fd);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 16 * MIB, IMAGE),
			 0);
	assert_true(blocks(fd) < before);
	before = blocks(fd);
	memory_new_generation(guest->target.memory);
	whole = read_types(kernel->types);
	err = linux_symbols(kernel, &symbols);
	assert_int_equal(blocks(fd), before);
	assert_true(whole);
	assert_non_null(err);
	assert_non_null(strstr(nunchi_error_message(err), "changed while they were read"));
	nunchi_error_destroy(err);
	linux_kernel_destroy(kernel);
	close(fd);
}

/* Symbols are decoded long after the attach, from bytes that are read again. */
static void test_symbols_later(void **state)
{
	struct guest *guest = *state;

	put_guest(guest);
	for (int live = 0; live < 2; live++) {
		int fd = share(guest, live ? MEMORY_WINDOW_LIVE : 0);
		struct linux_kernel *kernel;
		struct symbol_index *symbols;
		size_t at;

		guest->target.live = live;
		kernel = found_at(guest, 16 * MIB);
		assert_int_equal(linux_rodata_lasts(kernel), !live);
		memory_new_generation(guest->target.memory);
		assert_null(linux_symbols(kernel, &symbols));
		assert_true(symbol_index_find(symbols, "phys_base", &at));
		assert_int_equal(symbol_index_get(symbols, at).address, WRITER_BASE + PHYS_BASE);
		assert_true(read_types(kernel->types));
		linux_kernel_destroy(kernel);
		close(fd);
	}
}

/* A reader, such as that of a compressed dump, gives copies: the copy of all of it is not kept. */
static void test_copy_is_dropped(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel;
	struct symbol_index *symbols;

	put_guest(guest);
	kernel = found_at(guest, 16 * MIB);
	assert_null(kernel->rodata.copy);
	assert_true(read_types(kernel->types));
	assert_null(linux_symbols(kernel, &symbols));
	assert_null(kernel->rodata.copy);
	linux_kernel_destroy(kernel);
}

static bool has_fact(const struct linux_kernel *kernel, const char *topic, const char *name)
{
	for (size_t i = 0; i < kernel->fact_count; i++) {
		if (!strcmp(kernel->facts[i].topic, topic) && !strcmp(kernel->facts[i].name, name))
			return true;
	}
	return false;
}

/* The attach looks up only what it needs itself. */
static void test_attach_is_lazy(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel;

	put_guest(guest);
	kernel = found_at(guest, 16 * MIB);
	/* It has no loadable modules, by its symbols: no list of them is searched for. */
	for (int group = 0; group < LAYOUT_GROUP_COUNT; group++)
		assert_int_equal(kernel->layout.known[group], group == LAYOUT_GROUP_task);
	for (size_t i = 0; i < kernel->fact_count; i++)
		assert_string_not_equal(kernel->facts[i].topic, "missing");
	linux_kernel_note_missing(kernel);
	assert_true(kernel->layout.known[LAYOUT_GROUP_log]);
	assert_true(has_fact(kernel, "missing", "path"));
	/* What only modules need is not missing in a kernel that has none. */
	assert_true(has_fact(kernel, "kernel", "modules"));
	assert_false(has_fact(kernel, "missing", "module"));
	assert_false(has_fact(kernel, "missing", "module_symbols"));
	linux_kernel_destroy(kernel);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(given_back),
	    TEST(symbols_later),
	    TEST(copy_is_dropped),
	    TEST(attach_is_lazy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
