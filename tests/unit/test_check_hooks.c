/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of functions that others registered: what a hostile guest may put in their way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check/linux/hooks.h"
#include "guest/linux/module_index.h"

#include "toy_kernel.h"

extern const struct check check_lsm, check_netfilter, check_notifiers, check_syscalls,
    check_tracepoints;

#define L (&toy->kernel.layout)

/* The kernel's text, and code that nobody owns. */
#define KNOWN  (TOY_BASE + 0x100)
#define HIDDEN (TOY_BASE + 0x700000)

/* Adds symbols: names and addresses, up to a NULL. */
static void add_symbols(struct toy *toy, ...)
{
	struct nunchi_error *err = symbol_index_create(&toy->kernel.symbols);
	const char *name;
	va_list arguments;

	va_start(arguments, toy);
	while (!err && (name = va_arg(arguments, const char *))) {
		uint64_t address = va_arg(arguments, uint64_t);

		err = symbol_index_add(toy->kernel.symbols, name, strlen(name), address, 'd');
	}
	va_end(arguments);
	if (!err)
		err = symbol_index_seal(toy->kernel.symbols);
	assert_null(err);
}

static int setup(void **state)
{
	struct toy *toy;

	toy_setup(state);
	toy = *state;
	toy->kernel.symbol[LINUX_text] = toy->kernel.symbol[LINUX_stext] = TOY_BASE;
	toy->kernel.symbol[LINUX_etext] = TOY_BASE + 0x1000;
	toy->kernel.text_virtual = TOY_BASE;
	toy->kernel.image_end = TOY_BASE + 0x600000;
	return 0;
}

static int teardown(void **state)
{
	struct toy *toy = *state;

	symbol_index_unref(toy->kernel.symbols);
	linux_module_index_destroy(toy->kernel.modules);
	return toy_teardown(state);
}

/* Runs a check, whose first row must have this severity and these words. */
static void expect(struct toy *toy, const struct check *check, enum check_severity severity,
		   const char *words)
{
	struct check_report report;
	const struct check_finding *finding;

	assert_null(check_run(check, &toy->kernel.guest, &report));
	assert_true(report.count > 0);
	finding = &report.findings[0];
	if (finding->severity != severity ||
	    !strstr(finding->subject ? finding->subject : finding->meaning, words))
		fail_msg("%s: %s, %s", check_severity_string(finding->severity), finding->subject,
			 finding->meaning);
	check_report_deinit(&report);
}

/* ---- System calls and lists ------------------------------------------------------------------ */

/* Names that system calls had until 4.16, and a function that is none. */
static void test_old_system_calls(void **state)
{
	struct toy *toy = *state;
	uint64_t table = toy_alloc(toy, 64);

	add_symbols(toy, "ptregs_sys_fork", TOY_BASE + 0x10, "stub_execve", TOY_BASE + 0x20,
		    "sys32_mmap", TOY_BASE + 0x30, "stub32_clone", TOY_BASE + 0x40, "sys_read",
		    TOY_BASE + 0x50, "do_exit", TOY_BASE + 0x60, "sys_call_table", table,
		    "behind_it", table + 40, NULL);
	for (unsigned i = 0; i < 5; i++)
		toy_put(toy, table + i * 8, TOY_BASE + 0x10 + i * 0x10, 8);
	expect(toy, &check_syscalls, CHECK_OK, "5 entries");
	toy_put(toy, table + 16, TOY_BASE + 0x60, 8);
	expect(toy, &check_syscalls, CHECK_ALARM, "sys_call_table[2]");
}

