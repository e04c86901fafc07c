/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A growable byte buffer with a hard limit, for text and bytes of guest-given length. Once an
 * append fails (no memory, or over the limit) the buffer is marked failed and stays as it was;
 * check `failed` once at the end, and where the limit is worth an error of its own, `no_memory`.
 */
#ifndef NUNCHI_CORE_BUFFER_H
#define NUNCHI_CORE_BUFFER_H

#include "core/cleanup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	char *data; /* always NUL-terminated once anything was appended; NULL before */
	size_t size;
	size_t capacity;
	size_t limit; /* most bytes it may hold; 0 means 64 MiB */
	bool failed;
	bool no_memory; /* it failed for want of memory, not by the limit */
};

void buffer_init(struct buffer *buf, size_t limit);
void buffer_deinit(struct buffer *buf);
/* Empties it and clears the failed mark; keeps the storage. */
void buffer_clear(struct buffer *buf);
bool buffer_append(struct buffer *buf, const void *data, size_t size);
bool buffer_append_string(struct buffer *buf, const char *string);
bool buffer_append_char(struct buffer *buf, char c);
/*
 * Appends a number in base 2 to 16, with zeros before it up to min_digits, of at most 64. Some ten
 * times as fast as buffer_printf().
 */
bool buffer_append_unsigned(struct buffer *buf, uint64_t value, unsigned base, unsigned min_digits);
bool buffer_printf(struct buffer *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool buffer_vprintf(struct buffer *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* Makes room for size more bytes and gives where to write them (then add to size), or NULL. */
char *buffer_reserve(struct buffer *buf, size_t size);
/* How many more bytes the limit allows. */
size_t buffer_room(const struct buffer *buf);
/* The text so far; "" when empty. Owned by the buffer. */
const char *buffer_string(const struct buffer *buf);

#define _cleanup_buffer_ _cleanup_(buffer_deinit)

#endif
