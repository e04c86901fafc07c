/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard program's way to the hypervisor, in unit tests: the one of fake_xen.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_control.h"
#include "guard/guard.h"

int privcmd_call(int fd, struct xen_raw_call *call)
{
	if (!fake)
		fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (call->number == XEN_HYPERCALL_HVM_OP)
		return fake_get_param((struct xen_param_op *)(uintptr_t)call->arguments[1]);
	if (call->number == XEN_HYPERCALL_MEMORY_OP)
		return fake_reserve(call->arguments[0],
				    (struct xen_reservation *)(uintptr_t)call->arguments[1]);
	if (call->number != XEN_HYPERCALL_DOMCTL)
		return fake_answer(ENOSYS);
	return fake_answer(fake_control((struct xen_domctl *)(uintptr_t)call->arguments[0]));
}

void *privcmd_map(int fd, uint16_t domain, uint64_t frame)
{
	off_t at = fake_page_at(domain, frame);
	void *page;

	if (!at)
		return NULL;
	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
	return page == MAP_FAILED ? NULL : page;
}
