/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "edit/history.h"

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is read of a file, from its end. */
#define MOST_BYTES ((off_t)4 << 20)
/* How long another process may take to read and shorten the file. */
#define LOCK_US ((uint64_t)1000000)

/* ---- Where ----------------------------------------------------------------------------------- */

/* Creates the folders of a path that are not there. */
static void make_folders(char *path)
{
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	(void)mkdir(path, 0700);
}

/* Whether it is this user's, and with `alone` nobody else decides what is in it. */
static struct nunchi_error *check_owner(int fd, const char *what, const char *path, bool alone)
{
	struct stat status;

	if (fstat(fd, &status))
		return error_create_errno(errno, "%s %s cannot be looked at", what, path);
	if (status.st_uid != geteuid())
		return error_create(NUNCHI_ERROR_PERMISSION, "%s %s belongs to another user", what,
				    path);
	if (alone && status.st_mode & (S_IWGRP | S_IWOTH))
		return error_create(NUNCHI_ERROR_PERMISSION, "others may write to %s %s", what,
				    path);
	return NULL;
}

bool history_home_is_foreign(void)
{
	const char *home = getenv("HOME");
	struct stat status;

	return home && !stat(home, &status) && status.st_uid != geteuid();
}

/* home is NULL where the environment names the folder itself. */
static struct nunchi_error *open_folder_in(char *path, const char *home, int *ret)
{
	_cleanup_close_ int above = -1, folder = -1;
	struct nunchi_error *err;

	/* sudo may leave HOME as it was: root's folders would be in the way there. */
	if (home && history_home_is_foreign())
		return error_create(NUNCHI_ERROR_PERMISSION,
				    "the folder %s belongs to another user", home);
	make_folders(path);
	above = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (above < 0)
		return error_create_errno(errno, "the folder %s cannot be opened", path);
	/* Where groups may write to it, what they would put there is theirs. */
	err = check_owner(above, "the folder", path, false);
	if (err)
		return err;
	if (mkdirat(above, "nunchi", 0700) && errno != EEXIST)
		return error_create_errno(errno, "cannot create the folder %s/nunchi", path);
	folder = openat(above, "nunchi", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return error_create_errno(errno, "the folder %s/nunchi cannot be opened", path);
	err = check_owner(folder, "the folder nunchi in", path, true);
	if (!err)
		*ret = no_cleanup_fd(folder);
	return err;
}

/* The folder nunchi/ in the one for what programs keep between two runs. */
static struct nunchi_error *open_folder(int *ret)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	/* Its specification: a path that is not absolute is to be ignored. */
	bool named = state && *state == '/';
	char path[PATH_MAX];
	int size;

	if (!named && !(home && *home == '/'))
		return error_create(NUNCHI_ERROR_NOT_FOUND, "HOME is not set");
	size = named ? snprintf(path, sizeof(path), "%s", state)
		     : snprintf(path, sizeof(path), "%s/.local/state", home);
	if (size < 0 || (size_t)size >= sizeof(path))
		return error_create(NUNCHI_ERROR_ARGUMENT, "the path of the folder is too long");
	return open_folder_in(path, named ? NULL : home, ret);
}

