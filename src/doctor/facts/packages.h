/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The installed packages of Debian and Ubuntu that matter to a diagnosis, from dpkg's status file.
 */
#ifndef NUNCHI_DOCTOR_FACTS_PACKAGES_H
#define NUNCHI_DOCTOR_FACTS_PACKAGES_H

#include "core/buffer.h"

#include <sys/types.h>

/* Gives how many bytes were read, 0 at the end, -1 with errno. */
typedef ssize_t (*packages_read)(void *data, void *to, size_t size);

/*
 * Reads dpkg's status file (deb-control(5), dpkg-query(1)) and appends "NAME VERSION", one a line,
 * for every package that is installed and is one of Xen's, a kernel, firmware, microcode, GRUB,
 * QEMU, or makes an initramfs. Gives 0 or an errno: EFBIG for more than 256 MiB.
 */
int packages_list(packages_read read, void *data, struct buffer *ret);

#endif
