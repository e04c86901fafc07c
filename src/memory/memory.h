/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest-physical memory: what ranges of RAM there are and how their bytes are reached. The only
 * place that touches a mapping of guest memory.
 *
 * A range is backed by a window (a file mapped read-only, zero-copy), by a mapper (callbacks by
 * which a hypervisor maps pages into our process) or by a reader (a callback that copies). Bytes
 * are valid for one generation: for ever on a saved guest, until resume on a paused one, for one
 * request on a running one (memory_new_generation() starts the next).
 *
 * Windows of a live guest's shared file are never touched where the file has a hole, since that
 * would make it grow: holes are found with SEEK_DATA/SEEK_HOLE and read as zeros. The same care is
 * taken of a saved guest on tmpfs.
 *
 * If a mapped file is truncated while we read, the SIGBUS guard puts zeros there, the read gives
 * MEMORY_GONE and the memory stays marked so (memory_gone()). What is left of the file can still
 * be read, but no longer be mapped. Not thread-safe: one thread at a time.
 */
#ifndef NUNCHI_MEMORY_MEMORY_H
#define NUNCHI_MEMORY_MEMORY_H

#include "arch/address.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;

/* Small fault values, for errors that are everyday. Also used for virtual reads. */
enum memory_fault {
	MEMORY_OK,
	MEMORY_NOT_MAPPED,   /* virtual: the page tables have nothing there (not present) */
	MEMORY_PAGED_OUT,    /* not in RAM: swapped out by the hypervisor, or by the guest */
	MEMORY_NO_RAM,       /* physical: no RAM at that address */
	MEMORY_NOT_SAVED,    /* physical: RAM that the saved guest does not contain */
	MEMORY_IO,           /* the target could not read it */
	MEMORY_GONE,         /* the guest or its file disappeared */
	MEMORY_NOT_CAPTURED, /* replaying a capture: it is not in it */
};

const char *memory_fault_string(enum memory_fault fault);

/*
 * Copies size bytes at offset (from the range's start, never beyond its end) into buffer.
 * Returns MEMORY_OK, _NOT_SAVED, _IO or _GONE; on a fault sets *fault_offset to the first offset
 * that could not be read (bytes before it are valid).
 */
typedef enum memory_fault memory_read_fn(void *data, uint64_t offset, void *buffer, size_t size,
					 uint64_t *fault_offset);

struct memory_range {
	gpa_t start;
	uint64_t size; /* bytes, a multiple of the page size */
};

/* guard: false leaves SIGBUS alone (the context's opt-out). */
struct nunchi_error *memory_create(bool guard, struct memory **ret);
void memory_destroy(struct memory *memory);

enum memory_window_flags {
	MEMORY_WINDOW_LIVE = 1 << 0, /* shared with a running guest: holes must not be touched */
};

/*
 * Adds RAM at start, backed by size bytes of fd from file_offset (both page-aligned unless the
 * file is a saved guest, where any offset will do). The descriptor is duplicated. A range past the
 * end of the file is kept and reads as MEMORY_NOT_SAVED.
 */
struct nunchi_error *memory_add_window(struct memory *memory, gpa_t start, uint64_t size, int fd,
				       uint64_t file_offset, unsigned flags);
/* Adds RAM reached by a callback. destroy (may be NULL) is called with data at the end. */
struct nunchi_error *memory_add_reader(struct memory *memory, gpa_t start, uint64_t size,
				       memory_read_fn *read, void (*destroy)(void *data),
				       void *data);

/* How a hypervisor's pages are mapped into our process. */
struct memory_mapper_ops {
	/*
	 * Maps pages by their numbers (address / PAGE_SIZE), read-only, one behind the other.
	 * Sets faults[i] (enum memory_fault) of each: MEMORY_OK if it can be touched there,
	 * MEMORY_NO_RAM where the guest has none. NULL if none is mapped.
	 */
	void *(*map)(void *data, const uint64_t *pages, size_t count, uint8_t *faults);
	void (*unmap)(void *data, void *map, size_t count);
	void (*destroy)(void *data); /* may be NULL; called at the end, all being unmapped */
};

struct memory_mapper;

/*
 * Makes a mapper, which the memory owns with its data once this succeeds. Mappings are kept, 256
 * MiB of them at most: a page that the guest gives back and gets anew meanwhile is seen as it was,
 * until memory_renew(). What is captured is mapped for that alone.
 */
struct nunchi_error *memory_add_mapper(struct memory *memory, const struct memory_mapper_ops *ops,
				       void *data, struct memory_mapper **ret);
/* Adds RAM reached by a mapper of this memory. Pages without RAM may be among it. */
struct nunchi_error *memory_add_mapped(struct memory *memory, gpa_t start, uint64_t size,
				       struct memory_mapper *mapper);
/*
 * The same where hardly any is expected: memory_next_data() looks at one page of each 2 MiB behind
 * a stretch without RAM, so that small islands in it are not found. Reads know no difference.
 */
struct nunchi_error *memory_add_sparse(struct memory *memory, gpa_t start, uint64_t size,
				       struct memory_mapper *mapper);
/*
 * Addresses below end that are in no range are read by the mapper too. They are not counted, not
 * searched and not saved.
 */
