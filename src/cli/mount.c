/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include "mount/mount.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_option mount_options[] = {
    {"fill", OPTION_FILL, NULL, "bytes that are not in the memory are zeros, and no errors"},
};

struct mount_state {
	struct cli *cli;
	struct mount_options options;
	const char *target;
};

static int mount_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct mount_state *mount = state;

	(void)cli;
	(void)letter;
	(void)value;
	mount->options.fill = true;
	return CLI_DONE;
}

static int open_guest(void *data, struct nunchi_guest **ret)
{
	struct mount_state *mount = data;
	struct cli *cli = mount->cli;
	int status = cli_open_context(cli);

	if (!status)
		status = cli_open(cli, mount->target);
	*ret = cli->guest;
	return status;
}

static void tell_taken_away(void *data)
{
	struct mount_state *mount = data;

	cli_note(mount->cli, "a mount that a nunchi left there when it was killed was taken away");
}

static void tell_ready(void *data)
{
	struct mount_state *mount = data;
	char *shown = cli_escape(mount->options.directory, strlen(mount->options.directory));

	cli_notes(mount->cli, mount->cli->guest, &mount->cli->notes_printed);
	fprintf(stderr, "nunchi: mounted on %s; Ctrl-C unmounts it\n", shown);
	free(shown);
}

static void warn(const char *text, void *data)
{
	struct mount_state *mount = data;

	cli_warn(mount->cli, text);
}

/*
 * Takes "/" and "/." from the end. The kernel would ask the file system for that ".", and so this
 * process itself, which waits for the answer.
 */
static void strip_dots(char *path)
{
	size_t size = strlen(path);

	while (size > 1 && (path[size - 1] == '/' || (size > 2 && !strcmp(path + size - 2, "/."))))
		path[--size] = '\0';
}

static int mount_command_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct mount_state *mount = state;
	struct mount_options *options = &mount->options;
	enum mount_end end;
	struct nunchi_error *err;
	int status = CLI_DONE;

	(void)count;
	if (cli->output != NUNCHI_OUTPUT_TABLE)
		return cli_misuse(cli, NULL,
				  "takes neither --json nor --csv: the file system has both");
	mount->cli = cli;
	mount->target = arguments[0];
	strip_dots(arguments[1]);
	options->directory = arguments[1];
	options->log.view = "kernel_log";
	options->log.columns = log_columns;
	options->log.column_count = LOG_COLUMN_COUNT;
	options->log.row = log_record;
	options->open = open_guest;
	options->live = cli_target_is_live(arguments[0]);
	options->taken_away = tell_taken_away;
	options->ready = tell_ready;
	options->warn = warn;
	options->wait = cli_wait;
	options->data = mount;
	/* Ctrl-C is the usual end. */
	cli->until_signal = true;
	/* It would be of both processes. */
	cli_close_context(cli);
	err = mount_run(options, &end, &status);
	return err ? cli_fail(cli, err) : status;
}

const struct command command_mount = {
    .name = "mount",
    .arguments = "TARGET DIR",
    .summary = "mount a guest as a file system, to be read",
    .description =
	"Mounts the guest on DIR, an empty directory, so that any program can read it, and stays "
	"until Ctrl-C or \"fusermount3 -u DIR\" unmounts it. There are: views/NAME.csv and "
	"NAME.json, the rows of each view; log, as \"nunchi log\" prints it; "
	"proc/PID/cmdline, environ, maps, mem and status of each process; mem/physical, the "
	"guest's memory; and of a saved guest files/, its files as process 1 has them, as far as "
	"they are in memory.\n"
	"Nothing can be written, and only who mounted it can read it. Bytes that are not in the "
	"memory are an I/O error, or zeros with --fill. Of a running guest a file is made when it "
	"is opened, and its size is 0 before. A nunchi that was killed leaves a mount that does "
	"not answer; the next one on DIR takes it away.",
    .examples = "  nunchi mount memory.raw /mnt\n"
		"  grep -l sshd /mnt/proc/*/cmdline\n"
		"  nunchi mount xen:web /mnt --pause never\n"
		"  fusermount3 -u /mnt\n",
    .options = mount_options,
    .option_count = ARRAY_SIZE(mount_options),
    .least = 2,
    .most = 2,
    .state_size = sizeof(struct mount_state),
    .option = mount_option,
    .run = mount_command_run,
};
