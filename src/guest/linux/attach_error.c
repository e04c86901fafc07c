/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/attach_error.h"
#include "arch/x86/paging.h"
#include "guest/linux/traces.h"
#include "guest/linux/vcpus.h"

struct nunchi_error *linux_attach_ambiguous(uint64_t one, uint64_t other)
{
	return error_hint(error_create(NUNCHI_ERROR_AMBIGUOUS,
				       "the memory has two kernels that fit equally well: _text is "
				       "at physical 0x%llx in one and at 0x%llx in the other",
				       (unsigned long long)one, (unsigned long long)other),
			  "one of them may remain from before a kexec, or may be forged; a running "
			  "guest, or a dump with the vCPUs' registers, shows which one runs; "
			  "--kernel 0x%llx or 0x%llx chooses",
			  (unsigned long long)one, (unsigned long long)other);
}

/* Whether the page table of a vCPU is not in the memory, as in a dump of a part of the RAM. */
static bool is_root_outside(struct target *target, uint64_t *ret_cr3)
{
	struct x86_registers registers;
	uint64_t entry;

	for (unsigned i = 0; i < target->vcpu_count; i++) {
		_cleanup_error_ struct nunchi_error *err =
		    target_get_registers(target, i, &registers);
		struct x86_paging paging;

		if (err || !(registers.cr0 >> 31))
			continue;
		paging = x86_paging_from_registers(registers.cr0, registers.cr3, registers.cr4,
						   registers.efer);
		*ret_cr3 = paging.root.v;
		if (memory_read(target->memory, paging.root, &entry, sizeof(entry), NULL) !=
		    MEMORY_OK)
			return true;
	}
	return false;
}

/* There is no kernel at the address that the user chose. */
static struct nunchi_error *not_there(uint64_t address, struct nunchi_error *reason)
{
	struct nunchi_error *err =
	    error_create(NUNCHI_ERROR_NO_KERNEL, "no Linux kernel is at physical 0x%llx%s%s",
			 (unsigned long long)address, reason ? ": " : "",
			 reason ? nunchi_error_message(reason) : "");

	nunchi_error_destroy(reason);
	return error_hint(err,
			  "without --kernel the kernel that runs is shown, and notes say where "
			  "others are");
}

/* Where a running guest is. */
static struct nunchi_error *hint_live(struct target *target, struct nunchi_error *err)
{
	_cleanup_buffer_ struct buffer vcpus = {.limit = 1024};
	enum target_state state = TARGET_UNKNOWN;

	if (!target->pause_depth)
		nunchi_error_destroy(target_get_state(target, &state));
	if (state == TARGET_PAUSED)
		return error_hint(
		    err, "the guest is paused, perhaps since it was created: resume it (Xen: xl "
			 "unpause, QEMU: cont), and try again when it has booted");
	if (linux_vcpus_deny(target, NULL, &vcpus))
		buffer_append_string(&vcpus, ": ");
	return error_hint(err,
			  "%sa guest that is still in its firmware or boot loader has no "
			  "kernel yet: try again when it has booted; operating systems "
			  "other than Linux are not supported",
			  buffer_string(&vcpus));
}

/* What a saved guest's memory contains instead of a kernel that can be read. */
static struct nunchi_error *hint_saved(struct target *target, const struct cancel *cancel,
				       struct nunchi_error *err)
{
	struct linux_traces traces;
	uint64_t cr3;

	if (is_root_outside(target, &cr3))
		return error_hint(
		    err,
		    "the page table of a vCPU, at physical 0x%llx (CR3), is not in the "
		    "file: it holds a part of the guest's RAM; dump all of it",
		    (unsigned long long)cr3);
	linux_traces_find(target->memory, cancel, &traces);
	if (traces.is_arm64)
		return error_hint(err,
				  "the memory is that of an AArch64 (ARM64) guest%s%s: only "
				  "guests of x86-64 and i386 can be read",
				  *traces.banner ? ", " : "", traces.banner);
	if (*traces.banner)
		return error_hint(
		    err,
		    "the memory has the text of a kernel at 0x%llx (%s), but no page table leads "
		    "to it: the file holds a part of the RAM, or has it at other addresses; dump "
		    "all of it as ELF (QEMU: dump-guest-memory FILE, libvirt: virsh dump "
		    "--memory-only), which keeps the addresses",
		    (unsigned long long)traces.banner_at, traces.banner);
	if (traces.is_random)
		return error_hint(
		    err, "nearly all of the memory looks random: it is encrypted (AMD SEV, "
			 "Intel TDX), or the file is compressed: unpack it first");
	if (!traces.has_data)
		return error_hint(err, "the file holds nothing but zeros: dump the guest again");
	return error_hint(
	    err,
	    "is this the whole memory of an x86 guest? nunchi reads raw, ELF, "
	    "kdump, LiME, AVML, QEMU migration, xl dump-core and xl save images of Linux guests");
}

static struct nunchi_error *no_kernel(struct target *target, const struct cancel *cancel,
				      struct nunchi_error *reason)
{
	struct nunchi_error *err;

	/* A kernel was found that cannot be used; the reason says why, and what to do. */
	if (reason && nunchi_error_hint(reason))
		return reason;
	err = error_create(NUNCHI_ERROR_NO_KERNEL,
			   "no Linux kernel found (tried: page tables of the vCPUs, the "
			   "real-mode trampoline, VMCOREINFO, the start of .data, a 32-bit "
			   "kernel's page directory)%s%s",
			   reason ? "; the best candidate: " : "",
			   reason ? nunchi_error_message(reason) : "");
	nunchi_error_destroy(reason);
	return target->live ? hint_live(target, err) : hint_saved(target, cancel, err);
}

struct nunchi_error *linux_attach_failed(struct target *target,
					 const struct guest_attach_options *options,
					 struct nunchi_error *reason)
{
	return options->kernel ? not_there(options->kernel, reason)
			       : no_kernel(target, options->cancel, reason);
}
