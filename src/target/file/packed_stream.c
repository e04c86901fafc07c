/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/packed_stream.h"

#include "core/archive_library.h"
#include "core/io.h"
#include "target/file/zlib_library.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 65536
/* What libarchive has unpacked before it fails is lost in the call that fails. */
#define CALL_PIECE 4096

struct packed_stream {
	enum packed_method method;
	int fd;
	uint64_t start, at; /* of what is packed, of the next byte to be read from the file */
	const struct cancel *cancel;
	bool started;
	bool wanted_more; /* the library asked for bytes behind the end of the file */
	bool cancelled;
	uint64_t end;
	const char *why;
#ifdef HAVE_ZLIB
	struct zlib_library zlib;
	z_stream inflater;
	bool inflater_ready;
#endif
#ifdef HAVE_LIBARCHIVE
	struct archive_library archives;
	struct archive *archive;
#endif
	uint8_t input[PIECE];
};

#if defined(HAVE_ZLIB) || defined(HAVE_LIBARCHIVE)
/* Reads the next bytes of the file into input; 0 at its end, -1 if that fails. */
static ssize_t next_input(struct packed_stream *stream)
{
	ssize_t got;

	if (cancel_requested(stream->cancel)) {
		stream->cancelled = true;
		return -1;
	}
	got = io_pread_full(stream->fd, stream->input, sizeof(stream->input), stream->at);
	if (got < 0) {
		stream->why = "the file cannot be read";
		return -1;
	}
	stream->wanted_more |= !got;
	stream->at += (uint64_t)got;
	return got;
}
#endif

/* The state where the library gave up. */
static enum packed_state broken(const struct packed_stream *stream)
{
	if (stream->cancelled)
		return PACKED_CANCELLED;
	return stream->wanted_more ? PACKED_CUT : PACKED_FAILED;
}

/* ---- zlib ------------------------------------------------------------------------------------ */

#ifdef HAVE_ZLIB
/* The greatest window, and either header: gzip's or zlib's. */
#define WINDOW_BITS (15 + 32)

static bool start_zlib(struct packed_stream *stream)
{
	if (stream->inflater_ready)
		return true;
	if (stream->zlib.inflateInit2_(&stream->inflater, WINDOW_BITS, ZLIB_VERSION,
				       sizeof(stream->inflater)) != Z_OK) {
		stream->why = "memory ran out";
		return false;
	}
	stream->inflater_ready = true;
	return true;
}

/* A member has ended: whether another one follows, as in a file that was put together of two. */
static bool next_member(struct packed_stream *stream)
{
	uint64_t next = stream->at - stream->inflater.avail_in;
	uint8_t magic[2];

	if (io_pread_full(stream->fd, magic, sizeof(magic), next) != sizeof(magic) ||
	    magic[0] != 0x1f || magic[1] != 0x8b) {
		stream->end = next;
		return false;
	}
	stream->at = next;
	stream->inflater.avail_in = 0;
	return stream->zlib.inflateReset(&stream->inflater) == Z_OK;
}

static enum packed_state read_zlib(struct packed_stream *stream, void *buffer, size_t size,
				   size_t *ret)
{
	z_stream *inflater = &stream->inflater;
	enum packed_state state = PACKED_MORE;

	if (!start_zlib(stream))
		return PACKED_FAILED;
	inflater->next_out = buffer;
	inflater->avail_out = (uInt)size;
	while (inflater->avail_out && state == PACKED_MORE) {
		ssize_t got = inflater->avail_in ? 1 : next_input(stream);
		int result;

		if (got <= 0) {
			state = broken(stream);
			break;
		}
		if (!inflater->avail_in) {
			inflater->next_in = stream->input;
			inflater->avail_in = (uInt)got;
		}
		result = stream->zlib.inflate(inflater, Z_NO_FLUSH);
		if (result == Z_STREAM_END) {
			state = next_member(stream) ? PACKED_MORE : PACKED_END;
		} else if (result != Z_OK && result != Z_BUF_ERROR) {
			stream->why = result == Z_MEM_ERROR ? "memory ran out" : inflater->msg;
			state = PACKED_FAILED;
		}
	}
	*ret = size - inflater->avail_out;
	return state;
}
#endif

/* ---- libarchive ------------------------------------------------------------------------------ */

#ifdef HAVE_LIBARCHIVE
static ssize_t on_read(struct archive *archive, void *data, const void **ret)
{
	struct packed_stream *stream = data;
	ssize_t got = next_input(stream);

	*ret = stream->input;
	if (got < 0)
		stream->archives.archive_set_error(archive, ARCHIVE_FATAL, "%s",
						   stream->cancelled ? "stopped" : stream->why);
	return got;
}

