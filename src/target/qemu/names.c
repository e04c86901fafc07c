/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/names.h"

#include "core/buffer.h"

#include <stdint.h>
#include <string.h>

bool qemu_name_is_clear(const char *name)
{
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '/')
			return false;
	return name[0];
}

/* Decodes one character of UTF-8; a byte that is none stands for itself. */
static uint32_t next_character(const char **text)
{
	const unsigned char *at = (const unsigned char *)*text;
	unsigned more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc2 ? 1 : 0;
	uint32_t value = more == 3 ? *at & 7 : more == 2 ? *at & 15 : *at & 31;

	if (!more) {
		(*text)++;
		return *at;
	}
	for (unsigned i = 1; i <= more; i++) {
		if ((at[i] & 0xc0) != 0x80) {
			(*text)++;
			return *at;
		}
		value = value << 6 | (at[i] & 63);
	}
	*text += more + 1;
	return value;
}

/*
 * Whether a character beyond ASCII looks like one of ASCII, or like none at all: letters of
 * Cyrillic and Greek, forms of full width, spaces, and marks of no width (Unicode's confusables.txt
 * has all).
 */
static bool is_look_alike(uint32_t c)
{
	static const uint16_t letters[] = {
	    0x391, 0x392,  0x395,  0x396,  0x397,  0x399,  0x39a,  0x39c, 0x39d, 0x39f,
	    0x3a1, 0x3a4,  0x3a5,  0x3a7,  0x3b1,  0x3b9,  0x3bd,  0x3bf, 0x3c1, 0x3c5,
	    0x405, 0x406,  0x408,  0x410,  0x412,  0x415,  0x41a,  0x41c, 0x41d, 0x41e,
	    0x420, 0x421,  0x422,  0x425,  0x430,  0x435,  0x43e,  0x440, 0x441, 0x443,
	    0x445, 0x455,  0x456,  0x458,  0x501,  0x51b,  0x51d,  0x131, 0x251, 0x261,
	    0x26a, 0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212};

	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (c == letters[i])
			return true;
	return (c >= 0xff01 && c <= 0xff5e) || c == 0xa0 || c == 0xad || c == 0x34f ||
	       (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
	       (c >= 0x205f && c <= 0x206f) || c == 0x3000 || c == 0xfeff || c == 0x3164 ||
	       (c >= 0x300 && c <= 0x36f);
}

char *qemu_name_shown(const char *name)
{
	_cleanup_buffer_ struct buffer shown = {0};
	bool other = false, alike = false;

	for (const char *at = name; *at;) {
		const char *begin = at;
		uint32_t c = next_character(&at);

		if (c >= 0x80 && is_look_alike(c)) {
			alike = true;
			buffer_printf(&shown, "\\u%04x", c);
		} else {
			other = other || c >= 0x80;
			buffer_append(&shown, begin, (size_t)(at - begin));
		}
	}
	/* With letters that are none of ASCII's, it is a name in another script. */
	if (!alike || other)
		return strdup(name);
	return shown.failed ? NULL : strdup(buffer_string(&shown));
}
