/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Variables found by their own shape, for kernels whose symbol table lists functions alone
 * (CONFIG_KALLSYMS_ALL unset) or is missing.
 */
#ifndef NUNCHI_GUEST_LINUX_INFER_H
#define NUNCHI_GUEST_LINUX_INFER_H

#include "guest/linux/linux.h"

/*
 * Looks for init_task and modules in the image's writable data (data_start to kernel->image_end)
 * where kernel->symbol has none, and for the variable that points to the VMCOREINFO note, which
 * names some more; needs the layout, but for the note. What is found is noted as a fact.
 */
void linux_infer_symbols(struct linux_kernel *kernel, uint64_t data_start);

#endif
