/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The confined process's half; the second process is in controller_serve.c. */
#include "target/controller_protocol.h"

#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Longer than the second process may take for anything. */
#define ANSWER_US ((uint64_t)60 * CLOCK_US_PER_S)

struct controller {
	int socket;
	int bell; /* readable when the guest may have stopped, and when the second process has ended
		   */
	pid_t pid;
	const struct cancel *cancel; /* of this process */
	/* A page of both processes: a request to cancel. The confined one may write what it wants.
	 */
	atomic_bool *shared;
};

static struct nunchi_error *take_error(struct controller_answer *answer)
{
	struct nunchi_error *err;

	if (!answer->failed)
		return NULL;
	answer->message[CONTROLLER_TEXT_MAX - 1] = answer->hint[CONTROLLER_TEXT_MAX - 1] = '\0';
	err = answer->has_address
		  ? error_create_at(answer->code, answer->address, "%s", answer->message)
		  : error_create(answer->code, "%s", answer->message);
	if (answer->hint[0])
		err = error_hint(err, "%s", answer->hint);
	if (answer->of_host)
		err = error_of_host(err);
	return error_with_errno(err, answer->errnum);
}

static struct nunchi_error *is_gone(void)
{
	return error_create(NUNCHI_ERROR_GONE,
			    "the second process, which controls the guest, has ended");
}

/* Waits for the answer, and passes on a request to cancel. */
static bool wait_for_answer(struct controller *controller)
{
	uint64_t deadline = clock_us() + ANSWER_US;
	int ready = io_wait(controller->socket, POLLIN, deadline, controller->cancel);

	if (ready == -ECANCELED) {
		atomic_store_explicit(controller->shared, true, memory_order_release);
		ready = io_wait(controller->socket, POLLIN, deadline, NULL);
	}
	return ready > 0;
}

/* Whether the request was sent and its whole answer came. */
static bool exchange(struct controller *controller, const struct controller_request *request,
		     struct controller_answer *answer, void *ret, size_t size)
{
	/* send() with MSG_NOSIGNAL is forbidden here. */
	if (io_write_quietly(controller->socket, request, sizeof(*request)) ||
	    !wait_for_answer(controller) ||
	    io_read_full(controller->socket, answer, sizeof(*answer)) != sizeof(*answer))
		return false;
	return !answer->size || (answer->size == size &&
				 io_read_full(controller->socket, ret, size) == (ssize_t)size);
}

/* Sends a request and takes the answer, and `size` bytes of result if it succeeded. */
static struct nunchi_error *ask(struct controller *controller, struct target *target,
				const struct controller_request *request,
				struct controller_answer *answer, void *ret, size_t size)
{
	atomic_store_explicit(controller->shared, false, memory_order_relaxed);
	if (controller->socket < 0)
		return is_gone();
	if (!exchange(controller, request, answer, ret, size)) {
		/*
		 * An answer that comes late would be taken for that to the next request. At the end
		 * of the connection the second process resumes the guest and ends.
		 */
		close(controller->socket);
		controller->socket = -1;
		return is_gone();
	}
	if (target) {
		target->paused_us = answer->paused_us;
		target->paused_since_us = answer->paused_since_us;
		target->reset_count = answer->reset_count;
		answer->note[CONTROLLER_TEXT_MAX - 1] = '\0';
		if (answer->note[0])
			target_note(target, "%s", answer->note);
	}
	return take_error(answer);
}

struct nunchi_error *controller_pause(struct controller *controller, struct target *target)
{
	const struct controller_request request = {.op = OP_PAUSE};
	struct controller_answer answer;

	return ask(controller, target, &request, &answer, NULL, 0);
}

struct nunchi_error *controller_resume(struct controller *controller, struct target *target)
{
	const struct controller_request request = {.op = OP_RESUME};
	struct controller_answer answer;

	return ask(controller, target, &request, &answer, NULL, 0);
}

struct nunchi_error *controller_get_state(struct controller *controller, struct target *target,
					  enum target_state *ret)
{
	const struct controller_request request = {.op = OP_STATE};
	struct controller_answer answer;
	struct nunchi_error *err = ask(controller, target, &request, &answer, NULL, 0);

	if (!err)
		*ret = answer.state;
	return err;
}

struct nunchi_error *controller_get_registers(struct controller *controller, struct target *target,
					      unsigned vcpu, struct x86_registers *ret)
{
	const struct controller_request request = {.op = OP_REGISTERS, .vcpu = vcpu};
	struct controller_answer answer;
	struct controller_registers registers;
	struct nunchi_error *err =
	    ask(controller, target, &request, &answer, &registers, sizeof(registers));

	if (!err)
		*ret = registers.values;
	return err;
}

struct nunchi_error *controller_get_all_registers(struct controller *controller,
						  struct target *target, unsigned count,
						  struct x86_registers *ret, bool *ret_known)
{
	const struct controller_request request = {.op = OP_ALL_REGISTERS, .count = count};
	_cleanup_free_ struct controller_registers *registers = calloc(count, sizeof(*registers));
	struct controller_answer answer;
	struct nunchi_error *err;

	if (!registers)
		return &error_nomem;
	err = ask(controller, target, &request, &answer, registers, count * sizeof(*registers));
	for (unsigned i = 0; !err && i < count; i++) {
		ret[i] = registers[i].values;
		ret_known[i] = registers[i].known;
	}
	return err;
}

