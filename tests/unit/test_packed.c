/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
#include "target/file/packed.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <zlib.h>
#include <zstd.h>

#define START 0x100000
#define SIZE  (3 * MIB)

/* ---- Packers --------------------------------------------------------------------------------- */

/* Appends what libarchive makes of the bytes by one filter. */
static void pack_by_archive(struct blob *to, const char *filter, const void *bytes, size_t size)
{
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t room = size + size / 4 + MIB, used = 0;
	char *packed = malloc(room);

	assert_true(archive && entry && packed);
	assert_int_equal(archive_write_add_filter_by_name(archive, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_set_format_raw(archive), ARCHIVE_OK);
	/* Blocks of 64 KiB, so that a part of a file has some. */
	if (!strcmp(filter, "lz4"))
		assert_int_equal(archive_write_set_filter_option(archive, "lz4", "block-size", "4"),
				 ARCHIVE_OK);
	assert_int_equal(archive_write_set_bytes_in_last_block(archive, 1), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(archive, packed, room, &used), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(archive, bytes, size), size);
	assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
	blob_append(to, packed, used);
	archive_entry_free(entry);
	archive_write_free(archive);
	free(packed);
}

/* window: 31 for a gzip header, 11 as LiME has it. */
static void pack_by_zlib(struct blob *to, int window, const void *bytes, size_t size)
{
	size_t room = size + size / 4 + MIB;
	Bytef *packed = malloc(room);
	z_stream stream = {.next_in = (Bytef *)bytes,
			   .avail_in = (uInt)size,
			   .next_out = packed,
			   .avail_out = (uInt)room};

	assert_non_null(packed);
	assert_int_equal(
	    deflateInit2(&stream, 6, Z_DEFLATED, window, window == 11 ? 5 : 8, Z_DEFAULT_STRATEGY),
	    Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	blob_append(to, packed, room - stream.avail_out);
	deflateEnd(&stream);
	free(packed);
}

/* With a checksum, as the zstd command does it. window: 0 for the level's own. */
static void pack_by_zstd(struct blob *to, int window, const void *bytes, size_t size)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_inBuffer in = {bytes, size, 0};
	size_t room = ZSTD_compressBound(size);
	ZSTD_outBuffer out = {malloc(room), room, 0};

	assert_true(context && out.dst);
	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)));
	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window)));
	/* In two calls the size is not known at the first, which would lessen the window. */
	assert_false(ZSTD_isError(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush)));
	assert_int_equal(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0);
	blob_append(to, out.dst, out.pos);
	ZSTD_freeCCtx(context);
	free(out.dst);
}

static void pack_gzip(struct blob *to, const void *bytes, size_t size)
{
	pack_by_zlib(to, 31, bytes, size);
}

static void pack_lime(struct blob *to, const void *bytes, size_t size)
{
	pack_by_zlib(to, 11, bytes, size);
}

static void pack_zlib(struct blob *to, const void *bytes, size_t size)
{
	pack_by_zlib(to, 15, bytes, size);
}

static void pack_bzip2(struct blob *to, const void *bytes, size_t size)
{
	pack_by_archive(to, "bzip2", bytes, size);
}

static void pack_xz(struct blob *to, const void *bytes, size_t size)
{
	pack_by_archive(to, "xz", bytes, size);
}

static void pack_lz4(struct blob *to, const void *bytes, size_t size)
{
	pack_by_archive(to, "lz4", bytes, size);
}

static void pack_zstd(struct blob *to, const void *bytes, size_t size)
{
	pack_by_zstd(to, 0, bytes, size);
}

static void pack_zstd_long(struct blob *to, const void *bytes, size_t size)
{
	pack_by_zstd(to, 27, bytes, size);
}

/* As pzstd writes it: the size of the frame in a frame that is to be skipped. */
static void pack_pzstd(struct blob *to, const void *bytes, size_t size)
{
	size_t at = to->size;

	blob_put32(to, at, 0x184d2a50);
	blob_put32(to, at + 4, 4);
	blob_put32(to, at + 8, 0);
	pack_zstd(to, bytes, size);
	blob_put32(to, at + 8, (uint32_t)(to->size - at - 12));
}

