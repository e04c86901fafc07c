/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Static keys of Linux are branches that the kernel makes a NOP or a jump of while it runs, static
 * calls are calls whose target it writes. It compares what stands there before, and dies of a
 * breakpoint (__jump_label_patch() in arch/x86/kernel/jump_label.c, __static_call_validate() in
 * arch/x86/kernel/static_call.c).
 */
#include "probe/linux_hit.h"

#include "guest/linux/lookup.h"

#include <string.h>

/* Since Linux 4.19 an entry has offsets from where they stand, before that addresses. */
struct relative_entry {
	int32_t code, target;
	int64_t key;
};
struct absolute_entry {
	uint64_t code, target, key;
};

#define ENTRIES 512 /* that are read at once */
#define KERNEL  0xffffffff80000000

static bool symbol_address(struct guest_kernel *guest, const char *name, uint64_t *ret)
{
	struct guest_symbol found;
	struct nunchi_error *err = guest->system->symbol_find(guest, name, &found);

	if (!err)
		*ret = found.symbol.address;
	nunchi_error_destroy(err);
	return !err;
}

/* An entry of 8 bytes: where the call is and its key, from where they stand. */
struct call_entry {
	int32_t code, key;
};

static bool is_branch_at(const uint8_t *entry, size_t size, uint64_t place, uint64_t address)
{
	struct absolute_entry wide;
	int32_t distance;

	if (size == sizeof(wide)) {
		memcpy(&wide, entry, sizeof(wide));
		return wide.code == address;
	}
	/* The first member of both kinds. */
	memcpy(&distance, entry, sizeof(distance));
	return place + (uint64_t)(int64_t)distance == address;
}

/* Whether a table has an entry for the instruction at an address; what cannot be read may have. */
static bool has_entry(struct guest_kernel *guest, uint64_t start, uint64_t end, size_t size,
		      uint64_t address)
{
	uint8_t part[ENTRIES * sizeof(struct absolute_entry)];

	for (uint64_t at = start; at < end; at += ENTRIES * size) {
		size_t count = (size_t)((end - at) / size);

		if (count > ENTRIES)
			count = ENTRIES;
		if (address_space_read(guest->space, gva(at), part, count * size, NULL) !=
		    MEMORY_OK)
			return true;
		for (size_t i = 0; i < count; i++) {
			if (is_branch_at(part + i * size, size, at + i * size, address))
				return true;
		}
	}
	return false;
}

bool linux_is_branch(struct guest_kernel *guest, uint64_t address)
{
	uint64_t start, end, first;

	/* Since 5.10, where they are compiled in. */
	if (symbol_address(guest, "__start_static_call_sites", &start) &&
	    symbol_address(guest, "__stop_static_call_sites", &end) &&
	    has_entry(guest, start, end, sizeof(struct call_entry), address))
		return true;
	/* Kernels without CONFIG_KALLSYMS_ALL do not tell where the table is. */
	if (!symbol_address(guest, "__start___jump_table", &start) ||
	    !symbol_address(guest, "__stop___jump_table", &end) || end <= start ||
	    address_space_read(guest->space, gva(start), &first, sizeof(first), NULL) != MEMORY_OK)
		return true;
	return has_entry(guest, start, end,
			 first >= KERNEL ? sizeof(struct absolute_entry)
					 : sizeof(struct relative_entry),
			 address);
}

/*
 * kgdb keeps what stands where it sets a breakpoint, without a comparison, and writes it back
 * (kgdb_arch_set_breakpoint() in arch/x86/kernel/kgdb.c). If that was a breakpoint of ours, it
 * comes back when nobody waits for it. Without kgdb the kernel has no such variable.
 */
const char *linux_forbids_writing(struct guest_kernel *guest)
{
	uint64_t address;
	int32_t registered;

	if (!symbol_address(guest, "kgdb_io_module_registered", &address))
		return NULL;
	if (address_space_read(guest->space, gva(address), &registered, sizeof(registered), NULL) !=
	    MEMORY_OK)
		return "it cannot be read whether kgdb is on in the guest";
	return registered ? "kgdb is on in the guest, which would keep breakpoints of nunchi's"
			  : NULL;
}
