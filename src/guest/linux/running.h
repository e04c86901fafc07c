/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a kernel that was found in the memory runs, or only remains there. */
#ifndef NUNCHI_GUEST_LINUX_RUNNING_H
#define NUNCHI_GUEST_LINUX_RUNNING_H

#include "guest/linux/linux.h"
#include "target/target.h"

/*
 * Checks that a vCPU runs the kernel, which was found by something else than the vCPUs' page
 * tables, or by those of parked vCPUs alone. Succeeds if the registers do not tell. If they show
 * that no vCPU runs it: where `remains` is true, sets kernel->guest.remains and adds a note to the
 * target; otherwise fails with NUNCHI_ERROR_NO_KERNEL.
 */
struct nunchi_error *linux_running_check(struct linux_kernel *kernel, struct target *target,
					 bool remains);

#endif
