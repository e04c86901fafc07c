/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"

#include <stdio.h>

struct info {
	void (*fact)(const struct nunchi_fact *fact, void *data);
	void *data;
};

static void give(const struct info *info, const char *topic, const char *name, const char *value,
		 const char *evidence)
{
	struct nunchi_fact fact = {topic, name, value, evidence};

	info->fact(&fact, info->data);
}

static void give_vcpus(const struct info *info, struct target *target)
{
	unsigned count = target->vcpu_count ? target->vcpu_count : 1;

	for (unsigned i = 0; target->support[TARGET_REGISTERS].available && i < count && i < 8;
	     i++) {
		struct x86_registers registers = {0};
		char name[32], value[256];
		_cleanup_error_ struct nunchi_error *err =
		    target_get_registers(target, i, &registers);
		int length;

		snprintf(name, sizeof(name), "vcpu %u", i);
		if (err) {
			give(info, "target", name, "no registers", nunchi_error_message(err));
			continue;
		}
		length =
		    snprintf(value, sizeof(value), "rip 0x%llx, cr0 0x%llx, cr3 0x%llx, cr4 0x%llx",
			     (unsigned long long)registers.rip, (unsigned long long)registers.cr0,
			     (unsigned long long)registers.cr3, (unsigned long long)registers.cr4);
		if (registers.has_efer)
			length += snprintf(value + length, sizeof(value) - (size_t)length,
					   ", efer 0x%llx", (unsigned long long)registers.efer);
		if (registers.has_idt)
			length += snprintf(value + length, sizeof(value) - (size_t)length,
					   ", idt 0x%llx", (unsigned long long)registers.idt_base);
		if (registers.has_syscall)
			length += snprintf(value + length, sizeof(value) - (size_t)length,
					   ", lstar 0x%llx", (unsigned long long)registers.lstar);
		if (registers.has_segments && registers.has_kernel_gs)
			snprintf(value + length, sizeof(value) - (size_t)length,
				 ", gs 0x%llx and 0x%llx", (unsigned long long)registers.gs_base,
				 (unsigned long long)registers.kernel_gs_base);
		give(info, "target", name, value, NULL);
	}
}

static void give_target(const struct info *info, const struct target *target)
{
	char text[64];

	give(info, "target", "name", target->name, NULL);
	give(info, "target", "kind", target->ops->kind, NULL);
	if (target->ops->get_state) {
		enum target_state state = TARGET_UNKNOWN;
		_cleanup_error_ struct nunchi_error *err =
		    target_get_state((struct target *)target, &state);

		if (!err)
			give(info, "target", "state", target_state_string(state), NULL);
	}
	if (target->vcpu_count) {
		snprintf(text, sizeof(text), "%u", target->vcpu_count);
		give(info, "target", "vcpus", text, NULL);
	}
	give_vcpus(info, (struct target *)target);
	for (size_t i = 0; i < target->note_count; i++)
		give(info, "target", "note", target->notes[i], NULL);
	for (unsigned i = 0; i < TARGET_CAPABILITY_COUNT; i++)
		give(info, "capability", target_capability_string((enum target_capability)i),
		     target->support[i].available ? "yes" : "no", target->support[i].reason);
}

/*
 * The end of the RAM that begins with range *i; adjacent ranges count as one. Moves *i past them.
 */
static uint64_t join_ranges(const struct memory_range *ranges, size_t count, size_t *i)
{
	uint64_t end = ranges[*i].start.v + ranges[*i].size;

	for (++*i; *i < count && ranges[*i].start.v == end; ++*i)
		end += ranges[*i].size;
	return end;
}

static void give_memory(const struct info *info, const struct target *target)
{
	const struct memory_range *ranges;
	char name[64], value[64];
	size_t count, shown = 0;

	snprintf(value, sizeof(value), "%llu MiB",
		 (unsigned long long)(target->ram_size ? target->ram_size
						       : memory_total(target->memory)) >>
		     20);
	give(info, "memory", "size", value,
	     target->ram_size ? "as the hypervisor says; the ranges may have holes" : NULL);
	if (target->frames == TARGET_FRAMES_MACHINE)
		give(info, "memory", "addresses", "machine frames of the host",
		     "the page tables of a PV guest contain those");
	ranges = memory_ranges(target->memory, &count);
	for (size_t i = 0; i < count; shown++) {
		uint64_t start = ranges[i].start.v, end = join_ranges(ranges, count, &i);

		if (shown >= 16)
			continue;
		snprintf(name, sizeof(name), "range %zu", shown);
		snprintf(value, sizeof(value), "0x%llx – 0x%llx", (unsigned long long)start,
			 (unsigned long long)end);
		give(info, "memory", name, value, NULL);
	}
	if (shown > 16) {
		snprintf(value, sizeof(value), "%zu in all", shown);
		give(info, "memory", "ranges", value, NULL);
	}
}

struct nunchi_error *nunchi_guest_info(struct nunchi_guest *guest,
				       void (*fact)(const struct nunchi_fact *fact, void *data),
				       void *data)
{
	API_REQUIRE(guest && fact);

	struct info info = {fact, data};
	struct guest_kernel *kernel;
	struct nunchi_error *err;

	/* Find the kernel first, because that may change the arrangement of a raw file. */
	err = guest_kernel(guest, &kernel);
	give_target(&info, guest->target);
	give_memory(&info, guest->target);
	guest_confinement_facts(guest, fact, data);
	if (err)
		give(&info, "missing", "kernel", nunchi_error_message(err), nunchi_error_hint(err));
	else
		kernel->system->facts(kernel, fact, data);
	return err;
}

bool nunchi_guest_remains(const struct nunchi_guest *guest)
{
	return guest->kernel && guest->kernel->remains;
}

void nunchi_guest_repairs(const struct nunchi_guest *guest, size_t *ret_undone, size_t *ret_left)
{
	if (ret_undone)
		*ret_undone = guest->target->repaired;
	if (ret_left)
		*ret_left = guest->target->unrepaired;
}

const char *nunchi_guest_note(const struct nunchi_guest *guest, size_t index)
{
	return index < guest->target->note_count ? guest->target->notes[index] : NULL;
}
