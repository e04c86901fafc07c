/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of a process, for a core: its mappings and what they hold. */
#include "gdb/core.h"

#include "core/array.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* vm.max_map_count is 65530 by default; a mapping has several segments if parts are missing. */
#define MAX_MAPPINGS ((size_t)1 << 20)
#define MAX_SEGMENTS ((size_t)1 << 20)
#define MAX_NAMES    ((size_t)64 << 20)
/* Pages that are looked for: those of 256 GiB. */
#define MAX_STEPS ((uint64_t)1 << 26)
/*
 * Untouched memory that becomes a hole of the file. Programs reserve more than the largest file of
 * a file system may have: 16 TiB on ext4.
 */
#define MAX_UNTOUCHED ((uint64_t)64 << 30)
/* arch/x86/include/uapi/asm/vsyscall.h */
#define VSYSCALL UINT64_C(0xffffffffff600000)

/* ---- Mappings -------------------------------------------------------------------------------- */

enum { START, END, PERMISSIONS, OFFSET, PATH, PSEUDO };
static const char *const columns[] = {"start", "end", "permissions", "offset", "path", "pseudo"};

static bool is_known(const struct nunchi_cell *cell)
{
	return cell->kind == NUNCHI_CELL_VALUE;
}

/* Takes what may be unknown, and says so. */
static void take_place(struct core *core, const struct nunchi_cell *cells,
		       struct core_mapping *mapping)
{
	const char *permissions = cells[PERMISSIONS].text;

	mapping->has_file = is_known(&cells[PSEUDO]) && !cells[PSEUDO].integer;
	mapping->has_offset = is_known(&cells[OFFSET]);
	if (mapping->has_offset)
		mapping->offset = (uint64_t)cells[OFFSET].integer;
	else if (mapping->has_file)
		mapping->unsure = "its place in the file is not known";
	if (!is_known(&cells[PSEUDO]))
		mapping->unsure = "whether it is of a file is not known";
	if (is_known(&cells[PERMISSIONS]) && cells[PERMISSIONS].text_size >= 3) {
		mapping->reads = permissions[0] == 'r';
		mapping->writes = permissions[1] == 'w';
		mapping->executes = permissions[2] == 'x';
	} else if (!mapping->unsure) {
		mapping->unsure = "its permissions are not known";
	}
	if (mapping->unsure)
		core_warn(core, "of the mapping at 0x%" PRIx64 " %s", mapping->start,
			  mapping->unsure);
}

/* Takes its path, or name. */
static struct nunchi_error *take_name(struct core *core, const struct nunchi_cell *path,
				      struct core_mapping *mapping)
{
	mapping->name = core->names.size;
	if (is_known(path) && !memchr(path->text, '\0', path->text_size) &&
	    buffer_append(&core->names, path->text, path->text_size))
		mapping->name_size = path->text_size;
	else if (mapping->has_file)
		core_warn(core, "the path of the file at 0x%" PRIx64 " is not in the core",
			  mapping->start);
	if (buffer_append_char(&core->names, '\0'))
		return NULL;
	return core->names.no_memory
		   ? &error_nomem
		   : error_create(NUNCHI_ERROR_UNSUPPORTED,
				  "the paths of its files have more than %zu bytes", MAX_NAMES);
}

/*
 * Why a row is no mapping of the core; NULL if it is one. The rows are in order of their addresses,
 * unless a hostile guest has them otherwise.
 */
static const char *why_not(const struct core *core, const struct nunchi_cell *cells)
{
	uint64_t last = core->mapping_count ? core->mappings[core->mapping_count - 1].end : 0;
	uint64_t start = cells[START].address, end = cells[END].address;

	if (!is_known(&cells[START]) || !is_known(&cells[END]))
		return "its addresses cannot be read";
	if (start >= end || (start | end) % CORE_PAGE)
		return "its addresses are not those of pages in a row";
	if (start < last)
		return "it overlaps another one";
	if (end >> 63)
		return "it is in the kernel's half of the addresses";
	if (!core->is_64 && end > (uint64_t)UINT32_MAX + 1)
		return "it is beyond the 4 GiB of a program of 32 bits";
	return NULL;
}

struct nunchi_error *core_take_mapping(struct core *core, const struct nunchi_cell *cells)
{
	struct core_mapping mapping = {.start = cells[START].address, .end = cells[END].address};
	const char *reason = why_not(core, cells);
	struct nunchi_error *err;

