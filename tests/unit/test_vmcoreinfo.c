/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/cleanup.h"
#include "symbols/vmcoreinfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char note[] = "OSRELEASE=6.1.0-44-amd64\n"
			   "BUILD-ID=0f5c\n"
			   "PAGESIZE=4096\n"
			   "SYMBOL(init_uts_ns)=ffffffff8461bc80\n"
			   "SYMBOL(init)=1\n"
			   "OFFSET(uts_namespace.name)=0\n"
			   "NUMBER(phys_base)=-1048576\n"
			   "NUMBER(VMALLOC_START)=0xffffd2f8c0000000\n"
			   "NUMBER(lowest)=-9223372036854775808\n"
			   "NUMBER(too_low)=-9223372036854775809\n"
			   "NUMBER(too_high)=9223372036854775808\n"
			   "NUMBER(no_number)=12x\n"
			   "NUMBER(empty)=\n"
			   "SYMBOL(too_long)=1ffffffffffffffff\n"
			   "KERNELOFFSET=2a00000\n"
			   "EMPTY=\n";

static struct vmcoreinfo parse(const void *data, size_t size)
{
	struct vmcoreinfo info = {0};

	assert_true(vmcoreinfo_parse(data, size, &info));
	return info;
}

static void test_page_of_a_kernel(void **state)
{
	struct vmcoreinfo info;
	char page[4096] = {0};

	(void)state;
	memcpy(page, note, sizeof(note));
	info = parse(page, sizeof(page));
	assert_int_equal(info.size, strlen(note));
	assert_ptr_equal(info.text, page);
}

static void test_values(void **state)
{
	struct vmcoreinfo info = parse(note, strlen(note));
	const char *text;
	uint64_t value;
	size_t size;

	(void)state;
	assert_true(vmcoreinfo_get(&info, "OSRELEASE", &text, &size));
	assert_int_equal(size, strlen("6.1.0-44-amd64"));
	assert_memory_equal(text, "6.1.0-44-amd64", size);
	assert_true(vmcoreinfo_get(&info, "EMPTY", &text, &size));
	assert_int_equal(size, 0);
	assert_false(vmcoreinfo_get(&info, "AGESIZE", &text, &size));
	assert_false(vmcoreinfo_get(&info, "PAGE", &text, &size));
	assert_false(vmcoreinfo_get(&info, "4096", &text, &size));
	assert_true(vmcoreinfo_symbol(&info, "init_uts_ns", &value));
	assert_int_equal(value, 0xffffffff8461bc80);
	assert_true(vmcoreinfo_symbol(&info, "init", &value));
	assert_int_equal(value, 1);
	assert_false(vmcoreinfo_symbol(&info, "init_uts", &value));
	assert_false(vmcoreinfo_symbol(&info, "too_long", &value));
	assert_int_equal(value, 1);
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {"too_low", "too_high", "no_number", "empty", "missing"};
	struct vmcoreinfo info = parse(note, strlen(note));
	int64_t value;

	(void)state;
	assert_true(vmcoreinfo_number(&info, "phys_base", &value));
	assert_int_equal(value, -1048576);
	assert_true(vmcoreinfo_number(&info, "VMALLOC_START", &value));
	assert_int_equal(value, (int64_t)0xffffd2f8c0000000);
	assert_true(vmcoreinfo_number(&info, "lowest", &value));
	assert_int_equal(value, INT64_MIN);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(vmcoreinfo_number(&info, bad[i], &value));
	assert_int_equal(value, INT64_MIN);
}

static void test_ends_where_it_ceases_to_be_a_note(void **state)
{
	static const char first[] = "OSRELEASE=6.1\nPAGESIZE=4096\n";
	static const char *const after[] = {"no equals sign\n", "=no key\n", "CONTROL=\x01\n",
					    "HIGH=\xc3\xa9\n", "\n"};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
		snprintf(text, sizeof(text), "%s%sX=1\n", first, after[i]);
		assert_int_equal(parse(text, strlen(text)).size, strlen(first));
	}
	/* A line that is cut off. */
	snprintf(text, sizeof(text), "%sX=1", first);
	assert_int_equal(parse(text, strlen(text)).size, strlen(first));
}

static void test_what_is_no_note(void **state)
{
	static const char *const texts[] = {"",
					    "OSRELEASE=",
					    "OSRELEASE=\nPAGESIZE=4096\n",
					    "OSRELEASE=6.1\n",
					    "OSRELEASE=6.1\nPAGESIZE=0\n",
					    "OSRELEASE=6.1\nPAGESIZE=5000\n",
					    "OSRELEASE=6.1\nPAGESIZE=4096",
					    "OSRELEASE=%s\nPAGESIZE=4096\n",
					    "xOSRELEASE=6.1\nPAGESIZE=4096\n",
					    "OSRELEASE=6.1\nPAGESIZE=x\n"};
	struct vmcoreinfo info = {.size = 77};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t size = strlen(texts[i]);
		/* In memory of its own, so that a sanitizer sees overruns. */
		_cleanup_free_ char *copy = malloc(size ? size : 1);

		memcpy(copy, texts[i], size);
		assert_false(vmcoreinfo_parse(copy, size, &info));
	}
	assert_int_equal(info.size, 77);
}

static void test_endless_text_is_bounded(void **state)
{
	static const char start[] = "OSRELEASE=6.1\nPAGESIZE=4096\n";
	size_t size = 1 << 20;
	_cleanup_free_ char *text = malloc(size);

	(void)state;
	memcpy(text, start, strlen(start));
	for (size_t i = strlen(start); i < size; i++)
		text[i] = "A=1\n"[i % 4];
	assert_in_range(parse(text, size).size, 4096, 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_page_of_a_kernel),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_ends_where_it_ceases_to_be_a_note),
	    cmocka_unit_test(test_what_is_no_note),
	    cmocka_unit_test(test_endless_text_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
