/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words after `nunchi doctor` that are about changing the host: plan, apply, undo, stay. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include <nunchi/doctor.h>

typedef struct nunchi_error *action(struct nunchi_context *context,
				    const struct nunchi_doctor_change *change,
				    nunchi_doctor_say *say, void *data);

static const struct {
	const char *word;
	action *action;
	bool takes_trial;
} actions[] = {
    {"plan", nunchi_doctor_plan, true},
    {"apply", nunchi_doctor_apply, true},
    {"undo", nunchi_doctor_undo, false},
    {"stay", nunchi_doctor_stay, false},
};

bool doctor_change_is(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i].word, word))
			return true;
	return false;
}

int doctor_change_minutes(struct cli *cli, const char *value, unsigned *ret)
{
	uint64_t minutes;

	if (!parse_number(value, &minutes) || !minutes || minutes > 1440)
		return cli_misuse(cli, NULL, "--minutes takes 1 to 1440, not \"%s\"", value);
	*ret = (unsigned)minutes;
	return CLI_DONE;
}

/* A diff keeps its tabs and backslashes; what could do something to a terminal is shown. */
static void say(const char *line, void *data)
{
	struct cli *cli = data;

	while (*line) {
		size_t length = strcspn(line, "\t\\");
		char *escaped = cli_escape(line, length);

		cli_write(escaped, strlen(escaped), cli);
		free(escaped);
		line += length;
		if (*line)
			cli_write(line++, 1, cli);
	}
	cli_write("\n", 1, cli);
	/* Whoever watches sees each step when it is done. */
	cli_flush(cli);
}

int doctor_change_run(struct cli *cli, const char *root, bool trial, unsigned minutes,
		      char **arguments, int count)
{
	const struct nunchi_doctor_change change = {
	    .size = sizeof(change), .root = root, .trial = trial, .minutes = minutes};

	if (count > 1)
		return cli_misuse(cli, NULL, "\"%s\" takes no argument; a file of that name: ./%s",
				  arguments[0], arguments[0]);
	if (minutes && !trial)
		return cli_misuse(cli, NULL, "--minutes is of a --trial");
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].word, arguments[0]))
			continue;
		if (trial && !actions[i].takes_trial)
			return cli_misuse(cli, NULL, "--trial is of plan and apply, not of %s",
					  arguments[0]);
		return cli_fail(cli, actions[i].action(cli->context, &change, say, cli));
	}
	return cli_misuse(cli, NULL, "there is no \"%s\"", arguments[0]);
}
