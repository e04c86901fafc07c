/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Removes the file that a killed process of this user left. One of somebody else's, or one that is
 * being written, stays.
 */
static void remove_left(const char *part)
{
	_cleanup_close_ int fd = open(part, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st, named;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    st.st_nlink == 1 && !flock(fd, LOCK_EX | LOCK_NB) && !lstat(part, &named) &&
	    named.st_ino == st.st_ino && named.st_dev == st.st_dev)
		unlink(part);
}

/* Opens a file without a name in the directory of path. */
static int open_unnamed(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *directory =
	    slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");

	if (!directory)
		return -1;
	return open(directory, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
}

struct nunchi_error *new_file_create(const char *path, struct new_file *ret)
{
	_cleanup_free_ char *part = NULL;
	int fd;

	if (asprintf(&part, "%s.part", path) < 0) {
		part = NULL;
		return &error_nomem;
	}
	remove_left(part);
	fd = open_unnamed(path);
	if (fd >= 0) {
		*ret = (struct new_file){.path = path, .fd = fd};
		return NULL;
	}
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_create_errno(errno, "cannot make %s", part);
	/* Says that it is being written. */
	flock(fd, LOCK_EX | LOCK_NB);
	*ret = (struct new_file){.path = path, .fd = fd, .part = no_cleanup_ptr(part)};
	return NULL;
}

struct nunchi_error *new_file_finish(struct new_file *file)
{
	char link_path[64];
	int result;

	if (fsync(file->fd))
		return error_create_errno(errno, "cannot write %s", file->path);
	if (file->part) {
		result = link(file->part, file->path);
	} else {
		snprintf(link_path, sizeof(link_path), "/proc/self/fd/%d", file->fd);
		result = linkat(AT_FDCWD, link_path, AT_FDCWD, file->path, AT_SYMLINK_FOLLOW);
	}
	return result ? error_create_errno(errno, "cannot make %s", file->path) : NULL;
}

void new_file_deinit(struct new_file *file)
{
	if (file->part)
		unlink(file->part);
	free(file->part);
	if (file->fd >= 0)
		close(file->fd);
	*file = (struct new_file){.fd = -1};
}
