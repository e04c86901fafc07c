/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain's memory: pages that the hypervisor maps on demand (memory/mapper.h). Where the RAM is,
 * is not determined page by page. PVH and HVM guests have RAM from 0 to the size that the toolstack
 * gave them, at most to the hole below 4 GiB, and the rest above 4 GiB; missing pages in between
 * are noticed when they are read. A PV guest has a list of its machine frames in its own memory.
 */
#include "target/xen/internal.h"

#include "core/bytes.h"
#include "memory/virtual.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/*
 * The greatest address at which the hole for devices begins: HVM_BELOW_4G_RAM_END of Xen's e820.h.
 */
#define LOW_END ((uint64_t)0xf0000000)
#define HIGH    ((uint64_t)1 << 32)
/* The pages that the toolstack puts at the end of the hole (xenstore, console …). */
#define SPECIAL      ((uint64_t)0xfee00000)
#define SPECIAL_SIZE ((uint64_t)2 << 20)
/* Limit of the frames: 8 TiB. */
#define MOST_FRAMES ((uint64_t)1 << 31)
/*
 * A PV guest's list may have entries in addition to the pages that the guest may own: frames of the
 * hypervisor (shared_info, grant table), and holes below 4 GiB if the guest sees the host's memory
 * map (e820_host).
 */
#define OTHER_FRAMES ((uint64_t)1024)
#define HOLE_ENTRIES ((uint64_t)1 << 20)
/* Limit of the ranges of a PV guest, so that the ELF header of a snapshot has room for them. */
#define MOST_PIECES ((size_t)32768)

/* ---- The mapper ------------------------------------------------------------------------------ */

struct reach {
	struct xen_target *target;
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
		/*
		 * These errors mean that there is no page at that frame, or one that the domain
		 * does not own.
		 */
		return MEMORY_NO_RAM;
	}
}

/*
 * Stores in the target whether Xen permitted to map a page (map_allowed) or refused it
 * (map_denied).
 */
static void note_access(struct xen_target *target, const int *errors, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int error = errors[i] < 0 ? -errors[i] : errors[i];

		if (error == EPERM || error == EACCES)
			target->map_denied = error;
		else
			target->map_allowed = true;
	}
}

static void *map_pages(void *data, const uint64_t *pages, size_t count, uint8_t *faults)
{
	struct reach *reach = data;
	struct xen_hypervisor *xen = &reach->target->xen;
	_cleanup_free_ int *errors = calloc(count, sizeof(*errors));
	bool any = false;
	void *map;

	if (!errors)
		return NULL;
	map = xen->calls.map(xen->driver, reach->target->domain.id, count, pages, errors);
	if (!map) {
		int errnum = errno;

		if (errnum == EPERM || errnum == EACCES)
			note_access(reach->target, &errnum, 1);
		/* The call failed before any page was mapped. */
		memset(faults, errnum == ESRCH ? MEMORY_GONE : MEMORY_IO, count);
		return NULL;
	}
	note_access(reach->target, errors, count);
	for (size_t i = 0; i < count; i++) {
		faults[i] = (uint8_t)fault_of(errors[i]);
		any |= !errors[i];
	}
	if (any)
		return map;
	xen->calls.unmap(map, count);
	return NULL;
}

static void unmap_pages(void *data, void *map, size_t count)
{
	struct reach *reach = data;

	/*
	 * In a dom0 that is a PV guest each page that is unmapped by itself has Xen emulate a write
	 * to the page table; at exit Linux gives the tables up first (xen_exit_mmap() in
	 * arch/x86/xen/mmu_pv.c).
	 */
	if (!reach->target->base.leave_mapped)
		reach->target->xen.calls.unmap(map, count);
}

static const struct memory_mapper_ops mapper_ops = {map_pages, unmap_pages, free};

static struct nunchi_error *add_mapper(struct xen_target *xen, struct memory *memory,
				       struct memory_mapper **ret)
{
	struct reach *reach = malloc(sizeof(*reach));
	struct nunchi_error *err;

