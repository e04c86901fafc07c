/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

/* The first is for --watch alone. */
static const struct nunchi_column columns[] = {
    {"change", NUNCHI_TYPE_TEXT, "present when --watch began, started, changed or ended"},
    {"target", NUNCHI_TYPE_TEXT, "what other commands take as TARGET"},
    {"hypervisor", NUNCHI_TYPE_TEXT, "what runs it"},
    {"memory", NUNCHI_TYPE_INTEGER, "RAM in bytes", NUNCHI_UNIT_BYTES},
    {"vcpus", NUNCHI_TYPE_INTEGER, "virtual CPUs"},
    {"state", NUNCHI_TYPE_TEXT, "running, paused …"},
    {"access", NUNCHI_TYPE_TEXT, "how its memory is reached, or why it is not"},
    {"pid", NUNCHI_TYPE_INTEGER, "process that runs it"},
    {"name", NUNCHI_TYPE_TEXT, "the guest's name"},
    {"uuid", NUNCHI_TYPE_TEXT, "the guest's UUID"},
    {"user", NUNCHI_TYPE_TEXT, "whose process runs it"},
};

struct options {
	bool watch;
};

struct listing {
	struct cli *cli;
	struct nunchi_writer *writer;
	struct nunchi_error *err;
	unsigned count;
};

/* An absent cell where the value is not known. */
static struct nunchi_cell cell_known(bool known, int64_t value)
{
	return known ? cell_integer(value) : cell_not_applicable();
}

static bool show(struct listing *listing, const struct nunchi_found *guest, const char *change)
{
	struct nunchi_cell cells[ARRAY_SIZE(columns)] = {
	    cell_text(change),
	    cell_text(guest->target),
	    cell_text(guest->hypervisor),
	    cell_known(guest->memory, (int64_t)guest->memory),
	    cell_known(guest->vcpus, guest->vcpus),
	    cell_text(guest->state),
	    cell_text(guest->access),
	    cell_known(guest->pid >= 0, guest->pid),
	    cell_text(guest->name[0] ? guest->name : NULL),
	    cell_text(guest->uuid[0] ? guest->uuid : NULL),
	    cell_text(guest->user[0] ? guest->user : NULL),
	};

	listing->count++;
	listing->err = nunchi_writer_row(listing->writer, change ? cells : cells + 1, false);
	return !listing->err;
}

static bool found(const struct nunchi_found *guest, void *data)
{
	return show(data, guest, NULL);
}

/* Each line is written at once. */
static bool changed(const struct nunchi_found *guest, enum nunchi_list_change change, void *data)
{
	static const char *const names[] = {"present", "started", "changed", "ended"};
	struct listing *listing = data;

	if (listing->cli->output == NUNCHI_OUTPUT_TABLE) {
		cli_printf(listing->cli, "%-8s ", names[change]);
		cli_print_escaped(listing->cli, guest->target);
		cli_printf(listing->cli, "  ");
		cli_print_escaped(listing->cli, guest->name);
		cli_printf(listing->cli, "  %s, %llu MiB, %u vCPU, ", guest->hypervisor,
			   (unsigned long long)guest->memory >> 20, guest->vcpus);
		cli_print_escaped(listing->cli, guest->state);
		cli_printf(listing->cli, "\n");
	} else if (!show(listing, guest, names[change])) {
		return false;
	}
	return cli_flush(listing->cli);
}

static int finish(struct cli *cli, struct listing *listing)
{
	int finished = cli_fail(cli, listing->err);

	if (!finished && (listing->count || cli->output != NUNCHI_OUTPUT_TABLE))
		finished = cli_fail(cli, nunchi_writer_finish(listing->writer));
	nunchi_writer_destroy(listing->writer);
	return finished;
}

static int list_watch(struct cli *cli)
{
	struct listing listing = {.cli = cli};
	struct nunchi_error *err =
	    cli_list_writer(cli, columns, ARRAY_SIZE(columns), &listing.writer);
	int status;

	if (err)
		return cli_fail(cli, err);
	err = nunchi_list_watch(cli->context, changed, &listing);
	if (cli->output == NUNCHI_OUTPUT_TABLE)
		listing.count = 0;
	status = finish(cli, &listing);
	return err ? cli_fail(cli, err) : status;
}

static int list_run(struct cli *cli, void *state, char **arguments, int count)
{
	const struct options *options = state;
	struct listing listing = {.cli = cli};
	struct nunchi_error *err;
	int status, finished;

	(void)arguments;
	(void)count;
	if (options->watch)
		return list_watch(cli);
	err = cli_list_writer(cli, columns + 1, ARRAY_SIZE(columns) - 1, &listing.writer);
	if (err)
		return cli_fail(cli, err);
	err = nunchi_list(cli->context, found, &listing);
	status = cli_fail(cli, err);
	finished = finish(cli, &listing);
	if (!status && !listing.count && cli->output == NUNCHI_OUTPUT_TABLE)
		fputs("nunchi: no running guest was found on this host\n"
		      "  hint: the TARGET of a saved guest is its path, as in \"nunchi info "
		      "memory.raw\"\n",
		      stderr);
	return status ? status : finished;
}

static int list_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct options *options = state;

	(void)cli;
	(void)value;
	options->watch |= letter == 'w';
	return CLI_DONE;
}

static const struct cli_option list_options[] = {
    {"watch", 'w', NULL,
     "keep running and print each guest that starts, changes or ends: Xen's domains at once, "
     "QEMU's processes once a second, their states every ten"},
};

const struct command command_list = {
    .name = "list",
    .arguments = "",
    .summary = "list the guests that run on this host",
    .description =
	"Finds the guests that run on this host: domains of Xen, and QEMU processes (system "
	"emulation and KVM, with libvirt or without) with their QMP sockets. The column target "
	"is what other commands take as TARGET; access says how the guest's memory would be "
	"reached, or why it cannot be. Needs root for Xen, and for guests of other users.",
    .examples = "  nunchi list\n"
		"  nunchi list --json\n"
		"  nunchi list --watch\n",
    .options = list_options,
    .option_count = ARRAY_SIZE(list_options),
    .state_size = sizeof(struct options),
    .option = list_option,
    .run = list_run,
};
