/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/isf_scan.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Skips white space and returns the next character; 0 at the end. */
static char peek(struct isf_scan *scan)
{
	while (scan->at < scan->end && is_space(*scan->at))
		scan->at++;
	return scan->at < scan->end ? *scan->at : 0;
}

/* Skips a string; its opening quote is the next character. */
static bool skip_string(struct isf_scan *scan)
{
	const char *at = scan->at + 1;

	while (at < scan->end && *at != '"')
		at += *at == '\\' ? 2 : 1;
	if (at >= scan->end)
		return false;
	scan->at = at + 1;
	return true;
}

/* Skips an object or array by counting brackets, without checking that their kinds match. */
static bool skip_nested(struct isf_scan *scan)
{
	size_t depth = 0;

	while (scan->at < scan->end) {
		char c = *scan->at;

		if (c == '"') {
			if (!skip_string(scan))
				return false;
			continue;
		}
		scan->at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && !--depth)
			return true;
	}
	return false;
}

static bool skip_scalar(struct isf_scan *scan)
{
	const char *start = scan->at;

	while (scan->at < scan->end && !is_space(*scan->at) && !strchr(",:]}[{\"", *scan->at))
		scan->at++;
	return scan->at > start;
}

static bool skip_value(struct isf_scan *scan)
{
	switch (peek(scan)) {
	case '"':
		return skip_string(scan);
	case '{':
	case '[':
		return skip_nested(scan);
	default:
		return skip_scalar(scan);
	}
}

bool isf_scan_object(struct isf_span value, struct isf_scan *ret)
{
	struct isf_scan scan = {value.data, value.data + value.size};

	if (peek(&scan) != '{')
		return false;
	scan.at++;
	*ret = scan;
	return true;
}

static bool scan_entry(struct isf_scan *scan, struct isf_span *ret_key, struct isf_span *ret_value)
{
	const char *start;

	if (peek(scan) != '"')
		return false;
	start = scan->at + 1;
	if (!skip_string(scan))
		return false;
	*ret_key = (struct isf_span){start, (size_t)(scan->at - 1 - start)};
	if (peek(scan) != ':')
		return false;
	scan->at++;
	peek(scan);
	start = scan->at;
	if (!skip_value(scan))
		return false;
	*ret_value = (struct isf_span){start, (size_t)(scan->at - start)};
	return true;
}

enum isf_step isf_scan_next(struct isf_scan *scan, struct isf_span *ret_key,
			    struct isf_span *ret_value)
{
	struct isf_span key, value;

	if (peek(scan) == '}')
		return ISF_END;
	if (!scan_entry(scan, &key, &value))
		return ISF_BROKEN;
	if (peek(scan) == ',') {
		scan->at++;
		if (peek(scan) == '}')
			return ISF_BROKEN;
	} else if (peek(scan) != '}') {
		return ISF_BROKEN;
	}
	*ret_key = key;
	*ret_value = value;
	return ISF_ENTRY;
}
