/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists QEMU guests from /proc, with their state if QMP or a note of libvirt's tells it. */
#include "target/qemu/find.h"
#include "target/qemu/libvirt.h"
#include "target/qemu/names.h"
#include "target/qemu/qemu.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

/*
 * Time limits of asking guests for their state: one turn, in which some guests are asked at once,
 * and all turns. The guests of the system come first.
 */
#define TURN_US  200000
#define STATE_US 1200000
/* Each connection takes two descriptors. */
#define CONNECTIONS_MAX 64
/* How many sockets of a guest of another person are tried. */
#define PERSON_SOCKETS_MAX 2

struct guest {
	const struct qemu_process *process;
	struct qmp_client *clients[CMDLINE_SOCKETS_MAX + 1];
	size_t client_count;
	char *socket_error;
	const char *unasked; /* why it was not asked, or NULL */
	bool tried;
	bool asked;
	char state[32];
	uint64_t memory; /* as QEMU says, with what was plugged in; 0: unknown */
};

/* Asks for the memory that the guest has now; what was plugged in is not on the command line. */
static void ask_memory(struct guest *guest, struct qmp_client *client, const struct qmp_wait *wait)
{
	_cleanup_json_ json_t *value = NULL;
	_cleanup_error_ struct nunchi_error *err =
	    qmp_client_execute(client, "query-memory-size-summary", NULL, wait, &value);
	json_int_t base = json_integer_value(json_object_get(value, "base-memory"));
	json_int_t plugged = json_integer_value(json_object_get(value, "plugged-memory"));

	if (!err && base > 0 && plugged >= 0 && base <= CMDLINE_MEMORY_MAX &&
	    plugged <= CMDLINE_MEMORY_MAX)
		guest->memory = (uint64_t)base + (uint64_t)plugged;
}

static void ask_state(struct guest *guest, struct qmp_client *client, const struct qmp_wait *wait)
{
	_cleanup_json_ json_t *value = NULL;
	struct nunchi_error *err;
	const char *status;

	if (!qemu_trust_holds(guest->process->pid, qmp_client_fd(client))) {
		guest->unasked = "another process answers on its QMP socket";
		guest->asked = true;
		return;
	}
	err = qmp_client_execute(client, "query-status", NULL, wait, &value);
	status = json_string_value(json_object_get(value, "status"));
	nunchi_error_destroy(err);
	guest->asked = true;
	if (status)
		snprintf(guest->state, sizeof(guest->state), "%s", status);
	ask_memory(guest, client, wait);
}

/* Asks for the guest's state on a connection that is ready; else adds its connections to pfds. */
static size_t advance_guest(struct guest *guest, struct pollfd *pfds, const struct qmp_wait *wait)
{
	size_t waiting = 0;

	for (size_t i = 0; i < guest->client_count && !guest->asked; i++) {
		struct qmp_client *client = guest->clients[i];

		qmp_client_advance(client);
		if (qmp_client_phase(client) == QMP_PHASE_READY)
			ask_state(guest, client, wait);
		else if (qmp_client_phase(client) == QMP_PHASE_CONNECTING)
			pfds[waiting++] = (struct pollfd){.fd = -1};
		else if (qmp_client_phase(client) != QMP_PHASE_DEAD)
			pfds[waiting++] =
			    (struct pollfd){.fd = qmp_client_fd(client), .events = POLLIN};
	}
	return guest->asked ? 0 : waiting;
}

/* Asks the guests of one turn, count of them. */
static void ask_turn(struct guest *const *guests, size_t count, struct pollfd *pfds,
		     uint64_t deadline)
{
	const struct qmp_wait wait = {.deadline_us = deadline};

	for (;;) {
		uint64_t now = clock_us();
		size_t waiting = 0;

		for (size_t i = 0; i < count && clock_us() < deadline; i++)
			waiting += advance_guest(guests[i], pfds + waiting, &wait);
		if (!waiting || now >= wait.deadline_us)
			return;
		/*
		 * At most 10 ms: clients in QMP_PHASE_CONNECTING cannot be polled for, and are
		 * tried again.
		 */
		poll(pfds, waiting, 10);
	}
}

