/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/verdict/judge.h"

#include "core/buffer.h"
#include "doctor/words.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* ---- The host and the story ---- */

bool judge_gpu(const struct nunchi_diagnosis *diagnosis, const char *vendor)
{
	return judge_gpu_driver(diagnosis, vendor, NULL);
}

static bool has_item(const char *list, const char *item)
{
	size_t length = strlen(item);

	for (const char *at = strstr(list, item); at; at = strstr(at + 1, item))
		if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length]))
			return true;
	return false;
}

bool judge_gpu_driver(const struct nunchi_diagnosis *diagnosis, const char *vendor,
		      const char *driver)
{
	for (const struct fact *fact = facts_find(&diagnosis->facts, FACT_GPU); fact;
	     fact = facts_next(&diagnosis->facts, fact)) {
		char slot[16], id[16], bound[64], modules[160];

		if (!fact->known ||
		    sscanf(fact->value, "%15s %15s %63s %159s", slot, id, bound, modules) != 4 ||
		    strncmp(id, vendor, 4))
			continue;
		if (!driver || !strcmp(bound, driver) || has_item(modules, driver))
			return true;
	}
	return false;
}

bool judge_dgpu_panel(const struct nunchi_diagnosis *diagnosis)
{
	for (const struct fact *fact = facts_find(&diagnosis->facts, FACT_CONNECTOR); fact;
	     fact = facts_next(&diagnosis->facts, fact))
		if (fact->known && strstr(fact->value, "eDP") && strstr(fact->value, " connected "))
			return strstr(fact->value, "nouveau") || strstr(fact->value, "nvidia") ||
			       strstr(fact->value, "amdgpu");
	if (diagnosis->story.marks[MARK_DGPU_ONLY].line)
		return true;
	return judge_gpu(diagnosis, "10de") && !judge_gpu(diagnosis, "8086") &&
	       !judge_gpu(diagnosis, "1002");
}

bool judge_under_xen(const struct nunchi_diagnosis *diagnosis)
{
	const struct scan *scan = &diagnosis->scan;

	for (unsigned i = 0; i <= scan->boot; i++)
		if (scan->boots[i].under_xen || scan->boots[i].rules_xen ||
		    scan->boots[i].marks & 1u << SCAN_MARK_BOOT_XEN)
			return true;
	return diagnosis->story.marks[MARK_XEN].line ||
	       facts_is(&diagnosis->facts, FACT_HYPERVISOR, "xen-dom0") ||
	       scan_seen(scan, RULE_R93);
}

/* ---- Conditions ---- */

static bool always(const struct nunchi_diagnosis *diagnosis, const struct setting *setting)
{
	(void)diagnosis;
	(void)setting;
	return true;
}

static bool under_xen(const struct nunchi_diagnosis *diagnosis, const struct setting *setting)
{
	(void)setting;
	return judge_under_xen(diagnosis);
}

static bool i915_knows(const struct nunchi_diagnosis *diagnosis, const struct setting *setting)
{
	(void)setting;
	return judge_gpu_driver(diagnosis, "8086", "i915") && !scan_seen(&diagnosis->scan, RULE_R2);
}

static bool intel_panel(const struct nunchi_diagnosis *diagnosis, const struct setting *setting)
{
	(void)setting;
	return judge_gpu(diagnosis, "8086") && !judge_dgpu_panel(diagnosis);
}

static bool dgpu_panel(const struct nunchi_diagnosis *diagnosis, const struct setting *setting)
{
	(void)setting;
	return judge_dgpu_panel(diagnosis);
}

static bool no_nvidia(const struct nunchi_diagnosis *diagnosis, const struct setting *setting)
{
	(void)setting;
	return judge_gpu(diagnosis, "10de") && !judge_gpu_driver(diagnosis, "10de", "nvidia");
}

static bool text_mode(const struct nunchi_diagnosis *diagnosis, const struct setting *setting)
{
	(void)setting;
	return diagnosis->story.marks[MARK_TEXT_MODE].line;
}

static bool wmi_backlight(const struct nunchi_diagnosis *diagnosis, const struct setting *setting)
{
	(void)setting;
	return diagnosis->story.marks[MARK_WMI].line ||
	       facts_is(&diagnosis->facts, FACT_WMI_BACKLIGHT, "yes");
}

