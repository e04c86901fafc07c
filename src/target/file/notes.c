/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/notes.h"

#include "core/bytes.h"
#include "target/target.h"

#include <stddef.h>
#include <string.h>

#define CR0_PG   ((uint64_t)1 << 31)
#define CR4_PAE  ((uint64_t)1 << 5)
#define EFER_LME ((uint64_t)1 << 8)
#define EFER_LMA ((uint64_t)1 << 10)

/* Where a register is in a note, and where in struct x86_registers. */
struct place {
	uint16_t member, at;
};
#define PLACE(name, offset)                                                                        \
	{                                                                                          \
		offsetof(struct x86_registers, name), offset                                       \
	}

/* struct elf_prstatus: offsets of pr_pid, and of pr_reg, which is a struct user_regs_struct. */
enum { PRSTATUS64_PID = 32, PRSTATUS32_PID = 24 };
static const struct place prstatus64[] = {
    PLACE(r15, 112), PLACE(r14, 120),    PLACE(r13, 128), PLACE(r12, 136), PLACE(rbp, 144),
    PLACE(rbx, 152), PLACE(r11, 160),    PLACE(r10, 168), PLACE(r9, 176),  PLACE(r8, 184),
    PLACE(rax, 192), PLACE(rcx, 200),    PLACE(rdx, 208), PLACE(rsi, 216), PLACE(rdi, 224),
    PLACE(rip, 240), PLACE(rflags, 256), PLACE(rsp, 264),
};
static const struct place prstatus64_selectors[] = {
    PLACE(cs, 248), PLACE(ss, 272), PLACE(ds, 296), PLACE(es, 304), PLACE(fs, 312), PLACE(gs, 320),
};
static const struct place prstatus32[] = {
    PLACE(rbx, 72), PLACE(rcx, 76), PLACE(rdx, 80),  PLACE(rsi, 84),     PLACE(rdi, 88),
    PLACE(rbp, 92), PLACE(rax, 96), PLACE(rip, 120), PLACE(rflags, 128), PLACE(rsp, 132),
};
static const struct place prstatus32_selectors[] = {
    PLACE(ds, 100), PLACE(es, 104), PLACE(fs, 108), PLACE(gs, 112), PLACE(cs, 124), PLACE(ss, 136),
};

/*
 * struct QEMUCPUState: general registers, segments of 24 bytes each (selector, base at 16), cr[5].
 */
enum { QEMU_KERNEL_GS = 432 };
static const struct place qemu[] = {
    PLACE(rax, 8),        PLACE(rbx, 16),       PLACE(rcx, 24),      PLACE(rdx, 32),
    PLACE(rsi, 40),       PLACE(rdi, 48),       PLACE(rsp, 56),      PLACE(rbp, 64),
    PLACE(r8, 72),        PLACE(r9, 80),        PLACE(r10, 88),      PLACE(r11, 96),
    PLACE(r12, 104),      PLACE(r13, 112),      PLACE(r14, 120),     PLACE(r15, 128),
    PLACE(rip, 136),      PLACE(rflags, 144),   PLACE(fs_base, 240), PLACE(gs_base, 264),
    PLACE(gdt_base, 360), PLACE(idt_base, 384), PLACE(cr0, 392),     PLACE(cr2, 408),
    PLACE(cr3, 416),      PLACE(cr4, 424),
};
static const struct place qemu_selectors[] = {
    PLACE(cs, 152), PLACE(ds, 176), PLACE(es, 200),   PLACE(fs, 224),
    PLACE(gs, 248), PLACE(ss, 272), PLACE(ldtr, 296), PLACE(tr, 320),
};

/* Loads registers of `width` bytes; segment selectors have 2 bytes. */
static void load_places(struct x86_registers *registers, const uint8_t *desc,
			const struct place *places, size_t count, unsigned width)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t *member = (uint8_t *)registers + places[i].member;
		const uint8_t *at = desc + places[i].at;

		if (width == 2)
			*(uint16_t *)member = load_le16(at);
		else
			*(uint64_t *)member = width == 8 ? load_le64(at) : load_le32(at);
	}
}

static void store_places(const struct x86_registers *registers, uint8_t *desc,
			 const struct place *places, size_t count, unsigned width)
{
	for (size_t i = 0; i < count; i++) {
		const uint8_t *member = (const uint8_t *)registers + places[i].member;
		uint8_t *at = desc + places[i].at;

		if (width == 2)
			store_le16(at, *(const uint16_t *)member);
		else if (width == 8)
			store_le64(at, *(const uint64_t *)member);
		else
			store_le32(at, (uint32_t) * (const uint64_t *)member);
	}
}
#define LOAD(registers, desc, places, width)                                                       \
	load_places(registers, desc, places, ARRAY_SIZE(places), width)
#define STORE(registers, desc, places, width)                                                      \
	store_places(registers, desc, places, ARRAY_SIZE(places), width)

void notes_deinit(struct notes *notes)
{
	free(notes->vcpus);
	free(notes->vmcoreinfo);
	memset(notes, 0, sizeof(*notes));
}

/* vCPU n, which is created if it is the next one; NULL if memory is short or there are too many. */
static struct x86_registers *vcpu(struct notes *notes, size_t n)
{
	struct x86_registers *vcpus;

	if (n < notes->vcpu_count)
		return &notes->vcpus[n];
	if (n >= NOTES_VCPU_LIMIT)
		return NULL;
	vcpus = reallocarray(notes->vcpus, n + 1, sizeof(*vcpus));
	if (!vcpus)
		return NULL;
	memset(&vcpus[notes->vcpu_count], 0, (n + 1 - notes->vcpu_count) * sizeof(*vcpus));
	notes->vcpus = vcpus;
	notes->vcpu_count = n + 1;
	return &vcpus[n];
}

