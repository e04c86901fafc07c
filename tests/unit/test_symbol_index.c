/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/error.h"
#include "symbols/symbol_index.h"
#include "symbols/symbol_index_private.h"
#include "symbols/symbol_variant.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

DEFINE_CLEANUP(struct symbol_index, symbol_index_unref)
#define _cleanup_index_ _cleanup_(cleanup_symbol_index_unref_p)

static void add(struct symbol_index *index, uint64_t address, char type, const char *name)
{
	assert_null(symbol_index_add(index, name, strlen(name), address, type));
}

static void assert_symbol(const struct symbol_index *index, size_t i, uint64_t address, char type,
			  const char *name)
{
	struct symbol symbol = symbol_index_get(index, i);

	assert_int_equal(symbol.address, address);
	assert_int_equal(symbol.type, type);
	assert_string_equal(symbol.name, name);
}

static void test_sorted_by_address_then_as_added(void **state)
{
	_cleanup_index_ struct symbol_index *index = NULL;

	(void)state;
	assert_null(symbol_index_create(&index));
	add(index, 0xffffffff81000100, 'T', "second");
	add(index, 0xffffffff81000000, 'T', "_stext");
	add(index, 0xffffffff81000000, 't', "_text");
	add(index, 0x1000, 'A', "percpu");
	assert_null(symbol_index_add(index, "third and more", 5, 0xffffffff81000200, 'd'));
	assert_null(symbol_index_seal(index));
	assert_int_equal(symbol_index_count(index), 5);
	assert_symbol(index, 0, 0x1000, 'A', "percpu");
	assert_symbol(index, 1, 0xffffffff81000000, 'T', "_stext");
	assert_symbol(index, 2, 0xffffffff81000000, 't', "_text");
	assert_symbol(index, 3, 0xffffffff81000100, 'T', "second");
	assert_symbol(index, 4, 0xffffffff81000200, 'd', "third");
}

static void test_at(void **state)
{
	_cleanup_index_ struct symbol_index *index = NULL;
	size_t at = 99;

	(void)state;
	assert_null(symbol_index_create(&index));
	assert_false(symbol_index_at(index, 5, &at));
	add(index, 0x100, 'T', "a");
	add(index, 0x100, 'T', "b");
	add(index, 0x200, 'T', "c");
	assert_null(symbol_index_seal(index));
	assert_false(symbol_index_at(index, 0xff, &at));
	assert_int_equal(at, 99);
	assert_true(symbol_index_at(index, 0x100, &at));
	assert_int_equal(at, 1);
	assert_true(symbol_index_at(index, 0x1ff, &at));
	assert_int_equal(at, 1);
	assert_true(symbol_index_at(index, UINT64_MAX, &at));
	assert_int_equal(at, 2);
}

/* Enough that tables grow and buckets fill. */
static void test_find_among_many(void **state)
{
	_cleanup_index_ struct symbol_index *index = NULL;
	char name[64];
	size_t at;

	(void)state;
	assert_null(symbol_index_create(&index));
	for (uint64_t i = 0; i < 50000; i++) {
		snprintf(name, sizeof(name), "symbol_number_%llu", (unsigned long long)i % 40000);
		/* Downwards, so that sealing has to sort. */
		add(index, 0xffffffff90000000 - i * 16, 't', name);
	}
	assert_null(symbol_index_seal(index));
	for (uint64_t i = 0; i < 40000; i += 7) {
		snprintf(name, sizeof(name), "symbol_number_%llu", (unsigned long long)i);
		assert_true(symbol_index_find(index, name, &at));
		/* Of those that there are twice, the lower. */
		assert_int_equal(symbol_index_get(index, at).address,
				 0xffffffff90000000 - (i < 10000 ? i + 40000 : i) * 16);
		assert_string_equal(symbol_index_get(index, at).name, name);
	}
	assert_false(symbol_index_find(index, "symbol_number_40000", &at));
	assert_false(symbol_index_find(index, "", &at));
	assert_false(symbol_index_find(index, "symbol_number_", &at));
}

