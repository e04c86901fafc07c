/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arch/x86/paging.h"

#define ENTRY_PRESENT  ((uint64_t)1 << 0)
#define ENTRY_WRITABLE ((uint64_t)1 << 1)
#define ENTRY_USER     ((uint64_t)1 << 2)
#define ENTRY_LARGE    ((uint64_t)1 << 7)
#define ENTRY_NX       ((uint64_t)1 << 63)

#define CR0_PG   ((uint64_t)1 << 31)
#define CR4_PSE  ((uint64_t)1 << 4)
#define CR4_PAE  ((uint64_t)1 << 5)
#define CR4_LA57 ((uint64_t)1 << 12)
#define EFER_LME ((uint64_t)1 << 8)
#define EFER_LMA ((uint64_t)1 << 10)

/* Bits high..low, both included. */
#define BITS(high, low) ((~(uint64_t)0 >> (63 - (high))) & (~(uint64_t)0 << (low)))

/* MAXPHYADDR of the guest's CPU is not known here; 52 is what the architecture allows. */
#define ADDRESS_MASK    BITS(51, 12)
#define ADDRESS_MASK_32 BITS(31, 12)

/* How the entries of one level are laid out in one mode (SDM volume 3, figures 4-4, 4-7, 4-11). */
struct level_format {
	unsigned shift; /* lowest bit of the linear address that indexes the table */
	unsigned index_bits;
	uint64_t reserved;       /* reserved bits of a present entry that points to a table */
	bool may_be_large;       /* bit 7 makes it a page */
	uint64_t large_reserved; /* bits that must be clear when it is one */
	bool has_permissions;    /* PAE's PDPTEs have no R/W, U/S and XD */
};

static const struct level_format formats_32bit[] = {
    {.shift = 12, .index_bits = 10, .has_permissions = true},
    /* Bits 20:13 are bits 39:32 of the address (PSE-36). */
    {.shift = 22,
     .index_bits = 10,
     .may_be_large = true,
     .large_reserved = BITS(21, 21),
     .has_permissions = true},
};

static const struct level_format formats_pae[] = {
    {.shift = 12, .index_bits = 9, .reserved = BITS(62, 52), .has_permissions = true},
    {.shift = 21,
     .index_bits = 9,
     .reserved = BITS(62, 52),
     .may_be_large = true,
     .large_reserved = BITS(62, 52) | BITS(20, 13),
     .has_permissions = true},
    /* Bits 5 and 6 are reserved too, but QEMU's emulation marks these entries as accessed. */
    {.shift = 30, .index_bits = 2, .reserved = BITS(63, 52) | BITS(8, 7) | BITS(2, 1)},
};

static const struct level_format formats_long[] = {
    {.shift = 12, .index_bits = 9, .has_permissions = true},
    {.shift = 21,
     .index_bits = 9,
     .may_be_large = true,
     .large_reserved = BITS(20, 13),
     .has_permissions = true},
    {.shift = 30,
     .index_bits = 9,
     .may_be_large = true,
     .large_reserved = BITS(29, 13),
     .has_permissions = true},
    {.shift = 39, .index_bits = 9, .reserved = ENTRY_LARGE, .has_permissions = true},
    {.shift = 48, .index_bits = 9, .reserved = ENTRY_LARGE, .has_permissions = true},
};

struct mode_format {
	const struct level_format *levels; /* from level 1 */
	unsigned level_count;
	unsigned entry_shift; /* log2 of an entry's size */
	unsigned linear_bits; /* bits of a linear address; in long mode the bits above are its sign
				 extension */
	uint64_t root_mask;
	uint64_t address_mask;
};

static const struct mode_format modes[] = {
    [X86_MODE_32BIT] = {formats_32bit, 2, 2, 32, ADDRESS_MASK_32, ADDRESS_MASK_32},
    [X86_MODE_PAE] = {formats_pae, 3, 3, 32, BITS(31, 5), ADDRESS_MASK},
    [X86_MODE_4LEVEL] = {formats_long, 4, 3, 48, ADDRESS_MASK, ADDRESS_MASK},
    [X86_MODE_5LEVEL] = {formats_long, 5, 3, 57, ADDRESS_MASK, ADDRESS_MASK},
};

static bool is_canonical(const struct mode_format *mode, uint64_t address)
{
	uint64_t above;

	if (mode->linear_bits == 32)
		return address >> 32 == 0;
	above = address >> (mode->linear_bits - 1);
	return above == 0 || above == BITS(63, mode->linear_bits - 1) >> (mode->linear_bits - 1);
}

/* The page that a large entry maps, without the offset. */
static uint64_t large_base(const struct x86_paging *paging, const struct level_format *level,
			   uint64_t entry)
{
	if (paging->mode == X86_MODE_32BIT)
		return (entry & BITS(31, 22)) | (entry & BITS(20, 13)) << 19;
	return entry & ADDRESS_MASK & ~paging->encryption & ~(((uint64_t)1 << level->shift) - 1);
}

