/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens and closes QEMU's gdb stub, for the stops at breakpoints (stub_stops.c), and undoes what a
 * nunchi left that was killed. The stub is opened at run time: QEMU gets one end of a pair of
 * sockets over QMP, makes a character device of it, and serves gdb on that. There is no port and no
 * file by which somebody else could reach it.
 *
 * Who has the stub can do everything to QEMU, for it takes the commands of QEMU's monitor. So a
 * confined process does not have it: the process that controls the guest does
 * (target/controller.h).
 *
 * QEMU does not count stops. `stop` of somebody else while the guest stands still for us changes
 * nothing and is lost, as with a pause (pause.c).
 */
#include "target/qemu/stub.h"

#include "core/io.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/* The id of the character device, and the name of the descriptor. */
#define STUB_ID "nunchi-gdb"
/* How long the stub may take to take leave, which cannot be cancelled. */
#define LEAVE_US (10 * CLOCK_US_PER_S)
/* How long QEMU takes to end when it has closed the connection. */
#define END_US (2 * CLOCK_US_PER_S)
/* How often to look whether somebody has resumed the guest, if QEMU does not tell. */
#define LOOK_US (200 * CLOCK_US_PER_MS)
/* How often to look whether a nunchi has ended. */
#define RETRY_US (20 * CLOCK_US_PER_MS)

/* Not cancelled: the guest must not stay as it is. */
static struct gdb_wait leave_wait(void)
{
	return (struct gdb_wait){clock_us() + LEAVE_US, NULL};
}

static struct qmp_wait leave_qmp(void)
{
	return (struct qmp_wait){clock_us() + LEAVE_US, NULL};
}

/* ---- The sockets ----------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static struct nunchi_error *make_sockets(int sockets[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets))
		return error_create_errno(errno, "cannot make a pair of sockets");
	return NULL;
}

static struct nunchi_error *make_timer(struct qemu_stub *stub)
{
	const struct timespec interval = {.tv_nsec = LOOK_US * 1000};
	const struct itimerspec setting = {interval, interval};
	struct epoll_event event = {.events = EPOLLIN};

	stub->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	stub->both = epoll_create1(EPOLL_CLOEXEC);
	if (stub->timer < 0 || stub->both < 0 || timerfd_settime(stub->timer, 0, &setting, NULL) ||
	    epoll_ctl(stub->both, EPOLL_CTL_ADD, stub->timer, &event) ||
	    epoll_ctl(stub->both, EPOLL_CTL_ADD, stub->fd, &event))
		return error_create_errno(errno, "cannot make a timer");
	return NULL;
}

/* See struct gdb_stub. */
static bool is_mute(const struct qemu_target *qemu)
{
	return qmp_client_major(qemu->qmp) > 8 ||
	       (qmp_client_major(qemu->qmp) == 8 && qmp_client_minor(qemu->qmp) > 0);
}

static struct nunchi_error *prepare(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	struct nunchi_error *err;
	int sockets[2];

	err = make_sockets(sockets);
	if (err)
		return err;
	stub->fd = sockets[0];
	stub->peer = sockets[1];
	stub->mute |= is_mute(qemu);
	return stub->mute ? make_timer(stub) : NULL;
}

/* ---- QEMU's side ----------------------------------------------------------------------------- */

/*
 * Gives QEMU its end of the sockets and has it serve gdb there, which stops the guest.
 * *ret_attached tells whether that may have happened.
 */
static struct nunchi_error *give_stub(struct qemu_target *qemu, int *peer, bool *ret_attached)
{
	const struct qmp_wait wait = leave_qmp();
	_cleanup_json_ json_t *named = json_pack("{s:s}", "fdname", STUB_ID);
	_cleanup_json_ json_t *device =
	    json_pack("{s:s, s:{s:s, s:{s:{s:s, s:{s:s}}, s:b}}}", "id", STUB_ID, "backend", "type",
		      "socket", "data", "addr", "type", "fd", "data", "str", STUB_ID, "server", 0);
	_cleanup_free_ char *said = NULL;
	struct nunchi_error *err;

