/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Watches a PVH or HVM guest (target/stops.h) by Xen's event ring.
 *
 * A vCPU that did what is watched stands still until it gets an answer, and Xen never resumes it by
 * itself. So the undo log says that there is a ring before there is one, and whoever survives
 * removes it and resumes the vCPUs: this process, the guard, or the next nunchi (monitor_rescue()).
 * The page at the ring's frame is taken from the guest and not given back. Nothing else of it is
 * changed, but for breakpoints (breakpoints.c): they are removed before Xen is told not to tell of
 * them, and a vCPU whose event waits then executes what stands there.
 *
 * Not seen: if both were killed, and then somebody else removed our ring and made one of his own,
 * the next nunchi takes that for ours.
 */
#include "target/stops.h"

#include "core/io.h"
#include "target/xen/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* How long removing the ring is tried while Xen says that it is busy. */
#define LEAVE_US (1 * CLOCK_US_PER_S)
#define RETRY_US (1 * CLOCK_US_PER_MS)
/* How far a vCPU may go on behind a breakpoint: over instructions without effect. */
#define SKIP_MAX 15
/* The upper half of the address space. */
#define KERNEL_HALF ((uint64_t)1 << 63)

/* ---- Hypercalls ------------------------------------------------------------------------------ */

static int call(void *data, uint64_t number, uint64_t one, uint64_t two)
{
	const struct xen_target *xen = data;

	return xen->xen.calls.call(xen->xen.driver, number, one, two);
}

static void *map(void *data, uint64_t frame)
{
	const struct xen_target *xen = data;

	return xen->xen.calls.map_page(xen->xen.driver, xen->domain.id, frame);
}

static void unmap(void *data, void *page)
{
	const struct xen_target *xen = data;

	xen->xen.calls.unmap(page, 1);
}

static struct nunchi_error *refused(const struct xen_target *xen, int errnum, const char *what)
{
	struct nunchi_error *err;

	if (errnum == ESRCH)
		return error_create(NUNCHI_ERROR_GONE, "domain %u has ended", xen->domain.id);
	err = error_create_errno(errnum, "Xen refuses to %s", what);
	if (errnum == EPERM || errnum == EACCES)
		return error_hint(err, "the hypervisor's security policy (XSM, FLASK) forbids it");
	return err;
}

static struct nunchi_error *is_busy(void)
{
	return error_hint(error_create(NUNCHI_ERROR_BUSY,
				       "somebody else watches this guest: it has an event ring "
				       "already"),
			  "end the other program (xen-access, DRAKVUF …) in order; if it was "
			  "killed, its ring stays until a program disables it "
			  "(xc_monitor_disable() of libxenctrl) or the guest ends");
}

/* NUNCHI_ERROR_GONE if the guest has ended, or is being destroyed, when Xen refuses nothing. */
static struct nunchi_error *still_watchable(struct xen_target *xen)
{
	struct xen_domain domain;
	struct nunchi_error *err = xen_still_there(xen, &domain);

	if (!err && domain.flags & XEN_INFO_DYING)
		return error_create(NUNCHI_ERROR_GONE, "domain %u has ended", xen->domain.id);
	return err;
}

/* ---- Undoing --------------------------------------------------------------------------------- */

static struct nunchi_error *look(void *data, enum undo_seen *ret)
{
	struct xen_target *xen = data;
	struct nunchi_error *err = still_watchable(xen);
	int errnum;

	if (error_is(err, NUNCHI_ERROR_GONE)) {
		nunchi_error_destroy(err);
		*ret = UNDO_SEEN_GONE;
		return NULL;
	}
	if (err)
		return err;
	errnum = monitor_resume(&xen->stops.monitor);
	*ret = errnum ? UNDO_SEEN_CLEAR : UNDO_SEEN_SET;
	return !errnum || errnum == ENODEV ? NULL : refused(xen, errnum, "tell of its event ring");
}

static void give_up_ring(struct xen_target *xen)
{
	struct xen_stops *stops = &xen->stops;

	ring_destroy(stops->ring);
	if (stops->page)
		unmap(xen, stops->page);
	stops->ring = NULL;
	stops->page = NULL;
	stops->ticket = 0;
	stops->source_count = 0;
	stops->breakpoint_count = 0;
}

