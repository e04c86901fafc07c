/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount/node.h"

#include "core/cleanup.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum node_kind kind;
} top[] = {{"views", NODE_VIEWS},
	   {"proc", NODE_PROCESSES},
	   {"mem", NODE_MEMORY},
	   {"log", NODE_LOG},
	   {"files", NODE_FILE}},
  process[] = {{"cmdline", NODE_CMDLINE},
	       {"environ", NODE_ENVIRON},
	       {"maps", NODE_MAPS},
	       {"status", NODE_STATUS},
	       {"mem", NODE_PROCESS_MEMORY}};

static const struct {
	const char *suffix;
	enum nunchi_output output;
} forms[] = {{".csv", NUNCHI_OUTPUT_CSV}, {".json", NUNCHI_OUTPUT_JSON}};

/* ---- Names of the guest ---------------------------------------------------------------------- */

bool node_escape_name(const char *name, size_t size, char *ret, size_t capacity)
{
	static const char digits[] = "0123456789abcdef";
	bool dots = (size == 1 && name[0] == '.') || (size == 2 && !memcmp(name, "..", 2));
	/* Whether all of it can be shown as it is. */
	bool plain = nunchi_escape(name, size, ret, capacity) == size && size < capacity &&
		     !memcmp(name, ret, size);
	size_t used = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)name[i];

		if (used + 5 > capacity)
			return false;
		if ((plain || (c >= 0x20 && c < 0x7f && c != '\\')) && c != '/' && !dots) {
			ret[used++] = (char)c;
			continue;
		}
		ret[used++] = '\\';
		ret[used++] = 'x';
		ret[used++] = digits[c >> 4];
		ret[used++] = digits[c & 15];
	}
	if (!used || used >= capacity)
		return false;
	ret[used] = '\0';
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A path of ours as the guest has it. False if one of its names has a slash, NUL, or is "..". */
static bool unescape(const char *path, char *ret, size_t capacity)
{
	size_t used = 0, start = 1;

	for (;; path++) {
		int high, low, c = (unsigned char)*path;

		if (!c || c == '/') {
			if (used > start && (!strncmp(ret + start, "..", used - start) ||
					     (used - start == 1 && ret[start] == '.')))
				return false;
			start = used + 1;
		}
		if (c == '\\') {
			high = path[1] == 'x' ? digit(path[2]) : -1;
			low = high >= 0 ? digit(path[3]) : -1;
			if (low < 0)
				return false;
			c = high << 4 | low;
			if (!c || c == '/')
				return false;
			path += 3;
		}
		if (used + 1 >= capacity)
			return false;
		ret[used] = (char)c;
		if (!c)
			return true;
		used++;
	}
}

/* ---- Paths ----------------------------------------------------------------------------------- */

static bool parse_view(const char *name, struct node *ret)
{
	char view[64];
	size_t size = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t end = strlen(forms[i].suffix);

		if (size <= end || size - end >= sizeof(view) ||
		    strcmp(name + size - end, forms[i].suffix))
			continue;
		memcpy(view, name, size - end);
		view[size - end] = '\0';
		ret->kind = NODE_VIEW;
		ret->view = nunchi_view_find(view);
		ret->output = forms[i].output;
		return ret->view;
	}
	return false;
}

static bool parse_process(const char *path, struct node *ret)
{
	const char *p = path;

	ret->kind = NODE_PROCESS;
	if (*p < '1' || *p > '9')
		return false;
	for (ret->pid = 0; *p >= '0' && *p <= '9' && p - path < 10; p++)
		ret->pid = ret->pid * 10 + (uint64_t)(*p - '0');
	if (ret->pid > INT32_MAX)
		return false;
	if (!*p)
		return true;
	if (*p++ != '/')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(process); i++) {
		ret->kind = process[i].kind;
		ret->output = NUNCHI_OUTPUT_LINE;
		if (!strcmp(p, process[i].name))
			return true;
	}
	return false;
}

