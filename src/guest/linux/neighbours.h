/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Neighbours: which hardware address an address of IPv4 (ARP) or IPv6 (NDP) has. Source:
 * include/net/neighbour.h, net/core/neighbour.c.
 */
#ifndef NUNCHI_GUEST_LINUX_NEIGHBOURS_H
#define NUNCHI_GUEST_LINUX_NEIGHBOURS_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

enum { LINUX_NEIGHBOURS_IP4, LINUX_NEIGHBOURS_IP6, LINUX_NEIGHBOUR_TABLES };

/* include/uapi/linux/neighbour.h */
enum {
	LINUX_NUD_INCOMPLETE = 0x01,
	LINUX_NUD_FAILED = 0x20,
	LINUX_NUD_NOARP = 0x40,
	LINUX_NUD_PERMANENT = 0x80,
};

/* A walk over the neighbours of all network namespaces, those of IPv4 first. */
struct linux_neighbours {
	struct linux_kernel *kernel;
	unsigned kind;  /* of the current table */
	uint64_t table; /* its address; 0: to be opened */
	uint64_t buckets;
	uint32_t bucket_count, bucket;
	uint64_t next; /* the neighbour to come in the bucket; 0: the bucket ends */
	struct hash_map seen;
	/* why some of a table are missing; the first reason */
	enum read_result broken[LINUX_NEIGHBOUR_TABLES];
};

/*
 * Begins a walk. NUNCHI_ERROR_UNSUPPORTED names what this kernel's types or symbols lack.
 */
struct nunchi_error *linux_neighbours_init(struct linux_neighbours *walk,
					   struct linux_kernel *kernel);
void linux_neighbours_deinit(struct linux_neighbours *walk);
/* Gets the address of the next struct neighbour; walk->kind says which table it is in. */
bool linux_neighbours_next(struct linux_neighbours *walk, uint64_t *ret);
/* Copies a neighbour of the current table; READ_BAD_DATA if it is in another one. */
enum read_result linux_neighbour_read(const struct linux_neighbours *walk, uint64_t address,
				      struct object *ret);
/* Append the address of IPv4 or IPv6; the hardware address, of so many bytes. */
enum read_result linux_neighbour_address(const struct linux_neighbours *walk,
					 const struct object *neighbour, struct buffer *ret);
enum read_result linux_neighbour_mac(const struct linux_neighbours *walk,
				     const struct object *neighbour, uint64_t size,
				     struct buffer *ret);

#endif