	if (!named || !device)
		return &error_nomem;
	err = qmp_client_execute_with_fd(qemu->qmp, "getfd", named, *peer, &wait);
	if (err)
		return err;
	close_fd(peer);
	err = qmp_client_execute(qemu->qmp, "chardev-add", device, &wait, NULL);
	if (err)
		return err;
	*ret_attached = true;
	err = qmp_client_human(qemu->qmp, "gdbserver chardev:" STUB_ID, -1, &wait, &said);
	if (err || !strncmp(said, "Waiting for gdb connection", 26))
		return err;
	*ret_attached = false;
	return error_create(NUNCHI_ERROR_UNSUPPORTED, "QEMU opens no gdb stub: %.*s",
			    (int)strcspn(said, "\r\n"), said);
}

/*
 * Takes the stub away, which removes the character device as well; the device alone, if there is no
 * stub on it. Changes nothing of the guest.
 */
static void take_stub(struct qemu_target *qemu)
{
	const struct qmp_wait wait = leave_qmp();
	_cleanup_json_ json_t *device = json_pack("{s:s}", "id", STUB_ID);
	char *said = NULL;

	nunchi_error_destroy(qmp_client_human(qemu->qmp, "gdbserver none", -1, &wait, &said));
	free(said);
	nunchi_error_destroy(qmp_client_execute(qemu->qmp, "chardev-remove", device, &wait, NULL));
}

/* What QEMU connects a character device to; NULL if there is none of that name. */
static const char *find_device(const json_t *devices, const char *name)
{
	const json_t *device;
	size_t i;

	json_array_foreach(devices, i, device)
	{
		const char *label = json_string_value(json_object_get(device, "label"));
		const char *to = json_string_value(json_object_get(device, "filename"));

		if (label && !strcmp(label, name))
			return to ? to : "";
	}
	return NULL;
}

/*
 * What QEMU connects the gdb stub of somebody else to: a device of this name, unless its command
 * line names another one. NULL if there is none.
 */
static const char *find_debugger(const struct qemu_target *qemu, const json_t *devices)
{
	const char *named = qemu->process.cmdline.gdb_chardev;
	const char *to = find_device(devices, "gdb");

	return to || !named ? to : find_device(devices, named);
}

/* Looks whether a stub is open, and takes away one that a nunchi left that is gone. */
static struct nunchi_error *check_stub(struct qemu_target *qemu, bool *ret_ours)
{
	const struct qmp_wait wait = qemu_wait(qemu);
	_cleanup_json_ json_t *devices = NULL;
	struct nunchi_error *err =
	    qmp_client_execute(qemu->qmp, "query-chardev", NULL, &wait, &devices);
	const char *other;

	*ret_ours = false;
	if (err)
		return err;
	other = find_debugger(qemu, devices);
	if (other)
		return error_hint(error_create(NUNCHI_ERROR_BUSY,
					       "QEMU's gdb stub is open for somebody else (%s)",
					       other),
				  "if nobody debugs the guest, close it in QEMU's monitor: "
				  "`gdbserver none`");
	other = find_device(devices, STUB_ID);
	*ret_ours = other && strncmp(other, "disconnected", 12) != 0;
	/* That nunchi had detached, or its guard did. */
	if (other && !*ret_ours)
		take_stub(qemu);
	return NULL;
}

/* Whether the guest can be watched: it runs, and nobody debugs it. */
static struct nunchi_error *check_free(struct qemu_target *qemu)
{
	const uint64_t deadline = clock_us() + END_US;
	enum qemu_status status;
	bool ours = true;
	struct nunchi_error *err = qemu_query_status(qemu, &status);

