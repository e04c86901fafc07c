/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/cgroup.h"
#include "guest/linux/fetch.h"
#include "guest/linux/path.h"
#include "view/task_cells.h"

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
	X(resident_size, BYTES, "bytes of its memory that are in RAM")                           \
	X(total_size, BYTES, "bytes of its address space in use")                                \
	X(user_time, MILLISECONDS, "CPU time in user mode, milliseconds")                               \
	X(system_time, MILLISECONDS, "CPU time in the kernel, milliseconds")                            \
	X(start_time, UNIX_TIME, "start, seconds since 1970, by the guest's clock")                  \
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

/* Threads looked at for CPU times in one query; a row may take several tries. */
#define MAX_THREADS (8 * LINUX_MAX_TASKS)

struct processes {
	struct linux_kernel *kernel;
	const struct view_request *request;
	struct linux_tasks walk;
	struct hash_map seen;
	struct object task, cred, mm, signal;
	struct layout_parts parts; /* of the task that the columns asked for need */
	struct linux_path root;
	bool has_root;
	struct linux_clock clock;
	bool has_clock;
	uint64_t threads_left;
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
	const struct field *field = &state->kernel->layout.mm_exe_file;
	uint64_t file = object_u64(&state->mm, field);
	enum memory_fault fault;
	bool unlinked;

	if (!field->present) {
		row_absent(row, COLUMN_path, NUNCHI_ABSENT_NO_LAYOUT);
		row_absent(row, COLUMN_on_disk, NUNCHI_ABSENT_NO_LAYOUT);
		return;
	}
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

static void put_directory(struct processes *state, struct view_row *row, unsigned column,
			  enum memory_fault (*find)(struct linux_kernel *kernel, uint64_t fs,
						    struct linux_path *ret))
{
	const struct field *field = &state->kernel->layout.task_fs;
	uint64_t fs = object_u64(&state->task, field);
	struct linux_path path;
	enum memory_fault fault;

	if (!fs) {
		row_absent(row, column,
			   field->present ? NUNCHI_ABSENT_NOT_APPLICABLE : NUNCHI_ABSENT_NO_LAYOUT);
		return;
	}
	fault = find(state->kernel, fs, &path);
	if (fault == MEMORY_OK)
		put_path(state, row, column, &path);
	else
		row_absent(row, column, row_absence_of(fault));
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

/* Why there is nothing to be said of a process's memory, if so. */
static bool lacks_memory(struct processes *state, enum nunchi_absence *ret)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t mm = object_u64(&state->task, &layout->task_mm);
	enum memory_fault fault;

	state->mm.size = 0;
	*ret = NUNCHI_ABSENT_NO_LAYOUT;
	if (!layout->task_mm.present || !layout->task_flags.present)
		return true;
	*ret = NUNCHI_ABSENT_NOT_APPLICABLE;
	if (!mm || linux_task_is_kernel_thread(kernel, &state->task))
		return true;
	fault = linux_read_object(kernel, LAYOUT_mm, mm, &state->mm);
	*ret = row_absence_of(fault);
	return fault != MEMORY_OK;
}

static void put_resident(struct processes *state, struct view_row *row)
{
	enum memory_fault fault;
	uint64_t pages;

	if (!view_wants(state->request, COLUMN_resident_size))
		return;
	fault = linux_process_resident(state->kernel, &state->mm, &pages);
	if (fault == MEMORY_OK)
		row_integer(row, COLUMN_resident_size, (int64_t)(pages * PAGE_SIZE));
	else
		row_absent(row, COLUMN_resident_size, row_absence_of(fault));
}

static void put_page_table(struct processes *state, struct view_row *row)
{
	const struct field *field = &state->kernel->layout.mm_pgd;
	enum memory_fault fault = MEMORY_NO_LAYOUT;
	gpa_t root;

	if (field->present)
		fault = address_space_translate(state->kernel->guest.space,
						gva(object_u64(&state->mm, field)), &root);
	if (fault == MEMORY_OK)
		row_address(row, COLUMN_page_table_root, root.v);
	else
		row_absent(row, COLUMN_page_table_root, row_absence_of(fault));
}

/* What a process has and a kernel thread has not. */
static void put_memory(struct processes *state, struct view_row *row)
{
	static const unsigned user_columns[] = {COLUMN_path, COLUMN_cmdline, COLUMN_resident_size,
						COLUMN_total_size, COLUMN_page_table_root};
	const struct layout *layout = &state->kernel->layout;
	enum nunchi_absence why;

	if (lacks_memory(state, &why)) {
		for (size_t i = 0; i < ARRAY_SIZE(user_columns); i++)
			row_absent(row, user_columns[i], why);
		if (why == NUNCHI_ABSENT_NOT_APPLICABLE)
			row_integer(row, COLUMN_on_disk, -1);
		else
			row_absent(row, COLUMN_on_disk, why);
		return;
	}
	if (view_wants(state->request, COLUMN_path) || view_wants(state->request, COLUMN_on_disk))
		put_executable(state, row);
	if (view_wants(state->request, COLUMN_cmdline))
		put_cmdline(state, row);
	put_resident(state, row);
	if (layout->mm_total_vm.present)
		row_integer(row, COLUMN_total_size,
			    (int64_t)(object_u64(&state->mm, &layout->mm_total_vm) * PAGE_SIZE));
	else
		row_absent(row, COLUMN_total_size, NUNCHI_ABSENT_NO_LAYOUT);
	put_page_table(state, row);
}

static void put_credentials(struct processes *state, struct view_row *row)
{
	const struct layout *layout = &state->kernel->layout;
	const struct {
		unsigned column;
		const struct field *field;
	} ids[] = {
	    {COLUMN_uid, &layout->cred_uid},   {COLUMN_gid, &layout->cred_gid},
	    {COLUMN_euid, &layout->cred_euid}, {COLUMN_egid, &layout->cred_egid},
	    {COLUMN_suid, &layout->cred_suid}, {COLUMN_sgid, &layout->cred_sgid},
	};
	enum memory_fault fault =
	    linux_read_object(state->kernel, LAYOUT_cred,
			      object_u64(&state->task, &layout->task_real_cred), &state->cred);

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		if (fault == MEMORY_OK)
			row_field_unsigned(row, ids[i].column, &state->cred, ids[i].field);
		else
			row_absent(row, ids[i].column, row_absence_of(fault));
	}
}

