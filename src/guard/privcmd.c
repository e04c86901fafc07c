/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guard/guard.h"

#include <sys/ioctl.h>

/* IOCTL_PRIVCMD_HYPERCALL of Linux's include/uapi/xen/privcmd.h. */
#define IOCTL_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct xen_raw_call))

int privcmd_call(int fd, struct xen_raw_call *call)
{
	return ioctl(fd, IOCTL_HYPERCALL, call);
}
