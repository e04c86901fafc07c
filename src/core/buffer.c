/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/buffer.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_LIMIT ((size_t)64 << 20)

void buffer_init(struct buffer *buf, size_t limit)
{
	*buf = (struct buffer){.limit = limit ? limit : DEFAULT_LIMIT};
}

void buffer_deinit(struct buffer *buf)
{
	free(buf->data);
	*buf = (struct buffer){0};
}

void buffer_clear(struct buffer *buf)
{
	buf->size = 0;
	buf->failed = buf->no_memory = false;
	if (buf->data)
		buf->data[0] = '\0';
}

char *buffer_reserve(struct buffer *buf, size_t size)
{
	size_t capacity = buf->capacity ? buf->capacity : 64;
	char *data;

	if (buf->failed || size > buffer_room(buf)) {
		buf->failed = true;
		return NULL;
	}
	while (capacity <= buf->size + size)
		capacity *= 2;
	if (capacity != buf->capacity) {
		data = realloc(buf->data, capacity);
		if (!data) {
			buf->failed = buf->no_memory = true;
			return NULL;
		}
		buf->data = data;
		buf->capacity = capacity;
	}
	return buf->data + buf->size;
}

bool buffer_append(struct buffer *buf, const void *data, size_t size)
{
	char *to = buffer_reserve(buf, size);

	if (!to)
		return false;
	if (size)
		memcpy(to, data, size);
	buf->size += size;
	buf->data[buf->size] = '\0';
	return true;
}

bool buffer_append_string(struct buffer *buf, const char *string)
{
	return buffer_append(buf, string, strlen(string));
}

bool buffer_append_char(struct buffer *buf, char c)
{
	return buffer_append(buf, &c, 1);
}

/* Writes the digits that end at p; gives where they begin. Fast where the base is a constant. */
static inline char *put_digits(char *p, uint64_t value, unsigned base)
{
	do {
		*--p = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	return p;
}

bool buffer_append_unsigned(struct buffer *buf, uint64_t value, unsigned base, unsigned min_digits)
{
	char digits[64];
	char *end = digits + sizeof(digits), *p;

	p = base == 10   ? put_digits(end, value, 10)
	    : base == 16 ? put_digits(end, value, 16)
			 : put_digits(end, value, base);
	while (p > digits && (size_t)(end - p) < min_digits)
		*--p = '0';
	return buffer_append(buf, p, (size_t)(end - p));
}

bool buffer_vprintf(struct buffer *buf, const char *format, va_list args)
{
	char text[256];
	va_list again;
	int size;
	char *to;

	/* Most texts are short, and then formatted once. */
	va_copy(again, args);
	size = vsnprintf(text, sizeof(text), format, again);
	va_end(again);
	if (size < 0)
		buf->failed = true;
	if (size >= 0 && (size_t)size < sizeof(text))
		return buffer_append(buf, text, (size_t)size);
	to = size < 0 ? NULL : buffer_reserve(buf, (size_t)size);
	if (!to)
		return false;
	vsnprintf(to, (size_t)size + 1, format, args);
	buf->size += (size_t)size;
	return true;
}

bool buffer_printf(struct buffer *buf, const char *format, ...)
{
	va_list args;
	bool ok;

	va_start(args, format);
	ok = buffer_vprintf(buf, format, args);
	va_end(args);
	return ok;
}

size_t buffer_room(const struct buffer *buf)
{
	return (buf->limit ? buf->limit : DEFAULT_LIMIT) - buf->size;
}

const char *buffer_string(const struct buffer *buf)
{
	return buf->data ? buf->data : "";
}
