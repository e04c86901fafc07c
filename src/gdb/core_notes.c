/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The notes of a core: what the process is, its threads, its auxiliary vector, its mapped files. */
#include "gdb/core.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define AUXV_LIMIT 4096
/* MAX_FILE_NOTE_SIZE of fs/binfmt_elf.c. */
#define FILE_NOTE_LIMIT ((size_t)4 << 20)
/* arch/x86/include/asm/segment.h: code of 64 bits. */
#define USER_CS 0x33
/* arch/x86/include/asm/mmu.h: a program of 32 bits. */
#define MM_CONTEXT_UPROBE_IA32 1

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* Appends a number of `size` bytes, the lowest first. */
static void put(struct buffer *out, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		buffer_append_char(out, (char)(value >> 8 * i));
}

/* A long of the program. */
static void put_long(const struct core *core, struct buffer *out, uint64_t value)
{
	put(out, value, core->is_64 ? 8 : 4);
}

/* Appends `size` bytes of a field: the text, cut, and zeros. */
static void put_field(struct buffer *out, const char *text, size_t text_size, size_t size)
{
	size_t taken = text_size < size ? text_size : size;

	buffer_append(out, text, taken);
	for (size_t i = taken; i < size; i++)
		buffer_append_char(out, '\0');
}

static void align(struct buffer *out)
{
	while (out->size % 4 && !out->failed)
		buffer_append_char(out, '\0');
}

/* Begins a note; returns where its size stands. */
static size_t begin_note(struct buffer *out, uint32_t type)
{
	size_t place = out->size + 4;

	put(out, sizeof("CORE"), 4);
	put(out, 0, 4);
	put(out, type, 4);
	put_field(out, "CORE", 4, 8);
	return place;
}

static void end_note(struct buffer *out, size_t place)
{
	uint32_t size;

	if (out->failed)
		return;
	size = (uint32_t)(out->size - place - 16);
	for (unsigned i = 0; i < 4; i++)
		out->data[place + i] = (char)(size >> 8 * i);
	align(out);
}

/* ---- Class ----------------------------------------------------------------------------------- */

struct number {
	uint64_t value;
	bool found;
};

static bool take_number(const struct nunchi_printed *printed, void *data)
{
	struct number *number = data;

	number->found = !printed->error && (printed->kind == NUNCHI_PRINTED_UNSIGNED ||
					    printed->kind == NUNCHI_PRINTED_SIGNED);
	number->value = printed->number;
	return false;
}

/*
 * Reads a number of the process's mm_context_t; *ret_found is false if this kernel has no such
 * member, or it cannot be read. Fails only where nothing could be.
 */
static struct nunchi_error *read_context(struct core *core, uint64_t mm, const char *member,
					 uint64_t *ret, bool *ret_found)
{
	struct number number = {.found = false};
	struct nunchi_error *err;
	char expression[96];

	snprintf(expression, sizeof(expression), "((struct mm_struct *)0x%" PRIx64 ")->context.%s",
		 mm, member);
	err = nunchi_print(core->guest, expression, 0, take_number, &number);
	if (core_is_partial(err) || error_is(err, NUNCHI_ERROR_ARGUMENT)) {
		nunchi_error_destroy(err);
		err = NULL;
	}
	*ret = number.value;
	*ret_found = number.found;
	return err;
}

/*
 * Whether the program has 32 bits, as set_personality_ia32() of arch/x86/kernel/process_64.c noted
 * it; *ret_found is false if that is not known.
 */
static struct nunchi_error *read_narrow(struct core *core, bool *ret, bool *ret_found)
{
	const struct gdb_offsets *offsets = &core->gdb->offsets;
	const struct gdb_thread *first = gdb_find_thread(core->gdb, core->pid);
	struct nunchi_error *err;
	uint64_t mm, number;

