/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walks over processes and what belongs to them, on a guest whose memory is the input: 64 KiB
 * that stand at every canonical address but for a gap in each 2 MiB, the kernel's structures laid
 * out as below. The first byte of the input chooses the shapes (see enum choice) and is followed by
 * the memory. Checked: every view ends, within a bound on what it reads, and sanitizers find
 * nothing.
 */
#include "toy_kernel.h"
#include "view/row.h"

#define MAX_ROWS  512
#define MAX_READS 3000000 /* of one view */
/* Of a view that is then interrupted, since its own bounds are higher. */
#define MAX_MORE_READS 100000

enum choice {
	CHOICE_TREES = 1,      /* maple and red-black trees, not lists */
	CHOICE_NARROW = 2,     /* pointers of 4 bytes */
	CHOICE_LIVE = 4,       /* rows are filled until they come out the same twice */
	CHOICE_CHILDREN = 8,   /* mounts by their children alone */
	CHOICE_CHANGING = 16,  /* memory changes while it is read */
	CHOICE_VIEW_SHIFT = 5, /* 1 … 7: this view alone; 0: all, more than seven */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* P: size of a pointer. FIELD(structure, field, offset, size) */
#define FIELDS(FIELD, P)                                                                           \
	FIELD(task, tasks, 0, 16)                                                                  \
	FIELD(task, pid, 16, 4)                                                                    \
	FIELD(task, tgid, 20, 4)                                                                   \
	FIELD(task, mm, 24, P)                                                                     \
	FIELD(task, files, 32, P)                                                                  \
	FIELD(task, nsproxy, 40, P)                                                                \
	FIELD(task, fs, 48, P)                                                                     \
	FIELD(task, signal, 56, P)                                                                 \
	FIELD(task, flags, 64, 4)                                                                  \
	FIELD(task, exit_state, 68, 4)                                                             \
	FIELD(task, cgroups, 72, P)                                                                \
	FIELD(task, thread_node, 80, 16)                                                           \
	FIELD(task, comm, 96, 16)                                                                  \
	FIELD(task, state, 112, 4)                                                                 \
	FIELD(task, real_parent, 120, P)                                                           \
	FIELD(task, real_cred, 128, P)                                                             \
	FIELD(task, thread_pid, 136, P)                                                            \
	FIELD(signal, nr_threads, 0, 4)                                                            \
	FIELD(signal, thread_head, 8, 16)                                                          \
	FIELD(signal, pgid, 24, P)                                                                 \
	FIELD(signal, sid, 32, P)                                                                  \
	FIELD(pid, level, 0, 4)                                                                    \
	FIELD(pid, number, 4, 4)                                                                   \
	FIELD(pid, namespace, 8, P)                                                                \
	FIELD(cred, uid, 0, 4)                                                                     \
	FIELD(cred, gid, 4, 4)                                                                     \
	FIELD(mm, pgd, 0, P)                                                                       \
	FIELD(mm, env_start, 8, P)                                                                 \
	FIELD(mm, env_end, 16, P)                                                                  \
	FIELD(mm, start_brk, 24, P)                                                                \
	FIELD(mm, brk, 32, P)                                                                      \
	FIELD(mm, start_stack, 40, P)                                                              \
	FIELD(mm, context_flags, 72, 2)                                                            \
	FIELD(mm, arg_start, 80, P)                                                                \
	FIELD(mm, arg_end, 88, P)                                                                  \
	FIELD(mm, exe_file, 96, P)                                                                 \
	FIELD(mm, total_vm, 104, P)                                                                \
	FIELD(vma, start, 0, P)                                                                    \
	FIELD(vma, end, 8, P)                                                                      \
	FIELD(vma, next, 16, P)                                                                    \
	FIELD(vma, mm, 24, P)                                                                      \
	FIELD(vma, flags, 32, P)                                                                   \
	FIELD(vma, ops, 40, P)                                                                     \
	FIELD(vma, pgoff, 48, P)                                                                   \
	FIELD(vma, file, 56, P)                                                                    \
	FIELD(vma, private, 64, P)                                                                 \
	FIELD(vma, anon_name, 72, P)                                                               \
	FIELD(vm_ops, name, 0, P)                                                                  \
	FIELD(special_mapping, name, 0, P)                                                         \
	FIELD(anon_vma_name, name, 4, 0)                                                           \
	FIELD(files, fdt, 0, P)                                                                    \
	FIELD(fdtable, max_fds, 0, 4)                                                              \
	FIELD(fdtable, fd, 8, P)                                                                   \
	FIELD(fdtable, close_on_exec, 16, P)                                                       \
	FIELD(fdtable, open_fds, 24, P)                                                            \
	FIELD(file, path, 0, 16)                                                                   \
	FIELD(file, inode, 16, P)                                                                  \
	FIELD(file, flags, 24, 4)                                                                  \
	FIELD(file, mode, 28, 4)                                                                   \
	FIELD(file, pos, 32, 8)                                                                    \
	FIELD(file, private, 40, P)                                                                \
	FIELD(socket_alloc, socket, 0, 40)                                                         \
	FIELD(socket_alloc, inode, 48, 64)                                                         \
	FIELD(socket, type, 4, 2)                                                                  \
	FIELD(socket, file, 16, P)                                                                 \
	FIELD(socket, sk, 24, P)                                                                   \
	FIELD(sock, remote, 0, 4)                                                                  \
	FIELD(sock, local, 4, 4)                                                                   \
	FIELD(sock, remote_port, 12, 2)                                                            \
	FIELD(sock, local_port, 14, 2)                                                             \
	FIELD(sock, family, 16, 2)                                                                 \
	FIELD(sock, state, 18, 1)                                                                  \
	FIELD(sock, net, 24, P)                                                                    \
	FIELD(sock, remote6, 32, 16)                                                               \
	FIELD(sock, local6, 48, 16)                                                                \
	FIELD(sock, protocol, 64, 2)                                                               \
	FIELD(sock_common, state, 18, 1)                                                           \
	FIELD(sock_common, node, 72, 16)                                                           \
	FIELD(table_sock, type, 66, 2)                                                             \
	FIELD(table_sock, socket, 88, P)                                                           \
	FIELD(timewait, state, 88, 1)                                                              \
	FIELD(hashinfo, ehash, 0, P)                                                               \
	FIELD(hashinfo, ehash_mask, 8, 4)                                                          \
	FIELD(hashinfo, lhash2, 16, P)                                                             \
	FIELD(hashinfo, lhash2_mask, 12, 4)                                                        \
	FIELD(ehash_bucket, chain, 0, P)                                                           \
	FIELD(listen_bucket, head, 8, P)                                                           \
	FIELD(udp_table, hash, 0, P)                                                               \
	FIELD(udp_table, mask, 8, 4)                                                               \
	FIELD(udp_slot, head, 0, P)                                                                \
	FIELD(net, tcp, 40, P)                                                                     \
	FIELD(net, udp, 48, P)                                                                     \
	FIELD(nsproxy, net_ns, 16, P)                                                              \
	FIELD(net, list, 8, 16)                                                                    \
	FIELD(net, devices, 24, 16)                                                                \
	FIELD(net_device, list, 0, 16)                                                             \
	FIELD(net_device, name, 16, 16)                                                            \
	FIELD(net_device, index, 32, 4)                                                            \
	FIELD(net_device, address, 40, P)                                                          \
	FIELD(net_device, address_size, 48, 1)                                                     \
	FIELD(net_device, percpu_kind, 49, 1)                                                      \
	FIELD(net_device, ip4, 56, P)                                                              \
	FIELD(net_device, ip6, 64, P)                                                              \
	FIELD(net_device, ops, 72, P)                                                              \
	FIELD(device_ops, stats64, 0, P)                                                           \
	FIELD(device_ops, stats, 8, P)                                                             \
	FIELD(in_device, device, 8, P)                                                             \
	FIELD(inet6_dev, device, 0, P)                                                             \
	FIELD(in_device, list, 0, P)                                                               \
	FIELD(in_ifaddr, next, 0, P)                                                               \
	FIELD(in_ifaddr, device, 8, P)                                                             \
	FIELD(in_ifaddr, local, 16, 4)                                                             \
	FIELD(in_ifaddr, address, 20, 4)                                                           \
	FIELD(inet6_dev, list, 8, 16)                                                              \
	FIELD(inet6_ifaddr, list, 0, 16)                                                           \
	FIELD(inet6_ifaddr, device, 16, P)                                                         \
	FIELD(inet6_ifaddr, address, 24, 16)                                                       \
	FIELD(inet6_ifaddr, peer, 40, 16)                                                          \
	FIELD(inet6_ifaddr, prefix, 56, 4)                                                         \
	FIELD(net, inum, 0, 4)                                                                     \
	FIELD(net, fib, 56, P)                                                                     \
	FIELD(net, fib6, 64, P)                                                                    \
	FIELD(net, fib6_null, 72, P)                                                               \
	FIELD(fib_table, list, 0, 16)                                                              \
	FIELD(fib_table, id, 16, 4)                                                                \
	FIELD(fib_table, trie, 24, P)                                                              \
	FIELD(trie, root, 0, 16)                                                                   \
	FIELD(tnode, empty, 0, 4)                                                                  \
	FIELD(tnode, parent, 8, P)                                                                 \
	FIELD(tnode, vector, 16, 16)                                                               \
	FIELD(key_vector, key, 0, 4)                                                               \
	FIELD(key_vector, bits, 5, 1)                                                              \
	FIELD(key_vector, leaf, 8, P)                                                              \
	FIELD(key_vector, children, 8, 0)                                                          \
	FIELD(fib_alias, list, 0, 16)                                                              \
	FIELD(fib_alias, info, 16, P)                                                              \
	FIELD(fib_alias, table, 24, 4)                                                             \
	FIELD(fib_alias, type, 28, 1)                                                              \
	FIELD(fib_alias, suffix, 29, 1)                                                            \
	FIELD(fib_info, count, 0, 4)                                                               \
	FIELD(fib_info, metric, 4, 4)                                                              \
	FIELD(fib_info, source, 8, 4)                                                              \
	FIELD(fib_info, protocol, 12, 1)                                                           \
	FIELD(fib_info, metrics, 16, P)                                                            \
	FIELD(fib_info, nexthop, 24, P)                                                            \
	FIELD(fib_info, hops, 32, 0)                                                               \
	FIELD(fib_nh, common, 0, 48)                                                               \
	FIELD(hop, device, 0, P)                                                                   \
	FIELD(hop, family, 8, 1)                                                                   \
	FIELD(hop, flags, 9, 1)                                                                    \
	FIELD(hop, gateway, 16, 16)                                                                \
	FIELD(nexthop, is_group, 0, 1)                                                             \
	FIELD(nexthop, info, 8, P)                                                                 \
	FIELD(nh_info, hop, 8, 40)                                                                 \
	FIELD(nh_group, count, 0, 2)                                                               \
	FIELD(nh_group, entries, 8, 0)                                                             \
	FIELD(nh_grp_entry, nexthop, 0, P)                                                         \
	FIELD(fib6_table, list, 0, 16)                                                             \
	FIELD(fib6_table, id, 16, 4)                                                               \
	FIELD(fib6_table, root, 24, 48)                                                            \
	FIELD(fib6_node, parent, 0, P)                                                             \
	FIELD(fib6_node, left, 8, P)                                                               \
	FIELD(fib6_node, right, 16, P)                                                             \
	FIELD(fib6_node, subtree, 24, P)                                                           \
	FIELD(fib6_node, leaf, 32, P)                                                              \
	FIELD(fib6_node, flags, 40, 2)                                                             \
	FIELD(fib6_info, table, 0, P)                                                              \
	FIELD(fib6_info, next, 8, P)                                                               \
	FIELD(fib6_info, to, 16, 16)                                                               \
	FIELD(fib6_info, prefix, 32, 4)                                                            \
	FIELD(fib6_info, nexthop, 40, P)                                                           \
	FIELD(fib6_info, hops, 48, 0)                                                              \
	FIELD(dst_metrics, values, 0, 68)                                                          \
	FIELD(neigh_table, entries, 0, 4)                                                          \
	FIELD(neigh_table, hash, 8, P)                                                             \
	FIELD(neigh_hash, buckets, 0, P)                                                           \
	FIELD(neigh_hash, shift, 8, 4)                                                             \
	FIELD(neighbour, next, 0, P)                                                               \
	FIELD(neighbour, table, 8, P)                                                              \
	FIELD(neighbour, device, 16, P)                                                            \
	FIELD(neighbour, state, 24, 1)                                                             \
	FIELD(neighbour, mac, 32, 32)                                                              \
	FIELD(neighbour, key, 64, 0)                                                               \
	FIELD(unix_sock, addr, 72, P)                                                              \
	FIELD(unix_address, size, 4, 4)                                                            \
	FIELD(unix_address, name, 8, 0)                                                            \
	FIELD(packet_sock, protocol, 72, 2)                                                        \
	FIELD(backing_file, user_path, 40, 16)                                                     \
	FIELD(path, mnt, 0, P)                                                                     \
	FIELD(path, dentry, 8, P)                                                                  \
	FIELD(dentry, hash_pprev, 0, P)                                                            \
	FIELD(dentry, parent, 8, P)                                                                \
	FIELD(dentry, name_len, 16, 4)                                                             \
	FIELD(dentry, name, 24, P)                                                                 \
	FIELD(dentry, inode, 32, P)                                                                \
	FIELD(dentry, op, 40, P)                                                                   \
	FIELD(dentry, sb, 48, P)                                                                   \
	FIELD(dentry, fsdata, 56, P)                                                               \
	FIELD(dentry, short_name, 64, 32)                                                          \
	FIELD(dentry_ops, d_dname, 0, P)                                                           \
	FIELD(mount, parent, 0, P)                                                                 \
	FIELD(mount, mountpoint, 8, P)                                                             \
	FIELD(mount, vfsmount, 16, 24)                                                             \
	FIELD(mount, root, 16, P)                                                                  \
	FIELD(mount, sb, 24, P)                                                                    \
	FIELD(mount, flags, 32, 4)                                                                 \
	FIELD(mount, idmap, 40, P)                                                                 \
	FIELD(mount, devname, 48, P)                                                               \
	FIELD(mount, ns, 56, P)                                                                    \
	FIELD(mount, id, 64, 4)                                                                    \
	FIELD(mount, list, 72, 16)                                                                 \
	FIELD(mount, node, 88, 24)                                                                 \
	FIELD(mount, mounts, 112, 16)                                                              \
	FIELD(mount, child, 128, 16)                                                               \
	FIELD(mnt_namespace, inum, 0, 4)                                                           \
	FIELD(mnt_namespace, root, 8, P)                                                           \
	FIELD(nsproxy, mnt_ns, 0, P)                                                               \
	FIELD(fs, root, 0, 16)                                                                     \
	FIELD(fs, pwd, 16, 16)                                                                     \
	FIELD(inode, ino, 0, 8)                                                                    \
	FIELD(inode, sb, 8, P)                                                                     \
	FIELD(inode, mode, 24, 2)                                                                  \
	FIELD(inode, private, 16, P)                                                               \
	FIELD(super, dev, 0, 4)                                                                    \
	FIELD(super, type, 8, P)                                                                   \
	FIELD(super, subtype, 16, P)                                                               \
	FIELD(fs_type, name, 0, P)                                                                 \
	FIELD(ns_common, ops, 0, P)                                                                \
	FIELD(ns_ops, name, 0, P)                                                                  \
	FIELD(dma_buf, name, 0, P)                                                                 \
	FIELD(css_set, dfl_cgrp, 0, P)                                                             \
	FIELD(cgroup, flags, 0, 4)                                                                 \
	FIELD(cgroup, kn, 8, P)                                                                    \
	FIELD(kernfs_node, parent, 0, P)                                                           \
	FIELD(kernfs_node, name, 8, P)                                                             \
	FIELD(rb_node, parent_color, 0, P)                                                         \
	FIELD(rb_node, right, 8, P)                                                                \
	FIELD(rb_node, left, 16, P)                                                                \
	FIELD(maple_tree, root, 8, P)                                                              \
	FIELD(maple_node, parent, 0, P)

struct guest {
	uint8_t ram[TOY_SIZE];
	unsigned choice;
	unsigned reads;
	bool interrupts; /* the view is interrupted after MAX_READS */
	struct cancel cancel;
	struct linux_kernel kernel;
};

static enum memory_fault read_ram(void *data, uint64_t offset, void *buffer, size_t size,
				  uint64_t *fault_offset)
{
	struct guest *guest = data;

	(void)fault_offset;
	guest->reads++;
	if (guest->interrupts && guest->reads >= MAX_READS)
		guest->cancel.requested = true;
	require(guest->reads < MAX_READS + (guest->interrupts ? MAX_MORE_READS : 0));
	if (guest->choice & CHOICE_CHANGING && guest->reads % 61 == 0) {
		uint32_t place = guest->reads * 2654435761u;

		guest->ram[place >> 16] ^= (uint8_t)(place >> 8);
	}
	memcpy(buffer, guest->ram + offset, size);
	return MEMORY_OK;
}

static void make_layout(struct layout *layout, unsigned choice)
{
	unsigned word = choice & CHOICE_NARROW ? 4 : 8;

	memset(layout, 0, sizeof(*layout));
	memset(layout->known, true, sizeof(layout->known));
	FIELDS(TOY_FIELD, word)
	if (choice & CHOICE_TREES) {
		TOY_FIELD(mm, mm_mt, 48, 24)
		TOY_FIELD(mnt_namespace, tree, 16, word)
	} else {
		TOY_FIELD(mm, mmap, 48, word)
		if (!(choice & CHOICE_CHILDREN))
			TOY_FIELD(mnt_namespace, list, 16, 16)
	}
	layout->size[LAYOUT_ehash_bucket] = word;
	layout->size[LAYOUT_listen_bucket] = layout->size[LAYOUT_udp_slot] = 16;
	layout->size[LAYOUT_nh_grp_entry] = 16;
	layout->size[LAYOUT_fib_nh] = 48;
	toy_add_field(layout, LAYOUT_maple_node, &layout->maple_node_slot, word, word, 248 / word);
	toy_add_field(layout, LAYOUT_maple_node, &layout->maple_node_range_pivot, word, word, 15);
	toy_add_field(layout, LAYOUT_maple_node, &layout->maple_node_range_slot, 128, word, 16);
	toy_add_field(layout, LAYOUT_maple_node, &layout->maple_node_alloc_pivot, word, word, 9);
	toy_add_field(layout, LAYOUT_maple_node, &layout->maple_node_alloc_slot, 80, word, 10);
}

static void make_kernel(struct guest *guest)
{
	/* One type, "int": types must be there, but the layout is ours. */
	static const uint8_t types[] = {
	    0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 16, 0,  0, 0, 16, 0, 0,   0,   5,   0, 0,
	    0,    1,    0, 0, 0,  0, 0, 0, 1, 4, 0, 0, 0,  32, 0, 0, 1,  0, 'i', 'n', 't', 0,
	};
	struct linux_kernel *kernel = &guest->kernel;

	toy_make_kernel(kernel, guest->ram, read_ram, guest);
	require(!type_index_from_btf(types, sizeof(types), NULL, NULL, &kernel->types));
	kernel->guest.cancel = &guest->cancel;
	/* Functions: 1 … 7, and 8. */
	for (unsigned i = LINUX_simple_dname; i <= LINUX_dmabuffs_dname; i++)
		kernel->symbol[i] = i - LINUX_simple_dname + 1;
	kernel->symbol[LINUX_special_mapping_name] = 8;
}

/* Makes guest as the input's first byte says. */
static void choose(struct guest *guest, unsigned choice)
{
	struct linux_kernel *kernel = &guest->kernel;
	uint64_t base = choice & CHOICE_NARROW ? 0 : TOY_BASE;

	guest->choice = choice;
	guest->reads = 0;
	guest->cancel.requested = false;
	kernel->word_size = choice & CHOICE_NARROW ? 4 : 8;
	kernel->guest.live = choice & CHOICE_LIVE;
	kernel->symbol[LINUX_vsyscall_mode] = base + 0x60;
	kernel->symbol[LINUX_nop_mnt_idmap] = base + 0x68;
	kernel->symbol[LINUX_gate_vma] = base + 0x80;
	kernel->symbol[LINUX_init_task] = base + 0x100;
	kernel->symbol[LINUX_arp_tbl] = base + 0x180;
	kernel->symbol[LINUX_nd_tbl] = base + 0x1c0;
	make_layout(&kernel->layout, choice);
	memory_new_generation(kernel->guest.memory);
}

static void run_view(struct guest *guest, const char *name)
{
	const struct view *view = view_find(name);
	struct view_request request = {.columns = UINT64_MAX};
	struct nunchi_error *err;
	struct view_row row;
	void *state;

	require(view);
	state = calloc(1, view->providers[0].size);
	require(state);
	row_init(&row, &view->schema);
	err = view->providers[0].open(state, &guest->kernel.guest, &request);
	if (!err) {
		for (unsigned rows = 0; !err && rows < MAX_ROWS; rows++) {
			row_reset(&row);
			err = view->providers[0].next(state, &row);
			if (!err)
				err = row_finish(&row);
		}
		if (view->providers[0].close)
			view->providers[0].close(state);
	}
	nunchi_error_destroy(err);
	row_deinit(&row);
	free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const views[] = {
	    "processes", "threads", "process_open_files", "mounts", "process_memory_map",
	    "process_envs", "interface_addresses", "interface_details",
	    /* Those whose bounds are higher come last. */
	    "process_open_sockets", "listening_ports", "routes", "arp_cache"};
	enum { HIGHER = 8 };
	static struct guest *guest;
	size_t only;

	if (!guest) {
		guest = calloc(1, sizeof(*guest));
		require(guest);
		make_kernel(guest);
	}
	if (!size || size > TOY_RAM + 1)
		return 0;
	only = data[0] >> CHOICE_VIEW_SHIFT;
	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		if (only && only <= ARRAY_SIZE(views) && only != i + 1)
			continue;
		memcpy(guest->ram, data + 1, size - 1);
		memset(guest->ram + size - 1, 0, TOY_RAM - (size - 1));
		choose(guest, data[0]);
		guest->interrupts = i >= HIGHER;
		run_view(guest, views[i]);
	}
	return 0;
}
