/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traces of a kernel made by hand, whose vCPUs stop when the test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_stops.h"
#include "probe/trace.h"
#include "toy_kernel.h"

#define L (&toy->kernel.layout)

/* Where the functions of the toy's kernel are; the per-CPU area is at GS. */
#define FUNCTIONS    UINT64_C(0xffffffff81000000)
#define AFTER_A_CALL UINT64_C(0xffffffff81ff0000)
enum {
	DO_EXIT,
	WAKE_UP_NEW_TASK,
	DO_FILP_OPEN,
	DO_INIT_MODULE,
	SYMBOL_OF_DATA,
	X64_SYS_CALL,
	IA32_SYS_CALL,
	INET_CSK_ACCEPT,
	FUNCTION_COUNT
};
static const char *const functions[] = {"do_exit",        "wake_up_new_task", "do_filp_open",
					"do_init_module", "free_module",      "x64_sys_call",
					"ia32_sys_call",  "inet_csk_accept"};

/* Offsets of the test's task_struct and cred. */
enum { TGID = 20, COMM = 48, PARENT = 64, LEADER = 72, STARTED = 80, CRED = 88, FLAGS = 96 };

struct traced {
	struct fake_stops fake;
	struct toy toy;
	uint64_t gs, stack;
	struct probe_trace *trace;
};

static struct symbol_index *make_symbols(const char *const *names, unsigned count)
{
	struct symbol_index *symbols;

	assert_null(symbol_index_create(&symbols));
	for (unsigned i = 0; i < count; i++)
		assert_null(symbol_index_add(symbols, names[i], strlen(names[i]),
					     FUNCTIONS + i * 0x100,
					     i == SYMBOL_OF_DATA ? 'd' : 't'));
	return symbols;
}

/* Gives the kernel these functions in place of the others. */
static void use_functions(struct traced *t, const char *const *names, unsigned count)
{
	symbol_index_unref(t->toy.kernel.symbols);
	t->toy.kernel.symbols = make_symbols(names, count);
	assert_null(symbol_index_seal(t->toy.kernel.symbols));
}

static void make_layout(struct toy *toy)
{
	toy_task_layout(toy);
	toy_field(toy, LAYOUT_task, &L->task_tgid, TGID, 4);
	toy_field(toy, LAYOUT_task, &L->task_comm, COMM, 16);
	toy_field(toy, LAYOUT_task, &L->task_real_parent, PARENT, 8);
	toy_field(toy, LAYOUT_task, &L->task_group_leader, LEADER, 8);
	toy_field(toy, LAYOUT_task, &L->task_start_boottime, STARTED, 8);
	toy_field(toy, LAYOUT_task, &L->task_real_cred, CRED, 8);
	toy_field(toy, LAYOUT_task, &L->task_flags, FLAGS, 4);
	toy_field(toy, LAYOUT_cred, &L->cred_uid, 0, 4);
	toy_field(toy, LAYOUT_filename, &L->filename_name, 0, 8);
	toy_field(toy, LAYOUT_open_flags, &L->open_flags_flag, 0, 4);
}

static int setup(void **state)
{
	struct traced *t = calloc(1, sizeof(*t));
	struct toy *toy = &t->toy;

	toy_init(toy);
	toy->kernel.types = (struct type_index *)toy;
	memset(toy->kernel.layout.known, true, sizeof(toy->kernel.layout.known));
	make_layout(toy);
	use_functions(t, functions, FUNCTION_COUNT);
	strcpy(toy->kernel.banner, "Linux version 6.1 #1 SMP today");
	/* A per-CPU variable at the start of the area. */
	toy->kernel.symbol[LINUX_current_task] = 16;
	t->gs = toy_alloc(toy, 256);
	t->stack = toy_alloc_page(toy) + 2048;
	t->fake.target.ops = &fake_stops_target;
	t->fake.target.memory = toy->memory;
	t->fake.target.live = true;
	t->fake.room = FAKE_MAX;
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct traced *t = *state;

	probe_trace_destroy(t->trace);
	symbol_index_unref(t->toy.kernel.symbols);
	toy_deinit(&t->toy);
	free(t);
	return 0;
}

static uint64_t make_task(struct toy *toy, unsigned tgid, unsigned tid, const char *name,
			  uint64_t parent)
{
	uint64_t task = toy_alloc(toy, 256), cred = toy_alloc(toy, 64);

	toy_set(toy, task, &L->task_tgid, tgid);
	toy_set(toy, task, &L->task_pid, tid);
	toy_set(toy, task, &L->task_real_parent, parent);
	toy_set(toy, task, &L->task_group_leader, task);
	toy_set(toy, task, &L->task_start_boottime, UINT64_C(1000000) * tid);
	toy_set(toy, task, &L->task_real_cred, cred);
	toy_put_bytes(toy, task + COMM, name, strlen(name) + 1);
	toy_put(toy, cred, 1000 + tid, 4);
	return task;
}

static void start_with(struct traced *t, const struct probe_trace_options *more,
		       const char *const *names, size_t count)
{
	struct probe_trace_options options = *more;
	struct nunchi_error *err;

	options.target = &t->fake.target;
	options.kernel = &t->toy.kernel.guest;
	err = probe_trace_create(&options, names, count, &t->trace);
	if (err)
		fail_msg("%s", nunchi_error_message(err));
}

static void start(struct traced *t, const char *name)
{
	start_with(t, &(struct probe_trace_options){.query = NULL}, &name, 1);
}

/* The vCPU gets to an address while it executes a task. */
static void stop(struct traced *t, uint64_t task, struct x86_registers registers)
{
	bool any;

	toy_put(&t->toy, t->gs + 16, task, 8);
	registers.gs_base = t->gs;
	assert_true(fake_hit(&t->fake, &registers));
	assert_null(probe_trace_dispatch(t->trace, &any));
	assert_true(any);
	assert_false(t->fake.stopped);
}

static void enter(struct traced *t, uint64_t task, unsigned function, uint64_t rdi)
{
	stop(t, task,
	     (struct x86_registers){
		 .rip = FUNCTIONS + function * 0x100, .rdi = rdi, .rsp = t->stack});
}

/* The cell of a column of the next row; the row must be there. */
static const struct nunchi_cell *take(struct traced *t, const char *column)
{
	const struct nunchi_cell *cells;
	const struct nunchi_view *schema;
	size_t probe;

	assert_true(probe_trace_take(t->trace, &probe, &cells));
	schema = probe_trace_schema(t->trace, probe);
	for (size_t i = 0; i < schema->column_count; i++) {
		if (!strcmp(schema->columns[i].name, column))
			return &cells[i];
	}
	fail_msg("no column %s", column);
	return NULL;
}

