/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds variables by their content, for a kernel whose symbol table has functions only
 * (CONFIG_KALLSYMS_ALL unset) or is missing.
 */
#ifndef NUNCHI_GUEST_LINUX_INFER_H
#define NUNCHI_GUEST_LINUX_INFER_H

#include "guest/linux/linux.h"

/*
 * Searches the image's writable data (data_start to kernel->image_end) for init_task and modules if
 * kernel->symbol lacks them, and for the variable that points to the VMCOREINFO note, which names a
 * few more variables. Needs the layout, except for the note. Adds a fact for each variable found.
 */
void linux_infer_symbols(struct linux_kernel *kernel, uint64_t data_start);

#endif
