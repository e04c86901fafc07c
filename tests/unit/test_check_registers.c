/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The check of the vCPUs' registers, on a kernel image that page tables of the test map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check/check.h"
#include "guest/linux/module_index.h"
#include "target/target.h"

#include "toy_kernel.h"

extern const struct check check_registers;

#define L (&toy->kernel.layout)

/* The image: three large pages of text, constants and data. */
#define TEXT   0xffffffff81000000ull
#define PLACE  0x200000ull
#define LARGE  0x200000ull
#define NX     (1ull << 63)
#define ENTRY  (TEXT + 0x1000) /* of system calls */
#define COMPAT (TEXT + 0x2000) /* of those of 32-bit programs */
#define IDT    (TEXT + 2 * LARGE + 0x3000)
/* The same byte by the linear map. */
#define IDT_ALIAS (TOY_BASE + PLACE + 2 * LARGE + 0x3000)
#define FEATURES  (TOY_BASE + 0x100000)
#define PINNED    (TOY_BASE + 0x101000)

struct world {
	struct toy toy;
	struct target target;
	struct x86_registers vcpus[2];
};

static struct nunchi_error *get_registers(struct target *target, unsigned vcpu,
					  struct x86_registers *ret)
{
	struct world *world = (struct world *)((char *)target - offsetof(struct world, target));

	*ret = world->vcpus[vcpu];
	return NULL;
}

static const struct x86_registers good = {
    .has_idt = true,
    .has_syscall = true,
    .has_star = true,
    .has_cstar = true,
    .has_sysenter = true,
    .has_debug = true,
    .has_efer = true,
    .cr0 = 0x80050033,
    .cr3 = TOY_PGD,
    .cr4 = 0x3006f0 | 1 << 11,
    .efer = 0xd01,
    .idt_base = IDT_ALIAS,
    .lstar = ENTRY,
    .star = 0x0023001000000000,
    .cstar = COMPAT,
    .sysenter_eip = COMPAT,
};

static void map_image(struct toy *toy)
{
	uint64_t directory = toy_alloc_page(toy) - TOY_BASE, table = toy_alloc_page(toy) - TOY_BASE;
	static const uint64_t flags[] = {0xa1, 0xa1 | NX, 0xe3 | NX};

	toy_put_physical(toy, TOY_PGD + 511 * 8, directory | 0x63, 8);
	toy_put_physical(toy, directory + 510 * 8, table | 0x63, 8);
	for (unsigned i = 0; i < 3; i++)
		toy_put_physical(toy, table + (8 + i) * 8, (PLACE + i * LARGE) | flags[i], 8);
}

/* `more` is a function that the image lacks otherwise, or NULL. */
static void add_symbols(struct linux_kernel *kernel, const char *more)
{
	struct nunchi_error *err = symbol_index_create(&kernel->symbols);

	if (!err)
		err = symbol_index_add(kernel->symbols, "entry_SYSCALL_64", 16, ENTRY, 'T');
	if (!err)
		err = symbol_index_add(kernel->symbols, "entry_SYSENTER_compat", 21, COMPAT, 'T');
	if (!err && more)
		err = symbol_index_add(kernel->symbols, more, strlen(more), TEXT + 0x3000, 't');
	if (!err)
		err = symbol_index_seal(kernel->symbols);
	assert_null(err);
}

static int setup(void **state)
{
	static const struct target_ops ops = {.kind = "toy", .get_registers = get_registers};
	struct world *world = calloc(1, sizeof(*world));
	struct toy *toy = &world->toy;

	toy_init(toy);
	toy->kernel.types = (struct type_index *)toy;
	memset(L->known, true, sizeof(L->known));
	map_image(toy);
	world->target = (struct target){.ops = &ops, .memory = toy->memory, .vcpu_count = 2};
	world->target.name = (char *)"toy";
	for (unsigned i = 0; i < TARGET_CAPABILITY_COUNT; i++)
		world->target.support[i] = (struct target_support){true, "by the test"};
	toy->kernel.guest.target = &world->target;
	toy->kernel.text_virtual = TEXT;
	toy->kernel.text_physical = PLACE;
	toy->kernel.image_end = TEXT + 3 * LARGE;
	toy->kernel.symbol[LINUX_text] = toy->kernel.symbol[LINUX_stext] = TEXT;
	toy->kernel.symbol[LINUX_etext] = TEXT + LARGE;
	toy->kernel.symbol[LINUX_idt_table] = IDT;
	toy->kernel.symbol[LINUX_entry_syscall] = ENTRY;
	toy->kernel.symbol[LINUX_boot_cpu_data] = FEATURES;
	toy_array(toy, LAYOUT_cpuinfo_x86, &L->cpuinfo_x86_capability, 16, 4, 20);
	toy->kernel.symbol[LINUX_cr4_pinned_bits] = PINNED;
	toy_put(toy, PINNED, 1 << 20 | 1 << 21 | 1 << 11, 8);
	add_symbols(&toy->kernel, NULL);
	world->vcpus[0] = world->vcpus[1] = good;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	symbol_index_unref(world->toy.kernel.symbols);
	linux_module_index_destroy(world->toy.kernel.modules);
	toy_deinit(&world->toy);
	free(world);
	return 0;
}

