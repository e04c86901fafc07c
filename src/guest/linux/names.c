/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/names.h"

#include "core/array.h"
#include "guest/linux/children.h"
#include "guest/linux/overlay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A directory whose names are to be given. */
struct directory {
	struct linux_path place;
	char *path; /* path_size bytes; owned */
	size_t path_size;
	unsigned depth; /* how many levels below it are wanted */
};

struct names {
	struct linux_kernel *kernel;
	bool (*give)(const struct guest_name *name, void *data);
	void *data;
	bool ended; /* by give() */
	struct directory *directories;
	size_t count, capacity;
	size_t bytes; /* of their paths */
	uint64_t given;
	/* What is mounted on the file system of the last directory, and its vfsmount. */
	struct hash_map mounts;
	uint64_t mnt;
	struct object inode;
	struct buffer path;
	/* Directories whose names could not be read, and the first of them. */
	uint64_t broken;
	struct buffer broken_path;
	enum read_result broken_why;
};

static struct nunchi_error *check_layout(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_stat);

	if (layout->stat_ino.present && layout->stat_mode.present && layout->stat_uid.present &&
	    layout->stat_gid.present && layout->stat_links.present && layout->stat_size.present &&
	    layout->stat_atime.present && layout->stat_mtime.present &&
	    layout->stat_ctime.present && layout->stat_mapping.present &&
	    layout->page_count_pages.present)
		return NULL;
	return linux_lacks_fields("files cannot be shown", "a field of inode");
}

/* Reads what the inode of the layer below has, or the same one. */
static void read_content(struct names *names, uint64_t inode, struct guest_name *name)
{
	struct linux_kernel *kernel = names->kernel;
	const struct layout *layout = &kernel->layout;
	struct object *copy = &names->inode;
	struct nunchi_error *err = linux_real_inode(kernel, inode, &inode);

	if (err) {
		name->content_result =
		    nunchi_error_code(err) == NUNCHI_ERROR_FAULT ? READ_BAD_DATA : READ_NO_LAYOUT;
		nunchi_error_destroy(err);
		return;
	}
	name->content_result = READ_OK;
	if (copy->address != inode)
		name->content_result = linux_read_object(kernel, LAYOUT_stat, inode, copy);
	if (name->content_result != READ_OK)
		return;
	name->size = object_s64(copy, &layout->stat_size);
	name->accessed = object_s64(copy, &layout->stat_atime);
	name->modified = object_s64(copy, &layout->stat_mtime);
	name->changed = object_s64(copy, &layout->stat_ctime);
	name->content_result = linux_read_field(kernel, object_u64(copy, &layout->stat_mapping),
						&layout->page_count_pages, &name->cached);
	name->cached <<= PAGE_SHIFT;
}

static bool give(struct names *names, uint64_t inode, struct guest_name *name,
		 const struct buffer *path)
{
	const struct layout *layout = &names->kernel->layout;
	struct object *copy = &names->inode;
	char target[LINUX_PATH_MAX];
	struct nunchi_error *err;

	name->path = path->data;
	name->path_size = path->size;
	name->file = inode;
	name->result = linux_read_object(names->kernel, LAYOUT_stat, inode, copy);
	name->content_result = name->result;
	name->target_result = READ_NONE;
	if (name->result == READ_OK) {
		name->inode = object_u64(copy, &layout->stat_ino);
		name->mode = object_u64(copy, &layout->stat_mode);
		name->uid = object_u64(copy, &layout->stat_uid);
		name->gid = object_u64(copy, &layout->stat_gid);
		name->links = object_u64(copy, &layout->stat_links);
		read_content(names, inode, name);
	}
	if (name->result == READ_OK && S_ISLNK(name->mode)) {
		err = linux_read_link(names->kernel, inode, target, &name->target_size);
		name->target = target;
		name->target_result = err ? READ_PAGED_OUT : READ_OK;
		if (err && nunchi_error_code(err) == NUNCHI_ERROR_UNSUPPORTED)
			name->target_result = READ_NO_LAYOUT;
		nunchi_error_destroy(err);
	}
	names->given++;
	names->ended = !names->give(name, names->data);
	return !names->ended;
}

static void note_broken(struct names *names, const struct directory *directory,
			enum read_result why)
{
	if (names->broken++)
		return;
	names->broken_why = why;
	buffer_append(&names->broken_path, directory->path, directory->path_size);
}

/* Keeps a directory, whose path is names->path, to be read later. */
static enum read_result keep(struct names *names, struct linux_path place, unsigned depth)
{
	struct directory *new;

	if (names->path.size > LINUX_PATH_MAX ||
	    names->bytes + names->path.size > LINUX_MAX_NAMES_BYTES)
		return READ_LIMIT;
	if (!ARRAY_RESERVE(names->directories, names->count, names->capacity, 1))
		return READ_NO_MEMORY;
	new = &names->directories[names->count];
	*new = (struct directory){place, malloc(names->path.size + 1), names->path.size, depth};
	if (!new->path)
		return READ_NO_MEMORY;
	memcpy(new->path, names->path.data, names->path.size);
	names->bytes += new->path_size;
	names->count++;
	return READ_OK;
}

