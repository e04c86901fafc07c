/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/qmp_client.h"

#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* How often a wait tests the cancel flag. */
#define SLICE_MS 20
/* How often to try again if the queue of the socket is full. */
#define RETRY_MS 2
/* How long a process of ours may take to end. */
#define HELPER_US 500000
/* Limit of the connections that are waited for at once. */
#define CLIENTS_MAX  4096
#define RECEIVE_SIZE 16384
/* No limit of qmp_limits() is greater. */
#define INPUT_MAX ((size_t)17 << 20)
/* The id of the command qmp_capabilities; the ids of other commands follow. */
#define CAPABILITIES_ID 0

struct qmp_client {
	int fd;
	int place; /* descriptor of the socket's file, opened by its path; -1: there is none */
	/* `stop` was sent, and no `cont` was answered since */
	bool stopping;
	pid_t helper; /* the process of ours at the other end; 0: QEMU itself is there */
	enum qmp_phase phase;
	pid_t peer;
	unsigned major, minor;
	unsigned resets;
	uint64_t stopped_us, resumed_us;
	/* a command was sent incompletely, so that QEMU's parser must be resynchronised */
	bool half_sent;
	int64_t next_id;
	int64_t awaited; /* id of the command whose answer is awaited; all others are dropped */
	struct buffer input;
	struct qmp_framer framer;
	struct qmp_limits limits;
	struct qmp_message answer; /* the last return or error; valid if `answered` is true */
	bool answered;
	bool broken; /* the connection was ended here: the peer sent no QMP, or too much */
};

/* ---- Connecting ------------------------------------------------------------------------------ */

/*
 * Connects by the descriptor of the socket's file, because a socket address has room for 108 bytes
 * only, and paths in libvirt's directories are longer.
 */
static bool try_connect(struct qmp_client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", client->place);
	if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)))
		return errno == EAGAIN;
	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		client->peer = peer.pid;
	client->phase = QMP_PHASE_GREETING;
	return true;
}

/* Takes over both descriptors if it succeeds. */
static struct qmp_client *create(int fd, int place)
{
	struct qmp_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->fd = fd;
	client->place = place;
	client->next_id = CAPABILITIES_ID + 1;
	client->answer.id = -1;
	client->awaited = -1;
	client->limits = QMP_LIMITS_EVENT;
	buffer_init(&client->input, INPUT_MAX);
	return client;
}

struct nunchi_error *qmp_client_attach(int fd, pid_t pid, struct qmp_client **ret)
{
	struct qmp_client *client = create(fd, -1);

	if (!client) {
		int status;

		/* The process ends when its connection does. */
		close(fd);
		io_reap(pid, clock_us() + HELPER_US, NULL, &status);
		return &error_nomem;
	}
	client->helper = pid;
	client->phase = QMP_PHASE_GREETING;
	*ret = client;
	return NULL;
}

struct nunchi_error *qmp_client_create(const char *path, struct qmp_client **ret)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	_cleanup_close_ int place = open(path, O_PATH | O_CLOEXEC);
	_cleanup_qmp_client_ struct qmp_client *client = NULL;

	if (place < 0)
		return error_create_errno(errno, "QMP socket %s", path);
	if (fd < 0)
		return error_create_errno(errno, "cannot make a socket");
	client = create(fd, place);
	if (!client)
		return &error_nomem;
	no_cleanup_fd(fd);
	no_cleanup_fd(place);
	if (try_connect(client)) {
		*ret = no_cleanup_ptr(client);
		return NULL;
	}
	if (errno == ECONNREFUSED)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "QMP socket %s: nobody listens there",
				    path);
	return error_create_errno(errno, "QMP socket %s", path);
}

/*
 * Waits for a process whose connection was closed, and kills it if it still waits for somebody
 * else; but not while the guest may be paused: the guard, or a `cont` on its way, needs it.
 */
static void end_helper(pid_t pid, bool needed)
{
	int status;

	if (!pid || io_reap(pid, clock_us() + HELPER_US, NULL, &status) != 0 || needed)
		return;
	kill(pid, SIGKILL);
	io_reap(pid, clock_us() + HELPER_US, NULL, &status);
}

void qmp_client_destroy(struct qmp_client *client)
{
	if (!client)
		return;
	qmp_message_deinit(&client->answer);
	buffer_deinit(&client->input);
	close(client->fd);
	if (client->place >= 0)
		close(client->place);
	end_helper(client->helper, client->stopping);
	free(client);
}

