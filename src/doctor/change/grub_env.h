/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GRUB's environment block, /boot/grub/grubenv: a header line, lines NAME=VALUE with backslashes
 * before backslashes and newlines, padding of '#' (GRUB 2.06, grub-core/lib/envblk.c). GRUB writes
 * it in place at boot, so its size never changes.
 */
#ifndef NUNCHI_DOCTOR_CHANGE_GRUB_ENV_H
#define NUNCHI_DOCTOR_CHANGE_GRUB_ENV_H

#include "core/buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether these bytes are such a block. */
bool grub_env_valid(const char *block, size_t size);
/* The variable's value, to be freed; NULL if it is not set (or without memory). */
char *grub_env_get(const char *block, size_t size, const char *name);
/* The block without the variable, as large as before. ret must be initialised. */
bool grub_env_without(const char *block, size_t size, const char *name, struct buffer *ret);
/* Whether both have the same variables with the same values, the one called `name` left out. */
bool grub_env_same_without(const char *a, size_t a_size, const char *b, size_t b_size,
			   const char *name);

/* Whether it sets no variable. */
bool grub_env_empty(const char *block, size_t size);

#endif
