/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/roots.h"
#include "guest/linux/vcpus.h"
#include "symbols/vmcoreinfo.h"

#include <string.h>

#define PRESENT ((uint64_t)1 << 0)
#define LARGE   ((uint64_t)1 << 7)
#define FRAME   ((uint64_t)0x000ffffffffff000)

#define LARGE_SIZE ((uint64_t)2 << 20)

/* The magic number in the last word of each kernel stack (include/uapi/linux/magic.h). */
#define STACK_END_MAGIC 0x57ac6e9d

/* The trampoline is below 1 MiB: reserve_real_mode() of arch/x86/realmode/init.c. */
#define TRAMPOLINE_END 0x100000

/* Limit of the size of .data, which contains the page tables of the image. */
#define MAX_DATA ((uint64_t)32 << 20)

/*
 * Limit of the candidates of 32 bits. Each costs a walk over a whole page table, and a hostile
 * guest may contain any number of them.
 */
#define MAX_TRIES_32 1024

/*
 * Whether two images are the same in all respects. A forged table may have the start of the
 * kernel's image but differ elsewhere.
 */
static bool is_same_image(const struct linux_image *a, const struct linux_image *b)
{
	return a->virtual_start == b->virtual_start && a->virtual_end == b->virtual_end &&
	       a->physical_start == b->physical_start && a->rodata_start == b->rodata_start &&
	       a->rodata_end == b->rodata_end && a->data_start == b->data_start;
}

/* Adds a root whose image was found, unless there is one with the same image. */
static void add_found(struct linux_roots *roots, const struct linux_root *root)
{
	for (size_t i = 0; i < roots->count; i++) {
		struct linux_root *known = &roots->items[i];

		if (!is_same_image(&known->image, &root->image) ||
		    known->paging.mode != root->paging.mode)
			continue;
		if (root->runs && !known->runs) {
			known->runs = true;
			known->vcpu = root->vcpu;
		}
		return;
	}
	if (roots->count < LINUX_MAX_ROOTS)
		roots->items[roots->count++] = *root;
}

static void add_noted(struct linux_roots *roots, struct memory *memory,
		      const struct x86_paging *paging, const char *how, uint64_t note_stext)
{
	struct linux_root root = {.paging = *paging, .how = how, .note_stext = note_stext};

	linux_find_encryption(memory, &root.paging);
	if (roots->count < LINUX_MAX_ROOTS &&
	    linux_image_find(memory, &root.paging, false, &root.image))
		add_found(roots, &root);
}

/*
 * Adds a root whose number of levels is unknown: at most one of four and five levels leads to an
 * image.
 */
static void add_64(struct linux_roots *roots, struct memory *memory, uint64_t root, const char *how,
		   uint64_t note_stext)
{
	struct x86_paging paging = {.mode = X86_MODE_4LEVEL, .root = gpa(root)};

	add_noted(roots, memory, &paging, how, note_stext);
	paging.mode = X86_MODE_5LEVEL;
	add_noted(roots, memory, &paging, how, note_stext);
}

/* Adds a root of a 32-bit kernel, with or without PAE: at most one of both leads to an image. */
static void add_32(struct linux_roots *roots, struct memory *memory, uint64_t root, const char *how,
		   uint64_t note_stext)
{
	struct x86_paging paging = {.mode = X86_MODE_PAE, .root = gpa(root)};

	add_noted(roots, memory, &paging, how, note_stext);
	paging.mode = X86_MODE_32BIT;
	paging.pse = true;
	add_noted(roots, memory, &paging, how, note_stext);
}

static void add_leads(const struct linux_vcpu *vcpu, void *data)
{
	struct linux_roots *roots = data;

	for (size_t i = 0; i < vcpu->lead_count; i++) {
		struct linux_root root = {
		    .paging = vcpu->leads[i].paging,
		    .image = vcpu->leads[i].image,
		    .how = vcpu->leads[i].how,
		    .by_vcpu = true,
		    .vcpu = vcpu->number,
		    .runs = !vcpu->is_parked,
		};

		add_found(roots, &root);
	}
}

bool linux_roots_run(const struct linux_roots *roots, const struct linux_image *image)
{
	for (size_t i = 0; i < roots->count; i++) {
		const struct linux_root *root = &roots->items[i];

		if (root->runs && root->image.virtual_start == image->virtual_start &&
		    root->image.physical_start == image->physical_start)
			return true;
	}
	return false;
}

