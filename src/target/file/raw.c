/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/raw.h"

#include "target/e820.h"
#include "target/file/foreign.h"
#include "target/file/format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define MIB      ((uint64_t)1 << 20)
#define FOUR_GIB ((uint64_t)1 << 32)

/* The kernel removes the first page from System RAM (trim_bios_range()). */
#define PACKED_START PAGE_SIZE
/* Greatest distance between the end of a file and the expected end of its RAM; see is_certain(). */
#define CERTAIN_SLACK ((uint64_t)64 << 20)

/* Where RAM below 4 GiB ends, the most likely first. */
static const uint64_t splits[] = {
    0xc0000000, /* QEMU's pc, cloud-hypervisor */
    0x80000000, /* QEMU's q35 */
    0xe0000000, /* QEMU's pc with up to 3.5 GiB */
    0xb0000000, /* QEMU's q35 with up to 2.75 GiB */
    0xd0000000, /* Firecracker */
    0xf0000000, /* Xen's HVM guests */
};

bool raw_guess(uint64_t size, unsigned n, struct raw_layout *ret)
{
	uint64_t odd = size & PAGE_MASK;

	if (!n--) {
		*ret = (struct raw_layout){.kind = RAW_FLAT};
		return true;
	}
	/* RAM ends within a page only below 640 KiB, where the firmware's data begins. */
	if (odd && !n--) {
		*ret = (struct raw_layout){.kind = RAW_PACKED, .low_end = 0x9f000 + odd};
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(splits); i++) {
		if (splits[i] < (size & ~PAGE_MASK) && !n--) {
			*ret = (struct raw_layout){.kind = RAW_HOLE, .split = splits[i]};
			return true;
		}
	}
	return false;
}

/* Layouts that fit some RAM: one for each split, the computed ones, and the flat one. */
#define FITS_MAX (ARRAY_SIZE(splits) + 2)

struct fits {
	struct raw_layout items[FITS_MAX];
	size_t count;
};

/*
 * Adds a layout, after all layouts whose size differs from the file's by the same amount or less.
 */
static void add_fit(struct fits *fits, uint64_t size, struct raw_layout layout)
{
	uint64_t off = layout.expected > size ? layout.expected - size : size - layout.expected;
	size_t at = fits->count++;

	for (; at; at--) {
		uint64_t other = fits->items[at - 1].expected;

		if ((other > size ? other - size : size - other) <= off)
			break;
		fits->items[at] = fits->items[at - 1];
	}
	fits->items[at] = layout;
}

static void add_split(struct fits *fits, uint64_t size, const struct target_ram *ram,
		      uint64_t split)
{
	add_fit(fits, size,
		(struct raw_layout){
		    .kind = RAW_HOLE, .split = split, .expected = split + (ram->end - FOUR_GIB)});
}

/* The size of a packed file of this RAM. */
static uint64_t packed_size(const struct target_ram *ram)
{
	uint64_t size = 0;

	for (size_t i = 0; i < ram->count; i++)
		size += ram->ranges[i].size;
	return size - (ram->count && !ram->ranges[0].start.v ? PACKED_START : 0);
}

bool raw_fit(uint64_t size, const struct target_ram *ram, bool packed, unsigned n,
	     struct raw_layout *ret)
{
	uint64_t above = ram->end > FOUR_GIB ? ram->end - FOUR_GIB : 0;
	struct fits fits = {0};

	if (packed && ram->count)
		add_fit(&fits, size,
			(struct raw_layout){.kind = RAW_PACKED, .expected = packed_size(ram)});
	else if (!packed)
		add_fit(&fits, size, (struct raw_layout){.kind = RAW_FLAT, .expected = ram->end});
	if (!packed && above && ram->low_end) {
		add_split(&fits, size, ram, ram->low_end);
	} else if (!packed && above) {
		/* If the file is complete, the end of RAM below 4 GiB follows from its size. */
		if (size > above + MIB && size - above < FOUR_GIB)
			add_split(&fits, size, ram, (size - above) & ~PAGE_MASK);
		for (size_t i = 0; i < ARRAY_SIZE(splits); i++)
			add_split(&fits, size, ram, splits[i]);
	}
	if (n >= fits.count)
		return false;
	*ret = fits.items[n];
	return true;
}

/* Adds a range of RAM for the bytes from *offset on; moves *offset after them. */
static struct nunchi_error *add_range(struct extents *extents, uint64_t start, uint64_t size,
				      uint64_t *offset)
{
	struct nunchi_error *err = extents_add(extents, start, size, *offset);

	*offset += size;
	return err;
}

static struct nunchi_error *add_packed(uint64_t size, const struct raw_layout *layout,
				       const struct target_ram *ram, struct extents *extents)
{
	struct nunchi_error *err = NULL;
	uint64_t offset = 0;

	if (!ram) {
		err = add_range(extents, PACKED_START, layout->low_end - PACKED_START, &offset);
		if (!err && size > offset)
			err = add_range(extents, MIB, size - offset, &offset);
		return err;
	}
	for (size_t i = 0; i < ram->count && !err; i++) {
		uint64_t start = ram->ranges[i].start.v, bytes = ram->ranges[i].size;

		if (!start && bytes > PACKED_START) {
			start = PACKED_START;
			bytes -= PACKED_START;
		}
		err = add_range(extents, start, bytes, &offset);
	}
	return err;
}

