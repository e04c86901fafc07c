/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct nunchi_column type_columns[] = {
    {"kind", NUNCHI_TYPE_TEXT, "struct, union, enum, typedef …"},
    {"name", NUNCHI_TYPE_TEXT, "name of the type"},
    {"target", NUNCHI_TYPE_TEXT, "of a typedef: the type it stands for"},
    {"size", NUNCHI_TYPE_INTEGER, "bytes"},
    {"holes", NUNCHI_TYPE_INTEGER, "bytes lost to holes"},
    {"members", NUNCHI_TYPE_INTEGER, "number of members or enumerators"},
    {"module", NUNCHI_TYPE_TEXT, "module whose types have it; absent: the kernel itself"},
};

static const struct nunchi_column member_columns[] = {
    {"offset", NUNCHI_TYPE_INTEGER, "bytes from the start"},
    {"size", NUNCHI_TYPE_INTEGER, "bytes"},
    {"bits", NUNCHI_TYPE_TEXT, "of a bit field: first bit + number of bits"},
    {"type", NUNCHI_TYPE_TEXT, "as C spells it"},
    {"name", NUNCHI_TYPE_TEXT, "name of the member"},
};

static const struct nunchi_column machine_columns[] = {
    {"offset", NUNCHI_TYPE_INTEGER, "bytes from the start"},
    {"size", NUNCHI_TYPE_INTEGER, "bytes"},
    {"bit", NUNCHI_TYPE_INTEGER, "of a bit field: its first bit in the byte at offset"},
    {"bits", NUNCHI_TYPE_INTEGER, "of a bit field: number of bits"},
    {"type", NUNCHI_TYPE_TEXT, "as C spells it"},
    {"name", NUNCHI_TYPE_TEXT, "name of the member"},
    {"depth", NUNCHI_TYPE_INTEGER, "nesting in anonymous members"},
    {"hole", NUNCHI_TYPE_INTEGER, "1 if this is a hole"},
};

static const struct nunchi_column enum_columns[] = {
    {"value", NUNCHI_TYPE_INTEGER, "value of the enumerator"},
    {"name", NUNCHI_TYPE_TEXT, "name of the enumerator"},
};

struct layout {
	struct cli *cli;
	struct nunchi_writer *writer; /* of the members, made for the first one */
	struct nunchi_error *err;
	bool is_enum;
};

/* "struct list_head: 16 bytes, 2 members". */
static void print_heading(struct cli *cli, const struct nunchi_type_info *type)
{
	bool is_enum = !strcmp(type->kind, "enum");

	cli_print_escaped(cli, type->kind);
	cli_printf(cli, " ");
	cli_print_escaped(cli, type->name);
	if (type->target) {
		cli_printf(cli, " = ");
		cli_print_escaped(cli, type->target);
	}
	if (type->module) {
		cli_printf(cli, " of the module ");
		cli_print_escaped(cli, type->module);
	}
	cli_printf(cli, ": %" PRIu64 " byte%s", type->size, type->size == 1 ? "" : "s");
	if (type->member_count)
		cli_printf(cli, ", %zu %s%s", type->member_count, is_enum ? "enumerator" : "member",
			   type->member_count == 1 ? "" : "s");
	if (type->holes)
		cli_printf(cli, ", %" PRIu64 " byte%s in holes", type->holes,
			   type->holes == 1 ? "" : "s");
	cli_printf(cli, "\n");
}

static struct nunchi_error *write_type(struct cli *cli, const struct nunchi_type_info *type)
{
	struct nunchi_cell cells[] = {
	    cell_text(type->kind),
	    cell_text(type->name),
	    cell_text(type->target),
	    cell_integer((int64_t)type->size),
	    cell_integer((int64_t)type->holes),
	    cell_integer((int64_t)type->member_count),
	    cell_text(type->module),
	};
	struct nunchi_writer *writer;
	struct nunchi_error *err =
	    cli_list_writer(cli, type_columns, ARRAY_SIZE(type_columns), &writer);

	if (err)
		return err;
	err = nunchi_writer_row(writer, cells, false);
	if (!err)
		err = nunchi_writer_finish(writer);
	nunchi_writer_destroy(writer);
	return err;
}

static void give_type(const struct nunchi_type_info *type, void *data)
{
	struct layout *layout = data;

	if (layout->cli->output == NUNCHI_OUTPUT_TABLE)
		print_heading(layout->cli, type);
	else if (layout->cli->output == NUNCHI_OUTPUT_JSON || !type->member_count)
		layout->err = write_type(layout->cli, type);
}

static struct nunchi_error *open_writer(struct layout *layout)
{
	struct cli *cli = layout->cli;

