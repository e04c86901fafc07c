/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "writers.h"

#include "target/file/crc32c.h"
#include "target/file/kdump.h"

#include <elf.h>
#include <endian.h>
#include <lzo/lzo1x.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static void *must(void *pointer)
{
	if (!pointer)
		abort();
	return pointer;
}

void blob_free(struct blob *blob)
{
	free(blob->data);
	*blob = (struct blob){0};
}

void blob_put(struct blob *blob, size_t offset, const void *bytes, size_t size)
{
	if (offset + size > blob->size) {
		if (offset + size > blob->capacity) {
			blob->capacity = 2 * (offset + size);
			blob->data = must(realloc(blob->data, blob->capacity));
		}
		memset(blob->data + blob->size, 0, offset + size - blob->size);
		blob->size = offset + size;
	}
	if (size)
		memcpy(blob->data + offset, bytes, size);
}

void blob_append(struct blob *blob, const void *bytes, size_t size)
{
	blob_put(blob, blob->size, bytes, size);
}

void blob_put16(struct blob *blob, size_t offset, uint16_t value)
{
	value = htole16(value);
	blob_put(blob, offset, &value, sizeof(value));
}

void blob_put32(struct blob *blob, size_t offset, uint32_t value)
{
	value = htole32(value);
	blob_put(blob, offset, &value, sizeof(value));
}

void blob_put64(struct blob *blob, size_t offset, uint64_t value)
{
	value = htole64(value);
	blob_put(blob, offset, &value, sizeof(value));
}

void blob_put64_be(struct blob *blob, size_t offset, uint64_t value)
{
	value = htobe64(value);
	blob_put(blob, offset, &value, sizeof(value));
}

uint8_t writer_byte(uint64_t address)
{
	uint64_t page = address / WRITER_PAGE, hash = (address + 1) * 0x9e3779b97f4a7c15;
	unsigned kind = page % 4;

	if (kind == 3)
		kind = address % WRITER_PAGE < WRITER_PAGE / 2 ? 1 : 2;
	/* One page of zeros in two is not quite zero. */
	if (!kind)
		return page % 8 && address % WRITER_PAGE == WRITER_PAGE - 1 ? 0x7e : 0;
	return kind == 1 ? (uint8_t)(page + address % 16) : (uint8_t)((hash ^ hash >> 29) >> 32);
}

void writer_fill(uint64_t address, void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = writer_byte(address + i);
}

uint64_t writer_check(uint64_t address, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (((const uint8_t *)bytes)[i] != writer_byte(address + i))
			return address + i;
	}
	return UINT64_MAX;
}

const char *writer_directory(void)
{
	const char *directory = getenv("TMPDIR");

	if (directory && strlen(directory) < 32)
		return directory;
	return access("/dev/shm", W_OK | X_OK) ? "/tmp" : "/dev/shm";
}

void writer_save(const struct blob *blob, char *path)
{
	int fd;

	snprintf(path, 64, "%s/nunchi-test-XXXXXX", writer_directory());
	fd = mkstemp(path);
	if (fd < 0 || write(fd, blob->data, blob->size) != (ssize_t)blob->size)
		abort();
	close(fd);
}

/* Appends writer_fill() bytes. */
static void append_memory(struct blob *blob, uint64_t address, uint64_t size)
{
	uint8_t *bytes = must(malloc((size_t)size + 1));

	writer_fill(address, bytes, (size_t)size);
	blob_append(blob, bytes, (size_t)size);
	free(bytes);
}

/* ---- ELF ------------------------------------------------------------------------------------- */

static void put_segment(struct blob *blob, size_t at, bool is_32, const Elf64_Phdr *segment)
{
	Elf32_Phdr small = {
	    .p_type = htole32(segment->p_type),
	    .p_offset = htole32((uint32_t)segment->p_offset),
	    .p_vaddr = htole32((uint32_t)segment->p_vaddr),
	    .p_paddr = htole32((uint32_t)segment->p_paddr),
	    .p_filesz = htole32((uint32_t)segment->p_filesz),
	    .p_memsz = htole32((uint32_t)segment->p_memsz),
	};

	if (is_32) {
		blob_put(blob, at, &small, sizeof(small));
		return;
	}
	blob_put32(blob, at, segment->p_type);
	blob_put64(blob, at + offsetof(Elf64_Phdr, p_offset), segment->p_offset);
	blob_put64(blob, at + offsetof(Elf64_Phdr, p_vaddr), segment->p_vaddr);
	blob_put64(blob, at + offsetof(Elf64_Phdr, p_paddr), segment->p_paddr);
	blob_put64(blob, at + offsetof(Elf64_Phdr, p_filesz), segment->p_filesz);
	blob_put64(blob, at + offsetof(Elf64_Phdr, p_memsz), segment->p_memsz);
	blob_put64(blob, at + offsetof(Elf64_Phdr, p_align), 0);
}

