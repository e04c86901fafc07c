/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/task_value.h"

#include "guest/linux/cgroup.h"
#include "guest/linux/fetch.h"
#include "guest/linux/machine.h"
#include "guest/linux/runtime.h"

#include <string.h>

/* task_struct.static_prio of nice 0: include/linux/sched/prio.h */
#define DEFAULT_PRIO 120

#define NSEC_PER_SEC  1000000000
#define NSEC_PER_MSEC 1000000

/* Limit of the threads read for CPU times in one query; reading a row may be repeated. */
#define MAX_THREADS (8 * LINUX_MAX_TASKS)

void linux_task_init(struct linux_task *task, struct linux_kernel *kernel, bool is_thread)
{
	*task = (struct linux_task){
	    .kernel = kernel, .is_thread = is_thread, .threads_left = MAX_THREADS};
	hash_map_init(&task->seen);
	linux_add_part(kernel, &task->parts, &kernel->layout.task_pid);
	/*
	 * On a running guest, the fields that identify the task have to be read too, so that a row
	 * belongs to one task.
	 */
	if (kernel->guest.live)
		linux_task_add_identity(kernel, &task->parts);
	task->task.parts = &task->parts;
}

void linux_task_deinit(struct linux_task *task)
{
	object_deinit(&task->task);
	object_deinit(&task->cred);
	object_deinit(&task->mm);
	object_deinit(&task->signal);
	hash_map_deinit(&task->seen);
}

void linux_task_need(struct linux_task *task, const struct linux_value *value)
{
	const char *layout = (const char *)&task->kernel->layout;

	for (size_t i = 0; i < ARRAY_SIZE(value->needs) && value->needs[i]; i++)
		linux_add_part(task->kernel, &task->parts,
			       (const struct field *)(layout + value->needs[i]));
	task->fetch |= value->fetch;
}

enum read_result linux_task_take(struct linux_task *task)
{
	task->has_cred = task->has_mm = task->has_signal = task->has_times = false;
	if (!task->kernel->guest.live)
		return READ_OK;
	return linux_read_object(task->kernel, LAYOUT_task, task->task.address, &task->task);
}

const struct linux_path *linux_task_reader_root(struct linux_task *task)
{
	if (!task->has_root) {
		task->has_root = true;
		task->root_result = linux_init_root(task->kernel, &task->root);
	}
	return task->root_result == READ_OK ? &task->root : NULL;
}

/* ---- Of the task_struct ---------------------------------------------------------------------- */

static enum read_result of_task(struct linux_task *task, const struct field *field, int64_t *ret)
{
	return object_number(&task->task, field, ret);
}

static enum read_result get_pid(struct linux_task *task, int64_t *ret)
{
	return of_task(task, &task->kernel->layout.task_pid, ret);
}

static enum read_result get_tid(struct linux_task *task, int64_t *ret)
{
	return of_task(task, &task->kernel->layout.task_pid, ret);
}

static enum read_result get_tgid(struct linux_task *task, int64_t *ret)
{
	return of_task(task, &task->kernel->layout.task_tgid, ret);
}

static enum read_result get_cpu(struct linux_task *task, int64_t *ret)
{
	if (!linux_is_smp(task->kernel)) {
		*ret = 0;
		return READ_OK;
	}
	return of_task(task, &task->kernel->layout.task_cpu, ret);
}

static enum read_result get_nice(struct linux_task *task, int64_t *ret)
{
	int64_t priority = 0;
	enum read_result result = of_task(task, &task->kernel->layout.task_static_prio, &priority);

	*ret = (int64_t)((uint64_t)priority - DEFAULT_PRIO);
	return result;
}

static enum read_result get_is_kernel_thread(struct linux_task *task, int64_t *ret)
{
	enum read_result result = of_task(task, &task->kernel->layout.task_flags, ret);

	*ret = linux_task_is_kernel_thread(task->kernel, &task->task);
	return result;
}

