/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "allocations.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library's own, under the names that it exports for replacements like this one. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

#define RANGES_MAX 8
#define LIVE_SLOTS ((size_t)1 << 18)
#define REMOVED    ((void *)1)

struct range {
	uintptr_t start, end;
};

static struct {
	struct range ranges[RANGES_MAX]; /* of code whose allocations are counted */
	size_t range_count;
	const void *own;
	uintptr_t base; /* where the program is loaded */
	bool on, and_on;
	uint64_t count, fail_at, failed;
	void *trace[ALLOCATIONS_TRACE];
	int trace_size;
	void *live[LIVE_SLOTS]; /* a hash table of addresses */
	uint32_t touched[LIVE_SLOTS];
	size_t live_count, touched_count;
	bool overflow;
} state;

/* ---- Whose code asks ------------------------------------------------------------------------- */

static void add_range(uintptr_t start, uintptr_t end)
{
	if (state.range_count < RANGES_MAX)
		state.ranges[state.range_count++] = (struct range){start, end};
}

/* The program comes first, without a name. */
static int take_object(struct dl_phdr_info *info, size_t size, void *data)
{
	bool *first = data, is_program = *first;

	(void)size;
	*first = false;
	if (is_program)
		state.base = info->dlpi_addr;
	if (!is_program && !strstr(info->dlpi_name, "/libc.so"))
		return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		add_range(is_program && state.own ? (uintptr_t)state.own : start,
			  start + segment->p_memsz);
	}
	return 0;
}

void allocations_init(const void *own)
{
	void *frames[2];
	bool first = true;

	/* Its first call loads a library. */
	backtrace(frames, 2);
	state.own = own;
	dl_iterate_phdr(take_object, &first);
}

static bool is_counted(const void *caller)
{
	if (!state.on)
		return false;
	for (size_t i = 0; i < state.range_count; i++) {
		if ((uintptr_t)caller - state.ranges[i].start <
		    state.ranges[i].end - state.ranges[i].start)
			return true;
	}
	return false;
}

/* ---- What is live ---------------------------------------------------------------------------- */

static size_t slot_of(const void *memory)
{
	return (size_t)(((uintptr_t)memory >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 40) % LIVE_SLOTS;
}

static void *remember(void *memory)
{
	size_t slot = slot_of(memory);

	if (!memory)
		return NULL;
	if (state.touched_count >= LIVE_SLOTS / 2) {
		state.overflow = true;
		return memory;
	}
	while (state.live[slot] && state.live[slot] != REMOVED)
		slot = (slot + 1) % LIVE_SLOTS;
	if (!state.live[slot])
		state.touched[state.touched_count++] = (uint32_t)slot;
	state.live[slot] = memory;
	state.live_count++;
	return memory;
}

/* Whether it was counted. */
static bool forget(const void *memory)
{
	if (!memory || !state.live_count)
		return false;
	for (size_t slot = slot_of(memory); state.live[slot]; slot = (slot + 1) % LIVE_SLOTS) {
		if (state.live[slot] == memory) {
			state.live[slot] = REMOVED;
			state.live_count--;
			return true;
		}
	}
	return false;
}

size_t allocations_live(void)
{
	return state.overflow ? 0 : state.live_count;
}

/* ---- Failing --------------------------------------------------------------------------------- */

void allocations_begin(uint64_t fail_at, bool and_on)
{
	while (state.touched_count)
		state.live[state.touched[--state.touched_count]] = NULL;
	state.live_count = 0;
	state.overflow = false;
	state.count = state.failed = 0;
	state.trace_size = 0;
	state.fail_at = fail_at;
	state.and_on = and_on;
	state.on = true;
}

uint64_t allocations_end(void)
{
	state.on = false;
	return state.count;
}

uint64_t allocations_failed(void)
{
	return state.failed;
}

static void print_trace(int fd, void *const *trace, int size)
{
	/* The first two are this file's own, or a handler and what called it. */
	for (int i = 2; i < size; i++)
		dprintf(fd, " %#lx", (unsigned long)((uintptr_t)trace[i] - state.base));
	dprintf(fd, "\n");
}

void allocations_print_place(int fd)
{
	state.on = false;
	dprintf(fd, "  asked for at");
	print_trace(fd, state.trace, state.trace_size);
}

void allocations_print_here(int fd)
{
	void *trace[ALLOCATIONS_TRACE];

	state.on = false;
	dprintf(fd, "  was at");
	print_trace(fd, trace, backtrace(trace, ALLOCATIONS_TRACE));
}

/* Counts one; whether it is to fail. */
static bool fails(void)
{
	state.count++;
	if (!state.fail_at || state.count < state.fail_at ||
	    (state.count > state.fail_at && !state.and_on))
		return false;
	if (!state.failed++) {
		state.on = false;
		state.trace_size = backtrace(state.trace, ALLOCATIONS_TRACE);
		state.on = true;
	}
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	if (!is_counted(__builtin_return_address(0)))
		return __libc_malloc(size);
	return fails() ? NULL : remember(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	if (!is_counted(__builtin_return_address(0)))
		return __libc_calloc(count, size);
	return fails() ? NULL : remember(__libc_calloc(count, size));
}

/* A counted block stays counted, whoever makes it larger. */
void *realloc(void *old, size_t size)
{
	bool counted = is_counted(__builtin_return_address(0));
	void *memory;

	if (counted && fails())
		return NULL;
	counted = forget(old) || counted;
	memory = __libc_realloc(old, size);
	if (counted)
		remember(memory || !size ? memory : old);
	return memory;
}

void *reallocarray(void *old, size_t count, size_t size)
{
	bool counted = is_counted(__builtin_return_address(0));
	size_t bytes;
	void *memory;

	if (__builtin_mul_overflow(count, size, &bytes) || (counted && fails())) {
		errno = ENOMEM;
		return NULL;
	}
	counted = forget(old) || counted;
	memory = __libc_realloc(old, bytes);
	if (counted)
		remember(memory || !bytes ? memory : old);
	return memory;
}

void free(void *memory)
{
	int saved = errno;

	forget(memory);
	__libc_free(memory);
	errno = saved;
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (is_counted(__builtin_return_address(0)) && fails())
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}
