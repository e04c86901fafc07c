/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client of xenstored. libxenstore waits for ever where no xenstored answers: when xenstored has
 * ended, the kernel's device takes requests and passes them to nobody. Here each request has two
 * seconds (with the device, since Linux 4.11: before, it waited within write()); after the first
 * that fails the connection is of no use, and all others fail at once.
 *
 * Not thread-safe. A child of fork() must not use it.
 */
#ifndef NUNCHI_TARGET_XEN_STORE_H
#define NUNCHI_TARGET_XEN_STORE_H

#include <stdbool.h>
#include <stddef.h>

enum xen_store_state {
	XEN_STORE_ANSWERS,
	XEN_STORE_NONE,   /* there is no socket and no working device, or it hung up */
	XEN_STORE_SILENT, /* no answer within two seconds */
	XEN_STORE_CLOSED, /* this user may not connect */
	XEN_STORE_BAD     /* its answer is not one of xenstore's protocol */
};

struct xen_store;

/*
 * Connects to the socket, or else opens the kernel's device. All paths begin with root, which is ""
 * for the host itself. NULL if there is none or memory is short; *ret says why. That something
 * answers is known after the first request only.
 */
struct xen_store *xen_store_open(const char *root, enum xen_store_state *ret);
/* NULL is accepted. */
void xen_store_close(struct xen_store *store);
/* XEN_STORE_ANSWERS, or why requests have failed. */
enum xen_store_state xen_store_get_state(const struct xen_store *store);

/*
 * Reads a value: *ret_size bytes, and a NUL byte after them. The caller frees it. NULL if there is
 * no such value, or if the request failed.
 */
char *xen_store_get(struct xen_store *store, const char *path, size_t *ret_size);

/*
 * Reads the names below a path, each with a NUL byte after it: *ret_size bytes. The caller frees
 * them. xenstored gives at most 4096 bytes.
 */
char *xen_store_get_names(struct xen_store *store, const char *path, size_t *ret_size);

/*
 * Has xenstored report changes at a path: the descriptor is readable then. Each watch fires once at
 * the start. The token is not used, but must differ from that of another watch of the path. False
 * without a socket: with the kernel's device, setting a watch may wait for ever.
 */
bool xen_store_watch(struct xen_store *store, const char *path, const char *token);
int xen_store_fd(const struct xen_store *store);
/* Takes the reports that have come. False when the connection has ended, which stays readable. */
bool xen_store_clear(struct xen_store *store);

#endif
