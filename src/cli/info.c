/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const struct nunchi_column columns[] = {
    {"topic", NUNCHI_TYPE_TEXT, "target, memory, capability, kernel or missing"},
    {"name", NUNCHI_TYPE_TEXT, "of the fact"},
    {"value", NUNCHI_TYPE_TEXT, "what it is"},
    {"evidence", NUNCHI_TYPE_TEXT, "how it is known, or why it is so"},
};

struct facts {
	struct cli *cli;
	struct nunchi_writer *writer; /* NULL: grouped text */
	struct nunchi_error *err;
	char topic[64];
};

/* One group a topic: its name, then "  name          value  (evidence)" lines. */
static void print_fact(const struct nunchi_fact *fact, void *data)
{
	struct facts *facts = data;
	struct cli *cli = facts->cli;

	if (strncmp(facts->topic, fact->topic, sizeof(facts->topic) - 1)) {
		if (facts->topic[0])
			cli_printf(cli, "\n");
		snprintf(facts->topic, sizeof(facts->topic), "%s", fact->topic);
		cli_printf(cli, "%s", cli->color ? "\033[1m" : "");
		cli_print_escaped(cli, fact->topic);
		cli_printf(cli, "%s\n", cli->color ? "\033[0m" : "");
	}
	cli_printf(cli, "  ");
	cli_print_escaped(cli, fact->name);
	cli_printf(cli, "%*s  ", (int)(strlen(fact->name) < 14 ? 14 - strlen(fact->name) : 0), "");
	cli_print_escaped(cli, fact->value);
	if (fact->evidence) {
		cli_printf(cli, "  (");
		cli_print_escaped(cli, fact->evidence);
		cli_printf(cli, ")");
	}
	cli_printf(cli, "\n");
}

static void write_fact(const struct nunchi_fact *fact, void *data)
{
	struct facts *facts = data;
	struct nunchi_cell cells[] = {cell_text(fact->topic), cell_text(fact->name),
				      cell_text(fact->value), cell_text(fact->evidence)};

	if (!facts->err)
		facts->err = nunchi_writer_row(facts->writer, cells, false);
}

static int info_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct facts facts = {.cli = cli};
	struct nunchi_error *err;
	int status = cli_open(cli, arguments[0]);

	(void)state;
	(void)count;
	if (status)
		return status;
	if (cli->output == NUNCHI_OUTPUT_TABLE)
		return cli_fail(cli, nunchi_guest_info(cli->guest, print_fact, &facts));
	err = cli_list_writer(cli, columns, ARRAY_SIZE(columns), &facts.writer);
	if (err)
		return cli_fail(cli, err);
	err = nunchi_guest_info(cli->guest, write_fact, &facts);
	if (!facts.err)
		facts.err = nunchi_writer_finish(facts.writer);
	nunchi_writer_destroy(facts.writer);
	status = cli_fail(cli, facts.err);
	return cli_fail(cli, err) | status;
}

const struct command command_info = {
    .name = "info",
    .arguments = "TARGET",
    .summary = "what is known of a guest, and how",
    .description =
	"Shows how the guest is reached and what can be done with it (each yes or no with its\n"
	"reason), its memory, the kernel found in it and by which evidence, and what is missing.",
    .examples = "  nunchi info qemu:demo\n"
		"  nunchi info core.elf --json\n",
    .least = 1,
    .most = 1,
    .run = info_run,
};
