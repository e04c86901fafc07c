/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of files, mounts and control groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guest/linux/cgroup.h"
#include "guest/linux/mounts.h"
#include "guest/linux/path.h"
#include "guest/linux/runtime.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

enum { VFSMOUNT = 32, DENTRY_SHORT_NAME = 56 };

static void layout_of_paths(struct toy *toy)
{
	toy_field(toy, LAYOUT_path, &L->path_mnt, 0, 8);
	toy_field(toy, LAYOUT_path, &L->path_dentry, 8, 8);
	toy_field(toy, LAYOUT_dentry, &L->dentry_hash_pprev, 16, 8);
	toy_field(toy, LAYOUT_dentry, &L->dentry_parent, 24, 8);
	toy_field(toy, LAYOUT_dentry, &L->dentry_name_len, 36, 4);
	toy_field(toy, LAYOUT_dentry, &L->dentry_name, 40, 8);
	toy_field(toy, LAYOUT_dentry, &L->dentry_inode, 48, 8);
	toy_field(toy, LAYOUT_dentry, &L->dentry_short_name, DENTRY_SHORT_NAME, 32);
	toy_field(toy, LAYOUT_dentry, &L->dentry_op, 96, 8);
	toy_field(toy, LAYOUT_dentry, &L->dentry_fsdata, 120, 8);
	toy_field(toy, LAYOUT_dentry_ops, &L->dentry_ops_d_dname, 72, 8);
	toy_field(toy, LAYOUT_mount, &L->mount_parent, 16, 8);
	toy_field(toy, LAYOUT_mount, &L->mount_mountpoint, 24, 8);
	toy_field(toy, LAYOUT_mount, &L->mount_vfsmount, VFSMOUNT, 24);
	toy_field(toy, LAYOUT_mount, &L->mount_root, VFSMOUNT, 8);
	toy_field(toy, LAYOUT_mount, &L->mount_sb, VFSMOUNT + 8, 8);
	toy_field(toy, LAYOUT_mount, &L->mount_flags, VFSMOUNT + 16, 4);
	toy_field(toy, LAYOUT_file, &L->file_path, 16, 16);
	toy_field(toy, LAYOUT_inode, &L->inode_ino, 64, 8);
	toy_field(toy, LAYOUT_inode, &L->inode_private, 72, 8);
	toy_field(toy, LAYOUT_ns_common, &L->ns_common_ops, 8, 8);
	toy_field(toy, LAYOUT_ns_ops, &L->ns_ops_name, 0, 8);
	toy_field(toy, LAYOUT_dma_buf, &L->dma_buf_name, 96, 8);
}

static int setup(void **state)
{
	struct toy *toy = malloc(sizeof(*toy));

	toy_init(toy);
	layout_of_paths(toy);
	*state = toy;
	return 0;
}

static int teardown(void **state)
{
	toy_deinit(*state);
	free(*state);
	return 0;
}

/* parent 0: a root. */
static uint64_t new_dentry(struct toy *toy, uint64_t parent, const char *name)
{
	uint64_t dentry = toy_alloc(toy, 192), place = dentry + DENTRY_SHORT_NAME;

	if (strlen(name) < 32)
		toy_put_bytes(toy, place, name, strlen(name));
	else
		place = toy_string(toy, name);
	toy_set(toy, dentry, &L->dentry_hash_pprev, 1);
	toy_set(toy, dentry, &L->dentry_parent, parent ? parent : dentry);
	toy_set(toy, dentry, &L->dentry_name_len, strlen(name));
	toy_set(toy, dentry, &L->dentry_name, place);
	return dentry;
}

/* parent 0: it hangs nowhere. */
static uint64_t new_mount(struct toy *toy, uint64_t parent, uint64_t mountpoint, uint64_t root)
{
	uint64_t mount = toy_alloc(toy, 320);

	toy_set(toy, mount, &L->mount_parent, parent ? parent : mount);
	toy_set(toy, mount, &L->mount_mountpoint, parent ? mountpoint : root);
	toy_set(toy, mount, &L->mount_root, root);
	return mount;
}

