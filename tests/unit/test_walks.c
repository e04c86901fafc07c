/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The walks over maple trees, red-black trees, mappings and open files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/linux/container.h"
#include "guest/linux/environment.h"
#include "guest/linux/files.h"
#include "guest/linux/mounts.h"
#include "guest/linux/network.h"
#include "guest/linux/rbtree.h"
#include "guest/linux/routes.h"
#include "guest/linux/socket.h"
#include "guest/linux/task.h"
#include "guest/linux/vma.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

enum { DENSE, LEAF, RANGE, ALLOC };

static int setup(void **state)
{
	struct toy *toy = malloc(sizeof(*toy));

	toy_init(toy);
	*state = toy;
	return 0;
}

static int teardown(void **state)
{
	toy_deinit(*state);
	free(*state);
	return 0;
}

static void maple_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_maple_tree, &L->maple_tree_root, 8, 8);
	toy_field(toy, LAYOUT_maple_node, &L->maple_node_parent, 0, 8);
	toy_array(toy, LAYOUT_maple_node, &L->maple_node_slot, 8, 8, 31);
	toy_array(toy, LAYOUT_maple_node, &L->maple_node_range_pivot, 8, 8, 15);
	toy_array(toy, LAYOUT_maple_node, &L->maple_node_range_slot, 128, 8, 16);
	toy_array(toy, LAYOUT_maple_node, &L->maple_node_alloc_pivot, 8, 8, 9);
	toy_array(toy, LAYOUT_maple_node, &L->maple_node_alloc_slot, 80, 8, 10);
}

static uint64_t link_to(uint64_t node, unsigned type)
{
	return node | type << 3 | 4;
}

/* A node of count slots; the last slot's end is not written (it is the node's). */
static uint64_t maple_node(struct toy *toy, unsigned type, const uint64_t *slots,
			   const uint64_t *ends, unsigned count)
{
	uint64_t node = toy_alloc(toy, 256);
	const struct field *pivot =
	    type == ALLOC ? &L->maple_node_alloc_pivot : &L->maple_node_range_pivot;
	const struct field *slot =
	    type == ALLOC ? &L->maple_node_alloc_slot : &L->maple_node_range_slot;

	toy_put(toy, node, 1, 8);
	for (unsigned i = 0; i < count; i++) {
		toy_put(toy, node + slot->offset + 8 * i, slots[i], 8);
		if (i + 1 < count)
			toy_put(toy, node + pivot->offset + 8 * i, ends[i], 8);
	}
	return node;
}

static uint64_t maple_tree(struct toy *toy, uint64_t root)
{
	uint64_t tree = toy_alloc(toy, 24);

	toy_put(toy, tree + 8, root, 8);
	return tree;
}

/* Walks all; gives the entries. */
static size_t maple_all(struct toy *toy, uint64_t tree, uint64_t *ret, size_t limit,
			bool *ret_broken)
{
	struct linux_maple walk;
	uint64_t entry, first;
	size_t count = 0;

	assert_true(linux_maple_init(&walk, &toy->kernel, tree));
	while (count < limit && linux_maple_next(&walk, &entry, &first))
		ret[count++] = entry;
	*ret_broken = walk.broken;
	linux_maple_deinit(&walk);
	return count;
}

static void test_maple_heights(void **state)
{
	struct toy *toy = *state;
	uint64_t out[64], leaves[3], root, middle;
	bool broken;

	maple_layout(toy);
	leaves[0] = maple_node(toy, LEAF, (uint64_t[]){0, 0x1000, 0, 0x2000},
			       (uint64_t[]){9, 19, 29, 0}, 4);
	leaves[1] = maple_node(toy, LEAF, (uint64_t[]){0x3000, 0x406 /* reserved */, 0x4000},
			       (uint64_t[]){49, 59, 0}, 3);
	leaves[2] = maple_node(toy, LEAF, (uint64_t[]){0x5000, 0}, (uint64_t[]){1000, 0}, 2);
	middle =
	    maple_node(toy, ALLOC, (uint64_t[]){link_to(leaves[0], LEAF), link_to(leaves[1], LEAF)},
		       (uint64_t[]){39, 0}, 2);
	root =
	    maple_node(toy, RANGE, (uint64_t[]){link_to(middle, ALLOC), link_to(leaves[2], LEAF)},
		       (uint64_t[]){69, 0}, 2);
	assert_int_equal(
	    maple_all(toy, maple_tree(toy, link_to(root, RANGE) | 2), out, 64, &broken), 5);
	assert_false(broken);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(out[i], (i + 1) * 0x1000);
}