static int filter_of(enum packed_method method)
{
	switch (method) {
	case PACKED_BZIP2:
		return ARCHIVE_FILTER_BZIP2;
	case PACKED_LZ4:
		return ARCHIVE_FILTER_LZ4;
	case PACKED_XZ:
		return ARCHIVE_FILTER_XZ;
	case PACKED_ZSTD:
		return ARCHIVE_FILTER_ZSTD;
	case PACKED_ZLIB:
		break;
	}
	return ARCHIVE_FILTER_NONE;
}

/*
 * One filter, and no bidding: what is in the file may look packed. A filter for which libarchive
 * would run a program gives ARCHIVE_WARN.
 */
static bool start_archive(struct packed_stream *stream)
{
	const struct archive_library *lib = &stream->archives;
	struct archive_entry *entry;

	if (stream->started)
		return true;
	stream->started = true;
	stream->archive = lib->archive_read_new();
	return stream->archive &&
	       lib->archive_read_append_filter(stream->archive, filter_of(stream->method)) ==
		   ARCHIVE_OK &&
	       lib->archive_read_support_format_raw(stream->archive) == ARCHIVE_OK &&
	       lib->archive_read_open(stream->archive, stream, NULL, on_read, NULL) == ARCHIVE_OK &&
	       lib->archive_read_next_header(stream->archive, &entry) == ARCHIVE_OK;
}

static enum packed_state archive_failed(struct packed_stream *stream)
{
	if (!stream->why)
		stream->why = stream->archives.archive_error_string(stream->archive);
	return broken(stream);
}

static enum packed_state read_archive(struct packed_stream *stream, void *buffer, size_t size,
				      size_t *ret)
{
	size_t done = 0;

	if (!start_archive(stream)) {
		if (!stream->why)
			stream->why = "its first bytes are damaged, or memory ran out (libarchive "
				      "takes windows of up to 128 MiB)";
		return archive_failed(stream);
	}
	while (done < size) {
		size_t wanted = size - done < CALL_PIECE ? size - done : CALL_PIECE;
		ssize_t got = stream->archives.archive_read_data(stream->archive,
								 (char *)buffer + done, wanted);

		*ret = done;
		if (got < 0)
			return archive_failed(stream);
		if (!got) {
			/* -1: of the filters the one that reads the file. */
			stream->end =
			    stream->start +
			    (uint64_t)stream->archives.archive_filter_bytes(stream->archive, -1);
			return PACKED_END;
		}
		done += (size_t)got;
	}
	*ret = done;
	return PACKED_MORE;
}
#endif

/* ---- The stream ------------------------------------------------------------------------------ */

static struct nunchi_error *load_library(struct packed_stream *stream)
{
	(void)stream; /* without any library */
#ifdef HAVE_ZLIB
	if (stream->method == PACKED_ZLIB)
		return zlib_library_load(&stream->zlib);
#endif
#ifdef HAVE_LIBARCHIVE
	if (stream->method != PACKED_ZLIB)
		return archive_library_load(&stream->archives);
#endif
	return error_create(NUNCHI_ERROR_UNSUPPORTED, "this build cannot unpack it");
}

struct nunchi_error *packed_stream_create(enum packed_method method, int fd, uint64_t offset,
					  const struct cancel *cancel, struct packed_stream **ret)
{
	_cleanup_packed_stream_ struct packed_stream *stream = calloc(1, sizeof(*stream));
	struct nunchi_error *err;

	if (!stream)
		return &error_nomem;
	stream->method = method;
	stream->fd = fd;
	stream->start = stream->at = offset;
	stream->cancel = cancel;
	err = load_library(stream);
	if (!err)
		*ret = no_cleanup_ptr(stream);
	return err;
}

void packed_stream_destroy(struct packed_stream *stream)
{
	if (!stream)
		return;
#ifdef HAVE_ZLIB
	if (stream->inflater_ready)
		stream->zlib.inflateEnd(&stream->inflater);
	zlib_library_unload(&stream->zlib);
#endif
#ifdef HAVE_LIBARCHIVE
	if (stream->archive)
		stream->archives.archive_read_free(stream->archive);
	archive_library_unload(&stream->archives);
#endif
	free(stream);
}

enum packed_state packed_stream_read(struct packed_stream *stream, void *buffer, size_t size,
				     size_t *ret)
{
	(void)buffer, (void)size; /* without any library */
	*ret = 0;
#ifdef HAVE_ZLIB
	if (stream->method == PACKED_ZLIB)
		return read_zlib(stream, buffer, size, ret);
#endif
#ifdef HAVE_LIBARCHIVE
	if (stream->method != PACKED_ZLIB)
		return read_archive(stream, buffer, size, ret);
#endif
	return broken(stream);
}

const char *packed_stream_why(const struct packed_stream *stream)
{
	return stream->why ? stream->why : "it is damaged";
}

uint64_t packed_stream_end(const struct packed_stream *stream)
{
	return stream->end;
}
