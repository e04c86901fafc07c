/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/files.h"
#include "guest/linux/mm.h"
#include "guest/linux/path.h"
#include "view/task_cells.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id")                                                              \
	X(fd, INTEGER, "descriptor")                                                               \
	X(path, TEXT, "the file's path, or a name like pipe:[INODE], as in /proc/PID/fd")          \
	X(offset, INTEGER, "position in the file, bytes")                                          \
	X(flags, OCTAL, "of open(2), with the descriptor's O_CLOEXEC, as in /proc/PID/fdinfo")   \
	X(inode, INTEGER, "inode number of the file")                                              \
	X(file, ADDRESS, "address of its struct file")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

#define UNSTABLE VIEW_COLUMN_BIT(COLUMN_offset)

struct open_files {
	struct linux_kernel *kernel;
	struct linux_tasks tasks;
	struct linux_files walk;
	bool walking;
	bool wants_path;
	const struct number_filter *fds; /* the descriptors wanted; NULL: all */
	bool has_root;
	struct linux_path root;
	int64_t pid;
	uint64_t fd;
	struct object task, file;
	struct buffer path;
};

static struct nunchi_error *open_files_open(void *data, struct guest_kernel *guest,
					    const struct view_request *request)
{
	struct open_files *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_files);
	struct nunchi_error *err;

	err = linux_tasks_init(&state->tasks, kernel, request->numbers[COLUMN_pid]);
	if (err)
		return err;
	if (!layout->task_files.present || !layout->files_fdt.present ||
	    !layout->fdtable_fd.present || !layout->fdtable_open_fds.present ||
	    !linux_has_field(kernel, &layout->file_path)) {
		linux_tasks_deinit(&state->tasks);
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "open files cannot be walked: this kernel's types lack a field "
				    "of task_struct, files_struct, fdtable or file");
	}
	state->kernel = kernel;
	state->fds = request->numbers[COLUMN_fd];
	state->wants_path = view_wants(request, COLUMN_path);
	state->has_root = state->wants_path && linux_init_root(kernel, &state->root);
	return NULL;
}

static void fill_path(struct open_files *state, struct view_row *row, uint64_t file)
{
	enum memory_fault fault;

	buffer_clear(&state->path);
	fault = linux_file_path(state->kernel, file, state->has_root ? &state->root : NULL,
				&state->path);
	if (fault == MEMORY_OK)
		row_text(row, COLUMN_path, buffer_string(&state->path), state->path.size);
	else
		row_absent(row, COLUMN_path, row_absence_of(fault));
}

static bool fill(void *data, struct view_row *row)
{
	struct open_files *state = data;
	struct linux_open_file file;

	if (!linux_task_keeps(state->kernel, &state->task, &state->kernel->layout.task_files) ||
	    !linux_files_get(&state->walk, state->fd, &state->file, &file))
		return false;
	row_integer(row, COLUMN_pid, state->pid);
	row_integer(row, COLUMN_fd, (int64_t)state->fd);
	row_integer(row, COLUMN_offset, file.offset);
	row_integer(row, COLUMN_flags, (int64_t)file.flags);
	row_address(row, COLUMN_file, file.file);
	if (file.has_inode)
		row_integer(row, COLUMN_inode, (int64_t)file.inode);
	else
		row_absent(row, COLUMN_inode, NUNCHI_ABSENT_NOT_MAPPED);
	if (state->wants_path)
		fill_path(state, row, file.file);
	return true;
}

/* Starts the walk of the next process's files; false at the end of the processes. */
static bool next_process(struct open_files *state, struct view_row *row)
{
	const struct layout *layout = &state->kernel->layout;
	enum memory_fault fault;
	uint64_t files;

	if (!linux_tasks_next(&state->tasks, &state->task))
		return false;
	state->pid = object_s64(&state->task, &layout->task_pid);
	files = object_u64(&state->task, &layout->task_files);
	linux_files_deinit(&state->walk);
	fault = linux_files_init(&state->walk, state->kernel, files);
	state->walking = fault == MEMORY_OK;
	if (state->fds && state->fds->low > 0)
		state->walk.next = (uint64_t)state->fds->low;
	if (!files && linux_task_has_other_threads(state->kernel, &state->task))
		row_warn(row,
			 "process %lld: its first thread has ended, so that its open files are "
			 "not shown",
			 (long long)state->pid);
	if (files && !state->walking &&
	    linux_task_keeps(state->kernel, &state->task, &layout->task_files))
		row_warn(row, "process %lld: its table of open files cannot be read: %s",
			 (long long)state->pid, memory_fault_string(fault));
	return true;
}

/* Says why a process's list of files may not be whole. */
static void warn_of(const struct open_files *state, struct view_row *row)
{
	if (state->walk.broken)
		row_warn(row, "process %lld: its list of open files is cut short after %llu",
			 (long long)state->pid, (unsigned long long)state->walk.next);
	else if (state->walk.limited)
		row_warn(row, "process %lld: descriptors from %llu on are not shown",
			 (long long)state->pid, (unsigned long long)LINUX_MAX_FDS);
}

static struct nunchi_error *open_files_next(void *data, struct view_row *row)
{
	struct open_files *state = data;

	do {
		while (state->walking && linux_files_next(&state->walk, &state->fd)) {
			if (state->fds && (int64_t)state->fd > state->fds->high)
				break;
			if (!number_filter_passes(state->fds, (int64_t)state->fd))
				continue;
			if (row_settle(row, &state->kernel->guest, ~UNSTABLE, fill, state))
				return NULL;
		}
		if (state->walking)
			warn_of(state, row);
		state->walking = false;
	} while (next_process(state, row));
	task_list_ended(row, &state->tasks);
	return &error_stop;
}

static void open_files_close(void *data)
{
	struct open_files *state = data;

	linux_tasks_deinit(&state->tasks);
	linux_files_deinit(&state->walk);
	object_deinit(&state->task);
	object_deinit(&state->file);
	buffer_deinit(&state->path);
}

const struct view view_process_open_files = {
    .schema = {"process_open_files", "open files of all processes", columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct open_files), open_files_open, open_files_next,
		   open_files_close}},
};
