/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that pass for something else: a program with the name of a kernel thread, or one that
 * was started from memory without a file (memfd_create() and execveat()).
 */
#include "check/check.h"
#include "guest/linux/path.h"
#include "guest/linux/process.h"
#include "guest/linux/task.h"

#include <inttypes.h>
#include <string.h>

/* How names of kernel threads begin that no program has. */
static const char *const thread_names[] = {"kworker/", "ksoftirqd/", "migration/",  "kthreadd",
					   "rcu_",     "kswapd",     "khugepaged",  "kauditd",
					   "jbd2/",    "cpuhp/",     "idle_inject/"};

struct search {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct object task, mm;
	struct buffer name, text;
	uint64_t programs;
};

static void report(const struct search *search, enum check_severity severity, const char *expected,
		   const char *found, const char *meaning)
{
	check_add(search->report,
		  &(struct check_finding){
		      .severity = severity,
		      .pid = object_s64(&search->task, &search->kernel->layout.task_tgid),
		      .address = search->task.address,
		      .subject = check_text(search->report, &search->name),
		      .expected = expected,
		      .found = found,
		      .meaning = meaning,
		  });
}

/* Remembers what could not be read: the check is not made in full then. */
static void missed(const struct search *search, enum read_result result)
{
	if (result != READ_NONE)
		check_unread(search->report, result, "process %" PRId64,
			     object_s64(&search->task, &search->kernel->layout.task_tgid));
}

static bool is_thread_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(thread_names); i++)
		if (!strncmp(name, thread_names[i], strlen(thread_names[i])))
			return true;
	return false;
}

/* ps shows a kernel thread's name in brackets, and a program's arguments as they are. */
static void look_at_name(struct search *search)
{
	enum read_result result;

	buffer_clear(&search->text);
	result = linux_process_cmdline(search->kernel, &search->mm, &search->text);
	/*
	 * Arguments are long, swapped out, or unmapped as the process ends, also where all is well.
	 */
	if (result != READ_PAGED_OUT && result != READ_NOT_MAPPED && result != READ_LIMIT)
		missed(search, result);
	if (is_thread_name(check_text(search->report, &search->name)) ||
	    (result == READ_OK && search->text.size && search->text.data[0] == '[' &&
	     is_thread_name(search->text.data + 1)))
		report(search, CHECK_WARNING, "a kernel thread, by its name",
		       "a program with memory of its own",
		       "A program gives itself the name of a kernel thread, so that it is not "
		       "noticed in the output of ps.");
}

static void look_at_file(struct search *search)
{
	static const char memfd[] = "/memfd:";
	uint64_t file = object_u64(&search->mm, &search->kernel->layout.mm_exe_file);
	enum read_result result;
	bool unlinked = false;

	buffer_clear(&search->text);
	/* A program whose memory goes away has no file any more. */
	if (!file)
		return;
	result = linux_file_path(search->kernel, file, NULL, &search->text);
	if (result == READ_OK)
		result = linux_file_unlinked(search->kernel, file, &unlinked);
	missed(search, result);
	if (result != READ_OK)
		return;
	if (!strncmp(check_text(search->report, &search->text), memfd, strlen(memfd)))
		report(search, CHECK_NOTE, "a file on a disk",
		       check_text(search->report, &search->text),
		       "The program was started from memory and has never had a file, as runc and "
		       "lxc-attach are for a moment, and programs that leave no trace.");
	else if (unlinked)
		report(search, CHECK_NOTE, "a file that has a name",
		       check_text(search->report, &search->text),
		       "The program's file was removed while it runs, by an update or to leave no "
		       "trace.");
}

static void look(struct search *search)
{
	struct linux_kernel *kernel = search->kernel;
	enum read_result result;
	uint64_t mm;

	if (linux_task_is_kernel_thread(kernel, &search->task))
		return;
	result = linux_process_mm(kernel, &search->task, &mm);
	missed(search, result);
	if (result != READ_OK)
		return;
	search->programs++;
	buffer_clear(&search->name);
	result = linux_task_name(kernel, &search->task, &search->name);
	if (result == READ_OK)
		result = linux_read_object(kernel, LAYOUT_mm, mm, &search->mm);
	missed(search, result);
	if (result != READ_OK)
		return;
	look_at_name(search);
	look_at_file(search);
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct search search = {.kernel = linux_kernel_of(guest), .report = report};
	struct linux_tasks walk;
	struct nunchi_error *err = linux_tasks_init(&walk, search.kernel, NULL);

	if (err)
		return err;
	while (linux_tasks_next(&walk, &search.task))
		look(&search);
	check_unread(report, walk.list.broken ? walk.list.broken : walk.why_unread,
		     "the list of processes");
	check_summary(report, "%" PRIu64 " programs", search.programs);
	linux_tasks_deinit(&walk);
	object_deinit(&search.task);
	object_deinit(&search.mm);
	buffer_deinit(&search.name);
	buffer_deinit(&search.text);
	return NULL;
}

const struct check check_impostors = {
    "impostors", "programs with names of kernel threads, and programs without a file", &guest_linux,
    run};