static void has_integer(const struct nunchi_cell *cell, int64_t value)
{
	assert_int_equal(cell->kind, NUNCHI_CELL_VALUE);
	assert_int_equal(cell->integer, value);
}

static void no_row(struct traced *t)
{
	const struct nunchi_cell *cells;
	size_t probe;

	assert_false(probe_trace_take(t->trace, &probe, &cells));
}

static void has_address(const struct nunchi_cell *cell, uint64_t value)
{
	assert_int_equal(cell->kind, NUNCHI_CELL_VALUE);
	assert_int_equal(cell->address, value);
}

/* ---------------------------------------------------------------------------------------------- */

static void whose_doing_it_is(void **state)
{
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t parent = make_task(toy, 7, 7, "sh", 0);
	uint64_t task = make_task(toy, 20, 22, "worker", parent);
	const struct nunchi_cell *cells;

	start(t, "exit");
	assert_int_equal(t->fake.count, 1);
	enter(t, task, DO_EXIT, 3 << 8);
	cells = take(t, "time");
	has_integer(&cells[PROBE_vcpu - PROBE_time], 0);
	has_integer(&cells[PROBE_pid], 20);
	has_integer(&cells[PROBE_tid], 22);
	has_integer(&cells[PROBE_parent], 7);
	has_integer(&cells[PROBE_uid], 1022);
	assert_int_equal(cells[PROBE_name].text_size, 6);
	assert_memory_equal(cells[PROBE_name].text, "worker", 6);
	has_integer(&cells[PROBE_COLUMN_COUNT], 3);
	assert_int_equal(cells[PROBE_COLUMN_COUNT + 1].kind, NUNCHI_CELL_ABSENT);
	/* A signal, with a core dump. */
	enter(t, task, DO_EXIT, 0x80 | 11);
	cells = take(t, "status");
	assert_int_equal(cells[0].kind, NUNCHI_CELL_ABSENT);
	has_integer(&cells[1], 11);
	has_integer(&cells[2], 1);
	no_row(t);
}

/* A task that cannot be read: the row is there, and says why. */
static void nobody_known(void **state)
{
	struct traced *t = *state;
	const struct nunchi_cell *cell;

	start(t, "exit");
	enter(t, TOY_MISSING, DO_EXIT, 0);
	cell = take(t, "pid");
	assert_int_equal(cell->kind, NUNCHI_CELL_ABSENT);
	assert_int_equal(cell->absence, NUNCHI_ABSENT_NOT_SAVED);
}

/* ---- Returns --------------------------------------------------------------------------------- */

static void enter_open(struct traced *t, uint64_t task, const char *path, uint64_t stack)
{
	struct toy *toy = &t->toy;
	uint64_t filename = toy_alloc(toy, 8), flags = toy_alloc(toy, 8);

	toy_put(toy, filename, toy_string(toy, path), 8);
	toy_put(toy, flags, 0x80241, 4);
	toy_put(toy, stack, AFTER_A_CALL, 8);
	stop(t, task,
	     (struct x86_registers){.rip = FUNCTIONS + DO_FILP_OPEN * 0x100,
				    .rdi = (uint64_t)-100,
				    .rsi = filename,
				    .rdx = flags,
				    .rsp = stack});
}

static void leave_open(struct traced *t, uint64_t task, int64_t result, uint64_t stack)
{
	stop(
	    t, task,
	    (struct x86_registers){.rip = AFTER_A_CALL, .rax = (uint64_t)result, .rsp = stack + 8});
}

static void has_open(struct traced *t, const char *path, int64_t status)
{
	const struct nunchi_cell *cells = take(t, "path");

	assert_int_equal(cells[0].text_size, strlen(path));
	assert_memory_equal(cells[0].text, path, strlen(path));
	has_integer(&cells[1], -100);
	assert_int_equal(cells[3].text_size, strlen("O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC"));
	assert_memory_equal(cells[3].text, "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC",
			    cells[3].text_size);
	if (status < 0)
		assert_int_equal(cells[4].kind, NUNCHI_CELL_ABSENT);
	else
		has_integer(&cells[4], status);
}

static void returns_of_two_threads(void **state)
{
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t a = make_task(toy, 20, 20, "a", 0), b = make_task(toy, 30, 30, "b", 0);
	uint64_t stack_a = t->stack, stack_b = t->stack + 512;

	start(t, "open");
	enter_open(t, a, "/a", stack_a);
	enter_open(t, b, "/b", stack_b);
	/* Within the first call there is a second one, of the same thread. */
	enter_open(t, a, "/inner", stack_a - 128);
	no_row(t);
	leave_open(t, a, -2, stack_a - 128);
	has_open(t, "/inner", 2);
	/* A call that returns there, but was not seen at its start. */
	leave_open(t, b, 0, stack_b + 64);
	no_row(t);
	leave_open(t, b, (int64_t)0xffff888000123456, stack_b);
	has_open(t, "/b", 0);
	leave_open(t, a, -13, stack_a);
	has_open(t, "/a", 13);
	leave_open(t, a, -13, stack_a);
	no_row(t);
}

/* Of a function that returns an int the upper half of the register may be anything. */
static void an_int_is_returned(void **state)
{
	struct traced *t = *state;
	uint64_t task = make_task(&t->toy, 20, 20, "a", 0);

	start(t, "module_load");
	toy_put(&t->toy, t->stack, AFTER_A_CALL, 8);
	for (unsigned i = 0; i < 2; i++) {
		enter(t, task, DO_INIT_MODULE, TOY_MISSING);
		leave_open(t, task, i ? 0xffffffea : 0x1234500000000, t->stack);
		has_integer(take(t, "status"), i ? 22 : 0);
	}
}

/* A thread that was killed within the call never returns; another one gets its stack. */
static void a_call_without_return(void **state)
{
	struct traced *t = *state;
	uint64_t task = make_task(&t->toy, 20, 20, "a", 0);
	struct nunchi_trace_cost cost;

	start(t, "open");
	enter_open(t, task, "/first", t->stack);
	enter_open(t, task, "/second", t->stack);
	has_open(t, "/first", -1);
	probe_trace_cost(t->trace, &cost);
	assert_int_equal(cost.pending, 1);
	probe_trace_flush(t->trace);
	has_open(t, "/second", -1);
	no_row(t);
	probe_trace_cost(t->trace, &cost);
	assert_int_equal(cost.pending, 0);
	assert_int_equal(cost.rows, 2);
	assert_int_equal(cost.events, 2);
}

