/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What gdb calls threads: the vCPUs whose registers are known, and the tasks that do not run. */
#include "core/array.h"
#include "core/hash.h"
#include "gdb/gdb.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Layout ---------------------------------------------------------------------------------- */

/* A member whose offset is wanted. */
struct wanted {
	const char *name;
	uint32_t *offset;
	uint32_t *size; /* NULL: not wanted */
};

struct search {
	const struct wanted *wanted;
	size_t count;
	uint64_t size; /* of the structure */
};

static void take_size(const struct nunchi_type_info *type, void *data)
{
	struct search *search = data;

	search->size = type->size;
}

static void take_offset(const struct wanted *wanted, const struct nunchi_member *member)
{
	*wanted->offset = (uint32_t)(member->bit_offset / 8);
	if (wanted->size)
		*wanted->size = (uint32_t)(member->bit_size / 8);
}

static void take_member(const struct nunchi_member *member, void *data)
{
	const struct search *search = data;

	for (size_t i = 0; i < search->count; i++) {
		if (!member->hole && !member->bit_field && member->bit_offset / 8 < GDB_UNKNOWN &&
		    !strcmp(member->name, search->wanted[i].name))
			take_offset(&search->wanted[i], member);
	}
}

/* Looks for members of a structure; returns its size, 0 if the kernel's types lack it. */
static uint64_t find_members(struct nunchi_gdb *gdb, const char *type, const struct wanted *wanted,
			     size_t count)
{
	struct search search = {wanted, count, 0};
	_cleanup_error_ struct nunchi_error *err = NULL;

	for (size_t i = 0; i < count; i++)
		*wanted[i].offset = GDB_UNKNOWN;
	err = nunchi_type_layout(gdb->guest, type, take_size, take_member, &search);
	return err ? 0 : search.size;
}

/* The address of a symbol; 0 if there is none. */
static uint64_t symbol(struct nunchi_gdb *gdb, const char *name)
{
	struct nunchi_symbol found = {0};
	_cleanup_error_ struct nunchi_error *err = nunchi_symbol_find(gdb->guest, name, &found);

	return err ? 0 : found.address;
}

static void find_current(struct nunchi_gdb *gdb)
{
	uint32_t current;
	const struct wanted wanted = {"current_task", &current};
	uint64_t hot;

	gdb->offsets.current = symbol(gdb, "current_task");
	if (gdb->offsets.current)
		return;
	hot = symbol(gdb, "pcpu_hot");
	find_members(gdb, "pcpu_hot", &wanted, 1);
	if (hot && current != GDB_UNKNOWN)
		gdb->offsets.current = hot + current;
}

/* The first task's stack is as large as those of the others. */
static uint32_t find_stack_size(struct nunchi_gdb *gdb)
{
	uint64_t start = symbol(gdb, "__start_init_task"), end = symbol(gdb, "__end_init_task");

	if (!start || !end) {
		start = symbol(gdb, "__start_init_stack");
		end = symbol(gdb, "__end_init_stack");
	}
	if (start && end > start && end - start <= 65536)
		return (uint32_t)(end - start);
	return gdb->is_64 ? 16384 : 8192;
}

static void take_auxv(const struct nunchi_member *member, void *data)
{
	struct gdb_offsets *offsets = data;

	if (member->hole || strcmp(member->name, "saved_auxv") != 0 || member->bit_size > 65536)
		return;
	offsets->auxv = (uint32_t)(member->bit_offset / 8);
	offsets->auxv_size = (uint32_t)(member->bit_size / 8);
}

static void ignore_type(const struct nunchi_type_info *type, void *data)
{
	(void)type;
	(void)data;
}

/* What is needed to show a process. */
static void find_user(struct nunchi_gdb *gdb)
{
	struct gdb_user_offsets *user = &gdb->offsets.user;
	const struct wanted members[] = {
	    {"r15", &user->r15}, {"r14", &user->r14}, {"r13", &user->r13},
	    {"r12", &user->r12}, {"bp", &user->bp},   {"bx", &user->bx},
	    {"r11", &user->r11}, {"r10", &user->r10}, {"r9", &user->r9},
	    {"r8", &user->r8},   {"ax", &user->ax},   {"cx", &user->cx},
	    {"dx", &user->dx},   {"si", &user->si},   {"di", &user->di},
	    {"ip", &user->ip},   {"cs", &user->cs},   {"flags", &user->flags},
	    {"sp", &user->sp},   {"ss", &user->ss},   {"orig_ax", &user->orig_ax},
	};
	uint64_t size = find_members(gdb, "pt_regs", members, ARRAY_SIZE(members));

	user->size = size <= 256 ? (uint32_t)size : 0;
	gdb->offsets.stack_size = find_stack_size(gdb);
	gdb->offsets.auxv = GDB_UNKNOWN;
	/* Without it gdb is told that there is no vector. */
	nunchi_error_destroy(
	    nunchi_type_layout(gdb->guest, "mm_struct", ignore_type, take_auxv, &gdb->offsets));
}

