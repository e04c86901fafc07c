/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether this host runs on Xen, and whether we may control its domains. */
#ifndef NUNCHI_TARGET_XEN_HOST_H
#define NUNCHI_TARGET_XEN_HOST_H

#include "core/error.h"

#include <stdbool.h>

enum xen_role {
	XEN_ROLE_NONE, /* it does not run on Xen */
	XEN_ROLE_GUEST,
	XEN_ROLE_CONTROL, /* dom0 */
	XEN_ROLE_UNKNOWN
};

/*
 * What this host is to Xen. root is "" for this host; tests give a directory that has /sys and
 * /proc in it.
 */
enum xen_role xen_host_role(const char *root);
/* Whether it may have domains of its own: not where it is none of Xen's, nor where it is a guest.
 */
bool xen_host_may_control(const char *root);
/*
 * NULL if domains can be reached; else what is in the way and how to change that. A privileged
 * process is one of root's.
 */
struct nunchi_error *xen_host_check(const char *root, bool privileged);

#endif