/* A thread that waits for a connection has accepted none. */
static void no_row_without_a_result(void **state)
{
	struct traced *t = *state;
	uint64_t task = make_task(&t->toy, 20, 20, "a", 0);

	start(t, "accept");
	toy_put(&t->toy, t->stack, AFTER_A_CALL, 8);
	enter(t, task, INET_CSK_ACCEPT, 0);
	probe_trace_flush(t->trace);
	no_row(t);
}

/* The processor has no breakpoint left for the return: the row comes without its result. */
static void no_room_for_a_return(void **state)
{
	struct traced *t = *state;
	uint64_t task = make_task(&t->toy, 20, 20, "a", 0);

	t->fake.room = 1;
	start(t, "open");
	enter_open(t, task, "/a", t->stack);
	has_open(t, "/a", -1);
	assert_non_null(strstr(probe_trace_warning(t->trace, 0), "1 breakpoints"));
	enter_open(t, task, "/b", t->stack);
	has_open(t, "/b", -1);
	assert_null(probe_trace_warning(t->trace, 1));
}

/* ---- System calls ---------------------------------------------------------------------------- */

enum { UMOUNT = 166, OPENAT = 257, CALLS = 1024 };
/* struct pt_regs of the test: six registers, these, and the number. */
enum { BP = 48, AX = 56, SP = 64, NUMBER = 120 };

/* The kernel's own description of a call: its name, and types and names of its arguments. */
static void describe(struct toy *toy, unsigned number, const char *name, const char *const *types,
		     const char *const *names, unsigned count)
{
	uint64_t table = toy->kernel.symbol[LINUX_syscalls_metadata], entry = toy_alloc(toy, 64);
	uint64_t type_array = toy_alloc(toy, 64), name_array = toy_alloc(toy, 64);

	toy_field(toy, LAYOUT_syscall_metadata, &L->syscall_metadata_name, 0, 8);
	toy_field(toy, LAYOUT_syscall_metadata, &L->syscall_metadata_count, 8, 4);
	toy_field(toy, LAYOUT_syscall_metadata, &L->syscall_metadata_types, 16, 8);
	toy_field(toy, LAYOUT_syscall_metadata, &L->syscall_metadata_args, 24, 8);
	if (!table) {
		/* The variable, and behind it the table to which it leads. */
		table = toy_alloc(toy, 8 * CALLS);
		toy->kernel.symbol[LINUX_syscalls_metadata] = table;
		toy_put(toy, table, table + 8, 8);
	}
	toy_put(toy, table + 8 + number * 8ULL, entry, 8);
	toy_put(toy, entry, toy_string(toy, name), 8);
	toy_put(toy, entry + 8, count, 4);
	toy_put(toy, entry + 16, type_array, 8);
	toy_put(toy, entry + 24, name_array, 8);
	for (unsigned i = 0; i < count; i++) {
		toy_put(toy, type_array + 8 * i, toy_string(toy, types[i]), 8);
		toy_put(toy, name_array + 8 * i, toy_string(toy, names[i]), 8);
	}
}

static void describe_openat(struct toy *toy)
{
	static const char *const types[] = {"int", "const char *", "int", "umode_t"};
	static const char *const names[] = {"dfd", "filename", "flags", "mode"};

	describe(toy, OPENAT, "sys_openat", types, names, ARRAY_SIZE(types));
}

static void describe_umount(struct toy *toy)
{
	static const char *const types[] = {"char *", "int"};
	static const char *const names[] = {"name", "flags"};

	describe(toy, UMOUNT, "sys_umount", types, names, ARRAY_SIZE(types));
}

static uint64_t make_registers(struct toy *toy, uint64_t number, const uint64_t *arguments)
{
	struct field *const fields[] = {&L->pt_regs_di,  &L->pt_regs_si, &L->pt_regs_dx,
					&L->pt_regs_r10, &L->pt_regs_bx, &L->pt_regs_cx};
	uint64_t registers = toy_alloc(toy, 128);

	toy_field(toy, LAYOUT_pt_regs, &L->pt_regs_number, NUMBER, 8);
	toy_field(toy, LAYOUT_pt_regs, &L->pt_regs_bp, BP, 8);
	toy_field(toy, LAYOUT_pt_regs, &L->pt_regs_ax, AX, 8);
	toy_field(toy, LAYOUT_pt_regs, &L->pt_regs_sp, SP, 8);
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		toy_field(toy, LAYOUT_pt_regs, fields[i], 8 * i, 8);
		toy_put(toy, registers + 8 * i, arguments[i], 8);
	}
	toy_put(toy, registers + NUMBER, number, 8);
	return registers;
}

static void enter_call(struct traced *t, uint64_t task, unsigned function, uint64_t rdi,
		       uint64_t rsi)
{
	toy_put(&t->toy, t->stack, AFTER_A_CALL, 8);
	stop(t, task,
	     (struct x86_registers){.rip = FUNCTIONS + function * 0x100,
				    .rdi = rdi,
				    .rsi = rsi,
				    .rsp = t->stack,
				    .cr3 = TOY_PGD});
}

/* The address below 4 GiB at which a process with this page table has the same. */
static uint64_t low(struct toy *toy, uint64_t address)
{
	toy_put_physical(toy, TOY_PGD, TOY_PDPT | 0x67, 8);
	return address - TOY_BASE;
}

static void has_text(const struct nunchi_cell *cell, const char *text)
{
	if (cell->kind != NUNCHI_CELL_VALUE || cell->text_size != strlen(text) ||
	    memcmp(cell->text, text, cell->text_size) != 0)
		fail_msg("%.*s, not %s", (int)cell->text_size, cell->text, text);
}

static void system_calls(void **state)
{
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0);
	const uint64_t arguments[] = {
	    (uint32_t)-100, toy_string(toy, "/etc/a"), 0x80000, 0600, 7, 8};
	uint64_t registers = make_registers(toy, OPENAT, arguments);
	const struct nunchi_cell *cells;

	describe_openat(toy);
	start(t, "syscalls");
	for (unsigned i = 0; i < 2; i++) {
		enter_call(t, task, X64_SYS_CALL, registers, OPENAT);
		leave_open(t, task, i ? -13 : 3, t->stack);
		cells = take(t, "syscall");
		has_text(&cells[0], "openat");
		has_integer(&cells[1], OPENAT);
		has_text(&cells[2], "x86_64");
		has_text(&cells[3],
			 "dfd=AT_FDCWD, filename=\"/etc/a\", flags=O_RDONLY|O_CLOEXEC, mode=0600");
		has_integer(&cells[5], i ? 13 : 0);
		if (i)
			has_text(&cells[6], "EACCES");
		else
			assert_int_equal(cells[6].kind, NUNCHI_CELL_ABSENT);
		if (i)
			assert_int_equal(cells[4].kind, NUNCHI_CELL_ABSENT);
		else
			has_integer(&cells[4], 3);
		assert_int_equal(cells[7].kind, NUNCHI_CELL_VALUE);
	}
}

