/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/process.h"
#include "guest/linux/mm.h"
#include "guest/linux/task.h"

#include <string.h>

/*
 * The counters of file, anonymous and shared pages: MM_FILEPAGES, MM_ANONPAGES and MM_SHMEMPAGES of
 * include/linux/mm_types_task.h.
 */
static const unsigned resident_counters[] = {0, 1, 3};

static enum read_result append_bytes(struct linux_kernel *kernel, uint64_t pgd, uint64_t start,
				     size_t size, struct buffer *ret)
{
	char *to = buffer_reserve(ret, size);
	enum read_result fault;

	if (!to)
		return READ_NO_MEMORY;
	fault = linux_process_read(kernel, pgd, start, to, size, NULL);
	if (fault != READ_OK)
		return fault;
	ret->size += size;
	ret->data[ret->size] = '\0';
	return READ_OK;
}

/*
 * Appends the title of a process whose setproctitle() wrote past the end of the arguments: one
 * string of at most a page.
 */
static enum read_result append_title(struct linux_kernel *kernel, uint64_t pgd, uint64_t start,
				     uint64_t end, struct buffer *ret)
{
	size_t size = end - start < PAGE_SIZE ? end - start : PAGE_SIZE;
	char page[PAGE_SIZE];
	enum read_result fault = linux_process_read(kernel, pgd, start, page, size, NULL);
	size_t length;

	if (fault != READ_OK)
		return fault;
	length = strnlen(page, size);
	return buffer_append(ret, page, length < size ? length + 1 : length) ? READ_OK
									     : READ_NO_MEMORY;
}

enum read_result linux_process_cmdline(struct linux_kernel *kernel, const struct object *mm,
				       struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t pgd = object_u64(mm, &layout->mm_pgd);
	uint64_t start = object_u64(mm, &layout->mm_arg_start);
	uint64_t end = object_u64(mm, &layout->mm_arg_end);
	uint64_t env_start = object_u64(mm, &layout->mm_env_start);
	uint64_t env_end = object_u64(mm, &layout->mm_env_end);
	enum read_result fault;
	char last;

	if (!layout->mm_pgd.present || !layout->mm_arg_start.present || !layout->mm_arg_end.present)
		return READ_NO_LAYOUT;
	if (start >= end)
		return READ_OK;
	if (env_start != end || env_end < env_start)
		env_end = end;
	/* What will be left out is not read. */
	if (kernel->guest.text_limit && end - start > kernel->guest.text_limit)
		return READ_LIMIT;
	fault = linux_process_read(kernel, pgd, end - 1, &last, 1, NULL);
	if (fault == READ_OK && last)
		return append_title(kernel, pgd, start, env_end, ret);
	if (end - start > LINUX_MAX_CMDLINE)
		return READ_LIMIT;
	return append_bytes(kernel, pgd, start, end - start, ret);
}

enum read_result linux_process_environment(struct linux_kernel *kernel, const struct object *mm,
					   struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t start = object_u64(mm, &layout->mm_env_start);
	uint64_t end = object_u64(mm, &layout->mm_env_end);

	if (!layout->mm_pgd.present || !layout->mm_env_start.present || !layout->mm_env_end.present)
		return READ_NO_LAYOUT;
	if (start >= end)
		return READ_OK;
	if (end - start > LINUX_MAX_CMDLINE ||
	    (kernel->guest.text_limit && end - start > kernel->guest.text_limit))
		return READ_LIMIT;
	return append_bytes(kernel, object_u64(mm, &layout->mm_pgd), start, end - start, ret);
}

/* Computes the sum of a per-CPU counter, as percpu_counter_sum() does. */
static enum read_result percpu_counter_sum(struct linux_kernel *kernel, uint64_t address,
					   int64_t *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_process);
	_cleanup_object_ struct object counter = {0};
	enum read_result fault;
	uint64_t sum, base;
	unsigned cpus;

	if (!layout->percpu_counter_count.present)
		return READ_NO_LAYOUT;
	fault = linux_read_object(kernel, LAYOUT_percpu_counter, address, &counter);
	if (fault != READ_OK)
		return fault;
	sum = object_u64(&counter, &layout->percpu_counter_count);
	base = object_u64(&counter, &layout->percpu_counter_counters);
	fault = base ? linux_cpu_count(kernel, &cpus) : READ_OK;
	if (fault != READ_OK)
		return fault;
	for (unsigned cpu = 0; base && cpu < cpus; cpu++) {
		uint64_t at;
		uint32_t part;

		fault = linux_per_cpu(kernel, base, cpu, &at);
		if (fault == READ_OK)
			fault = linux_read_u32(kernel, at, &part);
		if (fault != READ_OK)
			return fault;
		sum += (uint64_t)(int64_t)(int32_t)part;
	}
	*ret = (int64_t)sum;
	return READ_OK;
}

