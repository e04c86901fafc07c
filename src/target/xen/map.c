/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain's memory: pages mapped by the hypervisor on demand (memory/mapper.h). Where RAM is, is
 * not asked page by page: PVH and HVM guests have it from 0 to what the toolstack gave them, at
 * most to the hole below 4 GiB, and above that; pages in between that they lack are found out when
 * they are looked at. The list of a PV guest's machine frames is in its own memory.
 */
#include "target/xen/internal.h"

#include "core/bytes.h"
#include "memory/virtual.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Where the hole for devices begins at the latest: HVM_BELOW_4G_RAM_END of Xen's e820.h. */
#define LOW_END ((uint64_t)0xf0000000)
#define HIGH    ((uint64_t)1 << 32)
/* The window with the pages that the toolstack puts at the end of the hole (xenstore, console …).
 */
#define SPECIAL      ((uint64_t)0xfee00000)
#define SPECIAL_SIZE ((uint64_t)2 << 20)
/* 8 TiB. */
#define MOST_FRAMES ((uint64_t)1 << 31)

/* ---- The mapper ------------------------------------------------------------------------------ */

struct reach {
	struct xen_hypervisor *xen; /* the target's */
	uint16_t id;
};

static enum memory_fault fault_of(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return MEMORY_OK;
	case ENOENT:
		return MEMORY_PAGED_OUT;
	case ESRCH:
		return MEMORY_GONE;
	case ENOMEM:
	case EIO:
		return MEMORY_IO;
	default:
		/* EINVAL, EPERM, ENXIO, EFAULT: no page, or none of this domain's own. */
		return MEMORY_NO_RAM;
	}
}

static void *map_pages(void *data, const uint64_t *pages, size_t count, uint8_t *faults)
{
	struct reach *reach = data;
	struct xen_library *library = &reach->xen->library;
	_cleanup_free_ int *errors = calloc(count, sizeof(*errors));
	bool any = false;
	void *map;

	if (!errors)
		return NULL;
	map = library->memory_map(reach->xen->memory, reach->id, PROT_READ, count, pages, errors);
	if (!map) {
		memset(faults, fault_of(errno), count);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		faults[i] = (uint8_t)fault_of(errors[i]);
		any |= !errors[i];
	}
	if (any)
		return map;
	library->memory_unmap(reach->xen->memory, map, count);
	return NULL;
}

static void unmap_pages(void *data, void *map, size_t count)
{
	struct reach *reach = data;

	reach->xen->library.memory_unmap(reach->xen->memory, map, count);
}

static const struct memory_mapper_ops mapper_ops = {map_pages, unmap_pages, free};

static struct nunchi_error *add_mapper(struct xen_target *xen, struct memory *memory,
				       struct memory_mapper **ret)
{
	struct reach *reach = malloc(sizeof(*reach));
	struct nunchi_error *err;

	if (!reach)
		return &error_nomem;
	*reach = (struct reach){.xen = &xen->xen, .id = xen->domain.id};
	err = memory_add_mapper(memory, &mapper_ops, reach, ret);
	if (err)
		free(reach);
	return err;
}

/* ---- PVH and HVM ----------------------------------------------------------------------------- */

/* What the toolstack lets the guest have at most, in bytes; UINT64_MAX if it does not say. */
static uint64_t toolstack_limit(struct xen_target *xen)
{
	char path[64], text[32], *end;
	unsigned long long kib;

	snprintf(path, sizeof(path), "/local/domain/%u/memory/static-max", xen->domain.id);
	xen_store_read(&xen->xen, path, text, sizeof(text));
	kib = strtoull(text, &end, 10);
	if (!text[0] || *end || kib == 0 || kib > UINT64_MAX >> 10)
		return UINT64_MAX;
	return ((uint64_t)kib << 10 | PAGE_MASK) & ~PAGE_MASK;
}

static struct nunchi_error *add_guest_ranges(struct xen_target *xen, struct memory *memory,
					     struct memory_mapper *mapper, uint64_t end)
{
	uint64_t low = toolstack_limit(xen);
	struct nunchi_error *err;

