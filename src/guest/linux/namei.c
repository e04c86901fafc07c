/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/namei.h"

#include "guest/linux/cache.h"
#include "guest/linux/children.h"
#include "guest/linux/mounts.h"
#include "guest/linux/overlay.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_LINKS   40                  /* MAXSYMLINKS of include/linux/namei.h */
#define S_ENCRYPTED ((uint64_t)1 << 14) /* include/linux/fs.h */
#define MAX_STACKED 1024 /* mounts on top of each other, or one within the root of the other */

struct lookup {
	struct linux_kernel *kernel;
	struct linux_path root;
	struct linux_found at;
	unsigned links;
	uint64_t examined; /* names, in all directories */
	/* The path that is left, at the end of the text; it grows to the front by a link's target.
	 */
	size_t start;
	char text[LINUX_PATH_MAX];
};

static struct nunchi_error *unread(const struct lookup *lookup, const char *what,
				   enum read_result why)
{
	if (cancel_requested(lookup->kernel->guest.cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	if (why == READ_NO_MEMORY)
		return &error_nomem;
	return error_create(NUNCHI_ERROR_FAULT, "%s cannot be read: %s", what,
			    read_result_string(why));
}

/* Puts a text of the path's form before the path that is left. */
static bool put_before(struct lookup *lookup, const char *text, size_t size)
{
	bool more = lookup->start < sizeof(lookup->text);

	if (size + more > lookup->start)
		return false;
	if (more)
		lookup->text[--lookup->start] = '/';
	lookup->start -= size;
	memcpy(lookup->text + lookup->start, text, size);
	return true;
}

/* Takes the next name of the path that is left; false at the end. */
static bool next_name(struct lookup *lookup, const char **ret, size_t *ret_size)
{
	while (lookup->start < sizeof(lookup->text) && lookup->text[lookup->start] == '/')
		lookup->start++;
	*ret = lookup->text + lookup->start;
	while (lookup->start < sizeof(lookup->text) && lookup->text[lookup->start] != '/')
		lookup->start++;
	*ret_size = (size_t)(lookup->text + lookup->start - *ret);
	return *ret_size;
}

/* Finds the mount that lies on a place; 0 if there is none. */
static enum read_result find_mount(struct linux_kernel *kernel, const struct linux_path *at,
				   uint64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t below = at->mnt - layout->mount_vfsmount.offset;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_list walk;
	uint64_t node, mountpoint;

	*ret = 0;
	linux_list_init(&walk, kernel, below + layout->mount_mounts.offset, LINUX_MAX_MOUNTS,
			&seen);
	while (linux_list_next(&walk, &node)) {
		uint64_t mount = node - layout->mount_child.offset;
		enum read_result result =
		    linux_read_field(kernel, mount, &layout->mount_mountpoint, &mountpoint);

		if (result != READ_OK)
			return result;
		if (mountpoint == at->dentry) {
			*ret = mount;
			return READ_OK;
		}
	}
	return walk.broken;
}

enum read_result linux_mounts_on(struct linux_kernel *kernel, uint64_t mnt, struct hash_map *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t below = mnt - layout->mount_vfsmount.offset;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_list walk;
	uint64_t node, mountpoint;

	hash_map_clear(ret);
	linux_list_init(&walk, kernel, below + layout->mount_mounts.offset, LINUX_MAX_MOUNTS,
			&seen);
	while (linux_list_next(&walk, &node)) {
		uint64_t mount = node - layout->mount_child.offset;
		enum read_result result =
		    linux_read_field(kernel, mount, &layout->mount_mountpoint, &mountpoint);

		if (result != READ_OK)
			return result;
		if (hash_map_insert(ret, mountpoint, mount) == HASH_NOMEM)
			return READ_NO_MEMORY;
	}
	return walk.broken;
}

enum read_result linux_enter_mounts(struct linux_kernel *kernel, struct linux_path *at)
{
	const struct layout *layout = &kernel->layout;
	enum read_result result;
	uint64_t mount;

	for (unsigned i = 0; i < MAX_STACKED; i++) {
		result = find_mount(kernel, at, &mount);
		if (result != READ_OK || !mount)
			return result;
		at->mnt = mount + layout->mount_vfsmount.offset;
		result = linux_read_field(kernel, mount, &layout->mount_root, &at->dentry);
		if (result != READ_OK)
			return result;
	}
	return READ_BAD_DATA;
}

/* Goes on to the parent directory, out of mounts, but never out of the root. */
static enum read_result leave(struct lookup *lookup, struct linux_path *at)
{
	struct linux_kernel *kernel = lookup->kernel;
	const struct layout *layout = &kernel->layout;
	enum read_result result;

	for (unsigned i = 0; i < MAX_STACKED; i++) {
		uint64_t mount = at->mnt - layout->mount_vfsmount.offset, top, parent;

		if (at->mnt == lookup->root.mnt && at->dentry == lookup->root.dentry)
			return READ_OK;
		result = linux_read_field(kernel, mount, &layout->mount_root, &top);
		if (result == READ_OK && top != at->dentry) {
			result = linux_read_field(kernel, at->dentry, &layout->dentry_parent,
						  &at->dentry);
			return result == READ_OK ? linux_enter_mounts(kernel, at) : result;
		}
		if (result == READ_OK)
			result = linux_read_field(kernel, mount, &layout->mount_parent, &parent);
		if (result != READ_OK || parent == mount)
			return result;
		at->mnt = parent + layout->mount_vfsmount.offset;
		result = linux_read_field(kernel, mount, &layout->mount_mountpoint, &at->dentry);
		if (result != READ_OK)
			return result;
	}
	return READ_BAD_DATA;
}

/* Reads the inode of the place, which is where the path leads so far. */
static struct nunchi_error *arrive(struct lookup *lookup, struct linux_path path)
{
	struct linux_kernel *kernel = lookup->kernel;
	const struct layout *layout = &kernel->layout;
	struct linux_found at = {.path = path};
	enum read_result result;

	result = linux_read_field(kernel, path.dentry, &layout->dentry_inode, &at.inode);
	if (result == READ_OK)
		result = linux_read_field(kernel, at.inode, &layout->inode_mode, &at.mode);
	if (result != READ_OK)
		return unread(lookup, "an inode", result);
	lookup->at = at;
	return NULL;
}

/* Whether the directory is of proc or sysfs, which make their files when they are read. */
static bool is_made_when_read(const struct lookup *lookup)
{
	static const char *const made[] = {"proc", "sysfs"};
	const struct layout *layout = linux_layout(lookup->kernel, LAYOUT_GROUP_cache);
	char name[LINUX_FS_NAME];
	uint64_t super, flags;
	size_t size;

	if (linux_read_field(lookup->kernel, lookup->at.inode, &layout->content_sb, &super) !=
		READ_OK ||
	    linux_file_system(lookup->kernel, super, name, &size, &flags) != READ_OK)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		if (size == strlen(made[i]) && !memcmp(name, made[i], size))
			return true;
	return false;
}

static struct nunchi_error *not_cached(const struct lookup *lookup, const char *name, size_t size)
{
	struct nunchi_error *err = error_create(NUNCHI_ERROR_NOT_FOUND,
						"the name \"%.*s\" is not cached", (int)size, name);

	if (is_made_when_read(lookup))
		return error_hint(err, "files of proc and sysfs are made when they are read, and "
				       "their bytes are never in memory");
	return error_hint(err,
			  "the guest's kernel keeps in memory the names that were used lately, and "
			  "those of a tmpfs; others may exist");
}

/* Finds a name in the directory where the path leads so far. */
static struct nunchi_error *find_name(struct lookup *lookup, const char *name, size_t size,
				      struct linux_path *ret)
{
	struct linux_children walk;
	struct nunchi_error *err =
	    linux_children_init(&walk, lookup->kernel, lookup->at.path.dentry);
	bool found = false;

	while (!err && !found && linux_children_next(&walk)) {
		found = walk.name_size == size && !memcmp(walk.name, name, size);
		if (lookup->examined++ == LINUX_MAX_CHILDREN)
			walk.broken = READ_LIMIT;
	}
	if (found)
		*ret = (struct linux_path){lookup->at.path.mnt, walk.dentry.address};
	else if (!err)
		err = walk.broken || cancel_requested(lookup->kernel->guest.cancel)
			  ? unread(lookup, "the names in a directory", walk.broken)
			  : not_cached(lookup, name, size);
	linux_children_deinit(&walk);
	return err;
}

/* Reads the target that is in the page cache, because it is long. */
static enum read_result read_long_link(struct linux_cache *cache, char target[LINUX_PATH_MAX],
				       size_t *ret)
{
	enum read_result result;
	gpa_t place;

	if (cache->size >= LINUX_PATH_MAX)
		return READ_BAD_DATA;
	result = linux_cache_page(cache, 0, &place);
	if (result == READ_OK)
		result = read_result_of(memory_read(cache->kernel->guest.memory, place, target,
						    (size_t)cache->size, NULL));
	*ret = (size_t)cache->size;
	return result;
}

struct nunchi_error *linux_read_link(struct linux_kernel *kernel, uint64_t inode,
				     char target[LINUX_PATH_MAX], size_t *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_cache);
	struct nunchi_error *err = linux_real_inode(kernel, inode, &inode);
	struct linux_cache cache;
	uint64_t flags, link;
	enum read_result result;

	if (err)
		return err;
	result = linux_read_field(kernel, inode, &layout->content_flags, &flags);
	if (result == READ_OK)
		result = linux_read_field(kernel, inode, &layout->content_link, &link);
	if (result == READ_OK && flags & S_ENCRYPTED)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the target of a symbolic link is encrypted");
	if (result == READ_OK && link) {
		result = linux_read_string(kernel, link, target, LINUX_PATH_MAX, ret);
	} else if (result == READ_OK) {
		err = linux_cache_init(&cache, kernel, inode, S_IFLNK);
		if (!err)
			result = read_long_link(&cache, target, ret);
		linux_cache_deinit(&cache);
	}
	/* ext4_get_link() of fs/ext4/symlink.c, since 5.19 */
	if (!err && result == READ_PAGED_OUT)
		err =
		    error_create(NUNCHI_ERROR_FAULT,
				 "the link's own page cache lacks it (ext4 keeps a long target in "
				 "that of the disk)");
	else if (!err && result != READ_OK)
		err = error_create(NUNCHI_ERROR_FAULT, "%s", read_result_string(result));
	return err ? error_context(err, "the target of a symbolic link cannot be read") : NULL;
}

/* Takes the target of the link where the path leads as the next part of the path. */
static struct nunchi_error *follow_link(struct lookup *lookup, struct linux_path directory)
{
	char target[LINUX_PATH_MAX];
	struct nunchi_error *err;
	size_t size;

