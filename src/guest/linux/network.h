/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Network namespaces, their devices, and the devices' addresses. Source:
 * include/net/net_namespace.h, include/linux/netdevice.h, include/linux/inetdevice.h,
 * include/net/if_inet6.h.
 */
#ifndef NUNCHI_GUEST_LINUX_NETWORK_H
#define NUNCHI_GUEST_LINUX_NETWORK_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

/*
 * Check that this kernel's types have all fields needed. NUNCHI_ERROR_UNSUPPORTED names the
 * structures that lack a field.
 */
struct nunchi_error *linux_devices_check(struct linux_kernel *kernel);

/* ---- Namespaces ------------------------------------------------------------------------------ */

/*
 * A walk over the network namespaces: from that of the kernel's first task along the list in which
 * all of them are.
 */
struct linux_nets {
	struct linux_kernel *kernel;
	uint64_t first; /* that of the first task, until it was returned */
	bool none;      /* the kernel has no network */
	struct linux_list list;
	struct hash_map seen;
};

void linux_nets_init(struct linux_nets *walk, struct linux_kernel *kernel);
void linux_nets_deinit(struct linux_nets *walk);
/* Gets the address of the next struct net; false at the end, or if walk->list.broken is set. */
bool linux_nets_next(struct linux_nets *walk, uint64_t *ret);

/* ---- Devices --------------------------------------------------------------------------------- */

/* A walk over the devices of a namespace. */
struct linux_devices {
	struct linux_list list;
	struct hash_map seen;
};

void linux_devices_init(struct linux_devices *walk, struct linux_kernel *kernel, uint64_t net);
void linux_devices_deinit(struct linux_devices *walk);
/* Gets the address of the next struct net_device. */
bool linux_devices_next(struct linux_devices *walk, uint64_t *ret);
/* Whether a device that was on a list is still on it. */
bool linux_device_is_listed(struct linux_kernel *kernel, uint64_t device);
/* The flags that the kernel tells of a device (IFF_UP …). device: a copy of its struct. */
enum read_result linux_device_flags(struct linux_kernel *kernel, const struct object *device,
				    int64_t *ret);
/* Appends the hardware address, "52:54:00:12:34:56"; READ_NONE: the device has none. */
enum read_result linux_device_mac(struct linux_kernel *kernel, const struct object *device,
				  struct buffer *ret);

/* ---- Addresses ------------------------------------------------------------------------------- */

/* A walk over the IPv4 addresses of a device, then over its IPv6 addresses. */
struct linux_addresses {
	struct linux_kernel *kernel;
	uint64_t device;
	uint64_t in_device, inet6_dev; /* what the device has for each; 0: nothing */
	bool wide;                     /* at the IPv6 addresses */
	uint64_t next;                 /* the IPv4 address to come */
	struct linux_list list;        /* of the IPv6 addresses */
	struct hash_map seen;
	enum read_result broken; /* why the walk did not reach the end */
};

/* Begins the walk over the addresses of a device, of which a copy is given. */
void linux_addresses_init(struct linux_addresses *walk, struct linux_kernel *kernel,
			  const struct object *device);
void linux_addresses_deinit(struct linux_addresses *walk);
/*
 * Copies the next address; false at the end, or if walk->broken is set. walk->wide says whether it
 * is one of IPv6.
 */
bool linux_addresses_next(struct linux_addresses *walk, struct object *address);
/* Whether the device still has the address, of which a copy is given. */
bool linux_address_is_listed(const struct linux_addresses *walk, const struct object *address);

enum linux_address_part {
	LINUX_ADDRESS_OWN,
	LINUX_ADDRESS_MASK,
	LINUX_ADDRESS_BROADCAST,
	LINUX_ADDRESS_PEER, /* the other end of a point-to-point link */
};

/* Appends a part of an address; READ_NONE if it has no such part. */
enum read_result linux_address_part(const struct linux_addresses *walk,
				    const struct object *address, enum linux_address_part part,
				    struct buffer *ret);

#endif
