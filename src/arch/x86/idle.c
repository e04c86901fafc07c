/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arch/x86/idle.h"

#include <string.h>

static const struct {
	uint8_t size, bytes[6];
	bool ends_branch; /* ENDBR */
	bool is_sealed;   /* what the kernel writes over ENDBR */
} idle_instructions[] = {
    {5, {0x0f, 0x1f, 0x44, 0x00, 0x00}},
    {6, {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00}},
    {4, {0xf3, 0x0f, 0x1e, 0xfa}, .ends_branch = true},
    {4, {0xf3, 0x0f, 0x1e, 0xfb}, .ends_branch = true},
    {4, {0x66, 0x0f, 0x1f, 0x00}, .is_sealed = true},
    {4, {0x0f, 0x1f, 0x40, 0xd6}, .is_sealed = true},
    {4, {0x0f, 0x1f, 0x40, 0x00}},
    {3, {0x0f, 0x1f, 0x00}},
    {2, {0x66, 0x90}},
    {1, {0x90}},
};

#define INSTRUCTIONS (sizeof(idle_instructions) / sizeof(idle_instructions[0]))

unsigned x86_idle_size(const uint8_t *code, size_t size, bool tracked)
{
	for (size_t i = 0; i < INSTRUCTIONS; i++) {
		unsigned length = idle_instructions[i].size;

		if (length <= size && !memcmp(code, idle_instructions[i].bytes, length))
			return tracked && idle_instructions[i].ends_branch ? 0 : length;
	}
	return 0;
}

unsigned x86_mark_size(const uint8_t *code)
{
	for (size_t i = 0; i < INSTRUCTIONS; i++)
		if ((idle_instructions[i].ends_branch || idle_instructions[i].is_sealed) &&
		    !memcmp(code, idle_instructions[i].bytes, X86_MARK_SIZE))
			return X86_MARK_SIZE;
	return 0;
}
