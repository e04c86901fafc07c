/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes saved guests of every format, valid and damaged, for tests and for the seeds of fuzzers.
 */
#ifndef NUNCHI_TESTS_WRITERS_H
#define NUNCHI_TESTS_WRITERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITER_PAGE 4096

/* Growable bytes; without memory the test program ends. */
struct blob {
	uint8_t *data;
	size_t size;
	size_t capacity;
};

void blob_free(struct blob *blob);
/* Writes size bytes at offset, growing the blob with zeros as needed. */
void blob_put(struct blob *blob, size_t offset, const void *bytes, size_t size);
void blob_append(struct blob *blob, const void *bytes, size_t size);
void blob_put16(struct blob *blob, size_t offset, uint16_t value);
void blob_put32(struct blob *blob, size_t offset, uint32_t value);
void blob_put64(struct blob *blob, size_t offset, uint64_t value);
void blob_put64_be(struct blob *blob, size_t offset, uint64_t value);

/* The bytes of guest memory: zero, repetitive, random or half of each by turns of four pages. */
uint8_t writer_byte(uint64_t address);
void writer_fill(uint64_t address, void *bytes, size_t size);
/* The first address of bytes that are not those of writer_fill(), or UINT64_MAX. */
uint64_t writer_check(uint64_t address, const void *bytes, size_t size);

/* Where temporary files go: in memory if possible, since the tests sync what they write. */
const char *writer_directory(void);
/* Writes the blob to a new temporary file; sets path (at least 64 bytes). */
void writer_save(const struct blob *blob, char *path);

struct writer_segment {
	uint32_t type; /* 0: PT_LOAD */
	uint64_t address, vaddr;
	uint64_t filesz, memsz; /* memsz 0: as filesz */
	/* The same bytes as segment same_as - 1; 0: bytes of writer_fill() of its own. */
	unsigned same_as;
};

struct writer_elf {
	bool is_32;
	uint16_t type, machine; /* 0: ET_CORE, EM_X86_64 */
	const struct writer_segment *segments;
	size_t count;
	const struct blob *notes; /* NULL: no PT_NOTE */
	bool extended;            /* PN_XNUM */
};

struct blob write_elf(const struct writer_elf *elf);

/* Appends an ELF note. */
void write_note(struct blob *notes, const char *name, uint32_t type, const void *desc, size_t size);
/* Notes as QEMU writes them; each value is made from the vCPU's number (see the source). */
void write_prstatus(struct blob *notes, unsigned vcpu, bool is_32);
void write_qemu_state(struct blob *notes, unsigned vcpu, uint64_t cr0, uint64_t cr3, uint64_t cr4);

/* One LiME segment of writer_fill() bytes. */
void write_lime(struct blob *blob, uint64_t address, uint64_t size);

/* One AVML block of them; frames packed, or plain ones. */
void write_avml(struct blob *blob, uint64_t address, uint64_t size, bool packed);

struct writer_kdump {
	bool is_32;
	unsigned method; /* enum kdump_compression, 0: plain */
	uint64_t pages;  /* max_mapnr */
	bool (*ram)(uint64_t pfn);
	bool (*saved)(uint64_t pfn); /* must be RAM */
	const struct blob *notes;    /* NULL: none */
	const char *vmcoreinfo;      /* NULL: none; stands outside of the notes */
	uint32_t version;            /* 0: 6 */
	bool one_bitmap;             /* it alone fills the room of both */
	bool split;
};

struct blob write_kdump(const struct writer_kdump *kdump);
/* Compresses a page by one of enum kdump_compression; 0 if it does not get smaller than room. */
size_t writer_pack(unsigned method, const void *page, void *out, size_t room);

enum flatten_style {
	FLATTEN_PLAIN, /* in order */
	FLATTEN_SHUFFLED,
	FLATTEN_REWRITTEN, /* each part is first written with wrong bytes, then rewritten */
	FLATTEN_CUT_OFF,   /* no end record */
};

struct blob write_flattened(const struct blob *file, size_t record, enum flatten_style style);

#endif
