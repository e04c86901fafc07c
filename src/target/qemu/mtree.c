/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/mtree.h"

#include "arch/address.h"
#include "core/array.h"
#include "target/qemu/scan.h"

#include <inttypes.h>
#include <string.h>

/*
 * Limit of the ranges. A guest with devices in all memory slots, and different ranges for each page
 * of the BIOS area, has hundreds.
 */
#define RANGES_MAX 65536

struct parser {
	struct mtree mtree;
	size_t capacity;
	bool is_memory; /* the current flat view is that of the address space "memory" */
	bool found;
};

static struct nunchi_error *add(struct parser *parser, const struct mtree_range *range)
{
	struct mtree *mtree = &parser->mtree;
	const struct mtree_range *last = mtree->count ? &mtree->ranges[mtree->count - 1] : NULL;

	/* A flat view is sorted and has no overlaps; other input is invalid. */
	if (last && (range->start < last->start || range->start - last->start < last->size))
		return error_create_at(NUNCHI_ERROR_DATA, range->start,
				       "QEMU's memory map: ranges overlap at 0x%" PRIx64,
				       range->start);
	if (mtree->count == RANGES_MAX)
		return error_create(NUNCHI_ERROR_DATA, "QEMU's memory map: too many ranges");
	if (!ARRAY_RESERVE(mtree->ranges, mtree->count, parser->capacity, 1))
		return &error_nomem;
	mtree->ranges[mtree->count++] = *range;
	return NULL;
}

/* Reads "(prio 0, ram)" or, as proposed upstream, "(ram)", and stores the last word. */
static bool scan_kind(struct scan *scan, struct scan *ret)
{
	struct scan inside;
	const char *comma;

	if (!scan_literal(scan, "(") || !scan_until(scan, ')', &inside))
		return false;
	comma = memrchr(inside.at, ',', (size_t)(inside.end - inside.at));
	if (comma)
		inside.at = comma + 1;
	scan_spaces(&inside);
	*ret = inside;
	return true;
}

/*
 * Reads the name of a region. Names of RAM regions contain no spaces, because they are identifiers
 * of memory backends.
 */
static bool scan_region(struct scan *scan, struct mtree_range *range)
{
	struct scan name;

	if (!scan_word(scan, &name) || (size_t)(name.end - name.at) >= sizeof(range->region))
		return false;
	memcpy(range->region, name.at, (size_t)(name.end - name.at));
	range->region[name.end - name.at] = '\0';
	range->offset = 0;
	if (scan_literal(scan, " @"))
		return scan_hex(scan, &range->offset);
	return true;
}

/*
 * Reads the line of a range; true if the line is one, and the range is RAM or ROM and consists of
 * whole pages.
 */
static bool scan_range(struct scan line, struct mtree_range *ret)
{
	struct mtree_range range;
	struct scan kind;
	uint64_t last;

	scan_spaces(&line);
	if (!scan_hex(&line, &range.start) || !scan_literal(&line, "-") ||
	    !scan_hex(&line, &last) || !scan_literal(&line, " ") || !scan_kind(&line, &kind) ||
	    !scan_literal(&line, ": ") || !scan_region(&line, &range))
		return false;
	if (!scan_equals(&kind, "ram") && !scan_equals(&kind, "rom"))
		return false;
	if (last < range.start || __builtin_add_overflow(last - range.start, 1, &range.size))
		return false;
	if ((range.start | range.size | range.offset) & PAGE_MASK)
		return false;
	*ret = range;
	return true;
}

static struct nunchi_error *parse_line(struct parser *parser, struct scan line)
{
	struct mtree_range range;
	struct scan copy = line;

	if (scan_literal(&copy, "FlatView #")) {
		parser->is_memory = false;
		return NULL;
	}
	if (scan_literal(&copy, " AS \"memory\",")) {
		/*
		 * With two address spaces of this name, it would be unknown which one the vCPUs
		 * use.
		 */
		if (parser->found && !parser->is_memory)
			return error_create(NUNCHI_ERROR_DATA,
					    "QEMU's memory map: two address spaces \"memory\"");
		parser->is_memory = parser->found = true;
		return NULL;
	}
	if (!parser->is_memory || !scan_range(line, &range))
		return NULL;
	return add(parser, &range);
}

struct nunchi_error *mtree_parse(const char *text, size_t size, struct mtree *ret)
{
	struct parser parser = {.mtree = {0}};
	struct scan rest = {text, text + size}, line;
	struct nunchi_error *err = NULL;

	while (!err && scan_line(&rest, &line))
		err = parse_line(&parser, line);
	if (!err && !parser.found)
		err = error_create(NUNCHI_ERROR_DATA,
				   "QEMU's memory map: no address space \"memory\" in it");
	if (!err && !parser.mtree.count)
		err = error_create(NUNCHI_ERROR_DATA, "QEMU's memory map: no RAM in it");
	if (err) {
		mtree_deinit(&parser.mtree);
		return err;
	}
	*ret = parser.mtree;
	return NULL;
}

void mtree_select(struct mtree *mtree, bool (*wanted)(const char *region, void *data), void *data)
{
	size_t kept = 0;

	for (size_t i = 0; i < mtree->count; i++) {
		const struct mtree_range *range = &mtree->ranges[i];
		struct mtree_range *last = kept ? &mtree->ranges[kept - 1] : NULL;

		if (!wanted(range->region, data))
			continue;
		if (last && last->start + last->size == range->start &&
		    last->offset + last->size == range->offset &&
		    strcmp(last->region, range->region) == 0)
			last->size += range->size;
		else
			mtree->ranges[kept++] = *range;
	}
	mtree->count = kept;
}

const char *mtree_main_region(const struct mtree *mtree)
{
	return mtree->count && mtree->ranges[0].start == 0 ? mtree->ranges[0].region : NULL;
}

void mtree_deinit(struct mtree *mtree)
{
	free(mtree->ranges);
	*mtree = (struct mtree){0};
}