/*
 * A program of 32 bits: another number, other registers. The kernel describes the call under its
 * number for programs of 64 bits, or not at all.
 */
static void compatible_system_calls(void **state)
{
	static const struct {
		unsigned number;
		const char *name, *arguments;
	} cases[] = {
	    {295, "openat", "dfd=AT_FDCWD, filename=NULL, flags=O_RDWR|O_CLOEXEC, mode=02"},
	    {20, "getpid", "0xffffff9c, 0x0, 0x80002, 0x2, 0x5, 0x6"},
	    {22, "umount", "0xffffff9c, 0x0, 0x80002, 0x2, 0x5, 0x6"},
	    {52, "umount2", "name=0xffffff9c, flags=0"},
	    {470, "listns", "0xffffff9c, 0x0, 0x80002, 0x2, 0x5, 0x6"},
	    {500, NULL, "0xffffff9c, 0x0, 0x80002, 0x2, 0x5, 0x6"},
	    /* One of x32. */
	    {514, NULL, "0xffffff9c, 0x0, 0x80002, 0x2, 0x5, 0x6"},
	};
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0);
	const uint64_t arguments[] = {5, 2, 0x1234500080002, 2, 0x12345678ffffff9c, 0};

	describe_openat(toy);
	describe_umount(toy);
	start(t, "syscalls");
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t registers = make_registers(toy, cases[i].number, arguments);
		const struct nunchi_cell *cells;

		toy_put(toy, registers + BP, 6, 8);
		enter_call(t, task, IA32_SYS_CALL, registers, cases[i].number);
		probe_trace_flush(t->trace);
		cells = take(t, "syscall");
		if (cases[i].name)
			has_text(&cells[0], cases[i].name);
		else
			assert_int_equal(cells[0].absence, NUNCHI_ABSENT_NO_SYMBOL);
		has_text(&cells[2], "i386");
		has_text(&cells[3], cases[i].arguments);
	}
}

/* The functions of older kernels, which are told apart by which of the first names are there. */
enum { DO_SYSCALL_64, DO_FAST_SYSCALL_32, INT80, OLD_COUNT };

/*
 * do_syscall_64() gets the registers first, or the program's RAX: that may be the address of what
 * the program has made up.
 */
static void either_order(void **state)
{
	static const char *const old[] = {"do_syscall_64"};
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0);
	uint64_t arguments[] = {(uint32_t)-100, toy_string(toy, "/etc/a"), 0, 0600, 7, 8};
	uint64_t registers = make_registers(toy, OPENAT, arguments), made_up;
	const struct nunchi_cell *cells;

	arguments[1] = toy_string(toy, "/made/up");
	made_up = make_registers(toy, OPENAT, arguments);
	/* The page of the stack was allocated before: the registers lie behind it. */
	assert_true(registers > t->stack && (registers ^ t->stack) < 0x4000);
	use_functions(t, old, 1);
	describe_openat(toy);
	start(t, "syscalls");
	for (unsigned i = 0; i < 3; i++) {
		static const char shown[] =
		    "dfd=AT_FDCWD, filename=\"/etc/a\", flags=O_RDONLY, mode=0600";
		const uint64_t first[] = {registers, OPENAT, made_up};

		enter_call(t, task, DO_SYSCALL_64, first[i], i ? registers : OPENAT);
		probe_trace_flush(t->trace);
		has_text(&take(t, "syscall")[3], shown);
	}
	/* All 64 bits of the number count if it comes first. */
	toy_put(toy, registers + NUMBER, 0x500000000 | OPENAT, 8);
	for (unsigned i = 0; i < 2; i++) {
		enter_call(t, task, DO_SYSCALL_64, i ? 0x500000000 | OPENAT : registers,
			   i ? registers : OPENAT);
		probe_trace_flush(t->trace);
		cells = take(t, "syscall");
		assert_int_equal(cells[0].kind, i ? NUNCHI_CELL_ABSENT : NUNCHI_CELL_VALUE);
		has_integer(&cells[1], i ? 0x500000000 | OPENAT : OPENAT);
	}
}

/* Of a call by the vDSO the sixth argument is on the program's stack. */
static void a_call_by_the_vdso(void **state)
{
	static const char *const old[] = {"do_syscall_64", "do_fast_syscall_32",
					  "do_int80_syscall_32"};
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0), stack = toy_alloc(toy, 16);
	const uint64_t arguments[] = {5, 4, 3, 0, 1, 2};
	uint64_t registers = make_registers(toy, 20, arguments);

	toy_put(toy, registers + BP, 0x77, 8);
	toy_put(toy, registers + SP, low(toy, stack), 8);
	toy_put(toy, stack, 0x1234567800000006, 8);
	use_functions(t, old, OLD_COUNT);
	start(t, "syscalls");
	enter_call(t, task, DO_FAST_SYSCALL_32, registers, 0);
	probe_trace_flush(t->trace);
	has_text(&take(t, "syscall")[3], "0x1, 0x2, 0x3, 0x4, 0x5, 0x6");
	enter_call(t, task, INT80, registers, 0);
	probe_trace_flush(t->trace);
	has_text(&take(t, "syscall")[3], "0x1, 0x2, 0x3, 0x4, 0x5, 0x77");
}

/* int80_emulation() moves the number to its place itself, and then the result to AX. */
static void a_call_by_an_interrupt(void **state)
{
	static const char *const old[] = {"do_syscall_64", "do_fast_syscall_32", "int80_emulation"};
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0);
	const uint64_t arguments[] = {5, 4, 3, 0, 1, 2};
	uint64_t registers = make_registers(toy, (uint64_t)-1, arguments);
	const struct nunchi_cell *cells;

	use_functions(t, old, OLD_COUNT);
	start(t, "syscalls");
	toy_put(toy, registers + AX, 0x100000014, 8);
	enter_call(t, task, INT80, registers, 0);
	toy_put(toy, registers + AX, 4711, 8);
	leave_open(t, task, 0, t->stack);
	cells = take(t, "syscall");
	has_text(&cells[0], "getpid");
	has_integer(&cells[1], 20);
	has_text(&cells[2], "i386");
	has_integer(&cells[4], 4711);
}