static struct linux_path path_to(uint64_t mount, uint64_t dentry)
{
	return (struct linux_path){mount + VFSMOUNT, dentry};
}

static void expect_path(struct toy *toy, struct linux_path path, const struct linux_path *root,
			const char *expected)
{
	_cleanup_buffer_ struct buffer text = {0};

	assert_int_equal(linux_d_path(&toy->kernel, &path, root, &text), MEMORY_OK);
	assert_string_equal(buffer_string(&text), expected);
}

static void expect_fault(struct toy *toy, struct linux_path path, enum read_result fault)
{
	_cleanup_buffer_ struct buffer text = {0};

	buffer_append_string(&text, "before");
	assert_int_equal(linux_d_path(&toy->kernel, &path, NULL, &text), fault);
	assert_string_equal(buffer_string(&text), "before");
}

static void test_paths(void **state)
{
	static const char long_name[] =
	    "a name of more than thirty-two bytes \xff\x1b[31m\n with what not";
	struct toy *toy = *state;
	uint64_t first = new_dentry(toy, 0, "/"), first_mount = new_mount(toy, 0, 0, first);
	uint64_t root = new_dentry(toy, 0, "/"), mount = new_mount(toy, first_mount, first, root);
	uint64_t home = new_dentry(toy, root, "home"), file = new_dentry(toy, home, long_name);
	uint64_t other = new_dentry(toy, 0, "/"), on = new_mount(toy, mount, home, other);
	uint64_t inside = new_dentry(toy, other, "x");
	struct linux_path reader = path_to(mount, root), jail = path_to(mount, home);
	char expected[128];

	snprintf(expected, sizeof(expected), "/home/%s", long_name);
	expect_path(toy, path_to(mount, file), &reader, expected);
	expect_path(toy, path_to(mount, file), NULL, expected);
	expect_path(toy, path_to(mount, file), &jail, expected + 5);
	expect_path(toy, path_to(mount, home), &jail, "/");
	expect_path(toy, path_to(mount, root), &reader, "/");
	expect_path(toy, path_to(on, inside), &reader, "/home/x");
	expect_path(toy, path_to(on, other), &reader, "/home");
	/* Removed: the entry is in no hash chain any more. A root never is. */
	toy_set(toy, inside, &L->dentry_hash_pprev, 0);
	toy_set(toy, other, &L->dentry_hash_pprev, 0);
	expect_path(toy, path_to(on, inside), &reader, "/home/x (deleted)");
	expect_path(toy, path_to(on, other), &reader, "/home");
	/* A lazily unmounted tree, and what lies above the part that is mounted. */
	toy_set(toy, on, &L->mount_parent, on);
	expect_path(toy, path_to(on, inside), &reader, "/x (deleted)");
	toy_set(toy, on, &L->mount_root, inside);
	expect_path(toy, path_to(on, other), &reader, "/");
}

static void test_unlinked(void **state)
{
	struct toy *toy = *state;
	uint64_t root = new_dentry(toy, 0, "/"), name = new_dentry(toy, root, "a (deleted)");
	uint64_t file = toy_alloc(toy, 64);
	bool unlinked = true;

	toy_put(toy, file + 24, name, 8);
	assert_int_equal(linux_file_unlinked(&toy->kernel, file, &unlinked), MEMORY_OK);
	assert_false(unlinked);
	toy_set(toy, name, &L->dentry_hash_pprev, 0);
	assert_int_equal(linux_file_unlinked(&toy->kernel, file, &unlinked), MEMORY_OK);
	assert_true(unlinked);
}

static void set_naming(struct toy *toy, uint64_t dentry, uint64_t function)
{
	uint64_t ops = toy_alloc(toy, 128);

	toy_set(toy, ops, &L->dentry_ops_d_dname, function);
	toy_set(toy, dentry, &L->dentry_op, ops);
}

