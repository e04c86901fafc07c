/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether there is a xenstored that answers. libxenstore waits for ever for one that does not:
 * where it died, its library takes the kernel's device instead, which passes questions on to
 * nobody.
 */
#ifndef NUNCHI_TARGET_XEN_STORE_H
#define NUNCHI_TARGET_XEN_STORE_H

enum xen_store_state {
	XEN_STORE_ANSWERS,
	XEN_STORE_NONE,   /* neither a socket nor a device that leads to one */
	XEN_STORE_SILENT, /* none within xen_store_check()'s two seconds */
	XEN_STORE_CLOSED  /* not to this user */
};

/*
 * Puts a question to it in its own protocol (xen/include/public/io/xs_wire.h), by the socket or
 * device that libxenstore would take. Paths begin with root, "" for the host itself.
 */
enum xen_store_state xen_store_check(const char *root);

#endif
