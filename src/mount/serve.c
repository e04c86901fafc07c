/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel asks of the file system. */
#include "core/error.h"
#include "mount/served.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An open file. */
struct handle {
	struct node node;
	struct content *content;  /* of a text, or NULL */
	struct nunchi_file *file; /* of the guest, or NULL */
};

/* There is one file system in the process, which ends with it. */
static struct served *serving;

static struct handle *handle_of(const struct fuse_file_info *info)
{
	return info ? (struct handle *)(uintptr_t)info->fh : NULL;
}

static void *serve_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	struct served *served = serving;
	/* What is read of a saved guest stays as it is. */
	double kept = served->options->live ? 0 : 60;

	/* Splicing makes pipes, which the confined process may not. */
	connection->want &=
	    ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	config->entry_timeout = config->attr_timeout = kept;
	config->negative_timeout = 0;
	config->kernel_cache = 0;
	config->nullpath_ok = 0;
	return served;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static int guest_attributes(struct served *served, const char *path, const struct node *node,
			    struct stat *ret)
{
	struct guest_name name;
	int result = guest_name_find(served, path, node, &name);

	if (result)
		return result;
	ret->st_mtime = ret->st_ctime = ret->st_atime = (time_t)name.time;
	ret->st_nlink = name.mode == S_IFDIR ? 2 : 1;
	ret->st_mode = name.mode | (name.mode == S_IFREG ? 0400 : 0500);
	if (name.mode == S_IFREG)
		ret->st_size = (off_t)(name.size < INT64_MAX ? name.size : INT64_MAX);
	if (name.mode == S_IFLNK) {
		ret->st_size = (off_t)strlen(name.link);
		ret->st_mode = S_IFLNK | 0777;
	}
	return 0;
}

static int file_size(struct served *served, const char *path, const struct node *node,
		     const struct handle *handle, int64_t *ret)
{
	if (handle && handle->content)
		*ret = (int64_t)handle->content->size;
	else if (node->kind == NODE_PHYSICAL)
		*ret = (int64_t)served_memory_end(served);
	else if (node->kind == NODE_PROCESS_MEMORY)
		*ret = 0;
	else
		*ret = served_content_size(served, path, node);
	return *ret < 0 ? (int)*ret : 0;
}

static int serve_getattr(const char *path, struct stat *ret, struct fuse_file_info *info)
{
	struct served *served = serving;
	const struct handle *handle = handle_of(info);
	struct node node;
	int64_t size = 0;
	int result = 0;

	memset(ret, 0, sizeof(*ret));
	if (!node_parse(path, &node))
		return -ENOENT;
	ret->st_uid = served->uid;
	ret->st_gid = served->gid;
	ret->st_mtime = ret->st_ctime = ret->st_atime = served->time;
	if (node.kind == NODE_FILE)
		return guest_attributes(served, path, &node, ret);
	if (node.pid)
		result = served_process_find(served, path, node.pid);
	if (!result && node_is_directory(&node)) {
		ret->st_mode = S_IFDIR | 0500;
		ret->st_nlink = 2;
		return 0;
	}
	if (!result)
		result = file_size(served, path, &node, handle, &size);
	ret->st_mode = S_IFREG | 0400;
	ret->st_nlink = 1;
	ret->st_size = (off_t)size;
	return result;
}

static int serve_readlink(const char *path, char *ret, size_t size)
{
	struct served *served = serving;
	struct guest_name name;
	struct node node;
	int result;

	if (!node_parse(path, &node) || node.kind != NODE_FILE)
		return -EINVAL;
	result = guest_name_find(served, path, &node, &name);
	if (result)
		return result;
	if (name.mode != S_IFLNK)
		return -EINVAL;
	snprintf(ret, size, "%s", name.link);
	return 0;
}

/* ---- Directories ----------------------------------------------------------------------------- */

struct filling {
	void *buffer;
	fuse_fill_dir_t fill;
	bool full;
};

