/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registers of the vCPUs that run the kernel: where system calls and interrupts enter it, and
 * whether its protections are on. Sources: syscall_init() and cr4_init() of
 * arch/x86/kernel/cpu/common.c, arch/x86/kernel/idt.c, Intel SDM volume 3, 2.5 and 17.2.
 */
#include "check/check.h"
#include "guest/linux/code.h"
#include "guest/linux/lookup.h"
#include "guest/linux/vcpus.h"
#include "target/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CR0_WP   ((uint64_t)1 << 16)
#define CR4_FRED ((uint64_t)1 << 32)

/* The high half of STAR: __USER32_CS and __KERNEL_CS of arch/x86/include/asm/segment.h. */
#define STAR_SELECTORS 0x00230010

/* Bits of CR4 that the kernel never takes back once it has set them. */
static const struct {
	const char *name;
	uint64_t bit;
} protections[] = {
    {"CR4.SMEP", (uint64_t)1 << 20},
    {"CR4.SMAP", (uint64_t)1 << 21},
    {"CR4.UMIP", (uint64_t)1 << 11},
};

/* X86_FEATURE_SMEP of asm/cpufeatures.h: a word of x86_capability, and its bit. */
#define SMEP_WORD 9
#define SMEP_BIT  7

struct look {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct linux_code code;
	struct linux_image image;
	uint64_t wanted;           /* bits that CR4 must have */
	bool has_vmx;              /* KVM for Intel's processors, loaded or built in */
	unsigned compared, others; /* vCPUs in the kernel, and elsewhere */
};

static void add(struct look *look, const struct linux_vcpu *vcpu, enum check_severity severity,
		const char *name, const char *expected, const char *found, const char *meaning)
{
	char subject[64];

	snprintf(subject, sizeof(subject), "vCPU %u, %s", vcpu->number, name);
	check_add(look->report, &(struct check_finding){.severity = severity,
							.pid = -1,
							.subject = subject,
							.expected = expected,
							.found = found,
							.meaning = meaning});
}

static void add_address(struct look *look, const struct linux_vcpu *vcpu, const char *name,
			uint64_t address, const char *expected, const char *meaning)
{
	_cleanup_buffer_ struct buffer found = {0};

	linux_code_describe(look->kernel, &look->code, address, &found);
	add(look, vcpu, CHECK_ALARM, name, expected, check_text(look->report, &found), meaning);
}

/* Whether two virtual addresses, of which a symbol's may be 0, are the same byte of the memory. */
static enum read_result is_same(struct look *look, uint64_t address, uint64_t symbol, bool *ret)
{
	gpa_t one, other;
	enum memory_fault fault;

	*ret = symbol && address == symbol;
	if (!symbol || *ret)
		return READ_OK;
	fault = address_space_translate(look->kernel->guest.space, gva(address), &one);
	/* An address that leads nowhere is not that of the symbol. */
	if (fault == MEMORY_NOT_MAPPED)
		return READ_OK;
	if (fault == MEMORY_OK)
		fault = address_space_translate(look->kernel->guest.space, gva(symbol), &other);
	*ret = fault == MEMORY_OK && one.v == other.v;
	return read_result_of(fault);
}

/* ---- Interrupts ------------------------------------------------------------------------------ */

/*
 * Whether a CPU has just been started, so that not all of its registers are set. It then has no
 * interrupt table, or that of the start.
 */
static bool is_starting(struct look *look, const struct x86_registers *registers)
{
	bool same = false;

	if (!registers->has_idt || registers->cr4 & CR4_FRED)
		return false;
	if (registers->idt_base)
		(void)is_same(look, registers->idt_base,
			      look->kernel->symbol[LINUX_bringup_idt_table], &same);
	return !registers->idt_base || same;
}

