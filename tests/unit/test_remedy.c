/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a host's facts ask of Xen's entries. */
#include "doctor/change/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static bool has(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (!strcmp(*list, word))
			return true;
	return false;
}

static struct remedy remedy_for(const char *cpu, const char *const *gpus,
				const char *const *connectors)
{
	_cleanup_facts_ struct facts facts;
	struct remedy remedy;

	facts_init(&facts);
	facts_add(&facts, FACT_CPU_VENDOR, "x", 0, "%s", cpu);
	facts_add(&facts, FACT_CPU_NESTED_PAGING, "x", 0, "yes");
	for (; *gpus; gpus++)
		facts_add(&facts, FACT_GPU, "x", 0, "%s", *gpus);
	for (; *connectors; connectors++)
		facts_add(&facts, FACT_CONNECTOR, "x", 0, "%s", *connectors);
	remedy_of(&facts, &remedy);
	return remedy;
}

static void test_hybrid_laptop(void **state)
{
	const char *const gpus[] = {"0000:00:02.0 8086:a788 i915 i915,xe",
				    "0000:01:00.0 10de:28e0 nouveau nvidiafb,nouveau", NULL};
	const char *const connectors[] = {"card1-eDP-1 connected i915", NULL};
	struct remedy remedy = remedy_for("intel", gpus, connectors);

	(void)state;
	assert_true(has(remedy.xen, "iommu=no-igfx"));
	assert_true(has(remedy.xen, "altp2m=1"));
	assert_true(has(remedy.dom0, "module_blacklist=xe,nouveau"));
	assert_true(has(remedy.dom0_drop, "i915.force_probe="));
	assert_true(has(remedy.dom0_drop, "acpi_backlight="));
	assert_true(has(remedy.dom0_drop, "quiet"));
}

static void test_panel_on_the_other(void **state)
{
	const char *const gpus[] = {"0000:00:02.0 8086:a788 i915 i915,xe",
				    "0000:01:00.0 10de:28e0 nouveau nvidiafb,nouveau", NULL};
	const char *const connectors[] = {"card0-eDP-1 connected nouveau", NULL};
	struct remedy remedy = remedy_for("intel", gpus, connectors);

	(void)state;
	assert_true(has(remedy.dom0, "module_blacklist=xe"));
	assert_false(has(remedy.dom0, "module_blacklist=xe,nouveau"));
}

/* A live host names the driver alone. */
static void test_driver_alone(void **state)
{
	const char *const gpus[] = {"0000:00:02.0 8086:a788 i915 -", NULL};
	const char *const none[] = {NULL};
	struct remedy remedy = remedy_for("intel", gpus, none);

	(void)state;
	assert_true(has(remedy.xen, "iommu=no-igfx"));
	assert_true(has(remedy.dom0, "module_blacklist=xe"));
}

/* xe was forced onto a device that i915 could drive: it goes back to i915. */
static void test_xe_bound(void **state)
{
	const char *const gpus[] = {"0000:00:02.0 8086:a788 xe i915,xe", NULL};
	const char *const none[] = {NULL};
	struct remedy remedy = remedy_for("intel", gpus, none);

	(void)state;
	assert_true(has(remedy.xen, "iommu=no-igfx"));
	assert_true(has(remedy.dom0, "module_blacklist=xe"));
	assert_true(has(remedy.dom0_drop, "xe.force_probe="));
	assert_true(has(remedy.dom0_drop, "i915.force_probe="));
}

static void test_others(void **state)
{
	const char *const amd[] = {"0000:03:00.0 1002:164e amdgpu amdgpu", NULL};
	const char *const xe_alone[] = {"0000:00:02.0 8086:64a0 xe xe", NULL};
	const char *const none[] = {NULL};
	struct remedy remedy = remedy_for("amd", amd, none);

	(void)state;
	assert_null(remedy.xen[0]);
	assert_null(remedy.dom0[0]);
	assert_false(has(remedy.dom0_drop, "acpi_backlight="));
	remedy = remedy_for("intel", xe_alone, none);
	assert_null(remedy.dom0[0]);
	assert_false(has(remedy.xen, "iommu=no-igfx"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hybrid_laptop), cmocka_unit_test(test_panel_on_the_other),
	    cmocka_unit_test(test_driver_alone),  cmocka_unit_test(test_xe_bound),
	    cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