	if (!reach)
		return &error_nomem;
	*reach = (struct reach){.target = xen};
	err = memory_add_mapper(memory, &mapper_ops, reach, ret);
	if (err)
		free(reach);
	return err;
}

/*
 * The greatest number of pages that the domain may own, according to the hypervisor; UINT64_MAX if
 * unknown.
 */
static uint64_t page_limit(const struct xen_size *size)
{
	uint64_t limit = size->most_pages > size->pages ? size->most_pages : size->pages;

	return limit && limit < MOST_FRAMES ? limit : UINT64_MAX;
}

/* ---- PVH and HVM ----------------------------------------------------------------------------- */

/*
 * An upper bound of the guest's RAM in bytes: the larger of the toolstack's and the hypervisor's
 * maximum, UINT64_MAX if neither is known. The highest frame in use is no bound, because a guest
 * can map any frame.
 */
static uint64_t ram_limit(const struct xen_target *xen)
{
	uint64_t pages = page_limit(&xen->size), kib = xen->size.static_max, limit;

	limit = pages == UINT64_MAX ? 0 : pages << PAGE_SHIFT;
	if (kib && kib << 10 > limit)
		limit = (kib << 10 | PAGE_MASK) & ~PAGE_MASK;
	return limit ? limit : UINT64_MAX;
}

/*
 * Adds the range above 4 GiB: `expected` bytes, the most RAM that may be there; after them, as
 * sparse memory, what the guest reports, up to `end`.
 */
static struct nunchi_error *add_high(struct memory *memory, struct memory_mapper *mapper,
				     uint64_t expected, uint64_t end)
{
	struct nunchi_error *err = NULL;

	if (expected)
		err = memory_add_mapped(memory, gpa(HIGH), expected, mapper);
	if (!err && end > HIGH + expected)
		err =
		    memory_add_sparse(memory, gpa(HIGH + expected), end - HIGH - expected, mapper);
	return err;
}

/*
 * Adds the ranges where RAM may be according to the toolstack, extended to `end` where the guest
 * reports more. What the guest reports never makes the range smaller, because the guest can report
 * any number.
 */
static struct nunchi_error *add_guest_ranges(struct xen_target *xen, struct memory *memory,
					     struct memory_mapper *mapper, uint64_t end)
{
	uint64_t limit = ram_limit(xen), all = limit == UINT64_MAX ? end : limit;
	uint64_t low = all < LOW_END ? all : LOW_END;
	struct nunchi_error *err = memory_add_mapped(memory, gpa(0), low, mapper);

	if (!err && end > SPECIAL)
		err = memory_add_mapped(memory, gpa(SPECIAL), SPECIAL_SIZE, mapper);
	if (!err && (limit == UINT64_MAX ? end > HIGH : limit > low || end > HIGH))
		err = add_high(memory, mapper, limit == UINT64_MAX ? 0 : limit - low, end);
	return err;
}

static struct nunchi_error *map_guest(struct xen_target *xen, struct memory *memory,
				      struct memory_mapper *mapper)
{
	uint64_t frames = xen->size.frame_hint;

