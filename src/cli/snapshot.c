/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <string.h>

static const struct cli_option snapshot_options[] = {
    {"format", OPTION_FORMAT, "elf|lime|raw", "format of the file (default: elf)"},
    PROGRESS_OPTION,
};

struct snapshot_state {
	enum nunchi_format format;
	struct progress progress;
};

static int snapshot_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct snapshot_state *snapshot = state;

	if (letter == OPTION_PROGRESS)
		snapshot->progress.always = true;
	else if (!strcmp(value, "elf"))
		snapshot->format = NUNCHI_FORMAT_ELF;
	else if (!strcmp(value, "lime"))
		snapshot->format = NUNCHI_FORMAT_LIME;
	else if (!strcmp(value, "raw"))
		snapshot->format = NUNCHI_FORMAT_RAW;
	else
		return cli_misuse(cli, NULL, "--format takes elf, lime or raw, not \"%s\"", value);
	return CLI_DONE;
}

static bool progress(uint64_t done, uint64_t total, void *data)
{
	struct snapshot_state *snapshot = data;

	if (cli_interrupted())
		return false;
	progress_show(&snapshot->progress, done, total);
	return true;
}

static int snapshot_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct snapshot_state *snapshot = state;
	struct nunchi_error *err;
	int status;

	(void)count;
	cli->guest_options.snapshot_path = arguments[1];
	status = cli_open(cli, arguments[0]);
	if (status)
		return status;
	progress_begin(&snapshot->progress);
	err = nunchi_snapshot(cli->guest, arguments[1], snapshot->format, progress, snapshot);
	progress_end(&snapshot->progress);
	return cli_fail(cli, err);
}

const struct command command_snapshot = {
    .name = "snapshot",
    .arguments = "TARGET FILE",
    .summary = "save a guest's memory to a file",
    .description =
	"Writes the guest's memory to a new file: an ELF core, a LiME file or raw memory, "
	"sparse where memory is zero. The guest runs meanwhile, so that pages may be of "
	"different moments, unless --pause always is given. The file gets its name when it is "
	"complete; Ctrl-C leaves no file, and the guest running. Progress is shown on a "
	"terminal.",
    .examples = "  nunchi snapshot xen:web web.elf --pause always\n"
		"  nunchi snapshot qemu:demo demo.elf\n"
		"  nunchi snapshot qemu:demo demo.lime --format lime --pause always\n",
    .options = snapshot_options,
    .option_count = ARRAY_SIZE(snapshot_options),
    .least = 2,
    .most = 2,
    .state_size = sizeof(struct snapshot_state),
    .option = snapshot_option,
    .run = snapshot_run,
};
