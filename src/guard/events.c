/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guard/guard.h"

#include "core/clock.h"
#include "target/xen/monitor.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* How long to wait until no other nunchi has the guest paused. */
#define PAUSE_US (3 * CLOCK_US_PER_S)

struct xen_events {
	struct monitor monitor;
	struct xen_call *call;
	const struct undo_log *log;
	char pauses[UNDO_KEY_MAX];
	uint64_t deadline; /* for PAUSE_US */
};

/* A pause by this process. */
struct pause {
	struct undo_log *log; /* NULL: none tells of it */
	unsigned entry;
	bool older; /* the log has entries of others */
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

	if (events)
		events->call = xen_call_create(setup);
	if (!events || !events->call || argument == MAP_FAILED) {
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
	memcpy(events->pauses, setup->pauses, sizeof(events->pauses));
	return events;
}

void xen_events_begin(struct xen_events *events, const struct undo_log *log)
{
	events->log = log;
	events->deadline = clock_us() + PAUSE_US;
}

/* ---- Pauses ---------------------------------------------------------------------------------- */

static void leave_log(struct pause *pause)
{
	if (pause->older)
		undo_log_leave_older(pause->log);
	else
		undo_log_erase(pause->log);
	pause->log = NULL;
}

/*
 * Takes the log for pauses and notes one. If another nunchi has the guest paused, the caller tries
 * again; until it takes too long, for then vCPUs wait that nobody else lets go on.
 */
static int note_pause(const struct xen_events *events, struct pause *ret)
{
	_cleanup_error_ struct nunchi_error *err =
	    undo_log_take_beside(events->log, events->pauses, &ret->log);
	struct undo_entries entries;

	if (error_is(err, NUNCHI_ERROR_BUSY) && clock_us() < events->deadline)
		return EBUSY;
	if (err)
		return 0;
	if (undo_log_read(ret->log, &entries)) {
		undo_log_leave(ret->log);
		ret->log = NULL;
		return 0;
	}
	ret->older = entries.count > 0;
	ret->entry = entries.next;
	if (undo_log_append(ret->log, ret->entry, UNDO_PAUSE, UNDO_LOGGED) ||
	    undo_log_append(ret->log, ret->entry, UNDO_PAUSE, UNDO_DOING))
		leave_log(ret);
	return 0;
}

/* Pauses the domain. If this process is killed then, the next nunchi resumes it. 0 or an errno. */
static int begin_pause(const struct xen_events *events, struct pause *ret)
{
	struct undo_ran ran;
	bool ran_known;
	int errnum;

	*ret = (struct pause){0};
	errnum = note_pause(events, ret);
	if (errnum)
		return errnum;
	errnum = xen_call_make(events->call, false);
	ran_known = !errnum && xen_call_ran(events->call, &ran);
	if (ret->log)
		undo_log_append_ran(ret->log, ret->entry, UNDO_PAUSE,
				    errnum ? UNDO_LOGGED : UNDO_DONE, ran_known ? &ran.ns : NULL);
	if (errnum && ret->log)
		leave_log(ret);
	return errnum;
}

static void end_pause(const struct xen_events *events, struct pause *pause)
{
	int errnum;

	if (pause->log)
		undo_log_append(pause->log, pause->entry, UNDO_PAUSE, UNDO_UNDOING);
	errnum = xen_call_make(events->call, true);
	if (!pause->log)
		return;
	/* Somebody else has resumed it (EINVAL), or the domain is gone (ESRCH). */
	if (errnum && errnum != EINVAL && errnum != ESRCH) {
		undo_log_append(pause->log, pause->entry, UNDO_PAUSE, UNDO_DONE);
		undo_log_leave(pause->log);
		return;
	}
	undo_log_append(pause->log, pause->entry, UNDO_PAUSE, UNDO_UNDONE);
	leave_log(pause);
}

/* ---- Undoing --------------------------------------------------------------------------------- */

struct nunchi_error *xen_events_restore(void *data, struct undo_log *log)
{
	const struct xen_events *events = data;
	static struct undo_patch patches[UNDO_PATCHES_MAX];
	struct pause pause;
	size_t count;
	int errnum = undo_log_patches(log, patches, &count);

	if (errnum)
		return error_create_errno(errnum, "undo log %s", undo_log_path(log));
	if (!count)
		return NULL;
	errnum = begin_pause(events, &pause);
	if (!errnum) {
		errnum = monitor_restore(&events->monitor, patches, count, log);
		end_pause(events, &pause);
	}
	if (!errnum || errnum == ESRCH)
		return NULL;
	return error_create_errno(errnum, "Xen refuses to remove breakpoints");
}

struct nunchi_error *xen_events_undo(void *data)
{
	const struct xen_events *events = data;
	struct pause pause;
	int errnum = begin_pause(events, &pause);

	if (!errnum) {
		errnum = monitor_rescue(&events->monitor);
		end_pause(events, &pause);
	}
	/* The domain is gone. */
	if (!errnum || errnum == ESRCH)
		return NULL;
	return error_create_errno(errnum, "Xen refuses to remove the event ring");
}
