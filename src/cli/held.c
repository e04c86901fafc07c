/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands for which the guest must stand still. */
#include "cli.h"

int held_check(struct cli *cli, const char *target)
{
	if (!cli_target_is_live(target) || cli->guest_options.pause == NUNCHI_PAUSE_ALWAYS)
		return CLI_DONE;
	return cli_misuse(cli, NULL,
			  "the guest must stand still while its files are read; give --pause "
			  "always, or take a snapshot");
}

int held_run(struct cli *cli, int (*work)(struct cli *cli, void *data), void *data)
{
	const struct nunchi_session_options options = {
	    .size = sizeof(options), .hold = cli->guest_options.pause == NUNCHI_PAUSE_ALWAYS};
	struct nunchi_session *session;
	struct nunchi_error *err = nunchi_session_open(cli->guest, &options, &session);
	int status, closed;

	if (err)
		return cli_fail(cli, err);
	status = work(cli, data);
	closed = cli_fail(cli, nunchi_session_close(session));
	return status ? status : closed;
}
