/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/monitor.h"

#include "target/xen/layout.h"
#include "target/xen/ring.h"

#include <errno.h>
#include <string.h>

/* A call fails if the kernel is moving the page of its argument. */
#define MOST_TRIES 1000

/* Makes a call with an argument, which is updated. Returns its result, or a negative errno. */
static int call(const struct monitor *monitor, uint64_t number, uint64_t op, void *argument,
		size_t size)
{
	uint64_t place = (uint64_t)(uintptr_t)monitor->argument;
	int result = -EFAULT;

	for (int i = 0;
	     i < MOST_TRIES && (result == -EFAULT || result == -EAGAIN || result == -EINTR); i++) {
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
	int errnum = ring_op(monitor, XEN_RING_DISABLE, NULL);

	/* There is no ring. */
	return errnum == EINVAL ? 0 : errnum;
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

static int map_ring(const struct monitor *monitor, uint64_t frame, void **ret)
{
	int errnum;

	*ret = monitor->map(monitor->data, frame);
	if (*ret)
		return 0;
	/* An earlier agent has taken the page from the guest. */
	errnum = change_page(monitor, XEN_OP_POPULATE, frame);
	if (!errnum)
		*ret = monitor->map(monitor->data, frame);
	return *ret ? 0 : errnum ? errnum : errno;
}

int monitor_enable(const struct monitor *monitor, uint32_t *ret_port, void **ret_page)
{
	uint64_t frame;
	void *page = NULL;
	int errnum = get_frame(monitor, &frame);

	if (!errnum)
		errnum = map_ring(monitor, frame, &page);
	if (!errnum)
		errnum = ring_op(monitor, XEN_RING_ENABLE, ret_port);
	if (!errnum) {
		/* No event is switched on, so that nothing comes before the ring is made empty. */
		errnum = change_page(monitor, XEN_OP_DECREASE, frame);
		if (errnum)
			monitor_disable(monitor);
	}
	if (errnum && page)
		monitor->unmap(monitor->data, page);
	else
		*ret_page = page;
	return errnum;
}

int monitor_rescue(const struct monitor *monitor)
{
	uint32_t port;
	void *page;
	int errnum = monitor_disable(monitor);

	if (!errnum)
		errnum = monitor_enable(monitor, &port, &page);
	if (errnum)
		return errnum;
	ring_resume_all(page, monitor->version, monitor->vcpus);
	errnum = monitor_resume(monitor);
	if (!errnum)
		errnum = monitor_disable(monitor);
	monitor->unmap(monitor->data, page);
	return errnum;
}
