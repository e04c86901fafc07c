/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/snapshot/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static struct nunchi_error *exists(const struct output *output)
{
	struct nunchi_error *err = error_create(NUNCHI_ERROR_ARGUMENT, "%s exists", output->path);
	struct stat st;

	if (!lstat(output->path, &st) && !S_ISREG(st.st_mode))
		return error_hint(err, "a snapshot is written to a new file: give a name that does "
				       "not exist yet");
	return error_hint(err, "remove it, or give another name");
}

static struct nunchi_error *failed(const struct output *output, int errnum, const char *what)
{
	struct nunchi_error *err = error_create_errno(errnum, "%s: %s", output->path, what);
	struct statvfs fs;

	if (errnum == ENOSPC || errnum == EDQUOT) {
		if (errnum == ENOSPC && !fstatvfs(output->directory, &fs))
			return error_hint(err,
					  "that file system has %" PRIu64 " MiB left; make room or "
					  "write elsewhere (nothing was kept)",
					  (uint64_t)fs.f_bavail * fs.f_frsize >> 20);
		return error_hint(err, "make room or write elsewhere (nothing was kept)");
	}
	if (errnum == EACCES || errnum == EPERM || errnum == EROFS)
		return error_hint(err, "choose a directory in which you may create files");
	if (errnum == EFBIG)
		return error_hint(err, "that file system or a limit (ulimit -f) refuses files of "
				       "that size; write elsewhere (nothing was kept)");
	return err;
}

/* Opens the directory of path, and stores the file's name in it. */
static struct nunchi_error *open_directory(const char *path, struct output *output)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *directory = NULL;

	output->path = strdup(path);
	output->name = strdup(slash ? slash + 1 : path);
	if (!slash)
		directory = strdup(".");
	else
		directory = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (!output->path || !output->name || !directory)
		return &error_nomem;
	if (!*output->name)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s is a directory, not a file name",
				    path);
	output->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (output->directory < 0)
		return error_hint(
		    error_create_errno(errno, "%s: the directory cannot be opened", directory),
		    "make the directory first, or write elsewhere");
	return NULL;
}

/*
 * Creates the file under a temporary name, for file systems without O_TMPFILE; it is removed if the
 * snapshot fails.
 */
static int open_named(struct output *output)
{
	for (unsigned attempt = 0; attempt < 100; attempt++) {
		char *name;
		int fd;

		if (asprintf(&name, ".nunchi-%d-%u", (int)getpid(), attempt) < 0) {
			errno = ENOMEM;
			return -1;
		}
		fd = openat(output->directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0) {
			output->temporary = name;
			return fd;
		}
		free(name);
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}

struct nunchi_error *output_create(const char *path, struct output *ret)
{
	_cleanup_output_ struct output output = {.fd = -1, .directory = -1};
	struct nunchi_error *err = open_directory(path, &output);
	struct stat st;

	if (err)
		return err;
	if (!fstatat(output.directory, output.name, &st, AT_SYMLINK_NOFOLLOW))
		return exists(&output);
	output.fd = openat(output.directory, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (output.fd < 0)
		output.fd = open_named(&output);
	if (output.fd < 0)
		return failed(&output, errno, "cannot be made");
	*ret = output;
	output = (struct output){.fd = -1, .directory = -1};
	return NULL;
}

void output_deinit(struct output *output)
{
	if (output->temporary && !output->commit)
		unlinkat(output->directory, output->temporary, 0);
	if (output->fd >= 0)
		close(output->fd);
	if (output->directory >= 0)
		close(output->directory);
	free(output->temporary);
	free(output->path);
	free(output->name);
	*output = (struct output){.fd = -1, .directory = -1};
}

struct nunchi_error *output_write(struct output *output, uint64_t offset, const void *bytes,
				  size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(output->fd, (const char *)bytes + done, size - done,
				   (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(output, n ? errno : EIO, "cannot be written");
		done += (size_t)n;
	}
	return NULL;
}

/* Gives the file its name; never replaces another file. */
static int give_name(struct output *output)
{
	char link[64];

	if (!output->temporary) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", output->fd);
		return linkat(AT_FDCWD, link, output->directory, output->name, AT_SYMLINK_FOLLOW);
	}
	if (!renameat2(output->directory, output->temporary, output->directory, output->name,
		       RENAME_NOREPLACE)) {
		free(output->temporary);
		output->temporary = NULL;
		return 0;
	}
	/* A file system that does not support the flag may support hard links. */
	if (errno != EINVAL)
		return -1;
	return linkat(output->directory, output->temporary, output->directory, output->name, 0);
}

struct nunchi_error *output_finish(struct output *output, uint64_t size)
{
	if (size > INT64_MAX || ftruncate(output->fd, (off_t)size))
		return failed(output, size > INT64_MAX ? EFBIG : errno, "cannot be sized");
	if (fsync(output->fd))
		return failed(output, errno, "cannot be synced to the disk");
	return output->commit ? output->commit(output->data) : output_commit(output);
}

struct nunchi_error *output_commit(struct output *output)
{
	if (give_name(output))
		return errno == EEXIST ? exists(output)
				       : failed(output, errno, "cannot be given its name");
	/*
	 * The file has its name now. If fsync() fails, only a crash of the host may lose the name.
	 */
	(void)fsync(output->directory);
	return NULL;
}
