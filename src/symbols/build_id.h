/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Build ids (NT_GNU_BUILD_ID): the linker gives one to each build of a kernel. A vmlinux, the
 * kernel's notes in memory, and VMCOREINFO since Linux 5.9 have it.
 */
#ifndef NUNCHI_SYMBOLS_BUILD_ID_H
#define NUNCHI_SYMBOLS_BUILD_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SHA-1 has 20 bytes, the longest that ld and lld make is 32. */
#define BUILD_ID_MAX 32

struct build_id {
	uint8_t bytes[BUILD_ID_MAX];
	size_t size; /* 0: there is none */
};

/* In hexadecimal, with a NUL. */
struct build_id_text {
	char text[2 * BUILD_ID_MAX + 1];
};

/* Finds the build id among the ELF notes in data, which are untrusted. */
bool build_id_from_notes(const void *data, size_t size, struct build_id *ret);
/* Reads hexadecimal text, which need not be NUL-terminated. */
bool build_id_parse(const char *text, size_t size, struct build_id *ret);
bool build_id_equal(const struct build_id *a, const struct build_id *b);
struct build_id_text build_id_spell(const struct build_id *id);

#endif
