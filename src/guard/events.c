/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guard/guard.h"

#include "target/xen/monitor.h"

#include <errno.h>
#include <sys/mman.h>

struct xen_events {
	struct monitor monitor;
};

static int call(void *data, uint64_t number, uint64_t one, uint64_t two)
{
	struct xen_raw_call raw = {.number = number, .arguments = {one, two}};

	(void)data;
	return privcmd_call(GUARD_FD_HANDLE, &raw);
}

static void *map(void *data, uint64_t frame)
{
	const struct xen_events *events = data;

	return privcmd_map(GUARD_FD_HANDLE, events->monitor.domain, frame);
}

static void unmap(void *data, void *page)
{
	(void)data;
	munmap(page, MONITOR_PAGE);
}

struct xen_events *xen_events_create(const struct guard_setup *setup)
{
	struct xen_events *events = calloc(1, sizeof(*events));
	void *argument =
	    mmap(NULL, MONITOR_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!events || argument == MAP_FAILED) {
		free(events);
		return NULL;
	}
	/* If mlock() fails, a call may fail with EFAULT and is then repeated. */
	mlock(argument, MONITOR_PAGE);
	events->monitor = (struct monitor){.call = call,
					   .map = map,
					   .unmap = unmap,
					   .data = events,
					   .argument = argument,
					   .domctl = setup->domctl,
					   .version = setup->ring_version,
					   .vcpus = setup->vcpus,
					   .domain = setup->domain};
	return events;
}

struct nunchi_error *xen_events_restore(void *data, struct undo_log *log)
{
	const struct xen_events *events = data;
	static struct undo_patch patches[UNDO_PATCHES_MAX];
	size_t count;
	int errnum = undo_log_patches(log, patches, &count);

	if (errnum)
		return error_create_errno(errnum, "undo log %s", undo_log_path(log));
	if (!count)
		return NULL;
	errnum = monitor_pause(&events->monitor, true);
	if (!errnum) {
		errnum = monitor_restore(&events->monitor, patches, count, log);
		monitor_pause(&events->monitor, false);
	}
	if (!errnum || errnum == ESRCH)
		return NULL;
	return error_create_errno(errnum, "Xen refuses to remove breakpoints");
}

struct nunchi_error *xen_events_undo(void *data)
{
	const struct xen_events *events = data;
	int errnum = monitor_pause(&events->monitor, true);

	/* No log tells of this pause: it is over in some 15 hypercalls. */
	if (!errnum) {
		errnum = monitor_rescue(&events->monitor);
		monitor_pause(&events->monitor, false);
	}
	/* The domain is gone. */
	if (!errnum || errnum == ESRCH)
		return NULL;
	return error_create_errno(errnum, "Xen refuses to remove the event ring");
}
