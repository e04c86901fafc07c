/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/change/plan.h"

#include <string.h>

static void add(const char **list, const char *word)
{
	size_t i = 0;

	while (i < REMEDY_MOST - 1 && list[i] && strcmp(list[i], word))
		i++;
	if (i < REMEDY_MOST - 1)
		list[i] = word;
}

/* Whether the host has a GPU of that vendor whose driver or modules are this one; NULL: any. */
static bool has_gpu(const struct facts *facts, const char *vendor, const char *module)
{
	const struct fact *fact = facts_find(facts, FACT_GPU);

	for (; fact; fact = facts_next(facts, fact)) {
		const char *space = fact->known ? strchr(fact->value, ' ') : NULL;
		const char *drivers = space ? strchr(space + 1, ' ') : NULL;

		if (space && !strncmp(space + 1, vendor, strlen(vendor)) &&
		    (!module || (drivers && strstr(drivers, module))))
			return true;
	}
	return false;
}

/* Whether a panel is connected to that driver's GPU. */
static bool drives_panel(const struct facts *facts, const char *driver)
{
	const struct fact *fact = facts_find(facts, FACT_CONNECTOR);

	for (; fact; fact = facts_next(facts, fact)) {
		const char *last = fact->known ? strrchr(fact->value, ' ') : NULL;

		if (last && !strcmp(last + 1, driver) && strstr(fact->value, " connected "))
			return true;
	}
	return false;
}

/*
 * For an Intel GPU that i915 drives. The IOMMU's unit for graphics is switched off. The driver xe,
 * which lacks the workarounds for Xen PV, is kept from loading: of several module_blacklist= the
 * last counts, which is the one added here. Options that people try against a black screen, and
 * that do harm or nothing, are taken out.
 */
static void for_i915(const struct facts *facts, struct remedy *remedy)
{
	static const char *const harmful[] = {"i915.force_probe=", "xe.force_probe=",
					      "i915.enable_psr=",  "i915.enable_dpcd_backlight=",
					      "intel_iommu=",      "acpi_backlight=",
					      "nouveau.modeset=",  "video.use_native_backlight="};
	bool nouveau = has_gpu(facts, "10de:", NULL) && !drives_panel(facts, "nouveau");

	add(remedy->xen, "iommu=no-igfx");
	add(remedy->dom0, nouveau ? "module_blacklist=xe,nouveau" : "module_blacklist=xe");
	for (size_t i = 0; i < ARRAY_SIZE(harmful); i++)
		add(remedy->dom0_drop, harmful[i]);
}

void remedy_of(const struct facts *facts, struct remedy *ret)
{
	*ret = (struct remedy){0};
	/* The first boot of Xen is to be read, on the screen and in the log. */
	add(ret->dom0_drop, "quiet");
	add(ret->dom0_drop, "splash");
	if (has_gpu(facts, "8086:", "i915"))
		for_i915(facts, ret);
	/* altp2m gives a guest several views of its memory, of which one has breakpoints; it needs
	 * EPT. */
	if (facts_is(facts, FACT_CPU_VENDOR, "intel") &&
	    facts_is(facts, FACT_CPU_NESTED_PAGING, "yes"))
		add(ret->xen, "altp2m=1");
}
