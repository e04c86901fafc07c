/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests of Xen, with a hypervisor that does what real ones are seldom caught at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86/paging.h"
#include "guest/linux/attach.h"
#include "xen_setup.h"

static void refused(const char *word, enum nunchi_error_code code, const char *says)
{
	const struct target_options options = {.sigbus_guard = false};
	struct target *target = NULL;
	struct nunchi_error *err = xen_target_open_with(&fake_calls, word, &options, &target);

	assert_non_null(err);
	assert_null(target);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), says))
		fail_msg("code %d: %s", nunchi_error_code(err), nunchi_error_message(err));
	nunchi_error_destroy(err);
}

struct listed {
	unsigned count;
	char text[2048];
	unsigned most;
};

static bool note_guest(const struct nunchi_found *guest, void *data)
{
	struct listed *listed = data;
	size_t length = strlen(listed->text);

	snprintf(listed->text + length, sizeof(listed->text) - length, "%s|%s|%s|%s|%s\n",
		 guest->target, guest->name, guest->hypervisor, guest->state, guest->access);
	return ++listed->count != listed->most;
}

static struct listed list(void)
{
	struct listed listed = {0};
	bool stopped = true;
	struct nunchi_error *err = xen_list_with(&fake_calls, note_guest, &listed, &stopped);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	assert_false(stopped);
	return listed;
}

/* ---- Versions -------------------------------------------------------------------------------- */

/* The interfaces of Xen 4.11 to 4.22, with the size of what they say of a domain. */
static void test_every_version(void **state)
{
	static const uint32_t versions[][2] = {
	    {0x10, 0x11}, {0x11, 0x12}, {0x12, 0x12}, {0x12, 0x13}, {0x13, 0x13}, {0x14, 0x14},
	    {0x15, 0x15}, {0x16, 0x15}, {0x17, 0x15}, {0x17, 0x16}, {0x18, 0x16},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct listed listed;
		struct target *target;

		fake->domctl = versions[i][0];
		fake->sysctl = versions[i][1];
		/* It was so up to Xen 4.17. */
		fake->next_domain = fake->domctl <= 0x15;
		listed = list();
		assert_int_equal(listed.count, 3);
		assert_non_null(strstr(listed.text, "xen:pv|pv|xen (PV)|running|"));
		assert_non_null(strstr(listed.text, "xen:pvh|pvh|xen (PVH)|running|"));
		assert_non_null(strstr(listed.text, "xen:hvm|hvm|xen (HVM)|running|"));
		refused("xen:4", NUNCHI_ERROR_NOT_FOUND, "no domain");
		target = open_word("xen:pvh");
		assert_int_equal(target->vcpu_count, 2);
		assert_int_equal(target->ram_size, 1024 << PAGE_SHIFT);
		assert_true(target->support[TARGET_PAUSE].available);
		target_close(target);
	}
}

/* Newer than what is known: memory can be read, and the rest says why not. */
static void test_unknown_interface(void **state)
{
	struct nunchi_error *err;
	struct x86_registers registers;
	struct listed listed;
	struct target *target;
	enum target_state what;
	uint64_t value;
	bool stopped;

	(void)state;
	fake->domctl = 0x19;
	fake->sysctl = 0x17;
	fake_value("/libxl/5/type", "pvh");
	memcpy(fake->names, "0\0005\0x\0\0-1\0007x", 13);
	fake->names_size = 13;
	listed = list();
	assert_int_equal(listed.count, 1);
	assert_non_null(strstr(listed.text, "0x10 to 0x18"));
	refused("xen:pvh", NUNCHI_ERROR_UNSUPPORTED, "0x10 to 0x18");
	target = open_word("xen:5");
	assert_false(target->support[TARGET_PAUSE].available);
	assert_non_null(strstr(target->support[TARGET_REGISTERS].reason, "0x10 to 0x18"));
	err = target_pause(target);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	nunchi_error_destroy(err);
	err = target_get_registers(target, 0, &registers);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	nunchi_error_destroy(err);
	assert_null(target_get_state(target, &what));
	assert_int_equal(what, TARGET_UNKNOWN);
	assert_int_equal(memory_read(target->memory, gpa(0x3000), &value, 8, NULL), MEMORY_OK);
	target_close(target);
	/* Without xenstore no domain is known, and not whether one is PV. */
	fake->store_state = XEN_STORE_SILENT;
	err = xen_list_with(&fake_calls, note_guest, &listed, &stopped);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(strstr(nunchi_error_message(err), "does not answer"));
	nunchi_error_destroy(err);
	refused("xen:5", NUNCHI_ERROR_UNSUPPORTED, "the type of domain 5");
}