/* Calls by x32 have a function of their own, and some of them numbers of their own. */
static void calls_by_x32(void **state)
{
	static const char *const names[] = {"x64_sys_call", "x32_sys_call", "ia32_sys_call"};
	static const struct {
		unsigned number;
		const char *name;
	} cases[] = {{OPENAT, "openat"}, {520, "execve"}, {547, "pwritev2"}, {548, NULL}};
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0);
	const uint64_t arguments[] = {1, 2, 3, 4, 5, 6};

	use_functions(t, names, ARRAY_SIZE(names));
	describe_openat(toy);
	start(t, "syscalls");
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t registers = make_registers(toy, 0x40000000 | cases[i].number, arguments);
		const struct nunchi_cell *cells;

		enter_call(t, task, 1, registers, cases[i].number);
		leave_open(t, task, 7, t->stack);
		cells = take(t, "syscall");
		if (cases[i].name)
			has_text(&cells[0], cases[i].name);
		else
			assert_int_equal(cells[0].absence, NUNCHI_ABSENT_NO_SYMBOL);
		has_integer(&cells[1], 0x40000000 | cases[i].number);
		has_text(&cells[2], "x32");
		has_integer(&cells[4], 7);
	}
}

/* What lies behind the kernel's table gives no name to a number. */
static void numbers_beyond_the_table(void **state)
{
	static const char *const names[] = {"x64_sys_call", "__x64_sys_read"};
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0), table = toy_alloc(toy, 256);
	const uint64_t arguments[6] = {0};

	toy->kernel.text_virtual = TOY_BASE;
	toy->kernel.image_end = UINT64_MAX;
	toy->kernel.symbol[LINUX_sys_call_table] = table;
	symbol_index_unref(toy->kernel.symbols);
	toy->kernel.symbols = make_symbols(names, ARRAY_SIZE(names));
	assert_null(symbol_index_add(toy->kernel.symbols, "sys_call_table", 14, table, 'D'));
	assert_null(symbol_index_add(toy->kernel.symbols, "behind", 6, table + 32, 'D'));
	assert_null(symbol_index_seal(toy->kernel.symbols));
	for (unsigned i = 0; i < 6; i++)
		toy_put(toy, table + 8ULL * i, FUNCTIONS + 0x100, 8);
	start(t, "syscalls");
	for (unsigned i = 0; i < 6; i++) {
		const struct nunchi_cell *cells;

		enter_call(t, task, 0, make_registers(toy, i, arguments), i);
		probe_trace_flush(t->trace);
		cells = take(t, "syscall");
		if (i < 4)
			has_text(&cells[0], "read");
		else
			assert_int_equal(cells[0].absence, NUNCHI_ABSENT_NO_SYMBOL);
	}
}

/* A text of the program cannot look like its end and more arguments. */
static void texts_with_quotes(void **state)
{
	static const char *const types[] = {"int", "struct sockaddr *", "int"};
	static const char *const names[] = {"fd", "uservaddr", "addrlen"};
	static const char address[] = "\1\0a\"\\";
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0), place = toy_alloc(toy, 16);
	const uint64_t arguments[] = {1, toy_string(toy, "x\", flags=O_RDONLY, mode=00\\"), 0, 0, 0,
				      0};
	const uint64_t others[] = {1, place, sizeof(address), 0, 0, 0};

	toy_put_bytes(toy, place, address, sizeof(address));
	describe_openat(toy);
	describe(toy, 42, "sys_connect", types, names, ARRAY_SIZE(types));
	start(t, "syscalls");
	enter_call(t, task, X64_SYS_CALL, make_registers(toy, OPENAT, arguments), OPENAT);
	probe_trace_flush(t->trace);
	has_text(
	    &take(t, "syscall")[3],
	    "dfd=0x1, filename=\"x\\\", flags=O_RDONLY, mode=00\\\\\", flags=O_RDONLY, mode=00");
	enter_call(t, task, X64_SYS_CALL, make_registers(toy, 42, others), 42);
	probe_trace_flush(t->trace);
	has_text(&take(t, "syscall")[3], "fd=1, uservaddr={unix \"a\\\"\\\\\"}, addrlen=6");
}

/* ---- Functions of single calls --------------------------------------------------------------- */

static void has_range(struct traced *t, uint64_t address, int64_t size)
{
	const struct nunchi_cell *cells = take(t, "target");

	has_integer(&cells[0], 9);
	has_address(&cells[2], address);
	has_integer(&cells[3], size);
}

static void memory_of_another_process(void **state)
{
	static const char *const names[] = {"__x64_sys_process_vm_readv",
					    "__ia32_compat_sys_process_vm_readv",
					    "__x32_compat_sys_process_vm_writev"};
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0), ranges = toy_alloc(toy, 16);
	/* Those of 64 bits, and of 32 in other registers. */
	const uint64_t wide[] = {9, 0, 1, low(toy, ranges), 0, 0};
	const uint64_t narrow[] = {1, low(toy, ranges), 1, 0, 9, 0};
	uint64_t registers = make_registers(toy, 0x40000000 | 540, wide);

	/* Argument 4. */
	toy_field(toy, LAYOUT_pt_regs, &L->pt_regs_r8, 72, 8);
	toy_put(toy, registers + 72, 1, 8);
	toy_put(toy, ranges, 0x2000001000, 8);
	toy_put(toy, ranges + 8, 0x30, 8);
	use_functions(t, names, ARRAY_SIZE(names));
	start(t, "process_vm");
	for (unsigned i = 0; i < 2; i++) {
		enter_call(t, task, i ? 2 : 0, registers, 0);
		probe_trace_flush(t->trace);
		has_range(t, 0x1000, 0x20);
	}
	toy_put(toy, registers + NUMBER, 310, 8);
	enter_call(t, task, 0, registers, 0);
	probe_trace_flush(t->trace);
	has_range(t, 0x2000001000, 0x30);
	enter_call(t, task, 1, make_registers(toy, 347, narrow), 0);
	probe_trace_flush(t->trace);
	has_range(t, 0x1000, 0x20);
}

/* A kernel without protection keys may have no function but those of the call. */
static void protection_without_keys(void **state)
{
	static const char *const names[] = {"__x64_sys_mprotect", "__ia32_sys_mprotect"};
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t task = make_task(toy, 20, 20, "a", 0);
	const uint64_t arguments[] = {0x1000, 0x2000, 4, 0, 0x3000, 0x2000};

	use_functions(t, names, ARRAY_SIZE(names));
	start(t, "mprotect");
	for (unsigned i = 0; i < 2; i++) {
		enter_call(t, task, i, make_registers(toy, 10, arguments), 0);
		probe_trace_flush(t->trace);
		has_address(take(t, "address"), i ? 0x3000 : 0x1000);
	}
}