static void put_elf_header(struct blob *blob, const struct writer_elf *elf, size_t phnum,
			   size_t shoff)
{
	uint8_t ident[EI_NIDENT] = {
	    ELFMAG0,     ELFMAG1,   ELFMAG2, ELFMAG3, elf->is_32 ? ELFCLASS32 : ELFCLASS64,
	    ELFDATA2LSB, EV_CURRENT};
	uint16_t phnum16 = elf->extended ? PN_XNUM : (uint16_t)phnum;

	blob_put(blob, 0, ident, sizeof(ident));
	blob_put16(blob, offsetof(Elf64_Ehdr, e_type), elf->type ? elf->type : ET_CORE);
	blob_put16(blob, offsetof(Elf64_Ehdr, e_machine), elf->machine ? elf->machine : EM_X86_64);
	blob_put32(blob, offsetof(Elf64_Ehdr, e_version), EV_CURRENT);
	if (elf->is_32) {
		blob_put32(blob, offsetof(Elf32_Ehdr, e_phoff), sizeof(Elf32_Ehdr));
		blob_put32(blob, offsetof(Elf32_Ehdr, e_shoff), (uint32_t)shoff);
		blob_put16(blob, offsetof(Elf32_Ehdr, e_phentsize), sizeof(Elf32_Phdr));
		blob_put16(blob, offsetof(Elf32_Ehdr, e_phnum), phnum16);
		blob_put16(blob, offsetof(Elf32_Ehdr, e_shentsize), sizeof(Elf32_Shdr));
		blob_put16(blob, offsetof(Elf32_Ehdr, e_shnum), shoff != 0);
		blob_put16(blob, offsetof(Elf32_Ehdr, e_shstrndx), 0);
	} else {
		blob_put64(blob, offsetof(Elf64_Ehdr, e_phoff), sizeof(Elf64_Ehdr));
		blob_put64(blob, offsetof(Elf64_Ehdr, e_shoff), shoff);
		blob_put16(blob, offsetof(Elf64_Ehdr, e_phentsize), sizeof(Elf64_Phdr));
		blob_put16(blob, offsetof(Elf64_Ehdr, e_phnum), phnum16);
		blob_put16(blob, offsetof(Elf64_Ehdr, e_shentsize), sizeof(Elf64_Shdr));
		blob_put16(blob, offsetof(Elf64_Ehdr, e_shnum), shoff != 0);
		blob_put16(blob, offsetof(Elf64_Ehdr, e_shstrndx), 0);
	}
}

/* Section 0, which only holds the number of segments. */
static void put_section(struct blob *blob, const struct writer_elf *elf, size_t shoff, size_t phnum)
{
	size_t size = elf->is_32 ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr);
	size_t info = elf->is_32 ? offsetof(Elf32_Shdr, sh_info) : offsetof(Elf64_Shdr, sh_info);
	uint8_t zeros[sizeof(Elf64_Shdr)] = {0};

	blob_put(blob, shoff, zeros, size);
	blob_put32(blob, shoff + info, (uint32_t)phnum);
}

