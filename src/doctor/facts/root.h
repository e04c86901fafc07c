/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of a system under a root directory: "/" or one like a container's. Facts, logs of the
 * host and the change to Xen read files through these functions and no others. Paths are absolute
 * in that root; symbolic links, ".." included, never lead out of it (inside.h). Writes are whole or
 * not at all: a temporary file beside the target is synced and renamed over it, and the directory
 * synced. The exception is root_overwrite().
 */
#ifndef NUNCHI_DOCTOR_FACTS_ROOT_H
#define NUNCHI_DOCTOR_FACTS_ROOT_H

#include "core/buffer.h"
#include "core/error.h"

#include <sys/stat.h>
#include <sys/types.h>

struct root {
	int fd;
	bool is_system; /* it is "/" */
	char *path;
};

/* The most bytes read of one file. */
#define ROOT_FILE_MAX ((size_t)16 << 20)
/* The most names of one directory. */
#define ROOT_NAMES_MAX 4096

struct nunchi_error *root_init(const char *path, struct root *ret);
void root_deinit(struct root *root);
#define _cleanup_root_ _cleanup_(root_deinit)

/* Opens a path with the flags of open(2); gives -1 with errno. The caller closes it. */
int root_open(const struct root *root, const char *path, int flags);
/* A path as the user knows it, with the root before it; to be freed, NULL without memory. */
char *root_name(const struct root *root, const char *path);

/* The same for reading a regular file, links followed; EISDIR or EINVAL for what is none. */
int root_open_file(const struct root *root, const char *path);

/*
 * What follows up to root_names() gives 0, or the errno that says why it could not be had (ENOENT,
 * EACCES …).
 *
 * Appends a regular file to ret, links followed; *ret_cut: it has more than ret's limit lets in.
 */
int root_load(const struct root *root, const char *path, struct buffer *ret, bool *ret_cut);
/* Appends where a symbolic link leads. */
int root_link(const struct root *root, const char *path, struct buffer *ret);
/* When the file was last changed, links followed: seconds since 1970. */
int root_modified(const struct root *root, const char *path, int64_t *ret);

/* Names of a directory, sorted by byte. */
struct root_names {
	char **names;
	size_t count;
};
/* *ret_cut: there are more than ROOT_NAMES_MAX, of which so many are given. */
int root_names(const struct root *root, const char *path, struct root_names *ret, bool *ret_cut);
void root_names_deinit(struct root_names *names);
#define _cleanup_root_names_ _cleanup_(root_names_deinit)

/*
 * The same with errors for the user. A file that is not there is no error: *ret_exists is false,
 * and ret empty. ret must be initialised. More than ROOT_FILE_MAX is an error.
 */
struct nunchi_error *root_read(const struct root *root, const char *path, struct buffer *ret,
			       bool *ret_exists);
/* A directory that is not there has no names; more than ROOT_NAMES_MAX are an error. */
struct nunchi_error *root_list(const struct root *root, const char *path, struct root_names *ret);
/* What the last part of the path is (lstat); false if there is nothing. */
bool root_stat(const struct root *root, const char *path, struct stat *ret);

/* ---- Writing --------------------------------------------------------------------------------- */

/*
 * Makes or replaces a file. A file that was there keeps its mode and owner; a new one gets mode.
 * Refuses to replace anything but a regular file.
 */
struct nunchi_error *root_write(const struct root *root, const char *path, const void *data,
				size_t size, mode_t mode);
/*
 * Writes into a file that has this size already, for a file system without room for a second one.
 * Whoever ends this process or the machine meanwhile may leave a part of each.
 */
struct nunchi_error *root_overwrite(const struct root *root, const char *path, const void *data,
				    size_t size);
/* Removes what a root_write() that was killed left beside the file. */
struct nunchi_error *root_clean(const struct root *root, const char *path);
/* The same, and removes the file. */
struct nunchi_error *root_remove(const struct root *root, const char *path);
/* Makes a directory, mode 0755, and those above it. */
struct nunchi_error *root_make_directory(const struct root *root, const char *path);
/* Renames within a directory; both paths have the same one. */
struct nunchi_error *root_rename(const struct root *root, const char *from, const char *to);
/* Removes a directory and the files in it; subdirectories are an error. */
struct nunchi_error *root_remove_directory(const struct root *root, const char *path);

#endif
