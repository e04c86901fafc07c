/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How Xen is reached: through Linux's driver for hypercalls and guest memory (privcmd.c) and
 * through xenstored (store.c). Tests put a simulated hypervisor behind this table.
 *
 * No library of Xen's is used: the driver's interface and xenstore's protocol are as stable as the
 * libraries', libxenstore has no deadline, and loading five libraries took a third of the time of
 * finding a guest's kernel.
 */
#ifndef NUNCHI_TARGET_XEN_CALLS_H
#define NUNCHI_TARGET_XEN_CALLS_H

#include "target/xen/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A hypercall in the form of the driver (struct privcmd_hypercall, include/uapi/xen/privcmd.h). */
struct xen_raw_call {
	uint64_t number;
	uint64_t arguments[5];
};
/* IOCTL_PRIVCMD_HYPERCALL; needs sys/ioctl.h. */
#define XEN_RAW_CALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct xen_raw_call))

/* IOCTL_PRIVCMD_MMAPBATCH_V2, by which map() maps. */
#define XEN_MAP_CALL _IOC(_IOC_NONE, 'P', 4, 32)

struct xen_calls {
	/* Opens the driver: a descriptor, or -1 with errno. */
	int (*open)(void);
	void (*close)(int driver);
	/*
	 * Restricts the descriptor for good to mapping memory of one domain (since Linux 4.11).
	 * False if that is not possible.
	 */
	bool (*restrict_to)(int driver, uint16_t domain);
	/* Makes a hypercall. Its result, or -1 with errno. */
	int (*call)(int driver, uint64_t number, uint64_t one, uint64_t two);
	/*
	 * Allocates memory that hypercalls may read and write, filled with zeros; NULL if memory is
	 * short. A child of fork() does not have it.
	 */
	void *(*alloc)(size_t size);
	void (*free)(void *buffer, size_t size);
	/*
	 * Maps pages of a domain for reading. errors[i] is 0, or a negative errno if page i is not
	 * mapped, and must not be touched then. NULL with errno if nothing could be mapped.
	 */
	void *(*map)(int driver, uint16_t domain, size_t pages, const uint64_t *frames,
		     int *errors);
	void (*unmap)(void *map, size_t pages);
	/* Maps one page of a domain for reading and writing; NULL with errno. */
	void *(*map_page)(int driver, uint16_t domain, uint64_t frame);

	/*
	 * Makes an operation of a device model (struct xen_dm_op) on a domain (since Linux 4.11).
	 * 0, or -1 with errno.
	 */
	int (*device_op)(int driver, uint16_t domain, void *op, size_t size);
	/* xen_host_no_breakpoints() of this host, for such a guest. */
	const char *(*no_breakpoints)(bool pvh, unsigned vcpus);
	/* xen_host_ignores_length() of this host. */
	bool (*ignores_length)(void);

	/* Opens the driver of event channels, without waiting: a descriptor, or -1 with errno. */
	int (*channels_open)(void);
	/*
	 * Connects it with the channel at a port of another domain, so that it is readable when
	 * that domain, or Xen in its name, sends. False with errno.
	 */
	bool (*channels_bind)(int channels, uint16_t domain, uint32_t port);
	/* Takes what was sent, so that the descriptor is readable when more is sent. */
	void (*channels_clear)(int channels);

	/* store.c tells what these do. */
	struct xen_store *(*store_open)(const char *root, enum xen_store_state *ret);
	void (*store_close)(struct xen_store *store);
	char *(*store_read)(struct xen_store *store, const char *path, size_t *ret_size);
	char *(*store_names)(struct xen_store *store, const char *path, size_t *ret_size);
	enum xen_store_state (*store_state)(const struct xen_store *store);
	bool (*store_watch)(struct xen_store *store, const char *path, const char *token);
	int (*store_fd)(const struct xen_store *store);
	bool (*store_clear)(struct xen_store *store);
};

/* The host's own. */
extern const struct xen_calls xen_calls;
/* Its map_page(), which the guard uses too. */
void *xen_driver_map_page(int driver, uint16_t domain, uint64_t frame);

#endif
