/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/qemu.h"
#include "target/controller.h"
#include "target/qemu/find.h"
#include "target/qemu/internal.h"
#include "target/qemu/monitor.h"
#include "target/stops.h"

#include "core/io.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* ---- State ----------------------------------------------------------------------------------- */

bool qemu_is_alive(const struct qemu_target *qemu)
{
	struct nunchi_error *err;
	uint64_t start_time;

	if (qemu->pidfd >= 0)
		return io_wait(qemu->pidfd, POLLIN, 0, NULL) == 0;
	err = process_start_time(qemu->process.pid, &start_time);
	if (err) {
		nunchi_error_destroy(err);
		return false;
	}
	return start_time == qemu->process.start_time;
}

struct nunchi_error *qemu_query_status(struct qemu_target *qemu, enum qemu_status *ret)
{
	const struct qmp_wait wait = qemu_wait(qemu);
	_cleanup_json_ json_t *value = NULL;
	struct nunchi_error *err =
	    qmp_client_execute(qemu->qmp, "query-status", NULL, &wait, &value);
	const char *status = json_string_value(json_object_get(value, "status"));

	qemu->base.reset_count = qemu->resets_before + qmp_client_resets(qemu->qmp);
	if (err)
		return err;
	if (!status)
		return error_create(NUNCHI_ERROR_DATA, "QMP: query-status gives no status");
	if (json_is_true(json_object_get(value, "running")))
		*ret = QEMU_RUNNING;
	else if (!strcmp(status, "paused"))
		*ret = QEMU_PAUSED;
	else
		*ret = !strcmp(status, "debug") ? QEMU_DEBUG : QEMU_STOPPED;
	return NULL;
}

static struct nunchi_error *get_state(struct target *target, enum target_state *ret)
{
	struct qemu_target *qemu = qemu_of(target);
	enum qemu_status status;
	struct nunchi_error *err;

	if (!qemu_is_alive(qemu)) {
		*ret = TARGET_ENDED;
		return NULL;
	}
	if (!qemu->qmp) {
		*ret = TARGET_UNKNOWN;
		return NULL;
	}
	err = qemu_query_status(qemu, &status);
	if (err && !qemu_is_alive(qemu)) {
		nunchi_error_destroy(err);
		*ret = TARGET_ENDED;
		return NULL;
	}
	if (!err)
		*ret = status == QEMU_RUNNING ? TARGET_RUNNING : TARGET_PAUSED;
	return err;
}

static struct nunchi_error *get_registers(struct target *target, unsigned vcpu,
					  struct x86_registers *ret)
{
	struct qemu_target *qemu = qemu_of(target);
	const struct qmp_wait wait = qemu_wait(qemu);
	_cleanup_free_ char *text = NULL;
	struct nunchi_error *err =
	    qmp_client_human(qemu->qmp, "info registers", (int)vcpu, &wait, &text);

	return err ? err : monitor_parse_registers(text, strlen(text), vcpu, ret);
}

static struct nunchi_error *get_all_registers(struct target *target, unsigned count,
					      struct x86_registers *ret, bool *ret_known)
{
	struct qemu_target *qemu = qemu_of(target);
	const struct qmp_wait wait = qemu_wait(qemu);
	_cleanup_free_ char *text = NULL;
	struct nunchi_error *err =
	    qmp_client_human(qemu->qmp, "info registers -a", -1, &wait, &text);

	if (err)
		return err;
	monitor_parse_all_registers(text, strlen(text), count, ret, ret_known);
	return NULL;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void destroy(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);

	qemu_stops.close(&qemu->base);
	undo_deinit(&qemu->undo);
	qmp_client_destroy(qemu->qmp);
	if (qemu->pidfd >= 0)
		close(qemu->pidfd);
	qemu_process_deinit(&qemu->process);
	free(qemu->socket);
	free(qemu->no_qmp);
}

/* Reads guest memory by QEMU's monitor, as struct ram_monitor has it. */
static enum memory_fault read_monitor(struct target *target, uint64_t address, void *words,
				      size_t size)
{
	const struct qmp_wait wait = {.deadline_us = clock_us() + QMP_COMMAND_US};
	struct qemu_target *qemu = qemu_of(target);
	_cleanup_free_ char *text = NULL;
	struct nunchi_error *err;
	enum memory_fault fault;
	char line[64];

	if (target->controller)
		return controller_read(target->controller, target, address, words, size);
	if (!qemu->qmp)
		return MEMORY_IO;
	snprintf(line, sizeof(line), "xp /%zugx 0x%" PRIx64, size / 8, address);
	err = qmp_client_human(qemu->qmp, line, -1, &wait, &text);
	if (!err)
		err = monitor_parse_xp(text, strlen(text), address, words, size);
	fault = error_is(err, NUNCHI_ERROR_GONE) ? MEMORY_GONE : MEMORY_IO;
	if (!err)
		return MEMORY_OK;
	nunchi_error_destroy(err);
	return fault;
}

