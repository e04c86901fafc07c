/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls without the GIL that Ctrl-C ends. Python's own handler of SIGINT only notes the signal, and
 * the library goes on after a signal; so a handler of ours asks the library to stop, for the time
 * of a call. Signals are Python's main thread's, where alone that is done.
 */
#include "native.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The calls that run in the main thread, the innermost first. */
static struct call *volatile calls;
/* Python's, while there are any. */
static struct sigaction python_action;

static bool is_main_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}

static void on_interrupt(int number)
{
	/* The calls are on the main thread's stack. */
	if (!is_main_thread()) {
		syscall(SYS_tgkill, getpid(), getpid(), number);
		return;
	}
	for (const struct call *call = calls; call; call = call->outer)
		call->cancel(call->what);
	python_action.sa_handler(number);
}

/* Has SIGINT call on_interrupt(), unless it has no handler of Python's that could follow. */
static bool take_signal(void)
{
	struct sigaction own;

	if (sigaction(SIGINT, NULL, &python_action) || python_action.sa_flags & SA_SIGINFO ||
	    python_action.sa_handler == SIG_DFL || python_action.sa_handler == SIG_IGN)
		return false;
	own = python_action;
	own.sa_handler = on_interrupt;
	return !sigaction(SIGINT, &own, NULL);
}

/* A handler that was set during the call stays. */
static void give_signal_back(void)
{
	struct sigaction present;

	if (!sigaction(SIGINT, NULL, &present) && present.sa_handler == on_interrupt)
		sigaction(SIGINT, &python_action, NULL);
}

void call_begin(struct call *call, void (*cancel)(void *what), void *what)
{
	*call = (struct call){.cancel = cancel, .what = what, .outer = calls};
	call->interruptible = is_main_thread() && (calls || take_signal());
	if (call->interruptible)
		calls = call;
	call->thread = PyEval_SaveThread();
}

void call_end(struct call *call)
{
	PyEval_RestoreThread(call->thread);
	if (!call->interruptible)
		return;
	if (!call->outer)
		give_signal_back();
	calls = call->outer;
}

void call_cancel_context(void *context)
{
	nunchi_context_cancel(context);
}
