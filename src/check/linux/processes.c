/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes in the places where the kernel keeps them: the list of processes with the threads of
 * each, the table of process ids, and the children of each process. Whoever hides a process takes
 * it out of one of them. Sources: kernel/{fork,exit,pid}.c of Linux 4.20 to 7.2.
 */
#include "check/linux/compared.h"
#include "core/array.h"
#include "guest/linux/task.h"
#include "guest/linux/xarray.h"

/* Limit of the nodes of the table of ids, which has at most LINUX_MAX_TASKS entries. */
#define MAX_NODES (LINUX_MAX_TASKS / 8)

struct places {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct hash_map listed;   /* tasks of the list of processes and their threads */
	struct hash_map ids;      /* tasks of the table of ids */
	struct hash_map unlisted; /* tasks that some process has as a child, and the list lacks */
	struct object task;
	struct buffer name;
	uint64_t processes, threads, numbers, children;
	/* A place that could be read only in part is not one from which anything is missing. */
	bool list_is_whole, ids_are_whole;
};

/* Reports a task that one place has and another lacks. */
static void differs(struct places *places, uint64_t address, const char *expected,
		    const char *found, const char *meaning)
{
	const struct layout *layout = &places->kernel->layout;
	struct object *task = &places->task;
	enum read_result result;

	buffer_clear(&places->name);
	result = linux_read_object(places->kernel, LAYOUT_task, address, task);
	if (result == READ_OK)
		result = linux_task_name(places->kernel, task, &places->name);
	check_add_compared(places->report, &places->kernel->guest,
			   &(struct check_finding){
			       .severity = CHECK_ALARM,
			       .pid = result == READ_OK ? object_s64(task, &layout->task_tgid) : -1,
			       .address = address,
			       .subject = check_text(places->report, &places->name),
			       .expected = expected,
			       .found = found,
			       .meaning = meaning,
			   },
			   "it began or ended");
}

static bool note(struct places *places, struct hash_map *map, uint64_t task)
{
	enum hash_result result = hash_map_insert(map, task, 0);

	places->report->no_memory |= result == HASH_NOMEM;
	return result == HASH_INSERTED;
}

static struct nunchi_error *read_list(struct places *places)
{
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_tasks walk;
	struct nunchi_error *err = linux_tasks_init(&walk, places->kernel, NULL);

	if (err)
		return err;
	while (linux_tasks_next(&walk, &places->task)) {
		uint64_t leader = places->task.address;
		struct linux_threads threads;

		places->processes++;
		note(places, &places->listed, leader);
		if (!linux_threads_init(&threads, places->kernel, &places->task, &seen))
			continue;
		while (linux_threads_next(&threads, &places->task)) {
			places->threads++;
			note(places, &places->listed, places->task.address);
		}
		check_unread(places->report,
			     threads.list.broken ? threads.list.broken : threads.why_unread,
			     "the threads of a process");
	}
	check_unread(places->report, walk.list.broken ? walk.list.broken : walk.why_unread,
		     "the list of processes");
	linux_tasks_deinit(&walk);
	return NULL;
}

/* Whether the task is not one that just begins or ends, which stands in some places only. */
static bool is_alive(const struct places *places, uint64_t address)
{
	uint64_t exit_state, listed;

	return linux_read_field(places->kernel, address, &places->kernel->layout.task_exit_state,
				&exit_state) == READ_OK &&
	       !exit_state &&
	       linux_read_field(places->kernel, address, &places->kernel->layout.task_thread_pid,
				&listed) == READ_OK &&
	       listed;
}

/* The task to which an entry of the table of ids belongs; 0 if the id is none of a task. */
static enum read_result task_of(struct places *places, uint64_t pid, uint64_t *ret)
{
	const struct layout *layout = &places->kernel->layout;
	enum read_result result = linux_read_field(places->kernel, pid, &layout->pid_thread, ret);

	if (result == READ_OK && *ret)
		*ret -= layout->task_thread_link.offset;
	return result;
}

