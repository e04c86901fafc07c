/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/rodata.h"
#include "core/pages.h"
#include "guest/linux/image.h"
#include "guest/linux/linux.h"

#include <string.h>

/* The largest kernels have about 30 MiB of read-only data; this bounds a copy of it. */
#define MAX_RODATA ((uint64_t)256 << 20)
/*
 * Bytes read at once of an image that is not contiguous: enough to read neighbouring frames in one
 * call.
 */
#define READ_SIZE ((uint64_t)1 << 20)

void linux_rodata_init(struct linux_kernel *kernel, const struct linux_image *image)
{
	kernel->rodata = (struct linux_rodata){
	    .start = image->rodata_start,
	    .size = image->rodata_end - image->rodata_start,
	    .physical = image->physical_start + (image->rodata_start - image->virtual_start),
	};
}

void linux_rodata_deinit(struct linux_kernel *kernel)
{
	struct linux_rodata *rodata = &kernel->rodata;

	free(rodata->copy);
	rodata->copy = NULL;
	if (rodata->map)
		memory_unmap_persistent(kernel->guest.memory, rodata->map);
	rodata->map = NULL;
}

/* Reads a part of the data; through the kernel's page table if the image is not contiguous. */
static enum memory_fault read_part(struct linux_kernel *kernel, uint64_t offset, void *buffer,
				   size_t size, uint64_t *ret_fault_offset)
{
	const struct linux_rodata *rodata = &kernel->rodata;
	enum memory_fault fault;
	gva_t virtual = gva(rodata->start + offset);
	gpa_t physical = gpa(rodata->physical + offset);

	if (kernel->scattered) {
		fault = address_space_read(kernel->guest.space, virtual, buffer, size, &virtual);
		*ret_fault_offset = virtual.v - rodata->start;
	} else {
		fault = memory_read(kernel->guest.memory, physical, buffer, size, &physical);
		*ret_fault_offset = physical.v - rodata->physical;
	}
	return fault;
}

/*
 * Copies what there is. The kernel frees the gaps between the image's sections at boot: they may be
 * unmapped, and a dump may leave them out as free pages or as those of processes (makedumpfile -d
 * 31). Such a page is copied as zeros, since the users of the copy (kallsyms, BTF) check what they
 * read. Fails with *ret_fault, an offset, if a page cannot be read for another reason, or if no
 * page is there.
 */
static enum memory_fault copy_pages(struct linux_kernel *kernel, uint8_t *buffer,
				    uint64_t *ret_fault)
{
	uint64_t size = kernel->rodata.size, absent = 0;
	enum memory_fault fault = MEMORY_OK;

	for (uint64_t at = 0; at < size;) {
		size_t piece = (size_t)(size - at < READ_SIZE ? size - at : READ_SIZE);
		uint64_t fault_at;

		fault = read_part(kernel, at, buffer + at, piece, &fault_at);
		if (fault == MEMORY_OK) {
			at += piece;
			continue;
		}
		*ret_fault = fault_at;
		if ((fault != MEMORY_NOT_MAPPED && fault != MEMORY_NOT_SAVED) || fault_at < at ||
		    fault_at >= size)
			return fault;
		/* The bytes before fault_at were read. */
		at = fault_at & ~PAGE_MASK;
		memset(buffer + at, 0, PAGE_SIZE);
		at += PAGE_SIZE;
		absent += PAGE_SIZE;
	}
	return absent < size ? MEMORY_OK : fault;
}

/* Makes the private copy. */
static struct nunchi_error *copy(struct linux_kernel *kernel)
{
	struct linux_rodata *rodata = &kernel->rodata;
	enum memory_fault fault;
	struct nunchi_error *err;
	uint64_t at = 0;

