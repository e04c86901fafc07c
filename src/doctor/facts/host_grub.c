/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GRUB's variables, by what each reaches, and what its generated menu boots by default. */
#include "doctor/facts/host.h"

#include "doctor/facts/grub_menu.h"
#include "doctor/facts/grub_vars.h"

#include <stdio.h>
#include <string.h>

/* As Debian's and Ubuntu's 10_linux and 20_linux_xen use them. */
static const struct {
	const char *name;
	enum place place;
} reaches[] = {
    {"GRUB_CMDLINE_LINUX", PLACE_GRUB},
    {"GRUB_CMDLINE_LINUX_DEFAULT", PLACE_GRUB},
    {"GRUB_CMDLINE_LINUX_XEN_REPLACE", PLACE_DOM0},
    {"GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT", PLACE_DOM0},
    {"GRUB_CMDLINE_XEN", PLACE_XEN},
    {"GRUB_CMDLINE_XEN_DEFAULT", PLACE_XEN},
};

static void read_vars(struct tree *tree, struct grub_vars *vars, const char *path)
{
	const struct tree_entry *file = tree_get(tree, TREE_FILE, path);

	/* What cannot be parsed is no setting; `nunchi doctor plan` says what is wrong with it. */
	if (file->text)
		nunchi_error_destroy(grub_vars_read(vars, path, file->text, file->size));
}

static void read_all(struct tree *tree, struct grub_vars *vars)
{
	const struct tree_entry *list;
	struct line line = {0};

	read_vars(tree, vars, "/etc/default/grub");
	list = tree_get(tree, TREE_LIST, "/etc/default/grub.d");
	while (host_next_line(list, &line) && line.number <= 256) {
		char path[300];

		if (line.size < 5 || line.size > 250 ||
		    memcmp(line.text + line.size - 4, ".cfg", 4))
			continue;
		snprintf(path, sizeof(path), "/etc/default/grub.d/%.*s", (int)line.size, line.text);
		read_vars(tree, vars, path);
	}
}

void host_collect_grub_settings(struct tree *tree, struct settings *settings)
{
	_cleanup_grub_vars_ struct grub_vars *vars = NULL;
	struct nunchi_error *err = grub_vars_create(&vars);

	if (err) {
		nunchi_error_destroy(err);
		settings->failed = true;
		return;
	}
	read_all(tree, vars);
	for (size_t i = 0; i < ARRAY_SIZE(reaches); i++) {
		const struct grub_var *var = grub_vars_find(vars, reaches[i].name);
		struct setting_origin origin = {.place = reaches[i].place};

		if (!var)
			continue;
		origin.file = origin.source = var->file;
		origin.quote = var->value;
		origin.line = var->line;
		settings_add_words(settings, &origin, var->value, strlen(var->value));
	}
}

/* Whether all defaults that the menu may take boot Xen, or none; else it is not known. */
static const char *default_of(const struct grub_menu *menu)
{
	size_t xen = 0;

	for (size_t i = 0; i < menu->default_count; i++) {
		size_t entry;

		/* A variable's value is known when it boots. */
		if (strchr(menu->defaults[i], '$'))
			return NULL;
		entry = grub_menu_find(menu, menu->defaults[i]);
		if (entry == GRUB_MENU_NONE)
			return NULL;
		xen += menu->entries[entry].xen != NULL;
	}
	if (!menu->default_count || (xen && xen < menu->default_count))
		return NULL;
	return xen ? "yes" : "no";
}

void host_collect_grub(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *file = tree_get(tree, TREE_FILE, "/boot/grub/grub.cfg");
	_cleanup_grub_menu_ struct grub_menu menu = {0};
	struct nunchi_error *err;
	const char *is_xen;

	if (!file->text) {
		host_unknown(facts, FACT_GRUB_DEFAULT_XEN, file);
		return;
	}
	err = grub_menu_parse(file->text, file->size, &menu);
	is_xen = err ? NULL : default_of(&menu);
	if (is_xen)
		facts_add(facts, FACT_GRUB_DEFAULT_XEN, file->name, 0, "%s", is_xen);
	else
		facts_add_unknown(facts, FACT_GRUB_DEFAULT_XEN, file->name, "%s",
				  err ? nunchi_error_message(err)
				      : "what it boots is decided when it boots");
	nunchi_error_destroy(err);
}