void gdb_learn_layout(struct nunchi_gdb *gdb)
{
	struct gdb_offsets *offsets = &gdb->offsets;
	uint32_t thread;
	const struct wanted task[] = {{"on_cpu", &offsets->on_cpu, &offsets->on_cpu_size},
				      {"comm", &offsets->comm},
				      {"stack", &offsets->stack},
				      {"mm", &offsets->mm},
				      {"thread", &thread}};
	const struct wanted in_thread[] = {
	    {"sp", &offsets->sp}, {"fsbase", &offsets->fsbase}, {"gsbase", &offsets->gsbase}};
	const struct wanted frame[] = {
	    {"r15", &offsets->r15}, {"r14", &offsets->r14}, {"r13", &offsets->r13},
	    {"r12", &offsets->r12}, {"si", &offsets->si},   {"di", &offsets->di},
	    {"bx", &offsets->bx},   {"bp", &offsets->bp},   {"ret_addr", &offsets->ret_addr},
	};
	uint64_t size;

	find_members(gdb, "task_struct", task, ARRAY_SIZE(task));
	find_members(gdb, "thread_struct", in_thread, ARRAY_SIZE(in_thread));
	for (size_t i = 0; i < ARRAY_SIZE(in_thread); i++) {
		uint32_t *offset = in_thread[i].offset;

		*offset = thread == GDB_UNKNOWN || *offset == GDB_UNKNOWN ? GDB_UNKNOWN
									  : thread + *offset;
	}
	size = find_members(gdb, "inactive_task_frame", frame, ARRAY_SIZE(frame));
	offsets->frame_size = size <= 256 ? (uint32_t)size : 0;
	find_current(gdb);
	offsets->distances = symbol(gdb, "__per_cpu_offset");
	if (gdb->pid)
		find_user(gdb);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static bool add(struct nunchi_gdb *gdb, const struct gdb_thread *thread)
{
	if (!ARRAY_RESERVE(gdb->threads, gdb->thread_count, gdb->thread_capacity, 1))
		return false;
	gdb->threads[gdb->thread_count++] = *thread;
	return true;
}

const struct gdb_thread *gdb_find_thread(const struct nunchi_gdb *gdb, uint64_t id)
{
	for (size_t i = 0; i < gdb->thread_count; i++) {
		if (gdb->threads[i].id == id)
			return &gdb->threads[i];
	}
	return NULL;
}

uint64_t gdb_current_task(struct nunchi_gdb *gdb, const struct nunchi_registers *registers,
			  uint32_t vcpu)
{
	uint64_t distances = gdb->offsets.distances, base = 0, task;

	if (!gdb->offsets.current)
		return 0;
	/* In user mode GS is the program's, which may have any base. */
	if (gdb->is_64 && registers->has_selectors && !(registers->cs & 3) &&
	    registers->has_segments && registers->gs_base >> 63) {
		base = registers->gs_base;
	} else if (distances &&
		   !gdb_read_word(gdb, distances + (uint64_t)vcpu * (gdb->is_64 ? 8 : 4), &base)) {
		return 0;
	}
	base += gdb->offsets.current;
	return gdb_read_word(gdb, gdb->is_64 ? base : (uint32_t)base, &task) ? task : 0;
}

/* "CPU 0: sshd". */
static void name_vcpu(struct nunchi_gdb *gdb, struct gdb_thread *thread)
{
	char comm[16] = "", shown[sizeof(thread->name) - 16];
	bool known = thread->task && gdb->offsets.comm != GDB_UNKNOWN &&
		     gdb_read(gdb, thread->task + gdb->offsets.comm, comm, sizeof(comm));

	nunchi_escape(comm, strnlen(comm, sizeof(comm)), shown, sizeof(shown));
	snprintf(thread->name, sizeof(thread->name), known ? "CPU %d: %s" : "CPU %d", thread->vcpu,
		 shown);
}

static struct nunchi_error *add_vcpus(struct nunchi_gdb *gdb)
{
	uint32_t count = nunchi_vcpu_count(gdb->guest);

	for (uint32_t i = 0; i < count && i < GDB_VCPU_THREAD; i++) {
		struct gdb_thread thread = {
		    .id = GDB_VCPU_THREAD + i, .vcpu = (int)i, .cpu = i, .state = 'R'};
		struct nunchi_registers registers = {.size = sizeof(registers)};
		_cleanup_error_ struct nunchi_error *err =
		    nunchi_registers(gdb->guest, i, &registers);

		/* One that was never started has none. */
		if (err || !registers.has_rip)
			continue;
		thread.task = gdb_current_task(gdb, &registers, i);
		name_vcpu(gdb, &thread);
		if (!add(gdb, &thread))
			return &error_nomem;
	}
	return NULL;
}

/* The vCPU that runs a task, of the first threads; -1 if none does. */
static int vcpu_of(const struct nunchi_gdb *gdb, uint64_t task, size_t vcpus)
{
	for (size_t i = 0; i < vcpus; i++) {
		if (task && gdb->threads[i].task == task)
			return gdb->threads[i].vcpu;
	}
	return -1;
}

/* The columns that are asked for, in their order. */
enum { TID, NAME, STATE, CPU, TASK };
static const char *const columns[] = {"tid", "name", "state", "cpu", "task"};

static struct gdb_thread thread_of(const struct nunchi_cell *cells)
{
	struct gdb_thread thread = {.vcpu = -1, .cpu = -1};

	/* A hostile guest may have any number there. */
	if (cells[TID].kind == NUNCHI_CELL_VALUE && cells[TID].integer > 0 &&
	    cells[TID].integer < GDB_VCPU_THREAD)
		thread.id = (uint32_t)cells[TID].integer;
	if (cells[CPU].kind == NUNCHI_CELL_VALUE)
		thread.cpu = cells[CPU].integer;
	if (cells[TASK].kind == NUNCHI_CELL_VALUE)
		thread.task = cells[TASK].address;
	if (cells[STATE].kind == NUNCHI_CELL_VALUE && cells[STATE].text_size)
		thread.state = cells[STATE].text[0];
	if (cells[NAME].kind == NUNCHI_CELL_VALUE)
		nunchi_escape(cells[NAME].text, cells[NAME].text_size, thread.name,
			      sizeof(thread.name));
	return thread;
}

/* Of several tasks that claim one number the first is taken. */
static struct nunchi_error *add_tasks(struct nunchi_gdb *gdb, struct nunchi_cursor *cursor)
{
	_cleanup_hash_map_ struct hash_map seen;
	size_t vcpus = gdb->thread_count;
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	bool torn;

	hash_map_init(&seen);
	while (!(err = nunchi_cursor_next(cursor, &cells, &torn))) {
		struct gdb_thread thread = thread_of(cells);
		int vcpu = vcpu_of(gdb, thread.task, vcpus);
		enum hash_result inserted;

		/* Of a process all threads are shown; where one runs its vCPU may know more of it.
		 */
		if (!thread.id || (vcpu >= 0 && !gdb->pid))
			continue;
		thread.vcpu = vcpu;
		inserted = hash_map_insert(&seen, thread.id, 0);
		if (inserted == HASH_NOMEM || (inserted == HASH_INSERTED && !add(gdb, &thread)))
			return &error_nomem;
	}
	if (error_is(err, NUNCHI_ERROR_STOP)) {
		nunchi_error_destroy(err);
		err = NULL;
	}
	/* The vCPUs as such are no threads of a process. */
	if (gdb->pid) {
		gdb->thread_count -= vcpus;
		memmove(gdb->threads, gdb->threads + vcpus,
			gdb->thread_count * sizeof(*gdb->threads));
	}
	return err;
}

static struct nunchi_error *list_tasks(struct nunchi_gdb *gdb)
{
	char pid[24];
	const struct nunchi_constraint of_process = {
	    .column = "tgid", .value = pid, .op = NUNCHI_EQUAL};
	struct nunchi_query query = {.size = sizeof(query),
				     .columns = columns,
				     .column_count = ARRAY_SIZE(columns),
				     .limit = GDB_TASKS_MAX};
	struct nunchi_cursor *cursor = NULL;
	struct nunchi_error *err;

	snprintf(pid, sizeof(pid), "%" PRIu64, gdb->pid);
	if (gdb->pid) {
		query.constraints = &of_process;
		query.constraint_count = 1;
	}
	err = nunchi_cursor_open(gdb->guest, nunchi_view_find("threads"), &query, &cursor);
	if (!err)
		err = add_tasks(gdb, cursor);
	nunchi_cursor_close(cursor);
	/* Without types there are no tasks, but still vCPUs and memory. */
	if (!gdb->pid &&
	    (error_is(err, NUNCHI_ERROR_UNSUPPORTED) || error_is(err, NUNCHI_ERROR_NOT_FOUND))) {
		nunchi_error_destroy(err);
		err = NULL;
	}
	return err;
}

struct nunchi_error *gdb_list_threads(struct nunchi_gdb *gdb)
{
	const struct gdb_thread nowhere = {
	    .id = GDB_NOWHERE, .vcpu = -1, .cpu = -1, .name = "kernel"};
	struct nunchi_error *err;

	gdb->thread_count = 0;
	err = add_vcpus(gdb);
	if (!err)
		err = list_tasks(gdb);
	for (size_t i = 0; !err && i < gdb->thread_count; i++) {
		if (gdb_knows_place(gdb, &gdb->threads[i])) {
			gdb->first = gdb->threads[i].id;
			return NULL;
		}
	}
	/* gdb wants a thread that is somewhere, even to read memory. */
	gdb->first = GDB_NOWHERE;
	if (add(gdb, &nowhere))
		return err;
	nunchi_error_destroy(err);
	return &error_nomem;
}
