/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stops at breakpoints in a guest of QEMU, and going on after them (target/stops.h), by a gdb stub
 * that stub.c has opened.
 */
#include "target/qemu/stub.h"
#include "target/stops.h"

#include <inttypes.h>
#include <unistd.h>

/* A step over HLT does not end, for the stub masks interrupts while it steps. */
#define STEP_US (500 * CLOCK_US_PER_MS)
/* An instruction with a REP prefix takes a step for each turn. */
#define STEPS_MAX 4096
/*
 * After so many stops QEMU's events are taken out of the connection; QEMU keeps them in its own
 * memory otherwise. A stop and the step after it make four events of about 120 bytes.
 */
#define STOPS_OF_EVENTS 64

/*
 * After an error that leaves open what the stub has done, watching ends, and if the guest stands
 * still although it is not held; other refusals leave the guest as it was.
 */
static struct nunchi_error *end_if_broken(struct target *target, struct nunchi_error *err)
{
	struct qemu_stub *stub = &qemu_of(target)->stub;
	bool stands = stub->client && !stub->watch.held && gdb_client_has_stopped_it(stub->client);

	if (err && (stands ||
		    (!error_is(err, NUNCHI_ERROR_BUSY) && !error_is(err, NUNCHI_ERROR_ARGUMENT) &&
		     !error_is(err, NUNCHI_ERROR_UNSUPPORTED))))
		qemu_stub_close(target);
	return error_context(err, "%s", target->name);
}

static struct nunchi_error *check_open(struct target *target, bool held)
{
	const struct qemu_stub *stub = &qemu_of(target)->stub;

	if (!stub->client)
		return error_create(NUNCHI_ERROR_GONE, "%s: it is not watched any more",
				    target->name);
	if (stub->watch.held != held)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s: it %s", target->name,
				    held ? "does not stand still" : "stands still already");
	return NULL;
}

static int fd_of(const struct target *target)
{
	const struct qemu_stub *stub = &((const struct qemu_target *)target)->stub;

	return stub->both >= 0 ? stub->both : stub->fd;
}

/* ---- Stops ----------------------------------------------------------------------------------- */

/* The index of a breakpoint; count if there is none at the address. */
static size_t find_breakpoint(const struct qemu_watch *watch, uint64_t address)
{
	size_t i = 0;

	while (i < watch->count && watch->breakpoints[i] != address)
		i++;
	return i;
}

static bool has_breakpoint(const struct qemu_watch *watch, uint64_t address)
{
	return find_breakpoint(watch, address) < watch->count;
}

/*
 * Takes the breakpoints out of a guest that somebody has paused, if QEMU would not tell when it
 * meets one; it would stand still for good.
 */
static struct nunchi_error *park(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	struct nunchi_error *err = NULL;

	stub->watch.paused = true;
	if (!stub->mute || stub->watch.parked)
		return NULL;
	for (size_t i = 0; !err && i < stub->watch.count; i++)
		err = gdb_client_remove(stub->client, stub->watch.breakpoints[i], &wait);
	stub->watch.parked = !err;
	return err;
}

/* Stops the guest, if it runs, and puts the breakpoints in again that park() took out. */
static struct nunchi_error *stop_it(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	struct gdb_stop stop = {.kind = GDB_STOP_SIGNAL};
	struct nunchi_error *err = NULL;

	if (!gdb_client_has_stopped_it(stub->client))
		err = gdb_client_interrupt(stub->client, &wait, &stop);
	if (!err && (stop.kind == GDB_STOP_ENDED || stop.signal == GDB_SIGNAL_QUIT))
		return error_create(NUNCHI_ERROR_GONE, "the guest has ended");
	for (size_t i = 0; !err && stub->watch.parked && i < stub->watch.count; i++)
		err = gdb_client_insert(stub->client, stub->watch.breakpoints[i], &wait);
	stub->watch.parked &= err != NULL;
	return err;
}

/* If the timer tells to: whether somebody has resumed the guest that somebody had paused. */
static struct nunchi_error *look_for_resume(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	struct nunchi_error *err;
	uint64_t times;

	if (stub->timer < 0 || read(stub->timer, &times, sizeof(times)) != sizeof(times) ||
	    !stub->watch.parked)
		return NULL;
	err = qemu_stub_check_paused(qemu);
	if (err || stub->watch.paused)
		return err;
	err = stop_it(qemu);
	return err ? err : gdb_client_continue(stub->client, &wait);
}