static struct nunchi_error *read_ids(struct places *places)
{
	struct linux_kernel *kernel = places->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_process);
	uint64_t namespace = kernel->symbol[LINUX_init_pid_ns], head, number, pid, task;
	struct linux_xarray walk;
	enum read_result result;

	if (!namespace || !layout->pid_namespace_root.present || !layout->pid_thread.present ||
	    !layout->task_thread_link.present)
		return linux_lacks_fields("the table of process ids cannot be read",
					  "init_pid_ns, pid_namespace.idr or pid.tasks");
	result = linux_read_field(kernel, namespace, &layout->pid_namespace_root, &head);
	check_unread(places->report, result, "the table of process ids");
	if (result != READ_OK)
		return NULL;
	if (!linux_xarray_init(&walk, kernel, head, MAX_NODES))
		return linux_lacks_fields("the table of process ids cannot be read", "xa_node");
	while (linux_xarray_next(&walk, &number, &pid)) {
		result = task_of(places, pid, &task);
		check_unread(places->report, result, "an entry of the table of process ids");
		if (result != READ_OK || !task || !note(places, &places->ids, task))
			continue;
		places->numbers++;
		if (places->list_is_whole && !hash_map_find(&places->listed, task))
			differs(places, task, "in the list of processes",
				"in the table of process ids only",
				"The process has an id, but the list of all processes lacks it: it "
				"was hidden");
	}
	check_unread(places->report, walk.broken, "the table of process ids");
	return NULL;
}

/* Tasks of the list that have no id: the guest's /proc does not show them. */
static void compare_list(struct places *places)
{
	for (size_t i = 0; i < places->listed.capacity && places->ids_are_whole; i++) {
		const struct hash_entry *entry = &places->listed.entries[i];

		if (entry->used && !hash_map_find(&places->ids, entry->key) &&
		    is_alive(places, entry->key))
			differs(places, entry->key, "in the table of process ids",
				"in the list of processes only",
				"The process is alive and has no id, so that the guest's ps does "
				"not show it: it was hidden");
	}
}

/* Tasks whose children are still to be looked at. */
struct parents {
	uint64_t *items;
	size_t count, capacity;
};

static void push(struct places *places, struct parents *parents, uint64_t task)
{
	if (ARRAY_RESERVE(parents->items, parents->count, parents->capacity, 1))
		parents->items[parents->count++] = task;
	else
		places->report->no_memory = true;
}

/* Compares the children of a task with the list; those that the list lacks are parents, too. */
static void compare_children(struct places *places, uint64_t parent, struct parents *parents)
{
	const struct layout *layout = &places->kernel->layout;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_list list;
	uint64_t node;

	linux_list_init(&list, places->kernel, parent + layout->task_children.offset,
			LINUX_MAX_TASKS, &seen);
	while (linux_list_next(&list, &node)) {
		uint64_t child = node - layout->task_sibling.offset;

		places->children++;
		/* One that has an id was reported. */
		if (!places->list_is_whole || hash_map_find(&places->listed, child) ||
		    hash_map_find(&places->ids, child) || !note(places, &places->unlisted, child))
			continue;
		differs(places, child, "in the list of processes",
			"among the children of its parent",
			"A process has this child, but the list of all processes lacks it: it was "
			"hidden");
		push(places, parents, child);
	}
	check_unread(places->report, list.broken, "the children of a process");
}

/* The children of all tasks; a child of a thread is in the list of that thread. */
static void compare_families(struct places *places)
{
	const struct layout *layout = &places->kernel->layout;
	struct parents parents = {0};

	if (!layout->task_children.present || !layout->task_sibling.present)
		return;
	push(places, &parents, places->kernel->symbol[LINUX_init_task]);
	for (size_t i = 0; i < places->listed.capacity; i++)
		if (places->listed.entries[i].used)
			push(places, &parents, places->listed.entries[i].key);
	while (parents.count && !cancel_requested(places->kernel->guest.cancel))
		compare_children(places, parents.items[--parents.count], &parents);
	free(parents.items);
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct places places = {.kernel = linux_kernel_of(guest), .report = report};
	struct nunchi_error *err = linux_threads_check(places.kernel);

	if (!err)
		err = read_list(&places);
	places.list_is_whole = !report->unread;
	if (!err)
		err = read_ids(&places);
	places.ids_are_whole = !report->unread;
	if (!err) {
		compare_list(&places);
		compare_families(&places);
		check_summary(
		    report,
		    "%llu processes with %llu threads in the list, %llu threads in the "
		    "table of ids, %llu children of processes",
		    (unsigned long long)places.processes, (unsigned long long)places.threads,
		    (unsigned long long)places.numbers, (unsigned long long)places.children);
	}
	hash_map_deinit(&places.listed);
	hash_map_deinit(&places.ids);
	hash_map_deinit(&places.unlisted);
	object_deinit(&places.task);
	buffer_deinit(&places.name);
	return err;
}

const struct check check_processes = {
    "processes", "processes that are missing from one of the places where the kernel keeps them",
    &guest_linux, run};
