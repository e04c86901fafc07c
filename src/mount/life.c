/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounting, the two processes, unmounting. */
#include "core/clock.h"
#include "core/error.h"
#include "core/io.h"
#include "mount/point.h"
#include "mount/served.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* A child that does not end in this time once all is unmounted is killed. */
#define END_US 1000000

/* What libfuse said last: it prints its errors, and gives no text. */
static char last_words[256];

__attribute__((format(printf, 2, 0))) static void
listen_to_libfuse(enum fuse_log_level level, const char *format, va_list arguments)
{
	(void)level;
	vsnprintf(last_words, sizeof(last_words), format, arguments);
	last_words[strcspn(last_words, "\n")] = '\0';
}

struct mounted {
	const struct mount_options *options;
	struct libfuse library;
	struct served served;
	struct fuse *fuse;
	pid_t parent;
};

static struct nunchi_error *libfuse_error(const char *directory)
{
	return error_hint(error_create(NUNCHI_ERROR_IO, "cannot mount on %s%s%s", directory,
				       last_words[0] ? ": " : "", last_words),
			  "this needs the device /dev/fuse, and of others than root the program "
			  "fusermount3 (package fuse3)");
}

static struct nunchi_error *mount_there(struct mounted *mounted)
{
	static const char *const words[] = {"nunchi", "-o",
					    "ro,nosuid,nodev,noexec,default_permissions,"
					    "fsname=" POINT_SOURCE ",subtype=nunchi",
					    NULL};
	struct fuse_args arguments = FUSE_ARGS_INIT(3, (char **)(uintptr_t)words);
	const struct libfuse *library = &mounted->library;
	struct served *served = &mounted->served;

	served->options = mounted->options;
	/* Asked for now: the confined process may not. */
	served->uid = geteuid();
	served->gid = getegid();
	served->time = time(NULL);
	library->fuse_set_log_func(listen_to_libfuse);
	mounted->fuse = library->fuse_new(&arguments, serve_begin(served),
					  sizeof(struct fuse_operations), served);
	library->fuse_opt_free_args(&arguments);
	if (!mounted->fuse)
		return libfuse_error(mounted->options->directory);
	if (!library->fuse_mount(mounted->fuse, mounted->options->directory))
		return NULL;
	library->fuse_destroy(mounted->fuse);
	return libfuse_error(mounted->options->directory);
}

/* ---- The child ------------------------------------------------------------------------------- */

/* Keys of the terminal are for the first process, and without that one this ends too. */
static bool be_child(pid_t parent)
{
	static const int ignored[] = {SIGINT, SIGHUP, SIGTSTP};
	struct sigaction action = {.sa_handler = SIG_IGN};

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		sigaction(ignored[i], &action, NULL);
	return !prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent;
}

static int serve(struct mounted *mounted)
{
	const struct mount_options *options = mounted->options;
	struct served *served = &mounted->served;
	const struct nunchi_session_options session = {.size = sizeof(session)};
	struct nunchi_error *err;
	int status = 1, result;

	if (be_child(mounted->parent))
		status = options->open(options->data, &served->guest);
	if (status)
		return status;
	err = options->live ? nunchi_guest_attach(served->guest)
			    : nunchi_session_open(served->guest, &session, &served->session);
	if (err) {
		served_warn(served, options->directory, nunchi_error_message(err));
		nunchi_error_destroy(err);
		return 1;
	}
	options->ready(options->data);
	result =
	    mounted->library.fuse_session_loop(mounted->library.fuse_get_session(mounted->fuse));
	served_content_deinit(served);
	guest_directories_deinit(served);
	nunchi_error_destroy(nunchi_session_close(served->session));
	return result < 0 && result != -ENODEV;
}

/* ---- The first process ----------------------------------------------------------------------- */

/* A child that exits has said why itself. */
static struct nunchi_error *child_error(int status, int *ret_status)
{
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	if (!WIFSIGNALED(status))
		return NULL;
	return error_create(NUNCHI_ERROR_IO,
			    "the process that reads the guest was ended by signal %d (%s)",
			    WTERMSIG(status), strsignal(WTERMSIG(status)));
}

/* Waits until the child ends or a signal comes; unmounts. Gives the exit status. */
static struct nunchi_error *stay(struct mounted *mounted, pid_t child, int fd, int *ret_status)
{
	const struct mount_options *options = mounted->options;
	bool asked = !options->wait(fd, POLLIN);
	int status = 0;

	if (!asked)
		io_reap(child, CLOCK_NEVER, NULL, &status);
	/* If it was unmounted by somebody else, libfuse finds that out. */
	mounted->library.fuse_unmount(mounted->fuse);
	if (!asked)
		return child_error(status, ret_status);
	*ret_status = 0;
	/* It ends by itself, unless it waits for the guest, or somebody still uses a file. */
	if (io_reap(child, clock_us() + END_US, NULL, &status))
		return NULL;
	kill(child, SIGTERM);
	if (io_reap(child, clock_us() + END_US, NULL, &status))
		return NULL;
	kill(child, SIGKILL);
	io_reap(child, CLOCK_NEVER, NULL, &status);
	return NULL;
}

struct nunchi_error *mount_run(const struct mount_options *options, enum mount_end *ret,
			       int *ret_status)
{
	/* Static: the child uses it until the process ends. */
	static struct mounted mounted;
	struct nunchi_error *err;
	bool taken = false;
	int pipes[2];
	pid_t child;

	mounted.options = options;
	mounted.parent = getpid();
	err = libfuse_load(&mounted.library);
	if (!err)
		err = point_prepare(options->directory, &taken);
	if (taken)
		options->taken_away(options->data);
	if (err)
		return err;
	if (pipe2(pipes, O_CLOEXEC))
		return error_create_errno(errno, "cannot make a pipe");
	err = mount_there(&mounted);
	if (err) {
		close(pipes[0]);
		close(pipes[1]);
		return err;
	}
	child = fork();
	if (!child) {
		/* It keeps its end of the pipe until it ends. */
		close(pipes[0]);
		*ret = MOUNT_CHILD;
		*ret_status = serve(&mounted);
		return NULL;
	}
	close(pipes[1]);
	if (child < 0) {
		err = error_create_errno(errno, "cannot start a process that reads the guest");
		mounted.library.fuse_unmount(mounted.fuse);
	} else {
		*ret = MOUNT_ENDED;
		err = stay(&mounted, child, pipes[0], ret_status);
	}
	mounted.library.fuse_destroy(mounted.fuse);
	close(pipes[0]);
	return err;
}