/*
 * The guest met a breakpoint; or one that was removed meanwhile, or the end of a step that was
 * given up, and then goes on.
 */
static struct nunchi_error *meet(struct qemu_target *qemu, const struct gdb_stop *stop,
				 struct target_stop *ret)
{
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	struct target_stop met = {.kind = TARGET_STOP_BREAKPOINT};
	struct nunchi_error *err;

	if (!gdb_client_vcpu(stub->client, stop, &met.vcpu))
		return error_create(NUNCHI_ERROR_DATA,
				    "gdb stub: QEMU does not say which vCPU has stopped");
	err = gdb_client_read(stub->client, met.vcpu, &wait, &met.registers);
	if (err)
		return err;
	stub->watch.paused = false;
	if (!has_breakpoint(&stub->watch, met.registers.rip)) {
		*ret = (struct target_stop){.kind = TARGET_STOP_NONE};
		return gdb_client_continue(stub->client, &wait);
	}
	stub->watch.held = true;
	*ret = met;
	return NULL;
}

static struct nunchi_error *take_stop(struct qemu_target *qemu, const struct gdb_stop *stop,
				      struct target_stop *ret)
{
	if (stop->kind == GDB_STOP_ENDED || stop->signal == GDB_SIGNAL_QUIT) {
		*ret = (struct target_stop){.kind = TARGET_STOP_GONE};
		return NULL;
	}
	if (stop->signal == GDB_SIGNAL_TRAP)
		return meet(qemu, stop, ret);
	*ret = (struct target_stop){.kind = TARGET_STOP_PAUSED};
	return park(qemu);
}

static struct nunchi_error *next(struct target *target, struct target_stop *ret)
{
	struct qemu_target *qemu = qemu_of(target);
	struct nunchi_error *err = check_open(target, false);
	struct gdb_stop stop;
	bool stopped = false;

	if (err)
		return err;
	if (qemu->stub.paused_unsaid) {
		qemu->stub.paused_unsaid = false;
		*ret = (struct target_stop){.kind = TARGET_STOP_PAUSED};
		return NULL;
	}
	err = look_for_resume(qemu);
	if (!err)
		err = gdb_client_poll(qemu->stub.client, qemu->cancel, &stopped, &stop);
	if (!err && stopped)
		err = take_stop(qemu, &stop, ret);
	else if (!err)
		*ret = (struct target_stop){.kind = TARGET_STOP_NONE};
	return end_if_broken(target, err);
}

/* ---- Going on -------------------------------------------------------------------------------- */

/* One step. *ret_again: the instruction is not done, because it repeats. */
static struct nunchi_error *step(struct qemu_target *qemu, unsigned vcpu, uint64_t address,
				 bool *ret_again)
{
	struct gdb_client *client = qemu->stub.client;
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	const struct gdb_wait patience = {clock_us() + STEP_US, qemu->cancel};
	struct gdb_stop stop;
	struct nunchi_error *err = gdb_client_step(client, vcpu, &patience, &stop);
	uint64_t rip;

	*ret_again = false;
	if (error_is(err, NUNCHI_ERROR_TIMEOUT)) {
		nunchi_error_destroy(err);
		return gdb_client_interrupt(client, &wait, &stop);
	}
	if (err)
		return err;
	if (stop.kind == GDB_STOP_ENDED)
		return error_create(NUNCHI_ERROR_GONE, "the guest has ended");
	if (stop.signal != GDB_SIGNAL_TRAP) {
		qemu->stub.paused_unsaid = true;
		return park(qemu);
	}
	err = gdb_client_read_rip(client, vcpu, &wait, &rip);
	*ret_again = !err && rip == address;
	return err;
}

/* Has a vCPU execute the instruction at a breakpoint. */
static struct nunchi_error *step_over(struct qemu_target *qemu, unsigned vcpu, uint64_t address)
{
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	struct nunchi_error *err = NULL;
	bool again = true;

