/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(path, TEXT, "path of the new program")                                                   \
	X(cmdline, TEXT, "its command line, arguments separated by spaces")                        \
	X(cwd, TEXT, "current working directory")                                                  \
	X(euid, INTEGER, "effective user id, of a program with the set-user-ID bit its owner's")   \
	X(gid, INTEGER, "real group id")                                                           \
	X(egid, INTEGER, "effective group id")                                                     \
	X(inode, INTEGER, "inode number of the program")                                           \
	X(device, TEXT, "MAJOR:MINOR of its file system, hexadecimal")                             \
	X(env, TEXT,                                                                               \
	  "environment, variables separated by spaces; only if it is named, in --columns")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* include/linux/sched.h */
#define PF_EXITING 0x00000004

/* Sets the cells about the file from which the program was started. */
static void set_file(struct probe_hit *hit)
{
	struct linux_hit *state = linux_hit_of(hit);
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t mm = object_u64(&state->task.task, &layout->task_mm);
	uint64_t file, inode, number = 0, super, device = 0;
	enum read_result result;

	result = linux_read_field(kernel, mm, &layout->mm_exe_file, &file);
	if (result == READ_OK)
		result = linux_read_field(kernel, file, &layout->file_inode, &inode);
	if (result == READ_OK)
		result = linux_read_field(kernel, inode, &layout->inode_ino, &number);
	row_read_integer(hit->row, COLUMN_inode, result, (int64_t)number);
	if (result == READ_OK)
		result = linux_read_field(kernel, inode, &layout->inode_sb, &super);
	if (result == READ_OK)
		result = linux_read_field(kernel, super, &layout->super_dev, &device);
	row_device(hit->row, COLUMN_device, result, device, &state->text);
}

static enum probe_next enter(struct probe_hit *hit)
{
	const struct linux_hit *state = linux_hit_of(hit);

	/* The second function is called at the end of each thread, too. */
	if (object_u64(&state->task.task, &state->kernel->layout.task_flags) &
	    (PF_EXITING | LINUX_PF_KTHREAD))
		return PROBE_NO_ROW;
	hit_task_value(hit, COLUMN_path, &linux_value_path);
	hit_task_value(hit, COLUMN_cmdline, &linux_value_cmdline);
	hit_task_value(hit, COLUMN_cwd, &linux_value_cwd);
	hit_task_value(hit, COLUMN_euid, &linux_value_euid);
	hit_task_value(hit, COLUMN_gid, &linux_value_gid);
	hit_task_value(hit, COLUMN_egid, &linux_value_egid);
	if (view_wants(hit->request, COLUMN_inode) || view_wants(hit->request, COLUMN_device))
		set_file(hit);
	hit_task_value(hit, COLUMN_env, &linux_value_environment);
	return PROBE_ROW;
}

const struct probe probe_exec = {
    .schema = {"exec", "programs that were started: the end of a successful execve()", columns,
	       ARRAY_SIZE(columns)},
    /*
     * Called when the new program's memory is complete (fs/exec.c, exec_binprm()). Kernels without
     * CONFIG_PROC_EVENTS lack it; then the end of bprm_execve() is the next that they call.
     */
    .providers = {{&guest_linux, {{"proc_exec_connector acct_update_integrals", enter, NULL}}}},
    .on_request = 1,
};
