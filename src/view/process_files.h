/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A walk over the open files of all processes, which the views of files and of sockets share. */
#ifndef NUNCHI_VIEW_PROCESS_FILES_H
#define NUNCHI_VIEW_PROCESS_FILES_H

#include "guest/linux/files.h"
#include "view/linux_cells.h"

struct process_files {
	struct process_walk processes;
	const struct number_filter *fds; /* descriptors to show; NULL: all */
	struct linux_files walk;
	bool walking;
	uint64_t fd;        /* the current descriptor */
	struct object file; /* copy of its struct file, after process_files_get() */
};

/* Begins a walk. check() is as for process_walk_open(). If this fails, nothing is to be closed. */
struct nunchi_error *process_files_open(struct process_files *files, struct guest_kernel *guest,
					const struct number_filter *pids,
					const struct number_filter *fds,
					struct nunchi_error *(*check)(struct linux_kernel *kernel));
void process_files_close(struct process_files *files);
/*
 * For fill(): reads what the current descriptor refers to; false if it is not open any more, or the
 * process has another table.
 */
bool process_files_get(struct process_files *files, struct linux_open_file *ret);
/*
 * Fills the row for the next descriptor for which fill() returns true, by row_settle(). Fails with
 * &error_stop at the end.
 */
struct nunchi_error *process_files_next(struct process_files *files, struct view_row *row,
					uint64_t stable,
					bool (*fill)(void *state, struct view_row *row),
					void *state);

#endif
