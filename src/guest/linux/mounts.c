/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/mounts.h"

#include "core/hash.h"
#include "guest/linux/mm.h"
#include "guest/linux/rbtree.h"

#define MAX_TRIES 4
/*
 * A flag in vfsmount.mnt_flags of an entry of a namespace's list that is not a mount but a reader's
 * cursor (5.8 to 6.7).
 */
#define MNT_CURSOR   0x10000000
#define MNT_READONLY 0x40
#define TYPE_LIMIT   255

void linux_mounts_init(struct linux_mounts *mounts, struct linux_kernel *kernel)
{
	*mounts = (struct linux_mounts){.kernel = kernel};
}

void linux_mounts_deinit(struct linux_mounts *mounts)
{
	free(mounts->mounts);
}

static struct nunchi_error *add(struct linux_mounts *mounts, uint64_t address)
{
	if (mounts->count == mounts->capacity) {
		size_t capacity = mounts->capacity ? mounts->capacity * 2 : 64;
		uint64_t *grown = realloc(mounts->mounts, capacity * sizeof(*grown));

		if (!grown)
			return &error_nomem;
		mounts->mounts = grown;
		mounts->capacity = capacity;
	}
	mounts->mounts[mounts->count++] = address;
	return NULL;
}

/* Stores why some mounts are missing; the first reason is kept. */
static void note_broken(struct linux_mounts *mounts, enum read_result result)
{
	if (!mounts->broken)
		mounts->broken = result;
}

/*
 * Whether the tree has fewer mounts than the namespace counts: a link of the tree that is lost
 * takes all below it along. On a running guest the kernel changes one after the other.
 */
static bool lacks_some(const struct linux_mounts *mounts)
{
	const struct field *field = &mounts->kernel->layout.mnt_namespace_count;
	uint64_t count;

	return !mounts->kernel->guest.live && field->present &&
	       linux_read_field(mounts->kernel, mounts->namespace, field, &count) == READ_OK &&
	       mounts->count < count;
}

static struct nunchi_error *collect_tree(struct linux_mounts *mounts)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct nunchi_error *err = NULL;
	struct linux_rbtree walk;
	uint64_t node = 0;

	note_broken(mounts, linux_read_field(kernel, mounts->namespace, &layout->mnt_namespace_tree,
					     &node));
	linux_rbtree_init(&walk, kernel, node, LINUX_MAX_MOUNTS, &seen);
	while (!err && linux_rbtree_next(&walk, &node))
		err = add(mounts, node - layout->mount_node.offset);
	note_broken(mounts, walk.broken);
	if (lacks_some(mounts))
		note_broken(mounts, READ_BAD_DATA);
	return err;
}

/* A cursor, which a reader of /proc/PID/mounts leaves in the list, has no file system. */
static bool has_root(struct linux_kernel *kernel, uint64_t mount)
{
	uint64_t root = 0;

	return linux_read_field(kernel, mount, &kernel->layout.mount_root, &root) == READ_OK &&
	       root;
}

static struct nunchi_error *collect_list(struct linux_mounts *mounts)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct nunchi_error *err = NULL;
	struct linux_list walk;
	uint64_t node;

	linux_list_init(&walk, kernel, mounts->namespace + layout->mnt_namespace_list.offset,
			LINUX_MAX_MOUNTS, &seen);
	while (!err && linux_list_next(&walk, &node)) {
		uint64_t mount = node - layout->mount_list.offset, flags = 0;

		/*
		 * A mount whose flags cannot be read is added: the failure is reported when the
		 * mount is read.
		 */
		if (linux_read_field(kernel, mount, &layout->mount_flags, &flags) != READ_OK ||
		    !(flags & MNT_CURSOR) || has_root(kernel, mount))
			err = add(mounts, mount);
	}
	note_broken(mounts, walk.broken);
	return err;
}

/*
 * Collects mounts through each mount's list of children, if the namespace has neither a list nor a
 * tree that is known.
 */
static struct nunchi_error *collect_children(struct linux_mounts *mounts)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;
	struct nunchi_error *err;
	uint64_t root;

	mounts->broken =
	    linux_read_field(kernel, mounts->namespace, &layout->mnt_namespace_root, &root);
	if (mounts->broken)
		return NULL;
	err = add(mounts, root);
	for (size_t i = 0; !err && i < mounts->count; i++) {
		_cleanup_hash_map_ struct hash_map seen = {0};
		struct linux_list walk;
		uint64_t node;

		linux_list_init(&walk, kernel, mounts->mounts[i] + layout->mount_mounts.offset,
				LINUX_MAX_MOUNTS, &seen);
		while (!err && linux_list_next(&walk, &node)) {
			if (mounts->count >= LINUX_MAX_MOUNTS) {
				mounts->broken = READ_LIMIT;
				return NULL;
			}
			err = add(mounts, node - layout->mount_child.offset);
		}
		note_broken(mounts, walk.broken);
	}
	return err;
}