static void put_group(struct processes *state, struct view_row *row, unsigned column,
		      const struct field *field)
{
	uint64_t pid = object_u64(&state->signal, field);
	enum memory_fault fault;
	int64_t number;

	if (!field->present || !state->signal.size || !pid) {
		row_absent(row, column,
			   !field->present      ? NUNCHI_ABSENT_NO_LAYOUT
			   : state->signal.size ? NUNCHI_ABSENT_NOT_APPLICABLE
						: NUNCHI_ABSENT_NOT_MAPPED);
		return;
	}
	fault = linux_pid_number(state->kernel, pid, &number);
	if (fault == MEMORY_OK)
		row_integer(row, column, number);
	else
		row_absent(row, column, row_absence_of(fault));
}

static void put_times(struct processes *state, struct view_row *row)
{
	struct linux_cpu_time time;
	enum memory_fault fault;

	if (!wants_any(state->request, COLUMN_user_time, COLUMN_system_time))
		return;
	fault = linux_process_cpu_time(state->kernel, &state->task, &state->signal, &state->seen,
				       &state->threads_left, &time);
	task_cells_cpu_time(row, COLUMN_user_time, COLUMN_system_time,
			    fault == MEMORY_OK ? &time : NULL,
			    state->threads_left ? row_absence_of(fault) : NUNCHI_ABSENT_LIMIT);
}

/* What the threads of the process share. */
static void put_signal(struct processes *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;

	linux_read_object(kernel, LAYOUT_signal, object_u64(&state->task, &layout->task_signal),
			  &state->signal);
	row_field(row, COLUMN_threads, &state->signal, &layout->signal_nr_threads);
	put_group(state, row, COLUMN_pgroup, &layout->signal_pgid);
	put_group(state, row, COLUMN_session, &layout->signal_sid);
	put_times(state, row);
}

static void put_namespace(struct processes *state, struct view_row *row, unsigned column,
			  const struct field *field,
			  enum memory_fault (*find)(struct linux_kernel *kernel, uint64_t object,
						    uint64_t *ret))
{
	uint64_t object = object_u64(&state->task, field), inum;
	enum memory_fault fault = MEMORY_NO_LAYOUT;

	/* A zombie has given its namespaces back. */
	if (field->present && !object) {
		row_absent(row, column, NUNCHI_ABSENT_NOT_APPLICABLE);
		return;
	}
	if (field->present)
		fault = find(state->kernel, object, &inum);
	if (fault == MEMORY_OK)
		row_integer(row, column, (int64_t)inum);
	else
		row_absent(row, column, row_absence_of(fault));
}

