/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/path.h"
#include "view/process_files.h"

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
	struct process_files files;
	const struct view_request *request;
};

static struct nunchi_error *open_files_open(void *data, struct guest_kernel *guest,
					    const struct view_request *request)
{
	struct open_files *state = data;

	state->request = request;
	return process_files_open(&state->files, guest, request->numbers[COLUMN_pid],
				  request->numbers[COLUMN_fd], linux_files_check);
}

static bool fill(void *data, struct view_row *row)
{
	struct open_files *state = data;
	struct process_walk *processes = &state->files.processes;
	const struct linux_path *root;
	enum read_result path = READ_OK;
	struct linux_open_file file;

	if (!process_files_get(&state->files, &file))
		return false;
	row_integer(row, COLUMN_pid, processes->pid);
	row_integer(row, COLUMN_fd, (int64_t)state->files.fd);
	row_read_address(row, COLUMN_file, file.file ? READ_OK : file.result, file.file);
	row_read_integer(row, COLUMN_offset, file.result, file.offset);
	row_read_integer(row, COLUMN_flags, file.flags_result, (int64_t)file.flags);
	row_read_integer(row, COLUMN_inode, file.inode_result, (int64_t)file.inode);
	if (!view_wants(state->request, COLUMN_path))
		return true;
	root = process_walk_root(processes, row);
	buffer_clear(&processes->text);
	path = file.result;
	if (path == READ_OK)
		path = linux_file_path(processes->kernel, file.file, root, &processes->text);
	row_read_text(row, COLUMN_path, path, &processes->text);
	return true;
}

static struct nunchi_error *open_files_next(void *data, struct view_row *row)
{
	struct open_files *state = data;

	return process_files_next(&state->files, row, ~UNSTABLE, fill, state);
}

static void open_files_close(void *data)
{
	struct open_files *state = data;

	process_files_close(&state->files);
}

const struct view view_process_open_files = {
    .schema = {"process_open_files", "open files of all processes", columns, ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_pid) | VIEW_COLUMN_BIT(COLUMN_fd),
	       .changing = UNSTABLE},
    .providers = {{&guest_linux, sizeof(struct open_files), open_files_open, open_files_next,
		   open_files_close}},
};