static void test_refused_symbols(void **state)
{
	_cleanup_index_ struct symbol_index *index = NULL;
	char name[SYMBOL_NAME_MAX + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_null(symbol_index_create(&index));
	for (unsigned i = 0; i < 3; i++) {
		const char *names[] = {name, "", "a\0b"};
		size_t sizes[] = {sizeof(name), 0, 3};
		_cleanup_error_ struct nunchi_error *err =
		    symbol_index_add(index, names[i], sizes[i], 1, 't');

		assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	}
	assert_null(symbol_index_add(index, name, SYMBOL_NAME_MAX, 1, 't'));
	assert_null(symbol_index_seal(index));
	{
		_cleanup_error_ struct nunchi_error *err = symbol_index_add(index, "x", 1, 1, 't');

		assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	}
	assert_int_equal(symbol_index_count(index), 1);
	assert_int_equal(strlen(symbol_index_get(index, 0).name), SYMBOL_NAME_MAX);
}

static void test_limits(void **state)
{
	_cleanup_index_ struct symbol_index *index = NULL;
	_cleanup_error_ struct nunchi_error *many = NULL, *large = NULL;

	(void)state;
	assert_null(symbol_index_create(&index));
	many = symbol_index_reserve(index, SYMBOL_COUNT_MAX + 1, 0);
	large = symbol_index_reserve(index, 1, SYMBOL_ARENA_MAX + 1);
	assert_true(error_is(many, NUNCHI_ERROR_DATA));
	assert_true(error_is(large, NUNCHI_ERROR_DATA));
}

static void test_references(void **state)
{
	struct symbol_index *index = NULL;

	(void)state;
	assert_null(symbol_index_create(&index));
	add(index, 1, 't', "a");
	assert_null(symbol_index_seal(index));
	assert_ptr_equal(symbol_index_ref(index), index);
	symbol_index_unref(index);
	assert_string_equal(symbol_index_get(index, 0).name, "a");
	symbol_index_unref(index);
	symbol_index_unref(NULL);
}

static void *find_all(void *data)
{
	const struct symbol_index *index = data;
	uintptr_t found = 0;
	char name[32];
	size_t at;

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "name_%u", i);
		found += symbol_index_find(index, name, &at) && at == i;
	}
	return (void *)found;
}

/* An index is shared by guests in several threads, and the first search makes the table. */
static void test_threads_search_at_once(void **state)
{
	_cleanup_index_ struct symbol_index *index = NULL;
	pthread_t threads[4];
	char name[32];

	(void)state;
	assert_null(symbol_index_create(&index));
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "name_%u", i);
		add(index, i, 't', name);
	}
	assert_null(symbol_index_seal(index));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, find_all, index), 0);
	for (unsigned i = 0; i < 4; i++) {
		void *found;

		assert_int_equal(pthread_join(threads[i], &found), 0);
		assert_int_equal((uintptr_t)found, 5000);
	}
}

static void test_suggestions(void **state)
{
	static const struct {
		const char *typed;
		const char *meant;
	} cases[] = {
	    {"init_taks", "init_task"},
	    {"init_tsk", "init_task"},
	    {"kallsyms_lokup_nmae", "kallsyms_lookup_name"},
	    {"linux_baner", "linux_banner"},
	    {"linux_bannerr", "linux_banner"},
	    {"init_task", "init_task"},
	    {"task", NULL},
	    {"completely_different", NULL},
	    {"x", NULL},
	    {"", NULL},
	};
	_cleanup_index_ struct symbol_index *index = NULL;
	char name[300];

	(void)state;
	assert_null(symbol_index_create(&index));
	add(index, 1, 'D', "init_task");
	add(index, 2, 'D', "linux_banner");
	add(index, 3, 'T', "kallsyms_lookup_name");
	add(index, 4, 'T', "init_uts_ns");
	memset(name, 'n', sizeof(name));
	assert_null(symbol_index_add(index, name, sizeof(name), 5, 'T'));
	assert_null(symbol_index_seal(index));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *suggestion = symbol_index_suggest(index, cases[i].typed);

		if (!cases[i].meant)
			assert_null(suggestion);
		else if (!suggestion)
			fail_msg("nothing suggested for %s", cases[i].typed);
		else
			assert_string_equal(suggestion, cases[i].meant);
	}
	name[sizeof(name) - 1] = 0;
	assert_null(symbol_index_suggest(index, name));
}

