/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pauses a guest again and again, to be killed while it does; for tests/xen/kill.sh.
 *
 *	pauser TARGET MILLISECONDS-PAUSED [TIMES]
 */
#include "target/target.h"

#include <stdio.h>

static int fail(struct nunchi_error *err)
{
	fprintf(stderr, "pauser: %s\n", nunchi_error_message(err));
	if (nunchi_error_hint(err))
		fprintf(stderr, "  hint: %s\n", nunchi_error_hint(err));
	nunchi_error_destroy(err);
	return 1;
}

int main(int argc, char **argv)
{
	const struct target_options options = {.sigbus_guard = true};
	long times = argc > 3 ? strtol(argv[3], NULL, 10) : 1000000;
	struct target *target;
	struct nunchi_error *err;
	long paused_us;

	if (argc < 3)
		return 2;
	paused_us = strtol(argv[2], NULL, 10) * 1000;
	err = target_open(argv[1], &options, &target);
	for (long i = 0; !err && i < times; i++) {
		err = target_pause(target);
		if (err)
			break;
		usleep((useconds_t)paused_us);
		err = target_resume(target);
		usleep(2000);
	}
	if (err)
		return fail(err);
	for (size_t i = 0; i < target->note_count; i++)
		printf("note: %s\n", target->notes[i]);
	target_close(target);
	return 0;
}
