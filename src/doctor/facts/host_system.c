/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel, its configuration, and what it runs on; firmware and Secure Boot. */
#include "doctor/facts/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a kernel needs to be Xen's dom0 (linux/arch/x86/xen/Kconfig, drivers/xen/Kconfig). */
static const char *const needed[] = {
    "XEN_DOM0",   "XEN_PV",      "XEN_PRIVCMD",        "XENFS",       "XEN_DEV_EVTCHN",
    "XEN_GNTDEV", "XEN_BACKEND", "XEN_SYS_HYPERVISOR", "SWIOTLB_XEN", "XEN_EFI"};

static void collect_config(struct tree *tree, struct facts *facts, const char *release)
{
	const struct tree_entry *config;
	char name[300];

	snprintf(name, sizeof(name), "/boot/config-%s", release);
	config = tree_get(tree, TREE_FILE, name);
	if (!config->text) {
		host_unknown(facts, FACT_KERNEL_CONFIG_MISSING, config);
		return;
	}
	if (!strstr(config->text, "CONFIG_")) {
		facts_add_unknown(facts, FACT_KERNEL_CONFIG_MISSING, name, "it has no options");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		char yes[64], module[64];

		snprintf(yes, sizeof(yes), "CONFIG_%s=y\n", needed[i]);
		snprintf(module, sizeof(module), "CONFIG_%s=m\n", needed[i]);
		if (!strstr(config->text, yes) && !strstr(config->text, module))
			facts_add(facts, FACT_KERNEL_CONFIG_MISSING, config->name, 0, "CONFIG_%s",
				  needed[i]);
	}
}

/* A root that does not run has its newest kernel's configuration looked at. */
static void collect_kernel(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *probe = tree_get(tree, TREE_PROBE, "release");
	const struct tree_entry *boot;
	struct line line = {0};
	char release[256] = "";

	if (probe->text) {
		snprintf(release, sizeof(release), "%.*s", (int)strcspn(probe->text, "\n"),
			 probe->text);
		facts_add(facts, FACT_KERNEL, "uname", 0, "%s", release);
		collect_config(tree, facts, release);
		return;
	}
	host_unknown(facts, FACT_KERNEL, probe);
	boot = tree_get(tree, TREE_LIST, "/boot");
	while (host_next_line(boot, &line))
		if (line.size > 7 && line.size < 200 && !memcmp(line.text, "config-", 7))
			snprintf(release, sizeof(release), "%.*s", (int)line.size - 7,
				 line.text + 7);
	if (*release)
		collect_config(tree, facts, release);
	else
		facts_add_unknown(facts, FACT_KERNEL_CONFIG_MISSING, "/boot",
				  "no configuration of a kernel is there");
}

/* XENFEAT_dom0 of xen/include/public/features.h. */
#define FEATURE_DOM0 ((unsigned long)1 << 11)

/* /sys/hypervisor/type, /proc/xen/capabilities (linux/drivers/xen/sys-hypervisor.c, xenfs). */
static void collect_hypervisor(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *type = tree_get(tree, TREE_FILE, "/sys/hypervisor/type");
	const struct tree_entry *caps = tree_get(tree, TREE_FILE, "/proc/xen/capabilities");
	const struct tree_entry *cpuinfo = tree_get(tree, TREE_FILE, "/proc/cpuinfo");

	if (type->text && !strncmp(type->text, "xen", 3)) {
		/* Where xenfs is not mounted, what Xen told the kernel. */
		const struct tree_entry *features =
		    caps->text ? caps
			       : tree_get(tree, TREE_FILE, "/sys/hypervisor/properties/features");
		bool control =
		    caps->text ? strstr(caps->text, "control_d") != NULL
			       : features->text && strtoul(features->text, NULL, 16) & FEATURE_DOM0;

		facts_add(facts, FACT_HYPERVISOR, control ? features->name : type->name, 1, "%s",
			  control ? "xen-dom0" : "xen-domu");
		facts_add(facts, FACT_XEN_CONTROL, features->name, 1, "%s", control ? "yes" : "no");
	} else if (!cpuinfo->text) {
		host_unknown(facts, FACT_HYPERVISOR, cpuinfo);
	} else {
		facts_add(facts, FACT_HYPERVISOR, cpuinfo->name, 0, "%s",
			  strstr(cpuinfo->text, " hypervisor") ? "vm" : "none");
	}
}