static void look_at_idt(struct look *look, const struct linux_vcpu *vcpu)
{
	static const enum linux_symbol tables[] = {LINUX_idt_table, LINUX_debug_idt_table,
						   LINUX_trace_idt_table};
	uint64_t base = vcpu->registers.idt_base;
	bool same = false;
	char found[32];

	/* A kernel with FRED has no interrupt table. */
	if (vcpu->registers.cr4 & CR4_FRED)
		return;
	if (!vcpu->registers.has_idt) {
		check_unknown(look->report, "the base of the interrupt table is not known: neither "
					    "the hypervisor nor the file gives it");
		return;
	}
	if (!look->kernel->symbol[LINUX_idt_table]) {
		check_unread(look->report, READ_NO_SYMBOL, "idt_table");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tables) && !same; i++) {
		enum read_result result =
		    is_same(look, base, look->kernel->symbol[tables[i]], &same);

		check_unread(look->report, result, "where the interrupt table of vCPU %u lies",
			     vcpu->number);
		if (result != READ_OK)
			return;
	}
	snprintf(found, sizeof(found), "0x%" PRIx64, base);
	if (!same)
		add(look, vcpu, CHECK_ALARM, "IDT", "idt_table", found,
		    "The vCPU has another interrupt table than the kernel's: interrupts and "
		    "exceptions are hooked.");
}

/* ---- System calls ---------------------------------------------------------------------------- */

/*
 * Whether KVM may have left the value of a guest of its own in one of these registers, which is
 * then no alarm: on Intel's processors it puts the kernel's value back only when the CPU returns to
 * a program (kvm_on_user_return() of arch/x86/kvm/x86.c), and an idle CPU does not. What leads to
 * code of this kernel may be a hook all the same.
 */
static bool is_left_by_kvm(struct look *look, const struct linux_vcpu *vcpu, const char *name,
			   const char *expected, uint64_t value)
{
	struct x86_walk walk;
	char found[32];

	if (!look->has_vmx)
		return false;
	snprintf(found, sizeof(found), "0x%" PRIx64, value);
	if (address_space_walk(look->kernel->guest.space, gva(value), &walk) == X86_FAULT_NONE &&
	    walk.executable && !walk.user)
		check_unknown(look->report,
			      "%s of vCPU %u, %s, may be that of a guest that KVM has run", name,
			      vcpu->number, found);
	else
		add(look, vcpu, CHECK_NOTE, name, expected, found,
		    "It is not the kernel's value and leads to no code here: KVM leaves the value "
		    "of its last guest in this register until the CPU returns to a program.");
	return true;
}

static void look_at_lstar(struct look *look, const struct linux_vcpu *vcpu)
{
	static const enum linux_symbol entries[] = {LINUX_entry_syscall, LINUX_entry_trampoline};
	uint64_t lstar = vcpu->registers.lstar;
	bool same = false;

	if (!look->kernel->symbol[LINUX_entry_syscall]) {
		check_unread(look->report, READ_NO_SYMBOL, "entry_SYSCALL_64");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(entries) && !same; i++) {
		enum read_result result =
		    is_same(look, lstar, look->kernel->symbol[entries[i]], &same);

		check_unread(look->report, result, "where LSTAR of vCPU %u leads", vcpu->number);
		if (result != READ_OK)
			return;
	}
	if (!same && !is_left_by_kvm(look, vcpu, "LSTAR", "entry_SYSCALL_64", lstar))
		add_address(look, vcpu, "LSTAR", lstar, "entry_SYSCALL_64",
			    "System calls of the vCPU enter the kernel at another place than its "
			    "own: all of them are hooked.");
}

/*
 * CSTAR and SYSENTER_EIP: the names of their entries changed often, so any place in the kernel's
 * code will do at which a function begins. 0: no such system calls. Of SYSENTER_EIP, AMD's
 * processors have 32 bits alone, and KVM tells no more there (svm_get_msr() of
 * arch/x86/kvm/svm/svm.c); SYSENTER does not exist in their 64-bit mode.
 */
