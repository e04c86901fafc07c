/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/run.h"

#include "core/clock.h"
#include "core/io.h"
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

#define MESSAGES_MAX 65536
#define OUTPUT_MAX   ROOT_FILE_MAX
#define WORDS_MAX    15
/* How long a program that closed its output may take to end. */
#define GRACE_US (2 * CLOCK_US_PER_S)

/* The system's own folders; /usr/local is where a Xen that was built by hand has its tools. */
#define FOLDERS "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"

/* One message of the report pipe: the step that failed before the program ran, or its status. */
struct report {
	enum { REPORT_STATUS, REPORT_PREPARE, REPORT_ROOT, REPORT_EXEC } kind;
	int value; /* as waitpid() gives it, or an errno */
};

struct pipes {
	int output[2], messages[2], report[2];
};

/* All that the child needs; made before the fork. */
struct job {
	const char *const *arguments;
	const struct root *root; /* NULL: where we are */
	const char *more;        /* folders to search after the system's; NULL: none */
	tool_prepare *prepare;
	const void *prepare_data;
	char **environment;
	int input;
	struct pipes pipes;
	pid_t pid; /* of the supervisor, and of the process group of all */
};

/* The variables that a tool's text depends on are passed on; nothing else is. */
static const char *const kept_variables[] = {"LANG",        "LANGUAGE", "LC_ALL",
					     "LC_MESSAGES", "LC_CTYPE", "LC_COLLATE"};
#define ENVIRONMENT_MAX (ARRAY_SIZE(kept_variables) + 3)

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void environment_free(char **environment)
{
	for (size_t i = 0; environment && environment[i]; i++)
		free(environment[i]);
	free(environment);
}

static void job_deinit(struct job *job)
{
	for (int i = 0; i < 2; i++) {
		close_end(&job->pipes.output[i]);
		close_end(&job->pipes.messages[i]);
		close_end(&job->pipes.report[i]);
	}
	close_end(&job->input);
	environment_free(job->environment);
}

