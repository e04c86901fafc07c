/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xen_writers.h"

#include <elf.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* ---- Registers ------------------------------------------------------------------------------- */

void write_xen_context(struct blob *blob, unsigned vcpu, bool is_32)
{
	size_t at = blob->size;

	blob_put(blob, at + (is_32 ? 2800 : 5168) - 1, "", 1);
	if (is_32) {
		blob_put32(blob, at + 548, 0xc0001000 + vcpu); /* user_regs.eip, .esp */
		blob_put32(blob, at + 560, 0xc0002000 + vcpu);
		blob_put32(blob, at + 2716, 0x8005003b);
		/* CR3 of frame 0x12345678: the lower 20 bits above, the upper 12 below. */
		blob_put32(blob, at + 2728, 0x45678123);
		blob_put32(blob, at + 2732, 0x20);
	} else {
		blob_put64(blob, at + 648, 0xffffffff81001000 + vcpu); /* user_regs.rip, .rsp */
		blob_put64(blob, at + 672, 0xffffffff81002000 + vcpu);
		blob_put64(blob, at + 4984, 0x80050033); /* ctrlreg[0], [3], [4] */
		blob_put64(blob, at + 5008, 0x7000000 + (uint64_t)vcpu * WRITER_PAGE);
		blob_put64(blob, at + 5016, 0x620);
	}
}

static void put_hvm_entry(struct blob *blob, uint16_t code, uint16_t instance,
			  const struct blob *body)
{
	blob_put16(blob, blob->size, code);
	blob_put16(blob, blob->size, instance);
	blob_put32(blob, blob->size, (uint32_t)body->size);
	blob_append(blob, body->data, body->size);
}

void write_hvm_context(struct blob *blob, unsigned first, unsigned count)
{
	struct blob context = {0}, body = {0};

	blob_put(&body, 23, "", 1);
	put_hvm_entry(&context, 1, 0, &body);
	for (unsigned i = first; i < first + count; i++) {
		blob_free(&body);
		blob_put(&body, 1032 - 1, "", 1);
		blob_put64(&body, 568, 0xffffffff81002000 + i); /* rsp, rip */
		blob_put64(&body, 640, 0xffffffff81001000 + i);
		blob_put64(&body, 656, 0x80050033); /* cr0, cr3, cr4 */
		blob_put64(&body, 672, 0x5000 + (uint64_t)i * WRITER_PAGE);
		blob_put64(&body, 680, 0x6f0);
		blob_put64(&body, 872, 0xfffffe0000000000 + i); /* idtr_base */
		blob_put64(&body, 960, 0xffffffff81c00000);     /* msr_lstar */
		blob_put64(&body, 992, 0xd01);                  /* msr_efer */
		put_hvm_entry(&context, 2, (uint16_t)i, &body);
	}
	blob_free(&body);
	put_hvm_entry(&context, 0, 0, &body);
	write_xen_record(blob, 0x9, context.data, context.size);
	blob_free(&context);
}

/* ---- dump-core ------------------------------------------------------------------------------- */

static const char names[] = "\0.shstrtab\0.note.Xen\0.xen_prstatus\0.xen_shared_info\0.xen_pages\0"
			    ".xen_p2m\0.xen_pfn";

static uint32_t name_offset(const char *name)
{
	for (size_t i = 1; i < sizeof(names); i += strlen(names + i) + 1) {
		if (!strcmp(names + i, name))
			return (uint32_t)i;
	}
	abort();
}

struct section {
	const char *name;
	uint32_t type;
	uint64_t size, entry_size, alignment;
};

static void put_section(struct blob *blob, size_t number, const struct section *section,
			uint64_t offset)
{
	size_t at = sizeof(Elf64_Ehdr) + number * sizeof(Elf64_Shdr);

	blob_put32(blob, at, name_offset(section->name));
	blob_put32(blob, at + offsetof(Elf64_Shdr, sh_type), section->type);
	blob_put64(blob, at + offsetof(Elf64_Shdr, sh_offset), offset);
	blob_put64(blob, at + offsetof(Elf64_Shdr, sh_size), section->size);
	blob_put64(blob, at + offsetof(Elf64_Shdr, sh_addralign), section->alignment);
	blob_put64(blob, at + offsetof(Elf64_Shdr, sh_entsize), section->entry_size);
}

static void put_note(struct blob *notes, uint32_t type, const void *desc, size_t size)
{
	write_note(notes, "Xen", type, desc, size);
}

