/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/mounts.h"

#include "core/cleanup.h"
#include "core/io.h"
#include "target/qemu/scan.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Sizes of pages, as their logarithm (memfd_create(2)). */
#define MFD_2MB       (21u << 26)
#define MFD_1GB       (30u << 26)
#define MOUNTINFO_MAX ((size_t)4 << 20)

struct mount {
	struct mounts_device device;
	struct scan point, type;
};

/* "36 35 98:0 /root /point options optional… - type source options" */
static bool parse_line(struct scan line, struct mount *ret)
{
	struct scan word;
	uint64_t major, minor;

	for (int i = 0; i < 2; i++) {
		if (!scan_word(&line, &word))
			return false;
		scan_spaces(&line);
	}
	if (!scan_decimal(&line, &major) || !scan_literal(&line, ":") ||
	    !scan_decimal(&line, &minor))
		return false;
	scan_spaces(&line);
	if (!scan_word(&line, &word))
		return false;
	scan_spaces(&line);
	if (!scan_word(&line, &ret->point) || !scan_find(&line, " - ") ||
	    !scan_word(&line, &ret->type))
		return false;
	ret->device = (struct mounts_device){(unsigned)major, (unsigned)minor};
	return true;
}

static void copy_type(const struct mount *mount, char *ret, size_t size)
{
	snprintf(ret, size, "%.*s", (int)(mount->type.end - mount->type.at), mount->type.at);
}

bool mounts_find_device(const char *text, size_t size, struct mounts_device device, char *ret,
			size_t ret_size)
{
	struct scan rest = {text, text + size}, line;
	struct mount mount;

	while (scan_line(&rest, &line)) {
		if (!parse_line(line, &mount) || mount.device.major != device.major ||
		    mount.device.minor != device.minor)
			continue;
		copy_type(&mount, ret, ret_size);
		return true;
	}
	return false;
}

/* Whether the path is the mount's point, or lies below it. Octal escapes never fit. */
static bool is_below(const char *path, const struct scan *point)
{
	size_t length = (size_t)(point->end - point->at);

	if (length == 1)
		return path[0] == '/';
	return !strncmp(path, point->at, length) && (path[length] == '/' || !path[length]);
}

bool mounts_find_path(const char *text, size_t size, const char *path, char *ret, size_t ret_size)
{
	struct scan rest = {text, text + size}, line;
	struct mount mount;
	size_t longest = 0;

	while (scan_line(&rest, &line)) {
		size_t length;

		if (!parse_line(line, &mount) || !is_below(path, &mount.point))
			continue;
		length = (size_t)(mount.point.end - mount.point.at);
		/* A later mount on the same point hides an earlier one. */
		if (length < longest)
			continue;
		longest = length;
		copy_type(&mount, ret, ret_size);
	}
	return longest;
}

bool mounts_is_local(const char *type)
{
	static const char *const local[] = {
	    "tmpfs", "ramfs",    "hugetlbfs", "devtmpfs", "ext2",     "ext3",  "ext4",
	    "xfs",   "btrfs",    "f2fs",      "zfs",      "bcachefs", "jfs",   "reiserfs",
	    "erofs", "squashfs", "vfat",      "exfat",    "iso9660",  "nilfs2"};

	for (size_t i = 0; i < ARRAY_SIZE(local); i++)
		if (!strcmp(type, local[i]))
			return true;
	return false;
}

static bool load_mountinfo(const char *path, struct buffer *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	buffer_init(ret, MOUNTINFO_MAX);
	do {
		char *to = fd >= 0 ? buffer_reserve(ret, 65536) : NULL;

		if (!to)
			return false;
		n = io_read_full(fd, to, 65536);
		if (n < 0)
			return false;
		ret->size += (size_t)n;
	} while (n > 0);
	return true;
}

/* Whether the device is that on which a new memfd lies: such mounts are in no mountinfo. */
static bool is_of_kernel(struct mounts_device device)
{
	static const unsigned flags[] = {MFD_CLOEXEC, MFD_CLOEXEC | MFD_HUGETLB | MFD_2MB,
					 MFD_CLOEXEC | MFD_HUGETLB | MFD_1GB};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		_cleanup_close_ int fd = memfd_create("nunchi", flags[i]);
		struct stat st;

		if (fd >= 0 && !fstat(fd, &st) && major(st.st_dev) == device.major &&
		    minor(st.st_dev) == device.minor)
			return true;
	}
	return false;
}

bool mounts_device_is_local(pid_t pid, struct mounts_device device, char *type, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	/* A file of a container lies on a mount of the host's, where the container does not see it.
	 */
	const char *const paths[] = {"/proc/self/mountinfo", "/proc/1/mountinfo", path};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_buffer_ struct buffer text = {0};

		if (load_mountinfo(paths[i], &text) &&
		    mounts_find_device(buffer_string(&text), text.size, device, type, size))
			/* Below an overlay may be any file system; here the administrator made it.
			 */
			return mounts_is_local(type) || (i < 2 && !strcmp(type, "overlay"));
	}
	snprintf(type, size, "unknown");
	return is_of_kernel(device);
}

bool mounts_path_is_local(const char *path, char *type, size_t size)
{
	_cleanup_buffer_ struct buffer text = {0};

	snprintf(type, size, "unknown");
	return load_mountinfo("/proc/self/mountinfo", &text) &&
	       mounts_find_path(buffer_string(&text), text.size, path, type, size) &&
	       mounts_is_local(type);
}