bool linux_roots_contradict(struct target *target, const struct linux_image *image)
{
	bool same = false, other = false, other_runs = false;
	unsigned count = linux_vcpu_count(target);
	struct linux_vcpu vcpu;

	for (unsigned i = 0; i < count; i++) {
		if (!linux_vcpu_read(target, i, &vcpu))
			continue;
		for (size_t j = 0; j < vcpu.lead_count; j++) {
			const struct linux_image *found = &vcpu.leads[j].image;

			if (found->virtual_start != image->virtual_start ||
			    found->physical_start != image->physical_start) {
				other = true;
				other_runs |= !vcpu.is_parked;
			} else if (vcpu.is_parked) {
				same = true;
			} else {
				return false;
			}
		}
	}
	return other_runs || (other && !same);
}

static void from_trampoline(struct linux_roots *roots, struct memory *memory)
{
	for (uint64_t page = 0; page < TRAMPOLINE_END; page += PAGE_SIZE) {
		uint64_t entry;

		if (memory_read(memory, gpa(page + 0xff8), &entry, 8, NULL) == MEMORY_OK &&
		    entry & PRESENT && !(entry & LARGE) && entry & FRAME)
			add_64(roots, memory, page, "the real-mode trampoline's page table", 0);
	}
}

void linux_roots_add_note(struct linux_roots *roots, struct memory *memory,
			  const struct vmcoreinfo *info, const char *how)
{
	uint64_t virtual, stext;
	int64_t phys_base;

	if (!vmcoreinfo_symbol(info, "_stext", &stext))
		stext = 0;
	if (!vmcoreinfo_symbol(info, "init_top_pgt", &virtual) &&
	    !vmcoreinfo_symbol(info, "init_level4_pgt", &virtual) &&
	    !vmcoreinfo_symbol(info, "swapper_pg_dir", &virtual))
		return;
	if (virtual > UINT32_MAX) {
		if (vmcoreinfo_number(info, "phys_base", &phys_base))
			add_64(roots, memory, virtual - LINUX_KERNEL_MAP + (uint64_t)phys_base, how,
			       stext);
		return;
	}
	if (linux_split_below(virtual))
		add_32(roots, memory, virtual - linux_split_below(virtual), how, stext);
}

static void from_handed_note(struct linux_roots *roots, struct target *target)
{
	struct vmcoreinfo info;

	if (target->vmcoreinfo &&
	    vmcoreinfo_parse(target->vmcoreinfo, target->vmcoreinfo_size, &info))
		linux_roots_add_note(roots, target->memory, &info,
				     "the VMCOREINFO note from the file or hypervisor");
}

/*
 * Adds the roots found from the start of .data, which is at a multiple of 2 MiB. .data begins with
 * init_stack, whose first word is the magic number, and contains the image's own page tables.
 */
static void from_data_at(struct linux_roots *roots, struct memory *memory, uint64_t data)
{
	size_t before = roots->count;

	for (uint64_t page = data; page < data + MAX_DATA && roots->count == before;
	     page += PAGE_SIZE) {
		uint64_t entry, frame;

		if (memory_read(memory, gpa(page + 0xff8), &entry, 8, NULL) != MEMORY_OK ||
		    !(entry & PRESENT))
			continue;
		frame = entry & FRAME & ~linux_encryption_bit(memory, entry);
		if (frame >= data && frame < data + MAX_DATA)
			add_64(roots, memory, page, "the start of .data and the page tables in it",
			       0);
	}
}

static void from_data(struct linux_roots *roots, struct memory *memory, const struct cancel *cancel)
{
	gpa_t start, end, at = gpa(0);

	/*
	 * Search all of them, because the image of an earlier kernel may be at a lower address than
	 * the current one.
	 */
	while (!cancel_requested(cancel) && memory_next_data(memory, at, &start, &end)) {
		uint64_t page = (start.v + LARGE_SIZE - 1) & ~(LARGE_SIZE - 1);

		for (; page < end.v && !cancel_requested(cancel); page += LARGE_SIZE) {
			uint64_t magic;

			if (memory_read(memory, gpa(page), &magic, 8, NULL) == MEMORY_OK &&
			    magic == STACK_END_MAGIC)
				from_data_at(roots, memory, page);
		}
		at = end;
	}
}

static void from_note_scan(struct linux_roots *roots, struct memory *memory,
			   const struct cancel *cancel)
{
	static const char first[] = "OSRELEASE=";
	gpa_t start, end, at = gpa(0);
	char page[PAGE_SIZE];

	while (!cancel_requested(cancel) && memory_next_data(memory, at, &start, &end)) {
		uint64_t address = (start.v + PAGE_MASK) & ~PAGE_MASK;

		for (; address < end.v && !cancel_requested(cancel); address += PAGE_SIZE) {
			struct vmcoreinfo info;

			if (memory_read(memory, gpa(address), page, sizeof(first) - 1, NULL) !=
				MEMORY_OK ||
			    memcmp(page, first, sizeof(first) - 1) ||
			    memory_read(memory, gpa(address), page, sizeof(page), NULL) !=
				MEMORY_OK ||
			    !vmcoreinfo_parse(page, sizeof(page), &info))
				continue;
			linux_roots_add_note(roots, memory, &info,
					     "a VMCOREINFO page found in memory");
		}
		at = end;
	}
}

