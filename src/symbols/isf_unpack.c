/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/isf.h"

#include "config.h"

#ifdef HAVE_LZMA

#include "core/buffer.h"
#include "core/library.h"

#include <assert.h>
#include <lzma.h>

/* Memory limit of the decoder; data made by xz -9 needs 65 MiB. */
#define DECODER_MEMORY ((uint64_t)128 << 20)
/* Limit of the decompressed size; the table of a whole kernel has 30 to 60 MB. */
#define TEXT_LIMIT ((size_t)512 << 20)
#define CHUNK      ((size_t)1 << 20)

#define LZMA_FUNCTIONS(FUNCTION)                                                                   \
	FUNCTION(lzma_code)                                                                        \
	FUNCTION(lzma_end)                                                                         \
	FUNCTION(lzma_stream_decoder)

struct lzma_library {
	void *handle;
	LZMA_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct lzma_library, name)
static const struct library_function functions[] = {LZMA_FUNCTIONS(FUNCTION)};
LIBRARY(liblzma, functions, "liblzma.so.5", ".xz symbol tables",
	"liblzma5 (Debian, Ubuntu) or xz-libs (Fedora), or unpack the file with xz -d");
static_assert(LZMA_VERSION_MAJOR == 5, "the SONAME is of another version");

static struct nunchi_error *describe(lzma_ret status, uint64_t offset)
{
	switch (status) {
	case LZMA_MEM_ERROR:
		return &error_nomem;
	case LZMA_MEMLIMIT_ERROR:
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "unpacking it takes more than 128 MiB of memory");
	case LZMA_BUF_ERROR:
		return error_create(NUNCHI_ERROR_TRUNCATED,
				    "the .xz data ends too early, after %llu bytes",
				    (unsigned long long)offset);
	default:
		return error_create(NUNCHI_ERROR_DATA,
				    "the .xz data is damaged near byte %llu (liblzma error %d)",
				    (unsigned long long)offset, (int)status);
	}
}

static struct nunchi_error *unpack(const struct lzma_library *lib, lzma_stream *stream,
				   struct buffer *text)
{
	lzma_ret status = LZMA_OK;

	while (status == LZMA_OK) {
		char *room = buffer_reserve(text, CHUNK);

		if (!room && text->no_memory)
			return &error_nomem;
		if (!room)
			return error_create(NUNCHI_ERROR_DATA, "it unpacks to more than 512 MiB");
		stream->next_out = (uint8_t *)room;
		stream->avail_out = CHUNK;
		status = lib->lzma_code(stream, LZMA_FINISH);
		text->size += CHUNK - stream->avail_out;
	}
	return status == LZMA_STREAM_END ? NULL : describe(status, stream->total_in);
}

static struct nunchi_error *unpack_by(const struct lzma_library *lib, const void *data, size_t size,
				      char **ret, size_t *ret_size)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	_cleanup_buffer_ struct buffer text = {.limit = TEXT_LIMIT};
	struct nunchi_error *err;
	lzma_ret status;

	status = lib->lzma_stream_decoder(&stream, DECODER_MEMORY, LZMA_CONCATENATED);
	if (status != LZMA_OK)
		return describe(status, 0);
	stream.next_in = data;
	stream.avail_in = size;
	err = unpack(lib, &stream, &text);
	lib->lzma_end(&stream);
	if (err)
		return err;
	*ret_size = text.size;
	*ret = no_cleanup_ptr(text.data);
	return NULL;
}

struct nunchi_error *isf_unpack(const void *data, size_t size, char **ret, size_t *ret_size)
{
	struct lzma_library lib;
	struct nunchi_error *err = library_load(&liblzma, &lib, &lib.handle);

	if (err)
		return err;
	err = unpack_by(&lib, data, size, ret, ret_size);
	library_unload(&lib.handle);
	return err;
}

void isf_load_library(void)
{
	struct lzma_library lib;

	/* It stays loaded (library.c). */
	if (!library_load(&liblzma, &lib, &lib.handle))
		library_unload(&lib.handle);
}

#else

void isf_load_library(void)
{
}

struct nunchi_error *isf_unpack(const void *data, size_t size, char **ret, size_t *ret_size)
{
	(void)data;
	(void)size;
	(void)ret;
	(void)ret_size;
	return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED, ".xz needs a build with liblzma"),
			  "unpack the file with xz -d, or rebuild with -Dxz=enabled (liblzma)");
}

#endif
