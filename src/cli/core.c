/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <nunchi/gdb.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct cli_option core_options[] = {
    {"limit", OPTION_LIMIT, "SIZE", "fail if the process has more memory than that (default: 16G)"},
    PROGRESS_OPTION,
};

static const struct nunchi_column columns[] = {
    {"start", NUNCHI_TYPE_ADDRESS, "first address of a range that is not in the core",
     NUNCHI_UNIT_NONE},
    {"end", NUNCHI_TYPE_ADDRESS, "first address behind it", NUNCHI_UNIT_NONE},
    {"size", NUNCHI_TYPE_INTEGER, "its bytes", NUNCHI_UNIT_BYTES},
    {"mapping", NUNCHI_TYPE_TEXT, "path or name of the mapping", NUNCHI_UNIT_NONE},
    {"reason", NUNCHI_TYPE_TEXT, "why", NUNCHI_UNIT_NONE},
};

struct core_state {
	struct cli *cli;
	uint64_t limit;
	struct progress progress;
	struct output_file output;
	struct nunchi_writer *writer;
	struct nunchi_error *err; /* of writing a row */
	bool failed;              /* an error of writing the file was printed */
	bool has_gaps;
};

static int core_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct core_state *core = state;

	if (letter == OPTION_PROGRESS)
		core->progress.always = true;
	else if (!parse_size(value, &core->limit) || !core->limit)
		return cli_misuse(cli, NULL, "--limit takes a size such as 64G, not \"%s\"", value);
	return CLI_DONE;
}

static bool write_bytes(uint64_t at, const void *bytes, size_t count, void *data)
{
	struct core_state *core = data;

	if (output_file_write_at(&core->output, at, bytes, count))
		return true;
	core->failed = !cli_interrupted();
	if (core->failed)
		cli_fail_with(core->cli, "cannot write %s: %s", core->output.path, strerror(errno));
	return false;
}

static void show_gap(const struct nunchi_core_gap *gap, void *data)
{
	struct core_state *core = data;
	struct nunchi_cell mapping = cell_not_applicable();
	struct nunchi_cell cells[ARRAY_SIZE(columns)];

	if (gap->mapping_size) {
		mapping = cell_text("");
		mapping.text = gap->mapping;
		mapping.text_size = gap->mapping_size;
	}
	cells[0] = cell_address(gap->start);
	cells[1] = cell_address(gap->end);
	cells[2] = cell_integer((int64_t)(gap->end - gap->start));
	cells[3] = mapping;
	cells[4] = cell_text(gap->reason);
	core->has_gaps = true;
	if (!core->err)
		core->err = nunchi_writer_row(core->writer, cells, false);
}

static void warn(const char *text, void *data)
{
	struct core_state *core = data;

	progress_end(&core->progress);
	cli_warn(core->cli, text);
}

static bool show_progress(uint64_t done, void *data)
{
	struct core_state *core = data;

	if (cli_interrupted() || core->err)
		return false;
	progress_show(&core->progress, done, 0);
	return true;
}

static void tell(struct cli *cli, const struct nunchi_core_result *result)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "a program of %d bits: %" PRIu32 " threads, of which the registers of %" PRIu32
		 " are known; %" PRIu64 " KiB of its pages, %" PRIu64 " KiB out of the page cache",
		 result->is_64 ? 64 : 32, result->threads, result->threads_known,
		 result->memory >> 10, result->cached >> 10);
	cli_note(cli, text);
	if (!result->missing)
		return;
	snprintf(text, sizeof(text),
		 "%" PRIu64 " KiB of its mappings are not in the guest's memory, nor in the core",
		 result->missing >> 10);
	cli_warn(cli, text);
}

/* Ends the rows; gives the exit status. */
static int end_rows(struct core_state *core, int status)
{
	struct nunchi_error *err = core->err;

	if (!err && core->has_gaps && !status)
		err = nunchi_writer_finish(core->writer);
	core->err = NULL;
	nunchi_writer_destroy(core->writer);
	/* What ended the command was said before. */
	if (status) {
		nunchi_error_destroy(err);
		return status;
	}
	return cli_fail(core->cli, err);
}

