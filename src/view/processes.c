/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/cgroup.h"
#include "guest/linux/path.h"
#include "guest/linux/process.h"
#include "guest/linux/task.h"
#include "guest/linux/time.h"
#include "view/view.h"

#include <string.h>

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id, in the first pid namespace")                                  \
	X(name, TEXT, "the kernel's name for it (comm); kernel threads in full")                   \
	X(path, TEXT, "path of the executable")                                                    \
	X(cmdline, TEXT, "command line, arguments separated by spaces")                            \
	X(state, TEXT, "R running, S sleeping, D waiting, T stopped, t traced, Z zombie, I idle")  \
	X(cwd, TEXT, "current working directory")                                                  \
	X(root, TEXT, "root directory")                                                            \
	X(uid, INTEGER, "real user id")                                                            \
	X(gid, INTEGER, "real group id")                                                           \
	X(euid, INTEGER, "effective user id")                                                      \
	X(egid, INTEGER, "effective group id")                                                     \
	X(suid, INTEGER, "saved user id")                                                          \
	X(sgid, INTEGER, "saved group id")                                                         \
	X(on_disk, INTEGER, "1 if the executable still exists, 0 if deleted, -1 if there is none") \
	X(resident_size, INTEGER, "bytes of its memory that are in RAM")                           \
	X(total_size, INTEGER, "bytes of its address space in use")                                \
	X(user_time, INTEGER, "CPU time in user mode, milliseconds")                               \
	X(system_time, INTEGER, "CPU time in the kernel, milliseconds")                            \
	X(start_time, INTEGER, "start, seconds since 1970, by the guest's clock")                  \
	X(parent, INTEGER, "process id of the parent")                                             \
	X(pgroup, INTEGER, "process group id")                                                     \
	X(session, INTEGER, "session id")                                                          \
	X(threads, INTEGER, "number of threads")                                                   \
	X(nice, INTEGER, "nice value, -20 (most favoured) to 19")                                  \
	X(cgroup_path, TEXT, "control group, version 2")                                           \
	X(is_kernel_thread, INTEGER, "1 for a thread of the kernel")                               \
	X(pid_namespace, INTEGER, "inode number of the pid namespace")                             \
	X(mount_namespace, INTEGER, "inode number of the mount namespace")                         \
	X(page_table_root, ADDRESS, "guest-physical address of its page table (CR3)")              \
	X(task, ADDRESS, "address of its task_struct")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* What changes by itself while a process runs. */
#define UNSTABLE                                                                                   \
	(VIEW_COLUMN_BIT(COLUMN_state) | VIEW_COLUMN_BIT(COLUMN_resident_size) |                   \
	 VIEW_COLUMN_BIT(COLUMN_total_size) | VIEW_COLUMN_BIT(COLUMN_user_time) |                  \
	 VIEW_COLUMN_BIT(COLUMN_system_time) | VIEW_COLUMN_BIT(COLUMN_threads))

struct processes {
	struct linux_kernel *kernel;
	const struct view_request *request;
	struct linux_tasks walk;
	struct hash_map seen;
	struct object task, cred, mm, signal;
	struct linux_path root;
	bool has_root;
	struct linux_clock clock;
	bool has_clock;
	struct buffer text;
};

static bool wants_any(const struct view_request *request, unsigned first, unsigned last)
{
	for (unsigned column = first; column <= last; column++) {
		if (view_wants(request, column))
			return true;
	}
	return false;
}

/* A number from a field of a copied structure, or the reason why there is none. */
static void put_field(struct view_row *row, unsigned column, const struct object *object,
		      const struct field *field)
{
	if (!field->present)
		row_absent(row, column, NUNCHI_ABSENT_NO_LAYOUT);
	else if (!object->size)
		row_absent(row, column, NUNCHI_ABSENT_NOT_MAPPED);
	else
		row_integer(row, column, object_s64(object, field));
}

static void put_u32_field(struct view_row *row, unsigned column, const struct object *object,
			  const struct field *field)
{
	put_field(row, column, object, field);
	if (field->present && object->size)
		row_integer(row, column, (uint32_t)object_u64(object, field));
}

static void put_text(struct processes *state, struct view_row *row, unsigned column,
		     enum memory_fault fault)
{
	if (fault == MEMORY_OK)
		row_text(row, column, buffer_string(&state->text), state->text.size);
	else
		row_absent(row, column, row_absence_of(fault));
}

