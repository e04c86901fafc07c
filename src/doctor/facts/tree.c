/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/tree.h"

#include "core/array.h"
#include "core/buffer.h"
#include "core/hash.h"
#include "doctor/facts/archive_library.h"
#include "doctor/facts/initramfs.h"
#include "doctor/facts/inside.h"
#include "doctor/facts/packages.h"
#include "doctor/facts/probe.h"
#include "doctor/facts/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_ENTRIES    8192
#define MOST_NAMES      4096
#define MOST_FILE       (4u << 20)
#define MOST_LOG        (32u << 20)
#define MOST_ALL        (256u << 20) /* bytes of text in all */
#define COMMAND_SECONDS 10

/* An entry, and the next one whose name has the same hash. */
struct node {
	struct tree_entry entry;
	struct node *next;
};

struct tree {
	char *root; /* NULL: has only what was put in */
	int root_fd;
	bool live;
	const struct nunchi_context *context;
	struct node **nodes;
	size_t count, capacity;
	struct hash_map by_name; /* hash → index of the entry added last */
	size_t bytes;
	struct tree_entry failed; /* given when there is no room for one more */
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
	tree->root_fd = -1;
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
	tree->root = strdup(root ? root : "/");
	if (!tree->root)
		return &error_nomem;
	tree->root_fd = open(tree->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (tree->root_fd < 0)
		return error_create_errno(errno, "cannot open the directory %s", tree->root);
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
	free(tree->root);
	if (tree->root_fd >= 0)
		close(tree->root_fd);
	free(tree);
}

bool tree_is_live(const struct tree *tree)
{
	return tree->live;
}

const char *tree_root(const struct tree *tree)
{
	return tree->root;
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

/* Links are followed inside the root only; the running host's is all there is. */
static int open_in(const struct tree *tree, const char *name, int flags)
{
	/* A fifo or terminal must not keep us; with O_PATH they are not opened anyway. */
	if (!(flags & O_PATH))
		flags |= O_NOCTTY | O_NONBLOCK;
	if (tree->live)
		return open(name, flags | O_CLOEXEC);
	return open_inside(tree->root_fd, name, flags);
}

static int read_file(const struct tree *tree, const char *name, struct buffer *text, bool *cut)
{
	_cleanup_close_ int fd = open_in(tree, name, O_RDONLY);
	struct stat status;

	if (fd < 0)
		return errno;
	if (fstat(fd, &status))
		return errno;
	if (!S_ISREG(status.st_mode))
		return S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
	for (;;) {
		size_t piece = text->limit - text->size < 65536 ? text->limit - text->size : 65536;
		char *place = piece ? buffer_reserve(text, piece) : NULL;
		ssize_t size;

		if (!piece) {
			*cut = true;
			return 0;
		}
		if (!place)
			return ENOMEM;
		size = read(fd, place, piece);
		if (size < 0)
			return errno;
		if (!size)
			return 0;
		text->size += (size_t)size;
	}
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
	_cleanup_close_ int fd = open_in(tree, name, O_RDONLY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return errno;
	if (!S_ISREG(status.st_mode))
		return EINVAL;
	return kind == TREE_INITRAMFS ? initramfs_list(read_at, &fd, text)
				      : packages_list(read_on, &fd, text);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *directory, char **names, size_t *ret)
{
	struct dirent *item;

	*ret = 0;
	while (*ret < MOST_NAMES && (item = readdir(directory))) {
		if (!strcmp(item->d_name, ".") || !strcmp(item->d_name, "..") ||
		    strchr(item->d_name, '\n'))
			continue;
		names[*ret] = strdup(item->d_name);
		if (!names[*ret])
			return ENOMEM;
		++*ret;
	}
	return 0;
}

static int read_list(const struct tree *tree, const char *name, struct buffer *text)
{
	int fd = open_in(tree, name, O_RDONLY | O_DIRECTORY), result;
	_cleanup_free_ char **names = calloc(MOST_NAMES, sizeof(char *));
	DIR *directory;
	size_t count;

	if (fd < 0)
		return errno;
	directory = names ? fdopendir(fd) : NULL;
	if (!directory) {
		close(fd);
		return ENOMEM;
	}
	result = read_names(directory, names, &count);
	closedir(directory);
	qsort(names, count, sizeof(char *), compare_names);
	for (size_t i = 0; i < count; i++) {
		buffer_printf(text, "%s\n", names[i]);
		free(names[i]);
	}
	return result;
}

static int read_link(const struct tree *tree, const char *name, struct buffer *text)
{
	_cleanup_close_ int fd = open_in(tree, name, O_PATH | O_NOFOLLOW);
	char target[4096];
	ssize_t size;

	if (fd < 0)
		return errno;
	size = readlinkat(fd, "", target, sizeof(target));
	if (size < 0)
		return errno;
	buffer_append(text, target, (size_t)size);
	return 0;
}

static int read_time(const struct tree *tree, const char *name, struct buffer *text)
{
	_cleanup_close_ int fd = open_in(tree, name, O_PATH);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return errno;
	buffer_printf(text, "%" PRId64 "\n", (int64_t)status.st_mtime);
	return 0;
}

static int obtain(const struct tree *tree, enum tree_kind kind, const char *name,
		  struct buffer *text, bool *cut)
{
	switch (kind) {
	case TREE_FILE:
		return read_file(tree, name, text, cut);
	case TREE_LIST:
		return read_list(tree, name, text);
	case TREE_LINK:
		return read_link(tree, name, text);
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
	if (tree->root)
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
