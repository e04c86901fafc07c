/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/mounts.h"

#include "core/hash.h"
#include "guest/linux/rbtree.h"

#define MAX_TRIES 4
/* vfsmount.mnt_flags of a place holder in a namespace's list (5.8 to 6.7). */
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

static struct nunchi_error *collect_tree(struct linux_mounts *mounts)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct nunchi_error *err = NULL;
	struct linux_rbtree walk;
	uint64_t node = 0;

	mounts->broken = linux_read_field(kernel, mounts->namespace, &layout->mnt_namespace_tree,
					  &node) != MEMORY_OK;
	linux_rbtree_init(&walk, kernel, node, LINUX_MAX_MOUNTS, &seen);
	while (!err && linux_rbtree_next(&walk, &node))
		err = add(mounts, node - layout->mount_node.offset);
	mounts->broken |= walk.broken;
	return err;
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
		uint64_t mount = node - layout->mount_list.offset, flags;

		if (linux_read_field(kernel, mount, &layout->mount_flags, &flags) != MEMORY_OK)
			mounts->broken = true;
		else if (!(flags & MNT_CURSOR))
			err = add(mounts, mount);
	}
	mounts->broken |= walk.broken;
	return err;
}

/* Where a namespace keeps neither list nor tree that we know: from each mount to those on it. */
static struct nunchi_error *collect_children(struct linux_mounts *mounts)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;
	struct nunchi_error *err;
	uint64_t root;

	if (linux_read_field(kernel, mounts->namespace, &layout->mnt_namespace_root, &root) !=
	    MEMORY_OK) {
		mounts->broken = true;
		return NULL;
	}
	err = add(mounts, root);
	for (size_t i = 0; !err && i < mounts->count; i++) {
		_cleanup_hash_map_ struct hash_map seen = {0};
		struct linux_list walk;
		uint64_t node;

		linux_list_init(&walk, kernel, mounts->mounts[i] + layout->mount_mounts.offset,
				LINUX_MAX_MOUNTS, &seen);
		while (!err && linux_list_next(&walk, &node)) {
			if (mounts->count >= LINUX_MAX_MOUNTS) {
				mounts->broken = true;
				return NULL;
			}
			err = add(mounts, node - layout->mount_child.offset);
		}
		mounts->broken |= walk.broken;
	}
	return err;
}

/* The mount that lies on a mount's own root, or 0. */
static uint64_t mount_over(const struct linux_mounts *mounts, uint64_t below, uint64_t dentry)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;

	for (size_t i = 0; i < mounts->count; i++) {
		uint64_t parent, mountpoint;

		if (mounts->mounts[i] != below &&
		    linux_read_field(kernel, mounts->mounts[i], &layout->mount_parent, &parent) ==
			MEMORY_OK &&
		    parent == below &&
		    linux_read_field(kernel, mounts->mounts[i], &layout->mount_mountpoint,
				     &mountpoint) == MEMORY_OK &&
		    mountpoint == dentry)
			return mounts->mounts[i];
	}
	return 0;
}

/*
 * What setns() makes a process's root: the namespace's first mount, or what was mounted over it,
 * and over that, and so on (mntns_install()).
 */
static void find_root(struct linux_mounts *mounts)
{
	struct linux_kernel *kernel = mounts->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t mount;

	mounts->root = (struct linux_path){0};
	if (linux_read_field(kernel, mounts->namespace, &layout->mnt_namespace_root, &mount) !=
	    MEMORY_OK)
		return;
	for (size_t i = 0; mount && i <= mounts->count && i < 64; i++) {
		uint64_t dentry;

		if (linux_read_field(kernel, mount, &layout->mount_root, &dentry) != MEMORY_OK)
			return;
		mounts->root.mnt = mount + layout->mount_vfsmount.offset;
		mounts->root.dentry = dentry;
		mount = mount_over(mounts, mount, dentry);
	}
}

static struct nunchi_error *collect(struct linux_mounts *mounts)
{
	const struct layout *layout = linux_layout(mounts->kernel, LAYOUT_GROUP_path);

	mounts->count = 0;
	mounts->broken = false;
	if (layout->mnt_namespace_tree.present && layout->mount_node.present)
		return collect_tree(mounts);
	if (layout->mnt_namespace_list.present && layout->mount_list.present)
		return collect_list(mounts);
	if (layout->mnt_namespace_root.present && layout->mount_mounts.present &&
	    layout->mount_child.present)
		return collect_children(mounts);
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    "mounts cannot be walked: this kernel's mnt_namespace has neither the "
			    "tree mounts, the list nor root");
}

struct nunchi_error *linux_mounts_collect(struct linux_mounts *mounts, uint64_t namespace)
{
	struct linux_kernel *kernel = mounts->kernel;
	struct nunchi_error *err = NULL;

	mounts->namespace = namespace;
	if (linux_read_field(kernel, namespace, &kernel->layout.mnt_namespace_inum,
			     &mounts->inum) != MEMORY_OK)
		return error_create_at(NUNCHI_ERROR_FAULT, namespace,
				       "a mount namespace cannot be read");
	/* On a running guest a link may be caught halfway. */
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		err = collect(mounts);
		if (err || !mounts->broken || !kernel->guest.live)
			break;
	}
	if (!err)
		find_root(mounts);
	return err;
}

void linux_mount_flags(struct linux_kernel *kernel, const struct object *mount, struct buffer *ret)
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
	bool idmapped = false;

	buffer_append_string(ret, flags & MNT_READONLY ? "ro" : "rw");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (flags & options[i].flag)
			buffer_append_string(ret, options[i].text);
	}
	if (layout->mount_idmap.present && plain) {
		idmapped = object_u64(mount, &layout->mount_idmap) != plain;
	} else if (layout->mount_userns.present &&
		   linux_read_field(kernel, object_u64(mount, &layout->mount_sb),
				    &layout->super_user_ns, &own) == MEMORY_OK) {
		userns = object_u64(mount, &layout->mount_userns);
		idmapped = userns != own && userns != kernel->symbol[LINUX_init_user_ns];
	}
	if (idmapped)
		buffer_append_string(ret, ",idmapped");
}

enum memory_fault linux_mount_type(struct linux_kernel *kernel, uint64_t super_block,
				   struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	char name[TYPE_LIMIT];
	enum memory_fault fault;
	uint64_t type, place;
	size_t size;

	fault = linux_read_field(kernel, super_block, &layout->super_type, &type);
	if (fault == MEMORY_OK)
		fault = linux_read_field(kernel, type, &layout->fs_type_name, &place);
	if (fault == MEMORY_OK)
		fault = linux_read_string(kernel, place, name, sizeof(name), &size);
	if (fault != MEMORY_OK)
		return fault;
	buffer_append(ret, name, size);
	if (linux_read_field(kernel, super_block, &layout->super_subtype, &place) == MEMORY_OK &&
	    place && linux_read_string(kernel, place, name, sizeof(name), &size) == MEMORY_OK &&
	    size) {
		buffer_append_char(ret, '.');
		buffer_append(ret, name, size);
	}
	return MEMORY_OK;
}
