/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/vma.h"
#include "view/linux_cells.h"

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
	struct process_walk processes;
	const struct linux_path *root;
	bool wants_path;
	struct linux_mappings walk;
};

static struct nunchi_error *memory_map_open(void *data, struct guest_kernel *guest,
					    const struct view_request *request)
{
	struct memory_map *state = data;

	state->wants_path = view_wants(request, COLUMN_path);
	return process_walk_open(&state->processes, guest, request->numbers[COLUMN_pid],
				 linux_mappings_check);
}

static bool fill(void *data, struct view_row *row)
{
	struct memory_map *state = data;
	struct buffer *text = &state->processes.text;
	struct linux_mapping mapping;

	buffer_clear(text);
	if (!linux_mappings_get(&state->walk, state->root, &mapping, text))
		return false;
	row_integer(row, COLUMN_pid, state->processes.pid);
	row_address(row, COLUMN_start, mapping.start);
	row_address(row, COLUMN_end, mapping.end);
	row_read_text(row, COLUMN_path, mapping.name_fault, text);
	row_integer(row, COLUMN_offset, (int64_t)mapping.offset);
	row_integer(row, COLUMN_pseudo, !mapping.has_file);
	row_read_integer(row, COLUMN_inode, mapping.inode_fault, (int64_t)mapping.inode);
	row_device(row, COLUMN_device, mapping.inode_fault, mapping.device, text);
	buffer_clear(text);
	buffer_append_char(text, mapping.flags & LINUX_VM_READ ? 'r' : '-');
	buffer_append_char(text, mapping.flags & LINUX_VM_WRITE ? 'w' : '-');
	buffer_append_char(text, mapping.flags & LINUX_VM_EXEC ? 'x' : '-');
	buffer_append_char(text, mapping.flags & LINUX_VM_MAYSHARE ? 's' : 'p');
	row_read_text(row, COLUMN_permissions, text->failed ? READ_NO_MEMORY : READ_OK, text);
	return true;
}

static struct nunchi_error *memory_map_next(void *data, struct view_row *row)
{
	struct memory_map *state = data;
	struct process_walk *processes = &state->processes;

	for (;;) {
		while (linux_mappings_next(&state->walk)) {
			if (row_settle(row, &processes->kernel->guest, UINT64_MAX, fill, state))
				return NULL;
		}
		process_walk_warn(processes, row, state->walk.broken,
				  "not all of its mappings are shown");
		process_walk_warn(processes, row, state->walk.gate,
				  "it is unknown whether it has the vsyscall page");
		linux_mappings_deinit(&state->walk);
		if (!process_walk_next(processes, row))
			return &error_stop;
		if (state->wants_path)
			state->root = process_walk_root(processes, row);
		process_walk_warn_of_first(
		    processes, row,
		    linux_mappings_init(&state->walk, processes->kernel, &processes->task),
		    "its mappings cannot be read", "its mappings are");
	}
}

static void memory_map_close(void *data)
{
	struct memory_map *state = data;

	process_walk_close(&state->processes);
	linux_mappings_deinit(&state->walk);
}

const struct view view_process_memory_map = {
    .schema = {"process_memory_map", "memory mappings of all processes", columns,
	       ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_pid) | VIEW_COLUMN_BIT(COLUMN_start)},
    .providers = {{&guest_linux, sizeof(struct memory_map), memory_map_open, memory_map_next,
		   memory_map_close}},
};
