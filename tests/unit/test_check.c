/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks: how findings are collected, who owns code, and walks that only checks make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "check/linux/compared.h"
#include "guest/linux/code.h"
#include "guest/linux/xarray.h"
#include "target/target.h"

#include "toy_kernel.h"

extern const struct check check_kprobes;

#define L (&toy->kernel.layout)

enum { SLOTS = 64, NODE = 16 + SLOTS * 8 };

/* ---- XArrays -----------------------------------------------------------------------------------
 */

static void xarray_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_xa_node, &L->xa_node_shift, 0, 1);
	toy_array(toy, LAYOUT_xa_node, &L->xa_node_slots, 16, 8, SLOTS);
}

static uint64_t node(struct toy *toy, unsigned shift)
{
	uint64_t address = toy_alloc(toy, NODE);

	toy_put(toy, address, shift, 1);
	return address;
}

static void set_slot(struct toy *toy, uint64_t node_address, unsigned slot, uint64_t entry)
{
	toy_put(toy, node_address + 16 + slot * 8, entry, 8);
}

static void test_xarray(void **state)
{
	struct toy *toy = *state;
	uint64_t root, leaf, index, entry, pointer = TOY_BASE + 0x5000;
	struct linux_xarray walk;

	xarray_layout(toy);
	root = node(toy, 6);
	leaf = node(toy, 0);
	set_slot(toy, root, 3, leaf + 2);
	set_slot(toy, leaf, 1, pointer);
	set_slot(toy, leaf, 2, 1 << 2 | 2);  /* a sibling */
	set_slot(toy, leaf, 5, 77 << 1 | 1); /* a value */
	set_slot(toy, leaf, 63, pointer + 8);
	assert_true(linux_xarray_init(&walk, &toy->kernel, root + 2, 10));
	assert_true(linux_xarray_next(&walk, &index, &entry));
	assert_int_equal(index, 3 * 64 + 1);
	assert_int_equal(entry, pointer);
	assert_true(linux_xarray_next(&walk, &index, &entry));
	assert_int_equal(index, 3 * 64 + 63);
	assert_false(linux_xarray_next(&walk, &index, &entry));
	assert_int_equal(walk.broken, READ_OK);
}

static void test_xarray_of_one(void **state)
{
	struct toy *toy = *state;
	struct linux_xarray walk;
	uint64_t index, entry;

	xarray_layout(toy);
	assert_true(linux_xarray_init(&walk, &toy->kernel, TOY_BASE, 10));
	assert_true(linux_xarray_next(&walk, &index, &entry));
	assert_int_equal(index, 0);
	assert_int_equal(entry, TOY_BASE);
	assert_false(linux_xarray_next(&walk, &index, &entry));
	assert_true(linux_xarray_init(&walk, &toy->kernel, 0, 10));
	assert_false(linux_xarray_next(&walk, &index, &entry));
	L->xa_node_slots.present = false;
	assert_false(linux_xarray_init(&walk, &toy->kernel, TOY_BASE, 10));
}

/* A node that leads to itself, one that is missing, and more nodes than the limit. */
static void test_xarray_of_nonsense(void **state)
{
	struct toy *toy = *state;
	struct linux_xarray walk;
	uint64_t root, index, entry;

	xarray_layout(toy);
	root = node(toy, 6);
	set_slot(toy, root, 0, root + 2);
	set_slot(toy, root, 9, TOY_BASE + 0x5000);
	assert_true(linux_xarray_init(&walk, &toy->kernel, root + 2, 10));
	assert_true(linux_xarray_next(&walk, &index, &entry));
	assert_int_equal(index, 9 * 64);
	assert_false(linux_xarray_next(&walk, &index, &entry));
	assert_int_equal(walk.broken, READ_BAD_DATA);
	set_slot(toy, root, 0, TOY_MISSING + 2);
	assert_true(linux_xarray_init(&walk, &toy->kernel, root + 2, 10));
	while (linux_xarray_next(&walk, &index, &entry))
		;
	assert_int_equal(walk.broken, READ_NOT_SAVED);
	for (unsigned i = 0; i < SLOTS; i++)
		set_slot(toy, root, i, node(toy, 0) + 2);
	assert_true(linux_xarray_init(&walk, &toy->kernel, root + 2, 10));
	assert_false(linux_xarray_next(&walk, &index, &entry));
	assert_int_equal(walk.broken, READ_LIMIT);
	toy_put(toy, root, 64, 1); /* a shift that no index has */
	assert_true(linux_xarray_init(&walk, &toy->kernel, root + 2, 10));
	assert_false(linux_xarray_next(&walk, &index, &entry));
	assert_int_equal(walk.broken, READ_BAD_DATA);
}

