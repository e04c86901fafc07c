/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Breakpoints in a guest of QEMU (target/stops.h), by QEMU's gdb stub. The stub is opened at run
 * time: QEMU gets one end of a pair of sockets over QMP, makes a character device of it, and serves
 * gdb on that. There is no port and no file by which somebody else could reach it.
 *
 * Who has the QMP connection opens and closes the stub: this process, or the one that controls the
 * guest if this one is confined. A confined process only talks to the stub. What both must know is
 * in memory that they share.
 *
 * QEMU does not count stops. `stop` of somebody else while the guest stands still for us changes
 * nothing and is lost, as with a pause (pause.c).
 */
#include "target/controller.h"
#include "target/qemu/internal.h"
#include "target/stops.h"

#include "core/io.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/* The id of the character device, and the name of the descriptor. */
#define STUB_ID "nunchi-gdb"
/* How long the stub may take to answer, and to take leave, which cannot be cancelled. */
#define ANSWER_US (5 * CLOCK_US_PER_S)
#define LEAVE_US  (10 * CLOCK_US_PER_S)
/* How long QEMU takes to end when it has closed the connection. */
#define END_US (2 * CLOCK_US_PER_S)
/* How often to look whether somebody has resumed the guest, if QEMU does not tell. */
#define LOOK_US (200 * CLOCK_US_PER_MS)
/* How often to look whether a nunchi has ended. */
#define RETRY_US (20 * CLOCK_US_PER_MS)
/* A step over HLT does not end, for the stub masks interrupts while it steps. */
#define STEP_US (500 * CLOCK_US_PER_MS)
/* An instruction with a REP prefix takes a step for each turn. */
#define STEPS_MAX 4096
/* TCG sets any number, KVM four. */
#define BREAKPOINTS_MAX 256
/*
 * After so many stops QEMU's events are taken out of the connection; QEMU keeps them in its own
 * memory otherwise. A stop and the step after it make four events of about 120 bytes.
 */
#define STOPS_OF_EVENTS 64

struct qemu_stub_page {
	struct gdb_stub stub;
	bool open;
	bool steps_over; /* a single step ignores breakpoints */
	bool paused;     /* somebody else has paused the guest, as far as is known */
	bool held;       /* between hold() and release(), or a breakpoint and go() */
	bool resume;     /* release() resumes the guest */
	bool parked;     /* QEMU does not have the breakpoints, until the guest runs again */
	size_t count;
	uint64_t breakpoints[BREAKPOINTS_MAX];
};

static struct gdb_wait answer_wait(const struct qemu_target *qemu)
{
	return (struct gdb_wait){clock_us() + ANSWER_US, qemu->cancel};
}

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

struct nunchi_error *qemu_stub_prepare(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	struct nunchi_error *err;
	int sockets[2];

	if (stub->fd >= 0)
		return NULL;
	if (!stub->page) {
		void *page = mmap(NULL, sizeof(*stub->page), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (page == MAP_FAILED)
			return &error_nomem;
		stub->page = page;
	}
	err = make_sockets(sockets);
	if (err)
		return err;
	stub->fd = sockets[0];
	stub->peer = sockets[1];
	stub->mute |= qmp_client_major(qemu->qmp) > 8 ||
		      (qmp_client_major(qemu->qmp) == 8 && qmp_client_minor(qemu->qmp) > 0);
	return stub->mute ? make_timer(stub) : NULL;
}

void qemu_stub_confined(struct qemu_target *qemu)
{
	close_fd(&qemu->stub.peer);
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
	const struct gdb_wait answer = answer_wait(qemu);
	struct nunchi_error *err = gdb_client_create(stub->fd, &stub->page->stub, &stub->client);

	stub->undone = false;
	stub->page->stub.has_stopped_it = true;
	if (!err)
		err = give_stub(qemu, &stub->peer, &stub->attached);
	if (!err)
		err = gdb_client_start(stub->client, &answer);
	if (!err)
		err = gdb_client_continue(stub->client, &answer);
	stub->page->open = !err;
	return err;
}

/*
 * Whether somebody else has the guest paused, whom nobody has resumed: it does not run, and has not
 * met a breakpoint since. Who has no QMP connection learns of the breakpoint from the stub.
 */
static struct nunchi_error *ask_paused(struct qemu_target *qemu, bool *ret)
{
	enum target_state state = TARGET_PAUSED;
	enum qemu_status status = QEMU_PAUSED;
	struct nunchi_error *err = qemu->base.controller ? target_get_state(&qemu->base, &state)
							 : qemu_query_status(qemu, &status);

	if (!err)
		*ret = state != TARGET_RUNNING && status != QEMU_RUNNING && status != QEMU_DEBUG;
	return err;
}

/* Finds out whether somebody else has the guest paused, so that it is not to be resumed. */
static struct nunchi_error *check_paused(struct qemu_target *qemu)
{
	struct qemu_stub_page *page = qemu->stub.page;

	if (gdb_client_has_stopped_it(qemu->stub.client))
		page->paused = false;
	return page->paused ? ask_paused(qemu, &page->paused) : NULL;
}

/*
 * Takes a stop that next() has not read yet, before the guest is stopped or resumed: it may be
 * somebody's pause. A breakpoint is met again.
 */
static struct nunchi_error *take_unread(struct qemu_target *qemu)
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
		stub->page->paused = stub->paused_unsaid = true;
	return NULL;
}

