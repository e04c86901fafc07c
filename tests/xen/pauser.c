/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pauses a guest again and again, to be killed while it does; for tests/xen/kill.sh.
 *
 *	pauser TARGET MILLISECONDS-PAUSED [TIMES [signals|child]]
 *	pauser TARGET queries TIMES
 *
 * signals: it catches a signal every millisecond meanwhile, for one half of the pauses with
 * SA_RESTART. child: it forks a child that lives on, with all its descriptors, for ten seconds.
 * queries: it asks for the processes, pausing the guest, among such signals.
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

static struct nunchi_error *count_processes(struct nunchi_guest *guest, unsigned *ret)
{
	struct nunchi_cursor *cursor = NULL;
	const struct nunchi_cell *cells;
	struct nunchi_error *err =
	    nunchi_cursor_open(guest, nunchi_view_find("processes"), NULL, &cursor);
	bool torn;

	*ret = 0;
	while (!err) {
		err = nunchi_cursor_next(cursor, &cells, &torn);
		*ret += !err;
	}
	nunchi_cursor_close(cursor);
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		return err;
	nunchi_error_destroy(err);
	return NULL;
}

static int query(const char *name, long times)
{
	const struct nunchi_guest_options options = {.size = sizeof(options),
						     .pause = NUNCHI_PAUSE_ALWAYS};
	struct nunchi_context *context = NULL;
	struct nunchi_error *err = nunchi_context_create(0, &context);
	long done = 0;

	for (; !err && done < times; done++) {
		struct nunchi_guest *guest = NULL;
		unsigned rows = 0;

		catch_signals(done % 2 ? SA_RESTART : 0);
		err = nunchi_guest_open(context, name, &options, &guest);
		if (!err)
			err = count_processes(guest, &rows);
		nunchi_guest_close(guest);
		if (!err && !rows)
			return 3;
	}
	nunchi_context_destroy(context);
	if (err)
		return fail(err);
	printf("%ld queries, caught %d signals\n", done, (int)caught);
	return 0;
}

static int pause_and_resume(struct target *target, long paused_us, long times, bool signals)
{
	struct nunchi_error *err = NULL;
	long done = 0;

	if (signals)
		catch_signals(0);
	for (; !err && done < times; done += !err) {
		if (signals && done == times / 2)
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
		printf("%ld pauses, caught %d signals\n", done, (int)caught);
	return 0;
}

int main(int argc, char **argv)
{
	const struct target_options options = {.sigbus_guard = true};
	long times = argc > 3 ? strtol(argv[3], NULL, 10) : 1000000;
	struct target *target;
	struct nunchi_error *err;

	if (argc < 3)
		return 2;
	if (!strcmp(argv[2], "queries"))
		return query(argv[1], times);
	err = target_open(argv[1], &options, &target);
	if (err)
		return fail(err);
	if (argc > 4 && !strcmp(argv[4], "child") && fork() == 0) {
		sleep(10);
		_exit(0);
	}
	return pause_and_resume(target, strtol(argv[2], NULL, 10) * 1000, times,
				argc > 4 && !strcmp(argv[4], "signals"));
}
