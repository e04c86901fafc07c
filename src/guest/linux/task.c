/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/task.h"

#include <string.h>

/* Limit of the processes in the index, which takes some 50 bytes for each. */
#define MAX_INDEXED ((uint64_t)1 << 17)

static void index_tasks(struct linux_kernel *kernel)
{
	struct linux_task_index *index = &kernel->task_index;
	const struct layout *layout = &kernel->layout;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_list list;
	uint64_t node, pid;

	linux_list_init(&list, kernel, kernel->symbol[LINUX_init_task] + layout->task_tasks.offset,
			MAX_INDEXED, &seen);
	while (linux_list_next(&list, &node)) {
		uint64_t address = node - layout->task_tasks.offset;

		if (linux_read_field(kernel, address, &layout->task_pid, &pid) != READ_OK ||
		    hash_map_insert(&index->tasks, (uint32_t)pid, address) == HASH_NOMEM)
			return;
	}
	index->complete = list.broken == READ_OK;
}

/*
 * Looks up the only process that the filter selects. False if the list must be walked: several are
 * selected, the guest runs, no other process was asked for yet, or the list has a fault, of which
 * the walk will warn.
 */
static bool look_up(struct linux_tasks *walk)
{
	struct linux_kernel *kernel = walk->kernel;
	struct linux_task_index *index = &kernel->task_index;
	uint64_t generation = memory_generation(kernel->guest.memory);
	const uint64_t *address;

	if (!walk->pids || walk->pids->low != walk->pids->high || walk->pids->values ||
	    walk->pids->low != (int32_t)walk->pids->low || kernel->guest.live)
		return false;
	if (index->generation != generation) {
		hash_map_clear(&index->tasks);
		index->generation = generation;
		index->asked = 0;
		index->complete = false;
	}
	if (++index->asked == 2)
		index_tasks(kernel);
	if (!index->complete)
		return false;
	address = hash_map_find(&index->tasks, (uint32_t)walk->pids->low);
	walk->looked_up = address ? *address : 0;
	return true;
}

struct nunchi_error *linux_tasks_init(struct linux_tasks *walk, struct linux_kernel *kernel,
				      const struct number_filter *pids)
{
	const struct layout *layout = &kernel->layout;

	*walk =
	    (struct linux_tasks){.kernel = kernel, .pids = pids, .left = number_filter_size(pids)};
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
		return linux_lacks_fields("processes cannot be walked", layout->task_tasks.present
									    ? "task_struct.pid"
									    : "task_struct.tasks");
	hash_map_init(&walk->seen);
	walk->by_id = look_up(walk);
	linux_list_init(&walk->list, kernel,
			kernel->symbol[LINUX_init_task] + layout->task_tasks.offset,
			LINUX_MAX_TASKS, &walk->seen);
	return NULL;
}

void linux_tasks_deinit(struct linux_tasks *walk)
{
	hash_map_deinit(&walk->seen);
}

/* Copies a task_struct, or counts it as one that cannot be read. */
static bool take_task(struct linux_tasks *walk, uint64_t address, enum read_result result,
		      struct object *task)
{
	if (result == READ_OK)
		result = linux_read_object(walk->kernel, LAYOUT_task, address, task);
	if (result == READ_OK)
		return true;
	walk->unread++;
	walk->why_unread = result;
	return false;
}

bool linux_tasks_next(struct linux_tasks *walk, struct object *task)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t node;

	if (walk->by_id) {
		uint64_t address = walk->looked_up;

		walk->looked_up = 0;
		return address && take_task(walk, address, READ_OK, task);
	}
	while (walk->left && linux_list_next(&walk->list, &node)) {
		uint64_t address = node - layout->task_tasks.offset;
		enum read_result result = READ_OK;
		uint64_t pid;

		if (walk->pids)
			result = linux_read_field(walk->kernel, address, &layout->task_pid, &pid);
		if (walk->pids && result == READ_OK &&
		    !number_filter_passes(walk->pids, (int32_t)pid))
			continue;
		/*
		 * On a running guest another thread may become the leader of this process (execve()
		 * of a thread), so do not stop early.
		 */
		walk->left -= walk->pids && result == READ_OK && !walk->kernel->guest.live;
		if (take_task(walk, address, result, task))
			return true;
	}
	return false;
}

struct nunchi_error *linux_threads_check(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_process);

	if (layout->task_signal.present && layout->signal_thread_head.present &&
	    layout->task_thread_node.present)
		return NULL;
	return linux_lacks_fields("threads cannot be walked",
				  "task_struct.signal, task_struct.thread_node or "
				  "signal_struct.thread_head");
}