/* The connection stays with the process that controls the guest. */
static struct nunchi_error *confined(struct target *target)
{
	struct qemu_target *qemu = qemu_of(target);

	if (target->controller)
		qmp_client_leave(qemu->qmp);
	else
		qmp_client_destroy(qemu->qmp);
	qemu->qmp = NULL;
	return NULL;
}

static const struct target_control control = {.pause = qemu_pause, .resume = qemu_resume};

static const struct target_ops qemu_ops = {
    .kind = "qemu",
    .destroy = destroy,
    .control = &control,
    .stops = &qemu_stops,
    .get_registers = get_registers,
    .get_all_registers = get_all_registers,
    .get_state = get_state,
    .read = read_monitor,
    .confined = confined,
};

/*
 * Sets the capabilities. Without a QMP connection, the guest cannot be paused and its registers
 * cannot be read; the capabilities then say why. Its memory may still be readable.
 */
static void describe_capabilities(struct qemu_target *qemu)
{
	struct target *target = &qemu->base;

	target_set_support(target, TARGET_WRITE, false,
			   "nunchi only reads the memory of QEMU's guests");
	if (qemu->qmp) {
		const char *way = qmp_client_is_relayed(qemu->qmp) ? "through libvirt" : "over QMP";

		target_set_support(target, TARGET_PAUSE, true, "stop and cont %s (QEMU %u.%u)", way,
				   qmp_client_major(qemu->qmp), qmp_client_minor(qemu->qmp));
		target_set_support(target, TARGET_REGISTERS, true, "info registers %s", way);
		if (qmp_client_is_relayed(qemu->qmp))
			target_set_support(target, TARGET_EVENTS, false,
					   "the gdb stub is opened by a descriptor that QEMU gets "
					   "over QMP; through libvirt none can be sent");
		else
			target_set_support(target, TARGET_EVENTS, true,
					   "gdb stub, opened through QMP");
	} else {
		target_set_support(target, TARGET_PAUSE, false, "%s", qemu->no_qmp);
		target_set_support(target, TARGET_REGISTERS, false, "%s", qemu->no_qmp);
		target_set_support(target, TARGET_EVENTS, false, "%s", qemu->no_qmp);
	}
}

static struct nunchi_error *explain_no_qmp(struct qemu_target *qemu,
					   const struct nunchi_error *reason)
{
	const char *hint = nunchi_error_hint(reason);
	int size;

	if (hint)
		size = asprintf(&qemu->no_qmp, "%s (%s)", nunchi_error_message(reason), hint);
	else
		size = asprintf(&qemu->no_qmp, "%s", nunchi_error_message(reason));
	if (size >= 0)
		return NULL;
	qemu->no_qmp = NULL;
	return &error_nomem;
}

/*
 * Notes which threads of QEMU's are vCPUs. A QEMU with process ids of its own (in a container) says
 * other numbers, which lead nowhere.
 */
static void note_threads(struct qemu_target *qemu, const json_t *vcpus)
{
	struct undo_threads *threads = &qemu->threads;
	const json_t *vcpu;
	struct undo_ran ran;
	size_t i;

	*threads = (struct undo_threads){.pid = qemu->process.pid};
	json_array_foreach(vcpus, i, vcpu)
	{
		json_int_t id = json_integer_value(json_object_get(vcpu, "thread-id"));

		if (id > 0 && id <= INT32_MAX && threads->count < UNDO_THREADS_MAX)
			threads->ids[threads->count++] = (pid_t)id;
	}
	if (!undo_threads_ran(threads, &ran))
		threads->count = 0;
}

static void count_vcpus(struct qemu_target *qemu)
{
	const struct qmp_wait wait = qemu_wait(qemu);
	_cleanup_json_ json_t *value = NULL;
	size_t count;

	nunchi_error_destroy(qmp_client_execute(qemu->qmp, "query-cpus-fast", NULL, &wait, &value));
	count = json_array_size(value);
	if (count && count < 65536)
		qemu->base.vcpu_count = (unsigned)count;
	note_threads(qemu, value);
}