/*
 * Whether the start of a page looks like swapper_pg_dir of a 32-bit kernel with PAE: four pointers
 * to page directories, of which the first, for user space, is not present; then zeros.
 */
static bool is_own_pointers(const uint64_t entries[8])
{
	/* The bits Present, PWT and PCD; QEMU also sets the accessed bit. */
	const uint64_t may_be = FRAME | PRESENT | 0x38;
	bool some = false;

	for (size_t i = 0; i < 8; i++) {
		if (!entries[i])
			continue;
		if (i == 0 || i > 3 || !(entries[i] & PRESENT) || entries[i] & ~may_be)
			return false;
		some = true;
	}
	return some;
}

/*
 * Whether a page looks like swapper_pg_dir of a 32-bit kernel without PAE: the entries of user
 * space are empty, and the first of the kernel's maps the start of RAM, as a large page or through
 * a page table. The start is read first, because few pages begin with zeros and are not empty.
 */
static bool is_own_directory(struct memory *memory, uint64_t page)
{
	static const uint64_t none[8];
	uint64_t start[ARRAY_SIZE(none)];
	uint32_t entries[PAGE_SIZE / sizeof(uint32_t)];
	size_t i = 0;

	if (memory_read(memory, gpa(page), start, sizeof(start), NULL) != MEMORY_OK ||
	    memcmp(start, none, sizeof(start)) ||
	    memory_read(memory, gpa(page), entries, sizeof(entries), NULL) != MEMORY_OK)
		return false;
	while (i < ARRAY_SIZE(entries) && !entries[i])
		i++;
	if (i == ARRAY_SIZE(entries) || linux_split_below((uint64_t)i << 22) != (uint64_t)i << 22)
		return false;
	return entries[i] & PRESENT && (!(entries[i] & LARGE) || !(entries[i] & FRAME));
}

static bool is_own_pointer_page(struct memory *memory, uint64_t page)
{
	uint64_t entries[8];

	return memory_read(memory, gpa(page), entries, sizeof(entries), NULL) == MEMORY_OK &&
	       is_own_pointers(entries);
}

static void from_scan_32(struct linux_roots *roots, struct memory *memory,
			 const struct cancel *cancel)
{
	static const char how[] = "the page directory of a 32-bit kernel";
	gpa_t start, end, at = gpa(0);
	unsigned tries = 0;

	/* CR3 has 32 bits. */
	while (!cancel_requested(cancel) && memory_next_data(memory, at, &start, &end) &&
	       start.v < UINT32_MAX) {
		uint64_t page = (start.v + PAGE_MASK) & ~PAGE_MASK;

		for (; page < end.v && page < UINT32_MAX && !cancel_requested(cancel);
		     page += PAGE_SIZE) {
			if (!is_own_pointer_page(memory, page) && !is_own_directory(memory, page))
				continue;
			if (tries++ == MAX_TRIES_32)
				return;
			add_32(roots, memory, page, how, 0);
		}
		at = end;
	}
}

void linux_roots_collect(struct linux_roots *roots, struct target *target,
			 enum linux_root_source source, const struct cancel *cancel)
{
	/* All other sources recognise a page table by physically contiguous memory. */
	if (target->frames == TARGET_FRAMES_MACHINE && source != LINUX_ROOTS_REGISTERS)
		return;
	switch (source) {
	case LINUX_ROOTS_REGISTERS:
		(void)linux_vcpus_each(target, add_leads, roots);
		break;
	case LINUX_ROOTS_TRAMPOLINE:
		from_trampoline(roots, target->memory);
		break;
	case LINUX_ROOTS_VMCOREINFO:
		from_handed_note(roots, target);
		break;
	case LINUX_ROOTS_DATA:
		from_data(roots, target->memory, cancel);
		break;
	case LINUX_ROOTS_NOTE_SCAN:
		from_note_scan(roots, target->memory, cancel);
		break;
	case LINUX_ROOTS_SCAN_32:
		from_scan_32(roots, target->memory, cancel);
		break;
	case LINUX_ROOT_SOURCE_COUNT:
		break;
	}
}