struct blob write_elf(const struct writer_elf *elf)
{
	size_t table = elf->is_32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);
	size_t entry = elf->is_32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
	size_t phnum = elf->count + (elf->notes != NULL), shoff = table + phnum * entry;
	struct blob blob = {0};
	uint64_t *offsets = must(calloc(elf->count + 1, sizeof(*offsets)));
	size_t next = 0;

	put_elf_header(&blob, elf, phnum, elf->extended ? shoff : 0);
	blob_put(&blob, shoff, NULL, 0);
	if (elf->extended)
		put_section(&blob, elf, shoff, phnum);
	if (elf->notes) {
		Elf64_Phdr note = {.p_type = PT_NOTE,
				   .p_offset = blob.size,
				   .p_filesz = elf->notes->size,
				   .p_memsz = elf->notes->size};

		put_segment(&blob, table + entry * next++, elf->is_32, &note);
		blob_append(&blob, elf->notes->data, elf->notes->size);
	}
	for (size_t i = 0; i < elf->count; i++) {
		const struct writer_segment *segment = &elf->segments[i];
		Elf64_Phdr load = {.p_type = segment->type ? segment->type : PT_LOAD,
				   .p_vaddr = segment->vaddr,
				   .p_paddr = segment->address,
				   .p_filesz = segment->filesz,
				   .p_memsz = segment->memsz ? segment->memsz : segment->filesz};

		offsets[i] = segment->same_as ? offsets[segment->same_as - 1] : blob.size;
		load.p_offset = offsets[i];
		if (!segment->same_as)
			append_memory(&blob, segment->address, segment->filesz);
		put_segment(&blob, table + entry * next++, elf->is_32, &load);
	}
	free(offsets);
	return blob;
}

void write_note(struct blob *notes, const char *name, uint32_t type, const void *desc, size_t size)
{
	size_t name_size = strlen(name) + 1;
	static const char zeros[4];

	blob_put32(notes, notes->size, (uint32_t)name_size);
	blob_put32(notes, notes->size, (uint32_t)size);
	blob_put32(notes, notes->size, type);
	blob_append(notes, name, name_size);
	blob_append(notes, zeros, -name_size % 4);
	blob_append(notes, desc, size);
	blob_append(notes, zeros, -size % 4);
}

void write_prstatus(struct blob *notes, unsigned vcpu, bool is_32)
{
	struct blob desc = {0};

	blob_put(&desc, (is_32 ? 144 : 336) - 1, "", 1);
	if (is_32) {
		blob_put32(&desc, 120, 0xc0001000 + vcpu); /* eip */
		blob_put32(&desc, 132, 0xc0002000 + vcpu); /* esp */
	} else {
		blob_put64(&desc, 240, 0xffffffff81001000 + vcpu); /* rip */
		blob_put64(&desc, 264, 0xffffffff81002000 + vcpu); /* rsp */
	}
	write_note(notes, "CORE", 1, desc.data, desc.size);
	blob_free(&desc);
}

void write_qemu_state(struct blob *notes, unsigned vcpu, uint64_t cr0, uint64_t cr3, uint64_t cr4)
{
	struct blob desc = {0};

	blob_put(&desc, 440 - 1, "", 1); /* with kernel_gs_base, as since QEMU 3 */
	blob_put32(&desc, 0, 1);
	blob_put32(&desc, 4, 440);
	blob_put64(&desc, 8 + 6 * 8, 0xffffffff82002000 + vcpu);  /* rsp */
	blob_put64(&desc, 8 + 16 * 8, 0xffffffff82001000 + vcpu); /* rip */
	/* Ten segments of 24 bytes follow rflags; the last one is IDT, its base at 16. */
	blob_put64(&desc, 8 + 18 * 8 + 9 * 24 + 16, 0xfffffe0000000000 + vcpu);
	blob_put64(&desc, 8 + 18 * 8 + 10 * 24, cr0);
	blob_put64(&desc, 8 + 18 * 8 + 10 * 24 + 3 * 8, cr3);
	blob_put64(&desc, 8 + 18 * 8 + 10 * 24 + 4 * 8, cr4);
	write_note(notes, "QEMU", 0, desc.data, desc.size);
	blob_free(&desc);
}

/* ---- LiME, AVML ------------------------------------------------------------------------------ */

static void put_range(struct blob *blob, const char *magic, uint32_t version, uint64_t address,
		      uint64_t size)
{
	blob_append(blob, magic, 4);
	blob_put32(blob, blob->size, version);
	blob_put64(blob, blob->size, address);
	blob_put64(blob, blob->size, address + size - 1);
	blob_put64(blob, blob->size, 0);
}

void write_lime(struct blob *blob, uint64_t address, uint64_t size)
{
	put_range(blob, "EMiL", 1, address, size);
	append_memory(blob, address, size);
}

