/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads of gdb's server and their registers, while the guest goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/guest.h"
#include "gdb/gdb.h"

#include "toy_kernel.h"

#define PID        7
#define STACK_SIZE 16384
/* In the toy's struct pt_regs, of 168 bytes. */
enum { AX = 80, IP = 128, CS = 136, FLAGS = 144, SP = 152, REGS_SIZE = 168 };
/* In its task_struct. */
enum { STACK = 8, COMM = 16 };
/* gdb's numbers. */
enum { GDB_RAX = 0, GDB_RIP_NUMBER = 16 };

struct threads_test {
	struct toy toy;
	struct target target;
	struct nunchi_context *context;
	struct nunchi_guest guest;
	struct nunchi_gdb gdb;
	struct gdb_thread thread;
	uint64_t current; /* address of the variable */
	uint64_t other;   /* another task */
	uint64_t regs;    /* the thread's struct pt_regs */
	struct x86_registers vcpu;
	bool switches; /* to the other task, when the vCPU is asked */
};

static struct threads_test *test;

static struct nunchi_error *get_state(struct target *target, enum target_state *ret)
{
	(void)target;
	*ret = TARGET_RUNNING;
	return NULL;
}

static struct nunchi_error *get_registers(struct target *target, unsigned vcpu,
					  struct x86_registers *ret)
{
	(void)target;
	(void)vcpu;
	if (test->switches)
		toy_put(&test->toy, test->current, test->other, 8);
	*ret = test->vcpu;
	return NULL;
}

static const struct target_ops live_ops = {
    .kind = "test", .get_state = get_state, .get_registers = get_registers};

static void make_guest(void)
{
	toy_init(&test->toy);
	assert_null(target_init(&test->target, &live_ops, "test"));
	test->target.memory = test->toy.memory;
	test->target.vcpu_count = 1;
	target_set_support(&test->target, TARGET_REGISTERS, true, "test");
	assert_null(nunchi_context_create(0, &test->context));
	test->guest = (struct nunchi_guest){
	    .context = test->context, .target = &test->target, .kernel = &test->toy.kernel.guest};
	test->guest.cancel.parent = &test->context->cancel;
	test->guest.session.guest = &test->guest;
}

static void make_offsets(struct gdb_offsets *offsets)
{
	uint64_t distances = toy_alloc(&test->toy, 8), area = toy_alloc(&test->toy, 256);

	memset(offsets, 0xff, sizeof(*offsets));
	offsets->stack = STACK;
	offsets->comm = COMM;
	offsets->stack_size = STACK_SIZE;
	offsets->frame_size = 0;
	offsets->user.size = REGS_SIZE;
	offsets->user.ax = AX;
	offsets->user.ip = IP;
	offsets->user.cs = CS;
	offsets->user.flags = FLAGS;
	offsets->user.sp = SP;
	/* The per-CPU variable is at 64 in the area of CPU 0. */
	offsets->current = 64;
	offsets->distances = distances;
	toy_put(&test->toy, distances, area, 8);
	test->current = area + 64;
}

static int setup(void **state)
{
	uint64_t stack;

	(void)state;
	test = calloc(1, sizeof(*test));
	make_guest();
	test->gdb = (struct nunchi_gdb){.guest = &test->guest, .pid = PID, .is_64 = true};
	make_offsets(&test->gdb.offsets);
	test->thread =
	    (struct gdb_thread){.id = PID, .vcpu = 0, .cpu = 0, .task = toy_alloc(&test->toy, 256)};
	test->other = toy_alloc(&test->toy, 256);
	stack = toy_alloc(&test->toy, STACK_SIZE);
	toy_put(&test->toy, test->thread.task + STACK, stack, 8);
	test->regs = stack + STACK_SIZE - REGS_SIZE;
	toy_put(&test->toy, test->regs + AX, 0x1111, 8);
	toy_put(&test->toy, test->regs + IP, 0x401000, 8);
	toy_put(&test->toy, test->regs + CS, 0x33, 8);
	toy_put(&test->toy, test->regs + FLAGS, 0x202, 8);
	test->vcpu = (struct x86_registers){.has_general = true,
					    .has_rip = true,
					    .has_selectors = true,
					    .has_segments = true,
					    .cs = 0x33,
					    .rip = 0x402000,
					    .rax = 0x2222};
	toy_put(&test->toy, test->current, test->thread.task, 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nunchi_error_destroy(test->gdb.err);
	buffer_deinit(&test->gdb.text);
	buffer_deinit(&test->gdb.document);
	free(test->gdb.threads);
	for (size_t i = 0; i < TARGET_CAPABILITY_COUNT; i++)
		free(test->target.support_text[i]);
	free(test->target.name);
	nunchi_context_destroy(test->context);
	toy_deinit(&test->toy);
	free(test);
	return 0;
}

static void has(uint64_t number, const char *value)
{
	buffer_clear(&test->gdb.text);
	assert_true(gdb_put_register(&test->gdb, &test->thread, number));
	assert_string_equal(buffer_string(&test->gdb.text), value);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void test_executes(void **state)
{
	(void)state;
	has(GDB_RAX, "2222000000000000");
	has(GDB_RIP_NUMBER, "0020400000000000");
	/* In the kernel: those with which it entered. */
	test->vcpu.cs = 0x10;
	has(GDB_RAX, "1111000000000000");
	has(GDB_RIP_NUMBER, "0010400000000000");
}

/* The vCPU executes another program by now, whose registers are not the thread's. */
static void test_another_executes(void **state)
{
	(void)state;
	toy_put(&test->toy, test->current, test->other, 8);
	has(GDB_RAX, "1111000000000000");
	has(GDB_RIP_NUMBER, "0010400000000000");
}

static void test_another_executes_meanwhile(void **state)
{
	(void)state;
	test->switches = true;
	has(GDB_RAX, "1111000000000000");
}

/* A program may have any GS base, also one that looks like the kernel's. */
static void test_base_of_a_program(void **state)
{
	uint64_t forged = toy_alloc(&test->toy, 256);
	struct nunchi_registers registers = {.size = sizeof(registers),
					     .has_selectors = true,
					     .has_segments = true,
					     .cs = 0x33,
					     .gs_base = forged};

	(void)state;
	toy_put(&test->toy, forged + 64, test->other, 8);
	assert_int_equal(gdb_current_task(&test->gdb, &registers, 0), test->thread.task);
	registers.cs = 0x10;
	assert_int_equal(gdb_current_task(&test->gdb, &registers, 0), test->other);
	registers.has_selectors = false;
	assert_int_equal(gdb_current_task(&test->gdb, &registers, 0), test->thread.task);
}

/* Where the listing fails there is a thread all the same, which gdb's next packets are about. */
static void test_listing_fails(void **state)
{
	struct nunchi_error *err;

	(void)state;
	err = gdb_list_threads(&test->gdb);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	nunchi_error_destroy(err);
	assert_non_null(gdb_find_thread(&test->gdb, test->gdb.first));
}

/* A name is escaped once as text, and then for XML. */
static void test_names(void **state)
{
	static const char request[] = "threads:read::0,1000";

	(void)state;
	test->gdb.pid = 0;
	toy_put_bytes(&test->toy, test->thread.task + COMM, "a\\b<\x1b", 5);
	gdb_transfer(&test->gdb, request, sizeof(request) - 1);
	assert_non_null(
	    strstr(buffer_string(&test->gdb.text), " name=\"CPU 0: a\\\\b&#60;\\x1b\""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(executes),          TEST(another_executes), TEST(another_executes_meanwhile),
	    TEST(base_of_a_program), TEST(listing_fails),    TEST(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
