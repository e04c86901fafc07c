/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/tool.h"
#include "doctor/words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define MESSAGES_MAX 65536
#define OUTPUT_MAX   ROOT_FILE_MAX

/* What the child says when it did not come to run the tool: at which step, and why. */
struct failure {
	enum { FAILED_PREPARE = 1, FAILED_ROOT, FAILED_EXEC } step;
	int errnum;
};

struct pipes {
	int output[2], messages[2], failure[2];
};

/* The variables that a tool's text depends on go along; nothing else does. */
static const char *const kept_variables[] = {"LANG",        "LANGUAGE", "LC_ALL",
					     "LC_MESSAGES", "LC_CTYPE", "LC_COLLATE"};
#define ENVIRONMENT_MAX (ARRAY_SIZE(kept_variables) + 3)

static void close_pair(int *pair)
{
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
}

static void pipes_deinit(struct pipes *pipes)
{
	close_pair(pipes->output);
	close_pair(pipes->messages);
	close_pair(pipes->failure);
}

static bool pipes_open(struct pipes *pipes)
{
	return !pipe2(pipes->output, O_CLOEXEC) && !pipe2(pipes->messages, O_CLOEXEC) &&
	       !pipe2(pipes->failure, O_CLOEXEC);
}

static void environment_free(char **environment)
{
	for (size_t i = 0; environment && environment[i]; i++)
		free(environment[i]);
	free(environment);
}
DEFINE_CLEANUP(char *, environment_free)

static char **environment_make(void)
{
	char **environment = calloc(ENVIRONMENT_MAX, sizeof(*environment));
	size_t count = 0;

	if (!environment)
		return NULL;
	environment[count++] = strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	environment[count++] = strdup("HOME=/");
	for (size_t i = 0; i < ARRAY_SIZE(kept_variables) && environment[count - 1]; i++) {
		const char *value = getenv(kept_variables[i]);

		if (value && asprintf(&environment[count++], "%s=%s", kept_variables[i], value) < 0)
			environment[count - 1] = NULL;
	}
	if (!environment[0] || !environment[count - 1]) {
		environment_free(environment);
		return NULL;
	}
	return environment;
}

/* A file with the input, at its begin; the tool may seek in it. */
static int input_file(const struct tool *tool)
{
	_cleanup_close_ int fd = -1;

	if (!tool->input)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = memfd_create("nunchi", MFD_CLOEXEC);
	for (size_t done = 0; fd >= 0 && done < tool->input_size;) {
		ssize_t one = pwrite(fd, tool->input + done, tool->input_size - done, (off_t)done);

		if (one <= 0)
			return -1;
		done += (size_t)one;
	}
	return no_cleanup_fd(fd);
}

/* ---- The child ------------------------------------------------------------------------------- */

__attribute__((noreturn)) static void child_fail(const struct pipes *pipes, int step, int errnum)
{
	struct failure failure = {.step = step, .errnum = errnum};

	(void)!write(pipes->failure[1], &failure, sizeof(failure));
	_exit(127);
}

/* Searches PATH as execvp() does, which would take ours and not the tool's. */
static void child_exec(const struct tool *tool, char **environment)
{
	static const char *const directories[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		size_t a = strlen(directories[i]), b = strlen(tool->arguments[0]);

		if (a + b + 2 > sizeof(path))
			continue;
		memcpy(path, directories[i], a);
		path[a] = '/';
		memcpy(path + a + 1, tool->arguments[0], b + 1);
		execve(path, (char *const *)tool->arguments, environment);
		if (errno != ENOENT)
			return;
	}
}

