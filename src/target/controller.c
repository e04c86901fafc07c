/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/controller.h"

#include "core/io.h"
#include "target/stops.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Longer than the second process may take for anything. */
#define ANSWER_US ((uint64_t)60 * CLOCK_US_PER_S)
/* Limit of the vCPUs and of the bytes of one request. */
#define VCPUS_MAX 1024
#define READ_MAX  ((size_t)16384)
#define TEXT_MAX  1024

enum op {
	OP_PAUSE,
	OP_RESUME,
	OP_STATE,
	OP_REGISTERS,
	OP_ALL_REGISTERS,
	OP_MEASURE,
	OP_READ,
	OP_WATCH,
	OP_UNWATCH,
	OP_FINISH,
};

struct request {
	enum op op;
	uint32_t vcpu;  /* OP_REGISTERS */
	uint32_t count; /* OP_ALL_REGISTERS: of vCPUs; OP_READ: of bytes */
	uint64_t address;
};

struct registers {
	struct x86_registers values;
	bool known;
};

struct answer {
	/* An error, if `failed`. */
	bool failed, of_host, has_address;
	enum nunchi_error_code code;
	int errnum;
	uint64_t address;
	char message[TEXT_MAX], hint[TEXT_MAX];
	/* A note that the target got meanwhile, or "". */
	char note[TEXT_MAX];
	/* What the target has counted. */
	uint64_t paused_us, paused_since_us;
	unsigned reset_count;
	enum target_state state;
	enum memory_fault fault;
	uint32_t size; /* bytes of the result that follow the answer */
};

union result {
	struct registers registers[VCPUS_MAX];
	union target_size size;
	uint8_t bytes[READ_MAX];
};

struct controller {
	int socket;
	pid_t pid;
	const struct cancel *cancel; /* of this process */
	/* A page of both processes: a request to cancel. The confined one may write what it wants.
	 */
	atomic_bool *shared;
};

/* ---- The second process ---------------------------------------------------------------------- */

static void copy_text(char to[TEXT_MAX], const char *from)
{
	size_t size = from ? strnlen(from, TEXT_MAX - 1) : 0;

	memcpy(to, from ? from : "", size);
	to[size] = '\0';
}

static void put_error(struct answer *answer, struct nunchi_error *err)
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

static void put_all_registers(struct target *target, unsigned count, struct answer *answer,
			      struct registers *ret)
{
	static struct x86_registers values[VCPUS_MAX];
	static bool known[VCPUS_MAX];

	if (!count || count > VCPUS_MAX) {
		put_error(answer, error_create(NUNCHI_ERROR_ARGUMENT, "no such number of vCPUs"));
		return;
	}
	memset(values, 0, sizeof(values));
	target_get_all_registers(target, count, values, known);
	for (unsigned i = 0; i < count; i++)
		ret[i] = (struct registers){values[i], known[i]};
	answer->size = count * (uint32_t)sizeof(*ret);
}

static struct nunchi_error *watch(struct target *target, bool watch)
{
	if (!target->ops->stops)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "it cannot be watched");
	/* A connection that was made now would not be the other process's. */
	if (watch && target->ops->stops->fd(target) < 0)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "it cannot be watched any more: the connection for that, which "
				    "was made before this process was confined, is closed");
	if (watch)
		return target->ops->stops->open(target);
	target->ops->stops->close(target);
	return NULL;
}

static void handle(const struct controller_setup *setup, const struct request *request,
		   struct answer *answer, union result *result)
{
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
		answer->size = request->count <= READ_MAX ? request->count : 0;
		answer->fault =
		    target->ops->read && answer->size
			? target->ops->read(target, request->address, result->bytes, answer->size)
			: MEMORY_IO;
		break;
	case OP_WATCH:
	case OP_UNWATCH:
		put_error(answer, watch(target, request->op == OP_WATCH));
		break;
	case OP_FINISH:
		break;
	}
}

/* Notes that the target has from `first` on. */
static void put_notes(struct target *target, size_t first, struct answer *answer)
{
	if (target && target->note_count > first)
		copy_text(answer->note, target->notes[first]);
}

/* Answers until the other process has ended; returns whether it asked for the last action. */
static bool serve(const struct controller_setup *setup, int socket)
{
	struct target *target = setup->target;
	struct request request;
	bool finished = false;
	static struct answer answer;
	static union result result;

	while (io_read_full(socket, &request, sizeof(request)) == sizeof(request)) {
		size_t notes = target ? target->note_count : 0;

		memset(&answer, 0, sizeof(answer));
		/* That action is done once. */
		if (request.op == OP_FINISH && finished)
			break;
		finished |= request.op == OP_FINISH;
		handle(setup, &request, &answer, &result);
		put_notes(target, notes, &answer);
		if (target) {
			answer.paused_us = target->paused_us;
			answer.paused_since_us = target->paused_since_us;
			answer.reset_count = target->reset_count;
		}
		if (answer.failed)
			answer.size = 0;
		if (io_write_full(socket, &answer, sizeof(answer)) ||
		    io_write_full(socket, &result, answer.size))
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

_Noreturn static void second_process(const struct controller_setup *setup,
				     const struct controller *controller, int socket)
{
	struct target *target = setup->target;
	bool finished = false;

	ignore_signals();
	leave_output();
	prctl(PR_SET_NAME, "nunchi-control");
	if (setup->cancel)
		setup->cancel->other = controller->shared;
	/*
	 * This process reads no memory of the guest. What fork() did not copy of the mappings must
	 * not be unmapped here either.
	 */
	if (target)
		target->memory = NULL;
	if (!target || !target->ops->forked || target->ops->forked(target))
		finished = serve(setup, socket);
	if (target && target->pause_depth)
		nunchi_error_destroy(target_resume(target));
	if (setup->finish && !finished)
		nunchi_error_destroy(setup->finish(false, setup->data));
	/* Ends the guard. */
	if (target)
		target_close(target);
	_exit(0);
}

/* ---- The confined process -------------------------------------------------------------------- */

static struct nunchi_error *take_error(struct answer *answer)
{
	struct nunchi_error *err;

	if (!answer->failed)
		return NULL;
	answer->message[TEXT_MAX - 1] = answer->hint[TEXT_MAX - 1] = '\0';
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
static bool exchange(struct controller *controller, const struct request *request,
		     struct answer *answer, void *ret, size_t size)
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
				const struct request *request, struct answer *answer, void *ret,
				size_t size)
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
		answer->note[TEXT_MAX - 1] = '\0';
		if (answer->note[0])
			target_note(target, "%s", answer->note);
	}
	return take_error(answer);
}

