/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/root.h"

#include "core/array.h"
#include "core/io.h"
#include "doctor/facts/inside.h"
#include "doctor/words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static void closedir_or_null(DIR *dir)
{
	if (dir)
		closedir(dir);
}

DEFINE_CLEANUP(DIR, closedir_or_null)

struct nunchi_error *root_init(const char *path, struct root *ret)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat here, system;
	char *copy;

	if (fd < 0 || fstat(fd, &here) || stat("/", &system))
		return error_create_errno(errno, _("cannot open the root %s"), path);
	copy = strdup(path);
	if (!copy)
		return &error_nomem;
	*ret = (struct root){
	    .fd = no_cleanup_fd(fd),
	    .path = copy,
	    .is_system = here.st_dev == system.st_dev && here.st_ino == system.st_ino,
	};
	return NULL;
}

void root_deinit(struct root *root)
{
	if (!root->path)
		return;
	close(root->fd);
	free(root->path);
	*root = (struct root){.fd = -1};
}

int root_open(const struct root *root, const char *path, int flags)
{
	return open_inside(root->fd, path, flags);
}

/* What to put before a path of the root to show it to the user. */
static const char *above(const struct root *root)
{
	return root->is_system ? "" : root->path;
}

char *root_name(const struct root *root, const char *path)
{
	char *name;

	if (asprintf(&name, "%s%s", above(root), path) < 0)
		return NULL;
	return name;
}

/* Adds what to do if permission is missing. */
static struct nunchi_error *advise(struct nunchi_error *err)
{
	int errnum = nunchi_error_errno(err);

	return errnum == EACCES || errnum == EPERM ? error_hint(err, _("run it as root (sudo)"))
						   : err;
}

struct parent {
	int fd;
	const char *name; /* the last part, within the path */
};

/* Opens the directory that the path's last part is in. */
static struct nunchi_error *open_parent(const struct root *root, const char *path,
					struct parent *ret)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *directory = NULL;
	int fd;

	if (!slash || path[0] != '/' || !slash[1])
		return error_create(NUNCHI_ERROR_ARGUMENT, _("%s is no path of a file"), path);
	directory = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!directory)
		return &error_nomem;
	fd = root_open(root, directory, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return advise(
		    error_create_errno(errno, _("cannot open %s%s"), above(root), directory));
	*ret = (struct parent){.fd = fd, .name = slash + 1};
	return NULL;
}

/* The name is always the same, so that what a killed run left is found and replaced. */
static char *temporary_name(const char *name)
{
	char *temporary;

	if (asprintf(&temporary, ".%s.nunchi-new", name) < 0)
		return NULL;
	return temporary;
}

/* ---- Reading --------------------------------------------------------------------------------- */

int root_open_file(const struct root *root, const char *path)
{
	/* A fifo or a terminal must not keep us waiting. */
	_cleanup_close_ int fd = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		return -1;
	}
	return no_cleanup_fd(fd);
}

int root_load(const struct root *root, const char *path, struct buffer *ret, bool *ret_cut)
{
	_cleanup_close_ int fd = root_open_file(root, path);
	int result;

	if (fd < 0)
		return errno;
	result = io_read_all(fd, ret);
	*ret_cut = result == -EFBIG;
	return *ret_cut ? 0 : -result;
}

int root_link(const struct root *root, const char *path, struct buffer *ret)
{
	_cleanup_close_ int fd = root_open(root, path, O_PATH | O_NOFOLLOW);
	char target[PATH_MAX];
	ssize_t size = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target));

	if (size < 0)
		return errno;
	return buffer_append(ret, target, (size_t)size) ? 0 : ENOMEM;
}

int root_modified(const struct root *root, const char *path, int64_t *ret)
{
	_cleanup_close_ int fd = root_open(root, path, O_PATH);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return errno;
	*ret = st.st_mtime;
	return 0;
}

