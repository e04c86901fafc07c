/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A 64-bit ELF core in the form that QEMU's dump-guest-memory writes without paging: header,
 * program headers, notes, memory. Sources: QEMU's dump/dump.c and target/i386/arch_dump.c.
 */
#include "core/buffer.h"
#include "core/bytes.h"
#include "target/file/notes.h"
#include "target/snapshot/writer.h"

#include <elf.h>
#include <string.h>

/*
 * Number of segments in addition to one for each range, for gaps of a saved guest. The headers
 * precede the memory, so room for them must be reserved.
 */
#define SPARE_SEGMENTS 4096
#define EFER_LMA       ((uint64_t)1 << 10)

static uint64_t headers_size(const struct writer *writer)
{
	return sizeof(Elf64_Ehdr) + (1 + (uint64_t)writer->segment_limit) * sizeof(Elf64_Phdr);
}

static void add_note(struct buffer *notes, const char *name, uint32_t type, const void *desc,
		     size_t size)
{
	static const char padding[4];
	size_t name_size = strlen(name) + 1;
	uint8_t header[12];

	store_le32(header, (uint32_t)name_size);
	store_le32(header + 4, (uint32_t)size);
	store_le32(header + 8, type);
	buffer_append(notes, header, sizeof(header));
	buffer_append(notes, name, name_size);
	buffer_append(notes, padding, -name_size % 4);
	buffer_append(notes, desc, size);
	buffer_append(notes, padding, -size % 4);
}

static void add_prstatus(struct buffer *notes, const struct x86_registers *registers, bool x86_64,
			 unsigned vcpu)
{
	uint8_t desc[PRSTATUS64_SIZE] = {0};

	notes_encode_prstatus(registers, x86_64, vcpu, desc);
	add_note(notes, "CORE", NOTE_PRSTATUS, desc, x86_64 ? PRSTATUS64_SIZE : PRSTATUS32_SIZE);
}

static void add_qemu(struct buffer *notes, const struct x86_registers *registers)
{
	uint8_t desc[QEMU_STATE_SIZE] = {0};

	notes_encode_qemu(registers, desc);
	add_note(notes, "QEMU", 0, desc, sizeof(desc));
}

/*
 * Adds the notes with the vCPUs' registers. If the target has no registers, the memory is written
 * without them. *ret_x86_64 is false only if the first vCPU is known not to be in long mode.
 */
static void make_notes(struct target *target, struct buffer *notes, bool *ret_x86_64)
{
	unsigned count = target->vcpu_count ? target->vcpu_count : 1;
	bool x86_64 = true;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < count && i < NOTES_VCPU_LIMIT; i++) {
			struct x86_registers registers = {0};
			struct nunchi_error *err = target_get_registers(target, i, &registers);

			if (err) {
				nunchi_error_destroy(err);
				continue;
			}
			if (!i && registers.has_efer)
				x86_64 = registers.efer & EFER_LMA;
			if (!pass)
				add_prstatus(notes, &registers, x86_64, i);
			else if (registers.cr0)
				add_qemu(notes, &registers);
		}
	}
	if (target->frames == TARGET_FRAMES_MACHINE) {
		uint8_t frames[4];

		store_le32(frames, TARGET_FRAMES_MACHINE);
		add_note(notes, "NUNCHI", NOTE_FRAMES, frames, sizeof(frames));
	}
	if (target->vmcoreinfo)
		add_note(notes, "VMCOREINFO", 0, target->vmcoreinfo, target->vmcoreinfo_size);
	*ret_x86_64 = x86_64;
}

static struct nunchi_error *elf_begin(struct writer *writer)
{
	_cleanup_buffer_ struct buffer notes = {0};
	size_t ranges;
	bool x86_64;

	memory_ranges(writer->target->memory, &ranges);
	if (ranges + SPARE_SEGMENTS + 1 >= PN_XNUM)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "%zu ranges of RAM are more than the ELF format "
					       "takes",
					       ranges),
				  "use --format lime or raw");
	writer->segment_limit = ranges + SPARE_SEGMENTS;
	buffer_init(&notes, 0);
	make_notes(writer->target, &notes, &x86_64);
	if (notes.failed)
		return &error_nomem;
	writer->position = (headers_size(writer) + notes.size + PAGE_MASK) & ~PAGE_MASK;
	writer->notes_size = notes.size;
	writer->x86_64 = x86_64;
	if (!notes.size)
		return NULL;
	return output_write(&writer->output, headers_size(writer), notes.data, notes.size);
}

static void elf_place(struct writer *writer, struct segment *segment)
{
	segment->offset = writer->position;
}

static struct nunchi_error *elf_finish(struct writer *writer)
{
	size_t count = 1 + writer->segment_count;
	_cleanup_free_ Elf64_Phdr *table = calloc(count, sizeof(*table));
	Elf64_Ehdr header = {
	    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = htole16(ET_CORE),
	    .e_machine = htole16(writer->x86_64 ? EM_X86_64 : EM_386),
	    .e_version = htole32(EV_CURRENT),
	    .e_phoff = htole64(sizeof(header)),
	    .e_ehsize = htole16(sizeof(header)),
	    .e_phentsize = htole16(sizeof(*table)),
	    .e_phnum = htole16((uint16_t)count),
	};
	struct nunchi_error *err;

	if (!table)
		return &error_nomem;
	table[0] = (Elf64_Phdr){.p_type = htole32(PT_NOTE),
				.p_offset = htole64(headers_size(writer)),
				.p_filesz = htole64(writer->notes_size),
				.p_memsz = htole64(writer->notes_size)};
	for (size_t i = 0; i < writer->segment_count; i++) {
		const struct segment *segment = &writer->segments[i];

		table[i + 1] = (Elf64_Phdr){.p_type = htole32(PT_LOAD),
					    .p_flags = htole32(PF_R | PF_W | PF_X),
					    .p_offset = htole64(segment->offset),
					    .p_vaddr = htole64(segment->address),
					    .p_paddr = htole64(segment->address),
					    .p_filesz = htole64(segment->size),
					    .p_memsz = htole64(segment->size)};
	}
	err = output_write(&writer->output, 0, &header, sizeof(header));
	if (err)
		return err;
	return output_write(&writer->output, sizeof(header), table, count * sizeof(*table));
}

const struct writer_ops snapshot_elf_ops = {
    .begin = elf_begin,
    .place = elf_place,
    .finish = elf_finish,
    .keeps_gaps = true,
};
