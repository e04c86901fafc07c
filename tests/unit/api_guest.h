/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A saved guest made by hand, for tests of the public header: a raw file of 24 MiB with a kernel's
 * image, its symbols, its types and its page tables. Include after cmocka.h.
 */
#ifndef NUNCHI_TESTS_API_GUEST_H
#define NUNCHI_TESTS_API_GUEST_H

#include "kallsyms_writer.h"

#include "btf_blob.h"

#include <nunchi/nunchi.h>

#include <string.h>
#include <unistd.h>

#define MIB      ((uint64_t)1 << 20)
#define RAM      (24 * MIB)
#define PHYSICAL (16 * MIB)

/* Offsets in the image; see test_attach.c. */
#define BANNER    (WRITER_TABLE - 64)
#define TYPES     (2 * MIB)
#define DATA      (4 * MIB)
#define PHYS_BASE (DATA + 0x800)
#define TOP       (DATA + 0x1000)
#define MAP_START 0xffffffff80000000ull

static inline void put(uint8_t *ram, uint64_t address, uint64_t value)
{
	memcpy(ram + address, &value, 8);
}

static inline void put_symbols(uint8_t *image)
{
	static const struct writer_layout layout = {
	    "api",       8, WRITE_OFFSETS,          WRITE_SEQS_3,
	    4,           8, .addresses_last = true, .long_sizes = true,
	    .count = 300};
	_cleanup_free_ struct writer_tokens *tokens = calloc(1, sizeof(*tokens));
	_cleanup_writer_ struct writer w = {.layout = layout, .base = WRITER_BASE};

	w.symbols = calloc(WRITER_SYMBOLS_MAX, sizeof(*w.symbols));
	w.data = calloc(1, WRITER_SIZE);
	writer_add_symbols(&w);
	writer_add(&w, 'D', WRITER_BASE + PHYS_BASE, "phys_base");
	writer_add(&w, 'D', WRITER_BASE + TOP, "init_top_pgt");
	writer_compress(&w, tokens);
	writer_put_again(&w, tokens);
	memcpy(image, w.data, WRITER_SIZE);
}

/*
 * Among them a structure with a member whose name is too long, and one whose members' members have
 * members, 64 of them on each of 15 levels.
 */
static inline void put_types(uint8_t *at)
{
	struct blob blob = {0};
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t type = blob_int(&blob, "int", 4, 1);
	char name[2001];
	size_t size;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	blob_type(&blob, 4, 0, 1, "long_name", 4);
	blob_member(&blob, name, type, 0);
	blob_type(&blob, 4, 0, 1, "task_struct", 64);
	blob_member(&blob, "pid", type, 0);
	for (unsigned level = 0; level < 15; level++) {
		uint32_t inner = type;

		type = blob_type(&blob, 4, 0, 64, level == 14 ? "bomb" : "", 64);
		for (uint32_t i = 0; i < 64; i++)
			blob_member(&blob, "", inner, 0);
	}
	data = blob_finish(&blob, &size);
	memcpy(at, data, size);
}

static inline void put_tables(uint8_t *ram, uint64_t top)
{
	uint64_t index = (WRITER_BASE - MAP_START) / (2 * MIB);

	put(ram, top + 511 * 8, (top + 0x1000) | 3);
	put(ram, top + 0x1000 + 510 * 8, (top + 0x2000) | 3);
	for (uint64_t i = 0; i < 3; i++)
		put(ram, top + 0x2000 + (index + i) * 8,
		    (PHYSICAL + i * 2 * MIB) | (i == 2 ? 0x8000000000000083 : 0x81));
}

/* Writes the guest to a new file; path has room for 64 bytes. */
static inline void api_guest_save(char *path)
{
	_cleanup_free_ uint8_t *ram = calloc(1, RAM);
	int fd;

	assert_non_null(ram);
	put_symbols(ram + PHYSICAL);
	put_types(ram + PHYSICAL + TYPES);
	strcpy((char *)ram + PHYSICAL + BANNER, "Linux version 6.1.0 (a) (b) #1 SMP");
	put(ram, PHYSICAL + PHYS_BASE, PHYSICAL - (WRITER_BASE - MAP_START));
	put_tables(ram, PHYSICAL + TOP);
	put(ram, 0x98000 + 511 * 8, (PHYSICAL + TOP + 0x1000) | 3);
	strcpy(path, "/tmp/nunchi-test-api-XXXXXX");
	fd = mkstemp(path);
	assert_int_equal(write(fd, ram, RAM), RAM);
	close(fd);
}

#endif
