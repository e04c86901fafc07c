/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/xen_registers.h"

#include "core/bytes.h"
#include "target/xen/layout.h"

#include <string.h>

void xen_vcpus_deinit(struct xen_vcpus *vcpus)
{
	free(vcpus->items);
	memset(vcpus, 0, sizeof(*vcpus));
}

struct nunchi_error *xen_vcpus_set(struct xen_vcpus *vcpus, size_t n,
				   const struct x86_registers *registers)
{
	if (n >= XEN_VCPU_LIMIT)
		return error_create(NUNCHI_ERROR_DATA, "there is no vCPU %zu in any guest of Xen",
				    n);
	if (n >= vcpus->count) {
		struct x86_registers *items =
		    reallocarray(vcpus->items, n + 1, sizeof(*vcpus->items));

		if (!items)
			return &error_nomem;
		memset(items + vcpus->count, 0, (n + 1 - vcpus->count) * sizeof(*items));
		vcpus->items = items;
		vcpus->count = n + 1;
	}
	vcpus->items[n] = *registers;
	return NULL;
}

const char *xen_guest_kind_string(enum xen_guest_kind kind)
{
	return kind == XEN_GUEST_PV     ? "a PV"
	       : kind == XEN_GUEST_PV32 ? "a 32-bit PV"
					: "an HVM or PVH";
}

size_t xen_context_size(enum xen_guest_kind kind)
{
	return kind == XEN_GUEST_PV32 ? XEN_PV32_CPU_SIZE : XEN_PV_CPU_SIZE;
}

struct nunchi_error *xen_hvm_context_decode(const uint8_t *bytes, size_t size,
					    struct xen_vcpus *vcpus, bool *ret_whole)
{
	size_t at = 0;
	bool whole = false;

	while (size - at >= XEN_HVM_DESCRIPTOR_SIZE) {
		uint16_t code = load_le16(bytes + at), instance = load_le16(bytes + at + 2);
		uint32_t length = load_le32(bytes + at + 4);

		at += XEN_HVM_DESCRIPTOR_SIZE;
		whole = code == XEN_HVM_CODE_END;
		if (whole || length > size - at)
			break;
		if (code == XEN_HVM_CODE_CPU && length >= XEN_HVM_CPU_LEAST &&
		    instance < XEN_VCPU_LIMIT) {
			struct x86_registers registers = xen_cpu_from_hvm(bytes + at);
			struct nunchi_error *err = xen_vcpus_set(vcpus, instance, &registers);

			if (err)
				return err;
		}
		at += length;
	}
	*ret_whole = whole;
	return NULL;
}
