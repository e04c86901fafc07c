/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/verdict/checks.h"

#include "core/hash.h"
#include "doctor/facts/host.h"
#include "doctor/verdict/judge.h"
#include "doctor/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Conditions: each puts its evidence and gives how much there is ---- */

static struct nunchi_evidence of_setting(struct nunchi_diagnosis *diagnosis,
					 const struct setting *setting)
{
	char text[1200];

	setting_spell(setting, text, sizeof(text));
	return (struct nunchi_evidence){.source = setting->source,
					.line = setting->line,
					.quote = diagnosis_keep(diagnosis, text, strlen(text))};
}

static size_t check_backlight(struct nunchi_diagnosis *diagnosis, struct nunchi_evidence *evidence)
{
	const struct setting *setting =
	    settings_find(&diagnosis->settings, PLACES_LINUX, "", "acpi_backlight");

	if (!setting || strcmp(setting->value, "native") ||
	    !facts_is(&diagnosis->facts, FACT_WMI_BACKLIGHT, "yes"))
		return 0;
	evidence[0] = of_setting(diagnosis, setting);
	evidence[1] = diagnosis_evidence(facts_find(&diagnosis->facts, FACT_WMI_BACKLIGHT));
	return 2;
}

static size_t check_intel_iommu(struct nunchi_diagnosis *diagnosis,
				struct nunchi_evidence *evidence)
{
	const struct setting *setting =
	    settings_find(&diagnosis->settings, PLACES_LINUX, "", "intel_iommu");

	if (!setting || !judge_under_xen(diagnosis))
		return 0;
	evidence[0] = of_setting(diagnosis, setting);
	return 1;
}

/* Whether Xen is there, running or to be booted. */
static bool has_xen(const struct nunchi_diagnosis *diagnosis)
{
	const struct fact *xen = facts_find(&diagnosis->facts, FACT_XEN_INSTALLED);

	return judge_under_xen(diagnosis) || (xen && xen->known && strcmp(xen->value, "none"));
}

static size_t check_xe_bound(struct nunchi_diagnosis *diagnosis, struct nunchi_evidence *evidence)
{
	for (const struct fact *fact = facts_find(&diagnosis->facts, FACT_GPU); fact;
	     fact = facts_next(&diagnosis->facts, fact)) {
		char slot[16], id[16], bound[64], modules[160];

		if (!fact->known || !has_xen(diagnosis) ||
		    sscanf(fact->value, "%15s %15s %63s %159s", slot, id, bound, modules) != 4 ||
		    strcmp(bound, "xe") || !strstr(modules, "i915"))
			continue;
		evidence[0] = diagnosis_evidence(fact);
		return 1;
	}
	return 0;
}

static size_t check_vmd(struct nunchi_diagnosis *diagnosis, struct nunchi_evidence *evidence)
{
	if (!facts_is(&diagnosis->facts, FACT_VMD, "yes") || !has_xen(diagnosis))
		return 0;
	evidence[0] = diagnosis_evidence(facts_find(&diagnosis->facts, FACT_VMD));
	return 1;
}

static size_t check_connectors(struct nunchi_diagnosis *diagnosis, struct nunchi_evidence *evidence)
{
	const struct fact *fact = facts_find(&diagnosis->facts, FACT_CONNECTOR), *first = fact;

	/* Without Xen the desktop is what says whether there is a picture. */
	if (!fact || !facts_is(&diagnosis->facts, FACT_HYPERVISOR, "xen-dom0"))
		return 0;
	for (; fact; fact = facts_next(&diagnosis->facts, fact)) {
		if (!fact->known)
			return 0;
		/* The embedded panel on the other card shows nothing of i915's. */
		if (strstr(fact->value, " connected ") &&
		    !(strstr(fact->value, "eDP") && judge_gpu(diagnosis, "8086") &&
		      (strstr(fact->value, "nouveau") || strstr(fact->value, "nvidia"))))
			return 0;
	}
	evidence[0] = diagnosis_evidence(first);
	return 1;
}

static const struct setting *forced(const struct nunchi_diagnosis *diagnosis, const char *driver,
				    bool against)
{
	const struct setting *setting =
	    settings_find(&diagnosis->settings, PLACES_LINUX, driver, "force_probe");

	return setting && *setting->value && (*setting->value == '!') == against ? setting : NULL;
}

static const struct setting *blocked(const struct nunchi_diagnosis *diagnosis, const char *driver)
{
	const struct settings *settings = &diagnosis->settings;

	for (size_t i = 0; i < settings->count; i++)
		if (settings->all[i].blacklist && settings->all[i].place & PLACES_LINUX &&
		    !strcmp(settings->all[i].module, driver))
			return &settings->all[i];
	return forced(diagnosis, driver, true);
}

static size_t check_both_drivers(struct nunchi_diagnosis *diagnosis,
				 struct nunchi_evidence *evidence)
{
	const struct setting *i915 = blocked(diagnosis, "i915"), *xe = blocked(diagnosis, "xe");

