/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists QEMU guests from /proc, with their state if a QMP socket is free. */
#include "target/qemu/find.h"
#include "target/qemu/qemu.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

/* Time limit of asking all guests. */
#define STATE_US 200000

struct guest {
	const struct qemu_process *process;
	struct qmp_client *clients[CMDLINE_SOCKETS_MAX + 1];
	size_t client_count;
	char *socket_error;
	bool asked;
	char state[32];
};

static void ask_state(struct guest *guest, struct qmp_client *client, const struct qmp_wait *wait)
{
	_cleanup_json_ json_t *value = NULL;
	struct nunchi_error *err = qmp_client_execute(client, "query-status", NULL, wait, &value);
	const char *status = json_string_value(json_object_get(value, "status"));

	nunchi_error_destroy(err);
	guest->asked = true;
	if (status)
		snprintf(guest->state, sizeof(guest->state), "%s", status);
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

static void ask_states(struct guest *guests, size_t count, struct pollfd *pfds)
{
	const struct qmp_wait wait = {.deadline_us = clock_us() + STATE_US};

	for (;;) {
		uint64_t now = clock_us();
		size_t waiting = 0;

		for (size_t i = 0; i < count; i++)
			waiting += advance_guest(&guests[i], pfds + waiting, &wait);
		if (!waiting || now >= wait.deadline_us)
			return;
		/*
		 * At most 10 ms: clients in QMP_PHASE_CONNECTING cannot be polled for, and are
		 * tried again.
		 */
		poll(pfds, waiting, 10);
	}
}

/* Describes how opening the guest would reach its memory, without opening it. */
static void describe_access(const struct guest *guest, struct buffer *ret)
{
	const struct cmdline *cmdline = &guest->process->cmdline;
	_cleanup_error_ struct nunchi_error *denied = process_check_access(guest->process->pid);
	bool shared = false;

	for (size_t i = 0; i < cmdline->backend_count; i++)
		shared |= cmdline->backends[i].share;
	if (!guest->process->is_x86)
		buffer_printf(ret, "not supported: %s is not x86", guest->process->program);
	else if (!denied)
		buffer_append_string(ret, shared ? "shared memory, mapped" : "process memory");
	else if (guest->asked)
		buffer_append_string(ret,
				     "QEMU's monitor, slow: this user may not read QEMU's memory");
	else
		buffer_printf(ret, "no: %s", nunchi_error_message(denied));
	if (!guest->process->is_x86)
		return;
	if (guest->asked)
		buffer_append_string(ret, ", QMP");
	else if (guest->socket_error)
		buffer_printf(ret, "; no QMP: %s", guest->socket_error);
	else if (guest->client_count)
		buffer_append_string(ret, "; QMP socket is in use by another program");
	else
		buffer_append_string(ret, "; no QMP socket");
}

static bool report(const struct guest *guest, const struct qemu_processes *all,
		   target_found_fn *found, void *data)
{
	_cleanup_free_ char *word = qemu_target_word(guest->process, all);
	_cleanup_buffer_ struct buffer access = {0};
	char hypervisor[32];
	struct nunchi_found row;
	bool more;

	buffer_init(&access, 1024);
	describe_access(guest, &access);
	snprintf(hypervisor, sizeof(hypervisor), "qemu (%s)", process_accel(guest->process));
	row = (struct nunchi_found){
	    .target = word ? word : "",
	    .name = guest->process->cmdline.name,
	    .hypervisor = hypervisor,
	    .pid = guest->process->pid,
	    .memory = guest->process->cmdline.memory,
	    .vcpus = guest->process->cmdline.vcpus,
	    .state = guest->state[0] ? guest->state : "unknown",
	    .access = buffer_string(&access),
	    .uuid = "",
	};
	more = found(&row, data);
	return more;
}

static void connect_guest(struct guest *guest)
{
	struct nunchi_error *err;

	guest->client_count = qemu_connect_all(guest->process, NULL, guest->clients, &err);
	if (err)
		guest->socket_error = strdup(nunchi_error_message(err));
	nunchi_error_destroy(err);
}

struct nunchi_error *qemu_list(bool ask, target_found_fn *found, void *data, bool *ret_stopped)
{
	_cleanup_qemu_processes_ struct qemu_processes all = {0};
	_cleanup_free_ struct guest *guests = NULL;
	_cleanup_free_ struct pollfd *pfds = NULL;
	struct nunchi_error *err = qemu_processes_find(&all);
	bool more = true;

	if (err)
		return err;
	guests = calloc(all.count + 1, sizeof(*guests));
	pfds = calloc(all.count * (CMDLINE_SOCKETS_MAX + 1) + 1, sizeof(*pfds));
	if (!guests || !pfds)
		return &error_nomem;
	for (size_t i = 0; i < all.count; i++) {
		guests[i].process = &all.entries[i];
		if (ask)
			connect_guest(&guests[i]);
	}
	ask_states(guests, all.count, pfds);
	for (size_t i = 0; i < all.count; i++) {
		if (more)
			more = report(&guests[i], &all, found, data);
		for (size_t j = 0; j < guests[i].client_count; j++)
			qmp_client_destroy(guests[i].clients[j]);
		free(guests[i].socket_error);
	}
	*ret_stopped = !more;
	return NULL;
}

bool qemu_has_guest(const char *name)
{
	_cleanup_qemu_processes_ struct qemu_processes all = {0};
	struct nunchi_error *err = qemu_processes_find(&all);
	size_t count = 0;

	nunchi_error_destroy(err);
	for (size_t i = 0; i < all.count; i++)
		count += !strcmp(all.entries[i].cmdline.name, name);
	return count == 1;
}