static void look_at_entry(struct look *look, const struct linux_vcpu *vcpu, const char *name,
			  uint64_t address, bool kvm_changes_it)
{
	const struct linux_code_area *area = linux_code_at(&look->code, address);
	_cleanup_error_ struct nunchi_error *err = NULL;
	struct guest_symbol symbol;
	bool begins = false;

	if (!address)
		return;
	if (area && area->owner == LINUX_CODE_KERNEL) {
		err = linux_symbol_at(look->kernel, address, &symbol);
		begins = err || symbol.symbol.address == address;
	}
	if (!begins && !(kvm_changes_it &&
			 is_left_by_kvm(look, vcpu, name, "an entry of the kernel", address)))
		add_address(
		    look, vcpu, name, address, "an entry of the kernel",
		    "System calls of 32-bit programs enter the kernel at another place than "
		    "its own: all of them are hooked.");
}

static void look_at_calls(struct look *look, const struct linux_vcpu *vcpu)
{
	const struct x86_registers *registers = &vcpu->registers;
	uint64_t sysenter = registers->sysenter_eip;
	char found[32];

	if (look->kernel->word_size == 8 && sysenter <= UINT32_MAX)
		sysenter = (uint64_t)(int64_t)(int32_t)(uint32_t)sysenter;
	if (registers->has_sysenter)
		look_at_entry(look, vcpu, "SYSENTER_EIP", sysenter, false);
	/* 32-bit kernels set no SYSCALL; with FRED, system calls enter as interrupts do. */
	if (look->kernel->word_size != 8 || registers->cr4 & CR4_FRED)
		return;
	if (!registers->has_syscall) {
		check_unknown(look->report, "LSTAR, where system calls enter, is not known: "
					    "neither the hypervisor nor the file gives it");
		return;
	}
	look_at_lstar(look, vcpu);
	if (registers->has_cstar)
		look_at_entry(look, vcpu, "CSTAR", registers->cstar, true);
	snprintf(found, sizeof(found), "0x%" PRIx64, registers->star);
	if (registers->has_star && registers->star >> 32 != STAR_SELECTORS &&
	    !is_left_by_kvm(look, vcpu, "STAR", "0x23001000000000", registers->star))
		add(look, vcpu, CHECK_ALARM, "STAR", "0x23001000000000", found,
		    "System calls load other segments than the kernel's.");
}

/* ---- Protections ----------------------------------------------------------------------------- */

static void look_at_protections(struct look *look, const struct linux_vcpu *vcpu)
{
	if (!(vcpu->registers.cr0 & CR0_WP))
		add(look, vcpu, CHECK_ALARM, "CR0.WP", "1", "0",
		    "The kernel can write to its own read-only memory: something is changing, or "
		    "has changed, its code or tables.");
	for (size_t i = 0; i < ARRAY_SIZE(protections); i++)
		if (look->wanted & ~vcpu->registers.cr4 & protections[i].bit)
			add(look, vcpu, CHECK_ALARM, protections[i].name, "1", "0",
			    "The kernel has switched this protection on, but it is off: an exploit "
			    "may have switched it off.");
}

/* Breakpoints of the processor at addresses of the kernel: a debugger's, perf's, or a hook. */
static void look_at_debug(struct look *look, const struct linux_vcpu *vcpu)
{
	const struct x86_registers *registers = &vcpu->registers;
	uint64_t top = (uint64_t)1 << (look->kernel->word_size * 8 - 1);

	for (unsigned i = 0; registers->has_debug && i < 4; i++) {
		_cleanup_buffer_ struct buffer found = {0};
		char name[8];

		if (!(registers->dr[7] >> 2 * i & 3) || registers->dr[i] < top)
			continue;
		snprintf(name, sizeof(name), "DR%u", i);
		linux_code_describe(look->kernel, &look->code, registers->dr[i], &found);
		add(look, vcpu, CHECK_NOTE, name, "no breakpoint", check_text(look->report, &found),
		    "The vCPU has a breakpoint or watchpoint in the kernel, as debuggers, perf and "
		    "some rootkits set them.");
	}
}

