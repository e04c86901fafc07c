/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other kernels in the memory than the one that is shown: which there are, and how they are told.
 */
#ifndef NUNCHI_GUEST_LINUX_OTHERS_H
#define NUNCHI_GUEST_LINUX_OTHERS_H

#include "guest/linux/linux.h"
#include "target/target.h"

#define LINUX_MAX_OTHERS 4

struct linux_others {
	struct {
		uint64_t physical; /* address of _text */
		char how[96]; /* how it is known, after "its" place: "vCPU 1 is halted in it" */
	} items[LINUX_MAX_OTHERS];
	size_t count;
};

/* Adds a kernel, if there is none yet at this address. */
void linux_others_add(struct linux_others *others, uint64_t physical, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Adds the kernel that the target's VMCOREINFO note names, and the one that crashed before if this
 * one is a crash kernel. Then gives the target a note, and the kernel a fact, on each other kernel.
 */
void linux_others_tell(struct linux_others *others, struct linux_kernel *kernel,
		       struct target *target);

#endif
