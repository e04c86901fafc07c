/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

static const struct nunchi_column columns[] = {
    {"address", NUNCHI_TYPE_ADDRESS, "virtual address of the symbol"},
    {"type", NUNCHI_TYPE_TEXT, "type letter of nm(1)"},
    {"name", NUNCHI_TYPE_TEXT, "name of the symbol"},
    {"offset", NUNCHI_TYPE_ADDRESS, "bytes from the symbol to the address asked for"},
    {"module", NUNCHI_TYPE_TEXT, "module of the symbol; absent for the kernel itself"},
};

static struct nunchi_error *write_symbol(struct cli *cli, const struct nunchi_symbol *symbol)
{
	const char type[2] = {symbol->type, '\0'};
	struct nunchi_cell cells[] = {cell_address(symbol->address), cell_text(type),
				      cell_text(symbol->name), cell_address(symbol->offset),
				      cell_text(symbol->module)};
	struct nunchi_writer *writer;
	struct nunchi_error *err;

	err = cli_list_writer(cli, columns, ARRAY_SIZE(columns), &writer);
	if (err)
		return err;
	err = nunchi_writer_row(writer, cells, false);
	if (!err)
		err = nunchi_writer_finish(writer);
	nunchi_writer_destroy(writer);
	return err;
}

static int symbol_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct nunchi_symbol symbol;
	struct nunchi_error *err;
	uint64_t address;
	int status = cli_open(cli, arguments[0]);

	(void)state;
	(void)count;
	if (status)
		return status;
	if (parse_address(arguments[1], &address))
		err = nunchi_symbol_at(cli->guest, address, &symbol);
	else
		err = nunchi_symbol_find(cli->guest, arguments[1], &symbol);
	return cli_fail(cli, err ? err : write_symbol(cli, &symbol));
}

const struct command command_symbol = {
    .name = "symbol",
    .arguments = "TARGET NAME|ADDRESS",
    .summary = "look up a kernel symbol by its name or an address",
    .description =
	"Looks up a symbol of the guest's kernel or modules by its name (MODULE:NAME for that "
	"of one module), or finds the symbol "
	"at or before an address (0x…, decimal, or 16 hexadecimal digits as in kernel logs); "
	"offset is then the address minus that of the symbol.",
    .examples = "  nunchi symbol xen:web init_task\n"
		"  nunchi symbol memory.raw 0xffffffff81001234\n"
		"  nunchi symbol memory.raw ffffffff81001234 --json\n",
    .least = 2,
    .most = 2,
    .run = symbol_run,
};
