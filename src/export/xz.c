/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "export/export.h"

#include "config.h"

#include <string.h>

bool export_xz_is(const char *path)
{
	size_t size = strlen(path);

	return size > 3 && !strcmp(path + size - 3, ".xz");
}

#ifdef HAVE_LZMA

#include "core/library.h"

#include <assert.h>
#include <lzma.h>

#define PIECE 65536
/* Twice as fast as the next one, for a fifth more bytes. */
#define PRESET 0

#define LZMA_FUNCTIONS(FUNCTION)                                                                   \
	FUNCTION(lzma_code)                                                                        \
	FUNCTION(lzma_end)                                                                         \
	FUNCTION(lzma_easy_encoder)

struct lzma_library {
	void *handle;
	LZMA_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct lzma_library, name)
static const struct library_function functions[] = {LZMA_FUNCTIONS(FUNCTION)};
LIBRARY(liblzma, functions, "liblzma.so.5", "writing .xz symbol tables",
	"liblzma5 (Debian, Ubuntu) or xz-libs (Fedora), or give the file a name without .xz");
static_assert(LZMA_VERSION_MAJOR == 5, "the SONAME is of another version");

struct export_xz {
	struct lzma_library lib;
	lzma_stream stream;
	export_write *write;
	void *data;
	uint8_t out[PIECE];
};

void export_xz_prepare(void)
{
	struct lzma_library lib;
	struct nunchi_error *err = library_load(&liblzma, &lib, &lib.handle);

	/* Who needs it says so. */
	if (err)
		nunchi_error_destroy(err);
	else
		library_unload(&lib.handle);
}

struct nunchi_error *export_xz_create(export_write *write, void *data, struct export_xz **ret)
{
	struct export_xz *xz = calloc(1, sizeof(*xz));
	struct nunchi_error *err;

	if (!xz)
		return &error_nomem;
	err = library_load(&liblzma, &xz->lib, &xz->lib.handle);
	if (err) {
		free(xz);
		return err;
	}
	xz->write = write;
	xz->data = data;
	if (xz->lib.lzma_easy_encoder(&xz->stream, PRESET, LZMA_CHECK_CRC64) != LZMA_OK) {
		export_xz_destroy(xz);
		return &error_nomem;
	}
	*ret = xz;
	return NULL;
}

/* Encodes what is in the stream, and passes on what comes of it. */
static struct nunchi_error *encode(struct export_xz *xz, lzma_action action)
{
	struct nunchi_error *err = NULL;
	lzma_ret status;

	do {
		xz->stream.next_out = xz->out;
		xz->stream.avail_out = PIECE;
		status = xz->lib.lzma_code(&xz->stream, action);
		if (status != LZMA_OK && status != LZMA_STREAM_END)
			return error_create(NUNCHI_ERROR_IO, "liblzma gives error %d", (int)status);
		if (xz->stream.avail_out < PIECE)
			err = xz->write(xz->out, PIECE - xz->stream.avail_out, xz->data);
	} while (!err && status == LZMA_OK && (xz->stream.avail_in || action == LZMA_FINISH));
	return err;
}

struct nunchi_error *export_xz_write(const void *bytes, size_t size, void *data)
{
	struct export_xz *xz = data;

	xz->stream.next_in = bytes;
	xz->stream.avail_in = size;
	return encode(xz, LZMA_RUN);
}

struct nunchi_error *export_xz_finish(struct export_xz *xz)
{
	return encode(xz, LZMA_FINISH);
}

void export_xz_destroy(struct export_xz *xz)
{
	if (!xz)
		return;
	xz->lib.lzma_end(&xz->stream);
	library_unload(&xz->lib.handle);
	free(xz);
}

#else

void export_xz_prepare(void)
{
}

struct nunchi_error *export_xz_create(export_write *write, void *data, struct export_xz **ret)
{
	(void)write, (void)data, (void)ret;
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    "this build of nunchi cannot compress (it was built without liblzma)");
}

struct nunchi_error *export_xz_write(const void *bytes, size_t size, void *data)
{
	(void)bytes, (void)size, (void)data;
	return NULL;
}

struct nunchi_error *export_xz_finish(struct export_xz *xz)
{
	(void)xz;
	return NULL;
}

void export_xz_destroy(struct export_xz *xz)
{
	(void)xz;
}

#endif
