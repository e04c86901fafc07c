/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PROGRAM       "qemu-system-x86_64"
#define ARGUMENTS_MAX 64

double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

bool machine_available(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		execlp(PROGRAM, PROGRAM, "--version", NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void expand(char *to, size_t size, const char *text, const char *folder)
{
	const char *at = strstr(text, "%d");

	if (at)
		snprintf(to, size, "%.*s%s%s", (int)(at - text), text, folder, at + 2);
	else
		snprintf(to, size, "%s", text);
}

static void run(const struct machine *machine, const char *const *arguments)
{
	static char texts[ARGUMENTS_MAX][256];
	static char qmp[2][160];
	/* Of several accelerators the first that works is taken: one in arguments goes before. */
	const char *argv[ARGUMENTS_MAX + 16] = {PROGRAM, "-nodefaults", "-display", "none",
						"-qmp",  qmp[0],        "-qmp",     qmp[1]};
	size_t count = 8;
	int null = open("/dev/null", O_RDONLY);

	/* Ends with us, however the test ends. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 0);
	snprintf(qmp[0], sizeof(qmp[0]), "unix:%s,server=on,wait=off", machine->first);
	snprintf(qmp[1], sizeof(qmp[1]), "unix:%s,server=on,wait=off", machine->second);
	for (size_t i = 0; arguments[i] && i < ARGUMENTS_MAX; i++) {
		expand(texts[i], sizeof(texts[i]), arguments[i], machine->folder);
		argv[count++] = texts[i];
	}
	argv[count++] = "-accel";
	argv[count++] = "tcg";
	execvp(PROGRAM, (char **)argv);
	_exit(127);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

void machine_start(struct machine *machine, const char *const *arguments)
{
	double deadline = now_ms() + 20000;
	struct observer observer;
	int fd = -1;

	*machine = (struct machine){.folder = "/tmp/nunchi-qemu-XXXXXX"};
	assert_non_null(mkdtemp(machine->folder));
	snprintf(machine->first, sizeof(machine->first), "%s/first.sock", machine->folder);
	snprintf(machine->second, sizeof(machine->second), "%s/second.sock", machine->folder);
	snprintf(machine->memory, sizeof(machine->memory), "%s/memory", machine->folder);
	machine->pid = fork();
	assert_true(machine->pid >= 0);
	if (machine->pid == 0)
		run(machine, arguments);
	while (fd < 0 && now_ms() < deadline && waitpid(machine->pid, NULL, WNOHANG) == 0) {
		fd = connect_to(machine->second);
		if (fd < 0)
			usleep(2000);
	}
	assert_true(fd >= 0);
	close(fd);
	observer_open(&observer, machine->second);
	observer_close(&observer);
}

void machine_stop(struct machine *machine)
{
	struct dirent *entry;
	DIR *dir;

	if (machine->pid > 0) {
		kill(machine->pid, SIGKILL);
		waitpid(machine->pid, NULL, 0);
	}
	dir = opendir(machine->folder);
	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(machine->folder);
	machine->pid = 0;
}

/* One line that holds text; events and other lines are passed over. */
static const char *await(struct observer *observer, const char *text)
{
	static char line[262144];
	double deadline = now_ms() + 10000;
	size_t size = 0;

	while (now_ms() < deadline && size < sizeof(line) - 1) {
		struct pollfd pfd = {.fd = observer->fd, .events = POLLIN};

		if (poll(&pfd, 1, 100) != 1)
			continue;
		/* Byte by byte: nothing of the next line may be taken. */
		if (recv(observer->fd, line + size, 1, 0) != 1)
			break;
		if (line[size++] != '\n')
			continue;
		line[size] = '\0';
		observer->stops += strstr(line, "\"event\": \"STOP\"") != NULL;
		observer->resumes += strstr(line, "\"event\": \"RESUME\"") != NULL;
		if (strstr(line, text))
			return line;
		size = 0;
	}
	fail_msg("no answer with %s", text);
	return NULL;
}

void observer_open(struct observer *observer, const char *path)
{
	*observer = (struct observer){.fd = connect_to(path)};
	assert_true(observer->fd >= 0);
	await(observer, "\"QMP\"");
	observer_ask(observer, "\"qmp_capabilities\"");
}

const char *observer_ask(struct observer *observer, const char *command)
{
	char text[512];
	int size = snprintf(text, sizeof(text), "{\"execute\":%s,\"id\":\"test\"}\n", command);

	assert_int_equal(send(observer->fd, text, (size_t)size, MSG_NOSIGNAL), size);
	return await(observer, "\"id\": \"test\"");
}

bool observer_is_running(struct observer *observer)
{
	return strstr(observer_ask(observer, "\"query-status\""), "\"running\": true");
}

bool observer_wait_running(struct observer *observer, bool running, int ms)
{
	double deadline = now_ms() + ms;

	do {
		if (observer_is_running(observer) == running)
			return true;
		usleep(1000);
	} while (now_ms() < deadline);
	return false;
}

static uint64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

uint64_t observer_event(struct observer *observer, const char *name)
{
	char wanted[64];
	const char *line;

	snprintf(wanted, sizeof(wanted), "\"event\": \"%s\"", name);
	line = await(observer, wanted);
	return number_after(line, "\"seconds\": ") * 1000000 +
	       number_after(line, "\"microseconds\": ");
}

void observer_close(struct observer *observer)
{
	close(observer->fd);
}