static const struct {
	const char *what;
	void (*pack)(struct blob *to, const void *bytes, size_t size);
	bool single; /* a second stream is not read */
	bool strict; /* nothing else may follow */
} packers[] = {
    {"a gzip file", pack_gzip, false},        {"a zlib stream, as LiME writes", pack_lime, true},
    {"a zlib stream", pack_zlib, true},       {"a bzip2 file", pack_bzip2, false},
    {"an xz file", pack_xz, false, true},     {"an lz4 file", pack_lz4, false},
    {"a zstd file", pack_zstd, false, true},  {"a zstd file", pack_zstd_long, false, true},
    {"a zstd file", pack_pzstd, false, true},
};

/* ---- Helpers --------------------------------------------------------------------------------- */

static struct blob lime(void)
{
	struct blob blob = {0};

	write_lime(&blob, START, SIZE);
	return blob;
}

static struct blob packed_lime(size_t packer)
{
	struct blob content = lime(), blob = {0};

	packers[packer].pack(&blob, content.data, content.size);
	blob_free(&content);
	return blob;
}

/* Unpacks without a target. */
static struct nunchi_error *run(const struct blob *blob, const struct packed_options *options,
				struct packed_result *ret)
{
	_cleanup_packed_ struct packed *packed = NULL;
	struct nunchi_error *err;
	char path[64];
	int fd;

	writer_save(blob, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	assert_true(fd >= 0);
	err = packed_prepare(packing_find(blob->data, blob->size), fd, blob->size, "dump", options,
			     &packed);
	if (!err)
		err = packed_run(packed, ret);
	close(fd);
	return err;
}

static void check_error(struct nunchi_error *err, enum nunchi_error_code code, const char *words,
			const char *hint)
{
	assert_non_null(err);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words) ||
	    !nunchi_error_hint(err) || !strstr(nunchi_error_hint(err), hint))
		fail_msg("%d: %s (%s)", nunchi_error_code(err), nunchi_error_message(err),
			 nunchi_error_hint(err));
	nunchi_error_destroy(err);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob blob = packed_lime(i);
		struct target *target = saved_open(&blob);

		assert_string_equal(target->ops->kind, "lime");
		saved_has(target, START, SIZE);
		assert_true(saved_notes(target, packers[i].what));
		assert_true(saved_notes(target, "unpacked to a temporary file of 3072 KiB in "));
		assert_int_equal(target->note_count, 1);
		target_close(target);
		blob_free(&blob);
	}
}

/* Files that were put together: `cat a.gz b.gz`. */
static void test_members(void **state)
{
	struct blob content = lime();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob blob = {0};
		struct target *target;

		if (packers[i].single)
			continue;
		packers[i].pack(&blob, content.data, MIB + 5);
		packers[i].pack(&blob, content.data + MIB + 5, content.size - MIB - 5);
		target = saved_open(&blob);
		saved_has(target, START, SIZE);
		assert_int_equal(target->note_count, 1);
		target_close(target);
		blob_free(&blob);
	}
	blob_free(&content);
}

static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob blob = packed_lime(i);
		struct target *target;

		blob.size -= blob.size / 4;
		target = saved_open(&blob);
		saved_has(target, START, MIB / 2);
		saved_lacks(target, START + SIZE - MIB / 4, MIB / 4, MEMORY_NOT_SAVED);
		assert_true(saved_notes(target, "the packed file is cut off: the "));
		assert_true(saved_notes(target, "of guest memory are missing"));
		target_close(target);
		blob.size = 12;
		saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "or ends before anything");
		blob_free(&blob);
	}
}

static void test_damaged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob blob = packed_lime(i);
		struct target *target = NULL;

		memset(blob.data + blob.size / 2, 0xa5, 64);
		check_error(saved_try(&blob, &target), NUNCHI_ERROR_DATA,
			    "it cannot be unpacked: ", "unpack it: ");
		assert_null(target);
		blob_free(&blob);
	}
}

/* The checksum alone shows it: 4 bytes of it, and 4 of the size, end the file. */
static void test_checksum(void **state)
{
	struct blob blob = packed_lime(0);
	struct target *target = NULL;

	(void)state;
	blob.data[blob.size - 8] ^= 1;
	check_error(saved_try(&blob, &target), NUNCHI_ERROR_DATA, "incorrect data check",
		    "unpack it: gunzip -c ");
	blob_free(&blob);
}

static void test_trailing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob blob = packed_lime(i);
		struct target *target = NULL;

		blob_append(&blob, "garbage, which is no stream", 27);
		if (packers[i].strict) {
			saved_refused(&blob, NUNCHI_ERROR_DATA, "it cannot be unpacked: ");
			blob_free(&blob);
			continue;
		}
		target = saved_open(&blob);
		saved_has(target, START, SIZE);
		assert_true(saved_notes(target, " bytes behind the end of what is packed"));
		target_close(target);
		blob_free(&blob);
	}
}

