/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/raw.h"

#include "target/file/foreign.h"
#include "target/file/format.h"

#include <inttypes.h>

#define FOUR_GIB ((uint64_t)1 << 32)

/* In order of likelihood. */
static const struct raw_layout layouts[] = {
    {0, "offset = address"},
    {0xc0000000, "without the PCI hole of QEMU's pc (RAM to 3 GiB, then from 4 GiB)"},
    {0x80000000, "without the PCI hole of QEMU's q35 (RAM to 2 GiB, then from 4 GiB)"},
    {0xe0000000, "without the PCI hole of QEMU's pc (RAM to 3.5 GiB, then from 4 GiB)"},
    {0xb0000000, "without the PCI hole of QEMU's q35 (RAM to 2.75 GiB, then from 4 GiB)"},
    {0xf0000000, "without the hole of a Xen HVM guest (RAM to 3.75 GiB, then from 4 GiB)"},
};

const struct raw_layout *raw_layout(uint64_t size, unsigned n)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		if (layouts[i].split >= (size & ~PAGE_MASK) && i)
			continue;
		if (!n--)
			return &layouts[i];
	}
	return NULL;
}

unsigned raw_layout_count(uint64_t size)
{
	unsigned n = 0;

	while (raw_layout(size, n))
		n++;
	return n;
}

struct nunchi_error *raw_extents(uint64_t size, unsigned n, struct extents *ret)
{
	const struct raw_layout *layout = raw_layout(size, n);
	_cleanup_extents_ struct extents extents = {0};
	struct nunchi_error *err;

	if (!layout)
		return error_create(NUNCHI_ERROR_ARGUMENT, "there is no layout %u of this file", n);
	size &= ~PAGE_MASK;
	if (layout->split) {
		err = extents_add(&extents, 0, layout->split, 0);
		if (!err)
			err = extents_add(&extents, FOUR_GIB, size - layout->split, layout->split);
	} else {
		err = extents_add(&extents, 0, size, 0);
	}
	if (!err)
		err = extents_normalize(&extents, size);
	if (err)
		return err;
	*ret = extents;
	extents = (struct extents){0};
	return NULL;
}

/* ---- The format ------------------------------------------------------------------------------ */

static struct nunchi_error *raw_set_layout(struct target *target, unsigned n)
{
	struct file_target *file = (struct file_target *)target;
	_cleanup_source_ struct source source = source_of_fd(file->fd, file->size);
	_cleanup_extents_ struct extents extents = {0};
	struct nunchi_error *err = raw_extents(file->size, n, &extents);

	if (!err)
		err = file_make_memory(file, &extents, &source);
	if (!err)
		target->layout = n;
	return err;
}

static struct nunchi_error *open_raw(struct file_target *file, struct source *source)
{
	uint8_t start[FILE_START_SIZE];
	size_t size = source->size < sizeof(start) ? (size_t)source->size : sizeof(start);
	struct nunchi_error *err = source_read(source, 0, start, size, "the start of the file");

	if (!err)
		err = foreign_file_error(start, size);
	if (err)
		return err;
	if (file->size < PAGE_SIZE)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "%" PRIu64
					       " bytes in no known format: too small for "
					       "raw memory",
					       file->size),
				  "give the dump of a guest");
	if (file->size & PAGE_MASK)
		target_note(&file->target,
			    "the size of the raw file is no multiple of the page size: its last "
			    "%" PRIu64 " bytes are left out",
			    file->size & PAGE_MASK);
	file->ops.set_layout = raw_set_layout;
	file->target.layout_count = raw_layout_count(file->size);
	return raw_set_layout(&file->target, 0);
}

/* Whatever is of no other format. */
static bool raw_matches(const void *start, size_t size)
{
	(void)start, (void)size;
	return true;
}

const struct file_format raw_format = {
    .name = "raw",
    .description = "raw memory",
    .matches = raw_matches,
    .open = open_raw,
};
