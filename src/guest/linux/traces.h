/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a memory without a readable kernel contains, so that the refusal can say why. */
#ifndef NUNCHI_GUEST_LINUX_TRACES_H
#define NUNCHI_GUEST_LINUX_TRACES_H

#include "core/cancel.h"
#include "memory/memory.h"

struct linux_traces {
	char banner[256]; /* "Linux version …" as a kernel's image has it; "" if there is none */
	uint64_t banner_at; /* physical address */
	bool is_arm64;      /* an image of a kernel for AArch64, or a banner that names it */
	bool is_random;     /* nearly all pages look random: encrypted or compressed */
	bool has_data;      /* some byte is not zero */
};

/* Searches the first 8 GiB of the data in the memory. */
void linux_traces_find(struct memory *memory, const struct cancel *cancel,
		       struct linux_traces *ret);

#endif
