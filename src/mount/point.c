/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount/point.h"

#include "core/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORD 64

/* Takes the next word of the line, in which the kernel wrote blanks and backslashes as \NNN. */
static const char *take_word(const char *line, char *ret, size_t size)
{
	size_t used = 0;

	while (*line == ' ')
		line++;
	while (*line && *line != ' ' && *line != '\n') {
		char c = *line++;

		if (c == '\\' && line[0] >= '0' && line[0] <= '3' && line[1] >= '0' &&
		    line[1] <= '7' && line[2] >= '0' && line[2] <= '7') {
			c = (char)((line[0] - '0') << 6 | (line[1] - '0') << 3 | (line[2] - '0'));
			line += 3;
		}
		if (used + 1 < size)
			ret[used++] = c;
	}
	ret[used] = '\0';
	return line;
}

bool point_parse(const char *line, const char *path, char *ret_type, char *ret_source, size_t size)
{
	char place[PATH_MAX];
	const char *dash;

	/* id parent device root PLACE options [fields] - TYPE SOURCE */
	for (int skip = 0; skip < 4; skip++)
		line = take_word(line, place, sizeof(place));
	line = take_word(line, place, sizeof(place));
	dash = strstr(line, " - ");
	if (strcmp(place, path) || !dash)
		return false;
	line = take_word(dash + 3, ret_type, size);
	take_word(line, ret_source, size);
	return true;
}

/* The last mount there, which is the one that is seen. */
static bool find_mount(const char *path, char *ret_type, char *ret_source)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t capacity = 0;
	bool found = false;

	if (!file)
		return false;
	while (getline(&line, &capacity, file) > 0)
		found |= point_parse(line, path, ret_type, ret_source, WORD);
	fclose(file);
	return found;
}

/* The absolute path of a mount, whatever links lead to it; one that does not answer can be opened
 * so. */
static char *absolute(const char *directory)
{
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char link[32], path[PATH_MAX];
	ssize_t length;

	if (fd < 0)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path));
	close(fd);
	return length > 0 && (size_t)length < sizeof(path) ? strndup(path, (size_t)length) : NULL;
}

static bool run_fusermount(const char *path)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execlp("fusermount3", "fusermount3", "-u", "-z", "--", path, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static struct nunchi_error *take_away(const char *directory)
{
	_cleanup_free_ char *path = absolute(directory);
	char type[WORD] = "", source[WORD] = "";

	if (!path)
		return error_create(NUNCHI_ERROR_IO, "the path of %s cannot be found", directory);
	if (!find_mount(path, type, source))
		return error_create_errno(ENOTCONN, "%s", directory);
	if (strcmp(type, POINT_TYPE) || strcmp(source, POINT_SOURCE))
		return error_hint(error_create(NUNCHI_ERROR_BUSY,
					       "%s is a mount of another program (%s), which is "
					       "gone",
					       directory, type),
				  "unmount it, or choose another directory");
	if (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) || run_fusermount(path))
		return NULL;
	return error_hint(error_create(NUNCHI_ERROR_PERMISSION,
				       "the mount that a nunchi left on %s cannot be taken away",
				       directory),
			  "unmount it: umount -l -- %s", path);
}

static struct nunchi_error *check_empty(const char *directory)
{
	DIR *stream = opendir(directory);
	const struct dirent *entry;
	bool empty = true;

	if (!stream)
		return error_create_errno(errno, "%s", directory);
	while (empty && (entry = readdir(stream)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	closedir(stream);
	if (empty)
		return NULL;
	return error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "%s is not empty", directory),
			  "give an empty directory");
}

/* stat() is no question: the kernel may answer it by what it remembers. */
static bool is_dead(const char *directory)
{
	DIR *stream = opendir(directory);

	if (!stream)
		return errno == ENOTCONN;
	closedir(stream);
	return false;
}

struct nunchi_error *point_prepare(const char *directory, bool *ret)
{
	struct nunchi_error *err;

	*ret = false;
	if (is_dead(directory)) {
		err = take_away(directory);
		if (err)
			return err;
		*ret = true;
	}
	return check_empty(directory);
}
