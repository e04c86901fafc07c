/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes of a function that the user names: probe_system.create_named(). */
#ifndef NUNCHI_PROBE_LINUX_FUNCTION_H
#define NUNCHI_PROBE_LINUX_FUNCTION_H

#include "probe/probe.h"

/*
 * Makes the probe "kernel:FUNCTION" or "kernel:FUNCTION(EXPRESSION,…)"; *ret is NULL for other
 * names. The error says where in the name it is.
 */
struct nunchi_error *linux_function_create(struct guest_kernel *kernel, const char *name,
					   struct probe **ret);
/* NULL is accepted. */
void linux_function_destroy(struct probe *probe);

#endif
