/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Forks and exits as fast as it can, for the torn-row test.
 *
 *     forkstorm SECONDS [WORKERS]
 *
 * Every child takes all it shows from one number N between 100000 and 999999:
 * its name is "storm-N", its uid, euid, gid and egid are N, its command line is
 * the two arguments "storm" and "N", and its environment is the one variable
 * "STORM=N". A parent shows "storm-parent", uid 0, the arguments "storm" and
 * "parent" and "STORM=parent". A child goes from the one to the other in steps,
 * and a new program starts as the parent: a row that shows two different
 * numbers mixes two processes, and one that shows a number beside a parent's
 * value was read while a child changed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST = 100000, COUNT = 900000, AT_ONCE = 24, SETTINGS_FD = 10 };

struct settings {
	int seconds, workers;
};

static char *second_argument, *variable;

static void become(unsigned int number)
{
	char name[16];

	snprintf(name, sizeof(name), "storm-%u", number);
	prctl(PR_SET_NAME, name);
	/* "parent" and six digits are of one length. */
	snprintf(name, sizeof(name), "%06u", number);
	memcpy(second_argument, name, 6);
	memcpy(variable, name, 6);
	if (setresgid(number, number, number) < 0 || setresuid(number, number, number) < 0)
		_exit(1);
}

/* Some end at once, some spin, some sleep a few milliseconds, a few longer. */
static void live(unsigned int number)
{
	struct timespec nap = {0, (number % 64 == 3 ? 60 : (long)(number % 7)) * 1000000};

	if (number % 4 == 1)
		for (volatile int i = 0; i < 20000; i++)
			;
	else if (number % 4 > 1)
		nanosleep(&nap, NULL);
	_exit(0);
}

static void storm(time_t seconds, unsigned int seed)
{
	struct timespec start, now;
	unsigned int number = seed;
	int alive = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		number = (number * 1103515245u + 12345u) & 0x7fffffff;
		switch (fork()) {
		case 0:
			become(FIRST + number % COUNT);
			live(number);
			break;
		case -1:
			break;
		default:
			alive++;
		}
		while (alive > 0 && waitpid(-1, NULL, alive < AT_ONCE ? WNOHANG : 0) > 0)
			alive--;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < seconds);
	while (wait(NULL) > 0)
		;
}

/* Start over as "storm parent"; what was asked for goes through a pipe. */
static int start_over(const struct settings *settings)
{
	int pipes[2];

	if (pipe(pipes) < 0 || write(pipes[1], settings, sizeof(*settings)) != sizeof(*settings) ||
	    dup2(pipes[0], SETTINGS_FD) < 0) {
		perror("forkstorm");
		return 1;
	}
	close(pipes[0]);
	close(pipes[1]);
	execve("/proc/self/exe", (char *[]){"storm", "parent", NULL},
	       (char *[]){"STORM=parent", NULL});
	perror("forkstorm");
	return 1;
}

int main(int argc, char **argv, char **envp)
{
	struct settings settings = {0, 1};

	if (strcmp(argv[0], "storm")) {
		if (argc < 2) {
			fprintf(stderr, "usage: forkstorm SECONDS [WORKERS]\n");
			return 2;
		}
		settings.seconds = atoi(argv[1]);
		settings.workers = argc > 2 ? atoi(argv[2]) : 1;
		return start_over(&settings);
	}
	if (argc != 2 || !envp[0] ||
	    read(SETTINGS_FD, &settings, sizeof(settings)) != sizeof(settings))
		return 2;
	close(SETTINGS_FD);
	second_argument = argv[1];
	variable = strchr(envp[0], '=') + 1;
	prctl(PR_SET_NAME, "storm-parent");
	for (int i = 1; i < settings.workers; i++)
		if (fork() == 0) {
			storm(settings.seconds, (unsigned int)i * 7919);
			return 0;
		}
	storm(settings.seconds, 1);
	return 0;
}
