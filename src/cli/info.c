/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const struct nunchi_column columns[] = {
    {"topic", NUNCHI_TYPE_TEXT, "target, memory, capability, process, kernel or missing"},
    {"name", NUNCHI_TYPE_TEXT, "name of the fact"},
    {"value", NUNCHI_TYPE_TEXT, "its value"},
    {"evidence", NUNCHI_TYPE_TEXT, "how it is known, or why it is so"},
};

/* A fact kept until all are known, its strings owned. */
struct kept {
	char *topic, *name, *value, *evidence;
	bool printed;
};

struct facts {
	struct kept *kept; /* for people: grouped by topic */
	size_t count, capacity;
	bool failed;
	struct nunchi_writer *writer; /* for programs: one by one */
	struct nunchi_error *err;
};

static void keep_fact(const struct nunchi_fact *fact, void *data)
{
	struct facts *facts = data;
	struct kept *kept;

	if (facts->count == facts->capacity) {
		size_t capacity = facts->capacity ? facts->capacity * 2 : 64;

		kept = reallocarray(facts->kept, capacity, sizeof(*kept));
		if (!kept) {
			facts->failed = true;
			return;
		}
		facts->kept = kept;
		facts->capacity = capacity;
	}
	kept = &facts->kept[facts->count++];
	*kept = (struct kept){
	    .topic = cli_escape(fact->topic, strlen(fact->topic)),
	    .name = cli_escape(fact->name, strlen(fact->name)),
	    .value = cli_escape(fact->value, strlen(fact->value)),
	};
	if (fact->evidence)
		kept->evidence = cli_escape(fact->evidence, strlen(fact->evidence));
}

/* The value, with "  (evidence)" behind it, broken into lines where the terminal ends. */
static void print_value(struct cli *cli, const struct kept *kept)
{
	enum { INDENT = 16 };
	char *text = NULL;

	if (kept->evidence && asprintf(&text, "%s  (%s)", kept->value, kept->evidence) < 0)
		text = NULL;
	cli_print_folded(cli, text ? text : kept->value, INDENT, INDENT, (int)cli->width);
	free(text);
}

/* "  name          value  (evidence)" for each fact of the topic. */
static void print_topic(struct cli *cli, struct facts *facts, size_t first)
{
	const char *topic = facts->kept[first].topic;

	cli_printf(cli, cli->color ? "%s\033[1m%s\033[0m\n" : "%s%s\n", first ? "\n" : "", topic);
	for (size_t i = first; i < facts->count; i++) {
		struct kept *kept = &facts->kept[i];

		if (strcmp(kept->topic, topic))
			continue;
		kept->printed = true;
		cli_printf(cli, "  %-12s  ", kept->name);
		print_value(cli, kept);
	}
}

static int print_facts(struct cli *cli, struct facts *facts)
{
	for (size_t i = 0; i < facts->count; i++)
		if (!facts->kept[i].printed)
			print_topic(cli, facts, i);
	for (size_t i = 0; i < facts->count; i++) {
		free(facts->kept[i].topic);
		free(facts->kept[i].name);
		free(facts->kept[i].value);
		free(facts->kept[i].evidence);
	}
	free(facts->kept);
	return facts->failed ? cli_fail_with(cli, "out of memory") : CLI_DONE;
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
	struct facts facts = {0};
	struct nunchi_error *err;
	int status = cli_open(cli, arguments[0]);

	(void)state;
	(void)count;
	if (status)
		return status;
	if (cli->output == NUNCHI_OUTPUT_TABLE) {
		err = nunchi_guest_info(cli->guest, keep_fact, &facts);
		status = print_facts(cli, &facts);
		return cli_fail(cli, err) | status;
	}
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
    .summary = "show what is known of a guest, and how it is known",
    .description =
	"Shows how the guest is reached; which capabilities nunchi has on it, each yes or no "
	"with the reason; its memory; the kernel found in it, with the evidence; and what "
	"could not be found.",
    .examples = "  nunchi info xen:web\n"
		"  nunchi info qemu:demo\n"
		"  nunchi info core.elf --json\n",
    .least = 1,
    .most = 1,
    .run = info_run,
};
