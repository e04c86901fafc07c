/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#include "guest/linux/module.h"
#include "guest/linux/task.h"
#include "guest/linux/time.h"
#include "probe/linux_function.h"
#include "probe/msr.h"
#include "view/linux_cells.h"

#include <inttypes.h>
#include <string.h>

#define NS_PER_S 1e9
/* Limit of the generations looked up for probe_system.descends(). */
#define MAX_GENERATIONS 64
/* Limit of the processes that are remembered; more are found by their parents. */
#define MAX_DESCENDANTS ((size_t)1 << 20)

static const struct {
	unsigned column;
	const struct linux_value *value;
} task_columns[] = {
    {PROBE_pid, &linux_value_tgid},
    {PROBE_tid, &linux_value_tid},
    {PROBE_name, &linux_value_name},
    {PROBE_parent, &linux_value_parent},
    {PROBE_uid, &linux_value_uid},
    {PROBE_cgroup_path, &linux_value_cgroup_path},
    {PROBE_container, &linux_value_container},
};

static struct nunchi_error *create(struct guest_kernel *guest, void **ret)
{
	static const enum layout_group groups[] = {
	    LAYOUT_GROUP_task,   LAYOUT_GROUP_process, LAYOUT_GROUP_path,
	    LAYOUT_GROUP_cgroup, LAYOUT_GROUP_probe,   LAYOUT_GROUP_time,
	    LAYOUT_GROUP_module, LAYOUT_GROUP_files,   LAYOUT_GROUP_socket};
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err = linux_has_field(kernel, &kernel->layout.task_tgid)
				       ? linux_current_check(kernel)
				       : linux_lacks_fields("a trace", "task_struct.tgid");
	struct linux_hit *state;

	if (err)
		return err;
	state = calloc(1, sizeof(*state));
	if (!state)
		return &error_nomem;
	state->kernel = kernel;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		linux_layout(kernel, groups[i]);
	linux_task_init(&state->task, kernel, true);
	/* One copy of the whole structure costs less than to know what the hooks will ask for. */
	state->task.task.parts = NULL;
	hash_map_init(&state->descendants);
	*ret = state;
	return NULL;
}

static void destroy(void *data)
{
	struct linux_hit *state = data;

	linux_task_deinit(&state->task);
	buffer_deinit(&state->text);
	hash_map_deinit(&state->descendants);
	free(state);
}

void hit_now(struct probe_hit *hit)
{
	struct linux_clock clock;
	enum read_result result;

	row_real(hit->row, PROBE_time, hit->time);
	if (!view_wants(hit->request, PROBE_uptime))
		return;
	result = linux_clock_read(linux_hit_of(hit)->kernel, &clock);
	if (result == READ_OK)
		row_real(hit->row, PROBE_uptime, (double)clock.uptime_ns / NS_PER_S);
	else
		row_unread(hit->row, PROBE_uptime, result);
}

static bool begin(void *data, struct probe_hit *hit)
{
	struct linux_hit *state = data;
	enum read_result result;
	uint64_t task = 0;

	hit->system = state;
	hit_now(hit);
	result = linux_current(state->kernel, hit->registers, &task);
	if (result == READ_OK)
		result = linux_read_object(state->kernel, LAYOUT_task, task, &state->task.task);
	linux_task_take(&state->task);
	for (size_t i = 0; i < ARRAY_SIZE(task_columns); i++) {
		if (result != READ_OK)
			row_unread(hit->row, task_columns[i].column, result);
		else if (view_wants(hit->request, task_columns[i].column))
			hit_task_value(hit, task_columns[i].column, task_columns[i].value);
	}
	return result == READ_OK;
}

static bool return_frame(const struct probe_hit *hit, uint64_t *ret_address, uint64_t *ret_stack)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;

	*ret_stack = hit->registers->rsp + kernel->word_size;
	return linux_return_address(kernel, hit->registers, ret_address) == READ_OK;
}

/* ---- Descendants ----------------------------------------------------------------------------- */

/* What tells a process from another one that gets its id later. */
struct identity {
	int64_t pid;
	uint64_t started;
};

/* Gets the identity of the process that a task belongs to. */
static bool identify(struct linux_kernel *kernel, uint64_t task, struct identity *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t leader, pid;

	if (linux_read_field(kernel, task, &layout->task_group_leader, &leader) != READ_OK ||
	    linux_read_field(kernel, task, &layout->task_tgid, &pid) != READ_OK ||
	    linux_read_field(kernel, leader, &layout->task_start_boottime, &ret->started) !=
		READ_OK)
		return false;
	ret->pid = (int32_t)pid;
	return true;
}

