/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of numbers and bits that programs give the kernel. They are macros of its headers, of which
 * its types know nothing; the numbers are those of x86, and do not change.
 */
#ifndef NUNCHI_PROBE_LINUX_FLAGS_H
#define NUNCHI_PROBE_LINUX_FLAGS_H

#include "core/buffer.h"

#include <stdbool.h>
#include <stdint.h>

/* A name. Of bits it may be several that stand together for something. */
struct flag_name {
	uint64_t value;
	const char *name;
};

struct flag_set {
	/* the bits that are a number, with its names; what has no name here is shown as bits */
	uint64_t number_mask;
	const struct flag_name *numbers;
	size_t number_count;
	/* names of several bits stand before those of each */
	const struct flag_name *bits;
	size_t bit_count;
};

extern const struct flag_set flags_open, flags_protection, flags_memfd, flags_namespace, flags_send,
    flags_prctl;

/*
 * Appends the names of a value, as "O_RDWR|O_CLOEXEC". Bits without a name become a hexadecimal
 * number, and so does 0 if it has no name.
 */
void flag_set_append(const struct flag_set *set, uint64_t value, struct buffer *ret);
/*
 * The names for argument `argument` of the system call `call`, as the kernel calls both; NULL if it
 * is no argument of names.
 */
const struct flag_set *flag_set_find(const char *call, const char *argument);
/* The name of an errno of the guest, as "ENOENT", or NULL. */
const char *error_name(uint64_t error);

#endif
