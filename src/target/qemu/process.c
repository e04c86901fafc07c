/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/process.h"

#include "core/array.h"
#include "core/clock.h"
#include "core/io.h"
#include "target/qemu/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)16 << 20)
/* Limit of the command line: the kernel permits more, but no real guest has nearly as much. */
#define ARGUMENTS_MAX   ((size_t)256 << 10)
#define DESCRIPTORS_MAX 4096
/* How long command lines of processes of people are read for a list. */
#define FIND_US 500000
/* The most processes of people that are kept in mind meanwhile. */
#define CANDIDATES_MAX 4096

/* ---- /proc ----------------------------------------------------------------------------------- */

static struct nunchi_error *read_limited(pid_t pid, const char *name, size_t limit,
					 struct buffer *ret)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_create_errno(errno, "%s", path);
	do {
		size_t want = limit - ret->size < 65536 ? limit - ret->size : 65536;
		char *to = buffer_reserve(ret, want);

		if (!to)
			return &error_nomem;
		n = io_read_full(fd, to, want);
		if (n < 0)
			return error_create_errno((int)-n, "%s", path);
		ret->size += (size_t)n;
	} while (n > 0);
	return NULL;
}

struct nunchi_error *process_read(pid_t pid, const char *name, struct buffer *ret)
{
	return read_limited(pid, name, FILE_MAX, ret);
}

struct nunchi_error *process_start_time(pid_t pid, uint64_t *ret)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct nunchi_error *err;
	const char *close;
	struct scan scan, word;

	buffer_init(&text, 0);
	err = process_read(pid, "stat", &text);
	if (err && nunchi_error_errno(err) != ENOENT && nunchi_error_errno(err) != ESRCH)
		return err;
	if (err) {
		nunchi_error_destroy(err);
		return error_create(NUNCHI_ERROR_GONE, "process %d is gone", pid);
	}
	/*
	 * The name, in parentheses, may contain any character. start_time is field 22, the 20th
	 * after the name.
	 */
	close = text.size ? memrchr(text.data, ')', text.size) : NULL;
	scan = (struct scan){close ? close + 1 : text.data, text.data + text.size};
	for (int i = 0; i < 19; i++) {
		scan_spaces(&scan);
		scan_word(&scan, &word);
	}
	scan_spaces(&scan);
	if (!close || !scan_decimal(&scan, ret))
		return error_create(NUNCHI_ERROR_DATA, "/proc/%d/stat has an unknown form", pid);
	return NULL;
}

struct nunchi_error *process_maps(pid_t pid, struct maps *ret)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct nunchi_error *err;

	buffer_init(&text, 0);
	err = process_read(pid, "maps", &text);
	if (!err)
		err = maps_parse(buffer_string(&text), text.size, ret);
	return error_context(err, "process %d", pid);
}

void process_name(pid_t pid, char *ret, size_t size)
{
	_cleanup_buffer_ struct buffer text = {0};

	buffer_init(&text, 0);
	nunchi_error_destroy(read_limited(pid, "comm", 64, &text));
	snprintf(ret, size, "%.*s", (int)strcspn(buffer_string(&text), "\n"),
		 text.size ? buffer_string(&text) : "?");
}

struct nunchi_error *process_check_access(pid_t pid)
{
	char path[64];

	/* Memory is read through this file (ram.c). */
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return NULL;
	if (errno == ENOENT || errno == ESRCH)
		return error_create(NUNCHI_ERROR_GONE, "process %d is gone", pid);
	if (errno != EACCES && errno != EPERM)
		return error_create_errno(errno, "%s", path);
	return error_hint(error_of_host(error_create(NUNCHI_ERROR_PERMISSION,
						     "the memory of process %d may not be read by "
						     "this user",
						     pid)),
			  "run as root, or with CAP_SYS_PTRACE, or as the user QEMU runs as with "
			  "kernel.yama.ptrace_scope=0");
}

/* Calls f() with the target of each open descriptor until f() returns true. */
static bool any_descriptor(pid_t pid, bool (*f)(const char *target, void *data), void *data)
{
	char path[64], target[256];
	struct dirent *entry;
	bool found = false;
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && count++ < DESCRIPTORS_MAX && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		found = f(target, data);
	}
	closedir(dir);
	return found;
}

static bool is_kvm(const char *target, void *data)
{
	*(bool *)data = true;
	return !strcmp(target, "anon_inode:kvm-vm");
}