static void test_refusals(void **state)
{
	struct listed listed = {0};
	struct nunchi_error *err;
	bool stopped;

	(void)state;
	fake->refuse = EPERM;
	refused("xen:pv", NUNCHI_ERROR_PERMISSION, "to control other domains");
	/* The control interface, but not the list of domains. */
	fake->refuse = 0;
	fake->sysctl = 0x99;
	err = xen_list_with(&fake_calls, note_guest, &listed, &stopped);
	assert_non_null(strstr(nunchi_error_message(err), "refuses to list"));
	assert_non_null(strstr(nunchi_error_hint(err), "XSM"));
	nunchi_error_destroy(err);
	assert_int_equal(fake->open, 0);
}

/* Without xenstore there are no names; all else goes by ids. */
static void test_no_store(void **state)
{
	static const char *const says[] = {"", "does not run", "does not answer",
					   "may not connect to xenstored",
					   "does not keep to its protocol"};

	(void)state;
	for (int i = XEN_STORE_NONE; i <= XEN_STORE_BAD; i++) {
		fake->store_state = (enum xen_store_state)i;
		assert_non_null(strstr(list().text, "xen:5||xen (PVH)|running|"));
		assert_non_null(strstr(list().text, says[i]));
		refused("xen:pvh", NUNCHI_ERROR_UNSUPPORTED, says[i]);
		refused("xen:99", NUNCHI_ERROR_NOT_FOUND, "no domain 99");
		target_close(open_word("xen:5"));
	}
	fake->store_state = XEN_STORE_ANSWERS;
	assert_null(strstr(list().text, "no name"));
}

static void test_again(void **state)
{
	(void)state;
	fake->again = 5;
	assert_int_equal(list().count, 3);
	/* Not for ever. */
	fake->again = 1000000;
	refused("xen:pv", NUNCHI_ERROR_IO, "does not answer");
	fake->again = 0;
}

static void test_short_and_wrong_lists(void **state)
{
	struct listed listed = {0};
	bool stopped;

	(void)state;
	fake->most = 1;
	assert_int_equal(list().count, 3);
	/* One goes between two answers. */
	fake->vanish = 2;
	assert_int_equal(list().count, 2);
	fake->domains[2].there = true;
	/* More than fit, and not in order: it ends, with what makes sense. */
	fake->most = 0;
	fake->false_count = 1000000;
	assert_true(list().count >= 3);
	fake->false_count = 0;
	fake->backwards = true;
	assert_true(list().count <= 3);
	fake->backwards = false;
	listed.most = 2;
	assert_null(xen_list_with(&fake_calls, note_guest, &listed, &stopped));
	assert_true(stopped);
	assert_int_equal(listed.count, 2);
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void test_words(void **state)
{
	struct target *target;
	struct listed listed;

	(void)state;
	target = open_word("xen:hvm");
	assert_string_equal(target->name, "xen:hvm");
	assert_int_equal(target->frames, TARGET_FRAMES_GUEST);
	target_close(target);
	target_close(open_word("xen:9"));
	refused("xen:nobody", NUNCHI_ERROR_NOT_FOUND, "no domain \"nobody\"");
	refused("xen:", NUNCHI_ERROR_NOT_FOUND, "no domain");
	refused("xen:0", NUNCHI_ERROR_UNSUPPORTED, "domain 0");
	refused("xen:Domain-0", NUNCHI_ERROR_UNSUPPORTED, "domain 0");
	refused("xen:99999", NUNCHI_ERROR_NOT_FOUND, "99999");
	refused("xen:5x", NUNCHI_ERROR_NOT_FOUND, "5x");
	/* A name of digits, and two of the same name. */
	fake_add(4, 11, "77", XEN_INFO_HVM, 1);
	target_close(open_word("xen:77"));
	fake_add(5, 12, "pvh", XEN_INFO_HVM, 1);
	refused("xen:pvh", NUNCHI_ERROR_AMBIGUOUS, "domains 5 and 12");
	listed = list();
	assert_non_null(strstr(listed.text, "xen:5|pvh|"));
	assert_non_null(strstr(listed.text, "xen:12|pvh|"));
	assert_non_null(strstr(listed.text, "xen:11|77|"));
	/* What is no name at all. */
	fake_value("/local/domain/5/name", "a\nb");
	assert_non_null(strstr(list().text, "xen:5||"));
}

/* A guest that was created paused and has no kernel yet: the hint says to resume it. */
static void test_paused_without_kernel(void **state)
{
	struct target *target = open_word("xen:pvh");
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err;

	(void)state;
	fake->domains[2].info.flags = XEN_INFO_HVM | XEN_INFO_PAUSED;
	err = linux_kernel_attach(target, &(struct guest_attach_options){0}, &kernel);
	assert_non_null(err);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_NO_KERNEL);
	assert_non_null(strstr(nunchi_error_hint(err), "xl unpause"));
	nunchi_error_destroy(err);
	target_close(target);
}

