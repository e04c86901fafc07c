/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an initramfs holds, sound and broken, and what dpkg's status says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config.h"
#include "doctor/facts/initramfs.h"
#include "doctor/facts/packages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "writers.h"

static ssize_t read_blob(void *data, void *to, size_t size, uint64_t offset)
{
	const struct blob *blob = data;
	size_t left = offset < blob->size ? blob->size - (size_t)offset : 0;

	size = size < left ? size : left;
	if (size)
		memcpy(to, blob->data + offset, size);
	return (ssize_t)size;
}

#ifdef HAVE_LIBARCHIVE
#include <archive.h>
#include <archive_entry.h>

/* One member of an archive "newc" (linux/Documentation/…/buffer-format.rst). */
static void put_member(struct blob *blob, const char *name, const void *data, size_t size)
{
	static const char zeros[4];
	char header[128];

	snprintf(header, sizeof(header),
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1u,
		 strcmp(name, "TRAILER!!!") ? 0100644u : 0, 0u, 0u, 1u, 0u, (unsigned)size, 0u, 0u,
		 0u, 0u, (unsigned)strlen(name) + 1, 0u);
	blob_append(blob, header, 110);
	blob_append(blob, name, strlen(name) + 1);
	blob_append(blob, zeros, -(110 + strlen(name) + 1) % 4);
	blob_append(blob, data, size);
	blob_append(blob, zeros, -size % 4);
}

static void put_text(struct blob *blob, const char *name, const char *text)
{
	put_member(blob, name, text, strlen(text));
}

/* What comes first, uncompressed, with the zeros that cpio puts behind it. */
static void put_microcode(struct blob *blob)
{
	static const char zeros[512];
	size_t size = 100001;
	char *microcode = calloc(1, size);

	put_member(blob, "kernel/x86/microcode/GenuineIntel.bin", microcode, size);
	put_text(blob, "TRAILER!!!", "");
	blob_append(blob, zeros, -blob->size % 512);
	free(microcode);
}

static void put_main(struct blob *blob)
{
	put_text(blob, "usr/lib/modules/6.1.0/kernel/drivers/gpu/drm/i915/i915.ko", "");
	put_text(blob, "lib/modules/6.1.0/kernel/drivers/gpu/drm/nouveau/nouveau.ko.zst", "x");
	put_text(blob, "./usr/lib/modules/6.1.0/kernel/sound/snd-hda-intel.ko.xz", "xx");
	put_text(blob, "usr/lib/modules/6.1.0/modules.dep", "i915.ko:");
	put_text(blob, "usr/lib/modules/6.1.0/two\nlines.ko", "");
	put_text(blob, "etc/modprobe.d/a.conf", "# no\n\nblacklist nouveau\noptions i915 x=1");
	put_text(blob, "etc/modprobe.d/b.txt", "blacklist xe\n");
	put_text(blob, "etc/modprobe.d/empty.conf", "");
	put_member(blob, "etc/modprobe.d/c.conf", "a\0b\nblacklist vga16fb\n", 22);
	put_text(blob, "TRAILER!!!", "");
}

static const char expected[] = "module i915\nmodule nouveau\nmodule snd_hda_intel\n"
			       "modprobe etc/modprobe.d/a.conf:3 blacklist nouveau\n"
			       "modprobe etc/modprobe.d/a.conf:4 options i915 x=1\n"
			       "modprobe etc/modprobe.d/c.conf:2 blacklist vga16fb\n";

static void compress(struct blob *blob, const struct blob *from, int filter)
{
	size_t room = from->size + 65536, used = 0;
	char *out = malloc(room);
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();

	assert_int_equal(archive_write_add_filter(archive, filter), ARCHIVE_OK);
	archive_write_set_format_raw(archive);
	archive_write_set_bytes_in_last_block(archive, 1);
	assert_int_equal(archive_write_open_memory(archive, out, room, &used), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_pathname(entry, "data");
	assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(archive, from->data, from->size), from->size);
	archive_entry_free(entry);
	assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
	archive_write_free(archive);
	blob_append(blob, out, used);
	free(out);
}

static void expect(struct blob *blob, int errnum, const char *text)
{
	_cleanup_buffer_ struct buffer out;

	buffer_init(&out, 1u << 20);
	assert_int_equal(initramfs_list(read_blob, blob, &out), errnum);
	if (text)
		assert_string_equal(buffer_string(&out), text);
}

static void test_every_compression(void **state)
{
	static const int filters[] = {
	    ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ,
	    ARCHIVE_FILTER_LZMA, ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_LZ4};
	struct blob content = {0};

	(void)state;
	put_main(&content);
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		for (unsigned early = 0; early < 3; early++) {
			struct blob blob = {0};

			for (unsigned j = 0; j < early; j++)
				put_microcode(&blob);
			compress(&blob, &content, filters[i]);
			expect(&blob, 0, expected);
			blob_free(&blob);
		}
	blob_free(&content);
}

