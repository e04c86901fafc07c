/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two processes. The child asks for a line by a byte; the answer is a byte, and the line with a
 * newline behind it. More the first process takes from the child not: it may be taken over by a
 * guest.
 */
#include "edit/edit.h"

#include "core/clock.h"
#include "core/io.h"
#include "edit/line.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long the child may take to end after a signal: what it has paused goes on first. */
#define END_US ((uint64_t)5000000)
/* How often it is looked whether a signal has come while the child ends. */
#define LOOK_US ((uint64_t)100000)

enum { ASK_FIRST = 'f', ASK_MORE = 'm' };
enum { ANSWER_LINE = 'l', ANSWER_INTERRUPTED = 'i' };

/* ---- In the child ---------------------------------------------------------------------------- */

enum edit_answer edit_ask(bool more, char *line, bool (*ended)(void *data), void *data)
{
	const char ask = more ? ASK_MORE : ASK_FIRST;
	size_t size = 0;
	char kind;

	if (io_write_quietly(STDIN_FILENO, &ask, 1))
		return EDIT_END;
	for (;;) {
		char *to = size ? &line[size - 1] : &kind;
		ssize_t got = read(STDIN_FILENO, to, 1);

		if (got < 0 && errno == EINTR && !ended(data))
			continue;
		if (got <= 0 || size == EDIT_MOST_LINE)
			return EDIT_END;
		if (*to == '\n')
			break;
		size++;
	}
	if (size)
		line[size - 1] = '\0';
	return size && kind == ANSWER_LINE ? EDIT_LINE : EDIT_INTERRUPTED;
}

/* ---- In the first process -------------------------------------------------------------------- */

struct parent {
	struct editor *editor;
	pid_t child;
	int fd, signals;
	uint64_t deadline; /* when the child is killed */
	bool ended;        /* the child was told that no line comes any more */
};

/*
 * Hands on a signal that ends this program. The child knows what to do before it ends for some
 * alone. One that does not end, as it does not answer any more, is killed in the end.
 */
static void end_child(struct parent *parent, int number)
{
	kill(parent->child, number == SIGHUP ? SIGHUP : SIGTERM);
	if (parent->deadline == CLOCK_NEVER)
		parent->deadline = clock_us() + END_US;
}

/* Takes a signal that came while no line is edited; kills the child whose time is over. */
static void look_after_child(struct parent *parent)
{
	struct signalfd_siginfo info;

	while (read(parent->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCONT && info.ssi_signo != SIGWINCH)
			end_child(parent, (int)info.ssi_signo);
	}
	if (clock_us() >= parent->deadline)
		kill(parent->child, SIGKILL);
}

/*
 * The child asks for a line: true, and which. False: it has ended, or said what it never says, and
 * is killed.
 */
static bool wait_for_child(struct parent *parent, bool *ret_more)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = parent->fd, .events = POLLIN},
				       {.fd = parent->signals, .events = POLLIN}};
		int wait = parent->deadline == CLOCK_NEVER ? -1 : (int)(LOOK_US / 1000);
		int ready = poll(fds, ARRAY_SIZE(fds), wait);
		char ask;

		look_after_child(parent);
		if (ready <= 0 || !fds[0].revents)
			continue;
		if (read(parent->fd, &ask, 1) != 1)
			return false;
		*ret_more = ask == ASK_MORE;
		if (ask == ASK_FIRST || ask == ASK_MORE)
			return true;
		kill(parent->child, SIGKILL);
	}
}

/* Reads a line and sends it; that there is none any more is told by closing this direction. */
static void answer(struct parent *parent, bool more)
{
	const char *line = "";
	enum edit_answer got = editor_line(parent->editor, more, parent->fd, &line);
	const char kind = got == EDIT_LINE ? ANSWER_LINE : ANSWER_INTERRUPTED;
	int failed = 0;

	if (got != EDIT_END) {
		failed = io_write_quietly(parent->fd, &kind, 1);
		if (!failed)
			failed = io_write_quietly(parent->fd, line, strlen(line));
		if (!failed)
			failed = io_write_quietly(parent->fd, "\n", 1);
	}
	if (editor_signal(parent->editor))
		end_child(parent, editor_signal(parent->editor));
	if (got == EDIT_END || failed) {
		parent->ended = true;
		shutdown(parent->fd, SHUT_WR);
	}
}