static void test_files_without_path(void **state)
{
	struct toy *toy = *state;
	uint64_t *symbol = toy->kernel.symbol;
	uint64_t root = new_dentry(toy, 0, "/"), mount = new_mount(toy, 0, 0, root);
	uint64_t file = new_dentry(toy, 0, "memfd:x"), inode = toy_alloc(toy, 128);
	uint64_t ns = toy_alloc(toy, 64), ops = toy_alloc(toy, 64), buf = toy_alloc(toy, 128);
	struct linux_path path = path_to(mount, file);

	for (unsigned i = LINUX_simple_dname; i <= LINUX_dmabuffs_dname; i++)
		symbol[i] = 0xffffffff81000000 + i * 16;
	toy_set(toy, file, &L->dentry_inode, inode);
	toy_set(toy, inode, &L->inode_ino, 4026531841);
	set_naming(toy, file, symbol[LINUX_simple_dname]);
	expect_path(toy, path, NULL, "/memfd:x (deleted)");
	set_naming(toy, file, symbol[LINUX_pipefs_dname]);
	expect_path(toy, path, NULL, "pipe:[4026531841]");
	set_naming(toy, file, symbol[LINUX_sockfs_dname]);
	expect_path(toy, path, NULL, "socket:[4026531841]");
	set_naming(toy, file, symbol[LINUX_anon_inodefs_dname]);
	expect_path(toy, path, NULL, "anon_inode:memfd:x");
	set_naming(toy, file, symbol[LINUX_pidfs_dname]);
	expect_path(toy, path, NULL, "anon_inode:[pidfd]");
	set_naming(toy, file, symbol[LINUX_ns_dname]);
	toy_set(toy, inode, &L->inode_private, ns);
	toy_set(toy, ns, &L->ns_common_ops, ops);
	toy_set(toy, ops, &L->ns_ops_name, toy_string(toy, "mnt"));
	expect_path(toy, path, NULL, "mnt:[4026531841]");
	set_naming(toy, file, symbol[LINUX_dmabuffs_dname]);
	expect_path(toy, path, NULL, "/memfd:x:");
	toy_set(toy, file, &L->dentry_fsdata, buf);
	toy_set(toy, buf, &L->dma_buf_name, toy_string(toy, "gpu"));
	expect_path(toy, path, NULL, "/memfd:x:gpu");
	/* A module's own way of naming is not guessed. */
	set_naming(toy, file, 0xffffffffc0001000);
	expect_fault(toy, path, READ_NO_SYMBOL);
	/* Mounted after all: then the path counts. */
	toy_set(toy, mount, &L->mount_root, file);
	expect_path(toy, path, NULL, "/");
}

static void test_paths_hostile(void **state)
{
	struct toy *toy = *state;
	uint64_t root = new_dentry(toy, 0, "/"), mount = new_mount(toy, 0, 0, root);
	uint64_t a = new_dentry(toy, root, "a"), b = new_dentry(toy, a, "");

	expect_fault(toy, (struct linux_path){0}, READ_NOT_MAPPED);
	expect_fault(toy, path_to(mount, 0x1234), READ_NOT_MAPPED);
	expect_fault(toy, path_to(0x1234, a), READ_NOT_MAPPED);
	/* Names that go round in a circle, some without a byte. */
	toy_set(toy, a, &L->dentry_parent, b);
	expect_fault(toy, path_to(mount, a), READ_BAD_DATA);
	/* Mounts on each other. */
	toy_set(toy, a, &L->dentry_parent, root);
	uint64_t second = new_mount(toy, mount, root, root);

	toy_set(toy, mount, &L->mount_parent, second);
	toy_set(toy, mount, &L->mount_mountpoint, root);
	expect_fault(toy, path_to(mount, a), READ_BAD_DATA);
	/* A length that is none. */
	toy_set(toy, mount, &L->mount_parent, mount);
	toy_set(toy, a, &L->dentry_name_len, UINT32_MAX);
	expect_fault(toy, path_to(mount, a), READ_BAD_DATA);
	/* Longer than any path. */
	toy_set(toy, a, &L->dentry_name_len, 1);
	for (unsigned i = 0; i < 20; i++) {
		char name[241] = {0};

		memset(name, 'x', 240);
		a = new_dentry(toy, a, name);
	}
	expect_fault(toy, path_to(mount, a), READ_LIMIT);
}

