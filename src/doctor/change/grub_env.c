/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/change/grub_env.h"

#include <stdlib.h>
#include <string.h>

#define SIGNATURE "# GRUB Environment Block\n"

struct line {
	const char *text; /* "NAME=VALUE", escaped */
	size_t size;      /* without the newline */
};

bool grub_env_valid(const char *block, size_t size)
{
	return size >= sizeof(SIGNATURE) - 1 && size <= 65536 &&
	       !memcmp(block, SIGNATURE, sizeof(SIGNATURE) - 1);
}

/* The next variable's whole line from *at on, comments and padding skipped; false at the end. */
static bool next_line(const char *block, size_t size, size_t *at, struct line *ret)
{
	while (*at < size) {
		size_t start = *at, end = start;

		while (end < size && block[end] != '\n')
			end += block[end] == '\\' ? 2 : 1;
		if (end > size)
			end = size;
		*at = end < size ? end + 1 : size;
		if (end > start && end < size && block[start] != '#') {
			*ret = (struct line){.text = block + start, .size = end - start};
			return true;
		}
	}
	return false;
}

static bool is_of(const struct line *line, const char *name)
{
	size_t length = strlen(name);

	return line->size > length && !memcmp(line->text, name, length) &&
	       line->text[length] == '=';
}

char *grub_env_get(const char *block, size_t size, const char *name)
{
	struct line line;
	size_t at = 0;

	while (grub_env_valid(block, size) && next_line(block, size, &at, &line)) {
		size_t in = strlen(name) + 1, out = 0;
		char *value;

		if (!is_of(&line, name))
			continue;
		value = malloc(line.size + 1);
		if (!value)
			return NULL;
		for (; in < line.size; in++) {
			if (line.text[in] == '\\' && in + 1 < line.size)
				in++;
			value[out++] = line.text[in];
		}
		value[out] = 0;
		return value;
	}
	return NULL;
}

bool grub_env_without(const char *block, size_t size, const char *name, struct buffer *ret)
{
	struct line line;
	size_t at = 0;
	size_t copied = 0;

	if (!grub_env_valid(block, size))
		return false;
	while (next_line(block, size, &at, &line)) {
		if (!is_of(&line, name))
			continue;
		buffer_append(ret, block + copied, (size_t)(line.text - block) - copied);
		copied = at;
	}
	buffer_append(ret, block + copied, size - copied);
	while (ret->size < size && buffer_append_char(ret, '#'))
		;
	return !ret->failed;
}

/* Whether every variable of a, but name, stands in b with the same value. */
static bool within(const char *a, size_t a_size, const char *b, size_t b_size, const char *name)
{
	struct line line, other;
	size_t at = 0;

	while (next_line(a, a_size, &at, &line)) {
		size_t in_b = 0;
		bool found = false;

		if (is_of(&line, name))
			continue;
		while (!found && next_line(b, b_size, &in_b, &other))
			found =
			    other.size == line.size && !memcmp(other.text, line.text, line.size);
		if (!found)
			return false;
	}
	return true;
}

bool grub_env_same_without(const char *a, size_t a_size, const char *b, size_t b_size,
			   const char *name)
{
	return grub_env_valid(a, a_size) && grub_env_valid(b, b_size) &&
	       within(a, a_size, b, b_size, name) && within(b, b_size, a, a_size, name);
}

bool grub_env_empty(const char *block, size_t size)
{
	struct line line;
	size_t at = 0;

	return grub_env_valid(block, size) && !next_line(block, size, &at, &line);
}
