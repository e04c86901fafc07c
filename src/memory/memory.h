/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest-physical memory: the ranges of RAM, and how their bytes are read. No other room accesses a
 * mapping of guest memory.
 *
 * A range is backed by a window (a file mapped read-only, zero-copy), by a mapper (callbacks with
 * which a hypervisor maps pages into this process) or by a reader (a callback that copies). Bytes
 * are valid for one generation: for ever for a saved guest, until it is resumed for a paused guest,
 * for one request for a running guest. memory_new_generation() begins the next generation.
 *
 * A window on a running guest's shared file is never touched where the file has a hole, because
 * touching it would allocate a page in the file. Holes are found with SEEK_DATA and SEEK_HOLE and
 * read as zeros. A saved guest on tmpfs is treated the same way.
 *
 * If a mapped file is truncated during a read, the SIGBUS guard replaces the lost pages by zeros
 * and the read returns MEMORY_GONE. From then on memory_gone() is true: the rest of the file can be
 * read but not mapped. Not thread-safe: use a memory in one thread at a time.
 */
#ifndef NUNCHI_MEMORY_MEMORY_H
#define NUNCHI_MEMORY_MEMORY_H

#include "arch/address.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;

/*
 * The result of a read that may often fail: a small value instead of an error object. Virtual reads
 * use it too.
 */
enum memory_fault {
	MEMORY_OK,
	MEMORY_NOT_MAPPED,   /* virtual: the page-table entry is not present */
	MEMORY_PAGED_OUT,    /* the hypervisor or the guest swapped the page out */
	MEMORY_NO_RAM,       /* physical: there is no RAM at that address */
	MEMORY_NOT_SAVED,    /* physical: the saved guest does not contain this RAM */
	MEMORY_IO,           /* the target could not read the page */
	MEMORY_GONE,         /* the guest or its file does not exist any more */
	MEMORY_NOT_CAPTURED, /* replaying a capture: the bytes were not copied */
};

/* The fault as text for a message. Static storage. */
const char *memory_fault_string(enum memory_fault fault);

/*
 * Copies size bytes at offset, which counts from the start of the range, into buffer; offset + size
 * is never beyond the end of the range. Returns MEMORY_OK, _NOT_SAVED, _IO or _GONE. On a fault,
 * sets *fault_offset to the first offset that could not be read; the bytes before it are valid.
 */
typedef enum memory_fault memory_read_fn(void *data, uint64_t offset, void *buffer, size_t size,
					 uint64_t *fault_offset);

struct memory_range {
	gpa_t start;
	uint64_t size; /* in bytes, a multiple of the page size */
};

/* guard: false means that SIGBUS is not handled (NUNCHI_CONTEXT_NO_SIGBUS_GUARD). */
struct nunchi_error *memory_create(bool guard, struct memory **ret);
void memory_destroy(struct memory *memory);

enum memory_window_flags {
	/* file shared with a running guest: its holes must not be touched */
	MEMORY_WINDOW_LIVE = 1 << 0,
};

/*
 * Adds RAM at start, backed by size bytes of fd from file_offset. start and size are page-aligned;
 * file_offset is too unless the file is a saved guest. The descriptor is duplicated. A part of the
 * range that lies beyond the end of the file reads as MEMORY_NOT_SAVED.
 */
struct nunchi_error *memory_add_window(struct memory *memory, gpa_t start, uint64_t size, int fd,
				       uint64_t file_offset, unsigned flags);
/*
 * Adds RAM that a callback reads. destroy (may be NULL) is called with data when the memory is
 * destroyed.
 */
struct nunchi_error *memory_add_reader(struct memory *memory, gpa_t start, uint64_t size,
				       memory_read_fn *read, void (*destroy)(void *data),
				       void *data);