	if (!frames && ram_limit(xen) == UINT64_MAX)
		return error_create(NUNCHI_ERROR_DATA,
				    "neither Xen nor the toolstack tells the size of its memory");
	return add_guest_ranges(xen, memory, mapper, frames << PAGE_SHIFT);
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

/* The first frame from `from` on whose bit has the value `set`; count if there is none. */
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

/* Adds all frames of the host as one range. Frames that the guest does not own cannot be mapped. */
static struct nunchi_error *whole_machine(struct xen_target *xen, uint64_t count,
					  struct memory **ret)
{
	struct memory *memory = NULL;
	struct memory_mapper *mapper;
	struct nunchi_error *err = memory_create(xen->sigbus_guard, &memory);

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

/* A PV guest's list of machine frames, as the guest reports it in shared_info. */
struct frame_list {
	uint64_t address; /* virtual address */
	uint64_t count;
	struct address_space *space;
};

static void frame_list_deinit(struct frame_list *list)
{
	address_space_destroy(list->space);
}

/* Finds the list. False if the guest reports none, or one that is impossible. */
static bool find_list(struct xen_target *xen, struct memory *memory, struct frame_list *ret)
{
	uint64_t shared = xen->domain.shared_info_frame << PAGE_SHIFT, limit = ram_limit(xen);
	uint64_t most = limit == UINT64_MAX ? MOST_FRAMES : (limit >> PAGE_SHIFT) + HOLE_ENTRIES;
	struct x86_paging paging = {.mode = X86_MODE_4LEVEL};
	struct nunchi_error *err;
	uint64_t head[5];

	if (memory_read(memory, gpa(shared + XEN_SHARED_MAX_PFN), head, sizeof(head), NULL) !=
	    MEMORY_OK)
		return false;
	paging.root = gpa(head[3] & ~PAGE_MASK);
	if (!head[3] || !head[4] || head[4] & 7 || !head[0] || head[0] > most)
		return false;
	err = address_space_create(memory, &paging, &ret->space);
	nunchi_error_destroy(err);
	ret->address = head[4];
	ret->count = head[0];
	return !err;
}

/* Adds the frames in one page of the list, or a part of a page; returns how many there were. */
static uint64_t take_entries(struct frames *frames, const uint64_t *entries, uint64_t count)
{
	uint64_t added = 0;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t bit = (uint64_t)1 << entries[i] % 64;

		if (entries[i] & (XEN_P2M_FOREIGN | XEN_P2M_IDENTITY) ||
		    entries[i] >= frames->count)
			continue;
		added += !(frames->bits[entries[i] / 64] & bit);
		frames->bits[entries[i] / 64] |= bit;
	}
	return added;
}

/*
 * Reads the list that a Linux PV guest keeps for its toolstack: an array in its virtual memory,
 * through the page table that it names in shared_info, with the machine frame of each of its pages.
 * The guest reports the length of the list and the frames in it; both are compared with what the
 * hypervisor permits. *ret: there is a list.
 */
static struct nunchi_error *read_list(struct xen_target *xen, struct memory *memory,
				      struct frames *frames, bool *ret)
{
	_cleanup_(frame_list_deinit) struct frame_list list = {0};
	uint64_t most = page_limit(&xen->size), found = 0, entries[PAGE_SIZE / 8];

	*ret = false;
	if (!find_list(xen, memory, &list))
		return NULL;
	for (uint64_t pfn = 0; pfn < list.count; pfn += ARRAY_SIZE(entries)) {
		uint64_t left = list.count - pfn;
		uint64_t n = left < ARRAY_SIZE(entries) ? left : ARRAY_SIZE(entries);

		if (cancel_requested(xen->cancel))
			return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
		if (address_space_read(list.space, gva(list.address + pfn * 8), entries,
				       (size_t)n * 8, NULL) == MEMORY_OK)
			found += take_entries(frames, entries, n);
		if (most != UINT64_MAX && found > most + OTHER_FRAMES)
			return NULL;
	}
	*ret = found;
	return NULL;
}

/*
 * The end of the row of frames that begins at start. Gaps of at most `gap` frames do not end a row.
 */
static uint64_t run_end(const struct frames *frames, uint64_t start, uint64_t gap)
{
	uint64_t end = frames_next(frames, start, false);
	uint64_t next = frames_next(frames, end, true);

	while (next < frames->count && next - end <= gap) {
		end = frames_next(frames, next, false);
		next = frames_next(frames, end, true);
	}
	return end;
}

static bool fits(const struct frames *frames, uint64_t gap)
{
	uint64_t start = frames_next(frames, 0, true);
	size_t count = 0;

	while (start < frames->count && ++count <= MOST_PIECES)
		start = frames_next(frames, run_end(frames, start, gap), true);
	return count <= MOST_PIECES;
}

/*
 * Adds the frames as ranges. Where they are so scattered that there would be more than MOST_PIECES
 * ranges, neighbouring ranges are joined across the gaps between them, the smallest gaps first.
 * That does no harm: frames of other domains cannot be mapped.
 */
static struct nunchi_error *add_frames(struct memory *memory, struct memory_mapper *mapper,
				       const struct frames *frames)
{
	uint64_t start = frames_next(frames, 0, true), gap = 0;
	struct nunchi_error *err = NULL;

	while (!fits(frames, gap))
		gap = 2 * gap + 1;
	while (!err && start < frames->count) {
		uint64_t end = run_end(frames, start, gap);

		err = memory_add_mapped(memory, gpa(start << PAGE_SHIFT),
					(end - start) << PAGE_SHIFT, mapper);
		start = frames_next(frames, end, true);
	}
	return err;
}

static struct nunchi_error *map_pv(struct xen_target *xen, struct memory *memory,
				   struct memory_mapper *mapper)
{
	_cleanup_(frames_deinit) struct frames frames = {0};
	struct memory *whole = NULL;
	struct nunchi_error *err;
	bool listed = false;
	uint64_t count = xen->size.machine_frames;