static void put_frame(struct blob *blob, const uint8_t *bytes, size_t size, bool packed)
{
	size_t length = snappy_max_compressed_length(size);
	char *out = must(malloc(length));

	if (packed && snappy_compress((const char *)bytes, size, out, &length) != SNAPPY_OK)
		abort();
	blob_put32(blob, blob->size,
		   (uint32_t)((packed ? length : size) + 4) << 8 | (packed ? 0 : 1));
	blob_put32(blob, blob->size, crc32c_masked(crc32c(bytes, size)));
	blob_append(blob, packed ? (uint8_t *)out : bytes, packed ? length : size);
	free(out);
}

void write_avml(struct blob *blob, uint64_t address, uint64_t size, bool packed)
{
	uint8_t bytes[65536];
	size_t start;

	put_range(blob, "AVML", 2, address, size);
	start = blob->size;
	blob_append(blob, "\xff\x06\x00\x00sNaPpY", 10);
	for (uint64_t at = 0; at < size; at += sizeof(bytes)) {
		size_t n = size - at < sizeof(bytes) ? (size_t)(size - at) : sizeof(bytes);

		writer_fill(address + at, bytes, n);
		put_frame(blob, bytes, n, packed);
	}
	blob_put64(blob, blob->size, blob->size - start);
}

/* ---- kdump ----------------------------------------------------------------------------------- */

size_t writer_pack(unsigned method, const void *page, void *out, size_t room)
{
	static lzo_align_t
	    work[(LZO1X_1_MEM_COMPRESS + sizeof(lzo_align_t) - 1) / sizeof(lzo_align_t)];
	lzo_uint lzo_size = room;
	uLongf zlib_size = room;
	size_t snappy_size = room;

	switch (method) {
	case KDUMP_ZLIB:
		return compress2(out, &zlib_size, page, WRITER_PAGE, 1) == Z_OK ? zlib_size : 0;
	case KDUMP_LZO:
		return lzo1x_1_compress(page, WRITER_PAGE, out, &lzo_size, work) == LZO_E_OK
			   ? lzo_size
			   : 0;
	case KDUMP_SNAPPY:
		return snappy_compress((const char *)page, WRITER_PAGE, (char *)out,
				       &snappy_size) == SNAPPY_OK
			   ? snappy_size
			   : 0;
	case KDUMP_ZSTD:
		snappy_size = ZSTD_compress(out, room, page, WRITER_PAGE, 1);
		return ZSTD_isError(snappy_size) ? 0 : snappy_size;
	default:
		return 0;
	}
}

static void put_kdump_header(struct blob *blob, const struct writer_kdump *kdump, uint32_t version,
			     uint32_t bitmap_blocks)
{
	size_t at = kdump->is_32 ? 412 : 424;

	blob_put(blob, 0, "KDUMP   ", 8);
	blob_put32(blob, 8, version);
	blob_put(blob, 12 + 4 * 65, kdump->is_32 ? "i686" : "x86_64", kdump->is_32 ? 5 : 7);
	blob_put32(blob, at, kdump->method);
	blob_put32(blob, at + 4, WRITER_PAGE);
	blob_put32(blob, at + 8, 2); /* sub header and notes: two blocks */
	blob_put32(blob, at + 12, bitmap_blocks);
	blob_put32(blob, at + 16, (uint32_t)kdump->pages);
}

static void put_kdump_sub_header(struct blob *blob, const struct writer_kdump *kdump,
				 uint32_t version)
{
	size_t notes = WRITER_PAGE + 512, at = WRITER_PAGE;
	size_t notes_size = kdump->notes ? kdump->notes->size : 0;
	size_t info = notes + notes_size, info_size = 0;
	bool is_32 = kdump->is_32;

	if (kdump->notes)
		blob_put(blob, notes, kdump->notes->data, notes_size);
	if (kdump->vmcoreinfo) {
		info_size = strlen(kdump->vmcoreinfo);
		blob_put(blob, info, kdump->vmcoreinfo, info_size);
	}
	blob_put32(blob, at + (is_32 ? 4 : 8), 31); /* dump level */
	blob_put32(blob, at + (is_32 ? 8 : 12), kdump->split);
	if (version >= 3) {
		blob_put64(blob, at + (is_32 ? 20 : 32), info_size ? info : 0);
		if (is_32)
			blob_put32(blob, at + 28, (uint32_t)info_size);
		else
			blob_put64(blob, at + 40, info_size);
	}
	if (version >= 4) {
		blob_put64(blob, at + (is_32 ? 32 : 48), notes_size ? notes : 0);
		if (is_32)
			blob_put32(blob, at + 40, (uint32_t)notes_size);
		else
			blob_put64(blob, at + 56, notes_size);
	}
	if (version >= 6)
		blob_put64(blob, at + (is_32 ? 72 : 96), kdump->pages);
}