static void put_notes(struct blob *notes, const struct writer_xen_core *core)
{
	struct blob version = {0};
	uint64_t header[4] = {
	    htole64(core->magic ? core->magic
		    : core->pv  ? 0xf00febed
				: 0xf00febee),
	    htole64(core->vcpus),
	    htole64(core->claimed_pages ? core->claimed_pages : core->pages),
	    htole64(core->page_size ? core->page_size : WRITER_PAGE),
	};
	uint64_t format = htole64(core->format ? core->format : 1);

	put_note(notes, 0x2000000, NULL, 0);
	put_note(notes, 0x2000001, header, sizeof(header));
	blob_put64(&version, 1272, 0);
	blob_put64(&version, 0, 4);
	blob_put64(&version, 8, 17);
	blob_put64(&version, 1264, 0xffff800000000000); /* where the hypervisor begins */
	blob_put64(&version, core->is_32 ? 1268 : 1272, WRITER_PAGE);
	put_note(notes, 0x2000002, version.data, version.size);
	put_note(notes, 0x2000003, &format, sizeof(format));
	blob_free(&version);
}

static void put_contexts(struct blob *blob, const struct writer_xen_core *core)
{
	for (unsigned i = 0; i < core->vcpus; i++) {
		size_t start = blob->size;

		write_xen_context(blob, i, core->is_32);
		/* A union of both is what the tools keep. */
		if (core->is_32)
			blob_put(blob, start + 5168 - 1, "", 1);
	}
}

static uint64_t frame_of(const struct writer_xen_core *core, uint64_t i)
{
	return core->frame ? core->frame(i) : i;
}

static void put_pages(struct blob *blob, const struct writer_xen_core *core)
{
	uint8_t page[WRITER_PAGE];

	for (uint64_t i = 0; i < core->pages; i++) {
		uint64_t frame = frame_of(core, i);

		memset(page, 0, sizeof(page));
		if (frame != UINT64_MAX)
			writer_fill(frame * WRITER_PAGE, page, sizeof(page));
		blob_append(blob, page, sizeof(page));
	}
}

static void put_table(struct blob *blob, const struct writer_xen_core *core)
{
	for (uint64_t i = 0; i < core->pages; i++) {
		uint64_t frame = frame_of(core, i);

		if (core->pv)
			blob_put64(blob, blob->size, frame == UINT64_MAX ? UINT64_MAX : i);
		blob_put64(blob, blob->size, frame);
	}
}

static void put_elf_header(struct blob *blob, uint16_t sections)
{
	uint8_t ident[EI_NIDENT] = {ELFMAG0,    ELFMAG1,     ELFMAG2,   ELFMAG3,
				    ELFCLASS64, ELFDATA2LSB, EV_CURRENT};

	blob_put(blob, 0, ident, sizeof(ident));
	blob_put16(blob, offsetof(Elf64_Ehdr, e_type), ET_CORE);
	blob_put16(blob, offsetof(Elf64_Ehdr, e_machine), EM_X86_64);
	blob_put32(blob, offsetof(Elf64_Ehdr, e_version), EV_CURRENT);
	blob_put64(blob, offsetof(Elf64_Ehdr, e_shoff), sizeof(Elf64_Ehdr));
	blob_put16(blob, offsetof(Elf64_Ehdr, e_ehsize), sizeof(Elf64_Ehdr));
	blob_put16(blob, offsetof(Elf64_Ehdr, e_phentsize), sizeof(Elf64_Phdr));
	blob_put16(blob, offsetof(Elf64_Ehdr, e_shentsize), sizeof(Elf64_Shdr));
	blob_put16(blob, offsetof(Elf64_Ehdr, e_shnum), sections);
	blob_put16(blob, offsetof(Elf64_Ehdr, e_shstrndx), 1);
}

struct blob write_xen_core(const struct writer_xen_core *core)
{
	struct blob blob = {0}, notes = {0};
	uint64_t entry = core->pv ? 16 : 8;
	struct section sections[] = {
	    {".note.Xen", SHT_NOTE, 0, 0, 0},
	    {".xen_prstatus", SHT_PROGBITS, (uint64_t)core->vcpus * 5168, 5168, 8},
	    {".xen_shared_info", SHT_PROGBITS, WRITER_PAGE, WRITER_PAGE, 8},
	    {".xen_pages", SHT_PROGBITS, core->pages * WRITER_PAGE, WRITER_PAGE, WRITER_PAGE},
	    {core->pv ? ".xen_p2m" : ".xen_pfn", SHT_PROGBITS, core->pages * entry, entry, 8},
	    {".shstrtab", SHT_STRTAB, sizeof(names), 0, 0},
	};
	/* The names come last in the file, but first in the table. */
	static const size_t numbers[] = {2, 3, 4, 5, 6, 1};
	size_t count = sizeof(sections) / sizeof(sections[0]);

