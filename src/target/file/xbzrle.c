/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/xbzrle.h"

#include <string.h>

/* Reads a number of one or two bytes in XBZRLE's encoding. Returns its size, 0 if it is cut off. */
static size_t take_number(const uint8_t *bytes, size_t left, size_t *ret)
{
	if (left >= 1 && !(bytes[0] & 0x80)) {
		*ret = bytes[0];
		return 1;
	}
	if (left >= 2 && !(bytes[1] & 0x80)) {
		*ret = (size_t)(bytes[0] & 0x7f) | (size_t)bytes[1] << 7;
		return 2;
	}
	return 0;
}

bool xbzrle_apply(const uint8_t *difference, size_t difference_size, uint8_t *page, size_t size)
{
	size_t at = 0, to = 0;

	while (at < difference_size) {
		size_t count = 0,
		       taken = take_number(difference + at, difference_size - at, &count);

		/* The number of bytes that are unchanged … */
		if (!taken || (at && !count) || count > size - to)
			return false;
		at += taken;
		to += count;
		if (at == difference_size)
			return true;
		/* … and the number of new bytes that follow. */
		taken = take_number(difference + at, difference_size - at, &count);
		if (!taken || !count)
			return false;
		at += taken;
		if (count > size - to || count > difference_size - at)
			return false;
		memcpy(page + to, difference + at, count);
		at += count;
		to += count;
	}
	return true;
}
