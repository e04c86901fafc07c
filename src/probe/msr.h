/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes of a single MSR: "msr:NUMBER". */
#ifndef NUNCHI_PROBE_MSR_H
#define NUNCHI_PROBE_MSR_H

#include "probe/probe.h"

#define MSR_PREFIX "msr:"

/* For a name that begins with MSR_PREFIX: probe_system.create_named() and destroy_named(). */
struct nunchi_error *msr_create(const char *name, struct probe **ret);
void msr_destroy(struct probe *probe);

#endif
