/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/fetch.h"

#include "guest/linux/task.h"

/*
 * Low bits of an entry of an XArray (include/linux/xarray.h). The address of a node is stored with
 * ENTRY_NODE added.
 */
#define ENTRY_KIND 3
#define ENTRY_NODE 2
/*
 * Limit of the tree's height. Nodes have 64 slots, and a tree with all possible pids has four
 * levels.
 */
#define PID_LEVELS 8

/* Addresses of structures of one type. */
struct addresses {
	uint64_t items[LINUX_FETCHED];
	size_t count;
};

/* The pages to map next, in one call, and the addresses of structures found so far. */
struct fetch {
	struct linux_kernel *kernel;
	unsigned what; /* enum linux_fetch */
	uint64_t pages[6 * LINUX_FETCHED];
	size_t page_count;
	struct addresses mm, kthreads;
};

static void add_address(struct addresses *addresses, uint64_t address)
{
	if (address && addresses->count < ARRAY_SIZE(addresses->items))
		addresses->items[addresses->count++] = address;
}

static void add_page(struct fetch *fetch, uint64_t address)
{
	gpa_t at;

	if (address && fetch->page_count < ARRAY_SIZE(fetch->pages) &&
	    address_space_translate(fetch->kernel->guest.space, gva(address), &at) == MEMORY_OK)
		fetch->pages[fetch->page_count++] = at.v >> PAGE_SHIFT;
}

/* Adds the pages of a structure, up to the last field in use. */
static void add_structure(struct fetch *fetch, enum layout_struct type, uint64_t address)
{
	uint64_t last = address + linux_used_size(fetch->kernel, type) - 1;

	if (!address || last < address)
		return;
	add_page(fetch, address);
	if ((address ^ last) >> PAGE_SHIFT)
		add_page(fetch, last);
}

static void fetch_pages(struct fetch *fetch)
{
	memory_fetch(fetch->kernel->guest.memory, fetch->pages, fetch->page_count);
	fetch->page_count = 0;
}

static void add_structures(struct fetch *fetch, enum layout_struct type,
			   const struct addresses *addresses)
{
	for (size_t i = 0; i < addresses->count; i++)
		add_structure(fetch, type, addresses->items[i]);
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

/* Adds the nodes and the struct pids to which the slots of a node of the pid tree point. */
static void add_slots(struct linux_kernel *kernel, uint64_t node, struct addresses *nodes,
		      struct addresses *pids)
{
	const struct field *slots = &kernel->layout.xa_node_slots;
	_cleanup_object_ struct object copy = {0};

	if (linux_read_object(kernel, LAYOUT_xa_node, node, &copy) != READ_OK)
		return;
	for (unsigned i = 0; i < slots->elements; i++) {
		uint64_t entry = object_element(&copy, slots, i);

		if ((entry & ENTRY_KIND) == ENTRY_NODE)
			add_address(nodes, entry - ENTRY_NODE);
		else if (!(entry & ENTRY_KIND))
			add_address(pids, entry);
	}
}

/*
 * Finds the struct pids of the first pid namespace, level by level of the tree (kernel/pid.c,
 * lib/radix-tree.c).
 */
static void find_pids(struct fetch *fetch, struct addresses *pids)
{
	struct linux_kernel *kernel = fetch->kernel;
	struct addresses levels[2] = {0};
	uint64_t root;

	if (!kernel->layout.xa_node_slots.present || !kernel->symbol[LINUX_init_pid_ns] ||
	    linux_read_field(kernel, kernel->symbol[LINUX_init_pid_ns],
			     &kernel->layout.pid_namespace_root, &root) != READ_OK ||
	    (root & ENTRY_KIND) != ENTRY_NODE)
		return;
	add_address(&levels[0], root - ENTRY_NODE);
	for (unsigned level = 0; level < PID_LEVELS && levels[level & 1].count; level++) {
		const struct addresses *nodes = &levels[level & 1];
		struct addresses *next = &levels[~level & 1];

		add_structures(fetch, LAYOUT_xa_node, nodes);
		fetch_pages(fetch);
		next->count = 0;
		for (size_t i = 0; i < nodes->count; i++)
			add_slots(kernel, nodes->items[i], next, pids);
	}
}

/*
 * Fetches the task_structs of processes, which are found through the tree of pids. Following the
 * list of tasks would need a call for each task, because each task holds the address of the next
 * one.
 */
static void fetch_tasks(struct fetch *fetch)
{
	struct linux_kernel *kernel = fetch->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_process);
	struct addresses pids = {0}, tasks = {0};

	if (!layout->pid_leader.present || !layout->task_pid_link.present)
		return;
	find_pids(fetch, &pids);
	add_structures(fetch, LAYOUT_pid, &pids);
	fetch_pages(fetch);
	for (size_t i = 0; i < pids.count; i++) {
		uint64_t link;

		if (linux_read_field(kernel, pids.items[i], &layout->pid_leader, &link) ==
			READ_OK &&
		    link)
			add_address(&tasks, link - layout->task_pid_link.offset);
	}
	add_structures(fetch, LAYOUT_task, &tasks);
	fetch_pages(fetch);
}

