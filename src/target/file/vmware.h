/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state of a VMware guest (.vmss of a suspended one, .vmsn of a snapshot): groups of tags, each
 * a name with up to three indices and a value or a block of bytes. The memory is such a block, or
 * the file beside it (.vmem). Written after the layout that crash's vmware_vmss.c and Volatility's
 * vmware.py read.
 */
#ifndef NUNCHI_TARGET_FILE_VMWARE_H
#define NUNCHI_TARGET_FILE_VMWARE_H

#include "arch/x86/registers.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "target/file/extents.h"
#include "target/file/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmware {
	struct extents extents; /* in the file itself, or in the one beside it */
	bool inside;            /* the memory is in the file itself */
	struct x86_registers *vcpus;
	size_t vcpu_count;
};

void vmware_deinit(struct vmware *vmware);
#define _cleanup_vmware_ _cleanup_(vmware_deinit)

bool vmware_matches(const void *start, size_t size);

/* Reads all groups. The file beside it has so many bytes; 0 if there is none. */
struct nunchi_error *vmware_parse(const struct source *source, uint64_t beside, struct vmware *ret);

#endif