static enum read_result get_task(struct linux_task *task, int64_t *ret)
{
	*ret = (int64_t)task->task.address;
	return READ_OK;
}

static enum read_result get_parent(struct linux_task *task, int64_t *ret)
{
	const struct layout *layout = &task->kernel->layout;
	enum read_result result;
	int64_t parent;
	uint64_t tgid;

	result = of_task(task, &layout->task_real_parent, &parent);
	if (result == READ_OK)
		result =
		    linux_read_field(task->kernel, (uint64_t)parent, &layout->task_tgid, &tgid);
	if (result == READ_OK)
		*ret = (int32_t)tgid;
	return result;
}

static enum read_result get_start_time(struct linux_task *task, int64_t *ret)
{
	enum read_result result;
	int64_t start;

	if (!task->has_clock) {
		task->has_clock = true;
		task->clock_result = linux_clock_read(task->kernel, &task->clock);
	}
	result = of_task(task, &task->kernel->layout.task_start_boottime, &start);
	if (result == READ_OK)
		result = task->clock_result;
	if (result == READ_OK)
		*ret =
		    task->clock.boot_ns / NSEC_PER_SEC + (int64_t)((uint64_t)start / NSEC_PER_SEC);
	return result;
}

static enum read_result get_name(struct linux_task *task, struct buffer *ret)
{
	if (!task->kernel->layout.task_comm.present)
		return READ_NO_LAYOUT;
	return linux_task_name(task->kernel, &task->task, ret);
}

static enum read_result get_state(struct linux_task *task, struct buffer *ret)
{
	const struct layout *layout = &task->kernel->layout;

	if (!layout->task_state.present || !layout->task_exit_state.present)
		return READ_NO_LAYOUT;
	return buffer_append_char(ret, linux_task_state(task->kernel, &task->task))
		   ? READ_OK
		   : READ_NO_MEMORY;
}

/* ---- Credentials ----------------------------------------------------------------------------- */

static enum read_result of_cred(struct linux_task *task, const struct field *field, int64_t *ret)
{
	const struct layout *layout = &task->kernel->layout;
	enum read_result result;

	if (!task->has_cred) {
		task->has_cred = true;
		linux_read_object(task->kernel, LAYOUT_cred,
				  object_u64(&task->task, &layout->task_real_cred), &task->cred);
	}
	result = object_number(&task->cred, field, ret);
	/* The ids in struct cred are unsigned. */
	if (result == READ_OK)
		*ret = (int64_t)object_u64(&task->cred, field);
	return result;
}

static enum read_result get_uid(struct linux_task *task, int64_t *ret)
{
	return of_cred(task, &task->kernel->layout.cred_uid, ret);
}

static enum read_result get_gid(struct linux_task *task, int64_t *ret)
{
	return of_cred(task, &task->kernel->layout.cred_gid, ret);
}

static enum read_result get_euid(struct linux_task *task, int64_t *ret)
{
	return of_cred(task, &task->kernel->layout.cred_euid, ret);
}

static enum read_result get_egid(struct linux_task *task, int64_t *ret)
{
	return of_cred(task, &task->kernel->layout.cred_egid, ret);
}

static enum read_result get_suid(struct linux_task *task, int64_t *ret)
{
	return of_cred(task, &task->kernel->layout.cred_suid, ret);
}

static enum read_result get_sgid(struct linux_task *task, int64_t *ret)
{
	return of_cred(task, &task->kernel->layout.cred_sgid, ret);
}

/* ---- What the threads of a process share ----------------------------------------------------- */

static const struct object *signal_of(struct linux_task *task)
{
	if (!task->has_signal) {
		task->has_signal = true;
		linux_read_object(task->kernel, LAYOUT_signal,
				  object_u64(&task->task, &task->kernel->layout.task_signal),
				  &task->signal);
	}
	return &task->signal;
}

static enum read_result get_threads(struct linux_task *task, int64_t *ret)
{
	return object_number(signal_of(task), &task->kernel->layout.signal_nr_threads, ret);
}

