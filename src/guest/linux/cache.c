/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/cache.h"

#include "guest/linux/overlay.h"

#include <string.h>
#include <sys/stat.h>

/* Low bits of an entry of an XArray. Internal entries below FIRST_NODE << 2 are no nodes. */
#define ENTRY_KIND     3
#define ENTRY_INTERNAL 2
#define ENTRY_VALUE    1 /* swapped out, or what remains of a page that was given up */
#define FIRST_NODE     4096
#define NODE_BITS      6 /* a node has 64 slots, with CONFIG_BASE_SMALL 16 */
#define SMALL_BITS     4
#define MAX_SHIFT      60
/* The greatest number of pages in a folio: 1 GiB. */
#define MAX_FOLIO_PAGES ((uint64_t)1 << 18)
#define FS_REQUIRES_DEV 1 /* include/linux/fs.h */

/* File systems that have their files in the page cache alone. */
static const char *const memory_only[] = {"tmpfs", "devtmpfs", "ramfs", "rootfs"};

static struct nunchi_error *cannot(const char *why)
{
	return error_create(NUNCHI_ERROR_UNSUPPORTED, "the file cannot be read: %s", why);
}

static struct nunchi_error *unread(const char *what, enum read_result why)
{
	return error_create(NUNCHI_ERROR_FAULT, "%s of the file cannot be read: %s", what,
			    read_result_string(why));
}

static struct nunchi_error *check_layout(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_cache);

	if (layout->mapping_host.present && layout->mapping_pages.present &&
	    layout->mapping_head.present && layout->content_mode.present &&
	    layout->content_size.present && layout->content_sb.present &&
	    layout->content_mapping.present && layout->page_node_shift.present &&
	    layout->page_node_array.present && layout->page_node_slots.present &&
	    layout->page_flags.present && layout->page_mapping.present &&
	    layout->page_index.present && layout->page_head.present && layout->size[LAYOUT_page] &&
	    linux_has_field(kernel, &layout->fs_type_flags))
		return NULL;
	return linux_lacks_fields("the page cache cannot be read",
				  "a field of address_space, inode, xa_node or page");
}

/* Finds the array of struct pages and the flag that says that a page was filled. */
static struct nunchi_error *find_pages(struct linux_cache *cache)
{
	struct linux_kernel *kernel = cache->kernel;
	uint64_t base = kernel->symbol[LINUX_vmemmap_base];
	int64_t bit;
	enum read_result result;

	if (!base)
		base = kernel->symbol[LINUX_mem_map];
	if (!base)
		return error_hint(cannot("this kernel's symbols lack vmemmap_base and mem_map"),
				  "give a System.map of exactly this build with --symbols FILE");
	result = linux_read_word(kernel, base, &cache->pages);
	if (result != READ_OK)
		return unread("the place of the pages", result);
	if (!type_index_enum_value(kernel->types, "PG_uptodate", &bit) || bit < 0 ||
	    bit >= 8 * (int64_t)kernel->layout.page_flags.size)
		return linux_lacks_fields("the page cache cannot be read", "PG_uptodate");
	cache->uptodate = (uint64_t)1 << bit;
	return NULL;
}

/* Whether the file system's files are in the page cache of the inodes that processes see. */
static struct nunchi_error *check_file_system(struct linux_cache *cache, uint64_t super)
{
	static const char fuse[] = "fuseblk";
	char name[LINUX_FS_NAME];
	enum read_result result;
	uint64_t flags;
	size_t size;

	result = linux_file_system(cache->kernel, super, name, &size, &flags);
	if (result != READ_OK)
		return unread("the file system", result);
	for (size_t i = 0; i < ARRAY_SIZE(memory_only); i++)
		cache->memory_only |=
		    size == strlen(memory_only[i]) && !memcmp(name, memory_only[i], size);
	/* FUSE on a block device (ntfs-3g) asks a process for the bytes, too. */
	if (cache->memory_only ||
	    (flags & FS_REQUIRES_DEV && (size != strlen(fuse) || memcmp(name, fuse, size) != 0)))
		return NULL;
	return cannot("its file system is neither tmpfs nor on a block device; others may have its "
		      "bytes elsewhere, or make them when it is read");
}