/* Removes the breakpoints one by one, while the guest stays paused. */
static struct nunchi_error *remove_all(struct qemu_stub *stub)
{
	const struct gdb_wait wait = leave_wait();
	struct nunchi_error *err = gdb_client_renew(stub->client, &wait);

	for (size_t i = 0; !err && i < stub->page->count && i < BREAKPOINTS_MAX; i++) {
		err = gdb_client_remove(stub->client, stub->page->breakpoints[i], &wait);
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
		err = take_unread(qemu);
	if (!err)
		err = check_paused(qemu);
	if (!err && stub->page->paused)
		err = remove_all(stub);
	else if (!err)
		return gdb_client_detach(stub->client, &wait);
	if (!err)
		return NULL;
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
	struct gdb_stub stub = {.no_ack = false};
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

	if (stub->client && stub->undone && qemu->qmp && !qemu->base.controller)
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

void qemu_stub_destroy(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;

	nunchi_error_destroy(undo_undo(&stub->undo));
	leave(qemu);
	if (stub->page)
		munmap(stub->page, sizeof(*stub->page));
}

/* ---- Opening and closing --------------------------------------------------------------------- */

/* By who has the QMP connection. */
static struct nunchi_error *open_here(struct qemu_target *qemu)
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
		err = qemu_stub_prepare(qemu);
	if (err)
		return err;
	stub->page->steps_over = steps_over(qemu);
	err = undo_do(&stub->undo, &ours, &repaired);
	if (!err && !ours)
		err = error_create(NUNCHI_ERROR_BUSY, "another nunchi watches this guest");
	if (err)
		leave(qemu);
	return err;
}

static struct nunchi_error *open_stub(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub *stub = &qemu->stub;
	struct nunchi_error *err;

	if (!target->support[TARGET_EVENTS].available)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "%s: cannot watch it: %s",
				    target->name, target->support[TARGET_EVENTS].reason);
	if (stub->page && stub->page->open)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s: it is watched already",
				    target->name);
	if (stub->page)
		memset(stub->page, 0, sizeof(*stub->page));
	if (!target->controller)
		return error_context(open_here(qemu), "%s: cannot watch it", target->name);
	if (stub->fd < 0)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "%s: watching was not asked for before this process was "
				    "confined",
				    target->name);
	err = controller_watch(target->controller, target, true);
	return err ? err : gdb_client_create(stub->fd, &stub->page->stub, &stub->client);
}

static void close_stub(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = leave_wait();
	struct nunchi_error *err;

	if (!target->controller) {
		nunchi_error_destroy(undo_undo(&stub->undo));
		leave(qemu);
	} else if (stub->client) {
		err = controller_watch(target->controller, target, false);
		/* That process was killed, and its guard too, perhaps. */
		if (error_is(err, NUNCHI_ERROR_GONE))
			nunchi_error_destroy(gdb_client_detach(stub->client, &wait));
		nunchi_error_destroy(err);
		leave(qemu);
	}
	if (stub->page)
		stub->page->open = false;
}

/* If the process that controls the guest has ended, its guard takes part in the exchange. */
static struct nunchi_error *explain(const struct target *target, struct nunchi_error *err)
{
	if (!err || !target->controller || !controller_is_gone(target->controller))
		return err;
	nunchi_error_destroy(err);
	return error_create(NUNCHI_ERROR_GONE, "the process that controls the guest has ended");
}

