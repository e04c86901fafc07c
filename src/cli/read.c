/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)64 << 10)
#define LINE  16

static const struct nunchi_column columns[] = {
    {"address", NUNCHI_TYPE_ADDRESS, "address of the first byte"},
    {"hex", NUNCHI_TYPE_TEXT, "the bytes, two digits each"},
};

static const struct cli_option read_options[] = {
    {"output", 'o', "FILE", "write the raw bytes to FILE (-: standard output)"},
    {"pid", OPTION_PID, "N", "ADDRESS is in the address space of process N"},
    {"cr3", OPTION_CR3, "ADDRESS",
     "use the page table whose root is at this guest-physical address"},
    {"phys", OPTION_PHYS, NULL, "ADDRESS is guest-physical"},
};

struct read_state {
	struct nunchi_place place;
	const char *output;
	/* The destination: `writer` for rows, `output` for a file, or neither for a hexadecimal
	 * dump. */
	struct nunchi_writer *writer;
	char *temporary; /* name of the file until it is complete; owned */
	int fd;
};

static int read_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct read_state *read = state;

	if (letter != 'o')
		return place_option(cli, &read->place, letter, value);
	read->output = value;
	return CLI_DONE;
}

static char *put_hex(char *to, uint8_t byte)
{
	static const char digits[] = "0123456789abcdef";

	*to++ = digits[byte >> 4];
	*to++ = digits[byte & 0xf];
	return to;
}

