/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/mm.h"
#include "guest/linux/vma.h"
#include "view/task_cells.h"

#include <stdio.h>

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id")                                                              \
	X(start, ADDRESS, "first address")                                                         \
	X(end, ADDRESS, "first address behind it")                                                 \
	X(permissions, TEXT, "r read, w write, x execute, p private or s shared, - not")           \
	X(offset, INTEGER, "of the mapping's start in the file, bytes")                            \
	X(device, TEXT, "MAJOR:MINOR of the file's file system, hexadecimal; 00:00 without file")  \
	X(inode, INTEGER, "inode number of the file; 0 without file")                              \
	X(path, TEXT, "the file's path, or a name like [heap], as in /proc/PID/maps")              \
	X(pseudo, INTEGER, "1 if it is no mapping of a file")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct memory_map {
	struct linux_kernel *kernel;
	struct linux_tasks tasks;
	struct linux_vmas walk;
	bool walking;
	bool in_gate;
	bool wants_path;
	bool has_root;
	struct linux_path root;
	int64_t pid;
	struct object task, mm, vma;
	struct buffer path;
};

static struct nunchi_error *memory_map_open(void *data, struct guest_kernel *guest,
					    const struct view_request *request)
{
	struct memory_map *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_map);
	struct nunchi_error *err;

	err = linux_tasks_init(&state->tasks, kernel, request->numbers[COLUMN_pid]);
	if (err)
		return err;
	if (!layout->task_mm.present || !layout->vma_start.present ||
	    !(layout->mm_mm_mt.present || layout->mm_mmap.present)) {
		linux_tasks_deinit(&state->tasks);
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "mappings cannot be walked: this kernel's types lack "
				    "task_struct.mm, vm_area_struct, or both mm_struct.mm_mt and "
				    "mm_struct.mmap");
	}
	state->kernel = kernel;
	state->wants_path = view_wants(request, COLUMN_path);
	state->has_root = state->wants_path && linux_init_root(kernel, &state->root);
	return NULL;
}

static void fill_permissions(struct view_row *row, uint64_t flags)
{
	char text[] = {
	    flags & LINUX_VM_READ ? 'r' : '-',
	    flags & LINUX_VM_WRITE ? 'w' : '-',
	    flags & LINUX_VM_EXEC ? 'x' : '-',
	    flags & LINUX_VM_MAYSHARE ? 's' : 'p',
	};

	row_text(row, COLUMN_permissions, text, sizeof(text));
}

static void fill_file(struct memory_map *state, struct view_row *row)
{
	struct linux_mapping mapping;
	char device[32];
	int size;

	buffer_clear(&state->path);
	linux_vma_describe(state->kernel, &state->mm, &state->vma,
			   state->has_root ? &state->root : NULL, &mapping, &state->path);
	row_integer(row, COLUMN_offset, (int64_t)mapping.offset);
	row_integer(row, COLUMN_pseudo, !mapping.has_file);
	if (mapping.inode_fault == MEMORY_OK) {
		size = snprintf(device, sizeof(device), "%02llx:%02llx",
				(unsigned long long)mapping.device >> 20,
				(unsigned long long)mapping.device & 0xfffff);
		row_text(row, COLUMN_device, device, (size_t)size);
		row_integer(row, COLUMN_inode, (int64_t)mapping.inode);
	} else {
		row_absent(row, COLUMN_device, row_absence_of(mapping.inode_fault));
		row_absent(row, COLUMN_inode, row_absence_of(mapping.inode_fault));
	}
	if (mapping.name_fault == MEMORY_OK)
		row_text(row, COLUMN_path, buffer_string(&state->path), state->path.size);
	else
		row_absent(row, COLUMN_path, row_absence_of(mapping.name_fault));
}

static bool fill(void *data, struct view_row *row)
{
	struct memory_map *state = data;
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t mm = state->mm.address;

	/* The mapping, and the process that it belongs to, may be gone or be another by now. */
	if (!linux_task_keeps(kernel, &state->task, &layout->task_mm) ||
	    linux_read_object(kernel, LAYOUT_mm, mm, &state->mm) != MEMORY_OK ||
	    linux_read_object(kernel, LAYOUT_vma, state->vma.address, &state->vma) != MEMORY_OK ||
	    (!state->in_gate && object_u64(&state->vma, &layout->vma_mm) != mm))
		return false;
	row_integer(row, COLUMN_pid, state->pid);
	row_address(row, COLUMN_start, object_u64(&state->vma, &layout->vma_start));
	row_address(row, COLUMN_end, object_u64(&state->vma, &layout->vma_end));
	fill_permissions(row, object_u64(&state->vma, &layout->vma_flags));
	if (!state->in_gate) {
		fill_file(state, row);
		return true;
	}
	row_integer(row, COLUMN_offset, 0);
	row_integer(row, COLUMN_inode, 0);
	row_integer(row, COLUMN_pseudo, 1);
	row_string(row, COLUMN_device, "00:00");
	row_string(row, COLUMN_path, "[vsyscall]");
	return true;
}

/* The next mapping of the process at hand, the gate last. */
static bool next_mapping(struct memory_map *state, struct view_row *row)
{
	if (!state->walking)
		return false;
	if (!state->in_gate && linux_vmas_next(&state->walk, &state->vma))
		return true;
	if (!state->in_gate && state->walk.broken &&
	    linux_task_keeps(state->kernel, &state->task, &state->kernel->layout.task_mm))
		row_warn(row, "process %lld: its list of mappings is broken: only %llu are shown",
			 (long long)state->pid, (unsigned long long)state->walk.count);
	if (!state->in_gate && linux_gate_vma(state->kernel, &state->mm, &state->vma)) {
		state->in_gate = true;
		return true;
	}
	state->walking = false;
	return false;
}

/* Starts the walk of the next process's mappings; false at the end of the processes. */
static bool next_process(struct memory_map *state)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t mm;

	if (!linux_tasks_next(&state->tasks, &state->task))
		return false;
	state->pid = object_s64(&state->task, &layout->task_pid);
	state->in_gate = false;
	mm = object_u64(&state->task, &layout->task_mm);
	linux_vmas_deinit(&state->walk);
	state->walking = mm && linux_read_object(kernel, LAYOUT_mm, mm, &state->mm) == MEMORY_OK &&
			 linux_vmas_init(&state->walk, kernel, mm);
	return true;
}

static struct nunchi_error *memory_map_next(void *data, struct view_row *row)
{
	struct memory_map *state = data;

	do {
		while (next_mapping(state, row)) {
			if (row_settle(row, &state->kernel->guest, UINT64_MAX, fill, state))
				return NULL;
		}
	} while (next_process(state));
	task_list_ended(row, &state->tasks);
	return &error_stop;
}

static void memory_map_close(void *data)
{
	struct memory_map *state = data;

	linux_tasks_deinit(&state->tasks);
	linux_vmas_deinit(&state->walk);
	object_deinit(&state->task);
	object_deinit(&state->mm);
	object_deinit(&state->vma);
	buffer_deinit(&state->path);
}

const struct view view_process_memory_map = {
    .schema = {"process_memory_map", "memory mappings of all processes", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct memory_map), memory_map_open, memory_map_next,
		   memory_map_close}},
};
