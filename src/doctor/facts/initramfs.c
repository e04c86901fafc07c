/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/initramfs.h"

#include "config.h"
#include "core/archive_library.h"
#include "core/clock.h"
#include "core/digit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#ifdef HAVE_LIBARCHIVE

#define MOST_UNPACKED (2ull << 30)
#define MOST_ENTRIES  (1u << 18)
#define MOST_SEGMENTS 16
#define MOST_NAME     4096        /* the kernel's PATH_MAX, init/initramfs.c */
#define MOST_CONFIG   (64u << 10) /* of a file of modprobe.d */
#define MOST_SECONDS  10
#define PIECE         65536
#define HEADER        110 /* "070701" and thirteen numbers of eight digits */

struct reader {
	initramfs_read read;
	void *data;
	uint64_t offset; /* of the next read */
	struct archive_library lib;
	struct archive *archive; /* unpacks what is compressed; NULL: it is read as it is */
	uint64_t unpacked;
	unsigned entries;
	uint64_t deadline; /* of clock_us() */
	int errnum;        /* of a read that failed */
	struct buffer *out;
	char piece[PIECE];
};

/* ---- Bytes ---- */

static ssize_t on_read(struct archive *archive, void *data, const void **ret)
{
	struct reader *reader = data;
	ssize_t size = reader->read(reader->data, reader->piece, PIECE, reader->offset);

	if (size < 0) {
		reader->errnum = errno;
		reader->lib.archive_set_error(archive, errno, "it cannot be read");
		return ARCHIVE_FATAL;
	}
	reader->offset += (uint64_t)size;
	*ret = reader->piece;
	return size;
}

/* Moves the offset to the first byte that is not zero; false at the end. */
static bool skip_zeros(struct reader *reader)
{
	for (;;) {
		ssize_t size = reader->read(reader->data, reader->piece, PIECE, reader->offset);

		if (size <= 0) {
			reader->errnum = size ? errno : 0;
			return false;
		}
		for (ssize_t i = 0; i < size; i++)
			if (reader->piece[i]) {
				reader->offset += (uint64_t)i;
				return true;
			}
		reader->offset += (uint64_t)size;
		if (clock_us() > reader->deadline) {
			reader->errnum = ETIMEDOUT;
			return false;
		}
	}
}

/* The next bytes, up to size; 0 at the end or after a failure, which is noted. */
static size_t next_bytes(struct reader *reader, void *to, size_t size)
{
	ssize_t got;

	if (reader->archive) {
		got = reader->lib.archive_read_data(reader->archive, to, size);
		if (got < 0 && !reader->errnum)
			reader->errnum = EBADMSG;
	} else {
		got = reader->read(reader->data, to, size, reader->offset);
		if (got < 0)
			reader->errnum = errno;
		reader->offset += got > 0 ? (uint64_t)got : 0;
	}
	return got > 0 ? (size_t)got : 0;
}

/* Exactly that many, into `to`, `kept` or nowhere. */
static int take_bytes(struct reader *reader, char *to, struct buffer *kept, uint64_t size)
{
	char piece[16384];

	reader->unpacked += size;
	if (reader->unpacked > MOST_UNPACKED)
		return EFBIG;
	while (size) {
		size_t most = size < sizeof(piece) ? (size_t)size : sizeof(piece);
		size_t got = next_bytes(reader, to ? to : piece, most);

		if (!got)
			return reader->errnum ? reader->errnum : EBADMSG;
		if (clock_us() > reader->deadline)
			return ETIMEDOUT;
		if (kept)
			buffer_append(kept, piece, got);
		to = to ? to + got : NULL;
		size -= got;
	}
	return 0;
}

/* ---- What is kept ---- */

static bool ends(const char *text, size_t size, const char *end)
{
	size_t length = strlen(end);

	return size > length && !memcmp(text + size - length, end, length);
}

/* "…/i915.ko", which may be compressed. */
static void take_module(struct reader *reader, const char *path)
{
	static const char *const kinds[] = {".ko", ".ko.zst", ".ko.xz", ".ko.gz"};
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t size = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!ends(name, size, kinds[i]) || strchr(name, '\n'))
			continue;
		buffer_append_string(reader->out, "module ");
		for (const char *c = name; c < name + size - strlen(kinds[i]); c++)
			buffer_append_char(reader->out, *c == '-' ? '_' : *c);
		buffer_append_char(reader->out, '\n');
		return;
	}
}

static bool is_config(const char *path)
{
	return strstr(path, "modprobe.d/") && ends(path, strlen(path), ".conf") &&
	       !strpbrk(path, "\n ");
}

static void take_config(struct reader *reader, const char *path, const struct buffer *text)
{
	const char *at = buffer_string(text), *end = at + text->size;

	for (unsigned number = 1; at < end; number++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t size;

		stop = stop ? stop : end;
		size = (size_t)(stop - at);
		if (size && *at != '#' && !memchr(at, '\0', size)) {
			buffer_printf(reader->out, "modprobe %s:%u ", path, number);
			buffer_append(reader->out, at, size);
			buffer_append_char(reader->out, '\n');
		}
		at = stop + 1;
	}
}

/* ---- Archives ---- */

struct member {
	uint32_t mode, size, name_size;
	char name[MOST_NAME];
};

