/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

/* All columns of the view, those first that a person looks for: on a terminal the last are left
 * out. */
static const char columns[] = "pid,fd,type,state,local_address,local_port,remote_address,"
			      "remote_port,path,recv_queue,send_queue,family,protocol,socket,"
			      "net_namespace,sock";

static int sockets_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct select *select = state;

	(void)count;
	if (!select->columns_text && cli->output == NUNCHI_OUTPUT_TABLE && cli->width)
		select->columns_text = columns;
	return show_selected(cli, state, arguments[0], "process_open_sockets");
}

const struct command command_sockets = {
    .name = "sockets",
    .arguments = "TARGET",
    .summary = "show the sockets of all processes, and of none",
    .description =
	"Shows the sockets that processes hold, of all network namespaces: the same as "
	"\"nunchi show TARGET process_open_sockets\". TCP and UDP sockets that no process "
	"holds (in TIME_WAIT, not accepted yet, of the kernel itself) come last, with the "
	"process id -1. On a terminal the columns are in another order, so that what is left out "
	"there is what is looked for least.",
    .examples = "  nunchi sockets xen:web\n"
		"  nunchi sockets core.elf --where family=2 --where state=LISTEN\n"
		"  nunchi sockets core.elf --where pid=-1\n",
    .options = select_options,
    .option_count = SELECT_OPTION_COUNT,
    .least = 1,
    .most = 1,
    .state_size = sizeof(struct select),
    .option = select_option,
    .run = sockets_run,
    .clean = select_clean,
};
