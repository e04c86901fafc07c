/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

static int modules_run(struct cli *cli, void *state, char **arguments, int count)
{
	(void)count;
	return show_selected(cli, state, arguments[0], "kernel_modules");
}

const struct command command_modules = {
    .name = "modules",
    .arguments = "TARGET",
    .summary = "show the loaded kernel modules",
    .description = "Shows the kernel modules that are loaded: the same as \"nunchi show TARGET "
		   "kernel_modules\".",
    .examples = "  nunchi modules xen:web\n"
		"  nunchi modules core.elf --columns name,size,address\n",
    .options = select_options,
    .option_count = SELECT_OPTION_COUNT,
    .least = 1,
    .most = 1,
    .state_size = sizeof(struct select),
    .option = select_option,
    .run = modules_run,
    .clean = select_clean,
};
