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
	if (call->number != XEN_HYPERCALL_DOMCTL)
		return fake_answer(ENOSYS);
	return fake_answer(fake_control((struct xen_domctl *)(uintptr_t)call->arguments[0]));
}
