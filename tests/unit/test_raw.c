/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
#include "target/file/foreign.h"
#include "target/file/raw.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define GIB ((uint64_t)1 << 30)

static void test_flat(void **state)
{
	struct blob blob = {0};
	struct target *target;
	uint8_t page[WRITER_PAGE];

	(void)state;
	for (uint64_t at = 0; at < MIB; at += sizeof(page)) {
		writer_fill(at, page, sizeof(page));
		blob_append(&blob, page, sizeof(page));
	}
	target = saved_open(&blob);
	assert_string_equal(target->ops->kind, "raw");
	saved_has(target, 0, MIB);
	saved_lacks(target, MIB, 1, MEMORY_NO_RAM);
	assert_int_equal(target->note_count, 0);
	target_close(target);

	blob_append(&blob, "tail", 4);
	target = saved_open(&blob);
	saved_has(target, 0, MIB);
	assert_int_equal(memory_total(target->memory), MIB);
	assert_true(saved_notes(target, "(4 bytes more)"));
	target_close(target);
	blob_free(&blob);
}

/* RAM as SeaBIOS tells of it: [0, 0x9fc00), [1 MiB, low - 0x21000), and above 4 GiB. */
static struct target_ram ram_of(uint64_t low, uint64_t above)
{
	struct target_ram ram = {
	    .ranges = {{gpa(0), 0x9fc00}, {gpa(MIB), low - 0x21000 - MIB}, {gpa(4 * GIB), above}},
	    .count = above ? 3 : 2,
	    .low_end = low,
	    .end = above ? 4 * GIB + above : low - 0x21000,
	};

	return ram;
}

/* Layout n must be of that kind and split. */
static void fits(uint64_t size, const struct target_ram *ram, unsigned n, enum raw_kind kind,
		 uint64_t split)
{
	struct raw_layout layout;

	assert_true(raw_fit(size, ram, false, n, &layout));
	assert_int_equal(layout.kind, kind);
	assert_int_equal(layout.split, split);
}

static void test_guesses(void **state)
{
	struct raw_layout layout;
	unsigned n;

	(void)state;
	for (n = 0; raw_guess(2 * GIB, n, &layout); n++)
		assert_int_equal(layout.kind, RAW_FLAT);
	assert_int_equal(n, 1);
	assert_true(raw_guess(2 * GIB + 4096, 1, &layout));
	assert_int_equal(layout.split, 0x80000000);
	for (n = 0; raw_guess(5 * GIB, n, &layout); n++)
		;
	assert_int_equal(n, 7);
	/* LiME's raw format: RAM below 640 KiB ends within a page. */
	assert_true(raw_guess(GIB - 0x61400, 1, &layout));
	assert_int_equal(layout.kind, RAW_PACKED);
	assert_int_equal(layout.low_end, 0x9fc00);
}

static void test_fits(void **state)
{
	struct target_ram ram = ram_of(3 * GIB, GIB);
	struct raw_layout layout;

	(void)state;
	/* Whole, cut, padded a little. */
	fits(4 * GIB, &ram, 0, RAW_HOLE, 3 * GIB);
	fits(4 * GIB, &ram, 1, RAW_FLAT, 0);
	assert_false(raw_fit(4 * GIB, &ram, false, 2, &layout));
	fits(4 * GIB - 200 * MIB, &ram, 0, RAW_HOLE, 3 * GIB);
	fits(5 * GIB, &ram, 0, RAW_FLAT, 0);
	/* 1 GiB of padding makes it as long as a flat one: then the other is tried as well. */
	fits(5 * GIB, &ram, 1, RAW_HOLE, 3 * GIB);
	/* Firecracker's. */
	ram = ram_of(0xd0000000, 0x30000000);
	fits(4 * GIB, &ram, 0, RAW_HOLE, 0xd0000000);
	/* By max_pfn alone: the file's size tells the split, whatever it is. */
	ram = (struct target_ram){.end = 0x130000000};
	fits(4 * GIB, &ram, 0, RAW_HOLE, 0xd0000000);
	ram.end = 0x123400000;
	fits(4 * GIB, &ram, 0, RAW_HOLE, 4 * GIB - 0x23400000);
	/* Nothing above 4 GiB: flat, as with mem=2G. */
	ram = (struct target_ram){.end = 2 * GIB};
	fits(5 * GIB, &ram, 0, RAW_FLAT, 0);
	assert_false(raw_fit(5 * GIB, &ram, false, 1, &layout));
	/* Packed. */
	ram = ram_of(3 * GIB, GIB);
	assert_true(raw_fit(4 * GIB - 0x61400 - 0x21000, &ram, true, 0, &layout));
	assert_int_equal(layout.kind, RAW_PACKED);
	assert_int_equal(layout.expected, 4 * GIB - 0x61400 - 0x21000);
	assert_false(raw_fit(4 * GIB, &ram, true, 1, &layout));
}

