/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory/virtual.h"

#include "core/pages.h"
#include "memory/internal.h"

#include <string.h>
#include <sys/mman.h>

/*
 * Entries of the translation cache, as a power of 2. Of a kernel's (128 KiB): enough for 16 GiB of
 * addresses mapped by 4 KiB pages. Of a process's (8 KiB): enough for 1 GiB.
 */
#define KERNEL_REGION_BITS  13
#define PROCESS_REGION_BITS 9
/* Number of page tables kept as copies, if they cannot be mapped. */
#define TABLE_BITS 10
#define TABLES     ((size_t)1 << TABLE_BITS)

/*
 * A region is the address range that one page table maps: 2 MiB, or 4 MiB in 32-bit mode without
 * PAE. The cache stores for a region where its page table can be read, or the large page that maps
 * it. The entries of a mapped page table are read again each time.
 */
#define REGION_LARGE ((uint64_t)1 << 63) /* | physical address of the region's first byte */
/* | physical address of the page table, which is read through `tables` */
#define REGION_COPY ((uint64_t)1 << 62)

struct region {
	uint64_t tag; /* region number and epoch; 0: empty, because no epoch is 0 */
	uint64_t value;
};

/* A region number has at most 64 - 21 bits; the epoch uses the other bits. */
#define EPOCH_SHIFT 43
#define EPOCH_END   ((uint64_t)1 << (64 - EPOCH_SHIFT))

/* Copies of page tables, by their physical address. */
struct tables {
	uint64_t generation;
	uint64_t tags[TABLES]; /* physical address | 1; 0: empty */
	uint8_t pages[TABLES][PAGE_SIZE];
};

struct address_space {
	struct memory *memory;
	struct x86_paging paging;
	struct x86_leaf leaf;
	uint64_t generation; /* generation of memory for which the cache is valid */
	uint64_t epoch;
	struct tables *tables; /* NULL until the first copy */
	uint64_t region_mask;  /* number of regions, a power of 2, minus 1 */
	struct region regions[];
};

static struct nunchi_error *create(struct memory *memory, const struct x86_paging *paging,
				   unsigned region_bits, struct address_space **ret)
{
	size_t size = sizeof(struct address_space) + (sizeof(struct region) << region_bits);
	struct address_space *space = calloc(1, size);

	if (!space)
		return &error_nomem;
	pages_take(space, size);
	space->memory = memory;
	space->paging = *paging;
	space->leaf = x86_leaf_format(paging);
	space->generation = memory->generation;
	space->epoch = 1;
	space->region_mask = ((uint64_t)1 << region_bits) - 1;
	*ret = space;
	return NULL;
}

struct nunchi_error *address_space_create(struct memory *memory, const struct x86_paging *paging,
					  struct address_space **ret)
{
	return create(memory, paging, KERNEL_REGION_BITS, ret);
}

struct nunchi_error *address_space_create_process(struct memory *memory,
						  const struct x86_paging *paging,
						  struct address_space **ret)
{
	return create(memory, paging, PROCESS_REGION_BITS, ret);
}

void address_space_destroy(struct address_space *space)
{
	if (!space)
		return;
	if (space->tables)
		munmap(space->tables, sizeof(*space->tables));
	free(space);
}

const struct x86_paging *address_space_paging(const struct address_space *space)
{
	return &space->paging;
}

struct memory *address_space_memory(const struct address_space *space)
{
	return space->memory;
}

static void drop_regions(struct address_space *space)
{
	if (++space->epoch < EPOCH_END)
		return;
	memset(space->regions, 0, (space->region_mask + 1) * sizeof(*space->regions));
	space->epoch = 1;
}

void address_space_switch(struct address_space *space, gpa_t root)
{
	if (root.v == space->paging.root.v)
		return;
	space->paging.root = root;
	drop_regions(space);
}

struct reader {
	struct memory *memory;
	enum memory_fault fault;
};

