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
    {"output", 'o', "FILE",
     "write the raw bytes to FILE, in place of one that is there (-: standard output)"},
    {"pid", OPTION_PID, "N", "ADDRESS is in the address space of process N"},
    {"cr3", OPTION_CR3, "ADDRESS",
     "use the page table whose root is at this guest-physical address"},
    {"phys", OPTION_PHYS, NULL, "ADDRESS is guest-physical"},
};

struct read_state {
	struct nunchi_place place;
	/* The destination: `writer` for rows, `output` if it has a path, or neither for a
	 * hexadecimal dump. */
	struct nunchi_writer *writer;
	struct output_file output;
};

static int read_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct read_state *read = state;

	if (letter != 'o')
		return place_option(cli, &read->place, letter, value);
	read->output.path = value;
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

static int put(struct cli *cli, struct read_state *read, uint64_t address, const uint8_t *bytes,
	       size_t size)
{
	struct nunchi_error *err = NULL;

	if (read->output.path)
		return output_file_write(cli, &read->output, bytes, size);
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

static void read_clean(void *state)
{
	struct read_state *read = state;

	output_file_clean(&read->output);
}

static int put_to(struct cli *cli, struct read_state *read, uint64_t length)
{
	uint8_t *buffer = malloc(CHUNK);
	int status, finished = CLI_DONE;

	if (!buffer)
		return cli_fail_with(cli, "out of memory");
	if (!read->output.path && cli->output != NUNCHI_OUTPUT_TABLE)
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
	return output_file_close(cli, &read->output, status ? status : finished);
}

static int read_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct read_state *read = state;
	uint64_t length, last;
	int status;

	(void)count;
	if (!parse_size(arguments[2], &length) || !length)
		return cli_misuse(cli, NULL,
				  "\"%s\" is not a length; write it as 128, 0x80, 4k or 1M",
				  arguments[2]);
	status = read->output.path ? output_file_check(cli, read->output.path) : CLI_DONE;
	if (!status)
		status = output_file_open(cli, &read->output);
	if (!status)
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
