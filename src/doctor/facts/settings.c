/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/settings.h"

#include "core/cleanup.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer words are no options. */
#define MOST_WORD 512

void settings_init(struct settings *settings)
{
	*settings = (struct settings){0};
}

static void deinit_one(struct setting *setting)
{
	free(setting->module);
	free(setting->name);
	free(setting->value);
	free(setting->file);
	free(setting->source);
	free(setting->quote);
}

void settings_cut(struct settings *settings, size_t count)
{
	while (settings->count > count)
		deinit_one(&settings->all[--settings->count]);
}

void settings_deinit(struct settings *settings)
{
	settings_cut(settings, 0);
	free(settings->all);
	*settings = (struct settings){0};
}

static bool grow(struct settings *settings)
{
	size_t capacity = settings->capacity ? 2 * settings->capacity : 32;
	struct setting *all;

	if (settings->count < settings->capacity)
		return true;
	all = realloc(settings->all, capacity * sizeof(*all));
	if (!all) {
		settings->failed = true;
		return false;
	}
	settings->all = all;
	settings->capacity = capacity;
	return true;
}

/* The kernel takes '-' and '_' in names of modules for the same (kernel/params.c). */
static char *module_name(const char *name)
{
	char *copy = strdup(name);

	for (char *c = copy; c && *c; c++)
		if (*c == '-')
			*c = '_';
	return copy;
}

void settings_add(struct settings *settings, const struct setting_origin *origin, bool blacklist,
		  const char *module, const char *name, const char *value)
{
	struct setting setting = {
	    .place = origin->place,
	    .blacklist = blacklist,
	    .line = origin->line,
	    .attempt = origin->attempt,
	    .command = origin->command,
	};

	if (settings->count == SETTINGS_MOST || !grow(settings))
		return;
	setting.module = module_name(module);
	setting.name = strdup(name);
	setting.value = strdup(value);
	setting.file = strdup(origin->file ? origin->file : "");
	setting.source = strdup(origin->source);
	setting.quote = strdup(origin->quote ? origin->quote : "");
	if (!setting.module || !setting.name || !setting.value || !setting.file ||
	    !setting.source || !setting.quote) {
		deinit_one(&setting);
		settings->failed = true;
		return;
	}
	settings->all[settings->count++] = setting;
}

static void add_blacklists(struct settings *settings, const struct setting_origin *origin,
			   char *list)
{
	char *module;

	while ((module = strsep(&list, ",")))
		if (*module)
			settings_add(settings, origin, true, module, "", "");
}

/* "name", "name=value", "module.name=value"; the text is changed. */
static void add_word(struct settings *settings, const struct setting_origin *origin, char *word)
{
	char *value = strchr(word, '='), *point;

	if (value)
		*value++ = '\0';
	if (value && (!strcmp(word, "module_blacklist") || !strcmp(word, "modprobe.blacklist") ||
		      !strcmp(word, "rd.driver.blacklist"))) {
		add_blacklists(settings, origin, value);
		return;
	}
	point = strchr(word, '.');
	/* systemd.unit, rd.break and the like are read by programs, not by modules. */
	if (point && point != word && strncmp(word, "systemd.", 8) && strncmp(word, "rd.", 3) &&
	    origin->place != PLACE_XEN) {
		*point++ = '\0';
		settings_add(settings, origin, false, word, point, value ? value : "");
	} else {
		settings_add(settings, origin, false, "", word, value ? value : "");
	}
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'' || c == '`';
}

void settings_add_words(struct settings *settings, const struct setting_origin *origin,
			const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end) {
		char word[MOST_WORD];
		size_t at = 0, length = 0;

		while (text < end && (isspace((unsigned char)*text) || is_quote(*text)))
			text++;
		for (; text < end && !isspace((unsigned char)*text); text++, length++)
			if (!is_quote(*text) && at + 1 < sizeof(word))
				word[at++] = *text;
		word[at] = '\0';
		if (at && length < sizeof(word) && strlen(word) == at)
			add_word(settings, origin, word);
	}
}

/* The next word of a line, or NULL; moves on. */
static char *next_word(char **rest)
{
	char *word;

	do
		word = strsep(rest, " \t");
	while (word && !*word);
	return word;
}

static void add_options(struct settings *settings, const struct setting_origin *origin,
			const char *module, char *rest)
{
	char *word;

	while ((word = next_word(&rest))) {
		char *value = strchr(word, '=');

		if (value)
			*value++ = '\0';
		settings_add(settings, origin, false, module, word, value ? value : "");
	}
}

void settings_add_modprobe(struct settings *settings, const struct setting_origin *origin,
			   const char *line, size_t size)
{
	char copy[2048], *rest = copy, *word, *module;

	snprintf(copy, sizeof(copy), "%.*s", (int)(size < 2047 ? size : 2047), line);
	copy[strcspn(copy, "#\r\n")] = '\0';
	word = next_word(&rest);
	module = word ? next_word(&rest) : NULL;
	if (!module)
		return;
	if (!strcmp(word, "blacklist"))
		settings_add(settings, origin, true, module, "", "");
	else if (!strcmp(word, "options"))
		add_options(settings, origin, module, rest);
	else if (!strcmp(word, "install") && rest &&
		 (strstr(rest, "/false") || strstr(rest, "/true")))
		settings_add(settings, origin, true, module, "", "");
}

void settings_add_config(struct settings *settings, const struct setting_origin *origin,
			 const char *line, size_t size)
{
	char copy[512], *value, *end;

	snprintf(copy, sizeof(copy), "%.*s", (int)(size < 511 ? size : 511), line);
	value = strchr(copy, '=');
	if (!value || value == copy || copy[0] == '#' || copy[0] == ';')
		return;
	*value++ = '\0';
	for (end = value - 2; end > copy && isspace((unsigned char)*end); end--)
		*end = '\0';
	value += strspn(value, " \t\"'");
	value[strcspn(value, " \t\"'\r\n")] = '\0';
	if (*copy && !strpbrk(copy, " \t"))
		settings_add(settings, origin, false, "", copy, value);
}

bool settings_blacklist(const struct settings *settings, unsigned places, const char *module)
{
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *setting = &settings->all[i];

		if (setting->place & places && setting->blacklist && !setting->undone &&
		    !strcmp(setting->module, module))
			return true;
	}
	return false;
}

const struct setting *settings_find(const struct settings *settings, unsigned places,
				    const char *module, const char *name)
{
	for (size_t i = settings->count; i-- > 0;) {
		const struct setting *setting = &settings->all[i];

		if (setting->place & places && !setting->blacklist && !setting->undone &&
		    !strcmp(setting->module, module) && !strcmp(setting->name, name))
			return setting;
	}
	return NULL;
}

void setting_spell(const struct setting *setting, char *text, size_t capacity)
{
	if (setting->blacklist)
		snprintf(text, capacity, "blacklist %s", setting->module);
	else
		snprintf(text, capacity, "%s%s%s%s%s", setting->module, *setting->module ? "." : "",
			 setting->name, *setting->value ? "=" : "", setting->value);
}