static bool is_known(const struct linux_hit *state, const struct identity *identity)
{
	const uint64_t *started = hash_map_find(&state->descendants, (uint64_t)identity->pid);

	return started && *started == identity->started;
}

static void remember(struct linux_hit *state, const struct identity *identity)
{
	uint64_t *started = hash_map_find(&state->descendants, (uint64_t)identity->pid);

	if (started)
		*started = identity->started;
	else if (state->descendants.count < MAX_DESCENDANTS)
		/* If memory is short, the process is found by its parents. */
		(void)hash_map_insert(&state->descendants, (uint64_t)identity->pid,
				      identity->started);
}

/* Whether a task belongs to one of the processes that are remembered, or descends from one. */
static bool task_descends(struct linux_hit *state, uint64_t task)
{
	struct linux_kernel *kernel = state->kernel;
	struct identity first = {0}, identity;

	for (unsigned i = 0; i < MAX_GENERATIONS && identify(kernel, task, &identity); i++) {
		if (!i)
			first = identity;
		if (is_known(state, &identity)) {
			remember(state, &first);
			return true;
		}
		if (identity.pid <= 1 ||
		    linux_read_field(kernel, task, &kernel->layout.task_real_parent, &task) !=
			READ_OK)
			return false;
	}
	return false;
}

static bool descends(void *data)
{
	struct linux_hit *state = data;

	return task_descends(state, state->task.task.address);
}

/* A new task, whose parent may end before it does anything. */
static enum probe_next enter_born(struct probe_hit *hit)
{
	struct linux_hit *state = linux_hit_of(hit);
	struct identity identity;

	if (descends(state) && identify(state->kernel, hit_argument(hit, 0), &identity))
		remember(state, &identity);
	return PROBE_NO_ROW;
}

/* Remembers the process with this id; *ret: it is there. */
static struct nunchi_error *remember_process(struct linux_hit *state, int64_t pid, bool *ret)
{
	const struct number_filter filter = NUMBER_FILTER_EQUAL(pid);
	_cleanup_object_ struct object task = {0};
	struct linux_tasks walk;
	struct identity identity;
	struct nunchi_error *err;

	err = linux_tasks_init(&walk, state->kernel, &filter);
	if (err)
		return err;
	*ret = linux_tasks_next(&walk, &task) && identify(state->kernel, task.address, &identity);
	if (*ret)
		remember(state, &identity);
	linux_tasks_deinit(&walk);
	return NULL;
}

/* Remembers the processes that descend from it already: any of them may end before its children. */
static struct nunchi_error *remember_descendants(struct linux_hit *state)
{
	_cleanup_object_ struct object task = {0};
	struct linux_tasks walk;
	struct nunchi_error *err = linux_tasks_init(&walk, state->kernel, NULL);

	if (err)
		return err;
	while (linux_tasks_next(&walk, &task))
		task_descends(state, task.address);
	linux_tasks_deinit(&walk);
	return NULL;
}

static struct nunchi_error *find_process(void *data, int64_t pid)
{
	struct linux_hit *state = data;
	bool found = false;
	struct nunchi_error *err = remember_process(state, pid, &found);

	if (!err && !found)
		err = error_hint(
		    error_create(NUNCHI_ERROR_NOT_FOUND, "the guest has no process %" PRId64, pid),
		    "nunchi ps lists them");
	return err ? err : remember_descendants(state);
}

static bool is_msr(const char *name)
{
	return !strncmp(name, MSR_PREFIX, strlen(MSR_PREFIX));
}

static struct nunchi_error *create_named(struct guest_kernel *kernel, const char *name,
					 struct probe **ret)
{
	return is_msr(name) ? msr_create(name, ret) : linux_function_create(kernel, name, ret);
}

static void destroy_named(struct probe *probe)
{
	if (probe && is_msr(probe->schema.name))
		msr_destroy(probe);
	else
		linux_function_destroy(probe);
}

const struct probe_system probe_linux = {
    .system = &guest_linux,
    .create = create,
    .destroy = destroy,
    .create_named = create_named,
    .destroy_named = destroy_named,
    .begin = begin,
    .find_process = find_process,
    .descends = descends,
    .born = {"wake_up_new_task", enter_born, NULL},
    .suspends = "do_suspend xen_suspend",
    .is_rewritten = linux_is_branch,
    .forbids_writing = linux_forbids_writing,
    .return_frame = return_frame,
};