/* Finds the mount that is mounted on the root of the mount `below`; 0 if there is none. */
static enum read_result mount_over(const struct linux_mounts *mounts, uint64_t below,
				   uint64_t dentry, uint64_t *ret)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;

	*ret = 0;
	for (size_t i = 0; i < mounts->count; i++) {
		uint64_t mount = mounts->mounts[i], parent, mountpoint;
		enum read_result result;

		if (mount == below)
			continue;
		result = linux_read_field(kernel, mount, &layout->mount_parent, &parent);
		if (result == READ_OK && parent != below)
			continue;
		if (result == READ_OK)
			result =
			    linux_read_field(kernel, mount, &layout->mount_mountpoint, &mountpoint);
		if (result != READ_OK)
			return result;
		if (mountpoint == dentry) {
			*ret = mount;
			return READ_OK;
		}
	}
	return READ_OK;
}

/*
 * Finds the root that setns() gives to a process: the first mount of the namespace, or the mount on
 * top of it, and the mount on top of that, and so on (mntns_install()).
 */
static enum read_result find_root(struct linux_mounts *mounts)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;
	struct linux_path root = {0};
	enum read_result result;
	uint64_t mount;

	mounts->root = (struct linux_path){0};
	if (!layout->mnt_namespace_root.present || !layout->mount_mountpoint.present)
		return READ_NO_LAYOUT;
	result = linux_read_field(kernel, mounts->namespace, &layout->mnt_namespace_root, &mount);
	for (size_t i = 0; result == READ_OK && mount && i <= mounts->count && i < 64; i++) {
		result = linux_read_field(kernel, mount, &layout->mount_root, &root.dentry);
		root.mnt = mount + layout->mount_vfsmount.offset;
		if (result == READ_OK)
			result = mount_over(mounts, mount, root.dentry, &mount);
	}
	if (result == READ_OK)
		mounts->root = root;
	return result;
}

static struct nunchi_error *collect(struct linux_mounts *mounts)
{
	const struct layout *layout = linux_layout(mounts->kernel, LAYOUT_GROUP_path);

	mounts->count = 0;
	mounts->broken = READ_OK;
	if (layout->mnt_namespace_tree.present && layout->mount_node.present)
		return collect_tree(mounts);
	if (layout->mnt_namespace_list.present && layout->mount_list.present)
		return collect_list(mounts);
	if (layout->mnt_namespace_root.present && layout->mount_mounts.present &&
	    layout->mount_child.present)
		return collect_children(mounts);
	return linux_lacks_fields(
	    "mounts cannot be walked",
	    "mnt_namespace.mounts, mnt_namespace.list and mnt_namespace.root");
}

struct nunchi_error *linux_mounts_collect(struct linux_mounts *mounts, uint64_t namespace)
{
	struct linux_kernel *kernel = mounts->kernel;
	struct nunchi_error *err = NULL;
	enum read_result result;

	mounts->namespace = namespace;
	result =
	    linux_read_field(kernel, namespace, &kernel->layout.mnt_namespace_inum, &mounts->inum);
	if (result != READ_OK)
		return error_create_at(NUNCHI_ERROR_FAULT, namespace,
				       "a mount namespace cannot be read: %s",
				       read_result_string(result));
	/* On a running guest a list may be read while the kernel changes it. */
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		err = collect(mounts);
		if (err || !mounts->broken || !kernel->guest.live)
			break;
	}
	if (!err)
		mounts->root_result = find_root(mounts);
	return err;
}

struct nunchi_error *linux_mounts_check(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_path);

	if (layout->task_nsproxy.present && linux_has_field(kernel, &layout->nsproxy_mnt_ns) &&
	    layout->mount_root.present)
		return NULL;
	return linux_lacks_fields("mounts cannot be walked",
				  "a field of task_struct, nsproxy or mount");
}

enum read_result linux_task_mounts(struct linux_kernel *kernel, const struct object *task,
				   uint64_t *ret)
{
	uint64_t nsproxy = object_u64(task, &kernel->layout.task_nsproxy);
	enum read_result result;

	if (!nsproxy)
		return linux_task_lacks(kernel, task, false);
	result = linux_read_field(kernel, nsproxy, &kernel->layout.nsproxy_mnt_ns, ret);
	/*
	 * The process may have ended since its task was copied, and the nsproxy may have been
	 * freed.
	 */
	if (kernel->guest.live && !linux_task_keeps(kernel, task, &kernel->layout.task_nsproxy))
		return READ_NONE;
	return result;
}