	if (rodata->size > MAX_RODATA)
		return error_create_at(NUNCHI_ERROR_NO_KERNEL, rodata->start,
				       "the image at 0x%llx has %llu MiB of read-only data "
				       "according to the page table, which is too much",
				       (unsigned long long)kernel->text_virtual,
				       (unsigned long long)rodata->size >> 20);
	rodata->copy = malloc(rodata->size);
	if (!rodata->copy)
		return &error_nomem;
	pages_take(rodata->copy, rodata->size);
	fault = copy_pages(kernel, rodata->copy, &at);
	if (fault == MEMORY_OK)
		return NULL;
	free(rodata->copy);
	rodata->copy = NULL;
	at += kernel->scattered ? rodata->start : rodata->physical;
	err = error_create_at(NUNCHI_ERROR_FAULT, at,
			      "the kernel's read-only data at %s 0x%llx cannot be read: %s",
			      kernel->scattered ? "virtual" : "physical", (unsigned long long)at,
			      memory_fault_string(fault));
	return fault == MEMORY_NOT_SAVED
		   ? error_hint(err, "the file lacks pages of the kernel itself: dump all of the "
				     "guest's RAM (makedumpfile keeps these pages at every -d)")
		   : err;
}

/*
 * Lists the pages of the read-only data. *ret_count is the number of pages before the gap at its
 * end, which the kernel frees and may unmap. False if any other page is missing.
 */
static bool list_pages(struct linux_kernel *kernel, uint64_t *pages, size_t count,
		       size_t *ret_count)
{
	const struct linux_rodata *rodata = &kernel->rodata;

	*ret_count = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t offset = (uint64_t)i << PAGE_SHIFT;
		gpa_t page = gpa(rodata->physical + offset);
		enum memory_fault fault = MEMORY_OK;

		if (kernel->scattered)
			fault = address_space_translate(kernel->guest.space,
							gva(rodata->start + offset), &page);
		if (fault == MEMORY_NOT_MAPPED)
			continue;
		if (fault != MEMORY_OK || *ret_count != i)
			return false;
		pages[(*ret_count)++] = page.v >> PAGE_SHIFT;
	}
	return true;
}

/*
 * Maps the pages in one call where a hypervisor maps pages for us: a third of the time of a copy,
 * which needs each page mapped first. *ret_size is the number of bytes mapped.
 */
static const void *map_pages(struct linux_kernel *kernel, uint64_t *ret_size)
{
	struct linux_rodata *rodata = &kernel->rodata;
	size_t count = (size_t)(rodata->size >> PAGE_SHIFT);
	_cleanup_free_ uint64_t *pages = NULL;

	if (!memory_can_fetch(kernel->guest.memory) || rodata->size > MAX_RODATA)
		return NULL;
	pages = calloc(count, sizeof(*pages));
	if (!pages || !list_pages(kernel, pages, count, &count))
		return NULL;
	rodata->map = memory_map_persistent(kernel->guest.memory, pages, count);
	if (rodata->map)
		*ret_size = (uint64_t)count << PAGE_SHIFT;
	return rodata->map;
}

struct nunchi_error *linux_rodata_get(struct linux_kernel *kernel, struct kernel_image *ret)
{
	struct linux_rodata *rodata = &kernel->rodata;
	uint64_t size = rodata->size;
	const void *data = NULL;

	linux_rodata_deinit(kernel);
	rodata->lasts = !kernel->guest.live;
	/* memory_map() of a page that a hypervisor maps for us is valid for one generation only. */
	if (!kernel->scattered && !memory_can_fetch(kernel->guest.memory))
		data = memory_map(kernel->guest.memory, gpa(rodata->physical), size);
	if (!data) {
		data = map_pages(kernel, &size);
		rodata->lasts = data;
	}
	if (!data) {
		struct nunchi_error *err = copy(kernel);

		if (err)
			return err;
		data = rodata->copy;
	}
	*ret = (struct kernel_image){
	    .data = data,
	    .size = size,
	    .address = gva(rodata->start),
	    .word_size = kernel->word_size,
	};
	return NULL;
}

bool linux_rodata_lasts(const struct linux_kernel *kernel)
{
	return kernel->rodata.lasts;
}

void linux_rodata_release(struct linux_kernel *kernel)
{
	if (!kernel->rodata.lasts)
		linux_rodata_deinit(kernel);
}