static void test_states(void **state)
{
	static const struct {
		uint32_t flags;
		enum target_state state;
		const char *listed;
	} cases[] = {
	    {XEN_INFO_HVM | XEN_INFO_RUNNING, TARGET_RUNNING, "|running|"},
	    {XEN_INFO_HVM | XEN_INFO_PAUSED, TARGET_PAUSED, "|paused|"},
	    {XEN_INFO_HVM | XEN_INFO_SHUTDOWN | 3 << 16, TARGET_PAUSED, "|crashed|"},
	    {XEN_INFO_HVM | XEN_INFO_SHUTDOWN | 2 << 16, TARGET_PAUSED, "|suspended|"},
	    {XEN_INFO_HVM | XEN_INFO_SHUTDOWN, TARGET_PAUSED, "|shut down|"},
	    {XEN_INFO_HVM | XEN_INFO_DYING, TARGET_ENDED, "|dying|"},
	};
	struct target *target = open_word("xen:pvh");
	enum target_state what;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake->domains[2].info.flags = cases[i].flags;
		assert_null(target_get_state(target, &what));
		assert_int_equal(what, cases[i].state);
		assert_non_null(strstr(list().text, cases[i].listed));
	}
	refused("xen:5", NUNCHI_ERROR_GONE, "being destroyed");
	/* Another domain with its id. */
	fake->domains[2].info.flags = XEN_INFO_HVM;
	fake->domains[2].info.handle[3]++;
	assert_null(target_get_state(target, &what));
	assert_int_equal(what, TARGET_ENDED);
	fake->domains[2].there = false;
	assert_null(target_get_state(target, &what));
	assert_int_equal(what, TARGET_ENDED);
	target_close(target);
}

/* ---- Registers ------------------------------------------------------------------------------- */

static void test_registers(void **state)
{
	struct x86_registers registers;
	struct nunchi_error *err;
	struct target *target = open_word("xen:hvm");

	(void)state;
	store_le64(fake->cpu + XEN_HVM_CPU_CR0, 0x80050033);
	store_le64(fake->cpu + XEN_HVM_CPU_CR2, 0x7f12345);
	store_le64(fake->cpu + XEN_HVM_CPU_CR3, 0x2a10000);
	store_le64(fake->cpu + XEN_HVM_CPU_CR4, 0x6f0);
	store_le64(fake->cpu + XEN_HVM_CPU_EFER, 0xd01);
	store_le64(fake->cpu + XEN_HVM_CPU_LSTAR, 0xffffffff81a00000);
	store_le64(fake->cpu + XEN_HVM_CPU_IDTR_BASE, 0xfffffe0000000000);
	store_le64(fake->cpu + XEN_HVM_CPU_GS_BASE, 0xffff88800f000000);
	store_le64(fake->cpu + XEN_HVM_CPU_SHADOW_GS, 0x7f00);
	store_le64(fake->cpu + XEN_HVM_CPU_FS_BASE, 0x7e00);
	store_le64(fake->cpu + XEN_HVM_CPU_RIP, 0xffffffff81000123);
	store_le64(fake->cpu + XEN_HVM_CPU_RSP, 0xffffc90000003e00);
	assert_null(target_get_registers(target, 1, &registers));
	assert_int_equal(registers.cr0, 0x80050033);
	assert_int_equal(registers.cr2, 0x7f12345);
	assert_int_equal(registers.cr3, 0x2a10000);
	assert_int_equal(registers.cr4, 0x6f0);
	assert_int_equal(registers.efer, 0xd01);
	assert_int_equal(registers.lstar, 0xffffffff81a00000);
	assert_int_equal(registers.idt_base, 0xfffffe0000000000);
	assert_int_equal(registers.gs_base, 0xffff88800f000000);
	assert_int_equal(registers.kernel_gs_base, 0x7f00);
	assert_int_equal(registers.fs_base, 0x7e00);
	assert_int_equal(registers.rip, 0xffffffff81000123);
	assert_int_equal(registers.rsp, 0xffffc90000003e00);
	assert_true(registers.has_efer && registers.has_idt && registers.has_syscall);
	fake->cpu_error = ENODATA;
	err = target_get_registers(target, 1, &registers);
	assert_non_null(strstr(nunchi_error_message(err), "never started"));
	nunchi_error_destroy(err);
	/* As Xen 4.11 says the same. */
	fake->cpu_error = ENOENT;
	err = target_get_registers(target, 1, &registers);
	assert_non_null(strstr(nunchi_error_message(err), "never started"));
	nunchi_error_destroy(err);
	fake->cpu_error = EPERM;
	err = target_get_registers(target, 1, &registers);
	assert_true(error_is(err, NUNCHI_ERROR_PERMISSION));
	nunchi_error_destroy(err);
	fake->domains[3].there = false;
	err = target_get_registers(target, 1, &registers);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	nunchi_error_destroy(err);
	target_close(target);
}