struct nunchi_error *controller_measure(struct controller *controller, struct target *target,
					union target_size *ret)
{
	const struct controller_request request = {.op = OP_MEASURE};
	struct controller_answer answer;

	return ask(controller, target, &request, &answer, ret, sizeof(*ret));
}

enum memory_fault controller_read(struct controller *controller, struct target *target,
				  uint64_t address, void *buffer, size_t size)
{
	const struct controller_request request = {
	    .op = OP_READ, .address = address, .count = (uint32_t)size};
	struct controller_answer answer;
	struct nunchi_error *err;

	if (size > CONTROLLER_READ_MAX)
		return MEMORY_IO;
	err = ask(controller, target, &request, &answer, buffer, size);
	if (!err)
		return answer.fault;
	nunchi_error_destroy(err);
	return MEMORY_GONE;
}

struct nunchi_error *controller_finish(struct controller *controller)
{
	const struct controller_request request = {.op = OP_FINISH};
	struct controller_answer answer;

	return ask(controller, NULL, &request, &answer, NULL, 0);
}

/* ---- Stops ----------------------------------------------------------------------------------- */

static struct nunchi_error *ask_stops(struct target *target, enum controller_op op,
				      uint64_t address)
{
	const struct controller_request request = {.op = op, .address = address};
	struct controller_answer answer;

	return ask(target->controller, target, &request, &answer, NULL, 0);
}

static void silence(const struct controller *controller)
{
	char rung;

	while (read(controller->bell, &rung, 1) == 1)
		;
}

static struct nunchi_error *open_stops(struct target *target)
{
	silence(target->controller);
	return ask_stops(target, OP_WATCH, 0);
}

static void close_stops(struct target *target)
{
	nunchi_error_destroy(ask_stops(target, OP_UNWATCH, 0));
	silence(target->controller);
}

static int stops_fd(const struct target *target)
{
	return target->controller->bell;
}

static struct nunchi_error *next_stop(struct target *target, struct target_stop *ret)
{
	const struct controller_request request = {.op = OP_NEXT};
	struct controller_answer answer;

	silence(target->controller);
	return ask(target->controller, target, &request, &answer, ret, sizeof(*ret));
}

/* The second process knows which stop it told of. */
static struct nunchi_error *go(struct target *target, const struct target_stop *stop, uint64_t rip)
{
	(void)stop;
	return ask_stops(target, OP_GO, rip);
}

static struct nunchi_error *hold(struct target *target)
{
	return ask_stops(target, OP_HOLD, 0);
}

static struct nunchi_error *release(struct target *target)
{
	return ask_stops(target, OP_RELEASE, 0);
}

static struct nunchi_error *insert(struct target *target, uint64_t address)
{
	return ask_stops(target, OP_INSERT, address);
}

static struct nunchi_error *remove_breakpoint(struct target *target, uint64_t address)
{
	return ask_stops(target, OP_REMOVE, address);
}

static struct nunchi_error *observe(struct target *target, enum target_event event, uint32_t index)
{
	const struct controller_request request = {.op = OP_OBSERVE, .vcpu = index, .count = event};
	struct controller_answer answer;

	return ask(target->controller, target, &request, &answer, NULL, 0);
}

const struct target_stops_ops controller_stops = {
    .open = open_stops,
    .close = close_stops,
    .fd = stops_fd,
    .next = next_stop,
    .go = go,
    .hold = hold,
    .release = release,
    .insert = insert,
    .remove = remove_breakpoint,
    .observe = observe,
};

/* ---- Both ------------------------------------------------------------------------------------ */

static void close_fds(int fds[2])
{
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

/* Forks; *controller is complete but for what this fills in. */
static struct nunchi_error *start(const struct controller_setup *setup,
				  struct controller *controller)
{
	int sockets[2] = {-1, -1}, bell[2] = {-1, -1};

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) ||
	    pipe2(bell, O_CLOEXEC | O_NONBLOCK)) {
		close_fds(sockets);
		return error_create_errno(errno, "cannot make a connection to a second process");
	}
	controller->socket = sockets[0];
	controller->bell = bell[0];
	controller->pid = fork();
	if (!controller->pid) {
		close(sockets[0]);
		close(bell[0]);
		controller_serve(setup, controller->shared, sockets[1], bell[1]);
	}
	close(sockets[1]);
	close(bell[1]);
	return controller->pid > 0 ? NULL
				   : error_create_errno(errno, "cannot start the second process");
}

struct nunchi_error *controller_start(const struct controller_setup *setup, struct controller **ret)
{
	struct controller *controller = malloc(sizeof(*controller));
	struct nunchi_error *err;

	if (!controller)
		return &error_nomem;
	*controller = (struct controller){.socket = -1, .bell = -1, .cancel = setup->cancel};
	controller->shared = mmap(NULL, sizeof(*controller->shared), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (controller->shared == MAP_FAILED) {
		free(controller);
		return &error_nomem;
	}
	err = start(setup, controller);
	if (err)
		controller_destroy(controller);
	else
		*ret = controller;
	return err;
}

void controller_destroy(struct controller *controller)
{
	if (!controller)
		return;
	/* The end of the connection is its order to end. */
	if (controller->socket >= 0)
		close(controller->socket);
	if (controller->bell >= 0)
		close(controller->bell);
	while (controller->pid > 0 && waitpid(controller->pid, NULL, 0) < 0 && errno == EINTR)
		;
	munmap(controller->shared, sizeof(*controller->shared));
	free(controller);
}
