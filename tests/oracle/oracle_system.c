/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "oracle.h"

static void row_clock(const char *column, clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) == 0)
		row_real(column, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
	else
		row_null(column);
}

void emit_meta(const char *pass)
{
	struct utsname name;
	struct bytes text;
	char *line;

	uname(&name);
	row_begin("meta");
	row_text("pass", pass);
	row_text("release", name.release);
	row_text("version", name.version);
	row_text("machine", name.machine);
	row_text("nodename", name.nodename);
	line = read_file(0, &text, "/proc/stat") ? strstr(text.data, "\nbtime ") : NULL;
	row_number("boot_time", line ? atoll(line + 7) : -1);
	row_number("clk_tck", sysconf(_SC_CLK_TCK));
	row_number("page_size", sysconf(_SC_PAGESIZE));
	row_number("cap_last_cap", read_number("/proc/sys/kernel/cap_last_cap"));
	row_clock("realtime", CLOCK_REALTIME);
	row_clock("monotonic", CLOCK_MONOTONIC);
	row_clock("boottime", CLOCK_BOOTTIME);
	row_end();
}

/* A file of one line, without the newline at its end. */
static void row_line(const char *column, const char *path)
{
	struct bytes text;

	if (!read_file(0, &text, "%s", path)) {
		row_null(column);
		return;
	}
	if (text.size && text.data[text.size - 1] == '\n')
		text.size--;
	row_bytes(column, text.data, text.size);
}

static void emit_module(char *line)
{
	char *save = NULL;
	char *name = strtok_r(line, " ", &save);
	char *size = strtok_r(NULL, " ", &save);
	char *refcount = strtok_r(NULL, " ", &save);
	char *used_by = strtok_r(NULL, " ", &save);
	char *status = strtok_r(NULL, " ", &save);
	char *address = strtok_r(NULL, " ", &save);
	char *taint = strtok_r(NULL, " ", &save);
	char path[256];
	long long text;
	size_t length;

	if (!address)
		return;
	length = strlen(used_by);
	if (length && used_by[length - 1] == ',')
		length--;
	if (!strcmp(used_by, "-"))
		length = 0;
	row_begin("kernel_modules");
	row_text("name", name);
	row_number("size", atoll(size));
	row_number("refcount", atoll(refcount));
	row_bytes("used_by", used_by, length);
	row_text("status", status);
	row_unsigned("address", strtoull(address, NULL, 16));
	row_text("taint_raw", taint ? taint : "");
	snprintf(path, sizeof(path), "/sys/module/%s/taint", name);
	row_line("taint", path);
	text = read_number("/sys/module/%s/sections/.text", name);
	if (text == -1)
		row_null("text_address");
	else
		row_unsigned("text_address", (unsigned long long)text);
	row_end();
}

void emit_modules(void)
{
	static char copy[1 << 18];
	struct bytes text;
	char *save = NULL;

	if (!read_file(0, &text, "/proc/modules") || text.size >= sizeof(copy))
		return;
	memcpy(copy, text.data, text.size + 1);
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		emit_module(line);
}

static void row_unescaped(const char *column, char *text)
{
	struct bytes bytes = {text, strlen(text)};

	unescape_octal(&bytes);
	row_bytes(column, bytes.data, bytes.size);
}

static void emit_mount(unsigned long long mount_namespace, pid_t pid, char *line)
{
	/* mount_id parent_id major:minor root path flags [optional]... - type source options */
	char *fields[6], *save = NULL, *optional, *separator = strstr(line, " - ");

	if (!separator)
		return;
	*separator = '\0';
	for (size_t i = 0; i < 6; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return;
	}
	optional = save ? save : separator;
	row_begin("mounts");
	row_unsigned("mount_namespace", mount_namespace);
	row_number("pid", pid);
	row_number("mount_id", atoll(fields[0]));
	row_number("parent_id", atoll(fields[1]));
	row_text("device_number", fields[2]);
	row_unescaped("root", fields[3]);
	row_unescaped("path", fields[4]);
	row_text("flags", fields[5]);
	row_text("propagation", optional);
	/* An empty source leaves two spaces, so these are split by hand. */
	char *type = separator + 3;
	char *source = strchr(type, ' ');
	char *super = source ? strchr(source + 1, ' ') : NULL;

	if (super) {
		*source++ = '\0';
		*super++ = '\0';
		row_unescaped("type", type);
		row_unescaped("device", source);
		row_unescaped("super_options", super);
	}
	row_end();
}

static size_t count_lines(const struct bytes *text)
{
	size_t lines = 0;

	for (size_t i = 0; i < text->size; i++)
		lines += text->data[i] == '\n';
	return lines;
}

/*
 * A process sees the mounts below its own root only, so the one that sees most
 * of them speaks for the namespace.
 */
void emit_mounts(unsigned long long mount_namespace, const pid_t *pids, size_t count)
{
	struct bytes text;
	size_t most = 0;
	pid_t best = 0;
	char *save = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!read_file(0, &text, "/proc/%d/mountinfo", pids[i]))
			continue;
		if (count_lines(&text) > most) {
			most = count_lines(&text);
			best = pids[i];
		}
	}
	if (!best || !read_file(0, &text, "/proc/%d/mountinfo", best))
		return;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		emit_mount(mount_namespace, best, line);
}

static void emit_dmi(void)
{
	struct dirent *entry;
	char path[512], column[300];
	DIR *dir = opendir("/sys/class/dmi/id");

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_REG || !strcmp(entry->d_name, "uevent") ||
		    !strcmp(entry->d_name, "modalias"))
			continue;
		snprintf(path, sizeof(path), "/sys/class/dmi/id/%s", entry->d_name);
		snprintf(column, sizeof(column), "dmi_%s", entry->d_name);
		row_line(column, path);
	}
	if (dir)
		closedir(dir);
}