/* The child's exit status, or what stands for the signal that ended it. */
static int status_of(struct parent *parent)
{
	int status, got;

	do {
		look_after_child(parent);
		got = io_reap(parent->child, clock_us() + LOOK_US, NULL, &status);
	} while (!got);
	if (got != 1)
		return 1;
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	if (clock_us() >= parent->deadline)
		fprintf(stderr,
			"nunchi: the process that reads the guest did not end and was killed\n");
	/* Not where somebody ended both. */
	else if (!parent->editor || !editor_signal(parent->editor))
		fprintf(stderr,
			"nunchi: the process that reads the guest was ended by signal %d (%s)\n",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	return 128 + WTERMSIG(status);
}

static void ignore(int number)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	sigaction(number, &action, NULL);
}

/* Until the child has ended; the result is its status. */
static int serve(struct parent *parent, const struct edit_options *options,
		 const struct libedit *lib)
{
	bool more = false;
	int status;

	ignore(SIGINT);
	/* The terminal is put right also where a shell has taken it back already. */
	ignore(SIGTTOU);
	parent->editor = editor_create(options, lib, parent->signals);
	if (!parent->editor)
		end_child(parent, SIGTERM);
	while (wait_for_child(parent, &more) && !parent->ended)
		answer(parent, more);
	close(parent->fd);
	status = status_of(parent);
	editor_destroy(parent->editor);
	return status;
}

/* ---- The start ------------------------------------------------------------------------------- */

/* The child gets its lines where its standard input was. */
static void be_child(int fd, pid_t parent, const sigset_t *mask)
{
	dup2(fd, STDIN_FILENO);
	close(fd);
	sigprocmask(SIG_SETMASK, mask, NULL);
	/* If the first process is killed: a guest that is paused is resumed before this one ends.
	 */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		raise(SIGTERM);
}

static struct nunchi_error *start_child(int signals, const sigset_t *mask, struct parent *ret)
{
	pid_t self = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return error_create_errno(errno, "cannot make a pair of sockets");
	ret->child = fork();
	if (ret->child < 0) {
		close(pair[0]);
		close(pair[1]);
		return error_create_errno(errno, "cannot start a process that reads the guest");
	}
	if (!ret->child) {
		close(pair[0]);
		close(signals);
		be_child(pair[1], self, mask);
		return NULL;
	}
	close(pair[1]);
	ret->fd = pair[0];
	return NULL;
}

static bool is_terminal_for_editing(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && (isatty(STDOUT_FILENO) || isatty(STDERR_FILENO)) && term &&
	       *term && strcmp(term, "dumb") != 0;
}

/* What a signal does is done between two lines: no handler runs. Ctrl-C is for the child alone. */
static int take_signals(sigset_t *ret_mask)
{
	static const int taken[] = {SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1,
				    SIGUSR2, SIGALRM, SIGCONT, SIGWINCH};
	sigset_t wanted;

	sigemptyset(&wanted);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&wanted, taken[i]);
	sigprocmask(SIG_BLOCK, &wanted, ret_mask);
	return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct nunchi_error *edit_start(const struct edit_options *options, enum edit_role *ret,
				int *ret_status)
{
	struct parent parent = {.fd = -1, .deadline = CLOCK_NEVER};
	struct libedit lib = {0};
	struct nunchi_error *err;
	sigset_t mask;

	*ret = EDIT_NOBODY;
	if (!is_terminal_for_editing())
		return NULL;
	err = libedit_load(&lib);
	if (err)
		return err;
	parent.signals = take_signals(&mask);
	err = start_child(parent.signals, &mask, &parent);
	if (!err)
		*ret = parent.child ? EDIT_ENDED : EDIT_READER;
	if (*ret == EDIT_ENDED)
		*ret_status = serve(&parent, options, &lib);
	if (*ret != EDIT_READER) {
		close(parent.signals);
		sigprocmask(SIG_SETMASK, &mask, NULL);
	}
	library_unload(&lib.handle);
	return err;
}