/* All sixteen slots in use: the last has no pivot, the data behind it is an entry. */
static void test_maple_full_leaf(void **state)
{
	struct toy *toy = *state;
	uint64_t slots[16], ends[16], out[32], node;
	bool broken;

	maple_layout(toy);
	for (unsigned i = 0; i < 16; i++) {
		slots[i] = (i + 1) * 0x100;
		ends[i] = i * 10 + 9;
	}
	node = maple_node(toy, LEAF, slots, ends, 16);
	assert_int_equal(maple_all(toy, maple_tree(toy, link_to(node, LEAF) | 2), out, 32, &broken),
			 16);
	assert_int_equal(out[15], 0x1000);
	assert_false(broken);
}

static void test_maple_small(void **state)
{
	struct toy *toy = *state;
	uint64_t out[4], dense;
	bool broken;

	maple_layout(toy);
	assert_int_equal(maple_all(toy, maple_tree(toy, 0), out, 4, &broken), 0);
	assert_int_equal(maple_all(toy, maple_tree(toy, 0x7000), out, 4, &broken), 1);
	assert_int_equal(out[0], 0x7000);
	dense = toy_alloc(toy, 256);
	toy_put(toy, dense, 1, 8);
	toy_put(toy, dense + 8, 0x100, 8);
	toy_put(toy, dense + 24, 0x300, 8);
	assert_int_equal(
	    maple_all(toy, maple_tree(toy, link_to(dense, DENSE) | 2), out, 4, &broken), 2);
	assert_int_equal(out[1], 0x300);
	assert_false(broken);
}

/* Nodes that lie must end the walk, and soon. */
static void test_maple_hostile(void **state)
{
	struct toy *toy = *state;
	uint64_t out[4], node, self;
	bool broken;

	maple_layout(toy);
	/* Taken out of the tree: it is its own parent. */
	node = maple_node(toy, LEAF, (uint64_t[]){0x1000}, (uint64_t[]){0}, 1);
	toy_put(toy, node, node, 8);
	assert_int_equal(maple_all(toy, maple_tree(toy, link_to(node, LEAF) | 2), out, 4, &broken),
			 0);
	assert_true(broken);
	/* Its own child. */
	self = maple_node(toy, RANGE, (uint64_t[]){0}, (uint64_t[]){0}, 1);
	toy_put(toy, self + 128, link_to(self, RANGE), 8);
	assert_int_equal(maple_all(toy, maple_tree(toy, link_to(self, RANGE) | 2), out, 4, &broken),
			 0);
	assert_true(broken);
	/* Pivots that descend, a kind that is none, a node that is not mapped. */
	node = maple_node(toy, LEAF, (uint64_t[]){0, 0, 0x1000}, (uint64_t[]){50, 20, 0}, 3);
	assert_int_equal(maple_all(toy, maple_tree(toy, link_to(node, LEAF) | 2), out, 4, &broken),
			 0);
	assert_true(broken);
	maple_all(toy, maple_tree(toy, link_to(node, 9) | 2), out, 4, &broken);
	assert_true(broken);
	maple_all(toy, maple_tree(toy, link_to(0xdead0000, LEAF) | 2), out, 4, &broken);
	assert_true(broken);
}

static void rb_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_rb_node, &L->rb_node_parent_color, 0, 8);
	toy_field(toy, LAYOUT_rb_node, &L->rb_node_right, 8, 8);
	toy_field(toy, LAYOUT_rb_node, &L->rb_node_left, 16, 8);
}

static void rb_put(struct toy *toy, uint64_t node, uint64_t parent, uint64_t left, uint64_t right)
{
	toy_put(toy, node, parent | 1, 8);
	toy_put(toy, node + 8, right, 8);
	toy_put(toy, node + 16, left, 8);
}