	if (!err && status != QEMU_RUNNING)
		return error_hint(error_create(NUNCHI_ERROR_BUSY,
					       "somebody has paused the guest, or it has ended"),
				  "resume it first: `virsh resume`, or `cont` in QEMU's monitor");
	/* A nunchi that was just killed, and its guard, end in a moment. */
	while (!err && ours && clock_us() < deadline) {
		err = check_stub(qemu, &ours);
		if (!err && ours && io_sleep_until(clock_us() + RETRY_US, qemu->cancel))
			break;
	}
	return err || !ours ? err
			    : error_create(NUNCHI_ERROR_BUSY, "another nunchi watches this guest");
}

/* TCG ignores breakpoints while it steps; of KVM that is not certain. */
static bool steps_over(struct qemu_target *qemu)
{
	const struct qmp_wait wait = qemu_wait(qemu);
	_cleanup_json_ json_t *kvm = NULL;

	nunchi_error_destroy(qmp_client_execute(qemu->qmp, "query-kvm", NULL, &wait, &kvm));
	return json_is_false(json_object_get(kvm, "enabled"));
}

/* ---- Undoing --------------------------------------------------------------------------------- */

static struct nunchi_error *look(void *data, enum undo_seen *ret)
{
	struct qemu_target *qemu = data;
	const struct qmp_wait wait = qemu_wait(qemu);
	_cleanup_json_ json_t *devices = NULL;
	struct nunchi_error *err =
	    qmp_client_execute(qemu->qmp, "query-chardev", NULL, &wait, &devices);

	if (err)
		return err;
	if (find_device(devices, STUB_ID))
		*ret = UNDO_SEEN_SET;
	else
		/* Who debugs the guest since then decides about it. */
		*ret = find_debugger(qemu, devices) ? UNDO_SEEN_GONE : UNDO_SEEN_CLEAR;
	return NULL;
}

static struct nunchi_error *set(void *data)
{
	struct qemu_target *qemu = data;
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait answer = qemu_stub_wait(qemu);
	struct nunchi_error *err = gdb_client_create(stub->fd, &stub->watch.stub, &stub->client);

	stub->undone = false;
	stub->watch.stub.has_stopped_it = true;
	if (!err)
		err = give_stub(qemu, &stub->peer, &stub->attached);
	if (!err)
		err = gdb_client_start(stub->client, &answer);
	if (!err)
		err = gdb_client_continue(stub->client, &answer);
	return err;
}

/*
 * Whether somebody else has the guest paused, whom nobody has resumed: it does not run, and has not
 * met a breakpoint since.
 */
static struct nunchi_error *ask_paused(struct qemu_target *qemu, bool *ret)
{
	enum qemu_status status;
	struct nunchi_error *err = qemu_query_status(qemu, &status);

	if (!err)
		*ret = status != QEMU_RUNNING && status != QEMU_DEBUG;
	return err;
}

struct nunchi_error *qemu_stub_check_paused(struct qemu_target *qemu)
{
	struct qemu_watch *watch = &qemu->stub.watch;

	if (gdb_client_has_stopped_it(qemu->stub.client))
		watch->paused = false;
	return watch->paused ? ask_paused(qemu, &watch->paused) : NULL;
}

struct nunchi_error *qemu_stub_take_unread(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	struct gdb_stop stop;
	bool stopped;
	struct nunchi_error *err = gdb_client_poll(stub->client, qemu->cancel, &stopped, &stop);

	if (err || !stopped)
		return err;
	if (stop.kind == GDB_STOP_ENDED || stop.signal == GDB_SIGNAL_QUIT)
		return error_create(NUNCHI_ERROR_GONE, "the guest has ended");
	if (stop.signal != GDB_SIGNAL_TRAP)
		stub->watch.paused = stub->paused_unsaid = true;
	return NULL;
}

/* Removes the breakpoints one by one, while the guest stays paused. */
static struct nunchi_error *remove_all(struct qemu_stub *stub)
{
	const struct gdb_wait wait = leave_wait();
	struct nunchi_error *err = gdb_client_renew(stub->client, &wait);