static struct nunchi_error *find_content(struct linux_cache *cache, uint64_t address, uint64_t type)
{
	struct linux_kernel *kernel = cache->kernel;
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object inode = {0};
	enum read_result result;
	uint64_t host;

	result = linux_read_object(kernel, LAYOUT_content, address, &inode);
	cache->mapping = object_u64(&inode, &layout->content_mapping);
	if (result == READ_OK)
		result = linux_read_field(kernel, cache->mapping, &layout->mapping_host, &host);
	if (result != READ_OK)
		return unread("the inode", result);
	if (S_ISDIR(object_u64(&inode, &layout->content_mode)))
		return error_hint(cannot("it is not a regular file"),
				  "it is a directory, which nunchi ls lists");
	if ((object_u64(&inode, &layout->content_mode) & S_IFMT) != type)
		return cannot("it is not a regular file");
	if (host != address)
		return cannot("its pages are those of another inode");
	if (object_s64(&inode, &layout->content_size) < 0)
		return unread("the size", READ_BAD_DATA);
	cache->size = object_u64(&inode, &layout->content_size);
	return check_file_system(cache, object_u64(&inode, &layout->content_sb));
}

struct nunchi_error *linux_cache_init(struct linux_cache *cache, struct linux_kernel *kernel,
				      uint64_t inode, uint64_t type)
{
	struct nunchi_error *err;

	*cache = (struct linux_cache){.kernel = kernel};
	err = check_layout(kernel);
	if (!err)
		err = find_pages(cache);
	return err ? err : find_content(cache, inode, type);
}

void linux_cache_deinit(struct linux_cache *cache)
{
	object_deinit(&cache->node);
	object_deinit(&cache->page);
}

static bool is_node(uint64_t entry)
{
	return (entry & ENTRY_KIND) == ENTRY_INTERNAL && entry > FIRST_NODE;
}

/* Copies a node of the tree, unless it is the one that was copied last. */
static enum read_result read_node(struct linux_cache *cache, uint64_t address, uint64_t *ret_shift)
{
	const struct layout *layout = &cache->kernel->layout;
	enum read_result result;

	if (!cache->node.size || cache->node.address != address) {
		result = linux_read_object(cache->kernel, LAYOUT_page_node, address, &cache->node);
		if (result != READ_OK)
			return result;
	}
	*ret_shift = object_u64(&cache->node, &layout->page_node_shift);
	return *ret_shift <= MAX_SHIFT && object_u64(&cache->node, &layout->page_node_array) ==
					      cache->mapping + layout->mapping_pages.offset
		   ? READ_OK
		   : READ_BAD_DATA;
}

/* Gets the entry of the node that was copied for a page; a sibling stands for another slot. */
static enum read_result slot_of(const struct linux_cache *cache, uint64_t number, uint64_t shift,
				uint64_t *ret)
{
	const struct field *slots = &cache->kernel->layout.page_node_slots;
	uint64_t entry = object_element(&cache->node, slots,
					(unsigned)(number >> shift & (slots->elements - 1U)));

	if ((entry & ENTRY_KIND) == ENTRY_INTERNAL && entry >> 2 < slots->elements) {
		entry = object_element(&cache->node, slots, (unsigned)(entry >> 2));
		if ((entry & ENTRY_KIND) == ENTRY_INTERNAL)
			return READ_BAD_DATA;
	}
	*ret = entry;
	return READ_OK;
}

