/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/inside.h"

#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#define MOST_DEPTH 128
#define MOST_LINKS 40 /* as Linux: include/linux/namei.h, MAXSYMLINKS */

/*
 * The place that a walk has reached: the open directories from the top down to it. ".." is the one
 * before in that list, never what the file system says.
 */
struct walk {
	int top;
	int fds[MOST_DEPTH];
	size_t depth;
	unsigned links;
	char rest[2 * PATH_MAX]; /* the part of the path that is not walked yet */
};

static void walk_deinit(struct walk *walk)
{
	while (walk->depth)
		close(walk->fds[--walk->depth]);
}

static int here(const struct walk *walk)
{
	return walk->depth ? walk->fds[walk->depth - 1] : walk->top;
}

static bool fail(int errnum)
{
	errno = errnum;
	return false;
}

static bool enter(struct walk *walk, const char *name)
{
	int fd;

	if (walk->depth == MOST_DEPTH)
		return fail(ENAMETOOLONG);
	fd = openat(here(walk), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	walk->fds[walk->depth++] = fd;
	return true;
}

static bool at_end(const struct walk *walk)
{
	return !walk->rest[strspn(walk->rest, "/")];
}

/* Takes the first part off the rest of the path. */
static bool take(struct walk *walk, char name[static NAME_MAX + 1], bool *ret_last)
{
	const char *rest = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(rest, "/");
	size_t after = strspn(rest + length, "/");

	if (length > NAME_MAX)
		return fail(ENAMETOOLONG);
	memcpy(name, rest, length);
	name[length] = '\0';
	*ret_last = !after;
	/* A slash at the end becomes a last part ".". */
	rest += length + after;
	if (after && !*rest)
		rest = ".";
	memmove(walk->rest, rest, strlen(rest) + 1);
	return true;
}

/* If the name is a symbolic link, puts its target before the rest of the path. */
static bool follow(struct walk *walk, const char *name, bool *ret_link)
{
	char target[PATH_MAX];
	ssize_t size = readlinkat(here(walk), name, target, sizeof(target));
	size_t rest = strlen(walk->rest);

	*ret_link = size >= 0;
	if (size < 0)
		return errno == EINVAL;
	if (++walk->links > MOST_LINKS)
		return fail(ELOOP);
	if (!size)
		return fail(ENOENT);
	if ((size_t)size + rest + 2 > sizeof(walk->rest))
		return fail(ENAMETOOLONG);
	memmove(walk->rest + size + 1, walk->rest, rest + 1);
	memcpy(walk->rest, target, (size_t)size);
	walk->rest[size] = rest ? '/' : '\0';
	if (target[0] == '/')
		walk_deinit(walk);
	return true;
}

/* One part; *ret is the file when it was the last one, and else stays -1. */
static bool step(struct walk *walk, const char *name, bool last, int flags, int *ret)
{
	bool link;

	if (!strcmp(name, "."))
		return true;
	if (!strcmp(name, "..")) {
		if (walk->depth)
			close(walk->fds[--walk->depth]);
		return true;
	}
	if (!last || !(flags & O_NOFOLLOW)) {
		if (!follow(walk, name, &link))
			return false;
		if (link)
			return true;
	}
	if (!last)
		return enter(walk, name);
	*ret = openat(here(walk), name, flags | O_NOFOLLOW | O_CLOEXEC);
	return *ret >= 0;
}

int open_inside_by_hand(int top, const char *path, int flags)
{
	_cleanup_(walk_deinit) struct walk walk;
	char name[NAME_MAX + 1];
	bool last = false;
	int fd = -1;

	walk.top = top;
	walk.depth = walk.links = 0;
	if (!*path || strlen(path) >= PATH_MAX) {
		errno = *path ? ENAMETOOLONG : ENOENT;
		return -1;
	}
	memcpy(walk.rest, path, strlen(path) + 1);
	while (!at_end(&walk)) {
		if (!take(&walk, name, &last) || !step(&walk, name, last, flags, &fd))
			return -1;
		if (fd >= 0)
			return fd;
	}
	/* The path ended in a directory, the one reached last. */
	return openat(here(&walk), ".", flags | O_CLOEXEC);
}

int open_inside(int top, const char *path, int flags)
{
	struct open_how how = {
	    .flags = (uint64_t)(flags | O_CLOEXEC),
	    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, top, path, &how, sizeof(how));

	/* Older kernels do not have openat2(); seccomp filters of containers may answer EPERM. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return open_inside_by_hand(top, path, flags);
	return fd;
}