/* A variable that has the name of a list, and is none. */
static void test_no_list(void **state)
{
	struct toy *toy = *state;
	uint64_t one = toy_alloc(toy, 16), list = toy_alloc(toy, 16);
	struct check_report report = {0};
	struct hooks hooks = {.kernel = &toy->kernel, .report = &report};

	add_symbols(toy, "formats", one, "formats", list, NULL);
	hooks.symbols = toy->kernel.symbols;
	toy_put(toy, one, KNOWN, 8);
	toy_put(toy, list, list, 8);
	toy_put(toy, list + 8, list, 8);
	assert_int_equal(hooks_list(&hooks, "formats"), list);
	assert_null(report.unread);
	toy_put(toy, list + 8, one, 8);
	assert_int_equal(hooks_list(&hooks, "formats"), 0);
	assert_non_null(report.unread);
	check_report_deinit(&report);
}

/* ---- Notifiers ------------------------------------------------------------------------------- */

static void test_notifiers(void **state)
{
	struct toy *toy = *state;
	uint64_t list = toy_alloc(toy, 16), one = toy_alloc(toy, 24), two = toy_alloc(toy, 24);

	toy_field(toy, LAYOUT_notifier_block, &L->notifier_block_call, 0, 8);
	toy_field(toy, LAYOUT_notifier_block, &L->notifier_block_next, 8, 8);
	toy_field(toy, LAYOUT_atomic_notifier, &L->atomic_notifier_first, 8, 8);
	toy_field(toy, LAYOUT_blocking_notifier, &L->blocking_notifier_first, 40, 8);
	toy_field(toy, LAYOUT_raw_notifier, &L->raw_notifier_first, 0, 8);
	add_symbols(toy, "keyboard_notifier_list", list, NULL);
	toy_put(toy, list + 8, one, 8);
	toy_put(toy, one, KNOWN, 8);
	toy_put(toy, one + 8, two, 8);
	toy_put(toy, two, KNOWN, 8);
	expect(toy, &check_notifiers, CHECK_OK, "2 functions in 1 chains");
	toy_put(toy, two, HIDDEN, 8);
	/* Its module may have come or gone while a tool saved the guest. */
	expect(toy, &check_notifiers, CHECK_WARNING, "keyboard_notifier_list");
	toy->kernel.guest.live = true;
	expect(toy, &check_notifiers, CHECK_ALARM, "keyboard_notifier_list");
	toy->kernel.guest.live = false;
	/* A chain that leads to itself, and one whose page is missing. */
	toy_put(toy, two, KNOWN, 8);
	toy_put(toy, two + 8, one, 8);
	expect(toy, &check_notifiers, CHECK_UNKNOWN, "not in full: keyboard_notifier_list");
	toy_put(toy, one + 8, TOY_MISSING, 8);
	expect(toy, &check_notifiers, CHECK_UNKNOWN, "1 functions in 1 chains; not in full");
	/* Symbols of functions alone. */
	symbol_index_unref(toy->kernel.symbols);
	add_symbols(toy, "nf_hook_slow", KNOWN, NULL);
	expect(toy, &check_notifiers, CHECK_UNKNOWN, "symbols lack the chains of notifiers");
	L->notifier_block_call.present = false;
	expect(toy, &check_notifiers, CHECK_UNKNOWN, "notifiers cannot be read");
}

/* ---- Security modules ------------------------------------------------------------------------ */

static void test_security_lists(void **state)
{
	struct toy *toy = *state;
	uint64_t heads = toy_alloc(toy, 24), hook = toy_alloc(toy, 40);

	toy_field(toy, LAYOUT_security_heads, &L->security_heads_first, 0, 8);
	L->size[LAYOUT_security_heads] = 24;
	toy_field(toy, LAYOUT_security_hook, &L->security_hook_list, 0, 16);
	toy_field(toy, LAYOUT_security_hook, &L->security_hook_function, 24, 8);
	add_symbols(toy, "security_hook_heads", heads, NULL);
	toy_put(toy, heads + 16, hook, 8);
	toy_put(toy, hook + 24, KNOWN, 8);
	expect(toy, &check_lsm, CHECK_OK, "1 functions of security modules");
	toy_put(toy, hook + 24, HIDDEN, 8);
	expect(toy, &check_lsm, CHECK_WARNING, "security hook");
	toy_put(toy, hook + 24, KNOWN, 8);
	toy_put(toy, hook, hook, 8);
	expect(toy, &check_lsm, CHECK_UNKNOWN, "not in full: the security hooks at");
	toy_put(toy, hook, TOY_MISSING, 8);
	expect(toy, &check_lsm, CHECK_UNKNOWN, "1 functions of security modules; not in full");
}

