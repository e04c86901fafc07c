/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/unpack.h"

#include "config.h"
#include "core/library.h"
#include "target/compression.h"
#include "target/file/kdump.h"
#include "target/file/zlib_library.h"

#include <assert.h>
#include <stdlib.h>
#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#endif
#ifdef HAVE_SNAPPY
#include "target/file/snappy_library.h"
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

/* ---- The libraries --------------------------------------------------------------------------- */

#ifdef HAVE_LZO
#define LZO_FUNCTIONS(FUNCTION) FUNCTION(lzo1x_decompress_safe)

struct lzo_library {
	void *handle;
	LZO_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct lzo_library, name)
static const struct library_function lzo_functions[] = {LZO_FUNCTIONS(FUNCTION)};
#undef FUNCTION
LIBRARY(lzo, lzo_functions, "liblzo2.so.2", "kdump files packed with LZO",
	"liblzo2-2 (Debian, Ubuntu) or lzo (Fedora)");
static_assert(LZO_VERSION >> 12 == 2, "the SONAME is of another version");
#endif

#ifdef HAVE_ZSTD
#define ZSTD_FUNCTIONS(FUNCTION)                                                                   \
	FUNCTION(ZSTD_createDCtx)                                                                  \
	FUNCTION(ZSTD_decompressDCtx)                                                              \
	FUNCTION(ZSTD_freeDCtx)

struct zstd_library {
	void *handle;
	ZSTD_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct zstd_library, name)
static const struct library_function zstd_functions[] = {ZSTD_FUNCTIONS(FUNCTION)};
#undef FUNCTION
LIBRARY(zstd, zstd_functions, "libzstd.so.1", "kdump files packed with zstd",
	"libzstd1 (Debian, Ubuntu) or libzstd (Fedora)");
static_assert(ZSTD_VERSION_MAJOR == 1, "the SONAME is of another version");
#endif

struct unpacker {
	unsigned tried;  /* methods whose library was searched for */
	unsigned loaded; /* methods whose library was loaded */
#ifdef HAVE_ZLIB
	struct zlib_library zlib;
	z_stream stream; /* kept, because creating one takes as much time as decompressing a page */
	bool stream_ready;
#endif
#ifdef HAVE_LZO
	struct lzo_library lzo;
#endif
#ifdef HAVE_SNAPPY
	struct snappy_library snappy;
#endif
#ifdef HAVE_ZSTD
	struct zstd_library zstd;
	ZSTD_DCtx *context;
#endif
};

static struct nunchi_error *load(struct unpacker *unpacker, unsigned method)
{
	(void)unpacker; /* without any library */
	switch (method) {
#ifdef HAVE_ZLIB
	case KDUMP_ZLIB:
		return zlib_library_load(&unpacker->zlib);
#endif
#ifdef HAVE_LZO
	case KDUMP_LZO:
		return library_load(&lzo, &unpacker->lzo, &unpacker->lzo.handle);
#endif
#ifdef HAVE_SNAPPY
	case KDUMP_SNAPPY:
		return snappy_library_load(&unpacker->snappy);
#endif
#ifdef HAVE_ZSTD
	case KDUMP_ZSTD:
		return library_load(&zstd, &unpacker->zstd, &unpacker->zstd.handle);
#endif
	default:
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "this build cannot unpack %s",
				    kdump_compression_string(method));
	}
}

/* ---- The unpacker ---------------------------------------------------------------------------- */

struct unpacker *unpacker_create(void)
{
	return calloc(1, sizeof(struct unpacker));
}

void unpacker_destroy(struct unpacker *unpacker)
{
	if (!unpacker)
		return;
#ifdef HAVE_ZLIB
	if (unpacker->stream_ready)
		unpacker->zlib.inflateEnd(&unpacker->stream);
	zlib_library_unload(&unpacker->zlib);
#endif
#ifdef HAVE_LZO
	library_unload(&unpacker->lzo.handle);
#endif
#ifdef HAVE_SNAPPY
	snappy_library_unload(&unpacker->snappy);
#endif
#ifdef HAVE_ZSTD
	if (unpacker->context)
		unpacker->zstd.ZSTD_freeDCtx(unpacker->context);
	library_unload(&unpacker->zstd.handle);
#endif
	free(unpacker);
}