	*ret_found = false;
	if (!first || offsets->mm == GDB_UNKNOWN ||
	    !gdb_read_word(core->gdb, first->task + offsets->mm, &mm))
		return NULL;
	err = read_context(core, mm, "flags", &number, ret_found);
	if (err || *ret_found) {
		*ret = number & MM_CONTEXT_UPROBE_IA32;
		return err;
	}
	/* Until Linux 5.11; of the x32 ABI too. */
	err = read_context(core, mm, "ia32_compat", &number, ret_found);
	*ret = *ret_found && number != 0;
	return err;
}

struct nunchi_error *core_find_class(struct core *core)
{
	const struct nunchi_gdb *gdb = core->gdb;
	bool narrow = false, wide_code = false, found;
	struct nunchi_error *err;

	core->is_64 = gdb->is_64;
	if (!gdb->is_64)
		return NULL;
	err = read_narrow(core, &narrow, &found);
	if (err)
		return err;
	if (!found)
		core_warn(core, "whether the program has 32 bits is not known; the core has 64");
	for (size_t i = 0; narrow && i < gdb->thread_count && !gdb->err; i++) {
		struct gdb_values values = {.known = 0};

		if (gdb->threads[i].id != GDB_NOWHERE &&
		    gdb_program_registers(core->gdb, &gdb->threads[i], &values))
			wide_code |= values.registers.cs == USER_CS;
	}
	if (wide_code)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "process %" PRIu64 " has addresses of 32 bits, and a thread "
				    "that executes code of 64 bits, as the x32 ABI has it; nunchi "
				    "writes no core of such a process",
				    core->pid);
	core->is_64 = !narrow;
	return NULL;
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* struct user_regs_struct, without what is not known: the selectors of data. */
static void put_registers(struct core *core, const struct gdb_values *values)
{
	const struct nunchi_registers *r = &values->registers;
	const uint64_t wide[] = {r->r15,    r->r14, r->r13, r->r12,          r->rbp,     r->rbx,
				 r->r11,    r->r10, r->r9,  r->r8,           r->rax,     r->rcx,
				 r->rdx,    r->rsi, r->rdi, values->orig_ax, r->rip,     r->cs,
				 r->rflags, r->rsp, r->ss,  r->fs_base,      r->gs_base, r->ds,
				 r->es,     r->fs,  r->gs};
	const uint64_t narrow[] = {r->rbx, r->rcx, r->rdx,    r->rsi, r->rdi, r->rbp,
				   r->rax, r->ds,  r->es,     r->fs,  r->gs,  values->orig_ax,
				   r->rip, r->cs,  r->rflags, r->rsp, r->ss};
	struct buffer *out = &core->notes;

	for (size_t i = 0; core->is_64 && i < ARRAY_SIZE(wide); i++)
		put(out, wide[i], 8);
	for (size_t i = 0; !core->is_64 && i < ARRAY_SIZE(narrow); i++)
		put(out, narrow[i], 4);
}

/* The columns of the view processes that are asked for, in their order. */
enum { NAME, CMDLINE, STATE, UID, GID, PARENT, PGROUP, SESSION, NICE };
static const char *const columns[] = {"name",   "cmdline", "state",   "uid", "gid",
				      "parent", "pgroup",  "session", "nice"};

/* What a number of 16 bits has for the id of a user or group that is larger. */
#define OVERFLOW_ID 65534

/* What the notes say of the process; ids are 0 where they are not known. */
struct process {
	char name[17], arguments[81], state;
	uint64_t uid, gid, parent, group, session, nice;
};

static uint64_t number(const struct nunchi_cell *cell)
{
	return cell->kind == NUNCHI_CELL_VALUE ? (uint64_t)cell->integer : 0;
}

/* Copies the text of a cell as far as there is room, and ends it by a NUL. */
static void copy_text(const struct nunchi_cell *cell, char *ret, size_t room)
{
	size_t size = cell->kind == NUNCHI_CELL_VALUE ? cell->text_size : 0;

	size = size < room - 1 ? size : room - 1;
	if (size)
		memcpy(ret, cell->text, size);
	ret[size] = '\0';
}

