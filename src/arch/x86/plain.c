/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Source: Intel SDM volume 2, appendix A (opcode map). */
#include "arch/x86/plain.h"

#include <stdbool.h>

/* What follows an opcode. */
enum operands {
	NOT_PLAIN,
	NOTHING = 1 << 0,
	MODRM = 1 << 1,
	BYTE = 1 << 2, /* an immediate operand or displacement of 8 bits */
	WORD = 1 << 3, /* of 16 bits with the prefix 66, else of 32 */
	LONG = 1 << 4, /* of 32 bits */
	WIDE = 1 << 5, /* as WORD, but of 64 bits with REX.W */
};

#define REX_W 0x08

struct instruction {
	bool narrow; /* the prefix 66 */
	uint8_t rex, opcode, modrm;
	bool two_bytes; /* behind 0f */
};

/* The opcodes 80 to ff, and those of 00 to 7f that are in no regular row. */
static const struct {
	uint8_t first, last, operands;
} single[] =
    {
	{0x50, 0x5f, NOTHING},      {0x63, 0x63, MODRM},        {0x68, 0x68, WORD},
	{0x69, 0x69, MODRM | WORD}, {0x6a, 0x6a, BYTE},         {0x6b, 0x6b, MODRM | BYTE},
	{0x70, 0x7f, BYTE},         {0x80, 0x80, MODRM | BYTE}, {0x81, 0x81, MODRM | WORD},
	{0x83, 0x83, MODRM | BYTE}, {0x84, 0x85, MODRM},        {0x88, 0x8b, MODRM},
	{0x8d, 0x8d, MODRM},        {0x98, 0x99, NOTHING},      {0xa8, 0xa8, BYTE},
	{0xa9, 0xa9, WORD},         {0xb0, 0xb7, BYTE},         {0xb8, 0xbf, WIDE},
	{0xc0, 0xc1, MODRM | BYTE}, {0xc3, 0xc3, NOTHING},      {0xc6, 0xc6, MODRM | BYTE},
	{0xc7, 0xc7, MODRM | WORD}, {0xc9, 0xc9, NOTHING},      {0xd0, 0xd3, MODRM},
	{0xf6, 0xf7, MODRM},        {0xfe, 0xff, MODRM},
},
  twice[] = {
      {0x40, 0x4f, MODRM}, {0x80, 0x8f, LONG},  {0x90, 0x9f, MODRM},        {0xa3, 0xa3, MODRM},
      {0xaf, 0xaf, MODRM}, {0xb6, 0xb7, MODRM}, {0xba, 0xba, MODRM | BYTE}, {0xbe, 0xbf, MODRM},
};

static unsigned operands_of(const struct instruction *instruction)
{
	uint8_t opcode = instruction->opcode;

	if (instruction->two_bytes) {
		for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
			if (opcode >= twice[i].first && opcode <= twice[i].last)
				return twice[i].operands;
		}
		return NOT_PLAIN;
	}
	/* ADD, OR, ADC, SBB, AND, SUB, XOR, CMP. */
	if (opcode < 0x40 && (opcode & 7) < 6)
		return (opcode & 7) < 4 ? MODRM : (opcode & 7) == 4 ? BYTE : WORD;
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
		if (opcode >= single[i].first && opcode <= single[i].last)
			return single[i].operands;
	}
	return NOT_PLAIN;
}

/* Opcodes that share their first byte with others: operands may change, by bits 5:3 of ModRM. */
static unsigned refine(const struct instruction *instruction, unsigned operands)
{
	unsigned which = instruction->modrm >> 3 & 7;
	bool in_memory = instruction->modrm < 0xc0;

	if (instruction->two_bytes)
		return instruction->opcode == 0xba && which < 4 ? NOT_PLAIN : operands;
	switch (instruction->opcode) {
	case 0x8d:
		return in_memory ? operands : NOT_PLAIN;
	case 0xc6:
	case 0xc7:
	case 0xfe:
		return which > (instruction->opcode == 0xfe ? 1 : 0) ? NOT_PLAIN : operands;
	case 0xf6:
		return which ? operands : MODRM | BYTE;
	case 0xf7:
		return which ? operands : MODRM | WORD;
	case 0xff:
		return which < 2 || which == 6 ? operands : NOT_PLAIN;
	default:
		return operands;
	}
}

/* The size of ModRM and of what belongs to it. */
static unsigned modrm_size(const uint8_t *at, size_t size)
{
	unsigned mode = at[0] >> 6, base = at[0] & 7, total = 1;

	if (mode == 3)
		return total;
	if (base == 4) {
		if (size < 2)
			return 0;
		base = at[1] & 7;
		total++;
	}
	if (mode == 1)
		total++;
	else if (mode == 2 || base == 5)
		total += 4;
	return total;
}

unsigned x86_plain_size(const uint8_t *code, size_t size)
{
	struct instruction instruction = {0};
	unsigned at = 0, operands, more;

	/* The segment of the processor's own variables. */
	if (at < size && code[at] == 0x65)
		at++;
	if (at < size && code[at] == 0x66) {
		instruction.narrow = true;
		at++;
	}
	if (at < size && (code[at] & 0xf0) == 0x40)
		instruction.rex = code[at++];
	if (at < size && code[at] == 0x0f) {
		instruction.two_bytes = true;
		at++;
	}
	if (at >= size)
		return 0;
	instruction.opcode = code[at++];
	operands = operands_of(&instruction);
	if (operands & MODRM) {
		if (at >= size)
			return 0;
		instruction.modrm = code[at];
		operands = refine(&instruction, operands);
		more = modrm_size(code + at, size - at);
		at += more;
		if (!more)
			return 0;
	}
	/* Processors differ in what such a jump does. */
	if (!operands || (instruction.narrow && operands & LONG))
		return 0;
	at += operands & BYTE ? 1 : 0;
	if (operands & (WORD | WIDE))
		at += instruction.narrow ? 2 : 4;
	if (operands & WIDE && instruction.rex & REX_W)
		at += 4;
	at += operands & LONG ? 4 : 0;
	return at <= size ? at : 0;
}
