/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Paths, names and pages of files, on a guest whose memory is the input: 64 KiB that stand at every
 * canonical address but for a gap in each 2 MiB, the kernel's structures laid out as below. The
 * first byte of the input chooses the shapes, 64 bytes of a path follow, then the memory. Checked:
 * all of it ends, soon after it was cancelled if it takes long, and sanitizers find nothing.
 */
#include "guest/linux/cache.h"
#include "guest/linux/names.h"
#include "toy_kernel.h"

#define PATH_SIZE  64
#define MAX_ROWS   256
#define LONG_READS 300000 /* then it is cancelled … */
#define LAST_READS 20000  /* … and so many later it has to be over */

enum choice { CHOICE_HEAD = 1, CHOICE_NARROW = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* P: size of a pointer. FIELD(structure, field, offset, size) */
#define FIELDS(FIELD, P)                                                                           \
	FIELD(dentry, hash_pprev, 0, P)                                                            \
	FIELD(dentry, parent, 8, P)                                                                \
	FIELD(dentry, name_len, 16, 4)                                                             \
	FIELD(dentry, name, 24, P)                                                                 \
	FIELD(dentry, inode, 32, P)                                                                \
	FIELD(mount, parent, 0, P)                                                                 \
	FIELD(mount, mountpoint, 8, P)                                                             \
	FIELD(mount, vfsmount, 16, 24)                                                             \
	FIELD(mount, root, 16, P)                                                                  \
	FIELD(mount, mounts, 40, 16)                                                               \
	FIELD(mount, child, 56, 16)                                                                \
	FIELD(inode, mode, 0, 2)                                                                   \
	FIELD(inode, sb, 8, P)                                                                     \
	FIELD(stat, mode, 0, 2)                                                                    \
	FIELD(stat, uid, 4, 4)                                                                     \
	FIELD(stat, gid, 20, 4)                                                                    \
	FIELD(stat, links, 20, 4)                                                                  \
	FIELD(stat, ino, 32, P)                                                                    \
	FIELD(stat, size, 40, 8)                                                                   \
	FIELD(stat, atime, 40, 8)                                                                  \
	FIELD(stat, mtime, 40, 8)                                                                  \
	FIELD(stat, ctime, 40, 8)                                                                  \
	FIELD(stat, mapping, 48, P)                                                                \
	FIELD(page_count, pages, 24, P)                                                            \
	FIELD(content, flags, 16, 4)                                                               \
	FIELD(content, link, 24, P)                                                                \
	FIELD(super, type, 0, P)                                                                   \
	FIELD(fs_type, name, 0, P)                                                                 \
	FIELD(fs_type, flags, 8, 4)                                                                \
	FIELD(mapping, pages, 8, 16)                                                               \
	FIELD(mapping, head, 16, P)                                                                \
	FIELD(page_node, shift, 0, 1)                                                              \
	FIELD(page_node, array, 8, P)                                                              \
	FIELD(page, flags, 0, P)                                                                   \
	FIELD(page, head, 8, P)                                                                    \
	FIELD(page, mapping, 24, P)                                                                \
	FIELD(page, index, 32, P)

struct guest {
	uint8_t ram[TOY_SIZE];
	unsigned reads, rows;
	struct cancel cancel;
	struct linux_kernel kernel;
};

static enum memory_fault read_ram(void *data, uint64_t offset, void *buffer, size_t size,
				  uint64_t *fault_offset)
{
	struct guest *guest = data;

	(void)fault_offset;
	if (++guest->reads > LONG_READS)
		cancel_request(&guest->cancel);
	require(guest->reads < LONG_READS + LAST_READS);
	memcpy(buffer, guest->ram + offset, size);
	return MEMORY_OK;
}

static void make_layout(struct layout *layout, unsigned choice)
{
	unsigned word = choice & CHOICE_NARROW ? 4 : 8;

	memset(layout, 0, sizeof(*layout));
	memset(layout->known, true, sizeof(layout->known));
	FIELDS(TOY_FIELD, word)
	if (choice & CHOICE_HEAD) {
		TOY_FIELD(dentry, children, 40, word)
		TOY_FIELD(dentry, sibling, 48, 16)
	} else {
		TOY_FIELD(dentry, subdirs, 64, 16)
		TOY_FIELD(dentry, child, 48, 16)
	}
	toy_add_field(layout, LAYOUT_page_node, &layout->page_node_slots, 16, word, 16);
	layout->size[LAYOUT_page] = 64;
}

static void make_kernel(struct guest *guest)
{
	struct linux_kernel *kernel = &guest->kernel;

	toy_make_kernel(kernel, guest->ram, read_ram, guest);
	kernel->guest.cancel = &guest->cancel;
}

static bool take(const struct guest_name *name, void *data)
{
	struct guest *guest = data;
	unsigned char sum = 0;

	/* Sanitizers see whether the texts are there. */
	for (size_t i = 0; i < name->path_size; i++)
		sum ^= (unsigned char)name->path[i];
	for (size_t i = 0; name->target_result == READ_OK && i < name->target_size; i++)
		sum ^= (unsigned char)name->target[i];
	guest->reads += sum & 1;
	return ++guest->rows < MAX_ROWS;
}

static void run(struct guest *guest, const char *path, uint64_t base)
{
	const struct linux_path root = {base + 0x10, base + 0x100};
	struct linux_cache cache = {.kernel = &guest->kernel,
				    .mapping = base + 0x400,
				    .pages = base + 0x2000,
				    .uptodate = 8};
	struct linux_found found;
	gpa_t place;

	guest->rows = 0;
	nunchi_error_destroy(linux_find_file(&guest->kernel, &root, path, true, &found));
	nunchi_error_destroy(linux_names(&guest->kernel, &root, path, 9, take, guest));
	for (uint64_t i = 0; i < 80; i++)
		linux_cache_page(&cache, i < 64 ? i : (uint64_t)1 << (i - 20), &place);
	linux_cache_deinit(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest *guest;
	char path[PATH_SIZE + 1] = "";
	size_t rest;

	if (!guest) {
		guest = calloc(1, sizeof(*guest));
		require(guest);
		make_kernel(guest);
	}
	if (size < 1 + PATH_SIZE || size > 1 + PATH_SIZE + TOY_RAM)
		return 0;
	rest = size - 1 - PATH_SIZE;
	memcpy(path, data + 1, PATH_SIZE);
	memcpy(guest->ram, data + 1 + PATH_SIZE, rest);
	memset(guest->ram + rest, 0, TOY_RAM - rest);
	guest->reads = 0;
	cancel_clear(&guest->cancel);
	guest->kernel.word_size = data[0] & CHOICE_NARROW ? 4 : 8;
	make_layout(&guest->kernel.layout, data[0]);
	memory_new_generation(guest->kernel.guest.memory);
	run(guest, path, data[0] & CHOICE_NARROW ? 0 : TOY_BASE);
	return 0;
}
