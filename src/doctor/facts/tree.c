/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/tree.h"

#include "core/archive_library.h"
#include "core/array.h"
#include "core/buffer.h"
#include "core/hash.h"
#include "doctor/facts/initramfs.h"
#include "doctor/facts/packages.h"
#include "doctor/facts/probe.h"
#include "doctor/facts/root.h"
#include "doctor/facts/run.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MOST_ENTRIES    8192
#define MOST_FILE       (4u << 20)
#define MOST_LOG        (32u << 20)
#define MOST_ALL        (128u << 20) /* bytes of text in all */
#define COMMAND_SECONDS 10

/* An entry, and the next one whose name has the same hash. */
struct node {
	struct tree_entry entry;
	struct node *next;
};

struct tree {
	struct root root; /* its path is NULL: the tree has only what was put in */
	bool live;
	const struct nunchi_context *context;
	struct node **nodes;
	size_t count, capacity;
	struct hash_map by_name; /* hash → index of the entry added last */
	size_t bytes;
	struct tree_entry failed; /* what tree_get() gives when an entry cannot be added */
	char failed_name[1];
};

static const char *const kind_names[TREE_KINDS] = {"file",    "list",  "link",      "time",
						   "command", "probe", "initramfs", "packages"};

const char *tree_kind_name(enum tree_kind kind)
{
	return kind_names[kind];
}

struct nunchi_error *tree_create_empty(struct tree **ret)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return &error_nomem;
	tree->root.fd = -1;
	*ret = tree;
	return NULL;
}

struct nunchi_error *tree_open(const char *root, const struct nunchi_context *context,
			       struct tree **ret)
{
	_cleanup_tree_ struct tree *tree = NULL;
	struct nunchi_error *err = tree_create_empty(&tree);

	if (err)
		return err;
	tree->live = !root;
	tree->context = context;
	err = root_init(root ? root : "/", &tree->root);
	if (err)
		return err;
	*ret = no_cleanup_ptr(tree);
	return NULL;
}

void tree_destroy(struct tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->count; i++) {
		free(tree->nodes[i]->entry.name);
		free(tree->nodes[i]->entry.text);
		free(tree->nodes[i]);
	}
	free(tree->nodes);
	hash_map_deinit(&tree->by_name);
	root_deinit(&tree->root);
	free(tree);
}

bool tree_is_live(const struct tree *tree)
{
	return tree->live;
}

const char *tree_root(const struct tree *tree)
{
	return tree->root.path;
}

const struct tree_entry *tree_entry(const struct tree *tree, size_t index)
{
	return index < tree->count ? &tree->nodes[index]->entry : NULL;
}

static uint64_t hash_of(enum tree_kind kind, const char *name)
{
	return hash_bytes(name, strlen(name)) + kind;
}

static struct tree_entry *find(const struct tree *tree, enum tree_kind kind, const char *name)
{
	const uint64_t *index = hash_map_find(&tree->by_name, hash_of(kind, name));
	struct node *node = index ? tree->nodes[*index] : NULL;

	for (; node; node = node->next)
		if (node->entry.kind == kind && !strcmp(node->entry.name, name))
			return &node->entry;
	return NULL;
}

static bool make_room(struct tree *tree)
{
	return ARRAY_RESERVE(tree->nodes, tree->count, tree->capacity, 1);
}

/* Puts the node into the tree's list and under its name; false without memory. */
static bool insert(struct tree *tree, struct node *node)
{
	uint64_t hash = hash_of(node->entry.kind, node->entry.name);
	uint64_t *index = hash_map_find(&tree->by_name, hash);

	if (index) {
		node->next = tree->nodes[*index];
		*index = tree->count;
	} else if (hash_map_insert(&tree->by_name, hash, tree->count) == HASH_NOMEM) {
		return false;
	}
	tree->nodes[tree->count++] = node;
	return true;
}

static bool is_full(const struct tree *tree, size_t size)
{
	return tree->count >= MOST_ENTRIES || size > MOST_ALL - tree->bytes;
}

/* Takes text over, also when it fails: the tree is full, or there is no memory. */
static struct tree_entry *add(struct tree *tree, enum tree_kind kind, const char *name, char *text,
			      size_t size, int errnum)
{
	struct node *node = NULL;
	char *copy = NULL;

	if (!is_full(tree, size) && make_room(tree)) {
		node = calloc(1, sizeof(*node));
		copy = strdup(name);
	}
	if (node)
		node->entry = (struct tree_entry){
		    .kind = kind, .name = copy, .text = text, .size = size, .errnum = errnum};
	if (!node || !copy || !insert(tree, node)) {
		free(node);
		free(copy);
		free(text);
		return NULL;
	}
	tree->bytes += size;
	return &node->entry;
}

