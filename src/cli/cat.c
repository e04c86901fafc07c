/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK      ((size_t)256 << 10)
#define MAX_RANGES 16 /* ranges that are told one by one */

static const struct cli_option cat_options[] = {
    {"pid", OPTION_PID, "N", "the process that has the file open, or whose path it is"},
    {"fd", OPTION_FD, "N", "the number of the file's descriptor in that process"},
    {"output", 'o', "FILE",
     "write to FILE, which is named when it is complete, in place of one that is there (-: "
     "standard output)"},
    {"fill", OPTION_FILL, NULL, "write zeros in place of bytes that are not in the memory"},
};

struct cat_state {
	uint64_t pid, fd;
	const char *path; /* NULL: by the descriptor */
	bool has_pid, has_fd, fill;
	char *buffer; /* of CHUNK bytes */
	struct output_file output;
	/* The range of missing bytes that was met last, and what was told of those before. */
	uint64_t start, end;
	enum nunchi_absence why;
	unsigned ranges;
	uint64_t missing, size; /* of `size` bytes */
};

static int cat_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct cat_state *cat = state;

	if (letter == OPTION_FILL) {
		cat->fill = true;
	} else if (letter == 'o') {
		cat->output.path = value;
	} else if (letter == OPTION_FD) {
		cat->has_fd = true;
		if (!parse_number(value, &cat->fd) || cat->fd > INT32_MAX)
			return cli_misuse(cli, NULL, "\"%s\" is not a descriptor", value);
	} else {
		cat->has_pid = true;
		if (!parse_number(value, &cat->pid) || cat->pid > INT32_MAX)
			return cli_misuse(cli, NULL, "\"%s\" is not a process id", value);
	}
	return CLI_DONE;
}

/* Tells the range of missing bytes that ends. */
static void tell_range(struct cli *cli, struct cat_state *cat)
{
	char text[160];

	if (cat->start == cat->end)
		return;
	cat->missing += cat->end - cat->start;
	snprintf(text, sizeof(text), "bytes %" PRIu64 " to %" PRIu64 " of the file are missing: %s",
		 cat->start, cat->end - 1,
		 cat->why == NUNCHI_ABSENT_PAGED_OUT ? "not in the page cache, or swapped out"
						     : nunchi_absence_string(cat->why));
	if (cat->ranges++ < MAX_RANGES)
		cli_warn(cli, text);
	cat->start = cat->end = 0;
}

static void add_missing(struct cli *cli, struct cat_state *cat, uint64_t at,
			const struct nunchi_piece *piece)
{
	if (cat->start == cat->end || cat->end != at || cat->why != piece->why) {
		tell_range(cli, cat);
		cat->start = at;
		cat->why = piece->why;
	}
	cat->end = at + piece->size;
}

static int put_file(struct cli *cli, struct cat_state *cat, struct nunchi_file *file)
{
	uint64_t size = nunchi_file_size(file), at = 0;
	struct nunchi_piece piece;
	struct nunchi_error *err;
	int status;

	while (at < size) {
		if (cli_interrupted())
			return CLI_FAILED;
		err = nunchi_file_read(file, at, CHUNK, cat->buffer, &piece);
		if (err)
			return cli_fail(cli, err);
		if (piece.kind == NUNCHI_FILE_MISSING)
			add_missing(cli, cat, at, &piece);
		if (piece.kind == NUNCHI_FILE_MISSING && !cat->fill) {
			tell_range(cli, cat);
			return cli_fail_with(cli,
					     "of %" PRIu64 " bytes only the first %" PRIu64
					     " can be written; --fill goes on with zeros in "
					     "place of missing bytes",
					     size, at);
		}
		status = output_file_write(cli, &cat->output, cat->buffer, (size_t)piece.size);
		if (status)
			return status;
		at += piece.size;
	}
	tell_range(cli, cat);
	cat->size = size;
	return CLI_DONE;
}

static int put_held(struct cli *cli, void *data)
{
	struct cat_state *cat = data;
	struct nunchi_file *file = NULL;
	struct nunchi_error *err;
	int status;

	if (cat->path)
		err = nunchi_file_open_path(cli->guest, cat->has_pid ? cat->pid : 1, cat->path,
					    &file);
	else
		err = nunchi_file_open(cli->guest, cat->pid, cat->fd, &file);
	status = cli_fail(cli, err);
	if (!status)
		status = put_file(cli, cat, file);
	nunchi_file_close(file);
	return status;
}

static int cat_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct cat_state *cat = state;
	int status;

	cat->path = count > 1 ? arguments[1] : NULL;
	if (cat->path ? cat->has_fd : !cat->has_pid || !cat->has_fd)
		return cli_misuse(cli, NULL,
				  "give a path, or a process by --pid and its descriptor by --fd");
	if (cat->path && cat->path[0] != '/')
		return cli_misuse(cli, NULL, "the path \"%s\" does not begin with /", cat->path);
	status = output_file_check(cli, cat->output.path);
	if (!status)
		status = held_check(cli, arguments[0]);
	if (!status)
		status = output_file_open(cli, &cat->output);
	if (!status)
		status = cli_open(cli, arguments[0]);
	if (status)
		return status;
	cat->buffer = malloc(CHUNK);
	if (!cat->buffer)
		return cli_fail_with(cli, "out of memory");
	status = output_file_close(cli, &cat->output, held_run(cli, put_held, cat));
	free(cat->buffer);
	if (status || !cat->missing)
		return status;
	return cli_fail_with(cli,
			     "%" PRIu64 " of %" PRIu64 " bytes, in %u ranges, are zeros that are "
			     "not the file's",
			     cat->missing, cat->size, cat->ranges);
}

static void cat_clean(void *state)
{
	struct cat_state *cat = state;

	output_file_clean(&cat->output);
}

const struct command command_cat = {
    .name = "cat",
    .arguments = "TARGET [PATH]",
    .summary = "write a file of the guest, out of its page cache",
    .description =
	"Writes the bytes of a regular file, as far as the guest's page cache has them, to "
	"standard output, or to the FILE of -o, which is not there before all is written. The file "
	"is given by its path, as process 1 has it, or the process "
	"that --pid names, or by a descriptor of a process; so deleted files and memfds are "
	"written too (`nunchi show TARGET process_open_files` lists the descriptors). A path is "
	"followed through the names that the guest's kernel has in memory, mounts and symbolic "
	"links; of overlayfs the file in its layer is written. What a tmpfs stores nowhere is "
	"zeros. At the first byte that is not in the memory the command ends and "
	"fails; with --fill it goes on with zeros, names the ranges on standard error, and "
	"fails at the end. Files of network file systems, FUSE and /proc are refused. A "
	"running guest is paused for as long as this takes, and only with --pause always.",
    .examples = "  nunchi cat memory.raw /etc/passwd > passwd\n"
		"  nunchi cat memory.raw --pid 541 --fd 3 > recovered\n"
		"  nunchi cat xen:web --pid 1204 --fd 7 --pause always | sha256sum\n",
    .options = cat_options,
    .option_count = ARRAY_SIZE(cat_options),
    .least = 1,
    .most = 2,
    .state_size = sizeof(struct cat_state),
    .option = cat_option,
    .run = cat_run,
    .clean = cat_clean,
};
