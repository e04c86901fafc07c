/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ask TTY SECONDS COMMAND: has the agent (tests/oracle/agent.c) of a guest run COMMAND. TTY is the
 * pseudo-terminal of the guest's console in dom0. Prints what the command printed and ends with
 * its status; with 124 if no answer came in time, with 125 if the answer came damaged.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { TIMED_OUT = 124, DAMAGED = 125, FAILED = 126, ANSWER_MAX_BYTES = 64 << 20 };

struct answer {
	char *data;
	size_t size, room;
};

static uint32_t crc32_of(const char *data, size_t size)
{
	uint32_t table[256], crc = 0xffffffffu;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		table[i] = c;
	}
	for (size_t i = 0; i < size; i++)
		crc = table[(crc ^ (unsigned char)data[i]) & 0xff] ^ (crc >> 8);
	return ~crc;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int open_tty(const char *path)
{
	struct termios mode;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	/* One question at a time. */
	if (fd < 0 || flock(fd, LOCK_EX) < 0 || tcgetattr(fd, &mode) < 0)
		return -1;
	cfmakeraw(&mode);
	return tcsetattr(fd, TCSANOW, &mode) < 0 ? -1 : fd;
}

static int send_line(int fd, const char *line)
{
	for (size_t left = strlen(line); left > 0;) {
		ssize_t sent = write(fd, line, left);

		if (sent < 0 && errno != EINTR)
			return -1;
		line += sent > 0 ? sent : 0;
		left -= sent > 0 ? (size_t)sent : 0;
	}
	return 0;
}

/* Reads more; false at the end, at the limit or after DEADLINE. */
static int read_more(int fd, struct answer *answer, double deadline)
{
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	double left = deadline - now();
	ssize_t got;

	if (answer->room - answer->size < 65536) {
		size_t room = answer->room ? answer->room * 2 : 1 << 20;
		char *data = room > ANSWER_MAX_BYTES ? NULL : realloc(answer->data, room);

		if (!data)
			return 0;
		answer->data = data;
		answer->room = room;
	}
	if (left <= 0 || poll(&waiting, 1, (int)(left * 1000) + 1) != 1)
		return 0;
	got = read(fd, answer->data + answer->size, answer->room - answer->size);
	if (got <= 0)
		return got < 0 && errno == EINTR;
	answer->size += (size_t)got;
	return 1;
}

/* Prints the answer between the marks if its length and CRC are right; the status to end with. */
static int deliver(const char *begin, const char *end, const char *numbers)
{
	unsigned long long bytes;
	unsigned int crc;
	int status;

	if (sscanf(numbers, "%llu %x %d", &bytes, &crc, &status) != 3)
		return DAMAGED;
	if ((size_t)(end - begin) != bytes || crc32_of(begin, bytes) != crc)
		return DAMAGED;
	return fwrite(begin, 1, bytes, stdout) == bytes && fflush(stdout) == 0 ? status : FAILED;
}

static int await(int fd, const char *id, double deadline)
{
	struct answer answer = {0};
	char begin[64], end[64];
	size_t seen = 0;

	snprintf(begin, sizeof(begin), "NUNCHI-BEGIN %s\n", id);
	snprintf(end, sizeof(end), "\nNUNCHI-END %s ", id);
	while (read_more(fd, &answer, deadline)) {
		char *first, *last, *line;

		last = memmem(answer.data + seen, answer.size - seen, end, strlen(end));
		line = last ? memchr(last + 1, '\n', answer.size - (size_t)(last + 1 - answer.data))
			    : NULL;
		if (!line) {
			/* The mark may have come in part. */
			if (!last && answer.size > sizeof(end))
				seen = answer.size - sizeof(end);
			continue;
		}
		*line = '\0';
		first = memmem(answer.data, answer.size, begin, strlen(begin));
		if (!first || first + strlen(begin) > last)
			return DAMAGED;
		return deliver(first + strlen(begin), last, last + strlen(end));
	}
	return TIMED_OUT;
}

int main(int argc, char **argv)
{
	char id[32], line[4096];
	unsigned int seconds;
	int fd, status;

	if (argc != 4 || sscanf(argv[2], "%u", &seconds) != 1) {
		fputs("usage: ask TTY SECONDS COMMAND\n", stderr);
		return 2;
	}
	fd = open_tty(argv[1]);
	if (fd < 0) {
		fprintf(stderr, "ask: %s: %s\n", argv[1], strerror(errno));
		return FAILED;
	}
	snprintf(id, sizeof(id), "%x%lx", (unsigned int)getpid(), (unsigned long)(now() * 1e6));
	if (snprintf(line, sizeof(line), "%s %u %s\n", id, seconds, argv[3]) >= (int)sizeof(line) ||
	    send_line(fd, line) < 0)
		return FAILED;
	status = await(fd, id, now() + seconds + 1.0);
	if (status == TIMED_OUT)
		fprintf(stderr, "ask: no answer within %u s\n", seconds);
	if (status == DAMAGED)
		fputs("ask: the answer is damaged\n", stderr);
	return status;
}
