/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files that extract makes. The process that reads the guest may not make files, so a process
 * that was forked before makes them. It believes nothing that it is told: every name is looked at,
 * and nothing outside of its directory is reached.
 */
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME_MOST     8192
#define MANIFEST      "manifest.jsonl"
#define MANIFEST_PART MANIFEST ".part"

struct record {
	uint32_t kind, size;
	uint64_t at;
};

/* ---- The process that makes files ------------------------------------------------------------ */

struct maker {
	int fd, directory, manifest;
	int file;           /* -1: none */
	int parent;         /* the directory that it is in */
	char name[256];     /* its name there */
	int error;          /* errno of what failed for this file first; 0: nothing */
	int manifest_error; /* the same for the manifest */
	bool manifest_begun;
	char bytes[EXTRACT_CHUNK + 1];
};

static bool read_full(int fd, void *buffer, size_t size)
{
	char *to = buffer;

	while (size) {
		ssize_t got = read(fd, to, size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		size -= (size_t)got;
	}
	return true;
}

static bool write_full(int fd, const void *buffer, size_t size)
{
	const char *from = buffer;

	while (size) {
		ssize_t written = write(fd, from, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		from += written;
		size -= (size_t)written;
	}
	return true;
}

/* Whether it is the name of one file in one directory, without control characters. */
static bool is_name(const char *name)
{
	for (const char *at = name; *at; at++) {
		if (*at == '/' || (unsigned char)*at < ' ' || *at == 0x7f)
			return false;
	}
	return *name && strcmp(name, ".") && strcmp(name, "..");
}

/*
 * Opens the directory that a new file is to be in, and makes it and those above it. No link is
 * followed, and there is none unless somebody else made it. Leaves the file's name in *name; -1
 * with errno.
 */
static int open_parent(int top, char **name)
{
	int directory = fcntl(top, F_DUPFD_CLOEXEC, 3);
	char *slash;

	for (; directory >= 0 && (slash = strchr(*name, '/')); *name = slash + 1) {
		int next = -1, error = EINVAL;

		*slash = '\0';
		if (is_name(*name)) {
			(void)mkdirat(directory, *name, 0700);
			next = openat(directory, *name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			error = errno;
		}
		close(directory);
		directory = next;
		errno = error;
	}
	return directory;
}

static void forget_file(struct maker *maker)
{
	if (maker->file >= 0)
		close(maker->file);
	if (maker->parent >= 0)
		close(maker->parent);
	maker->file = maker->parent = -1;
}

/* Removes a file that did not become whole. */
static void remove_file(struct maker *maker)
{
	if (maker->file >= 0)
		unlinkat(maker->parent, maker->name, 0);
	forget_file(maker);
}

static void begin_file(struct maker *maker, size_t size)
{
	char *name = maker->bytes;

	remove_file(maker);
	maker->bytes[size] = '\0';
	maker->error = 0;
	errno = EINVAL;
	if (strlen(maker->bytes) == size)
		maker->parent = open_parent(maker->directory, &name);
	if (maker->parent >= 0) {
		errno = strlen(name) < sizeof(maker->name) ? EINVAL : ENAMETOOLONG;
		if (errno == EINVAL && is_name(name)) {
			snprintf(maker->name, sizeof(maker->name), "%s", name);
			maker->file =
			    openat(maker->parent, name,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		}
	}
	if (maker->file < 0)
		maker->error = errno;
}

static void put_bytes(struct maker *maker, uint64_t at, size_t size)
{
	size_t done = 0;

	while (!maker->error && done < size) {
		ssize_t written =
		    pwrite(maker->file, maker->bytes + done, size - done, (off_t)(at + done));

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			maker->error = written ? errno : EIO;
		else
			done += (size_t)written;
	}
}

static void end_file(struct maker *maker, uint64_t size)
{
	if (!maker->error && (size > INT64_MAX || ftruncate(maker->file, (off_t)size)))
		maker->error = size > INT64_MAX ? EFBIG : errno;
	if (maker->file >= 0 && (!maker->error || maker->error == EFBIG)) {
		if (close(maker->file) && !maker->error)
			maker->error = errno;
		maker->file = -1;
		if (maker->error && maker->error != EFBIG)
			unlinkat(maker->parent, maker->name, 0);
	}
	remove_file(maker);
}

static void put_manifest(struct maker *maker, size_t size)
{
	maker->manifest_begun = true;
	if (!maker->manifest_error && !write_full(maker->manifest, maker->bytes, size))
		maker->manifest_error = errno ? errno : EIO;
}

static void finish(struct maker *maker)
{
	maker->error = maker->manifest_error;
	maker->manifest_begun = true;
	if (!maker->error && (fsync(maker->manifest) || renameat(maker->directory, MANIFEST_PART,
								 maker->directory, MANIFEST)))
		maker->error = errno;
}

static bool take(struct maker *maker, const struct record *record)
{
	int32_t answer;

	switch (record->kind) {
	case EXTRACT_FILE:
		if (record->size > NAME_MOST)
			return false;
		begin_file(maker, record->size);
		break;
	case EXTRACT_DATA:
		if (maker->file < 0 && !maker->error)
			return false;
		put_bytes(maker, record->at, record->size);
		return true;
	case EXTRACT_END:
		if (maker->file < 0 && !maker->error)
			return false;
		end_file(maker, record->at);
		break;
	case EXTRACT_MANIFEST:
		put_manifest(maker, record->size);
		return true;
	case EXTRACT_DONE:
		finish(maker);
		break;
	case EXTRACT_END_ALL:
	default:
		return false;
	}
	answer = maker->error;
	return write_full(maker->fd, &answer, sizeof(answer));
}

/* Ends when the other process does, or sends what it should not. */
static void make_files(struct maker *maker)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ};
	struct record record;

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	while (read_full(maker->fd, &record, sizeof(record)) && record.size <= EXTRACT_CHUNK &&
	       read_full(maker->fd, maker->bytes, record.size) && take(maker, &record))
		;
	remove_file(maker);
	if (!maker->manifest_begun)
		unlinkat(maker->directory, MANIFEST_PART, 0);
}

/* ---- The process that reads the guest -------------------------------------------------------- */

/* 0: the directory is empty; else an errno. */
static int check_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	size_t count = 0;

	if (!list) {
		int error = errno;

		if (copy >= 0)
			close(copy);
		return error;
	}
	while (count < 3 && readdir(list))
		count++;
	closedir(list);
	return count < 3 ? 0 : ENOTEMPTY;
}

/* Makes the directory, or takes one that is empty. */
static int open_directory(struct cli *cli, const char *path, int *ret)
{
	struct stat st;
	int fd, error;

	if (mkdir(path, 0700) && errno != EEXIST)
		return cli_fail_with(cli, "cannot make %s: %s", path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cli_fail_with(cli, "cannot open %s: %s", path, strerror(errno));
	/* Others could exchange what is in it. */
	if (fstat(fd, &st) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH)) {
		close(fd);
		return cli_fail_with(cli, "%s belongs to another user, or others may write to it",
				     path);
	}
	error = check_empty(fd);
	if (error) {
		close(fd);
		return error == ENOTEMPTY
			   ? cli_fail_with(cli, "%s is not empty", path)
			   : cli_fail_with(cli, "cannot read %s: %s", path, strerror(error));
	}
	*ret = fd;
	return CLI_DONE;
}

/* The new process; does not return. */
static void be_maker(int fd, int directory, int manifest)
{
	static struct maker maker;

	maker = (struct maker){
	    .fd = fd, .directory = directory, .manifest = manifest, .file = -1, .parent = -1};
	make_files(&maker);
	_exit(0);
}

int extract_start(struct cli *cli, const char *path, struct extract_files *files)
{
	int pair[2], manifest, directory = -1, status = open_directory(cli, path, &directory);

	if (status)
		return status;
	manifest = openat(directory, MANIFEST_PART, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (manifest < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		status = cli_fail_with(cli, "cannot make files in %s: %s", path, strerror(errno));
		if (manifest >= 0)
			close(manifest);
		close(directory);
		return status;
	}
	/* What the context has is not for the other process. */
	cli_close_context(cli);
	files->pid = fork();
	if (!files->pid) {
		close(pair[0]);
		be_maker(pair[1], directory, manifest);
	}
	if (files->pid < 0)
		status = cli_fail_with(cli, "cannot start a process: %s", strerror(errno));
	close(pair[1]);
	close(manifest);
	close(directory);
	files->fd = pair[0];
	return status ? status : cli_open_context(cli);
}

bool extract_send(struct extract_files *files, enum extract_kind kind, uint64_t at,
		  const void *bytes, size_t size)
{
	const struct record record = {kind, (uint32_t)size, at};

	return write_full(files->fd, &record, sizeof(record)) && write_full(files->fd, bytes, size);
}

int extract_answer(struct extract_files *files)
{
	int32_t answer;

	return read_full(files->fd, &answer, sizeof(answer)) ? answer : -1;
}

void extract_end(struct extract_files *files)
{
	int status;

	if (files->pid <= 0)
		return;
	/* Other processes of ours, that were forked since, may keep the socket open. */
	extract_send(files, EXTRACT_END_ALL, 0, "", 0);
	close(files->fd);
	while (waitpid(files->pid, &status, 0) < 0 && errno == EINTR)
		;
	files->pid = 0;
}