const char *process_accel(const struct qemu_process *process)
{
	bool readable = false;

	if (any_descriptor(process->pid, is_kvm, &readable))
		return "kvm";
	if (process->cmdline.accel == CMDLINE_ACCEL_KVM)
		return "kvm";
	if (readable || process->cmdline.accel == CMDLINE_ACCEL_TCG)
		return "tcg";
	return "?";
}

/* ---- QEMU processes -------------------------------------------------------------------------- */

/*
 * The last part of a path, without the suffix " (deleted)" of a program that was replaced by an
 * update.
 */
static void base_name(const char *path, char *ret, size_t size)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t length = strlen(base);
	static const char deleted[] = " (deleted)";

	if (length > sizeof(deleted) - 1 && !strcmp(base + length - (sizeof(deleted) - 1), deleted))
		length -= sizeof(deleted) - 1;
	snprintf(ret, size, "%.*s", (int)(length < size ? length : size - 1), base);
}

static bool is_qemu(const char *program)
{
	return strstr(program, "qemu-system-") || !strcmp(program, "qemu-kvm") ||
	       !strcmp(program, "kvm");
}

static bool is_x86(const char *program)
{
	const char *arch = strstr(program, "qemu-system-");

	if (!arch)
		return true;
	arch += strlen("qemu-system-");
	return !strncmp(arch, "x86_64", 6) || !strncmp(arch, "i386", 4);
}

enum hidden { PROGRAM_KNOWN, PROGRAM_HIDDEN, PROGRAM_NONE };

/* Reads which program a process executes. PROGRAM_NONE: it is a kernel thread, or has ended. */
static enum hidden read_program(pid_t pid, char *ret, size_t size)
{
	char path[64], target[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return errno == EACCES || errno == EPERM ? PROGRAM_HIDDEN : PROGRAM_NONE;
	target[n] = '\0';
	base_name(target, ret, size);
	return PROGRAM_KNOWN;
}

static struct nunchi_error *not_qemu(pid_t pid)
{
	return error_create(NUNCHI_ERROR_NOT_FOUND, "process %d is not QEMU", pid);
}

/*
 * Recognises QEMU by the program that the process executes or, if that is hidden from this user, by
 * argv[0]. *ret_hidden: the latter.
 */
static struct nunchi_error *recognise(pid_t pid, struct qemu_process *process, bool *ret_hidden)
{
	enum hidden hidden = read_program(pid, process->program, sizeof(process->program));

	*ret_hidden = hidden == PROGRAM_HIDDEN;
	/* Do the cheap test first, since there are many processes. */
	if (hidden == PROGRAM_NONE || (hidden == PROGRAM_KNOWN && !is_qemu(process->program)) ||
	    !qemu_trust_read(pid, &process->trust))
		return not_qemu(pid);
	return process_start_time(pid, &process->start_time);
}

/*
 * Reads and parses the command line. Of a process of another person it is read only if that cannot
 * wait for a file of theirs.
 */
static struct nunchi_error *read_cmdline(struct qemu_process *process, bool hidden)
{
	_cleanup_buffer_ struct buffer arguments = {0};
	struct nunchi_error *err;

	if (process->trust.is_person && !hidden && !qemu_trust_arguments(process->pid)) {
		snprintf(process->unread, sizeof(process->unread),
			 "its arguments are not in memory of its own");
		return cmdline_parse("", 0, &process->cmdline);
	}
	err = read_limited(process->pid, "cmdline", ARGUMENTS_MAX, &arguments);
	if (err)
		return err;
	if (hidden) {
		base_name(buffer_string(&arguments), process->program, sizeof(process->program));
		if (!is_qemu(process->program))
			return not_qemu(process->pid);
	}
	return cmdline_parse(buffer_string(&arguments), arguments.size, &process->cmdline);
}

/* What is left to do once the process is recognised. */
static struct nunchi_error *complete(struct qemu_process *process, bool hidden)
{
	struct nunchi_error *err = read_cmdline(process, hidden);

	if (err)
		return err;
	process->is_x86 = is_x86(process->program);
	if (!process->cmdline.is_xen)
		return NULL;
	qemu_process_deinit(process);
	return error_create(NUNCHI_ERROR_NOT_FOUND, "process %d is the device model of a Xen guest",
			    process->pid);
}

struct nunchi_error *qemu_process_load(pid_t pid, struct qemu_process *ret)
{
	struct qemu_process process = {.pid = pid};
	bool hidden;
	struct nunchi_error *err = recognise(pid, &process, &hidden);