/* translated: in the user's language; else in English. */
static char **environment_make(bool translated)
{
	char **environment = calloc(ENVIRONMENT_MAX, sizeof(*environment));
	size_t count = 0;

	if (!environment)
		return NULL;
	environment[count++] = strdup("PATH=" FOLDERS);
	environment[count++] = strdup(translated ? "HOME=/" : "LC_ALL=C.UTF-8");
	for (size_t i = 0; translated && i < ARRAY_SIZE(kept_variables) && environment[count - 1];
	     i++) {
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

/* A file in memory with the input, at its start; the program may seek in it. */
static int input_file(const char *input, size_t size)
{
	_cleanup_close_ int fd = -1;

	if (!input)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = memfd_create("nunchi", MFD_CLOEXEC);
	if (fd < 0 || io_write_full(fd, input, size) || lseek(fd, 0, SEEK_SET))
		return -1;
	return no_cleanup_fd(fd);
}

/* 0 or an errno. */
static int job_init(struct job *job, const char *input, size_t size, bool translated)
{
	job->pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
	job->input = -1;
	job->environment = environment_make(translated);
	if (!job->environment)
		return ENOMEM;
	job->input = input_file(input, size);
	if (job->input < 0 || pipe2(job->pipes.output, O_CLOEXEC) ||
	    pipe2(job->pipes.messages, O_CLOEXEC) || pipe2(job->pipes.report, O_CLOEXEC))
		return errno;
	return 0;
}

/* ---- The children: async-signal-safe calls only ---- */

static void report(const struct job *job, int kind, int value)
{
	struct report message = {.kind = kind, .value = value};

	(void)!write(job->pipes.report[1], &message, sizeof(message));
}

__attribute__((noreturn)) static void fail(const struct job *job, int kind, int errnum)
{
	report(job, kind, errnum);
	_exit(127);
}

/* Tries each absolute folder of a list like PATH; returns with errno if none has the program. */
static void exec_from(const struct job *job, const char *folders)
{
	size_t name = strlen(job->arguments[0]);
	char path[512];

	errno = ENOENT;
	while (*folders && (errno == ENOENT || errno == ENOTDIR)) {
		size_t length = strcspn(folders, ":");

		if (*folders == '/' && length + name + 2 <= sizeof(path)) {
			memcpy(path, folders, length);
			path[length] = '/';
			memcpy(path + length + 1, job->arguments[0], name + 1);
			execve(path, (char *const *)job->arguments, job->environment);
		}
		folders += length + (folders[length] == ':');
	}
	if (errno == ENOTDIR)
		errno = ENOENT;
}

__attribute__((noreturn)) static void program(const struct job *job)
{
	int errnum = job->prepare ? job->prepare(job->root, job->prepare_data) : 0;

	if (errnum)
		fail(job, REPORT_PREPARE, errnum);
	/* By its path: in a mount namespace of our own, the descriptor is still of the other. */
	if (job->root && !job->root->is_system && chroot(job->root->path))
		fail(job, REPORT_ROOT, errno);
	if (chdir("/") || dup2(job->input, 0) < 0 || dup2(job->pipes.output[1], 1) < 0 ||
	    dup2(job->pipes.messages[1], 2) < 0)
		fail(job, REPORT_ROOT, errno);
	umask(022);
	exec_from(job, FOLDERS);
	if (errno == ENOENT && job->more)
		exec_from(job, job->more);
	fail(job, REPORT_EXEC, errno);
}

/* Has the kernel end this process when `parent` ends. */
static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
}

__attribute__((noreturn)) static void supervise(struct job *job, pid_t parent)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ, SIGCHLD};
	pid_t self = getpid(), pid;
	sigset_t none;
	int status = 0;

	for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
		signal(caught[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* A process group of its own: Ctrl-C then reaches nunchi alone, which ends the program
	 * itself. */
	setpgid(0, 0);
	die_with(parent);
	pid = _Fork();
	if (pid < 0)
		fail(job, REPORT_ROOT, errno);
	if (!pid) {
		die_with(self);
		program(job);
	}
	close_end(&job->pipes.output[1]);
	close_end(&job->pipes.messages[1]);
	/* The dispositions are the default ones: no handler can interrupt this. */
	if (waitpid(pid, &status, 0) == pid)
		report(job, REPORT_STATUS, status);
	_exit(0);
}

/* ---- The parent ---- */

/* 0 or an errno. */
static int job_start(struct job *job)
{
	pid_t parent = getpid();

	job->pid = fork();
	if (job->pid < 0)
		return errno;
	if (!job->pid)
		supervise(job, parent);
	setpgid(job->pid, job->pid);
	close_end(&job->pipes.output[1]);
	close_end(&job->pipes.messages[1]);
	close_end(&job->pipes.report[1]);
	return 0;
}

/* Takes what is there; false once there will be no more, or no room for it. */
static bool drain(int fd, struct buffer *into)
{
	char bytes[16384];
	ssize_t got = read(fd, bytes, sizeof(bytes));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	return got > 0 && buffer_append(into, bytes, (size_t)got);
}

/* Reads both pipes until they end: 0, ETIMEDOUT, ECANCELED, ENOMEM, or EFBIG when `output` is full.
 */
static int job_listen(const struct job *job, unsigned seconds, const struct nunchi_context *context,
		      struct buffer *output, struct buffer *messages)
{
	struct pollfd fds[2] = {{.fd = job->pipes.output[0], .events = POLLIN},
				{.fd = job->pipes.messages[0], .events = POLLIN}};
	uint64_t deadline = clock_us() + seconds * CLOCK_US_PER_S;

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (nunchi_context_cancelled(context))
			return ECANCELED;
		if (clock_us() > deadline)
			return ETIMEDOUT;
		/* Interrupted or not, the loop asks again what has happened. */
		if (poll(fds, 2, IO_CANCEL_MS) <= 0)
			continue;
		if (fds[0].revents && !drain(fds[0].fd, output)) {
			if (output->failed)
				return output->no_memory ? ENOMEM : EFBIG;
			fds[0].fd = -1;
		}
		/* The program goes on if it says more than is kept. */
		if (fds[1].revents && !drain(fds[1].fd, messages)) {
			if (!messages->failed)
				fds[1].fd = -1;
		}
	}
	return 0;
}

/* The first message of the report, which comes when the program has ended. */
static bool job_report(const struct job *job, struct report *ret)
{
	return io_wait(job->pipes.report[0], POLLIN, clock_us() + GRACE_US, NULL) == 1 &&
	       io_read_full(job->pipes.report[0], ret, sizeof(*ret)) == sizeof(*ret);
}

/* Ends whatever still runs. */
static void job_end(const struct job *job, bool ask)
{
	int status;

	if (ask) {
		kill(-job->pid, SIGTERM);
		io_sleep_until(clock_us() + 100 * CLOCK_US_PER_MS, NULL);
	}
	kill(-job->pid, SIGKILL);
	io_reap(job->pid, clock_us() + GRACE_US, NULL, &status);
}