struct nunchi_error *raw_extents(uint64_t size, const struct raw_layout *layout,
				 const struct target_ram *ram, struct extents *ret)
{
	_cleanup_extents_ struct extents extents = {0};
	uint64_t whole = size & ~PAGE_MASK, end = ram ? ram->end : 0, offset = 0;
	struct nunchi_error *err;

	if (layout->kind == RAW_PACKED) {
		err = add_packed(size, layout, ram, &extents);
	} else if (layout->kind == RAW_FLAT) {
		err = add_range(&extents, 0, whole > end ? whole : end, &offset);
	} else {
		uint64_t above = whole > layout->split ? whole - layout->split : 0;
		uint64_t known = end > FOUR_GIB ? end - FOUR_GIB : 0;

		err = add_range(&extents, 0, layout->split, &offset);
		if (!err)
			err = add_range(&extents, FOUR_GIB, above > known ? above : known, &offset);
	}
	if (!err)
		err = extents_normalize(&extents, layout->kind == RAW_PACKED ? size : whole);
	if (err)
		return err;
	*ret = extents;
	extents = (struct extents){0};
	return NULL;
}

/* ---- Maps in the file ------------------------------------------------------------------------ */

/* Limit of the maps tried; a kernel keeps the firmware's map and one that mem= has shortened. */
#define MAPS_MAX  4
#define SCAN_SIZE ((size_t)1 << 20)

/* The source of a raw file, and the maps found in it. */
struct raw {
	struct source source;
	struct target_ram maps[MAPS_MAX];
	size_t map_count;
	bool searched;
};

static void raw_destroy(void *data)
{
	struct raw *raw = data;

	source_deinit(&raw->source);
	free(raw);
}

static bool is_same_ram(const struct target_ram *a, const struct target_ram *b)
{
	return a->count == b->count && a->end == b->end && a->low_end == b->low_end;
}

static void add_map(struct raw *raw, const uint8_t *entries, size_t size)
{
	struct target_ram ram;

	if (!e820_decode(entries, size, 0, &ram) || ram.count < 2)
		return;
	for (size_t i = 0; i < raw->map_count; i++) {
		if (is_same_ram(&raw->maps[i], &ram))
			return;
	}
	raw->maps[raw->map_count++] = ram;
}

/* Moves *at to the next byte that is not in a hole of the file; false if there is none. */
static bool skip_hole(const struct source *source, uint64_t *at)
{
	off_t data = source->fd >= 0 ? lseek(source->fd, (off_t)*at, SEEK_DATA) : (off_t)*at;

	if (data < 0)
		return errno != ENXIO;
	*at = (uint64_t)data;
	return true;
}

/*
 * Searches the file for e820 maps. The kernel has several copies of its map; those in the first
 * megabyte and in its own image can be found whatever the layout is.
 */
static void find_maps(struct raw *raw)
{
	_cleanup_free_ uint8_t *buffer = malloc(SCAN_SIZE + E820_MAP_SIZE);

	raw->searched = true;
	for (uint64_t at = 0; buffer && at < raw->source.size && raw->map_count < MAPS_MAX;
	     at += SCAN_SIZE) {
		uint64_t fault;
		size_t size;

		if (!skip_hole(&raw->source, &at))
			return;
		at &= ~(uint64_t)3;
		size = raw->source.size - at < SCAN_SIZE + E820_MAP_SIZE
			   ? (size_t)(raw->source.size - at)
			   : SCAN_SIZE + E820_MAP_SIZE;
		if (raw->source.read(raw->source.data, at, buffer, size, &fault) != MEMORY_OK)
			continue;
		for (size_t i = 0; raw->map_count < MAPS_MAX && e820_find_first(buffer, size, &i) &&
				   i < SCAN_SIZE;
		     i += sizeof(uint32_t))
			add_map(raw, buffer + i, size - i);
	}
}

/*
 * A guess by the maps found in the file, for n after the guesses without a map: first as a file
 * without the PCI hole, then as a packed file. False after the last.
 */
static bool guess_by_map(struct raw *raw, unsigned n, struct raw_layout *ret,
			 const struct target_ram **ret_ram)
{
	if (!raw->searched)
		find_maps(raw);
	for (size_t i = 0; i < raw->map_count; i++) {
		*ret_ram = &raw->maps[i];
		for (unsigned packed = 0; packed < 2; packed++) {
			for (unsigned fit = 0;
			     raw_fit(raw->source.size, *ret_ram, packed, fit, ret); fit++) {
				if (!n--)
					return true;
			}
		}
	}
	return false;
}

/* ---- The format ------------------------------------------------------------------------------ */

/* Whether the memory already has these ranges. */
static bool has_ranges(const struct memory *memory, const struct memory *other)
{
	size_t count, others;
	const struct memory_range *ranges = memory_ranges(memory, &count);
	const struct memory_range *wanted = memory_ranges(other, &others);

	return count == others && !memcmp(ranges, wanted, count * sizeof(*ranges));
}