/* ---- Whose code -------------------------------------------------------------------------------
 */

/* A kernel with text of 0x1000 bytes at its first page, without modules, and an empty ftrace. */
static uint64_t code_layout(struct toy *toy)
{
	uint64_t ops = toy_alloc(toy, 64), head = toy_alloc(toy, 8), end = toy_alloc(toy, 8);

	toy->kernel.symbol[LINUX_text] = toy->kernel.symbol[LINUX_stext] = TOY_BASE;
	toy_field(toy, LAYOUT_ftrace_ops, &L->ftrace_ops_func, 0, 8);
	toy_field(toy, LAYOUT_ftrace_ops, &L->ftrace_ops_next, 8, 8);
	toy_field(toy, LAYOUT_ftrace_ops, &L->ftrace_ops_trampoline, 16, 8);
	toy_field(toy, LAYOUT_ftrace_ops, &L->ftrace_ops_trampoline_size, 24, 8);
	toy->kernel.symbol[LINUX_etext] = TOY_BASE + 0x1000;
	toy->kernel.symbol[LINUX_ftrace_ops_list] = head;
	toy->kernel.symbol[LINUX_ftrace_list_end] = end;
	toy_put(toy, head, ops, 8);
	toy_put(toy, ops + 8, end, 8);
	toy_put(toy, ops + 16, TOY_BASE + 0x10000, 8);
	toy_put(toy, ops + 24, 0x100, 8);
	return ops;
}

static void test_code(void **state)
{
	struct toy *toy = *state;
	struct linux_code code;
	uint64_t ops = code_layout(toy);

	assert_null(linux_code_collect(&toy->kernel, &code));
	assert_int_equal(code.broken, READ_OK);
	assert_int_equal(linux_code_at(&code, TOY_BASE)->owner, LINUX_CODE_KERNEL);
	assert_int_equal(linux_code_at(&code, TOY_BASE + 0xfff)->owner, LINUX_CODE_KERNEL);
	assert_null(linux_code_at(&code, TOY_BASE + 0x1000));
	assert_null(linux_code_at(&code, TOY_BASE - 1));
	assert_int_equal(linux_code_at(&code, TOY_BASE + 0x100ff)->owner, LINUX_CODE_FTRACE);
	assert_null(linux_code_at(&code, TOY_BASE + 0x10100));
	linux_code_deinit(&code);
	/* The list leads to itself. */
	toy_put(toy, ops + 8, ops, 8);
	assert_null(linux_code_collect(&toy->kernel, &code));
	assert_int_equal(code.broken, READ_LIMIT);
	assert_non_null(code.incomplete);
	linux_code_deinit(&code);
}

/* The page for calls of Hyper-V, of which the kernel keeps the address. */
static void test_hypercalls(void **state)
{
	struct toy *toy = *state;
	struct linux_code code;
	uint64_t variable = toy_alloc(toy, 8);

	code_layout(toy);
	toy->kernel.symbol[LINUX_hv_hypercall_pg] = variable;
	assert_null(linux_code_collect(&toy->kernel, &code));
	assert_int_equal(code.count, 2);
	linux_code_deinit(&code);
	toy_put(toy, variable, TOY_BASE + 0x20000, 8);
	assert_null(linux_code_collect(&toy->kernel, &code));
	assert_int_equal(linux_code_at(&code, TOY_BASE + 0x20fff)->owner, LINUX_CODE_HYPERCALLS);
	assert_null(linux_code_at(&code, TOY_BASE + 0x21000));
	linux_code_deinit(&code);
}

/* Symbols of functions alone, as of kernels without CONFIG_KALLSYMS_ALL. */
static void test_code_without_variables(void **state)
{
	static const char *const functions[] = {"arch_prepare_kprobe",
						"arch_prepare_optimized_kprobe", "bpf_ksym_add",
						"register_ftrace_function"};
	struct toy *toy = *state;

	code_layout(toy);
	for (size_t i = 0; i < 4; i++) {
		struct nunchi_error *err = symbol_index_create(&toy->kernel.symbols);
		struct linux_code code;

		if (i == 3)
			toy->kernel.symbol[LINUX_ftrace_ops_list] = 0;
		if (!err)
			err = symbol_index_add(toy->kernel.symbols, functions[i],
					       strlen(functions[i]), TOY_BASE + 0x100, 'T');
		if (!err)
			err = symbol_index_seal(toy->kernel.symbols);
		assert_null(err);
		assert_null(linux_code_collect(&toy->kernel, &code));
		assert_int_equal(code.broken, READ_NO_SYMBOL);
		linux_code_deinit(&code);
		symbol_index_unref(toy->kernel.symbols);
		toy->kernel.symbols = NULL;
	}
}

