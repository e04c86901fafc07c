/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Credentials: the threads of a process share a struct cred, processes never do. copy_creds() of
 * kernel/cred.c gives each new process a copy, and commit_creds() a new one; who writes a pointer
 * to another process's credentials, or to init_cred, gets its rights without any of them. The field
 * `cred` may differ for a moment (override_creds()), `real_cred` does not. Linux 5.10 to 7.2.
 */
#include "check/linux/compared.h"
#include "guest/linux/code.h"
#include "guest/linux/task.h"

#include <inttypes.h>
#include <stdio.h>

struct owners {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct hash_map processes; /* from the address of a struct cred to the process id */
	struct buffer name;
	uint64_t count;
};

static void shared(struct owners *owners, const struct object *task, int64_t owner, uint64_t cred)
{
	char found[64] = "init_cred";
	struct check_finding finding = {
	    .severity = CHECK_ALARM,
	    .pid = object_s64(task, &owners->kernel->layout.task_tgid),
	    .address = cred,
	    .expected = "credentials of its own",
	};

	buffer_clear(&owners->name);
	if (linux_task_name(owners->kernel, task, &owners->name) != READ_OK)
		buffer_clear(&owners->name);
	if (owner)
		snprintf(found, sizeof(found), "those of process %" PRId64, owner);
	finding.subject = check_text(owners->report, &owners->name);
	finding.found = found;
	/* init_cred is never freed: no other moment explains who has it. */
	if (owner) {
		finding.meaning = "Two processes have the same credentials, which no system call "
				  "brings about: they were written by an exploit";
		check_add_compared(owners->report, &owners->kernel->guest, &finding,
				   "one of them ended and the other began");
	} else {
		finding.meaning = "A process has the credentials of the kernel's first task, which "
				  "no system call gives: they were written by an exploit.";
		check_add(owners->report, &finding);
	}
}

static struct nunchi_error *compare(struct owners *owners, struct linux_tasks *walk,
				    struct object *task)
{
	const struct layout *layout = &owners->kernel->layout;

	while (linux_tasks_next(walk, task)) {
		uint64_t cred = object_u64(task, &layout->task_real_cred);
		int64_t pid = object_s64(task, &layout->task_tgid);
		const uint64_t *owner = hash_map_find(&owners->processes, cred);

		/* A task that ends has none for a moment. */
		if (!cred)
			continue;
		owners->count++;
		if (owner)
			shared(owners, task, (int64_t)*owner, cred);
		else if (hash_map_insert(&owners->processes, cred, (uint64_t)pid) == HASH_NOMEM)
			return &error_nomem;
	}
	check_unread(owners->report, walk->list.broken ? walk->list.broken : walk->why_unread,
		     "the list of processes");
	return NULL;
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct owners owners = {.kernel = linux_kernel_of(guest), .report = report};
	uint64_t init_cred = owners.kernel->symbol[LINUX_init_cred];
	_cleanup_object_ struct object task = {0};
	struct linux_tasks walk;
	struct nunchi_error *err = linux_tasks_init(&walk, owners.kernel, NULL);

	if (err)
		return err;
	if (!owners.kernel->layout.task_real_cred.present)
		err = linux_lacks_fields("credentials cannot be read", "task_struct.real_cred");
	if (!err && init_cred && hash_map_insert(&owners.processes, init_cred, 0) == HASH_NOMEM)
		err = &error_nomem;
	if (!err)
		err = compare(&owners, &walk, &task);
	if (!err)
		check_summary(report, "credentials of %" PRIu64 " processes", owners.count);
	linux_tasks_deinit(&walk);
	hash_map_deinit(&owners.processes);
	buffer_deinit(&owners.name);
	return err;
}

const struct check check_credentials = {
    "credentials", "processes that have the credentials of another one", &guest_linux, run};