static void connect_guest(struct guest *guest)
{
	struct qemu_process process = *guest->process;
	struct nunchi_error *err;

	guest->tried = true;
	if (process.trust.is_person && process.cmdline.socket_count > PERSON_SOCKETS_MAX)
		process.cmdline.socket_count = PERSON_SOCKETS_MAX;
	guest->client_count = qemu_connect_all(&process, NULL, guest->clients, &err);
	if (err)
		guest->socket_error = strdup(nunchi_error_message(err));
	nunchi_error_destroy(err);
}

/* Closes the connections; guest->client_count still says how many there were. */
static void disconnect_guest(struct guest *guest)
{
	for (size_t i = 0; i < guest->client_count; i++) {
		qmp_client_destroy(guest->clients[i]);
		guest->clients[i] = NULL;
	}
}

/* Asks guests of this rank, as many at once as descriptors permit. */
static void ask_rank(struct guest *guests, size_t count, unsigned rank, uint64_t deadline)
{
	struct guest *turn[CONNECTIONS_MAX];
	struct pollfd pfds[CONNECTIONS_MAX + CMDLINE_SOCKETS_MAX + 1];
	size_t next = 0;

	while (next < count && clock_us() < deadline) {
		uint64_t now = clock_us();
		size_t chosen = 0, connections = 0;

		for (; next < count && chosen < CONNECTIONS_MAX && connections < CONNECTIONS_MAX;
		     next++) {
			if (qemu_trust_rank(&guests[next].process->trust) != rank)
				continue;
			connect_guest(&guests[next]);
			connections += guests[next].client_count;
			turn[chosen++] = &guests[next];
		}
		ask_turn(turn, chosen, pfds, deadline - now > TURN_US ? now + TURN_US : deadline);
		for (size_t i = 0; i < chosen; i++)
			disconnect_guest(turn[i]);
	}
}

/* Guests that are not believed are not asked anything. */
static void ask_states(struct guest *guests, size_t count)
{
	uint64_t deadline = clock_us() + STATE_US;

	ask_rank(guests, count, 0, deadline);
	ask_rank(guests, count, 1, deadline);
	for (size_t i = 0; i < count; i++)
		if (!guests[i].tried && qemu_trust_rank(&guests[i].process->trust) < QEMU_TRUST_NOT)
			guests[i].unasked = "there was no time to ask it: too many guests do not "
					    "answer";
}

/*
 * Guests whose monitor libvirt holds, which answers nobody else: libvirt has noted their states. To
 * ask libvirt itself would take a process and a connection for each.
 */
static void read_states(struct guest *guests, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct guest *guest = &guests[i];

		if (!guest->asked && guest->process->cmdline.has_libvirt_monitor)
			qemu_libvirt_state(guest->process, guest->state, sizeof(guest->state));
	}
}

