/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * XBZRLE: QEMU sends a page as the difference from its earlier content. Source: QEMU's
 * docs/devel/migration/ (xbzrle.txt) and migration/xbzrle.c.
 */
#ifndef NUNCHI_TARGET_FILE_XBZRLE_H
#define NUNCHI_TARGET_FILE_XBZRLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Applies a difference to a page of size bytes; false if the difference is damaged. */
bool xbzrle_apply(const uint8_t *difference, size_t difference_size, uint8_t *page, size_t size);

#endif
