/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gets the registers of the vCPUs from the state of devices in QEMU's migration stream. The layout
 * of the state depends on the version of QEMU and on the machine; a description in JSON at the end
 * of the stream ("vmdesc") has the name and size of each field.
 *
 * Sources: QEMU's migration/savevm.c, migration/vmstate.c (vmsd_desc_field_start()),
 * target/i386/machine.c (vmstate_x86_cpu).
 */
#ifndef NUNCHI_TARGET_FILE_QEMU_DEVICE_H
#define NUNCHI_TARGET_FILE_QEMU_DEVICE_H

#include "arch/x86/registers.h"
#include "core/error.h"
#include "target/file/source.h"

#include <stddef.h>
#include <stdint.h>

/* Limit of the bytes read. The state of devices has tens of KiB, their description hundreds. */
#define QEMU_DEVICE_STATE_LIMIT ((uint64_t)64 << 20)
#define QEMU_DEVICE_VCPU_LIMIT  4096

/*
 * Finds the registers of the vCPUs in the bytes from offset on. *ret_count is 0 if there is no
 * description, or no description of an x86 vCPU. Fails only if memory is short or the file cannot
 * be read. The caller frees *ret.
 */
struct nunchi_error *qemu_device_registers(const struct source *file, uint64_t offset,
					   struct x86_registers **ret, size_t *ret_count);

#endif