	if (lookup->links++ == MAX_LINKS)
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "the path leads through more than %d symbolic links",
				    MAX_LINKS);
	err = linux_read_link(lookup->kernel, lookup->at.inode, target, &size);
	if (err)
		return err;
	if (!size || !put_before(lookup, target, size))
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "the target of a symbolic link is empty, or too long");
	return arrive(lookup, target[0] == '/' ? lookup->root : directory);
}

static struct nunchi_error *step(struct lookup *lookup, const char *name, size_t size, bool follow)
{
	struct linux_path directory = lookup->at.path, next = directory;
	bool is_last = lookup->start == sizeof(lookup->text);
	enum read_result result = READ_OK;
	struct nunchi_error *err = NULL;

	if (!S_ISDIR(lookup->at.mode))
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "what is before \"%.*s\" is not a directory", (int)size, name);
	if (size == 1 && name[0] == '.')
		return NULL;
	if (size == 2 && name[0] == '.' && name[1] == '.') {
		result = leave(lookup, &next);
	} else {
		err = find_name(lookup, name, size, &next);
		if (!err)
			result = linux_enter_mounts(lookup->kernel, &next);
	}
	if (result != READ_OK)
		err = unread(lookup, "the mounts", result);
	if (!err)
		err = arrive(lookup, next);
	if (!err && S_ISLNK(lookup->at.mode) && (follow || !is_last))
		err = follow_link(lookup, directory);
	return err;
}

struct nunchi_error *linux_find_file(struct linux_kernel *kernel, const struct linux_path *root,
				     const char *path, bool follow, struct linux_found *ret)
{
	struct lookup lookup = {.kernel = kernel, .root = *root, .start = LINUX_PATH_MAX};
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_path);
	size_t size = strlen(path);
	struct nunchi_error *err;
	const char *name;

	if (path[0] != '/')
		return error_create(NUNCHI_ERROR_ARGUMENT, "the path does not begin with /");
	if (size > LINUX_PATH_MAX || !put_before(&lookup, path, size))
		return error_create(NUNCHI_ERROR_ARGUMENT, "the path is longer than %d bytes",
				    LINUX_PATH_MAX);
	if (!layout->mount_vfsmount.present || !layout->mount_mounts.present ||
	    !layout->mount_child.present || !layout->mount_mountpoint.present ||
	    !layout->mount_parent.present || !layout->mount_root.present ||
	    !layout->inode_mode.present)
		return linux_lacks_fields("paths cannot be followed", "a field of mount or inode");
	err = arrive(&lookup, *root);
	while (!err && next_name(&lookup, &name, &size))
		err = step(&lookup, name, size, follow);
	if (err)
		return err;
	*ret = lookup.at;
	return NULL;
}