void qmp_client_leave(struct qmp_client *client)
{
	if (client)
		client->helper = 0;
	qmp_client_destroy(client);
}

int qmp_client_fd(const struct qmp_client *client)
{
	return client->fd;
}

pid_t qmp_client_peer(const struct qmp_client *client)
{
	return client->peer;
}

bool qmp_client_is_relayed(const struct qmp_client *client)
{
	return client->helper;
}

enum qmp_phase qmp_client_phase(const struct qmp_client *client)
{
	return client->phase;
}

unsigned qmp_client_major(const struct qmp_client *client)
{
	return client->major;
}

unsigned qmp_client_minor(const struct qmp_client *client)
{
	return client->minor;
}

unsigned qmp_client_resets(const struct qmp_client *client)
{
	return client->resets;
}

uint64_t qmp_client_stopped_us(const struct qmp_client *client)
{
	return client->stopped_us;
}

uint64_t qmp_client_resumed_us(const struct qmp_client *client)
{
	return client->resumed_us;
}

/* ---- Waiting and sending --------------------------------------------------------------------- */

static struct nunchi_error *check_wait(const struct qmp_wait *wait)
{
	if (cancel_requested(wait->cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	if (clock_us() >= wait->deadline_us)
		return error_hint(
		    error_create(NUNCHI_ERROR_TIMEOUT, "QMP: QEMU does not answer in time"),
		    "its main loop may be held up by a slow disk or a migration; try again");
	return NULL;
}

static struct nunchi_error *closed(struct qmp_client *client)
{
	client->phase = QMP_PHASE_DEAD;
	if (client->broken)
		return error_create(NUNCHI_ERROR_DATA,
				    "QMP: QEMU sent what is no answer, or a far too large one");
	return error_create(NUNCHI_ERROR_GONE, "QMP: QEMU closed the connection");
}

/* Sends as much as there is room for, with a descriptor, or -1. */
static ssize_t send_some(struct qmp_client *client, const char *data, size_t size, int passed)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec part = {(void *)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (passed >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(int));
	}
	return sendmsg(client->fd, &message, MSG_NOSIGNAL);
}

static struct nunchi_error *send_all(struct qmp_client *client, const char *data, size_t size,
				     int passed, const struct qmp_wait *wait)
{
	size_t sent = 0;

	while (sent < size) {
		ssize_t n = send_some(client, data + sent, size - sent, sent ? -1 : passed);
		struct nunchi_error *err;

		if (n > 0) {
			sent += (size_t)n;
			client->half_sent = sent < size;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return closed(client);
		err = check_wait(wait);
		if (err)
			return err;
		io_wait(client->fd, POLLOUT, wait->deadline_us, wait->cancel);
	}
	return NULL;
}

static struct nunchi_error *send_command(struct qmp_client *client, int64_t id, const char *name,
					 const json_t *arguments, int passed,
					 const struct qmp_wait *wait)
{
	_cleanup_buffer_ struct buffer out = {0};

	buffer_init(&out, 0);
	if (client->half_sent)
		buffer_append_string(&out, QMP_RESYNC);
	if (!qmp_command(&out, id, name, arguments))
		return &error_nomem;
	return send_all(client, out.data, out.size, passed, wait);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static void handle_event(struct qmp_client *client, const struct qmp_message *event)
{
	if (!strcmp(event->text, "RESET"))
		client->resets++;
	else if (!strcmp(event->text, "STOP"))
		client->stopped_us = event->time_us;
	else if (!strcmp(event->text, "RESUME"))
		client->resumed_us = event->time_us;
}

static void handle(struct qmp_client *client, struct qmp_message *message)
{
	const struct qmp_wait at_once = {.deadline_us = clock_us()};

	if (message->kind == QMP_EVENT) {
		handle_event(client, message);
	} else if (client->phase == QMP_PHASE_GREETING) {
		if (message->kind != QMP_GREETING) {
			client->phase = QMP_PHASE_DEAD;
			/* A process of ours says why it cannot serve. */
			if (message->kind == QMP_ERROR && client->helper) {
				client->answer = *message;
				*message = (struct qmp_message){.id = -1};
			}
			return;
		}
		client->major = message->major;
		client->minor = message->minor;
		client->phase = QMP_PHASE_CAPABILITIES;
		/* The socket's send buffer is still empty, so this does not block. */
		nunchi_error_destroy(
		    send_command(client, CAPABILITIES_ID, "qmp_capabilities", NULL, -1, &at_once));
	} else if (client->phase == QMP_PHASE_CAPABILITIES) {
		client->phase = message->kind == QMP_RETURN ? QMP_PHASE_READY : QMP_PHASE_DEAD;
	} else if ((message->kind == QMP_RETURN || message->kind == QMP_ERROR) &&
		   message->id == client->awaited) {
		qmp_message_deinit(&client->answer);
		client->answer = *message;
		client->answered = true;
		*message = (struct qmp_message){.id = -1};
	}
}

/* Takes one message out of the input; false if there is no complete message. */
static bool take_message(struct qmp_client *client)
{
	struct qmp_message message;
	struct nunchi_error *err;
	size_t end;

	switch (qmp_frame(&client->framer, &client->limits, client->input.data, client->input.size,
			  &end)) {
	case QMP_FRAME_MORE:
		return false;
	case QMP_FRAME_BROKEN:
		client->broken = true;
		client->phase = QMP_PHASE_DEAD;
		return false;
	case QMP_FRAME_COMPLETE:
		break;
	}
	err = qmp_message_parse(client->input.data, end, &message);
	memmove(client->input.data, client->input.data + end, client->input.size - end);
	client->input.size -= end;
	client->framer = (struct qmp_framer){0};
	if (err) {
		nunchi_error_destroy(err);
		client->broken = true;
		client->phase = QMP_PHASE_DEAD;
		return false;
	}
	handle(client, &message);
	qmp_message_deinit(&message);
	return client->phase != QMP_PHASE_DEAD;
}

/* Reads once; false if there was nothing to read. */
static bool receive(struct qmp_client *client)
{
	char *to = buffer_reserve(&client->input, RECEIVE_SIZE);
	ssize_t n;

	if (!to) {
		client->phase = QMP_PHASE_DEAD;
		return false;
	}
	n = recv(client->fd, to, RECEIVE_SIZE, MSG_DONTWAIT);
	if (n > 0) {
		client->input.size += (size_t)n;
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		client->phase = QMP_PHASE_DEAD;
	return false;
}

bool qmp_client_advance(struct qmp_client *client)
{
	bool received = false;

	if (client->phase == QMP_PHASE_CONNECTING && !try_connect(client))
		client->phase = QMP_PHASE_DEAD;
	if (client->phase == QMP_PHASE_CONNECTING)
		return false;
	/* Reads nothing more until the last answer has been taken. */
	while (client->phase != QMP_PHASE_DEAD && !client->answered) {
		if (client->input.size && take_message(client))
			continue;
		if (client->phase == QMP_PHASE_DEAD || received)
			break;
		received = receive(client);
		if (!received)
			return false;
	}
	return true;
}

static struct nunchi_error *await_answer(struct qmp_client *client, const struct qmp_wait *wait)
{
	for (;;) {
		bool more = qmp_client_advance(client);
		struct nunchi_error *err;

		if (client->answered)
			return NULL;
		if (client->phase == QMP_PHASE_DEAD)
			return closed(client);
		/* Test in each turn, even if QEMU keeps sending. */
		err = check_wait(wait);
		if (err)
			return err;
		if (!more)
			io_wait(client->fd, POLLIN, wait->deadline_us, wait->cancel);
	}
}

/* ---- Negotiating ----------------------------------------------------------------------------- */

/*
 * Advances all clients. Adds those that wait for data to pfds. *ret is the index of the first
 * client that is ready. Returns the number of clients that are not dead.
 */
static size_t advance_all(struct qmp_client *const *clients, size_t count, struct pollfd *pfds,
			  size_t *ret_pfds, size_t *ret)
{
	size_t alive = 0;

	*ret_pfds = 0;
	for (size_t i = 0; i < count; i++) {
		struct qmp_client *client = clients[i];

		if (!client)
			continue;
		qmp_client_advance(client);
		if (client->phase == QMP_PHASE_READY && *ret == count)
			*ret = i;
		alive += client->phase != QMP_PHASE_DEAD;
		if (client->phase == QMP_PHASE_GREETING || client->phase == QMP_PHASE_CAPABILITIES)
			pfds[(*ret_pfds)++] = (struct pollfd){.fd = client->fd, .events = POLLIN};
	}
	return alive;
}

/*
 * Waits for data on one of several connections, at most most_ms. If a signal interrupts the wait,
 * the caller just tests its conditions again, including the deadline.
 */
static void wait_slice(struct pollfd *pfds, size_t count, const struct qmp_wait *wait,
		       unsigned most_ms)
{
	uint64_t now = clock_us();
	uint64_t left = wait->deadline_us > now ? wait->deadline_us - now : 0;

	poll(pfds, count, (int)(left / 1000 >= most_ms ? most_ms : left / 1000 + 1));
}

struct nunchi_error *qmp_client_negotiate(struct qmp_client *const *clients, size_t count,
					  const struct qmp_wait *wait, size_t *ret)
{
	_cleanup_free_ struct pollfd *pfds = NULL;
	size_t ready = count;

	if (count > CLIENTS_MAX)
		return error_create(NUNCHI_ERROR_ARGUMENT, "QMP: too many sockets at once");
	pfds = calloc(count ? count : 1, sizeof(*pfds));
	if (!pfds)
		return &error_nomem;
	for (;;) {
		size_t polled, alive = advance_all(clients, count, pfds, &polled, &ready);
		struct nunchi_error *err;

		if (ready < count) {
			*ret = ready;
			return NULL;
		}
		if (!alive && count == 1 && clients[0]->answer.text)
			return error_create(NUNCHI_ERROR_UNSUPPORTED, "%s",
					    clients[0]->answer.text);
		if (!alive)
			return error_create(NUNCHI_ERROR_UNSUPPORTED,
					    "QMP: what answers there does not speak QMP");
		err = check_wait(wait);
		if (error_is(err, NUNCHI_ERROR_TIMEOUT)) {
			nunchi_error_destroy(err);
			return error_create(NUNCHI_ERROR_BUSY,
					    "QMP: another client has the socket");
		}
		if (err)
			return err;
		wait_slice(pfds, polled, wait, polled < alive ? RETRY_MS : SLICE_MS);
	}
}

/* ---- Commands -------------------------------------------------------------------------------- */

/* Ends waiting for an answer: what comes for it later is dropped. */
static void forget_answer(struct qmp_client *client)
{
	qmp_message_deinit(&client->answer);
	client->answered = false;
	client->awaited = -1;
}

static struct nunchi_error *execute(struct qmp_client *client, const char *command,
				    const json_t *arguments, int passed,
				    const struct qmp_wait *wait, json_t **ret)
{
	struct qmp_limits limits;
	struct nunchi_error *err;

	if (client->phase != QMP_PHASE_READY)
		return closed(client);
	client->awaited = client->next_id++;
	client->stopping |= !strcmp(command, "stop");
	/* A larger answer to an earlier command, for which nobody waits any more, may still come.
	 */
	limits = qmp_limits(command);
	if (limits.bytes > client->limits.bytes)
		client->limits = limits;
	err = send_command(client, client->awaited, command, arguments, passed, wait);
	if (!err)
		err = await_answer(client, wait);
	if (err)
		err = error_context(err, "%s", command);
	else if (client->answer.kind == QMP_ERROR)
		err = error_create(NUNCHI_ERROR_UNSUPPORTED, "QEMU refuses %s: %s", command,
				   client->answer.text);
	else if (ret)
		*ret = json_incref((json_t *)client->answer.value);
	if (!err && !strcmp(command, "cont"))
		client->stopping = false;
	if (client->answered)
		client->limits = QMP_LIMITS_EVENT;
	forget_answer(client);
	return err;
}

struct nunchi_error *qmp_client_execute(struct qmp_client *client, const char *command,
					const json_t *arguments, const struct qmp_wait *wait,
					json_t **ret)
{
	return execute(client, command, arguments, -1, wait, ret);
}

struct nunchi_error *qmp_client_execute_with_fd(struct qmp_client *client, const char *command,
						const json_t *arguments, int fd,
						const struct qmp_wait *wait)
{
	return execute(client, command, arguments, fd, wait, NULL);
}

struct nunchi_error *qmp_client_human(struct qmp_client *client, const char *line, int vcpu,
				      const struct qmp_wait *wait, char **ret)
{
	_cleanup_json_ json_t *arguments = json_pack("{s:s}", "command-line", line), *value = NULL;
	struct nunchi_error *err;
	const char *text;
	char *copy;

	if (!arguments ||
	    (vcpu >= 0 && json_object_set_new(arguments, "cpu-index", json_integer(vcpu))))
		return &error_nomem;
	err = qmp_client_execute(client, "human-monitor-command", arguments, wait, &value);
	if (err)
		return error_context(err, "\"%s\"", line);
	text = json_string_value(value);
	if (!text)
		return error_create(NUNCHI_ERROR_DATA, "QMP: \"%s\" gave no text", line);
	copy = strdup(text);
	if (!copy)
		return &error_nomem;
	*ret = copy;
	return NULL;
}