/* Gives the name at which the walk is, and keeps it if it is a directory to be read. */
static enum read_result give_child(struct names *names, const struct linux_children *walk,
				   const struct directory *directory)
{
	struct linux_path place = {directory->place.mnt, walk->dentry.address};
	struct linux_kernel *kernel = names->kernel;
	struct guest_name name = {0};
	uint64_t inode = walk->inode;
	const uint64_t *mount;
	enum read_result result = READ_OK;

	buffer_clear(&names->path);
	buffer_append(&names->path, directory->path, directory->path_size);
	if (directory->path_size && directory->path[directory->path_size - 1] != '/')
		buffer_append_char(&names->path, '/');
	if (!buffer_append(&names->path, walk->name, walk->name_size) || names->path.failed)
		return READ_NO_MEMORY;
	mount = hash_map_find(&names->mounts, place.dentry);
	if (mount) {
		place.mnt = *mount + kernel->layout.mount_vfsmount.offset;
		result =
		    linux_read_field(kernel, *mount, &kernel->layout.mount_root, &place.dentry);
		/* Others may be stacked on it. */
		if (result == READ_OK)
			result = linux_enter_mounts(kernel, &place);
		if (result == READ_OK)
			result = linux_read_field(kernel, place.dentry,
						  &kernel->layout.dentry_inode, &inode);
	}
	if (result != READ_OK || !give(names, inode, &name, &names->path))
		return result;
	if (name.result == READ_OK && S_ISDIR(name.mode) && directory->depth > 1)
		result = keep(names, place, directory->depth - 1);
	return names->given < LINUX_MAX_NAMES ? result : READ_LIMIT;
}

static struct nunchi_error *list(struct names *names, const struct directory *directory)
{
	struct linux_children walk;
	struct nunchi_error *err;
	enum read_result result = READ_OK;

	if (names->mnt != directory->place.mnt) {
		result = linux_mounts_on(names->kernel, directory->place.mnt, &names->mounts);
		names->mnt = result == READ_OK ? directory->place.mnt : 0;
	}
	err = linux_children_init(&walk, names->kernel, directory->place.dentry);
	while (!err && result == READ_OK && !names->ended && linux_children_next(&walk))
		result = give_child(names, &walk, directory);
	if (result == READ_OK)
		result = walk.broken;
	linux_children_deinit(&walk);
	if (result == READ_NO_MEMORY)
		err = &error_nomem;
	else if (!err && result != READ_OK)
		note_broken(names, directory, result);
	return err;
}

static struct nunchi_error *end(const struct names *names)
{
	if (cancel_requested(names->kernel->guest.cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	if (!names->broken)
		return NULL;
	return error_create(NUNCHI_ERROR_FAULT,
			    "names are missing: %llu directories cannot be read to their end, the "
			    "first is \"%.*s\": %s",
			    (unsigned long long)names->broken, (int)names->broken_path.size,
			    names->broken_path.size ? names->broken_path.data : "",
			    read_result_string(names->broken_why));
}

/* Gives the file itself, then those in the directories that are kept, the last one first. */
static struct nunchi_error *walk(struct names *names, const struct linux_found *found,
				 unsigned depth)
{
	struct guest_name name = {0};
	struct nunchi_error *err = NULL;
	enum read_result result = READ_OK;

	if (give(names, found->inode, &name, &names->path) && depth && S_ISDIR(found->mode))
		result = keep(names, found->path, depth);
	if (result != READ_OK)
		return &error_nomem;
	while (!err && !names->ended && names->count && names->given < LINUX_MAX_NAMES) {
		struct directory directory = names->directories[--names->count];

		names->bytes -= directory.path_size;
		err = list(names, &directory);
		free(directory.path);
	}
	return err ? err : end(names);
}

struct nunchi_error *linux_names(struct linux_kernel *kernel, const struct linux_path *root,
				 const char *path, unsigned depth,
				 bool (*each)(const struct guest_name *name, void *data),
				 void *data)
{
	struct names names = {.kernel = kernel, .give = each, .data = data};
	size_t size = strlen(path);
	struct linux_found found;
	struct nunchi_error *err = check_layout(kernel);

	if (!err)
		err = linux_find_file(kernel, root, path, true, &found);
	if (err)
		return err;
	while (size > 1 && path[size - 1] == '/')
		size--;
	hash_map_init(&names.mounts);
	err = buffer_append(&names.path, path, size) ? walk(&names, &found, depth) : &error_nomem;
	while (names.count)
		free(names.directories[--names.count].path);
	free(names.directories);
	hash_map_deinit(&names.mounts);
	object_deinit(&names.inode);
	buffer_deinit(&names.path);
	buffer_deinit(&names.broken_path);
	return err;
}