static bool read_entry(void *data, gpa_t address, size_t size, uint64_t *ret)
{
	struct reader *reader = data;
	uint64_t value = 0;

	reader->fault = memory_read(reader->memory, address, &value, size, NULL);
	if (reader->fault != MEMORY_OK)
		return false;
	*ret = value;
	return true;
}

enum x86_fault address_space_walk(struct address_space *space, gva_t address, struct x86_walk *ret)
{
	struct reader reader = {.memory = space->memory};

	return x86_walk(&space->paging, read_entry, &reader, address, ret);
}

/* Entries are naturally aligned in the guest, but may be unaligned in the file of a saved guest. */
typedef uint64_t __attribute__((aligned(1), may_alias)) entry64_t;
typedef uint32_t __attribute__((aligned(1), may_alias)) entry32_t;

/* Loads an entry exactly once, because a running guest may change it. */
static inline uint64_t load_entry(const struct x86_leaf *leaf, const void *table, uint64_t index)
{
	if (leaf->entry_shift == 3)
		return *((const volatile entry64_t *)table + index);
	return *((const volatile entry32_t *)table + index);
}

static struct region *region_slot(struct address_space *space, uint64_t number)
{
	return &space->regions[(number ^ number >> PROCESS_REGION_BITS) & space->region_mask];
}

static inline uint64_t region_tag(const struct address_space *space, uint64_t number)
{
	return number | space->epoch << EPOCH_SHIFT;
}

/* The copy of the page table at address; makes it if there is none. */
static const void *copy_of_table(struct address_space *space, uint64_t address,
				 enum memory_fault *ret_fault)
{
	size_t i = (address >> PAGE_SHIFT) & (TABLES - 1);
	enum memory_fault fault;

	if (!space->tables) {
		void *map = mmap(NULL, sizeof(*space->tables), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (map == MAP_FAILED) {
			*ret_fault = MEMORY_IO;
			return NULL;
		}
		space->tables = map;
	}
	if (space->tables->generation != space->memory->generation) {
		memset(space->tables->tags, 0, sizeof(space->tables->tags));
		space->tables->generation = space->memory->generation;
	}
	if (space->tables->tags[i] == (address | 1))
		return space->tables->pages[i];
	space->tables->tags[i] = 0;
	fault = memory_read(space->memory, gpa(address), space->tables->pages[i], PAGE_SIZE, NULL);
	if (fault != MEMORY_OK) {
		*ret_fault = fault;
		return NULL;
	}
	space->tables->tags[i] = address | 1;
	return space->tables->pages[i];
}

/* Stores in the cache what a walk found out about the region of address. */
static void keep(struct address_space *space, gva_t address, const struct x86_walk *walk,
		 bool mapped)
{
	uint64_t number = address.v >> space->leaf.table_shift;
	struct region *region = region_slot(space, number);
	const struct x86_level *last;
	uint64_t value;

	if (!walk->level_count)
		return;
	last = &walk->levels[walk->level_count - 1];
	if (last->level == 1) {
		uint64_t table = last->entry_address.v & ~PAGE_MASK;
		const void *map = memory_map(space->memory, gpa(table), PAGE_SIZE);

		value = map ? (uint64_t)(uintptr_t)map : REGION_COPY | table;
	} else if (mapped) {
		uint64_t within = ((uint64_t)1 << space->leaf.table_shift) - 1;

		value = REGION_LARGE | (walk->address.v & ~within);
	} else {
		return;
	}
	region->tag = region_tag(space, number);
	region->value = value;
}

/*
 * Translates by walking the page tables, and stores the result in the cache. Also called if a
 * cached page table has no entry: that page table may belong to a truncated file and read as zeros,
 * which the walk reports as MEMORY_GONE.
 */
static enum memory_fault translate_slowly(struct address_space *space, gva_t address, gpa_t *ret)
{
	struct reader reader = {.memory = space->memory};
	struct x86_walk walk;
	enum x86_fault fault = x86_walk(&space->paging, read_entry, &reader, address, &walk);

