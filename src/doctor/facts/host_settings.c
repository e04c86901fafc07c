/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options given: modprobe.d, GRUB's variables, and the running command lines. */
#include "doctor/facts/host.h"

#include <stdio.h>
#include <string.h>

static void collect_modprobe(struct tree *tree, struct settings *settings, const char *path)
{
	const struct tree_entry *file = tree_get(tree, TREE_FILE, path);
	struct line line = {0};

	while (host_next_line(file, &line)) {
		char quote[256];
		struct setting_origin origin = {.place = PLACE_MODPROBE,
						.file = path,
						.source = path,
						.quote = quote,
						.line = line.number};

		snprintf(quote, sizeof(quote), "%.*s", (int)(line.size < 255 ? line.size : 255),
			 line.text);
		settings_add_modprobe(settings, &origin, line.text, line.size);
	}
}

static void collect_folder(struct tree *tree, struct settings *settings, const char *folder)
{
	const struct tree_entry *list = tree_get(tree, TREE_LIST, folder);
	struct line line = {0};

	while (host_next_line(list, &line) && line.number <= 256) {
		char path[400];

		if (line.size < 6 || line.size > 250 ||
		    memcmp(line.text + line.size - 5, ".conf", 5))
			continue;
		snprintf(path, sizeof(path), "%s/%.*s", folder, (int)line.size, line.text);
		collect_modprobe(tree, settings, path);
	}
}

static void collect_words(struct settings *settings, const struct fact *fact, enum place place)
{
	struct setting_origin origin = {.place = place};

	if (!fact || !fact->known)
		return;
	origin.source = fact->source;
	origin.line = fact->line;
	origin.quote = fact->value;
	settings_add_words(settings, &origin, fact->value, strlen(fact->value));
}

void host_collect_settings(struct tree *tree, const struct facts *facts, struct settings *settings)
{
	/* What distributions bring is in /lib/modprobe.d; nobody changed that. */
	collect_folder(tree, settings, "/etc/modprobe.d");
	host_collect_grub_settings(tree, settings);
	host_collect_initramfs_settings(tree, facts, settings);
	collect_words(settings, facts_find(facts, FACT_KERNEL_CMDLINE), PLACE_RUNNING);
	collect_words(settings, facts_find(facts, FACT_XEN_CMDLINE), PLACE_XEN);
}