static struct nunchi_error *parse(const char *text, size_t size, struct symbol_index **ret)
{
	/* In memory of its own, so that a sanitizer sees overruns. */
	_cleanup_free_ char *copy = malloc(size ? size : 1);

	memcpy(copy, text, size);
	return symbol_index_parse_map(copy, size, ret);
}

static void test_map_with_modules(void **state)
{
	static const char map[] = "0000000000000000 A fixed_percpu_data\n"
				  "ffffffff81000000 T _stext\r\n"
				  "\n"
				  "ffffffff81000000 T _text\n"
				  "ffffffffc0200000 t ext4_read\t[ext4]\n"
				  "ffffffff81000040 t a.b$c.llvm.1234\n"
				  "c8000000 D without_newline";
	_cleanup_index_ struct symbol_index *index = NULL;

	(void)state;
	assert_null(parse(map, strlen(map), &index));
	assert_int_equal(symbol_index_count(index), 5);
	assert_symbol(index, 0, 0, 'A', "fixed_percpu_data");
	assert_symbol(index, 1, 0xc8000000, 'D', "without_newline");
	assert_symbol(index, 2, 0xffffffff81000000, 'T', "_stext");
	assert_symbol(index, 3, 0xffffffff81000000, 'T', "_text");
	assert_symbol(index, 4, 0xffffffff81000040, 't', "a.b$c.llvm.1234");
}

static void test_map_refused(void **state)
{
	static const char *const maps[] = {
	    "",
	    "\n\n",
	    "hello\n",
	    "ffffffff81000000\n",
	    "ffffffff81000000 T\n",
	    "ffffffff81000000 T \n",
	    "ffffffff81000000 TT x\n",
	    "0ffffffff81000000 T x\n",
	    " ffffffff81000000 T x\n",
	    "ffffffff81000000 T x y\n",
	    "ffffffffffffffff B The real System.map is in another package\n",
	    "0000000000000000 T _stext\n0000000000000000 T _text\n",
	    "ffffffffc0200000 t ext4_read\t[ext4]\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		struct symbol_index *index = NULL;
		_cleanup_error_ struct nunchi_error *err = parse(maps[i], strlen(maps[i]), &index);

		if (!error_is(err, NUNCHI_ERROR_DATA))
			fail_msg("accepted: %s", maps[i]);
		assert_null(index);
		assert_non_null(nunchi_error_hint(err));
	}
}

/* What lies beside a System.map in /boot, or in a build. */
static void test_map_of_another_kind(void **state)
{
	static const char elf[] = "\177ELF\2\1\1";
	static char boot[1024];
	struct symbol_index *index = NULL;
	_cleanup_error_ struct nunchi_error *first = parse(elf, sizeof(elf), &index);
	_cleanup_error_ struct nunchi_error *second = NULL;

	(void)state;
	assert_true(error_is(first, NUNCHI_ERROR_DATA));
	assert_non_null(strstr(nunchi_error_message(first), "ELF"));
	assert_non_null(strstr(nunchi_error_hint(first), "nm -n"));
	memcpy(boot + 514, "HdrS", 4);
	second = parse(boot, sizeof(boot), &index);
	assert_true(error_is(second, NUNCHI_ERROR_DATA));
	assert_non_null(strstr(nunchi_error_message(second), "bzImage"));
}