/* Gives the bytes of the file their addresses. */
static struct nunchi_error *lay_out(struct file_target *file, const struct raw_layout *layout,
				    const struct target_ram *ram, bool *ret_changed)
{
	const struct raw *raw = file->own;
	/* A memory destroys its source; raw->source is kept for the next layout. */
	struct source source = raw->source;
	_cleanup_extents_ struct extents extents = {0};
	struct memory *fresh = NULL, *memory = file->target.memory;
	struct nunchi_error *err = raw_extents(source.size, layout, ram, &extents);

	source.destroy = NULL;
	if (err)
		return err;
	if (!memory)
		return file_make_memory(file, &extents, &source);
	err = memory_create(file->sigbus_guard, &fresh);
	if (!err)
		err = extents_apply(&extents, &source, fresh);
	*ret_changed = !err && !has_ranges(memory, fresh);
	if (*ret_changed)
		err = memory_take_ranges(memory, fresh);
	memory_destroy(fresh);
	return err;
}

static const char *layout_name(const struct raw_layout *layout)
{
	switch (layout->kind) {
	case RAW_FLAT:
		return "offsets in the file are addresses";
	case RAW_HOLE:
		return "the file has no PCI hole: RAM ends below 4 GiB and continues at 4 GiB";
	case RAW_PACKED:
		break;
	}
	return "the file contains only System RAM, one range after the other (LiME's raw format)";
}

/*
 * Whether the size of the file rules out all other layouts. A flat file is larger than one without
 * the PCI hole by the size of the hole, which is at least 512 MiB. The end of RAM may be lower than
 * that of the file by the size of firmware tables. A packed file has nearly the size of a file
 * without the hole.
 */
static bool is_certain(uint64_t size, const struct raw_layout *layout)
{
	uint64_t off = layout->expected > size ? layout->expected - size : size - layout->expected;

	return layout->kind != RAW_PACKED && off < CERTAIN_SLACK;
}

static struct nunchi_error *raw_arrange(struct target *target, const struct target_ram *ram,
					unsigned n, struct target_arrangement *ret)
{
	struct file_target *file = (struct file_target *)target;
	struct target_arrangement arrangement = {0};
	struct raw *raw = file->own;
	size_t count;
	const struct memory_range *ranges = memory_ranges(target->memory, &count);
	bool packed = count && ranges[0].start.v == PACKED_START;
	struct raw_layout layout, other;
	unsigned guesses = 0;
	struct nunchi_error *err;
	bool found;

	arrangement.sole = !ram && !n && !raw_guess(raw->source.size, 1, &other);
	while (!ram && guesses <= n && raw_guess(raw->source.size, guesses, &layout))
		guesses++;
	if (ram)
		found = raw_fit(raw->source.size, ram, packed, n, &layout);
	else
		found = n < guesses || guess_by_map(raw, n - guesses, &layout, &ram);
	if (!found)
		return &error_not_found;
	err = lay_out(file, &layout, ram, &arrangement.changed);
	if (err)
		return err;
	if (ram && layout.expected > raw->source.size)
		arrangement.lacking = layout.expected - raw->source.size;
	arrangement.certain = ram && is_certain(raw->source.size, &layout);
	arrangement.name = layout_name(&layout);
	*ret = arrangement;
	return NULL;
}

struct nunchi_error *raw_open(struct file_target *file, struct source *source)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	struct raw_layout layout;
	bool changed;

	if (!raw)
		return &error_nomem;
	raw->source = *source;
	source->destroy = NULL;
	file->own = raw;
	file->destroy_own = raw_destroy;
	file->ops.arrange = raw_arrange;
	raw_guess(raw->source.size, 0, &layout);
	return lay_out(file, &layout, NULL, &changed);
}

static struct nunchi_error *open_raw(struct file_target *file, struct source *source)
{
	uint8_t start[FILE_START_SIZE];
	size_t size = source->size < sizeof(start) ? (size_t)source->size : sizeof(start);
	struct nunchi_error *err = source_read(source, 0, start, size, "the start of the file");

	if (!err)
		err = foreign_file_error(source->name, start, size);
	if (err)
		return err;
	if (file->size < PAGE_SIZE)
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED,
				 "%" PRIu64 " bytes in no known format: too small for "
				 "raw memory: QEMU's pmemsave, LiME's raw and padded formats, dd",
				 file->size),
		    "give the dump of a guest");
	if (file->size & PAGE_MASK)
		target_note(&file->target,
			    "the size of the raw file is no multiple of the page size (%" PRIu64
			    " bytes more): it was cut off, or is of LiME's raw format",
			    file->size & PAGE_MASK);
	return raw_open(file, source);
}

/* Matches all files that have no other format. */
static bool raw_matches(const void *start, size_t size)
{
	(void)start, (void)size;
	return true;
}

const struct file_format raw_format = {
    .format = {"raw", "raw memory"},
    .matches = raw_matches,
    .open = open_raw,
};