static void read_mark(struct target *target, uint64_t address, uint64_t offset)
{
	uint64_t value = 0;

	assert_int_equal(memory_read(target->memory, gpa(address), &value, 8, NULL), MEMORY_OK);
	assert_int_equal(value, offset | 1);
}

/* A sparse file with a mark at each quarter of a GiB of it, laid out in every way. */
static void test_arrangements(void **state)
{
	char path[] = "/tmp/nunchi-test-XXXXXX";
	const struct target_ram ram = ram_of(3 * GIB, 2 * GIB + GIB / 2);
	const struct target_ram whole = ram_of(3 * GIB, 2 * GIB);
	const struct target_options options = {0};
	struct target_arrangement arrangement;
	struct memory *memory;
	struct target *target;
	struct nunchi_error *err;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 5 * GIB), 0);
	for (uint64_t at = 0; at < 5 * GIB; at += GIB / 4) {
		uint64_t value = at | 1;

		assert_int_equal(pwrite(fd, &value, 8, (off_t)at), 8);
	}
	err = file_target_open(path, &options, &target);
	unlink(path);
	close(fd);
	assert_null(err);
	memory = target->memory;
	assert_null(memory_count_pages(memory));
	read_mark(target, 4 * GIB, 4 * GIB);
	/* The file is half a GiB short of that RAM. */
	assert_null(target->ops->arrange(target, &ram, 0, &arrangement));
	assert_true(arrangement.changed);
	assert_int_equal(arrangement.lacking, GIB / 2);
	assert_false(arrangement.certain);
	assert_ptr_equal(target->memory, memory);
	read_mark(target, 0, 0);
	read_mark(target, 3 * GIB - GIB / 4, 3 * GIB - GIB / 4);
	saved_lacks(target, 3 * GIB, 1, MEMORY_NO_RAM);
	read_mark(target, 4 * GIB, 3 * GIB);
	read_mark(target, 6 * GIB - GIB / 4, 5 * GIB - GIB / 4);
	saved_lacks(target, 6 * GIB, 1, MEMORY_NOT_SAVED);
	saved_lacks(target, 6 * GIB + GIB / 2, 1, MEMORY_NO_RAM);
	assert_null(target->ops->arrange(target, &ram, 0, &arrangement));
	assert_false(arrangement.changed);
	assert_null(target->ops->arrange(target, NULL, 0, &arrangement));
	assert_true(arrangement.changed);
	assert_false(arrangement.certain);
	/* One of this size may also be without the PCI hole. */
	assert_false(arrangement.sole);
	read_mark(target, 3 * GIB, 3 * GIB);
	assert_null(target->ops->arrange(target, &whole, 0, &arrangement));
	assert_true(arrangement.certain);
	read_mark(target, 6 * GIB - GIB / 4, 5 * GIB - GIB / 4);
	assert_true(memory_stats(memory).pages_touched > 0);
	err = target->ops->arrange(target, NULL, 7, &arrangement);
	assert_true(error_is(err, NUNCHI_ERROR_NOT_FOUND));
	nunchi_error_destroy(err);
	target_close(target);
}