/* "ID_LIKE" names the distributions that one is made from. */
static void collect_family(const struct tree_entry *os, struct facts *facts)
{
	static const char *const families[][4] = {{"debian", "debian", "ubuntu", NULL},
						  {"fedora", "fedora", "rhel", "centos"},
						  {"suse", "suse", "sles", NULL},
						  {"arch", "arch", NULL, NULL}};
	char ids[600], id[256] = "", like[256] = "";
	const char *family = "other";
	unsigned line;

	if (!host_field(os, "ID", id, sizeof(id), &line) && !os->text) {
		host_unknown(facts, FACT_OS_FAMILY, os);
		return;
	}
	host_field(os, "ID_LIKE", like, sizeof(like), &line);
	snprintf(ids, sizeof(ids), "%s %s", id, like);
	for (size_t i = ARRAY_SIZE(families); i-- > 0;)
		for (size_t j = 1; j < 4 && families[i][j]; j++)
			if (strstr(ids, families[i][j]))
				family = families[i][0];
	facts_add(facts, FACT_OS_FAMILY, os->name, 0, "%s", family);
}

void host_collect_system(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *meminfo = tree_get(tree, TREE_FILE, "/proc/meminfo");
	const struct tree_entry *cmdline = tree_get(tree, TREE_FILE, "/proc/cmdline");
	const struct tree_entry *os = tree_get(tree, TREE_FILE, "/etc/os-release");
	char value[256];
	unsigned line;

	if (host_field(os, "PRETTY_NAME", value, sizeof(value), &line))
		facts_add(facts, FACT_OS, os->name, line, "%s", value);
	else
		host_unknown(facts, FACT_OS, os);
	collect_family(os, facts);
	if (host_field(meminfo, "MemTotal", value, sizeof(value), &line))
		facts_add(facts, FACT_MEMORY_KB, meminfo->name, line, "%llu",
			  strtoull(value, NULL, 10));
	else
		host_unknown(facts, FACT_MEMORY_KB, meminfo);
	if (cmdline->text)
		facts_add(facts, FACT_KERNEL_CMDLINE, cmdline->name, 1, "%.*s",
			  (int)strcspn(cmdline->text, "\n"), cmdline->text);
	else
		host_unknown(facts, FACT_KERNEL_CMDLINE, cmdline);
	collect_kernel(tree, facts);
	collect_hypervisor(tree, facts);
}

/* The variable's value is its fifth byte: four of attributes stand before (UEFI 2.10, 8.2). */
static void collect_secure_boot(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *variable =
	    tree_get(tree, TREE_FILE,
		     "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");

	if (variable->text && variable->size >= 5)
		facts_add(facts, FACT_SECURE_BOOT, variable->name, 0, "%s",
			  variable->text[4] == 1 ? "on" : "off");
	else
		host_unknown(facts, FACT_SECURE_BOOT, variable);
}

static unsigned count_lines(const struct tree_entry *entry)
{
	struct line line = {0};

	while (host_next_line(entry, &line))
		;
	return line.number;
}

void host_collect_firmware(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *efi = tree_get(tree, TREE_LIST, "/sys/firmware/efi");
	const struct tree_entry *tables = tree_get(tree, TREE_LIST, "/sys/firmware/acpi/tables");
	const struct tree_entry *units = tree_get(tree, TREE_LIST, "/sys/class/iommu");
	bool sysfs = tree_get(tree, TREE_LIST, "/sys/class")->text;

	if (!sysfs) {
		facts_add_unknown(facts, FACT_EFI, efi->name, "%s", tree_why(efi));
	} else {
		facts_add(facts, FACT_EFI, efi->name, 0, "%s", efi->text ? "yes" : "no");
		if (efi->text)
			collect_secure_boot(tree, facts);
		else
			facts_add(facts, FACT_SECURE_BOOT, efi->name, 0, "off");
	}
	if (tables->text)
		facts_add(facts, FACT_IOMMU_TABLE, tables->name, 0, "%s",
			  strstr(tables->text, "DMAR\n")   ? "DMAR"
			  : strstr(tables->text, "IVRS\n") ? "IVRS"
							   : "none");
	else
		host_unknown(facts, FACT_IOMMU_TABLE, tables);
	if (units->text)
		facts_add(facts, FACT_IOMMU_ACTIVE, units->name, 0, "%u", count_lines(units));
	else
		host_unknown(facts, FACT_IOMMU_ACTIVE, units);
}