static size_t rb_all(struct toy *toy, uint64_t root, uint64_t *ret, uint64_t limit,
		     bool *ret_broken)
{
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_rbtree walk;
	size_t count = 0;

	linux_rbtree_init(&walk, &toy->kernel, root, limit, &seen);
	while (linux_rbtree_next(&walk, &ret[count]))
		count++;
	*ret_broken = walk.broken;
	return count;
}

static void test_rbtree(void **state)
{
	struct toy *toy = *state;
	uint64_t n[5], out[8];
	bool broken;

	rb_layout(toy);
	for (unsigned i = 0; i < 5; i++)
		n[i] = toy_alloc(toy, 24);
	rb_put(toy, n[3], 0, n[1], n[4]);
	rb_put(toy, n[1], n[3], n[0], n[2]);
	rb_put(toy, n[0], n[1], 0, 0);
	rb_put(toy, n[2], n[1], 0, 0);
	rb_put(toy, n[4], n[3], 0, 0);
	assert_int_equal(rb_all(toy, 0, out, 8, &broken), 0);
	assert_false(broken);
	assert_int_equal(rb_all(toy, n[3], out, 8, &broken), 5);
	assert_false(broken);
	assert_memory_equal(out, n, sizeof(n));
	/* More than allowed, a parent that is another, a loop. */
	rb_all(toy, n[3], out, 3, &broken);
	assert_true(broken);
	rb_put(toy, n[2], n[3], 0, 0);
	rb_all(toy, n[3], out, 8, &broken);
	assert_true(broken);
	rb_put(toy, n[2], n[1], 0, n[1]);
	rb_all(toy, n[3], out, 8, &broken);
	assert_true(broken);
}

struct found {
	uint64_t elements[8];
	size_t count, limit;
};

static bool take_element(uint64_t element, void *data)
{
	struct found *found = data;

	found->elements[found->count++] = element;
	return found->count < found->limit;
}

/* Walks a container; checks its elements, and the code of the error after them (-1: none). */
static void check_container(struct toy *toy, enum guest_container kind, uint64_t head,
			    const uint64_t *want, size_t count, int code)
{
	struct found found = {.limit = 8};
	_cleanup_error_ struct nunchi_error *err =
	    linux_container(&toy->kernel.guest, kind, head, take_element, &found);

	assert_int_equal(err ? (int)nunchi_error_code(err) : -1, code);
	assert_int_equal(found.count, count);
	if (!count)
		return;
	assert_memory_equal(found.elements, want, count * sizeof(*want));
	/* It ends when it is told to. */
	found = (struct found){.limit = 1};
	assert_null(linux_container(&toy->kernel.guest, kind, head, take_element, &found));
	assert_int_equal(found.count, 1);
}

static void put_link(struct toy *toy, uint64_t from, uint64_t to, uint64_t back)
{
	toy_put(toy, from, to, 8);
	toy_put(toy, to + 8, back, 8);
}

static void test_list_containers(void **state)
{
	struct toy *toy = *state;
	uint64_t n[3];

	for (unsigned i = 0; i < 3; i++)
		n[i] = toy_alloc(toy, 16);
	put_link(toy, n[0], n[0], n[0]);
	check_container(toy, GUEST_LIST, n[0], NULL, 0, -1);
	put_link(toy, n[0], n[1], n[0]);
	put_link(toy, n[1], n[2], n[1]);
	put_link(toy, n[2], n[0], n[2]);
	check_container(toy, GUEST_LIST, n[0], n + 1, 2, -1);
	/* A circle without the head; a link that leads nowhere. */
	toy_put(toy, n[2], n[1], 8);
	check_container(toy, GUEST_LIST, n[0], n + 1, 2, NUNCHI_ERROR_DATA);
	toy_put(toy, n[2], 16, 8);
	check_container(toy, GUEST_LIST, n[0], n + 1, 2, NUNCHI_ERROR_FAULT);
	/* An hlist; the last of hlist_nulls; one that does not point back; a circle; nowhere. */
	put_link(toy, n[0], n[1], n[0]);
	put_link(toy, n[1], n[2], n[1]);
	toy_put(toy, n[2], 0, 8);
	check_container(toy, GUEST_HLIST, n[0], n + 1, 2, -1);
	toy_put(toy, n[2], 7, 8);
	check_container(toy, GUEST_HLIST, n[0], n + 1, 2, -1);
	toy_put(toy, n[2], n[1], 8);
	check_container(toy, GUEST_HLIST, n[0], n + 1, 2, NUNCHI_ERROR_DATA);
	toy_put(toy, n[2] + 8, n[0], 8);
	check_container(toy, GUEST_HLIST, n[0], n + 1, 1, NUNCHI_ERROR_DATA);
	toy_put(toy, n[1], 16, 8);
	check_container(toy, GUEST_HLIST, n[0], n + 1, 1, NUNCHI_ERROR_FAULT);
	toy_put(toy, n[0], 0, 8);
	check_container(toy, GUEST_HLIST, n[0], NULL, 0, -1);
}

