/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NUNCHI_TARGET_FILE_CRC32C_H
#define NUNCHI_TARGET_FILE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4). */
uint32_t crc32c(const void *data, size_t size);

/* The form in which snappy's framing format stores the checksum. */
static inline uint32_t crc32c_masked(uint32_t crc)
{
	return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

#endif
