/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include "metrics/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG 16

static const struct cli_option metrics_options[] = {
    {"listen", OPTION_LISTEN, "unix:PATH|127.0.0.1:PORT",
     "answer GET /metrics at a port that everybody on this host may use, or at a socket that only "
     "you may use, until Ctrl-C; the guests are read when somebody asks, at most once a second"},
    {"textfile", OPTION_TEXTFILE, "FILE.prom",
     "write the file, for the textfile collector of node_exporter"},
    {"interval", 'd', "SECONDS",
     "with --textfile: write it again every so many seconds, 1 to 86400, until Ctrl-C"},
    {"findings", OPTION_FINDINGS, NULL,
     "run the integrity checks as well (\"nunchi check\"), and count their findings"},
};

struct metrics_state {
	const char *listen, *textfile;
	double seconds; /* 0: once */
	bool findings;
	struct listener listener;
};

static int metrics_option(struct cli *cli, void *state_pointer, int letter, const char *value)
{
	struct metrics_state *state = state_pointer;

	switch (letter) {
	case OPTION_LISTEN:
		state->listen = value;
		return CLI_DONE;
	case OPTION_TEXTFILE:
		state->textfile = value;
		return CLI_DONE;
	case OPTION_FINDINGS:
		state->findings = true;
		return CLI_DONE;
	default:
		return cli_seconds(cli, "--interval", value, 1, 86400, &state->seconds);
	}
}

static void file_fail(const struct nunchi_error *err, void *cli_pointer)
{
	(void)cli_fail(cli_pointer,
		       nunchi_error_create(nunchi_error_code(err), nunchi_error_errno(err),
					   nunchi_error_message(err), nunchi_error_hint(err)));
}

static void fail(const char *target, const struct nunchi_error *err, void *cli_pointer)
{
	struct cli *cli = cli_pointer;

	cli->target = target;
	file_fail(err, cli);
	cli->target = NULL;
}

static void back(const char *target, void *cli_pointer)
{
	struct cli *cli = cli_pointer;

	cli->target = target;
	cli_note(cli, "the guest can be read again");
	cli->target = NULL;
}

static void file_back(void *cli)
{
	cli_note(cli, "the file can be written again");
}

/* What is given to nobody but node_exporter would not be read under another name. */
static bool is_collected(const char *path)
{
	static const char end[] = ".prom";
	const char *name = strrchr(path, '/');
	size_t size;

	name = name ? name + 1 : path;
	size = strlen(name);
	return size >= sizeof(end) && !strcmp(name + size - (sizeof(end) - 1), end);
}

static int check(struct cli *cli, const struct metrics_state *state, char **arguments, int count)
{
	bool json = cli->output == NUNCHI_OUTPUT_JSON;

	if (cli->guest_options.pause == NUNCHI_PAUSE_ALWAYS)
		return cli_misuse(cli, NULL, "never pauses a guest; it takes no --pause always");
	if (cli->output == NUNCHI_OUTPUT_CSV)
		return cli_misuse(cli, NULL, "has no CSV; --json writes one object a sample");
	if (state->listen && state->textfile)
		return cli_misuse(cli, NULL, "--listen and --textfile exclude each other");
	if (json && (state->listen || state->textfile))
		return cli_misuse(cli, NULL,
				  "--json is for standard output, not for --listen and --textfile");
	if (state->seconds > 0 && !state->textfile)
		return cli_misuse(cli, NULL, "--interval needs --textfile");
	if (state->textfile && !is_collected(state->textfile))
		return cli_misuse(cli, NULL,
				  "--textfile takes a file whose name ends in .prom, not \"%s\": "
				  "node_exporter reads no others",
				  state->textfile);
	for (int i = 0; i < count; i++)
		for (int other = 0; other < i; other++)
			if (!strcmp(arguments[i], arguments[other]))
				return cli_misuse(cli, NULL, "the target %s is given twice",
						  arguments[i]);
	return CLI_DONE;
}

static int listen_for_scrapes(struct cli *cli, struct metrics_state *state)
{
	int status = listener_open(cli, state->listen, BACKLOG, &state->listener);

	if (status)
		return status;
	if (fcntl(state->listener.fd, F_SETFL, O_NONBLOCK))
		return cli_fail_with(cli, "cannot listen: %s", strerror(errno));
	if (state->listener.path)
		fprintf(stderr,
			"nunchi: listening: curl --unix-socket %s http://localhost/metrics\n",
			state->listener.path);
	else
		fprintf(stderr, "nunchi: listening: http://127.0.0.1:%u/metrics\n",
			state->listener.port);
	return CLI_DONE;
}

static int metrics_command_run(struct cli *cli, void *state_pointer, char **arguments, int count)
{
	struct metrics_state *state = state_pointer;
	const char *targets[METRICS_MOST_TARGETS];
	struct metrics_options options = {
	    .targets = targets,
	    .count = (size_t)count,
	    .guest = &cli->guest_options,
	    .findings = state->findings,
	    .json = cli->output == NUNCHI_OUTPUT_JSON,
	    .listener = -1,
	    .textfile = state->textfile,
	    .interval_us = (uint64_t)(state->seconds * 1e6),
	    .prepare = cli_worker_prepare,
	    .ended = cli_worker_ended,
	    .write = cli_write,
	    .fail = fail,
	    .back = back,
	    .file_fail = file_fail,
	    .file_back = file_back,
	    .data = cli,
	};
	int status = check(cli, state, arguments, count);
	size_t failed;

	for (int i = 0; i < count; i++) {
		targets[i] = arguments[i];
		options.live[i] = cli_target_is_live(arguments[i]);
	}
	if (!status && state->listen)
		status = listen_for_scrapes(cli, state);
	if (status)
		return status;
	if (state->listen)
		options.listener = state->listener.fd;
	/* Ctrl-C is a usual end. */
	cli->until_signal = state->listen || state->seconds > 0;
	status = cli_fail(cli, metrics_run(&options, &failed));
	return !status && failed && !cli->until_signal ? CLI_FAILED : status;
}

static void metrics_clean(void *state_pointer)
{
	struct metrics_state *state = state_pointer;

	listener_close(&state->listener);
}

const struct command command_metrics = {
    .name = "metrics",
    .arguments = "TARGET…",
    .summary = "give numbers of guests to Prometheus",
    .description =
	"Gives what can be counted in guests to Prometheus and whatever else reads OpenMetrics: "
	"uptime, load, memory, time of CPUs, processes, threads, sockets, modules, the kernel's "
	"taint, findings of the checks, and how well all that could be read. Without --listen and "
	"--textfile the numbers of one reading are printed, with --json one object a sample.\n"
	"Each guest is read by a process of its own, which is confined. A guest is never paused. "
	"One that reboots or goes away has nunchi_up 0, and is read again when it is back. A value "
	"that cannot be read has no sample; nunchi_missing counts such values by family and "
	"reason.",
    .examples = "  nunchi metrics xen:web                        # print them once\n"
		"  nunchi metrics xen:web xen:db --listen 127.0.0.1:9435\n"
		"  nunchi metrics qemu:demo --findings --interval 15 \\\n"
		"      --textfile /var/lib/prometheus/node-exporter/nunchi.prom\n"
		"  nunchi metrics --json memory.raw | jq -c 'select(.name == \"nunchi_load1\")'\n",
    .options = metrics_options,
    .option_count = ARRAY_SIZE(metrics_options),
    .least = 1,
    .most = METRICS_MOST_TARGETS,
    .state_size = sizeof(struct metrics_state),
    .option = metrics_option,
    .run = metrics_command_run,
    .clean = metrics_clean,
};