static void test_dentry_path(void **state)
{
	struct toy *toy = *state;
	uint64_t root = new_dentry(toy, 0, "/"), a = new_dentry(toy, root, "a");
	uint64_t b = new_dentry(toy, a, "b");
	_cleanup_buffer_ struct buffer text = {0};

	assert_int_equal(linux_dentry_path(&toy->kernel, root, &text), MEMORY_OK);
	assert_string_equal(buffer_string(&text), "/");
	buffer_clear(&text);
	toy_set(toy, b, &L->dentry_hash_pprev, 0);
	assert_int_equal(linux_dentry_path(&toy->kernel, b, &text), MEMORY_OK);
	assert_string_equal(buffer_string(&text), "/a/b//deleted");
	/* A circle: the path is longer than any. */
	toy_set(toy, a, &L->dentry_parent, b);
	assert_int_equal(linux_dentry_path(&toy->kernel, b, &text), READ_LIMIT);
}

static void test_cgroup(void **state)
{
	struct toy *toy = *state;
	uint64_t set = toy_alloc(toy, 64), cgroup = toy_alloc(toy, 64), root = toy_alloc(toy, 64);
	uint64_t slice = toy_alloc(toy, 64), leaf = toy_alloc(toy, 64);
	_cleanup_buffer_ struct buffer text = {0};

	toy_field(toy, LAYOUT_css_set, &L->css_set_dfl_cgrp, 8, 8);
	toy_field(toy, LAYOUT_cgroup, &L->cgroup_flags, 0, 4);
	toy_field(toy, LAYOUT_cgroup, &L->cgroup_kn, 8, 8);
	toy_field(toy, LAYOUT_kernfs_node, &L->kernfs_node_parent, 0, 8);
	toy_field(toy, LAYOUT_kernfs_node, &L->kernfs_node_name, 8, 8);
	toy_field(toy, LAYOUT_kernfs_node, &L->kernfs_node_priv, 16, 8);
	toy_put(toy, set + 8, cgroup, 8);
	toy_put(toy, cgroup, 2, 4);
	toy_put(toy, cgroup + 8, root, 8);
	toy_put(toy, root + 8, toy_string(toy, ""), 8);
	toy_put(toy, root + 16, cgroup, 8);
	toy_put(toy, leaf + 16, cgroup, 8);
	toy_put(toy, slice, root, 8);
	toy_put(toy, slice + 8, toy_string(toy, "a.slice"), 8);
	toy_put(toy, leaf, slice, 8);
	toy_put(toy, leaf + 8, toy_string(toy, "b"), 8);
	assert_int_equal(linux_cgroup_path(&toy->kernel, set, &text), MEMORY_OK);
	assert_string_equal(buffer_string(&text), "/");
	buffer_clear(&text);
	toy_put(toy, cgroup + 8, leaf, 8);
	assert_int_equal(linux_cgroup_path(&toy->kernel, set, &text), MEMORY_OK);
	assert_string_equal(buffer_string(&text), "/a.slice/b");
	buffer_clear(&text);
	toy_put(toy, cgroup, 0, 4);
	assert_int_equal(linux_cgroup_path(&toy->kernel, set, &text), MEMORY_OK);
	assert_string_equal(buffer_string(&text), "/a.slice/b (deleted)");
	buffer_clear(&text);
	/* A node without a parent that is not the root's. */
	toy_put(toy, slice, 0, 8);
	assert_int_equal(linux_cgroup_path(&toy->kernel, set, &text), READ_BAD_DATA);
	/* Bytes that are not the node of this cgroup. */
	toy_put(toy, leaf + 16, set, 8);
	assert_int_equal(linux_cgroup_path(&toy->kernel, set, &text), READ_BAD_DATA);
	toy_put(toy, leaf + 16, cgroup, 8);
	toy_put(toy, slice, leaf, 8);
	assert_int_equal(linux_cgroup_path(&toy->kernel, set, &text), READ_LIMIT);
	assert_int_equal(text.size, 0);
}

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "89abcdef89abcdef89abcdef89abcdef89abcdef89abcdef89abcdef89abcdef"

