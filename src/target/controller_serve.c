/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The second process (controller.h). */
#include "target/controller_protocol.h"

#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

/* The longest instruction. */
#define INSTRUCTION_MAX 15

struct service {
	const struct controller_setup *setup;
	int socket;
	int bell;                /* a byte is written to it when the guest may have stopped */
	bool told;               /* and the other process has not asked since */
	struct target_stop stop; /* a breakpoint that the guest stands at, or an event of a vCPU */
};

static void copy_text(char to[CONTROLLER_TEXT_MAX], const char *from)
{
	size_t size = from ? strnlen(from, CONTROLLER_TEXT_MAX - 1) : 0;

	memcpy(to, from ? from : "", size);
	to[size] = '\0';
}

static void put_error(struct controller_answer *answer, struct nunchi_error *err)
{
	answer->failed = err != NULL;
	if (!err)
		return;
	answer->code = nunchi_error_code(err);
	answer->errnum = nunchi_error_errno(err);
	answer->of_host = nunchi_error_is_host(err);
	answer->has_address = nunchi_error_address(err, &answer->address);
	copy_text(answer->message, nunchi_error_message(err));
	copy_text(answer->hint, nunchi_error_hint(err));
	nunchi_error_destroy(err);
}

static void put_all_registers(struct target *target, unsigned count,
			      struct controller_answer *answer, struct controller_registers *ret)
{
	static struct x86_registers values[CONTROLLER_VCPUS_MAX];
	static bool known[CONTROLLER_VCPUS_MAX];

	if (!count || count > CONTROLLER_VCPUS_MAX) {
		put_error(answer, error_create(NUNCHI_ERROR_ARGUMENT, "no such number of vCPUs"));
		return;
	}
	memset(values, 0, sizeof(values));
	target_get_all_registers(target, count, values, known);
	for (unsigned i = 0; i < count; i++)
		ret[i] = (struct controller_registers){values[i], known[i]};
	answer->size = count * (uint32_t)sizeof(*ret);
}

/* ---- Stops ----------------------------------------------------------------------------------- */

static struct nunchi_error *watch(struct service *service)
{
	struct target *target = service->setup->target;
	struct nunchi_error *err;

	if (!service->setup->watch)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "%s: watching was not asked for before this process was "
				    "confined",
				    target->name);
	err = target->ops->stops->open(target);
	/* If it fails because it is watched already, a vCPU may stand still yet. */
	if (!err) {
		service->stop.kind = TARGET_STOP_NONE;
		service->told = false;
	}
	return err;
}

static struct nunchi_error *next(struct service *service, struct target_stop *ret)
{
	struct target *target = service->setup->target;
	struct nunchi_error *err = target->ops->stops->next(target, ret);

	service->told = false;
	if (!err)
		service->stop = *ret;
	return err;
}

/* Whether something stands still until it is told to go on. */
static bool stands(const struct target_stop *stop)
{
	return stop->kind == TARGET_STOP_BREAKPOINT || stop->kind == TARGET_STOP_EVENT;
}

/*
 * The other process says where the vCPU goes on, and nothing else: at the instruction that has the
 * breakpoint, or behind it; after an event where it is.
 */
static struct nunchi_error *go(struct service *service, uint64_t rip)
{
	struct target *target = service->setup->target;
	const struct target_stop stop = service->stop;

	if (!stands(&stop) || rip - stop.registers.rip > INSTRUCTION_MAX)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s: it cannot go on at 0x%" PRIx64,
				    target->name, rip);
	service->stop.kind = TARGET_STOP_NONE;
	return target->ops->stops->go(target, &stop, rip);
}

static struct nunchi_error *handle_stops(struct service *service,
					 const struct controller_request *request,
					 struct controller_answer *answer, struct target_stop *ret)
{
	struct target *target = service->setup->target;
	const struct target_stops_ops *stops = target->ops->stops;

	if (!stops)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "%s: it cannot be watched",
				    target->name);
	switch (request->op) {
	case OP_WATCH:
		return watch(service);
	case OP_UNWATCH:
		stops->close(target);
		return NULL;
	case OP_NEXT:
		answer->size = sizeof(*ret);
		return next(service, ret);
	case OP_GO:
		return go(service, request->address);
	case OP_HOLD:
		return stops->hold(target);
	case OP_RELEASE:
		return stops->release(target);
	case OP_INSERT:
		return stops->insert(target, request->address);
	case OP_OBSERVE:
		if (!stops->observe)
			break;
		return stops->observe(target, (enum target_event)request->count, request->vcpu);
	default:
		return stops->remove(target, request->address);
	}
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    "%s: there are no events of its registers: only guests of Xen have "
			    "them",
			    target->name);
}

/* What is readable when the guest may have stopped, or -1. */
static int stops_fd(const struct service *service)
{
	const struct target *target = service->setup->target;

	if (!target || !target->ops->stops || service->told || stands(&service->stop))
		return -1;
	return target->ops->stops->fd(target);
}

/*
 * Waits for a request, and tells the other process of stops meanwhile. False if that process has
 * ended.
 */