static void test_tree_containers(void **state)
{
	struct toy *toy = *state;
	uint64_t head = toy_alloc(toy, 8), n[2], single = 0xffff888000001000, tree;

	n[0] = toy_alloc(toy, 24);
	n[1] = toy_alloc(toy, 24);
	toy_put(toy, head, 0, 8);
	check_container(toy, GUEST_RBTREE, head, NULL, 0, NUNCHI_ERROR_UNSUPPORTED);
	check_container(toy, GUEST_XARRAY, head, NULL, 0, NUNCHI_ERROR_UNSUPPORTED);
	check_container(toy, GUEST_MAPLE, head, NULL, 0, NUNCHI_ERROR_UNSUPPORTED);
	rb_layout(toy);
	maple_layout(toy);
	toy_field(toy, LAYOUT_xa_node, &L->xa_node_shift, 0, 1);
	toy_array(toy, LAYOUT_xa_node, &L->xa_node_slots, 16, 8, 4);
	check_container(toy, GUEST_RBTREE, head, NULL, 0, -1);
	check_container(toy, GUEST_XARRAY, head, NULL, 0, -1);
	toy_put(toy, head, single, 8);
	check_container(toy, GUEST_XARRAY, head, &single, 1, -1);
	toy_put(toy, head, n[1], 8);
	rb_put(toy, n[1], 0, n[0], 0);
	rb_put(toy, n[0], n[1], 0, 0);
	check_container(toy, GUEST_RBTREE, head, n, 2, -1);
	/* The parent is another node. */
	rb_put(toy, n[0], head, 0, 0);
	check_container(toy, GUEST_RBTREE, head, NULL, 0, NUNCHI_ERROR_DATA);
	check_container(toy, GUEST_RBTREE, 16, NULL, 0, NUNCHI_ERROR_FAULT);
	tree = maple_tree(toy, single);
	check_container(toy, GUEST_MAPLE, tree, &single, 1, -1);
}

static void vma_layout(struct toy *toy, bool list)
{
	toy_field(toy, LAYOUT_vma, &L->vma_start, 0, 8);
	toy_field(toy, LAYOUT_vma, &L->vma_end, 8, 8);
	toy_field(toy, LAYOUT_vma, &L->vma_mm, 16, 8);
	if (list) {
		toy_field(toy, LAYOUT_mm, &L->mm_mmap, 0, 8);
		toy_field(toy, LAYOUT_vma, &L->vma_next, 24, 8);
	} else {
		maple_layout(toy);
		toy_field(toy, LAYOUT_mm, &L->mm_mm_mt, 0, 24);
	}
}

static uint64_t vma(struct toy *toy, uint64_t mm, uint64_t start, uint64_t end, uint64_t next)
{
	uint64_t address = toy_alloc(toy, 32);

	toy_put(toy, address, start, 8);
	toy_put(toy, address + 8, end, 8);
	toy_put(toy, address + 16, mm, 8);
	toy_put(toy, address + 24, next, 8);
	return address;
}

static size_t vmas_all(struct toy *toy, uint64_t mm, uint64_t *ret, size_t limit, bool *ret_broken)
{
	_cleanup_object_ struct object copy = {0};
	struct linux_vmas walk;
	size_t count = 0;

	assert_int_equal(linux_vmas_init(&walk, &toy->kernel, mm), READ_OK);
	while (count < limit && linux_vmas_next(&walk, &copy))
		ret[count++] = object_u64(&copy, &L->vma_start);
	*ret_broken = walk.broken;
	linux_vmas_deinit(&walk);
	return count;
}

