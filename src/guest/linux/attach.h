/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding the kernel in a guest: candidates, witnesses, symbols, types.
 */
#ifndef NUNCHI_GUEST_LINUX_ATTACH_H
#define NUNCHI_GUEST_LINUX_ATTACH_H

#include "core/cancel.h"
#include "guest/linux/linux.h"
#include "target/target.h"

/*
 * Finds the kernel with no outside help. A candidate is accepted only when two independent
 * witnesses agree and its banner reads through the derived page tables; NUNCHI_ERROR_NO_KERNEL
 * says what was tried, NUNCHI_ERROR_AMBIGUOUS that several kernels hold equally well. A kernel
 * without symbols or types is given with what it has (see symbols_missing, types_missing). May
 * choose among a raw file's layouts. The target must outlive the kernel.
 */
struct nunchi_error *linux_kernel_attach(struct target *target,
					 const struct guest_attach_options *options,
					 struct linux_kernel **ret);
void linux_kernel_destroy(struct linux_kernel *kernel);

/*
 * On a running guest: NUNCHI_ERROR_GONE if it ended, NUNCHI_ERROR_REBOOTED if another kernel, or
 * the same one anew or elsewhere, runs now. An image may stay in memory long after its kernel
 * ended, so that is told by the resets that the target noticed, and by where the page tables of the
 * vCPUs lead. These are asked of the hypervisor (two questions over QMP take near a millisecond)
 * only if thorough; else what memory says must do.
 */
struct nunchi_error *linux_kernel_check(struct linux_kernel *kernel, struct target *target,
					bool thorough);

#endif
