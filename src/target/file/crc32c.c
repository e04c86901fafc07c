/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/crc32c.h"

#include "core/bytes.h"

#define POLYNOMIAL 0x82f63b78 /* reflected */

static uint32_t crc_plain(uint32_t crc, const uint8_t *p, size_t size)
{
	while (size--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *p,
							    size_t size)
{
	uint64_t crc64 = crc;

	for (; size >= 8; p += 8, size -= 8)
		crc64 = __builtin_ia32_crc32di(crc64, load_le64(p));
	crc = (uint32_t)crc64;
	while (size--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}
#endif

uint32_t crc32c(const void *data, size_t size)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse42(~(uint32_t)0, data, size);
#endif
	return ~crc_plain(~(uint32_t)0, data, size);
}
