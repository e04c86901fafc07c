/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of system calls: each entry must be the first instruction of a function of the kernel
 * whose name is that of a system call (__x64_sys_read, __ia32_compat_sys_…, sys_ni_syscall). Since
 * 6.9 the kernel calls by a switch and keeps the table for tracing; a changed entry tells of an
 * attempt all the same. Source: arch/x86/entry/syscall_{64,32}.c.
 */
#include "check/check.h"
#include "guest/linux/code.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Limit of the entries of a table; the greatest number is 548 (x32). */
#define MAX_ENTRIES 1024

static const char *const tables[] = {"sys_call_table", "ia32_sys_call_table", "x32_sys_call_table"};

struct search {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct symbol_index *symbols;
	struct linux_code code;
	uint64_t entries;
};

static bool has_prefix(const char *name)
{
	static const char *const prefixes[] = {"__x64_", "__ia32_", "__x32_compat_", "sys_",
					       "__se_",  "__do_",   "ptregs_",       "compat_sys_"};
	/* Of arch/x86/, until 4.16: sys32_mmap, stub32_clone, stub_execve. */
	static const char *const whole[] = {"sys32_", "stub32_", "stub_"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return strstr(name, "sys_") != NULL;
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (!strncmp(name, whole[i], strlen(whole[i])))
			return true;
	return false;
}

/* Whether a function that begins there has the name of a system call. */
static bool is_system_call(const struct search *search, uint64_t address)
{
	const struct linux_code_area *area = linux_code_at(&search->code, address);
	size_t at;

	if (!area || area->owner != LINUX_CODE_KERNEL ||
	    !symbol_index_at(search->symbols, address, &at))
		return false;
	for (;; at--) {
		struct symbol symbol = symbol_index_get(search->symbols, at);

		if (symbol.address != address)
			return false;
		if (has_prefix(symbol.name))
			return true;
		if (!at)
			return false;
	}
}

static void report_entry(const struct search *search, const char *table, uint64_t number,
			 uint64_t address, uint64_t value)
{
	_cleanup_buffer_ struct buffer found = {0};
	char subject[64];

	snprintf(subject, sizeof(subject), "%s[%" PRIu64 "]", table, number);
	linux_code_describe(search->kernel, &search->code, value, &found);
	check_add(search->report,
		  &(struct check_finding){
		      .severity = CHECK_ALARM,
		      .pid = -1,
		      .address = address,
		      .subject = subject,
		      .expected = "a system call of the kernel",
		      .found = check_text(search->report, &found),
		      .meaning = "The table of system calls leads to something else than the "
				 "kernel's own function: the call is hooked.",
		  });
}

/* The bytes from a symbol to the next one that has another address. */
static uint64_t size_of(const struct symbol_index *symbols, size_t at)
{
	uint64_t start = symbol_index_get(symbols, at).address;

	for (; at < symbol_index_count(symbols); at++)
		if (symbol_index_get(symbols, at).address != start)
			return symbol_index_get(symbols, at).address - start;
	return 0;
}

static void check_table(struct search *search, const char *table)
{
	struct linux_kernel *kernel = search->kernel;
	uint64_t start, count, values[MAX_ENTRIES], last = 0;
	size_t at;

	if (!symbol_index_find(search->symbols, table, &at))
		return;
	start = symbol_index_get(search->symbols, at).address;
	count = size_of(search->symbols, at) / kernel->word_size;
	if (count > MAX_ENTRIES)
		count = MAX_ENTRIES;
	for (uint64_t i = 0; i < count; i++) {
		enum read_result result =
		    linux_read_word(kernel, start + i * kernel->word_size, &values[i]);

		check_unread(search->report, result, "%s", table);
		if (result != READ_OK)
			values[i] = 0;
		else if (is_system_call(search, values[i]))
			last = i + 1;
	}
	/* Behind the table there may be one of a compiler's, without a symbol. */
	for (uint64_t i = 0; i < last; i++) {
		search->entries += values[i] != 0;
		if (values[i] && !is_system_call(search, values[i]))
			report_entry(search, table, i, start + i * kernel->word_size, values[i]);
	}
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct search search = {.kernel = linux_kernel_of(guest), .report = report};
	struct nunchi_error *err = linux_symbols(search.kernel, &search.symbols);

	if (err)
		return err;
	err = linux_code_collect(search.kernel, &search.code);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		check_table(&search, tables[i]);
	linux_code_deinit(&search.code);
	if (!search.entries && !report->unread)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "this kernel's symbols lack sys_call_table");
	check_summary(report, "%" PRIu64 " entries", search.entries);
	return NULL;
}

const struct check check_syscalls = {
    "syscalls", "entries of the tables of system calls that lead elsewhere", &guest_linux, run};
