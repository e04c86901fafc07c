/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of processes that may be executed and comes from no file, as code has it that was injected
 * or unpacked, and that of JIT compilers; memory that may be written and executed.
 */
#include "check/check.h"
#include "guest/linux/mm.h"
#include "guest/linux/process.h"
#include "guest/linux/task.h"
#include "guest/linux/vma.h"

#include <inttypes.h>
#include <string.h>

struct search {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct object task;
	struct linux_mappings walk;
	struct buffer process, name, text;
	uint64_t programs;
	/* Of the current process: what is unusual, without an ELF header. */
	uint64_t count, bytes, first;
};

static int64_t pid_of(const struct search *search)
{
	return object_s64(&search->task, &search->kernel->layout.task_tgid);
}

/* Remembers what could not be read: the check is not made in full then. */
static void missed(const struct search *search, enum read_result result)
{
	if (result != READ_NONE)
		check_unread(search->report, result, "process %" PRId64, pid_of(search));
}

static void report(const struct search *search, enum check_severity severity, uint64_t address,
		   const char *expected, const char *meaning)
{
	check_add(search->report, &(struct check_finding){
				      .severity = severity,
				      .pid = pid_of(search),
				      .address = address,
				      .subject = check_text(search->report, &search->process),
				      .expected = expected,
				      .found = check_text(search->report, &search->text),
				      .meaning = meaning,
				  });
}

/* Whether the kernel itself made the mapping. */
static bool is_special(const char *name)
{
	static const char *const names[] = {"[vdso]", "[vsyscall]", "[uprobes]"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Whether the mapping begins with an ELF header. A page that was swapped out, or never used, has
 * none. */
static bool has_header(const struct search *search, uint64_t address)
{
	uint64_t pgd = object_u64(&search->walk.mm, &search->kernel->layout.mm_pgd);
	char bytes[4];
	enum read_result result =
	    linux_process_read(search->kernel, pgd, address, bytes, sizeof(bytes), NULL);

	if (result != READ_PAGED_OUT && result != READ_NOT_MAPPED)
		missed(search, result);
	return result == READ_OK && !memcmp(bytes,
					    "\x7f"
					    "ELF",
					    sizeof(bytes));
}

static void look_at_mapping(struct search *search)
{
	static const char memfd[] = "/memfd:";
	struct linux_mapping mapping;
	bool writable, of_file;
	const char *name;

	buffer_clear(&search->name);
	if (!linux_mappings_get(&search->walk, NULL, &mapping, &search->name))
		return;
	missed(search, mapping.name_fault);
	name = check_text(search->report, &search->name);
	writable = mapping.flags & LINUX_VM_WRITE;
	of_file = mapping.has_file && strncmp(name, memfd, strlen(memfd)) != 0;
	if (mapping.name_fault != READ_OK || !(mapping.flags & LINUX_VM_EXEC) || is_special(name) ||
	    (of_file && !writable))
		return;
	if (!of_file && has_header(search, mapping.start)) {
		buffer_clear(&search->text);
		buffer_printf(&search->text, "%" PRIu64 " bytes at 0x%" PRIx64 " %s",
			      mapping.end - mapping.start, mapping.start,
			      mapping.has_file ? name : "of no file");
		report(
		    search, CHECK_WARNING, mapping.start, "programs and libraries of files",
		    "Memory that may be executed and belongs to no file on a disk begins with an "
		    "ELF header: a program or library was loaded from memory, as injected code "
		    "is, or was unpacked there by its own packer.");
		return;
	}
	search->first = search->count ? search->first : mapping.start;
	search->count++;
	search->bytes += mapping.end - mapping.start;
}

/* Looks at the mappings of the task's memory. */
static void look_at_memory(struct search *search)
{
	struct linux_kernel *kernel = search->kernel;
	enum read_result result = linux_mappings_init(&search->walk, kernel, &search->task);

	missed(search, result);
	search->count = search->bytes = 0;
	while (result == READ_OK && linux_mappings_next(&search->walk)) {
		uint64_t flags = object_u64(&search->walk.vma, &kernel->layout.vma_flags);

		if (flags & LINUX_VM_EXEC && !search->walk.in_gate)
			look_at_mapping(search);
	}
	missed(search, search->walk.broken);
	linux_mappings_deinit(&search->walk);
	search->walk = (struct linux_mappings){0};
	if (!search->count)
		return;
	buffer_clear(&search->text);
	buffer_printf(&search->text,
		      "%" PRIu64 " bytes in %" PRIu64 " mapping%s, the first at 0x%" PRIx64,
		      search->bytes, search->count, search->count == 1 ? "" : "s", search->first);
	report(
	    search, CHECK_NOTE, search->first, "code of files, which nobody writes to",
	    "The process has memory that may be executed and is of no file, or may be written as "
	    "well, as JIT compilers have, and injected code.");
}

static void look(struct search *search)
{
	enum read_result result;
	uint64_t mm;

	if (linux_task_is_kernel_thread(search->kernel, &search->task))
		return;
	buffer_clear(&search->process);
	missed(search, linux_task_name(search->kernel, &search->task, &search->process));
	result = linux_process_mm(search->kernel, &search->task, &mm);
	missed(search, result);
	if (result != READ_OK)
		return;
	search->programs++;
	look_at_memory(search);
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct search search = {.kernel = linux_kernel_of(guest), .report = report};
	struct linux_tasks walk;
	struct nunchi_error *err = linux_mappings_check(search.kernel);

	if (!err)
		err = linux_tasks_init(&walk, search.kernel, NULL);
	if (err)
		return err;
	while (linux_tasks_next(&walk, &search.task))
		look(&search);
	check_unread(report, walk.list.broken ? walk.list.broken : walk.why_unread,
		     "the list of processes");
	check_summary(report, "memory of %" PRIu64 " programs", search.programs);
	linux_tasks_deinit(&walk);
	object_deinit(&search.task);
	buffer_deinit(&search.process);
	buffer_deinit(&search.name);
	buffer_deinit(&search.text);
	return NULL;
}

const struct check check_memory = {
    "memory", "memory of processes that may be executed and is of no file", &guest_linux, run};
