/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of guests, which their owners choose. */
#ifndef NUNCHI_TARGET_QEMU_NAMES_H
#define NUNCHI_TARGET_QEMU_NAMES_H

#include <stdbool.h>

/* A name that can be typed and looks like no other: letters, digits and signs of ASCII. */
bool qemu_name_is_clear(const char *name);

/*
 * The name as it is shown: one that looks like a name in ASCII and is none, such as "wеb" with a
 * Cyrillic letter or "web" with a space of no width behind it, has those characters as "\u0435".
 * Others stay as they are. The caller frees it; NULL if memory is short.
 */
char *qemu_name_shown(const char *name);

#endif
