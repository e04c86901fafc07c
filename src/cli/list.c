/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

static const struct nunchi_column columns[] = {
    {"target", NUNCHI_TYPE_TEXT, "what other commands take"},
    {"name", NUNCHI_TYPE_TEXT, "the guest's name"},
    {"hypervisor", NUNCHI_TYPE_TEXT, "what runs it"},
    {"pid", NUNCHI_TYPE_INTEGER, "process that runs it"},
    {"memory", NUNCHI_TYPE_INTEGER, "RAM in bytes"},
    {"vcpus", NUNCHI_TYPE_INTEGER, "virtual CPUs"},
    {"state", NUNCHI_TYPE_TEXT, "running, paused …"},
    {"uuid", NUNCHI_TYPE_TEXT, "the guest's UUID"},
    {"access", NUNCHI_TYPE_TEXT, "how its memory is reached, or why it is not"},
};

struct listing {
	struct nunchi_writer *writer;
	struct nunchi_error *err;
	unsigned count;
};

/* Not known, which is not the same as nothing. */
static struct nunchi_cell cell_known(bool known, int64_t value)
{
	return known ? cell_integer(value) : cell_not_applicable();
}

static bool found(const struct nunchi_found *guest, void *data)
{
	struct listing *listing = data;
	struct nunchi_cell cells[ARRAY_SIZE(columns)] = {
	    cell_text(guest->target),
	    cell_text(guest->name[0] ? guest->name : NULL),
	    cell_text(guest->hypervisor),
	    cell_known(guest->pid >= 0, guest->pid),
	    cell_known(guest->memory, (int64_t)guest->memory),
	    cell_known(guest->vcpus, guest->vcpus),
	    cell_text(guest->state),
	    cell_text(guest->uuid[0] ? guest->uuid : NULL),
	    cell_text(guest->access),
	};

	listing->count++;
	listing->err = nunchi_writer_row(listing->writer, cells, false);
	return !listing->err;
}

static int list_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct listing listing = {0};
	struct nunchi_error *err;
	int status, finished;

	(void)state;
	(void)arguments;
	(void)count;
	err = cli_list_writer(cli, columns, ARRAY_SIZE(columns), &listing.writer);
	if (err)
		return cli_fail(cli, err);
	err = nunchi_list(cli->context, found, &listing);
	status = cli_fail(cli, err);
	finished = cli_fail(cli, listing.err);
	if (!finished && (listing.count || cli->output != NUNCHI_OUTPUT_TABLE))
		finished = cli_fail(cli, nunchi_writer_finish(listing.writer));
	nunchi_writer_destroy(listing.writer);
	if (!status && !listing.count && cli->output == NUNCHI_OUTPUT_TABLE)
		fputs("nunchi: no running guest was found\n"
		      "  hint: a saved guest is given by its path, as in \"nunchi info "
		      "memory.raw\"\n",
		      stderr);
	return status ? status : finished;
}

const struct command command_list = {
    .name = "list",
    .arguments = "",
    .summary = "running guests found on this host",
    .description =
	"Finds the guests that run on this host: domains of Xen, and QEMU processes (system "
	"emulation and KVM, with libvirt or without) and their QMP sockets. The first column is "
	"what other "
	"commands take as TARGET, the last one says how the guest's memory would be reached, "
	"or why it cannot be.",
    .examples = "  nunchi list\n"
		"  nunchi list --json\n",
    .run = list_run,
};
