/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How much of the output waits before it is written. */
#define OUTPUT_LIMIT 16384
/* How long one call waits for an event. */
#define WAIT_MS 200

#define MAX_PROBES 64

static const struct cli_option trace_options[] = {
    {"pid", OPTION_PID, "PID", "only this process, and those that descend from it"},
    {"container", OPTION_CONTAINER, "ID",
     "only processes of the container whose id, or name, begins with ID"},
    {"columns", OPTION_COLUMNS, "A,B,…", "show only these columns, in this order"},
    {"where", OPTION_WHERE, "CONDITION",
     "show only rows that meet the condition, as in \"nunchi show\"; what concerns the columns of "
     "all probes (pid, name, uid …) is tested first, so that other rows cost the guest less"},
    {"count", OPTION_COUNT, "N", "end after N rows"},
    {"duration", OPTION_DURATION, "SECONDS", "end after this time"},
    {"summary", OPTION_SUMMARY, NULL,
     "count the rows of each probe instead of showing them, of system calls by name"},
};

/* In the order in which a program does them. */
static const char *const default_probes[] = {"exec",    "exit",   "open",
					     "connect", "accept", "module_load"};

struct trace {
	struct select select;
	uint64_t pid, count;
	double seconds;          /* 0: no limit */
	struct summary *summary; /* NULL: rows are shown */
	struct nunchi_trace *trace;
	const char *const *probes;
	size_t probe_count;
	struct nunchi_writer *writers[MAX_PROBES]; /* for JSON and CSV; CSV has one */
	uint64_t given, lost;
	size_t warned; /* number of warnings that were printed */
	double start;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* It is a condition on a column that all probes have, and is tested as early as the others. */
static int take_container(struct cli *cli, struct trace *trace, const char *id)
{
	char *condition;
	int status;

	if (!*id)
		return cli_misuse(cli, NULL, "--container takes the id of a container");
	if (asprintf(&condition, "container^=%s", id) < 0)
		return cli_fail_with(cli, "out of memory");
	status = select_option(cli, &trace->select, OPTION_WHERE, condition);
	free(condition);
	return status;
}

static int trace_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct trace *trace = state;
	uint64_t number;
	char *end;

	switch (letter) {
	case OPTION_SUMMARY:
		if (!trace->summary)
			trace->summary = summary_create();
		return trace->summary ? CLI_DONE : cli_fail_with(cli, "out of memory");
	case OPTION_PID:
		if (!parse_number(value, &trace->pid) || !trace->pid || trace->pid > INT32_MAX)
			return cli_misuse(cli, NULL, "--pid takes a process id, not \"%s\"", value);
		return CLI_DONE;
	case OPTION_CONTAINER:
		return take_container(cli, trace, value);
	case OPTION_COUNT:
		if (!parse_number(value, &number) || !number)
			return cli_misuse(cli, NULL, "--count takes a number above 0, not \"%s\"",
					  value);
		trace->count = number;
		return CLI_DONE;
	case OPTION_DURATION:
		trace->seconds = strtod(value, &end);
		if (*end || !(trace->seconds > 0 && trace->seconds < 1e9))
			return cli_misuse(cli, NULL, "--duration takes seconds, not \"%s\"", value);
		return CLI_DONE;
	default:
		return select_option(cli, &trace->select, letter, value);
	}
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static const struct nunchi_column probe_column = {"probe", NUNCHI_TYPE_TEXT, "name of the probe"};

/* A writer for the rows of one probe: JSON has the probe's name in each row. */
static struct nunchi_error *make_writer(struct cli *cli, struct trace *trace, size_t probe)
{
	const struct nunchi_column *columns[1 + SELECT_MOST_COLUMNS] = {&probe_column};
	const struct nunchi_column *const *own;
	size_t count;

	own = nunchi_trace_columns(trace->trace, probe, &count);
	if (count > SELECT_MOST_COLUMNS)
		count = SELECT_MOST_COLUMNS;
	memcpy(columns + 1, own, count * sizeof(*own));
	return cli_writer(cli, columns, count + 1, true, NULL, &trace->writers[probe]);
}

static struct nunchi_error *make_writers(struct cli *cli, struct trace *trace)
{
	/* With --columns all rows have the same columns, and one header. */
	size_t count = cli->output == NUNCHI_OUTPUT_CSV ? 1 : trace->probe_count;
	struct nunchi_error *err = NULL;