/* Makes the ring, while the guest is paused. */
static struct nunchi_error *make_ring(struct xen_target *xen, uint32_t *ret_port, bool *ret_made)
{
	struct xen_stops *stops = &xen->stops;
	struct nunchi_error *err = target_pause(&xen->base), *resumed;
	int errnum;

	if (err)
		return err;
	errnum = monitor_enable(&stops->monitor, ret_port, &stops->page, ret_made);
	if (errnum)
		err = errnum == EBUSY ? is_busy() : refused(xen, errnum, "make an event ring");
	resumed = target_resume(&xen->base);
	if (!err)
		return resumed;
	nunchi_error_destroy(resumed);
	return err;
}

/* Makes the ring. Nothing is switched on yet. */
static struct nunchi_error *set(void *data)
{
	struct xen_target *xen = data;
	struct xen_stops *stops = &xen->stops;
	uint32_t port;
	bool made = false;
	struct nunchi_error *err = make_ring(xen, &port, &made);

	stops->unmade = !made;
	if (err)
		return err;
	err =
	    ring_create(stops->page, stops->monitor.version, stops->monitor.vcpus, 0, &stops->ring);
	if (!err && !xen->xen.calls.channels_bind(stops->channels, xen->domain.id, port))
		err = error_create_errno(errno, "cannot connect with Xen's event channel");
	return err;
}

/*
 * Answers all that waits. False if something may wait still, because a request made no sense or the
 * ring is not there any more.
 */
static bool answer_all(struct xen_stops *stops)
{
	bool ended = false, sound = true;
	struct ring_event event;

	for (unsigned i = 0; !ended && i < 2 * RING_SLOTS; i++) {
		struct nunchi_error *err = ring_take(stops->ring, &event);

		ended = err == &error_stop;
		sound &= !err || ended;
		nunchi_error_destroy(err);
	}
	ring_answer_all(stops->ring);
	stops->ticket = 0;
	return monitor_resume(&stops->monitor) != ENODEV && ended && sound;
}

/* Removes the ring that this process has. EINVAL if somebody has removed it, or it is damaged. */
static int remove_ring(struct xen_stops *stops)
{
	uint64_t deadline = clock_us() + LEAVE_US;
	bool answered = true;
	int errnum;

	for (size_t i = 0; i < stops->source_count; i++)
		monitor_set(&stops->monitor, stops->sources[i].event, stops->sources[i].index,
			    false);
	for (;;) {
		answered &= answer_all(stops);
		errnum = monitor_disable(&stops->monitor);
		if (errnum != EBUSY || clock_us() >= deadline)
			return answered ? errnum : EINVAL;
		io_sleep_until(clock_us() + RETRY_US, NULL);
	}
}

static struct nunchi_error *rescue(struct xen_target *xen)
{
	struct nunchi_error *err = target_pause(&xen->base), *resumed;
	int errnum;

	if (err)
		return err;
	errnum = monitor_rescue(&xen->stops.monitor);
	resumed = target_resume(&xen->base);
	if (!errnum)
		return resumed;
	nunchi_error_destroy(resumed);
	return refused(xen, errnum, "remove its event ring");
}

static struct nunchi_error *clear(void *data)
{
	struct xen_target *xen = data;
	struct xen_stops *stops = &xen->stops;
	bool unmade = stops->unmade;
	int errnum = stops->ring ? remove_ring(stops) : EINVAL;
	struct nunchi_error *err;

	give_up_ring(xen);
	stops->unmade = false;
	if (!errnum || unmade)
		return NULL;
	err = errnum == EINVAL ? rescue(xen) : refused(xen, errnum, "remove its event ring");
	if (!err || undo_look(&(struct undo_actor){.look = look, .data = xen}) != UNDO_SEEN_GONE)
		return err;
	nunchi_error_destroy(err);
	return NULL;
}

/*
 * Pauses the guest to write bytes back. If another nunchi has it paused for longer, or its pause
 * cannot be logged, it is paused all the same: INT3 must not stay.
 */