/* A file that ends below the PCI hole of any machine, unless it is packed. */
static void test_sole(void **state)
{
	struct target_arrangement arrangement;

	(void)state;
	for (size_t odd = 0; odd < 2; odd++) {
		struct blob blob = {0};
		struct target *target;

		blob_put32(&blob, 4 * MIB + odd * 0xc00 - 4, 0);
		target = saved_open(&blob);
		assert_null(target->ops->arrange(target, NULL, 0, &arrangement));
		assert_int_equal(arrangement.sole, !odd);
		target_close(target);
		blob_free(&blob);
	}
}

/* LiME's raw format: offsets of pages are no multiples of the page size. */
static void test_packed(void **state)
{
	const struct target_ram ram = {
	    .ranges = {{gpa(0), 0x9fc00}, {gpa(MIB), MIB}, {gpa(4 * MIB), MIB}},
	    .count = 3,
	    .low_end = 2 * MIB,
	    .end = 5 * MIB,
	};
	const struct memory_range parts[] = {
	    {gpa(0x1000), 0x9ec00}, {gpa(MIB), MIB}, {gpa(4 * MIB), MIB}};
	struct target_arrangement arrangement;
	struct blob blob = {0};
	struct target *target;
	uint8_t page[WRITER_PAGE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		for (uint64_t at = 0; at < parts[i].size; at += sizeof(page)) {
			uint64_t left = parts[i].size - at;

			writer_fill(parts[i].start.v + at, page, sizeof(page));
			blob_append(&blob, page, left < sizeof(page) ? left : sizeof(page));
		}
	}
	target = saved_open(&blob);
	assert_true(saved_notes(target, "LiME's raw format"));
	assert_null(target->ops->arrange(target, NULL, 1, &arrangement));
	saved_has(target, 0x1000, 0x9ec00);
	saved_has(target, MIB, MIB);
	assert_null(target->ops->arrange(target, &ram, 0, &arrangement));
	assert_true(arrangement.changed);
	assert_int_equal(arrangement.lacking, 0);
	assert_false(arrangement.certain);
	saved_has(target, 0x1000, 0x9ec00);
	saved_has(target, MIB, MIB);
	saved_has(target, 4 * MIB, MIB);
	saved_lacks(target, 2 * MIB, MIB, MEMORY_NO_RAM);
	target_close(target);
	blob_free(&blob);
}

static void refuse_path(const char *path, enum nunchi_error_code code, const char *words)
{
	struct target_options options = {0};
	struct target *target = NULL;
	struct nunchi_error *err = file_target_open(path, &options, &target);

	assert_non_null(err);
	assert_null(target);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words) ||
	    !strstr(nunchi_error_message(err), path) || !nunchi_error_hint(err))
		fail_msg("%d: %s", nunchi_error_code(err), nunchi_error_message(err));
	nunchi_error_destroy(err);
}

static void test_no_regular_file(void **state)
{
	char directory[] = "/tmp/nunchi-test-XXXXXX", path[64];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	refuse_path(directory, NUNCHI_ERROR_UNSUPPORTED, "directory");
	refuse_path("/dev/null", NUNCHI_ERROR_UNSUPPORTED, "character device");
	snprintf(path, sizeof(path), "%s/none", directory);
	refuse_path(path, NUNCHI_ERROR_NOT_FOUND, "cannot be opened");
	assert_int_equal(mkfifo(path, 0600), 0);
	refuse_path(path, NUNCHI_ERROR_UNSUPPORTED, "pipe");
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	refuse_path(path, NUNCHI_ERROR_ARGUMENT, "socket");
	close(fd);
	unlink(path);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	refuse_path(path, NUNCHI_ERROR_TRUNCATED, "empty");
	close(fd);
	unlink(path);
	rmdir(directory);
}

