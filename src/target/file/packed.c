/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/packed.h"

#include "arch/address.h"
#include "core/bytes.h"
#include "target/file/format.h"
#include "target/file/hint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#define PIECE ((size_t)1 << 20)
/* Of the free space of the file system, this part stays free. */
#define ROOM_KEPT 20 /* a twentieth: 5 % */

#define GZIP_HINT  "unpack it: gunzip -c FILE >FILE.raw"
#define XZ_HINT    "unpack it: xz -dc FILE >FILE.raw"
#define LZ4_HINT   "unpack it: lz4 -d FILE FILE.raw"
#define BZIP2_HINT "unpack it: bunzip2 -c FILE >FILE.raw"
#define ZLIB_HINT  "unpack it: zlib-flate -uncompress <FILE >FILE.raw (package qpdf)"
/* With the window that `zstd --long=31` makes, too. */
#define ZSTD_HINT "unpack it: zstd -d --long=31 FILE -o FILE.raw"

/* A frame to be skipped: its magic number, and the size of what follows. pzstd begins with one. */
#define SKIPPED       "\x50\x2a\x4d\x18"
#define SKIPPED_START 8

static const struct packing packings[] = {
    {"\x1f\x8b\x08", 3, PACKED_ZLIB, "a gzip file", GZIP_HINT},
    {"\xfd\x37zXZ", 6, PACKED_XZ, "an xz file", XZ_HINT},
    {"\x28\xb5\x2f\xfd", 4, PACKED_ZSTD, "a zstd file", ZSTD_HINT},
    {SKIPPED, 4, PACKED_ZSTD, "a zstd file", ZSTD_HINT},
    {"\x04\x22\x4d\x18", 4, PACKED_LZ4, "an lz4 file", LZ4_HINT},
    {"\x02\x21\x4c\x18", 4, PACKED_LZ4, "an lz4 file (legacy format)", LZ4_HINT},
    {"BZh", 3, PACKED_BZIP2, "a bzip2 file", BZIP2_HINT},
    {"\x38\x8d", 2, PACKED_ZLIB, "a zlib stream, as LiME writes with compress=1", ZLIB_HINT},
    {"\x78\x01", 2, PACKED_ZLIB, "a zlib stream", ZLIB_HINT},
    {"\x78\x5e", 2, PACKED_ZLIB, "a zlib stream", ZLIB_HINT},
    {"\x78\x9c", 2, PACKED_ZLIB, "a zlib stream", ZLIB_HINT},
    {"\x78\xda", 2, PACKED_ZLIB, "a zlib stream", ZLIB_HINT},
};

struct packed {
	const struct packing *packing;
	const char *name;
	int fd; /* the packed file; not owned */
	uint64_t size;
	struct packed_options options;
	struct packed_stream *stream;
	int out;               /* the temporary file */
	const char *directory; /* where that is */
	uint64_t room;         /* bytes that may be stored there */
	uint64_t stored;
	uint8_t *piece;
};

const struct packing *packing_find(const void *start, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(packings); i++) {
		if (size >= packings[i].size && !memcmp(start, packings[i].magic, packings[i].size))
			return &packings[i];
	}
	return NULL;
}

struct nunchi_error *packing_refuse(const struct packing *packing, const char *name)
{
	return file_hint(error_create(NUNCHI_ERROR_UNSUPPORTED, "it is %s", packing->what), name,
			 packing->hint);
}

struct nunchi_error *packing_refuse_content(const struct packing *packing, const char *name,
					    const struct nunchi_error *content)
{
	return file_hint(error_create(nunchi_error_code(content), "it is %s; unpacked, %s",
				      packing->what, nunchi_error_message(content)),
			 name, packing->hint);
}

