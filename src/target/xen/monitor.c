/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/monitor.h"

#include "target/xen/layout.h"
#include "target/xen/ring.h"

#include <errno.h>
#include <string.h>

/* A call fails if the kernel is moving the page of its argument. */
#define MOST_TRIES 1000
/*
 * How many answers a vCPU gets from monitor_rescue(). In one entry of a nested guest Xen can load
 * CR4 and CR3, for each of which the vCPU waits. Xen ignores answers to a vCPU that does not wait.
 */
#define ROUNDS 4

/* Whether a call may be made again after an errno. ENABLE's answer is copied after its effect. */
static bool is_passing(uint64_t number, const void *argument, int errnum)
{
	const struct xen_domctl *domctl = number == XEN_HYPERCALL_DOMCTL ? argument : NULL;
	bool enable = domctl && domctl->command == XEN_OP_VM_EVENT &&
		      domctl->u.vm_event.op == XEN_RING_ENABLE;

	return (errnum == EFAULT && !enable) || errnum == EAGAIN || errnum == EINTR;
}

/* Makes a call with an argument, which is updated. Returns its result, or a negative errno. */
static int call(const struct monitor *monitor, uint64_t number, uint64_t op, void *argument,
		size_t size)
{
	uint64_t place = (uint64_t)(uintptr_t)monitor->argument;
	int result = -EAGAIN;

	for (int i = 0; i < MOST_TRIES && is_passing(number, argument, -result); i++) {
		memcpy(monitor->argument, argument, size);
		/* A control call has its number in the argument. */
		result = number == XEN_HYPERCALL_DOMCTL
			     ? monitor->call(monitor->data, number, place, 0)
			     : monitor->call(monitor->data, number, op, place);
		if (result < 0)
			result = -errno;
	}
	memcpy(argument, monitor->argument, size);
	return result;
}

static int control(const struct monitor *monitor, uint32_t command, struct xen_domctl *argument)
{
	int result;

	argument->command = command;
	argument->version = monitor->domctl;
	argument->domain = monitor->domain;
	result = call(monitor, XEN_HYPERCALL_DOMCTL, 0, argument, sizeof(*argument));
	return result < 0 ? -result : 0;
}

static int ring_op(const struct monitor *monitor, uint32_t op, uint32_t *ret)
{
	struct xen_domctl argument = {.u.vm_event = {.op = op, .mode = XEN_RING_MONITOR}};
	int errnum = control(monitor, XEN_OP_VM_EVENT, &argument);

	if (ret)
		*ret = argument.u.vm_event.result;
	return errnum;
}

int monitor_version(const struct monitor *monitor, uint32_t *ret)
{
	return ring_op(monitor, XEN_RING_VERSION, ret);
}

int monitor_capabilities(const struct monitor *monitor, uint32_t *ret)
{
	struct xen_domctl argument = {.u.monitor = {.op = XEN_MONITOR_CAPABILITIES}};
	int errnum = control(monitor, XEN_OP_MONITOR, &argument);

	*ret = argument.u.monitor.event;
	return errnum;
}

int monitor_resume(const struct monitor *monitor)
{
	return ring_op(monitor, XEN_RING_RESUME, NULL);
}

int monitor_disable(const struct monitor *monitor)
{
	return ring_op(monitor, XEN_RING_DISABLE, NULL);
}

int monitor_pause(const struct monitor *monitor, bool on)
{
	struct xen_domctl argument = {0};

	return control(monitor, on ? XEN_OP_PAUSE : XEN_OP_UNPAUSE, &argument);
}

int monitor_set(const struct monitor *monitor, uint32_t event, uint32_t index, bool on)
{
	struct xen_domctl argument = {
	    .u.monitor = {.op = on ? XEN_MONITOR_ENABLE : XEN_MONITOR_DISABLE, .event = event}};
	int errnum;

	if (event == XEN_MONITOR_CONTROL) {
		argument.u.monitor.u.control.index = (uint8_t)index;
		argument.u.monitor.u.control.sync = 1;
		argument.u.monitor.u.control.on_change = 1;
	} else {
		argument.u.monitor.u.msr.index = index;
	}
	errnum = control(monitor, XEN_OP_MONITOR, &argument);
	/* It is so already. */
	return errnum == EEXIST ? 0 : errnum;
}

/* ---- The page of the ring -------------------------------------------------------------------- */

/* Gets the frame at which the guest has, or had, the page. */
static int get_frame(const struct monitor *monitor, uint64_t *ret)
{
	struct xen_param_op argument = {.domain = monitor->domain, .index = XEN_PARAM_MONITOR_RING};
	int result =
	    call(monitor, XEN_HYPERCALL_HVM_OP, XEN_OP_GET_PARAM, &argument, sizeof(argument));

	*ret = argument.value;
	if (result >= 0 && !argument.value)
		return EOPNOTSUPP;
	return result < 0 ? -result : 0;
}

/* Adds a page to the guest at a frame, or takes it away. */
static int change_page(const struct monitor *monitor, uint64_t op, uint64_t frame)
{
	/* Behind the argument itself. */
	uint64_t *frames = (uint64_t *)(void *)(monitor->argument + sizeof(struct xen_domctl));
	struct xen_reservation argument = {
	    .frames = (uint64_t)(uintptr_t)frames, .count = 1, .domain = monitor->domain};
	int result;

	*frames = frame;
	result = call(monitor, XEN_HYPERCALL_MEMORY_OP, op, &argument, sizeof(argument));
	if (result == 1)
		return 0;
	return result < 0 ? -result : ENOMEM;
}

