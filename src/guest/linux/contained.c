/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/contained.h"

#include "guest/linux/cgroup.h"
#include "guest/linux/runtime.h"

#define MAX_CONTAINERS 65536
#define MAX_TRIES      4 /* to read a process that changes meanwhile */

static void put_text(struct linux_containers *containers, struct linux_contained_cell *ret,
		     enum read_result result, const struct buffer *text)
{
	*ret = (struct linux_contained_cell){
	    .result = result, .offset = containers->text.size, .size = text->size};
	if (result == READ_OK && !buffer_append(&containers->text, text->data, text->size))
		ret->result = containers->text.no_memory ? READ_NO_MEMORY : READ_LIMIT;
}

/* Reads what is asked of a container's first process. */
static void read_values(struct linux_containers *containers, struct linux_contained *item)
{
	_cleanup_buffer_ struct buffer text = {0};

	for (size_t i = 0; i < containers->value_count; i++) {
		const struct linux_value *value = containers->values[i];
		struct linux_contained_cell *cell = &item->values[i];

		if (value->text) {
			buffer_clear(&text);
			put_text(containers, cell, value->text(&containers->task, &text), &text);
		} else {
			cell->result = value->number(&containers->task, &cell->number);
		}
	}
}

/* Where the current process belongs to. */
struct place {
	struct linux_runtime found;
	bool has_runtime;
	struct buffer path; /* of its cgroup */
	enum read_result path_result;
	int64_t pid_namespace;
	enum read_result namespace_result;
};

static void find_place(struct linux_containers *containers, struct place *ret)
{
	struct linux_task *task = &containers->task;
	uint64_t set = object_u64(&task->task, &task->kernel->layout.task_cgroups);

	buffer_clear(&ret->path);
	ret->path_result = linux_cgroup_path(task->kernel, set, &ret->path);
	ret->has_runtime = ret->path_result == READ_OK &&
			   linux_runtime_find(ret->path.data, ret->path.size, &ret->found);
	/* Version 1: each controller may have a hierarchy of its own. */
	for (unsigned i = 0; !ret->has_runtime && i < LINUX_CGROUP_CONTROLLERS; i++) {
		_cleanup_buffer_ struct buffer path = {0};
		enum read_result result = linux_cgroup_path_of(task->kernel, set, i, &path);

		if (result != READ_OK && result != READ_NONE)
			ret->path_result = result;
		if (result != READ_OK || !linux_runtime_find(path.data, path.size, &ret->found))
			continue;
		buffer_clear(&ret->path);
		buffer_append(&ret->path, path.data, path.size);
		ret->path_result = ret->path.failed ? READ_NO_MEMORY : READ_OK;
		ret->has_runtime = !ret->path.failed &&
				   linux_runtime_find(ret->path.data, ret->path.size, &ret->found);
	}
	ret->namespace_result = linux_value_pid_namespace.number(task, &ret->pid_namespace);
	if (!containers->first_namespace && ret->namespace_result == READ_OK)
		containers->first_namespace = ret->pid_namespace;
}

/* The key of the process's container; 0: it is in none. */
static uint64_t key_of(struct linux_containers *containers, const struct place *place)
{
	if (place->has_runtime)
		return hash_bytes(place->path.data, place->found.path_size) | 1;
	if (place->namespace_result != READ_OK ||
	    place->pid_namespace == containers->first_namespace)
		return 0;
	return (uint64_t)place->pid_namespace << 1;
}

static struct linux_contained *add(struct linux_containers *containers, uint64_t key)
{
	if (containers->count == containers->capacity) {
		size_t capacity = containers->capacity ? containers->capacity * 2 : 16;
		struct linux_contained *grown =
		    realloc(containers->items, capacity * sizeof(*grown));

		if (!grown)
			return NULL;
		containers->items = grown;
		containers->capacity = capacity;
	}
	if (hash_map_insert(&containers->by_key, key, containers->count) == HASH_NOMEM)
		return NULL;
	containers->items[containers->count] = (struct linux_contained){.key = key};
	return &containers->items[containers->count++];
}