static int pause_to_restore(struct xen_target *xen, bool *ret_logged)
{
	uint64_t deadline = clock_us() + LEAVE_US;

	for (;;) {
		struct nunchi_error *err = target_pause(&xen->base);
		bool again = error_is(err, NUNCHI_ERROR_BUSY) && clock_us() < deadline;

		*ret_logged = !err;
		nunchi_error_destroy(err);
		if (*ret_logged)
			return 0;
		if (!again)
			return monitor_pause(&xen->stops.monitor, true);
		io_sleep_until(clock_us() + RETRY_US, NULL);
	}
}

static struct nunchi_error *restore(void *data, struct undo_log *log)
{
	_cleanup_free_ struct undo_patch *patches = calloc(UNDO_PATCHES_MAX, sizeof(*patches));
	struct xen_target *xen = data;
	bool logged;
	size_t count;
	int errnum;

	if (!patches)
		return &error_nomem;
	errnum = undo_log_patches(log, patches, &count);
	if (errnum)
		return error_create_errno(errnum, "undo log %s", undo_log_path(log));
	if (!count)
		return NULL;
	errnum = pause_to_restore(xen, &logged);
	if (!errnum) {
		errnum = monitor_restore(&xen->stops.monitor, patches, count, log);
		if (logged)
			nunchi_error_destroy(target_resume(&xen->base));
		else
			monitor_pause(&xen->stops.monitor, false);
	}
	return errnum && errnum != ESRCH ? refused(xen, errnum, "remove breakpoints") : NULL;
}

static struct nunchi_error *plan(void *data, struct guard_plan *ret)
{
	struct xen_target *xen = data;

	*ret = (struct guard_plan){.handle = xen->xen.driver,
				   .kind = GUARD_XEN_EVENTS,
				   .domctl = xen->xen.domctl,
				   .domain = xen->domain.id,
				   .ring_version = xen->stops.monitor.version,
				   .vcpus = xen->stops.monitor.vcpus,
				   .pauses = xen->undo.key};
	return NULL;
}

static void advise(void *data, char *ret, size_t size)
{
	(void)data;
	snprintf(ret, size, "if the guest stands still: nunchi info, which tries again");
}

static const struct undo_ops undo_ops = {
    .type = UNDO_EVENTS,
    .words = {"with an event ring", "removing it",
	      "with an event ring: it was removed, and vCPUs that waited go on"},
    .certain = true,
    .actor = {.look = look, .restore = restore, .clear = clear, .hides = true},
    .set = set,
    .plan = plan,
    .is_dead = xen_is_dead,
    .advise = advise,
};

/* ---- The target ------------------------------------------------------------------------------ */

void xen_stops_init(struct xen_target *xen)
{
	char name[64];

	xen_undo_name(&xen->domain, name, sizeof(name));
	undo_init(&xen->stops.undo, &undo_ops, xen, "xenevents", "%s", name);
	xen->stops.monitor = (struct monitor){.call = call,
					      .map = map,
					      .unmap = unmap,
					      .data = xen,
					      .argument = xen->xen.argument,
					      .domctl = xen->xen.domctl,
					      .vcpus = xen->domain.vcpus,
					      .domain = xen->domain.id};
}

static void describe_available(struct xen_target *xen, uint32_t has)
{
	struct xen_stops *stops = &xen->stops;

	stops->ignores_length = xen->xen.calls.ignores_length();
	stops->no_breakpoints =
	    xen->xen.calls.no_breakpoints(xen->domain.type == XEN_TYPE_PVH, xen->domain.vcpus);
	if (!(has >> XEN_MONITOR_BREAKPOINT & 1))
		stops->no_breakpoints = "this Xen does not tell of INT3";
	target_set_support(&xen->base, TARGET_EVENTS, true,
			   "Xen's event ring, interface %u: cr3, cr4, msr; %s%s; not access to "
			   "memory",
			   stops->monitor.version,
			   stops->no_breakpoints ? "not the kernel's functions: "
						 : "the kernel's functions by INT3 "
						   "that the guest can see",
			   stops->no_breakpoints ? stops->no_breakpoints : "");
}

