/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings of two places that do not agree, which may be of two moments. */
#ifndef NUNCHI_CHECK_LINUX_COMPARED_H
#define NUNCHI_CHECK_LINUX_COMPARED_H

#include "check/check.h"

/*
 * Adds a finding of two places that do not agree; its meaning has no full stop. In a saved guest
 * the places may be of two moments, since tools that save a running guest copy one page after
 * another: there an alarm becomes a warning, and its meaning goes on with "or" and what may have
 * happened meanwhile.
 */
void check_add_compared(struct check_report *report, const struct guest_kernel *kernel,
			const struct check_finding *finding, const char *happened);

#endif