	if (!i915 || !xe) {
		i915 = forced(diagnosis, "i915", false);
		xe = forced(diagnosis, "xe", false);
	}
	/* With nomodeset both are off for a test, on purpose. */
	if (!i915 || !xe || settings_find(&diagnosis->settings, PLACES_LINUX, "", "nomodeset"))
		return 0;
	evidence[0] = of_setting(diagnosis, i915);
	evidence[1] = of_setting(diagnosis, xe);
	return 2;
}

static size_t check_two_values(struct nunchi_diagnosis *diagnosis, struct nunchi_evidence *evidence)
{
	const struct settings *settings = &diagnosis->settings;

	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *one = &settings->all[i], *other;

		if (one->place != PLACE_MODPROBE || one->blacklist)
			continue;
		other =
		    settings_find(settings, PLACES_LINUX & ~PLACE_MODPROBE, one->module, one->name);
		if (other && strcmp(one->value, other->value)) {
			evidence[0] = of_setting(diagnosis, one);
			evidence[1] = of_setting(diagnosis, other);
			return 2;
		}
	}
	return 0;
}

static size_t check_nouveau_panel(struct nunchi_diagnosis *diagnosis,
				  struct nunchi_evidence *evidence)
{
	const struct setting *setting = blocked(diagnosis, "nouveau");

	if (!setting || !judge_dgpu_panel(diagnosis) || !judge_gpu(diagnosis, "10de") ||
	    judge_gpu_driver(diagnosis, "10de", "nvidia"))
		return 0;
	evidence[0] = of_setting(diagnosis, setting);
	return 1;
}

/* "PATH SECONDS" of a fact; false if it has none. */
static bool fact_time(const struct fact *fact, long long *ret)
{
	const char *blank = fact && fact->known ? strrchr(fact->value, ' ') : NULL;

	if (!blank)
		return false;
	*ret = strtoll(blank, NULL, 10);
	return true;
}

/* The first file below the folder, with that end, that changed after the time. */
static bool newer_file(struct nunchi_diagnosis *diagnosis, const char *folder, const char *end,
		       long long time, struct nunchi_evidence *evidence)
{
	const struct tree_entry *list = tree_get(diagnosis->tree, TREE_LIST, folder);
	size_t length = strlen(end);
	struct line line = {0};

	while (host_next_line(list, &line) && line.number <= 256) {
		const struct tree_entry *changed;
		char path[400];

		if (line.size > 250 || line.size < length ||
		    memcmp(line.text + line.size - length, end, length))
			continue;
		snprintf(path, sizeof(path), "%s/%.*s", folder, (int)line.size, line.text);
		changed = tree_get(diagnosis->tree, TREE_TIME, path);
		if (changed->text && strtoll(changed->text, NULL, 10) > time) {
			*evidence = (struct nunchi_evidence){.source = changed->name};
			return true;
		}
	}
	return false;
}

static size_t check_initramfs_age(struct nunchi_diagnosis *diagnosis,
				  struct nunchi_evidence *evidence)
{
	const struct fact *newest = NULL, *fact = facts_find(&diagnosis->facts, FACT_INITRAMFS);
	long long time = 0, most = 0;

	for (; fact; fact = facts_next(&diagnosis->facts, fact))
		if (fact_time(fact, &time) && time > most) {
			most = time;
			newest = fact;
		}
	if (!newest || !newer_file(diagnosis, "/etc/modprobe.d", ".conf", most, &evidence[0]))
		return 0;
	evidence[1] = diagnosis_evidence(newest);
	return 2;
}

/* Modules of an initramfs by the hashes of their names; false without memory. */
static bool hash_modules(const struct tree_entry *initramfs, struct hash_map *ret)
{
	struct line line = {0};

	while (host_next_line(initramfs, &line))
		if (line.size > 7 && !memcmp(line.text, "module ", 7) &&
		    hash_map_insert(ret, hash_bytes(line.text + 7, line.size - 7), 0) == HASH_NOMEM)
			return false;
	return true;
}

static size_t check_initramfs_blacklist(struct nunchi_diagnosis *diagnosis,
					struct nunchi_evidence *evidence)
{
	const struct tree_entry *initramfs = host_initramfs(diagnosis->tree, &diagnosis->facts);
	const struct settings *settings = &diagnosis->settings;
	_cleanup_hash_map_ struct hash_map modules;

	hash_map_init(&modules);
	if (!initramfs)
		return 0;
	if (!hash_modules(initramfs, &modules))
		diagnosis->failed = true;
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *setting = &settings->all[i];
		const char *module = setting->module;

		/* A blacklist on a command line holds there too. */
		if (setting->place != PLACE_MODPROBE || !setting->blacklist ||
		    !hash_map_find(&modules, hash_bytes(module, strlen(module))) ||
		    settings_blacklist(settings, PLACE_INITRAMFS | (PLACES_LINUX & ~PLACE_MODPROBE),
				       module) ||
		    !host_initramfs_has(initramfs, module))
			continue;
		evidence[0] = of_setting(diagnosis, setting);
		evidence[1] = (struct nunchi_evidence){
		    .source = initramfs->name,
		    .quote = diagnosis_format(diagnosis, "module %s", setting->module)};
		return 2;
	}
	return 0;
}

