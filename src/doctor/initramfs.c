/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/initramfs.h"

#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_LIBARCHIVE
#include <archive.h>
#include <archive_entry.h>

#define MOST_UNPACKED (2ull << 30)
#define MOST_ENTRIES  (1u << 18)
#define MOST_SEGMENTS 16
#define MOST_CONFIG   (64u << 10) /* of a file of modprobe.d */
#define MOST_SECONDS  10
#define PIECE         65536

struct reader {
	initramfs_read read;
	void *data;
	uint64_t offset; /* of the next read */
	uint64_t unpacked;
	unsigned entries;
	time_t deadline;
	int errnum; /* of a read that failed */
	struct buffer *out;
	char piece[PIECE];
};

static void cleanup_archive_p(struct archive **archive)
{
	archive_read_free(*archive);
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static ssize_t on_read(struct archive *archive, void *data, const void **ret)
{
	struct reader *reader = data;
	ssize_t size = reader->read(reader->data, reader->piece, PIECE, reader->offset);

	if (size < 0) {
		reader->errnum = errno;
		archive_set_error(archive, errno, "it cannot be read");
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
		if (now() > reader->deadline) {
			reader->errnum = ETIMEDOUT;
			return false;
		}
	}
}

/* Only what libarchive unpacks itself: for others it would start programs. */
static struct archive *open_segment(struct reader *reader)
{
	struct archive *archive = archive_read_new();

	if (archive && archive_read_support_filter_gzip(archive) == ARCHIVE_OK &&
	    archive_read_support_filter_bzip2(archive) == ARCHIVE_OK &&
	    archive_read_support_filter_xz(archive) == ARCHIVE_OK &&
	    archive_read_support_filter_lzma(archive) == ARCHIVE_OK &&
	    archive_read_support_filter_zstd(archive) == ARCHIVE_OK &&
	    archive_read_support_filter_lz4(archive) == ARCHIVE_OK &&
	    archive_read_support_format_cpio(archive) == ARCHIVE_OK &&
	    archive_read_open(archive, reader, NULL, on_read, NULL) == ARCHIVE_OK)
		return archive;
	archive_read_free(archive);
	return NULL;
}

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
	const char *at = text->data, *end = text->data + text->size;

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

/* Reads all of an entry, and keeps what fits into `kept`. */
static int read_entry(struct reader *reader, struct archive *archive, struct buffer *kept)
{
	char piece[16384];
	ssize_t size;

	while ((size = archive_read_data(archive, piece, sizeof(piece))) > 0) {
		reader->unpacked += (uint64_t)size;
		if (reader->unpacked > MOST_UNPACKED)
			return EFBIG;
		if (now() > reader->deadline)
			return ETIMEDOUT;
		if (kept)
			buffer_append(kept, piece, (size_t)size);
	}
	return size < 0 ? EBADMSG : 0;
}

static int take_entry(struct reader *reader, struct archive *archive, struct archive_entry *entry)
{
	_cleanup_buffer_ struct buffer text;
	const char *path = archive_entry_pathname(entry);
	bool config;
	int errnum;

	buffer_init(&text, MOST_CONFIG);
	if (++reader->entries > MOST_ENTRIES)
		return EFBIG;
	if (!path)
		return 0;
	path += strspn(path, "./");
	config = is_config(path) && archive_entry_filetype(entry) == AE_IFREG;
	take_module(reader, path);
	errnum = read_entry(reader, archive, config ? &text : NULL);
	if (!errnum && config && !text.failed)
		take_config(reader, path, &text);
	return errnum;
}

/* One archive; *ret_last if no other can stand behind it. */
static int read_segment(struct reader *reader, bool *ret_last)
{
	uint64_t start = reader->offset;
	_cleanup_(cleanup_archive_p) struct archive *archive = open_segment(reader);
	struct archive_entry *entry;
	int result = ARCHIVE_OK, errnum = 0;

	if (!archive)
		return reader->errnum ? reader->errnum : EBADMSG;
	while (!errnum) {
		result = archive_read_next_header(archive, &entry);
		if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
			break;
		errnum = take_entry(reader, archive, entry);
	}
	if (!errnum && result != ARCHIVE_EOF)
		errnum = reader->errnum ? reader->errnum : EBADMSG;
	/* One filter is none but the reader itself; behind a compressed archive nothing follows. */
	*ret_last = archive_filter_count(archive) > 1;
	reader->offset = start + (uint64_t)archive_filter_bytes(archive, -1);
	return errnum;
}

int initramfs_list(initramfs_read read, void *data, struct buffer *ret)
{
	struct reader reader = {
	    .read = read, .data = data, .out = ret, .deadline = now() + MOST_SECONDS};
	bool last = false;
	int errnum = 0;

	for (unsigned i = 0; !errnum && !last && i < MOST_SEGMENTS; i++) {
		if (!skip_zeros(&reader)) {
			errnum = reader.errnum ? reader.errnum : i ? 0 : EBADMSG;
			break;
		}
		errnum = read_segment(&reader, &last);
	}
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
