/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Columns of a line in front of the mark of an error, at most. */
#define BEFORE_THE_MARK 40

/* How many bytes a pipe or socket that is ready takes without waiting. */
#define READY_SIZE 4096

bool cli_wait(int fd, short events)
{
	struct pollfd ready = {.fd = fd, .events = events};
	sigset_t ours, before;
	bool goes_on;

	/* Only while we wait, so that none comes between the question and the wait. */
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, &before);
	do
		goes_on = !cli_interrupted();
	while (goes_on && ppoll(&ready, 1, NULL, &before) < 0 && errno == EINTR);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return goes_on && !cli_interrupted();
}

ssize_t cli_write_part(int fd, const void *data, size_t size)
{
	struct stat st;

	if (!cli_wait(fd, POLLOUT)) {
		errno = EINTR;
		return -1;
	}
	if (size > READY_SIZE && (fstat(fd, &st) || !S_ISREG(st.st_mode)))
		size = READY_SIZE;
	return write(fd, data, size);
}

bool cli_flush(struct cli *cli)
{
	size_t at = 0;

	/* Not by stdio: it restarts a write() that a signal has interrupted. */
	while (at < cli->out_size && !cli->write_errno) {
		ssize_t written;

		if (cli_interrupted() && !cli->until_signal) {
			cli->write_errno = EINTR;
			break;
		}
		written = cli->until_signal
			      ? write(STDOUT_FILENO, cli->out + at, cli->out_size - at)
			      : cli_write_part(STDOUT_FILENO, cli->out + at, cli->out_size - at);
		if (written > 0)
			at += (size_t)written;
		else if (!written || errno != EINTR)
			cli->write_errno = written ? errno : EIO;
	}
	cli->out_size = 0;
	return !cli->write_errno;
}

