/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests of the Xen that this host runs on: "xen:NAME" or "xen:ID".
 */
#ifndef NUNCHI_TARGET_XEN_XEN_H
#define NUNCHI_TARGET_XEN_XEN_H

#include "target/kind.h"
#include "target/xen/library.h"

/* Opens "xen:NAME" by a table of functions (see library.h), without a look at the host. */
struct nunchi_error *xen_target_open_with(const struct xen_library *library, const char *word,
					  const struct target_options *options,
					  struct target **ret);

/*
 * Calls found for each domain except the one that this process runs in, until found returns false.
 * A host without Xen has no domains; that is no error.
 */
struct nunchi_error *xen_list(bool ask, target_found_fn *found, void *data, bool *ret_stopped);
struct nunchi_error *xen_list_with(const struct xen_library *library, target_found_fn *found,
				   void *data, bool *ret_stopped);
/* Whether exactly one domain has that name. */
bool xen_has_guest(const char *name);

/*
 * Domains that come and go, as xenstore tells them. The descriptor becomes readable when one did;
 * then xen_watch_clear(). *ret is NULL where there is no Xen or no xenstore.
 */
struct xen_watch;
/* With a table of functions that is there already, as tests have. */
struct nunchi_error *xen_watch_create_with(const struct xen_library *library,
					   struct xen_watch **ret);
void xen_watch_destroy(struct xen_watch *watch);
int xen_watch_fd(const struct xen_watch *watch);
void xen_watch_clear(struct xen_watch *watch);
/* The watch of this host; target_wake.fd is -1 where there is no Xen or no xenstore. */
struct nunchi_error *xen_wake(struct target_wake *ret);

#endif