static enum read_result pid_in_signal(struct linux_task *task, const struct field *field,
				      int64_t *ret)
{
	enum read_result result;
	int64_t pid;

	result = object_number(signal_of(task), field, &pid);
	if (result == READ_OK && !pid)
		return READ_NONE;
	return result == READ_OK ? linux_pid_number(task->kernel, (uint64_t)pid, ret) : result;
}

static enum read_result get_pgroup(struct linux_task *task, int64_t *ret)
{
	return pid_in_signal(task, &task->kernel->layout.signal_pgid, ret);
}

static enum read_result get_session(struct linux_task *task, int64_t *ret)
{
	return pid_in_signal(task, &task->kernel->layout.signal_sid, ret);
}

static enum read_result times_of(struct linux_task *task)
{
	if (task->has_times)
		return task->times_result;
	task->has_times = true;
	if (task->is_thread)
		task->times_result = linux_thread_cpu_time(task->kernel, &task->task, &task->times);
	else
		task->times_result =
		    linux_process_cpu_time(task->kernel, &task->task, signal_of(task), &task->seen,
					   &task->threads_left, &task->times);
	return task->times_result;
}

static enum read_result get_user_time(struct linux_task *task, int64_t *ret)
{
	enum read_result result = times_of(task);

	*ret = (int64_t)(task->times.user / NSEC_PER_MSEC);
	return result;
}

static enum read_result get_system_time(struct linux_task *task, int64_t *ret)
{
	enum read_result result = times_of(task);

	*ret = (int64_t)(task->times.system / NSEC_PER_MSEC);
	return result;
}

/* ---- Namespaces and groups ------------------------------------------------------------------- */

/* Reads a pointer in the task; READ_NONE if it is NULL. */
static enum read_result pointer_in_task(struct linux_task *task, const struct field *field,
					uint64_t *ret)
{
	if (!field->present)
		return READ_NO_LAYOUT;
	*ret = object_u64(&task->task, field);
	return *ret ? READ_OK : READ_NONE;
}

/* A zombie has no namespaces any more. */
static enum read_result get_pid_namespace(struct linux_task *task, int64_t *ret)
{
	uint64_t pid, number = 0;
	enum read_result result =
	    pointer_in_task(task, &task->kernel->layout.task_thread_pid, &pid);

	if (result == READ_OK)
		result = linux_pid_namespace(task->kernel, pid, &number);
	*ret = (int64_t)number;
	return result;
}

static enum read_result get_mount_namespace(struct linux_task *task, int64_t *ret)
{
	uint64_t nsproxy, number = 0;
	enum read_result result =
	    pointer_in_task(task, &task->kernel->layout.task_nsproxy, &nsproxy);

	if (result == READ_OK)
		result = linux_mount_namespace(task->kernel, nsproxy, &number);
	*ret = (int64_t)number;
	return result;
}

static enum read_result get_cgroup_path(struct linux_task *task, struct buffer *ret)
{
	return linux_cgroup_path(task->kernel,
				 object_u64(&task->task, &task->kernel->layout.task_cgroups), ret);
}

static enum read_result get_container(struct linux_task *task, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer path = {0};
	struct linux_runtime found;
	enum read_result result = get_cgroup_path(task, &path);

	if (result != READ_OK)
		return result;
	return linux_runtime_find(path.data, path.size, &found) ? linux_runtime_id(&found, ret)
								: READ_NONE;
}

/* ---- Directories ----------------------------------------------------------------------------- */

static enum read_result directory(struct linux_task *task, struct buffer *ret,
				  enum read_result (*find)(struct linux_kernel *kernel, uint64_t fs,
							   struct linux_path *ret))
{
	struct linux_path path;
	uint64_t fs;
	enum read_result result = pointer_in_task(task, &task->kernel->layout.task_fs, &fs);

	if (result == READ_OK)
		result = find(task->kernel, fs, &path);
	if (result == READ_OK)
		result = linux_d_path(task->kernel, &path, linux_task_reader_root(task), ret);
	return result;
}