static void test_foreign(void **state)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *words;
		size_t offset;
	} cases[] = {
	    {"QFI\xfb", 4, "qcow2", 0},
	    {"DISKDUMP", 8, "diskdump", 0},
	    {"\xd0\xbe\xd0\xbe", 4, "VMware", 0},
	    {"\x7fVirtualBox SavedState V2.0\n", 28, "VirtualBox", 0},
	    {"\x14\x20\x28\x01", 4, "Hyper-V", 0},
	    {"EVF\x09\x0d\x0a\xff\0", 8, "EWF", 0},
	    {"7z\xbc\xaf\x27\x1c", 6, "7z", 0},
	    {"ustar", 5, "tar", 257},
	    {"S1SUSPEND", 9, "hibernation", 4086},
	    {"PAGEDU64", 8, "crash dump of Windows", 0},
	    {"MDMP\x93\xa7", 6, "program of Windows", 0},
	    {"HdrS", 4, "kernel to boot", 514},
	};
	struct blob blob = {0};
	char text[8192];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		blob_put(&blob, 8191, "", 1);
		blob_put(&blob, cases[i].offset, cases[i].magic, cases[i].size);
		saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, cases[i].words);
		blob_free(&blob);
	}
	memset(text, 'x', sizeof(text));
	text[80] = '\n';
	blob_put(&blob, 0, text, sizeof(text));
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "text");
	blob_free(&blob);
	blob_put(&blob, 0, "\x01\x02\x03", 4);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "too small");
	blob_free(&blob);
}

/* What a build says that cannot unpack it, and of one in another. */
static void test_packings(void **state)
{
	static const struct {
		const char *magic;
		const char *what, *command;
	} cases[] = {
	    {"\x1f\x8b\x08", "a gzip file", "gunzip -c dump >dump.raw"},
	    {"\xfd\x37zXZ", "an xz file", "xz -dc dump >dump.raw"},
	    {"\x28\xb5\x2f\xfd", "a zstd file", "zstd -d --long=31 dump -o dump.raw"},
	    {"\x50\x2a\x4d\x18", "a zstd file", "zstd -d --long=31 dump -o dump.raw"},
	    {"\x04\x22\x4d\x18", "an lz4 file", "lz4 -d dump dump.raw"},
	    {"\x02\x21\x4c\x18", "an lz4 file (legacy format)", "lz4 -d dump dump.raw"},
	    {"BZh", "a bzip2 file", "bunzip2 -c dump >dump.raw"},
	    {"\x38\x8d", "LiME", "zlib-flate -uncompress <dump >dump.raw"},
	    {"\x78\x01", "a zlib stream", "zlib-flate -uncompress <dump >dump.raw"},
	    {"\x78\xda", "a zlib stream", "zlib-flate -uncompress <dump >dump.raw"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t start[4096] = {0};
		struct nunchi_error *err;

		memcpy(start, cases[i].magic, strlen(cases[i].magic));
		err = foreign_file_error("dump", start, sizeof(start));
		assert_non_null(err);
		assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_UNSUPPORTED);
		assert_non_null(strstr(nunchi_error_message(err), cases[i].what));
		assert_non_null(strstr(nunchi_error_hint(err), cases[i].command));
		nunchi_error_destroy(err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flat),
	    cmocka_unit_test(test_guesses),
	    cmocka_unit_test(test_fits),
	    cmocka_unit_test(test_arrangements),
	    cmocka_unit_test(test_sole),
	    cmocka_unit_test(test_packed),
	    cmocka_unit_test(test_no_regular_file),
	    cmocka_unit_test(test_foreign),
	    cmocka_unit_test(test_packings),
	};

	return cmocka_run_group_tests_name("raw", tests, NULL, NULL);
}