/* Describes how opening the guest would reach its memory, without opening it. */
static void describe_access(const struct guest *guest, struct buffer *ret)
{
	const struct cmdline *cmdline = &guest->process->cmdline;
	_cleanup_error_ struct nunchi_error *denied = process_check_access(guest->process->pid);
	bool shared = false;

	if (qemu_trust_rank(&guest->process->trust) == QEMU_TRUST_NOT) {
		buffer_printf(ret, "not believed, never asked or paused: %s",
			      guest->process->trust.why_not);
		return;
	}
	if (guest->process->unread[0]) {
		buffer_printf(ret, "no: its command line was not read, for %s",
			      guest->process->unread);
		return;
	}
	if (cmdline->encryption) {
		buffer_printf(ret, "no: its memory is encrypted (%s)", cmdline->encryption);
		return;
	}
	for (size_t i = 0; i < cmdline->backend_count; i++)
		shared |= cmdline->backends[i].share;
	if (!guest->process->is_x86)
		buffer_printf(ret, "not supported: %s is not x86", guest->process->program);
	else if (!denied)
		buffer_append_string(ret, shared ? "shared memory, mapped" : "process memory");
	else if (guest->asked && !guest->unasked)
		buffer_append_string(ret,
				     "QEMU's monitor, slow: this user may not read QEMU's memory");
	else
		buffer_printf(ret, "no: %s", nunchi_error_message(denied));
	if (!guest->process->is_x86)
		return;
	if (guest->unasked)
		buffer_printf(ret, "; no QMP: %s", guest->unasked);
	else if (guest->asked)
		buffer_append_string(ret, ", QMP");
	else if (guest->socket_error)
		buffer_printf(ret, "; no QMP: %s", guest->socket_error);
	else if (guest->client_count && cmdline->has_libvirt_monitor)
		buffer_append_string(ret, ", QMP through libvirt");
	else if (guest->client_count)
		buffer_append_string(ret, "; QMP socket is in use by another program");
	else
		buffer_append_string(ret, "; no QMP socket");
}

static bool report(const struct guest *guest, const struct qemu_processes *all,
		   target_found_fn *found, void *data)
{
	_cleanup_free_ char *word = qemu_target_word(guest->process, all);
	_cleanup_free_ char *name = qemu_name_shown(guest->process->cmdline.name);
	const struct cmdline *cmdline = &guest->process->cmdline;
	_cleanup_buffer_ struct buffer access = {0};
	char hypervisor[32];
	struct nunchi_found row;
	bool more;

	buffer_init(&access, 1024);
	describe_access(guest, &access);
	snprintf(hypervisor, sizeof(hypervisor), "qemu (%s)", process_accel(guest->process));
	row = (struct nunchi_found){
	    .target = word ? word : "",
	    .name = name ? name : "",
	    .hypervisor = hypervisor,
	    .pid = guest->process->pid,
	    .memory = guest->memory ? guest->memory : cmdline->memory + cmdline->plugged,
	    .vcpus = cmdline->vcpus,
	    .state = guest->state[0] ? guest->state : "unknown",
	    .access = buffer_string(&access),
	    .uuid = cmdline->uuid ? cmdline->uuid : "",
	    .user = guest->process->trust.user,
	};
	more = found(&row, data);
	return more;
}

/* One row for those beyond the limit. */
static bool report_left_out(size_t count, target_found_fn *found, void *data)
{
	char access[96];
	struct nunchi_found row = {.target = "",
				   .name = "",
				   .hypervisor = "qemu",
				   .pid = -1,
				   .state = "unknown",
				   .access = access,
				   .uuid = "",
				   .user = ""};

	snprintf(access, sizeof(access), "%zu more processes look like QEMU, too many to list",
		 count);
	return found(&row, data);
}

struct nunchi_error *qemu_list(bool ask, target_found_fn *found, void *data, bool *ret_stopped)
{
	_cleanup_qemu_processes_ struct qemu_processes all = {0};
	_cleanup_free_ struct guest *guests = NULL;
	struct nunchi_error *err = qemu_processes_find(&all);
	bool more = true;

	if (err)
		return err;
	guests = calloc(all.count + 1, sizeof(*guests));
	if (!guests)
		return &error_nomem;
	for (size_t i = 0; i < all.count; i++)
		guests[i].process = &all.entries[i];
	if (ask) {
		ask_states(guests, all.count);
		read_states(guests, all.count);
	}
	for (size_t i = 0; i < all.count; i++) {
		if (more)
			more = report(&guests[i], &all, found, data);
		free(guests[i].socket_error);
	}
	if (more && all.left_out)
		more = report_left_out(all.left_out, found, data);
	*ret_stopped = !more;
	return NULL;
}

bool qemu_has_guest(const char *name)
{
	_cleanup_qemu_processes_ struct qemu_processes all = {0};
	struct nunchi_error *err = qemu_processes_find(&all);

	nunchi_error_destroy(err);
	return qemu_count_named(&all, name) == 1;
}