/* ---- Cells ----------------------------------------------------------------------------------- */

uint64_t hit_argument(const struct probe_hit *hit, unsigned i)
{
	uint64_t value = 0;

	if (linux_argument(linux_hit_of(hit)->kernel, hit->registers, i, &value) != READ_OK)
		return 0;
	return value;
}

/* Addresses below it belong to processes, in kernels of 64 and of 32 bits (3 GiB). */
#define USER_END_64 0x00ffffffffffffff
#define USER_END_32 0xbfffffff

/* The memory through which the vCPU would read this address. */
static struct address_space *space_of(const struct probe_hit *hit, uint64_t address)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;

	if (address > (kernel->word_size == 8 ? USER_END_64 : USER_END_32))
		return kernel->guest.space;
	/* The walk clears the bits of CR3 that are not part of the address. */
	return guest_space_of(hit->kernel, gpa(hit->registers->cr3));
}

enum read_result hit_read(const struct probe_hit *hit, uint64_t address, void *buffer, size_t size)
{
	struct address_space *space = space_of(hit, address);

	if (!space)
		return READ_NO_MEMORY;
	return read_result_of(address_space_read(space, gva(address), buffer, size, NULL));
}

enum read_result hit_read_string(const struct probe_hit *hit, uint64_t address, char *buffer,
				 size_t limit, size_t *ret)
{
	struct address_space *space = space_of(hit, address);
	size_t done = 0;

	if (!space)
		return READ_NO_MEMORY;
	while (done < limit) {
		size_t piece = PAGE_SIZE - ((address + done) & PAGE_MASK), length;
		enum memory_fault fault;

		if (piece > limit - done)
			piece = limit - done;
		fault = address_space_read(space, gva(address + done), buffer + done, piece, NULL);
		if (fault != MEMORY_OK)
			return read_result_of(fault);
		length = strnlen(buffer + done, piece);
		done += length;
		if (length < piece)
			break;
	}
	*ret = done;
	return READ_OK;
}

void hit_kernel_string(struct probe_hit *hit, unsigned column, uint64_t address)
{
	char text[LINUX_PATH_MAX];
	enum read_result result;
	size_t size = 0;

	if (!view_wants(hit->request, column))
		return;
	result = linux_read_string(linux_hit_of(hit)->kernel, address, text, sizeof(text), &size);
	if (result == READ_OK && size < sizeof(text))
		row_text(hit->row, column, text, size);
	else
		row_unread(hit->row, column, result == READ_OK ? READ_LIMIT : result);
}

void hit_string(struct probe_hit *hit, unsigned column, uint64_t address, size_t limit)
{
	char text[LINUX_PATH_MAX];
	enum read_result result;
	size_t size = 0;

	if (!view_wants(hit->request, column))
		return;
	result =
	    hit_read_string(hit, address, text, limit < sizeof(text) ? limit : sizeof(text), &size);
	if (result == READ_OK)
		row_text(hit->row, column, text, size);
	else
		row_unread(hit->row, column, result);
}

/* Gets enumerator i of an enum, if it has the name or, without a name, the value. */
static bool find_enumerator(const struct type_index *types, type_id id, uint32_t count,
			    const char *name, int64_t value, struct type_enumerator *ret)
{
	for (uint32_t i = 0; i < count && type_index_enumerator(types, id, i, ret); i++) {
		if (name ? !strcmp(ret->name, name) : ret->value == value)
			return true;
	}
	return false;
}

static type_id find_enum(const struct type_index *types, const char *enumerator)
{
	uint32_t count = type_index_count(types);
	struct type_enumerator found;
	struct type type;

	for (type_id id = 1; id < count; id++) {
		if (type_index_get(types, id, &type) && type.kind == TYPE_ENUM &&
		    find_enumerator(types, id, type.count, enumerator, 0, &found))
			return id;
	}
	return 0;
}

/* Types are searched once: the guest stands still meanwhile. */
static type_id enum_of(struct linux_hit *state, const char *enumerator)
{
	const struct type_index *types = state->kernel->types;
	type_id id;

	for (unsigned i = 0; i < state->enum_count; i++) {
		if (!strcmp(state->enums[i].enumerator, enumerator))
			return state->enums[i].id;
	}
	id = types ? find_enum(types, enumerator) : 0;
	if (state->enum_count < HIT_MAX_ENUMS)
		state->enums[state->enum_count++] = (struct hit_enum){enumerator, id};
	return id;
}

