/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <nunchi/gdb.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct cli_option gdb_options[] = {
    {"pid", OPTION_PID, "N",
     "show process N: its memory, its threads and, of those, the registers with which they "
     "entered the kernel"},
    {"listen", OPTION_LISTEN, "unix:PATH|127.0.0.1:PORT",
     "wait for gdb at a socket that only you may use, or at a port that everybody on this host "
     "may use, one connection after another; Ctrl-C ends"},
    {"stdio", OPTION_STDIO, NULL,
     "speak the protocol on standard input and output (the default), for gdb's \"target remote "
     "|\""},
};

struct gdb {
	uint64_t pid;       /* 0: the kernel */
	const char *listen; /* NULL: standard input and output */
	bool stdio;
	struct listener listener;
	bool opened; /* the guest, whose end removes the socket */
	struct nunchi_gdb_options options;
};

static int gdb_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct gdb *gdb = state;

	if (letter == OPTION_PID &&
	    (!parse_number(value, &gdb->pid) || !gdb->pid || gdb->pid > INT32_MAX))
		return cli_misuse(cli, NULL, "--pid takes a process id, not \"%s\"", value);
	if (letter == OPTION_LISTEN)
		gdb->listen = value;
	gdb->stdio |= letter == OPTION_STDIO;
	return CLI_DONE;
}

/* nunchi_guest_options.finish: the socket goes, however we end. */
static int remove_socket(bool done, void *data)
{
	const struct gdb *gdb = data;

	(void)done;
	return gdb->listener.path && unlink(gdb->listener.path) ? errno : 0;
}

/* ---- Serving --------------------------------------------------------------------------------- */

struct connection {
	struct cli *cli;
	int in, out;
};

/* How many bytes a pipe or socket that is ready takes without waiting. */
#define READY_SIZE 4096

/* A gdb that does not read holds us up until a signal comes, and no longer. */
static bool send_bytes(const char *data, size_t size, void *data2)
{
	const struct connection *connection = data2;

	while (size && cli_wait(connection->out, POLLOUT)) {
		ssize_t written =
		    write(connection->out, data, size < READY_SIZE ? size : READY_SIZE);

		if (written < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (written <= 0)
			return false;
		data += written;
		size -= (size_t)written;
	}
	return !size;
}

/* Passes on what gdb sends until one of both ends the connection. */
static struct nunchi_error *pass_on(struct connection *connection, struct nunchi_gdb *gdb)
{
	static char bytes[16384];
	struct nunchi_error *err = NULL;
	bool open = true;

	while (open && !err && cli_wait(connection->in, POLLIN)) {
		ssize_t size = read(connection->in, bytes, sizeof(bytes));

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			break;
		err = nunchi_gdb_take(gdb, bytes, (size_t)size, send_bytes, connection, &open);
	}
	return err;
}

static bool is_end_of_guest(const struct nunchi_error *err)
{
	enum nunchi_error_code code = err ? nunchi_error_code(err) : NUNCHI_ERROR_DATA;

	return code == NUNCHI_ERROR_GONE || code == NUNCHI_ERROR_REBOOTED;
}

/* Serves one gdb. *ret_next: whether another one may come, although this one ended so. */
static struct nunchi_error *serve(struct connection *connection,
				  const struct nunchi_gdb_options *options, bool *ret_next)
{
	struct nunchi_gdb *gdb = NULL;
	struct nunchi_error *err = nunchi_gdb_create(connection->cli->guest, options, &gdb), *ended;

	/* Of a guest that was to be held it may be that it cannot be resumed. */
	*ret_next = !err || !options->hold;
	if (!err)
		cli_notes(connection->cli, connection->cli->guest, &connection->cli->notes_printed);
	if (!err)
		err = pass_on(connection, gdb);
	ended = nunchi_gdb_destroy(gdb);
	if (ended) {
		/* The guest is paused still. The second process and the guard resume it when we
		 * end. */
		nunchi_error_destroy(err);
		err = ended;
	}
	*ret_next &= !ended && !is_end_of_guest(err);
	return err;
}

/* Serves one gdb after another, until a signal ends that or the guest is gone. */
static int serve_listener(struct cli *cli, const struct gdb *gdb)
{
	while (cli_wait(gdb->listener.fd, POLLIN)) {
		int fd = accept4(gdb->listener.fd, NULL, NULL, SOCK_CLOEXEC);
		struct connection connection = {cli, fd, fd};
		struct nunchi_error *err;
		bool next;
		int status;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return cli_fail_with(cli, "cannot accept a connection: %s",
					     strerror(errno));
		err = serve(&connection, &gdb->options, &next);
		close(fd);
		status = cli_fail(cli, err);
		if (!next)
			return status;
	}
	return CLI_DONE;
}

static void announce(const struct gdb *gdb)
{
	if (gdb->listener.path)
		fprintf(stderr, "nunchi: listening: gdb -ex 'target remote %s'\n",
			gdb->listener.path);
	else
		fprintf(stderr, "nunchi: listening: gdb -ex 'target remote 127.0.0.1:%u'\n",
			gdb->listener.port);
}

/* That the guest can be shown is known before somebody connects. */
static int try_once(struct cli *cli, const struct gdb *given)
{
	struct nunchi_gdb *gdb = NULL;
	int status = cli_fail(cli, nunchi_gdb_create(cli->guest, &given->options, &gdb));
	int ended = cli_fail(cli, nunchi_gdb_destroy(gdb));

	return status ? status : ended;
}

/*
 * gdb sends its first packet four times, each two seconds after the other, and then goes on without
 * an answer.
 */
#define GDB_WAITS_S 8

static void note_slow_start(double took_s)
{
	if (took_s > GDB_WAITS_S)
		fprintf(
		    stderr,
		    "nunchi: it took %.0f s to open the guest, for longer than gdb waits: if gdb "
		    "does not connect, begin with gdb -ex 'set remotetimeout 60'\n",
		    took_s);
}

static int gdb_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct connection standard = {cli, STDIN_FILENO, STDOUT_FILENO};
	double start = cli_now();
	struct gdb *gdb = state;
	int status = CLI_DONE;
	bool next;

	(void)count;
	gdb->options = (struct nunchi_gdb_options){
	    .size = sizeof(gdb->options),
	    .hold = cli->guest_options.pause == NUNCHI_PAUSE_ALWAYS,
	    .pid = gdb->pid,
	};
	if (gdb->listen && gdb->stdio)
		return cli_misuse(cli, NULL, "--listen and --stdio exclude each other");
	if (!gdb->listen && isatty(STDIN_FILENO))
		return cli_misuse(cli, NULL,
				  "standard input is a terminal, not gdb: run gdb -ex 'target "
				  "remote | nunchi gdb %s --stdio'",
				  arguments[0]);
	if (gdb->listen && gdb->options.hold && strncmp(gdb->listen, "unix:", 5) != 0)
		return cli_misuse(cli, NULL,
				  "--pause always needs --stdio or --listen unix:PATH: by a port "
				  "everybody on this host could keep the guest paused");
	if (gdb->listen)
		status = listener_open(cli, gdb->listen, 1, &gdb->listener);
	if (status)
		return status;
	cli->guest_options.accept_fd = gdb->listener.fd;
	if (gdb->listener.path) {
		cli->guest_options.finish = remove_socket;
		cli->guest_options.finish_data = gdb;
	}
	status = cli_open(cli, arguments[0]);
	gdb->opened = !status;
	if (!status && gdb->listen)
		status = try_once(cli, gdb);
	if (status)
		return status;
	cli->until_signal = true;
	if (gdb->listen) {
		announce(gdb);
		return serve_listener(cli, gdb);
	}
	note_slow_start(cli_now() - start);
	return cli_fail(cli, serve(&standard, &gdb->options, &next));
}