static struct nunchi_error *connect_qmp(struct qemu_target *qemu, const struct qemu_limits *limits)
{
	const struct qmp_wait wait = {clock_us() + QEMU_GREETING_US, qemu->cancel};
	_cleanup_error_ struct nunchi_error *err = NULL;

	if (limits->forbid_qmp)
		err = error_create(NUNCHI_ERROR_UNSUPPORTED, "QMP is not to be used");
	else if (qemu_trust_rank(&qemu->process.trust) == QEMU_TRUST_NOT)
		err = error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					      "it is not asked anything and not paused, for %s",
					      qemu->process.trust.why_not),
				 "run nunchi as its user, %s, who believes it",
				 qemu->process.trust.user);
	else
		err = qemu_connect(&qemu->process, qemu->socket, &wait, &qemu->qmp);
	if (!err) {
		count_vcpus(qemu);
		return NULL;
	}
	if (error_is(err, NUNCHI_ERROR_CANCELLED) || err == &error_nomem) {
		struct nunchi_error *out = err;

		err = NULL;
		return out;
	}
	return explain_no_qmp(qemu, err);
}

/* Creates the target of a process; takes over process and socket. */
static struct nunchi_error *create(struct qemu_process *process, char *socket, const char *word,
				   struct qemu_target **ret)
{
	struct qemu_target *qemu = calloc(1, sizeof(*qemu));
	struct nunchi_error *err;

	if (!qemu) {
		qemu_process_deinit(process);
		free(socket);
		return &error_nomem;
	}
	qemu->process = *process;
	qemu->socket = socket;
	qemu->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	qemu->base.live = true;
	qemu->base.vcpu_count = process->cmdline.vcpus;
	qemu->base.encryption = process->cmdline.encryption;
	qemu_pause_init(qemu);
	qemu_stub_init(qemu);
	err = target_init(&qemu->base, &qemu_ops, word);
	if (err)
		target_close(&qemu->base);
	else
		*ret = qemu;
	return err;
}

static struct nunchi_error *set_up(struct qemu_target *qemu, const struct target_options *options,
				   const struct qemu_limits *limits)
{
	struct nunchi_error *err;

	if (!qemu->process.is_x86)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "%s runs a guest that is not x86, which nunchi does not know",
				    qemu->process.program);
	if (qemu->process.unread[0])
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the command line of process %d was not read, for %s",
				    qemu->process.pid, qemu->process.unread);
	err = connect_qmp(qemu, limits);
	if (err)
		return err;
	describe_capabilities(qemu);
	qemu_repair(qemu);
	qemu->monitor = (struct ram_monitor){qemu->qmp ? read_monitor : NULL, &qemu->base};
	err = qemu_map_memory(qemu, options->sigbus_guard, limits);
	return err || !options->opened ? err : options->opened(&qemu->base, options->data);
}

struct nunchi_error *qemu_target_open_limited(const char *word,
					      const struct target_options *options,
					      const struct qemu_limits *limits, struct target **ret)
{
	_cleanup_free_ char *name = NULL;
	struct qemu_process process;
	struct qemu_target *qemu;
	struct nunchi_error *err;
	char *socket = NULL;

	if (!strncmp(word, "qemu:", 5))
		word += 5;
	if (asprintf(&name, "qemu:%s", word) < 0) {
		name = NULL;
		return &error_nomem;
	}
	err = qemu_find(word, &process, &socket);
	if (!err)
		err = create(&process, socket, name, &qemu);
	if (err)
		return err;
	qemu->cancel = options->cancel;
	err = set_up(qemu, options, limits);
	if (err) {
		target_close(&qemu->base);
		return error_context(err, "%s", name);
	}
	*ret = &qemu->base;
	return NULL;
}

static struct nunchi_error *open_unlimited(const char *word, const struct target_options *options,
					   struct target **ret)
{
	const struct qemu_limits limits = {0};

	return qemu_target_open_limited(word, options, &limits, ret);
}

static const struct nunchi_target_form forms[] = {
    {"qemu:NAME", "a running guest of QEMU or KVM by its name (qemu -name, virsh)", true},
    {"qemu:PID", "the same by the id of the QEMU process", true},
    {"qemu:SOCKET", "the same by the path of its QMP socket", true},
};

const struct target_kind qemu_kind = {
    .prefix = "qemu:",
    .forms = forms,
    .form_count = ARRAY_SIZE(forms),
    .open = open_unlimited,
    .list = qemu_list,
    .has_guest = qemu_has_guest,
};