static void test_security_calls(void **state)
{
	struct toy *toy = *state;
	uint64_t table = toy_alloc(toy, 96), hook = toy_alloc(toy, 24), key = toy_alloc(toy, 16);

	add_symbols(toy, "security_file_open", KNOWN, NULL);
	expect(toy, &check_lsm, CHECK_UNKNOWN, "symbols lack security_hook_heads");
	symbol_index_unref(toy->kernel.symbols);
	toy_field(toy, LAYOUT_lsm_call, &L->lsm_call_key, 0, 8);
	toy_field(toy, LAYOUT_lsm_call, &L->lsm_call_hook, 16, 8);
	toy_field(toy, LAYOUT_security_hook, &L->security_hook_function, 8, 8);
	toy_field(toy, LAYOUT_static_call_key, &L->static_call_key_function, 0, 8);
	L->size[LAYOUT_lsm_call] = 32;
	L->size[LAYOUT_lsm_calls] = 96;
	add_symbols(toy, "static_calls_table", table, NULL);
	expect(toy, &check_lsm, CHECK_OK, "0 functions");
	toy_put(toy, table + 32, key, 8);
	toy_put(toy, table + 32 + 16, hook, 8);
	toy_put(toy, hook + 8, KNOWN, 8);
	toy_put(toy, key, KNOWN, 8);
	expect(toy, &check_lsm, CHECK_OK, "2 functions");
	/* What is called is another function than that of the list. */
	toy_put(toy, key, HIDDEN, 8);
	expect(toy, &check_lsm, CHECK_WARNING, "security hook");
	toy_put(toy, table + 32, TOY_MISSING, 8);
	expect(toy, &check_lsm, CHECK_UNKNOWN, "1 functions of security modules; not in full");
	L->size[LAYOUT_lsm_calls] = UINT32_MAX;
	expect(toy, &check_lsm, CHECK_UNKNOWN, "security hooks cannot be read");
}

/* ---- Tracepoints ----------------------------------------------------------------------------- */

static void test_tracepoints(void **state)
{
	struct toy *toy = *state;
	uint64_t table = toy_alloc(toy, 16), point = toy_alloc(toy, 80);
	uint64_t functions = toy_alloc(toy, 4096 * 24);

	toy_field(toy, LAYOUT_tracepoint, &L->tracepoint_name, 0, 8);
	toy_field(toy, LAYOUT_tracepoint, &L->tracepoint_functions, 72, 8);
	toy_field(toy, LAYOUT_tracepoint_func, &L->tracepoint_func_function, 0, 8);
	L->size[LAYOUT_tracepoint_func] = 24;
	add_symbols(toy, "tracepoint_probe_register", KNOWN, NULL);
	expect(toy, &check_tracepoints, CHECK_UNKNOWN, "symbols lack __start___tracepoints_ptrs");
	symbol_index_unref(toy->kernel.symbols);
	add_symbols(toy, "__start___tracepoints_ptrs", table, "__stop___tracepoints_ptrs",
		    table + 8, NULL);
	toy_put(toy, point, toy_string(toy, "sched_switch"), 8);
	toy_put(toy, point + 72, functions, 8);
	toy_put(toy, functions, KNOWN, 8);
	/* By distances: the point twice. */
	toy_put(toy, table, point - table, 4);
	toy_put(toy, table + 4, point - table - 4, 4);
	expect(toy, &check_tracepoints, CHECK_OK, "2 functions at 2 tracepoints");
	/* By a pointer. */
	toy_put(toy, table, point, 8);
	expect(toy, &check_tracepoints, CHECK_OK, "1 functions at 1 tracepoints");
	toy_put(toy, functions + 24, HIDDEN, 8);
	expect(toy, &check_tracepoints, CHECK_WARNING, "tracepoint sched_switch");
	/* No end, no page, and a table that leads elsewhere. */
	for (unsigned i = 0; i < 4096; i++)
		toy_put(toy, functions + i * 24, KNOWN, 8);
	expect(toy, &check_tracepoints, CHECK_UNKNOWN, "not in full: the tracepoint at");
	toy_put(toy, point + 72, TOY_MISSING, 8);
	expect(toy, &check_tracepoints, CHECK_UNKNOWN, "not in full: the tracepoint at");
	toy_put(toy, table, 0, 8);
	toy->kernel.text_virtual = TOY_BASE + 0x100000;
	expect(toy, &check_tracepoints, CHECK_UNKNOWN, "not in full: the table of tracepoints");
}

