/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The elements of a list or tree of the kernel, whatever they are part of. */
#ifndef NUNCHI_GUEST_LINUX_CONTAINER_H
#define NUNCHI_GUEST_LINUX_CONTAINER_H

#include "guest/linux/linux.h"

/* See guest_system.container. */
struct nunchi_error *linux_container(struct guest_kernel *guest, enum guest_container kind,
				     uint64_t head, bool (*give)(uint64_t element, void *data),
				     void *data);

#endif
