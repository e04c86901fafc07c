/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said of a memory in which no kernel can be used: what was found, and the next step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attach_guest.h"

/* Refused with a message and a hint that contain these words. */
static void refused(struct guest *guest, const char *message, const char *hint)
{
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err = attach_with(guest, NULL, &kernel);

	assert_true(error_is(err, NUNCHI_ERROR_NO_KERNEL));
	if (!strstr(nunchi_error_message(err), message))
		fail_msg("%s", nunchi_error_message(err));
	if (!nunchi_error_hint(err) || !strstr(nunchi_error_hint(err), hint))
		fail_msg("%s\nhint: %s", nunchi_error_message(err), nunchi_error_hint(err));
	nunchi_error_destroy(err);
}

#define NONE "no Linux kernel found (tried: "

static void put_random(struct guest *guest, uint64_t start, uint64_t end)
{
	uint32_t seed = 7;

	for (uint64_t at = start; at < end; at += 2) {
		uint16_t word = (uint16_t)writer_random(&seed);

		memcpy(guest->ram + at, &word, 2);
	}
}

static void test_nothing(void **state)
{
	struct guest *guest = *state;

	refused(guest, NONE, "the file holds nothing but zeros: dump the guest again");
	strcpy((char *)guest->ram, "a boot sector, or anything else");
	for (uint64_t at = 0; at < RAM; at += PAGE_SIZE)
		guest->ram[at] = 1;
	refused(guest, NONE, "is this the whole memory of an x86 guest?");
	/* As random as what is compressed or encrypted, but for little. */
	put_random(guest, MIB, RAM);
	refused(guest, NONE, "looks random: it is encrypted (AMD SEV, Intel TDX)");
	memset(guest->ram + 32 * MIB, 0x5a, 16 * MIB);
	refused(guest, NONE, "is this the whole memory of an x86 guest?");
}

/* An image alone, as in a file that has other addresses than the guest. */
static void test_banner_alone(void **state)
{
	static const char banner[] = "Linux version 6.1.0-test (a) (b) #1 SMP today\n";
	struct guest *guest = *state;

	/* In a log, or cut off: anybody may have that. */
	memcpy(guest->ram + MIB, banner, sizeof(banner) - 1);
	strcpy((char *)guest->ram + MIB + sizeof(banner) - 1, "next line");
	strcpy((char *)guest->ram + 2 * MIB, "Linux version %s (%s)\n");
	refused(guest, NONE, "is this the whole memory of an x86 guest?");
	/* Where the pieces of the search meet. */
	memcpy(guest->ram + 4 * MIB - 20, banner, sizeof(banner));
	refused(guest, NONE,
		"the memory has the text of a kernel at 0x3fffec (Linux version 6.1.0-test (a) (b) "
		"#1 SMP today), but no page table leads to it");
}

static void test_arm64(void **state)
{
	struct guest *guest = *state;

	memcpy(guest->ram + 0x200000 + 56, "ARM\x64", 4);
	put(guest, 0x200000 + 40, 1);
	refused(guest, NONE, "is this the whole memory of an x86 guest?");
	put(guest, 0x200000 + 40, 0);
	refused(guest, NONE, "the memory is that of an AArch64 (ARM64) guest: only");
	memset(guest->ram, 0, 4 * MIB);
	strcpy((char *)guest->ram + MIB, "Linux version 6.1.0-13-arm64 (a) (b) #1 SMP today\n");
	refused(guest, NONE,
		"AArch64 (ARM64) guest, Linux version 6.1.0-13-arm64 (a) (b) #1 SMP today: only");
}

/* A kernel without symbols and types: nothing is against it, and little for it. */
static void test_too_few(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	memset(guest->ram + 16 * MIB + WRITER_TABLE, 0, WRITER_SIZE - WRITER_TABLE);
	refused(guest,
		"the kernel at physical 0x1000000 (Linux version 6.1.0-test (a) (b) #1 SMP today) "
		"is not confirmed: two witnesses are needed, and one agrees: the image's sections",
		"neither symbols (kallsyms) nor types (BTF) in its memory: give the System.map of "
		"exactly this build with --symbols FILE, and its types (vmlinux, BTF or ISF) with "
		"--types FILE");
}

static void test_contradicted(void **state)
{
	struct guest *guest = *state;

	put_kernel(guest, 16 * MIB);
	put(guest, 16 * MIB + PHYS_BASE, 0x1000);
	refused(guest,
		"is not confirmed: these contradict it: the variable phys_base; these agree: "
		"kallsyms' _text, the kernel's own page table",
		"dump it again while it is paused");
	/* What is no kernel at all, met later, says less. */
	put_tables(guest, 0x10000, 40 * MIB);
	put_trampoline(guest, 0x98000, 16 * MIB + TOP);
	refused(guest, "these contradict it: the variable phys_base", "while it is paused");
}

static void test_encrypted(void **state)
{
	struct guest *guest = *state;

	guest->target.encryption = "AMD SEV-SNP";
	put_random(guest, 0, RAM);
	refused(guest,
		"the guest's memory is encrypted (AMD SEV-SNP), so that its kernel cannot be read",
		"look from inside of the guest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_banner_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_arm64, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_too_few, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_contradicted, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_encrypted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
