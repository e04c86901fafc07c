/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * System.map and /proc/kallsyms: lines of "address letter name"; in /proc/kallsyms "\t[module]"
 * follows the names of modules (scripts/mksysmap, kernel/kallsyms.c: s_show()).
 */
#include "core/digit.h"
#include "symbols/boot_image.h"
#include "symbols/symbol_index_private.h"

#include <elf.h>
#include <string.h>

struct line {
	uint64_t address;
	char type;
	const char *name;
	size_t name_size;
	bool of_module;
};

static bool is_name_byte(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f;
}

/* Parses one line without its newline. */
static bool parse_line(const char *text, size_t size, struct line *ret)
{
	struct line line = {0};
	size_t i = 0;

	for (; i < size && digit_value(text[i]) < 16; i++) {
		if (i == 16)
			return false;
		line.address = line.address << 4 | digit_value(text[i]);
	}
	if (!i || size - i < 4 || text[i] != ' ' || !is_name_byte(text[i + 1]) ||
	    text[i + 2] != ' ')
		return false;
	line.type = text[i + 1];
	i += 3;
	line.name = text + i;
	while (i < size && is_name_byte(text[i]))
		i++;
	line.name_size = (size_t)(text + i - line.name);
	if (!line.name_size || line.name_size > SYMBOL_NAME_MAX)
		return false;
	while (i < size && (text[i] == ' ' || text[i] == '\t'))
		i++;
	line.of_module = i < size && text[i] == '[';
	if (i < size && !line.of_module)
		return false;
	*ret = line;
	return true;
}

static struct nunchi_error *bad_line(size_t number)
{
	return error_hint(
	    error_create(NUNCHI_ERROR_DATA,
			 "line %zu of the symbol map is not \"address letter name\"", number),
	    "give the System.map of the guest's kernel (not what some packages put in its place in "
	    "/boot), or its /proc/kallsyms read as root");
}

/* Files of a kernel that users give in place of its map. */
static struct nunchi_error *other_file(const char *text, size_t size)
{
	if (size >= SELFMAG && !memcmp(text, ELFMAG, SELFMAG))
		return error_hint(
		    error_create(NUNCHI_ERROR_DATA, "it is an ELF file, not a symbol map"),
		    "make the map of a vmlinux: nm -n FILE >System.map");
	if (is_boot_image(text, size))
		return error_hint(error_create(NUNCHI_ERROR_DATA,
					       "it is a kernel to boot (vmlinuz, bzImage), which "
					       "has no names of symbols to read"),
				  "give the System.map of the same build");
	return NULL;
}

static struct nunchi_error *check_map(const struct symbol_index *index)
{
	if (!index->count)
		return error_hint(error_create(NUNCHI_ERROR_DATA,
					       "the symbol map contains no symbol of the kernel"),
				  "give the System.map of the guest's kernel");
	if (!index->addresses[index->count - 1])
		return error_hint(
		    error_create(NUNCHI_ERROR_DATA, "all addresses in the symbol map are zero"),
		    "/proc/kallsyms hides them from users: read it as root with "
		    "kernel.kptr_restrict below 2");
	return NULL;
}

DEFINE_CLEANUP(struct symbol_index, symbol_index_unref)

struct nunchi_error *symbol_index_parse_map(const char *text, size_t size,
					    struct symbol_index **ret)
{
	_cleanup_(cleanup_symbol_index_unref_p) struct symbol_index *index = NULL;
	struct nunchi_error *err = other_file(text, size);
	size_t number = 0;

	if (!err)
		err = symbol_index_create(&index);

	for (size_t at = 0; !err && at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t next = end ? (size_t)(end - text) + 1 : size;
		size_t length = (end ? next - 1 : next) - at;
		struct line line;

		number++;
		if (length && text[at + length - 1] == '\r')
			length--;
		if (!length)
			; /* empty lines are permitted */
		else if (!parse_line(text + at, length, &line))
			err = bad_line(number);
		else if (!line.of_module)
			err = symbol_index_add(index, line.name, line.name_size, line.address,
					       line.type);
		at = next;
	}
	if (!err)
		err = symbol_index_seal(index);
	if (!err)
		err = check_map(index);
	if (err)
		return err;
	*ret = no_cleanup_ptr(index);
	return NULL;
}
