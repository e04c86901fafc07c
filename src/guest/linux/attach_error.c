/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/attach_error.h"
#include "arch/x86/paging.h"
#include "guest/linux/image.h"
#include "guest/linux/traces.h"
#include "guest/linux/vcpus.h"

/* An address in every kernel's image: 16 MiB after the start of its mapping (PHYSICAL_START). */
#define TEXT_64 (LINUX_KERNEL_MAP + ((uint64_t)16 << 20))
#define TEXT_32 ((uint64_t)0xc1000000)

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

static bool read_entry(void *data, gpa_t address, size_t size, uint64_t *ret)
{
	*ret = 0;
	return memory_read(data, address, ret, size, NULL) == MEMORY_OK;
}

/*
 * Whether a page table of a vCPU that leads to the kernel is not in the memory, as in a dump of a
 * part of the RAM. *ret_is_root: it is the one in CR3.
 */
static bool is_table_outside(struct target *target, uint64_t *ret, bool *ret_is_root)
{
	struct x86_registers registers;

	for (unsigned i = 0; i < target->vcpu_count; i++) {
		_cleanup_error_ struct nunchi_error *err =
		    target_get_registers(target, i, &registers);
		struct x86_paging paging;
		struct x86_walk walk;
		bool is_64;

		if (err || !(registers.cr0 >> 31))
			continue;
		paging = x86_paging_from_registers(registers.cr0, registers.cr3, registers.cr4,
						   registers.efer);
		linux_find_encryption(target->memory, &paging);
		is_64 = paging.mode == X86_MODE_4LEVEL || paging.mode == X86_MODE_5LEVEL;
		if (x86_walk(&paging, read_entry, target->memory, gva(is_64 ? TEXT_64 : TEXT_32),
			     &walk) != X86_FAULT_READ)
			continue;
		*ret_is_root = !walk.level_count;
		*ret = *ret_is_root
			   ? paging.root.v
			   : x86_entry_address(&paging, walk.levels[walk.level_count - 1].entry).v;
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
	uint64_t table;
	bool is_root;

	if (is_table_outside(target, &table, &is_root))
		return error_hint(err,
				  "the page table of a vCPU, at physical 0x%llx%s, is not in the "
				  "file: it holds a part of the guest's RAM; dump all of it",
				  (unsigned long long)table, is_root ? " (CR3)" : "");
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
				      struct nunchi_error *reason, bool is_kernel)
{
	struct nunchi_error *err;

	if (target->encryption) {
		nunchi_error_destroy(reason);
		return error_hint(
		    error_create(NUNCHI_ERROR_NO_KERNEL,
				 "the guest's memory is encrypted (%s), so that its kernel cannot "
				 "be read",
				 target->encryption),
		    "nothing outside of the guest can read it, the host neither: look from "
		    "inside of the guest");
	}
	if (reason && is_kernel && !nunchi_error_hint(reason))
		reason = error_hint(reason, target->live
						? "the guest may be starting or ending: try again"
						: "the file was cut off, or holds a part of the "
						  "guest's RAM: dump all of it again");
	if (reason && is_kernel)
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
					 struct nunchi_error *reason, bool is_kernel)
{
	return options->kernel ? not_there(options->kernel, reason)
			       : no_kernel(target, options->cancel, reason, is_kernel);
}
