/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
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
	assert_int_equal(target->layout_count, 1);
	assert_int_equal(target->layout, 0);
	saved_has(target, 0, MIB);
	saved_lacks(target, MIB, 1, MEMORY_NO_RAM);
	assert_int_equal(target->note_count, 0);
	target_close(target);

	blob_append(&blob, "tail", 4);
	target = saved_open(&blob);
	saved_has(target, 0, MIB);
	assert_int_equal(memory_total(target->memory), MIB);
	assert_true(saved_notes(target, "its last 4 bytes are left out"));
	target_close(target);
	blob_free(&blob);
}

static void test_layout_list(void **state)
{
	(void)state;
	assert_int_equal(raw_layout_count(GIB), 1);
	assert_int_equal(raw_layout_count(2 * GIB), 1);
	assert_int_equal(raw_layout_count(2 * GIB + 4096), 2);
	assert_int_equal(raw_layout(2 * GIB + 4096, 1)->split, 0x80000000);
	assert_int_equal(raw_layout_count(3 * GIB), 3);
	assert_int_equal(raw_layout_count(5 * GIB), 6);
	assert_int_equal(raw_layout(5 * GIB, 0)->split, 0);
	assert_int_equal(raw_layout(5 * GIB, 1)->split, 0xc0000000);
	assert_int_equal(raw_layout(5 * GIB, 5)->split, 0xf0000000);
	assert_null(raw_layout(5 * GIB, 6));
	/* A part of a page does not make RAM above the hole. */
	assert_int_equal(raw_layout_count(2 * GIB + 1), 1);
}

/* A sparse file of 5 GiB with a mark at each GiB. */
static void test_layouts(void **state)
{
	const uint64_t splits[] = {0, 0xc0000000, 0x80000000, 0xe0000000, 0xb0000000, 0xf0000000};
	char path[] = "/tmp/nunchi-test-XXXXXX";
	struct target_options options = {0};
	struct target *target;
	struct nunchi_error *err;
	uint64_t value;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 5 * GIB), 0);
	for (uint64_t at = 0; at < 5 * GIB; at += GIB / 4) {
		value = at | 1;
		assert_int_equal(pwrite(fd, &value, 8, (off_t)at), 8);
	}
	err = file_target_open(path, &options, &target);
	unlink(path);
	close(fd);
	assert_null(err);
	assert_int_equal(target->layout_count, ARRAY_SIZE(splits));
	for (unsigned n = 0; n < ARRAY_SIZE(splits); n++) {
		assert_null(target_set_layout(target, n));
		assert_int_equal(target->layout, n);
		for (uint64_t at = 0; at < 5 * GIB; at += GIB / 4) {
			uint64_t hole = splits[n] && at >= splits[n] ? 4 * GIB - splits[n] : 0;

			assert_int_equal(
			    memory_read(target->memory, gpa(at + hole), &value, 8, NULL),
			    MEMORY_OK);
			assert_int_equal(value, at | 1);
		}
		if (splits[n])
			saved_lacks(target, splits[n], 1, MEMORY_NO_RAM);
		assert_int_equal(memory_total(target->memory), 5 * GIB);
	}
	err = target_set_layout(target, 6);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	assert_int_equal(target->layout, 5);
	target_close(target);
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
	refuse_path(path, NUNCHI_ERROR_UNSUPPORTED, "socket");
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
	} cases[] = {
	    {"\x1f\x8b\x08", 3, "gzip"},     {"QFI\xfb", 4, "qcow2"},
	    {"QEVM", 4, "migration stream"}, {"LibvirtQemudSave", 16, "libvirt save"},
	    {"DISKDUMP", 8, "diskdump"},     {"\x28\xb5\x2f\xfd", 4, "zstd"},
	};
	struct blob blob = {0};
	char text[8192];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		blob_put(&blob, 8191, "", 1);
		blob_put(&blob, 0, cases[i].magic, cases[i].size);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flat),    cmocka_unit_test(test_layout_list),
	    cmocka_unit_test(test_layouts), cmocka_unit_test(test_no_regular_file),
	    cmocka_unit_test(test_foreign),
	};

	return cmocka_run_group_tests_name("raw", tests, NULL, NULL);
}