void xen_stops_describe(struct xen_target *xen)
{
	const uint32_t wanted = 1U << XEN_MONITOR_CONTROL | 1U << XEN_MONITOR_MSR;
	struct xen_stops *stops = &xen->stops;
	struct target *target = &xen->base;
	uint32_t has = 0;
	int errnum;

	if (xen->domain.type == XEN_TYPE_PV) {
		target_set_support(target, TARGET_EVENTS, false, "Xen has none of PV guests");
		return;
	}
	if (!xen->xen.domctl) {
		target_set_support(target, TARGET_EVENTS, false, "%s", xen->xen.no_control);
		return;
	}
	errnum = monitor_version(&stops->monitor, &stops->monitor.version);
	if (!errnum)
		errnum = monitor_capabilities(&stops->monitor, &has);
	if (!errnum && stops->monitor.version > RING_NEWEST)
		target_set_support(target, TARGET_EVENTS, false,
				   "Xen's event ring has interface %u, newer than this nunchi "
				   "knows (%u)",
				   stops->monitor.version, RING_NEWEST);
	else if (errnum || stops->monitor.version < MONITOR_OLDEST)
		target_set_support(target, TARGET_EVENTS, false,
				   "that needs Xen 4.14: before, the end of watching could harm "
				   "the guest");
	else if ((has & wanted) != wanted)
		target_set_support(target, TARGET_EVENTS, false,
				   "this Xen has no events of the guest's registers");
	else if (xen->domain.vcpus > RING_SLOTS)
		target_set_support(target, TARGET_EVENTS, false,
				   "it has %u vCPUs, of which Xen's event ring has room for %u",
				   xen->domain.vcpus, RING_SLOTS);
	else
		describe_available(xen, has);
}

void xen_stops_repair(struct xen_target *xen)
{
	char *repaired;
	bool complete;

	if (!xen->base.support[TARGET_EVENTS].available)
		return;
	complete = undo_repair(&xen->stops.undo, &repaired);
	target_note_repair(&xen->base, repaired, complete);
}

void xen_stops_forked(struct xen_target *xen)
{
	xen->stops.monitor.argument = xen->xen.argument;
}

/* Ends watching, and the guard. */
static void close_stops(struct target *target)
{
	struct xen_target *xen = xen_of(target);
	struct xen_stops *stops = &xen->stops;

	nunchi_error_destroy(undo_undo(&stops->undo));
	give_up_ring(xen);
	undo_deinit(&stops->undo);
	if (stops->channels >= 0)
		close(stops->channels);
	stops->channels = -1;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static struct nunchi_error *begin(struct xen_target *xen)
{
	struct xen_stops *stops = &xen->stops;
	_cleanup_free_ char *repaired = NULL;
	struct nunchi_error *err;
	bool ours = false;

	stops->end[0] = '\0';
	if (undo_log_look(stops->undo.key) == UNDO_LOG_HELD)
		return error_create(NUNCHI_ERROR_BUSY, "another nunchi watches this guest");
	stops->channels = xen->xen.calls.channels_open();
	if (stops->channels < 0)
		return error_hint(error_of_host(error_create_errno(errno, "cannot open "
									  "/dev/xen/evtchn")),
				  "load the module: sudo modprobe xen-evtchn");
	err = undo_do(&stops->undo, &ours, &repaired);
	if (repaired)
		target_note(&xen->base, "%s", repaired);
	if (err || ours)
		return err;
	err = still_watchable(xen);
	return err ? err : is_busy();
}

static struct nunchi_error *open_stops(struct target *target)
{
	struct xen_target *xen = xen_of(target);
	struct nunchi_error *err;

	if (!target->support[TARGET_EVENTS].available)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "%s: cannot watch it: %s",
				    target->name, target->support[TARGET_EVENTS].reason);
	if (xen->stops.ring)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s: it is watched already",
				    target->name);
	err = begin(xen);
	if (err)
		close_stops(target);
	return error_context(err, "%s: cannot watch it", target->name);
}

static int fd_of(const struct target *target)
{
	return ((const struct xen_target *)target)->stops.channels;
}

/* NUNCHI_ERROR_GONE, and why, if watching has ended. */
static struct nunchi_error *check_open(const struct xen_stops *stops)
{
	if (stops->ring)
		return NULL;
	return error_create(NUNCHI_ERROR_GONE, "it is not watched any more%s%s",
			    stops->end[0] ? ": " : "", stops->end);
}

/* ---- Events ---------------------------------------------------------------------------------- */