static bool overlaps(struct toy *toy, uint64_t mm, uint64_t start, uint64_t end)
{
	bool found = false;

	assert_int_equal(linux_vma_overlaps(&toy->kernel, mm, start, end, &found), READ_OK);
	return found;
}

static void test_vmas_list(void **state)
{
	struct toy *toy = *state;
	uint64_t out[8], mm = toy_alloc(toy, 64), first, second, last;
	bool broken;

	vma_layout(toy, true);
	last = vma(toy, mm, 0x9000, 0xa000, 0);
	second = vma(toy, mm, 0x4000, 0x6000, last);
	first = vma(toy, mm, 0x1000, 0x2000, second);
	toy_put(toy, mm, first, 8);
	assert_int_equal(vmas_all(toy, mm, out, 8, &broken), 3);
	assert_false(broken);
	assert_int_equal(out[1], 0x4000);
	/* A loop, another process's mapping, one that ends before it starts. */
	toy_put(toy, last + 24, first, 8);
	assert_int_equal(vmas_all(toy, mm, out, 8, &broken), 3);
	assert_true(broken);
	toy_put(toy, second + 16, mm + 8, 8);
	assert_int_equal(vmas_all(toy, mm, out, 8, &broken), 1);
	assert_true(broken);
	toy_put(toy, second + 16, mm, 8);
	toy_put(toy, second + 8, 0x3000, 8);
	assert_int_equal(vmas_all(toy, mm, out, 8, &broken), 1);
	assert_true(broken);
	assert_true(overlaps(toy, mm, 0x1fff, 0x3000));
	/* Whether there is more is not known. */
	assert_int_not_equal(linux_vma_overlaps(&toy->kernel, mm, 0x5000, 0x6000, &broken),
			     READ_OK);
}

/* The file that is mapped at an address. */
static void test_vma_file(void **state)
{
	struct toy *toy = *state;
	uint64_t mm = toy_alloc(toy, 64), file = 0, first, second;

	vma_layout(toy, true);
	second = vma(toy, mm, 0x4000, 0x6000, 0);
	first = vma(toy, mm, 0x1000, 0x2000, second);
	toy_put(toy, mm, first, 8);
	assert_int_equal(linux_vma_file(&toy->kernel, mm, 0x4000, &file), READ_NO_LAYOUT);
	/* The toy's mappings have their mm_struct there. */
	toy_field(toy, LAYOUT_vma, &L->vma_file, 16, 8);
	assert_int_equal(linux_vma_file(&toy->kernel, mm, 0x4000, &file), READ_OK);
	assert_int_equal(file, mm);
	assert_int_equal(linux_vma_file(&toy->kernel, mm, 0x3fff, &file), READ_NONE);
	assert_int_equal(linux_vma_file(&toy->kernel, mm, 0x6000, &file), READ_NONE);
	toy_put(toy, second + 8, 0x3000, 8);
	assert_int_equal(linux_vma_file(&toy->kernel, mm, 0x4000, &file), READ_BAD_DATA);
}

static void test_vmas_tree(void **state)
{
	struct toy *toy = *state;
	uint64_t out[8], mm = toy_alloc(toy, 64), a, b, leaf;
	bool broken;

	vma_layout(toy, false);
	a = vma(toy, mm, 0x1000, 0x3000, 0);
	b = vma(toy, mm, 0x7ffe00000000, 0x7fff00000000, 0);
	leaf = maple_node(toy, LEAF, (uint64_t[]){0, a, 0, b, 0},
			  (uint64_t[]){0xfff, 0x2fff, 0x7ffdffffffff, 0x7ffeffffffff, 0}, 5);
	toy_put(toy, mm + 8, link_to(leaf, LEAF) | 2, 8);
	assert_int_equal(vmas_all(toy, mm, out, 8, &broken), 2);
	assert_false(broken);
	assert_int_equal(out[1], 0x7ffe00000000);
	assert_true(overlaps(toy, mm, 0x2000, 0x4000));
	assert_false(overlaps(toy, mm, 0x3000, 0x7ffe00000000));
	/* Freed and used by another process meanwhile. */
	toy_put(toy, a + 16, mm + 8, 8);
	assert_int_equal(vmas_all(toy, mm, out, 8, &broken), 1);
	assert_int_equal(out[0], 0x7ffe00000000);
	assert_true(broken);
}