enum read_result linux_mounts_get(struct linux_mounts *mounts, size_t i, struct object *copy,
				  struct linux_mount *ret, struct buffer *ret_path,
				  enum read_result *ret_path_result)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;
	const struct linux_path *root = mounts->root.mnt ? &mounts->root : NULL;
	struct linux_path path = {.mnt = mounts->mounts[i] + layout->mount_vfsmount.offset};
	enum read_result result = linux_read_object(kernel, LAYOUT_mount, mounts->mounts[i], copy);
	uint64_t parent = 0;
	bool below = true;

	if (result != READ_OK)
		return result;
	if (layout->mount_ns.present && object_u64(copy, &layout->mount_ns) != mounts->namespace)
		return kernel->guest.live ? READ_NONE : READ_BAD_DATA;
	path.dentry = object_u64(copy, &layout->mount_root);
	*ret = (struct linux_mount){
	    .super_block = object_u64(copy, &layout->mount_sb),
	    .root = path.dentry,
	};
	ret->id_result = object_number(copy, &layout->mount_id, &ret->id);
	*ret_path_result = linux_path_below(kernel, &path, root, ret_path, &below);
	ret->is_seen = *ret_path_result != READ_OK || !root || below;
	ret->device_result =
	    linux_read_field(kernel, ret->super_block, &layout->super_dev, &ret->device);
	ret->parent_result = linux_read_field(kernel, object_u64(copy, &layout->mount_parent),
					      &layout->mount_id, &parent);
	ret->parent_id = (int32_t)parent;
	return READ_OK;
}

enum read_result linux_mount_device(struct linux_kernel *kernel, const struct object *mount,
				    struct buffer *ret)
{
	uint64_t name = object_u64(mount, &kernel->layout.mount_devname);
	enum read_result result;
	char text[LINUX_PATH_MAX];
	size_t size;

	if (!kernel->layout.mount_devname.present)
		return READ_NO_LAYOUT;
	if (!name)
		return buffer_append_string(ret, "none") ? READ_OK : READ_NO_MEMORY;
	result = linux_read_string(kernel, name, text, sizeof(text), &size);
	if (result == READ_OK && !buffer_append(ret, text, size))
		return READ_NO_MEMORY;
	return result;
}

enum read_result linux_mount_flags(struct linux_kernel *kernel, const struct object *mount,
				   struct buffer *ret)
{
	static const struct {
		uint64_t flag;
		const char *text;
	} options[] = {
	    {0x01, ",nosuid"},     {0x02, ",nodev"},    {0x04, ",noexec"},      {0x08, ",noatime"},
	    {0x10, ",nodiratime"}, {0x20, ",relatime"}, {0x80, ",nosymfollow"},
	};
	const struct layout *layout = &kernel->layout;
	uint64_t flags = object_u64(mount, &layout->mount_flags);
	uint64_t plain = kernel->symbol[LINUX_nop_mnt_idmap];
	uint64_t userns, own;
	enum read_result result = READ_OK;
	bool idmapped = false;

	if (!layout->mount_flags.present)
		return READ_NO_LAYOUT;
	buffer_append_string(ret, flags & MNT_READONLY ? "ro" : "rw");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (flags & options[i].flag)
			buffer_append_string(ret, options[i].text);
	}
	if (layout->mount_idmap.present && plain) {
		idmapped = object_u64(mount, &layout->mount_idmap) != plain;
	} else if (layout->mount_userns.present && layout->super_user_ns.present) {
		result = linux_read_field(kernel, object_u64(mount, &layout->mount_sb),
					  &layout->super_user_ns, &own);
		userns = object_u64(mount, &layout->mount_userns);
		idmapped = result == READ_OK && userns != own &&
			   userns != kernel->symbol[LINUX_init_user_ns];
	}
	if (idmapped)
		buffer_append_string(ret, ",idmapped");
	return result == READ_OK && ret->failed ? READ_NO_MEMORY : result;
}

enum read_result linux_mount_type(struct linux_kernel *kernel, uint64_t super_block,
				  struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	char name[TYPE_LIMIT];
	enum read_result fault;
	uint64_t type, place;
	size_t size;

	fault = linux_read_field(kernel, super_block, &layout->super_type, &type);
	if (fault == READ_OK)
		fault = linux_read_field(kernel, type, &layout->fs_type_name, &place);
	if (fault == READ_OK)
		fault = linux_read_string(kernel, place, name, sizeof(name), &size);
	if (fault != READ_OK)
		return fault;
	buffer_append(ret, name, size);
	size = place = 0;
	if (layout->super_subtype.present)
		fault = linux_read_field(kernel, super_block, &layout->super_subtype, &place);
	if (fault == READ_OK && place)
		fault = linux_read_string(kernel, place, name, sizeof(name), &size);
	if (fault == READ_OK && size) {
		buffer_append_char(ret, '.');
		buffer_append(ret, name, size);
	}
	return fault == READ_OK && ret->failed ? READ_NO_MEMORY : fault;
}
