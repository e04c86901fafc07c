/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/task.h"

struct nunchi_error *linux_tasks_init(struct linux_tasks *walk, struct linux_kernel *kernel,
				      int64_t only_pid)
{
	const struct layout *layout = &kernel->layout;

	*walk = (struct linux_tasks){.kernel = kernel, .only_pid = only_pid};
	if (!kernel->types)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "processes cannot be walked: the kernel's types are "
					       "missing (%s)",
					       kernel->types_missing),
				  "give them with --types (a BTF file, vmlinux or ISF)");
	if (!kernel->symbol[LINUX_init_task])
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED,
				 "processes cannot be walked: the symbol init_task "
				 "is missing%s%s",
				 kernel->symbols_missing ? ": " : "",
				 kernel->symbols_missing ? kernel->symbols_missing : ""),
		    "give the kernel's System.map with --symbols");
	if (!layout->task_tasks.present || !layout->task_pid.present)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "processes cannot be walked: this kernel's task_struct has no "
				    "field %s",
				    layout->task_tasks.present ? "pid" : "tasks");
	hash_map_init(&walk->seen);
	linux_list_init(&walk->list, kernel,
			kernel->symbol[LINUX_init_task] + layout->task_tasks.offset,
			LINUX_MAX_TASKS, &walk->seen);
	return NULL;
}

void linux_tasks_deinit(struct linux_tasks *walk)
{
	hash_map_deinit(&walk->seen);
}

bool linux_tasks_next(struct linux_tasks *walk, struct object *task)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t node;

	while (!*walk->kernel->cancel && linux_list_next(&walk->list, &node)) {
		uint64_t address = node - layout->task_tasks.offset;
		uint64_t pid;

		if (walk->only_pid >= 0 &&
		    (linux_read_field(walk->kernel, address, &layout->task_pid, &pid) !=
			 MEMORY_OK ||
		     (int64_t)pid != walk->only_pid))
			continue;
		if (linux_read_object(walk->kernel, LAYOUT_task, address, task) == MEMORY_OK)
			return true;
		walk->list.broken = true;
	}
	return false;
}

bool linux_threads_init(struct linux_threads *walk, struct linux_kernel *kernel,
			const struct object *leader, struct hash_map *seen)
{
	const struct layout *layout = &kernel->layout;
	uint64_t signal = object_u64(leader, &layout->task_signal);

	if (!signal || !layout->signal_thread_head.present || !layout->task_thread_node.present)
		return false;
	*walk = (struct linux_threads){.kernel = kernel, .seen = seen};
	linux_list_init(&walk->list, kernel, signal + layout->signal_thread_head.offset,
			LINUX_MAX_TASKS, seen);
	return true;
}

bool linux_threads_next(struct linux_threads *walk, struct object *task)
{
	uint64_t node;

	if (*walk->kernel->cancel || !linux_list_next(&walk->list, &node))
		return false;
	if (linux_read_object(walk->kernel, LAYOUT_task,
			      node - walk->kernel->layout.task_thread_node.offset,
			      task) == MEMORY_OK)
		return true;
	walk->list.broken = true;
	return false;
}

char linux_task_state(const struct linux_kernel *kernel, const struct object *task)
{
	/* include/linux/sched.h; TASK_REPORT is the low seven bits. */
	enum { TASK_UNINTERRUPTIBLE = 0x2, TASK_REPORT = 0x7f, TASK_RTLOCK_WAIT = 0x1000 };
	enum { TASK_FROZEN = 0x8000, TASK_IDLE = 0x402 };
	uint64_t state = object_u64(task, &kernel->layout.task_state);
	uint64_t exit_state = object_u64(task, &kernel->layout.task_exit_state);
	uint64_t reported = (state | exit_state) & TASK_REPORT;

	if ((state & TASK_IDLE) == TASK_IDLE)
		return 'I';
	if (state & (TASK_RTLOCK_WAIT | TASK_FROZEN))
		reported = TASK_UNINTERRUPTIBLE;
	return "RSDTtXZP"[reported ? 64 - __builtin_clzll(reported) : 0];
}