/* Paths as reports and documentation of the runtimes show them. */
#define POD     "2fc932ce-fdcc-454b-97bd-aadfdeb4c340"
#define POD_    "2fc932ce_fdcc_454b_97bd_aadfdeb4c340"
#define STATIC  "36b6d6be73b1065af369b3985edafa09"
#define PODS    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice/"
#define SESSION "/user.slice/user-1000.slice/user@1000.service/user.slice/"

static const struct {
	const char *path, *runtime, *id, *pod;
} container_paths[] = {
    {"/system.slice/docker-" ID ".scope", "docker", ID, NULL},
    {"/docker/" ID, "docker", ID, NULL},
    {"/docker/" ID "/init.scope", "docker", ID, NULL},
    {"/docker/" ID " (deleted)", "docker", ID, NULL},
    {"/system.slice/system.slice:docker:" ID, "docker", ID, NULL},
    {SESSION "docker-" ID ".scope", "docker", ID, NULL},
    {PODS "docker-" ID ".scope", "docker", ID, POD},
    {"/" ID, NULL, ID, NULL},
    {"/ecs/0123456789abcdef0123456789abcdef/" ID, NULL, ID, NULL},
    {"/machine.slice/libpod-" ID ".scope/container", "podman", ID, NULL},
    {"/machine.slice/machine-libpod_pod_" ID ".slice/libpod-" ID2 ".scope", "podman", ID2, NULL},
    {SESSION "libpod-" ID ".scope/container", "podman", ID, NULL},
    {"/libpod_parent/libpod-" ID, "podman", ID, NULL},
    {"/system.slice/web.service/libpod-payload-" ID, "podman", ID, NULL},
    {PODS "cri-containerd-" ID ".scope", "containerd", ID, POD},
    {PODS "crio-" ID ".scope", "cri-o", ID, POD},
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" ID ".scope", "containerd", ID,
     POD},
    {"/kubepods/besteffort/pod" POD "/" ID, NULL, ID, POD},
    {"/kubepods/pod" POD "/crio-" ID, "cri-o", ID, POD},
    {"/system.slice/containerd.service/kubepods-burstable-pod" STATIC ".slice:cri-containerd:" ID,
     "containerd", ID, STATIC},
    {"/system.slice/nerdctl-" ID ".scope", "containerd", ID, NULL},
    {"/lxc.payload.web/system.slice/cron.service", "lxc", "web", NULL},
    {"/lxc.payload.web (deleted)", "lxc", "web", NULL},
    {"/lxc/101/ns/system.slice", "lxc", "101", NULL},
    {"/machine.slice/systemd-nspawn@deb\\x2d12.service/payload/init.scope", "systemd-nspawn",
     "deb-12", NULL},
    {"/machine.slice/machine-fedora.scope/payload", "systemd-nspawn", "fedora", NULL},
    {"/machine.slice/machine-lxc\\x2d1268\\x2dsl.scope", "libvirt-lxc", "1268-sl", NULL},
    {"/machine/lxc-1268-sl.libvirt-lxc", "libvirt-lxc", "1268-sl", NULL},
    /* The innermost one. */
    {"/lxc.payload.web/docker/" ID, "docker", ID, NULL},
    /* Not in a container: what watches it, a virtual machine, other groups. */
    {"/machine.slice/libpod-conmon-" ID ".scope", NULL, NULL, NULL},
    {PODS "crio-conmon-" ID ".scope", NULL, NULL, NULL},
    {"/machine.slice/systemd-nspawn@web.service/supervisor", NULL, NULL, NULL},
    {"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope", NULL, NULL, NULL},
    {"/lxc.monitor.web", NULL, NULL, NULL},
    {"/lxc", NULL, NULL, NULL},
    {"/a/lxc/b", NULL, NULL, NULL},
    {"/system.slice/docker.service", NULL, NULL, NULL},
    {"/docker/" ID "0", NULL, NULL, NULL},
    {"/docker/abc", NULL, NULL, NULL},
    {"/lxc.payload.", NULL, NULL, NULL},
    {"/machine.slice/machine-.scope", NULL, NULL, NULL},
    {PODS, NULL, NULL, NULL},
    {"/user.slice/user-0.slice", NULL, NULL, NULL},
    {"/", NULL, NULL, NULL},
    {"", NULL, NULL, NULL},
};