/*
 * After an error that leaves open what the stub has done, watching ends, and if the guest stands
 * still although it is not held; other refusals leave the guest as it was.
 */
static struct nunchi_error *end_if_broken(struct target *target, struct nunchi_error *err)
{
	struct qemu_stub *stub = &qemu_of(target)->stub;
	bool stands = stub->client && !stub->page->held && gdb_client_has_stopped_it(stub->client);

	err = explain(target, err);
	if (err && (stands ||
		    (!error_is(err, NUNCHI_ERROR_BUSY) && !error_is(err, NUNCHI_ERROR_ARGUMENT) &&
		     !error_is(err, NUNCHI_ERROR_UNSUPPORTED))))
		close_stub(target);
	return error_context(err, "%s", target->name);
}

static struct nunchi_error *check_open(struct target *target, bool held)
{
	const struct qemu_stub *stub = &qemu_of(target)->stub;

	/* Its guard has detached: whatever was sent now would stop the guest. */
	if (stub->client && target->controller && controller_is_gone(target->controller))
		close_stub(target);
	if (!stub->client || !stub->page->open)
		return error_create(NUNCHI_ERROR_GONE, "%s: it is not watched any more",
				    target->name);
	if (stub->page->held != held)
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
static size_t find_breakpoint(const struct qemu_stub_page *page, uint64_t address)
{
	size_t i = 0;

	while (i < page->count && page->breakpoints[i] != address)
		i++;
	return i;
}

static bool has_breakpoint(const struct qemu_stub_page *page, uint64_t address)
{
	return find_breakpoint(page, address) < page->count;
}

/*
 * Takes the breakpoints out of a guest that somebody has paused, if QEMU would not tell when it
 * meets one; it would stand still for good.
 */
static struct nunchi_error *park(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = answer_wait(qemu);
	struct nunchi_error *err = NULL;

	stub->page->paused = true;
	if (!stub->mute || stub->page->parked)
		return NULL;
	for (size_t i = 0; !err && i < stub->page->count; i++)
		err = gdb_client_remove(stub->client, stub->page->breakpoints[i], &wait);
	stub->page->parked = !err;
	return err;
}

/* Stops the guest, if it runs, and puts the breakpoints in again that park() took out. */
static struct nunchi_error *stop_it(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = answer_wait(qemu);
	struct gdb_stop stop = {.kind = GDB_STOP_SIGNAL};
	struct nunchi_error *err = NULL;

	if (!gdb_client_has_stopped_it(stub->client))
		err = gdb_client_interrupt(stub->client, &wait, &stop);
	if (!err && (stop.kind == GDB_STOP_ENDED || stop.signal == GDB_SIGNAL_QUIT))
		return error_create(NUNCHI_ERROR_GONE, "the guest has ended");
	for (size_t i = 0; !err && stub->page->parked && i < stub->page->count; i++)
		err = gdb_client_insert(stub->client, stub->page->breakpoints[i], &wait);
	stub->page->parked &= err != NULL;
	return err;
}

/* If the timer tells to: whether somebody has resumed the guest that somebody had paused. */
static struct nunchi_error *look_for_resume(struct qemu_target *qemu)
{
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = answer_wait(qemu);
	struct nunchi_error *err;
	uint64_t times;

	if (stub->timer < 0 || read(stub->timer, &times, sizeof(times)) != sizeof(times) ||
	    !stub->page->parked)
		return NULL;
	err = check_paused(qemu);
	if (err || stub->page->paused)
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
	const struct gdb_wait wait = answer_wait(qemu);
	struct target_stop met = {.kind = TARGET_STOP_BREAKPOINT};
	struct nunchi_error *err;

	if (!gdb_client_vcpu(stub->client, stop, &met.vcpu))
		return error_create(NUNCHI_ERROR_DATA,
				    "gdb stub: QEMU does not say which vCPU has stopped");
	err = gdb_client_read(stub->client, met.vcpu, &wait, &met.registers);
	if (err)
		return err;
	stub->page->paused = false;
	if (!has_breakpoint(stub->page, met.registers.rip)) {
		*ret = (struct target_stop){.kind = TARGET_STOP_NONE};
		return gdb_client_continue(stub->client, &wait);
	}
	stub->page->held = true;
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
	const struct gdb_wait wait = answer_wait(qemu);
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
	const struct gdb_wait wait = answer_wait(qemu);
	struct nunchi_error *err = NULL;
	bool again = true;

