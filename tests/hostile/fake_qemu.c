/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests/hostile.py runs under the name qemu-system-x86_64, as another user: a process that
 * looks like QEMU and answers on its QMP socket as it is told by the variable FAKE_QEMU:
 *
 *	silent   says nothing          flood    sends events without end
 *	huge     an answer without end nested   an answer of brackets
 *	tokens   a greeting of many tokens      slow     a byte each 20 ms
 *	unasked  answers that nobody asked for  good     answers as QEMU does, and counts `stop`
 *
 * The socket is that of -qmp unix:PATH,…; with FAKE_SOCKET=no it is not made, since the command
 * line names another's. With FAKE_MAP=PATH the file is mapped over what looks like the guest's RAM.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char greeting[] =
    "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":2,\"major\":7},\"package\":\"\"},"
    "\"capabilities\":[]}}\r\n";

static bool say(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t n = send(fd, text, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		text += n;
		size -= (size_t)n;
	}
	return true;
}

static bool say_string(int fd, const char *text)
{
	return say(fd, text, strlen(text));
}

static void say_again(int fd, const char *text)
{
	static char block[65536];
	size_t length = strlen(text), size = sizeof(block) / length * length;

	for (size_t i = 0; i < size; i++)
		block[i] = text[i % length];
	while (say(fd, block, size))
		;
}

static void say_slowly(int fd, const char *text)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (; say(fd, text, 1); text++) {
		nanosleep(&pause, NULL);
		if (!text[1])
			return;
	}
}

/* Answers each line by its id, and writes each command into the file FAKE_QEMU_LOG. */
static void answer(int fd, const char *how)
{
	const char *log = getenv("FAKE_QEMU_LOG");
	char line[4096];
	ssize_t n;

	while ((n = recv(fd, line, sizeof(line) - 1, 0)) > 0) {
		const char *id;
		char text[256];
		FILE *file = log ? fopen(log, "ae") : NULL;

		line[n] = '\0';
		id = strstr(line, "\"id\":");
		id = id ? strpbrk(id, "0123456789") : "0";
		if (file) {
			fprintf(file, "%s", line);
			fclose(file);
		}
		snprintf(
		    text, sizeof(text),
		    "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": %ld}\r\n",
		    strtol(id ? id : "0", NULL, 10));
		if (!strcmp(how, "unasked"))
			for (int i = 0; i < 100000; i++)
				if (!say_string(fd, "{\"return\": [1, 2, 3], \"id\": 999999}\r\n"))
					return;
		if (!strcmp(how, "huge") && strstr(line, "query")) {
			say_string(fd, "{\"return\": \"");
			say_again(fd, "x");
			return;
		}
		if (!strcmp(how, "nested") && strstr(line, "query")) {
			say_string(fd, "{\"return\": ");
			say_again(fd, "[");
			return;
		}
		if (!say_string(fd, text))
			return;
	}
}

static void serve(int fd, const char *how)
{
	if (!strcmp(how, "silent")) {
		pause();
	} else if (!strcmp(how, "flood")) {
		say_string(fd, greeting);
		say_again(fd, "{\"event\": \"STOP\"}\r\n");
	} else if (!strcmp(how, "tokens")) {
		say_string(fd, "{\"QMP\": [");
		say_again(fd, "1,");
	} else if (!strcmp(how, "slow")) {
		say_slowly(fd, greeting);
	} else {
		say_string(fd, greeting);
		answer(fd, how);
	}
}

/* "unix:PATH,server=on" of -qmp. */
static const char *socket_path(int argc, char **argv)
{
	static char path[108];

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "-qmp"))
			snprintf(path, sizeof(path), "%.*s",
				 (int)strcspn(argv[i + 1] + strlen("unix:"), ","),
				 argv[i + 1] + strlen("unix:"));
	return path;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 2)) {
		perror(path);
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	const char *how = getenv("FAKE_QEMU"), *own = getenv("FAKE_SOCKET");
	const char *map = getenv("FAKE_MAP");
	int listener = -1;

	if (!own || strcmp(own, "no") != 0)
		listener = listen_at(socket_path(argc, argv));
	if (map) {
		int fd = open(map, O_RDWR | O_CLOEXEC);

		if (fd < 0 ||
		    mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED) {
			perror(map);
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	while (listener >= 0) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return 1;
		serve(fd, how ? how : "silent");
		close(fd);
	}
	for (;;)
		pause();
}