/* A probe that leads to itself, and one that is its own other: each is looked at once. */
static void test_kprobes_in_a_circle(void **state)
{
	struct toy *toy = *state;
	uint64_t table = toy_alloc(toy, 64 * 8), probe = toy_alloc(toy, 64);
	struct check_report report;

	code_layout(toy);
	toy_field(toy, LAYOUT_kprobe, &L->kprobe_hlist, 0, 16);
	toy_field(toy, LAYOUT_kprobe, &L->kprobe_list, 16, 16);
	toy_field(toy, LAYOUT_kprobe, &L->kprobe_addr, 32, 8);
	toy_field(toy, LAYOUT_kprobe, &L->kprobe_pre_handler, 40, 8);
	toy_field(toy, LAYOUT_kprobe, &L->kprobe_post_handler, 48, 8);
	toy->kernel.symbol[LINUX_kprobe_table] = table;
	for (unsigned i = 0; i < 64; i++)
		toy_put(toy, table + i * 8, probe, 8);
	toy_put(toy, probe, probe, 8);
	toy_put(toy, probe + 16, probe + 16, 8);
	toy_put(toy, probe + 24, probe + 16, 8);
	assert_null(check_run(&check_kprobes, &toy->kernel.guest, &report));
	assert_int_equal(report.count, 1);
	assert_int_equal(report.findings[0].severity, CHECK_UNKNOWN);
	assert_non_null(strstr(report.findings[0].meaning, "1 kprobes; not in full"));
	check_report_deinit(&report);
}

/* ---- Findings ---------------------------------------------------------------------------------
 */

static unsigned runs;
static uint64_t generations[3];

/* One finding stays, the other is there in the first run alone. */
static struct nunchi_error *run_unsteady(struct guest_kernel *kernel, struct check_report *report)
{
	generations[runs] = memory_generation(kernel->memory);
	check_add(report, &(struct check_finding){.severity = CHECK_ALARM,
						  .pid = 7,
						  .subject = "steady",
						  .meaning = "It stays."});
	if (!runs++)
		check_add(report, &(struct check_finding){.severity = CHECK_ALARM,
							  .pid = 8,
							  .subject = "moment",
							  .meaning = "It was there for a moment."});
	check_summary(report, "compared");
	return NULL;
}

static void test_moments_are_no_findings(void **state)
{
	static const struct check check = {.run = run_unsteady};
	struct toy *toy = *state;
	struct check_report report;

	runs = 0;
	toy->kernel.guest.live = true;
	assert_null(check_run(&check, &toy->kernel.guest, &report));
	assert_int_equal(runs, 3);
	/* Each of them reads the guest anew, not what an earlier one keeps of it. */
	assert_true(generations[0] < generations[1] && generations[1] < generations[2]);
	/* The summary does not say that all was well. */
	assert_int_equal(report.count, 1);
	assert_string_equal(report.findings[0].subject, "steady");
	check_report_deinit(&report);
	runs = 0;
	toy->kernel.guest.live = false;
	assert_null(check_run(&check, &toy->kernel.guest, &report));
	assert_int_equal(runs, 1);
	assert_int_equal(report.count, 2);
	check_report_deinit(&report);
}

/* Two places of a saved guest may be of two moments, those of a running one are not. */
static struct nunchi_error *run_compared(struct guest_kernel *kernel, struct check_report *report)
{
	struct check_finding finding = {
	    .severity = CHECK_ALARM, .pid = 7, .meaning = "It was hidden"};

	check_add_compared(report, kernel, &finding, "it ended");
	finding.severity = CHECK_NOTE;
	check_add_compared(report, kernel, &finding, "it ended");
	return NULL;
}

static void test_moments_of_a_saved_guest(void **state)
{
	static const struct check check = {.run = run_compared};
	struct toy *toy = *state;
	struct target target = {.live = true};
	struct check_report report;

	assert_null(check_run(&check, &toy->kernel.guest, &report));
	assert_int_equal(report.findings[0].severity, CHECK_WARNING);
	assert_string_equal(report.findings[0].meaning,
			    "It was hidden, or it ended while a tool saved the running guest.");
	assert_int_equal(report.findings[1].severity, CHECK_NOTE);
	assert_string_equal(report.findings[1].meaning, "It was hidden.");
	check_report_deinit(&report);
	/* Running, and paused or copied by nunchi itself. */
	toy->kernel.guest.target = &target;
	for (int live = 0; live < 2; live++) {
		toy->kernel.guest.live = live;
		assert_null(check_run(&check, &toy->kernel.guest, &report));
		assert_int_equal(report.findings[0].severity, CHECK_ALARM);
		check_report_deinit(&report);
	}
	toy->kernel.guest.target = NULL;
}