static void test_pv_registers(void **state)
{
	struct x86_registers registers;
	struct x86_paging paging;
	struct target *target = open_word("xen:pv");
	uint8_t *segments = fake->cpu + XEN_PV_CPU_FS_BASE;

	(void)state;
	assert_int_equal(target->frames, TARGET_FRAMES_MACHINE);
	store_le64(fake->cpu + XEN_PV_CPU_CR + 3 * 8, 0x123456000);
	store_le64(fake->cpu + XEN_PV_CPU_SYSCALL, 0xffffffff81a00000);
	store_le64(segments, 1);
	store_le64(segments + 8, 2);
	store_le64(segments + 16, 3);
	store_le64(fake->cpu + XEN_PV_CPU_FLAGS, XEN_PV_IN_KERNEL);
	assert_null(target_get_registers(target, 0, &registers));
	paging =
	    x86_paging_from_registers(registers.cr0, registers.cr3, registers.cr4, registers.efer);
	assert_true(registers.cr0 >> 31);
	assert_int_equal(paging.mode, X86_MODE_4LEVEL);
	assert_int_equal(paging.root.v, 0x123456000);
	assert_int_equal(registers.lstar, 0xffffffff81a00000);
	assert_int_equal(registers.fs_base, 1);
	assert_int_equal(registers.gs_base, 2);
	assert_int_equal(registers.kernel_gs_base, 3);
	store_le64(fake->cpu + XEN_PV_CPU_FLAGS, 0);
	assert_null(target_get_registers(target, 0, &registers));
	assert_int_equal(registers.gs_base, 3);
	assert_int_equal(registers.kernel_gs_base, 2);
	/* 32 bits: a frame above 4 GiB has its high bits in the low ones of CR3. */
	fake->domains[1].address_size = 32;
	store_le32(fake->cpu + XEN_PV32_CPU_CR + 3 * 4, 0x23456001);
	store_le32(fake->cpu + XEN_PV32_CPU_EIP, 0xc1000000);
	assert_null(target_get_registers(target, 0, &registers));
	paging =
	    x86_paging_from_registers(registers.cr0, registers.cr3, registers.cr4, registers.efer);
	assert_int_equal(registers.cr3, 0x123456000);
	assert_int_equal(paging.mode, X86_MODE_PAE);
	assert_int_equal(registers.rip, 0xc1000000);
	target_close(target);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void has_ranges(const struct target *target, size_t count, const uint64_t (*expected)[2])
{
	size_t n;
	const struct memory_range *ranges = memory_ranges(target->memory, &n);

	assert_int_equal(n, count);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(ranges[i].start.v, expected[i][0]);
		assert_int_equal(ranges[i].start.v + ranges[i].size, expected[i][1]);
	}
}

static void test_ranges(void **state)
{
	static const uint64_t small[][2] = {{0, 0x400000}};
	static const uint64_t hole[][2] = {{0, 0x10000000}, {0xfee00000, 0xff000000}};
	static const uint64_t large[][2] = {
	    {0, 0xf0000000}, {0xfee00000, 0xff000000}, {0x100000000, 0x190000000}};
	struct target *target = open_word("xen:hvm");

	(void)state;
	has_ranges(target, 1, small);
	target_close(target);
	fake_value("/local/domain/9/memory/static-max", "262144");
	fake->domains[3].frames = 0xff000;
	target = open_word("xen:hvm");
	has_ranges(target, 2, hole);
	target_close(target);
	fake_value("/local/domain/9/memory/static-max", "6291456");
	fake->domains[3].frames = 0x190000;
	target = open_word("xen:hvm");
	has_ranges(target, 3, large);
	target_close(target);
	/* What is no number says nothing: then what the hypervisor lets it have counts. */
	fake_value("/local/domain/9/memory/static-max", "many");
	fake->domains[3].info.max_pages = 0x180000;
	target = open_word("xen:hvm");
	has_ranges(target, 3, large);
	target_close(target);
	fake->domains[3].there = false;
	refused("xen:9", NUNCHI_ERROR_NOT_FOUND, "no domain");
}

static uint64_t count_data(struct memory *memory)
{
	gpa_t start, end, at = gpa(0);
	uint64_t count = 0, value;

	while (memory_next_data(memory, at, &start, &end)) {
		for (at = start; at.v < end.v; at.v += PAGE_SIZE)
			count += memory_read(memory, at, &value, 8, NULL) == MEMORY_OK;
	}
	return count;
}