static void gdb_clean(void *state)
{
	struct gdb *gdb = state;

	/* Of a guest that was opened the second process removes the socket. */
	if (gdb->opened)
		gdb->listener.path = NULL;
	listener_close(&gdb->listener);
}

const struct command command_gdb = {
    .name = "gdb",
    .arguments = "TARGET",
    .summary = "show a guest to gdb, read-only",
    .description =
	"Speaks gdb's remote protocol, so that gdb looks into a running guest or a saved one: "
	"memory is the kernel's; threads are the vCPUs where their registers are known, and the "
	"tasks that do not run, with the registers that the kernel saved of them (others are "
	"<unavailable>). With --pid it is one process. \"info os\" lists nunchi's views, \"info os "
	"processes\" shows one.\n"
	"Nothing is written: commands of gdb that would change memory or registers, set a "
	"breakpoint, continue or step, fail. \"detach\", \"kill\" and \"quit\" end the connection "
	"and leave the guest as it is.\n"
	"The guest runs on, so what gdb shows is of different moments, and gdb keeps what it has "
	"read: \"maintenance flush register-cache\" has it ask anew. With --pause always the guest "
	"stands still until gdb ends.",
    .examples = "  nunchi gdb qemu:demo --stdio     # as gdb starts it:\n"
		"  gdb -ex 'target remote | nunchi gdb qemu:demo --stdio'\n"
		"  gdb -ex 'target remote | nunchi gdb qemu:demo --stdio --pause always'\n"
		"  gdb -ex 'target remote | nunchi gdb memory.raw --pid 812 --stdio'\n",
    .options = gdb_options,
    .option_count = sizeof(gdb_options) / sizeof(gdb_options[0]),
    .least = 1,
    .most = 1,
    .state_size = sizeof(struct gdb),
    .option = gdb_option,
    .run = gdb_run,
    .clean = gdb_clean,
};
