/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A few hundred processes of every kind, set up once and then asleep, so that
 * the guest stands still while it is looked at from inside and from outside.
 *
 *     workload full
 *
 * Returns when everything stands; what could not be set up (a module that the
 * kernel does not have, say) is told on stderr and left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

const char *const hostile[HOSTILE_COUNT] = {
    "line\nbreak",
    "\033[31mred\033[0m",
    "tab\tback\\slash",
    "quo\"te'd",
    "bad\xff\xfe\x80utf",
    "눈치 이름",
    "a) S 1 (b",
    " lead trail ",
    "\x01\x7f\x9b"
    "31m",
    "cut-눈치눈치",
    "$(reboot)`x`",
    "-rf *",
    "\r\nOK",
    "\xe2\x80\xae"
    "drawkcab",
    "\xed\xa0\x80surrogate",
    "%s%n%d",
    "{\"a\":1}",
    "<b>&amp;<b>",
    "back\\012slash",
    "\xc0\xafoverlong",
    "😀\xf0\x9f\x98",
    "a,b;c|d&e",
};

char *argument_start, *argument_end, *environment_end;

void complain(const char *what)
{
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
}

void ready(void)
{
	if (write(READY_FD, "R", 1) != 1)
		complain("ready");
	close(READY_FD);
}

void leave_ready(void)
{
	close(READY_FD);
}

void rest(void)
{
	for (;;)
		pause();
}

void set_name(const char *name)
{
	prctl(PR_SET_NAME, name);
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	size_t size = strlen(text);
	bool done = fd >= 0 && write(fd, text, size) == (ssize_t)size;

	if (fd >= 0)
		close(fd);
	return done;
}

bool copy_file(const char *from, const char *to)
{
	static char buffer[1 << 16];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t got = -1;

	while (in >= 0 && out >= 0 && (got = read(in, buffer, sizeof(buffer))) > 0)
		if (write(out, buffer, (size_t)got) != got)
			break;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return got == 0;
}

bool make_directory(const char *path)
{
	return mkdir(path, 0755) == 0 || errno == EEXIST;
}

/* Wait for a child's ready byte. */
static void await(int fd, pid_t pid)
{
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	char byte;

	if (poll(&waiting, 1, READY_TIMEOUT_MS) != 1 || read(fd, &byte, 1) != 1)
		fprintf(stderr, "workload: process %d did not get ready\n", pid);
	close(fd);
}

pid_t spawn(void (*role)(long number), long number)
{
	int pipes[2];
	pid_t pid;

	if (pipe(pipes) < 0) {
		complain("pipe");
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		close(pipes[0]);
		dup2(pipes[1], READY_FD);
		close(pipes[1]);
		close(MANAGER_FD);
		role(number);
		rest();
	}
	close(pipes[1]);
	await(pipes[0], pid);
	return pid;
}

pid_t spawn_program(const char *path, char *const argv[], char *const envp[],
		    const char *instruction)
{
	int pipes[2], orders[2];
	pid_t pid;

	if (pipe(pipes) < 0 || pipe(orders) < 0 ||
	    write(orders[1], instruction, strlen(instruction) + 1) < 0) {
		complain("pipe");
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		dup2(pipes[1], READY_FD);
		dup2(orders[0], INSTRUCTION_FD);
		for (int i = 0; i < 2; i++) {
			close(pipes[i]);
			close(orders[i]);
		}
		execve(path, argv, envp);
		complain(path);
		_exit(127);
	}
	close(pipes[1]);
	close(orders[0]);
	close(orders[1]);
	await(pipes[0], pid);
	return pid;
}

static void remember_arguments(int argc, char **argv, char **envp)
{
	argument_start = argv[0];
	argument_end = argc ? argv[argc - 1] + strlen(argv[argc - 1]) + 1 : argv[0];
	environment_end = argument_end;
	for (char **at = envp; *at; at++)
		environment_end = *at + strlen(*at) + 1;
}

static void manage(void)
{
	set_name("manager");
	setsid();
	start_mounts();
	start_names();
	start_arguments();
	start_credentials();
	start_states();
	start_threads();
	start_times();
	start_files();
	start_sockets();
	start_network();
	start_maps();
	start_executables();
	start_cgroups();
	start_containers();
	write_log();
	/* Let everybody reach their sleep. */
	usleep(500000);
}

/* Start the manager, which holds everybody's parentage: its zombies stay zombies. */
static int start(void)
{
	int pipes[2];
	char byte;

	if (pipe(pipes) < 0)
		return 1;
	if (fork() == 0) {
		close(pipes[0]);
		dup3(pipes[1], MANAGER_FD, O_CLOEXEC);
		close(pipes[1]);
		manage();
		dup2(MANAGER_FD, READY_FD);
		close(MANAGER_FD);
		ready();
		rest();
	}
	close(pipes[1]);
	return read(pipes[0], &byte, 1) == 1 ? 0 : 1;
}

int main(int argc, char **argv, char **envp)
{
	char instruction[256];
	ssize_t got;

	remember_arguments(argc, argv, envp);
	got = fcntl(INSTRUCTION_FD, F_GETFD) < 0
		  ? -1
		  : read(INSTRUCTION_FD, instruction, sizeof(instruction) - 1);
	if (got > 0) {
		instruction[got] = '\0';
		close(INSTRUCTION_FD);
		run_instruction(instruction);
	}
	if (argc != 2 || strcmp(argv[1], "full")) {
		fprintf(stderr, "usage: workload full\n");
		return 2;
	}
	return start();
}
