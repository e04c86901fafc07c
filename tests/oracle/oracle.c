/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest knows about itself, from its own /proc, as JSON lines: the word
 * that nunchi's view from outside is compared with.
 *
 *     oracle PASS [--symbols] [--gzip]
 *
 * Strings are bytes: valid UTF-8 stays, any other byte NN is written as the
 * lone surrogate \udcNN, so that a reader gets the exact bytes back. A value
 * the guest does not have is null.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oracle.h"

enum { PF_KTHREAD_FLAG = 0x00200000, NAMESPACE_PROCESSES = 16 };

/* The fields of /proc/PID/stat, numbered as in proc(5). */
struct stat_fields {
	char state;
	long long number[53];
};

/* Processes of each mount namespace, to read its mounts through. */
struct mount_namespace {
	unsigned long long inode;
	pid_t pids[NAMESPACE_PROCESSES];
	size_t count;
};

static struct mount_namespace *namespaces;
static size_t namespace_count;

static bool parse_stat(const struct bytes *text, struct stat_fields *ret)
{
	char *at = memrchr(text->data, ')', text->size);

	memset(ret, 0, sizeof(*ret));
	if (!at || at[1] != ' ')
		return false;
	ret->state = at[2];
	at += 3;
	for (int field = 4; field <= 52; field++) {
		char *end;

		errno = 0;
		ret->number[field] = strtoll(at, &end, 10);
		if (errno == ERANGE)
			ret->number[field] = (long long)strtoull(at, &end, 10);
		if (end == at)
			break;
		at = end;
	}
	return true;
}

static void row_time(const char *column, long long ticks)
{
	row_number(column, ticks * 1000 / sysconf(_SC_CLK_TCK));
}

static void row_link(const char *column, long pid, const char *name)
{
	struct bytes target;

	if (read_link(&target, "/proc/%ld/%s", pid, name))
		row_bytes(column, target.data, target.size);
	else
		row_null(column);
}

/* comm: only the one newline the kernel adds is taken off. */
static void row_comm(const char *format, long pid, long tid)
{
	struct bytes text;
	char path[128];

	snprintf(path, sizeof(path), format, pid, tid);
	if (!read_file(1, &text, "%s", path)) {
		row_null("name");
		return;
	}
	if (text.size && text.data[text.size - 1] == '\n')
		text.size--;
	row_bytes("name", text.data, text.size);
}

/* 1: the executable's file still has its name; 0: it was removed; -1: no executable. */
static int on_disk(long pid)
{
	static const char suffix[] = " (deleted)";
	const size_t length = sizeof(suffix) - 1;
	struct stat through, literal;
	struct bytes target;
	char path[64];

	if (!read_link(&target, "/proc/%ld/exe", pid))
		return -1;
	if (target.size < length || memcmp(target.data + target.size - length, suffix, length))
		return 1;
	snprintf(path, sizeof(path), "/proc/%ld/exe", pid);
	if (stat(path, &through) < 0 || through.st_nlink == 0)
		return 0;
	/* A file may really be called so. */
	return lstat(target.data, &literal) == 0 && literal.st_ino == through.st_ino &&
	       literal.st_dev == through.st_dev;
}

static const char *status_line(const struct bytes *status, const char *name)
{
	const size_t length = strlen(name);

	for (const char *at = status->data; at;) {
		if (!strncmp(at, name, length) && at[length] == ':')
			return at + length + 1;
		at = strchr(at, '\n');
		if (at)
			at++;
	}
	return NULL;
}

static void row_ids(const struct bytes *status, const char *line, const char *const columns[3])
{
	const char *text = status_line(status, line);
	long long ids[3];

	if (!text || sscanf(text, "%lld %lld %lld", &ids[0], &ids[1], &ids[2]) != 3) {
		for (int i = 0; i < 3; i++)
			row_null(columns[i]);
		return;
	}
	for (int i = 0; i < 3; i++)
		row_number(columns[i], ids[i]);
}

static void row_size(const struct bytes *status, const char *line, const char *column)
{
	const char *text = status_line(status, line);

	if (text)
		row_number(column, atoll(text) * 1024);
	else
		row_null(column);
}