	if (cli->output == NUNCHI_OUTPUT_TABLE || trace->summary)
		return NULL;
	for (size_t i = 0; i < count && !err; i++)
		err = make_writer(cli, trace, i);
	return err;
}

static struct nunchi_error *write_row(struct cli *cli, struct trace *trace,
				      const struct nunchi_trace_row *row,
				      const struct nunchi_column *const *columns, size_t count)
{
	const struct nunchi_view *probe = nunchi_trace_probe(trace->trace, row->probe);
	struct nunchi_cell cells[1 + SELECT_MOST_COLUMNS] = {cell_text(probe->name)};
	size_t writer = cli->output == NUNCHI_OUTPUT_CSV ? 0 : row->probe;

	if (cli->output == NUNCHI_OUTPUT_TABLE) {
		/* A line has room for what is the probe's own; --columns shows what is asked for.
		 */
		event_print(cli, probe, columns, count, row->cells,
			    trace->select.columns_text ? 0 : NUNCHI_PROBE_COMMON_COLUMNS);
		return NULL;
	}
	if (count > SELECT_MOST_COLUMNS)
		count = SELECT_MOST_COLUMNS;
	memcpy(cells + 1, row->cells, count * sizeof(*cells));
	return nunchi_writer_row(trace->writers[writer], cells, false);
}

/* Shows a row, unless its reader is too slow: the guest does not wait for him. */
static struct nunchi_error *show_row(struct cli *cli, struct trace *trace,
				     const struct nunchi_trace_row *row)
{
	const struct nunchi_column *const *columns;
	struct nunchi_error *err;
	size_t count, before;

	columns = nunchi_trace_columns(trace->trace, row->probe, &count);
	if (trace->summary) {
		trace->given++;
		summary_add(trace->summary, nunchi_trace_probe(trace->trace, row->probe), columns,
			    count, row->cells);
		return NULL;
	}
	if (cli->out_size > OUTPUT_LIMIT)
		cli_flush_ready(cli);
	before = cli->out_size;
	err = write_row(cli, trace, row, columns, count);
	if (cli->overflowed) {
		/* The whole row, not its end alone. */
		cli->out_size = before;
		cli->overflowed = false;
		trace->lost++;
	} else {
		trace->given++;
	}
	return err;
}

/* ---- The end --------------------------------------------------------------------------------- */

/* What tracing has cost, for people. */
static void print_cost(struct trace *trace)
{
	double seconds = now() - trace->start;
	struct nunchi_trace_cost cost;

	nunchi_trace_cost(trace->trace, &cost);
	fprintf(stderr,
		"%" PRIu64 " events in %.1f s (%.0f a second), %" PRIu64
		" rows; the guest stood still for %.1f ms of it (%.2f %%)\n",
		cost.events, seconds, seconds > 0 ? (double)cost.events / seconds : 0, cost.rows,
		(double)cost.stopped_us / 1e3,
		seconds > 0 ? (double)cost.stopped_us / seconds / 1e4 : 0);
	if (trace->lost + cost.dropped)
		fprintf(stderr,
			"%" PRIu64
			" rows were left out: their reader was too slow, or memory short\n",
			trace->lost + cost.dropped);
}

static void print_warnings(struct cli *cli, struct trace *trace)
{
	const char *warning;

	while ((warning = nunchi_trace_warning(trace->trace, trace->warned))) {
		cli_warn(cli, warning);
		trace->warned++;
	}
}

/* Shows what came before the end, and the calls that have not returned. */
static int finish(struct cli *cli, struct trace *trace, struct nunchi_error *err)
{
	struct nunchi_trace_row row;
	int status;

	nunchi_trace_stop(trace->trace);
	/* The guest does not wait any more. */
	cli->never_waits = false;
	status = cli_fail(cli, err);
	while (!(err = nunchi_trace_next(trace->trace, 0, &row)) && row.cells) {
		if (!trace->count || trace->given < trace->count)
			nunchi_error_destroy(show_row(cli, trace, &row));
	}
	nunchi_error_destroy(err);
	print_warnings(cli, trace);
	if (trace->summary && !status)
		status = cli_fail(cli, summary_write(cli, trace->summary));
	cli_flush(cli);
	print_cost(trace);
	return status;
}

/* ---------------------------------------------------------------------------------------------- */

static bool has_ended(const struct cli *cli, const struct trace *trace)
{
	return cli_interrupted() || cli->write_errno ||
	       (trace->count && trace->given >= trace->count) ||
	       (trace->seconds > 0 && now() - trace->start >= trace->seconds);
}

static unsigned wait_ms(const struct trace *trace)
{
	double left = trace->seconds > 0 ? (trace->start + trace->seconds - now()) * 1e3 : WAIT_MS;

	return left > WAIT_MS ? WAIT_MS : left > 0 ? (unsigned)left + 1 : 0;
}

static int follow(struct cli *cli, struct trace *trace)
{
	struct nunchi_error *err = NULL;
	struct nunchi_trace_row row;
	bool told = false;

	while (!err && !has_ended(cli, trace)) {
		err = nunchi_trace_next(trace->trace, 0, &row);
		if (!err && !row.cells) {
			/* Nothing is waiting: the reader gets what there is. */
			cli_flush_ready(cli);
			err = nunchi_trace_next(trace->trace, wait_ms(trace), &row);
		}
		if (!err && row.cells)
			err = show_row(cli, trace, &row);
		if (!err && nunchi_trace_is_paused(trace->trace) && !told) {
			cli_note(cli, "somebody else has paused the guest");
			told = true;
		}
	}
	if (err && nunchi_error_code(err) == NUNCHI_ERROR_CANCELLED && cli_interrupted()) {
		nunchi_error_destroy(err);
		err = NULL;
	}
	return finish(cli, trace, err);
}

static int check_probes(struct cli *cli, struct trace *trace, char **arguments, int count)
{
	trace->probes = (const char *const *)arguments;
	trace->probe_count = (size_t)count;
	if (!count) {
		trace->probes = default_probes;
		trace->probe_count = ARRAY_SIZE(default_probes);
	}
	if (count > MAX_PROBES)
		return cli_misuse(cli, NULL, "at most %d probes", MAX_PROBES);
	for (int i = 0; i < count; i++) {
		int status = probe_check(cli, arguments[i]);

		if (status)
			return status;
	}
	if (cli->output == NUNCHI_OUTPUT_CSV && trace->probe_count > 1 &&
	    !trace->select.columns_text && !trace->summary)
		return cli_misuse(cli, NULL,
				  "--csv has one header: name one probe, or columns that all "
				  "probes have by --columns (time, pid, name …)");
	return CLI_DONE;
}

/*
 * Ctrl-Z does nothing: if this process were stopped, so would be the guest, at the next event and
 * for as long.
 */
static void ignore_stops(void)
{
	static const int stops[] = {SIGTSTP, SIGTTIN, SIGTTOU};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	for (size_t i = 0; i < ARRAY_SIZE(stops); i++)
		sigaction(stops[i], &ignore, NULL);
}

static int trace_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct trace *trace = state;
	struct nunchi_trace_options options = {.size = sizeof(options)};
	int status = check_probes(cli, trace, arguments + 1, count - 1);

