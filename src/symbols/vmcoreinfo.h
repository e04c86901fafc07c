/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VMCOREINFO note: "KEY=value" lines by which a kernel describes itself to crash tools.
 * Source: kernel/vmcore_info.c (kernel/crash_core.c before 6.9).
 */
#ifndef NUNCHI_SYMBOLS_VMCOREINFO_H
#define NUNCHI_SYMBOLS_VMCOREINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text of a note; borrowed, not NUL-terminated, untrusted. */
struct vmcoreinfo {
	const char *text;
	size_t size;
};

/*
 * True if data starts like a note that the kernel wrote ("OSRELEASE=", then lines of printable
 * KEY=value, PAGESIZE among them); the text ends at the first byte that cannot belong to it.
 */
bool vmcoreinfo_parse(const void *data, size_t size, struct vmcoreinfo *ret);
/* The value of key as text within the note; false if absent. */
bool vmcoreinfo_get(const struct vmcoreinfo *info, const char *key, const char **ret,
		    size_t *ret_size);
/* "SYMBOL(name)=hex". */
bool vmcoreinfo_symbol(const struct vmcoreinfo *info, const char *name, uint64_t *ret);
/* "NUMBER(name)=decimal or 0xhex". */
bool vmcoreinfo_number(const struct vmcoreinfo *info, const char *name, int64_t *ret);

#endif
