/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oracle.h"

static char *output;
static size_t output_size, output_room;
static bool first_column;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void put(const char *data, size_t size)
{
	if (output_size + size > output_room) {
		output_room = (output_room + size) * 2 + (1 << 20);
		output = realloc(output, output_room);
		if (!output)
			die("oracle: memory");
	}
	memcpy(output + output_size, data, size);
	output_size += size;
}

static void put_text(const char *text)
{
	put(text, strlen(text));
}

static void column_begin(const char *column)
{
	put_text(first_column ? "\"" : ",\"");
	first_column = false;
	put_text(column);
	put_text("\":");
}

/* Length of the valid UTF-8 sequence at DATA, 0 if there is none. */
static size_t utf8_length(const unsigned char *data, size_t size)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (data[0] < 0x80)
		return 1;
	if (data[0] >= 0xc2 && data[0] <= 0xdf)
		length = 2;
	else if ((data[0] & 0xf0) == 0xe0)
		length = 3;
	else if (data[0] >= 0xf0 && data[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (data[0] == 0xe0)
		low = 0xa0;
	else if (data[0] == 0xed)
		high = 0x9f;
	else if (data[0] == 0xf0)
		low = 0x90;
	else if (data[0] == 0xf4)
		high = 0x8f;
	if (size < length || data[1] < low || data[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((data[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static void put_string(const char *text, size_t size)
{
	const unsigned char *data = (const unsigned char *)text;
	char escape[16];
	size_t at = 0;

	put_text("\"");
	while (at < size) {
		size_t length = utf8_length(data + at, size - at);
		unsigned char c = data[at];

		if (length == 0)
			snprintf(escape, sizeof(escape), "\\udc%02x", c);
		else if (c < 0x20 || c == 0x7f)
			snprintf(escape, sizeof(escape), "\\u%04x", c);
		else if (c == '"' || c == '\\')
			snprintf(escape, sizeof(escape), "\\%c", c);
		else
			escape[0] = '\0';
		if (escape[0])
			put_text(escape);
		else
			put(text + at, length);
		at += length ? length : 1;
	}
	put_text("\"");
}

void row_begin(const char *view)
{
	first_column = true;
	put_text("{");
	row_text("view", view);
}

void row_number(const char *column, long long value)
{
	char number[32];

	column_begin(column);
	put(number, (size_t)snprintf(number, sizeof(number), "%lld", value));
}

void row_unsigned(const char *column, unsigned long long value)
{
	char number[32];

	column_begin(column);
	put(number, (size_t)snprintf(number, sizeof(number), "%llu", value));
}

void row_real(const char *column, double value)
{
	char number[64];

	column_begin(column);
	put(number, (size_t)snprintf(number, sizeof(number), "%.9f", value));
}

void row_null(const char *column)
{
	column_begin(column);
	put_text("null");
}

void row_bytes(const char *column, const char *data, size_t size)
{
	column_begin(column);
	put_string(data, size);
}

void row_text(const char *column, const char *text)
{
	row_bytes(column, text, strlen(text));
}

void row_strings(const char *column, const char *data, size_t size)
{
	size_t at = 0;

	column_begin(column);
	put_text("[");
	while (at < size) {
		size_t length = strnlen(data + at, size - at);

		if (at)
			put_text(",");
		put_string(data + at, length);
		at += length + 1;
	}
	put_text("]");
}

void row_end(void)
{
	put_text("}\n");
}

static int write_all(int fd)
{
	size_t at = 0;

	while (at < output_size) {
		ssize_t done = write(fd, output + at, output_size - at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return 1;
		at += (size_t)done;
	}
	return 0;
}

int output_flush(bool compress)
{
	int pipes[2], status, failed;
	pid_t child;

	if (!compress)
		return write_all(STDOUT_FILENO);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		die("oracle: pipe");
	child = fork();
	if (child < 0)
		die("oracle: fork");
	if (child == 0) {
		dup2(pipes[0], STDIN_FILENO);
		execlp("gzip", "gzip", "-1", (char *)NULL);
		_exit(127);
	}
	close(pipes[0]);
	failed = write_all(pipes[1]);
	close(pipes[1]);
	if (waitpid(child, &status, 0) != child || status != 0)
		return 1;
	return failed;
}

static struct {
	char *data;
	size_t room;
} slots[4];

bool read_file(int slot, struct bytes *ret, const char *format, ...)
{
	char path[512];
	size_t size = 0;
	va_list args;
	int fd;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	for (;;) {
		ssize_t got;

		if (slots[slot].room < size + 65537) {
			slots[slot].room = slots[slot].room * 2 + (1 << 17);
			slots[slot].data = realloc(slots[slot].data, slots[slot].room);
			if (!slots[slot].data)
				die("oracle: memory");
		}
		got = read(fd, slots[slot].data + size, 65536);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			close(fd);
			return false;
		}
		if (got == 0)
			break;
		size += (size_t)got;
	}
	close(fd);
	slots[slot].data[size] = '\0';
	ret->data = slots[slot].data;
	ret->size = size;
	return true;
}

bool read_link(struct bytes *ret, const char *format, ...)
{
	static char target[8192];
	char path[512];
	ssize_t size;
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	size = readlink(path, target, sizeof(target) - 1);
	if (size < 0)
		return false;
	target[size] = '\0';
	ret->data = target;
	ret->size = (size_t)size;
	return true;
}

long long read_number(const char *format, ...)
{
	char path[512];
	struct bytes text;
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (!read_file(3, &text, "%s", path) || text.size == 0)
		return -1;
	return strtoll(text.data, NULL, 0);
}

ssize_t list_numbers(long **ret, const char *format, ...)
{
	char path[512];
	size_t count = 0, room = 0;
	long *list = NULL;
	struct dirent *entry;
	va_list args;
	DIR *dir;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (count == room) {
			room = room * 2 + 64;
			list = realloc(list, room * sizeof(*list));
			if (!list)
				die("oracle: memory");
		}
		list[count++] = atol(entry->d_name);
	}
	closedir(dir);
	*ret = list;
	return (ssize_t)count;
}

static int octal(const char *text)
{
	int value = 0;

	for (int i = 0; i < 3; i++) {
		if (text[i] < '0' || text[i] > '7')
			return -1;
		value = value * 8 + (text[i] - '0');
	}
	return value;
}

void unescape_octal(struct bytes *text)
{
	size_t to = 0;

	for (size_t at = 0; at < text->size; at++) {
		int value = -1;

		if (text->data[at] == '\\' && at + 3 < text->size)
			value = octal(text->data + at + 1);
		text->data[to++] = value < 0 ? text->data[at] : (char)value;
		if (value >= 0)
			at += 3;
	}
	text->size = to;
	text->data[to] = '\0';
}

void unescape_hex(struct bytes *text)
{
	size_t to = 0;

	for (size_t at = 0; at < text->size; at++) {
		unsigned int value;

		if (text->data[at] == '\\' && at + 3 < text->size &&
		    sscanf(text->data + at, "\\x%2x", &value) == 1) {
			text->data[to++] = (char)value;
			at += 3;
		} else {
			text->data[to++] = text->data[at];
		}
	}
	text->size = to;
	text->data[to] = '\0';
}