static void test_map_names_its_bad_line(void **state)
{
	static const char map[] = "ffffffff81000000 T _stext\nffffffff81000000 T a\0b\n";
	struct symbol_index *index = NULL;
	_cleanup_error_ struct nunchi_error *err = parse(map, sizeof(map) - 1, &index);

	(void)state;
	assert_true(error_is(err, NUNCHI_ERROR_DATA));
	assert_non_null(strstr(nunchi_error_message(err), "line 2"));
}

static void test_variant_of(void **state)
{
	(void)state;
	assert_int_equal(symbol_variant_of("prb.llvm.123", "prb"), SYMBOL_VARIANT);
	assert_int_equal(symbol_variant_of("f.isra.0", "f"), SYMBOL_VARIANT);
	assert_int_equal(symbol_variant_of("f.constprop.12.isra.0", "f"), SYMBOL_VARIANT);
	assert_int_equal(symbol_variant_of("f.part.0", "f"), SYMBOL_PIECE);
	assert_int_equal(symbol_variant_of("f.cold", "f"), SYMBOL_PIECE);
	assert_int_equal(symbol_variant_of("f.cold.7", "f"), SYMBOL_PIECE);
	assert_int_equal(symbol_variant_of("f.isra.0.cold", "f"), SYMBOL_PIECE);
	assert_int_equal(symbol_variant_of("f", "f"), SYMBOL_UNRELATED);
	assert_int_equal(symbol_variant_of("f.", "f"), SYMBOL_UNRELATED);
	assert_int_equal(symbol_variant_of("f.llvm.", "f"), SYMBOL_UNRELATED);
	assert_int_equal(symbol_variant_of("f.llvm.x", "f"), SYMBOL_UNRELATED);
	assert_int_equal(symbol_variant_of("f.isra", "f"), SYMBOL_UNRELATED);
	assert_int_equal(symbol_variant_of("f.coldest", "f"), SYMBOL_UNRELATED);
	assert_int_equal(symbol_variant_of("f2.llvm.1", "f"), SYMBOL_UNRELATED);
	assert_int_equal(symbol_variant_of("f.other", "f"), SYMBOL_UNRELATED);
}

static void test_find_variants(void **state)
{
	_cleanup_index_ struct symbol_index *index = NULL;
	size_t at = 99;

	(void)state;
	assert_null(symbol_index_create(&index));
	add(index, 0x100, 't', "one.cold");
	add(index, 0x200, 't', "one.isra.0");
	add(index, 0x300, 'd', "two.llvm.1");
	add(index, 0x400, 'd', "two.llvm.2");
	add(index, 0x500, 't', "piece.part.0");
	assert_null(symbol_index_seal(index));
	assert_int_equal(symbol_index_find_variants(index, "one", &at), 1);
	assert_symbol(index, at, 0x200, 't', "one.isra.0");
	assert_int_equal(symbol_index_find_variants(index, "two", &at), 2);
	assert_int_equal(symbol_index_find_variants(index, "piece", &at), 1);
	assert_symbol(index, at, 0x500, 't', "piece.part.0");
	assert_int_equal(symbol_index_find_variants(index, "none", &at), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_variant_of),
	    cmocka_unit_test(test_find_variants),
	    cmocka_unit_test(test_sorted_by_address_then_as_added),
	    cmocka_unit_test(test_at),
	    cmocka_unit_test(test_find_among_many),
	    cmocka_unit_test(test_refused_symbols),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_references),
	    cmocka_unit_test(test_threads_search_at_once),
	    cmocka_unit_test(test_suggestions),
	    cmocka_unit_test(test_map_with_modules),
	    cmocka_unit_test(test_map_refused),
	    cmocka_unit_test(test_map_of_another_kind),
	    cmocka_unit_test(test_map_names_its_bad_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