static void put_path(struct processes *state, struct view_row *row, unsigned column,
		     const struct linux_path *path)
{
	buffer_clear(&state->text);
	put_text(
	    state, row, column,
	    linux_d_path(state->kernel, path, state->has_root ? &state->root : NULL, &state->text));
}

static void put_executable(struct processes *state, struct view_row *row)
{
	uint64_t file = object_u64(&state->mm, &state->kernel->layout.mm_exe_file);
	enum memory_fault fault;
	bool unlinked;

	if (!file) {
		row_absent(row, COLUMN_path, NUNCHI_ABSENT_NOT_APPLICABLE);
		row_integer(row, COLUMN_on_disk, -1);
		return;
	}
	buffer_clear(&state->text);
	put_text(state, row, COLUMN_path,
		 linux_file_path(state->kernel, file, state->has_root ? &state->root : NULL,
				 &state->text));
	fault = linux_file_unlinked(state->kernel, file, &unlinked);
	if (fault == MEMORY_OK)
		row_integer(row, COLUMN_on_disk, !unlinked);
	else
		row_absent(row, COLUMN_on_disk, row_absence_of(fault));
}

static void put_directories(struct processes *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->kernel;
	uint64_t fs = object_u64(&state->task, &kernel->layout.task_fs);
	struct linux_path path;

	if (!fs) {
		row_absent(row, COLUMN_cwd, NUNCHI_ABSENT_NOT_APPLICABLE);
		row_absent(row, COLUMN_root, NUNCHI_ABSENT_NOT_APPLICABLE);
		return;
	}
	if (view_wants(state->request, COLUMN_cwd)) {
		if (linux_fs_pwd(kernel, fs, &path) == MEMORY_OK)
			put_path(state, row, COLUMN_cwd, &path);
		else
			row_absent(row, COLUMN_cwd, NUNCHI_ABSENT_BAD_DATA);
	}
	if (view_wants(state->request, COLUMN_root)) {
		if (linux_fs_root(kernel, fs, &path) == MEMORY_OK)
			put_path(state, row, COLUMN_root, &path);
		else
			row_absent(row, COLUMN_root, NUNCHI_ABSENT_BAD_DATA);
	}
}

static void put_cmdline(struct processes *state, struct view_row *row)
{
	enum memory_fault fault;
	bool too_long;

	buffer_clear(&state->text);
	fault = linux_process_cmdline(state->kernel, &state->mm, &state->text, &too_long);
	if (too_long) {
		row_absent(row, COLUMN_cmdline, NUNCHI_ABSENT_LIMIT);
		return;
	}
	/* As osquery shows it: the NULs between arguments become spaces. */
	while (state->text.size && !state->text.data[state->text.size - 1])
		state->text.size--;
	for (size_t i = 0; i < state->text.size; i++) {
		if (!state->text.data[i])
			state->text.data[i] = ' ';
	}
	put_text(state, row, COLUMN_cmdline, fault);
}

/* What a process has and a kernel thread has not. */
static void put_memory(struct processes *state, struct view_row *row)
{
	static const unsigned user_columns[] = {COLUMN_path, COLUMN_cmdline, COLUMN_resident_size,
						COLUMN_total_size, COLUMN_page_table_root};
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t mm = object_u64(&state->task, &layout->task_mm);
	enum memory_fault fault;
	uint64_t pages;
	gpa_t root;

	fault = linux_read_object(kernel, LAYOUT_mm, mm, &state->mm);
	if (!mm || linux_task_is_kernel_thread(kernel, &state->task) || fault != MEMORY_OK) {
		for (size_t i = 0; i < ARRAY_SIZE(user_columns); i++)
			row_absent(row, user_columns[i],
				   mm && fault != MEMORY_OK ? row_absence_of(fault)
							    : NUNCHI_ABSENT_NOT_APPLICABLE);
		row_integer(row, COLUMN_on_disk, -1);
		return;
	}
	if (view_wants(state->request, COLUMN_path) || view_wants(state->request, COLUMN_on_disk))
		put_executable(state, row);
	if (view_wants(state->request, COLUMN_cmdline))
		put_cmdline(state, row);
	if (view_wants(state->request, COLUMN_resident_size)) {
		if (linux_process_resident(kernel, &state->mm, &pages))
			row_integer(row, COLUMN_resident_size, (int64_t)(pages * PAGE_SIZE));
		else
			row_absent(row, COLUMN_resident_size, NUNCHI_ABSENT_NO_LAYOUT);
	}
	row_integer(row, COLUMN_total_size,
		    (int64_t)(object_u64(&state->mm, &layout->mm_total_vm) * PAGE_SIZE));
	if (address_space_translate(kernel->space, gva(object_u64(&state->mm, &layout->mm_pgd)),
				    &root) == MEMORY_OK)
		row_address(row, COLUMN_page_table_root, root.v);
	else
		row_absent(row, COLUMN_page_table_root, NUNCHI_ABSENT_NOT_MAPPED);
}