/* Much more than the packed file has, of which next to nothing is stored. */
static void test_sparse(void **state)
{
	const struct packed_options options = {.most = 16 * MIB};
	struct blob content = {0};

	(void)state;
	blob_put(&content, 16 * MIB - 1, "x", 1);
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct packed_result result;
		struct blob blob = {0};
		struct statfs fs;
		struct stat st;
		char last;

		packers[i].pack(&blob, content.data, content.size);
		assert_null(run(&blob, &options, &result));
		assert_int_equal(result.size, content.size);
		assert_int_equal(fstat(result.fd, &st), 0);
		assert_int_equal(st.st_size, content.size);
		assert_int_equal(st.st_nlink, 0);
		assert_true(st.st_blocks * 512 <= 1 << 20);
		assert_int_equal(fstatfs(result.fd, &fs), 0);
		assert_int_not_equal(fs.f_type, TMPFS_MAGIC);
		assert_int_equal(pread(result.fd, &last, 1, 16 * MIB - 1), 1);
		assert_int_equal(last, 'x');
		close(result.fd);
		blob_free(&blob);
	}
	blob_free(&content);
}

/* A bomb: a byte more than the limit. */
static void test_most(void **state)
{
	const struct packed_options options = {.most = SIZE};
	struct blob content = lime();

	(void)state;
	content.size = SIZE + 1;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct packed_result result;
		struct blob blob = {0};

		packers[i].pack(&blob, content.data, SIZE + 1);
		check_error(run(&blob, &options, &result), NUNCHI_ERROR_UNSUPPORTED,
			    "it unpacks to more than 3072 KiB", "unpack it: ");
		blob_free(&blob);
	}
	blob_free(&content);
}

static void test_cancelled(void **state)
{
	struct cancel cancel = {0};
	const struct packed_options options = {.most = PACKED_MOST, .cancel = &cancel};

	(void)state;
	cancel_request(&cancel);
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob blob = packed_lime(i);
		struct packed_result result;
		struct nunchi_error *err = run(&blob, &options, &result);

		assert_non_null(err);
		assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_CANCELLED);
		nunchi_error_destroy(err);
		blob_free(&blob);
	}
}

/* What nunchi does not read when it is unpacked: the command is the outer one's. */
static void test_content(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *words;
	} cases[] = {
	    {"PK\x03\x04", 4, "it is a gzip file; unpacked, it is a zip archive"},
	    {"BZh91AY", 7, "it is a gzip file; unpacked, it is a bzip2 file"},
	    {"[    0.000000] Linux version", 28, "it is a gzip file; unpacked, it is text"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct target *target = NULL;
		struct blob blob = {0};

		pack_gzip(&blob, cases[i].bytes, cases[i].size);
		check_error(saved_try(&blob, &target), NUNCHI_ERROR_UNSUPPORTED, cases[i].words,
			    "unpack it: gunzip -c ");
		blob_free(&blob);
	}
}

static void test_empty(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct blob blob = {0};

		/* libarchive 3.6 uses a member that it has not set when it packs nothing. */
		if (packers[i].pack == pack_lz4)
			continue;
		packers[i].pack(&blob, "", 0);
		saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "it holds nothing");
		blob_free(&blob);
	}
}

/* A window of 2 GiB would take as much memory: the command takes it. */
static void test_window(void **state)
{
	struct blob content = lime(), blob = {0};
	struct target *target = NULL;

	(void)state;
	pack_by_zstd(&blob, 31, content.data, content.size);
	check_error(saved_try(&blob, &target), NUNCHI_ERROR_DATA,
		    "it cannot be unpacked: ", "unpack it: zstd -d --long=31 ");
	blob_free(&blob);
	blob_free(&content);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),      cmocka_unit_test(test_members),
	    cmocka_unit_test(test_cut),       cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_checksum),  cmocka_unit_test(test_trailing),
	    cmocka_unit_test(test_sparse),    cmocka_unit_test(test_most),
	    cmocka_unit_test(test_cancelled), cmocka_unit_test(test_content),
	    cmocka_unit_test(test_empty),     cmocka_unit_test(test_window),
	};

	return cmocka_run_group_tests_name("packed", tests, NULL, NULL);
}
