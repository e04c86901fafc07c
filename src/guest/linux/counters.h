/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What network devices count. Source: net/core/dev.c, dev_get_stats(); drivers/net/loopback.c. */
#ifndef NUNCHI_GUEST_LINUX_COUNTERS_H
#define NUNCHI_GUEST_LINUX_COUNTERS_H

#include "guest/linux/linux.h"

enum linux_counter {
	LINUX_RX_PACKETS,
	LINUX_TX_PACKETS,
	LINUX_RX_BYTES,
	LINUX_TX_BYTES,
	LINUX_RX_ERRORS,
	LINUX_TX_ERRORS,
	LINUX_RX_DROPS,
	LINUX_TX_DROPS,
	LINUX_COLLISIONS,
	LINUX_COUNTER_COUNT
};

/*
 * Reads the counters of a device, of which a copy is given: those in the device, and those for each
 * CPU of the loopback device and of drivers that leave the counting to the kernel. READ_NO_LAYOUT
 * for others: their drivers count in structures of their own.
 */
enum read_result linux_device_counters(struct linux_kernel *kernel, const struct object *device,
				       uint64_t ret[LINUX_COUNTER_COUNT]);

#endif
