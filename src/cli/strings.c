/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan/strings.h"
#include "scope.h"

#include <stdlib.h>

#define LEAST_DEFAULT 4
#define MOST_LEAST    4096
#define PIECE         ((size_t)1 << 20)

static const struct nunchi_column columns[] = {
    SCOPE_COLUMNS,
    {"encoding", NUNCHI_TYPE_TEXT, "ascii or utf-16le", NUNCHI_UNIT_NONE},
    {"length", NUNCHI_TYPE_INTEGER, "characters", NUNCHI_UNIT_NONE},
    {"text", NUNCHI_TYPE_TEXT, "the characters, at most 16384", NUNCHI_UNIT_NONE},
};
enum { ENCODING = SCOPE_COLUMN_COUNT, LENGTH, TEXT, COLUMN_COUNT };
static const struct nunchi_view strings_view = {
    .name = "strings", .description = "", .columns = columns, .column_count = ARRAY_SIZE(columns)};

static const struct cli_option strings_options[] = {
    SCOPE_OPTIONS,
    {"min", OPTION_MIN, "N", "show strings of N characters or more (default: 4)"},
};

static const char *column_name(size_t n)
{
	return n < ARRAY_SIZE(columns) ? columns[n].name : NULL;
}

struct strings_state {
	struct look look; /* the first member: scope_option() and select_clean() get it */
	uint64_t least;
	struct strings *strings;
	uint8_t *bytes; /* PIECE of them */
	struct scope_area *area;
	uint64_t done, total, unread; /* bytes of the area */
	struct nunchi_error *err;     /* of writing */
};

static int strings_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct strings_state *strings = state;

	if (letter != OPTION_MIN)
		return scope_option(cli, state, letter, value);
	if (!parse_number(value, &strings->least) || !strings->least || strings->least > MOST_LEAST)
		return cli_misuse(cli, NULL, "--min takes a number up to %d, not \"%s\"",
				  MOST_LEAST, value);
	return CLI_DONE;
}

static bool give_string(const struct strings_found *found, void *data)
{
	struct strings_state *state = data;
	struct nunchi_cell cells[COLUMN_COUNT];

	scope_cells(state->area, found->address, cells);
	cells[ENCODING] = cell_text(found->wide ? "utf-16le" : "ascii");
	cells[LENGTH] = cell_integer((int64_t)found->length);
	cells[TEXT] = cell_text("");
	cells[TEXT].text = found->text;
	cells[TEXT].text_size = found->text_size;
	state->err = filter_row(&state->look.filter, cells);
	return !state->err && !filter_is_full(&state->look.filter);
}

/* False if it is to end. */
static bool look_through(struct strings_state *state, const struct scan_region *region)
{
	struct scan_memory *memory = &state->area->memory;
	uint64_t at = region->start;

	while (at < region->end) {
		size_t size = region->end - at < PIECE ? (size_t)(region->end - at) : PIECE;
		size_t got = scan_memory_read(memory, at, size, state->bytes);

		if (memory->err || !strings_feed(state->strings, at, state->bytes, got))
			return false;
		at += got;
		state->done += got;
		if (got < size) {
			uint64_t skip = BLOCK_PAGE - at % BLOCK_PAGE;

			if (skip > region->end - at)
				skip = region->end - at;
			if (!strings_break(state->strings))
				return false;
			at += skip;
			state->done += skip;
			state->unread += skip;
		}
		if (!look_goes_on(&state->look, state->done, state->total))
			return false;
	}
	return strings_break(state->strings);
}

static struct nunchi_error *end_of(struct strings_state *state)
{
	struct nunchi_error *err = state->err;

	state->err = NULL;
	if (!err && !state->strings->ended)
		err = nunchi_error_create(NUNCHI_ERROR_CANCELLED, 0, "the scan was ended", NULL);
	return err;
}

static int strings_area(struct cli *cli, struct scope_area *area, void *data)
{
	struct strings_state *state = data;
	struct nunchi_error *err = NULL;

	if (filter_is_full(&state->look.filter))
		return CLI_DONE;
	*state->strings =
	    (struct strings){.least = state->least, .give = give_string, .data = state};
	state->area = area;
	state->done = state->unread = 0;
	state->total = scan_regions_size(&area->regions);
	for (size_t i = 0; i < area->regions.count; i++) {
		if (!look_through(state, &area->regions.items[i])) {
			err = end_of(state);
			break;
		}
	}
	progress_end(&state->look.progress);
	if (err)
		return look_fail(cli, &state->look, area, err);
	scope_warn_unread(cli, area, state->unread);
	return CLI_DONE;
}

static int strings_run(struct cli *cli, void *data, char **arguments, int count)
{
	struct strings_state *state = data;
	int status = look_start(cli, &state->look, &strings_view);

	(void)count;
	if (!state->least)
		state->least = LEAST_DEFAULT;
	state->strings = calloc(1, sizeof(*state->strings));
	state->bytes = malloc(PIECE);
	if (!status && (!state->strings || !state->bytes))
		status = cli_fail(
		    cli, nunchi_error_create(NUNCHI_ERROR_NOMEM, 0, "out of memory", NULL));
	if (!status)
		status = filter_open(cli, &state->look.filter, &strings_view, &state->look.select);
	if (status)
		return status;
	status = scope_run(cli, &state->look, arguments[0], strings_area, state);
	return filter_close(cli, &state->look.filter, status);
}

static void strings_clean(void *data)
{
	struct strings_state *state = data;

	free(state->strings);
	free(state->bytes);
	select_clean(data);
}

const struct command command_strings = {
    .name = "strings",
    .arguments = "TARGET",
    .summary = "show printable texts in RAM, processes or the kernel",
    .description =
	"Shows runs of printable characters in the guest's memory, of ASCII and of UTF-16LE, with "
	"their places: in all of the RAM, or in what the page tables of processes map, or in the "
	"kernel's image. Printable are space to ~ and the tab. Of a process the rows have the "
	"mapping, its file and the place in it. A running guest runs meanwhile, unless --pause "
	"always is given.",
    .examples = "  nunchi strings memory.raw --min 8\n"
		"  nunchi strings xen:web --pid 541 --json\n"
		"  nunchi strings qemu:demo --name sshd --where encoding=ascii\n",
    .words = "Columns",
    .word = column_name,
    .options = strings_options,
    .option_count = ARRAY_SIZE(strings_options),
    .least = 1,
    .most = 1,
    .state_size = sizeof(struct strings_state),
    .option = strings_option,
    .run = strings_run,
    .clean = strings_clean,
};
