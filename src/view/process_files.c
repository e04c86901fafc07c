/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/process_files.h"

#include "guest/linux/mm.h"

struct nunchi_error *process_files_open(struct process_files *files, struct guest_kernel *guest,
					const struct number_filter *pids,
					const struct number_filter *fds,
					struct nunchi_error *(*check)(struct linux_kernel *kernel))
{
	files->fds = fds;
	return process_walk_open(&files->processes, guest, pids, check);
}

void process_files_close(struct process_files *files)
{
	process_walk_close(&files->processes);
	linux_files_deinit(&files->walk);
	object_deinit(&files->file);
}

bool process_files_get(struct process_files *files, struct linux_open_file *ret)
{
	return linux_files_belong(&files->walk, &files->processes.task) &&
	       linux_files_get(&files->walk, files->fd, &files->file, ret);
}

/* Begins to walk over the files of the current process. */
static void start(struct process_files *files, struct view_row *row)
{
	struct process_walk *processes = &files->processes;
	enum read_result result;

	linux_files_deinit(&files->walk);
	result = linux_task_files(&files->walk, processes->kernel, &processes->task);
	files->walking = result == READ_OK;
	if (files->fds && files->fds->low > 0)
		files->walk.next = (uint64_t)files->fds->low;
	process_walk_warn_of_first(processes, row, result, "its table of open files cannot be read",
				   "its open files are");
}

/* Warns if the list of the process's files is incomplete. */
static void end(struct process_files *files, struct view_row *row)
{
	if (!files->walking)
		return;
	process_walk_warn(&files->processes, row, files->walk.broken,
			  "its list of open files is cut short");
	if (!files->processes.kernel->guest.live && files->walk.reserved)
		row_warn(row,
			 "process %lld: %llu descriptors are in use, but the table has no file for "
			 "them: a file is being opened, or the table is damaged",
			 (long long)files->processes.pid, (unsigned long long)files->walk.reserved);
	if (files->walk.odd_size)
		row_warn(row, "process %lld: its table of open files has an impossible size",
			 (long long)files->processes.pid);
	if (!files->walk.broken && files->walk.limited)
		row_warn(row, "process %lld: descriptors from %llu on are not shown",
			 (long long)files->processes.pid, (unsigned long long)LINUX_MAX_FDS);
	files->walking = false;
}

struct nunchi_error *process_files_next(struct process_files *files, struct view_row *row,
					uint64_t stable,
					bool (*fill)(void *state, struct view_row *row),
					void *state)
{
	for (;;) {
		while (files->walking && linux_files_next(&files->walk, &files->fd)) {
			if (files->fds && (int64_t)files->fd > files->fds->high)
				break;
			if (number_filter_passes(files->fds, (int64_t)files->fd) &&
			    row_settle(row, &files->processes.kernel->guest, stable, fill, state))
				return NULL;
		}
		end(files, row);
		if (!process_walk_next(&files->processes, row))
			return &error_stop;
		start(files, row);
	}
}