struct nunchi_error *tree_put(struct tree *tree, enum tree_kind kind, const char *name,
			      const char *text, size_t size, int errnum)
{
	char *copy = NULL;

	if (strlen(name) >= PATH_MAX)
		return error_create(NUNCHI_ERROR_DATA, "a name is longer than %d bytes",
				    PATH_MAX - 1);
	if (find(tree, kind, name))
		return error_create(NUNCHI_ERROR_DATA, "%s is there twice", name);
	if (is_full(tree, text ? size : 0))
		return error_create(NUNCHI_ERROR_DATA,
				    "more than %u files, or than %u MiB of them, are not taken",
				    MOST_ENTRIES, MOST_ALL >> 20);
	if (text) {
		copy = malloc(size + 1);
		if (!copy)
			return &error_nomem;
		memcpy(copy, text, size);
		copy[size] = '\0';
	}
	if (!add(tree, kind, name, copy, size, text ? 0 : errnum ? errnum : ENOENT))
		return &error_nomem;
	return NULL;
}

static ssize_t read_at(void *fd, void *to, size_t size, uint64_t offset)
{
	return pread(*(int *)fd, to, size, (off_t)offset);
}

static ssize_t read_on(void *fd, void *to, size_t size)
{
	return read(*(int *)fd, to, size);
}

/* Files that are too large, or say too much, to be kept as they are. */
static int read_digest(const struct tree *tree, enum tree_kind kind, const char *name,
		       struct buffer *text)
{
	_cleanup_close_ int fd = root_open_file(&tree->root, name);

	if (fd < 0)
		return errno;
	return kind == TREE_INITRAMFS ? initramfs_list(read_at, &fd, text)
				      : packages_list(read_on, &fd, text);
}

static int read_list(const struct tree *tree, const char *name, struct buffer *text, bool *cut)
{
	_cleanup_root_names_ struct root_names names = {0};
	int errnum = root_names(&tree->root, name, &names, cut);

	/* One name a line. */
	for (size_t i = 0; i < names.count; i++)
		if (!strchr(names.names[i], '\n'))
			buffer_printf(text, "%s\n", names.names[i]);
	return errnum;
}

static int read_time(const struct tree *tree, const char *name, struct buffer *text)
{
	int64_t seconds;
	int errnum = root_modified(&tree->root, name, &seconds);

	if (!errnum)
		buffer_printf(text, "%" PRId64 "\n", seconds);
	return errnum;
}

static int obtain(const struct tree *tree, enum tree_kind kind, const char *name,
		  struct buffer *text, bool *cut)
{
	switch (kind) {
	case TREE_FILE:
		return root_load(&tree->root, name, text, cut);
	case TREE_LIST:
		return read_list(tree, name, text, cut);
	case TREE_LINK:
		return root_link(&tree->root, name, text);
	case TREE_TIME:
		return read_time(tree, name, text);
	case TREE_COMMAND:
		return tree->live ? command_run(name, COMMAND_SECONDS, tree->context, text)
				  : EREMOTE;
	case TREE_PROBE:
		return tree->live ? probe_run(name, text) : EREMOTE;
	case TREE_INITRAMFS:
	case TREE_PACKAGES:
		return read_digest(tree, kind, name, text);
	}
	return EINVAL;
}

const struct tree_entry *tree_get(struct tree *tree, enum tree_kind kind, const char *name)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct tree_entry *entry = find(tree, kind, name);
	int errnum = ENOENT;
	bool cut = false;

	if (entry)
		return entry;
	buffer_init(&text, kind == TREE_FILE && !strstr(name, "log") ? MOST_FILE : MOST_LOG);
	if (tree->root.path)
		errnum = obtain(tree, kind, name, &text, &cut);
	if (!errnum && (text.no_memory || (!text.data && !buffer_append_string(&text, ""))))
		errnum = ENOMEM;
	if (errnum) {
		entry = add(tree, kind, name, NULL, 0, errnum);
	} else {
		text.data[text.size] = '\0';
		cut = cut || text.failed;
		entry = add(tree, kind, name, no_cleanup_ptr(text.data), text.size, 0);
	}
	if (!entry) {
		tree->failed =
		    (struct tree_entry){.kind = kind, .errnum = ENOMEM, .name = tree->failed_name};
		return &tree->failed;
	}
	entry->cut = cut;
	return entry;
}

const char *tree_text(struct tree *tree, enum tree_kind kind, const char *name)
{
	return tree_get(tree, kind, name)->text;
}

const char *tree_why(const struct tree_entry *entry)
{
	switch (entry->errnum) {
	case EACCES:
	case EPERM:
		return "not permitted; run it as root";
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
		return entry->kind == TREE_COMMAND ? "there is no such command"
						   : "there is no such file";
	case EREMOTE:
		return "this is not the running host";
	case ETIMEDOUT:
		return entry->kind == TREE_COMMAND ? "the command did not end in time"
						   : "it takes too long";
	case EISDIR:
		return "it is a directory";
	case EINVAL:
		return "it is not a regular file";
	case ELOOP:
		return "too many symbolic links lead to it";
	case EBADMSG:
		return "it is damaged, or of an unknown kind";
	case EFBIG:
		return "it is too large";
	case EOPNOTSUPP:
		return "nunchi was built without what reads it";
	case ELIBACC:
		return "what unpacks it is not installed: " ARCHIVE_PACKAGES;
	case EIO:
		return entry->kind == TREE_COMMAND ? "the command failed" : "it cannot be read";
	case ENOMEM:
		return "out of memory";
	default:
		return "it cannot be read";
	}
}