static void visit(const struct linux_vcpu *vcpu, void *data)
{
	struct look *look = data;

	/* Not started yet, or waits for that. */
	if (!vcpu->is_paged && !vcpu->is_unclear)
		return;
	if (vcpu->registers.in_smm || !linux_vcpu_leads_to(vcpu, &look->image)) {
		look->others++;
		check_unknown(look->report, "vCPU %u executes something else than the kernel",
			      vcpu->number);
		return;
	}
	if (is_starting(look, &vcpu->registers))
		return;
	look->compared++;
	look_at_idt(look, vcpu);
	look_at_calls(look, vcpu);
	look_at_protections(look, vcpu);
	look_at_debug(look, vcpu);
}

/*
 * Since 5.3 the kernel remembers which of these bits it has set, when all are set. Before, SMEP
 * alone is certain: a kernel may be built without the others although the processor has them.
 */
static void read_wanted(struct look *look)
{
	struct linux_kernel *kernel = look->kernel;
	const struct field *field =
	    &linux_layout(kernel, LAYOUT_GROUP_system)->cpuinfo_x86_capability;
	uint64_t pinned = kernel->symbol[LINUX_cr4_pinned_bits];
	uint64_t features = kernel->symbol[LINUX_boot_cpu_data];
	enum read_result result = READ_NO_SYMBOL;
	uint32_t word = 0;

	if (pinned) {
		result = linux_read_word(kernel, pinned, &look->wanted);
	} else if (features && field->size < (SMEP_WORD + 1) * sizeof(word)) {
		result = READ_NO_LAYOUT;
	} else if (features) {
		result = linux_read_u32(kernel, features + field->offset + SMEP_WORD * sizeof(word),
					&word);
		look->wanted = word >> SMEP_BIT & 1 ? protections[0].bit : 0;
	}
	check_unread(look->report, result, "which protections the kernel has switched on");
}

static bool has_vmx(struct look *look)
{
	struct symbol_index *symbols;
	_cleanup_error_ struct nunchi_error *err = linux_symbols(look->kernel, &symbols);
	size_t at;

	look->report->no_memory |= error_is(err, NUNCHI_ERROR_NOMEM);
	for (size_t i = 0; i < look->code.count; i++)
		if (!strcmp(look->code.areas[i].name, "kvm_intel") &&
		    look->code.areas[i].owner == LINUX_CODE_MODULE)
			return true;
	return !err && symbol_index_find(symbols, "vmx_vcpu_run", &at);
}

/*
 * Fails if the vCPUs' registers are not known, or are not the kernel's own: those of a PV guest of
 * Xen are the hypervisor's.
 */
static struct nunchi_error *have_registers(struct linux_kernel *kernel)
{
	enum { XEN_PV_DOMAIN = 1 };
	struct target *target = kernel->guest.target;
	uint64_t address = kernel->symbol[LINUX_xen_domain_type];
	uint32_t type = 0;

	if (!target || !linux_vcpu_count(target))
		return error_create(
		    NUNCHI_ERROR_UNSUPPORTED, "the registers of the vCPUs are not known: %s",
		    target ? target->support[TARGET_REGISTERS].reason : "the guest has none");
	if (kernel->scattered ||
	    (address && linux_read_u32(kernel, address, &type) == READ_OK && type == XEN_PV_DOMAIN))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "of a PV guest the hypervisor has these registers");
	if (kernel->guest.remains)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "no vCPU runs this kernel");
	return NULL;
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct look look = {.kernel = kernel,
			    .report = report,
			    .image = {.virtual_start = kernel->text_virtual,
				      .physical_start = kernel->text_physical}};
	struct nunchi_error *err = have_registers(kernel);

	if (!err)
		err = linux_code_collect(kernel, &look.code);
	if (err)
		return err;
	look.has_vmx = has_vmx(&look);
	read_wanted(&look);
	if (!linux_vcpus_each(guest->target, visit, &look))
		report->no_memory = true;
	if (!look.compared && !look.others)
		check_unknown(report, "no vCPU has registers");
	check_summary(report, "registers of %u vCPUs", look.compared);
	linux_code_deinit(&look.code);
	return NULL;
}

const struct check check_registers = {
    "registers", "registers of the vCPUs: where system calls and interrupts enter, and protections",
    &guest_linux, run};
