/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan/scan.h"
#include "scope.h"

#include <inttypes.h>
#include <string.h>

/* Private memory of a process that scans, unless --memory says otherwise. */
#define MEMORY_DEFAULT ((uint64_t)256 << 20)
#define MOST_FILES     16

static const struct nunchi_column columns[] = {
    {"rule", NUNCHI_TYPE_TEXT, "name of the rule", NUNCHI_UNIT_NONE},
    {"string", NUNCHI_TYPE_TEXT, "the rule's string that was found", NUNCHI_UNIT_NONE},
    SCOPE_COLUMNS,
    {"length", NUNCHI_TYPE_INTEGER, "of what was found, bytes", NUNCHI_UNIT_NONE},
    {"data", NUNCHI_TYPE_TEXT, "its first bytes, at most 32", NUNCHI_UNIT_NONE},
    {"tags", NUNCHI_TYPE_TEXT, "tags of the rule, separated by commas", NUNCHI_UNIT_NONE},
    {"namespace", NUNCHI_TYPE_TEXT, "namespace of the rule", NUNCHI_UNIT_NONE},
};
enum {
	RULE,
	STRING,
	PLACE,
	LENGTH = PLACE + SCOPE_COLUMN_COUNT,
	DATA,
	TAGS,
	NAMESPACE,
	COLUMN_COUNT
};
static const struct nunchi_view yara_view = {
    .name = "yara", .description = "", .columns = columns, .column_count = ARRAY_SIZE(columns)};

static const struct cli_option yara_options[] = {
    SCOPE_OPTIONS,
    {"jobs", OPTION_JOBS, "N", "scan by N processes (default: one for each CPU)"},
};

static const char *column_name(size_t n)
{
	return n < ARRAY_SIZE(columns) ? columns[n].name : NULL;
}

/* Strings with too many matches that a warning names. */
#define MOST_CUT_NAMED 8

struct yara_state {
	struct look look; /* the first member: scope_option() and select_clean() get it */
	struct scan_rules *rules;
	struct scanner *scanner;
	uint64_t jobs;
	struct cli *cli;
	struct scope_area *area;  /* that is scanned */
	uint64_t total;           /* its bytes */
	uint64_t cut;             /* strings of which not all matches are kept */
	struct nunchi_error *err; /* of writing */
};

static int yara_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct yara_state *yara = state;

	if (letter != OPTION_JOBS)
		return scope_option(cli, state, letter, value);
	if (!parse_number(value, &yara->jobs) || !yara->jobs || yara->jobs > SCAN_MOST_JOBS)
		return cli_misuse(cli, NULL, "--jobs takes a number up to %d, not \"%s\"",
				  SCAN_MOST_JOBS, value);
	return CLI_DONE;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static bool give_row(const struct scan_row *row, void *data)
{
	struct yara_state *yara = data;
	struct nunchi_cell cells[COLUMN_COUNT];

	if (filter_is_full(&yara->look.filter) || cli_interrupted())
		return false;
	cells[RULE] = cell_text(row->rule);
	cells[STRING] = cell_text(row->string);
	for (size_t i = PLACE; i < TAGS; i++)
		cells[i] = cell_not_applicable();
	if (row->match) {
		scope_cells(yara->area, row->match->address, &cells[PLACE]);
		cells[LENGTH] = cell_integer(row->match->length);
		cells[DATA] = cell_text("");
		cells[DATA].text = (const char *)row->match->data;
		cells[DATA].text_size = row->match->data_size;
	} else if (yara->area->pid >= 0) {
		cells[PLACE] = cell_integer(yara->area->pid);
		cells[PLACE + 1] = cell_text(yara->area->name);
	}
	cells[TAGS] = cell_text(row->tags);
	cells[NAMESPACE] = cell_text(row->namespace);
	yara->err = filter_row(&yara->look.filter, cells);
	return !yara->err;
}

static void warn_of_cut(const char *rule, const char *string, const struct scan_share *share,
			void *data)
{
	struct yara_state *yara = data;
	char text[256];

	yara->cut++;
	if (yara->cut > MOST_CUT_NAMED)
		return;
	snprintf(text, sizeof(text),
		 "rule %.64s, string %.64s: of %" PRIu64 " matches the first %" PRIu64
		 " are kept, which conditions count",
		 rule, string, share->found, share->kept);
	scope_warn(yara->cli, yara->area, text);
}

static void warn_of_all(const struct yara_state *yara, const struct scan_result *result)
{
	const struct scan_missed *missed = &result->missed;
	char text[256];

	scope_warn_unread(yara->cli, yara->area, result->unread);
	if (missed->count) {
		snprintf(text, sizeof(text),
			 "%" PRIu64 " blocks of 2 MiB could not be scanned (took longer than %d s, "
			 "or too much memory), the first at 0x%" PRIx64 "; YARA's error %d",
			 missed->count, SCAN_MOST_SECONDS, missed->first, missed->status);
		scope_warn(yara->cli, yara->area, text);
	}
	if (result->many) {
		snprintf(text, sizeof(text),
			 "in %" PRIu64 " blocks of 2 MiB a string has too many matches for YARA, "
			 "and some are missing",
			 result->many);
		scope_warn(yara->cli, yara->area, text);
	}
}

