/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes between the process that reads a guest and those that scan; within one program. */
#ifndef NUNCHI_SCAN_PROTOCOL_H
#define NUNCHI_SCAN_PROTOCOL_H

#include "scan/libyara.h"
#include "scan/scan.h"

/* Blocks that a process may have at a time: it looks through one while the other is read. */
#define SLOTS 2

struct scan_rules {
	struct libyara lib;
	YR_RULES *compiled;
	uint32_t rule_count;
	bool initialized;
};

enum ask_kind {
	ASK_SCAN,    /* the slot has `size` bytes of memory at `address`; its own are `own` */
	ASK_BLOCKS,  /* the slot has `count` struct scan_region: all blocks, for conditions */
	ASK_MATCHES, /* the slot has `count` struct placed_match, by string and address */
	ASK_JUDGE,   /* evaluate the conditions */
	ASK_DATA     /* the slot has the block that was wanted, and BLOCK_OVER bytes behind it */
};

struct ask {
	uint32_t kind, slot;
	uint64_t address, size, count;
	struct scan_region own;
};

/* A match as conditions see it. */
struct placed_match {
	uint32_t string, length;
	uint64_t address;
};

enum answer_kind {
	ANSWER_MATCHES, /* `count` struct scan_match follow */
	ANSWER_MANY,    /* YARA stopped looking for a string in this block */
	ANSWER_DONE,    /* the question is done; `status` is YARA's */
	ANSWER_RULES,   /* `count` numbers (uint32_t) of rules follow */
	ANSWER_WANT     /* conditions need the bytes of block number `count` */
};

struct answer {
	uint32_t kind, slot;
	int32_t status;
	uint32_t count;
};

/* Bytes behind a block that conditions may read with its last one. */
#define BLOCK_OVER 8

/* Items that one answer has at most. */
#define MOST_ITEMS 1024

struct scan_process_start {
	const struct scan_rules *rules;
	const uint8_t *slots; /* SLOTS * BLOCK_ROOM bytes, shared */
	uint64_t memory;
	bool open;
};

/* In the process; ends when the descriptor is closed. */
void scan_process(const void *data, int fd);

#endif
