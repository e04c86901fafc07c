/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <limits.h>

static int find_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct names_wanted *names = state;

	names->path = count > 1 ? arguments[1] : "/";
	names->depth = UINT_MAX;
	return names_run(cli, names, arguments[0]);
}

const struct command command_find_names = {
    .name = "find",
    .arguments = "TARGET [PATH]",
    .summary = "show the files below a directory whose names are cached",
    .description =
	"Shows the file at a path of the guest (/), and all files below it, as far as the guest's "
	"kernel has their names in memory: those that were used lately, and all of a tmpfs. "
	"Mounts are entered, symbolic links are not followed. Otherwise it is as \"nunchi ls\". "
	"A running guest is paused for as long as this takes, and only with --pause always.",
    .examples = "  nunchi find memory.raw /tmp\n"
		"  nunchi find memory.raw --name '*.so*' --csv\n",
    .options = names_options,
    .option_count = NAMES_OPTION_COUNT,
    .least = 1,
    .most = 2,
    .state_size = sizeof(struct names_wanted),
    .option = names_option,
    .run = find_run,
};