/* ---- Tools ---- */

static struct nunchi_error *not_listened(const struct tool *tool, int errnum)
{
	switch (errnum) {
	case ECANCELED:
		return error_create(NUNCHI_ERROR_CANCELLED, _("%s was interrupted"),
				    tool->arguments[0]);
	case ETIMEDOUT:
		return error_create(NUNCHI_ERROR_TIMEOUT, _("%s took longer than %u s"),
				    tool->arguments[0], tool->seconds);
	case ENOMEM:
		return &error_nomem;
	default:
		return error_create(NUNCHI_ERROR_DATA, _("%s printed more than %zu MiB"),
				    tool->arguments[0], OUTPUT_MAX >> 20);
	}
}

static struct nunchi_error *not_run(const char *tool, const struct report *report)
{
	if (report->kind == REPORT_EXEC && report->value == ENOENT)
		return error_create(NUNCHI_ERROR_NOT_FOUND, _("there is no %s"), tool);
	if (report->value == EPERM || report->value == EACCES)
		return error_hint(error_create_errno(report->value, _("cannot run %s"), tool),
				  _("run it as root (sudo); in a container, with CAP_SYS_ADMIN"));
	return error_create_errno(report->value, _("cannot run %s"), tool);
}

static struct nunchi_error *judge_report(const char *tool, bool reported,
					 const struct report *report, int *ret_status)
{
	if (!reported)
		return error_create(NUNCHI_ERROR_IO, _("%s closed its output and did not end"),
				    tool);
	if (report->kind != REPORT_STATUS)
		return not_run(tool, report);
	if (!WIFEXITED(report->value))
		return error_create(NUNCHI_ERROR_IO, _("%s was ended by signal %d"), tool,
				    WTERMSIG(report->value));
	*ret_status = WEXITSTATUS(report->value);
	return NULL;
}

struct nunchi_error *tool_run(const struct tool *tool, struct buffer *ret,
			      struct buffer *ret_messages, int *ret_status)
{
	_cleanup_(job_deinit) struct job job = {
	    .arguments = tool->arguments,
	    .root = tool->root,
	    .prepare = tool->prepare,
	    .prepare_data = tool->prepare_data,
	};
	int errnum = job_init(&job, tool->input, tool->input_size, true);
	struct report report;
	bool reported = false;

	buffer_deinit(ret);
	buffer_init(ret, OUTPUT_MAX);
	buffer_deinit(ret_messages);
	buffer_init(ret_messages, MESSAGES_MAX);
	if (!errnum)
		errnum = job_start(&job);
	if (errnum)
		return error_create_errno(errnum, _("cannot start %s"), tool->arguments[0]);
	errnum = job_listen(&job, tool->seconds, tool->context, ret, ret_messages);
	if (!errnum)
		reported = job_report(&job, &report);
	job_end(&job, errnum);
	return errnum ? not_listened(tool, errnum)
		      : judge_report(tool->arguments[0], reported, &report, ret_status);
}

/* ---- Commands ---- */

int command_run(const char *line, unsigned seconds, const struct nunchi_context *context,
		struct buffer *ret)
{
	_cleanup_free_ char *copy = strdup(line);
	const char *words[WORDS_MAX + 1];
	/* Whoever may set the variables of a process of root may not choose what root runs. */
	_cleanup_(job_deinit) struct job job = {
	    .arguments = words,
	    .more = geteuid() ? getenv("PATH") : NULL,
	};
	_cleanup_buffer_ struct buffer messages;
	size_t count = 0, before = ret->size;
	int errnum = job_init(&job, NULL, 0, false);
	struct report report;
	bool reported = false;
	char *rest = copy;

	buffer_init(&messages, MESSAGES_MAX);
	while (rest && count < WORDS_MAX)
		words[count++] = strsep(&rest, " ");
	words[count] = NULL;
	if (!copy)
		errnum = ENOMEM;
	if (!errnum)
		errnum = job_start(&job);
	if (errnum)
		return errnum;
	errnum = job_listen(&job, seconds, context, ret, &messages);
	if (!errnum)
		reported = job_report(&job, &report);
	job_end(&job, false);
	if (errnum == EFBIG)
		return 0;
	if (errnum || !reported)
		return errnum;
	if (report.kind != REPORT_STATUS)
		return report.value;
	return ret->size == before && report.value ? EIO : 0;
}
