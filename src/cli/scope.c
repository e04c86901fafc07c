/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A process may map its pages more than once; but not without end. */
#define MOST_TIMES_RAM 2

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int scope_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct look *look = state;
	struct scope *scope = &look->scope;

	switch (letter) {
	case OPTION_COLUMNS:
	case OPTION_WHERE:
	case OPTION_LIMIT:
		return select_option(cli, &look->select, letter, value);
	case OPTION_PROGRESS:
		look->progress.always = true;
		break;
	case OPTION_TIMEOUT:
		if (!parse_number(value, &look->timeout) || !look->timeout ||
		    look->timeout > UINT32_MAX)
			return cli_misuse(cli, NULL,
					  "--timeout takes a number of seconds, not \"%s\"", value);
		break;
	case OPTION_RAM:
		scope->ram = true;
		break;
	case OPTION_ALL:
		scope->all = true;
		break;
	case OPTION_KERNEL_IMAGE:
		scope->kernel = true;
		break;
	case OPTION_NAME:
		scope->name = value;
		break;
	default:
		if (scope->pid_count == SCOPE_MOST_PIDS)
			return cli_misuse(cli, NULL, "at most %d --pid", SCOPE_MOST_PIDS);
		if (!parse_number(value, &scope->pids[scope->pid_count]) ||
		    scope->pids[scope->pid_count] > INT32_MAX)
			return cli_misuse(cli, NULL, "\"%s\" is not a process id", value);
		scope->pid_count++;
	}
	return CLI_DONE;
}

/* Whether the options fit together; sets the default. */
static int check(struct cli *cli, struct scope *scope)
{
	const bool processes = scope->pid_count || scope->name || scope->all;

	if ((scope->pid_count != 0) + (scope->name != NULL) + scope->all > 1)
		return cli_misuse(cli, NULL, "give one of --pid, --name and --all");
	if (!processes && !scope->kernel)
		scope->ram = true;
	return CLI_DONE;
}

int look_start(struct cli *cli, struct look *look, const struct nunchi_view *view)
{
	int status = check(cli, &look->scope);

	if (!status)
		status = select_finish(cli, &look->select, view);
	if (!status)
		status = filter_check(cli, view, &look->select);
	if (look->timeout)
		look->deadline = now() + (double)look->timeout;
	progress_begin(&look->progress);
	return status;
}

bool look_goes_on(struct look *look, uint64_t done, uint64_t total)
{
	if (cli_interrupted())
		return false;
	look->late = look->deadline > 0 && now() > look->deadline;
	if (done < total)
		progress_show(&look->progress, done, total);
	return !look->late;
}

int look_fail(struct cli *cli, struct look *look, struct scope_area *area, struct nunchi_error *err)
{
	if (nunchi_error_code(err) != NUNCHI_ERROR_CANCELLED)
		return cli_fail(cli, err);
	if (area->memory.err) {
		nunchi_error_destroy(err);
		err = area->memory.err;
		area->memory.err = NULL;
		return cli_fail(cli, err);
	}
	if (!look->late)
		return cli_fail(cli, err);
	nunchi_error_destroy(err);
	return cli_fail_with(cli, "the scan did not end within %" PRIu64 " s", look->timeout);
}

void scope_warn(struct cli *cli, const struct scope_area *area, const char *text)
{
	char line[320];

	if (area->pid >= 0)
		snprintf(line, sizeof(line), "process %" PRId64 ": %s", area->pid, text);
	else
		snprintf(line, sizeof(line), "%s", text);
	cli_warn(cli, line);
}

void scope_warn_unread(struct cli *cli, const struct scope_area *area, uint64_t bytes)
{
	char text[128];

	if (!bytes)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 " KiB could not be read, and were left out",
		 (bytes + 1023) >> 10);
	scope_warn(cli, area, text);
}

/* ---- Places ---------------------------------------------------------------------------------- */

