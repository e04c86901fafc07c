/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Graphics devices, their drivers, connectors and backlights, out of sysfs. */
#include "doctor/facts/host.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A short attribute of sysfs, trimmed; false if it is not there. */
static bool attribute(struct tree *tree, char *value, size_t capacity, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool attribute(struct tree *tree, char *value, size_t capacity, const char *format, ...)
{
	const char *text;
	char path[512];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	text = tree_text(tree, TREE_FILE, path);
	if (!text)
		return false;
	snprintf(value, capacity, "%.*s", (int)strcspn(text, "\n"), text);
	return true;
}

/* The last part of what a link says, or "-". */
static void link_name(struct tree *tree, const char *path, char *value, size_t capacity)
{
	const char *text = tree_text(tree, TREE_LINK, path);
	const char *slash = text ? strrchr(text, '/') : NULL;

	snprintf(value, capacity, "%s", slash ? slash + 1 : "-");
}

/* "alias PATTERN MODULE" of modules.alias, whose pattern the device's modalias fits. */
static bool is_alias_of(const struct line *line, const char *modalias, char *module,
			size_t capacity)
{
	static const char start[] = "alias pci:";
	char copy[256], *blank;

	if (line->size >= sizeof(copy) || line->size < sizeof(start) ||
	    memcmp(line->text, start, sizeof(start) - 1))
		return false;
	snprintf(copy, sizeof(copy), "%.*s", (int)line->size, line->text);
	blank = strrchr(copy, ' ');
	*blank = '\0';
	snprintf(module, capacity, "%.63s", blank + 1);
	return *module && !fnmatch(copy + strlen("alias "), modalias, 0);
}

static bool has_module(const char *list, const char *module)
{
	size_t size = strlen(module);

	for (const char *at = list; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
		if (!strncmp(at, module, size) && (at[size] == ',' || !at[size]))
			return true;
	return false;
}

/*
 * The modules that could drive the device, between commas, by the kernel's table of them: sysfs
 * names the one alone that does. "-" if there are none, or no table.
 */
static void possible_modules(struct tree *tree, const struct facts *facts, const char *device,
			     char *modules, size_t capacity)
{
	char path[400], release[256], modalias[128];
	const struct tree_entry *table;
	struct line line = {0};
	size_t at = 0;

	snprintf(modules, capacity, "-");
	if (!host_release(tree, facts, release, sizeof(release)) ||
	    !attribute(tree, modalias, sizeof(modalias), "/sys/bus/pci/devices/%s/modalias",
		       device))
		return;
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.alias", release);
	table = tree_get(tree, TREE_FILE, path);
	while (host_next_line(table, &line)) {
		char module[64];

		if (is_alias_of(&line, modalias, module, sizeof(module)) &&
		    !(at && has_module(modules, module)) && at + strlen(module) + 2 < capacity)
			at += (size_t)snprintf(modules + at, capacity - at, "%s%s", at ? "," : "",
					       module);
	}
}

/* More graphics devices no host has; each is compared with the whole table of modules. */
#define MOST_GPUS 64

/* Whether the device is a graphics device, and was added. */
static bool collect_gpu(struct tree *tree, struct facts *facts, const char *device)
{
	char class[16], vendor[16], id[16], driver[64], path[300], modules[128];

	if (!attribute(tree, class, sizeof(class), "/sys/bus/pci/devices/%s/class", device) ||
	    strncmp(class, "0x03", 4) ||
	    !attribute(tree, vendor, sizeof(vendor), "/sys/bus/pci/devices/%s/vendor", device) ||
	    !attribute(tree, id, sizeof(id), "/sys/bus/pci/devices/%s/device", device) ||
	    strlen(vendor) != 6 || strlen(id) != 6)
		return false;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device);
	link_name(tree, path, driver, sizeof(driver));
	possible_modules(tree, facts, device, modules, sizeof(modules));
	facts_add(facts, FACT_GPU, "/sys/bus/pci/devices", 0, "%s %s:%s %s %s", device, vendor + 2,
		  id + 2, driver, modules);
	return true;
}

static void collect_pci(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *devices = tree_get(tree, TREE_LIST, "/sys/bus/pci/devices");
	struct line line = {0};
	unsigned gpus = 0;
	bool vmd = false;

	if (!devices->text) {
		host_unknown(facts, FACT_GPU, devices);
		host_unknown(facts, FACT_VMD, devices);
		return;
	}
	while (host_next_line(devices, &line) && line.number <= 1024) {
		char device[32];

		if (line.size >= sizeof(device))
			continue;
		snprintf(device, sizeof(device), "%.*s", (int)line.size, line.text);
		/* A domain beyond 16 bits is one that the VMD driver made. */
		vmd = vmd || (line.size > 12 && device[5] == ':');
		if (gpus < MOST_GPUS)
			gpus += collect_gpu(tree, facts, device);
	}
	facts_add(facts, FACT_VMD, devices->name, 0, "%s", vmd ? "yes" : "no");
}

static void collect_connector(struct tree *tree, struct facts *facts, const char *name)
{
	char status[32], driver[64], path[300];

	if (!attribute(tree, status, sizeof(status), "/sys/class/drm/%s/status", name))
		return;
	snprintf(path, sizeof(path), "/sys/class/drm/%.*s/device/driver", (int)strcspn(name, "-"),
		 name);
	link_name(tree, path, driver, sizeof(driver));
	facts_add(facts, FACT_CONNECTOR, "/sys/class/drm", 0, "%s %s %s", name, status, driver);
}

static void collect_connectors(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *drm = tree_get(tree, TREE_LIST, "/sys/class/drm");
	struct line line = {0};

	if (!drm->text)
		host_unknown(facts, FACT_CONNECTOR, drm);
	while (host_next_line(drm, &line) && line.number <= 256) {
		char name[64];

		if (line.size >= sizeof(name) || !memchr(line.text, '-', line.size))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)line.size, line.text);
		collect_connector(tree, facts, name);
	}
}

/* The WMI device of NVIDIA's embedded-controller backlight
 * (linux/drivers/platform/x86/nvidia-wmi-ec-backlight.c). */
#define NVIDIA_WMI "603E9613-EF25-4338-A3D0-C46177516DB7"

void host_collect_display(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *lights = tree_get(tree, TREE_LIST, "/sys/class/backlight");
	const struct tree_entry *wmi = tree_get(tree, TREE_LIST, "/sys/bus/wmi/devices");
	struct line line = {0};

	collect_pci(tree, facts);
	collect_connectors(tree, facts);
	if (!lights->text)
		host_unknown(facts, FACT_BACKLIGHT, lights);
	while (host_next_line(lights, &line) && line.number <= 16)
		facts_add(facts, FACT_BACKLIGHT, lights->name, line.number, "%.*s",
			  (int)(line.size < 64 ? line.size : 64), line.text);
	if (wmi->text)
		facts_add(facts, FACT_WMI_BACKLIGHT, wmi->name, 0, "%s",
			  strstr(wmi->text, NVIDIA_WMI) ? "yes" : "no");
	else
		host_unknown(facts, FACT_WMI_BACKLIGHT, wmi);
}
