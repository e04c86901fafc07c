/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <string.h>

/* In the order of help. */
const struct command *const commands[] = {
    &command_list,    &command_info,    &command_views,   &command_show,       &command_sql,
    &command_ps,      &command_top,     &command_metrics, &command_probes,     &command_trace,
    &command_modules, &command_sockets, &command_check,   &command_report,     &command_diff,
    &command_log,     &command_symbol,  &command_type,    &command_print,      &command_translate,
    &command_read,    &command_cat,     &command_ls,      &command_find_names, &command_extract,
    &command_yara,    &command_strings, &command_mount,   &command_snapshot,   &command_core,
    &command_export,  &command_gdb,     &command_rescue,  &command_doctor,     &command_help,
    &command_version,
};
const size_t command_count = ARRAY_SIZE(commands);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < command_count; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static const char *command_name(size_t i, const void *data)
{
	(void)data;
	return i < command_count ? commands[i]->name : NULL;
}

const char *command_suggest(const char *word)
{
	return suggest(word, command_name, NULL);
}
