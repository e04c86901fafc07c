/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state of devices in QEMU's migration stream, of which the vCPUs' registers are taken. How it
 * is laid out depends on the version of QEMU and on the machine; a description in JSON at the end
 * of the stream ("vmdesc") names each field with its size.
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

/* The devices have some ten KiB, their description some hundred. */
#define QEMU_DEVICE_STATE_LIMIT ((uint64_t)64 << 20)
#define QEMU_DEVICE_VCPU_LIMIT  4096

/*
 * Finds the registers of the vCPUs in what stands from offset on. None, and no error, where there
 * is no description, or none of an x86 vCPU. Fails for memory or where the file cannot be read.
 * *ret is the caller's to free.
 */
struct nunchi_error *qemu_device_registers(const struct source *file, uint64_t offset,
					   struct x86_registers **ret, size_t *ret_count);

#endif