/* Describes a container by its first process. */
static void describe(struct linux_containers *containers, const struct place *place,
		     struct linux_contained *item)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct buffer path = place->path;
	enum read_result result;

	item->pid = object_s64(&containers->task.task, &containers->task.kernel->layout.task_pid);
	item->id.result = item->pod.result = READ_NONE;
	if (place->has_runtime) {
		item->runtime = place->found.runtime;
		result = linux_runtime_id(&place->found, &text);
		put_text(containers, &item->id, result, &text);
		buffer_clear(&text);
		result = linux_runtime_pod(&place->found, &text);
		put_text(containers, &item->pod, result, &text);
		path.size = place->found.path_size;
	}
	put_text(containers, &item->path, place->path_result, &path);
	read_values(containers, item);
}

static void note_unread(struct linux_containers *containers, enum read_result result)
{
	containers->unread++;
	containers->why_unread = result;
}

/* Puts the current process into its container. False if memory is short. */
static bool place_process(struct linux_containers *containers, struct place *place)
{
	struct linux_contained *item;
	uint64_t key = key_of(containers, place), *known;
	enum read_result space = place->namespace_result;

	/* The kernel takes the pid away together with the place in the list of processes. */
	if (space == READ_NONE)
		space = containers->task.kernel->guest.live ? READ_OK : READ_BAD_DATA;
	if (!key && place->path_result != READ_OK && place->path_result != READ_NONE)
		note_unread(containers, place->path_result);
	else if (!key && space != READ_OK)
		note_unread(containers, space);
	if (!key)
		return true;
	known = hash_map_find(&containers->by_key, key);
	if (!known && containers->count == MAX_CONTAINERS) {
		note_unread(containers, READ_LIMIT);
		return true;
	}
	item = known ? &containers->items[*known] : add(containers, key);
	if (!item)
		return false;
	item->processes++;
	if (!known)
		describe(containers, place, item);
	return !containers->text.no_memory;
}

/* Whether the process is still there, and stayed as it was while it was looked at. */
static bool is_steady(struct linux_containers *containers, bool *ret_listed)
{
	struct linux_task *task = &containers->task;

	*ret_listed =
	    !task->kernel->guest.live || linux_task_is_listed(task->kernel, &task->task, false);
	return *ret_listed &&
	       (!task->kernel->guest.live || linux_task_is_same(task->kernel, &task->task));
}

bool linux_containers_find(struct linux_containers *containers, struct linux_tasks *walk)
{
	struct linux_task *task = &containers->task;
	struct place place = {0};
	bool good = true, listed = true;

	linux_task_init(task, walk->kernel, false);
	hash_map_init(&containers->by_key);
	linux_add_part(walk->kernel, &task->parts, &walk->kernel->layout.task_cgroups);
	linux_task_need(task, &linux_value_pid_namespace);
	for (size_t i = 0; i < containers->value_count; i++)
		linux_task_need(task, containers->values[i]);
	while (good && linux_tasks_next(walk, &task->task)) {
		for (int tries = 0; tries < MAX_TRIES; tries++) {
			enum read_result taken = linux_task_take(task);

			listed = taken == READ_OK;
			if (listed)
				find_place(containers, &place);
			else if (!walk->kernel->guest.live)
				note_unread(containers, taken);
			if (!listed || is_steady(containers, &listed))
				break;
		}
		/* One that has ended meanwhile is in none. */
		if (listed)
			good = place_process(containers, &place);
		listed = true;
	}
	buffer_deinit(&place.path);
	return good;
}

void linux_containers_deinit(struct linux_containers *containers)
{
	free(containers->items);
	hash_map_deinit(&containers->by_key);
	buffer_deinit(&containers->text);
	linux_task_deinit(&containers->task);
}