/* Lets the vCPU of an event go on. */
static struct nunchi_error *answer(struct xen_target *xen, uint64_t ticket,
				   const struct ring_answer *how)
{
	struct nunchi_error *err = ring_answer(xen->stops.ring, ticket, how);
	int errnum = err ? 0 : monitor_resume(&xen->stops.monitor);

	return errnum ? refused(xen, errnum, "take an answer") : err;
}

/* False for an event that was not asked for. */
static bool translate(const struct xen_stops *stops, const struct ring_event *event,
		      struct target_stop *ret)
{
	struct x86_registers registers = event->registers;

	if (!(registers.gs_base & KERNEL_HALF) && registers.kernel_gs_base & KERNEL_HALF) {
		registers.gs_base = event->registers.kernel_gs_base;
		registers.kernel_gs_base = event->registers.gs_base;
	}
	*ret = (struct target_stop){.kind = TARGET_STOP_EVENT,
				    .vcpu = event->vcpu,
				    .others_run = true,
				    .registers = registers};
	if (event->kind == RING_BREAKPOINT) {
		ret->kind = TARGET_STOP_BREAKPOINT;
		return !event->nested && xen_breakpoint_find(stops, registers.rip);
	}
	if (event->kind == RING_MSR) {
		ret->event = TARGET_EVENT_MSR;
		ret->index = (uint32_t)event->u.msr.index;
		ret->value = event->u.msr.value;
		ret->old = event->u.msr.old;
		return true;
	}
	if (event->kind != RING_CONTROL ||
	    (event->u.control.index != RING_CR3 && event->u.control.index != RING_CR4))
		return false;
	ret->event = event->u.control.index == RING_CR3 ? TARGET_EVENT_CR3 : TARGET_EVENT_CR4;
	ret->value = event->u.control.value;
	ret->old = event->u.control.old;
	return true;
}

/* Takes an event, and answers one that was not asked for. &error_stop if there is none. */
static struct nunchi_error *take(struct xen_target *xen, struct target_stop *ret)
{
	struct ring_answer how = {.emulation = RING_EXECUTE};
	struct x86_registers registers;
	struct ring_event event;
	struct nunchi_error *err = ring_take(xen->stops.ring, &event);

	if (err || !event.ticket)
		return err;
	if (translate(&xen->stops, &event, ret)) {
		xen->stops.ticket = event.ticket;
		xen->stops.at_breakpoint = event.kind == RING_BREAKPOINT;
		xen->stops.registers = event.registers;
		return NULL;
	}
	if (event.kind == RING_BREAKPOINT)
		err = xen_breakpoint_hand_on(xen, &event, &registers, &how);
	if (err)
		return err;
	/* An access that permissions forbid, which somebody left, would be tried again for ever. */
	if (event.kind == RING_ACCESS)
		how.emulation = RING_EMULATE;
	return answer(xen, event.ticket, &how);
}

static struct nunchi_error *next_here(struct xen_target *xen, struct target_stop *ret)
{
	struct xen_stops *stops = &xen->stops;
	struct nunchi_error *err = check_open(stops);

	if (err)
		return err;
	if (stops->ticket)
		return error_create(NUNCHI_ERROR_ARGUMENT, "a vCPU stands still already");
	xen->xen.calls.channels_clear(stops->channels);
	/* Of more than there is room for one came since, by which the channel is readable again. */
	for (unsigned i = 0; !err && !stops->ticket && i <= RING_SLOTS; i++)
		err = take(xen, ret);
	if (!stops->ticket)
		*ret = (struct target_stop){.kind = TARGET_STOP_NONE};
	if (err != &error_stop)
		return err;
	err = still_watchable(xen);
	if (error_is(err, NUNCHI_ERROR_GONE)) {
		nunchi_error_destroy(err);
		ret->kind = TARGET_STOP_GONE;
		return NULL;
	}
	return err;
}

/* After an error that is no refusal watching ends. */
static struct nunchi_error *end_if_broken(struct target *target, struct nunchi_error *err)
{
	if (err && !error_is(err, NUNCHI_ERROR_ARGUMENT) &&
	    !error_is(err, NUNCHI_ERROR_UNSUPPORTED) && !error_is(err, NUNCHI_ERROR_BUSY)) {
		if (xen_of(target)->stops.ring)
			snprintf(xen_of(target)->stops.end, sizeof(xen_of(target)->stops.end), "%s",
				 nunchi_error_message(err));
		close_stops(target);
	}
	return error_context(err, "%s", target->name);
}