	if (!status)
		status = select_finish(cli, &trace->select, NULL);
	cli->guest_options.events = true;
	cli_never_wait(cli);
	ignore_stops();
	if (!status)
		status = cli_open(cli, arguments[0]);
	if (status)
		return status;
	options.query = &trace->select.query;
	options.pid = (int64_t)trace->pid;
	/* Nobody has asked for each of the default ones. */
	options.lenient = count == 1;
	trace->start = now();
	status = cli_fail(cli, nunchi_trace_open(cli->guest, trace->probes, trace->probe_count,
						 &options, &trace->trace));
	if (!status) {
		cli->until_signal = true;
		print_warnings(cli, trace);
		status = cli_fail(cli, make_writers(cli, trace));
	}
	if (!status)
		status = follow(cli, trace);
	nunchi_trace_close(trace->trace);
	trace->trace = NULL;
	return status;
}

static void trace_clean(void *state)
{
	struct trace *trace = state;

	for (size_t i = 0; i < MAX_PROBES; i++)
		nunchi_writer_destroy(trace->writers[i]);
	select_clean(&trace->select);
	summary_destroy(trace->summary);
}

const struct command command_trace = {
    .name = "trace",
    .arguments = "TARGET [PROBE…]",
    .summary = "show what a running guest does",
    .description =
	"Shows what happens in a guest as it happens, one line an event: programs that start and "
	"end, files that are opened, connections, modules; \"nunchi probes\" lists the probes. A "
	"line has the time, the process and what belongs to the probe; --json has all columns. "
	"Ends "
	"with Ctrl-C, --count or --duration, and then prints what tracing has cost the guest.\n"
	"The guest stands still for a moment at each event, and goes on without probes whatever "
	"happens to nunchi: Ctrl-C, kill -9, a full disk. If the reader of the output is too slow, "
	"rows are left out and counted; the guest does not wait.\n"
	"A guest of QEMU is traced by QEMU's own gdb stub, which nunchi opens through QMP and "
	"closes again. Of PVH and HVM guests of Xen the writes of registers are shown (cr3, cr4, "
	"msr, msr:NUMBER), by Xen's event ring.",
    .examples = "  nunchi trace qemu:demo\n"
		"  nunchi trace qemu:demo exec connect --json\n"
		"  nunchi trace qemu:demo exec open --pid 812 --count 20\n"
		"  nunchi trace qemu:demo open --where 'path^=/etc/' --columns pid,name,path\n"
		"  nunchi trace qemu:demo exec exit fork --duration 10 --summary\n"
		"  nunchi trace qemu:demo syscalls --pid 812 --summary\n"
		"  nunchi trace qemu:demo exec connect --container 3f9a\n"
		"  nunchi trace xen:web msr msr:0xc0000103\n"
		"  nunchi trace qemu:demo 'kernel:vfs_read(file->f_inode->i_ino, count)'\n",
    .options = trace_options,
    .option_count = ARRAY_SIZE(trace_options),
    .least = 1,
    .most = 1 + MAX_PROBES,
    .state_size = sizeof(struct trace),
    .option = trace_option,
    .run = trace_run,
    .clean = trace_clean,
};