static bool fill_name(const char *name, mode_t mode, void *data)
{
	struct filling *filling = data;
	struct stat st = {.st_mode = mode};

	filling->full = filling->fill(filling->buffer, name, &st, 0, 0) != 0;
	return !filling->full;
}

static void fill_process(uint64_t pid, void *data)
{
	struct filling *filling = data;
	char name[24];

	snprintf(name, sizeof(name), "%" PRIu64, pid);
	if (!filling->full)
		fill_name(name, S_IFDIR, filling);
}

static int serve_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
			 struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
	struct served *served = serving;
	struct filling filling = {.buffer = buffer, .fill = fill};
	struct node node;
	char text[128];
	const char *name;
	int result = 0;

	(void)offset;
	(void)info;
	(void)flags;
	if (!node_parse(path, &node))
		return -ENOENT;
	fill_name(".", S_IFDIR, &filling);
	fill_name("..", S_IFDIR, &filling);
	if (node.kind == NODE_FILE)
		result = guest_name_list(served, path, &node, fill_name, &filling);
	else if (node.kind == NODE_PROCESSES)
		result = served_process_list(served, path, fill_process, &filling);
	for (size_t n = 0; (name = node_name(&node, n, text, sizeof(text))); n++) {
		/* The files of a running guest cannot be read. */
		if (node.kind == NODE_TOP && !strcmp(name, "files") && served->options->live)
			continue;
		fill_name(name, 0, &filling);
	}
	return filling.full ? -ENOMEM : result;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int open_handle(struct served *served, const char *path, struct handle *handle)
{
	const struct node *node = &handle->node;
	int result;

	if (node->kind == NODE_FILE)
		return served->options->live ? -ENOENT
					     : guest_file_open(served, path, node, &handle->file);
	if (node->pid) {
		result = served_process_find(served, path, node->pid);
		if (result)
			return result;
	}
	if (node->kind == NODE_PHYSICAL || node->kind == NODE_PROCESS_MEMORY)
		return 0;
	return served_content_open(served, path, node, &handle->content);
}

static int serve_open(const char *path, struct fuse_file_info *info)
{
	struct served *served = serving;
	struct handle *handle;
	int result;

	if ((info->flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	handle = calloc(1, sizeof(*handle));
	if (!handle)
		return -ENOMEM;
	result = node_parse(path, &handle->node) ? open_handle(served, path, handle) : -ENOENT;
	if (result) {
		free(handle);
		return result;
	}
	info->fh = (uintptr_t)handle;
	/* A size that was told before does not bound what is read. */
	info->direct_io = 1;
	return 0;
}

static int serve_read(const char *path, char *to, size_t size, off_t offset,
		      struct fuse_file_info *info)
{
	struct served *served = serving;
	struct handle *handle = handle_of(info);
	uint64_t at = (uint64_t)offset;
	struct content *content = handle->content;

	if (size > INT32_MAX)
		size = INT32_MAX;
	if (handle->file)
		return guest_file_read(served, path, handle->file, to, size, at);
	if (!content)
		return served_memory_read_at(served, path, &handle->node, to, size, at);
	if (at >= content->text.size)
		return 0;
	if (size > content->text.size - at)
		size = content->text.size - (size_t)at;
	memcpy(to, content->text.data + at, size);
	return (int)size;
}

static int serve_release(const char *path, struct fuse_file_info *info)
{
	struct handle *handle = handle_of(info);

	(void)path;
	if (handle->content)
		served_content_close(serving, handle->content);
	nunchi_file_close(handle->file);
	free(handle);
	return 0;
}

static const struct fuse_operations serve_operations = {
    .init = serve_init,
    .getattr = serve_getattr,
    .readlink = serve_readlink,
    .readdir = serve_readdir,
    .open = serve_open,
    .read = serve_read,
    .release = serve_release,
};

const struct fuse_operations *serve_begin(struct served *served)
{
	serving = served;
	return &serve_operations;
}
