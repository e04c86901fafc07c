/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds out whether this host runs on Xen, and whether this process may control its domains. */
#ifndef NUNCHI_TARGET_XEN_HOST_H
#define NUNCHI_TARGET_XEN_HOST_H

#include "core/error.h"

#include <stdbool.h>

enum xen_role {
	XEN_ROLE_NONE, /* does not run on Xen */
	XEN_ROLE_GUEST,
	XEN_ROLE_CONTROL, /* dom0 */
	XEN_ROLE_UNKNOWN
};

/*
 * Finds out the role of this host. root is "" for this host; tests give a directory that contains
 * /sys and /proc.
 */
enum xen_role xen_host_role(const char *root);
/*
 * Whether this host can have domains: false if it does not run on Xen, or is itself a guest of Xen.
 */
bool xen_host_may_control(const char *root);
/*
 * Returns NULL if this process can control domains; otherwise an error that says what prevents it,
 * with a hint. `privileged`: the process runs as root.
 */
struct nunchi_error *xen_host_check(const char *root, bool privileged);

/*
 * Why a guest can have no breakpoints: this host's processor cannot tell Xen of its INT3, or it is
 * not known to, or such a guest was not tried. NULL if it can. Where the processor cannot, the
 * guest's kernel would get the trap, and die of it.
 */
const char *xen_host_no_breakpoints(const char *root, bool pvh, unsigned vcpus);

/*
 * Whether this host's processor, given a trap by Xen, tells the guest RIP as the address behind the
 * INT3, though Xen gives it the right one too. Bochs' emulation of AMD-V does; that of VT-x does
 * not.
 */
bool xen_host_ignores_length(const char *root);

#endif