static struct nunchi_error *read_process(struct core *core, struct process *ret)
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
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	char state[2];
	bool torn;

	snprintf(pid, sizeof(pid), "%" PRIu64, core->pid);
	err = nunchi_cursor_open(core->guest, nunchi_view_find("processes"), &query, &cursor);
	if (!err)
		err = nunchi_cursor_next(cursor, &cells, &torn);
	if (!err) {
		*ret = (struct process){.uid = number(&cells[UID]),
					.gid = number(&cells[GID]),
					.parent = number(&cells[PARENT]),
					.group = number(&cells[PGROUP]),
					.session = number(&cells[SESSION]),
					.nice = number(&cells[NICE])};
		copy_text(&cells[NAME], ret->name, sizeof(ret->name));
		copy_text(&cells[CMDLINE], ret->arguments, sizeof(ret->arguments));
		copy_text(&cells[STATE], state, sizeof(state));
		ret->state = state[0];
	}
	nunchi_cursor_close(cursor);
	return err;
}

void core_put_id(struct core *core, uint64_t id)
{
	if (core->is_64)
		put(&core->notes, id, 4);
	else
		put(&core->notes, id <= UINT16_MAX ? id : OVERFLOW_ID, 2);
}

/* struct elf_prpsinfo. */
static void put_process(struct core *core, const struct process *process)
{
	static const char states[] = "RSDTZW";
	const char *state = process->state ? strchr(states, process->state) : NULL;
	struct buffer *out = &core->notes;
	size_t note = begin_note(out, NT_PRPSINFO);

	put(out, state ? (uint64_t)(state - states) : 0, 1);
	put(out, (uint8_t)(process->state ? process->state : '.'), 1);
	put(out, process->state == 'Z', 1);
	put(out, process->nice, 1);
	if (core->is_64)
		put(out, 0, 4);
	put_long(core, out, 0); /* flags of the task */
	core_put_id(core, process->uid);
	core_put_id(core, process->gid);
	put(out, core->pid, 4);
	put(out, process->parent, 4);
	put(out, process->group, 4);
	put(out, process->session, 4);
	put_field(out, process->name, strnlen(process->name, 15), 16);
	put_field(out, process->arguments, strnlen(process->arguments, 79), 80);
	end_note(out, note);
}

/* struct elf_prstatus: no signal, no times. */
static void put_thread(struct core *core, const struct process *process,
		       const struct gdb_thread *thread, const struct gdb_values *values)
{
	struct buffer *out = &core->notes;
	size_t note = begin_note(out, NT_PRSTATUS);

	put_field(out, "", 0, 16);
	put_long(core, out, 0); /* signals that wait, and that are blocked */
	put_long(core, out, 0);
	put(out, thread->id, 4);
	put(out, process->parent, 4);
	put(out, process->group, 4);
	put(out, process->session, 4);
	for (unsigned i = 0; i < 8; i++)
		put_long(core, out, 0);
	put_registers(core, values);
	put(out, 0, 4); /* no registers of the FPU follow */
	if (core->is_64)
		put(out, 0, 4);
	end_note(out, note);
}

static void put_threads(struct core *core, const struct process *process)
{
	const struct nunchi_gdb *gdb = core->gdb;
	uint64_t ended = 0;

	for (size_t i = 0; i < gdb->thread_count && !gdb->err; i++) {
		const struct gdb_thread *thread = &gdb->threads[i];
		struct gdb_values values = {.known = 0};
		bool known;

		if (thread->id == GDB_NOWHERE)
			continue;
		if (thread->state == 'Z' || thread->state == 'X') {
			ended++;
			continue;
		}
		known = gdb_program_registers(core->gdb, thread, &values);
		if (!known) {
			values = (struct gdb_values){.known = 0};
			core_warn(core,
				  "the registers of thread %" PRIu32 " are not known; the core has "
				  "zeros for them",
				  thread->id);
		}
		core->result.threads++;
		core->result.threads_known += known;
		put_thread(core, process, thread, &values);
	}
	if (ended)
		core_warn(core, "%" PRIu64 " threads that have ended are not in the core", ended);
	if (gdb->thread_count >= GDB_TASKS_MAX)
		core_warn(core, "threads after the first %u are not in the core", GDB_TASKS_MAX);
}