	for (size_t i = 0; !err && i < stub->watch.count; i++) {
		err = gdb_client_remove(stub->client, stub->watch.breakpoints[i], &wait);
		/* It was not set yet. */
		if (error_is(err, NUNCHI_ERROR_UNSUPPORTED)) {
			nunchi_error_destroy(err);
			err = NULL;
		}
	}
	return err;
}

/* Ends debugging over a connection that is open. */
static struct nunchi_error *detach(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = leave_wait();
	struct nunchi_error *err = NULL;

	/* Otherwise what comes is the answer to a request that was broken off. */
	if (!gdb_client_has_stopped_it(stub->client))
		err = qemu_stub_take_unread(qemu);
	if (!err)
		err = qemu_stub_check_paused(qemu);
	if (!err && stub->watch.paused) {
		err = remove_all(stub);
		/* Unless somebody has resumed it, and then a request stopped it. */
		if (!err && !gdb_client_has_stopped_it(stub->client))
			return NULL;
	}
	/* A guest that stands still for good is the greater harm. */
	nunchi_error_destroy(err);
	return gdb_client_detach(stub->client, &wait);
}

/* Whether the guest may be paused by somebody else, and not by what this process has done. */
static struct nunchi_error *may_be_paused(struct qemu_target *qemu, bool *ret)
{
	const struct qemu_stub *stub = &qemu->stub;
	enum qemu_status status;
	struct nunchi_error *err = qemu_query_status(qemu, &status);

	if (!err)
		*ret = status == QEMU_PAUSED &&
		       !(stub->client && gdb_client_has_stopped_it(stub->client));
	return err;
}

/* Removes the breakpoints, and resumes the guest unless it is to stay paused. */
static struct nunchi_error *detach_by(struct gdb_client *client, bool paused)
{
	const struct gdb_wait wait = leave_wait();
	struct nunchi_error *err = paused ? gdb_client_remove_all(client, &wait) : NULL;

	/* Somebody has resumed it, and then a request stopped it. */
	if (!err && (!paused || gdb_client_has_stopped_it(client)))
		err = gdb_client_detach(client, &wait);
	return err;
}

/* A nunchi was killed: a stub of our own ends what that one had begun. */
static struct nunchi_error *detach_anew(struct qemu_target *qemu)
{
	_cleanup_gdb_client_ struct gdb_client *client = NULL;
	struct gdb_stub stub = {.mute = is_mute(qemu)};
	int sockets[2];
	bool attached, paused = false;
	struct nunchi_error *err = may_be_paused(qemu, &paused);

	if (err)
		return err;
	take_stub(qemu);
	err = make_sockets(sockets);
	if (err)
		return err;
	err = gdb_client_create(sockets[0], &stub, &client);
	if (!err)
		err = give_stub(qemu, &sockets[1], &attached);
	if (!err)
		err = detach_by(client, paused);
	if (!err && paused)
		target_note(&qemu->base, "this guest is paused, either by a nunchi that was killed "
					 "or by somebody else: if nobody else has paused it, send "
					 "`cont` to its monitor");
	/* Otherwise QEMU may yet do what it was told. */
	if (!err)
		take_stub(qemu);
	close_fd(&sockets[0]);
	close_fd(&sockets[1]);
	return err;
}

/* Waits a little for the end of QEMU, which closes its connections before. */
static bool may_live(const struct qemu_target *qemu)
{
	if (qemu->pidfd >= 0)
		io_wait(qemu->pidfd, POLLIN, clock_us() + END_US, NULL);
	return qemu_is_alive(qemu);
}

/*
 * The stub itself stays until the log is closed: our guard, if we are killed, would find no stub to
 * tell when it has stopped the guest.
 */
static struct nunchi_error *clear(void *data)
{
	struct qemu_target *qemu = data;
	struct qemu_stub *stub = &qemu->stub;
	const struct cancel *cancel = qemu->cancel;
	struct nunchi_error *err = NULL;

