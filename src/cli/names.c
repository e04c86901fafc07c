/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of files below a directory, for ls and find. */
#include "cli.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const struct cli_option names_options[] = {
    {"pid", OPTION_PID, "N", "the process whose root directory and mounts the path is in (1)"},
    {"name", OPTION_NAME, "GLOB", "only names that match, as in a shell: *, ? and [...]"},
};

int names_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct names_wanted *names = state;

	if (letter == OPTION_NAME) {
		names->glob = value;
		return CLI_DONE;
	}
	names->has_pid = true;
	if (!parse_number(value, &names->pid) || names->pid > INT32_MAX)
		return cli_misuse(cli, NULL, "\"%s\" is not a process id", value);
	return CLI_DONE;
}

struct showing {
	struct cli *cli;
	const struct names_wanted *names;
	struct nunchi_writer *writer;
	struct nunchi_error *err; /* of the writer */
	uint64_t met, shown;
};

/* Whether the last name of a path matches; false also if memory is short. */
static bool matches(const char *glob, const struct nunchi_cell *path)
{
	const char *end = path->text + path->text_size, *start = end;
	char *name;
	bool match;

	while (start > path->text && start[-1] != '/')
		start--;
	name = strndup(start, (size_t)(end - start));
	match = name && !fnmatch(glob, name, 0);
	free(name);
	return match;
}

static bool show_name(const struct nunchi_cell *cells, void *data)
{
	struct showing *showing = data;
	const struct names_wanted *names = showing->names;
	bool is_first = !showing->met++;

	if (cli_interrupted())
		return false;
	/* ls shows what is in a directory, not itself. */
	if (is_first && names->depth == 1 && cells[1].kind == NUNCHI_CELL_VALUE &&
	    cells[1].text_size == strlen("directory") &&
	    !memcmp(cells[1].text, "directory", cells[1].text_size))
		return true;
	if (names->glob && !matches(names->glob, &cells[0]))
		return true;
	showing->shown++;
	showing->err = nunchi_writer_row(showing->writer, cells, false);
	return !showing->err;
}

static int show_names(struct cli *cli, void *data)
{
	const struct names_wanted *names = data;
	struct showing showing = {.cli = cli, .names = names};
	struct nunchi_error *err, *finished;
	size_t count;
	const struct nunchi_column *columns = nunchi_name_columns(&count);

	err = cli_list_writer(cli, columns, count, &showing.writer);
	if (err)
		return cli_fail(cli, err);
	err = nunchi_names(cli->guest, names->has_pid ? names->pid : 1, names->path, names->depth,
			   show_name, &showing);
	finished = showing.met ? nunchi_writer_finish(showing.writer) : NULL;
	nunchi_writer_destroy(showing.writer);
	if (showing.err) {
		nunchi_error_destroy(finished);
		finished = showing.err;
	}
	if (err) {
		nunchi_error_destroy(finished);
		return cli_fail(cli, err);
	}
	return cli_interrupted() ? CLI_FAILED : cli_fail(cli, finished);
}

int names_run(struct cli *cli, struct names_wanted *names, const char *target)
{
	int status;

	if (names->path[0] != '/')
		return cli_misuse(cli, NULL, "the path \"%s\" does not begin with /", names->path);
	status = held_check(cli, target);
	if (!status)
		status = cli_open(cli, target);
	return status ? status : held_run(cli, show_names, names);
}