struct nunchi_error *controller_pause(struct controller *controller, struct target *target)
{
	const struct request request = {.op = OP_PAUSE};
	struct answer answer;

	return ask(controller, target, &request, &answer, NULL, 0);
}

struct nunchi_error *controller_resume(struct controller *controller, struct target *target)
{
	const struct request request = {.op = OP_RESUME};
	struct answer answer;

	return ask(controller, target, &request, &answer, NULL, 0);
}

struct nunchi_error *controller_get_state(struct controller *controller, struct target *target,
					  enum target_state *ret)
{
	const struct request request = {.op = OP_STATE};
	struct answer answer;
	struct nunchi_error *err = ask(controller, target, &request, &answer, NULL, 0);

	if (!err)
		*ret = answer.state;
	return err;
}

struct nunchi_error *controller_get_registers(struct controller *controller, struct target *target,
					      unsigned vcpu, struct x86_registers *ret)
{
	const struct request request = {.op = OP_REGISTERS, .vcpu = vcpu};
	struct answer answer;
	struct registers registers;
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
	const struct request request = {.op = OP_ALL_REGISTERS, .count = count};
	_cleanup_free_ struct registers *registers = calloc(count, sizeof(*registers));
	struct answer answer;
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

struct nunchi_error *controller_watch(struct controller *controller, struct target *target,
				      bool watch)
{
	const struct request request = {.op = watch ? OP_WATCH : OP_UNWATCH};
	struct answer answer;

	return ask(controller, target, &request, &answer, NULL, 0);
}

bool controller_is_gone(const struct controller *controller)
{
	/* It sends nothing unasked, so what can be read is the end of the connection. */
	return controller->socket < 0 || io_wait(controller->socket, POLLIN, 0, NULL) == 1;
}

struct nunchi_error *controller_measure(struct controller *controller, struct target *target,
					union target_size *ret)
{
	const struct request request = {.op = OP_MEASURE};
	struct answer answer;

	return ask(controller, target, &request, &answer, ret, sizeof(*ret));
}

enum memory_fault controller_read(struct controller *controller, struct target *target,
				  uint64_t address, void *buffer, size_t size)
{
	const struct request request = {.op = OP_READ, .address = address, .count = (uint32_t)size};
	struct answer answer;
	struct nunchi_error *err;

	if (size > READ_MAX)
		return MEMORY_IO;
	err = ask(controller, target, &request, &answer, buffer, size);
	if (!err)
		return answer.fault;
	nunchi_error_destroy(err);
	return MEMORY_GONE;
}

struct nunchi_error *controller_finish(struct controller *controller)
{
	const struct request request = {.op = OP_FINISH};
	struct answer answer;

	return ask(controller, NULL, &request, &answer, NULL, 0);
}

/* ---- Both ------------------------------------------------------------------------------------ */

struct nunchi_error *controller_start(const struct controller_setup *setup, struct controller **ret)
{
	struct controller *controller = calloc(1, sizeof(*controller));
	int sockets[2];

	if (!controller)
		return &error_nomem;
	controller->cancel = setup->cancel;
	controller->shared = mmap(NULL, sizeof(*controller->shared), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (controller->shared == MAP_FAILED) {
		free(controller);
		return &error_nomem;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets)) {
		munmap(controller->shared, sizeof(*controller->shared));
		free(controller);
		return error_create_errno(errno, "cannot make a pair of sockets");
	}
	controller->socket = sockets[0];
	controller->pid = fork();
	if (!controller->pid) {
		close(sockets[0]);
		second_process(setup, controller, sockets[1]);
	}
	close(sockets[1]);
	if (controller->pid < 0) {
		int errnum = errno;

		controller_destroy(controller);
		return error_create_errno(errnum, "cannot start the second process");
	}
	*ret = controller;
	return NULL;
}

void controller_destroy(struct controller *controller)
{
	if (!controller)
		return;
	/* The end of the connection is its order to end. */
	if (controller->socket >= 0)
		close(controller->socket);
	while (controller->pid > 0 && waitpid(controller->pid, NULL, 0) < 0 && errno == EINTR)
		;
	munmap(controller->shared, sizeof(*controller->shared));
	free(controller);
}
