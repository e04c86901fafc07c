/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The containers of a guest: processes are put together by the cgroup that a container runtime made
 * for them, or, if no path of a cgroup says so, by a pid namespace that is not the first one.
 */
#ifndef NUNCHI_GUEST_LINUX_CONTAINED_H
#define NUNCHI_GUEST_LINUX_CONTAINED_H

#include "guest/linux/task_value.h"

#define LINUX_CONTAINED_VALUES 16

/* A cell: a number, or a text at an offset of linux_containers.text. */
struct linux_contained_cell {
	enum read_result result; /* READ_NONE: there is no such thing */
	int64_t number;
	size_t offset, size;
};

struct linux_contained {
	const char *runtime; /* see struct linux_runtime */
	uint64_t key;
	int64_t pid; /* of the first process of the list that is in it, which began first */
	uint64_t processes;
	struct linux_contained_cell id, pod, path;
	/* of the first process */
	struct linux_contained_cell values[LINUX_CONTAINED_VALUES];
};

struct linux_containers {
	const struct linux_value *const *values; /* what is read of each first process; borrowed */
	size_t value_count;                      /* at most LINUX_CONTAINED_VALUES */
	struct linux_contained *items;
	size_t count, capacity;
	struct hash_map by_key;
	struct buffer text;
	struct linux_task task;
	int64_t first_namespace; /* pid namespace of the first process of the list; 0: not known */
	/* Processes of which it is not known whether they are in a container, and why. */
	uint64_t unread;
	enum read_result why_unread;
};

/*
 * Finds the containers of all processes of the walk. False if memory is short. Afterwards walk says
 * whether the list was read to its end.
 */
bool linux_containers_find(struct linux_containers *containers, struct linux_tasks *walk);
void linux_containers_deinit(struct linux_containers *containers);

#endif
