/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/memory_use.h"

#include "guest/linux/machine.h"
#include "view/view.h"

#define COLUMNS(X)                                                                                 \
	X(memory_total, BYTES, "bytes of RAM that the kernel manages (MemTotal)")                  \
	X(memory_free, BYTES, "bytes that nothing uses")                                           \
	X(buffers, BYTES, "bytes of block devices in the page cache")                              \
	X(cached, BYTES, "bytes of files in the page cache")                                       \
	X(swap_cached, BYTES, "bytes that are in RAM and in swap alike")                           \
	X(active, BYTES, "bytes that were used lately")                                            \
	X(inactive, BYTES, "bytes that are the first to be given back")                            \
	X(swap_total, BYTES, "bytes of all swap areas")                                            \
	X(swap_free, BYTES, "bytes of swap that nothing uses")                                     \
	X(shared, BYTES, "bytes of tmpfs and shared memory, which are in `cached` too (Shmem)")    \
	X(slab_reclaimable, BYTES, "bytes of kernel objects that can be given back")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static const unsigned uses[LINUX_MEMORY_USES] = {
    [LINUX_MEMORY_FREE] = COLUMN_memory_free,      [LINUX_MEMORY_BUFFERS] = COLUMN_buffers,
    [LINUX_MEMORY_CACHED] = COLUMN_cached,         [LINUX_MEMORY_SWAP_CACHED] = COLUMN_swap_cached,
    [LINUX_MEMORY_ACTIVE] = COLUMN_active,         [LINUX_MEMORY_INACTIVE] = COLUMN_inactive,
    [LINUX_MEMORY_SHARED] = COLUMN_shared,         [LINUX_MEMORY_SLAB] = COLUMN_slab_reclaimable,
    [LINUX_MEMORY_SWAP_TOTAL] = COLUMN_swap_total, [LINUX_MEMORY_SWAP_FREE] = COLUMN_swap_free,
};

struct memory_info {
	struct linux_kernel *kernel;
	bool done;
};

static struct nunchi_error *memory_info_open(void *data, struct guest_kernel *guest,
					     const struct view_request *request)
{
	struct memory_info *state = data;

	(void)request;
	state->kernel = linux_kernel_of(guest);
	return NULL;
}

static struct nunchi_error *memory_info_next(void *data, struct view_row *row)
{
	struct memory_info *state = data;
	struct linux_memory memory;
	enum read_result result;
	int64_t total = 0;

	if (state->done)
		return &error_stop;
	state->done = true;
	result = linux_total_memory(state->kernel, &total);
	row_read_integer(row, COLUMN_memory_total, result, total);
	linux_memory_use(state->kernel, &memory);
	for (size_t i = 0; i < LINUX_MEMORY_USES; i++)
		row_read_integer(row, uses[i], memory.result[i], memory.bytes[i]);
	return NULL;
}

const struct view view_memory_info = {
    .schema = {"memory_info", "how the guest uses its memory", columns, ARRAY_SIZE(columns),
	       .changing = ~VIEW_COLUMN_BIT(COLUMN_memory_total)},
    .providers = {{&guest_linux, sizeof(struct memory_info), memory_info_open, memory_info_next,
		   NULL}},
};
