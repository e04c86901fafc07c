/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/own_program.h"
#include "core/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Finding --------------------------------------------------------------------------------- */

/* Finds the path of the program or library that contains this code. False if it is unknown. */
static bool find_own_file(char *ret, size_t size)
{
	struct link_map *map = NULL;
	Dl_info info;
	ssize_t length;

	if (!dladdr1((void *)(uintptr_t)own_program_open, &info, (void **)&map, RTLD_DL_LINKMAP) ||
	    !map)
		return false;
	if (map->l_name[0]) {
		length = snprintf(ret, size, "%s", map->l_name);
		return length > 0 && (size_t)length < size && ret[0] == '/';
	}
	/* The link map of the main program has an empty name. */
	length = readlink("/proc/self/exe", ret, size - 1);
	if (length <= 0)
		return false;
	ret[length] = '\0';
	return true;
}

/*
 * Whether everybody who could have written the file could also have written this code: root, the
 * user, the owner of the file that contains this code; and the group of both if it may write both.
 */
static bool is_trusted(const struct stat *file, const struct stat *own)
{
	if (!S_ISREG(file->st_mode) || (file->st_mode & 002))
		return false;
	if ((file->st_mode & 020) && !((own->st_mode & 020) && file->st_gid == own->st_gid))
		return false;
	return file->st_uid == 0 || file->st_uid == geteuid() || file->st_uid == own->st_uid;
}

/*
 * Opens the file if it is trusted. Returns 0 or an errno; EPERM: the file exists but is not
 * trusted.
 */
static int open_if_trusted(const char *path, const struct stat *own, int *ret)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return errno;
	if (!is_trusted(&st, own))
		return EPERM;
	*ret = no_cleanup_fd(fd);
	return 0;
}

struct nunchi_error *own_program_open_at(const struct own_program *program, const char *own,
					 const char *installed, char **ret_path, int *ret)
{
	char beside[PATH_MAX] = "", elsewhere[PATH_MAX] = "";
	const char *const paths[] = {beside, elsewhere};
	const char *distrusted = NULL, *unopened = NULL;
	int why = 0;
	struct stat st = {.st_uid = geteuid()};

	if (own && !stat(own, &st) &&
	    snprintf(beside, sizeof(beside), "%.*s%s", (int)(strrchr(own, '/') + 1 - own), own,
		     program->name) >= (int)sizeof(beside))
		beside[0] = '\0';
	if (snprintf(elsewhere, sizeof(elsewhere), "%s/%s", installed, program->name) >=
	    (int)sizeof(elsewhere))
		elsewhere[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int errnum = paths[i][0] ? open_if_trusted(paths[i], &st, ret) : ENOENT;
		char *copy;

		if (errnum == EPERM)
			distrusted = paths[i];
		else if (errnum && !unopened && errnum != ENOENT && errnum != ENOTDIR)
			unopened = paths[i], why = errnum;
		if (errnum)
			continue;
		copy = strdup(paths[i]);
		if (!copy) {
			close(*ret);
			return &error_nomem;
		}
		*ret_path = copy;
		return NULL;
	}
	if (distrusted)
		return error_hint(error_create(NUNCHI_ERROR_PERMISSION,
					       "%s is not started: it belongs to another user, or "
					       "others can write it",
					       distrusted),
				  "sudo chown root:root %s && sudo chmod 755 %s", distrusted,
				  distrusted);
	if (unopened)
		return error_create_errno(why, "the program %s cannot be opened", unopened);
	return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
				       "the program %s is not installed (looked for %s%s%s)",
				       program->name, beside, beside[0] ? " and " : "", elsewhere),
			  "%s", program->without);
}

struct nunchi_error *own_program_open(const struct own_program *program, char **ret_path, int *ret)
{
	char own[PATH_MAX];
	bool known = find_own_file(own, sizeof(own));

	return own_program_open_at(program, known ? own : NULL, NUNCHI_LIBEXEC, ret_path, ret);
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* Descriptors at numbers from OWN_PROGRAM_FD + OWN_PROGRAM_FDS on; -1: none. */
struct start {
	int null;
	int fds[OWN_PROGRAM_FDS];
	int program;
};

static void start_deinit(struct start *start)
{
	for (size_t i = 0; i < OWN_PROGRAM_FDS; i++) {
		if (start->fds[i] >= 0)
			close(start->fds[i]);
	}
	if (start->null >= 0)
		close(start->null);
	if (start->program >= 0)
		close(start->program);
}

/* Moves the descriptors to their numbers. All others are close-on-exec. Returns 0 or an errno. */
static int add_actions(posix_spawn_file_actions_t *actions, const struct start *start)
{
	int errnum = 0;

	for (int i = 0; i < OWN_PROGRAM_FD && !errnum; i++)
		errnum = posix_spawn_file_actions_adddup2(actions, start->null, i);
	for (int i = 0; i < OWN_PROGRAM_FDS && !errnum; i++) {
		if (start->fds[i] >= 0)
			errnum = posix_spawn_file_actions_adddup2(actions, start->fds[i],
								  OWN_PROGRAM_FD + i);
	}
	return errnum;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t all;
	int errnum;

	sigfillset(&all);
	errnum = posix_spawnattr_setsigmask(attributes, &all);
	if (!errnum)
		errnum = posix_spawnattr_setflags(attributes,
						  POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	return errnum;
}

/*
 * Executes the file that was checked, through its descriptor, because its path may name another
 * file by now. Returns 0 or an errno.
 */
static int spawn(const struct start *start, const char *const *arguments,
		 const char *const *environment, pid_t *ret)
{
	char path[64];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int errnum = posix_spawn_file_actions_init(&actions);

	if (errnum)
		return errnum;
	errnum = posix_spawnattr_init(&attributes);
	if (errnum) {
		posix_spawn_file_actions_destroy(&actions);
		return errnum;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", start->program);
	errnum = add_actions(&actions, start);
	if (!errnum)
		errnum = set_attributes(&attributes);
	if (!errnum)
		errnum = posix_spawn(ret, path, &actions, &attributes, (char *const *)arguments,
				     (char *const *)environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return errnum;
}

/*
 * Duplicates fd to a number behind those that are given, with close-on-exec, so that moving
 * descriptors to their numbers overwrites none of them; -1 with errno.
 */
static int copy_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, OWN_PROGRAM_FD + OWN_PROGRAM_FDS);
}

struct nunchi_error *own_program_start(const struct own_program *program, const int *fds,
				       size_t count, const char *const *arguments,
				       const char *const *environment, char **ret_path, pid_t *ret)
{
	_cleanup_(start_deinit) struct start start = {
	    .null = -1, .fds = {-1, -1, -1}, .program = -1};
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC), file = -1;
	struct nunchi_error *err = own_program_open(program, ret_path, &file);
	bool copied;
	int errnum;

	if (err)
		return err;
	if (null < 0)
		return error_create_errno(errno, "/dev/null");
	start.null = copy_fd(null);
	start.program = copy_fd(file);
	copied = start.null >= 0 && start.program >= 0;
	for (size_t i = 0; i < count && copied; i++) {
		if (fds[i] < 0)
			continue;
		start.fds[i] = copy_fd(fds[i]);
		copied = start.fds[i] >= 0;
	}
	if (!copied)
		return error_create_errno(errno, "cannot start %s", *ret_path);
	errnum = spawn(&start, arguments, environment, ret);
	if (errnum)
		return error_hint(error_create_errno(errnum, "cannot start %s", *ret_path),
				  "it must be executable, on a file system that is not mounted "
				  "noexec");
	return NULL;
}