static bool same_setting(const struct setting *a, const struct setting *b)
{
	return a->blacklist == b->blacklist && !strcmp(a->module, b->module) &&
	       !strcmp(a->name, b->name) && !strcmp(a->value, b->value);
}

/* Of /etc alone: what distributions bring is in /lib. */
static size_t check_initramfs_stale(struct nunchi_diagnosis *diagnosis,
				    struct nunchi_evidence *evidence)
{
	const struct settings *settings = &diagnosis->settings;
	size_t count = 0;

	if (!tree_text(diagnosis->tree, TREE_LIST, "/etc/modprobe.d"))
		return 0;
	for (size_t i = 0; i < settings->count && count < EVIDENCE_MOST; i++) {
		const struct setting *old = &settings->all[i];
		bool there = false;

		if (old->place != PLACE_INITRAMFS || strncmp(old->file, "etc/modprobe.d/", 15))
			continue;
		for (size_t j = 0; j < settings->count && !there; j++)
			there = settings->all[j].place == PLACE_MODPROBE &&
				same_setting(old, &settings->all[j]);
		if (!there)
			evidence[count++] = of_setting(diagnosis, old);
	}
	return count;
}

static size_t check_grub_age(struct nunchi_diagnosis *diagnosis, struct nunchi_evidence *evidence)
{
	const struct fact *fact = facts_find(&diagnosis->facts, FACT_GRUB_CFG);
	long long time;

	if (!fact_time(fact, &time))
		return 0;
	if (!newer_file(diagnosis, "/etc/default/grub.d", ".cfg", time, &evidence[0]) &&
	    !newer_file(diagnosis, "/etc/default", "grub", time, &evidence[0]))
		return 0;
	evidence[1] = diagnosis_evidence(fact);
	return 2;
}

static size_t check_xen_default(struct nunchi_diagnosis *diagnosis,
				struct nunchi_evidence *evidence)
{
	const struct fact *fact = facts_find(&diagnosis->facts, FACT_GRUB_DEFAULT_XEN);

	if (!facts_is(&diagnosis->facts, FACT_GRUB_DEFAULT_XEN, "yes") ||
	    facts_is(&diagnosis->facts, FACT_HYPERVISOR, "xen-dom0"))
		return 0;
	evidence[0] = diagnosis_evidence(fact);
	return 1;
}

/* The same option in several files is one finding. */
static void find_setting(struct nunchi_diagnosis *diagnosis, size_t first)
{
	const struct settings *settings = &diagnosis->settings;
	const struct judgement *row = settings->all[first].judgement;
	struct nunchi_evidence evidence[EVIDENCE_MOST];
	size_t count = 0;

	for (size_t i = 0; i < first; i++)
		if (settings->all[i].judgement == row)
			return;
	for (size_t i = first; i < settings->count && count < EVIDENCE_MOST; i++)
		if (settings->all[i].judgement == row)
			evidence[count++] = of_setting(diagnosis, &settings->all[i]);
	diagnosis_add_finding(diagnosis,
			      (struct nunchi_finding){.id = row->id,
						      .weight = NUNCHI_WEIGHT_ADVICE,
						      .confidence = row->confidence,
						      .meaning = _(row->meaning)},
			      evidence, count);
}

/* What the host's own files give to the wrong one, or to its harm. */
static void findings_of_settings(struct nunchi_diagnosis *diagnosis)
{
	struct settings *settings = &diagnosis->settings;

	for (size_t i = 0; i < settings->count; i++)
		settings->all[i].judgement = judge(diagnosis, &settings->all[i]);
	for (size_t i = 0; i < settings->count; i++) {
		const struct judgement *row = settings->all[i].judgement;

		/* Conditions of checks.def say these two with more evidence. */
		if (row && strcmp(row->id, "J1") && strcmp(row->id, "J38") &&
		    (row->effect == NUNCHI_EFFECT_WRONG_LINE ||
		     row->effect == NUNCHI_EFFECT_HARMFUL))
			find_setting(diagnosis, i);
	}
}

void findings_of_checks(struct nunchi_diagnosis *diagnosis)
{
	static const struct {
		const char *id;
		enum nunchi_weight weight;
		enum nunchi_confidence confidence;
		size_t (*check)(struct nunchi_diagnosis *diagnosis,
				struct nunchi_evidence *evidence);
		const char *meaning, *remedy;
	} checks[] = {
#define CHECK(id, weight, confidence, function, meaning, remedy)                                   \
	{#id, NUNCHI_WEIGHT_##weight, NUNCHI_CONFIDENCE_##confidence, function, meaning, remedy},
#include "doctor/verdict/checks.def"
#undef CHECK
	};

	findings_of_settings(diagnosis);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct nunchi_evidence evidence[EVIDENCE_MOST] = {0};
		size_t count = checks[i].check(diagnosis, evidence);
		struct nunchi_finding finding = {
		    .id = checks[i].id,
		    .weight = checks[i].weight,
		    .confidence = checks[i].confidence,
		    .meaning = _(checks[i].meaning),
		    .remedy = _(checks[i].remedy),
		};

		if (count)
			diagnosis_add_finding(diagnosis, finding, evidence, count);
	}
}
