/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Routes of a network namespace: of IPv4 in tries, of IPv6 in trees. Source: net/ipv4/fib_trie.c,
 * net/ipv6/ip6_fib.c.
 */
#ifndef NUNCHI_GUEST_LINUX_ROUTES_H
#define NUNCHI_GUEST_LINUX_ROUTES_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

struct linux_route {
	uint64_t address; /* of the struct fib_alias, or the struct fib6_info */
	uint32_t key;     /* IPv4: where it leads, the first byte in the highest bits */
	uint32_t table;
	bool wide; /* IPv6 */
};

/* The routes of one namespace. */
struct linux_routes {
	struct linux_kernel *kernel;
	uint64_t net;
	struct linux_route *items; /* owned */
	size_t count, capacity;
	uint64_t *pending; /* nodes to be walked; owned */
	size_t pending_count, pending_capacity;
	struct hash_map seen;
	uint64_t trie_of_main; /* of the table main of IPv4 */
	uint64_t steps;        /* words looked at so far, in all namespaces */
	/* why some of IPv4, of IPv6 are missing; the first reason */
	enum read_result broken[2];
};

/*
 * Checks that this kernel's types have all fields needed. NUNCHI_ERROR_UNSUPPORTED names the
 * structures that lack a field.
 */
struct nunchi_error *linux_routes_check(struct linux_kernel *kernel);
void linux_routes_deinit(struct linux_routes *routes);
/* Collects the routes of a namespace, in place of those of another one. */
struct nunchi_error *linux_routes_collect(struct linux_routes *routes, uint64_t net);

/* A route that was read. The objects are owned. */
struct linux_route_copy {
	const struct linux_route *route;
	struct object alias; /* IPv4 */
	struct object info;  /* struct fib_info, or fib6_info */
	unsigned hops;       /* that it has; 0: it leads nowhere (blackhole …) */
	enum read_result hops_result;
	uint64_t group; /* address of the struct nh_group of its hops; 0: they are its own */
	uint64_t nexthop;
};

void linux_route_deinit(struct linux_route_copy *copy);
enum read_result linux_route_read(struct linux_kernel *kernel, const struct linux_route *route,
				  struct linux_route_copy *ret);
/* Copies one of the hops, a struct fib_nh_common. */
enum read_result linux_route_hop(struct linux_kernel *kernel, const struct linux_route_copy *copy,
				 unsigned hop, struct object *ret);

/* Append where it leads, and the address that packets should come from. */
enum read_result linux_route_destination(struct linux_kernel *kernel,
					 const struct linux_route_copy *copy, struct buffer *ret);
enum read_result linux_route_source(struct linux_kernel *kernel,
				    const struct linux_route_copy *copy, struct buffer *ret);
/* How many bits of the destination count; what kind it is (RTN_UNICAST …); who made it. */
enum read_result linux_route_prefix(struct linux_kernel *kernel,
				    const struct linux_route_copy *copy, int64_t *ret);
enum read_result linux_route_type(struct linux_kernel *kernel, const struct linux_route_copy *copy,
				  int64_t *ret);
enum read_result linux_route_protocol(struct linux_kernel *kernel,
				      const struct linux_route_copy *copy, int64_t *ret);
enum read_result linux_route_metric(struct linux_kernel *kernel,
				    const struct linux_route_copy *copy, int64_t *ret);
/* One of the numbers of RTAX_MTU …; 0 if the route has none. */
enum read_result linux_route_metrics(struct linux_kernel *kernel,
				     const struct linux_route_copy *copy, unsigned which,
				     int64_t *ret);
/* Appends the gateway of a hop; READ_NONE: what the route leads to is at the device. */
enum read_result linux_hop_gateway(struct linux_kernel *kernel, const struct object *hop,
				   struct buffer *ret);

#endif