static void put_credentials(struct processes *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;

	linux_read_object(kernel, LAYOUT_cred, object_u64(&state->task, &layout->task_real_cred),
			  &state->cred);
	put_u32_field(row, COLUMN_uid, &state->cred, &layout->cred_uid);
	put_u32_field(row, COLUMN_gid, &state->cred, &layout->cred_gid);
	put_u32_field(row, COLUMN_euid, &state->cred, &layout->cred_euid);
	put_u32_field(row, COLUMN_egid, &state->cred, &layout->cred_egid);
	put_u32_field(row, COLUMN_suid, &state->cred, &layout->cred_suid);
	put_u32_field(row, COLUMN_sgid, &state->cred, &layout->cred_sgid);
}

static void put_group(struct processes *state, struct view_row *row, unsigned column,
		      const struct field *field)
{
	int64_t number;

	if (linux_pid_number(state->kernel, object_u64(&state->signal, field), &number))
		row_integer(row, column, number);
	else
		row_absent(row, column,
			   field->present ? NUNCHI_ABSENT_NOT_APPLICABLE : NUNCHI_ABSENT_NO_LAYOUT);
}

/* What the threads of the process share. */
static void put_signal(struct processes *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	struct linux_cpu_time time;

	linux_read_object(kernel, LAYOUT_signal, object_u64(&state->task, &layout->task_signal),
			  &state->signal);
	put_field(row, COLUMN_threads, &state->signal, &layout->signal_nr_threads);
	put_group(state, row, COLUMN_pgroup, &layout->signal_pgid);
	put_group(state, row, COLUMN_session, &layout->signal_sid);
	if (!wants_any(state->request, COLUMN_user_time, COLUMN_system_time))
		return;
	if (linux_process_cpu_time(kernel, &state->task, &state->signal, &state->seen, &time)) {
		row_integer(row, COLUMN_user_time, (int64_t)(time.user / 1000000));
		row_integer(row, COLUMN_system_time, (int64_t)(time.system / 1000000));
	} else {
		row_absent(row, COLUMN_user_time, NUNCHI_ABSENT_BAD_DATA);
		row_absent(row, COLUMN_system_time, NUNCHI_ABSENT_BAD_DATA);
	}
}

static void put_namespaces(struct processes *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t inum;

	/* A zombie has given its namespaces back. */
	if (linux_pid_namespace(kernel, object_u64(&state->task, &layout->task_thread_pid), &inum))
		row_integer(row, COLUMN_pid_namespace, (int64_t)inum);
	else
		row_absent(row, COLUMN_pid_namespace, NUNCHI_ABSENT_NOT_APPLICABLE);
	if (linux_mount_namespace(kernel, object_u64(&state->task, &layout->task_nsproxy), &inum))
		row_integer(row, COLUMN_mount_namespace, (int64_t)inum);
	else
		row_absent(row, COLUMN_mount_namespace, NUNCHI_ABSENT_NOT_APPLICABLE);
}

static void put_cgroup(struct processes *state, struct view_row *row)
{
	uint64_t css_set = object_u64(&state->task, &state->kernel->layout.task_cgroups);

	buffer_clear(&state->text);
	put_text(state, row, COLUMN_cgroup_path,
		 linux_cgroup_path(state->kernel, css_set, &state->text));
}

