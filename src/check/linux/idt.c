/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interrupt descriptor table: every gate must lead into the kernel's text. Sources: Intel SDM
 * volume 3, 6.11 and 6.14.1; arch/x86/kernel/idt.c.
 */
#include "check/check.h"
#include "guest/linux/code.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GATES 256
/*
 * Vectors that nothing uses keep the gates of the kernel's start, in text that was freed since:
 * early_idt_handler_array has 32 entries of 9 bytes, or 13 with ENDBR.
 */
#define EARLY_SIZE (32 * 13)

static uint64_t handler(const uint8_t *gate, unsigned word_size)
{
	uint16_t low, middle;
	uint32_t high = 0;

	memcpy(&low, gate, sizeof(low));
	memcpy(&middle, gate + 6, sizeof(middle));
	if (word_size == 8)
		memcpy(&high, gate + 8, sizeof(high));
	return (uint64_t)high << 32 | (uint64_t)middle << 16 | low;
}

/* A task gate, as 32-bit kernels have for double faults, leads to no code. */
static bool has_handler(const uint8_t *gate)
{
	enum { TASK_GATE = 5 };

	return gate[5] >> 7 && (gate[5] & 0x1f) != TASK_GATE;
}

static void report_gate(struct linux_kernel *kernel, struct check_report *report,
			const struct linux_code *code, unsigned vector, uint64_t address,
			uint64_t target)
{
	_cleanup_buffer_ struct buffer found = {0};
	char subject[32];

	snprintf(subject, sizeof(subject), "vector %u", vector);
	linux_code_describe(kernel, code, target, &found);
	check_add(report, &(struct check_finding){
			      .severity = CHECK_ALARM,
			      .pid = -1,
			      .address = address,
			      .subject = subject,
			      .expected = "code of the kernel's image",
			      .found = check_text(report, &found),
			      .meaning = "An interrupt or exception leads out of the kernel's "
					 "image: it is hooked.",
			  });
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	unsigned size = kernel->word_size == 8 ? 16 : 8, gates = 0;
	uint64_t table = kernel->symbol[LINUX_idt_table];
	uint64_t early = kernel->symbol[LINUX_early_idt_handlers];
	_cleanup_code_ struct linux_code code = {0};
	uint8_t bytes[GATES * 16];
	struct nunchi_error *err;
	enum read_result result;

	if (!table)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "this kernel's symbols lack idt_table");
	err = linux_code_collect(kernel, &code);
	if (err)
		return err;
	result = linux_read(kernel, table, bytes, (size_t)GATES * size);
	check_unread(report, result, "idt_table");
	for (unsigned i = 0; result == READ_OK && i < GATES; i++) {
		const uint8_t *gate = bytes + (size_t)i * size;
		uint64_t target = handler(gate, kernel->word_size);
		const struct linux_code_area *area = linux_code_at(&code, target);

		if (!has_handler(gate))
			continue;
		gates++;
		if (early && target - early < EARLY_SIZE)
			continue;
		if (!area || area->owner != LINUX_CODE_KERNEL)
			report_gate(kernel, report, &code, i, table + (uint64_t)i * size, target);
	}
	check_summary(report, "%u gates", gates);
	return NULL;
}

const struct check check_idt = {"idt", "gates of the interrupt table that lead out of the kernel",
				&guest_linux, run};