/* Goes down the tree from its root, to the entry for a page of the file; 0 if there is none. */
static enum read_result descend(struct linux_cache *cache, uint64_t number, unsigned bits,
				uint64_t *ret)
{
	const struct layout *layout = &cache->kernel->layout;
	uint64_t above = UINT64_MAX, shift, entry;
	enum read_result result;

	result = linux_read_field(cache->kernel, cache->mapping, &layout->mapping_head, &entry);
	if (result == READ_OK && !is_node(entry) && number)
		entry = 0; /* The root is the page 0, or nothing. */
	while (result == READ_OK && is_node(entry)) {
		result = read_node(cache, entry - ENTRY_INTERNAL, &shift);
		if (result != READ_OK)
			return result;
		if (above == UINT64_MAX && shift + bits < 64 && number >> (shift + bits)) {
			entry = 0;
			break;
		}
		/* Each level is the one below the last, so the walk ends. */
		if (above != UINT64_MAX && shift + bits != above)
			return READ_BAD_DATA;
		above = shift;
		cache->has_leaf = !shift;
		cache->leaf = number >> bits;
		result = slot_of(cache, number, shift, &entry);
		if (!shift && is_node(entry))
			return READ_BAD_DATA;
	}
	*ret = entry;
	return result;
}

/* Finds the entry of the tree for a page of the file; 0 if there is none. */
static enum read_result find_entry(struct linux_cache *cache, uint64_t number, uint64_t *ret)
{
	const struct field *slots = &cache->kernel->layout.page_node_slots;
	unsigned bits = slots->elements == 1U << SMALL_BITS ? SMALL_BITS : NODE_BITS;
	enum read_result result;

	if (slots->elements != 1U << bits)
		return READ_NO_LAYOUT;
	if (!cache->has_leaf || number >> bits != cache->leaf) {
		cache->has_leaf = false;
		return descend(cache, number, bits, ret);
	}
	result = slot_of(cache, number, 0, ret);
	return result == READ_OK && is_node(*ret) ? READ_BAD_DATA : result;
}

/* Checks that `page` is the head of a folio of this file with the page `number`. */
static enum read_result check_page(struct linux_cache *cache, uint64_t page, uint64_t number,
				   uint64_t *ret_place)
{
	const struct layout *layout = &cache->kernel->layout;
	uint64_t within, head;
	enum read_result result;

	result = linux_read_object(cache->kernel, LAYOUT_page, page, &cache->page);
	if (result != READ_OK)
		return result;
	within = number - object_u64(&cache->page, &layout->page_index);
	if (object_u64(&cache->page, &layout->page_mapping) != cache->mapping ||
	    within >= MAX_FOLIO_PAGES)
		return READ_BAD_DATA;
	/* A page that fallocate() gave to a tmpfs and nobody has written is read as zeros. */
	if (!(object_u64(&cache->page, &layout->page_flags) & cache->uptodate))
		return cache->memory_only ? READ_NONE : READ_PAGED_OUT;
	*ret_place = page + within * layout->size[LAYOUT_page];
	if (!within)
		return READ_OK;
	result = linux_read_field(cache->kernel, *ret_place, &layout->page_head, &head);
	return result == READ_OK && !(head & 1) ? READ_BAD_DATA : result;
}

enum read_result linux_cache_page(struct linux_cache *cache, uint64_t number, gpa_t *ret)
{
	uint64_t size = cache->kernel->layout.size[LAYOUT_page], entry = 0, place = 0;
	enum read_result result = find_entry(cache, number, &entry);

	if (result != READ_OK)
		return result;
	if (!entry)
		return cache->memory_only ? READ_NONE : READ_PAGED_OUT;
	if (entry & ENTRY_VALUE)
		return READ_PAGED_OUT;
	if (entry & ENTRY_KIND)
		return READ_BAD_DATA;
	result = check_page(cache, entry, number, &place);
	if (result != READ_OK)
		return result;
	if (place < cache->pages || (place - cache->pages) % size)
		return READ_BAD_DATA;
	*ret = gpa((place - cache->pages) / size << PAGE_SHIFT);
	return READ_OK;
}