static void test_container(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(container_paths); i++) {
		const char *path = container_paths[i].path, *id = container_paths[i].id;
		const char *runtime = container_paths[i].runtime, *pod = container_paths[i].pod;
		_cleanup_buffer_ struct buffer text = {0};
		struct linux_runtime found;

		if (linux_runtime_find(path, strlen(path), &found) != !!id)
			fail_msg("%s", path);
		if (!id)
			continue;
		if (!found.runtime != !runtime || (runtime && strcmp(found.runtime, runtime)))
			fail_msg("%s: %s", path, found.runtime);
		assert_int_equal(linux_runtime_id(&found, &text), READ_OK);
		assert_string_equal(buffer_string(&text), id);
		assert_true(found.path_size <= strlen(path));
		buffer_clear(&text);
		assert_int_equal(linux_runtime_pod(&found, &text), pod ? READ_OK : READ_NONE);
		assert_string_equal(buffer_string(&text), pod ? pod : "");
	}
}

struct namespace
{
	uint64_t address, mounts[4];
};

/* Four mounts: the first one, one over it, and two on that; all by children as well. */
static struct namespace new_namespace(struct toy *toy)
{
	uint64_t first = new_dentry(toy, 0, "/"), root = new_dentry(toy, 0, "/");
	uint64_t a = new_dentry(toy, root, "a"), other = new_dentry(toy, 0, "/");
	struct namespace ns = {.address = toy_alloc(toy, 128)};

	toy_field(toy, LAYOUT_mnt_namespace, &L->mnt_namespace_inum, 16, 4);
	toy_field(toy, LAYOUT_mnt_namespace, &L->mnt_namespace_root, 24, 8);
	ns.mounts[0] = new_mount(toy, 0, 0, first);
	ns.mounts[1] = new_mount(toy, ns.mounts[0], first, root);
	ns.mounts[2] = new_mount(toy, ns.mounts[1], a, other);
	ns.mounts[3] = new_mount(toy, ns.mounts[2], other, other);
	toy_put(toy, ns.address + 16, 4026531841, 4);
	toy_put(toy, ns.address + 24, ns.mounts[0], 8);
	return ns;
}

static void put_link(struct toy *toy, uint64_t from, uint64_t to)
{
	toy_put(toy, from, to, 8);
	toy_put(toy, to + 8, from, 8);
}

static void expect_mounts(struct toy *toy, const struct namespace *ns, size_t count, bool broken)
{
	_cleanup_error_ struct nunchi_error *err = NULL;
	struct linux_mounts mounts;

	linux_mounts_init(&mounts, &toy->kernel);
	err = linux_mounts_collect(&mounts, ns->address);
	assert_null(err);
	assert_int_equal(mounts.count, count);
	assert_int_equal(mounts.broken != READ_OK, broken);
	assert_int_equal(mounts.inum, 4026531841);
	if (!broken) {
		assert_memory_equal(mounts.mounts, ns->mounts, count * sizeof(uint64_t));
		assert_int_equal(mounts.root.mnt, ns->mounts[1] + VFSMOUNT);
	}
	linux_mounts_deinit(&mounts);
}

static void test_mounts_list(void **state)
{
	struct toy *toy = *state;
	struct namespace ns = new_namespace(toy);
	uint64_t cursor = toy_alloc(toy, 320), at = ns.address + 32;

	toy_field(toy, LAYOUT_mnt_namespace, &L->mnt_namespace_list, 32, 16);
	toy_field(toy, LAYOUT_mount, &L->mount_list, 136, 16);
	for (unsigned i = 0; i < 4; i++) {
		put_link(toy, at, ns.mounts[i] + 136);
		at = ns.mounts[i] + 136;
	}
	/* Somebody in the guest reads /proc/mounts: a place holder. */
	toy_set(toy, cursor, &L->mount_flags, 0x10000000);
	put_link(toy, at, cursor + 136);
	put_link(toy, cursor + 136, ns.address + 32);
	expect_mounts(toy, &ns, 4, false);
	put_link(toy, ns.mounts[3] + 136, ns.mounts[1] + 136);
	expect_mounts(toy, &ns, 1, true);
}

