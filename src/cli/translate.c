/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <inttypes.h>

static const struct nunchi_column columns[] = {
    {"step", NUNCHI_TYPE_TEXT, "table that is looked into, or page for the result"},
    {"entry_address", NUNCHI_TYPE_ADDRESS, "guest-physical address of the entry"},
    {"entry", NUNCHI_TYPE_ADDRESS, "its value"},
    {"present", NUNCHI_TYPE_INTEGER, "1 if the walk goes on or ends well there"},
    {"large", NUNCHI_TYPE_INTEGER, "1 if it maps a large page"},
    {"physical", NUNCHI_TYPE_ADDRESS, "guest-physical address"},
    {"page_size", NUNCHI_TYPE_INTEGER, "bytes"},
    {"access", NUNCHI_TYPE_TEXT, "r, w, x and whether user mode has it"},
};

static const struct cli_option translate_options[] = {
    {"pid", OPTION_PID, "N", "by the page table of process N instead of the kernel's"},
    {"cr3", OPTION_CR3, "ADDRESS", "by the page table whose root is there"},
};

static int translate_option(struct cli *cli, void *state, int letter, const char *value)
{
	return place_option(cli, state, letter, value);
}

static struct nunchi_error *write_levels(struct nunchi_writer *writer,
					 const struct nunchi_translation *translation)
{
	for (size_t i = 0; i < translation->level_count; i++) {
		const struct nunchi_translation_level *level = &translation->levels[i];
		struct nunchi_cell none = cell_not_applicable();
		struct nunchi_cell cells[] = {
		    cell_text(level->table),
		    cell_address(level->entry_address),
		    cell_address(level->entry),
		    cell_integer(level->present),
		    cell_integer(level->large),
		    none,
		    none,
		    none,
		};
		struct nunchi_error *err = nunchi_writer_row(writer, cells, false);

		if (err)
			return err;
	}
	return NULL;
}

static struct nunchi_error *write_page(struct nunchi_writer *writer,
				       const struct nunchi_translation *translation)
{
	const char access[] = {
	    'r', translation->writable ? 'w' : '-', translation->executable ? 'x' : '-',
	    ' ', translation->user ? 'u' : 'k',     '\0'};
	struct nunchi_cell none = cell_not_applicable();
	struct nunchi_cell cells[] = {
	    cell_text("page"),
	    none,
	    none,
	    none,
	    none,
	    cell_address(translation->physical),
	    cell_integer((int64_t)translation->page_size),
	    cell_text(access),
	};

	return translation->mapped ? nunchi_writer_row(writer, cells, false) : NULL;
}

static struct nunchi_error *write_translation(struct cli *cli,
					      const struct nunchi_translation *translation)
{
	struct nunchi_writer *writer;
	struct nunchi_error *err;

	err = cli_list_writer(cli, columns, ARRAY_SIZE(columns), &writer);
	if (err)
		return err;
	err = write_levels(writer, translation);
	if (!err)
		err = write_page(writer, translation);
	if (!err)
		err = nunchi_writer_finish(writer);
	nunchi_writer_destroy(writer);
	return err;
}

static int translate_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct nunchi_translation translation;
	struct nunchi_place *place = state;
	int status = cli_open(cli, arguments[0]);

	(void)count;
	if (!status)
		status = place_resolve(cli, arguments[1], place);
	if (!status)
		status = cli_fail(cli, nunchi_translate(cli->guest, place, &translation));
	if (!status)
		status = cli_fail(cli, write_translation(cli, &translation));
	if (!status && !translation.mapped)
		status = cli_fail_with(cli, "0x%" PRIx64 " is not mapped: %s", place->address,
				       translation.fault);
	return status;
}

const struct command command_translate = {
    .name = "translate",
    .arguments = "TARGET ADDRESS|SYMBOL[+OFFSET]",
    .summary = "a virtual address through the guest's page tables",
    .description =
	"Walks the guest's page tables for a virtual address and shows each level's entry, "
	"and the page they lead to: its guest-physical address, its size and what is allowed "
	"there (r, w, x; u for user mode, k for the kernel alone). Without an option the "
	"kernel's own page table is used. An address that is not mapped is a failure, after "
	"the levels that led there.",
    .examples = "  nunchi translate qemu:demo linux_banner\n"
		"  nunchi translate memory.raw 0x7ffd12345678 --pid 1\n"
		"  nunchi translate memory.raw ffff888000001000 --cr3 0x2a10000\n",
    .options = translate_options,
    .option_count = ARRAY_SIZE(translate_options),
    .least = 2,
    .most = 2,
    .state_size = sizeof(struct nunchi_place),
    .option = translate_option,
    .run = translate_run,
};
