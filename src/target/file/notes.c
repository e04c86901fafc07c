/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/notes.h"

#include "core/bytes.h"
#include "target/target.h"

#include <string.h>

#define CR0_PG   ((uint64_t)1 << 31)
#define CR4_PAE  ((uint64_t)1 << 5)
#define EFER_LME ((uint64_t)1 << 8)
#define EFER_LMA ((uint64_t)1 << 10)

void notes_deinit(struct notes *notes)
{
	free(notes->vcpus);
	free(notes->vmcoreinfo);
	memset(notes, 0, sizeof(*notes));
}

/* vCPU n, made if it is the next one; NULL if memory is short or there are too many. */
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
	if (registers->has_rip)
		return;
	registers->has_rip = true;
	if (size == PRSTATUS64_SIZE) {
		registers->rip = load_le64(desc + PRSTATUS64_RIP);
		registers->rsp = load_le64(desc + PRSTATUS64_RSP);
	} else {
		registers->rip = load_le32(desc + PRSTATUS32_EIP);
		registers->rsp = load_le32(desc + PRSTATUS32_ESP);
	}
}

static void parse_qemu(struct notes *notes, const uint8_t *desc, size_t size)
{
	struct x86_registers *registers;

	if (size < QEMU_STATE_SIZE || load_le32(desc) != QEMU_STATE_VERSION)
		return;
	registers = vcpu(notes, notes->qemu_count);
	if (!registers)
		return;
	notes->qemu_count++;
	notes->has_control = true;
	registers->rip = load_le64(desc + QEMU_STATE_RIP);
	registers->rsp = load_le64(desc + QEMU_STATE_RSP);
	registers->has_rip = true;
	registers->idt_base = load_le64(desc + QEMU_STATE_IDT_BASE);
	registers->has_idt = true;
	registers->cr0 = load_le64(desc + QEMU_STATE_CR);
	registers->cr3 = load_le64(desc + QEMU_STATE_CR + 3 * 8);
	registers->cr4 = load_le64(desc + QEMU_STATE_CR + 4 * 8);
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

	/* The terminating NUL should be there, but some writers leave it out. */
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

		/* All-zero bytes pad the end of kernel-made segments. */
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

		/* QEMU calls the machine x86-64 when its first vCPU is in long mode. */
		registers->efer = x86_64 && paging ? EFER_LME | EFER_LMA : 0;
		registers->has_efer = registers->cr0 != 0;
	}
}