static struct nunchi_error *run_unsupported(struct guest_kernel *kernel,
					    struct check_report *report)
{
	(void)kernel;
	(void)report;
	return error_create(NUNCHI_ERROR_UNSUPPORTED, "a symbol is missing");
}

static struct nunchi_error *run_unread(struct guest_kernel *kernel, struct check_report *report)
{
	(void)kernel;
	check_unread(report, READ_OK, "nothing");
	check_unread(report, READ_NOT_SAVED, "the %s list", "long");
	check_unread(report, READ_BAD_DATA, "another list");
	check_summary(report, "%d things", 3);
	return NULL;
}

static void test_what_could_not_be_checked(void **state)
{
	static const struct check unsupported = {.run = run_unsupported},
				  unread = {.run = run_unread};
	struct toy *toy = *state;
	struct check_report report;

	assert_null(check_run(&unsupported, &toy->kernel.guest, &report));
	assert_int_equal(report.count, 1);
	assert_int_equal(report.findings[0].severity, CHECK_UNKNOWN);
	assert_string_equal(report.findings[0].meaning, "a symbol is missing");
	check_report_deinit(&report);
	assert_null(check_run(&unread, &toy->kernel.guest, &report));
	assert_int_equal(report.count, 1);
	assert_int_equal(report.findings[0].severity, CHECK_UNKNOWN);
	assert_string_equal(report.findings[0].meaning,
			    "3 things; not in full: the long list: the saved guest does not "
			    "contain that page");
	check_report_deinit(&report);
}

/* A process that renames itself all the time, and whose hook leads elsewhere each time. */
static struct nunchi_error *run_renamed(struct guest_kernel *kernel, struct check_report *report)
{
	char name[16];

	(void)kernel;
	snprintf(name, sizeof(name), "name-%u", runs++);
	check_add(report, &(struct check_finding){.severity = CHECK_ALARM,
						  .pid = 7,
						  .address = 0x1000,
						  .subject = name,
						  .found = name,
						  .meaning = "It is there."});
	return NULL;
}

static void test_a_new_name_does_not_help(void **state)
{
	static const struct check check = {.run = run_renamed};
	struct toy *toy = *state;
	struct check_report report;

	runs = 0;
	toy->kernel.guest.live = true;
	assert_null(check_run(&check, &toy->kernel.guest, &report));
	assert_int_equal(runs, 3);
	assert_int_equal(report.count, 1);
	check_report_deinit(&report);
}

static struct nunchi_error *run_endless(struct guest_kernel *kernel, struct check_report *report)
{
	(void)kernel;
	for (unsigned i = 0; i < CHECK_MAX_FINDINGS + 5; i++)
		check_add(report, &(struct check_finding){.severity = CHECK_NOTE, .pid = i});
	check_add(report, &(struct check_finding){.severity = CHECK_WARNING, .pid = 1});
	check_summary(report, "looked");
	return NULL;
}

static void test_too_many_findings(void **state)
{
	static const struct check check = {.run = run_endless};
	struct toy *toy = *state;
	struct check_report report;

	assert_null(check_run(&check, &toy->kernel.guest, &report));
	/* The warning is there, and the summary is not. */
	assert_int_equal(report.count, CHECK_MAX_FINDINGS + 1);
	assert_int_equal(report.left_out, 5);
	assert_int_equal(report.findings[CHECK_MAX_FINDINGS].severity, CHECK_WARNING);
	check_report_deinit(&report);
	cancel_request(&toy->cancel);
	{
		struct nunchi_error *err = check_run(&check, &toy->kernel.guest, &report);

		assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_CANCELLED);
		nunchi_error_destroy(err);
	}
	assert_int_equal(report.count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, toy_setup, toy_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(xarray),
	    TEST(xarray_of_one),
	    TEST(xarray_of_nonsense),
	    TEST(code),
	    TEST(hypercalls),
	    TEST(code_without_variables),
	    TEST(moments_are_no_findings),
	    TEST(moments_of_a_saved_guest),
	    TEST(what_could_not_be_checked),
	    TEST(a_new_name_does_not_help),
	    TEST(too_many_findings),
	    TEST(kprobes_in_a_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
