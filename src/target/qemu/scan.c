/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/scan.h"

#include "core/digit.h"

#include <string.h>

static size_t left(const struct scan *scan)
{
	return (size_t)(scan->end - scan->at);
}

bool scan_line(struct scan *scan, struct scan *ret)
{
	const char *end;

	if (scan->at == scan->end)
		return false;
	end = memchr(scan->at, '\n', left(scan));
	*ret = (struct scan){scan->at, end ? end : scan->end};
	scan->at = end ? end + 1 : scan->end;
	if (ret->end > ret->at && ret->end[-1] == '\r')
		ret->end--;
	return true;
}

bool scan_literal(struct scan *scan, const char *literal)
{
	size_t size = strlen(literal);

	if (left(scan) < size || memcmp(scan->at, literal, size))
		return false;
	scan->at += size;
	return true;
}

void scan_spaces(struct scan *scan)
{
	while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t'))
		scan->at++;
}

bool scan_until(struct scan *scan, char c, struct scan *ret)
{
	const char *end = left(scan) ? memchr(scan->at, c, left(scan)) : NULL;

	if (!end)
		return false;
	*ret = (struct scan){scan->at, end};
	scan->at = end + 1;
	return true;
}

bool scan_word(struct scan *scan, struct scan *ret)
{
	const char *at = scan->at;

	while (at < scan->end && *at != ' ' && *at != '\t')
		at++;
	if (at == scan->at)
		return false;
	*ret = (struct scan){scan->at, at};
	scan->at = at;
	return true;
}

bool scan_hex(struct scan *scan, uint64_t *ret)
{
	const char *at = scan->at;
	uint64_t value = 0;

	for (; at < scan->end && digit_value(*at) < 16; at++) {
		if (at - scan->at == 16)
			return false;
		value = value << 4 | digit_value(*at);
	}
	if (at == scan->at)
		return false;
	scan->at = at;
	*ret = value;
	return true;
}

bool scan_decimal(struct scan *scan, uint64_t *ret)
{
	const char *at = scan->at;
	uint64_t value = 0;

	for (; at < scan->end && digit_value(*at) < 10; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit_value(*at), &value))
			return false;
	}
	if (at == scan->at)
		return false;
	scan->at = at;
	*ret = value;
	return true;
}

bool scan_equals(const struct scan *scan, const char *text)
{
	return left(scan) == strlen(text) && memcmp(scan->at, text, left(scan)) == 0;
}

bool scan_find(struct scan *scan, const char *text)
{
	const char *at = left(scan) ? memmem(scan->at, left(scan), text, strlen(text)) : NULL;

	if (!at)
		return false;
	scan->at = at + strlen(text);
	return true;
}