void hit_append_enum(const struct probe_hit *hit, const char *enumerator, int64_t value,
		     struct buffer *ret)
{
	struct linux_hit *state = linux_hit_of(hit);
	const struct type_index *types = state->kernel->types;
	type_id id = enum_of(state, enumerator);
	struct type_enumerator found;
	struct type type;

	if (id && type_index_get(types, id, &type) &&
	    find_enumerator(types, id, type.count, NULL, value, &found))
		buffer_append_string(ret, found.name);
	else
		buffer_printf(ret, "%" PRId64, value);
}

void hit_enum_name(struct probe_hit *hit, unsigned column, const char *enumerator, int64_t value)
{
	struct linux_hit *state = linux_hit_of(hit);

	buffer_clear(&state->text);
	hit_append_enum(hit, enumerator, value, &state->text);
	row_read_text(hit->row, column, state->text.failed ? READ_NO_MEMORY : READ_OK,
		      &state->text);
}

void hit_append_quoted(const char *text, size_t size, struct buffer *ret)
{
	buffer_append_char(ret, '"');
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buffer_append_char(ret, '\\');
		buffer_append_char(ret, text[i]);
	}
	buffer_append_char(ret, '"');
}

void hit_module_name(struct probe_hit *hit, unsigned column, uint64_t address)
{
	struct linux_hit *state = linux_hit_of(hit);
	_cleanup_object_ struct object module = {0};
	enum read_result result = linux_read_object(state->kernel, LAYOUT_module, address, &module);

	buffer_clear(&state->text);
	if (result == READ_OK)
		result = linux_module_name(state->kernel, &module, &state->text);
	row_read_text(hit->row, column, result, &state->text);
}

void hit_task_value(struct probe_hit *hit, unsigned column, const struct linux_value *value)
{
	struct linux_hit *state = linux_hit_of(hit);

	if (view_wants(hit->request, column))
		row_task_value(hit->row, column, value, &state->task, &state->text);
}

void hit_other_task(struct probe_hit *hit, uint64_t address, unsigned first,
		    const struct linux_value *const *values, size_t count)
{
	struct linux_hit *state = linux_hit_of(hit);
	struct linux_task task;

	linux_task_init(&task, state->kernel, true);
	task.task.parts = NULL;
	linux_read_object(state->kernel, LAYOUT_task, address, &task.task);
	for (size_t i = 0; i < count; i++)
		row_task_value(hit->row, first + (unsigned)i, values[i], &task, &state->text);
	linux_task_deinit(&task);
}

uint64_t hit_file(const struct probe_hit *hit, int64_t fd)
{
	const struct linux_hit *state = linux_hit_of(hit);
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t files = object_u64(&state->task.task, &layout->task_files), table, entries, count,
		 file;

	if (!files || linux_read_field(kernel, files, &layout->files_fdt, &table) != READ_OK ||
	    linux_read_field(kernel, table, &layout->fdtable_max_fds, &count) != READ_OK ||
	    linux_read_field(kernel, table, &layout->fdtable_fd, &entries) != READ_OK || fd < 0 ||
	    (uint64_t)fd >= count ||
	    linux_read_word(kernel, entries + (uint64_t)fd * kernel->word_size, &file) != READ_OK)
		return 0;
	return file;
}

void hit_flags(struct probe_hit *hit, unsigned column, const struct flag_set *set, uint64_t value)
{
	struct buffer *text = &linux_hit_of(hit)->text;

	buffer_clear(text);
	flag_set_append(set, value, text);
	row_read_text(hit->row, column, text->failed ? READ_NO_MEMORY : READ_OK, text);
}

static void set_status(struct probe_hit *hit, unsigned column, int64_t value)
{
	row_integer(hit->row, column, value < 0 && value >= -HIT_MAX_ERRNO ? -value : 0);
}

void hit_status(struct probe_hit *hit, unsigned column)
{
	/* Of an int the upper half of the register is undefined. */
	set_status(hit, column, (int32_t)linux_returned(linux_hit_of(hit)->kernel, hit->registers));
}

void hit_pointer_status(struct probe_hit *hit, unsigned column)
{
	set_status(hit, column, linux_returned(linux_hit_of(hit)->kernel, hit->registers));
}
