/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <string.h>

/* What a TARGET may be. */
static void print_targets(struct cli *cli)
{
	enum { INDENT = 15 };
	const struct nunchi_target_form *form;
	const struct nunchi_file_format *format;

	cli_printf(cli, "TARGET is one of:\n");
	for (size_t n = 0; (form = nunchi_target_form(n)); n++) {
		cli_printf(cli, "  %-12s ", form->word);
		cli_print_wrapped(cli, form->description, INDENT, INDENT);
	}
	for (size_t n = 0; (format = nunchi_file_format(n)); n++) {
		cli_printf(cli, "    %-11s ", format->name);
		cli_print_wrapped(cli, format->description, INDENT + 1, INDENT + 1);
	}
}

static void print_overview(struct cli *cli)
{
	cli_printf(cli, "usage: nunchi [OPTION]… COMMAND [OPTION]… [ARGUMENT]…\n\n");
	cli_print_wrapped(
	    cli,
	    "Reads running virtual machines and saved guests from outside: without an "
	    "agent in the guest, debug symbols or a profile.",
	    0, 0);
	cli_printf(cli, "\nCommands:\n");
	for (size_t i = 0; i < command_count; i++)
		cli_printf(cli, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	cli_printf(cli, "\n");
	print_targets(cli);
	options_help_common(cli, true);
	cli_printf(cli,
		   "\nExamples:\n"
		   "  nunchi list                          the guests that run on this host\n"
		   "  nunchi ps xen:web                    processes of the Xen domain \"web\"\n"
		   "  nunchi log qemu:demo                 the kernel's log of a QEMU guest\n"
		   "  nunchi views                         what \"nunchi show\" can show\n"
		   "  nunchi show core.elf mounts --json   a view of a saved guest, as JSON\n"
		   "  nunchi help show                     a command explained\n");
	options_help_status(cli);
}

static int help_run(struct cli *cli, void *state, char **arguments, int count)
{
	const struct command *command;

	(void)state;
	if (!count) {
		print_overview(cli);
		return CLI_DONE;
	}
	command = command_find(arguments[0]);
	if (!command)
		return cli_misuse(cli, command_suggest(arguments[0]), "there is no command \"%s\"",
				  arguments[0]);
	options_help(cli, command);
	return CLI_DONE;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "explain a command, with examples",
    .description = "Lists the commands, or explains one with its arguments and options.",
    .examples = "  nunchi help\n"
		"  nunchi help translate\n",
    .most = 1,
    .run = help_run,
};

static int version_run(struct cli *cli, void *state, char **arguments, int count)
{
	(void)state;
	(void)arguments;
	(void)count;
	cli_printf(cli, "nunchi %s\n", nunchi_version());
	return CLI_DONE;
}

const struct command command_version = {
    .name = "version",
    .arguments = "",
    .summary = "print the version of nunchi",
    .description = "Prints the version of nunchi.",
    .examples = "  nunchi version\n",
    .run = version_run,
};