void memory_set_outside(struct memory *memory, gpa_t end, struct memory_mapper *mapper);
/* Adds RAM known to exist but not to be had (left out of a dump): reads as MEMORY_NOT_SAVED. */
struct nunchi_error *memory_add_missing(struct memory *memory, gpa_t start, uint64_t size);
/*
 * Says that the ranges are not all there were, as in a file that was cut off: where there is none
 * reads as MEMORY_NOT_SAVED, not as MEMORY_NO_RAM.
 */
void memory_set_incomplete(struct memory *memory);
/* Sorts; fails if ranges overlap. Call once after the last add, before the first read. */
struct nunchi_error *memory_seal(struct memory *memory);

/*
 * The ranges of a sealed memory are from now on those of fresh, with its windows and readers, and
 * fresh, which is sealed and has no mapper of its own, has the old ones: it is the caller's to
 * destroy. For a guest that has other pages than when it was opened, and for a file whose bytes
 * prove to have other addresses. Pointers by memory_map() into windows end.
 */
struct nunchi_error *memory_take_ranges(struct memory *memory, struct memory *fresh);

/* The RAM ranges in ascending order (neighbours that touch are separate where added so). */
const struct memory_range *memory_ranges(const struct memory *memory, size_t *ret_count);
uint64_t memory_total(const struct memory *memory);
/* One more than the last RAM byte's address. */
gpa_t memory_end(const struct memory *memory);

/* Copies size bytes; all or a fault, with *ret_fault (may be NULL) the first address concerned. */
enum memory_fault memory_read(struct memory *memory, gpa_t address, void *buffer, size_t size,
			      gpa_t *ret_fault);

/*
 * A zero-copy pointer to size bytes, valid for this generation; NULL where the bytes are not in
 * one window, or a hole is among them (then use memory_read()). The guest may change the bytes at
 * any time: copy once, then check.
 */
const void *memory_map(struct memory *memory, gpa_t address, size_t size);

/* Whether memory_fetch() saves time: else pages need no call to be mapped. */
bool memory_can_fetch(const struct memory *memory);
/* Whether a read there needs no call to map the page; also where the read ends in a fault. */
bool memory_is_mapped(struct memory *memory, gpa_t address);
/*
 * Makes pages ready, by their numbers (address / PAGE_SIZE), that are about to be read: mapped all
 * in one call, wherever they lie. Only saves time; they are kept until memory_renew().
 */
void memory_fetch(struct memory *memory, const uint64_t *pages, size_t count);

/*
 * Maps pages by their numbers, one behind the other, until memory_unmap_persistent(): for what does
 * not change while the guest's kernel runs. NULL where not every one of them can be mapped. Not
 * recorded for a capture. What is left is unmapped with the memory.
 */
const void *memory_map_persistent(struct memory *memory, const uint64_t *pages, size_t count);
void memory_unmap_persistent(struct memory *memory, const void *map);

/*
 * The extent of data at or after address: sets *ret_start and *ret_end (end of that data, at most
 * the end of its range) and returns true, or false if there is none. What lies between is a hole of
 * the backing file or no RAM. For scans and snapshots; never touches a hole.
 */
bool memory_next_data(struct memory *memory, gpa_t address, gpa_t *ret_start, gpa_t *ret_end);

/* Drops what is valid for one generation only. A saved guest never needs it. */
void memory_new_generation(struct memory *memory);
/*
 * The same, and what was mapped by a mapper is mapped anew when it is next used: for each query,
 * and once the guest is paused.
 */
void memory_renew(struct memory *memory);
/* Changes with each generation; caches above compare it. Never 0. */
uint64_t memory_generation(const struct memory *memory);

struct memory_stats {
	uint64_t bytes_read;
	uint64_t pages_touched; /* distinct pages, counted while enabled */
};
/* Counting distinct pages costs a bit per page of RAM; off at first. */
struct nunchi_error *memory_count_pages(struct memory *memory);
struct memory_stats memory_stats(const struct memory *memory);
/* True once a mapped file shrank under us. */
bool memory_gone(const struct memory *memory);

/*
 * Capture: the way to read a consistent state while the guest is paused for as short as possible.
 * Record what a query reads while the guest runs, memory_capture_prepare(), pause,
 * memory_capture_fill(), resume, and run the query again on the copies. What it then wants that was
 * not copied gives MEMORY_NOT_CAPTURED and is added to the set, so that the next fill has it.
 *
 * From at most 64 MiB of pages; a larger set makes memory_capture_prepare() fail with
 * NUNCHI_ERROR_UNSUPPORTED. What could not be copied gives its fault when it is replayed.
 * memory_map() of pages that are neighbours works while replaying, whatever backs them.
 */
struct nunchi_error *memory_capture_begin(struct memory *memory); /* starts recording */
/* All that can be done before the guest is paused; to be called before each fill. */
struct nunchi_error *memory_capture_prepare(struct memory *memory);
struct nunchi_error *memory_capture_fill(struct memory *memory); /* copies, starts replaying */
/* Pages of which the last fill lacks something that was wanted since. */
size_t memory_capture_misses(const struct memory *memory);
/*
 * Records again, on the guest itself, what is read: it is added to the set, for a next
 * memory_capture_prepare() and memory_capture_fill() of all of the set.
 */
void memory_capture_record(struct memory *memory);
/* After a fill: whether reads are given the copies or, the copies being kept, the guest's memory.
 */
void memory_capture_replay(struct memory *memory, bool replay);
/* True while reads are given the copies. */
bool memory_capture_replays(const struct memory *memory);
void memory_capture_end(struct memory *memory);

#endif