/* Callbacks that map a guest's pages into this process. */
struct memory_mapper_ops {
	/*
	 * Maps pages by their numbers (address / PAGE_SIZE), read-only and contiguous in the given
	 * order. Sets faults[i] (enum memory_fault) for each: MEMORY_OK if the page can be read,
	 * MEMORY_NO_RAM if the guest has no such page. Returns NULL if no page was mapped.
	 */
	void *(*map)(void *data, const uint64_t *pages, size_t count, uint8_t *faults);
	void (*unmap)(void *data, void *map, size_t count);
	void (*destroy)(void *data); /* may be NULL; called last, when everything is unmapped */
};

struct memory_mapper;

/*
 * Creates a mapper. On success the memory owns the mapper and its data. At most 256 MiB of mappings
 * are kept. A kept mapping shows the old frame if the guest gives a page back and gets another
 * frame for it; memory_renew() ends that. Captures always map pages anew.
 */
struct nunchi_error *memory_add_mapper(struct memory *memory, const struct memory_mapper_ops *ops,
				       void *data, struct memory_mapper **ret);
/* Adds RAM that a mapper of this memory maps. Some pages of the range may not exist. */
struct nunchi_error *memory_add_mapped(struct memory *memory, gpa_t start, uint64_t size,
				       struct memory_mapper *mapper);
/*
 * Does the same for a range that has hardly any RAM. Where it finds no RAM, memory_next_data()
 * examines one page in 2 MiB only, and may therefore miss small islands of RAM. Reads are not
 * affected.
 */
struct nunchi_error *memory_add_sparse(struct memory *memory, gpa_t start, uint64_t size,
				       struct memory_mapper *mapper);
/*
 * Lets the mapper also read addresses below end that lie in no range. Such pages are not counted,
 * and memory_next_data() and snapshots skip them.
 */
void memory_set_outside(struct memory *memory, gpa_t end, struct memory_mapper *mapper);
/*
 * Adds RAM that exists but cannot be read (it was left out of a dump): reads give MEMORY_NOT_SAVED.
 */
struct nunchi_error *memory_add_missing(struct memory *memory, gpa_t start, uint64_t size);
/*
 * Says that the guest had more RAM than the ranges, as for a file that was cut off: addresses in no
 * range read as MEMORY_NOT_SAVED instead of MEMORY_NO_RAM.
 */
void memory_set_incomplete(struct memory *memory);
/*
 * Sorts the ranges; fails if two overlap. Call it once, after the last range was added and before
 * the first read.
 */
struct nunchi_error *memory_seal(struct memory *memory);

/*
 * Exchanges the ranges of two sealed memories, with their windows and readers. Afterwards memory
 * has the ranges of fresh, and fresh has the old ones, for the caller to destroy. fresh must have
 * no mapper of its own. Used when a guest has other pages than when it was opened, and when the
 * bytes of a file turn out to have other addresses. Pointers of memory_map() into windows become
 * invalid.
 */
struct nunchi_error *memory_take_ranges(struct memory *memory, struct memory *fresh);

/*
 * The ranges of RAM in ascending order. Adjacent ranges stay separate if they were added
 * separately.
 */
const struct memory_range *memory_ranges(const struct memory *memory, size_t *ret_count);
/* The total size of all ranges in bytes. */
uint64_t memory_total(const struct memory *memory);
/* The address after the last byte of RAM. */
gpa_t memory_end(const struct memory *memory);

/*
 * Copies size bytes. On a fault, *ret_fault (may be NULL) is the first address that could not be
 * read, and the content of buffer is undefined.
 */
enum memory_fault memory_read(struct memory *memory, gpa_t address, void *buffer, size_t size,
			      gpa_t *ret_fault);

/*
 * A zero-copy pointer to size bytes, valid for this generation. NULL if the bytes do not lie in one
 * window or a hole is among them; then use memory_read(). The guest may change the bytes at any
 * time: copy them once, then check the copy.
 */
const void *memory_map(struct memory *memory, gpa_t address, size_t size);