const struct scope_map *scope_map_at(const struct scope_area *area, uint64_t address)
{
	size_t low = 0, high = area->map_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (area->maps[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == area->map_count || area->maps[low].start > address)
		return NULL;
	return &area->maps[low];
}

static struct nunchi_cell physical_cell(struct scope_area *area, uint64_t address)
{
	struct nunchi_error *err;
	uint64_t physical;

	if (!area->is_virtual)
		return cell_address(address);
	area->memory.place.address = address;
	err = nunchi_translate_address(area->memory.guest, &area->memory.place, &physical);
	if (!err)
		return cell_address(physical);
	nunchi_error_destroy(err);
	return (struct nunchi_cell){.kind = NUNCHI_CELL_ABSENT,
				    .type = NUNCHI_TYPE_ADDRESS,
				    .absence = NUNCHI_ABSENT_NOT_MAPPED};
}

void scope_cells(struct scope_area *area, uint64_t address, struct nunchi_cell *cells)
{
	const struct scope_map *map = scope_map_at(area, address);

	cells[0] = area->pid >= 0 ? cell_integer(area->pid) : cell_not_applicable();
	cells[1] = cell_text(area->name);
	cells[2] = area->is_virtual ? cell_address(address) : cell_not_applicable();
	cells[3] = physical_cell(area, address);
	cells[4] = cell_text(map ? map->path : NULL);
	cells[5] = map && map->is_file
		       ? cell_integer((int64_t)(map->offset + (address - map->start)))
		       : cell_not_applicable();
}

/* ---- Areas ----------------------------------------------------------------------------------- */

struct scoping {
	struct cli *cli;
	struct look *look;
	const struct scope *scope; /* of look */
	bool several;              /* processes may be asked for */
	int failed;                /* the exit status of a process that was left out */
	int (*work)(struct cli *cli, struct scope_area *area, void *data);
	void *data;
	/* The processes that were chosen. */
	struct chosen {
		int64_t pid;
		char *name; /* owned */
	} * chosen;
	size_t chosen_count, chosen_capacity;
	uint64_t ram; /* bytes */
};

static void area_clean(struct scope_area *area)
{
	for (size_t i = 0; i < area->map_count; i++)
		free(area->maps[i].path);
	free(area->maps);
	scan_regions_deinit(&area->regions);
	nunchi_error_destroy(area->memory.err);
}

/* Makes room for one more item of an array whose capacity doubles; NULL: no memory is left. */
static void *room(void *items, size_t count, size_t *capacity, size_t size)
{
	void *more;

	if (count < *capacity)
		return items;
	more = reallocarray(items, *capacity ? 2 * *capacity : 64, size);
	if (more)
		*capacity = *capacity ? 2 * *capacity : 64;
	return more;
}

static struct nunchi_error *out_of_memory(void)
{
	return nunchi_error_create(NUNCHI_ERROR_NOMEM, 0, "out of memory", NULL);
}

static char *copy_cell(const struct nunchi_cell *cell)
{
	if (cell->kind != NUNCHI_CELL_VALUE || !cell->text_size)
		return NULL;
	return strndup(cell->text, cell->text_size);
}

static struct nunchi_error *add_map(struct scope_area *area, const struct scope_map *map)
{
	void *maps = room(area->maps, area->map_count, &area->map_capacity, sizeof(*area->maps));

	if (!maps) {
		free(map->path);
		return out_of_memory();
	}
	area->maps = maps;
	area->maps[area->map_count++] = *map;
	return NULL;
}

static int compare_maps(const void *one, const void *other)
{
	const struct scope_map *a = one, *b = other;

	return a->start < b->start ? -1 : a->start > b->start;
}

static bool goes_on(void *data)
{
	return look_goes_on(data, 0, 0);
}

/* Whether the error is one of this process's memory, and others may be read. */
static bool is_of_memory(const struct nunchi_error *err)
{
	switch (nunchi_error_code(err)) {
	case NUNCHI_ERROR_FAULT:
	case NUNCHI_ERROR_DATA:
	case NUNCHI_ERROR_NOT_FOUND:
		return true;
	default:
		return false;
	}
}

/* Finds what is mapped, and works on it. */
static int work_mapped(struct scoping *scoping, struct scope_area *area, const char *what)
{
	struct cli *cli = scoping->cli;
	uint64_t left = scoping->ram * MOST_TIMES_RAM;
	struct nunchi_error *err = NULL;
	bool cut = false;
	char text[128];

	if (area->map_count)
		qsort(area->maps, area->map_count, sizeof(*area->maps), compare_maps);
	for (size_t i = 0; i < area->map_count && !err && !cut; i++) {
		err = scan_mapped(&area->memory, area->maps[i].start, area->maps[i].end, &left,
				  goes_on, scoping->look, &area->regions, &cut);
	}
	if (err && scoping->several && is_of_memory(err)) {
		scoping->failed = cli_fail(cli, err);
		return CLI_DONE;
	}
	if (err)
		return look_fail(cli, scoping->look, area, err);
	if (cut) {
		snprintf(text, sizeof(text),
			 "%s maps more than %d times the guest's RAM; the rest is left out", what,
			 MOST_TIMES_RAM);
		cli_warn(cli, text);
	}
	return scoping->work(cli, area, scoping->data);
}

/* ---- RAM ------------------------------------------------------------------------------------- */

static int work_ram(struct scoping *scoping)
{
	struct cli *cli = scoping->cli;
	struct scope_area area = {
	    .memory = {.guest = cli->guest, .place = {.space = NUNCHI_SPACE_PHYSICAL}}, .pid = -1};
	struct nunchi_error *err = scan_ram(cli->guest, &area.regions);
	int status = err ? cli_fail(cli, err) : scoping->work(cli, &area, scoping->data);

	area_clean(&area);
	return status;
}

/* ---- Processes ------------------------------------------------------------------------------- */

static struct nunchi_error *choose_process(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct scoping *scoping = data;
	void *chosen;

	(void)torn;
	if (cells[0].kind != NUNCHI_CELL_VALUE)
		return NULL;
	chosen = room(scoping->chosen, scoping->chosen_count, &scoping->chosen_capacity,
		      sizeof(*scoping->chosen));
	if (!chosen)
		return out_of_memory();
	scoping->chosen = chosen;
	scoping->chosen[scoping->chosen_count++] =
	    (struct chosen){cells[0].integer, copy_cell(&cells[1])};
	return NULL;
}

/* Looks for the processes of one condition; NULL: for all. */
static int choose_processes(struct scoping *scoping, const struct nunchi_constraint *where)
{
	static const char *const columns[] = {"pid", "name"};
	const struct nunchi_view *view = nunchi_view_find("processes");
	const struct nunchi_query query = {.size = sizeof(query),
					   .columns = columns,
					   .column_count = ARRAY_SIZE(columns),
					   .constraints = where,
					   .constraint_count = where != NULL};
	size_t before = scoping->chosen_count;
	int status = cli_rows(scoping->cli, view, &query, choose_process, scoping);

	if (!status && where && scoping->chosen_count == before)
		return cli_fail_with(scoping->cli, "there is no process whose %s is %s",
				     where->column, where->value);
	return status;
}

static struct nunchi_error *add_process_map(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct scope_map map = {.start = cells[0].address, .end = cells[1].address};

	(void)torn;
	if (cells[0].kind != NUNCHI_CELL_VALUE || cells[1].kind != NUNCHI_CELL_VALUE ||
	    map.start >= map.end)
		return NULL;
	map.path = copy_cell(&cells[3]);
	map.is_file = cells[2].kind == NUNCHI_CELL_VALUE && map.path &&
		      cells[4].kind == NUNCHI_CELL_VALUE && !cells[4].integer;
	map.offset = map.is_file ? (uint64_t)cells[2].integer : 0;
	return add_map(data, &map);
}

static int work_process(struct scoping *scoping, const struct chosen *process)
{
	static const char *const columns[] = {"start", "end", "offset", "path", "pseudo"};
	char pid[32], what[64];
	const struct nunchi_constraint where = {"pid", pid, NUNCHI_EQUAL, NULL, 0};
	const struct nunchi_query query = {.size = sizeof(query),
					   .columns = columns,
					   .column_count = ARRAY_SIZE(columns),
					   .constraints = &where,
					   .constraint_count = 1};
	struct scope_area area = {
	    .memory = {.guest = scoping->cli->guest,
		       .place = {.space = NUNCHI_SPACE_PROCESS, .id = (uint64_t)process->pid}},
	    .pid = process->pid,
	    .name = process->name,
	    .is_virtual = true};
	int status;

	snprintf(pid, sizeof(pid), "%" PRId64, process->pid);
	snprintf(what, sizeof(what), "process %s", pid);
	status = cli_rows(scoping->cli, nunchi_view_find("process_memory_map"), &query,
			  add_process_map, &area);
	/* A thread of the kernel has no memory of its own. */
	if (!status && area.map_count)
		status = work_mapped(scoping, &area, what);
	else if (!status && scoping->scope->pid_count)
		status = cli_fail_with(scoping->cli, "process %s has no memory", pid);
	area_clean(&area);
	return status;
}

static int work_processes(struct scoping *scoping)
{
	const struct scope *scope = scoping->scope;
	const struct nunchi_constraint name = {"name", scope->name, NUNCHI_EQUAL, NULL, 0};
	int status = CLI_DONE;

	if (scope->all || scope->name)
		status = choose_processes(scoping, scope->name ? &name : NULL);
	for (size_t i = 0; i < scope->pid_count && !status; i++) {
		char pid[32];
		const struct nunchi_constraint where = {"pid", pid, NUNCHI_EQUAL, NULL, 0};

		snprintf(pid, sizeof(pid), "%" PRIu64, scope->pids[i]);
		status = choose_processes(scoping, &where);
	}
	scoping->several = scoping->chosen_count > 1;
	for (size_t i = 0; i < scoping->chosen_count && !status; i++)
		status = work_process(scoping, &scoping->chosen[i]);
	scoping->several = false;
	return status;
}

/* ---- The kernel ------------------------------------------------------------------------------ */

/* From _text to _end. */
static int add_image(struct cli *cli, struct scope_area *area)
{
	struct nunchi_symbol start, end;
	struct scope_map map = {0};
	struct nunchi_error *err = nunchi_symbol_find(cli->guest, "_text", &start);

	if (!err)
		map.start = start.address;
	if (!err)
		err = nunchi_symbol_find(cli->guest, "_end", &end);
	if (err)
		return cli_fail(cli, err);
	map.end = end.address;
	map.path = strdup("[kernel]");
	return cli_fail(cli, map.start < map.end ? add_map(area, &map) : NULL);
}

static struct nunchi_error *add_module(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct scope_map map = {.start = cells[0].address, .end = cells[1].address};
	char *name;

	(void)torn;
	if (cells[0].kind != NUNCHI_CELL_VALUE || cells[1].kind != NUNCHI_CELL_VALUE ||
	    map.start >= map.end)
		return NULL;
	name = copy_cell(&cells[2]);
	if (name && asprintf(&map.path, "[%s]", name) < 0)
		map.path = NULL;
	free(name);
	return add_map(data, &map);
}

static int work_kernel(struct scoping *scoping)
{
	static const char *const modules[] = {"address", "address_end", "name"};
	struct cli *cli = scoping->cli;
	const struct nunchi_query query = {
	    .size = sizeof(query), .columns = modules, .column_count = ARRAY_SIZE(modules)};
	struct scope_area area = {
	    .memory = {.guest = cli->guest, .place = {.space = NUNCHI_SPACE_KERNEL}},
	    .pid = -1,
	    .is_virtual = true};
	int status = add_image(cli, &area);

	if (!status)
		status =
		    cli_rows(cli, nunchi_view_find("kernel_modules"), &query, add_module, &area);
	if (!status)
		status = work_mapped(scoping, &area, "the kernel");
	area_clean(&area);
	return status;
}

/* ---------------------------------------------------------------------------------------------- */

static int work_all(struct cli *cli, void *data)
{
	struct scoping *scoping = data;
	const struct scope *scope = scoping->scope;
	struct scan_regions ram = {0};
	struct nunchi_error *err = scan_ram(cli->guest, &ram);
	int status = cli_fail(cli, err);

	scoping->ram = scan_regions_size(&ram);
	scan_regions_deinit(&ram);
	if (!status && scope->ram)
		status = work_ram(scoping);
	if (!status && (scope->pid_count || scope->name || scope->all))
		status = work_processes(scoping);
	if (!status && scope->kernel)
		status = work_kernel(scoping);
	for (size_t i = 0; i < scoping->chosen_count; i++)
		free(scoping->chosen[i].name);
	free(scoping->chosen);
	return status ? status : scoping->failed;
}

/* RAM can be looked through without a kernel; of a raw file it tells where the bytes lie. */
static int find_kernel(struct cli *cli)
{
	struct nunchi_error *err = nunchi_guest_attach(cli->guest);

	cli_notes(cli, cli->guest, &cli->notes_printed);
	if (!err)
		return CLI_DONE;
	if (nunchi_error_code(err) != NUNCHI_ERROR_NO_KERNEL &&
	    nunchi_error_code(err) != NUNCHI_ERROR_AMBIGUOUS)
		return cli_fail(cli, err);
	cli_note(cli, nunchi_error_message(err));
	nunchi_error_destroy(err);
	return CLI_DONE;
}

int scope_run(struct cli *cli, struct look *look, const char *target,
	      int (*work)(struct cli *cli, struct scope_area *area, void *data), void *data)
{
	const struct scope *scope = &look->scope;
	struct scoping scoping = {
	    .cli = cli, .look = look, .scope = scope, .work = work, .data = data};
	const bool only_ram = !scope->pid_count && !scope->name && !scope->all && !scope->kernel;
	int status = cli_open(cli, target);

	if (status)
		return status;
	if (!only_ram || cli->guest_options.pause == NUNCHI_PAUSE_ALWAYS)
		return held_run(cli, work_all, &scoping);
	status = find_kernel(cli);
	return status ? status : work_all(cli, &scoping);
}
