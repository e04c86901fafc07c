/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file to which a command writes, under a temporary name until it is complete. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* nunchi_guest_options.finish: the file gets its name, or is removed. */
static int name_file(bool done, void *data)
{
	struct output_file *file = data;
	int errnum = done && rename(file->temporary, file->path) ? errno : 0;

	if (!done || errnum)
		unlink(file->temporary);
	return errnum;
}

/*
 * Opens a device, pipe or socket that is there. -1 with errno: what another user of the host has
 * put there would get the guest's data, and a disk would be overwritten.
 */
static int open_special(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) || S_ISBLK(st.st_mode) || S_ISREG(st.st_mode) ||
	    (!S_ISCHR(st.st_mode) && st.st_uid && st.st_uid != geteuid()) ||
	    fcntl(fd, F_SETFL, 0)) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

int output_file_check(struct cli *cli, const char *path)
{
	if ((path && strcmp(path, "-")) || !isatty(STDOUT_FILENO))
		return CLI_DONE;
	return cli_misuse(cli, NULL,
			  "bytes of the guest are not written to a terminal, which they could "
			  "control; redirect the output, or give -o FILE");
}

int output_file_open(struct cli *cli, struct output_file *file)
{
	struct stat st;

	file->fd = -1;
	cli->output_path = file->path;
	if (!file->path || !strcmp(file->path, "-"))
		return CLI_DONE;
	if (!stat(file->path, &st) && !S_ISREG(st.st_mode)) {
		file->fd = open_special(file->path);
	} else if (asprintf(&file->temporary, "%s.XXXXXX", file->path) < 0) {
		file->temporary = NULL;
		return cli_fail_with(cli, "out of memory");
	} else {
		file->fd = mkostemp(file->temporary, O_CLOEXEC);
	}
	if (file->fd >= 0) {
		cli->guest_options.finish = file->temporary ? name_file : NULL;
		cli->guest_options.finish_data = file;
		return CLI_DONE;
	}
	free(file->temporary);
	file->temporary = NULL;
	return cli_fail_with(cli, "cannot make %s: %s", file->path, strerror(errno));
}

int output_file_write(struct cli *cli, struct output_file *file, const void *data, size_t size)
{
	const char *bytes = data;

	if (file->fd < 0)
		return cli_write(bytes, size, cli) ? CLI_DONE : CLI_FAILED;
	while (size) {
		ssize_t written;

		if (cli_interrupted())
			return CLI_FAILED;
		written = cli_write_part(file->fd, bytes, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return cli_fail_with(cli, "cannot write %s: %s", file->path,
					     strerror(errno));
		bytes += written;
		size -= (size_t)written;
	}
	return CLI_DONE;
}

bool output_file_write_at(struct output_file *file, uint64_t at, const void *data, size_t size)
{
	const char *bytes = data;

	while (size) {
		ssize_t written = pwrite(file->fd, bytes, size, (off_t)at);

		if (written < 0 && errno == EINTR && !cli_interrupted())
			continue;
		if (written <= 0)
			return false;
		bytes += written;
		at += (uint64_t)written;
		size -= (size_t)written;
	}
	return true;
}

int output_file_close(struct cli *cli, struct output_file *file, int status)
{
	struct nunchi_error *err;

	if (file->fd >= 0 && close(file->fd) && !status)
		status = cli_fail_with(cli, "cannot write %s: %s", file->path, strerror(errno));
	file->fd = -1;
	if (!file->temporary || status)
		return status;
	err = nunchi_guest_finish(cli->guest);
	if (err)
		status = cli_fail_with(cli, "cannot make %s: %s", file->path,
				       nunchi_error_errno(err) ? strerror(nunchi_error_errno(err))
							       : nunchi_error_message(err));
	nunchi_error_destroy(err);
	return status;
}

void output_file_clean(struct output_file *file)
{
	/* Only if no guest was opened; otherwise it is not there any more. */
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
}