	if (!err)
		err = complete(&process, hidden);
	if (err)
		return err;
	*ret = process;
	return NULL;
}

void qemu_process_deinit(struct qemu_process *process)
{
	cmdline_deinit(&process->cmdline);
}

/* A process that was recognised, before its command line is read. */
struct candidate {
	struct qemu_process process;
	bool hidden;
};

struct candidates {
	struct candidate *entries;
	size_t count, capacity;
	size_t left_out;
};

static struct nunchi_error *add_candidate(struct candidates *all, pid_t pid)
{
	struct candidate candidate = {.process.pid = pid};
	struct nunchi_error *err = recognise(pid, &candidate.process, &candidate.hidden);

	if (err == &error_nomem)
		return err;
	if (err) {
		/* It is not QEMU, or it ended after it was listed. */
		nunchi_error_destroy(err);
		return NULL;
	}
	if (all->count >= CANDIDATES_MAX && qemu_trust_rank(&candidate.process.trust)) {
		all->left_out++;
		return NULL;
	}
	if (!ARRAY_RESERVE(all->entries, all->count, all->capacity, 1))
		return &error_nomem;
	all->entries[all->count++] = candidate;
	return NULL;
}

static struct nunchi_error *find_candidates(struct candidates *ret)
{
	struct nunchi_error *err = NULL;
	struct dirent *entry;
	DIR *dir = opendir("/proc");

	if (!dir)
		return error_create_errno(errno, "/proc");
	while (!err && (entry = readdir(dir))) {
		struct scan scan = {entry->d_name, entry->d_name + strlen(entry->d_name)};
		uint64_t pid;

		if (scan_decimal(&scan, &pid) && scan.at == scan.end && pid < INT32_MAX)
			err = add_candidate(ret, (pid_t)pid);
	}
	closedir(dir);
	return err;
}

/* The system's first; of one rank the eldest first. */
static int compare_ranks(const void *a, const void *b)
{
	const struct qemu_process *x = &((const struct candidate *)a)->process;
	const struct qemu_process *y = &((const struct candidate *)b)->process;
	unsigned one = qemu_trust_rank(&x->trust), other = qemu_trust_rank(&y->trust);

	if (one != other)
		return one < other ? -1 : 1;
	return x->start_time < y->start_time ? -1 : x->start_time > y->start_time;
}

static int compare_pids(const void *a, const void *b)
{
	const struct qemu_process *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* Moves the candidate to the list, its command line read if there is time. */
static struct nunchi_error *add_process(struct qemu_processes *processes,
					struct candidate *candidate, uint64_t deadline)
{
	struct qemu_process *process = &candidate->process;
	struct nunchi_error *err = NULL;

	if (qemu_trust_rank(&process->trust) && clock_us() >= deadline) {
		snprintf(process->unread, sizeof(process->unread),
			 "there are too many processes like it");
		err = cmdline_parse("", 0, &process->cmdline);
	} else {
		err = complete(process, candidate->hidden);
	}
	if (err == &error_nomem)
		return err;
	if (err) {
		nunchi_error_destroy(err);
		return NULL;
	}
	if (!ARRAY_RESERVE(processes->entries, processes->count, processes->capacity, 1)) {
		qemu_process_deinit(process);
		return &error_nomem;
	}
	processes->entries[processes->count++] = *process;
	return NULL;
}

struct nunchi_error *qemu_processes_find(struct qemu_processes *ret)
{
	struct qemu_processes processes = {0};
	struct candidates candidates = {0};
	uint64_t deadline = clock_us() + FIND_US;
	struct nunchi_error *err = find_candidates(&candidates);

	if (!err && candidates.count)
		qsort(candidates.entries, candidates.count, sizeof(*candidates.entries),
		      compare_ranks);
	processes.left_out = candidates.left_out;
	for (size_t i = 0; !err && i < candidates.count; i++)
		if (processes.count < PROCESSES_MAX)
			err = add_process(&processes, &candidates.entries[i], deadline);
		else
			processes.left_out++;
	free(candidates.entries);
	if (err) {
		qemu_processes_deinit(&processes);
		return err;
	}
	if (processes.count)
		qsort(processes.entries, processes.count, sizeof(*processes.entries), compare_pids);
	*ret = processes;
	return NULL;
}

void qemu_processes_deinit(struct qemu_processes *processes)
{
	for (size_t i = 0; i < processes->count; i++)
		qemu_process_deinit(&processes->entries[i]);
	free(processes->entries);
	*processes = (struct qemu_processes){0};
}
