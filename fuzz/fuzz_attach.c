/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attaching to a guest with a crash kernel, after the input has overwritten parts of the guest's
 * memory: page tables, symbol table, variables, notes. The input is a sequence of patches: three
 * bytes of address in units of 8 bytes, one byte of length, then the bytes. If its size is odd, the
 * target has registers: one vCPU runs the kernel, the other is in firmware.
 */
#include "../tests/unit/kallsyms_writer.h"

#include "guest/linux/attach.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#define MIB      ((uint64_t)1 << 20)
#define RAM      (24 * MIB)
#define PHYSICAL (16 * MIB)

/* Offsets in the image; see tests/unit/test_attach.c. */
#define BANNER    (WRITER_TABLE - 64)
#define DATA      (4 * MIB)
#define PHYS_BASE (DATA + 0x800)
#define LINE      (DATA + 0x808) /* saved_command_line, which points to the text behind it */
#define TOP       (DATA + 0x1000)
/* The ELF header of /proc/vmcore, and the note of the kernel that crashed. */
#define CORE      0x300000
#define MAP_START 0xffffffff80000000ull

#define MAX_PATCHES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct patch {
	uint64_t address;
	const uint8_t *bytes;
	size_t size;
};

struct guest {
	const uint8_t *base;
	struct patch patches[MAX_PATCHES];
	size_t count;
};

static void put(uint8_t *ram, uint64_t address, uint64_t value)
{
	memcpy(ram + address, &value, 8);
}

static void put_tables(uint8_t *ram, uint64_t top)
{
	uint64_t index = (WRITER_BASE - MAP_START) / (2 * MIB);

	put(ram, top + 511 * 8, (top + 0x1000) | 3);
	put(ram, top + 0x1000 + 510 * 8, (top + 0x2000) | 3);
	for (uint64_t i = 0; i < 3; i++)
		put(ram, top + 0x2000 + (index + i) * 8,
		    (PHYSICAL + i * 2 * MIB) | (i == 2 ? 0x8000000000000083 : 0x81));
}

static void put_core_header(uint8_t *ram)
{
	const Elf64_Ehdr header = {.e_ident = ELFMAG, .e_phoff = sizeof(header), .e_phnum = 1};
	const Elf64_Phdr segment = {.p_type = PT_NOTE, .p_offset = CORE + 0x1000};
	Elf64_Nhdr note = {.n_namesz = 11};
	char *text = (char *)ram + CORE + 0x1000 + sizeof(note) + 12;

	note.n_descsz = (uint32_t)snprintf(text, 1024,
					   "OSRELEASE=6.1.0\nPAGESIZE=4096\n"
					   "SYMBOL(init_top_pgt)=%llx\nNUMBER(phys_base)=%lld\n",
					   (unsigned long long)(WRITER_BASE + TOP),
					   (long long)(PHYSICAL - (WRITER_BASE - MAP_START)));
	memcpy(ram + CORE, &header, sizeof(header));
	memcpy(ram + CORE + sizeof(header), &segment, sizeof(segment));
	memcpy(ram + CORE + 0x1000, &note, sizeof(note));
	strcpy((char *)ram + CORE + 0x1000 + sizeof(note), "VMCOREINFO");
}