static void test_mounts_tree(void **state)
{
	struct toy *toy = *state;
	struct namespace ns = new_namespace(toy);
	uint64_t node[4];

	toy_field(toy, LAYOUT_mnt_namespace, &L->mnt_namespace_tree, 32, 8);
	toy_field(toy, LAYOUT_mount, &L->mount_node, 64, 24);
	toy_field(toy, LAYOUT_rb_node, &L->rb_node_parent_color, 0, 8);
	toy_field(toy, LAYOUT_rb_node, &L->rb_node_right, 8, 8);
	toy_field(toy, LAYOUT_rb_node, &L->rb_node_left, 16, 8);
	for (unsigned i = 0; i < 4; i++)
		node[i] = ns.mounts[i] + 64;
	toy_put(toy, ns.address + 32, node[1], 8);
	toy_put(toy, node[1] + 16, node[0], 8);
	toy_put(toy, node[1] + 8, node[2], 8);
	toy_put(toy, node[2] + 8, node[3], 8);
	toy_put(toy, node[0], node[1] | 1, 8);
	toy_put(toy, node[2], node[1] | 1, 8);
	toy_put(toy, node[3], node[2], 8);
	expect_mounts(toy, &ns, 4, false);
	toy_put(toy, node[3] + 8, node[1], 8);
	expect_mounts(toy, &ns, 4, true);
}

static void test_mounts_children(void **state)
{
	struct toy *toy = *state;
	struct namespace ns = new_namespace(toy);

	toy_field(toy, LAYOUT_mount, &L->mount_mounts, 80, 16);
	toy_field(toy, LAYOUT_mount, &L->mount_child, 96, 16);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t head = ns.mounts[i] + 80;

		put_link(toy, head, i < 3 ? ns.mounts[i + 1] + 96 : head);
		if (i < 3)
			put_link(toy, ns.mounts[i + 1] + 96, head);
	}
	expect_mounts(toy, &ns, 4, false);
	toy_put(toy, ns.mounts[3] + 80, 0, 8);
	expect_mounts(toy, &ns, 4, true);
}

static void test_mounts_unknown(void **state)
{
	struct toy *toy = *state;
	struct namespace ns = new_namespace(toy);
	_cleanup_error_ struct nunchi_error *err = NULL;
	struct linux_mounts mounts;

	linux_mounts_init(&mounts, &toy->kernel);
	err = linux_mounts_collect(&mounts, ns.address);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	linux_mounts_deinit(&mounts);
}

static void test_mount_flags(void **state)
{
	struct toy *toy = *state;
	uint64_t mount = toy_alloc(toy, 320);
	_cleanup_object_ struct object copy = {0};
	_cleanup_buffer_ struct buffer text = {0};

	toy_field(toy, LAYOUT_mount, &L->mount_idmap, VFSMOUNT + 24, 8);
	toy->kernel.symbol[LINUX_nop_mnt_idmap] = 0xffffffff82000000;
	toy_set(toy, mount, &L->mount_idmap, 0xffffffff82000000);
	toy_set(toy, mount, &L->mount_flags, 0x1000 | 0x20 | 0x01);
	linux_read_object(&toy->kernel, LAYOUT_mount, mount, &copy);
	linux_mount_flags(&toy->kernel, &copy, &text);
	assert_string_equal(buffer_string(&text), "rw,nosuid,relatime");
	buffer_clear(&text);
	toy_set(toy, mount, &L->mount_idmap, 0xffff888000012340);
	toy_set(toy, mount, &L->mount_flags, 0xff);
	linux_read_object(&toy->kernel, LAYOUT_mount, mount, &copy);
	linux_mount_flags(&toy->kernel, &copy, &text);
	assert_string_equal(
	    buffer_string(&text),
	    "ro,nosuid,nodev,noexec,noatime,nodiratime,relatime,nosymfollow,idmapped");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unlinked, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_files_without_path, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_paths_hostile, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_dentry_path, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cgroup, setup, teardown),
	    cmocka_unit_test(test_container),
	    cmocka_unit_test_setup_teardown(test_mounts_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mounts_tree, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mounts_children, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mounts_unknown, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mount_flags, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
