/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether this host runs on Xen, and whether we may control its domains. */
#ifndef NUNCHI_TARGET_XEN_HOST_H
#define NUNCHI_TARGET_XEN_HOST_H

#include "core/error.h"

#include <stdbool.h>

/*
 * root is "" for this host; tests give a directory that has /sys and /proc in it. A privileged
 * process is one of root's.
 */
bool xen_host_is_xen(const char *root);
/* NULL if domains can be reached; else what is in the way and how to change that. */
struct nunchi_error *xen_host_check(const char *root, bool privileged);

#endif
