/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"
#include "guest/linux/mm.h"
#include "guest/linux/task.h"

#include <string.h>

static struct nunchi_error *no_process(const struct nunchi_guest *guest, uint64_t pid, bool broken)
{
	struct nunchi_error *err =
	    error_create(NUNCHI_ERROR_NOT_FOUND, "%s: no process %llu%s", guest->target->name,
			 (unsigned long long)pid,
			 broken ? " in the list of processes, as far as it can be walked" : "");

	return error_hint(err, "nunchi ps %s shows them", guest->target->name);
}

/* Finds a process by its id, into guest->task. */
static struct nunchi_error *find_process(struct nunchi_guest *guest, uint64_t pid)
{
	const struct number_filter wanted = NUMBER_FILTER_EQUAL((int64_t)pid);
	struct linux_tasks walk;
	struct nunchi_error *err;
	bool found, broken;

	if (pid > INT32_MAX)
		return no_process(guest, pid, false);
	err = linux_tasks_init(&walk, guest->kernel, &wanted);
	if (err)
		return guest_error(guest, err);
	found = linux_tasks_next(&walk, &guest->task);
	broken = walk.list.broken;
	linux_tasks_deinit(&walk);
	if (!found && cancel_requested(&guest->context->cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	return found ? NULL : no_process(guest, pid, broken);
}

/* Switches the process address space to that of a process by its id. */
static struct nunchi_error *process_space(struct nunchi_guest *guest, uint64_t pid,
					  struct address_space **ret)
{
	struct linux_kernel *kernel;
	uint64_t mm, pgd;
	struct nunchi_error *err = guest_kernel_quickly(guest, &kernel);

	if (!err)
		err = find_process(guest, pid);
	if (err)
		return err;
	mm = object_u64(&guest->task, &kernel->layout.task_mm);
	if (kernel->layout.task_mm.present && !mm)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "%s: process %llu has no memory of its own (a kernel thread or "
				    "a zombie)",
				    guest->target->name, (unsigned long long)pid);
	if (linux_read_field(kernel, mm, &kernel->layout.mm_pgd, &pgd) != MEMORY_OK ||
	    linux_mm_space(kernel, pgd) != MEMORY_OK)
		return error_create_at(NUNCHI_ERROR_FAULT, mm,
				       "%s: the page table of process %llu cannot be reached",
				       guest->target->name, (unsigned long long)pid);
	*ret = kernel->process;
	return NULL;
}

/* On a running guest: the error if a process ended, or got other memory, while it was read. */
static struct nunchi_error *check_process(struct nunchi_guest *guest,
					  const struct nunchi_place *place)
{
	if (place->space != NUNCHI_SPACE_PROCESS || !guest->target->live ||
	    linux_task_is_same(guest->kernel, &guest->task))
		return NULL;
	return error_create(NUNCHI_ERROR_NOT_FOUND,
			    "%s: process %llu ended or became another program while it was read",
			    guest->target->name, (unsigned long long)place->id);
}

struct nunchi_error *guest_space(struct nunchi_guest *guest, const struct nunchi_place *place,
				 struct address_space **ret)
{
	struct linux_kernel *kernel;
	struct nunchi_error *err;

	switch (place->space) {
	case NUNCHI_SPACE_PHYSICAL:
		if (guest->target->live)
			memory_new_generation(guest->target->memory);
		*ret = NULL;
		return NULL;
	case NUNCHI_SPACE_PROCESS:
		return process_space(guest, place->id, ret);
	case NUNCHI_SPACE_KERNEL:
	case NUNCHI_SPACE_TABLE:
		err = guest_kernel_quickly(guest, &kernel);
		if (err)
			return err;
		if (place->space == NUNCHI_SPACE_KERNEL) {
			*ret = kernel->space;
			return NULL;
		}
		/* The walk leaves out what is no address in CR3; with PAE that is less. */
		address_space_switch(kernel->process, gpa(place->id));
		*ret = kernel->process;
		return NULL;
	}
	return error_create(NUNCHI_ERROR_ARGUMENT, "unknown address space %d", (int)place->space);
}

/* Reads, with the guest paused if that was asked for. */
static struct nunchi_error *read_place(struct nunchi_guest *guest, struct address_space *space,
				       uint64_t address, void *buffer, size_t size,
				       enum memory_fault *ret, uint64_t *ret_at)
{
	bool pause = guest->target->live && guest->pause == NUNCHI_PAUSE_ALWAYS;
	struct nunchi_error *err = pause ? target_pause(guest->target) : NULL;