	qemu->cancel = NULL;
	if (stub->attached)
		err = detach(qemu);
	/* QEMU ends, or somebody has taken the stub away. */
	if (error_is(err, NUNCHI_ERROR_GONE) && may_live(qemu)) {
		nunchi_error_destroy(err);
		err = detach_anew(qemu);
	} else if (!stub->client) {
		err = detach_anew(qemu);
	}
	if (err && !qemu_is_alive(qemu)) {
		nunchi_error_destroy(err);
		err = NULL;
	}
	qemu->cancel = cancel;
	stub->undone = !err;
	return err;
}

static struct nunchi_error *plan(void *data, struct guard_plan *ret)
{
	static const char undo[] = GDB_UNDO;
	struct qemu_target *qemu = data;

	*ret = (struct guard_plan){.handle = qemu->stub.fd,
				   .kind = GUARD_SEND,
				   .undo = undo,
				   .undo_size = sizeof(undo) - 1,
				   .done = GDB_UNDONE,
				   .threads = &qemu->threads};
	return NULL;
}

static void advise(void *data, char *ret, size_t size)
{
	(void)data;
	snprintf(ret, size,
		 "if the guest stands still and nobody else has paused it, send `cont` to its "
		 "monitor");
}

static const struct undo_ops undo_ops = {
    .type = UNDO_STUB,
    .words = {"with breakpoints in it", "removing them",
	      "with breakpoints in it: they were removed, and it was resumed if it stood at one"},
    .certain = true,
    .actor = {.look = look, .clear = clear, .hides = true},
    .set = set,
    .plan = plan,
    .is_dead = qemu_is_dead,
    .advise = advise,
};

void qemu_stub_init(struct qemu_target *qemu)
{
	qemu->stub.fd = qemu->stub.peer = qemu->stub.timer = qemu->stub.both = -1;
	qemu_undo_init(qemu, &qemu->stub.undo, &undo_ops, "qemustub");
}

/*
 * Gives up everything. A stub that has not detached stays, for the guard or QEMU to do so: without
 * it the guest would stand still.
 */
static void leave(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;

	if (stub->client && stub->undone && qemu->qmp)
		take_stub(qemu);
	/* The guard has a copy of our end. */
	undo_deinit(&stub->undo);
	gdb_client_destroy(stub->client);
	stub->client = NULL;
	stub->attached = stub->paused_unsaid = false;
	close_fd(&stub->both);
	close_fd(&stub->timer);
	close_fd(&stub->fd);
	close_fd(&stub->peer);
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static struct nunchi_error *begin(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	_cleanup_free_ char *repaired = NULL;
	struct nunchi_error *err;
	bool ours = false;

	if (undo_log_look(stub->undo.key) == UNDO_LOG_HELD)
		return error_create(NUNCHI_ERROR_BUSY, "another nunchi watches this guest");
	qemu_repair(qemu);
	err = check_free(qemu);
	if (!err)
		err = prepare(qemu);
	stub->watch =
	    (struct qemu_watch){.stub.mute = is_mute(qemu), .steps_over = !err && steps_over(qemu)};
	if (!err)
		err = undo_do(&stub->undo, &ours, &repaired);
	if (!err && !ours)
		err = error_create(NUNCHI_ERROR_BUSY, "another nunchi watches this guest");
	if (err)
		leave(qemu);
	return err;
}

struct nunchi_error *qemu_stub_open(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);

	if (!target->support[TARGET_EVENTS].available)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "%s: cannot watch it: %s",
				    target->name, target->support[TARGET_EVENTS].reason);
	if (qemu->stub.client)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s: it is watched already",
				    target->name);
	return error_context(begin(qemu), "%s: cannot watch it", target->name);
}

void qemu_stub_close(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);

	nunchi_error_destroy(undo_undo(&qemu->stub.undo));
	leave(qemu);
}