/* ---- Scanning -------------------------------------------------------------------------------- */

static size_t read_area(void *data, uint64_t address, size_t size, void *buffer)
{
	struct yara_state *yara = data;

	return scan_memory_read(&yara->area->memory, address, size, buffer);
}

static bool go_on(uint64_t done, void *data)
{
	struct yara_state *yara = data;

	return look_goes_on(&yara->look, done, yara->total) && !yara->area->memory.err;
}

static int show(struct yara_state *yara, const struct scan_result *result)
{
	struct nunchi_error *err = scan_rows(yara->rules, result, give_row, yara);

	if (!err)
		err = yara->err;
	yara->err = NULL;
	if (err)
		return cli_fail(yara->cli, err);
	if (result->judging)
		return cli_fail_with(yara->cli, "the rules' conditions could not be evaluated: %s",
				     result->judging);
	return CLI_DONE;
}

static int scan_area(struct cli *cli, struct scope_area *area, void *data)
{
	struct yara_state *yara = data;
	const struct scan_job job = {
	    .regions = &area->regions, .read = read_area, .data = yara, .go_on = go_on};
	struct scan_result result = {0};
	struct nunchi_error *err;
	int status;

	if (filter_is_full(&yara->look.filter))
		return CLI_DONE;
	yara->cli = cli;
	yara->area = area;
	yara->total = scan_regions_size(&area->regions);
	err = scanner_run(yara->scanner, &job, &result);
	progress_end(&yara->look.progress);
	status = err || area->memory.err ? look_fail(cli, &yara->look, area, err) : CLI_DONE;
	if (!status) {
		warn_of_all(yara, &result);
		scan_cut_strings(yara->rules, &result, warn_of_cut, yara);
		status = show(yara, &result);
	}
	scan_result_deinit(&result);
	return status;
}

static void warn_of_rule(const char *text, void *cli)
{
	cli_warn(cli, text);
}

/* Compiles the rules and starts the processes, before the guest is opened. */
static int prepare(struct cli *cli, struct yara_state *yara, char **paths, size_t count)
{
	const struct scan_options options = {.jobs = (unsigned)yara->jobs,
					     .memory = cli->memory ? cli->memory : MEMORY_DEFAULT,
					     .open = !cli->guest_options.confine};
	int status =
	    cli_fail(cli, scan_rules_compile(paths, count, warn_of_rule, cli, &yara->rules));

	if (status)
		return status;
	/* The processes must not have the context of this one. */
	cli_close_context(cli);
	status = cli_fail(cli, scanner_start(yara->rules, &options, &yara->scanner));
	return status ? status : cli_open_context(cli);
}

static int yara_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct yara_state *yara = state;
	int status = look_start(cli, &yara->look, &yara_view);

	if (!status)
		status = prepare(cli, yara, arguments + 1, (size_t)count - 1);
	if (!status)
		status = filter_open(cli, &yara->look.filter, &yara_view, &yara->look.select);
	if (status)
		return status;
	status = scope_run(cli, &yara->look, arguments[0], scan_area, yara);
	status = filter_close(cli, &yara->look.filter, status);
	if (!status && yara->cut)
		status =
		    cli_fail_with(cli,
				  "%" PRIu64 " strings have too many matches; not all are shown, "
				  "and conditions do not count those that are left out",
				  yara->cut);
	return status;
}

static void yara_clean(void *state)
{
	struct yara_state *yara = state;

	scanner_destroy(yara->scanner);
	scan_rules_destroy(yara->rules);
	select_clean(state);
}

const struct command command_yara = {
    .name = "yara",
    .arguments = "TARGET RULES…",
    .summary = "look for YARA rules in RAM, processes or the kernel",
    .description =
	"Looks for the strings of YARA rules in the guest's memory, and shows each match of each "
	"rule whose condition is met. RULES are files of rules as text, at most 16; \"include\" "
	"in them is refused. Looks through all of the RAM, or what the page tables of processes "
	"map, or the kernel's image; conditions are those of the RAM, of each process, and of "
	"the kernel as one memory, and filesize has no value. A match may be 32 KiB long. Of a "
	"process the rows have the mapping, its file and the place in it. A running guest runs "
	"meanwhile, unless --pause always is given.",
    .examples = "  nunchi yara memory.raw rules.yar\n"
		"  nunchi yara xen:web rules.yar --pid 541 --json\n"
		"  nunchi yara qemu:demo a.yar b.yar --all --where name=sshd\n",
    .words = "Columns",
    .word = column_name,
    .options = yara_options,
    .option_count = ARRAY_SIZE(yara_options),
    .least = 2,
    .most = 1 + MOST_FILES,
    .state_size = sizeof(struct yara_state),
    .option = yara_option,
    .run = yara_run,
    .clean = yara_clean,
};