/* In the same attempt, or on the same host. */
static bool with_nomodeset(const struct nunchi_diagnosis *diagnosis, const struct setting *setting)
{
	const struct settings *told = &diagnosis->story.settings;

	for (size_t i = 0; i < told->count; i++)
		if (!strcmp(told->all[i].name, "nomodeset") &&
		    told->all[i].attempt == setting->attempt)
			return true;
	return settings_find(&diagnosis->settings, PLACES_LINUX, "", "nomodeset");
}

/* ---- The table ---- */

static const struct judgement judgements[] = {
#define JUDGE(id, module, name, value, places, condition, effect, confidence, meaning)             \
	{#id,                                                                                      \
	 module,                                                                                   \
	 name,                                                                                     \
	 value,                                                                                    \
	 places,                                                                                   \
	 condition,                                                                                \
	 NUNCHI_EFFECT_##effect,                                                                   \
	 NUNCHI_CONFIDENCE_##confidence,                                                           \
	 meaning},
#include "doctor/verdict/judge.def"
#undef JUDGE
};

const struct judgement *judge(const struct nunchi_diagnosis *diagnosis,
			      const struct setting *setting)
{
	const char *name = setting->blacklist ? "blacklist" : setting->name;

	for (size_t i = 0; i < ARRAY_SIZE(judgements); i++) {
		const struct judgement *row = &judgements[i];

		if (setting->place & row->places && !fnmatch(row->module, setting->module, 0) &&
		    !fnmatch(row->name, name, 0) && !fnmatch(row->value, setting->value, 0) &&
		    row->condition(diagnosis, setting))
			return row;
	}
	return NULL;
}

/* ---- Changes of a story ---- */

/* Whether two are shown as one: the same attempt, the same command, the same judgement. */
static bool alike(const struct setting *a, const struct setting *b)
{
	const struct judgement *one = a->judgement, *other = b->judgement;

	return a->attempt == b->attempt && a->command == b->command &&
	       (one == other || (one && other && !strcmp(one->meaning, other->meaning)));
}

/* The names of all settings that are shown with the first: a few of them, then their number. */
static const char *spell_all(struct nunchi_diagnosis *diagnosis, size_t first)
{
	enum { BY_NAME = 5 };
	const struct settings *told = &diagnosis->story.settings;
	_cleanup_buffer_ struct buffer text;
	unsigned count = 0;

	buffer_init(&text, 0);
	for (size_t i = first; i < told->count; i++) {
		char one[1200];

		if (!alike(&told->all[first], &told->all[i]))
			continue;
		setting_spell(&told->all[i], one, sizeof(one));
		if (count++ < BY_NAME)
			buffer_printf(&text, "%s%s", count > 1 ? ", " : "", one);
	}
	if (count > BY_NAME)
		buffer_printf(&text, ", … (%u)", count);
	diagnosis->failed = diagnosis->failed || text.no_memory;
	return diagnosis_keep(diagnosis, buffer_string(&text), text.size);
}

static bool said_before(const struct nunchi_diagnosis *diagnosis, size_t index)
{
	const struct settings *told = &diagnosis->story.settings;

	for (size_t i = 0; i < index; i++)
		if (alike(&told->all[i], &told->all[index]))
			return true;
	return false;
}

static void add_change(struct nunchi_diagnosis *diagnosis, size_t index)
{
	const struct setting *setting = &diagnosis->story.settings.all[index];
	const struct story_attempt *attempt = &diagnosis->story.attempts[setting->attempt];
	const struct judgement *row = setting->judgement;
	struct nunchi_change change = {
	    .attempt = attempt->label,
	    .what = spell_all(diagnosis, index),
	    .effect = row ? row->effect : NUNCHI_EFFECT_UNJUDGED,
	    .confidence = row ? row->confidence : NUNCHI_CONFIDENCE_LOW,
	    .meaning = row ? _(row->meaning) : NULL,
	    .lasts = *setting->file && !setting->undone,
	    .evidence = {.source = setting->source, .line = setting->line, .quote = setting->quote},
	};

	diagnosis_add_change(diagnosis, change);
}

void judge_story(struct nunchi_diagnosis *diagnosis)
{
	const struct settings *told = &diagnosis->story.settings;

	for (size_t i = 0; i < told->count; i++)
		told->all[i].judgement = judge(diagnosis, &told->all[i]);
	for (size_t i = 0; i < told->count; i++)
		if (!said_before(diagnosis, i))
			add_change(diagnosis, i);
}
