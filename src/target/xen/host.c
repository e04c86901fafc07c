/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The start of a small file, without a final newline; false if it cannot be read. */
static bool read_line(const char *root, const char *path, char *ret, size_t size)
{
	char full[PATH_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t length;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return false;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, ret, size - 1);
	if (length < 0)
		return false;
	ret[length] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

static bool exists(const char *root, const char *path)
{
	char full[PATH_MAX];

	return snprintf(full, sizeof(full), "%s%s", root, path) < (int)sizeof(full) &&
	       !access(full, F_OK);
}

bool xen_host_is_xen(const char *root)
{
	char type[32];

	if (read_line(root, "/sys/hypervisor/type", type, sizeof(type)))
		return !strcmp(type, "xen");
	/* The kernel makes it on Xen alone; xenfs is mounted there. */
	return exists(root, "/proc/xen");
}

struct nunchi_error *xen_host_check(const char *root, bool privileged)
{
	char line[128] = "";

	if (!xen_host_is_xen(root))
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED, "this host does not run on Xen"),
		    "run nunchi in the control domain (dom0) of a Xen host");
	if (read_line(root, "/proc/xen/capabilities", line, sizeof(line))) {
		if (!strstr(line, "control_d"))
			return error_hint(error_create(NUNCHI_ERROR_PERMISSION,
						       "this is a guest of Xen, not its control "
						       "domain (/proc/xen/capabilities lacks "
						       "control_d)"),
					  "run nunchi in dom0");
	} else if (exists(root, "/proc/xen") && !exists(root, "/dev/xen/privcmd")) {
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED, "xenfs is not mounted on /proc/xen"),
		    "sudo modprobe xenfs; sudo mount -t xenfs xenfs /proc/xen");
	}
	if (!privileged)
		return error_hint(error_create(NUNCHI_ERROR_PERMISSION,
					       "reaching Xen's guests takes root's rights"),
				  "run it as root: sudo nunchi …");
	if (!exists(root, "/dev/xen/privcmd") && !exists(root, "/proc/xen/privcmd"))
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "there is no /dev/xen/privcmd, by which hypercalls "
					       "are made"),
				  "sudo modprobe xen-privcmd");
	return NULL;
}