static bool wait_for_request(struct service *service)
{
	for (;;) {
		struct pollfd pfds[2] = {{.fd = service->socket, .events = POLLIN},
					 {.fd = stops_fd(service), .events = POLLIN}};

		if (poll(pfds, 2, -1) < 0 && errno != EINTR)
			return false;
		if (pfds[0].revents)
			return true;
		if (pfds[1].revents)
			service->told = write(service->bell, "", 1) == 1;
	}
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void handle(struct service *service, const struct controller_request *request,
		   struct controller_answer *answer, union controller_result *result)
{
	const struct controller_setup *setup = service->setup;
	struct target *target = setup->target;

	if (request->op == OP_FINISH) {
		put_error(answer, setup->finish ? setup->finish(true, setup->data) : NULL);
		return;
	}
	if (!target) {
		put_error(answer, error_create(NUNCHI_ERROR_UNSUPPORTED, "there is no guest"));
		return;
	}
	switch (request->op) {
	case OP_PAUSE:
		put_error(answer, target_pause(target));
		break;
	case OP_RESUME:
		put_error(answer, target_resume(target));
		break;
	case OP_STATE:
		put_error(answer, target_get_state(target, &answer->state));
		break;
	case OP_REGISTERS:
		answer->size = sizeof(result->registers[0]);
		put_error(answer, target_get_registers(target, request->vcpu,
						       &result->registers[0].values));
		break;
	case OP_ALL_REGISTERS:
		put_all_registers(target, request->count, answer, result->registers);
		break;
	case OP_MEASURE:
		answer->size = sizeof(result->size);
		put_error(answer, target->ops->measure
				      ? target->ops->measure(target, &result->size)
				      : error_create(NUNCHI_ERROR_UNSUPPORTED, "no size"));
		break;
	case OP_READ:
		answer->size = request->count <= CONTROLLER_READ_MAX ? request->count : 0;
		answer->fault =
		    target->ops->read && answer->size
			? target->ops->read(target, request->address, result->bytes, answer->size)
			: MEMORY_IO;
		break;
	case OP_WATCH:
	case OP_UNWATCH:
	case OP_NEXT:
	case OP_GO:
	case OP_HOLD:
	case OP_RELEASE:
	case OP_INSERT:
	case OP_REMOVE:
	case OP_OBSERVE:
		put_error(answer, handle_stops(service, request, answer, &result->stop));
		break;
	case OP_FINISH:
		break;
	}
}

/* Notes that the target has from `first` on. */
static void put_notes(struct target *target, size_t first, struct controller_answer *answer)
{
	if (target && target->note_count > first)
		copy_text(answer->note, target->notes[first]);
}

/* Answers until the other process has ended; returns whether it asked for the last action. */
static bool serve(struct service *service)
{
	struct target *target = service->setup->target;
	struct controller_request request;
	bool finished = false;
	static struct controller_answer answer;
	static union controller_result result;

	while (wait_for_request(service) &&
	       io_read_full(service->socket, &request, sizeof(request)) == sizeof(request)) {
		size_t notes = target ? target->note_count : 0;

		memset(&answer, 0, sizeof(answer));
		/* That action is done once. */
		if (request.op == OP_FINISH && finished)
			break;
		finished |= request.op == OP_FINISH;
		handle(service, &request, &answer, &result);
		put_notes(target, notes, &answer);
		if (target) {
			answer.paused_us = target->paused_us;
			answer.paused_since_us = target->paused_since_us;
			answer.reset_count = target->reset_count;
		}
		if (answer.failed)
			answer.size = 0;
		if (io_write_full(service->socket, &answer, sizeof(answer)) ||
		    io_write_full(service->socket, &result, answer.size))
			break;
	}
	return finished;
}

/*
 * Signals of the terminal go to both processes. The confined one handles them, and this one goes on
 * until it is told, or until the other one has ended.
 */
static void ignore_signals(void)
{
	static const int ignored[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGPIPE, SIGALRM,
				      SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &ignore, NULL);
}

/* Keeps readers of a pipe from waiting for this process. */
static void leave_output(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
}

_Noreturn void controller_serve(const struct controller_setup *setup, atomic_bool *cancel,
				int socket, int bell)
{
	struct service service = {.setup = setup, .socket = socket, .bell = bell};
	struct target *target = setup->target;
	bool finished = false;

	ignore_signals();
	leave_output();
	prctl(PR_SET_NAME, "nunchi-control");
	if (setup->cancel)
		setup->cancel->other = cancel;
	/*
	 * This process reads no memory of the guest. What fork() did not copy of the mappings must
	 * not be unmapped here either.
	 */
	if (target)
		target->memory = NULL;
	if (!target || !target->ops->forked || target->ops->forked(target))
		finished = serve(&service);
	if (target && target->pause_depth)
		nunchi_error_destroy(target_resume(target));
	if (setup->finish && !finished)
		nunchi_error_destroy(setup->finish(false, setup->data));
	/* Ends the guard. */
	if (target)
		target_close(target);
	_exit(0);
}