	if (count > MOST_FRAMES)
		count = MOST_FRAMES;
	if (!frames_init(&frames, count))
		return &error_nomem;
	err = whole_machine(xen, count, &whole);
	if (!err)
		err = read_list(xen, whole, &frames, &listed);
	memory_destroy(whole);
	if (err)
		return err;
	/* The guest's page tables may point to frames that are not in its list. */
	memory_set_outside(memory, gpa(count << PAGE_SHIFT), mapper);
	if (listed)
		return add_frames(memory, mapper, &frames);
	if (!xen->unlisted)
		target_note(&xen->base,
			    "the guest keeps no list of its machine frames, or an invalid one: "
			    "nunchi takes the host's whole memory as its address "
			    "range, and a snapshot has to search all of it");
	xen->unlisted = true;
	return memory_add_mapped(memory, gpa(0), count << PAGE_SHIFT, mapper);
}

/* ---------------------------------------------------------------------------------------------- */

static void describe(struct xen_target *xen)
{
	struct target *target = &xen->base;

	if (target->frames == TARGET_FRAMES_MACHINE)
		target_set_support(target, TARGET_READ, true,
				   "machine frames mapped by Xen %u.%u in windows of 256 KiB: "
				   "\"physical\" addresses of a PV guest are the host's",
				   xen->xen.major, xen->xen.minor);
	else
		target_set_support(target, TARGET_READ, true,
				   "pages mapped by Xen %u.%u in windows of 256 KiB",
				   xen->xen.major, xen->xen.minor);
	if (xen->size.on_demand)
		target_note(target,
			    "%llu pages were never touched by the guest: reading them allocates "
			    "them from the pool that Xen keeps for it (populate on demand)",
			    (unsigned long long)xen->size.on_demand);
}

/* Adds the ranges of memory that exist now, and seals the memory. */
static struct nunchi_error *add_ranges(struct xen_target *xen, struct memory *memory,
				       struct memory_mapper *mapper)
{
	struct nunchi_error *err = xen->base.frames == TARGET_FRAMES_MACHINE
				       ? map_pv(xen, memory, mapper)
				       : map_guest(xen, memory, mapper);

	return err ? err : memory_seal(memory);
}

/*
 * Checks whether the hypervisor's security policy permits to map the guest; otherwise all pages
 * would just seem to be missing. The first page of PVH and HVM guests is RAM; for a PV guest the
 * list has been read.
 */
static struct nunchi_error *check_access(struct xen_target *xen, struct memory *memory)
{
	uint64_t word;

