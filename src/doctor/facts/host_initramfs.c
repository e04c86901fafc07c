/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the booted kernel's initramfs holds, and which packages are installed. */
#include "doctor/facts/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What initramfs-tools, dracut and SUSE call it. */
static const char *const forms[][2] = {
    {"initrd.img-", ""}, {"initramfs-", ".img"}, {"initrd-", ""}};

/* Its path; false if that kernel has none in /boot. */
static bool find_initramfs(const struct tree_entry *boot, const char *release, char *path,
			   size_t capacity)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		snprintf(path, capacity, "/boot/%s%s%s", forms[i][0], release, forms[i][1]);
		if (host_lists(boot, path + strlen("/boot/")))
			return true;
	}
	return false;
}

bool host_initramfs_has(const struct tree_entry *initramfs, const char *module)
{
	size_t size = strlen(module);
	struct line line = {0};

	while (host_next_line(initramfs, &line))
		if (line.size == size + 7 && !memcmp(line.text, "module ", 7) &&
		    !memcmp(line.text + 7, module, size))
			return true;
	return false;
}

static void add_modules(struct facts *facts, const struct tree_entry *initramfs)
{
	static const char *const drivers[] = {"i915",   "xe",     "nouveau",
					      "nvidia", "amdgpu", "radeon"};
	char found[128] = "-";
	unsigned count = 0;
	struct line line = {0};
	size_t at = 0;

	while (host_next_line(initramfs, &line))
		count += line.size > 7 && !memcmp(line.text, "module ", 7);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (host_initramfs_has(initramfs, drivers[i]))
			at += (size_t)snprintf(found + at, sizeof(found) - at, "%s%s",
					       at ? "," : "", drivers[i]);
	facts_add(facts, FACT_INITRAMFS_MODULES, initramfs->name, 0, "%u %s", count, found);
}

static void collect_initramfs(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *boot = tree_get(tree, TREE_LIST, "/boot"), *initramfs;
	char release[256], path[300];

	if (!boot->text) {
		host_unknown(facts, FACT_INITRAMFS_MODULES, boot);
	} else if (!host_release(tree, facts, release, sizeof(release))) {
		facts_add_unknown(facts, FACT_INITRAMFS_MODULES, boot->name,
				  "which kernel is booted is not known");
	} else if (!find_initramfs(boot, release, path, sizeof(path))) {
		facts_add_unknown(facts, FACT_INITRAMFS_MODULES, boot->name,
				  "there is none of the kernel %s", release);
	} else {
		initramfs = tree_get(tree, TREE_INITRAMFS, path);
		if (initramfs->text)
			add_modules(facts, initramfs);
		else
			host_unknown(facts, FACT_INITRAMFS_MODULES, initramfs);
	}
}

static void collect_packages(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *status = tree_get(tree, TREE_PACKAGES, "/var/lib/dpkg/status");
	struct line line = {0};

	if (!status->text)
		host_unknown(facts, FACT_PACKAGE, status);
	while (host_next_line(status, &line) && line.number <= 512)
		facts_add(facts, FACT_PACKAGE, status->name, 0, "%.*s",
			  (int)(line.size < 256 ? line.size : 256), line.text);
}

void host_collect_software(struct tree *tree, struct facts *facts)
{
	collect_initramfs(tree, facts);
	collect_packages(tree, facts);
}

/* "modprobe PATH:LINE TEXT" */
static void add_line(struct settings *settings, const struct tree_entry *initramfs,
		     const struct line *line)
{
	char text[2048], source[600], *place = text + 9, *colon, *words;
	struct setting_origin origin = {.place = PLACE_INITRAMFS, .source = source};

	if (line->size < 10 || line->size >= sizeof(text) || memcmp(line->text, "modprobe ", 9))
		return;
	snprintf(text, sizeof(text), "%.*s", (int)line->size, line->text);
	words = strchr(place, ' ');
	if (!words)
		return;
	*words++ = '\0';
	colon = strrchr(place, ':');
	if (!colon)
		return;
	*colon++ = '\0';
	snprintf(source, sizeof(source), "%.300s (%.250s)", initramfs->name, place);
	origin.file = place;
	origin.quote = words;
	origin.line = strtoull(colon, NULL, 10);
	settings_add_modprobe(settings, &origin, words, strlen(words));
}

const struct tree_entry *host_initramfs(struct tree *tree, const struct facts *facts)
{
	const struct fact *fact = facts_find(facts, FACT_INITRAMFS_MODULES);

	return fact && fact->known ? tree_get(tree, TREE_INITRAMFS, fact->source) : NULL;
}

void host_collect_initramfs_settings(struct tree *tree, const struct facts *facts,
				     struct settings *settings)
{
	const struct tree_entry *initramfs = host_initramfs(tree, facts);
	struct line line = {0};

	while (initramfs && host_next_line(initramfs, &line))
		add_line(settings, initramfs, &line);
}