static enum read_result get_cwd(struct linux_task *task, struct buffer *ret)
{
	return directory(task, ret, linux_fs_pwd);
}

static enum read_result get_root(struct linux_task *task, struct buffer *ret)
{
	return directory(task, ret, linux_fs_root);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Reads the mm_struct of a process; READ_NONE for a kernel thread or a zombie. */
static enum read_result memory_of(struct linux_task *task)
{
	const struct layout *layout = &task->kernel->layout;
	uint64_t mm = object_u64(&task->task, &layout->task_mm);

	if (!layout->task_mm.present || !layout->task_flags.present)
		return READ_NO_LAYOUT;
	if (!mm || linux_task_is_kernel_thread(task->kernel, &task->task))
		return READ_NONE;
	if (!task->has_mm) {
		task->has_mm = true;
		linux_read_object(task->kernel, LAYOUT_mm, mm, &task->mm);
	}
	return task->mm.result;
}

static enum read_result executable_of(struct linux_task *task, uint64_t *ret)
{
	const struct field *field = &task->kernel->layout.mm_exe_file;
	enum read_result result = memory_of(task);

	if (result == READ_OK && !field->present)
		return READ_NO_LAYOUT;
	*ret = object_u64(&task->mm, field);
	return result == READ_OK && !*ret ? READ_NONE : result;
}

static enum read_result get_path(struct linux_task *task, struct buffer *ret)
{
	uint64_t file;
	enum read_result result = executable_of(task, &file);

	if (result != READ_OK)
		return result;
	return linux_file_path(task->kernel, file, linux_task_reader_root(task), ret);
}

static enum read_result get_on_disk(struct linux_task *task, int64_t *ret)
{
	uint64_t file;
	enum read_result result = executable_of(task, &file);
	bool unlinked = false;

	if (result == READ_OK)
		result = linux_file_unlinked(task->kernel, file, &unlinked);
	*ret = result == READ_NONE ? -1 : !unlinked;
	return result == READ_NONE ? READ_OK : result;
}

/* NULs between arguments or variables become spaces, as in osquery. */
static void put_spaces(struct buffer *text, size_t start)
{
	while (text->size > start && !text->data[text->size - 1])
		text->size--;
	for (size_t i = start; i < text->size; i++) {
		if (!text->data[i])
			text->data[i] = ' ';
	}
}

static enum read_result get_cmdline(struct linux_task *task, struct buffer *ret)
{
	size_t start = ret->size;
	enum read_result result = memory_of(task);

	if (result == READ_OK)
		result = linux_process_cmdline(task->kernel, &task->mm, ret);
	put_spaces(ret, start);
	return result;
}

static enum read_result get_environment(struct linux_task *task, struct buffer *ret)
{
	size_t start = ret->size;
	enum read_result result = memory_of(task);

	if (result == READ_OK)
		result = linux_process_environment(task->kernel, &task->mm, ret);
	put_spaces(ret, start);
	return result;
}

static enum read_result get_resident_size(struct linux_task *task, int64_t *ret)
{
	enum read_result result = memory_of(task);
	uint64_t pages = 0;

	if (result == READ_OK)
		result = linux_process_resident(task->kernel, &task->mm, &pages);
	*ret = (int64_t)(pages * PAGE_SIZE);
	return result;
}

static enum read_result get_total_size(struct linux_task *task, int64_t *ret)
{
	enum read_result result = memory_of(task);
	int64_t pages = 0;

	if (result == READ_OK)
		result = object_number(&task->mm, &task->kernel->layout.mm_total_vm, &pages);
	*ret = (int64_t)((uint64_t)pages * PAGE_SIZE);
	return result;
}

static enum read_result get_page_table_root(struct linux_task *task, int64_t *ret)
{
	const struct field *field = &task->kernel->layout.mm_pgd;
	enum read_result result = memory_of(task);
	gpa_t root = {0};