	if (!stub->watch.steps_over)
		err = gdb_client_remove(stub->client, address, &wait);
	for (unsigned i = 0; !err && again && i < STEPS_MAX; i++)
		err = step(qemu, vcpu, address, &again);
	if (!err && !stub->watch.steps_over && !stub->watch.parked)
		err = gdb_client_insert(stub->client, address, &wait);
	return err;
}

static struct nunchi_error *resume(struct qemu_target *qemu)
{
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	enum target_state state;

	qemu->stub.watch.held = false;
	if (++qemu->stub.stops % STOPS_OF_EVENTS == 0)
		nunchi_error_destroy(target_get_state(&qemu->base, &state));
	return gdb_client_continue(qemu->stub.client, &wait);
}

static struct nunchi_error *go(struct target *target, const struct target_stop *stop, uint64_t rip)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	struct nunchi_error *err = check_open(target, true);

	if (err)
		return err;
	if (rip != stop->registers.rip)
		err = gdb_client_write_rip(stub->client, stop->vcpu, rip, &wait);
	if (!err && has_breakpoint(&stub->watch, rip))
		err = step_over(qemu, stop->vcpu, rip);
	if (!err && stub->paused_unsaid)
		stub->watch.held = false;
	else if (!err)
		err = resume(qemu);
	/* Whatever failed: the guest stands still at a breakpoint, which nobody would end. */
	if (err)
		qemu_stub_close(target);
	return error_context(err, "%s", target->name);
}

static struct nunchi_error *hold(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub *stub = &qemu->stub;
	struct nunchi_error *err = check_open(target, false);

	if (err)
		return err;
	err = qemu_stub_take_unread(qemu);
	if (!err)
		err = qemu_stub_check_paused(qemu);
	stub->watch.resume = !stub->watch.paused;
	if (!err)
		err = stub->watch.resume ? stop_it(qemu) : park(qemu);
	stub->watch.held = !err;
	return end_if_broken(target, err);
}

static struct nunchi_error *release(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub *stub = &qemu->stub;
	struct nunchi_error *err = check_open(target, true);

	if (err)
		return err;
	if (stub->watch.resume || gdb_client_has_stopped_it(stub->client))
		err = resume(qemu);
	stub->watch.held = false;
	return end_if_broken(target, err);
}

static struct nunchi_error *insert(struct target *target, uint64_t address)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_watch *watch = &qemu->stub.watch;
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	struct nunchi_error *err = check_open(target, true);

	if (err)
		return err;
	if (has_breakpoint(watch, address))
		return error_create_at(NUNCHI_ERROR_ARGUMENT, address,
				       "%s: there is a breakpoint at 0x%" PRIx64 " already",
				       target->name, address);
	if (watch->count == QEMU_BREAKPOINTS_MAX)
		return error_create(NUNCHI_ERROR_BUSY, "%s: it has %u breakpoints already",
				    target->name, QEMU_BREAKPOINTS_MAX);
	/* Noted before, so that whoever closes the stub removes it. */
	watch->breakpoints[watch->count++] = address;
	if (!watch->parked)
		err = gdb_client_insert(qemu->stub.client, address, &wait);
	if (err)
		watch->count--;
	return end_if_broken(target, err);
}

static struct nunchi_error *remove_breakpoint(struct target *target, uint64_t address)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_watch *watch = &qemu->stub.watch;
	const struct gdb_wait wait = qemu_stub_wait(qemu);
	struct nunchi_error *err = check_open(target, true);
	size_t at;

	if (err)
		return err;
	at = find_breakpoint(watch, address);
	if (at == watch->count)
		return error_create_at(NUNCHI_ERROR_ARGUMENT, address,
				       "%s: there is no breakpoint at 0x%" PRIx64, target->name,
				       address);
	if (!watch->parked)
		err = gdb_client_remove(qemu->stub.client, address, &wait);
	if (!err)
		watch->breakpoints[at] = watch->breakpoints[--watch->count];
	return end_if_broken(target, err);
}

const struct target_stops_ops qemu_stops = {
    .open = qemu_stub_open,
    .close = qemu_stub_close,
    .fd = fd_of,
    .next = next,
    .go = go,
    .hold = hold,
    .release = release,
    .insert = insert,
    .remove = remove_breakpoint,
};
