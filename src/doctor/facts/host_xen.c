/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xen as dom0 sees it: `xl info`, devices, daemons, and the guests' configurations. */
#include "doctor/facts/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void collect_info(struct tree *tree, struct facts *facts)
{
	/* Names as xl prints them (xen/tools/xl/xl_info.c). */
	static const struct {
		enum fact_key key;
		const char *name;
	} fields[] = {{FACT_XEN_VERSION, "xen_version"},
		      {FACT_XEN_CMDLINE, "xen_commandline"},
		      {FACT_XEN_CAPS, "virt_caps"},
		      {FACT_XEN_FREE_MB, "free_memory"}};
	const struct tree_entry *info = tree_get(tree, TREE_COMMAND, "xl info");

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char value[4096];
		unsigned line;

		if (!info->text)
			host_unknown(facts, fields[i].key, info);
		else if (host_field(info, fields[i].name, value, sizeof(value), &line))
			facts_add(facts, fields[i].key, info->name, line, "%s", value);
		else
			facts_add_unknown(facts, fields[i].key, info->name, "it does not say %s",
					  fields[i].name);
	}
}

static void collect_xsm(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *mode = tree_get(tree, TREE_COMMAND, "xl getenforce");

	if (mode->text)
		facts_add(facts, FACT_XEN_XSM, mode->name, 1, "%s",
			  strstr(mode->text, "Enforcing") ? "on" : "off");
	else
		host_unknown(facts, FACT_XEN_XSM, mode);
}

static void collect_devices(struct tree *tree, struct facts *facts)
{
	static const char *const devices[] = {"privcmd", "evtchn", "gntdev", "xenbus"};
	const struct tree_entry *folder = tree_get(tree, TREE_LIST, "/dev/xen");
	/* xenfs has two of them under the same names, which nunchi and Xen's libraries take as
	 * well. */
	const struct tree_entry *xenfs = tree_get(tree, TREE_LIST, "/proc/xen");

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		bool there = host_lists(folder, devices[i]);
		bool old = !there && host_lists(xenfs, devices[i]);

		facts_add(facts, FACT_XEN_DEVICE, old ? xenfs->name : folder->name, 0, "%s %s",
			  devices[i], there || old ? "yes" : "no");
	}
}

/* xen-init-dom0 gives dom0 its name in the store; before, xl lists it as "(null)". */
static void collect_init(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *list = tree_get(tree, TREE_COMMAND, "xl list");

	if (list->text)
		facts_add(facts, FACT_XEN_DAEMON, list->name, 0, "xen-init-dom0 %s",
			  strstr(list->text, "\nDomain-0 ") ? "yes" : "no");
	else
		host_unknown(facts, FACT_XEN_DAEMON, list);
}

/*
 * Whether xenstored answers: xl connects to it before it lists the domains, and waits without end
 * for one that does not answer (xen/tools/libs/light/libxl.c libxl_ctx_alloc()). That xl fails
 * tells nothing where we may not make hypercalls. False if it could not be found out: a xenstored
 * that died leaves its files in /run.
 */
static bool collect_xenstored(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *list = tree_get(tree, TREE_COMMAND, "xl list");
	const struct tree_entry *privcmd = tree_get(tree, TREE_PROBE, "open-privcmd");
	bool failed = list->errnum == ETIMEDOUT || (list->errnum == EIO && privcmd->text);

	if (list->text || failed)
		facts_add(facts, FACT_XEN_DAEMON, list->name, 0, "xenstored %s",
			  failed ? "no" : "yes");
	return list->text || failed;
}