	if (result == READ_OK && !field->present)
		return READ_NO_LAYOUT;
	if (result == READ_OK)
		result = read_result_of(address_space_translate(
		    task->kernel->guest.space, gva(object_u64(&task->mm, field)), &root));
	*ret = (int64_t)root.v;
	return result;
}

/* ---- The values ------------------------------------------------------------------------------ */

#define NEEDS(field) offsetof(struct layout, task_##field)
#define VALUE(kind, name, what, ...)                                                               \
	const struct linux_value linux_value_##name = {                                            \
	    .kind = get_##name, .fetch = what, .needs = {__VA_ARGS__}};

VALUE(number, pid, 0, NEEDS(pid))
VALUE(number, tid, 0, NEEDS(pid))
VALUE(number, tgid, 0, NEEDS(tgid))
VALUE(number, cpu, 0, NEEDS(cpu))
VALUE(number, nice, 0, NEEDS(static_prio))
VALUE(number, is_kernel_thread, 0, NEEDS(flags))
VALUE(number, task, 0, 0)
VALUE(number, parent, 0, NEEDS(real_parent))
VALUE(number, start_time, 0, NEEDS(start_boottime))
VALUE(text, name, LINUX_FETCH_NAMES, NEEDS(comm), NEEDS(flags), NEEDS(kthread))
VALUE(text, state, 0, NEEDS(state), NEEDS(exit_state))
VALUE(number, uid, LINUX_FETCH_CREDENTIALS, NEEDS(real_cred))
VALUE(number, gid, LINUX_FETCH_CREDENTIALS, NEEDS(real_cred))
VALUE(number, euid, LINUX_FETCH_CREDENTIALS, NEEDS(real_cred))
VALUE(number, egid, LINUX_FETCH_CREDENTIALS, NEEDS(real_cred))
VALUE(number, suid, LINUX_FETCH_CREDENTIALS, NEEDS(real_cred))
VALUE(number, sgid, LINUX_FETCH_CREDENTIALS, NEEDS(real_cred))
VALUE(number, threads, LINUX_FETCH_SIGNALS, NEEDS(signal))
VALUE(number, pgroup, LINUX_FETCH_SIGNALS, NEEDS(signal))
VALUE(number, session, LINUX_FETCH_SIGNALS, NEEDS(signal))
VALUE(number, user_time, LINUX_FETCH_SIGNALS, NEEDS(signal), NEEDS(utime), NEEDS(stime),
      NEEDS(runtime), NEEDS(prev_utime), NEEDS(prev_stime))
VALUE(number, system_time, LINUX_FETCH_SIGNALS, NEEDS(signal), NEEDS(utime), NEEDS(stime),
      NEEDS(runtime), NEEDS(prev_utime), NEEDS(prev_stime))
VALUE(number, pid_namespace, 0, NEEDS(thread_pid))
VALUE(number, mount_namespace, 0, NEEDS(nsproxy))
VALUE(text, cgroup_path, 0, NEEDS(cgroups))
VALUE(text, container, 0, NEEDS(cgroups))
VALUE(text, environment, LINUX_FETCH_MEMORY, NEEDS(mm), NEEDS(flags))
VALUE(text, cwd, 0, NEEDS(fs))
VALUE(text, root, 0, NEEDS(fs))
VALUE(text, path, LINUX_FETCH_MEMORY, NEEDS(mm), NEEDS(flags))
VALUE(number, on_disk, LINUX_FETCH_MEMORY, NEEDS(mm), NEEDS(flags))
VALUE(text, cmdline, LINUX_FETCH_MEMORY | LINUX_FETCH_CMDLINES, NEEDS(mm), NEEDS(flags))
VALUE(number, resident_size, LINUX_FETCH_MEMORY, NEEDS(mm), NEEDS(flags))
VALUE(number, total_size, LINUX_FETCH_MEMORY, NEEDS(mm), NEEDS(flags))
VALUE(number, page_table_root, LINUX_FETCH_MEMORY, NEEDS(mm), NEEDS(flags))
