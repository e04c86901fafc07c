/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/files.h"
#include "guest/linux/mm.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id")                                                              \
	X(fd, INTEGER, "descriptor")                                                               \
	X(path, TEXT, "the file's path, or a name like pipe:[INODE], as in /proc/PID/fd")          \
	X(offset, INTEGER, "position in the file, bytes")                                          \
	X(flags, OCTAL, "of open(2), with the descriptor's O_CLOEXEC, as in /proc/PID/fdinfo")     \
	X(inode, INTEGER, "inode number of the file")                                              \
	X(file, ADDRESS, "address of its struct file")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

#define UNSTABLE VIEW_COLUMN_BIT(COLUMN_offset)

struct open_files {
	struct process_walk processes;
	const struct view_request *request;
	const struct number_filter *fds; /* descriptors to show; NULL: all */
	const struct linux_path *root;
	struct linux_files walk;
	bool walking;
	uint64_t fd;
	struct object file;
};

static struct nunchi_error *open_files_open(void *data, struct guest_kernel *guest,
					    const struct view_request *request)
{
	struct open_files *state = data;

	state->request = request;
	state->fds = request->numbers[COLUMN_fd];
	return process_walk_open(&state->processes, guest, request->numbers[COLUMN_pid],
				 linux_files_check);
}

static bool fill(void *data, struct view_row *row)
{
	struct open_files *state = data;
	struct process_walk *processes = &state->processes;
	enum read_result path = READ_OK;
	struct linux_open_file file;

	if (!linux_files_belong(&state->walk, &processes->task) ||
	    !linux_files_get(&state->walk, state->fd, &state->file, &file))
		return false;
	row_integer(row, COLUMN_pid, processes->pid);
	row_integer(row, COLUMN_fd, (int64_t)state->fd);
	row_read_address(row, COLUMN_file, file.file ? READ_OK : file.result, file.file);
	row_read_integer(row, COLUMN_offset, file.result, file.offset);
	row_read_integer(row, COLUMN_flags, file.flags_result, (int64_t)file.flags);
	row_read_integer(row, COLUMN_inode, file.inode_result, (int64_t)file.inode);
	if (!view_wants(state->request, COLUMN_path))
		return true;
	buffer_clear(&processes->text);
	path = file.result;
	if (path == READ_OK)
		path = linux_file_path(processes->kernel, file.file, state->root, &processes->text);
	row_read_text(row, COLUMN_path, path, &processes->text);
	return true;
}

/* Begins to walk over the files of the current process. */
static void start(struct open_files *state, struct view_row *row)
{
	struct process_walk *processes = &state->processes;
	enum read_result result;

	if (view_wants(state->request, COLUMN_path))
		state->root = process_walk_root(processes, row);
	linux_files_deinit(&state->walk);
	result = linux_task_files(&state->walk, processes->kernel, &processes->task);
	state->walking = result == READ_OK;
	if (state->fds && state->fds->low > 0)
		state->walk.next = (uint64_t)state->fds->low;
	process_walk_warn(processes, row, result, "its table of open files cannot be read");
	if (result == READ_NONE &&
	    linux_task_has_other_threads(processes->kernel, &processes->task))
		row_warn(row,
			 "process %lld: its first thread has ended, so that its open files are "
			 "not shown",
			 (long long)processes->pid);
}

/* Warns if the list of the process's files is incomplete. */
static void end(struct open_files *state, struct view_row *row)
{
	if (!state->walking)
		return;
	process_walk_warn(&state->processes, row, state->walk.broken,
			  "its list of open files is cut short");
	if (!state->processes.kernel->guest.live && state->walk.reserved)
		row_warn(row,
			 "process %lld: %llu descriptors are in use, but the table has no file for "
			 "them: a file is being opened, or the table is damaged",
			 (long long)state->processes.pid, (unsigned long long)state->walk.reserved);
	if (state->walk.odd_size)
		row_warn(row, "process %lld: its table of open files has an impossible size",
			 (long long)state->processes.pid);
	if (!state->walk.broken && state->walk.limited)
		row_warn(row, "process %lld: descriptors from %llu on are not shown",
			 (long long)state->processes.pid, (unsigned long long)LINUX_MAX_FDS);
	state->walking = false;
}

static struct nunchi_error *open_files_next(void *data, struct view_row *row)
{
	struct open_files *state = data;

	for (;;) {
		while (state->walking && linux_files_next(&state->walk, &state->fd)) {
			if (state->fds && (int64_t)state->fd > state->fds->high)
				break;
			if (number_filter_passes(state->fds, (int64_t)state->fd) &&
			    row_settle(row, &state->processes.kernel->guest, ~UNSTABLE, fill,
				       state))
				return NULL;
		}
		end(state, row);
		if (!process_walk_next(&state->processes, row))
			return &error_stop;
		start(state, row);
	}
}

static void open_files_close(void *data)
{
	struct open_files *state = data;

	process_walk_close(&state->processes);
	linux_files_deinit(&state->walk);
	object_deinit(&state->file);
}

const struct view view_process_open_files = {
    .schema = {"process_open_files", "open files of all processes", columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct open_files), open_files_open, open_files_next,
		   open_files_close}},
};