unsigned unpacker_supports(void)
{
	unsigned methods = 0;

#ifdef HAVE_ZLIB
	methods |= KDUMP_ZLIB;
#endif
#ifdef HAVE_LZO
	methods |= KDUMP_LZO;
#endif
#ifdef HAVE_SNAPPY
	methods |= KDUMP_SNAPPY;
#endif
#ifdef HAVE_ZSTD
	methods |= KDUMP_ZSTD;
#endif
	return methods;
}

void unpacker_preload(unsigned methods)
{
	struct unpacker *unpacker = unpacker_create();

	for (unsigned left = methods & unpacker_supports(); unpacker && left; left &= left - 1)
		nunchi_error_destroy(unpacker_load(unpacker, left & -left));
	/* A library that was loaded once stays loaded (library.c). */
	unpacker_destroy(unpacker);
}

struct nunchi_error *unpacker_load(struct unpacker *unpacker, unsigned methods)
{
	unsigned left = methods & ~unpacker->loaded;

	while (left) {
		unsigned method = left & -left;
		struct nunchi_error *err = load(unpacker, method);

		unpacker->tried |= method;
		if (err)
			return err;
		unpacker->loaded |= method;
		left &= ~method;
	}
	return NULL;
}

#ifdef HAVE_ZLIB
static bool run_zlib(struct unpacker *unpacker, const void *in, size_t in_size, void *out,
		     size_t out_size)
{
	const struct zlib_library *lib = &unpacker->zlib;
	z_stream *stream = &unpacker->stream;

	if (!unpacker->stream_ready) {
		if (lib->inflateInit_(stream, ZLIB_VERSION, sizeof(*stream)) != Z_OK)
			return false;
		unpacker->stream_ready = true;
	} else if (lib->inflateReset(stream) != Z_OK) {
		return false;
	}
	stream->next_in = (Bytef *)in;
	stream->avail_in = (uInt)in_size;
	stream->next_out = out;
	stream->avail_out = (uInt)out_size;
	return lib->inflate(stream, Z_FINISH) == Z_STREAM_END && !stream->avail_out;
}
#endif

#ifdef HAVE_LZO
static bool run_lzo(struct unpacker *unpacker, const void *in, size_t in_size, void *out,
		    size_t out_size)
{
	lzo_uint size = out_size;

	return unpacker->lzo.lzo1x_decompress_safe(in, in_size, out, &size, NULL) == LZO_E_OK &&
	       size == out_size;
}
#endif

#ifdef HAVE_SNAPPY
static bool run_snappy(struct unpacker *unpacker, const void *in, size_t in_size, void *out,
		       size_t out_size)
{
	size_t size = out_size;

	return unpacker->snappy.snappy_uncompress(in, in_size, out, &size) == SNAPPY_OK &&
	       size == out_size;
}
#endif

#ifdef HAVE_ZSTD
static bool run_zstd(struct unpacker *unpacker, const void *in, size_t in_size, void *out,
		     size_t out_size)
{
	const struct zstd_library *lib = &unpacker->zstd;

	if (!unpacker->context && !(unpacker->context = lib->ZSTD_createDCtx()))
		return false;
	return lib->ZSTD_decompressDCtx(unpacker->context, out, out_size, in, in_size) == out_size;
}
#endif

bool unpacker_run(struct unpacker *unpacker, unsigned method, const void *in, size_t in_size,
		  void *out, size_t out_size)
{
	(void)in, (void)in_size, (void)out, (void)out_size; /* without any library */
	/* A page may be compressed by a method that the header does not name. */
	if (method & ~unpacker->tried)
		nunchi_error_destroy(unpacker_load(unpacker, method));
	if (method & ~unpacker->loaded)
		return false;
	switch (method) {
#ifdef HAVE_ZLIB
	case KDUMP_ZLIB:
		return run_zlib(unpacker, in, in_size, out, out_size);
#endif
#ifdef HAVE_LZO
	case KDUMP_LZO:
		return run_lzo(unpacker, in, in_size, out, out_size);
#endif
#ifdef HAVE_SNAPPY
	case KDUMP_SNAPPY:
		return run_snappy(unpacker, in, in_size, out, out_size);
#endif
#ifdef HAVE_ZSTD
	case KDUMP_ZSTD:
		return run_zstd(unpacker, in, in_size, out, out_size);
#endif
	default:
		return false;
	}
}