	if (low > LOW_END)
		low = LOW_END;
	if (low > end)
		low = end;
	err = memory_add_mapped(memory, gpa(0), low, mapper);
	if (!err && end > SPECIAL)
		err = memory_add_mapped(memory, gpa(SPECIAL), SPECIAL_SIZE, mapper);
	if (!err && end > HIGH)
		err = memory_add_mapped(memory, gpa(HIGH), end - HIGH, mapper);
	return err;
}

static struct nunchi_error *map_guest(struct xen_target *xen, struct memory *memory)
{
	struct memory_mapper *mapper;
	struct nunchi_error *err;
	uint64_t frames;

	err = xen_frame_count(&xen->xen, xen->domain.id, &frames);
	if (!err && frames > MOST_FRAMES)
		err = error_create(NUNCHI_ERROR_DATA, "it says to have %llu pages",
				   (unsigned long long)frames);
	if (!err)
		err = add_mapper(xen, memory, &mapper);
	if (!err)
		err = add_guest_ranges(xen, memory, mapper, frames << PAGE_SHIFT);
	return err;
}

/* ---- PV -------------------------------------------------------------------------------------- */

/* A bit for each machine frame of the host. */
struct frames {
	uint64_t *bits;
	uint64_t count;
};

static size_t frames_size(uint64_t count)
{
	return (size_t)(count / 64 + 1) * sizeof(uint64_t);
}

static void frames_deinit(struct frames *frames)
{
	if (frames->bits)
		munmap(frames->bits, frames_size(frames->count));
}

