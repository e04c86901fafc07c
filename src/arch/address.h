/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest addresses as distinct types, so that the compiler rejects one kind in place of another.
 */
#ifndef NUNCHI_ARCH_ADDRESS_H
#define NUNCHI_ARCH_ADDRESS_H

#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((uint64_t)1 << PAGE_SHIFT)
#define PAGE_MASK  (PAGE_SIZE - 1) /* of the offset within a page */

/* Guest-virtual address. */
typedef struct {
	uint64_t v;
} gva_t;

/* Guest-physical address. */
typedef struct {
	uint64_t v;
} gpa_t;

/* Guest frame number: a guest-physical address divided by the page size. */
typedef struct {
	uint64_t v;
} gfn_t;

static inline gva_t gva(uint64_t v)
{
	return (gva_t){v};
}

static inline gpa_t gpa(uint64_t v)
{
	return (gpa_t){v};
}

static inline gva_t gva_add(gva_t a, uint64_t offset)
{
	return (gva_t){a.v + offset};
}

static inline gpa_t gpa_add(gpa_t a, uint64_t offset)
{
	return (gpa_t){a.v + offset};
}

static inline gfn_t gfn_of(gpa_t a)
{
	return (gfn_t){a.v >> PAGE_SHIFT};
}

#endif
