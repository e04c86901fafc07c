/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

static int ls_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct names_wanted *names = state;

	(void)count;
	names->path = arguments[1];
	names->depth = 1;
	return names_run(cli, names, arguments[0]);
}

const struct command command_ls = {
    .name = "ls",
    .arguments = "TARGET PATH",
    .summary = "show the files of a directory whose names are cached",
    .description =
	"Shows the file at a path of the guest, or of a directory those in it, as far as the "
	"guest's kernel has their names in memory: those that were used lately, and all of a "
	"tmpfs. A name that is not shown may exist all the same. The path is that of process 1, "
	"or of the process that --pid names: so containers are looked into. `cached` is how much "
	"of a file `nunchi cat` can write. A running guest is paused for as long as this takes, "
	"and only with --pause always.",
    .examples = "  nunchi ls memory.raw /etc\n"
		"  nunchi ls xen:web /srv --pid 1204 --pause always --json\n",
    .options = names_options,
    .option_count = NAMES_OPTION_COUNT,
    .least = 2,
    .most = 2,
    .state_size = sizeof(struct names_wanted),
    .option = names_option,
    .run = ls_run,
};