static void put_task(struct processes *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	const struct object *task = &state->task;
	uint64_t parent, tgid;
	char letter = linux_task_state(kernel, task);

	put_field(row, COLUMN_pid, task, &layout->task_pid);
	buffer_clear(&state->text);
	linux_task_name(kernel, task, &state->text);
	put_text(state, row, COLUMN_name, MEMORY_OK);
	row_text(row, COLUMN_state, &letter, 1);
	row_integer(row, COLUMN_nice, object_s64(task, &layout->task_static_prio) - 120);
	row_integer(row, COLUMN_is_kernel_thread, linux_task_is_kernel_thread(kernel, task));
	row_address(row, COLUMN_task, task->address);
	parent = object_u64(task, &layout->task_real_parent);
	if (parent && linux_read_field(kernel, parent, &layout->task_tgid, &tgid) == MEMORY_OK)
		row_integer(row, COLUMN_parent, (int32_t)tgid);
	else
		row_absent(row, COLUMN_parent, NUNCHI_ABSENT_NOT_MAPPED);
	if (state->has_clock && layout->task_start_boottime.present)
		row_integer(
		    row, COLUMN_start_time,
		    state->clock.boot_ns / 1000000000 +
			(int64_t)(object_u64(task, &layout->task_start_boottime) / 1000000000));
	else
		row_absent(row, COLUMN_start_time, NUNCHI_ABSENT_NO_LAYOUT);
}

/* False if the task has been taken off the list: its process ended while it was looked at. */
static bool still_listed(struct processes *state)
{
	struct linux_kernel *kernel = state->kernel;
	uint64_t node = state->task.address + kernel->layout.task_tasks.offset, back, forth;

	return linux_read_word(kernel, node + kernel->word_size, &back) == MEMORY_OK &&
	       linux_read_word(kernel, back, &forth) == MEMORY_OK && forth == node;
}

static bool fill(void *data, struct view_row *row)
{
	struct processes *state = data;

	if (linux_read_object(state->kernel, LAYOUT_task, state->task.address, &state->task) !=
	    MEMORY_OK)
		return false;
	put_task(state, row);
	put_memory(state, row);
	if (wants_any(state->request, COLUMN_uid, COLUMN_sgid))
		put_credentials(state, row);
	if (wants_any(state->request, COLUMN_cwd, COLUMN_root))
		put_directories(state, row);
	put_signal(state, row);
	if (wants_any(state->request, COLUMN_pid_namespace, COLUMN_mount_namespace))
		put_namespaces(state, row);
	if (view_wants(state->request, COLUMN_cgroup_path))
		put_cgroup(state, row);
	return !state->kernel->live || still_listed(state);
}

static struct nunchi_error *processes_open(void *data, struct linux_kernel *kernel,
					   const struct view_request *request)
{
	struct processes *state = data;
	int64_t pid = -1;
	struct nunchi_error *err;

	if (view_equal_integer(request, COLUMN_pid, &pid) && pid < 0)
		pid = INT64_MAX;
	err = linux_tasks_init(&state->walk, kernel, pid);
	if (err)
		return err;
	state->kernel = kernel;
	state->request = request;
	hash_map_init(&state->seen);
	buffer_init(&state->text, 0);
	state->has_root = linux_init_root(kernel, &state->root);
	state->has_clock = linux_clock_read(kernel, &state->clock);
	return NULL;
}

static struct nunchi_error *processes_next(void *data, struct view_row *row)
{
	struct processes *state = data;

	while (linux_tasks_next(&state->walk, &state->task)) {
		if (row_settle(row, state->kernel, ~UNSTABLE, fill, state))
			return NULL;
	}
	if (state->walk.list.broken)
		row_warn(row, "the list of processes is cut short after %llu: a link is broken",
			 (unsigned long long)state->walk.list.count);
	return &error_stop;
}

static void processes_close(void *data)
{
	struct processes *state = data;

	linux_tasks_deinit(&state->walk);
	hash_map_deinit(&state->seen);
	object_deinit(&state->task);
	object_deinit(&state->cred);
	object_deinit(&state->mm);
	object_deinit(&state->signal);
	buffer_deinit(&state->text);
}

const struct view view_processes = {
    .schema = {"processes", "running processes, kernel threads among them", columns,
	       ARRAY_SIZE(columns)},
    .provider = {sizeof(struct processes), processes_open, processes_next, processes_close},
};
