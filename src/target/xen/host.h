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
/*
 * Whether this host can have domains: false if it does not run on Xen, and false if it is itself a
 * guest of Xen's.
 */
bool xen_host_may_control(const char *root);
/*
 * NULL if this process can control domains; else an error that says what prevents it, with a hint
 * how to change that. `privileged`: the process runs as root.
 */
struct nunchi_error *xen_host_check(const char *root, bool privileged);

#endif
