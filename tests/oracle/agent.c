/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Process 1 of a lab guest: runs one command line at a time from a serial port
 * and sends what it prints through QEMU's debug port (0xe9), which takes whole
 * buffers and is far faster than a serial port. A guest of Xen has no such port:
 * with "--same" the answers go out where the requests come in, its console.
 *
 * A request is one line, "ID SECONDS COMMAND", COMMAND being given to /bin/sh -c
 * and killed, with its session, when SECONDS are over. The answer is a line
 * "NUNCHI-BEGIN ID", the output, and a line "NUNCHI-END ID BYTES CRC32 STATUS"
 * (CRC as in zlib, hexadecimal; STATUS is the exit status, 128 + signal if
 * killed). Frame 0 is sent once, when the guest is ready.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { DEBUG_PORT = 0xe9, LINE_MAX_BYTES = 4096 };

struct frame {
	uint32_t crc;
	unsigned long long bytes;
};

static uint32_t crc_table[256];

static void crc_prepare(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		crc_table[i] = c;
	}
}

/* Where answers go; -1: the debug port. */
static int answer_fd = -1;

static void port_write(const void *data, size_t size)
{
	const char *bytes = data;

	if (answer_fd >= 0) {
		while (size > 0) {
			ssize_t sent = write(answer_fd, bytes, size);

			if (sent < 0 && errno != EINTR)
				return;
			bytes += sent > 0 ? sent : 0;
			size -= sent > 0 ? (size_t)sent : 0;
		}
		return;
	}
	asm volatile("rep outsb" : "+S"(data), "+c"(size) : "d"((uint16_t)DEBUG_PORT) : "memory");
}

static void port_text(const char *text)
{
	port_write(text, strlen(text));
}

static void frame_begin(struct frame *frame, const char *id)
{
	char line[128];

	frame->crc = 0xffffffffu;
	frame->bytes = 0;
	snprintf(line, sizeof(line), "NUNCHI-BEGIN %.32s\n", id);
	port_text(line);
}

static void frame_data(struct frame *frame, const unsigned char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		frame->crc = crc_table[(frame->crc ^ data[i]) & 0xff] ^ (frame->crc >> 8);
	frame->bytes += size;
	port_write(data, size);
}

static void frame_end(const struct frame *frame, const char *id, int status)
{
	char line[160];

	snprintf(line, sizeof(line), "\nNUNCHI-END %.32s %llu %08x %d\n", id, frame->bytes,
		 (unsigned int)~frame->crc, status);
	port_text(line);
}

static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Send what the non-blocking pipe holds now. */
static void drain(int fd, struct frame *frame, unsigned char *buffer, size_t size)
{
	for (;;) {
		ssize_t got = read(fd, buffer, size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return;
		frame_data(frame, buffer, (size_t)got);
	}
}

static volatile sig_atomic_t overdue;

static void on_alarm(int number)
{
	(void)number;
	overdue = 1;
}

/* Run COMMAND and send what it prints; in a process of its own. */
static void serve(const char *id, unsigned int seconds, const char *command)
{
	static unsigned char buffer[1 << 20];
	int pipes[2], status = 127 << 8;
	struct frame frame;
	pid_t child;

	frame_begin(&frame, id);
	if (pipe2(pipes, O_CLOEXEC) < 0) {
		frame_end(&frame, id, 126);
		return;
	}
	fcntl(pipes[1], F_SETPIPE_SZ, (int)sizeof(buffer));
	fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	child = fork();
	if (child == 0) {
		setsid();
		dup2(pipes[1], 1);
		dup2(pipes[1], 2);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(pipes[1]);
	/*
	 * The command's own end counts, not the pipe's: what it left running in
	 * the background may hold that open.
	 */
	alarm(seconds);
	for (pid_t ended = 0; ended == 0;) {
		struct pollfd waiting = {.fd = pipes[0], .events = POLLIN};

		if (poll(&waiting, 1, 20) > 0 && !(waiting.revents & POLLIN))
			usleep(1000);
		if (overdue)
			kill(-child, SIGKILL);
		ended = waitpid(child, &status, WNOHANG);
		drain(pipes[0], &frame, buffer, sizeof(buffer));
	}
	frame_end(&frame, id, exit_status(status));
}

static volatile pid_t server;

/* Process 1 reaps everybody. */
static void on_child(int number)
{
	int saved = errno;
	pid_t pid;

	(void)number;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		if (pid == server)
			server = 0;
	errno = saved;
}

/*
 * Serve in a child, so that this process looks the same in every pass of the
 * oracle as it does in between.
 */
static void serve_apart(const char *id, unsigned int seconds, const char *command)
{
	sigset_t blocked, before;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	server = fork();
	if (server == 0) {
		signal(SIGCHLD, SIG_DFL);
		signal(SIGALRM, on_alarm);
		sigprocmask(SIG_SETMASK, &before, NULL);
		serve(id, seconds, command);
		_exit(0);
	}
	while (server > 0)
		sigsuspend(&before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static int open_port(const char *path)
{
	struct termios mode;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &mode) < 0)
		return -1;
	cfmakeraw(&mode);
	mode.c_cflag |= CLOCAL;
	cfsetspeed(&mode, B115200);
	if (tcsetattr(fd, TCSAFLUSH, &mode) < 0)
		return -1;
	return fd;
}

/* Read one line; overlong ones are dropped whole. */
static int read_line(int fd, char *line)
{
	size_t used = 0;

	for (;;) {
		char c;
		ssize_t got = read(fd, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		if (c == '\n') {
			line[used < LINE_MAX_BYTES ? used : 0] = '\0';
			return 0;
		}
		if (used < LINE_MAX_BYTES)
			line[used++] = c;
	}
}

int main(int argc, char **argv)
{
	static char line[LINE_MAX_BYTES + 1];
	const char *path = argc > 1 ? argv[1] : "/dev/ttyS1";
	struct frame ready;
	int fd;

	crc_prepare();
	fd = open_port(path);
	if (fd < 0) {
		perror(path);
		return 1;
	}
	if (argc > 2 && strcmp(argv[2], "--same") == 0) {
		answer_fd = fd;
	} else if (ioperm(DEBUG_PORT, 1, 1) < 0) {
		perror("agent: ioperm");
		return 1;
	}
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = on_child, .sa_flags = SA_RESTART},
		  NULL);
	frame_begin(&ready, "0");
	frame_end(&ready, "0", 0);
	while (read_line(fd, line) == 0) {
		char id[33];
		unsigned int seconds;
		int command = 0;

		if (sscanf(line, "%32s %u %n", id, &seconds, &command) == 2 && command > 0)
			serve_apart(id, seconds, line + command);
	}
	/* Process 1 must not end. */
	for (;;)
		pause();
}