/* The CPUs of /proc/stat, in milliseconds. */
static void emit_cpus(void)
{
	static const char *const columns[] = {"user", "nice",    "system", "idle",  "iowait",
					      "irq",  "softirq", "steal",  "guest", "guest_nice"};
	long long tick = 1000 / sysconf(_SC_CLK_TCK);
	struct bytes text;
	char *save = NULL;

	if (!read_file(0, &text, "/proc/stat"))
		return;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *at = line + 3;

		if (strncmp(line, "cpu", 3) || line[3] == ' ')
			continue;
		row_begin("cpu_time");
		row_number("core", strtoll(at, &at, 10));
		for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
			row_number(columns[i], strtoll(at, &at, 10) * tick);
		row_end();
	}
}

static void emit_load(void)
{
	static const char *const periods[] = {"1m", "5m", "15m"};
	struct bytes text;
	char *at;

	if (!read_file(0, &text, "/proc/loadavg"))
		return;
	at = text.data;
	for (size_t i = 0; i < 3; i++) {
		row_begin("load_average");
		row_text("period", periods[i]);
		row_real("average", strtod(at, &at));
		row_end();
	}
}

static void emit_memory(void)
{
	static const struct {
		const char *name, *column;
	} lines[] = {
	    {"MemTotal", "memory_total"},
	    {"MemFree", "memory_free"},
	    {"Buffers", "buffers"},
	    {"Cached", "cached"},
	    {"SwapCached", "swap_cached"},
	    {"Active", "active"},
	    {"Inactive", "inactive"},
	    {"SwapTotal", "swap_total"},
	    {"SwapFree", "swap_free"},
	    {"Shmem", "shared"},
	    {"SReclaimable", "slab_reclaimable"},
	};
	struct bytes text;
	char name[64];

	if (!read_file(0, &text, "/proc/meminfo"))
		return;
	row_begin("memory_info");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *at;

		snprintf(name, sizeof(name), "\n%s:", lines[i].name);
		/* MemTotal is the first line. */
		at = i ? strstr(text.data, name) : text.data - 1;
		if (at)
			row_number(lines[i].column, atoll(at + strlen(name)) * 1024);
	}
	row_end();
}

void emit_system(void)
{
	struct utsname name;
	struct bytes text;
	char *at;

	uname(&name);
	row_begin("kernel_info");
	row_text("version", name.release);
	row_line("arguments", "/proc/cmdline");
	row_line("banner", "/proc/version");
	row_end();

	row_begin("system_info");
	row_line("hostname", "/proc/sys/kernel/hostname");
	at = read_file(0, &text, "/proc/cpuinfo") ? strstr(text.data, "model name") : NULL;
	at = at ? strchr(at, ':') : NULL;
	if (at)
		row_bytes("cpu_brand", at + 2, strcspn(at + 2, "\n"));
	else
		row_null("cpu_brand");
	row_number("cpu_logical_cores", sysconf(_SC_NPROCESSORS_ONLN));
	at = read_file(0, &text, "/proc/meminfo") ? strstr(text.data, "MemTotal:") : NULL;
	row_number("physical_memory", at ? atoll(at + 9) * 1024 : -1);
	emit_dmi();
	row_end();

	row_begin("uptime");
	if (read_file(0, &text, "/proc/uptime")) {
		row_real("total_seconds", strtod(text.data, NULL));
		row_real("total_milliseconds", strtod(text.data, NULL) * 1000);
	}
	row_end();
	emit_cpus();
	emit_load();
	emit_memory();
}

/* One record of /dev/kmsg: "priority,seq,microseconds,flags[,...];text\n" and " KEY=value" lines.
 */
static void emit_record(char *record)
{
	unsigned long long priority, sequence, microseconds;
	char *text = strchr(record, ';'), *end;
	int flags = 0;

	if (!text ||
	    sscanf(record, "%llu,%llu,%llu,%n", &priority, &sequence, &microseconds, &flags) != 3)
		return;
	*text++ = '\0';
	end = strchr(text, '\n');
	if (end)
		*end++ = '\0';
	row_begin("kernel_log");
	row_unsigned("facility", priority >> 3);
	row_unsigned("level", priority & 7);
	row_unsigned("seq", sequence);
	row_unsigned("timestamp_us", microseconds);
	row_bytes("flags", record + flags, strcspn(record + flags, ","));
	row_text("message_raw", text);
	struct bytes message = {text, strlen(text)};
	unescape_hex(&message);
	row_bytes("message", message.data, message.size);
	row_text("dictionary_raw", end ? end : "");
	row_end();
}

void emit_kernel_log(void)
{
	static char record[16384];
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	while (fd >= 0) {
		ssize_t size = read(fd, record, sizeof(record) - 1);

		/* EPIPE: records were overwritten; the next read goes on after them. */
		if (size < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (size <= 0)
			break;
		record[size] = '\0';
		emit_record(record);
	}
	if (fd >= 0)
		close(fd);
}

void emit_symbols(void)
{
	struct bytes text;
	char *save = NULL;

	if (!read_file(0, &text, "/proc/kallsyms"))
		return;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		/* Of a module's symbol: its name, a tab, and the module in brackets. */
		char *module = strchr(line, '\t');
		unsigned long long address;
		char type[2] = "";
		int name = 0;

		if (sscanf(line, "%llx %1s %n", &address, type, &name) != 2)
			continue;
		if (module)
			*module++ = '\0';
		row_begin(module ? "module_symbols" : "symbols");
		row_text("name", line + name);
		if (module) {
			module[strcspn(module, "]")] = '\0';
			row_text("module", module + 1);
		}
		row_text("type", type);
		row_unsigned("address", address);
		row_end();
	}
}
