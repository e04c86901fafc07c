/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes BTF for tests, record by record, from include/uapi/linux/btf.h and independently of the
 * code under test.
 */
#ifndef NUNCHI_TESTS_BTF_BLOB_H
#define NUNCHI_TESTS_BTF_BLOB_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct blob {
	uint8_t *types;
	uint32_t types_size, types_room;
	char *strings;
	uint32_t strings_size, strings_room;
	uint32_t count; /* ids given */
	uint8_t *layouts;
	uint32_t layouts_size;
};

static inline void blob_put(uint8_t **data, uint32_t *size, uint32_t *room, const void *from,
			    uint32_t bytes)
{
	if (*size + bytes > *room) {
		*room = (*size + bytes) * 2;
		*data = realloc(*data, *room);
		if (!*data)
			abort();
	}
	memcpy(*data + *size, from, bytes);
	*size += bytes;
}

static inline uint32_t blob_name(struct blob *blob, const char *name)
{
	uint32_t offset;

	if (!blob->strings_size)
		blob_put((uint8_t **)&blob->strings, &blob->strings_size, &blob->strings_room, "",
			 1);
	if (!*name)
		return 0;
	offset = blob->strings_size;
	blob_put((uint8_t **)&blob->strings, &blob->strings_size, &blob->strings_room, name,
		 (uint32_t)strlen(name) + 1);
	return offset;
}

static inline void blob_word(struct blob *blob, uint32_t word)
{
	blob_put(&blob->types, &blob->types_size, &blob->types_room, &word, 4);
}

/* Starts a record and gives its id; word is the size or the type. */
static inline uint32_t blob_type(struct blob *blob, unsigned kind, unsigned flag, uint32_t vlen,
				 const char *name, uint32_t word)
{
	blob_word(blob, blob_name(blob, name));
	blob_word(blob, (uint32_t)flag << 31 | kind << 24 | vlen);
	blob_word(blob, word);
	return ++blob->count;
}

static inline uint32_t blob_int(struct blob *blob, const char *name, uint32_t size, int is_signed)
{
	uint32_t id = blob_type(blob, 1, 0, 0, name, size);

	blob_word(blob, size * 8 | (is_signed ? 1u << 24 : 0));
	return id;
}

static inline uint32_t blob_array(struct blob *blob, uint32_t element, uint32_t count)
{
	uint32_t id = blob_type(blob, 3, 0, 0, "", 0);

	blob_word(blob, element);
	blob_word(blob, 1);
	blob_word(blob, count);
	return id;
}

static inline void blob_member(struct blob *blob, const char *name, uint32_t type, uint32_t offset)
{
	blob_word(blob, blob_name(blob, name));
	blob_word(blob, type);
	blob_word(blob, offset);
}

static inline void blob_pair(struct blob *blob, const char *name, uint32_t word)
{
	blob_word(blob, blob_name(blob, name));
	blob_word(blob, word);
}

/* The whole, exactly as large as it is; to be freed. Empties the blob. */
static inline uint8_t *blob_finish(struct blob *blob, size_t *ret_size)
{
	uint32_t header_size = blob->layouts_size ? 32 : 24;
	uint32_t header[8] = {0x0001eb9f, header_size, 0, 0, 0, 0, 0, 0};
	uint8_t *data;

	blob_name(blob, "");
	header[3] = header[4] = blob->types_size;
	header[5] = blob->strings_size;
	header[6] = blob->types_size + blob->strings_size;
	header[7] = blob->layouts_size;
	*ret_size =
	    header_size + blob->types_size + blob->strings_size + (size_t)blob->layouts_size;
	data = malloc(*ret_size);
	if (!data)
		abort();
	memcpy(data, header, header_size);
	if (blob->types_size)
		memcpy(data + header_size, blob->types, blob->types_size);
	memcpy(data + header_size + blob->types_size, blob->strings, blob->strings_size);
	if (blob->layouts_size)
		memcpy(data + header_size + header[6], blob->layouts, blob->layouts_size);
	free(blob->types);
	free(blob->strings);
	free(blob->layouts);
	*blob = (struct blob){0};
	return data;
}

#endif