/* Whether memory_fetch() saves time: true if mapping a page needs a hypercall. */
bool memory_can_fetch(const struct memory *memory);
/* Whether a read at the address needs no call to map the page; true also if the read would fail. */
bool memory_is_mapped(struct memory *memory, gpa_t address);
/*
 * Maps all pages with these numbers (address / PAGE_SIZE) in one call, at any addresses, because
 * they are about to be read. This only saves time. The mappings are kept until memory_renew().
 */
void memory_fetch(struct memory *memory, const uint64_t *pages, size_t count);

/*
 * Maps pages by their numbers, contiguous in the given order, until memory_unmap_persistent(): for
 * bytes that do not change while the guest's kernel runs. NULL if one of the pages cannot be
 * mapped. The pages are not recorded for a capture. memory_destroy() unmaps what is still mapped.
 */
const void *memory_map_persistent(struct memory *memory, const uint64_t *pages, size_t count);
void memory_unmap_persistent(struct memory *memory, const void *map);

/*
 * Finds the first extent of data at or after address. *ret_end is the end of that data, at most the
 * end of its range. False if there is none. The bytes between address and *ret_start are holes of
 * the backing file, or no RAM. Never touches a hole. For scans and snapshots.
 */
bool memory_next_data(struct memory *memory, gpa_t address, gpa_t *ret_start, gpa_t *ret_end);

/*
 * Begins a new generation: everything that is valid for one generation only becomes invalid. Not
 * needed for a saved guest.
 */
void memory_new_generation(struct memory *memory);
/*
 * Begins a new generation, and makes mappers map their pages again at the next use. Called before
 * each query, and after the guest was paused.
 */
void memory_renew(struct memory *memory);
/*
 * Differs in each generation; callers compare it to decide whether their caches are valid. Never 0.
 */
uint64_t memory_generation(const struct memory *memory);

struct memory_stats {
	uint64_t bytes_read;
	uint64_t pages_touched; /* number of distinct pages read, if counting is enabled */
};
/* Starts counting distinct pages, which costs one bit for each page of RAM. */
struct nunchi_error *memory_count_pages(struct memory *memory);
struct memory_stats memory_stats(const struct memory *memory);
/* True after a mapped file turned out to be shorter than before. */
bool memory_gone(const struct memory *memory);

/*
 * memory_capture_begin() begins a capture, which reads a consistent state while the guest is paused
 * for as short a time as possible. Steps: record what a query reads while the guest runs;
 * memory_capture_prepare(); pause the guest; memory_capture_fill(); resume the guest; run the query
 * again, which now reads the copies. If the query needs bytes that were not copied, the read
 * returns MEMORY_NOT_CAPTURED and adds them to the set, so that the next fill copies them.
 *
 * The set has at most 64 MiB of pages; for a larger set memory_capture_prepare() fails with
 * NUNCHI_ERROR_UNSUPPORTED. A page that could not be copied gives its fault when it is read. While
 * the copies are read, memory_map() works for adjacent pages of the set, whatever backs them.
 */
struct nunchi_error *memory_capture_begin(struct memory *memory);
/* Does all work that is possible before the guest is paused. Call it before each fill. */
struct nunchi_error *memory_capture_prepare(struct memory *memory);
/* Copies the set; from then on reads get the copies. Call it while the guest is paused. */
struct nunchi_error *memory_capture_fill(struct memory *memory);
/* Number of pages from which, since the last fill, a read needed bytes that were not copied. */
size_t memory_capture_misses(const struct memory *memory);
/*
 * Records reads of the guest itself again and adds them to the set, for the next
 * memory_capture_prepare() and memory_capture_fill(), which copy the whole set.
 */
void memory_capture_record(struct memory *memory);
/*
 * After a fill: whether reads get the copies (true), or the guest's memory while the copies are
 * kept.
 */
void memory_capture_replay(struct memory *memory, bool replay);
/* Whether reads get the copies. */
bool memory_capture_replays(const struct memory *memory);
/* Ends the capture and frees the copies. */
void memory_capture_end(struct memory *memory);

#endif
