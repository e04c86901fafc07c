/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

static const char *view_name(size_t i, const void *data)
{
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);

	(void)data;
	return i < count ? views[i]->name : NULL;
}

int view_argument(struct cli *cli, const char *name, const struct nunchi_view **ret)
{
	const struct nunchi_view *view = nunchi_view_find(name);

	if (!view)
		return cli_misuse(cli, suggest(name, view_name, NULL),
				  "there is no view \"%s\"; \"nunchi views\" lists them", name);
	*ret = view;
	return CLI_DONE;
}

int show_selected(struct cli *cli, struct select *select, const char *target, const char *name)
{
	const struct nunchi_view *view = NULL;
	int status = view_argument(cli, name, &view);

	if (!status)
		status = select_finish(cli, select, view);
	if (!status)
		status = cli_open(cli, target);
	return status ? status : cli_show(cli, view, &select->query);
}

static int show_run(struct cli *cli, void *state, char **arguments, int count)
{
	(void)count;
	return show_selected(cli, state, arguments[0], arguments[1]);
}

const struct command command_show = {
    .name = "show",
    .arguments = "TARGET VIEW",
    .summary = "show the rows of a view",
    .description =
	"Shows the rows of a view of a guest; \"nunchi views\" lists the views. With --where "
	"and --columns nunchi also reads less: with --where pid=1 only that process, with "
	"--columns only what those columns need.\nA cell without a value says why: - not "
	"applicable, <paged out> the guest has swapped the page out, <not mapped> no page is "
	"there, <not saved> the saved guest lacks the page, <no layout> this kernel's types "
	"lack a field, <bad data> the bytes contradict each other, <too long> longer than "
	"nunchi reads. A row that the guest kept changing while it was read ends in ~. "
	"Control characters, invisible characters and bytes that are not UTF-8 are shown "
	"escaped.",
    .examples = "  nunchi show xen:web processes\n"
		"  nunchi show xen:web process_open_files --where pid=1\n"
		"  nunchi show memory.raw processes --columns pid,name,cmdline --where uid=0\n"
		"  nunchi show qemu:demo processes --where 'pid>100' --where 'name^=ssh'\n"
		"  nunchi show qemu:demo kernel_modules --json\n",
    .options = select_options,
    .option_count = SELECT_OPTION_COUNT,
    .least = 2,
    .most = 2,
    .state_size = sizeof(struct select),
    .option = select_option,
    .run = show_run,
    .clean = select_clean,
};