/* ---- What tasks refer to --------------------------------------------------------------------- */

static void add_process(struct fetch *fetch, const struct object *task)
{
	const struct layout *layout = &fetch->kernel->layout;
	uint64_t mm = object_u64(task, &layout->task_mm);

	if (fetch->what & LINUX_FETCH_CREDENTIALS)
		add_structure(fetch, LAYOUT_cred, object_u64(task, &layout->task_real_cred));
	if (fetch->what & LINUX_FETCH_SIGNALS)
		add_structure(fetch, LAYOUT_signal, object_u64(task, &layout->task_signal));
	if (linux_task_is_kernel_thread(fetch->kernel, task)) {
		if (fetch->what & LINUX_FETCH_NAMES)
			add_address(&fetch->kthreads, object_u64(task, &layout->task_kthread));
	} else if (fetch->what & (LINUX_FETCH_MEMORY | LINUX_FETCH_CMDLINES)) {
		add_address(&fetch->mm, mm);
	}
}

/* Fetches the structures from which the names of kernel threads and workers are read. */
static void fetch_names(struct fetch *fetch)
{
	struct linux_kernel *kernel = fetch->kernel;
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object kthread = {0};

	for (size_t i = 0; i < fetch->kthreads.count; i++) {
		if (linux_read_object(kernel, LAYOUT_kthread, fetch->kthreads.items[i], &kthread) !=
		    READ_OK)
			continue;
		add_structure(fetch, LAYOUT_worker, object_u64(&kthread, &layout->kthread_data));
		add_page(fetch, object_u64(&kthread, &layout->kthread_full_name));
	}
	fetch_pages(fetch);
}

/*
 * Fetches the last page of each command line, which is read first; most command lines need no other
 * page.
 */
static void fetch_cmdlines(struct fetch *fetch)
{
	struct linux_kernel *kernel = fetch->kernel;
	const struct layout *layout = &kernel->layout;
	struct address_want wants[LINUX_FETCHED];
	_cleanup_object_ struct object mm = {0};
	size_t count = 0;

	for (size_t i = 0; i < fetch->mm.count; i++) {
		uint64_t end, pgd;

		if (linux_read_object(kernel, LAYOUT_mm, fetch->mm.items[i], &mm) != READ_OK)
			continue;
		end = object_u64(&mm, &layout->mm_arg_end);
		pgd = object_u64(&mm, &layout->mm_pgd);
		wants[count].address = gva(end - 1);
		count += end && address_space_translate(kernel->guest.space, gva(pgd),
							&wants[count].root) == MEMORY_OK;
	}
	address_space_fetch(kernel->guest.space, wants, count);
}

/* Whether an earlier list of this generation fetched all that this one needs. */
static bool is_fetched(struct linux_kernel *kernel, unsigned what)
{
	uint64_t generation = memory_generation(kernel->guest.memory);
	unsigned all = what | LINUX_FETCH_TASKS;

	if (kernel->fetched_generation != generation)
		kernel->fetched = 0;
	kernel->fetched_generation = generation;
	if ((kernel->fetched & all) == all)
		return true;
	kernel->fetched |= all;
	return false;
}

void linux_fetch_processes(struct linux_kernel *kernel, unsigned what)
{
	_cleanup_object_ struct object task = {0};
	_cleanup_free_ struct fetch *fetch = NULL;
	struct linux_tasks walk;
	struct nunchi_error *err;

	if (!memory_can_fetch(kernel->guest.memory) || is_fetched(kernel, what))
		return;
	err = linux_tasks_init(&walk, kernel, NULL);
	fetch = err ? NULL : calloc(1, sizeof(*fetch));
	if (fetch) {
		fetch->kernel = kernel;
		fetch->what = what;
		fetch_tasks(fetch);
		for (size_t i = 0; what && i < LINUX_FETCHED && linux_tasks_next(&walk, &task); i++)
			add_process(fetch, &task);
		add_structures(fetch, LAYOUT_mm, &fetch->mm);
		add_structures(fetch, LAYOUT_kthread, &fetch->kthreads);
		fetch_pages(fetch);
		fetch_names(fetch);
		if (what & LINUX_FETCH_CMDLINES)
			fetch_cmdlines(fetch);
	}
	if (err)
		nunchi_error_destroy(err);
	else
		linux_tasks_deinit(&walk);
}
