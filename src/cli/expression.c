/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

static const struct nunchi_column columns[] = {
    {"expression", NUNCHI_TYPE_TEXT, "as it was given"},
    {"type", NUNCHI_TYPE_TEXT, "as C spells it"},
    {"address", NUNCHI_TYPE_ADDRESS, "of an object in memory"},
    {"value", NUNCHI_TYPE_TEXT, "as C would initialise it"},
    {"error", NUNCHI_TYPE_TEXT, "why there is no value"},
};

static const struct cli_option print_options[] = {
    {"depth", OPTION_DEPTH, "N", "show the members of structs within N others (default: 1)"},
    {"limit", OPTION_LIMIT, "N", "show at most N elements of each()"},
};

struct print_state {
	struct cli *cli;
	unsigned depth;
	uint64_t limit;
	const char *expression; /* that is evaluated now */
	uint64_t rows;          /* that were given */
	struct nunchi_writer *writer;
	struct nunchi_error *err;
};

static int print_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct print_state *print = state;
	uint64_t depth;

	if (letter == OPTION_LIMIT) {
		if (!parse_number(value, &print->limit) || !print->limit)
			return cli_misuse(cli, NULL, "\"%s\" is not a number of elements", value);
		return CLI_DONE;
	}
	if (!parse_number(value, &depth) || depth > 16)
		return cli_misuse(cli, NULL, "\"%s\" is not a depth from 0 to 16", value);
	print->depth = (unsigned)depth + 1;
	return CLI_DONE;
}

/* The value as text, after the expression, or of each() after the number of the element. */
static void print_value(struct print_state *print, const struct nunchi_printed *printed)
{
	struct cli *cli = print->cli;

	if (!printed->is_element || !print->rows)
		cli_print_escaped(cli, print->expression);
	if (printed->is_element)
		cli_printf(cli, "%s[%" PRIu64 "]", print->rows ? "" : ":\n", print->rows);
	cli_printf(cli, " = ");
	if (printed->error) {
		cli_printf(cli, "<");
		cli_print_escaped(cli, printed->error);
		cli_printf(cli, ">\n");
		return;
	}
	cli_printf(cli, "(");
	cli_print_escaped(cli, printed->type);
	cli_printf(cli, ") ");
	/* It is escaped already. */
	cli_write(printed->value, strlen(printed->value), cli);
	cli_printf(cli, "\n");
}

static bool give(const struct nunchi_printed *printed, void *data)
{
	struct print_state *print = data;
	struct nunchi_cell cells[] = {
	    cell_text(print->expression),
	    cell_text(printed->type),
	    printed->has_address ? cell_address(printed->address) : cell_not_applicable(),
	    printed->value ? cell_text(printed->value) : cell_not_applicable(),
	    printed->error ? cell_text(printed->error) : cell_not_applicable(),
	};

	if (print->writer)
		print->err = nunchi_writer_row(print->writer, cells, false);
	else
		print_value(print, printed);
	print->rows++;
	return !print->err && !print->cli->write_errno && !cli_interrupted() &&
	       print->rows != print->limit;
}

/* Prints what one expression gives; of an error also the place in it. */
static int print_one(struct print_state *print, const char *expression)
{
	unsigned depth = print->depth ? print->depth - 1 : 1;
	struct nunchi_error *err;
	size_t place = 0;
	bool placed;
	int status;

	print->expression = expression;
	print->rows = 0;
	err = nunchi_print(print->cli->guest, expression, depth, give, print);
	placed = err && nunchi_error_position(err, &place);
	status = cli_fail(print->cli, err ? err : print->err);
	print->err = NULL;
	if (placed)
		cli_print_place(expression, place);
	if (!status && !print->rows && !print->writer) {
		cli_print_escaped(print->cli, expression);
		cli_printf(print->cli, ": no elements\n");
	}
	return status;
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
		int failed = print_one(print, arguments[i]);

		status = failed > status ? failed : status;
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
	"(. follows a pointer too), [ ], *, &, casts, sizeof, container_of(pointer, struct "
	"type, member), arithmetic, comparison, && || and ?:. task(PID) is a process, "
	"per_cpu(variable, CPU) a variable of a CPU, string(pointer) a text. each(HEAD, struct "
	"TYPE.MEMBER) stands for each element of a list, tree or array, one after the other. "
	"Some symbols have their type, such as init_task, init_net and modules; cast the "
	"address of any other: *(unsigned long *)&_totalram_pages. Quote an expression for the "
	"shell. All expressions of a command see one state of the guest if --pause is given, or "
	"the guest is saved.",
    .examples = "  nunchi print xen:web init_task.comm init_task.mm\n"
		"  nunchi print a.elf 'string(task(1).mm.exe_file.f_path.dentry.d_name.name)'\n"
		"  nunchi print a.elf 'each(init_net.dev_base_head, net_device.dev_list).name'\n"
		"  nunchi print a.elf '((struct list_head *)&modules)->next'\n"
		"  nunchi print a.elf '*(unsigned long *)&_totalram_pages' 'sizeof(struct page)'\n"
		"  nunchi print a.elf init_net --depth 2 --json\n",
    .options = print_options,
    .option_count = ARRAY_SIZE(print_options),
    .least = 2,
    .most = 64,
    .state_size = sizeof(struct print_state),
    .option = print_option,
    .run = print_run,
    .clean = print_clean,
};
