/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/build_id.h"
#include "core/bytes.h"
#include "core/digit.h"

#include <elf.h>
#include <string.h>

/* Notes are aligned to 4 bytes, in 64-bit files too. */
static size_t aligned(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

bool build_id_from_notes(const void *data, size_t size, struct build_id *ret)
{
	const uint8_t *at = data;

	while (size >= sizeof(Elf64_Nhdr)) {
		size_t name = load_le32(at), content = load_le32(at + 4);
		uint32_t type = load_le32(at + 8);
		size_t start, whole;

		if (name > size || content > size)
			return false;
		start = sizeof(Elf64_Nhdr) + aligned(name);
		whole = start + aligned(content);
		if (start + content > size)
			return false;
		if (type == NT_GNU_BUILD_ID && name == sizeof(ELF_NOTE_GNU) && content &&
		    content <= BUILD_ID_MAX &&
		    !memcmp(at + sizeof(Elf64_Nhdr), ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU))) {
			*ret = (struct build_id){.size = content};
			memcpy(ret->bytes, at + start, content);
			return true;
		}
		if (whole > size)
			return false;
		at += whole;
		size -= whole;
	}
	return false;
}

bool build_id_parse(const char *text, size_t size, struct build_id *ret)
{
	struct build_id id = {.size = size / 2};

	if (!size || size % 2 || id.size > BUILD_ID_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		unsigned digit = digit_value(text[i]);

		if (digit > 15)
			return false;
		id.bytes[i / 2] = (uint8_t)(id.bytes[i / 2] << 4 | digit);
	}
	*ret = id;
	return true;
}

bool build_id_equal(const struct build_id *a, const struct build_id *b)
{
	return a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
}

struct build_id_text build_id_spell(const struct build_id *id)
{
	static const char digits[] = "0123456789abcdef";
	struct build_id_text ret = {0};

	for (size_t i = 0; i < id->size; i++) {
		ret.text[2 * i] = digits[id->bytes[i] >> 4];
		ret.text[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	return ret;
}