/* By the files they leave in /run: their names are Debian's and of Xen's own build alike. */
static void collect_daemons(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *folder = tree_get(tree, TREE_LIST, "/run/xen");
	const struct tree_entry *run = tree_get(tree, TREE_LIST, "/run");

	if (!run->text) {
		host_unknown(facts, FACT_XEN_DAEMON, run);
		return;
	}
	if (!collect_xenstored(tree, facts))
		facts_add(facts, FACT_XEN_DAEMON, folder->name, 0, "xenstored %s",
			  host_lists(folder, "xenstored.pid") || host_lists(run, "xenstored.pid") ||
				  host_lists(run, "xenstored")
			      ? "yes"
			      : "no");
	facts_add(facts, FACT_XEN_DAEMON, folder->name, 0, "xenconsoled %s",
		  host_lists(folder, "xenconsoled.pid") || host_lists(run, "xenconsoled.pid")
		      ? "yes"
		      : "no");
}

/* The value without quotes of a guest's configuration (xl.cfg(5)); "-" if it is not there. */
static void option(const struct tree_entry *config, const char *name, char *value, size_t capacity)
{
	unsigned line;
	char text[256];
	size_t at = 0;

	snprintf(value, capacity, "-");
	if (!host_field(config, name, text, sizeof(text), &line))
		return;
	for (const char *c = text; *c && *c != '#' && at + 1 < capacity; c++)
		if (!strchr("\"' \t[]", *c))
			value[at++] = *c;
	if (at)
		value[at] = '\0';
}

/* Whether a domain of that name runs: the first column of `xl list` (xen/tools/xl/xl_info.c). */
static const char *runs(struct tree *tree, const struct facts *facts, const char *name)
{
	const struct tree_entry *list;
	struct line line = {0};

	if (!facts_is(facts, FACT_HYPERVISOR, "xen-dom0"))
		return "no";
	list = tree_get(tree, TREE_COMMAND, "xl list");
	if (!list->text)
		return "unknown";
	while (host_next_line(list, &line))
		if (line.size > strlen(name) && !memcmp(line.text, name, strlen(name)) &&
		    line.text[strlen(name)] == ' ')
			return "yes";
	return "no";
}

static void collect_guest(struct tree *tree, struct facts *facts, const char *path)
{
	const struct tree_entry *config = tree_get(tree, TREE_FILE, path);
	char type[16], builder[16], altp2m[16], pci[64], memory[16], name[128];

	if (!config->text) {
		host_unknown(facts, FACT_XEN_GUEST, config);
		return;
	}
	option(config, "type", type, sizeof(type));
	option(config, "builder", builder, sizeof(builder));
	option(config, "altp2m", altp2m, sizeof(altp2m));
	option(config, "pci", pci, sizeof(pci));
	option(config, "memory", memory, sizeof(memory));
	option(config, "name", name, sizeof(name));
	/* Without either, xl makes a PV guest. */
	facts_add(facts, FACT_XEN_GUEST, path, 0, "%s %s %s %s %s",
		  strcmp(type, "-")      ? type
		  : strcmp(builder, "-") ? builder
					 : "pv",
		  altp2m, *pci && strcmp(pci, "-") ? "pci" : "-", memory, runs(tree, facts, name));
}

static void collect_guests(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *folder = tree_get(tree, TREE_LIST, "/etc/xen");
	struct line line = {0};

	while (host_next_line(folder, &line) && line.number <= 256) {
		char path[300];

		/* xl.conf is xl's own, xlexample… are documentation. */
		if (line.size < 5 || line.size > 250 ||
		    memcmp(line.text + line.size - 4, ".cfg", 4))
			continue;
		snprintf(path, sizeof(path), "/etc/xen/%.*s", (int)line.size, line.text);
		collect_guest(tree, facts, path);
	}
}

void host_collect_xen(struct tree *tree, struct facts *facts)
{
	collect_guests(tree, facts);
	/* Xen's tools say nothing elsewhere but that they cannot. */
	if (facts_value(facts, FACT_HYPERVISOR) && !facts_is(facts, FACT_HYPERVISOR, "xen-dom0"))
		return;
	collect_info(tree, facts);
	collect_xsm(tree, facts);
	collect_devices(tree, facts);
	collect_daemons(tree, facts);
	collect_init(tree, facts);
}