/* Reads one of the counters of mm_struct.rss_stat. */
static enum read_result resident_counter(struct linux_kernel *kernel, const struct object *mm,
					 unsigned which, int64_t *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_process);
	uint64_t stride = layout->size[LAYOUT_percpu_counter], word = 0;
	enum read_result fault;

	if (!layout->mm_rss_counts.present)
		return layout->mm_rss_percpu.present
			   ? percpu_counter_sum(
				 kernel,
				 mm->address + layout->mm_rss_percpu.offset + which * stride, ret)
			   : READ_NO_LAYOUT;
	fault = linux_read_word(kernel,
				mm->address + layout->mm_rss_counts.offset +
				    (uint64_t)which * kernel->word_size,
				&word);
	*ret = kernel->word_size == 8 ? (int64_t)word : (int32_t)word;
	return fault;
}

enum read_result linux_process_resident(struct linux_kernel *kernel, const struct object *mm,
					uint64_t *ret)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(resident_counters); i++) {
		int64_t part;
		enum read_result fault = resident_counter(kernel, mm, resident_counters[i], &part);

		if (fault != READ_OK)
			return fault;
		/* A counter may be negative for a moment; the kernel then shows 0. */
		if (part > 0)
			sum += (uint64_t)part;
	}
	*ret = sum;
	return READ_OK;
}

/* The kernel's counts: ticks in user mode, ticks in kernel mode, and the exact run time. */
struct cpu_counts {
	uint64_t user, system, runtime;
};

static void add_counts(const struct linux_kernel *kernel, const struct object *task,
		       struct cpu_counts *counts)
{
	counts->user += object_u64(task, &kernel->layout.task_utime);
	counts->system += object_u64(task, &kernel->layout.task_stime);
	counts->runtime += object_u64(task, &kernel->layout.task_runtime);
}

/*
 * Divides the run time in the ratio of the ticks; neither part may become smaller than before.
 * Source: kernel/sched/cputime.c, cputime_adjust().
 */
static struct linux_cpu_time adjust(const struct cpu_counts *counts, uint64_t prev_user,
				    uint64_t prev_system)
{
	uint64_t runtime = counts->runtime, user, system;

	if (runtime <= prev_user + prev_system)
		return (struct linux_cpu_time){prev_user, prev_system};
	if (!counts->system)
		system = 0;
	else if (!counts->user)
		system = runtime;
	else
		system = (uint64_t)((unsigned __int128)counts->system * runtime /
				    ((unsigned __int128)counts->system + counts->user));
	if (system < prev_system)
		system = prev_system;
	user = runtime - system;
	if (user < prev_user) {
		user = prev_user;
		system = runtime - user;
	}
	return (struct linux_cpu_time){user, system};
}

static bool has_task_times(const struct layout *layout)
{
	return layout->task_utime.present && layout->task_stime.present &&
	       layout->task_runtime.present;
}

static bool has_signal_times(const struct layout *layout)
{
	return layout->signal_utime.present && layout->signal_stime.present &&
	       layout->signal_runtime.present && layout->signal_nr_threads.present &&
	       layout->signal_prev_utime.present && layout->signal_prev_stime.present;
}