static struct nunchi_error *open_file(int folder, const char *path, int *ret)
{
	/* NONBLOCK: of a named pipe nobody may write to it. */
	_cleanup_close_ int fd =
	    openat(folder, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct nunchi_error *err;
	struct stat status;

	if (fd < 0)
		return error_create_errno(errno, "%s cannot be opened", path);
	if (fstat(fd, &status))
		return error_create_errno(errno, "%s cannot be looked at", path);
	if (!S_ISREG(status.st_mode) || status.st_nlink != 1)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s is no file with one name", path);
	err = check_owner(fd, "the file", path, true);
	if (err)
		return err;
	if ((status.st_mode & 0777) != 0600 && fchmod(fd, 0600))
		return error_create_errno(errno, "%s can be read by others", path);
	*ret = no_cleanup_fd(fd);
	return NULL;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* Where the last lines begin, and how many lines there are before. */
static const char *last_lines(const char *text, size_t size, size_t *ret_before)
{
	const char *at = text;
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += text[i] == '\n';
	*ret_before = count > HISTORY_LINES ? count - HISTORY_LINES : 0;
	for (size_t i = 0; i < *ret_before; i++)
		at = (const char *)memchr(at, '\n', size - (size_t)(at - text)) + 1;
	return at;
}

/*
 * True: no other process has the file open, and none can before the lock is lowered, so that no
 * line is lost if it is shortened. False: it is shared.
 */
static bool lock_alone(int fd)
{
	uint64_t end = clock_us() + LOCK_US;

	if (!flock(fd, LOCK_EX | LOCK_NB))
		return true;
	/* Another one has it alone for as long as it reads it. */
	while (flock(fd, LOCK_SH | LOCK_NB) && clock_us() < end)
		usleep(1000);
	return false;
}

/* Keeps the last lines alone. */
static void shorten(int fd, const char *kept, size_t size)
{
	if (!fcntl(fd, F_SETFL, 0) && lseek(fd, 0, SEEK_SET) == 0 && !io_write_full(fd, kept, size))
		(void)!ftruncate(fd, (off_t)size);
	(void)fcntl(fd, F_SETFL, O_APPEND);
}

/* The end of the file, from the beginning of a line, and to the end of one. */
static struct nunchi_error *read_end(int fd, struct buffer *text)
{
	off_t size = lseek(fd, 0, SEEK_END), from = size > MOST_BYTES ? size - MOST_BYTES : 0;
	const char *newline;

	if (size < 0 || lseek(fd, from, SEEK_SET) < 0 || io_read_all(fd, text))
		return error_create(NUNCHI_ERROR_IO, "the history cannot be read");
	newline = from ? memchr(text->data, '\n', text->size) : NULL;
	if (newline) {
		size_t cut = (size_t)(newline + 1 - text->data);

		memmove(text->data, newline + 1, text->size - cut + 1);
		text->size -= cut;
	}
	/* What could not be written to its end, or an editor has left so. */
	if (text->size && text->data[text->size - 1] != '\n') {
		buffer_append_char(text, '\n');
		if (text->failed)
			return &error_nomem;
		if (io_write_full(fd, "\n", 1))
			return error_create(NUNCHI_ERROR_IO, "the history cannot be written");
	}
	return NULL;
}

static struct nunchi_error *take_lines(int fd, bool alone,
				       void (*take)(const char *line, void *data), void *data)
{
	/* Others may add to it meanwhile. */
	_cleanup_buffer_ struct buffer text = {.limit = (size_t)MOST_BYTES * 2};
	struct nunchi_error *err = read_end(fd, &text);
	const char *kept, *end, *behind;
	size_t before;

	if (err || !text.size)
		return err;
	kept = last_lines(text.data, text.size, &before);
	behind = text.data + text.size;
	if (alone && (before > HISTORY_LINES || text.size >= (size_t)MOST_BYTES))
		shorten(fd, kept, (size_t)(behind - kept));
	for (char *line = text.data + (kept - text.data);
	     (end = memchr(line, '\n', (size_t)(behind - line))); line += end + 1 - line) {
		line[end - line] = '\0';
		/* Of a line with a byte 0 not all would be seen. */
		if (*line && strlen(line) == (size_t)(end - line))
			take(line, data);
	}
	return NULL;
}

struct nunchi_error *history_open(const char *name, void (*take)(const char *line, void *data),
				  void *data, struct history_file *ret)
{
	const char *path = getenv("NUNCHI_HISTORY");
	_cleanup_close_ int folder = -1, fd = -1;
	struct nunchi_error *err = NULL;
	bool alone;

	ret->fd = -1;
	if (path && !*path)
		return NULL;
	if (!path)
		err = open_folder(&folder);
	if (!err)
		err = open_file(path ? AT_FDCWD : folder, path ? path : name, &fd);
	if (err)
		return err;
	if (fcntl(fd, F_SETFL, O_APPEND) < 0)
		return error_create_errno(errno, "lines cannot be added to the history");
	alone = lock_alone(fd);
	err = take_lines(fd, alone, take, data);
	if (alone)
		(void)flock(fd, LOCK_SH);
	if (!err)
		ret->fd = no_cleanup_fd(fd);
	return err;
}

struct nunchi_error *history_add(struct history_file *file, const char *line)
{
	_cleanup_buffer_ struct buffer text = {0};
	int failed;

	if (file->fd < 0)
		return NULL;
	buffer_append_string(&text, line);
	buffer_append_char(&text, '\n');
	/* One call of write(): lines of two processes do not mix. */
	failed = text.failed ? -ENOMEM : io_write_full(file->fd, text.data, text.size);
	if (!failed)
		return NULL;
	/* The next line would continue one that was written in part. */
	history_close(file);
	return error_create_errno(-failed, "its file cannot be written");
}

void history_close(struct history_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}
