/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/host.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void host_unknown(struct facts *facts, enum fact_key key, const struct tree_entry *entry)
{
	facts_add_unknown(facts, key, entry->name, "%s", tree_why(entry));
}

bool host_release(struct tree *tree, const struct facts *facts, char *release, size_t capacity)
{
	const char *running = facts_value(facts, FACT_KERNEL);
	struct line line = {0};
	bool found = running;

	if (running)
		snprintf(release, capacity, "%s", running);
	else
		while (host_next_line(tree_get(tree, TREE_LIST, "/lib/modules"), &line)) {
			snprintf(release, capacity, "%.*s", (int)line.size, line.text);
			found = true;
		}
	return found;
}

bool host_next_line(const struct tree_entry *entry, struct line *line)
{
	const char *at, *end, *stop;

	if (!entry->text)
		return false;
	at = line->number ? line->text + line->size + 1 : entry->text;
	end = entry->text + entry->size;
	if (at >= end)
		return false;
	stop = memchr(at, '\n', (size_t)(end - at));
	line->text = at;
	line->size = (size_t)((stop ? stop : end) - at);
	line->number++;
	return true;
}

bool host_lists(const struct tree_entry *list, const char *name)
{
	struct line line = {0};

	while (host_next_line(list, &line))
		if (line.size == strlen(name) && !memcmp(line.text, name, line.size))
			return true;
	return false;
}

bool host_field(const struct tree_entry *entry, const char *name, char *value, size_t capacity,
		unsigned *ret_line)
{
	size_t length = strlen(name);
	struct line line = {0};

	while (host_next_line(entry, &line)) {
		const char *at = line.text + length, *end = line.text + line.size;

		if (line.size <= length || memcmp(line.text, name, length))
			continue;
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		if (at == end || (*at != ':' && *at != '='))
			continue;
		for (at++; at < end && isspace((unsigned char)*at); at++)
			;
		while (end > at && isspace((unsigned char)end[-1]))
			end--;
		snprintf(value, capacity, "%.*s", (int)(end - at > 65535 ? 65535 : end - at), at);
		*ret_line = line.number;
		return true;
	}
	return false;
}

void host_collect(struct tree *tree, struct facts *facts)
{
	host_collect_system(tree, facts);
	host_collect_cpu(tree, facts);
	host_collect_firmware(tree, facts);
	host_collect_display(tree, facts);
	host_collect_boot(tree, facts);
	host_collect_software(tree, facts);
	host_collect_grub(tree, facts);
	host_collect_xen(tree, facts);
	host_collect_kvm(tree, facts);
}
