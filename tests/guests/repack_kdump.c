/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes a kdump file anew with its pages compressed otherwise:
 *
 *     repack_kdump snappy|zstd FROM TO
 *
 * For an uncompressed file as makedumpfile writes it, of x86-64 (its IMPLEMENTATION, DISKDUMP): a
 * header, a descriptor of 24 bytes a page, then the pages.
 */
#include "target/file/kdump.h"

#include "writers.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS = 424, BLOCK_SIZE = 428, SUB_HEADER_BLOCKS = 432, BITMAP_BLOCKS = 436 };

struct descriptor {
	uint64_t offset;
	uint32_t size, flags;
	uint64_t page_flags;
};

static struct blob read_file(const char *path)
{
	struct blob blob = {0};
	FILE *file = fopen(path, "rb");
	static char part[1 << 20];
	size_t n;

	if (!file)
		err(1, "%s", path);
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		blob_append(&blob, part, n);
	if (ferror(file))
		err(1, "%s", path);
	fclose(file);
	return blob;
}

static uint32_t get32(const struct blob *blob, size_t offset)
{
	uint32_t value;

	memcpy(&value, blob->data + offset, sizeof(value));
	return value;
}

/* Where the descriptors begin. */
static size_t descriptors_of(const struct blob *from)
{
	size_t blocks;

	if (from->size < 2 * WRITER_PAGE || memcmp(from->data, "KDUMP   ", 8) ||
	    get32(from, BLOCK_SIZE) != WRITER_PAGE)
		errx(1, "not a kdump file of x86-64");
	blocks = 1 + (size_t)get32(from, SUB_HEADER_BLOCKS) + get32(from, BITMAP_BLOCKS);
	if (blocks > from->size / WRITER_PAGE)
		errx(1, "the header lies");
	return blocks * WRITER_PAGE;
}

/* Appends a page, compressed if that is smaller, and sets its descriptor. */
static void put_page(struct blob *to, const void *page, unsigned method, struct descriptor *ret)
{
	uint8_t out[2 * WRITER_PAGE];
	size_t size = writer_pack(method, page, out, sizeof(out));
	bool smaller = size && size < WRITER_PAGE;

	ret->offset = to->size;
	ret->size = smaller ? (uint32_t)size : WRITER_PAGE;
	ret->flags = smaller ? method : 0;
	blob_append(to, smaller ? out : page, ret->size);
}

static struct blob repack(const struct blob *from, unsigned method)
{
	size_t start = descriptors_of(from), end = from->size, count = 0;
	struct descriptor one;
	struct blob to = {0};

	for (size_t at = start; at + sizeof(one) <= end; at += sizeof(one), count++) {
		memcpy(&one, from->data + at, sizeof(one));
		if (one.flags || one.size != WRITER_PAGE || one.offset > from->size - WRITER_PAGE)
			errx(1, "descriptor %zu is not of an uncompressed page", count);
		if (one.offset < end)
			end = one.offset;
	}
	blob_append(&to, from->data, start + count * sizeof(one));
	blob_put32(&to, STATUS, method);
	for (size_t i = 0; i < count; i++) {
		memcpy(&one, from->data + start + i * sizeof(one), sizeof(one));
		put_page(&to, from->data + one.offset, method, &one);
		blob_put(&to, start + i * sizeof(one), &one, sizeof(one));
	}
	return to;
}

int main(int argc, char **argv)
{
	struct blob from, to;
	FILE *file;

	if (argc != 4 || (strcmp(argv[1], "snappy") && strcmp(argv[1], "zstd")))
		errx(2, "usage: repack_kdump snappy|zstd FROM TO");
	from = read_file(argv[2]);
	to = repack(&from, strcmp(argv[1], "zstd") ? KDUMP_SNAPPY : KDUMP_ZSTD);
	file = fopen(argv[3], "wb");
	if (!file || fwrite(to.data, 1, to.size, file) != to.size || fclose(file))
		err(1, "%s", argv[3]);
	blob_free(&from);
	blob_free(&to);
	return 0;
}
