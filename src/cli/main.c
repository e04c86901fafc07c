/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What the handler of signals needs. */
static struct nunchi_context *volatile running_context;
static volatile sig_atomic_t signal_number;
/* What Ctrl-C calls in place of all that; NULL: nothing. */
static void (*volatile interrupt_call)(void *data);
static void *volatile interrupt_data;
static volatile sig_atomic_t interrupt_pending; /* it was called, and nobody asked for it since */

/*
 * The first signal cancels what runs, so that a paused guest is resumed before we end; a second one
 * ends us at once, and the guard process resumes the guest.
 */
static void on_signal(int number)
{
	int saved_errno = errno;

	if (number == SIGINT && interrupt_call && !signal_number && !interrupt_pending) {
		interrupt_pending = 1;
		interrupt_call(interrupt_data);
		errno = saved_errno;
		return;
	}
	if (signal_number || interrupt_pending)
		_exit(128 + number);
	signal_number = number;
	if (running_context)
		nunchi_context_cancel(running_context);
	errno = saved_errno;
}

void cli_on_interrupt(void (*call)(void *data), void *data)
{
	interrupt_call = NULL;
	interrupt_data = data;
	interrupt_pending = 0;
	interrupt_call = call;
}

bool cli_interrupt_called(void)
{
	return interrupt_pending != 0;
}

bool cli_interrupted(void)
{
	return signal_number != 0;
}

static void catch_signals(void)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction old;

	/*
	 * With SIGPIPE and SIGXFSZ ignored write() fails, so that a paused guest is still resumed,
	 * and a file that is not complete is removed.
	 */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
		if (!sigaction(caught[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(caught[i], &action, NULL);
}

/*
 * Opens what is closed of standard input, output and error, so that no other file gets their
 * numbers; in the wrong direction, so that using them still fails.
 */
static void occupy_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

static void look_at_terminal(struct cli *cli)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return;
	cli->color = !(no_color && *no_color) && term && strcmp(term, "dumb");
	cli->width = 80;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		cli->width = size.ws_col;
}

int cli_open_context(struct cli *cli)
{
	int status = cli_fail(cli, nunchi_context_create(0, &cli->context));

	if (status)
		return status;
	running_context = cli->context;
	return signal_number ? CLI_FAILED : CLI_DONE;
}

void cli_close_context(struct cli *cli)
{
	running_context = NULL;
	nunchi_context_destroy(cli->context);
	cli->context = NULL;
}

static int run_command(struct cli *cli, void *state, int argc, char **argv)
{
	const struct command *command = cli->command;
	char **arguments;
	int count, status;

	status = options_after(cli, state, argc, argv, &arguments, &count);
	if (status)
		return status;
	if (cli->help) {
		options_help(cli, command);
		return CLI_DONE;
	}
	if (count < command->least || count > command->most)
		return cli_misuse(cli, NULL, "takes %s, but %d argument%s given",
				  command->arguments[0] ? command->arguments : "no argument", count,
				  count == 1 ? " was" : "s were");
	status = cli_open_context(cli);
	if (status)
		return status;
	return command->run(cli, state, arguments, count);
}

static int no_such_command(struct cli *cli, const char *word)
{
	char near[128];

	/* A view given as a command: name the command that shows it. */
	if (!nunchi_view_find(word))
		return cli_misuse(cli, command_suggest(word), "there is no command \"%s\"", word);
	snprintf(near, sizeof(near), "show TARGET %s", word);
	return cli_misuse(cli, near, "\"%s\" is a view, not a command", word);
}

static int run(struct cli *cli, int argc, char **argv)
{
	int index, status;

	status = options_before(cli, argc, argv, &index);
	if (status)
		return status;
	if (cli->version)
		return command_version.run(cli, NULL, NULL, 0);
	if (index == argc) {
		if (cli->help)
			return command_help.run(cli, NULL, NULL, 0);
		return cli_misuse(cli, NULL, "no command given");
	}
	cli->command = command_find(argv[index]);
	if (!cli->command)
		return no_such_command(cli, argv[index]);
	cli->state = calloc(1, cli->command->state_size + 1);
	if (!cli->state)
		return cli_fail_with(cli, "out of memory");
	return run_command(cli, cli->state, argc - index, argv + index);
}

/* After the guest is closed, which may still use the state. */
static void free_state(struct cli *cli)
{
	if (cli->state && cli->command->clean)
		cli->command->clean(cli->state);
	free(cli->state);
}

static void print_timing(const struct cli *cli)
{
	struct nunchi_timing timing = {.size = sizeof(timing)};

	nunchi_guest_timing(cli->guest, &timing);
	fprintf(stderr,
		"{\"attach_ms\":%.3f,\"query_ms\":%.3f,\"bytes_read\":%" PRIu64
		",\"pages_touched\":%" PRIu64 ",\"paused_us\":%" PRIu64 ",\"private_kb\":%" PRIu64
		"}\n",
		timing.attach_ms, timing.query_ms, timing.bytes_read, timing.pages_touched,
		timing.paused_us, timing.private_kb);
}

bool cli_target_is_live(const char *word)
{
	const struct nunchi_target_form *form;

	for (size_t n = 0; (form = nunchi_target_form(n)); n++) {
		if (form->live && !strncmp(word, form->word, strcspn(form->word, ":") + 1))
			return true;
	}
	return false;
}

/* After the guest is closed; target is NULL if none was named. */
static void print_interrupted(const char *target)
{
	char *shown;

	if (!target || !cli_target_is_live(target))
		return;
	shown = cli_escape(target, strlen(target));
	fprintf(stderr, "nunchi: interrupted; the guest %s runs on, unless it was paused before\n",
		shown);
	free(shown);
}

/* Writes what is buffered; the command has failed if that fails. */
static int finish_output(struct cli *cli, int status)
{
	/* After a signal we do not wait for a reader of standard output. */
	if (signal_number && !cli->until_signal)
		return status;
	cli_flush(cli);
	if (close(STDOUT_FILENO) && errno != EINTR && !cli->write_errno)
		cli->write_errno = errno;
	if (cli->write_errno == EPIPE)
		return CLI_DONE;
	if (cli->write_errno) {
		cli->target = NULL;
		return cli_fail_with(cli, "cannot write to standard output: %s",
				     strerror(cli->write_errno));
	}
	return status;
}

int main(int argc, char **argv)
{
	/* Static, since its output buffer is large, and pages that are not used cost nothing. */
	static struct cli cli;
	int status;

	cli.guest_options.size = sizeof(cli.guest_options);
	cli.guest_options.until_exit = true;
	cli.guest_options.confine = true;
	occupy_standard_descriptors();
	language_choose();
	catch_signals();
	look_at_terminal(&cli);
	status = run(&cli, argc, argv);
	status = finish_output(&cli, status);
	if (cli.guest && cli.timing)
		print_timing(&cli);
	nunchi_guest_close(cli.guest);
	free_state(&cli);
	cli_close_context(&cli);
	if (signal_number && !cli.until_signal) {
		print_interrupted(cli.target);
		_exit(128 + signal_number);
	}
	return status;
}