static void put_cgroup(struct processes *state, struct view_row *row)
{
	uint64_t css_set = object_u64(&state->task, &state->kernel->layout.task_cgroups);

	buffer_clear(&state->text);
	put_text(state, row, COLUMN_cgroup_path,
		 linux_cgroup_path(state->kernel, css_set, &state->text));
}

static void put_parent(struct processes *state, struct view_row *row)
{
	const struct field *field = &state->kernel->layout.task_real_parent;
	enum memory_fault fault = MEMORY_NO_LAYOUT;
	uint64_t tgid;

	if (field->present)
		fault = linux_read_field(state->kernel, object_u64(&state->task, field),
					 &state->kernel->layout.task_tgid, &tgid);
	if (fault == MEMORY_OK)
		row_integer(row, COLUMN_parent, (int32_t)tgid);
	else
		row_absent(row, COLUMN_parent, row_absence_of(fault));
}

static void put_task(struct processes *state, struct view_row *row)
{
	const struct view_request *request = state->request;
	struct linux_kernel *kernel = state->kernel;
	const struct object *task = &state->task;

	row_field(row, COLUMN_pid, task, &kernel->layout.task_pid);
	row_address(row, COLUMN_task, task->address);
	if (view_wants(request, COLUMN_name))
		task_cell_name(row, COLUMN_name, kernel, task, &state->text);
	if (view_wants(request, COLUMN_state))
		task_cell_state(row, COLUMN_state, kernel, task);
	if (view_wants(request, COLUMN_nice))
		task_cell_nice(row, COLUMN_nice, kernel, task);
	if (view_wants(request, COLUMN_is_kernel_thread))
		task_cell_is_kernel_thread(row, COLUMN_is_kernel_thread, kernel, task);
	if (view_wants(request, COLUMN_parent))
		put_parent(state, row);
	if (view_wants(request, COLUMN_start_time))
		task_cell_start_time(row, COLUMN_start_time, kernel, task,
				     state->has_clock ? &state->clock : NULL);
}

/* Columns from first to last need these fields of a task. */
struct need {
	unsigned first, last;
	const struct field *fields[4];
};

#define MEMORY_COLUMNS                                                                             \
	(VIEW_COLUMN_BIT(COLUMN_path) | VIEW_COLUMN_BIT(COLUMN_cmdline) |                          \
	 VIEW_COLUMN_BIT(COLUMN_on_disk) | VIEW_COLUMN_BIT(COLUMN_resident_size) |                 \
	 VIEW_COLUMN_BIT(COLUMN_total_size) | VIEW_COLUMN_BIT(COLUMN_page_table_root))
#define SIGNAL_COLUMNS                                                                             \
	(VIEW_COLUMN_BIT(COLUMN_user_time) | VIEW_COLUMN_BIT(COLUMN_system_time) |                 \
	 VIEW_COLUMN_BIT(COLUMN_pgroup) | VIEW_COLUMN_BIT(COLUMN_session) |                        \
	 VIEW_COLUMN_BIT(COLUMN_threads))

/* On a running guest a row is that of one process only if what tells it from others was read too.
 */
static void choose_parts(struct processes *state)
{
	const struct layout *layout = &state->kernel->layout;
	const struct need needs[] = {
	    {COLUMN_pid, COLUMN_task, {&layout->task_pid}},
	    {COLUMN_name,
	     COLUMN_name,
	     {&layout->task_comm, &layout->task_flags, &layout->task_kthread}},
	    {COLUMN_path, COLUMN_cmdline, {&layout->task_mm, &layout->task_flags}},
	    {COLUMN_state, COLUMN_state, {&layout->task_state, &layout->task_exit_state}},
	    {COLUMN_cwd, COLUMN_root, {&layout->task_fs}},
	    {COLUMN_uid, COLUMN_sgid, {&layout->task_real_cred}},
	    {COLUMN_on_disk, COLUMN_total_size, {&layout->task_mm, &layout->task_flags}},
	    {COLUMN_user_time,
	     COLUMN_system_time,
	     {&layout->task_signal, &layout->task_utime, &layout->task_stime,
	      &layout->task_runtime}},
	    {COLUMN_start_time, COLUMN_start_time, {&layout->task_start_boottime}},
	    {COLUMN_parent, COLUMN_parent, {&layout->task_real_parent}},
	    {COLUMN_pgroup, COLUMN_threads, {&layout->task_signal}},
	    {COLUMN_nice, COLUMN_nice, {&layout->task_static_prio}},
	    {COLUMN_cgroup_path, COLUMN_cgroup_path, {&layout->task_cgroups}},
	    {COLUMN_is_kernel_thread, COLUMN_is_kernel_thread, {&layout->task_flags}},
	    {COLUMN_pid_namespace, COLUMN_pid_namespace, {&layout->task_thread_pid}},
	    {COLUMN_mount_namespace, COLUMN_mount_namespace, {&layout->task_nsproxy}},
	    {COLUMN_page_table_root,
	     COLUMN_page_table_root,
	     {&layout->task_mm, &layout->task_flags}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		if (!wants_any(state->request, needs[i].first, needs[i].last))
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(needs[i].fields) && needs[i].fields[j]; j++)
			linux_add_part(state->kernel, &state->parts, needs[i].fields[j]);
	}
	if (state->kernel->guest.live)
		linux_task_add_identity(state->kernel, &state->parts);
	state->task.parts = &state->parts;
}