static struct nunchi_error *next(struct target *target, struct target_stop *ret)
{
	return end_if_broken(target, next_here(xen_of(target), ret));
}

static struct nunchi_error *go(struct target *target, const struct target_stop *stop, uint64_t rip)
{
	struct xen_target *xen = xen_of(target);
	struct xen_stops *stops = &xen->stops;
	struct ring_answer how = {.emulation = RING_EXECUTE};
	struct nunchi_error *err = check_open(stops);
	uint64_t ticket = stops->ticket;

	(void)stop;
	if (err)
		return error_context(err, "%s", target->name);
	if (!ticket)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s: no vCPU stands still",
				    target->name);
	if (stops->at_breakpoint) {
		if (rip - stops->registers.rip > SKIP_MAX)
			return error_create_at(NUNCHI_ERROR_ARGUMENT, rip,
					       "%s: the vCPU does not stand there", target->name);
		how = xen_breakpoint_pass(stops, &stops->registers, rip);
	}
	stops->ticket = 0;
	return end_if_broken(target, answer(xen, ticket, &how));
}

static struct nunchi_error *observe_here(struct xen_target *xen, const struct xen_source *source)
{
	struct xen_stops *stops = &xen->stops;
	struct nunchi_error *err = check_open(stops);
	int errnum;

	if (err)
		return err;
	for (size_t i = 0; i < stops->source_count; i++) {
		if (!memcmp(&stops->sources[i], source, sizeof(*source)))
			return NULL;
	}
	if (stops->source_count == XEN_SOURCES_MAX)
		return error_create(NUNCHI_ERROR_BUSY, "at most %u kinds of events",
				    XEN_SOURCES_MAX);
	/* Noted before, so that it is switched off again. */
	stops->sources[stops->source_count++] = *source;
	errnum = monitor_set(&stops->monitor, source->event, source->index, true);
	return errnum ? refused(xen, errnum, "switch an event on") : NULL;
}

static struct nunchi_error *observe(struct target *target, enum target_event event, uint32_t index)
{
	struct xen_source source = {XEN_MONITOR_MSR, index};

	if (event != TARGET_EVENT_MSR)
		source = (struct xen_source){XEN_MONITOR_CONTROL,
					     event == TARGET_EVENT_CR3 ? RING_CR3 : RING_CR4};
	return end_if_broken(target, observe_here(xen_of(target), &source));
}

/* ---- Breakpoints ----------------------------------------------------------------------------- */

static struct nunchi_error *hold(struct target *target)
{
	struct nunchi_error *err = check_open(&xen_of(target)->stops);

	return end_if_broken(target, err ? err : target_pause(target));
}

static struct nunchi_error *release(struct target *target)
{
	return end_if_broken(target, target_resume(target));
}

static struct nunchi_error *insert(struct target *target, uint64_t address)
{
	const struct xen_source source = {XEN_MONITOR_BREAKPOINT, 0};
	struct xen_target *xen = xen_of(target);
	struct nunchi_error *err;

	if (xen->stops.no_breakpoints)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "%s: nunchi sets no breakpoints there: %s",
					       target->name, xen->stops.no_breakpoints),
				  "these probes work there, without --pid: cr3, cr4, msr");
	err = end_if_broken(target, observe_here(xen, &source));
	/* Where it fails, as on a full disk, the guest is watched on without that one. */
	return err ? err : error_context(xen_breakpoint_insert(xen, address), "%s", target->name);
}

static struct nunchi_error *remove_breakpoint(struct target *target, uint64_t address)
{
	struct nunchi_error *err = check_open(&xen_of(target)->stops);

	return error_context(err ? err : xen_breakpoint_remove(xen_of(target), address), "%s",
			     target->name);
}

const struct target_stops_ops xen_stops = {
    .open = open_stops,
    .close = close_stops,
    .fd = fd_of,
    .next = next,
    .go = go,
    .hold = hold,
    .release = release,
    .insert = insert,
    .remove = remove_breakpoint,
    .observe = observe,
    .in_memory = true,
};
