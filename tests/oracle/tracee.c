/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that is traced, and writes down what it does, for tests/guests/trace.py: one line each
 * on standard output, "TID OPERATION TEXT RESULT", written by one write() so that the lines of
 * several processes do not mix. What it opens and makes lies below /tmp/traced.
 *
 *	tracee ROUNDS      all of it; ends with "done"
 *	tracee status N    ends with status N: what its children execute
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER  "/tmp/traced"
#define THREADS 4

static int number_of_tid(void)
{
	return (int)syscall(SYS_gettid);
}

__attribute__((format(printf, 1, 2))) static void record(const char *format, ...)
{
	char line[512];
	int size = snprintf(line, sizeof(line), "%d ", number_of_tid());
	va_list args;

	va_start(args, format);
	size += vsnprintf(line + size, sizeof(line) - (size_t)size - 1, format, args);
	va_end(args);
	line[size++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)size) != size)
		_exit(99);
}

static void die(const char *what)
{
	record("failed %s %d", what, errno);
	_exit(98);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void try_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	record("open %s %d", path, fd < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
}

static void use_files(int round, int who)
{
	char path[64], other[64];

	snprintf(path, sizeof(path), FOLDER "/file-%d-%d", round, who);
	snprintf(other, sizeof(other), FOLDER "/other-%d-%d", round, who);
	try_open(path, O_RDWR | O_CREAT | O_EXCL);
	try_open(path, O_RDWR | O_CREAT | O_EXCL);
	try_open(other, O_RDONLY);
	record("rename %s %d", path, rename(path, other) ? errno : 0);
	record("chmod %s %d", other, chmod(other, 0640) ? errno : 0);
	record("symlink %s %d", path, symlink(other, path) ? errno : 0);
	try_open(path, O_WRONLY | O_APPEND);
	record("unlink %s %d", path, unlink(path) ? errno : 0);
	record("unlink %s %d", other, unlink(other) ? errno : 0);
	record("mkdir %s %d", path, mkdir(path, 0700) ? errno : 0);
	record("rmdir %s %d", path, rmdir(path) ? errno : 0);
}

/* ---- Processes ------------------------------------------------------------------------------- */

static pid_t make_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		record("fork %d 0", pid);
	return pid;
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (WIFSIGNALED(status))
		record("signaled %d %d", pid, WTERMSIG(status));
	else
		record("exited %d %d", pid, WEXITSTATUS(status));
}

static void execute(int status)
{
	char number[16];
	pid_t pid = make_child();

	snprintf(number, sizeof(number), "%d", status);
	if (!pid) {
		execl("/bin/no-such-program", "no-such-program", (char *)NULL);
		execl("/bin/tracee", "tracee", "status", number, (char *)NULL);
		_exit(97);
	}
	wait_for(pid);
}

static void be_killed(int signal_number)
{
	pid_t pid = make_child();

	if (!pid) {
		for (;;)
			pause();
	}
	record("kill %d %d", pid, signal_number);
	kill(pid, signal_number);
	wait_for(pid);
}

/* ---- Threads --------------------------------------------------------------------------------- */

struct thread {
	int round, who;
};

static void *run_thread(void *data)
{
	const struct thread *thread = data;

	use_files(thread->round, thread->who);
	return NULL;
}

static void use_threads(int round)
{
	struct thread threads[THREADS];
	pthread_t ids[THREADS];

	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){round, i + 1};
		if (pthread_create(&ids[i], NULL, run_thread, &threads[i]))
			die("pthread_create");
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static void bring_up_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		die("socket");
	ioctl(fd, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		die("ifup");
	close(fd);
}

struct server {
	int fd, port, connections;
};

/* Sleeps within accept(): the client waits before it connects. */
static void *serve(void *data)
{
	struct server *server = data;

	for (int i = 0; i < server->connections; i++) {
		struct sockaddr_in peer = {0};
		socklen_t size = sizeof(peer);
		int fd = accept(server->fd, (struct sockaddr *)&peer, &size);

		if (fd < 0)
			die("accept");
		record("accept %d 0", ntohs(peer.sin_port));
		close(fd);
	}
	return NULL;
}

static void try_connect(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	if (fd < 0)
		die("socket");
	record("connect 127.0.0.1:%d %d", port,
	       connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0);
	close(fd);
}

static void try_unix_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = FOLDER "/no-socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	record("connect %s %d", address.sun_path,
	       connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0);
	close(fd);
}

static void use_sockets(int connections)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct server server = {.fd = socket(AF_INET, SOCK_STREAM, 0), .connections = connections};
	socklen_t size = sizeof(address);
	pthread_t thread;

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(server.fd, 5) || getsockname(server.fd, (struct sockaddr *)&address, &size))
		die("listen");
	server.port = ntohs(address.sin_port);
	if (pthread_create(&thread, NULL, serve, &server))
		die("pthread_create");
	for (int i = 0; i < connections; i++) {
		usleep(20000);
		try_connect(server.port);
	}
	pthread_join(thread, NULL);
	close(server.fd);
	/* Nobody listens there any more. */
	try_connect(server.port);
	try_unix_connect();
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;

	if (argc == 3) {
		record("exec /bin/tracee tracee_status_%s", argv[2]);
		return atoi(argv[2]);
	}
	if (mkdir(FOLDER, 0700))
		die("mkdir");
	bring_up_loopback();
	for (int i = 0; i < rounds; i++) {
		use_files(i, 0);
		execute(i % 256);
		be_killed(i % 2 ? SIGKILL : SIGTERM);
		use_threads(i);
	}
	use_sockets(rounds < 10 ? rounds : 10);
	if (rmdir(FOLDER))
		die("rmdir");
	record("done - 0");
	return 0;
}
