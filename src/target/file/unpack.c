/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/unpack.h"

#include "config.h"
#include "target/compression.h"
#include "target/file/kdump.h"

#include <stdlib.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#endif
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

struct unpacker {
	bool zlib_ready;
#ifdef HAVE_ZLIB
	z_stream zlib; /* kept, since setting one up costs as much as a page */
#endif
#ifdef HAVE_ZSTD
	ZSTD_DCtx *zstd;
#endif
};

struct unpacker *unpacker_create(void)
{
	return calloc(1, sizeof(struct unpacker));
}

void unpacker_destroy(struct unpacker *unpacker)
{
	if (!unpacker)
		return;
#ifdef HAVE_ZLIB
	if (unpacker->zlib_ready)
		inflateEnd(&unpacker->zlib);
#endif
#ifdef HAVE_ZSTD
	ZSTD_freeDCtx(unpacker->zstd);
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

#ifdef HAVE_ZLIB
static bool run_zlib(struct unpacker *unpacker, const void *in, size_t in_size, void *out,
		     size_t out_size)
{
	z_stream *zlib = &unpacker->zlib;

	if (!unpacker->zlib_ready) {
		if (inflateInit(zlib) != Z_OK)
			return false;
		unpacker->zlib_ready = true;
	} else if (inflateReset(zlib) != Z_OK) {
		return false;
	}
	zlib->next_in = (Bytef *)in;
	zlib->avail_in = (uInt)in_size;
	zlib->next_out = out;
	zlib->avail_out = (uInt)out_size;
	return inflate(zlib, Z_FINISH) == Z_STREAM_END && !zlib->avail_out;
}
#endif

#ifdef HAVE_LZO
static bool run_lzo(const void *in, size_t in_size, void *out, size_t out_size)
{
	lzo_uint size = out_size;

	return lzo1x_decompress_safe(in, in_size, out, &size, NULL) == LZO_E_OK && size == out_size;
}
#endif

#ifdef HAVE_SNAPPY
static bool run_snappy(const void *in, size_t in_size, void *out, size_t out_size)
{
	size_t size = out_size;

	return snappy_uncompress(in, in_size, out, &size) == SNAPPY_OK && size == out_size;
}
#endif

#ifdef HAVE_ZSTD
static bool run_zstd(struct unpacker *unpacker, const void *in, size_t in_size, void *out,
		     size_t out_size)
{
	if (!unpacker->zstd && !(unpacker->zstd = ZSTD_createDCtx()))
		return false;
	return ZSTD_decompressDCtx(unpacker->zstd, out, out_size, in, in_size) == out_size;
}
#endif

bool unpacker_run(struct unpacker *unpacker, unsigned method, const void *in, size_t in_size,
		  void *out, size_t out_size)
{
	switch (method) {
#ifdef HAVE_ZLIB
	case KDUMP_ZLIB:
		return run_zlib(unpacker, in, in_size, out, out_size);
#endif
#ifdef HAVE_LZO
	case KDUMP_LZO:
		return run_lzo(in, in_size, out, out_size);
#endif
#ifdef HAVE_SNAPPY
	case KDUMP_SNAPPY:
		return run_snappy(in, in_size, out, out_size);
#endif
#ifdef HAVE_ZSTD
	case KDUMP_ZSTD:
		return run_zstd(unpacker, in, in_size, out, out_size);
#endif
	default:
		return false;
	}
}
