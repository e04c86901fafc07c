/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <inttypes.h>

static const struct nunchi_column columns[] = {
    {"step", NUNCHI_TYPE_TEXT, "page table of this level, or page for the result"},
    {"entry_address", NUNCHI_TYPE_ADDRESS, "guest-physical address of the entry"},
    {"entry", NUNCHI_TYPE_ADDRESS, "value of the entry"},
    {"physical", NUNCHI_TYPE_ADDRESS, "guest-physical address of the result"},
    {"page_size", NUNCHI_TYPE_INTEGER, "size of the page", NUNCHI_UNIT_BYTES},
    {"access", NUNCHI_TYPE_TEXT, "r, w and x; u user mode too, k the kernel only"},
    {"present", NUNCHI_TYPE_INTEGER, "1 if the entry is present"},
    {"large", NUNCHI_TYPE_INTEGER, "1 if the entry maps a large page"},
};

static const struct cli_option translate_options[] = {
    {"pid", OPTION_PID, "N", "use the page table of process N"},
    {"cr3", OPTION_CR3, "ADDRESS",
     "use the page table whose root is at this guest-physical address"},
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
		    none,
		    none,
		    none,
		    cell_integer(level->present),
		    cell_integer(level->large),
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
	    cell_address(translation->physical),
	    cell_integer((int64_t)translation->page_size),
	    cell_text(access),
	    none,
	    none,
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
    .summary = "walk the guest's page tables for a virtual address",
    .description =
	"Walks the guest's page tables for a virtual address and shows the entry of each "
	"level, then the page: its guest-physical address, its size and its access rights (r "
	"read, w write, x execute; u also from user mode, k from the kernel only). Without "
	"--pid and --cr3 the kernel's own page table is used. If the address is not mapped, "
	"the levels walked so far are shown and the command fails.",
    .examples = "  nunchi translate xen:web linux_banner\n"
		"  nunchi translate qemu:demo init_task+0x40\n"
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
