/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/process.h"
#include "guest/linux/mm.h"
#include "guest/linux/task.h"

#include <string.h>

/* include/linux/mm_types_task.h: MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES. */
static const unsigned resident_counters[] = {0, 1, 3};

static enum memory_fault append_bytes(struct linux_kernel *kernel, uint64_t pgd, uint64_t start,
				      size_t size, struct buffer *ret)
{
	char *to = buffer_reserve(ret, size);
	enum memory_fault fault;

	if (!to)
		return MEMORY_IO;
	fault = linux_process_read(kernel, pgd, start, to, size, NULL);
	if (fault == MEMORY_OK)
		ret->size += size;
	return fault;
}

/* setproctitle() has run over the end: one string, at most a page of it. */
static enum memory_fault append_title(struct linux_kernel *kernel, uint64_t pgd, uint64_t start,
				      uint64_t end, struct buffer *ret)
{
	size_t size = end - start < PAGE_SIZE ? end - start : PAGE_SIZE;
	char page[PAGE_SIZE];
	enum memory_fault fault = linux_process_read(kernel, pgd, start, page, size, NULL);
	size_t length;

	if (fault != MEMORY_OK)
		return fault;
	length = strnlen(page, size);
	buffer_append(ret, page, length < size ? length + 1 : length);
	return MEMORY_OK;
}

enum memory_fault linux_process_cmdline(struct linux_kernel *kernel, const struct object *mm,
					struct buffer *ret, bool *ret_too_long)
{
	const struct layout *layout = &kernel->layout;
	uint64_t pgd = object_u64(mm, &layout->mm_pgd);
	uint64_t start = object_u64(mm, &layout->mm_arg_start);
	uint64_t end = object_u64(mm, &layout->mm_arg_end);
	uint64_t env_start = object_u64(mm, &layout->mm_env_start);
	uint64_t env_end = object_u64(mm, &layout->mm_env_end);
	enum memory_fault fault;
	char last;

	*ret_too_long = false;
	if (start >= end)
		return MEMORY_OK;
	if (env_start != end || env_end < env_start)
		env_end = end;
	fault = linux_process_read(kernel, pgd, end - 1, &last, 1, NULL);
	if (fault == MEMORY_OK && last)
		return append_title(kernel, pgd, start, env_end, ret);
	if (end - start > LINUX_MAX_CMDLINE) {
		*ret_too_long = true;
		return MEMORY_OK;
	}
	return append_bytes(kernel, pgd, start, end - start, ret);
}

/* A per-CPU counter's sum, as percpu_counter_sum() makes it. */
static bool percpu_counter_sum(struct linux_kernel *kernel, uint64_t address, int64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object counter = {0};
	unsigned cpus = linux_cpu_count(kernel);
	uint64_t sum, base;

	if (linux_read_object(kernel, LAYOUT_percpu_counter, address, &counter) != MEMORY_OK)
		return false;
	sum = object_u64(&counter, &layout->percpu_counter_count);
	base = object_u64(&counter, &layout->percpu_counter_counters);
	for (unsigned cpu = 0; base && cpu < cpus; cpu++) {
		uint64_t at;
		uint32_t part;

		if (!linux_per_cpu(kernel, base, cpu, &at) ||
		    linux_read_u32(kernel, at, &part) != MEMORY_OK)
			return false;
		sum += (uint64_t)(int64_t)(int32_t)part;
	}
	*ret = (int64_t)sum;
	return true;
}

bool linux_process_resident(struct linux_kernel *kernel, const struct object *mm, uint64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t stride = layout->size[LAYOUT_percpu_counter];
	int64_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(resident_counters); i++) {
		unsigned which = resident_counters[i];
		int64_t part = 0;

		if (layout->mm_rss_counts.present) {
			uint64_t word = 0;

			if (linux_read_word(kernel,
					    mm->address + layout->mm_rss_counts.offset +
						(uint64_t)which * kernel->word_size,
					    &word) != MEMORY_OK)
				return false;
			part = kernel->word_size == 8 ? (int64_t)word : (int32_t)word;
		} else if (!layout->mm_rss_percpu.present ||
			   !percpu_counter_sum(
			       kernel, mm->address + layout->mm_rss_percpu.offset + which * stride,
			       &part)) {
			return false;
		}
		/* A counter may be below zero for a moment; the kernel shows that as 0. */
		if (part > 0)
			sum += part;
	}
	*ret = (uint64_t)sum;
	return true;
}

/* What the kernel counted: ticks found in user mode and in the kernel, and the time it really ran. */
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
 * Ticks tell how the run time divides, and neither part may go back. Source:
 * kernel/sched/cputime.c, cputime_adjust().
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

bool linux_process_cpu_time(struct linux_kernel *kernel, const struct object *task,
			    const struct object *signal, struct hash_map *seen,
			    struct linux_cpu_time *ret)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object thread = {0};
	struct linux_threads walk;
	struct cpu_counts counts = {
	    .user = object_u64(signal, &layout->signal_utime),
	    .system = object_u64(signal, &layout->signal_stime),
	    .runtime = object_u64(signal, &layout->signal_runtime),
	};

	if (!layout->task_utime.present || !layout->task_runtime.present ||
	    !layout->signal_utime.present || !layout->signal_runtime.present)
		return false;
	if (object_u64(signal, &layout->signal_nr_threads) < 2) {
		add_counts(kernel, task, &counts);
	} else {
		if (!linux_threads_init(&walk, kernel, task, seen))
			return false;
		while (linux_threads_next(&walk, &thread))
			add_counts(kernel, &thread, &counts);
		if (walk.list.broken)
			return false;
	}
	*ret = adjust(&counts, object_u64(signal, &layout->signal_prev_utime),
		      object_u64(signal, &layout->signal_prev_stime));
	return true;
}

bool linux_thread_cpu_time(const struct linux_kernel *kernel, const struct object *task,
			   struct linux_cpu_time *ret)
{
	const struct layout *layout = &kernel->layout;
	struct cpu_counts counts = {0};

	if (!layout->task_utime.present || !layout->task_runtime.present)
		return false;
	add_counts(kernel, task, &counts);
	*ret = adjust(&counts, object_u64(task, &layout->task_prev_utime),
		      object_u64(task, &layout->task_prev_stime));
	return true;
}

bool linux_pid_number(struct linux_kernel *kernel, uint64_t pid, int64_t *ret)
{
	uint64_t number;

	if (linux_read_field(kernel, pid, &kernel->layout.pid_number, &number) != MEMORY_OK)
		return false;
	*ret = (int32_t)number;
	return true;
}

bool linux_pid_namespace(struct linux_kernel *kernel, uint64_t pid, uint64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t level, namespace;

	/* pid.numbers[] has an entry for each level; the last is the namespace it was made in. */
	if (linux_read_field(kernel, pid, &layout->pid_level, &level) != MEMORY_OK || level > 32 ||
	    !layout->pid_namespace.present ||
	    linux_read_word(kernel,
			    pid + layout->pid_namespace.offset + level * layout->size[LAYOUT_upid],
			    &namespace) != MEMORY_OK)
		return false;
	return linux_read_field(kernel, namespace, &layout->pid_namespace_inum, ret) == MEMORY_OK;
}

bool linux_mount_namespace(struct linux_kernel *kernel, uint64_t nsproxy, uint64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t namespace;

	return nsproxy &&
	       linux_read_field(kernel, nsproxy, &layout->nsproxy_mnt_ns, &namespace) ==
		   MEMORY_OK &&
	       linux_read_field(kernel, namespace, &layout->mnt_namespace_inum, ret) == MEMORY_OK;
}