struct nunchi_error *root_read(const struct root *root, const char *path, struct buffer *ret,
			       bool *ret_exists)
{
	bool cut;
	int errnum;

	buffer_deinit(ret);
	buffer_init(ret, ROOT_FILE_MAX);
	errnum = root_load(root, path, ret, &cut);
	*ret_exists = errnum != ENOENT && errnum != ENOTDIR;
	if (!*ret_exists)
		return NULL;
	if (errnum == EISDIR || errnum == EINVAL)
		return error_create(NUNCHI_ERROR_DATA, _("%s is not a regular file"), path);
	if (errnum)
		return advise(error_create_errno(errnum, _("cannot read %s%s"), above(root), path));
	if (cut)
		return error_create(NUNCHI_ERROR_DATA, _("%s is larger than %zu MiB"), path,
				    ROOT_FILE_MAX >> 20);
	/* An empty file, too, has a text that ends with NUL. */
	return buffer_append(ret, "", 0) ? NULL : &error_nomem;
}

bool root_stat(const struct root *root, const char *path, struct stat *ret)
{
	_cleanup_close_ int fd = root_open(root, path, O_PATH | O_NOFOLLOW);

	return fd >= 0 && !fstat(fd, ret);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *dir, struct root_names *names, bool *ret_cut)
{
	struct dirent *entry;
	size_t capacity = 0;

	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		*ret_cut = names->count == ROOT_NAMES_MAX;
		if (*ret_cut)
			return 0;
		if (!ARRAY_RESERVE(names->names, names->count, capacity, 1))
			return ENOMEM;
		names->names[names->count] = strdup(entry->d_name);
		if (!names->names[names->count++])
			return ENOMEM;
	}
	return 0;
}

int root_names(const struct root *root, const char *path, struct root_names *ret, bool *ret_cut)
{
	_cleanup_root_names_ struct root_names names = {0};
	_cleanup_close_ int fd = root_open(root, path, O_RDONLY | O_DIRECTORY);
	_cleanup_(cleanup_closedir_or_null_p) DIR *dir = NULL;
	int errnum;

	*ret_cut = false;
	if (fd < 0)
		return errno;
	dir = fdopendir(fd);
	if (!dir)
		return ENOMEM;
	(void)no_cleanup_fd(fd); /* closedir() closes it */
	errnum = read_names(dir, &names, ret_cut);
	if (errnum)
		return errnum;
	if (names.count)
		qsort(names.names, names.count, sizeof(*names.names), compare_names);
	*ret = names;
	names = (struct root_names){0};
	return 0;
}

struct nunchi_error *root_list(const struct root *root, const char *path, struct root_names *ret)
{
	bool cut;
	int errnum = root_names(root, path, ret, &cut);

	if (errnum == ENOENT || errnum == ENOTDIR)
		*ret = (struct root_names){0};
	else if (errnum)
		return advise(error_create_errno(errnum, _("cannot open %s%s"), above(root), path));
	if (!cut)
		return NULL;
	root_names_deinit(ret);
	return error_create(NUNCHI_ERROR_DATA, _("%s has more than %d names"), path,
			    ROOT_NAMES_MAX);
}

void root_names_deinit(struct root_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->names[i]);
	free(names->names);
	*names = (struct root_names){0};
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Writes and syncs the temporary file, with what the file it is to replace has. */
static bool write_temporary(int parent, const char *temporary, const void *data, size_t size,
			    const struct stat *old, mode_t mode)
{
	_cleanup_close_ int fd = -1;

	unlinkat(parent, temporary, 0);
	fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	errno = -io_write_full(fd, data, size);
	if (errno)
		return false;
	if (old && fchown(fd, old->st_uid, old->st_gid))
		return false;
	return !fchmod(fd, old ? old->st_mode & 07777 : mode) && !fsync(fd);
}

struct nunchi_error *root_write(const struct root *root, const char *path, const void *data,
				size_t size, mode_t mode)
{
	struct nunchi_error *err = NULL;
	_cleanup_free_ char *temporary = NULL;
	struct parent parent;
	struct stat old;
	bool exists;

	err = open_parent(root, path, &parent);
	if (err)
		return err;
	exists = !fstatat(parent.fd, parent.name, &old, AT_SYMLINK_NOFOLLOW);
	temporary = temporary_name(parent.name);
	if (!temporary) {
		err = &error_nomem;
	} else if (exists && !S_ISREG(old.st_mode)) {
		err = error_create(NUNCHI_ERROR_UNSUPPORTED, _("%s is not a regular file"), path);
	} else if (!write_temporary(parent.fd, temporary, data, size, exists ? &old : NULL, mode) ||
		   renameat(parent.fd, temporary, parent.fd, parent.name) || fsync(parent.fd)) {
		err = advise(error_create_errno(errno, _("cannot write %s%s"), above(root), path));
		unlinkat(parent.fd, temporary, 0);
	}
	close(parent.fd);
	return err;
}