static unsigned long long row_namespace(const char *column, long pid, const char *name)
{
	unsigned long long inode;
	struct bytes target;
	char *bracket;

	if (!read_link(&target, "/proc/%ld/ns/%s", pid, name) ||
	    !(bracket = strchr(target.data, '['))) {
		row_null(column);
		return 0;
	}
	inode = strtoull(bracket + 1, NULL, 10);
	row_unsigned(column, inode);
	return inode;
}

static void remember_namespace(unsigned long long inode, pid_t pid)
{
	struct mount_namespace *found = NULL;

	if (!inode)
		return;
	for (size_t i = 0; i < namespace_count; i++)
		if (namespaces[i].inode == inode)
			found = &namespaces[i];
	if (!found) {
		namespaces = realloc(namespaces, (namespace_count + 1) * sizeof(*namespaces));
		if (!namespaces)
			exit(1);
		found = &namespaces[namespace_count++];
		memset(found, 0, sizeof(*found));
		found->inode = inode;
	}
	if (found->count < NAMESPACE_PROCESSES)
		found->pids[found->count++] = pid;
}

static void row_cgroup(long pid)
{
	struct bytes text;
	char *line;

	if (!read_file(1, &text, "/proc/%ld/cgroup", pid)) {
		row_null("cgroup_path");
		row_null("cgroups_raw");
		return;
	}
	line = strncmp(text.data, "0::", 3) ? strstr(text.data, "\n0::") : text.data - 1;
	if (line)
		row_bytes("cgroup_path", line + 4, strcspn(line + 4, "\n"));
	else
		row_null("cgroup_path");
	row_bytes("cgroups_raw", text.data, text.size);
}

static void row_cmdline(long pid)
{
	struct bytes text;

	if (!read_file(1, &text, "/proc/%ld/cmdline", pid)) {
		row_null("cmdline_args");
		row_null("cmdline_raw");
		return;
	}
	row_strings("cmdline_args", text.data, text.size);
	row_bytes("cmdline_raw", text.data, text.size);
}

static void row_stat(const struct stat_fields *stat)
{
	char state[2] = {stat->state, '\0'};

	row_text("state", state);
	row_number("parent", stat->number[4]);
	row_number("pgroup", stat->number[5]);
	row_number("session", stat->number[6]);
	row_number("tty", stat->number[7]);
	row_time("user_time", stat->number[14]);
	row_time("system_time", stat->number[15]);
	row_number("nice", stat->number[19]);
	row_number("threads", stat->number[20]);
	row_number("start_time_ticks", stat->number[22]);
	row_number("is_kernel_thread", !!(stat->number[9] & PF_KTHREAD_FLAG));
}

static void emit_process(long pid, const struct bytes *status, const struct stat_fields *stat)
{
	static const char *const user[] = {"uid", "euid", "suid"};
	static const char *const group[] = {"gid", "egid", "sgid"};

	row_begin("processes");
	row_number("pid", pid);
	row_comm("/proc/%ld/comm", pid, 0);
	row_link("path", pid, "exe");
	row_number("on_disk", on_disk(pid));
	row_cmdline(pid);
	row_link("cwd", pid, "cwd");
	row_link("root", pid, "root");
	row_stat(stat);
	row_ids(status, "Uid", user);
	row_ids(status, "Gid", group);
	row_size(status, "VmRSS", "resident_size");
	row_size(status, "VmSize", "total_size");
	row_cgroup(pid);
	row_namespace("pid_namespace", pid, "pid");
	remember_namespace(row_namespace("mount_namespace", pid, "mnt"), (pid_t)pid);
	row_end();
}

/* The host name in a UTS namespace, once. */
static void emit_hostname(long pid, unsigned long long inode)
{
	static unsigned long long seen[64];
	static size_t count;
	char path[32], name[65] = "";
	int there, back;

	for (size_t i = 0; i < count; i++)
		if (seen[i] == inode)
			return;
	if (!inode || count == sizeof(seen) / sizeof(seen[0]))
		return;
	seen[count++] = inode;
	snprintf(path, sizeof(path), "/proc/%ld/ns/uts", pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	back = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	if (there >= 0 && back >= 0 && setns(there, CLONE_NEWUTS) == 0) {
		gethostname(name, sizeof(name) - 1);
		if (setns(back, CLONE_NEWUTS) < 0)
			exit(1);
		row_begin("hostnames");
		row_unsigned("uts_namespace", inode);
		row_text("hostname", name);
		row_end();
	}
	close(there);
	close(back);
}

/* A kind that this kernel does not have is left out. */
static void emit_namespaces(long pid)
{
	static const char *const kinds[] = {"cgroup", "ipc",  "mnt",  "net",
					    "pid",    "time", "user", "uts"};
	unsigned long long inode = 0;
	char column[32], path[32];

	row_begin("process_namespaces");
	row_number("pid", pid);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		snprintf(column, sizeof(column), "%s_namespace", kinds[i]);
		if (access(path, F_OK) == 0)
			inode = row_namespace(column, pid, kinds[i]);
	}
	row_end();
	/* The last one is that of the host name. */
	emit_hostname(pid, inode);
}

