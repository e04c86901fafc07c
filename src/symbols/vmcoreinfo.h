/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VMCOREINFO note: lines of "KEY=value" with which a kernel describes itself to crash tools.
 * Source: kernel/vmcore_info.c (kernel/crash_core.c before 6.9).
 */
#ifndef NUNCHI_SYMBOLS_VMCOREINFO_H
#define NUNCHI_SYMBOLS_VMCOREINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text of a note: borrowed, not NUL-terminated, untrusted. */
struct vmcoreinfo {
	const char *text;
	size_t size;
};

/*
 * Recognises a note at the start of data: "OSRELEASE=", then printable lines of KEY=value, among
 * them PAGESIZE. The text ends before the first byte that cannot belong to it. False if there is no
 * note.
 */
bool vmcoreinfo_parse(const void *data, size_t size, struct vmcoreinfo *ret);
/* Gets the value of key, as text within the note; false if the key is absent. */
bool vmcoreinfo_get(const struct vmcoreinfo *info, const char *key, const char **ret,
		    size_t *ret_size);
/* Gets the value of "SYMBOL(name)=", which is hexadecimal. */
bool vmcoreinfo_symbol(const struct vmcoreinfo *info, const char *name, uint64_t *ret);
/* Gets the value of "NUMBER(name)=", which is decimal, or hexadecimal with 0x. */
bool vmcoreinfo_number(const struct vmcoreinfo *info, const char *name, int64_t *ret);

#endif