/* Runs the check, which must have one row of this severity that has these words. */
static void expect(struct world *world, enum check_severity severity, const char *subject,
		   const char *words)
{
	struct check_report report;
	const struct check_finding *finding;

	assert_null(check_run(&check_registers, &world->toy.kernel.guest, &report));
	assert_int_equal(report.count, severity == CHECK_NOTE ? 2 : 1);
	finding = &report.findings[0];
	assert_int_equal(finding->severity, severity);
	if (subject)
		assert_string_equal(finding->subject, subject);
	else
		assert_null(finding->subject);
	if (!strstr(finding->found ? finding->found : finding->meaning, words))
		fail_msg("%s, %s: no %s", finding->found, finding->meaning, words);
	check_report_deinit(&report);
}

static void test_good(void **state)
{
	struct world *world = *state;

	expect(world, CHECK_OK, NULL, "registers of 2 vCPUs");
	/* No system calls of 32-bit programs; one that was never started. */
	world->vcpus[0].cstar = world->vcpus[0].sysenter_eip = 0;
	world->vcpus[1] = (struct x86_registers){.cr0 = 0x60000010};
	expect(world, CHECK_OK, NULL, "registers of 1 vCPUs");
	/* AMD's processors have 32 bits of it, which is what KVM tells. */
	world->vcpus[0].sysenter_eip = (uint32_t)COMPAT;
	expect(world, CHECK_OK, NULL, "registers of 1 vCPUs");
	/* A processor without these features. */
	world->vcpus[1] = good;
	world->vcpus[1].cr4 = 0x6f0;
	toy_put(&world->toy, PINNED, 0, 8);
	expect(world, CHECK_OK, NULL, "registers of 2 vCPUs");
	/* An older kernel, on a processor with SMAP, and with SMEP. */
	world->toy.kernel.symbol[LINUX_cr4_pinned_bits] = 0;
	toy_put(&world->toy, FEATURES + 16 + 9 * 4, 1 << 20, 4);
	expect(world, CHECK_OK, NULL, "registers of 2 vCPUs");
	toy_put(&world->toy, FEATURES + 16 + 9 * 4, 1 << 7, 4);
	expect(world, CHECK_ALARM, "vCPU 1, CR4.SMEP", "0");
	toy_put(&world->toy, FEATURES + 16 + 9 * 4, 0, 4);
	/* FRED: no interrupt table, no LSTAR. */
	world->vcpus[1].cr4 |= 1ull << 32;
	world->vcpus[1].idt_base = world->vcpus[1].lstar = 0;
	expect(world, CHECK_OK, NULL, "registers of 2 vCPUs");
}

static void test_hooks(void **state)
{
	struct world *world = *state;
	struct x86_registers *vcpu = &world->vcpus[1];

	vcpu->lstar = TOY_BASE + 0x5000;
	expect(world, CHECK_ALARM, "vCPU 1, LSTAR", "0xffff888000005000, where no known code is");
	vcpu->lstar = ENTRY + 4;
	expect(world, CHECK_ALARM, "vCPU 1, LSTAR", "entry_SYSCALL_64+0x4");
	*vcpu = good;
	vcpu->idt_base = IDT_ALIAS + 0x1000;
	expect(world, CHECK_ALARM, "vCPU 1, IDT", "0xffff888000604000");
	*vcpu = good;
	vcpu->cstar = TOY_BASE;
	expect(world, CHECK_ALARM, "vCPU 1, CSTAR", "where no known code is");
	*vcpu = good;
	vcpu->sysenter_eip = COMPAT + 8;
	expect(world, CHECK_ALARM, "vCPU 1, SYSENTER_EIP", "entry_SYSENTER_compat+0x8");
	*vcpu = good;
	vcpu->star = 0x0023001800000000;
	expect(world, CHECK_ALARM, "vCPU 1, STAR", "0x23001800000000");
}

