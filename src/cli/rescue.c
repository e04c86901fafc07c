/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

static const struct nunchi_column columns[] = {
    {"undone", NUNCHI_TYPE_INTEGER, "changes that were undone, or had ended"},
    {"left", NUNCHI_TYPE_INTEGER, "changes that are left as they are"},
};

static struct nunchi_error *write_repairs(struct cli *cli, size_t undone, size_t left)
{
	struct nunchi_cell cells[] = {
	    {.kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_INTEGER, .integer = (int64_t)undone},
	    {.kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_INTEGER, .integer = (int64_t)left}};
	struct nunchi_writer *writer;
	struct nunchi_error *err = cli_list_writer(cli, columns, ARRAY_SIZE(columns), &writer);

	if (err)
		return err;
	err = nunchi_writer_row(writer, cells, false);
	if (!err)
		err = nunchi_writer_finish(writer);
	nunchi_writer_destroy(writer);
	return err;
}

static int rescue_run(struct cli *cli, void *state, char **arguments, int count)
{
	size_t undone, left;
	int status;

	(void)state;
	(void)count;
	if (!cli_target_is_live(arguments[0]))
		return cli_misuse(cli, NULL, "a saved guest needs no rescue: \"%s\" is a file",
				  arguments[0]);
	status = cli_open(cli, arguments[0]);
	if (status)
		return status;
	nunchi_guest_repairs(cli->guest, &undone, &left);
	cli_notes(cli, cli->guest, &cli->notes_printed);
	status = cli_fail(cli, write_repairs(cli, undone, left));
	return status || !left ? status : CLI_FAILED;
}

const struct command command_rescue = {
    .name = "rescue",
    .arguments = "TARGET",
    .summary = "undo what a nunchi left in a guest when it was killed",
    .description =
	"A nunchi that is killed leaves its guest running and unchanged: its guard sees to that. "
	"If the guard was killed too, or the host's memory was short, the guest may be left "
	"paused, with breakpoints, or with an event ring. The undo log says so, and each command "
	"that opens the guest undoes it; this one does nothing else. The status is 0 if nothing is "
	"left, and 1 if something could not be undone, or it cannot be told whether it is to be; "
	"the note says what to do then.",
    .examples = "  nunchi rescue xen:web\n"
		"  nunchi rescue qemu:demo --json\n",
    .least = 1,
    .most = 1,
    .run = rescue_run,
};