	if (!stub->page->steps_over)
		err = gdb_client_remove(stub->client, address, &wait);
	for (unsigned i = 0; !err && again && i < STEPS_MAX; i++)
		err = step(qemu, vcpu, address, &again);
	if (!err && !stub->page->steps_over && !stub->page->parked)
		err = gdb_client_insert(stub->client, address, &wait);
	return err;
}

static struct nunchi_error *resume(struct qemu_target *qemu)
{
	const struct gdb_wait wait = answer_wait(qemu);
	enum target_state state;

	qemu->stub.page->held = false;
	if (++qemu->stub.stops % STOPS_OF_EVENTS == 0)
		nunchi_error_destroy(target_get_state(&qemu->base, &state));
	return gdb_client_continue(qemu->stub.client, &wait);
}

static struct nunchi_error *go(struct target *target, const struct target_stop *stop, uint64_t rip)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub *stub = &qemu->stub;
	const struct gdb_wait wait = answer_wait(qemu);
	struct nunchi_error *err = check_open(target, true);

	if (err)
		return err;
	if (rip != stop->registers.rip)
		err = gdb_client_write_rip(stub->client, stop->vcpu, rip, &wait);
	if (!err && has_breakpoint(stub->page, rip))
		err = step_over(qemu, stop->vcpu, rip);
	if (!err && stub->paused_unsaid)
		stub->page->held = false;
	else if (!err)
		err = resume(qemu);
	err = explain(target, err);
	/* Whatever failed: the guest stands still at a breakpoint, which nobody would end. */
	if (err)
		close_stub(target);
	return error_context(err, "%s", target->name);
}

static struct nunchi_error *hold(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub *stub = &qemu->stub;
	struct nunchi_error *err = check_open(target, false);

	if (err)
		return err;
	err = take_unread(qemu);
	if (!err)
		err = check_paused(qemu);
	stub->page->resume = !stub->page->paused;
	if (!err)
		err = stub->page->resume ? stop_it(qemu) : park(qemu);
	stub->page->held = !err;
	return end_if_broken(target, err);
}

static struct nunchi_error *release(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub *stub = &qemu->stub;
	struct nunchi_error *err = check_open(target, true);

	if (err)
		return err;
	if (stub->page->resume || gdb_client_has_stopped_it(stub->client))
		err = resume(qemu);
	stub->page->held = false;
	return end_if_broken(target, err);
}

static struct nunchi_error *insert(struct target *target, uint64_t address)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub_page *page = qemu->stub.page;
	const struct gdb_wait wait = answer_wait(qemu);
	struct nunchi_error *err = check_open(target, true);

	if (err)
		return err;
	if (has_breakpoint(page, address))
		return error_create_at(NUNCHI_ERROR_ARGUMENT, address,
				       "%s: there is a breakpoint at 0x%" PRIx64 " already",
				       target->name, address);
	if (page->count == BREAKPOINTS_MAX)
		return error_create(NUNCHI_ERROR_BUSY, "%s: it has %u breakpoints already",
				    target->name, BREAKPOINTS_MAX);
	/* Noted before, so that whoever closes the stub removes it. */
	page->breakpoints[page->count++] = address;
	if (!page->parked)
		err = gdb_client_insert(qemu->stub.client, address, &wait);
	if (err)
		page->count--;
	return end_if_broken(target, err);
}

static struct nunchi_error *remove_breakpoint(struct target *target, uint64_t address)
{
	struct qemu_target *qemu = qemu_of(target);
	struct qemu_stub_page *page = qemu->stub.page;
	const struct gdb_wait wait = answer_wait(qemu);
	struct nunchi_error *err = check_open(target, true);
	size_t at;

	if (err)
		return err;
	at = find_breakpoint(page, address);
	if (at == page->count)
		return error_create_at(NUNCHI_ERROR_ARGUMENT, address,
				       "%s: there is no breakpoint at 0x%" PRIx64, target->name,
				       address);
	if (!page->parked)
		err = gdb_client_remove(qemu->stub.client, address, &wait);
	if (!err)
		page->breakpoints[at] = page->breakpoints[--page->count];
	return end_if_broken(target, err);
}

const struct target_stops_ops qemu_stops = {
    .open = open_stub,
    .close = close_stub,
    .fd = fd_of,
    .next = next,
    .go = go,
    .hold = hold,
    .release = release,
    .insert = insert,
    .remove = remove_breakpoint,
};