bool node_parse(const char *path, struct node *ret)
{
	const char *rest;

	*ret = (struct node){.kind = NODE_TOP};
	if (!path[0] || !path[1])
		return true;
	path++;
	for (size_t i = 0; i < ARRAY_SIZE(top); i++) {
		size_t size = strlen(top[i].name);

		if (strncmp(path, top[i].name, size) || (path[size] && path[size] != '/'))
			continue;
		rest = path + size;
		ret->kind = top[i].kind;
		if (ret->kind == NODE_FILE)
			return unescape(*rest ? rest : "/", ret->path, sizeof(ret->path));
		if (!*rest)
			return true;
		if (ret->kind == NODE_VIEWS)
			return parse_view(rest + 1, ret);
		if (ret->kind == NODE_PROCESSES)
			return parse_process(rest + 1, ret);
		ret->kind = NODE_PHYSICAL;
		return top[i].kind == NODE_MEMORY && !strcmp(rest + 1, "physical");
	}
	return false;
}

bool node_is_directory(const struct node *node)
{
	return node->kind == NODE_TOP || node->kind == NODE_VIEWS || node->kind == NODE_MEMORY ||
	       node->kind == NODE_PROCESSES || node->kind == NODE_PROCESS;
}

const char *node_name(const struct node *directory, size_t n, char *buffer, size_t size)
{
	const struct nunchi_view *const *views;
	size_t count;

	switch (directory->kind) {
	case NODE_TOP:
		return n < ARRAY_SIZE(top) ? top[n].name : NULL;
	case NODE_PROCESS:
		return n < ARRAY_SIZE(process) ? process[n].name : NULL;
	case NODE_MEMORY:
		return n ? NULL : "physical";
	case NODE_VIEWS:
		views = nunchi_views(&count);
		if (n / ARRAY_SIZE(forms) >= count)
			return NULL;
		snprintf(buffer, size, "%s%s", views[n / ARRAY_SIZE(forms)]->name,
			 forms[n % ARRAY_SIZE(forms)].suffix);
		return buffer;
	default:
		return NULL;
	}
}

/* ---- Symbolic links -------------------------------------------------------------------------- */

struct link_text {
	char *text;
	size_t used, capacity;
	size_t names; /* behind the ".." at the start */
	bool failed;
};

static void add(struct link_text *link, const char *name)
{
	size_t size = strlen(name);

	if (link->used + size + 2 > link->capacity) {
		link->failed = true;
		return;
	}
	if (link->used)
		link->text[link->used++] = '/';
	memcpy(link->text + link->used, name, size + 1);
	link->used += size;
}

/* Takes the last name away. */
static void drop(struct link_text *link)
{
	while (link->used && link->text[link->used - 1] != '/')
		link->used--;
	link->used -= link->used != 0;
	link->text[link->used] = '\0';
	link->names--;
}

bool node_convert_link(const char *target, size_t size, unsigned depth, char *ret, size_t capacity)
{
	struct link_text link = {.text = ret, .capacity = capacity};
	const char *end = target + size;
	char name[PATH_MAX];
	unsigned up = 0;

	if (!size || !capacity)
		return false;
	*ret = '\0';
	for (; *target == '/' && up < depth; up++)
		add(&link, "..");
	while (target < end && !link.failed) {
		const char *slash = memchr(target, '/', (size_t)(end - target));
		size_t length = (size_t)((slash ? slash : end) - target);

		if (length == 2 && !memcmp(target, "..", 2)) {
			if (link.names) {
				drop(&link);
			} else if (up < depth) {
				add(&link, "..");
				up++;
			}
		} else if (length && !(length == 1 && *target == '.')) {
			if (!node_escape_name(target, length, name, sizeof(name)))
				return false;
			add(&link, name);
			link.names++;
		}
		target += length + (slash != NULL);
	}
	if (!link.used)
		add(&link, ".");
	return !link.failed;
}