/* A link of a namespace's tree is lost: the namespace's count tells. */
static void test_mounts_counted(void **state)
{
	struct toy *toy = *state;
	uint64_t namespace = toy_alloc(toy, 64), mount[3];
	struct linux_mounts mounts;

	rb_layout(toy);
	toy_field(toy, LAYOUT_mount, &L->mount_node, 0, 24);
	toy_field(toy, LAYOUT_mnt_namespace, &L->mnt_namespace_inum, 0, 4);
	toy_field(toy, LAYOUT_mnt_namespace, &L->mnt_namespace_tree, 8, 8);
	toy_field(toy, LAYOUT_mnt_namespace, &L->mnt_namespace_count, 16, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(mount); i++)
		mount[i] = toy_alloc(toy, 24);
	rb_put(toy, mount[1], 0, mount[0], mount[2]);
	rb_put(toy, mount[0], mount[1], 0, 0);
	rb_put(toy, mount[2], mount[1], 0, 0);
	toy_put(toy, namespace + 8, mount[1], 8);
	toy_put(toy, namespace + 16, 3, 4);
	linux_mounts_init(&mounts, &toy->kernel);
	assert_null(linux_mounts_collect(&mounts, namespace));
	assert_int_equal(mounts.count, 3);
	assert_int_equal(mounts.broken, READ_OK);
	rb_put(toy, mount[1], 0, 0, mount[2]);
	assert_null(linux_mounts_collect(&mounts, namespace));
	assert_int_equal(mounts.count, 2);
	assert_int_equal(mounts.broken, READ_BAD_DATA);
	/* While the guest runs the count may be ahead of the tree. */
	toy->kernel.guest.live = true;
	assert_null(linux_mounts_collect(&mounts, namespace));
	assert_int_equal(mounts.broken, READ_OK);
	linux_mounts_deinit(&mounts);
}

static void files_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_files, &L->files_fdt, 32, 8);
	toy_field(toy, LAYOUT_fdtable, &L->fdtable_max_fds, 0, 4);
	toy_field(toy, LAYOUT_fdtable, &L->fdtable_fd, 8, 8);
	toy_field(toy, LAYOUT_fdtable, &L->fdtable_close_on_exec, 16, 8);
	toy_field(toy, LAYOUT_fdtable, &L->fdtable_open_fds, 24, 8);
	toy_field(toy, LAYOUT_file, &L->file_flags, 0, 4);
	toy_field(toy, LAYOUT_file, &L->file_pos, 8, 8);
	L->file_pos.is_signed = true;
	toy_field(toy, LAYOUT_file, &L->file_inode, 16, 8);
	toy_field(toy, LAYOUT_inode, &L->inode_ino, 0, 8);
}

static void test_files(void **state)
{
	static const uint64_t fds[] = {0, 7, 8, 63, 4095, 4096, 9999};
	struct toy *toy = *state;
	uint64_t files = toy_alloc(toy, 64), table = toy_alloc(toy, 64), array, open, exec, fd;
	uint64_t file = toy_alloc(toy, 64), inode = toy_alloc(toy, 64);
	_cleanup_object_ struct object copy = {0};
	struct linux_open_file got;
	struct linux_files walk;

	files_layout(toy);
	array = toy_alloc(toy, 10048 * 8);
	open = toy_alloc(toy, 10048 / 8);
	exec = toy_alloc(toy, 10048 / 8);
	toy_put(toy, files + 32, table, 8);
	toy_put(toy, table, 10048, 4);
	toy_put(toy, table + 8, array, 8);
	toy_put(toy, table + 16, exec, 8);
	toy_put(toy, table + 24, open, 8);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		uint64_t byte = open + fds[i] / 8;

		toy->ram[byte - TOY_BASE] |= (uint8_t)(1u << fds[i] % 8);
		toy_put(toy, array + 8 * fds[i], file, 8);
	}
	toy_put(toy, exec + 8 / 8, 1, 1);
	toy_put(toy, file, 02100001, 4); /* O_CLOEXEC in the file itself means nothing */
	toy_put(toy, file + 8, (uint64_t)-5, 8);
	toy_put(toy, file + 16, inode, 8);
	toy_put(toy, inode, 77, 8);
	assert_int_equal(linux_files_init(&walk, &toy->kernel, files), MEMORY_OK);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_true(linux_files_next(&walk, &fd));
		assert_int_equal(fd, fds[i]);
		assert_true(linux_files_get(&walk, fd, &copy, &got));
		assert_int_equal(got.flags, fd == 8 ? 02100001 : 0100001);
		assert_int_equal(got.offset, -5);
		assert_int_equal(got.inode_result, READ_OK);
		assert_int_equal(got.inode, 77);
	}
	assert_false(linux_files_next(&walk, &fd));
	assert_false(walk.broken || walk.limited);
	/* Closed since the bitmap was read. */
	toy_put(toy, array + 8 * 7, 0, 8);
	assert_false(linux_files_get(&walk, 7, &copy, &got));
	linux_files_deinit(&walk);
}