/* Adds what the file is, and its command after the hint that the error has. */
static struct nunchi_error *refuse(const struct packed *packed, struct nunchi_error *err,
				   const char *hint)
{
	_cleanup_free_ char *text = NULL;

	if (hint && asprintf(&text, "%s, or %s", hint, packed->packing->hint) < 0)
		text = NULL;
	err = file_hint(err, packed->name, text ? text : packed->packing->hint);
	return error_context(err, "it is %s", packed->packing->what);
}

/* ---- The temporary file ---------------------------------------------------------------------- */

/* Opens a file without a name in the directory, unless that is in memory; -1 if it cannot. */
static int open_in(const char *directory)
{
	char path[4096];
	struct statfs fs;
	int fd;

	/* A name that no other file has is made where the file system knows no files without. */
	if (!*directory || statfs(directory, &fs) || fs.f_type == TMPFS_MAGIC ||
	    fs.f_type == RAMFS_MAGIC ||
	    (size_t)snprintf(path, sizeof(path), "%s/nunchi-XXXXXX", directory) >= sizeof(path))
		return -1;
	fd = open(directory, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static struct nunchi_error *open_temporary(struct packed *packed)
{
	const char *wish = secure_getenv("TMPDIR");
	const char *const directories[] = {wish ? wish : "", "/var/tmp", "/tmp"};
	struct statvfs fs;

	for (size_t i = 0; i < ARRAY_SIZE(directories) && packed->out < 0; i++) {
		packed->directory = directories[i];
		packed->out = open_in(directories[i]);
	}
	if (packed->out < 0 || fstatvfs(packed->out, &fs))
		return refuse(packed,
			      error_create(NUNCHI_ERROR_UNSUPPORTED,
					   "no temporary file can be made on a disk, neither in "
					   "$TMPDIR nor in /var/tmp or /tmp"),
			      "set TMPDIR to a directory on a disk");
	packed->room = (uint64_t)fs.f_bavail * fs.f_frsize;
	packed->room -= packed->room / ROOM_KEPT;
	return NULL;
}

/* Bytes of the packed file that are to be skipped before what libarchive knows. */
static uint64_t skipped(const struct packing *packing, int fd)
{
	uint8_t start[SKIPPED_START];

	if (packing->magic[0] != SKIPPED[0] ||
	    pread(fd, start, sizeof(start), 0) != (ssize_t)sizeof(start))
		return 0;
	return SKIPPED_START + (uint64_t)load_le32(start + 4);
}

struct nunchi_error *packed_prepare(const struct packing *packing, int fd, uint64_t size,
				    const char *name, const struct packed_options *options,
				    struct packed **ret)
{
	_cleanup_packed_ struct packed *packed = calloc(1, sizeof(*packed));
	_cleanup_error_ struct nunchi_error *missing = NULL;
	struct nunchi_error *err;

	if (!packed)
		return &error_nomem;
	packed->packing = packing;
	packed->name = name;
	packed->fd = fd;
	packed->size = size;
	packed->options = *options;
	packed->out = -1;
	packed->piece = malloc(PIECE);
	if (!packed->piece)
		return &error_nomem;
	missing = packed_stream_create(packing->method, fd, skipped(packing, fd), options->cancel,
				       &packed->stream);
	if (missing && !error_is(missing, NUNCHI_ERROR_UNSUPPORTED))
		return no_cleanup_ptr(missing);
	/* A build without the library has no package to name. */
	if (missing && !nunchi_error_hint(missing))
		return packing_refuse(packing, name);
	if (missing)
		return refuse(
		    packed,
		    error_create(nunchi_error_code(missing), "%s", nunchi_error_message(missing)),
		    nunchi_error_hint(missing));
	err = open_temporary(packed);
	if (!err)
		*ret = no_cleanup_ptr(packed);
	return err;
}

void packed_destroy(struct packed *packed)
{
	if (!packed)
		return;
	packed_stream_destroy(packed->stream);
	if (packed->out >= 0)
		close(packed->out);
	free(packed->piece);
	free(packed);
}

/* ---- Unpacking ------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return !size || (!bytes[0] && !memcmp(bytes, bytes + 1, size - 1));
}

static size_t page_at(size_t at, size_t size)
{
	return size - at < PAGE_SIZE ? size - at : PAGE_SIZE;
}

static struct nunchi_error *too_much(const struct packed *packed)
{
	return refuse(packed,
		      error_create(NUNCHI_ERROR_UNSUPPORTED,
				   "it unpacks to more than %s, nunchi's limit",
				   amount(packed->options.most).text),
		      NULL);
}

/* Stores size bytes at offset. */
static struct nunchi_error *store(struct packed *packed, const uint8_t *bytes, size_t size,
				  uint64_t offset)
{
	packed->stored += size;
	if (packed->stored > packed->room)
		return refuse(packed,
			      error_create(NUNCHI_ERROR_UNSUPPORTED,
					   "it unpacks to more than the %s that the file system "
					   "of %s can take",
					   amount(packed->room).text, packed->directory),
			      "set TMPDIR to a directory with more room");
	while (size) {
		ssize_t done = pwrite(packed->out, bytes, size, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return refuse(packed,
				      error_create_errno(done ? errno : EIO,
							 "it cannot be unpacked to a file in %s",
							 packed->directory),
				      "set TMPDIR to a directory with more room");
		bytes += done;
		size -= (size_t)done;
		offset += (uint64_t)done;
	}
	return NULL;
}

/* Stores the pages of a piece that are not zero. */
static struct nunchi_error *store_piece(struct packed *packed, size_t size, uint64_t offset)
{
	const uint8_t *piece = packed->piece;
	struct nunchi_error *err = NULL;

	for (size_t at = 0, start; at < size && !err;) {
		while (at < size && is_zero(piece + at, page_at(at, size)))
			at += page_at(at, size);
		for (start = at; at < size && !is_zero(piece + at, page_at(at, size));)
			at += page_at(at, size);
		if (at > start)
			err = store(packed, piece + start, at - start, offset + start);
	}
	return err;
}

/* What is to be told where unpacking ended, if it may not end so. */
static struct nunchi_error *ended(struct packed *packed, enum packed_state state, uint64_t size)
{
	if (state == PACKED_CANCELLED)
		return error_create(NUNCHI_ERROR_CANCELLED, "stopped while it was unpacked");
	if (state == PACKED_FAILED)
		return refuse(packed,
			      error_create(NUNCHI_ERROR_DATA, "it cannot be unpacked: %s",
					   packed_stream_why(packed->stream)),
			      NULL);
	if (size)
		return NULL;
	return error_create(NUNCHI_ERROR_TRUNCATED,
			    "it is %s: it holds nothing, or ends before anything can be unpacked",
			    packed->packing->what);
}

struct nunchi_error *packed_run(struct packed *packed, struct packed_result *ret)
{
	enum packed_state state = PACKED_MORE;
	struct nunchi_error *err = NULL;
	uint64_t size = 0, end;

	while (state == PACKED_MORE && !err) {
		size_t got = 0;

		if (cancel_requested(packed->options.cancel))
			state = PACKED_CANCELLED;
		else
			state = packed_stream_read(packed->stream, packed->piece, PIECE, &got);
		if (size + got > packed->options.most)
			return too_much(packed);
		err = store_piece(packed, got, size);
		size += got;
	}
	if (!err)
		err = ended(packed, state, size);
	if (err)
		return err;
	if (ftruncate(packed->out, (off_t)size))
		return error_create_errno(errno, "it cannot be unpacked to a file in %s",
					  packed->directory);
	end = packed_stream_end(packed->stream);
	*ret = (struct packed_result){
	    .fd = no_cleanup_fd(packed->out),
	    .size = size,
	    .behind = end && end < packed->size ? packed->size - end : 0,
	    .cut = state == PACKED_CUT,
	};
	return NULL;
}