/* ---- Conditions ------------------------------------------------------------------------------ */

static void conditions(void **state)
{
	static const struct nunchi_constraint where[] = {
	    {"name", "b", NUNCHI_EQUAL},
	    {"status", "0", NUNCHI_GREATER},
	};
	static const char *const columns[] = {"status", "pid"};
	const struct nunchi_query query = {.size = sizeof(query),
					   .columns = columns,
					   .column_count = 2,
					   .constraints = where,
					   .constraint_count = 2};
	const char *name = "exit";
	struct traced *t = *state;
	uint64_t a = make_task(&t->toy, 20, 20, "a", 0), b = make_task(&t->toy, 30, 30, "b", 0);
	const struct nunchi_cell *cells;
	size_t probe, count;

	start_with(t, &(struct probe_trace_options){.query = &query}, &name, 1);
	enter(t, a, DO_EXIT, 1 << 8);
	enter(t, b, DO_EXIT, 0);
	no_row(t);
	enter(t, b, DO_EXIT, 2 << 8);
	probe_trace_columns(t->trace, 0, &count);
	assert_int_equal(count, 2);
	assert_true(probe_trace_take(t->trace, &probe, &cells));
	has_integer(&cells[0], 2);
	has_integer(&cells[1], 30);
}

/* A guest of five processes: 1, 20 and its child 30, 25, and 40, a child of 30. */
struct family {
	uint64_t init, root, other, child, grandchild;
};

static struct family make_family(struct traced *t)
{
	static const unsigned pids[] = {0, 1, 20, 25, 30, 40};
	struct toy *toy = &t->toy;
	struct family family = {.init = make_task(toy, 1, 1, "init", 0)};
	uint64_t tasks[ARRAY_SIZE(pids)] = {make_task(toy, 0, 0, "swapper", 0)};

	family.root = make_task(toy, 20, 20, "root", family.init);
	family.other = make_task(toy, 25, 25, "other", family.init);
	family.child = make_task(toy, 30, 30, "child", family.root);
	family.grandchild = make_task(toy, 40, 40, "grandchild", family.child);
	memcpy(tasks + 1, &family, sizeof(family));
	toy_link_tasks(toy, tasks, ARRAY_SIZE(tasks));
	for (unsigned i = 0; i < ARRAY_SIZE(pids); i++)
		toy_set(toy, tasks[i], &L->task_pid, pids[i]);
	return family;
}

static void start_with_pid(struct traced *t, int64_t pid)
{
	const char *name = "exit";

	start_with(t, &(struct probe_trace_options){.pid = pid}, &name, 1);
}

static void descendants(void **state)
{
	/* Conditions are not for the forks by which descendants are known. */
	static const struct nunchi_constraint where[] = {{"name", "child", NUNCHI_GREATER}};
	const struct nunchi_query query = {
	    .size = sizeof(query), .constraints = where, .constraint_count = 1};
	const char *name = "exit";
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	struct family family = make_family(t);
	uint64_t born;

	start_with(t, &(struct probe_trace_options){.pid = 20, .query = &query}, &name, 1);
	enter(t, family.other, DO_EXIT, 0);
	enter(t, family.init, DO_EXIT, 0);
	no_row(t);
	enter(t, family.root, DO_EXIT, 0);
	has_integer(take(t, "pid"), 20);
	/* The child makes another grandchild and ends, before that does anything. */
	born = make_task(toy, 50, 50, "grandchild", family.child);
	enter(t, family.child, WAKE_UP_NEW_TASK, born);
	no_row(t);
	toy_set(toy, born, &L->task_real_parent, family.init);
	enter(t, born, DO_EXIT, 0);
	has_integer(take(t, "pid"), 50);
	/* Its id is given to somebody else. */
	toy_set(toy, born, &L->task_start_boottime, 99);
	enter(t, born, DO_EXIT, 0);
	no_row(t);
}

/* A process that was there before, and loses its parent before it does anything. */
static void descendants_of_before(void **state)
{
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	struct family family = make_family(t);

	start_with_pid(t, 20);
	toy_set(toy, family.grandchild, &L->task_real_parent, family.init);
	enter(t, family.grandchild, DO_EXIT, 0);
	has_integer(take(t, "pid"), 40);
	no_row(t);
}

/* The process ends, and its id is given to another one. */
static void an_id_given_again(void **state)
{
	struct traced *t = *state;
	struct toy *toy = &t->toy;
	uint64_t again;

	make_family(t);
	start_with_pid(t, 20);
	again = make_task(toy, 20, 20, "again", 0);
	toy_set(toy, again, &L->task_start_boottime, 99);
	enter(t, again, DO_EXIT, 0);
	no_row(t);
}

static void no_such_process(void **state)
{
	struct traced *t = *state;
	const struct probe_trace_options options = {
	    .target = &t->fake.target, .kernel = &t->toy.kernel.guest, .pid = 21};
	const char *name = "exit";
	struct nunchi_error *err;

	make_family(t);
	err = probe_trace_create(&options, &name, 1, &t->trace);
	assert_true(error_is(err, NUNCHI_ERROR_NOT_FOUND));
	assert_string_equal(nunchi_error_message(err), "the guest has no process 21");
	nunchi_error_destroy(err);
	assert_null(t->trace);
	assert_int_equal(t->fake.held, 0);
}