struct nunchi_error *root_overwrite(const struct root *root, const char *path, const void *data,
				    size_t size)
{
	_cleanup_close_ int fd =
	    root_open(root, path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return advise(error_create_errno(errno, _("cannot open %s%s"), above(root), path));
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)size)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, _("%s has another size"), path);
	errno = -io_write_full(fd, data, size);
	if (errno || fsync(fd))
		return advise(error_create_errno(errno, _("cannot write %s%s"), above(root), path));
	return NULL;
}

static struct nunchi_error *remove_names(const struct root *root, const char *path, bool file_too)
{
	_cleanup_free_ char *temporary = NULL;
	struct nunchi_error *err;
	struct parent parent;

	err = open_parent(root, path, &parent);
	if (err && nunchi_error_errno(err) == ENOENT) {
		nunchi_error_destroy(err);
		return NULL;
	}
	if (err)
		return err;
	temporary = temporary_name(parent.name);
	if (!temporary)
		err = &error_nomem;
	else if ((unlinkat(parent.fd, temporary, 0) && errno != ENOENT) ||
		 (file_too && unlinkat(parent.fd, parent.name, 0) && errno != ENOENT) ||
		 fsync(parent.fd))
		err = advise(error_create_errno(errno, _("cannot remove %s%s"), above(root), path));
	close(parent.fd);
	return err;
}

struct nunchi_error *root_clean(const struct root *root, const char *path)
{
	return remove_names(root, path, false);
}

struct nunchi_error *root_remove(const struct root *root, const char *path)
{
	return remove_names(root, path, true);
}

struct nunchi_error *root_make_directory(const struct root *root, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	struct nunchi_error *err = NULL;

	if (!copy)
		return &error_nomem;
	for (char *slash = copy; slash && !err;) {
		struct parent parent;

		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = 0;
		err = open_parent(root, copy, &parent);
		if (err)
			break;
		if (mkdirat(parent.fd, parent.name, 0755) ? errno != EEXIST : fsync(parent.fd))
			err = advise(
			    error_create_errno(errno, _("cannot make %s%s"), above(root), copy));
		close(parent.fd);
		if (slash)
			*slash = '/';
	}
	return err;
}

struct nunchi_error *root_rename(const struct root *root, const char *from, const char *to)
{
	struct parent parent;
	struct nunchi_error *err;

	err = open_parent(root, from, &parent);
	if (err)
		return err;
	if (renameat(parent.fd, parent.name, parent.fd, strrchr(to, '/') + 1) || fsync(parent.fd))
		err = advise(error_create_errno(errno, _("cannot rename %s%s"), above(root), from));
	close(parent.fd);
	return err;
}

struct nunchi_error *root_remove_directory(const struct root *root, const char *path)
{
	_cleanup_root_names_ struct root_names names = {0};
	_cleanup_close_ int fd = root_open(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	struct nunchi_error *err;
	struct parent parent;

	if (fd < 0)
		return errno == ENOENT ? NULL
				       : advise(error_create_errno(errno, _("cannot open %s%s"),
								   above(root), path));
	err = root_list(root, path, &names);
	for (size_t i = 0; i < names.count && !err; i++)
		if (unlinkat(fd, names.names[i], 0))
			err = advise(error_create_errno(errno, _("cannot remove what is in %s%s"),
							above(root), path));
	if (!err)
		err = open_parent(root, path, &parent);
	if (err)
		return err;
	if (unlinkat(parent.fd, parent.name, AT_REMOVEDIR) || fsync(parent.fd))
		err = advise(error_create_errno(errno, _("cannot remove %s%s"), above(root), path));
	close(parent.fd);
	return err;
}