enum read_result linux_process_cpu_time(struct linux_kernel *kernel, const struct object *task,
					const struct object *signal, struct hash_map *seen,
					uint64_t *left, struct linux_cpu_time *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_process);
	_cleanup_object_ struct object thread = {0};
	struct linux_threads walk;
	struct cpu_counts counts = {
	    .user = object_u64(signal, &layout->signal_utime),
	    .system = object_u64(signal, &layout->signal_stime),
	    .runtime = object_u64(signal, &layout->signal_runtime),
	};

	if (!has_task_times(layout) || !has_signal_times(layout))
		return READ_NO_LAYOUT;
	if (!signal->size)
		return signal->result;
	if (object_u64(signal, &layout->signal_nr_threads) < 2) {
		add_counts(kernel, task, &counts);
	} else {
		if (!linux_threads_init(&walk, kernel, task, seen))
			return READ_NO_LAYOUT;
		while (*left && linux_threads_next(&walk, &thread)) {
			add_counts(kernel, &thread, &counts);
			--*left;
		}
		if (!*left)
			return READ_LIMIT;
		if (walk.list.broken || walk.unread)
			return walk.list.broken ? walk.list.broken : walk.why_unread;
	}
	*ret = adjust(&counts, object_u64(signal, &layout->signal_prev_utime),
		      object_u64(signal, &layout->signal_prev_stime));
	return READ_OK;
}

enum read_result linux_thread_cpu_time(const struct linux_kernel *kernel, const struct object *task,
				       struct linux_cpu_time *ret)
{
	const struct layout *layout = &kernel->layout;
	struct cpu_counts counts = {0};

	if (!has_task_times(layout) || !layout->task_prev_utime.present ||
	    !layout->task_prev_stime.present)
		return READ_NO_LAYOUT;
	add_counts(kernel, task, &counts);
	*ret = adjust(&counts, object_u64(task, &layout->task_prev_utime),
		      object_u64(task, &layout->task_prev_stime));
	return READ_OK;
}

enum read_result linux_pid_number(struct linux_kernel *kernel, uint64_t pid, int64_t *ret)
{
	uint64_t number;
	enum read_result fault = linux_read_field(kernel, pid, &kernel->layout.pid_number, &number);

	if (fault == READ_OK)
		*ret = (int32_t)number;
	return fault;
}

enum read_result linux_pid_namespace(struct linux_kernel *kernel, uint64_t pid, uint64_t *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_process);
	uint64_t level, namespace;
	enum read_result fault;

	if (!layout->pid_namespace.present || !layout->size[LAYOUT_upid])
		return READ_NO_LAYOUT;
	/*
	 * pid.numbers[] has an entry for each level of pid namespaces; the last is the namespace in
	 * which the process was created.
	 */
	fault = linux_read_field(kernel, pid, &layout->pid_level, &level);
	if (fault != READ_OK)
		return fault;
	/* The limit is MAX_PID_NS_LEVEL of include/linux/pid_namespace.h. */
	if (level > 32)
		return READ_BAD_DATA;
	fault = linux_read_word(
	    kernel, pid + layout->pid_namespace.offset + level * layout->size[LAYOUT_upid],
	    &namespace);
	if (fault == READ_OK)
		fault = linux_read_field(kernel, namespace, &layout->pid_namespace_inum, ret);
	/* Each namespace has a number. */
	return fault == READ_OK && !*ret ? READ_BAD_DATA : fault;
}

enum read_result linux_mount_namespace(struct linux_kernel *kernel, uint64_t nsproxy, uint64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t namespace;
	enum read_result fault =
	    linux_read_field(kernel, nsproxy, &layout->nsproxy_mnt_ns, &namespace);

	if (fault != READ_OK)
		return fault;
	return linux_read_field(kernel, namespace, &layout->mnt_namespace_inum, ret);
}

enum read_result linux_process_mm(struct linux_kernel *kernel, struct object *task, uint64_t *ret)
{
	const struct field *mm = &kernel->layout.task_mm, *active = &kernel->layout.task_active_mm;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_threads threads;

	*ret = object_u64(task, mm);
	if (!*ret && linux_threads_init(&threads, kernel, task, &seen)) {
		while (!*ret && linux_threads_next(&threads, task))
			*ret = object_u64(task, mm);
		if (!*ret && threads.list.broken != READ_OK)
			return threads.list.broken;
		if (!*ret && threads.why_unread != READ_OK)
			return threads.why_unread;
	}
	if (!*ret)
		return READ_NONE;
	if (!kernel->guest.live && active->present && object_u64(task, active) != *ret)
		return READ_BAD_DATA;
	return READ_OK;
}