/* A connection that is accepted later than the condition asks for, by a call from before. */
static void a_condition_on_the_time_of_a_return(void **state)
{
	char after[32];
	const struct nunchi_constraint where = {"time", after, NUNCHI_GREATER};
	const struct nunchi_query query = {
	    .size = sizeof(query), .constraints = &where, .constraint_count = 1};
	const char *name = "accept";
	struct traced *t = *state;
	uint64_t task = make_task(&t->toy, 20, 20, "a", 0);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(after, sizeof(after), "%.3f",
		 (double)now.tv_sec + (double)now.tv_nsec / 1e9 + 0.1);
	start_with(t, &(struct probe_trace_options){.query = &query}, &name, 1);
	toy_put(&t->toy, t->stack, AFTER_A_CALL, 8);
	enter(t, task, INET_CSK_ACCEPT, 0);
	usleep(200000);
	leave_open(t, task, (int64_t)TOY_MISSING, t->stack);
	has_integer(take(t, "pid"), 20);
	no_row(t);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static void refused(struct traced *t, const char *const *names, size_t count, const char *words)
{
	const struct probe_trace_options options = {.target = &t->fake.target,
						    .kernel = &t->toy.kernel.guest};
	struct nunchi_error *err = probe_trace_create(&options, names, count, &t->trace);

	assert_non_null(err);
	if (!strstr(nunchi_error_message(err), words))
		fail_msg("%s", nunchi_error_message(err));
	nunchi_error_destroy(err);
	assert_null(t->trace);
	assert_int_equal(t->fake.held, 0);
}

static void refusals(void **state)
{
	static const char *const unknown[] = {"exit", "exot"}, *const missing[] = {"exit", "mount"},
				 *const data[] = {"module_unload"};
	struct traced *t = *state;

	refused(t, unknown, 2, "probe exot: there is no such probe");
	refused(t, missing, 2, "probe mount: no symbol \"path_mount\"");
	/* Data is never taken for code. */
	refused(t, data, 1, "there is no function free_module, only the symbol");
	/* Nothing was set. */
	assert_int_equal(t->fake.inserted, 0);
	t->fake.room = 0;
	refused(t, unknown, 1, "probe exit: the processor has 0 breakpoints");
	t->toy.kernel.symbol[LINUX_current_task] = 0;
	refused(t, unknown, 1, "has neither current_task nor pcpu_hot");
}

static void left_out(void **state)
{
	static const char *const names[] = {"mount", "exit"};
	struct traced *t = *state;
	uint64_t task = make_task(&t->toy, 20, 20, "a", 0);
	const struct nunchi_cell *cells;
	size_t probe;

	start_with(t, &(struct probe_trace_options){.lenient = true}, names, 2);
	assert_non_null(
	    strstr(probe_trace_warning(t->trace, 0), "probe mount is left out: no symbol"));
	enter(t, task, DO_EXIT, 0);
	assert_true(probe_trace_take(t->trace, &probe, &cells));
	assert_int_equal(probe, 1);
}

/* Rows that nobody takes are counted; the guest goes on. */
static void a_slow_reader(void **state)
{
	struct traced *t = *state;
	uint64_t task = make_task(&t->toy, 20, 20, "a", 0);
	const struct nunchi_cell *cells;
	struct nunchi_trace_cost cost;
	size_t probe, given = 0;

	start(t, "exit");
	for (unsigned i = 0; i < 10000; i++)
		enter(t, task, DO_EXIT, 0);
	assert_int_equal(t->fake.went, 10000);
	while (probe_trace_take(t->trace, &probe, &cells))
		given++;
	probe_trace_cost(t->trace, &cost);
	assert_int_equal(cost.events, 10000);
	assert_int_equal(cost.rows + cost.dropped, 10000);
	assert_int_equal(cost.rows, given);
	assert_true(cost.dropped > 0);
}

static void the_end_of_the_guest(void **state)
{
	struct traced *t = *state;
	struct nunchi_error *err;
	bool any;

	start(t, "exit");
	t->fake.pending.kind = TARGET_STOP_PAUSED;
	assert_null(probe_trace_dispatch(t->trace, &any));
	t->fake.state = TARGET_PAUSED;
	assert_true(probe_trace_is_paused(t->trace));
	assert_null(probe_trace_dispatch(t->trace, &any));
	assert_true(probe_trace_is_paused(t->trace));
	t->fake.state = TARGET_RUNNING;
	assert_false(probe_trace_is_paused(t->trace));
	t->fake.pending.kind = TARGET_STOP_GONE;
	err = probe_trace_dispatch(t->trace, &any);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	nunchi_error_destroy(err);
}

/* The vCPU writes a register while it executes a task. */
static void write_register(struct traced *t, uint64_t task, enum target_event event, uint32_t index)
{
	bool any;

	toy_put(&t->toy, t->gs + 16, task, 8);
	t->fake.pending = (struct target_stop){.kind = TARGET_STOP_EVENT,
					       .event = event,
					       .index = index,
					       .value = 0x1000,
					       .old = 0x2000,
					       .registers = {.gs_base = t->gs, .rip = 0x77}};
	assert_null(probe_trace_dispatch(t->trace, &any));
	assert_true(any);
	assert_false(t->fake.stopped);
	assert_int_equal(t->fake.went_to, 0x77);
}

static void registers_that_are_written(void **state)
{
	static const char *const names[] = {"cr3", "msr", "msr:0x10"};
	struct traced *t = *state;
	uint64_t task = make_task(&t->toy, 20, 22, "worker", 0);
	const struct nunchi_cell *cells;
	size_t probe;

	start_with(t, &(struct probe_trace_options){.query = NULL}, names, 3);
	assert_int_equal(t->fake.observed[0].event, TARGET_EVENT_CR3);
	assert_int_equal(t->fake.observed[t->fake.observed_count - 1].index, 0x10);
	write_register(t, task, TARGET_EVENT_CR3, 0);
	has_address(take(t, "value"), 0x1000);
	no_row(t);
	write_register(t, task, TARGET_EVENT_CR3, 0);
	has_integer(take(t, "pid"), 20);
	write_register(t, task, TARGET_EVENT_MSR, 0xc0000082);
	assert_string_equal(take(t, "msr")->text, "LSTAR");
	write_register(t, task, TARGET_EVENT_MSR, 0x10);
	assert_true(probe_trace_take(t->trace, &probe, &cells));
	assert_int_equal(probe, 2);
	no_row(t);
	/* Nobody has asked for this one. */
	write_register(t, task, TARGET_EVENT_MSR, 0x11);
	write_register(t, task, TARGET_EVENT_CR4, 0);
	no_row(t);
}

static void registers_that_are_not_there(void **state)
{
	static const char *const names[] = {"cr4", "msr:", "msr:x", "msr:0x100000000", "msr:1 "};
	struct traced *t = *state;
	struct probe_trace_options options = {.target = &t->fake.target,
					      .kernel = &t->toy.kernel.guest};

	t->fake.no_events = true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct nunchi_error *err = probe_trace_create(&options, &names[i], 1, &t->trace);

		assert_true(error_is(err, i ? NUNCHI_ERROR_ARGUMENT : NUNCHI_ERROR_UNSUPPORTED));
		nunchi_error_destroy(err);
		assert_int_equal(t->fake.held, 0);
	}
}

