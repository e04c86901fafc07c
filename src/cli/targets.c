/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several guests opened by one command. */
#include "cli.h"

/* A guest that is opened, from within the opening of the one before it. */
struct opening {
	struct cli *cli;
	struct targets *targets;
	size_t at; /* in targets->order */
	int status;
};

static int open_target(struct opening *opening);

/* The one before is open and not read yet: opens the next one. */
static bool open_next(void *data)
{
	struct opening *opening = data;

	opening->status = open_target(opening);
	return opening->status == CLI_DONE;
}

/*
 * Opens a guest and those behind it. The last one, which cli_open() opens, confines the process
 * before any of them is read.
 */
static int open_target(struct opening *opening)
{
	struct cli *cli = opening->cli;
	struct targets *targets = opening->targets;
	size_t which = targets->order[opening->at];
	struct nunchi_guest_options options = cli->guest_options;
	struct opening next = {cli, targets, opening->at + 1, CLI_DONE};
	struct nunchi_error *err;
	int status;

	if (next.at == targets->count) {
		status = cli_open(cli, targets->words[which]);
		targets->guests[which] = cli->guest;
		targets->main = which;
		return status;
	}
	options.confine = false;
	options.opened = open_next;
	options.opened_data = &next;
	err = nunchi_guest_open(cli->context, targets->words[which], &options,
				&targets->guests[which]);
	if (next.status) {
		nunchi_error_destroy(err);
		return next.status;
	}
	cli->target = err ? targets->words[which] : cli->target;
	return cli_fail(cli, err);
}

/* Saved guests first; a running one needs what a confined process cannot open any more. */
static void put_in_order(struct targets *targets)
{
	size_t count = 0;

	for (int live = 0; live <= 1; live++)
		for (size_t i = 0; i < targets->count; i++)
			if (cli_target_is_live(targets->words[i]) == (bool)live)
				targets->order[count++] = i;
}

int targets_open(struct cli *cli, struct targets *targets)
{
	struct opening first = {.cli = cli, .targets = targets};
	size_t live = 0;

	targets->main = MOST_TARGETS; /* none yet */
	for (size_t i = 0; i < targets->count; i++)
		live += cli_target_is_live(targets->words[i]);
	if (live > 1 && cli->guest_options.confine)
		return cli_misuse(cli, NULL,
				  "of several targets only one may be a running guest; "
				  "--no-sandbox permits more");
	if (targets->count > 1 && cli->guest_options.confine &&
	    (cli->guest_options.types_path || cli->guest_options.symbols_path))
		return cli_misuse(cli, NULL,
				  "--types and --symbols of several targets need --no-sandbox");
	put_in_order(targets);
	return open_target(&first);
}

void targets_notes(struct cli *cli, struct targets *targets)
{
	const char *last = cli->target;

	for (size_t i = 0; i < targets->count; i++) {
		cli->target = targets->words[i];
		cli_notes(cli, targets->guests[i],
			  i == targets->main ? &cli->notes_printed : &targets->notes[i]);
	}
	cli->target = last;
}

void targets_close(struct targets *targets)
{
	for (size_t i = 0; i < targets->count; i++)
		if (i != targets->main)
			nunchi_guest_close(targets->guests[i]);
}