static void test_broken(void **state)
{
	static const char zeros[70000];
	struct blob blob = {0}, content = {0};

	(void)state;
	expect(&blob, EBADMSG, "");
	blob_append(&blob, zeros, sizeof(zeros));
	expect(&blob, EBADMSG, "");
	blob_append(&blob, "no archive of any kind, whatever", 32);
	expect(&blob, EBADMSG, "");
	blob.size = 0;
	put_main(&content);
	put_microcode(&blob);
	compress(&blob, &content, ARCHIVE_FILTER_GZIP);
	/* Each end but the last is one in the middle. */
	for (size_t size = blob.size - 9; size > 101000; size -= 7) {
		blob.size = size;
		expect(&blob, EBADMSG, NULL);
	}
	blob.size = 100000;
	expect(&blob, EBADMSG, "");
	blob_free(&blob);
	blob_free(&content);
}

/* A file that says it is 4 GiB long, and more files than any has. */
static void test_hostile(void **state)
{
	struct blob blob = {0};

	(void)state;
	put_text(&blob, "a.ko", "");
	memset(blob.data + 54, 'f', 8);
	expect(&blob, EFBIG, "module a\n");
	/* A name of 4 GiB: it is not taken into memory. */
	memset(blob.data + 94, 'f', 8);
	expect(&blob, EBADMSG, "");
	memset(blob.data + 94, '0', 8);
	expect(&blob, EBADMSG, "");
	memset(blob.data + 94, 'x', 8);
	expect(&blob, EBADMSG, "");
	blob.size = 0;
	for (unsigned i = 0; i < (1u << 18) + 1; i++)
		put_text(&blob, "a", "");
	expect(&blob, EFBIG, "");
	blob.size = 0;
	for (unsigned i = 0; i < 100000; i++)
		put_text(&blob, "nineteen_letters_01.ko", "");
	put_text(&blob, "TRAILER!!!", "");
	expect(&blob, EFBIG, NULL);
	blob_free(&blob);
}
#else
static void test_without(void **state)
{
	_cleanup_buffer_ struct buffer out;
	struct blob blob = {0};

	(void)state;
	buffer_init(&out, 1u << 20);
	assert_int_equal(initramfs_list(read_blob, &blob, &out), EOPNOTSUPP);
}
#endif

struct text {
	const char *at;
	size_t left, piece;
};

static ssize_t read_text(void *data, void *to, size_t size)
{
	struct text *text = data;

	size = size < text->piece ? size : text->piece;
	size = size < text->left ? size : text->left;
	memcpy(to, text->at, size);
	text->at += size;
	text->left -= size;
	return (ssize_t)size;
}

static ssize_t read_nothing(void *data, void *to, size_t size)
{
	(void)data;
	(void)to;
	(void)size;
	errno = EIO;
	return -1;
}

static void test_packages(void **state)
{
	static const char status[] =
	    "Package: xen-utils-4.17\nStatus: install ok installed\nVersion: 4.17.5-1\n"
	    "Description: tools\n Package: linux-image-1\n\n"
	    "Package: xen-hypervisor-4.14-amd64\nStatus: deinstall ok config-files\nVersion: "
	    "4.14-1\n\n"
	    "Package: bash\nStatus: install ok installed\nVersion: 5.2\n\n"
	    "Package: grub-pc\nStatus: install ok unpacked\nVersion: 2.06\n\n"
	    "Package: grub pc\nStatus: install ok installed\nVersion: 2.06\n\n"
	    "Package: ovmf\nStatus: hold ok installed\nVersion: 2022.11-6\0x\n\n"
	    "Version: 1\nStatus: install ok installed\nPackage: firmware-linux\n\n\n"
	    "Package: dracut\nStatus: install ok installed\nVersion: 059-4";
	static const size_t pieces[] = {1, 7, 4096};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct text text = {status, sizeof(status) - 1, pieces[i]};
		_cleanup_buffer_ struct buffer out;

		buffer_init(&out, 4096);
		assert_int_equal(packages_list(read_text, &text, &out), 0);
		assert_string_equal(buffer_string(&out),
				    "xen-utils-4.17 4.17.5-1\nfirmware-linux 1\ndracut 059-4\n");
	}
}

static void test_packages_hostile(void **state)
{
	_cleanup_buffer_ struct buffer out;
	size_t size = 100000;
	char *line = malloc(size);
	struct text text = {line, size, 4096};

	(void)state;
	/* Of a long line not even a beginning is taken for the whole. */
	memset(line, 'x', size);
	memcpy(line, "Package: xen-utils-", 19);
	memcpy(line + size - 52, "\nStatus: install ok installed\nVersion: 1\nPackage: a\n", 52);
	buffer_init(&out, 4096);
	assert_int_equal(packages_list(read_text, &text, &out), 0);
	assert_string_equal(buffer_string(&out), "");
	assert_int_equal(packages_list(read_nothing, NULL, &out), EIO);
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef HAVE_LIBARCHIVE
	    cmocka_unit_test(test_every_compression), cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_hostile),
#else
	    cmocka_unit_test(test_without),
#endif
	    cmocka_unit_test(test_packages),          cmocka_unit_test(test_packages_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
