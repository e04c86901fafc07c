/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding the guard program, and checking that it may be started. */
#include "journal/guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAME "nunchi-guard"

/* Finds the path of the program or library that contains this code. False if it is unknown. */
static bool find_own_file(char *ret, size_t size)
{
	struct link_map *map = NULL;
	Dl_info info;
	ssize_t length;

	if (!dladdr1((void *)(uintptr_t)guard_program_open, &info, (void **)&map,
		     RTLD_DL_LINKMAP) ||
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

struct nunchi_error *guard_program_open_at(const char *own, const char *installed, char **ret_path,
					   int *ret)
{
	char beside[PATH_MAX + sizeof(NAME)] = "";
	const char *const paths[] = {beside, installed};
	const char *distrusted = NULL;
	struct stat st = {.st_uid = geteuid()};

	if (own && !stat(own, &st))
		snprintf(beside, sizeof(beside), "%.*s" NAME, (int)(strrchr(own, '/') + 1 - own),
			 own);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int errnum = paths[i][0] ? open_if_trusted(paths[i], &st, ret) : ENOENT;
		char *copy;

		if (errnum == EPERM)
			distrusted = paths[i];
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
	return error_hint(
	    error_create(NUNCHI_ERROR_UNSUPPORTED,
			 "the program " NAME " is not installed (looked for %s%s%s)", beside,
			 beside[0] ? " and " : "", installed),
	    "install all of nunchi: without this program the guest could stay paused after nunchi "
	    "has died, so nunchi does not pause it; --pause never works without it");
}

struct nunchi_error *guard_program_open(char **ret_path, int *ret)
{
	char own[PATH_MAX];
	bool known = find_own_file(own, sizeof(own));

	return guard_program_open_at(known ? own : NULL, NUNCHI_LIBEXEC "/" NAME, ret_path, ret);
}