/* ---- Netfilter ------------------------------------------------------------------------------- */

static void test_netfilter(void **state)
{
	struct toy *toy = *state;
	uint64_t task = toy_alloc(toy, 64), proxy = toy_alloc(toy, 64), net = toy_alloc(toy, 512);
	uint64_t list = toy_alloc(toy, 16), entries = toy_alloc(toy, 8 + 2 * 16);

	toy_field(toy, LAYOUT_task, &L->task_nsproxy, 0, 8);
	toy_field(toy, LAYOUT_nsproxy, &L->nsproxy_net_ns, 8, 8);
	toy_field(toy, LAYOUT_net, &L->net_list, 16, 16);
	toy_field(toy, LAYOUT_net, &L->net_devices, 32, 16);
	toy_field(toy, LAYOUT_net_device, &L->net_device_list, 0, 16);
	toy_array(toy, LAYOUT_net_hooks, &L->net_hooks_ipv4, 64, 8, 5);
	toy_field(toy, LAYOUT_nf_hook_entries, &L->nf_hook_entries_count, 0, 2);
	toy_field(toy, LAYOUT_nf_hook_entries, &L->nf_hook_entries_hooks, 8, 0);
	toy_field(toy, LAYOUT_nf_hook_entry, &L->nf_hook_entry_hook, 0, 8);
	L->size[LAYOUT_nf_hook_entry] = 16;
	add_symbols(toy, "nf_hook_slow", KNOWN, NULL);
	toy->kernel.symbol[LINUX_init_task] = task;
	toy_put(toy, task, proxy, 8);
	toy_put(toy, proxy + 8, net, 8);
	toy_put(toy, list, net + 16, 8);
	toy_put(toy, list + 8, net + 16, 8);
	toy_put(toy, net + 16, list, 8);
	toy_put(toy, net + 24, list, 8);
	toy_put(toy, net + 32, net + 32, 8);
	toy_put(toy, net + 40, net + 32, 8);
	toy_put(toy, net + 64 + 8, entries, 8);
	toy_put(toy, entries, 2, 2);
	toy_put(toy, entries + 8, KNOWN, 8);
	toy_put(toy, entries + 24, KNOWN, 8);
	expect(toy, &check_netfilter, CHECK_OK,
	       "2 functions in 1 network namespaces with 0 devices");
	toy_put(toy, entries + 24, HIDDEN, 8);
	expect(toy, &check_netfilter, CHECK_WARNING, "netfilter, IPv4, hook 1");
	toy_put(toy, entries, 60000, 2);
	expect(toy, &check_netfilter, CHECK_UNKNOWN, "0 functions in 1 network namespaces");
	toy_put(toy, net + 64 + 8, TOY_MISSING, 8);
	expect(toy, &check_netfilter, CHECK_UNKNOWN, "not in full: netfilter's functions at");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(old_system_calls), TEST(no_list),     TEST(notifiers), TEST(security_lists),
	    TEST(security_calls),   TEST(tracepoints), TEST(netfilter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