	if (layout->is_enum)
		return cli_list_writer(cli, enum_columns, ARRAY_SIZE(enum_columns),
				       &layout->writer);
	if (cli->output == NUNCHI_OUTPUT_TABLE)
		return cli_list_writer(cli, member_columns, ARRAY_SIZE(member_columns),
				       &layout->writer);
	return cli_list_writer(cli, machine_columns, ARRAY_SIZE(machine_columns), &layout->writer);
}

static struct nunchi_error *write_enumerator(struct nunchi_writer *writer,
					     const struct nunchi_member *member)
{
	struct nunchi_cell cells[] = {cell_integer((int64_t)member->bit_offset),
				      cell_text(member->name)};

	return nunchi_writer_row(writer, cells, false);
}

static struct nunchi_error *write_for_people(struct nunchi_writer *writer,
					     const struct nunchi_member *member)
{
	bool bits = member->bit_field || member->bit_offset % 8 || member->bit_size % 8;
	char bit_text[64], name[256];
	struct nunchi_cell cells[] = {
	    cell_integer((int64_t)(member->bit_offset / 8)),
	    bits ? cell_not_applicable() : cell_integer((int64_t)(member->bit_size / 8)),
	    cell_text(""),
	    cell_text(member->type),
	    cell_text(""),
	};

	snprintf(bit_text, sizeof(bit_text), "%u+%" PRIu64, (unsigned)(member->bit_offset % 8),
		 member->bit_size);
	if (bits)
		cells[2] = cell_text(bit_text);
	snprintf(name, sizeof(name), "%*s%s", (int)(2 * (member->depth < 32 ? member->depth : 32)),
		 "", member->name);
	cells[4] = cell_text(name);
	return nunchi_writer_row(writer, cells, false);
}

static struct nunchi_error *write_for_machines(struct nunchi_writer *writer,
					       const struct nunchi_member *member)
{
	bool bits = member->bit_field || member->bit_offset % 8 || member->bit_size % 8;
	struct nunchi_cell none = cell_not_applicable();
	struct nunchi_cell cells[] = {
	    cell_integer((int64_t)(member->bit_offset / 8)),
	    bits ? none : cell_integer((int64_t)(member->bit_size / 8)),
	    bits ? cell_integer((int64_t)(member->bit_offset % 8)) : none,
	    bits ? cell_integer((int64_t)member->bit_size) : none,
	    cell_text(member->type[0] ? member->type : NULL),
	    cell_text(member->hole || !member->name[0] ? NULL : member->name),
	    cell_integer(member->depth),
	    cell_integer(member->hole),
	};

	return nunchi_writer_row(writer, cells, false);
}

static void give_member(const struct nunchi_member *member, void *data)
{
	struct layout *layout = data;

	if (!layout->err && !layout->writer) {
		/* An enumerator has no type; a typedef of an enum lists enumerators too. */
		layout->is_enum = !member->type[0] && !member->hole;
		layout->err = open_writer(layout);
	}
	if (layout->err)
		return;
	if (layout->is_enum)
		layout->err = write_enumerator(layout->writer, member);
	else if (layout->cli->output == NUNCHI_OUTPUT_TABLE)
		layout->err = write_for_people(layout->writer, member);
	else
		layout->err = write_for_machines(layout->writer, member);
}

static int type_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct layout layout = {.cli = cli};
	struct nunchi_error *err;
	int status = cli_open(cli, arguments[0]);

	(void)state;
	(void)count;
	if (status)
		return status;
	err = nunchi_type_layout(cli->guest, arguments[1], give_type, give_member, &layout);
	status = cli_fail(cli, err);
	if (!status && !layout.err && layout.writer)
		layout.err = nunchi_writer_finish(layout.writer);
	nunchi_writer_destroy(layout.writer);
	return status | cli_fail(cli, layout.err);
}

const struct command command_type = {
    .name = "type",
    .arguments = "TARGET TYPE",
    .summary = "show the layout of a kernel type",
    .description =
	"Shows the layout of a struct, union, enum or typedef of the guest's kernel or of its "
	"modules, given by its name (MODULE:NAME for that of one module) with or without "
	"\"struct\": each member's offset and size in bytes, and the "
	"holes between members. Members of anonymous members are indented. For a bit field, "
	"3+1 means: from bit 3 of the byte at offset, 1 bit. With --json and --csv, bit "
	"fields, nesting and holes have columns of their own, and JSON begins with a line "
	"about the type itself.",
    .examples = "  nunchi type xen:web list_head\n"
		"  nunchi type memory.raw \"struct task_struct\"\n"
		"  nunchi type memory.raw pid_type --json\n",
    .least = 2,
    .most = 2,
    .run = type_run,
};
