/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan/strings.h"

#include <string.h>

static bool is_printable(uint8_t byte)
{
	return (byte >= ' ' && byte <= '~') || byte == '\t';
}

static void push(struct strings_run *run, uint64_t address, uint8_t character)
{
	if (!run->length)
		run->address = address;
	if (run->length < STRINGS_MOST_TEXT)
		run->text[run->length] = (char)character;
	run->length++;
}

static void end(struct strings *strings, struct strings_run *run)
{
	const struct strings_found found = {
	    .address = run->address,
	    .length = run->length,
	    .text = run->text,
	    .text_size = run->length < STRINGS_MOST_TEXT ? (size_t)run->length : STRINGS_MOST_TEXT,
	    .wide = run != &strings->ascii};

	run->length = 0;
	if (found.length >= strings->least && !strings->ended)
		strings->ended = !strings->give(&found, strings->data);
}

/* Passes over zeros from `at` on, eight at a time. */
static size_t skip_zeros(const uint8_t *bytes, size_t at, size_t size)
{
	uint64_t word;

	while (size - at >= sizeof(word)) {
		memcpy(&word, bytes + at, sizeof(word));
		if (word)
			break;
		at += sizeof(word);
	}
	return at;
}

static void take(struct strings *strings, uint64_t address, uint8_t byte)
{
	/* The character of two bytes that ends here. */
	struct strings_run *wide = &strings->wide[(address - 1) & 1];

	if (is_printable(byte))
		push(&strings->ascii, address, byte);
	else if (strings->ascii.length)
		end(strings, &strings->ascii);
	if (!byte && strings->has_last && is_printable(strings->last))
		push(wide, address - 1, strings->last);
	else if (wide->length)
		end(strings, wide);
	strings->last = byte;
	strings->has_last = true;
}

bool strings_feed(struct strings *strings, uint64_t address, const uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at < size && !strings->ended; at++) {
		/* After three zeros every run has ended. */
		if (at >= 3 && !bytes[at - 1] && !bytes[at - 2] && !bytes[at - 3]) {
			at = skip_zeros(bytes, at, size);
			if (at == size)
				break;
		}
		take(strings, address + at, bytes[at]);
	}
	return !strings->ended;
}

bool strings_break(struct strings *strings)
{
	end(strings, &strings->ascii);
	/* By address: the first one began before the other. */
	if (strings->wide[0].length && strings->wide[1].length &&
	    strings->wide[1].address < strings->wide[0].address) {
		end(strings, &strings->wide[1]);
		end(strings, &strings->wide[0]);
	} else {
		end(strings, &strings->wide[0]);
		end(strings, &strings->wide[1]);
	}
	strings->has_last = false;
	return !strings->ended;
}