/* A guest that has a page mapped at the end of what can be addressed does not make us look at all.
 */
static void test_absurd_frame_count(void **state)
{
	static const uint64_t ranges[][2] = {
	    {0, 0x10000000}, {0xfee00000, 0xff000000}, {0x100000000, UINT64_C(0x7ffffffe000)}};
	struct target *target;

	(void)state;
	fake_value("/local/domain/9/memory/static-max", "262144");
	fake->domains[3].frames = 0x7ffffffe;
	target = open_word("xen:hvm");
	has_ranges(target, 3, ranges);
	fake->maps = 0;
	assert_int_equal(count_data(target->memory), FAKE_FRAMES);
	assert_true(fake->maps < 7000);
	target_close(target);
}

/*
 * The number of the last frame in use is whatever the guest makes it, and comes to us cut to 32
 * bits: small, negative, or as any error. None of that hides the RAM that the toolstack gave it.
 */
static void test_false_frame_count(void **state)
{
	static const uint64_t ends[] = {
	    0,
	    UINT64_C(0x100000001),
	    UINT64_C(0x80000001),
	    (uint64_t)UINT32_MAX - ESRCH + 2,
	    (uint64_t)UINT32_MAX + 1,
	};
	static const uint64_t ranges[][2] = {{0, 0xf0000000}, {0x100000000, 0x120000000}};
	struct target *target;
	uint64_t value;

	(void)state;
	fake_value("/local/domain/9/memory/static-max", "4456448");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		fake->domains[3].frames = ends[i];
		target = open_word("xen:hvm");
		has_ranges(target, 2, ranges);
		assert_int_equal(memory_read(target->memory, gpa(0x500000), &value, 8, NULL),
				 MEMORY_OK);
		target_close(target);
	}
	/* Nothing says anything. */
	fake->domains[2].info.tot_pages = fake->domains[2].info.max_pages = 0;
	fake->domains[2].frames = UINT64_C(0x80000001);
	refused("xen:pvh", NUNCHI_ERROR_DATA, "size of its memory");
}

/* RAM that comes while the guest is open, and goes. */
static void test_growth(void **state)
{
	static const uint64_t before[][2] = {{0, 0x400000}}, after[][2] = {{0, 0x800000}};
	struct target *target;
	uint64_t value;

	(void)state;
	target = open_word("xen:hvm");
	has_ranges(target, 1, before);
	assert_int_equal(memory_read(target->memory, gpa(0x500000), &value, 8, NULL),
			 MEMORY_NO_RAM);
	fake->domains[3].frames = 2048;
	fake->domains[3].info.max_pages = 2048;
	/* Not before it has more pages, and a query begins. */
	target_renew(target);
	has_ranges(target, 1, before);
	fake->domains[3].info.tot_pages = 2000;
	assert_int_equal(memory_read(target->memory, gpa(0x500000), &value, 8, NULL),
			 MEMORY_NO_RAM);
	target_renew(target);
	has_ranges(target, 1, after);
	assert_int_equal(target->ram_size, (uint64_t)2000 << PAGE_SHIFT);
	assert_int_equal(memory_read(target->memory, gpa(0x500000), &value, 8, NULL), MEMORY_OK);
	/* What cannot be asked for changes nothing. */
	fake->refuse = EPERM;
	fake->domains[3].info.tot_pages = 1000;
	target_renew(target);
	has_ranges(target, 1, after);
	fake->refuse = 0;
	target_close(target);
}