	/* The vsyscall page is the kernel's, and the same in all processes. */
	if (reason && is_known(&cells[START]) && mapping.start == VSYSCALL)
		return NULL;
	if (reason) {
		core_warn(core, "a mapping is left out: %s", reason);
		return NULL;
	}
	if (core->mapping_count == MAX_MAPPINGS)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "more than %zu mappings",
				    MAX_MAPPINGS);
	take_place(core, cells, &mapping);
	err = take_name(core, &cells[PATH], &mapping);
	if (err)
		return err;
	if (!ARRAY_RESERVE(core->mappings, core->mapping_count, core->mapping_capacity, 1))
		return &error_nomem;
	core->mappings[core->mapping_count++] = mapping;
	return NULL;
}

static struct nunchi_error *take_mappings(struct core *core, struct nunchi_cursor *cursor)
{
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	const char *warning;
	bool torn;

	while (!(err = nunchi_cursor_next(cursor, &cells, &torn))) {
		err = core_take_mapping(core, cells);
		if (err)
			return err;
	}
	if (!error_is(err, NUNCHI_ERROR_STOP))
		return err;
	nunchi_error_destroy(err);
	for (size_t i = 0; (warning = nunchi_cursor_warning(cursor, i)); i++)
		core_warn(core, "%s", warning);
	return NULL;
}

struct nunchi_error *core_list_mappings(struct core *core)
{
	char pid[24];
	const struct nunchi_constraint of_process = {
	    .column = "pid", .value = pid, .op = NUNCHI_EQUAL};
	const struct nunchi_query query = {.size = sizeof(query),
					   .columns = columns,
					   .column_count = ARRAY_SIZE(columns),
					   .constraints = &of_process,
					   .constraint_count = 1};
	struct nunchi_cursor *cursor = NULL;
	struct nunchi_error *err;

	buffer_init(&core->names, MAX_NAMES);
	snprintf(pid, sizeof(pid), "%" PRIu64, core->pid);
	err = nunchi_cursor_open(core->guest, nunchi_view_find("process_memory_map"), &query,
				 &cursor);
	if (!err)
		err = take_mappings(core, cursor);
	nunchi_cursor_close(cursor);
	return err;
}

/* ---- What is not in the file ----------------------------------------------------------------- */

static void end_gap(struct core *core)
{
	struct nunchi_core_gap *gap = &core->gap;

	if (gap->end == gap->start)
		return;
	*(gap->untouched ? &core->result.untouched : &core->result.missing) +=
	    gap->end - gap->start;
	if (core->output->gap)
		core->output->gap(gap, core->output->data);
	*gap = (struct nunchi_core_gap){0};
}

static void add_gap(struct core *core, const struct core_mapping *mapping, uint64_t start,
		    uint64_t size, const char *reason, bool untouched)
{
	const char *name = core->names.data + mapping->name;
	struct nunchi_core_gap *gap = &core->gap;

	if (gap->end != start || gap->start == gap->end || gap->reason != reason ||
	    gap->mapping != name)
		end_gap(core);
	if (gap->start == gap->end)
		*gap = (struct nunchi_core_gap){.start = start,
						.mapping = name,
						.mapping_size = mapping->name_size,
						.reason = reason,
						.untouched = untouched};
	gap->end = start + size;
}

/* ---- Segments -------------------------------------------------------------------------------- */

/* Notes a range of a mapping: in the file from core->at on, or not in the file. */
static struct nunchi_error *add_segment(struct core *core, const struct core_mapping *mapping,
					uint64_t start, uint64_t size, bool stored)
{
	struct core_segment *last =
	    core->segment_count ? &core->segments[core->segment_count - 1] : NULL;
	uint8_t flags = (uint8_t)((mapping->reads ? PF_R : 0) | (mapping->writes ? PF_W : 0) |
				  (mapping->executes ? PF_X : 0));

	if (last && start != mapping->start && last->start + last->size == start &&
	    last->stored == stored) {
		last->size += size;
	} else {
		if (core->segment_count == MAX_SEGMENTS)
			return error_create(NUNCHI_ERROR_UNSUPPORTED,
					    "its memory is in more than %zu pieces", MAX_SEGMENTS);
		if (!ARRAY_RESERVE(core->segments, core->segment_count, core->segment_capacity, 1))
			return &error_nomem;
		core->segments[core->segment_count++] = (struct core_segment){
		    .start = start, .size = size, .at = core->at, .stored = stored, .flags = flags};
	}
	if (stored)
		core->at += size;
	return NULL;
}