static void row_status(const struct bytes *status, const char *line, const char *column, int base)
{
	const char *text = status_line(status, line);

	if (text)
		row_unsigned(column, strtoull(text, NULL, base));
}

/* A line that this kernel does not have is left out. */
static void emit_rights(long pid, const struct bytes *status)
{
	static const char *const user[] = {"uid", "euid", "suid"};

	row_begin("process_capabilities");
	row_number("pid", pid);
	row_comm("/proc/%ld/comm", pid, 0);
	row_ids(status, "Uid", user);
	row_status(status, "CapEff", "effective_set", 16);
	row_status(status, "CapPrm", "permitted_set", 16);
	row_status(status, "CapInh", "inheritable_set", 16);
	row_status(status, "CapBnd", "bounding_set", 16);
	row_status(status, "CapAmb", "ambient_set", 16);
	row_status(status, "Seccomp", "seccomp_mode", 10);
	row_status(status, "Seccomp_filters", "seccomp_filters", 10);
	row_status(status, "NoNewPrivs", "no_new_privs", 10);
	row_end();
}

static void emit_limits(long pid)
{
	struct bytes text;

	if (!read_file(1, &text, "/proc/%ld/limits", pid) || !text.size)
		return;
	row_begin("process_rlimits");
	row_number("pid", pid);
	row_bytes("raw", text.data, text.size);
	row_end();
}

static void emit_threads(long pid)
{
	static const char *const user[] = {"uid", "euid", "suid"};
	struct stat_fields stat;
	struct bytes text, status;
	long *tids = NULL;
	ssize_t count = list_numbers(&tids, "/proc/%ld/task", pid);

	for (ssize_t i = 0; i < count; i++) {
		char state[2] = "";

		if (!read_file(0, &text, "/proc/%ld/task/%ld/stat", pid, tids[i]) ||
		    !parse_stat(&text, &stat) ||
		    !read_file(2, &status, "/proc/%ld/task/%ld/status", pid, tids[i]))
			continue;
		state[0] = stat.state;
		row_begin("threads");
		row_number("tid", tids[i]);
		row_number("pid", pid);
		row_comm("/proc/%ld/task/%ld/comm", pid, tids[i]);
		row_text("state", state);
		row_number("nice", stat.number[19]);
		row_time("user_time", stat.number[14]);
		row_time("system_time", stat.number[15]);
		row_number("start_time_ticks", stat.number[22]);
		row_number("cpu", stat.number[39]);
		row_number("is_kernel_thread", !!(stat.number[9] & PF_KTHREAD_FLAG));
		row_ids(&status, "Uid", user);
		row_end();
	}
	free(tids);
}

/*
 * The kernel writes a newline in a mapped file's name as \012 and nothing else
 * so; where that shows, map_files has the exact name.
 */
static void row_map_path(long pid, unsigned long long start, unsigned long long end,
			 const char *path, size_t size)
{
	struct bytes target;

	if (memmem(path, size, "\\012", 4) &&
	    read_link(&target, "/proc/%ld/map_files/%llx-%llx", pid, start, end))
		row_bytes("path", target.data, target.size);
	else
		row_bytes("path", path, size);
	row_bytes("path_raw", path, size);
}