/* A file of the table is shown, whatever the bitmap says of it. */
static void test_files_without_bits(void **state)
{
	static const unsigned sizes[] = {8, 4};
	struct toy *toy = *state;
	uint64_t files = toy_alloc(toy, 64), table = toy_alloc(toy, 64), fd;
	struct linux_files walk;

	files_layout(toy);
	toy_put(toy, files + 32, table, 8);
	toy_put(toy, table, 1024, 4);
	toy_put(toy, table + 24, toy_alloc(toy, 1024 / 8), 8);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t array = toy_alloc(toy, 1024 * sizes[i]);

		toy->kernel.word_size = sizes[i];
		toy_put(toy, table + 8, array, 8);
		toy_put(toy, array + 3 * sizes[i], files, sizes[i]);
		toy_put(toy, array + 600 * sizes[i], files, sizes[i]);
		assert_int_equal(linux_files_init(&walk, &toy->kernel, files), MEMORY_OK);
		assert_true(linux_files_next(&walk, &fd));
		assert_int_equal(fd, 3);
		assert_true(linux_files_next(&walk, &fd));
		assert_int_equal(fd, 600);
		assert_false(linux_files_next(&walk, &fd));
		linux_files_deinit(&walk);
	}
}

static void test_files_hostile(void **state)
{
	struct toy *toy = *state;
	uint64_t files = toy_alloc(toy, 64), table = toy_alloc(toy, 64), fd;
	struct linux_files walk;

	files_layout(toy);
	assert_int_equal(linux_files_init(&walk, &toy->kernel, 0), MEMORY_NOT_MAPPED);
	toy_put(toy, files + 32, table, 8);
	toy_put(toy, table, UINT32_MAX, 4);
	toy_put(toy, table + 24, TOY_BASE + TOY_RAM - PAGE_SIZE, 8);
	assert_int_equal(linux_files_init(&walk, &toy->kernel, files), MEMORY_OK);
	assert_true(walk.limited);
	assert_false(linux_files_next(&walk, &fd));
	assert_true(walk.broken);
	linux_files_deinit(&walk);
}

/* Each walk that this kernel's types do not suffice for says how to get some that do. */
static void test_lacking_fields(void **state)
{
	struct nunchi_error *(*const checks[])(struct linux_kernel * kernel) = {
	    linux_files_check,       linux_mappings_check, linux_mounts_check,  linux_threads_check,
	    linux_environment_check, linux_sockets_check,  linux_devices_check, linux_routes_check};
	struct toy *toy = *state;

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct nunchi_error *err = checks[i](&toy->kernel);

		assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
		if (!strstr(nunchi_error_message(err), ": this kernel's types lack ") ||
		    !nunchi_error_hint(err) || !strstr(nunchi_error_hint(err), "--types FILE"))
			fail_msg("%s", nunchi_error_message(err));
		nunchi_error_destroy(err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_maple_heights, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_maple_full_leaf, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_maple_small, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_maple_hostile, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rbtree, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_list_containers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_tree_containers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_vmas_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_vma_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_vmas_tree, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mounts_counted, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_files, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_files_without_bits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_files_hostile, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_lacking_fields, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
