/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <string.h>

static void print_overview(struct cli *cli)
{
	cli_printf(cli, "usage: nunchi [OPTION]… COMMAND [OPTION]… [ARGUMENT]…\n\n");
	cli_print_wrapped(cli,
			  "Looks into running virtual machines and saved guests from outside: no "
			  "agent in the guest, no debug symbols, no profile.",
			  0, 0);
	cli_printf(cli, "\nCommands:\n");
	for (size_t i = 0; i < command_count; i++)
		cli_printf(cli, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	cli_printf(cli, "\n");
	cli_print_wrapped(
	    cli,
	    "A TARGET is qemu:NAME, qemu:PID, qemu:SOCKET (a QMP socket), or the path "
	    "of a saved guest: raw memory, ELF core, kdump, LiME, AVML, xl dump-core or xl "
	    "save, told by content.",
	    0, 0);
	options_help_common(cli);
	cli_printf(cli,
		   "\nExamples:\n"
		   "  nunchi list                      every guest found on this host\n"
		   "  nunchi ps qemu:demo              its processes, as a tree\n"
		   "  nunchi show memory.raw processes --json\n"
		   "  nunchi help show                 more of one command\n"
		   "\nExit status: 0 done, 1 failed, 2 wrong use; 128 + N when ended by signal "
		   "N.\n");
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
    .summary = "what the commands do, with examples",
    .description = "Shows the commands, or what one of them does and takes.",
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
    .summary = "the version of nunchi",
    .description = "Shows the version of nunchi.",
    .examples = "  nunchi version\n",
    .run = version_run,
};