static bool fill(void *data, struct view_row *row)
{
	struct processes *state = data;
	struct linux_kernel *kernel = state->kernel;

	/* Where nothing changes the walk's copy will do. */
	if (kernel->guest.live &&
	    linux_read_object(kernel, LAYOUT_task, state->task.address, &state->task) != MEMORY_OK)
		return false;
	put_task(state, row);
	if (state->request->columns & MEMORY_COLUMNS)
		put_memory(state, row);
	if (wants_any(state->request, COLUMN_uid, COLUMN_sgid))
		put_credentials(state, row);
	if (view_wants(state->request, COLUMN_cwd))
		put_directory(state, row, COLUMN_cwd, linux_fs_pwd);
	if (view_wants(state->request, COLUMN_root))
		put_directory(state, row, COLUMN_root, linux_fs_root);
	if (state->request->columns & SIGNAL_COLUMNS)
		put_signal(state, row);
	if (view_wants(state->request, COLUMN_pid_namespace))
		put_namespace(state, row, COLUMN_pid_namespace, &kernel->layout.task_thread_pid,
			      linux_pid_namespace);
	if (view_wants(state->request, COLUMN_mount_namespace))
		put_namespace(state, row, COLUMN_mount_namespace, &kernel->layout.task_nsproxy,
			      linux_mount_namespace);
	if (view_wants(state->request, COLUMN_cgroup_path))
		put_cgroup(state, row);
	if (!kernel->guest.live)
		return true;
	if (!linux_task_is_same(kernel, &state->task))
		row_changed(row);
	/* Taken off the list: the process ended while it was looked at. */
	return linux_list_holds(kernel, state->task.address + kernel->layout.task_tasks.offset);
}

static unsigned what_to_fetch(const struct view_request *request)
{
	unsigned what = 0;

	if (view_wants(request, COLUMN_name))
		what |= LINUX_FETCH_NAMES;
	if (wants_any(request, COLUMN_uid, COLUMN_sgid))
		what |= LINUX_FETCH_CREDENTIALS;
	if (request->columns & SIGNAL_COLUMNS)
		what |= LINUX_FETCH_SIGNALS;
	if (request->columns & MEMORY_COLUMNS)
		what |= LINUX_FETCH_MEMORY;
	if (view_wants(request, COLUMN_cmdline))
		what |= LINUX_FETCH_CMDLINES;
	return what;
}

static struct nunchi_error *processes_open(void *data, struct guest_kernel *guest,
					   const struct view_request *request)
{
	struct processes *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err;

	err = linux_tasks_init(&state->walk, kernel, request->numbers[COLUMN_pid]);
	if (err)
		return err;
	state->kernel = kernel;
	state->request = request;
	state->threads_left = MAX_THREADS;
	hash_map_init(&state->seen);
	buffer_init(&state->text, 0);
	choose_parts(state);
	if (wants_any(request, COLUMN_cwd, COLUMN_root) || view_wants(request, COLUMN_path))
		state->has_root = linux_init_root(kernel, &state->root);
	if (view_wants(request, COLUMN_start_time))
		state->has_clock = linux_clock_read(kernel, &state->clock);
	if (!request->numbers[COLUMN_pid])
		linux_fetch_processes(kernel, what_to_fetch(request));
	return NULL;
}

static struct nunchi_error *processes_next(void *data, struct view_row *row)
{
	struct processes *state = data;

	while (linux_tasks_next(&state->walk, &state->task)) {
		if (row_settle(row, &state->kernel->guest, ~UNSTABLE & state->request->columns, fill,
			       state))
			return NULL;
	}
	task_list_ended(row, &state->walk);
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
    .providers = {{&guest_linux, sizeof(struct processes), processes_open, processes_next,
		   processes_close}},
};