	keep(space, address, &walk, fault == X86_FAULT_NONE);
	if (fault == X86_FAULT_NONE) {
		*ret = walk.address;
		return MEMORY_OK;
	}
	return fault == X86_FAULT_READ ? reader.fault : MEMORY_NOT_MAPPED;
}

/*
 * The address at which the page table of a cached region can be read; NULL with *ret_fault if it
 * cannot. The value in the cache is a pointer, whose two high bits are 0, or the address of a table
 * that has to be copied.
 */
static inline const void *region_table(struct address_space *space, uint64_t value,
				       enum memory_fault *ret_fault)
{
	if (__builtin_expect(!(value & REGION_COPY), true))
		return (const void *)(uintptr_t)value;
	return copy_of_table(space, value & ~REGION_COPY, ret_fault);
}

static inline void check_generation(struct address_space *space)
{
	if (__builtin_expect(space->generation != space->memory->generation, false)) {
		space->generation = space->memory->generation;
		drop_regions(space);
	}
}

/* The cache entry for the region of address, or NULL. */
static inline const struct region *find_region(struct address_space *space, gva_t address)
{
	uint64_t number = address.v >> space->leaf.table_shift;
	const struct region *region = region_slot(space, number);

	check_generation(space);
	return region->tag == region_tag(space, number) ? region : NULL;
}

static inline bool entry_maps(const struct x86_leaf *leaf, uint64_t entry)
{
	return (entry & (1 | leaf->reserved)) == 1;
}

static inline enum memory_fault translate(struct address_space *space, gva_t address, gpa_t *ret)
{
	const struct region *region = find_region(space, address);
	const struct x86_leaf *leaf = &space->leaf;
	uint64_t within = ((uint64_t)1 << leaf->table_shift) - 1;
	enum memory_fault fault;
	const void *table;
	uint64_t entry;

	if (!region)
		return translate_slowly(space, address, ret);
	if (region->value & REGION_LARGE) {
		*ret = gpa((region->value & ~REGION_LARGE) + (address.v & within));
		return MEMORY_OK;
	}
	table = region_table(space, region->value, &fault);
	if (!table)
		return fault;
	entry = load_entry(leaf, table, (address.v & within) >> PAGE_SHIFT);
	if (__builtin_expect(!entry_maps(leaf, entry), false))
		return translate_slowly(space, address, ret);
	*ret = gpa((entry & leaf->address_mask) + (address.v & PAGE_MASK));
	return MEMORY_OK;
}

enum memory_fault address_space_translate(struct address_space *space, gva_t address, gpa_t *ret)
{
	return translate(space, address, ret);
}

/*
 * The number of bytes, from address on and at most size, whose physical addresses continue from
 * `physical` according to the entries of the region just used. At least the rest of the page.
 */
static uint64_t run_in_region(struct address_space *space, gva_t address, uint64_t size,
			      uint64_t physical)
{
	const struct region *region = find_region(space, address);
	const struct x86_leaf *leaf = &space->leaf;
	uint64_t within = ((uint64_t)1 << leaf->table_shift) - 1;
	uint64_t left = within + 1 - (address.v & within);
	uint64_t run = PAGE_SIZE - (address.v & PAGE_MASK);
	enum memory_fault fault;
	const void *table;

	if (size < left)
		left = size;
	if (!region)
		return run < size ? run : size;
	if (region->value & REGION_LARGE)
		return left;
	table = run < left ? region_table(space, region->value, &fault) : NULL;
	while (table && run < left) {
		uint64_t entry =
		    load_entry(leaf, table, ((address.v + run) & within) >> PAGE_SHIFT);

		if (!entry_maps(leaf, entry) || (entry & leaf->address_mask) != physical + run)
			break;
		run += PAGE_SIZE;
	}
	return run < size ? run : size;
}

enum memory_fault address_space_translate_run(struct address_space *space, gva_t address,
					      uint64_t size, gpa_t *ret, uint64_t *ret_size)
{
	uint64_t run = 0;
	gpa_t first;
	enum memory_fault fault = translate(space, address, &first);

	if (fault != MEMORY_OK)
		return fault;
	while (run < size) {
		gpa_t next = first;

		if (run && (address.v + run < address.v ||
			    translate(space, gva_add(address, run), &next) != MEMORY_OK ||
			    next.v != first.v + run))
			break;
		run += run_in_region(space, gva_add(address, run), size - run, next.v);
	}
	*ret = first;
	*ret_size = run;
	return MEMORY_OK;
}

static enum memory_fault read_runs(struct address_space *space, gva_t address, void *buffer,
				   size_t size, gva_t *ret_fault)
{
	uint8_t *to = buffer;
	bool wrapped = false;

	while (size) {
		gpa_t physical, fault_address;
		enum memory_fault fault = MEMORY_NOT_MAPPED;
		uint64_t run = 0;

		if (!wrapped)
			fault = address_space_translate_run(space, address, size, &physical, &run);
		if (fault == MEMORY_OK) {
			fault_address = physical;
			fault = memory_read(space->memory, physical, to, run, &fault_address);
			if (fault != MEMORY_OK)
				address = gva_add(address, fault_address.v - physical.v);
		}
		if (fault != MEMORY_OK) {
			if (ret_fault)
				*ret_fault = address;
			return fault;
		}
		to += run;
		size -= run;
		address = gva_add(address, run);
		wrapped = address.v == 0;
	}
	return MEMORY_OK;
}

enum memory_fault address_space_read(struct address_space *space, gva_t address, void *buffer,
				     size_t size, gva_t *ret_fault)
{
	gpa_t physical;

	if (size <= PAGE_SIZE - (address.v & PAGE_MASK) &&
	    translate(space, address, &physical) == MEMORY_OK &&
	    memory_read(space->memory, physical, buffer, size, NULL) == MEMORY_OK)
		return MEMORY_OK;
	return read_runs(space, address, buffer, size, ret_fault);
}

/* Callback data of a walk that stops at the first table that is not mapped yet. */
struct look {
	struct memory *memory;
	bool stopped;
	uint64_t page; /* number of the page that the walk needs next */
};

static bool read_if_mapped(void *data, gpa_t address, size_t size, uint64_t *ret)
{
	struct look *look = data;
	struct reader reader = {.memory = look->memory};

	if (!memory_is_mapped(look->memory, address)) {
		look->stopped = true;
		look->page = address.v >> PAGE_SHIFT;
		return false;
	}
	return read_entry(&reader, address, size, ret);
}

/*
 * Finds the next page that is needed to reach the wanted address and is not mapped yet; false if
 * there is none.
 */
static bool next_page(const struct address_space *space, const struct address_want *want,
		      uint64_t *ret)
{
	struct x86_paging paging = space->paging;
	struct look look = {.memory = space->memory};
	struct x86_walk walk;

	paging.root = want->root;
	if (x86_walk(&paging, read_if_mapped, &look, want->address, &walk) == X86_FAULT_NONE &&
	    !memory_is_mapped(space->memory, walk.address)) {
		look.stopped = true;
		look.page = walk.address.v >> PAGE_SHIFT;
	}
	*ret = look.page;
	return look.stopped;
}

void address_space_fetch(struct address_space *space, const struct address_want *wants,
			 size_t count)
{
	uint64_t pages[ADDRESS_WANTS];

	/* Up to five levels of page tables, and the page itself. */
	for (int round = 0; round < 6 && memory_can_fetch(space->memory); round++) {
		size_t n = 0;

		for (size_t i = 0; i < count && i < ADDRESS_WANTS; i++)
			n += next_page(space, &wants[i], &pages[n]);
		if (!n)
			break;
		memory_fetch(space->memory, pages, n);
	}
}

const void *address_space_map(struct address_space *space, gva_t address, size_t size)
{
	gpa_t physical;
	uint64_t run;

	if (!size ||
	    address_space_translate_run(space, address, size, &physical, &run) != MEMORY_OK ||
	    run != size)
		return NULL;
	return memory_map(space->memory, physical, size);
}
