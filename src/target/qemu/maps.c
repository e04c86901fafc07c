/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/maps.h"

#include "core/array.h"
#include "target/qemu/scan.h"

#include <string.h>

/* Limit of the mappings; that of the kernel is 65530 by default (vm.max_map_count). */
#define MAPPINGS_MAX ((size_t)1 << 20)

/*
 * Parses a line such as "7f6dcffff000-7f6f0ffff000 rw-s 00000000 00:01 1035     /memfd:mem
 * (deleted)".
 */
static bool parse_line(struct scan line, struct mapping *ret)
{
	struct mapping mapping = {0};
	uint64_t major, minor;
	struct scan perms;

	if (!scan_hex(&line, &mapping.start) || !scan_literal(&line, "-") ||
	    !scan_hex(&line, &mapping.end) || !scan_literal(&line, " ") ||
	    !scan_word(&line, &perms) || perms.end - perms.at != 4 || !scan_literal(&line, " ") ||
	    !scan_hex(&line, &mapping.offset) || !scan_literal(&line, " ") ||
	    !scan_hex(&line, &major) || !scan_literal(&line, ":") || !scan_hex(&line, &minor) ||
	    !scan_literal(&line, " ") || !scan_decimal(&line, &mapping.inode))
		return false;
	if (mapping.start >= mapping.end)
		return false;
	scan_spaces(&line);
	mapping.major = (unsigned)major;
	mapping.minor = (unsigned)minor;
	mapping.readable = perms.at[0] == 'r';
	mapping.writable = perms.at[1] == 'w';
	mapping.shared = perms.at[3] == 's';
	mapping.path = line.at;
	*ret = mapping;
	return true;
}

static struct nunchi_error *add(struct maps *maps, size_t *capacity, const struct mapping *mapping)
{
	if (maps->count && mapping->start < maps->entries[maps->count - 1].end)
		return error_create(NUNCHI_ERROR_DATA, "the process's mappings are out of order");
	if (maps->count == MAPPINGS_MAX)
		return error_create(NUNCHI_ERROR_DATA, "the process has too many mappings");
	if (!ARRAY_RESERVE(maps->entries, maps->count, *capacity, 1))
		return &error_nomem;
	maps->entries[maps->count++] = *mapping;
	return NULL;
}

struct nunchi_error *maps_parse(const char *text, size_t size, struct maps *ret)
{
	struct maps maps = {.text = malloc(size + 1)};
	struct nunchi_error *err = NULL;
	struct scan rest, line;
	size_t capacity = 0;

	if (!maps.text)
		return &error_nomem;
	memcpy(maps.text, text, size);
	maps.text[size] = '\0';
	rest = (struct scan){maps.text, maps.text + size};
	while (!err && scan_line(&rest, &line)) {
		struct mapping mapping;

		/* Ends the line with a NUL, since `path` points into the text. */
		maps.text[line.end - maps.text] = '\0';
		if (!parse_line(line, &mapping))
			err = error_create(NUNCHI_ERROR_DATA,
					   "the process's mappings have an unknown form");
		else
			err = add(&maps, &capacity, &mapping);
	}
	if (err) {
		maps_deinit(&maps);
		return err;
	}
	*ret = maps;
	return NULL;
}

void maps_deinit(struct maps *maps)
{
	free(maps->entries);
	free(maps->text);
	*maps = (struct maps){0};
}

const struct mapping *maps_find(const struct maps *maps, uint64_t address, uint64_t size)
{
	size_t low = 0, high = maps->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (maps->entries[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == maps->count || maps->entries[low].start > address ||
	    size > maps->entries[low].end - address)
		return NULL;
	return &maps->entries[low];
}
