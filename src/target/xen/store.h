/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds out whether a xenstored answers. libxenstore waits for ever if none does: when xenstored
 * has ended, the library uses the kernel's device, which passes requests to nobody.
 */
#ifndef NUNCHI_TARGET_XEN_STORE_H
#define NUNCHI_TARGET_XEN_STORE_H

enum xen_store_state {
	XEN_STORE_ANSWERS,
	XEN_STORE_NONE,   /* there is no socket and no working device */
	XEN_STORE_SILENT, /* no answer within two seconds, the limit of xen_store_check() */
	XEN_STORE_CLOSED  /* this user may not connect */
};

/*
 * Sends a request in xenstore's protocol (xen/include/public/io/xs_wire.h) through the socket or
 * device that libxenstore would use. All paths begin with root, which is "" for the host itself.
 */
enum xen_store_state xen_store_check(const char *root);

#endif