static void emit_map(long pid, const char *line, size_t size)
{
	unsigned long long start, end, offset, inode;
	char permissions[8], device[16];
	int path = 0;

	if (sscanf(line, "%llx-%llx %7s %llx %15s %llu%n", &start, &end, permissions, &offset,
		   device, &inode, &path) != 6)
		return;
	while ((size_t)path < size && line[path] == ' ')
		path++;
	row_begin("process_memory_map");
	row_number("pid", pid);
	row_unsigned("start", start);
	row_unsigned("end", end);
	row_text("permissions", permissions);
	row_unsigned("offset", offset);
	row_text("device", device);
	row_unsigned("inode", inode);
	row_map_path(pid, start, end, line + path, size - (size_t)path);
	row_end();
}

static void emit_maps(long pid)
{
	struct bytes text;
	char *at;

	if (!read_file(0, &text, "/proc/%ld/maps", pid))
		return;
	at = text.data;
	while (*at) {
		size_t size = strcspn(at, "\n");
		bool last = at[size] == '\0';

		at[size] = '\0';
		emit_map(pid, at, size);
		at += size + !last;
	}
}

static void emit_environment(long pid)
{
	struct bytes text;
	long index = 0;

	if (!read_file(0, &text, "/proc/%ld/environ", pid))
		return;
	for (size_t at = 0; at < text.size;) {
		size_t size = strnlen(text.data + at, text.size - at);

		row_begin("process_envs");
		row_number("pid", pid);
		row_number("index", index++);
		row_bytes("raw", text.data + at, size);
		row_end();
		at += size + 1;
	}
}

static void row_fdinfo(const struct bytes *info, const char *line, const char *column, int base)
{
	const char *text = status_line(info, line);

	if (text)
		row_number(column, strtoll(text, NULL, base));
	else
		row_null(column);
}

static void emit_files(long pid)
{
	struct bytes info, target;
	long *fds = NULL;
	ssize_t count = list_numbers(&fds, "/proc/%ld/fd", pid);

	for (ssize_t i = 0; i < count; i++) {
		if (!read_file(0, &info, "/proc/%ld/fdinfo/%ld", pid, fds[i]))
			continue;
		row_begin("process_open_files");
		row_number("pid", pid);
		row_number("fd", fds[i]);
		if (read_link(&target, "/proc/%ld/fd/%ld", pid, fds[i]))
			row_bytes("path", target.data, target.size);
		else
			row_null("path");
		row_fdinfo(&info, "pos", "pos", 10);
		row_fdinfo(&info, "flags", "flags", 8);
		row_fdinfo(&info, "mnt_id", "mnt_id", 10);
		row_fdinfo(&info, "ino", "inode", 10);
		row_end();
	}
	free(fds);
}

static void emit_processes(void)
{
	struct stat_fields stat;
	struct bytes status, text;
	long *pids = NULL;
	ssize_t count = list_numbers(&pids, "/proc");

	for (ssize_t i = 0; i < count; i++) {
		if (!read_file(0, &text, "/proc/%ld/stat", pids[i]) || !parse_stat(&text, &stat) ||
		    !read_file(2, &status, "/proc/%ld/status", pids[i]))
			continue;
		emit_process(pids[i], &status, &stat);
		emit_namespaces(pids[i]);
		emit_rights(pids[i], &status);
		emit_limits(pids[i]);
		emit_threads(pids[i]);
		emit_maps(pids[i]);
		emit_environment(pids[i]);
		emit_files(pids[i]);
		emit_sockets(pids[i]);
	}
	for (ssize_t i = 0; i < count; i++)
		emit_network(pids[i]);
	free(pids);
}

static void emit_observer(pid_t pid)
{
	row_begin("observer");
	row_number("pid", pid);
	row_end();
}

int main(int argc, char **argv)
{
	bool compress = false, symbols = false;

	if (argc < 2) {
		fprintf(stderr, "usage: oracle PASS [--symbols] [--gzip]\n");
		return 2;
	}
	for (int i = 2; i < argc; i++) {
		compress |= !strcmp(argv[i], "--gzip");
		symbols |= !strcmp(argv[i], "--symbols");
	}
	make_time_wait();
	emit_meta(argv[1]);
	emit_observer(getpid());
	/* Under the agent our parent is there for this pass, too. */
	if (getppid() != 1)
		emit_observer(getppid());
	emit_processes();
	for (size_t i = 0; i < namespace_count; i++)
		emit_mounts(namespaces[i].inode, namespaces[i].pids, namespaces[i].count);
	emit_modules();
	emit_system();
	emit_kernel_log();
	if (symbols)
		emit_symbols();
	return output_flush(compress);
}