/* "ffffffff81e00000  4c 69 6e …  |Linux ver…|" */
static void print_line(struct cli *cli, uint64_t address, const uint8_t *bytes, size_t count)
{
	char line[128];
	char *p = line;

	for (int shift = 56; shift >= 0; shift -= 8)
		p = put_hex(p, (uint8_t)(address >> shift));
	*p++ = ' ';
	for (size_t i = 0; i < LINE; i++) {
		if (i % 8 == 0)
			*p++ = ' ';
		if (i < count)
			p = put_hex(p, bytes[i]);
		else
			*p++ = ' ', *p++ = ' ';
		*p++ = ' ';
	}
	*p++ = ' ';
	*p++ = '|';
	for (size_t i = 0; i < count; i++)
		*p++ = (char)(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
	*p++ = '|';
	*p++ = '\n';
	cli_write(line, (size_t)(p - line), cli);
}

static struct nunchi_error *write_line(struct nunchi_writer *writer, uint64_t address,
				       const uint8_t *bytes, size_t count)
{
	char hex[2 * LINE];
	char *end = hex;
	struct nunchi_cell cells[] = {cell_address(address), cell_text("")};

	for (size_t i = 0; i < count; i++)
		end = put_hex(end, bytes[i]);
	cells[1].text = hex;
	cells[1].text_size = (size_t)(end - hex);
	return nunchi_writer_row(writer, cells, false);
}

static int write_all(struct cli *cli, struct read_state *read, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t written;

		if (cli_interrupted())
			return CLI_FAILED;
		written = write(read->fd, bytes, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return cli_fail_with(cli, "cannot write %s: %s", read->output,
					     strerror(errno));
		bytes += written;
		size -= (size_t)written;
	}
	return CLI_DONE;
}

static int put(struct cli *cli, struct read_state *read, uint64_t address, const uint8_t *bytes,
	       size_t size)
{
	struct nunchi_error *err = NULL;

	if (read->output && read->fd < 0)
		return cli_write((const char *)bytes, size, cli) ? CLI_DONE : CLI_FAILED;
	if (read->output)
		return write_all(cli, read, bytes, size);
	for (size_t at = 0; at < size && !err && !cli->write_errno; at += LINE) {
		size_t count = size - at < LINE ? size - at : LINE;

		if (read->writer)
			err = write_line(read->writer, address + at, bytes + at, count);
		else
			print_line(cli, address + at, bytes + at, count);
	}
	return cli_fail(cli, err) || cli->write_errno ? CLI_FAILED : CLI_DONE;
}

/* Reads and writes the bytes before the address at which reading failed. */
static int put_readable(struct cli *cli, struct read_state *read, size_t size, uint8_t *buffer,
			const struct nunchi_error *failure)
{
	uint64_t at;
	struct nunchi_error *err;

	if (!nunchi_error_address(failure, &at) || at <= read->place.address ||
	    at - read->place.address >= size)
		return CLI_DONE;
	size = (size_t)(at - read->place.address);
	err = nunchi_read(cli->guest, &read->place, size, buffer);
	if (!err)
		return put(cli, read, read->place.address, buffer, size);
	nunchi_error_destroy(err);
	return CLI_DONE;
}

static int put_range(struct cli *cli, struct read_state *read, uint64_t length, uint8_t *buffer)
{
	while (length) {
		size_t size = length < CHUNK ? (size_t)length : CHUNK;
		struct nunchi_error *err;
		int status;

		if (cli_interrupted())
			return CLI_FAILED;
		err = nunchi_read(cli->guest, &read->place, size, buffer);
		if (err) {
			put_readable(cli, read, size, buffer, err);
			return cli_fail(cli, err);
		}
		status = put(cli, read, read->place.address, buffer, size);
		if (status)
			return status;
		read->place.address += size;
		length -= size;
	}
	return CLI_DONE;
}

/* Makes a new file under a temporary name in the same directory; opens a device or pipe as it is.
 */
static int open_output(struct cli *cli, struct read_state *read)
{
	struct stat st;

	if (!strcmp(read->output, "-"))
		return CLI_DONE;
	if (!stat(read->output, &st) && !S_ISREG(st.st_mode)) {
		read->fd = open(read->output, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	} else if (asprintf(&read->temporary, "%s.XXXXXX", read->output) < 0) {
		read->temporary = NULL;
		return cli_fail_with(cli, "out of memory");
	} else {
		read->fd = mkostemp(read->temporary, O_CLOEXEC);
	}
	if (read->fd >= 0)
		return CLI_DONE;
	free(read->temporary);
	read->temporary = NULL;
	return cli_fail_with(cli, "cannot make %s: %s", read->output, strerror(errno));
}

/* nunchi_guest_options.finish: the file gets its name, or is removed. */
static int name_output(bool done, void *data)
{
	struct read_state *read = data;
	int errnum = done && rename(read->temporary, read->output) ? errno : 0;

	if (!done || errnum)
		unlink(read->temporary);
	return errnum;
}

static int close_output(struct cli *cli, struct read_state *read, int status)
{
	struct nunchi_error *err;

	if (read->fd >= 0 && close(read->fd) && !status)
		status = cli_fail_with(cli, "cannot write %s: %s", read->output, strerror(errno));
	read->fd = -1;
	if (!read->temporary || status)
		return status;
	err = nunchi_guest_finish(cli->guest);
	if (err)
		status = cli_fail_with(cli, "cannot make %s: %s", read->output,
				       nunchi_error_errno(err) ? strerror(nunchi_error_errno(err))
							       : nunchi_error_message(err));
	nunchi_error_destroy(err);
	return status;
}

static void read_clean(void *state)
{
	struct read_state *read = state;

	/* Only if no guest was opened; otherwise it is not there any more. */
	if (read->temporary)
		unlink(read->temporary);
	free(read->temporary);
}

static int put_to(struct cli *cli, struct read_state *read, uint64_t length)
{
	uint8_t *buffer = malloc(CHUNK);
	int status, finished = CLI_DONE;

	if (!buffer)
		return cli_fail_with(cli, "out of memory");
	if (!read->output && cli->output != NUNCHI_OUTPUT_TABLE)
		status = cli_fail(
		    cli, cli_list_writer(cli, columns, ARRAY_SIZE(columns), &read->writer));
	else
		status = CLI_DONE;
	if (!status)
		status = put_range(cli, read, length, buffer);
	if (read->writer)
		finished = cli_fail(cli, nunchi_writer_finish(read->writer));
	nunchi_writer_destroy(read->writer);
	free(buffer);
	return close_output(cli, read, status ? status : finished);
}

static int read_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct read_state *read = state;
	uint64_t length, last;
	int status;

	(void)count;
	read->fd = -1;
	if (!parse_size(arguments[2], &length) || !length)
		return cli_misuse(cli, NULL,
				  "\"%s\" is not a length; write it as 128, 0x80, 4k or 1M",
				  arguments[2]);
	if (read->output) {
		status = open_output(cli, read);
		if (status)
			return status;
	}
	if (read->temporary) {
		cli->guest_options.finish = name_output;
		cli->guest_options.finish_data = read;
	}
	status = cli_open(cli, arguments[0]);
	if (!status)
		status = place_resolve(cli, arguments[1], &read->place);
	if (status)
		return status;
	if (__builtin_add_overflow(read->place.address, length - 1, &last))
		return cli_misuse(cli, NULL,
				  "%s bytes from 0x%" PRIx64 " end after the last 64-bit address",
				  arguments[2], read->place.address);
	return put_to(cli, read, length);
}

const struct command command_read = {
    .name = "read",
    .arguments = "TARGET ADDRESS|SYMBOL[+OFFSET] LENGTH",
    .summary = "show bytes of the guest's memory, or save them",
    .description =
	"Shows bytes of the guest's memory: address, hexadecimal, ASCII. ADDRESS is a virtual "
	"address of the kernel unless --pid, --cr3 or --phys is given; it is written 0x…, in "
	"decimal, or as 16 hexadecimal digits as in kernel logs. LENGTH is decimal or 0x… and "
	"may end in k, M or G. If a byte cannot be read, those before it are shown and the "
	"command fails. A file made by -o is readable by its owner only, and gets its name "
	"when it is complete.",
    .examples = "  nunchi read xen:web linux_banner 128\n"
		"  nunchi read qemu:demo 0x400000 4k --pid 1 -o text.bin\n"
		"  nunchi read memory.raw 0 0x100 --phys --json\n",
    .options = read_options,
    .option_count = ARRAY_SIZE(read_options),
    .least = 3,
    .most = 3,
    .state_size = sizeof(struct read_state),
    .option = read_option,
    .run = read_run,
    .clean = read_clean,
};
