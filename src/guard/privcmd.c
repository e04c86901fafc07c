/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guard/guard.h"

#include <sys/ioctl.h>

int privcmd_call(int fd, struct xen_raw_call *call)
{
	return ioctl(fd, XEN_RAW_CALL, call);
}

void *privcmd_map(int fd, uint16_t domain, uint64_t frame)
{
	return xen_driver_map_page(fd, domain, frame);
}