/* KVM has run a guest, and the CPU has not returned to a program since. */
static void test_kvm(void **state)
{
	struct world *world = *state;
	struct x86_registers *vcpu = &world->vcpus[1];

	symbol_index_unref(world->toy.kernel.symbols);
	add_symbols(&world->toy.kernel, "vmx_vcpu_run");
	expect(world, CHECK_OK, NULL, "registers of 2 vCPUs");
	vcpu->lstar = TEXT + 16 * LARGE;
	expect(world, CHECK_NOTE, "vCPU 1, LSTAR", "0xffffffff83000000");
	vcpu->lstar = ENTRY + 4;
	expect(world, CHECK_UNKNOWN, NULL, "LSTAR of vCPU 1, 0xffffffff81001004, may be that");
	*vcpu = good;
	vcpu->star = 0x0023001800000000;
	expect(world, CHECK_NOTE, "vCPU 1, STAR", "0x23001800000000");
	*vcpu = good;
	vcpu->cstar = TEXT + 16 * LARGE;
	expect(world, CHECK_NOTE, "vCPU 1, CSTAR", "0xffffffff83000000");
	/* VMX itself puts this one back. */
	*vcpu = good;
	vcpu->sysenter_eip = COMPAT + 8;
	expect(world, CHECK_ALARM, "vCPU 1, SYSENTER_EIP", "entry_SYSENTER_compat+0x8");
}

static void test_protections(void **state)
{
	struct world *world = *state;
	struct x86_registers *vcpu = &world->vcpus[0];

	vcpu->cr0 &= ~(1ull << 16);
	expect(world, CHECK_ALARM, "vCPU 0, CR0.WP", "0");
	*vcpu = good;
	vcpu->cr4 &= ~(1ull << 20);
	expect(world, CHECK_ALARM, "vCPU 0, CR4.SMEP", "0");
	*vcpu = good;
	vcpu->cr4 &= ~(1ull << 21);
	expect(world, CHECK_ALARM, "vCPU 0, CR4.SMAP", "0");
	/* It has just been started. */
	vcpu->idt_base = 0;
	expect(world, CHECK_OK, NULL, "registers of 1 vCPUs");
	*vcpu = good;
	vcpu->dr[2] = ENTRY;
	vcpu->dr[7] = 1 << 4;
	expect(world, CHECK_NOTE, "vCPU 0, DR2", "entry_SYSCALL_64");
	vcpu->dr[2] = 0x400000; /* of a program */
	expect(world, CHECK_OK, NULL, "registers of 2 vCPUs");
}

static void test_unknown(void **state)
{
	struct world *world = *state;

	world->vcpus[1].has_syscall = false;
	expect(world, CHECK_UNKNOWN, NULL,
	       "LSTAR, where system calls enter, is not known: neither the hypervisor nor the file "
	       "gives it");
	world->vcpus[1] = good;
	world->vcpus[1].has_idt = false;
	expect(world, CHECK_UNKNOWN, NULL,
	       "the base of the interrupt table is not known: neither the hypervisor nor the file "
	       "gives it");
	world->vcpus[1] = good;
	world->vcpus[1].in_smm = true;
	expect(world, CHECK_UNKNOWN, NULL, "vCPU 1 executes something else than the kernel");
	world->vcpus[1] = good;
	world->toy.kernel.symbol[LINUX_entry_syscall] = 0;
	expect(world, CHECK_UNKNOWN, NULL, "entry_SYSCALL_64");
	world->toy.kernel.symbol[LINUX_xen_domain_type] = FEATURES + 0x800;
	toy_put(&world->toy, FEATURES + 0x800, 1, 4);
	expect(world, CHECK_UNKNOWN, NULL, "of a PV guest");
	world->target.support[TARGET_REGISTERS] = (struct target_support){false, "a raw file"};
	expect(world, CHECK_UNKNOWN, NULL, "the registers of the vCPUs are not known: a raw file");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(good), TEST(hooks), TEST(kvm), TEST(protections), TEST(unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
