/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/command.h"

#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define MOST_WORDS 15

/* The system's own folders; /usr/local is where a Xen that was built by hand has its tools. */
#define FOLDERS "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"

struct child {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
};

/* Tries the folders (absolute ones, between colons) until one has the program. */
static int start_from(const char *folders, const struct child *child, char **words, pid_t *ret)
{
	char path_variable[] = "PATH=" FOLDERS, locale[] = "LC_ALL=C.UTF-8";
	char *const environment[] = {path_variable, locale, NULL};
	char path[512];
	int result = ENOENT;

	while (*folders && result == ENOENT) {
		int length = (int)strcspn(folders, ":");
		int size = snprintf(path, sizeof(path), "%.*s/%s", length, folders, words[0]);

		folders += length + (folders[length] == ':');
		if (path[0] != '/' || size >= (int)sizeof(path))
			continue;
		/*
		 * Asked first: where a child does not share our memory (valgrind's does not),
		 * posix_spawn() cannot say that there is no such program.
		 */
		result = access(path, X_OK) ? errno
					    : posix_spawn(ret, path, &child->actions,
							  &child->attributes, words, environment);
		if (result == ENOTDIR)
			result = ENOENT;
	}
	return result;
}

static int start(char **words, int output, pid_t *ret)
{
	const char *path = getenv("PATH");
	struct child child;
	sigset_t none;
	int result;

	posix_spawn_file_actions_init(&child.actions);
	posix_spawn_file_actions_addopen(&child.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&child.actions, output, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&child.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_init(&child.attributes);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&child.attributes, &none);
	/* A group of its own, so that what it starts in turn ends with it. */
	posix_spawnattr_setflags(&child.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	result = start_from(FOLDERS, &child, words, ret);
	if (result == ENOENT && path)
		result = start_from(path, &child, words, ret);
	posix_spawnattr_destroy(&child.attributes);
	posix_spawn_file_actions_destroy(&child.actions);
	return result;
}

static int milliseconds_left(const struct timespec *end)
{
	struct timespec now;
	long long left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = (end->tv_sec - now.tv_sec) * 1000LL + (end->tv_nsec - now.tv_nsec) / 1000000;
	return left > 0 ? (int)left : 0;
}

/* Takes what comes until the end, the limit or the time. */
static int take(int input, unsigned seconds, struct buffer *ret)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	for (;;) {
		struct pollfd wait = {.fd = input, .events = POLLIN};
		char piece[16384];
		ssize_t size;
		int left = milliseconds_left(&end);

		if (!left)
			return ETIMEDOUT;
		if (poll(&wait, 1, left) <= 0)
			continue;
		size = read(input, piece, sizeof(piece));
		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return size < 0 ? errno : 0;
		if (!buffer_append(ret, piece, (size_t)size))
			return 0;
	}
}

int command_run(const char *line, unsigned seconds, struct buffer *ret)
{
	_cleanup_free_ char *copy = strdup(line);
	char *words[MOST_WORDS + 1], *rest = copy;
	size_t count = 0, before = ret->size;
	int pipes[2], result, status;
	pid_t pid;

	if (!copy)
		return ENOMEM;
	while (rest && count < MOST_WORDS)
		words[count++] = strsep(&rest, " ");
	words[count] = NULL;
	if (pipe2(pipes, O_CLOEXEC))
		return errno;
	result = start(words, pipes[1], &pid);
	close(pipes[1]);
	if (!result) {
		result = take(pipes[0], seconds, ret);
		close(pipes[0]);
		/* It may have closed its output and stayed; a group that is gone is none. */
		kill(-pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (!result && ret->size == before && WIFEXITED(status) && WEXITSTATUS(status))
			result = EIO;
		return result;
	}
	close(pipes[0]);
	return result;
}