static void add_permissions(const struct level_format *level, uint64_t entry, bool wide,
			    struct x86_walk *walk)
{
	if (!level->has_permissions)
		return;
	walk->writable &= (entry & ENTRY_WRITABLE) != 0;
	walk->user &= (entry & ENTRY_USER) != 0;
	if (wide)
		walk->executable &= (entry & ENTRY_NX) == 0;
}

static void set_page(struct x86_walk *walk, uint64_t base, unsigned shift, gva_t address)
{
	walk->page_shift = shift;
	walk->address = gpa(base + (address.v & (((uint64_t)1 << shift) - 1)));
}

enum x86_fault x86_walk(const struct x86_paging *paging, x86_read_fn *read, void *data,
			gva_t address, struct x86_walk *ret)
{
	const struct mode_format *mode = &modes[paging->mode];
	size_t entry_size = (size_t)1 << mode->entry_shift;
	uint64_t table = paging->root.v & mode->root_mask;

	ret->level_count = 0;
	ret->address = gpa(0);
	ret->page_shift = 0;
	ret->writable = ret->user = ret->executable = true;
	if (!is_canonical(mode, address.v))
		return X86_FAULT_NON_CANONICAL;

	for (unsigned n = mode->level_count; n > 0; n--) {
		const struct level_format *level = &mode->levels[n - 1];
		uint64_t index =
		    address.v >> level->shift & (((uint64_t)1 << level->index_bits) - 1);
		gpa_t entry_address = gpa(table + (index << mode->entry_shift));
		uint64_t entry;
		bool large;

		if (!read(data, entry_address, entry_size, &entry))
			return X86_FAULT_READ;
		ret->levels[ret->level_count++] =
		    (struct x86_level){.level = n, .entry_address = entry_address, .entry = entry};
		if (!(entry & ENTRY_PRESENT))
			return X86_FAULT_NOT_PRESENT;
		large = level->may_be_large && (entry & ENTRY_LARGE) &&
			(paging->mode != X86_MODE_32BIT || paging->pse);
		if (entry & (large ? level->large_reserved : level->reserved))
			return X86_FAULT_RESERVED;
		add_permissions(level, entry, mode->entry_shift == 3, ret);
		if (large) {
			set_page(ret, large_base(paging, level, entry), level->shift, address);
			return X86_FAULT_NONE;
		}
		table = x86_entry_address(paging, entry).v;
	}
	set_page(ret, table, PAGE_SHIFT, address);
	return X86_FAULT_NONE;
}

gpa_t x86_entry_address(const struct x86_paging *paging, uint64_t entry)
{
	return gpa(entry & modes[paging->mode].address_mask & ~paging->encryption);
}

struct x86_paging x86_paging_from_registers(uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer)
{
	struct x86_paging paging = {.pse = (cr4 & CR4_PSE) != 0};

	/* EFER.LMA is LME and CR0.PG; some sources give EFER as it was written, without LMA. */
	if ((efer & EFER_LMA) || ((efer & EFER_LME) && (cr0 & CR0_PG)))
		paging.mode = cr4 & CR4_LA57 ? X86_MODE_5LEVEL : X86_MODE_4LEVEL;
	else
		paging.mode = cr4 & CR4_PAE ? X86_MODE_PAE : X86_MODE_32BIT;
	paging.root = gpa(cr3 & modes[paging.mode].root_mask);
	return paging;
}

struct x86_leaf x86_leaf_format(const struct x86_paging *paging)
{
	const struct mode_format *mode = &modes[paging->mode];

	return (struct x86_leaf){
	    .table_shift = mode->levels[1].shift,
	    .entry_shift = mode->entry_shift,
	    .reserved = mode->levels[0].reserved,
	    .address_mask = mode->address_mask & ~paging->encryption,
	};
}

const char *x86_fault_string(enum x86_fault fault)
{
	switch (fault) {
	case X86_FAULT_NONE:
		return "no fault";
	case X86_FAULT_NON_CANONICAL:
		return "the address is not canonical";
	case X86_FAULT_NOT_PRESENT:
		return "the entry is not present";
	case X86_FAULT_RESERVED:
		return "the entry sets reserved bits";
	case X86_FAULT_READ:
		return "the table cannot be read";
	}
	return "unknown fault";
}

const char *x86_mode_string(enum x86_mode mode)
{
	switch (mode) {
	case X86_MODE_32BIT:
		return "32-bit";
	case X86_MODE_PAE:
		return "PAE";
	case X86_MODE_4LEVEL:
		return "4-level";
	case X86_MODE_5LEVEL:
		return "5-level";
	}
	return "unknown";
}
