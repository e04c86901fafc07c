/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guard/guard.h"
#include "target/xen/layout.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Limit of the tries of a call; a call fails if the kernel is moving the page of its argument. */
#define MOST_TRIES 1000

/* Locked in memory, in pages of its own: the hypervisor reads and writes the argument there. */
struct xen_call {
	uint32_t version;
	uint16_t domain;
	struct xen_raw_call raw;
	struct xen_domctl argument;
};

struct xen_call *xen_call_create(const struct guard_setup *setup)
{
	struct xen_call *call =
	    mmap(NULL, sizeof(*call), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (call == MAP_FAILED)
		return NULL;
	/* If mlock() fails, a call may fail with EFAULT and is then repeated. */
	mlock(call, sizeof(*call));
	call->version = setup->domctl;
	call->domain = setup->domain;
	return call;
}

/* Makes a call, whose answer is in call->argument. Returns 0 or an errno. */
static int make(struct xen_call *call, uint32_t command)
{
	int errnum = EFAULT;

	for (int i = 0; i < MOST_TRIES && (errnum == EFAULT || errnum == EAGAIN || errnum == EINTR);
	     i++) {
		memset(&call->argument, 0, sizeof(call->argument));
		call->argument.command = command;
		call->argument.version = call->version;
		call->argument.domain = call->domain;
		call->raw =
		    (struct xen_raw_call){.number = XEN_HYPERCALL_DOMCTL,
					  .arguments = {(uint64_t)(uintptr_t)&call->argument}};
		errnum = privcmd_call(GUARD_FD_HANDLE, &call->raw) < 0 ? errno : 0;
	}
	return errnum;
}

int xen_call_make(struct xen_call *call, bool undo)
{
	return make(call, undo ? XEN_OP_UNPAUSE : XEN_OP_PAUSE);
}

bool xen_call_ran(void *data, struct undo_ran *ret)
{
	struct xen_call *call = data;

	/* Of an id that is not used, Xen tells about the next one. */
	if (make(call, XEN_OP_DOMAIN_INFO) || call->argument.domain != call->domain)
		return false;
	*ret = (struct undo_ran){.ns = call->argument.u.info.cpu_time};
	return true;
}

struct nunchi_error *xen_call_undo(void *data)
{
	int errnum = xen_call_make(data, true);

	/*
	 * Nothing is left to undo: somebody else resumed the domain (EINVAL), or it is gone
	 * (ESRCH).
	 */
	if (!errnum || errnum == EINVAL || errnum == ESRCH)
		return NULL;
	return error_create_errno(errnum, "Xen refuses to resume the domain");
}