/* Eight hexadecimal digits, the index-th number of a header; false for others. */
static bool number(const char *header, unsigned index, uint32_t *ret)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 8; i++) {
		unsigned digit = digit_value(header[6 + 8 * index + i]);

		if (digit > 15)
			return false;
		value = value << 4 | digit;
	}
	*ret = value;
	return true;
}

/* Header and name, with what pads them to four bytes. */
static int read_member(struct reader *reader, struct member *member)
{
	char header[HEADER];
	int errnum = take_bytes(reader, header, NULL, HEADER);

	if (errnum)
		return errnum;
	if ((memcmp(header, "070701", 6) && memcmp(header, "070702", 6)) ||
	    !number(header, 1, &member->mode) || !number(header, 6, &member->size) ||
	    !number(header, 11, &member->name_size) || !member->name_size ||
	    member->name_size > MOST_NAME)
		return EBADMSG;
	errnum = take_bytes(reader, member->name, NULL, member->name_size);
	if (errnum)
		return errnum;
	if (member->name[member->name_size - 1])
		return EBADMSG;
	return take_bytes(reader, NULL, NULL, -(HEADER + member->name_size) % 4);
}

static int take_member(struct reader *reader, const struct member *member)
{
	_cleanup_buffer_ struct buffer text;
	const char *path = member->name + strspn(member->name, "./");
	bool config = is_config(path) && (member->mode & 0170000) == 0100000;
	int errnum;

	buffer_init(&text, MOST_CONFIG);
	take_module(reader, path);
	errnum = take_bytes(reader, NULL, config ? &text : NULL, member->size);
	if (!errnum)
		errnum = take_bytes(reader, NULL, NULL, -member->size % 4);
	if (text.no_memory)
		return ENOMEM;
	if (!errnum && config && !text.failed)
		take_config(reader, path, &text);
	return errnum;
}

static int read_members(struct reader *reader)
{
	struct member member;

	for (;;) {
		int errnum = read_member(reader, &member);

		if (errnum || !strcmp(member.name, "TRAILER!!!"))
			return errnum;
		errnum = take_member(reader, &member);
		if (errnum)
			return errnum;
		if (++reader->entries > MOST_ENTRIES)
			return EFBIG;
	}
}

/*
 * Only what libarchive unpacks itself: for others it would start programs. Its own reader of cpio
 * takes names of any size into memory, so it is left out.
 */
static struct archive *open_compressed(struct reader *reader)
{
	const struct archive_library *lib = &reader->lib;
	struct archive *archive = lib->archive_read_new();
	struct archive_entry *entry;

	if (archive && lib->archive_read_support_filter_gzip(archive) == ARCHIVE_OK &&
	    lib->archive_read_support_filter_bzip2(archive) == ARCHIVE_OK &&
	    lib->archive_read_support_filter_xz(archive) == ARCHIVE_OK &&
	    lib->archive_read_support_filter_lzma(archive) == ARCHIVE_OK &&
	    lib->archive_read_support_filter_zstd(archive) == ARCHIVE_OK &&
	    lib->archive_read_support_filter_lz4(archive) == ARCHIVE_OK &&
	    lib->archive_read_support_format_raw(archive) == ARCHIVE_OK &&
	    lib->archive_read_open(archive, reader, NULL, on_read, NULL) == ARCHIVE_OK &&
	    lib->archive_read_next_header(archive, &entry) == ARCHIVE_OK &&
	    lib->archive_filter_count(archive) > 1)
		return archive;
	lib->archive_read_free(archive);
	return NULL;
}

static int read_compressed(struct reader *reader)
{
	struct nunchi_error *err = archive_library_load(&reader->lib);
	int errnum;

	if (err) {
		nunchi_error_destroy(err);
		return ELIBACC;
	}
	reader->archive = open_compressed(reader);
	if (reader->archive) {
		errnum = read_members(reader);
		reader->lib.archive_read_free(reader->archive);
		reader->archive = NULL;
	} else {
		errnum = reader->errnum ? reader->errnum : EBADMSG;
	}
	archive_library_unload(&reader->lib);
	return errnum;
}

/* One archive; behind a compressed one, which the kernel takes for the last, nothing follows. */
static int read_segment(struct reader *reader, bool *ret_last)
{
	char magic[5];
	ssize_t size = reader->read(reader->data, magic, sizeof(magic), reader->offset);

	*ret_last = size != sizeof(magic) || memcmp(magic, "07070", sizeof(magic));
	return *ret_last ? read_compressed(reader) : read_members(reader);
}

int initramfs_list(initramfs_read read, void *data, struct buffer *ret)
{
	struct reader reader = {.read = read,
				.data = data,
				.out = ret,
				.deadline = clock_us() + MOST_SECONDS * CLOCK_US_PER_S};
	bool last = false;
	int errnum = 0;

	for (unsigned i = 0; !errnum && !last && i < MOST_SEGMENTS; i++) {
		if (!skip_zeros(&reader)) {
			errnum = reader.errnum ? reader.errnum : i ? 0 : EBADMSG;
			break;
		}
		errnum = read_segment(&reader, &last);
	}
	if (!errnum && ret->no_memory)
		return ENOMEM;
	return !errnum && ret->failed ? EFBIG : errnum;
}
#else
int initramfs_list(initramfs_read read, void *data, struct buffer *ret)
{
	(void)read;
	(void)data;
	(void)ret;
	return EOPNOTSUPP;
}
#endif