void cli_never_wait(struct cli *cli)
{
	struct stat st;

	cli->never_waits = true;
	cli->ready_fd = -1;
	/*
	 * Another description of the same pipe or terminal, so that the flag concerns nobody else.
	 * Files are written without waiting for a reader anyway.
	 */
	if (!fstat(STDOUT_FILENO, &st) && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		cli->ready_fd =
		    open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

bool cli_flush_ready(struct cli *cli)
{
	int fd = cli->ready_fd >= 0 ? cli->ready_fd : STDOUT_FILENO;
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	size_t at = 0;

	while (at < cli->out_size && !cli->write_errno && poll(&ready, 1, 0) > 0) {
		size_t left = cli->out_size - at;
		ssize_t written = write(fd, cli->out + at, left < READY_SIZE ? left : READY_SIZE);

		if (written > 0)
			at += (size_t)written;
		else if (written && errno == EAGAIN)
			break;
		else if (!written || errno != EINTR)
			cli->write_errno = written ? errno : EIO;
		else if (cli_interrupted())
			break;
	}
	memmove(cli->out, cli->out + at, cli->out_size - at);
	cli->out_size -= at;
	return !cli->write_errno;
}

bool cli_write(const char *data, size_t size, void *cli_pointer)
{
	struct cli *cli = cli_pointer;

	while (size && !cli->write_errno) {
		size_t room = sizeof(cli->out) - cli->out_size;
		size_t piece = size < room ? size : room;

		memcpy(cli->out + cli->out_size, data, piece);
		cli->out_size += piece;
		data += piece;
		size -= piece;
		if (cli->never_waits && size) {
			cli->overflowed = true;
			return true;
		}
		if (!cli->never_waits && cli->out_size == sizeof(cli->out))
			cli_flush(cli);
	}
	return !cli->write_errno;
}

void cli_printf(struct cli *cli, const char *format, ...)
{
	char *text;
	va_list args;
	int size;

	va_start(args, format);
	size = vasprintf(&text, format, args);
	va_end(args);
	if (size < 0) {
		cli->write_errno = ENOMEM;
		return;
	}
	cli_write(text, (size_t)size, cli);
	free(text);
}

int cli_columns(const char *text, int size)
{
	int columns = 0;

	for (int i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		columns += (c & 0xc0) != 0x80;
		/* U+3000 to U+DFFF: letters of Chinese, Japanese and Korean take two columns. */
		columns += c >= 0xe3 && c <= 0xed;
	}
	return columns;
}

void cli_print_folded(struct cli *cli, const char *text, int column, int indent, int width)
{
	bool first = true;

	while (*text) {
		int size = (int)strcspn(text, " \n");
		int columns = cli_columns(text, size);

		if (!first && width && column + 1 + columns > width) {
			cli_printf(cli, "\n%*s", indent, "");
			column = indent;
		} else if (!first) {
			cli_printf(cli, " ");
			column++;
		}
		cli_printf(cli, "%.*s", size, text);
		column += columns;
		text += size;
		first = *text == '\n';
		if (first) {
			cli_printf(cli, "\n\n%*s", indent, "");
			column = indent;
		}
		text += *text != '\0';
	}
	cli_printf(cli, "\n");
}

void cli_print_wrapped(struct cli *cli, const char *text, int column, int indent)
{
	cli_print_folded(cli, text, column, indent, 79);
}

char *cli_escape(const char *text, size_t size)
{
	size_t needed = nunchi_escape(text, size, NULL, 0);
	char *escaped = malloc(needed + 1);

	if (!escaped) {
		fputs("nunchi: out of memory\n", stderr);
		exit(CLI_FAILED);
	}
	nunchi_escape(text, size, escaped, needed + 1);
	return escaped;
}

void cli_print_escaped(struct cli *cli, const char *text)
{
	char *escaped = cli_escape(text, strlen(text));

	cli_write(escaped, strlen(escaped), cli);
	free(escaped);
}

/* Whether the message names the target already, as most of the library's do. */
static bool names_target(const char *message, const char *target)
{
	size_t length = strlen(target);

	return !strncmp(message, target, length) || (length > 3 && strstr(message, target));
}

/* "nunchi: qemu:demo: KINDmessage", and the hint on a line of its own. */
static void print_message(struct cli *cli, const char *kind, const char *message, const char *hint)
{
	char *shown = cli_escape(message, strlen(message));

	/* Rows found before the error are printed before it. */
	if (cli->never_waits)
		cli_flush_ready(cli);
	else if (!cli_interrupted())
		cli_flush(cli);
	fputs("nunchi: ", stderr);
	if (cli->target && !names_target(message, cli->target)) {
		char *target = cli_escape(cli->target, strlen(cli->target));

		fprintf(stderr, "%s: ", target);
		free(target);
	}
	fprintf(stderr, "%s%s\n", kind, shown);
	free(shown);
	if (hint) {
		shown = cli_escape(hint, strlen(hint));
		fprintf(stderr, "  hint: %s\n", shown);
		free(shown);
	}
}

/* The message with the guest address it is about, unless it says that itself. To be freed. */
static char *message_with_address(const struct nunchi_error *err)
{
	const char *message = nunchi_error_message(err);
	char address[24] = "";
	uint64_t value;
	char *text;

	if (nunchi_error_address(err, &value)) {
		snprintf(address, sizeof(address), "0x%" PRIx64, value);
		if (!strstr(message, address) &&
		    asprintf(&text, "%s (at %s)", message, address) >= 0)
			return text;
	}
	return strdup(message);
}

static const char memory_hint[] = "the memory of a command is limited: --memory SIZE permits more";

void cli_print_place(const char *text, size_t offset)
{
	size_t size = strlen(text), start, end;
	char *before, *line;

	offset = offset < size ? offset : size;
	start = end = offset;
	while (start && text[start - 1] != '\n' && offset - start < BEFORE_THE_MARK)
		start--;
	while (text[end] && text[end] != '\n' && end - start < 2 * BEFORE_THE_MARK - 4)
		end++;
	before = cli_escape(text + start, offset - start);
	line = cli_escape(text + start, end - start);
	fprintf(stderr, "  %s\n  %*s^\n", line, cli_columns(before, (int)strlen(before)), "");
	free(before);
	free(line);
}

int cli_fail(struct cli *cli, struct nunchi_error *err)
{
	enum nunchi_error_code code;
	char *message;

	if (!err)
		return CLI_DONE;
	code = nunchi_error_code(err);
	/* A cancelled call needs no message if a signal, or a failed write that main() reports,
	 * cancelled it. */
	if (code != NUNCHI_ERROR_CANCELLED || (!cli->write_errno && !cli_interrupted())) {
		message = message_with_address(err);
		print_message(cli, "", message ? message : "out of memory",
			      code == NUNCHI_ERROR_NOMEM ? memory_hint : nunchi_error_hint(err));
		free(message);
		if (nunchi_error_is_host(err))
			fputs("  `nunchi doctor` says what this host lacks\n", stderr);
	}
	nunchi_error_destroy(err);
	return code == NUNCHI_ERROR_ARGUMENT ? CLI_USAGE : CLI_FAILED;
}

int cli_fail_with(struct cli *cli, const char *format, ...)
{
	char *message;
	va_list args;

	va_start(args, format);
	if (vasprintf(&message, format, args) < 0)
		message = NULL;
	va_end(args);
	print_message(cli, "", message ? message : "out of memory", NULL);
	free(message);
	return CLI_FAILED;
}

int cli_misuse(struct cli *cli, const char *hint, const char *format, ...)
{
	char *message, *shown;
	va_list args;

	va_start(args, format);
	if (vasprintf(&message, format, args) < 0)
		message = NULL;
	va_end(args);
	shown = cli_escape(message ? message : "", message ? strlen(message) : 0);
	free(message);
	fprintf(stderr, "nunchi: %s%s%s\n", cli->command ? cli->command->name : "",
		cli->command ? ": " : "", shown);
	free(shown);
	if (hint)
		fprintf(stderr, "  did you mean \"%s\"?\n", hint);
	if (cli->command)
		fprintf(stderr, "  hint: \"nunchi help %s\" shows how it is used\n",
			cli->command->name);
	else
		fputs("  hint: \"nunchi help\" shows the commands\n", stderr);
	return CLI_USAGE;
}

void cli_warn(struct cli *cli, const char *text)
{
	print_message(cli, "warning: ", text, NULL);
	if (strstr(text, "out of memory"))
		fprintf(stderr, "  hint: %s\n", memory_hint);
}

void cli_note(struct cli *cli, const char *text)
{
	print_message(cli, "note: ", text, NULL);
}
