/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include "top/top.h"

#include <stdlib.h>

static const struct cli_option top_options[] = {
    {"batch", 'b', NULL, "write text instead of using the terminal"},
    {"count", 'n', "N", "with --batch: end after N refreshes"},
    {"interval", 'd', "SECONDS", "time between two refreshes, 0.2 to 3600 (default: 1)"},
    {"threads", 'H', NULL, "show threads, too"},
};

struct top_state {
	double seconds; /* 0: the default */
	uint64_t count;
	bool batch, threads;
};

static int top_option(struct cli *cli, void *state_pointer, int letter, const char *value)
{
	struct top_state *state = state_pointer;

	switch (letter) {
	case 'b':
		state->batch = true;
		return CLI_DONE;
	case 'H':
		state->threads = true;
		return CLI_DONE;
	case 'n':
		if (!parse_number(value, &state->count) || !state->count)
			return cli_misuse(cli, NULL, "--count takes a number above 0, not \"%s\"",
					  value);
		return CLI_DONE;
	default:
		return cli_seconds(cli, "--interval", value, 0.2, 3600, &state->seconds);
	}
}

/* Each refresh is seen at once. */
static bool write_text(const char *text, size_t size, void *cli)
{
	return cli_write(text, size, cli) && cli_flush(cli);
}

static void warn(const char *target, const char *text, void *cli_pointer)
{
	struct cli *cli = cli_pointer;

	cli->target = target;
	cli_warn(cli, text);
	cli->target = NULL;
}

static int check(struct cli *cli, const struct top_state *state)
{
	if (cli->guest_options.pause == NUNCHI_PAUSE_ALWAYS)
		return cli_misuse(cli, NULL, "never pauses a guest; it takes no --pause always");
	if (cli->output == NUNCHI_OUTPUT_CSV)
		return cli_misuse(cli, NULL, "has no CSV; --json writes one object a refresh");
	if (!state->batch && (state->count || cli->output == NUNCHI_OUTPUT_JSON))
		return cli_misuse(cli, NULL, "--count and --json need --batch");
	return CLI_DONE;
}

static int top_command_run(struct cli *cli, void *state_pointer, char **arguments, int count)
{
	const struct top_state *state = state_pointer;
	const char *targets[TOP_MOST_TARGETS], *failed;
	struct top_options options = {
	    .targets = targets,
	    .count = (size_t)count,
	    .guest = &cli->guest_options,
	    .interval_us = (uint64_t)((state->seconds > 0 ? state->seconds : 1) * 1e6),
	    .refreshes = state->count,
	    .batch = state->batch,
	    .json = cli->output == NUNCHI_OUTPUT_JSON,
	    .threads = state->threads,
	    .color = cli->color,
	    .width = cli->width,
	    .prepare = cli_worker_prepare,
	    .ended = cli_worker_ended,
	    .write = write_text,
	    .warn = warn,
	    .data = cli,
	};
	struct nunchi_error *err;
	int status = check(cli, state);

	if (status)
		return status;
	for (int i = 0; i < count; i++) {
		targets[i] = arguments[i];
		options.live[i] = cli_target_is_live(arguments[i]);
	}
	/* Ctrl-C is a usual end. */
	cli->until_signal = true;
	err = top_run(&options, &failed);
	cli->target = failed;
	/* Nobody reads the output: main() says why, if there is something to say. */
	if (err && nunchi_error_code(err) == NUNCHI_ERROR_CANCELLED) {
		nunchi_error_destroy(err);
		return CLI_DONE;
	}
	return cli_fail(cli, err);
}

const struct command command_top = {
    .name = "top",
    .arguments = "TARGET…",
    .summary = "show the busiest processes, anew each second",
    .description =
	"Shows what runs in guests, anew at each interval, as top and htop do: load, CPUs, memory, "
	"and the processes, the busiest first. CPU% is of one CPU, by the guest's own clock and "
	"counters between two readings; a saved guest has one reading, and no CPU%. The guest is "
	"never paused. Where the terminal is wide enough several guests stand side by side, "
	"otherwise Tab goes to the next one. A guest that reboots or goes away is read again "
	"when it is back.\nKeys: h shows all of them; P, M, T, N and C sort by CPU, memory, time, "
	"id "
	"and command, t is the tree, H the threads, / searches, \\ filters, l lists the open files "
	"and "
	"sockets of the chosen process, m its mappings, q ends.\nWith --batch, text is written; "
	"with "
	"--json as well, one JSON object a line for each guest and refresh. Of a running guest the "
	"first refresh comes after one interval.",
    .examples = "  nunchi top xen:web\n"
		"  nunchi top qemu:one qemu:two --interval 2\n"
		"  nunchi top -b -n 1 qemu:demo | head -20\n"
		"  nunchi top --batch --json xen:web | jq -c '.tasks[0]'\n",
    .options = top_options,
    .option_count = ARRAY_SIZE(top_options),
    .least = 1,
    .most = TOP_MOST_TARGETS,
    .state_size = sizeof(struct top_state),
    .option = top_option,
    .run = top_command_run,
};