static int set_limit(const struct monitor *monitor, uint64_t pages)
{
	struct xen_domctl argument = {.u.max_memory = pages * (MONITOR_PAGE / 1024)};

	return control(monitor, XEN_OP_MAX_MEMORY, &argument);
}

/* Adds a page beyond what the domain may have, which it loses in a moment. */
static int add_beyond_limit(const struct monitor *monitor, uint64_t frame)
{
	struct xen_domctl argument = {0};
	int errnum = control(monitor, XEN_OP_DOMAIN_INFO, &argument);
	uint64_t limit = argument.u.info.max_pages;

	/* Up to Xen 4.17 it tells of the next domain if this one is gone. */
	if (!errnum && argument.domain != monitor->domain)
		errnum = ESRCH;
	if (!errnum)
		errnum = set_limit(monitor, limit + 1);
	if (errnum)
		return errnum;
	errnum = change_page(monitor, XEN_OP_POPULATE, frame);
	set_limit(monitor, limit);
	return errnum;
}

/*
 * Gives the domain a new page, and maps it. Its own may be known to others, as by a grant, or an
 * earlier agent has taken it away.
 */
static int make_page(const struct monitor *monitor, uint64_t frame, void **ret)
{
	int errnum;

	change_page(monitor, XEN_OP_DECREASE, frame);
	errnum = change_page(monitor, XEN_OP_POPULATE, frame);
	if (errnum == ENOMEM)
		errnum = add_beyond_limit(monitor, frame);
	if (errnum)
		return errnum;
	*ret = monitor->map(monitor->data, frame);
	return *ret ? 0 : errno;
}

int monitor_enable(const struct monitor *monitor, uint32_t *ret_port, void **ret_page,
		   bool *ret_made)
{
	uint64_t frame;
	void *page = NULL;
	int errnum = get_frame(monitor, &frame);

	*ret_made = false;
	if (!errnum)
		errnum = make_page(monitor, frame, &page);
	if (!errnum) {
		errnum = ring_op(monitor, XEN_RING_ENABLE, ret_port);
		*ret_made = !errnum || errnum == EFAULT;
	}
	/* No event is switched on, so that nothing comes before the ring is made empty. */
	if (*ret_made) {
		int kept = change_page(monitor, XEN_OP_DECREASE, frame);

		if (kept)
			monitor_disable(monitor);
		errnum = errnum ? errnum : kept;
	}
	if (errnum && page)
		monitor->unmap(monitor->data, page);
	else
		*ret_page = page;
	return errnum;
}

/* ---- Breakpoints ----------------------------------------------------------------------------- */

/* Whether a breakpoint stands there still, before the bytes that were behind it. */
static bool is_patched(const uint8_t *place, const struct undo_patch *patch)
{
	return __atomic_load_n(place, __ATOMIC_RELAXED) == MONITOR_INT3 &&
	       !memcmp(place + 1, patch->bytes + 1, patch->size - 1U);
}

static int restore(const struct monitor *monitor, const struct undo_patch *patch)
{
	uint8_t *page = monitor->map(monitor->data, patch->frame);

	/* There is no such page any more, or no such domain. */
	if (!page)
		return errno == EINVAL || errno == ESRCH ? 0 : errno;
	if (is_patched(page + patch->offset, patch))
		__atomic_store_n(page + patch->offset, patch->bytes[0], __ATOMIC_SEQ_CST);
	monitor->unmap(monitor->data, page);
	return 0;
}

int monitor_restore(const struct monitor *monitor, const struct undo_patch *patches, size_t count,
		    struct undo_log *log)
{
	int first = 0;

	/* One that cannot be restored keeps no other from it. */
	for (size_t i = 0; i < count; i++) {
		int errnum = restore(monitor, &patches[i]);

		if (errnum) {
			first = first ? first : errnum;
			continue;
		}
		/* If the disk is full, whoever undoes the log next sees that the byte is back. */
		undo_log_append_patch(log, &patches[i], false);
	}
	return first;
}

int monitor_rescue(const struct monitor *monitor)
{
	uint32_t port;
	bool made;
	void *page;
	int errnum;

	/* Without a ring Xen would not switch the intercepts of these off any more. */
	monitor_set(monitor, XEN_MONITOR_CONTROL, RING_CR3, false);
	monitor_set(monitor, XEN_MONITOR_CONTROL, RING_CR4, false);
	errnum = monitor_disable(monitor);
	/* EINVAL: there is no ring. */
	if (!errnum || errnum == EINVAL)
		errnum = monitor_enable(monitor, &port, &page, &made);
	if (errnum)
		return errnum;
	for (uint32_t i = 0; !errnum && i < ROUNDS; i++) {
		ring_resume_all(page, monitor->version, monitor->vcpus, i * monitor->vcpus);
		errnum = monitor_resume(monitor);
	}
	if (!errnum)
		errnum = monitor_disable(monitor);
	monitor->unmap(monitor->data, page);
	return errnum;
}