/* ---- Auxiliary vector and files -------------------------------------------------------------- */

/* The vector as the kernel keeps it, in the program's words, to its end (AT_NULL). */
static void put_auxv(struct core *core)
{
	const struct gdb_offsets *offsets = &core->gdb->offsets;
	const struct gdb_thread *first = gdb_find_thread(core->gdb, core->pid);
	uint32_t size = offsets->auxv_size < AUXV_LIMIT ? offsets->auxv_size : AUXV_LIMIT;
	uint32_t entry = core->is_64 ? 16 : 8, end = 0;
	static const char none[16];
	char bytes[AUXV_LIMIT];
	uint64_t mm;
	size_t note;

	if (offsets->auxv == GDB_UNKNOWN || offsets->mm == GDB_UNKNOWN || !first ||
	    !gdb_read_word(core->gdb, first->task + offsets->mm, &mm) ||
	    !gdb_read(core->gdb, mm + offsets->auxv, bytes, size)) {
		core_warn(core, "the auxiliary vector cannot be read; the core has none");
		return;
	}
	while (end + entry <= size && memcmp(bytes + end, none, entry / 2) != 0)
		end += entry;
	if (end + entry <= size)
		end += entry;
	note = begin_note(&core->notes, NT_AUXV);
	buffer_append(&core->notes, bytes, end);
	end_note(&core->notes, note);
}

/* The mapped files: how many, the size of a page, their places, then their paths. */
static void put_files(struct core *core)
{
	struct buffer *out = &core->notes;
	size_t count = 0, size = 0, left = 0, note;

	for (size_t i = 0; i < core->mapping_count; i++) {
		struct core_mapping *mapping = &core->mappings[i];
		size_t needed = 24 + mapping->name_size + 1;

		/* That its place in the file is not known was said. */
		if (!mapping->has_file || !mapping->has_offset)
			continue;
		mapping->in_note = needed <= FILE_NOTE_LIMIT - size;
		left += !mapping->in_note;
		count += mapping->in_note;
		size += mapping->in_note ? needed : 0;
	}
	if (left)
		core_warn(core,
			  "%zu mapped files are not in the note of files: it has room for %zu",
			  left, count);
	note = begin_note(out, NT_FILE);
	put_long(core, out, count);
	put_long(core, out, CORE_PAGE);
	for (size_t i = 0; i < core->mapping_count; i++) {
		const struct core_mapping *mapping = &core->mappings[i];

		if (!mapping->in_note)
			continue;
		put_long(core, out, mapping->start);
		put_long(core, out, mapping->end);
		put_long(core, out, mapping->offset / CORE_PAGE);
	}
	for (size_t i = 0; i < core->mapping_count; i++) {
		const struct core_mapping *mapping = &core->mappings[i];

		if (mapping->in_note)
			buffer_append(out, core->names.data + mapping->name,
				      mapping->name_size + 1);
	}
	end_note(out, note);
}

struct nunchi_error *core_make_notes(struct core *core)
{
	struct process process = {.state = '\0'};
	struct nunchi_error *err = read_process(core, &process);

	if (error_is(err, NUNCHI_ERROR_STOP)) {
		nunchi_error_destroy(err);
		return error_create(NUNCHI_ERROR_NOT_FOUND, "there is no process %" PRIu64,
				    core->pid);
	}
	if (err)
		return err;
	buffer_init(&core->notes, 0);
	put_process(core, &process);
	put_threads(core, &process);
	put_auxv(core);
	put_files(core);
	return core->notes.failed ? &error_nomem : NULL;
}