	if (err)
		return err;
	if (pause)
		memory_new_generation(guest->target->memory);
	if (space) {
		gva_t fault_at = gva(address);

		*ret = address_space_read(space, fault_at, buffer, size, &fault_at);
		*ret_at = fault_at.v;
	} else {
		gpa_t fault_at = gpa(address);

		*ret = memory_read(guest->target->memory, fault_at, buffer, size, &fault_at);
		*ret_at = fault_at.v;
	}
	return pause ? target_resume(guest->target) : NULL;
}

struct nunchi_error *nunchi_read(struct nunchi_guest *guest, const struct nunchi_place *place,
				 size_t size, void *buffer)
{
	double start = guest_clock_ms();
	struct address_space *space;
	enum memory_fault fault = MEMORY_OK;
	struct nunchi_error *err = guest_space(guest, place, &space);
	uint64_t at = place->address;

	if (!err && size)
		err = read_place(guest, space, place->address, buffer, size, &fault, &at);
	if (!err)
		err = check_process(guest, place);
	guest->query_ms += guest_clock_ms() - start;
	if (err || fault == MEMORY_OK)
		return err;
	err = error_create_at(NUNCHI_ERROR_FAULT, at, "%s address 0x%llx cannot be read: %s",
			      space ? "virtual" : "physical", (unsigned long long)at,
			      memory_fault_string(fault));
	if (space)
		err = error_hint(err, "nunchi translate %s 0x%llx shows where it ends",
				 guest->target->name, (unsigned long long)at);
	else
		err = error_hint(err, "nunchi info %s lists the ranges of its memory",
				 guest->target->name);
	return guest_error(guest, err);
}

static const char *table_name(unsigned level)
{
	static const char *const names[] = {"", "PT", "PD", "PDPT", "PML4", "PML5"};

	return level < ARRAY_SIZE(names) ? names[level] : "";
}

struct nunchi_error *nunchi_translate(struct nunchi_guest *guest, const struct nunchi_place *place,
				      struct nunchi_translation *ret)
{
	struct nunchi_translation translation = {0};
	struct address_space *space;
	struct x86_walk walk = {0};
	struct nunchi_error *err = guest_space(guest, place, &space);
	enum x86_fault fault;

	if (err)
		return err;
	if (!space)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "%s: a guest-physical address is not translated",
				    guest->target->name);
	fault = address_space_walk(space, gva(place->address), &walk);
	translation.level_count = walk.level_count;
	for (size_t i = 0; i < walk.level_count; i++) {
		bool last = i + 1 == walk.level_count;

		translation.levels[i] = (struct nunchi_translation_level){
		    .table = table_name(walk.levels[i].level),
		    .entry_address = walk.levels[i].entry_address.v,
		    .entry = walk.levels[i].entry,
		    .present = walk.levels[i].entry & 1,
		    .large = last && fault == X86_FAULT_NONE && walk.levels[i].level > 1,
		};
	}
	if (fault == X86_FAULT_NONE) {
		translation.mapped = true;
		translation.physical = walk.address.v;
		translation.page_size = (uint64_t)1 << walk.page_shift;
		translation.writable = walk.writable;
		translation.user = walk.user;
		translation.executable = walk.executable;
	} else {
		translation.fault = x86_fault_string(fault);
	}
	*ret = translation;
	return NULL;
}