/* A target whose breakpoints are in the guest's memory, and a kernel with a table of branches. */
static void put_in_memory(struct traced *t, uint64_t function, uint64_t table)
{
	static struct target_stops_ops stops;
	static struct target_ops ops;
	static const char *const names[] = {
	    "do_exit",
	    "do_suspend",
	    "__start___jump_table",
	    "__stop___jump_table",
	    "__start_static_call_sites",
	    "__stop_static_call_sites",
	    "kgdb_io_module_registered",
	};
	const uint64_t addresses[] = {function,   function + 0x100, table,     table + 48,
				      table + 48, table + 64,       table + 64};
	size_t count = table ? ARRAY_SIZE(names) : 2;
	struct symbol_index *symbols;

	stops = fake_stops_ops;
	stops.in_memory = true;
	ops = fake_stops_target;
	ops.stops = &stops;
	t->fake.target.ops = &ops;
	assert_null(symbol_index_create(&symbols));
	for (size_t i = 0; i < count; i++)
		assert_null(symbol_index_add(symbols, names[i], strlen(names[i]), addresses[i],
					     i < 2 ? 't' : 'd'));
	assert_null(symbol_index_seal(symbols));
	symbol_index_unref(t->toy.kernel.symbols);
	t->toy.kernel.symbols = symbols;
}

/* What the kernel makes a jump of is not written over: it would die of it. */
static void a_branch_at_the_start(void **state)
{
	const char *const name = "exit";
	struct traced *t = *state;
	struct probe_trace_options options = {.target = &t->fake.target,
					      .kernel = &t->toy.kernel.guest};
	uint64_t table = toy_alloc(&t->toy, 68), function = table + 0x1000;
	struct nunchi_error *err;

	put_in_memory(t, function, table);
	/* The second of three entries, with offsets; then the second of two, with addresses. */
	toy_put(&t->toy, table, 0xfedcba98fedcba98, 8);
	toy_put(&t->toy, table + 16, function - (table + 16), 4);
	for (int i = 0; i < 2; i++) {
		err = probe_trace_create(&options, &name, 1, &t->trace);
		assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
		assert_non_null(strstr(nunchi_error_message(err), "rewrites the instruction"));
		nunchi_error_destroy(err);
		assert_int_equal(t->fake.count, 0);
		toy_put(&t->toy, table, 0xffffffff81000000, 8);
		toy_put(&t->toy, table + 24, function, 8);
	}
	/* A static call, the second of two. */
	toy_put(&t->toy, table + 24, function + 8, 8);
	toy_put(&t->toy, table + 56, function - (table + 56), 4);
	err = probe_trace_create(&options, &name, 1, &t->trace);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	nunchi_error_destroy(err);
	toy_put(&t->toy, table + 56, 0, 4);
	toy_put(&t->toy, table + 24, function + 8, 8);
	assert_null(probe_trace_create(&options, &name, 1, &t->trace));
}

/* A kernel that does not tell where its branches are. */
static void no_table_of_branches(void **state)
{
	const char *const name = "exit";
	struct traced *t = *state;
	struct probe_trace_options options = {.target = &t->fake.target,
					      .kernel = &t->toy.kernel.guest};
	struct nunchi_error *err;

	put_in_memory(t, FUNCTIONS, 0);
	err = probe_trace_create(&options, &name, 1, &t->trace);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	assert_int_equal(t->fake.count, 0);
	nunchi_error_destroy(err);
}

/* A debugger in the kernel would take a breakpoint for the instruction that stands there. */
static void a_kernel_with_kgdb(void **state)
{
	const char *const name = "exit";
	struct traced *t = *state;
	struct probe_trace_options options = {.target = &t->fake.target,
					      .kernel = &t->toy.kernel.guest};
	uint64_t table = toy_alloc(&t->toy, 68);
	struct nunchi_error *err;

	put_in_memory(t, FUNCTIONS, table);
	toy_put(&t->toy, table + 64, 1, 4);
	err = probe_trace_create(&options, &name, 1, &t->trace);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(strstr(nunchi_error_message(err), "kgdb"));
	assert_int_equal(t->fake.count, 0);
	nunchi_error_destroy(err);
	toy_put(&t->toy, table + 64, 0, 4);
	assert_null(probe_trace_create(&options, &name, 1, &t->trace));
}

/* A copy of the guest has no breakpoints. */
static void the_guest_is_saved(void **state)
{
	const char *const name = "exit";
	struct traced *t = *state;
	struct probe_trace_options options = {.target = &t->fake.target,
					      .kernel = &t->toy.kernel.guest};
	struct nunchi_error *err;
	bool any;

	put_in_memory(t, FUNCTIONS, toy_alloc(&t->toy, 68));
	assert_null(probe_trace_create(&options, &name, 1, &t->trace));
	assert_int_equal(t->fake.count, 2);
	assert_true(fake_hit(&t->fake, &(struct x86_registers){.rip = FUNCTIONS + 0x100}));
	err = probe_trace_dispatch(t->trace, &any);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	assert_non_null(strstr(nunchi_error_message(err), "is about to be saved"));
	nunchi_error_destroy(err);
	assert_true(t->fake.closed);
	assert_int_equal(t->fake.went, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(whose_doing_it_is, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_branch_at_the_start, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_table_of_branches, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_kernel_with_kgdb, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_guest_is_saved, setup, teardown),
	    cmocka_unit_test_setup_teardown(registers_that_are_written, setup, teardown),
	    cmocka_unit_test_setup_teardown(registers_that_are_not_there, setup, teardown),
	    cmocka_unit_test_setup_teardown(nobody_known, setup, teardown),
	    cmocka_unit_test_setup_teardown(returns_of_two_threads, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_int_is_returned, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_call_without_return, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_row_without_a_result, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_room_for_a_return, setup, teardown),
	    cmocka_unit_test_setup_teardown(system_calls, setup, teardown),
	    cmocka_unit_test_setup_teardown(compatible_system_calls, setup, teardown),
	    cmocka_unit_test_setup_teardown(either_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_call_by_the_vdso, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_call_by_an_interrupt, setup, teardown),
	    cmocka_unit_test_setup_teardown(calls_by_x32, setup, teardown),
	    cmocka_unit_test_setup_teardown(numbers_beyond_the_table, setup, teardown),
	    cmocka_unit_test_setup_teardown(texts_with_quotes, setup, teardown),
	    cmocka_unit_test_setup_teardown(memory_of_another_process, setup, teardown),
	    cmocka_unit_test_setup_teardown(protection_without_keys, setup, teardown),
	    cmocka_unit_test_setup_teardown(conditions, setup, teardown),
	    cmocka_unit_test_setup_teardown(descendants, setup, teardown),
	    cmocka_unit_test_setup_teardown(descendants_of_before, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_id_given_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_such_process, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_condition_on_the_time_of_a_return, setup, teardown),
	    cmocka_unit_test_setup_teardown(refusals, setup, teardown),
	    cmocka_unit_test_setup_teardown(left_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_slow_reader, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_end_of_the_guest, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