__attribute__((noreturn)) static void child(const struct tool *tool, const struct pipes *pipes,
					    int input, char **environment, pid_t parent)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD};
	sigset_t none;
	int errnum;

	for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
		signal(caught[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* A group of its own: a key that interrupts us is ours to pass on. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	errnum = tool->prepare ? tool->prepare(tool->root, tool->prepare_data) : 0;
	if (errnum)
		child_fail(pipes, FAILED_PREPARE, errnum);
	/* By its path: in a mount namespace of our own, the descriptor is still of the other. */
	if (!tool->root->is_system && chroot(tool->root->path))
		child_fail(pipes, FAILED_ROOT, errno);
	if (chdir("/") || dup2(input, 0) < 0 || dup2(pipes->output[1], 1) < 0 ||
	    dup2(pipes->messages[1], 2) < 0)
		child_fail(pipes, FAILED_ROOT, errno);
	umask(022);
	child_exec(tool, environment);
	child_fail(pipes, FAILED_EXEC, errno);
}

/* ---- The parent ------------------------------------------------------------------------------ */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Takes what is there; false once there will be no more. What does not fit is dropped. */
static bool drain(int fd, struct buffer *into)
{
	char bytes[16384];
	ssize_t got = read(fd, bytes, sizeof(bytes));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (got <= 0)
		return false;
	buffer_append(into, bytes, (size_t)got);
	return true;
}

/* Reads both pipes until they end. */
static struct nunchi_error *listen_to(const struct tool *tool, const struct pipes *pipes,
				      struct buffer *output, struct buffer *messages)
{
	struct pollfd fds[2] = {{.fd = pipes->output[0], .events = POLLIN},
				{.fd = pipes->messages[0], .events = POLLIN}};
	struct buffer *into[2] = {output, messages};
	double deadline = now() + tool->seconds;

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (nunchi_context_cancelled(tool->context))
			return error_create(NUNCHI_ERROR_CANCELLED, _("%s was interrupted"),
					    tool->arguments[0]);
		if (now() > deadline)
			return error_create(NUNCHI_ERROR_TIMEOUT, _("%s took longer than %u s"),
					    tool->arguments[0], tool->seconds);
		if (poll(fds, 2, 100) < 0 && errno != EINTR)
			return error_create_errno(errno, "poll");
		for (int i = 0; i < 2; i++)
			if (fds[i].fd >= 0 && fds[i].revents && !drain(fds[i].fd, into[i]))
				fds[i].fd = -1;
	}
	return NULL;
}

static struct nunchi_error *failed(const struct tool *tool, const struct failure *failure)
{
	const char *program = tool->arguments[0];

	if (failure->step == FAILED_EXEC && failure->errnum == ENOENT)
		return error_create(NUNCHI_ERROR_NOT_FOUND, _("there is no %s"), program);
	if (failure->errnum == EPERM || failure->errnum == EACCES)
		return error_hint(error_create_errno(failure->errnum, _("cannot run %s"), program),
				  _("run it as root (sudo); in a container, with CAP_SYS_ADMIN"));
	return error_create_errno(failure->errnum, _("cannot run %s"), program);
}

/* Waits for the child, ended first if something went wrong. */
static struct nunchi_error *reap(const struct tool *tool, const struct pipes *pipes, pid_t pid,
				 struct nunchi_error *err, int *ret_status)
{
	struct failure failure;
	int status;

	if (err) {
		kill(-pid, SIGTERM);
		usleep(100000);
		kill(-pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err ? err : error_create_errno(errno, "waitpid");
	if (err)
		return err;
	if (read(pipes->failure[0], &failure, sizeof(failure)) == sizeof(failure))
		return failed(tool, &failure);
	if (!WIFEXITED(status))
		return error_create(NUNCHI_ERROR_IO, _("%s was ended by signal %d"),
				    tool->arguments[0], WTERMSIG(status));
	*ret_status = WEXITSTATUS(status);
	return NULL;
}

static void close_end(int *fd)
{
	close(*fd);
	*fd = -1;
}

struct nunchi_error *tool_run(const struct tool *tool, struct buffer *ret,
			      struct buffer *ret_messages, int *ret_status)
{
	_cleanup_(pipes_deinit) struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}};
	_cleanup_(cleanup_environment_free_p) char **environment = environment_make();
	_cleanup_close_ int input = input_file(tool);
	struct nunchi_error *err;
	pid_t parent = getpid(), pid;

	if (!environment)
		return &error_nomem;
	if (input < 0 || !pipes_open(&pipes))
		return error_create_errno(errno, _("cannot start %s"), tool->arguments[0]);
	buffer_deinit(ret);
	buffer_init(ret, OUTPUT_MAX);
	buffer_deinit(ret_messages);
	buffer_init(ret_messages, MESSAGES_MAX);
	pid = fork();
	if (pid < 0)
		return error_create_errno(errno, _("cannot start %s"), tool->arguments[0]);
	if (!pid)
		child(tool, &pipes, input, environment, parent);
	setpgid(pid, pid);
	close_end(&pipes.output[1]);
	close_end(&pipes.messages[1]);
	close_end(&pipes.failure[1]);
	err = reap(tool, &pipes, pid, listen_to(tool, &pipes, ret, ret_messages), ret_status);
	if (!err && ret->failed)
		err = error_create(NUNCHI_ERROR_DATA, _("%s printed more than %zu MiB"),
				   tool->arguments[0], OUTPUT_MAX >> 20);
	return err;
}
