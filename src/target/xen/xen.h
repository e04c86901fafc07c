/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests of Xen on this host: "xen:NAME" or "xen:ID". */
#ifndef NUNCHI_TARGET_XEN_XEN_H
#define NUNCHI_TARGET_XEN_XEN_H

#include "target/kind.h"
#include "target/xen/calls.h"

/* Opens "xen:NAME" with a given table of functions (calls.h), without checking the host. */
struct nunchi_error *xen_target_open_with(const struct xen_calls *calls, const char *word,
					  const struct target_options *options,
					  struct target **ret);

/*
 * Calls found() for each domain except the one in which this process runs, until found() returns
 * false. A host without Xen has no domains, which is not an error.
 */
struct nunchi_error *xen_list(bool ask, target_found_fn *found, void *data, bool *ret_stopped);
/* Does the same with a given table of functions; for tests. */
struct nunchi_error *xen_list_with(const struct xen_calls *calls, target_found_fn *found,
				   void *data, bool *ret_stopped);
/* Whether exactly one domain has this name. */
bool xen_has_guest(const char *name);

/*
 * Reports domains that appear and disappear, through xenstore. The descriptor becomes readable when
 * one does; then call xen_watch_clear(). *ret is NULL if there is no Xen or no xenstore.
 */
struct xen_watch;
/* With a given table of functions; for tests. */
struct nunchi_error *xen_watch_create_with(const struct xen_calls *calls, struct xen_watch **ret);
void xen_watch_destroy(struct xen_watch *watch);
/* The descriptor to poll; owned by the watch. */
int xen_watch_fd(const struct xen_watch *watch);
/*
 * Reads the events that have arrived, so that the descriptor is not readable any more. False if
 * xenstored has ended: it stays readable then, and must not be polled any more.
 */
bool xen_watch_clear(struct xen_watch *watch);
/* The watch on this host; target_wake.fd is -1 if there is no Xen or no xenstore. */
struct nunchi_error *xen_wake(struct target_wake *ret);

#endif