bool linux_threads_init(struct linux_threads *walk, struct linux_kernel *kernel,
			const struct object *leader, struct hash_map *seen)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_process);
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

	while (linux_list_next(&walk->list, &node)) {
		enum read_result result =
		    linux_read_object(walk->kernel, LAYOUT_task,
				      node - walk->kernel->layout.task_thread_node.offset, task);

		if (result == READ_OK)
			return true;
		walk->unread++;
		walk->why_unread = result;
	}
	return false;
}

bool linux_task_is_listed(struct linux_kernel *kernel, const struct object *task, bool thread)
{
	const struct layout *layout = &kernel->layout;
	const struct field *node = thread ? &layout->task_thread_node : &layout->task_tasks;

	return linux_list_holds(kernel, task->address + node->offset);
}

/*
 * The fields that distinguish a task from a later one with the same task_struct, and from itself
 * before execve().
 */
#define IDENTITY_FIELDS(layout)                                                                    \
	{                                                                                          \
		&(layout)->task_pid, &(layout)->task_start_boottime, &(layout)->task_mm,           \
		    &(layout)->task_signal, &(layout)->task_real_cred                              \
	}

void linux_task_add_identity(struct linux_kernel *kernel, struct layout_parts *parts)
{
	const struct field *fields[] = IDENTITY_FIELDS(&kernel->layout);

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		linux_add_part(kernel, parts, fields[i]);
}

bool linux_task_is_same(struct linux_kernel *kernel, const struct object *task)
{
	const struct field *fields[] = IDENTITY_FIELDS(&kernel->layout);

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t now;

		if (fields[i]->present &&
		    (linux_read_field(kernel, task->address, fields[i], &now) != READ_OK ||
		     now != object_u64(task, fields[i])))
			return false;
	}
	return true;
}

/*
 * Whether memory is missing, as opposed to a pointer of a running guest that was valid a moment
 * ago. Memory that is mapped but has no RAM counts as missing: a raw file that was cut off reads
 * like that.
 */
static bool is_lacking(enum read_result fault)
{
	return fault != READ_OK && fault != READ_NOT_MAPPED && fault != READ_NO_LAYOUT;
}

/* Appends what a worker of a workqueue does now or did last. */
static enum read_result append_work(struct linux_kernel *kernel, uint64_t address,
				    struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object worker = {0};
	enum read_result fault = linux_read_object(kernel, LAYOUT_worker, address, &worker);
	const char *desc;
	size_t length;

	if (fault != READ_OK)
		return fault;
	if (!object_u64(&worker, &layout->worker_pool))
		return READ_OK;
	length = object_text(&worker, &layout->worker_desc, &desc);
	if (!length)
		return READ_OK;
	buffer_append_char(ret, object_u64(&worker, &layout->worker_current_work) ? '+' : '-');
	buffer_append(ret, desc, length);
	return READ_OK;
}

enum read_result linux_task_name(struct linux_kernel *kernel, const struct object *task,
				 struct buffer *ret)
{
	enum { PF_WQ_WORKER = 0x20, MOST = 63 };
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object kthread = {0};
	enum read_result fault = READ_OK, no_full_name = READ_OK;
	size_t start = ret->size, length;
	char full[MOST + 1];
	uint64_t name;
	const char *comm;
	bool worker;

	if (linux_task_is_kernel_thread(kernel, task))
		fault = linux_read_object(kernel, LAYOUT_kthread,
					  object_u64(task, &layout->task_kthread), &kthread);
	worker = object_u64(task, &layout->task_flags) & PF_WQ_WORKER;
	name = object_u64(&kthread, &layout->kthread_full_name);
	if (name)
		no_full_name = linux_read_string(kernel, name, full, MOST, &length);
	/*
	 * Since 6.11 format_worker_id() sets the full name of workers; before, they have comm only.
	 */
	if (name && no_full_name == READ_OK &&
	    (!worker || (length > 8 && !memcmp(full, "kworker/", 8)))) {
		buffer_append(ret, full, length);
	} else {
		length = object_text(task, &layout->task_comm, &comm);
		buffer_append(ret, length ? comm : "", length);
	}
	if (worker && fault == READ_OK)
		fault = append_work(kernel, object_u64(&kthread, &layout->kthread_data), ret);
	if (!is_lacking(fault))
		fault = no_full_name;
	if (ret->size > start + MOST)
		ret->size = start + MOST;
	if (is_lacking(fault))
		ret->size = start;
	return is_lacking(fault) ? fault : READ_OK;
}

char linux_task_state(const struct linux_kernel *kernel, const struct object *task)
{
	/* Constants of include/linux/sched.h; TASK_REPORT is the low seven bits. */
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
