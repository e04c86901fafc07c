/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is booted from: the files in /boot and their ages, and how to get in without a screen. */
#include "doctor/facts/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_time(struct tree *tree, struct facts *facts, enum fact_key key, const char *path)
{
	const struct tree_entry *time = tree_get(tree, TREE_TIME, path);

	if (time->text)
		facts_add(facts, key, path, 0, "%s %.*s", path, (int)strcspn(time->text, "\n"),
			  time->text);
	else
		host_unknown(facts, key, time);
}

/* Names that initramfs-tools and dracut give. */
static bool is_initramfs(const struct line *line)
{
	return (line->size > 11 && !memcmp(line->text, "initrd.img-", 11)) ||
	       (line->size > 10 && !memcmp(line->text, "initramfs-", 10));
}

static bool is_xen(const struct line *line)
{
	return line->size > 4 && !memcmp(line->text, "xen-", 4) &&
	       memmem(line->text, line->size, ".gz", 3) &&
	       !memmem(line->text, line->size, "config", 6);
}

static void collect_files(struct tree *tree, struct facts *facts, const struct tree_entry *boot)
{
	struct line line = {0};

	while (host_next_line(boot, &line)) {
		char path[300];

		if (line.size > 250)
			continue;
		snprintf(path, sizeof(path), "/boot/%.*s", (int)line.size, line.text);
		if (is_initramfs(&line))
			add_time(tree, facts, FACT_INITRAMFS, path);
		if (is_xen(&line))
			facts_add(facts, FACT_XEN_INSTALLED, boot->name, line.number, "%s", path);
	}
	if (!facts_find(facts, FACT_XEN_INSTALLED))
		facts_add(facts, FACT_XEN_INSTALLED, boot->name, 0, "none");
}

static void collect_ssh(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *folder = tree_get(tree, TREE_LIST, "/usr/sbin");
	struct line line = {0};

	if (!folder->text) {
		host_unknown(facts, FACT_SSH, folder);
		return;
	}
	while (host_next_line(folder, &line))
		if ((line.size == 4 && !memcmp(line.text, "sshd", 4)) ||
		    (line.size == 8 && !memcmp(line.text, "dropbear", 8))) {
			facts_add(facts, FACT_SSH, folder->name, 0, "yes");
			return;
		}
	facts_add(facts, FACT_SSH, folder->name, 0, "no");
}

void host_collect_boot(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *boot = tree_get(tree, TREE_LIST, "/boot");

	if (boot->text)
		collect_files(tree, facts, boot);
	else
		host_unknown(facts, FACT_XEN_INSTALLED, boot);
	add_time(tree, facts, FACT_GRUB_CFG, "/boot/grub/grub.cfg");
	collect_ssh(tree, facts);
}