static void test_mapping_errors(void **state)
{
	static const struct {
		int error;
		enum memory_fault fault;
	} cases[] = {
	    {-EINVAL, MEMORY_NO_RAM},    {-EPERM, MEMORY_NO_RAM}, {-ENXIO, MEMORY_NO_RAM},
	    {-ENOENT, MEMORY_PAGED_OUT}, {-ENOMEM, MEMORY_IO},    {-ESRCH, MEMORY_GONE},
	};
	static const int calls[] = {EFAULT, ENOMEM, EINTR, EINVAL, EPERM, EMFILE};
	struct target *target;
	uint8_t *bytes = fake_memory();
	uint64_t value;

	(void)state;
	fake->domains[2].frames = 2048;
	target = open_word("xen:pvh");
	for (uint64_t i = 0; i < ARRAY_SIZE(cases); i++)
		fake->errors[10 + i] = cases[i].error;
	memory_renew(target->memory);
	store_le64(bytes + (9 << PAGE_SHIFT), 77);
	assert_int_equal(memory_read(target->memory, gpa(9 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	assert_int_equal(value, 77);
	for (uint64_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
		    memory_read(target->memory, gpa((10 + i) << PAGE_SHIFT), &value, 8, NULL),
		    cases[i].fault);
	/* All of a call fails: that says nothing of the pages. */
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		fake->map_error = calls[i];
		assert_int_equal(
		    memory_read(target->memory, gpa((500 + 64 * i) << PAGE_SHIFT), &value, 8, NULL),
		    MEMORY_IO);
	}
	fake->map_error = 0;
	memory_renew(target->memory);
	assert_int_equal(memory_read(target->memory, gpa(500 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	assert_int_equal(memory_read(target->memory, gpa(9 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	/* The domain goes: what is mapped stays readable, what is not says so. */
	fake->domains[2].there = false;
	assert_int_equal(memory_read(target->memory, gpa(9 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	assert_int_equal(memory_read(target->memory, gpa(1000 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_GONE);
	munmap(bytes, FAKE_FRAMES << PAGE_SHIFT);
	target_close(target);
}

/* The list of a PV guest's frames: page tables at frames 100 to 103, two pages of the list. */
static void put_list(uint8_t *bytes, uint64_t pages)
{
	uint64_t address = UINT64_C(0xffffc90000000000);
	uint64_t *shared = (uint64_t *)(bytes + (50 << PAGE_SHIFT) + XEN_SHARED_MAX_PFN);
	uint64_t *list = (uint64_t *)(bytes + (200 << PAGE_SHIFT));

	fake->domains[1].info.shared_info_frame = 50;
	shared[0] = pages;
	shared[3] = 100 << PAGE_SHIFT;
	shared[4] = address;
	for (unsigned level = 0; level < 4; level++) {
		uint64_t index = address >> (39 - 9 * level) & 511;

		store_le64(bytes + ((100 + level) << PAGE_SHIFT) + index * 8,
			   ((level < 3 ? 101 + level : 200) << PAGE_SHIFT) | 1);
	}
	store_le64(bytes + (103 << PAGE_SHIFT) + 8, (uint64_t)(201 << PAGE_SHIFT) | 1);
	for (uint64_t i = 0; i < 1024; i++)
		list[i] = UINT64_MAX;
	/* Out of order, with frames that are not its own, or none of this host. */
	for (uint64_t i = 0; i < 100; i++)
		list[i] = 1099 - i;
	for (uint64_t i = 600; i < 650; i++)
		list[i] = 300 + i - 600;
	list[200] = 2000 | XEN_P2M_FOREIGN;
	list[201] = 2001 | XEN_P2M_IDENTITY;
	list[202] = FAKE_FRAMES;
}

/* A security policy that lets us see a domain, but not its memory: not as if there were none. */
static void test_forbidden(void **state)
{
	uint8_t *bytes = fake_memory();

	(void)state;
	put_list(bytes, 1024);
	for (size_t i = 0; i < FAKE_FRAMES; i++)
		fake->errors[i] = i % 2 ? -EACCES : -EPERM;
	refused("xen:pvh", NUNCHI_ERROR_PERMISSION, "refuses to map the memory of domain 5");
	refused("xen:hvm", NUNCHI_ERROR_PERMISSION, "refuses to map the memory of domain 9");
	refused("xen:pv", NUNCHI_ERROR_PERMISSION, "refuses to map the memory of domain 3");
	memset(fake->errors, 0, sizeof(fake->errors));
	fake->map_error = EPERM;
	refused("xen:pvh", NUNCHI_ERROR_PERMISSION, "refuses to map the memory");
	fake->map_error = 0;
	/* One page is enough. */
	for (size_t i = 1; i < FAKE_FRAMES; i++)
		fake->errors[i] = -EPERM;
	target_close(open_word("xen:pvh"));
	munmap(bytes, FAKE_FRAMES << PAGE_SHIFT);
}

/* Pages that reading would change. */
static void test_paged_out_and_on_demand(void **state)
{
	struct target *target;

	(void)state;
	fake->domains[2].info.paged_pages = 3;
	refused("xen:pvh", NUNCHI_ERROR_UNSUPPORTED, "3 of its pages are on disk");
	assert_non_null(strstr(list().text, "no: 3 of its pages are on disk"));
	fake->domains[3].on_demand = 500;
	target = open_word("xen:hvm");
	assert_int_equal(target->note_count, 1);
	assert_non_null(strstr(target->notes[0], "500 pages"));
	target_close(target);
}

static void test_pv_frames(void **state)
{
	static const uint64_t expected[][2] = {{300 << PAGE_SHIFT, 350 << PAGE_SHIFT},
					       {1000 << PAGE_SHIFT, 1100 << PAGE_SHIFT}};
	static const uint64_t all[][2] = {{0, FAKE_FRAMES << PAGE_SHIFT}};
	uint8_t *bytes = fake_memory();
	struct target *target;
	uint64_t value;

	(void)state;
	put_list(bytes, 1024);
	target = open_word("xen:pv");
	has_ranges(target, 2, expected);
	assert_int_equal(target->note_count, 0);
	assert_int_equal(memory_read(target->memory, gpa(1050 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	target_close(target);
	/*
	 * A guest that says nonsense, or nothing, or more than it can have: all of the host, of
	 * which its own can be mapped.
	 */
	for (unsigned i = 0; i < 5; i++) {
		uint64_t *shared = (uint64_t *)(bytes + (50 << PAGE_SHIFT) + XEN_SHARED_MAX_PFN);

		put_list(bytes, 1024);
		fake->errors[100] = 0;
		if (i == 0)
			shared[0] = UINT64_MAX;
		else if (i == 4)
			/* A GiB of holes beyond what it may have is the most. */
			shared[0] = 1024 + (1 << 20) + 1;
		else if (i == 1)
			shared[3] = 0;
		else if (i == 2)
			shared[4] = 0x123;
		else
			fake->errors[100] = -EPERM;
		target = open_word("xen:pv");
		has_ranges(target, 1, all);
		assert_int_equal(target->note_count, 1);
		assert_int_equal(
		    memory_read(target->memory, gpa(1050 << PAGE_SHIFT), &value, 8, NULL),
		    MEMORY_OK);
		target_close(target);
	}
	munmap(bytes, FAKE_FRAMES << PAGE_SHIFT);
}

/* The list's length and what is in it are the guest's word. */
static void test_pv_lies(void **state)
{
	static const uint64_t all[][2] = {{0, FAKE_FRAMES << PAGE_SHIFT}};
	uint8_t *bytes = fake_memory();
	uint64_t *list = (uint64_t *)(bytes + (200 << PAGE_SHIFT));
	struct cancel cancel = {.requested = true};
	const struct target_options options = {.cancel = &cancel};
	struct target *target = NULL;
	struct nunchi_error *err;

	(void)state;
	put_list(bytes, 1024);
	err = xen_target_open_with(&fake_calls, "xen:pv", &options, &target);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_error_destroy(err);
	/* A page of the list, mapped again and again behind it, is not read for ever. */
	cancel_clear(&cancel);
	fake->domains[1].info.tot_pages = fake->domains[1].info.max_pages = 10;
	put_list(bytes, 10 + (1 << 20));
	for (uint64_t i = 0; i < 1024; i++)
		list[i] = 500 + i;
	for (uint64_t i = 0; i < 512; i++)
		list[512 + i] = 2000 + i;
	err = xen_target_open_with(&fake_calls, "xen:pv", &options, &target);
	assert_null(err);
	assert_int_equal(target->note_count, 0);
	target_close(target);
	/* More frames than it may have. */
	store_le64(bytes + (103 << PAGE_SHIFT) + 16, (uint64_t)(202 << PAGE_SHIFT) | 1);
	for (uint64_t i = 0; i < 512; i++)
		store_le64(bytes + (202 << PAGE_SHIFT) + i * 8, 3000 + i);
	target = open_word("xen:pv");
	has_ranges(target, 1, all);
	assert_int_equal(target->note_count, 1);
	target_close(target);
	munmap(bytes, FAKE_FRAMES << PAGE_SHIFT);
}

/*
 * A guest that leaves frames out of its list hides them from nobody who finds them in its page
 * tables; nor does one that exchanged a frame for another, and has as many as before.
 */
static void test_pv_omissions(void **state)
{
	static const uint64_t expected[][2] = {{1000 << PAGE_SHIFT, 1001 << PAGE_SHIFT}};
	uint8_t *bytes = fake_memory();
	uint64_t *list = (uint64_t *)(bytes + (200 << PAGE_SHIFT)), value;
	struct target *target;

	(void)state;
	put_list(bytes, 1024);
	for (uint64_t i = 0; i < 1024; i++)
		list[i] = i ? UINT64_MAX : 1000;
	store_le64(bytes + (2000 << PAGE_SHIFT), 42);
	fake->errors[2001] = -EPERM;
	target = open_word("xen:pv");
	has_ranges(target, 1, expected);
	assert_null(memory_count_pages(target->memory));
	assert_int_equal(memory_read(target->memory, gpa(2000 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	assert_int_equal(value, 42);
	assert_int_equal(memory_read(target->memory, gpa(2001 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_NO_RAM);
	assert_int_equal(
	    memory_read(target->memory, gpa(FAKE_FRAMES << PAGE_SHIFT), &value, 8, NULL),
	    MEMORY_NO_RAM);
	/* In a capture as well. */
	assert_null(memory_capture_begin(target->memory));
	assert_int_equal(memory_read(target->memory, gpa(2000 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	assert_null(memory_capture_prepare(target->memory));
	assert_null(memory_capture_fill(target->memory));
	value = 0;
	assert_int_equal(memory_read(target->memory, gpa(2000 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	assert_int_equal(value, 42);
	memory_capture_end(target->memory);
	/* It is no part of what is looked through, or written to a snapshot. */
	assert_int_equal(count_data(target->memory), 1);
	assert_int_equal(memory_stats(target->memory).pages_touched, 1);
	target_renew(target);
	assert_int_equal(memory_read(target->memory, gpa(2000 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	target_close(target);
	munmap(bytes, FAKE_FRAMES << PAGE_SHIFT);
}

/* Frames from all over: there are never more ranges than a snapshot has room for. */
static void test_pv_scattered(void **state)
{
	uint8_t *bytes = fake_memory();
	struct target *target;
	uint64_t frame = 0;
	size_t count;

	(void)state;
	put_list(bytes, 100000);
	fake->machine_frames = 400000;
	fake->domains[1].info.tot_pages = fake->domains[1].info.max_pages = 100000;
	for (uint64_t page = 0; page < 196; page++) {
		store_le64(bytes + (103 << PAGE_SHIFT) + page * 8, (300 + page) << PAGE_SHIFT | 1);
		/* Every third frame. */
		for (uint64_t i = 0; i < 512; i++, frame += 3)
			store_le64(bytes + ((300 + page) << PAGE_SHIFT) + i * 8, frame);
	}
	target = open_word("xen:pv");
	memory_ranges(target->memory, &count);
	assert_in_range(count, 1, 32768);
	assert_int_equal(target->note_count, 0);
	assert_true(memory_end(target->memory).v > (uint64_t)299990 << PAGE_SHIFT);
	target_close(target);
	munmap(bytes, FAKE_FRAMES << PAGE_SHIFT);
}

/* Ballooned up: new frames, which the list has. */
static void test_pv_growth(void **state)
{
	static const uint64_t expected[][2] = {{300 << PAGE_SHIFT, 350 << PAGE_SHIFT},
					       {1000 << PAGE_SHIFT, 1100 << PAGE_SHIFT},
					       {3000 << PAGE_SHIFT, 3001 << PAGE_SHIFT}};
	uint8_t *bytes = fake_memory();
	uint64_t *list = (uint64_t *)(bytes + (200 << PAGE_SHIFT)), value;
	struct target *target;

	(void)state;
	put_list(bytes, 1024);
	target = open_word("xen:pv");
	has_ranges(target, 2, expected);
	list[300] = 3000;
	store_le64(bytes + (3000 << PAGE_SHIFT), 42);
	fake->domains[1].info.tot_pages++;
	fake->domains[1].info.max_pages++;
	target_renew(target);
	has_ranges(target, 3, expected);
	assert_int_equal(memory_read(target->memory, gpa(3000 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_OK);
	assert_int_equal(value, 42);
	target_close(target);
	munmap(bytes, FAKE_FRAMES << PAGE_SHIFT);
}

/* Of a process that ends the kernel unmaps, faster than we could. */
static void test_left_mapped(void **state)
{
	uint8_t *bytes = fake_memory();
	struct target *target = open_word("xen:pvh");
	uint64_t value;

	(void)state;
	assert_int_equal(memory_read(target->memory, gpa(0), &value, 8, NULL), MEMORY_OK);
	assert_true(fake->mapped > 0);
	target->leave_mapped = true;
	target_close(target);
	assert_true(fake->mapped > 0);
	fake->mapped = 0;
	target = open_word("xen:pvh");
	assert_int_equal(memory_read(target->memory, gpa(0), &value, 8, NULL), MEMORY_OK);
	target_close(target);
	assert_int_equal(fake->mapped, 0);
	munmap(bytes, FAKE_FRAMES << PAGE_SHIFT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(every_version),
	    TEST(unknown_interface),
	    TEST(refusals),
	    TEST(no_store),
	    TEST(again),
	    TEST(short_and_wrong_lists),
	    TEST(words),
	    TEST(paused_without_kernel),
	    TEST(states),
	    TEST(registers),
	    TEST(pv_registers),
	    TEST(ranges),
	    TEST(absurd_frame_count),
	    TEST(false_frame_count),
	    TEST(growth),
	    TEST(mapping_errors),
	    TEST(forbidden),
	    TEST(paged_out_and_on_demand),
	    TEST(pv_frames),
	    TEST(pv_lies),
	    TEST(pv_omissions),
	    TEST(pv_scattered),
	    TEST(pv_growth),
	    TEST(left_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
