/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics/textfile.h"

#include "core/cleanup.h"
#include "core/error.h"
#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Writes all and gives the mode; a negative errno. */
static int fill(int fd, const char *data, size_t size)
{
	int result = io_write_full(fd, data, size);

	return !result && fchmod(fd, 0644) ? -errno : result;
}

struct nunchi_error *textfile_write(const char *path, const char *data, size_t size)
{
	_cleanup_free_ char *temporary = NULL;
	struct stat st;
	int fd, result;

	if (!lstat(path, &st) && !S_ISREG(st.st_mode))
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s is there and is not a file", path);
	/* The collector reads *.prom alone, and so not this one. */
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return &error_nomem;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return error_create_errno(errno, "cannot make a file beside %s", path);
	result = fill(fd, data, size);
	if (close(fd) && !result)
		result = -errno;
	if (!result && rename(temporary, path))
		result = -errno;
	if (!result)
		return NULL;
	unlink(temporary);
	return error_create_errno(-result, "cannot write %s", path);
}
