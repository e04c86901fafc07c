/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

static const struct nunchi_column columns[] = {
    {"expression", NUNCHI_TYPE_TEXT, "as it was given"},
    {"type", NUNCHI_TYPE_TEXT, "as C spells it"},
    {"address", NUNCHI_TYPE_ADDRESS, "of an object in memory"},
    {"value", NUNCHI_TYPE_TEXT, "as C would initialise it"},
};

static const struct cli_option print_options[] = {
    {"depth", OPTION_DEPTH, "N", "show the members of structs within N others (default: 1)"},
};

struct print_state {
	struct cli *cli;
	unsigned depth;
	const char *expression; /* that is evaluated now */
	struct nunchi_writer *writer;
	struct nunchi_error *err;
};

static int print_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct print_state *print = state;
	uint64_t depth;

	(void)letter;
	if (!parse_number(value, &depth) || depth > 16)
		return cli_misuse(cli, NULL, "\"%s\" is not a depth from 0 to 16", value);
	print->depth = (unsigned)depth + 1;
	return CLI_DONE;
}

static void give(const struct nunchi_printed *printed, void *data)
{
	struct print_state *print = data;
	struct nunchi_cell cells[] = {
	    cell_text(print->expression),
	    cell_text(printed->type),
	    printed->has_address ? cell_address(printed->address) : cell_not_applicable(),
	    cell_text(printed->value),
	};

	if (print->writer) {
		print->err = nunchi_writer_row(print->writer, cells, false);
		return;
	}
	cli_print_escaped(print->cli, print->expression);
	cli_printf(print->cli, " = (");
	cli_print_escaped(print->cli, printed->type);
	cli_printf(print->cli, ") ");
	/* It is escaped already. */
	cli_write(printed->value, strlen(printed->value), print->cli);
	cli_printf(print->cli, "\n");
}

static int print_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct print_state *print = state;
	struct nunchi_session *session;
	int status = cli_open(cli, arguments[0]);

	if (status)
		return status;
	print->cli = cli;
	if (cli->output != NUNCHI_OUTPUT_TABLE)
		status = cli_fail(
		    cli, cli_list_writer(cli, columns, ARRAY_SIZE(columns), &print->writer));
	if (!status)
		status = cli_fail(cli, nunchi_session_open(cli->guest, NULL, &session));
	if (status)
		return status;
	for (int i = 1; i < count && !cli->write_errno && !cli_interrupted(); i++) {
		struct nunchi_error *err;
		int failed;

		print->expression = arguments[i];
		err = nunchi_print(cli->guest, arguments[i], print->depth ? print->depth - 1 : 1,
				   give, print);
		failed = cli_fail(cli, err ? err : print->err);
		status = failed > status ? failed : status;
		print->err = NULL;
	}
	if (print->writer)
		status |= cli_fail(cli, nunchi_writer_finish(print->writer));
	return status | cli_fail(cli, nunchi_session_close(session));
}

static void print_clean(void *state)
{
	const struct print_state *print = state;

	nunchi_writer_destroy(print->writer);
}

const struct command command_print = {
    .name = "print",
    .arguments = "TARGET EXPRESSION…",
    .summary = "show what a C expression over the kernel's memory gives",
    .description =
	"Evaluates each EXPRESSION on the guest's kernel, and shows its type and value. It is "
	"written as in C: symbols, enumerators and numbers; the members of structs by . and -> "
	"(. follows a pointer too), [ ], *, &, casts, sizeof, container_of(pointer, struct type, "
	"member), arithmetic and comparison. Some symbols have their type, such as init_task, "
	"init_net and modules; cast the address of any other: *(unsigned long *)&jiffies. Quote "
	"an expression for the shell. All expressions of a command see one state of the guest "
	"if --pause is given, or the guest is saved.",
    .examples = "  nunchi print xen:web init_task.comm init_task.mm\n"
		"  nunchi print memory.raw '((struct list_head *)&modules)->next'\n"
		"  nunchi print memory.raw '*(unsigned long *)&jiffies' 'sizeof(struct page)'\n"
		"  nunchi print memory.raw init_net --depth 2 --json\n",
    .options = print_options,
    .option_count = ARRAY_SIZE(print_options),
    .least = 2,
    .most = 64,
    .state_size = sizeof(struct print_state),
    .option = print_option,
    .run = print_run,
    .clean = print_clean,
};