struct blob write_kdump(const struct writer_kdump *kdump)
{
	size_t blocks = (size_t)(kdump->pages + 8 * WRITER_PAGE - 1) / (8 * WRITER_PAGE);
	size_t ram = 3 * WRITER_PAGE, save, descriptors, data, index = 0, count = 0;
	uint32_t version = kdump->version ? kdump->version : 6;
	uint8_t page[WRITER_PAGE], out[2 * WRITER_PAGE + 512];
	struct blob blob = {0};

	save = ram + (kdump->one_bitmap ? 0 : blocks * WRITER_PAGE);
	descriptors = save + blocks * WRITER_PAGE;
	put_kdump_header(&blob, kdump, version, (uint32_t)(blocks * (kdump->one_bitmap ? 1 : 2)));
	put_kdump_sub_header(&blob, kdump, version);
	blob_put(&blob, descriptors, NULL, 0);
	for (uint64_t pfn = 0; pfn < kdump->pages; pfn++) {
		if (kdump->ram(pfn))
			blob.data[ram + pfn / 8] |= (uint8_t)(1 << pfn % 8);
		if (kdump->saved(pfn))
			blob.data[save + pfn / 8] |= (uint8_t)(1 << pfn % 8);
		count += kdump->saved(pfn);
	}
	data = descriptors + 24 * count;
	for (uint64_t pfn = 0; pfn < kdump->pages; pfn++) {
		size_t size;
		bool packed;

		if (!kdump->saved(pfn))
			continue;
		writer_fill(pfn * WRITER_PAGE, page, sizeof(page));
		size = writer_pack(kdump->method, page, out, sizeof(out));
		packed = size && size < WRITER_PAGE;
		if (!packed)
			size = WRITER_PAGE;
		blob_put64(&blob, descriptors + 24 * index, data);
		blob_put32(&blob, descriptors + 24 * index + 8, (uint32_t)size);
		blob_put32(&blob, descriptors + 24 * index + 12, packed ? kdump->method : 0);
		blob_put64(&blob, descriptors + 24 * index++ + 16, 0);
		blob_put(&blob, data, packed ? out : page, size);
		data += size;
	}
	return blob;
}

/* ---- Flattened ------------------------------------------------------------------------------- */

static void put_record(struct blob *blob, const struct blob *file, size_t start, size_t size,
		       bool wrong)
{
	uint8_t *bytes = must(malloc(size + 1));

	blob_put64_be(blob, blob->size, start);
	blob_put64_be(blob, blob->size, size);
	memcpy(bytes, file->data + start, size);
	if (wrong)
		memset(bytes, 0xa5, size);
	blob_append(blob, bytes, size);
	free(bytes);
}

struct blob write_flattened(const struct blob *file, size_t record, enum flatten_style style)
{
	size_t count = (file->size + record - 1) / record;
	struct blob blob = {0};

	blob_put(&blob, 0, "makedumpfile", 13);
	blob_put64_be(&blob, 16, 1);
	blob_put64_be(&blob, 24, 1);
	blob_put(&blob, 4095, "", 1);
	for (size_t i = 0; style == FLATTEN_REWRITTEN && i + 1 < count; i += 3)
		put_record(&blob, file, i * record + record / 3, record / 2, true);
	for (size_t i = 0; i < count; i++) {
		size_t n = style == FLATTEN_PLAIN || style == FLATTEN_CUT_OFF ? i : count - 1 - i;
		size_t start = n * record;

		put_record(&blob, file, start,
			   file->size - start < record ? file->size - start : record, false);
	}
	if (style != FLATTEN_CUT_OFF) {
		blob_put64_be(&blob, blob.size, UINT64_MAX);
		blob_put64_be(&blob, blob.size, UINT64_MAX);
	}
	return blob;
}