static struct nunchi_error *leave_out(struct core *core, const struct core_mapping *mapping,
				      uint64_t start, uint64_t size, const char *reason,
				      bool untouched)
{
	add_gap(core, mapping, start, size, reason, untouched);
	return add_segment(core, mapping, start, size, false);
}

/* Zeros of memory that was never touched. The program itself cannot read what has no access. */
static struct nunchi_error *add_zeros(struct core *core, const struct core_mapping *mapping,
				      uint64_t start, uint64_t size)
{
	bool accessible = mapping->reads || mapping->writes || mapping->executes;
	bool stored = accessible && size <= MAX_UNTOUCHED - core->result.zeros;

	if (stored)
		core->result.zeros += size;
	else if (accessible)
		return leave_out(core, mapping, start, size,
				 "zeros that were never written, too many for the file", true);
	return add_segment(core, mapping, start, size, stored);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* Writes whole pages out of core->chunk; those of zeros become holes of the file. */
static struct nunchi_error *store(struct core *core, const struct core_mapping *mapping,
				  uint64_t start, size_t size)
{
	const struct nunchi_core_output *output = core->output;
	uint64_t at = core->at;

	if (size > core->limit - core->result.memory - core->result.cached)
		return error_create(
		    NUNCHI_ERROR_UNSUPPORTED,
		    "the process has more memory than the limit of %" PRIu64 " bytes", core->limit);
	for (size_t from = 0, to; from < size; from = to) {
		bool zero = is_zero(core->chunk + from, CORE_PAGE);

		for (to = from + CORE_PAGE; to < size; to += CORE_PAGE) {
			if (is_zero(core->chunk + to, CORE_PAGE) != zero)
				break;
		}
		if (!zero && !output->write(at + from, core->chunk + from, to - from, output->data))
			return error_create(NUNCHI_ERROR_CANCELLED, "writing was ended");
	}
	return add_segment(core, mapping, start, size, true);
}

/* ---- What a mapping holds -------------------------------------------------------------------- */

/* A mapping that is copied, and its file, which is opened when it is first needed. */
struct copy {
	const struct core_mapping *mapping;
	struct nunchi_file *file;
	bool tried; /* to open the file */
};

static const char *reason_of(const struct nunchi_piece *piece)
{
	return piece->why == NUNCHI_ABSENT_PAGED_OUT ? "swapped out"
						     : nunchi_absence_string(piece->why);
}

/* Looks in the page cache for `size` bytes of a mapped file. *ret_size are of one kind. */
static struct nunchi_error *copy_cached(struct core *core, struct copy *copy, uint64_t start,
					uint64_t size, uint64_t *ret_size)
{
	const struct core_mapping *mapping = copy->mapping;
	uint64_t offset = mapping->offset + (start - mapping->start);
	size_t part = size < CORE_CHUNK ? (size_t)size : CORE_CHUNK;
	struct nunchi_piece piece;
	struct nunchi_error *err = nunchi_file_read(copy->file, offset, part, core->chunk, &piece);

	*ret_size = size;
	if (err)
		return err;
	if (!piece.size)
		return leave_out(core, mapping, start, size, "behind the end of the file", true);
	/* A page is one piece, of which the file may have a part. */
	part = (size_t)(piece.size + CORE_PAGE - 1) & ~(size_t)(CORE_PAGE - 1);
	core->steps += part / CORE_PAGE;
	*ret_size = part;
	if (piece.kind == NUNCHI_FILE_MISSING)
		return leave_out(core, mapping, start, part,
				 piece.why == NUNCHI_ABSENT_PAGED_OUT
				     ? "not in the page cache, or swapped out"
				     : nunchi_absence_string(piece.why),
				 false);
	if (piece.kind == NUNCHI_FILE_HOLE)
		return add_zeros(core, mapping, start, part);
	memset(core->chunk + piece.size, 0, part - (size_t)piece.size);
	err = store(core, mapping, start, part);
	if (!err)
		core->result.cached += part;
	return err;
}

bool core_is_partial(const struct nunchi_error *err)
{
	enum nunchi_error_code code = err ? nunchi_error_code(err) : 0;

	return code == NUNCHI_ERROR_NOT_FOUND || code == NUNCHI_ERROR_UNSUPPORTED ||
	       code == NUNCHI_ERROR_FAULT || code == NUNCHI_ERROR_DATA;
}

static struct nunchi_error *open_file(struct core *core, struct copy *copy)
{
	struct nunchi_error *err =
	    nunchi_file_open_mapped(core->guest, core->pid, copy->mapping->start, &copy->file);

	copy->tried = true;
	/* Where the mappings are a list, all before this one were read. */
	core->steps += (uint64_t)(copy->mapping - core->mappings);
	if (!core_is_partial(err))
		return err;
	core_warn(core, "what the process has not used of the file at 0x%" PRIx64 ": %s",
		  copy->mapping->start, nunchi_error_message(err));
	nunchi_error_destroy(err);
	return NULL;
}

/* Where the process has no page: what it would find there. *ret_size bytes are of one kind. */
static struct nunchi_error *copy_untouched(struct core *core, struct copy *copy, uint64_t start,
					   uint64_t size, uint64_t *ret_size)
{
	const struct core_mapping *mapping = copy->mapping;
	const char *name = core->names.data + mapping->name;
	struct nunchi_error *err = NULL;

	*ret_size = size;
	if (mapping->unsure)
		return leave_out(core, mapping, start, size, mapping->unsure, false);
	if (mapping->has_file && !copy->tried)
		err = open_file(core, copy);
	if (err)
		return err;
	if (copy->file)
		return copy_cached(core, copy, start, size, ret_size);
	if (mapping->has_file)
		return leave_out(core, mapping, start, size, "the file cannot be read", false);
	/* [vdso], [vvar] and the like: the kernel has pages for them. */
	if (!strncmp(name, "[v", 2) || !strcmp(name, "[uprobes]"))
		return leave_out(core, mapping, start, size,
				 "a page of the kernel that the process has not used", true);
	return add_zeros(core, mapping, start, size);
}

/* Copies a piece of a mapping, of *ret_size bytes. */
static struct nunchi_error *copy_piece(struct core *core, struct copy *copy, uint64_t start,
				       uint64_t *ret_size)
{
	uint64_t left = copy->mapping->end - start;
	size_t part = left < CORE_CHUNK ? (size_t)left : CORE_CHUNK;
	struct nunchi_piece piece;
	struct nunchi_error *err = NULL;

	*ret_size = left;
	if (core->steps > MAX_STEPS)
		return leave_out(core, copy->mapping, start, left,
				 "more pages than nunchi looks for", false);
	err = nunchi_process_read(core->guest, core->pid, start, part, core->chunk, &piece);
	if (err)
		return err;
	*ret_size = piece.size < left ? piece.size : left;
	core->steps += 1 + (piece.kind == NUNCHI_FILE_DATA ? piece.size / CORE_PAGE : 0);
	if (piece.kind == NUNCHI_FILE_HOLE)
		return copy_untouched(core, copy, start, *ret_size, ret_size);
	if (piece.kind == NUNCHI_FILE_MISSING)
		return leave_out(core, copy->mapping, start, *ret_size, reason_of(&piece), false);
	err = store(core, copy->mapping, start, (size_t)*ret_size);
	if (!err)
		core->result.memory += *ret_size;
	return err;
}

static struct nunchi_error *copy_mapping(struct core *core, const struct core_mapping *mapping)
{
	const struct nunchi_core_output *output = core->output;
	struct copy copy = {.mapping = mapping};
	struct nunchi_error *err = NULL;
	uint64_t size;

	for (uint64_t start = mapping->start; !err && start < mapping->end; start += size) {
		size = CORE_PAGE;
		if (output->progress &&
		    !output->progress(core->result.memory + core->result.cached, output->data))
			err = error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
		else
			err = copy_piece(core, &copy, start, &size);
	}
	nunchi_file_close(copy.file);
	return err;
}

struct nunchi_error *core_write_memory(struct core *core)
{
	struct nunchi_error *err = NULL;

	core->chunk = malloc(CORE_CHUNK);
	if (!core->chunk)
		return &error_nomem;
	for (size_t i = 0; !err && i < core->mapping_count; i++)
		err = copy_mapping(core, &core->mappings[i]);
	if (!err)
		end_gap(core);
	return err;
}
