/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/vmcoreinfo.h"

#include "core/digit.h"

#include <string.h>

/* Limit of the text. A kernel uses one page for it; notes in files are somewhat longer. */
#define TEXT_MAX ((size_t)64 << 10)

static bool is_text(char c)
{
	return c >= ' ' && c <= '~';
}

/* Finds the size of the line at text, without its newline; false if the line is not KEY=value. */
static bool line_size(const char *text, size_t size, size_t *ret)
{
	bool has_key = false;

	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\n') {
			*ret = i;
			return has_key;
		}
		if (!is_text(text[i]))
			return false;
		has_key |= text[i] == '=' && i;
	}
	return false;
}

/* Removes prefix from the start of the text; false if the text does not start with it. */
static bool skip(const char **text, size_t *size, const char *prefix, size_t prefix_size)
{
	if (*size < prefix_size || memcmp(*text, prefix, prefix_size))
		return false;
	*text += prefix_size;
	*size -= prefix_size;
	return true;
}

/* Finds the value of the line that starts with before, name and after, followed by "=". */
static bool get_value(const struct vmcoreinfo *info, const char *before, const char *name,
		      const char *after, const char **ret, size_t *ret_size)
{
	for (size_t at = 0; at < info->size;) {
		const char *text = info->text + at;
		const char *end = memchr(text, '\n', info->size - at);
		size_t size = end ? (size_t)(end - text) : info->size - at;

		at += size + 1;
		if (!skip(&text, &size, before, strlen(before)) ||
		    !skip(&text, &size, name, strlen(name)) ||
		    !skip(&text, &size, after, strlen(after)) || !skip(&text, &size, "=", 1))
			continue;
		*ret = text;
		*ret_size = size;
		return true;
	}
	return false;
}

/* Parses the whole text as one number of at most 64 bits. */
static bool parse_digits(const char *text, size_t size, unsigned base, uint64_t *ret)
{
	uint64_t value = 0;

	if (!size)
		return false;
	for (size_t i = 0; i < size; i++) {
		unsigned digit = digit_value(text[i]);

		if (digit >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return false;
	}
	*ret = value;
	return true;
}

static bool parse_hex(const char *text, size_t size, uint64_t *ret)
{
	skip(&text, &size, "0x", 2);
	return parse_digits(text, size, 16, ret);
}

/* Whether the note has PAGESIZE, as that of every kernel does. */
static bool has_page_size(const struct vmcoreinfo *info)
{
	const char *text;
	uint64_t value;
	size_t size;

	return get_value(info, "", "PAGESIZE", "", &text, &size) &&
	       parse_digits(text, size, 10, &value) && value && !(value & (value - 1));
}

bool vmcoreinfo_parse(const void *data, size_t size, struct vmcoreinfo *ret)
{
	static const char first[] = "OSRELEASE=";
	struct vmcoreinfo info = {.text = data};
	size_t length;

	if (size < sizeof(first) || memcmp(data, first, sizeof(first) - 1))
		return false;
	if (info.text[sizeof(first) - 1] < '0' || info.text[sizeof(first) - 1] > '9')
		return false;
	if (size > TEXT_MAX)
		size = TEXT_MAX;
	while (line_size(info.text + info.size, size - info.size, &length))
		info.size += length + 1;
	if (!has_page_size(&info))
		return false;
	*ret = info;
	return true;
}

bool vmcoreinfo_get(const struct vmcoreinfo *info, const char *key, const char **ret,
		    size_t *ret_size)
{
	return get_value(info, "", key, "", ret, ret_size);
}

bool vmcoreinfo_symbol(const struct vmcoreinfo *info, const char *name, uint64_t *ret)
{
	const char *text;
	size_t size;

	return get_value(info, "SYMBOL(", name, ")", &text, &size) && parse_hex(text, size, ret);
}

bool vmcoreinfo_number(const struct vmcoreinfo *info, const char *name, int64_t *ret)
{
	bool negative, parsed;
	const char *text;
	uint64_t value;
	size_t size;

	if (!get_value(info, "NUMBER(", name, ")", &text, &size))
		return false;
	negative = skip(&text, &size, "-", 1);
	if (skip(&text, &size, "0x", 2))
		parsed = parse_digits(text, size, 16, &value);
	else
		parsed =
		    parse_digits(text, size, 10, &value) && value <= (uint64_t)INT64_MAX + negative;
	if (!parsed)
		return false;
	*ret = (int64_t)(negative ? -value : value);
	return true;
}
