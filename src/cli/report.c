/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include "report/report.h"

static const struct cli_option report_options[] = {
    {"output", 'o', "FILE",
     "write to FILE, which is named when it is complete, in place of one that is there (-: "
     "standard output)"},
};

struct report_state {
	struct output_file output;
	struct cli *cli;
	int status; /* of the first writing that failed */
};

static int report_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct report_state *report = state;

	(void)cli;
	(void)letter;
	report->output.path = value;
	return CLI_DONE;
}

static void warn(const char *text, void *data)
{
	struct report_state *report = data;

	cli_warn(report->cli, text);
}

static bool take_bytes(const char *bytes, size_t size, void *data)
{
	struct report_state *report = data;

	report->status = output_file_write(report->cli, &report->output, bytes, size);
	return !report->status;
}

static int write_page(struct cli *cli, struct report_state *report, const char *target)
{
	const struct report_options options = {
	    .guest = cli->guest,
	    .target = target,
	    .live = cli_target_is_live(target),
	    .warn = warn,
	    .write = take_bytes,
	    .data = report,
	};
	struct nunchi_error *err = report_write(&options);

	cli_notes(cli, cli->guest, &cli->notes_printed);
	/* A failed writing was told of. */
	if (report->status)
		nunchi_error_destroy(err);
	return report->status ? report->status : cli_fail(cli, err);
}

static int report_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct report_state *report = state;
	int status;

	(void)count;
	if (cli->output != NUNCHI_OUTPUT_TABLE)
		return cli_misuse(cli, NULL,
				  "a report is HTML; \"nunchi show TARGET VIEW\" gives rows as "
				  "JSON or CSV");
	report->cli = cli;
	status = output_file_check(cli, report->output.path);
	if (!status)
		status = output_file_open(cli, &report->output);
	if (!status)
		status = cli_open(cli, arguments[0]);
	if (status)
		return status;
	return output_file_close(cli, &report->output, write_page(cli, report, arguments[0]));
}

static void report_clean(void *state)
{
	struct report_state *report = state;

	output_file_clean(&report->output);
}

const struct command command_report = {
    .name = "report",
    .arguments = "TARGET",
    .summary = "write a page of HTML about a guest",
    .description =
	"Writes one page for a browser: kernel, system, memory and load, what the checks found, "
	"the "
	"tree of processes, when they started, listening ports, sockets, modules, mounts, network "
	"interfaces, and what is missing, with the reasons. The page needs nothing else: it loads "
	"nothing, and permits no script but its own, with which tables are searched, sorted and "
	"folded. It can be read without that, printed, and sent to others.\nThe rows are those of "
	"\"nunchi show\". All that the guest says is written as text, whatever is in it. A running "
	"guest is read while it runs; with --pause always all of the page is of one moment.",
    .examples = "  nunchi report memory.raw -o report.html\n"
		"  nunchi report xen:web -o web.html --pause always\n"
		"  nunchi report qemu:demo | gzip > demo.html.gz\n",
    .options = report_options,
    .option_count = ARRAY_SIZE(report_options),
    .least = 1,
    .most = 1,
    .state_size = sizeof(struct report_state),
    .option = report_option,
    .run = report_run,
    .clean = report_clean,
};