	put_notes(&notes, core);
	sections[0].size = notes.size;
	put_elf_header(&blob, (uint16_t)count + 1);
	blob_put(&blob, sizeof(Elf64_Ehdr) + (count + 1) * sizeof(Elf64_Shdr) - 1, "", 1);
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(sections[i].name, ".xen_pages"))
			blob_put(&blob, (blob.size | (WRITER_PAGE - 1)), "", 1);
		put_section(&blob, numbers[i], &sections[i], blob.size);
		if (i == 0)
			blob_append(&blob, notes.data, notes.size);
		else if (i == 1)
			put_contexts(&blob, core);
		else if (i == 2)
			blob_put(&blob, blob.size + WRITER_PAGE - 1, "", 1);
		else if (i == 3)
			put_pages(&blob, core);
		else if (i == 4)
			put_table(&blob, core);
		else
			blob_append(&blob, names, sizeof(names));
	}
	blob_free(&notes);
	return blob;
}

uint64_t xen_core_section(const struct blob *blob, const char *name, uint64_t *ret_end)
{
	for (size_t i = 1; i < 7; i++) {
		Elf64_Shdr section;

		memcpy(&section, blob->data + sizeof(Elf64_Ehdr) + i * sizeof(section),
		       sizeof(section));
		if (le32toh(section.sh_name) != name_offset(name))
			continue;
		*ret_end = le64toh(section.sh_offset) + le64toh(section.sh_size);
		return le64toh(section.sh_offset);
	}
	abort();
}

/* ---- Streams --------------------------------------------------------------------------------- */

static void put32_be(struct blob *blob, uint32_t value)
{
	value = htobe32(value);
	blob_append(blob, &value, sizeof(value));
}

void write_xl_header(struct blob *blob, uint32_t config_size)
{
	blob_append(blob, "Xen saved domain, xl format\n \0 \r", 32);
	blob_put32(blob, blob->size, 0x01020304);
	blob_put32(blob, blob->size, config_size ? 3 : 2);
	blob_put32(blob, blob->size, 0);
	blob_put32(blob, blob->size, config_size ? config_size + 4 : 0);
	if (!config_size)
		return;
	blob_put32(blob, blob->size, config_size);
	for (uint32_t i = 0; i < config_size; i++)
		blob_append(blob, "{", 1);
}

void write_libvirt_header(struct blob *blob, uint32_t version, uint32_t xml_size)
{
	size_t start = blob->size;

	blob_append(blob, "libvirt-xml\n \0 \r", 16);
	blob_put32(blob, blob->size, version);
	blob_put32(blob, blob->size, xml_size);
	blob_put(blob, start + 64 + xml_size - 1, "", 1);
}

void write_libxl_header(struct blob *blob, uint32_t version)
{
	blob_append(blob, "LibxlFmt", 8);
	put32_be(blob, version);
	put32_be(blob, 0);
	write_xen_record(blob, 0x1, NULL, 0);
}

void write_libxc_header(struct blob *blob, uint32_t version, bool pv)
{
	blob_append(blob, "\xff\xff\xff\xff\xff\xff\xff\xffXENF", 12);
	put32_be(blob, version);
	put32_be(blob, 0);
	put32_be(blob, 0);
	blob_put32(blob, blob->size, pv ? 1 : 2);
	blob_put32(blob, blob->size, 12);
	blob_put32(blob, blob->size, 4);
	blob_put32(blob, blob->size, 17);
}

void write_xen_record(struct blob *blob, uint32_t type, const void *body, size_t size)
{
	static const char zeros[8];

	blob_put32(blob, blob->size, type);
	blob_put32(blob, blob->size, (uint32_t)size);
	blob_append(blob, body, size);
	blob_append(blob, zeros, -size % 8);
}

static bool has_data(uint64_t entry)
{
	return entry >> 60 < 0xd;
}

void write_xen_pages(struct blob *blob, const uint64_t *entries, uint32_t count, bool stale)
{
	struct blob body = {0};
	uint8_t page[WRITER_PAGE];

	blob_put32(&body, 0, count);
	blob_put32(&body, 4, 0);
	for (uint32_t i = 0; i < count; i++)
		blob_put64(&body, body.size, entries[i]);
	for (uint32_t i = 0; i < count; i++) {
		if (!has_data(entries[i]))
			continue;
		writer_fill((entries[i] & 0xfffffffffffff) * WRITER_PAGE, page, sizeof(page));
		for (size_t j = 0; stale && j < sizeof(page); j++)
			page[j] ^= 0xff;
		blob_append(&body, page, sizeof(page));
	}
	write_xen_record(blob, 0x1, body.data, body.size);
	blob_free(&body);
}

void write_xen_run(struct blob *blob, uint64_t first, uint32_t count, bool stale)
{
	uint64_t *entries = malloc(count * sizeof(*entries));

	if (!entries)
		abort();
	for (uint32_t i = 0; i < count; i++)
		entries[i] = first + i;
	write_xen_pages(blob, entries, count, stale);
	free(entries);
}

void write_xen_vcpu(struct blob *blob, unsigned vcpu, bool is_32)
{
	struct blob body = {0};

	blob_put64(&body, 0, vcpu);
	write_xen_context(&body, vcpu, is_32);
	write_xen_record(blob, 0x4, body.data, body.size);
	blob_free(&body);
}