static bool frames_init(struct frames *frames, uint64_t count)
{
	void *map = mmap(NULL, frames_size(count), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return false;
	*frames = (struct frames){map, count};
	return true;
}

/* The next frame that is set, or is not, from `from` on; count if there is none. */
static uint64_t frames_next(const struct frames *frames, uint64_t from, bool set)
{
	while (from < frames->count) {
		uint64_t word = frames->bits[from / 64];

		word = (set ? word : ~word) >> from % 64;
		if (word) {
			from += (uint64_t)__builtin_ctzll(word);
			return from < frames->count ? from : frames->count;
		}
		from = (from / 64 + 1) * 64;
	}
	return frames->count;
}

/* All of the host's frames as one range: what is not the guest's own cannot be mapped. */
static struct nunchi_error *whole_machine(struct xen_target *xen, bool sigbus_guard, uint64_t count,
					  struct memory **ret)
{
	struct memory *memory = NULL;
	struct memory_mapper *mapper;
	struct nunchi_error *err = memory_create(sigbus_guard, &memory);

	if (!err)
		err = add_mapper(xen, memory, &mapper);
	if (!err)
		err = memory_add_mapped(memory, gpa(0), count << PAGE_SHIFT, mapper);
	if (!err)
		err = memory_seal(memory);
	if (err)
		memory_destroy(memory);
	else
		*ret = memory;
	return err;
}

/*
 * Reads the list that a Linux PV guest keeps for its toolstack: an array in its virtual memory, by
 * the page table that it names in shared_info, of the machine frame of each of its pages.
 */
static bool read_list(struct xen_target *xen, struct memory *memory, struct frames *frames)
{
	uint64_t shared = xen->domain.shared_info_frame << PAGE_SHIFT;
	_cleanup_free_ struct address_space *space = NULL;
	uint64_t head[5], entries[PAGE_SIZE / 8];
	struct x86_paging paging = {.mode = X86_MODE_4LEVEL};

	if (memory_read(memory, gpa(shared + XEN_SHARED_MAX_PFN), head, sizeof(head), NULL) !=
	    MEMORY_OK)
		return false;
	paging.root = gpa(head[3] & ~PAGE_MASK);
	if (!head[3] || !head[4] || head[4] & 7 || !head[0] || head[0] > MOST_FRAMES)
		return false;
	if (address_space_create(memory, &paging, &space))
		return false;
	for (uint64_t pfn = 0; pfn < head[0]; pfn += ARRAY_SIZE(entries)) {
		uint64_t n =
		    head[0] - pfn < ARRAY_SIZE(entries) ? head[0] - pfn : ARRAY_SIZE(entries);

		if (address_space_read(space, gva(head[4] + pfn * 8), entries, (size_t)n * 8,
				       NULL) != MEMORY_OK)
			continue;
		for (uint64_t i = 0; i < n; i++) {
			if (!(entries[i] & (XEN_P2M_FOREIGN | XEN_P2M_IDENTITY)) &&
			    entries[i] < frames->count)
				frames->bits[entries[i] / 64] |= (uint64_t)1 << entries[i] % 64;
		}
	}
	return frames_next(frames, 0, true) < frames->count;
}

static struct nunchi_error *add_frames(struct xen_target *xen, struct memory *memory,
				       const struct frames *frames)
{
	struct memory_mapper *mapper;
	struct nunchi_error *err = add_mapper(xen, memory, &mapper);
	uint64_t start = frames_next(frames, 0, true);

	while (!err && start < frames->count) {
		uint64_t end = frames_next(frames, start, false);

		err = memory_add_mapped(memory, gpa(start << PAGE_SHIFT),
					(end - start) << PAGE_SHIFT, mapper);
		start = frames_next(frames, end, true);
	}
	return err;
}

static struct nunchi_error *map_pv(struct xen_target *xen, bool sigbus_guard,
				   struct memory **memory)
{
	_cleanup_(frames_deinit) struct frames frames = {0};
	struct memory *whole = NULL;
	struct nunchi_error *err;
	uint64_t count;
	bool listed;

	err = xen_machine_frame_count(&xen->xen, &count);
	if (!err && count > MOST_FRAMES)
		count = MOST_FRAMES;
	if (!err && !frames_init(&frames, count))
		err = &error_nomem;
	if (!err)
		err = whole_machine(xen, sigbus_guard, count, &whole);
	if (err)
		return err;
	listed = read_list(xen, whole, &frames);
	if (listed)
		err = add_frames(xen, *memory, &frames);
	if (listed || err) {
		memory_destroy(whole);
		return err ? err : memory_seal(*memory);
	}
	target_note(&xen->base,
		    "the guest keeps no list of its machine frames: its memory is shown "
		    "as the host's, and a snapshot has to look through all of that");
	memory_destroy(*memory);
	*memory = whole;
	return NULL;
}

/* ---------------------------------------------------------------------------------------------- */

static void describe(struct xen_target *xen)
{
	struct target *target = &xen->base;
	uint64_t on_demand = 0;

	if (target->frames == TARGET_FRAMES_MACHINE)
		target_set_support(target, TARGET_READ, true,
				   "machine frames mapped by Xen %u.%u in windows of 256 KiB: "
				   "\"physical\" addresses of a PV guest are the host's",
				   xen->xen.major, xen->xen.minor);
	else
		target_set_support(target, TARGET_READ, true,
				   "pages mapped by Xen %u.%u in windows of 256 KiB",
				   xen->xen.major, xen->xen.minor);
	if (target->frames == TARGET_FRAMES_GUEST)
		on_demand = xen_pages_on_demand(&xen->xen, xen->domain.id);
	if (on_demand)
		target_note(target,
			    "%llu pages were never touched by the guest: where they are read they "
			    "are taken from the pool that Xen keeps for it (populate on demand)",
			    (unsigned long long)on_demand);
}

struct nunchi_error *xen_map_memory(struct xen_target *xen, bool sigbus_guard)
{
	struct memory *memory = NULL;
	struct nunchi_error *err;

	/*
	 * Xen's library waits for such pages without end, and mapping one has it read back from the
	 * disk.
	 */
	if (xen->domain.paged_out)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "%llu of its pages are on disk (xenpaging): reading "
					       "them would change the guest",
					       (unsigned long long)xen->domain.paged_out),
				  "end its xenpaging, which reads them back");
	err = memory_create(sigbus_guard, &memory);
	if (err)
		return err;
	if (xen->base.frames == TARGET_FRAMES_MACHINE) {
		err = map_pv(xen, sigbus_guard, &memory);
	} else {
		err = map_guest(xen, memory);
		if (!err)
			err = memory_seal(memory);
	}
	if (err) {
		memory_destroy(memory);
		return err;
	}
	xen->base.memory = memory;
	describe(xen);
	return NULL;
}