	if (xen->base.frames == TARGET_FRAMES_GUEST)
		(void)memory_read(memory, gpa(0), &word, sizeof(word), NULL);
	if (xen->map_allowed || !xen->map_denied)
		return NULL;
	return error_hint(error_create_errno(xen->map_denied,
					     "Xen refuses to map the memory of domain %u",
					     xen->domain.id),
			  "the hypervisor's security policy (XSM, FLASK) forbids it to this "
			  "domain: `xl getenforce`, `xl dmesg` tell more");
}

struct nunchi_error *xen_map_memory(struct xen_target *xen)
{
	struct memory *memory = NULL;
	union target_size size;
	struct nunchi_error *err;

	/*
	 * Mapping a page that is paged out makes Xen read it back from the disk.
	 */
	if (xen->domain.paged_out)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "%llu of its pages are on disk (xenpaging): reading "
					       "them would change the guest",
					       (unsigned long long)xen->domain.paged_out),
				  "end its xenpaging, which reads them back");
	err = target_measure(&xen->base, &size);
	if (err)
		return err;
	memcpy(&xen->size, &size, sizeof(xen->size));
	err = memory_create(xen->sigbus_guard, &memory);
	if (err)
		return err;
	err = add_mapper(xen, memory, &xen->mapper);
	if (!err)
		err = add_ranges(xen, memory, xen->mapper);
	if (!err)
		err = check_access(xen, memory);
	if (err) {
		memory_destroy(memory);
		return err;
	}
	xen->base.memory = memory;
	xen->known_pages = xen->size.pages;
	describe(xen);
	return NULL;
}

/* The limit that the toolstack wrote to xenstore, in KiB; 0 if there is none. */
static uint64_t static_max(struct xen_target *xen)
{
	char path[64], text[32], *end;
	unsigned long long kib;

	snprintf(path, sizeof(path), "/local/domain/%u/memory/static-max", xen->domain.id);
	xen_store_read(&xen->xen, path, text, sizeof(text));
	kib = strtoull(text, &end, 10);
	return text[0] && !*end && kib <= MOST_FRAMES << (PAGE_SHIFT - 10) ? kib : 0;
}

struct nunchi_error *xen_measure(struct target *target, union target_size *ret)
{
	struct xen_target *xen = xen_of(target);
	struct xen_domain domain = xen->domain;
	bool pv = target->frames == TARGET_FRAMES_MACHINE;
	struct nunchi_error *err = NULL;
	struct xen_size size;

	static_assert(sizeof(size) <= sizeof(*ret), "no room for it");
	if (xen->xen.domctl)
		err = xen_still_there(xen, &domain);
	if (err)
		return err;
	size = xen->size;
	/* The rest is asked for if the number of pages has changed, and the first time. */
	if (!size.most_pages || size.pages != domain.pages) {
		size.pages = domain.pages;
		size.most_pages = domain.most_pages;
		size.static_max = static_max(xen);
		size.frame_hint = pv ? 0 : xen_frame_hint(&xen->xen, domain.id);
		size.on_demand = pv ? 0 : xen_pages_on_demand(&xen->xen, domain.id);
		if (pv)
			err = xen_machine_frame_count(&xen->xen, &size.machine_frames);
		if (err)
			return err;
		xen->size = size;
	}
	memcpy(ret, &size, sizeof(size));
	return NULL;
}

void xen_refresh(struct target *target, const union target_size *measured)
{
	struct xen_target *xen = xen_of(target);
	struct memory *fresh = NULL;
	struct nunchi_error *err;
	struct xen_size size;

	memcpy(&size, measured, sizeof(size));
	if (size.pages == xen->known_pages)
		return;
	xen->size = size;
	err = memory_create(xen->sigbus_guard, &fresh);
	if (!err)
		err = add_ranges(xen, fresh, xen->mapper);
	if (!err)
		err = memory_take_ranges(target->memory, fresh);
	/* After a failure keep the ranges; the next query tries again. */
	if (!err) {
		xen->known_pages = size.pages;
		target->ram_size = size.pages << PAGE_SHIFT;
	}
	nunchi_error_destroy(err);
	memory_destroy(fresh);
}