static void parse_prstatus(struct notes *notes, const uint8_t *desc, size_t size)
{
	struct x86_registers *registers;

	if (size != PRSTATUS64_SIZE && size != PRSTATUS32_SIZE)
		return;
	registers = vcpu(notes, notes->prstatus_count);
	if (!registers)
		return;
	notes->prstatus_count++;
	notes->long_mode |= size == PRSTATUS64_SIZE;
	/* QEMU's own note contains more registers. */
	if (registers->has_rip)
		return;
	if (size == PRSTATUS64_SIZE) {
		LOAD(registers, desc, prstatus64, 8);
		LOAD(registers, desc, prstatus64_selectors, 2);
	} else {
		LOAD(registers, desc, prstatus32, 4);
		LOAD(registers, desc, prstatus32_selectors, 2);
	}
	registers->has_rip = registers->has_general = true;
}

void notes_encode_prstatus(const struct x86_registers *registers, bool x86_64, unsigned vcpu,
			   uint8_t *ret)
{
	/* pr_pid counts from 1. */
	store_le32(ret + (x86_64 ? PRSTATUS64_PID : PRSTATUS32_PID), vcpu + 1);
	if (x86_64) {
		STORE(registers, ret, prstatus64, 8);
		STORE(registers, ret, prstatus64_selectors, 2);
	} else {
		STORE(registers, ret, prstatus32, 4);
		STORE(registers, ret, prstatus32_selectors, 2);
	}
}

static void parse_qemu(struct notes *notes, const uint8_t *desc, size_t size)
{
	struct x86_registers *registers;

	if (size < QEMU_STATE_LEAST || load_le32(desc) != QEMU_STATE_VERSION)
		return;
	registers = vcpu(notes, notes->qemu_count);
	if (!registers)
		return;
	notes->qemu_count++;
	notes->has_control = true;
	LOAD(registers, desc, qemu, 8);
	LOAD(registers, desc, qemu_selectors, 2);
	if (size >= QEMU_STATE_SIZE) {
		registers->kernel_gs_base = load_le64(desc + QEMU_KERNEL_GS);
		registers->has_kernel_gs = true;
	}
	registers->has_rip = registers->has_general = registers->has_selectors = true;
	registers->has_segments = registers->has_gdt = registers->has_idt = true;
	registers->has_cr2 = true;
}

void notes_encode_qemu(const struct x86_registers *registers, uint8_t *ret)
{
	store_le32(ret, QEMU_STATE_VERSION);
	store_le32(ret + 4, QEMU_STATE_SIZE);
	STORE(registers, ret, qemu, 8);
	STORE(registers, ret, qemu_selectors, 2);
	store_le64(ret + QEMU_KERNEL_GS, registers->kernel_gs_base);
}

struct nunchi_error *notes_set_vmcoreinfo(struct notes *notes, const void *bytes, size_t size)
{
	char *text;

	if (notes->vmcoreinfo || !size)
		return NULL;
	text = malloc(size + 1);
	if (!text)
		return &error_nomem;
	memcpy(text, bytes, size);
	text[size] = '\0';
	notes->vmcoreinfo = text;
	notes->vmcoreinfo_size = size;
	return NULL;
}

static bool name_is(const uint8_t *name, size_t size, const char *wanted)
{
	size_t length = strlen(wanted);

	/* The NUL at the end should be there, but some writers leave it out. */
	return (size == length || (size == length + 1 && !name[length])) &&
	       !memcmp(name, wanted, length);
}

static size_t align4(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

struct nunchi_error *notes_parse(struct notes *notes, const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	size_t left = size;

	if (size > NOTES_SIZE_LIMIT - notes->size) {
		notes->damaged = true;
		return NULL;
	}
	notes->size += size;
	while (left >= 12) {
		size_t name_size = load_le32(p), desc_size = load_le32(p + 4), whole;
		uint32_t type = load_le32(p + 8);
		const uint8_t *name = p + 12, *desc;

		/* Segments made by the kernel are padded with zero bytes. */
		if (!name_size && !desc_size && !type)
			return NULL;
		whole = 12 + align4(name_size) + align4(desc_size);
		if (name_size > left || desc_size > left ||
		    12 + align4(name_size) + desc_size > left) {
			notes->damaged = true;
			return NULL;
		}
		desc = name + align4(name_size);
		if (name_is(name, name_size, "CORE") && type == NOTE_PRSTATUS) {
			parse_prstatus(notes, desc, desc_size);
		} else if (name_is(name, name_size, "QEMU") && type == 0) {
			parse_qemu(notes, desc, desc_size);
		} else if (name_is(name, name_size, "NUNCHI") && type == NOTE_FRAMES &&
			   desc_size >= 4) {
			notes->machine_frames = load_le32(desc) == TARGET_FRAMES_MACHINE;
		} else if (name_is(name, name_size, "VMCOREINFO")) {
			struct nunchi_error *err = notes_set_vmcoreinfo(notes, desc, desc_size);

			if (err)
				return err;
		}
		if (whole >= left)
			return NULL;
		p += whole;
		left -= whole;
	}
	return NULL;
}

void notes_conclude(struct notes *notes, bool x86_64)
{
	for (size_t i = 0; i < notes->vcpu_count && notes->has_control; i++) {
		struct x86_registers *registers = &notes->vcpus[i];
		bool paging = registers->cr0 & CR0_PG && registers->cr4 & CR4_PAE;

		/* QEMU writes an x86-64 file if the first vCPU is in long mode. */
		registers->efer = x86_64 && paging ? EFER_LME | EFER_LMA : 0;
		registers->has_efer = registers->cr0 != 0;
	}
}
