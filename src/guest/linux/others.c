/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/others.h"
#include "guest/linux/crash.h"
#include "guest/linux/roots.h"

#include <stdarg.h>
#include <stdio.h>

void linux_others_add(struct linux_others *others, uint64_t physical, const char *format, ...)
{
	va_list args;

	for (size_t i = 0; i < others->count; i++) {
		if (others->items[i].physical == physical)
			return;
	}
	if (others->count == LINUX_MAX_OTHERS)
		return;
	others->items[others->count].physical = physical;
	va_start(args, format);
	vsnprintf(others->items[others->count].how, sizeof(others->items[0].how), format, args);
	va_end(args);
	others->count++;
}

/* The target's VMCOREINFO note does not fit the kernel. */
static void add_noted(struct linux_others *others, const struct linux_kernel *kernel,
		      struct target *target)
{
	struct linux_roots roots = {0};

	linux_roots_collect(&roots, target, LINUX_ROOTS_VMCOREINFO, kernel->guest.cancel);
	for (size_t i = 0; i < roots.count; i++) {
		if (roots.items[i].image.physical_start == kernel->text_physical)
			continue;
		linux_others_add(others, roots.items[i].image.physical_start,
				 "the VMCOREINFO note from the file or hypervisor names it");
		return;
	}
	target_note(target,
		    "the VMCOREINFO note from the file or hypervisor does not fit the kernel that "
		    "was found, at physical 0x%llx, and is left aside",
		    (unsigned long long)kernel->text_physical);
}

void linux_others_tell(struct linux_others *others, struct linux_kernel *kernel,
		       struct target *target)
{
	struct linux_image crashed;

	if (linux_crash_find(kernel, &crashed))
		linux_others_add(others, crashed.physical_start,
				 "it crashed, and the one shown is its crash kernel");
	if (kernel->note_disagrees)
		add_noted(others, kernel, target);
	for (size_t i = 0; i < others->count; i++) {
		unsigned long long physical = others->items[i].physical;

		if (physical == kernel->text_physical)
			continue;
		target_note(target,
			    "the memory has another kernel, at physical 0x%llx (%s); shown is the "
			    "one at 0x%llx; --kernel 0x%llx shows the other",
			    physical, others->items[i].how,
			    (unsigned long long)kernel->text_physical, physical);
		linux_kernel_fact(kernel, "kernel", "other", others->items[i].how,
				  "physical 0x%llx", physical);
	}
}
