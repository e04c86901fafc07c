/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pauses a guest again and again, to be killed while it does; for tests/xen/kill.sh.
 *
 *	pauser TARGET MILLISECONDS-PAUSED [TIMES [signals|child]]
 *
 * signals: it catches a signal every millisecond meanwhile, for one half of the pauses with
 * SA_RESTART. child: it forks a child that lives on, with all its descriptors, for ten seconds.
 */
#include "target/target.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

static int fail(struct nunchi_error *err)
{
	fprintf(stderr, "pauser: %s\n", nunchi_error_message(err));
	if (nunchi_error_hint(err))
		fprintf(stderr, "  hint: %s\n", nunchi_error_hint(err));
	nunchi_error_destroy(err);
	return 1;
}

static volatile sig_atomic_t caught;

static void count(int number)
{
	(void)number;
	caught++;
}

static void catch_signals(int flags)
{
	const struct itimerval every_ms = {{0, 1000}, {0, 1000}};
	const struct sigaction action = {.sa_handler = count, .sa_flags = flags};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every_ms, NULL);
}

int main(int argc, char **argv)
{
	const struct target_options options = {.sigbus_guard = true};
	long times = argc > 3 ? strtol(argv[3], NULL, 10) : 1000000;
	bool signals = argc > 4 && !strcmp(argv[4], "signals");
	struct target *target;
	struct nunchi_error *err;
	long paused_us;

	if (argc < 3)
		return 2;
	paused_us = strtol(argv[2], NULL, 10) * 1000;
	err = target_open(argv[1], &options, &target);
	if (argc > 4 && !strcmp(argv[4], "child") && fork() == 0) {
		sleep(10);
		_exit(0);
	}
	if (signals)
		catch_signals(0);
	for (long i = 0; !err && i < times; i++) {
		if (signals && i == times / 2)
			catch_signals(SA_RESTART);
		err = target_pause(target);
		if (err)
			break;
		usleep((useconds_t)paused_us);
		err = target_resume(target);
		if (!signals)
			usleep(2000);
	}
	if (err)
		return fail(err);
	for (size_t i = 0; i < target->note_count; i++)
		printf("note: %s\n", target->notes[i]);
	target_close(target);
	if (signals)
		printf("caught %d signals\n", (int)caught);
	return 0;
}