static int write_core(struct cli *cli, struct core_state *core, uint64_t pid)
{
	const struct nunchi_core_options options = {.size = sizeof(options),
						    .pid = pid,
						    .hold = cli->guest_options.pause ==
							    NUNCHI_PAUSE_ALWAYS,
						    .limit = core->limit};
	const struct nunchi_core_output output = {.size = sizeof(output),
						  .data = core,
						  .write = write_bytes,
						  .gap = show_gap,
						  .warn = warn,
						  .progress = show_progress};
	struct nunchi_core_result result = {.size = sizeof(result)};
	struct nunchi_error *err;
	int status =
	    cli_fail(cli, cli_list_writer(cli, columns, ARRAY_SIZE(columns), &core->writer));

	if (status)
		return status;
	core->cli = cli;
	progress_begin(&core->progress);
	err = nunchi_core(cli->guest, &options, &output, &result);
	progress_end(&core->progress);
	cli_notes(cli, cli->guest, &cli->notes_printed);
	if (core->failed) {
		nunchi_error_destroy(err);
		status = CLI_FAILED;
	} else if (err && core->err) {
		nunchi_error_destroy(err);
	} else {
		status = cli_fail(cli, err);
	}
	if (!status && !core->err && ftruncate(core->output.fd, (off_t)result.file_size))
		status =
		    cli_fail_with(cli, "cannot write %s: %s", core->output.path, strerror(errno));
	status = end_rows(core, status);
	if (!status)
		tell(cli, &result);
	return status;
}

static int core_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct core_state *core = state;
	struct stat st;
	uint64_t pid;
	int status;

	(void)count;
	if (!parse_number(arguments[1], &pid) || !pid || pid > INT32_MAX)
		return cli_misuse(cli, NULL, "\"%s\" is not a process id", arguments[1]);
	core->output.path = arguments[2];
	/* Opening some devices does something: a tape is rewound, a watchdog is started. */
	if (!strcmp(arguments[2], "-") || (!stat(arguments[2], &st) && !S_ISREG(st.st_mode)))
		return cli_misuse(cli, NULL, "a core is written to a file, not to \"%s\"",
				  arguments[2]);
	status = held_check(cli, arguments[0]);
	if (!status)
		status = output_file_open(cli, &core->output);
	/* It may have been exchanged since. */
	if (!status && !core->output.temporary)
		status = cli_fail_with(cli, "%s is not a file any more", arguments[2]);
	if (!status)
		status = cli_open(cli, arguments[0]);
	if (status)
		return status;
	return output_file_close(cli, &core->output, write_core(cli, core, pid));
}

static void core_clean(void *state)
{
	struct core_state *core = state;

	output_file_clean(&core->output);
}

const struct command command_core = {
    .name = "core",
    .arguments = "TARGET PID FILE",
    .summary = "write a process as an ELF core, for gdb",
    .description =
	"Writes the process PID of the guest to FILE as an ELF core, as Linux does when a signal "
	"ends one: its memory, its threads with the registers with which they entered the "
	"kernel, its auxiliary vector, the paths of the files that it has mapped. What it has not "
	"used of these files comes out of the page cache. Ranges that are not in the guest's "
	"memory, because they are swapped out or the page cache has no page, are not in the core, "
	"so that gdb cannot read them, and are shown with their reasons. There are no "
	"registers of the FPU.\n"
	"FILE is named when it is complete, in place of one that is there; Ctrl-C leaves no file. "
	"A "
	"running guest is paused for as long as this takes, and only with --pause always.",
    .examples = "  nunchi core memory.raw 541 sshd.core\n"
		"  nunchi core xen:web 1204 nginx.core --pause always --json > missing.jsonl\n"
		"  gdb -ex 'set sysroot /nowhere' -core sshd.core\n",
    .options = core_options,
    .option_count = ARRAY_SIZE(core_options),
    .least = 3,
    .most = 3,
    .state_size = sizeof(struct core_state),
    .option = core_option,
    .run = core_run,
    .clean = core_clean,
};