static const uint8_t *make_base(void)
{
	static const struct writer_layout layout = {
	    "fuzz",      8, WRITE_OFFSETS,          WRITE_SEQS_3,
	    4,           8, .addresses_last = true, .long_sizes = true,
	    .count = 300};
	struct writer_tokens *tokens = calloc(1, sizeof(*tokens));
	struct writer w = {.layout = layout, .base = WRITER_BASE};
	uint8_t *ram = calloc(1, RAM);

	w.symbols = calloc(WRITER_SYMBOLS_MAX, sizeof(*w.symbols));
	w.data = calloc(1, WRITER_SIZE);
	if (!tokens || !ram || !w.symbols || !w.data)
		abort();
	writer_add_symbols(&w);
	writer_add(&w, 'D', WRITER_BASE + PHYS_BASE, "phys_base");
	writer_add(&w, 'D', WRITER_BASE + LINE, "saved_command_line");
	writer_add(&w, 'D', WRITER_BASE + TOP, "init_top_pgt");
	writer_compress(&w, tokens);
	writer_put_again(&w, tokens);
	memcpy(ram + PHYSICAL, w.data, WRITER_SIZE);
	strcpy((char *)ram + PHYSICAL + BANNER, "Linux version 6.1.0 (a) (b) #1 SMP");
	put(ram, PHYSICAL + DATA, 0x57ac6e9d);
	put(ram, PHYSICAL + PHYS_BASE, PHYSICAL - (WRITER_BASE - MAP_START));
	put(ram, PHYSICAL + LINE, WRITER_BASE + LINE + 8);
	strcpy((char *)ram + PHYSICAL + LINE + 8, "quiet elfcorehdr=0x300000");
	put_core_header(ram);
	put_tables(ram, PHYSICAL + TOP);
	put(ram, 0x98000 + 511 * 8, (PHYSICAL + TOP + 0x1000) | 3);
	writer_deinit(&w);
	free(tokens);
	return ram;
}

static enum memory_fault read_guest(void *data, uint64_t offset, void *buffer, size_t size,
				    uint64_t *fault_offset)
{
	const struct guest *guest = data;

	(void)fault_offset;
	memcpy(buffer, guest->base + offset, size);
	for (size_t i = 0; i < guest->count; i++) {
		const struct patch *patch = &guest->patches[i];
		uint64_t start = patch->address > offset ? patch->address : offset;
		uint64_t end = patch->address + patch->size;

		if (end > offset + size)
			end = offset + size;
		if (start < end)
			memcpy((uint8_t *)buffer + (start - offset),
			       patch->bytes + (start - patch->address), end - start);
	}
	return MEMORY_OK;
}

static void take_patches(struct guest *guest, const uint8_t *data, size_t size)
{
	while (size > 4 && guest->count < MAX_PATCHES) {
		struct patch *patch = &guest->patches[guest->count++];
		uint64_t address = (data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16) * 8;

		patch->address = address % RAM;
		patch->size = data[3] < size - 4 ? data[3] : size - 4;
		patch->bytes = data + 4;
		if (patch->size > RAM - patch->address)
			patch->size = RAM - patch->address;
		data += 4 + patch->size;
		size -= 4 + patch->size;
	}
}

static struct nunchi_error *get_registers(struct target *target, unsigned vcpu,
					  struct x86_registers *ret)
{
	static const struct x86_registers vcpus[] = {
	    {.has_rip = true, .has_general = true, .rip = 0xfff0, .cr0 = 0x60000010},
	    {.has_rip = true,
	     .has_general = true,
	     .rip = WRITER_BASE + 0x1001,
	     .cr0 = 0x80050033,
	     .cr3 = PHYSICAL + TOP,
	     .cr4 = 0x6f0,
	     .efer = 0xd01},
	};

	(void)target;
	*ret = vcpus[vcpu];
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t *base;
	static const struct cancel cancel = {.requested = false};
	const struct guest_attach_options options = {.cancel = &cancel};
	static const struct target_ops ops = {.kind = "fuzz", .get_registers = get_registers};
	struct target target = {.ops = &ops, .name = (char *)"fuzz", .vcpu_count = 2};
	struct guest guest = {0};
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err;

	if (!base)
		base = make_base();
	guest.base = base;
	target.support[TARGET_REGISTERS].available = size % 2;
	take_patches(&guest, data, size);
	if (memory_create(false, &target.memory) ||
	    memory_add_reader(target.memory, gpa(0), RAM, read_guest, NULL, &guest) ||
	    memory_seal(target.memory))
		abort();
	err = linux_kernel_attach(&target, &options, &kernel);
	/* Without a patch it is found. */
	if (err && !guest.count)
		abort();
	if (!err && strncmp(kernel->banner, "Linux version ", 14))
		abort();
	nunchi_error_destroy(err);
	linux_kernel_destroy(kernel);
	memory_destroy(target.memory);
	for (size_t i = 0; i < target.note_count; i++)
		free(target.notes[i]);
	free(target.notes);
	return 0;
}
