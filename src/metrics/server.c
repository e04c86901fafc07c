/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics/server.h"

#include "core/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* For a request to come in whole, for a response to be taken, and for the other side to close. */
#define ASK_US    (5 * CLOCK_US_PER_S)
#define TAKE_US   (10 * CLOCK_US_PER_S)
#define FINISH_US (1 * CLOCK_US_PER_S)
#define ACCEPT_US (1 * CLOCK_US_PER_S)

void server_init(struct server *server, int listener)
{
	server->listener = listener;
	for (size_t i = 0; i < SERVER_MOST_CLIENTS; i++)
		server->clients[i].fd = -1;
}

static void enter(struct client *client, enum client_state state, uint64_t time)
{
	client->state = state;
	client->deadline = time == CLOCK_NEVER ? CLOCK_NEVER : clock_us() + time;
}

static void drop(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	buffer_deinit(&client->out);
	client->out = (struct buffer){0};
	client->state = CLIENT_NONE;
}

/* ---- Accepting ------------------------------------------------------------------------------- */

/* A free place; else that of the one which has had most time to ask. */
static struct client *make_room(struct server *server)
{
	struct client *oldest = NULL;

	for (size_t i = 0; i < SERVER_MOST_CLIENTS; i++) {
		struct client *client = &server->clients[i];

		if (client->state == CLIENT_NONE)
			return client;
		if ((client->state == CLIENT_ASKS || client->state == CLIENT_FINISHES) &&
		    (!oldest || client->deadline < oldest->deadline))
			oldest = client;
	}
	if (oldest)
		drop(oldest);
	return oldest;
}

static void accept_all(struct server *server)
{
	while (clock_us() >= server->accept_at) {
		struct client *client;
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN)
				server->accept_at = clock_us() + ACCEPT_US;
			return;
		}
		client = make_room(server);
		if (!client) {
			close(fd);
			return;
		}
		client->fd = fd;
		client->size = client->sent = 0;
		enter(client, CLIENT_ASKS, ASK_US);
	}
}

/* ---- One client ------------------------------------------------------------------------------ */

static void refuse(struct client *client, enum http_status status)
{
	http_refuse(&client->out, status, client->head_only);
	enter(client, CLIENT_TAKES, TAKE_US);
}

static void take_request(struct client *client)
{
	struct http_request request;
	ssize_t got =
	    read(client->fd, client->head + client->size, sizeof(client->head) - client->size);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		drop(client);
		return;
	}
	client->size += (size_t)got;
	request = http_parse(client->head, client->size);
	client->wants_text = request.wants_text;
	client->head_only = request.head_only;
	if (request.status == HTTP_OK)
		enter(client, CLIENT_WAITS, CLOCK_NEVER);
	else if (request.status != HTTP_MORE)
		refuse(client, request.status);
}

static void send_response(struct client *client)
{
	while (client->sent < client->out.size) {
		ssize_t sent = send(client->fd, client->out.data + client->sent,
				    client->out.size - client->sent, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			drop(client);
			return;
		}
		client->sent += (size_t)sent;
	}
	/* Closing while bytes are unread would reset the connection, and the response with it. */
	shutdown(client->fd, SHUT_WR);
	enter(client, CLIENT_FINISHES, FINISH_US);
}

static void throw_away(struct client *client)
{
	char bytes[4096];
	ssize_t got = read(client->fd, bytes, sizeof(bytes));

	if (!got || (got < 0 && errno != EAGAIN && errno != EINTR))
		drop(client);
}

static void step(struct client *client)
{
	if (client->state == CLIENT_ASKS)
		take_request(client);
	if (client->state == CLIENT_TAKES)
		send_response(client);
	if (client->state == CLIENT_FINISHES)
		throw_away(client);
	if (client->state != CLIENT_NONE && clock_us() > client->deadline)
		drop(client);
}

/* ---------------------------------------------------------------------------------------------- */

size_t server_polls(const struct server *server, struct pollfd *ret)
{
	size_t count = 0;

	if (clock_us() >= server->accept_at)
		ret[count++] = (struct pollfd){server->listener, POLLIN, 0};
	for (size_t i = 0; i < SERVER_MOST_CLIENTS; i++) {
		const struct client *client = &server->clients[i];

		/* What one that waits sends besides is not read before it has its response. */
		if (client->state != CLIENT_NONE && client->state != CLIENT_WAITS)
			ret[count++] = (struct pollfd){
			    client->fd, client->state == CLIENT_TAKES ? POLLOUT : POLLIN, 0};
	}
	return count;
}

uint64_t server_next(const struct server *server)
{
	uint64_t at = server->accept_at > clock_us() ? server->accept_at : CLOCK_NEVER;

	for (size_t i = 0; i < SERVER_MOST_CLIENTS; i++)
		if (server->clients[i].state != CLIENT_NONE && server->clients[i].deadline < at)
			at = server->clients[i].deadline;
	return at;
}

void server_step(struct server *server)
{
	for (size_t i = 0; i < SERVER_MOST_CLIENTS; i++)
		step(&server->clients[i]);
	accept_all(server);
}

bool server_has_waiting(const struct server *server)
{
	for (size_t i = 0; i < SERVER_MOST_CLIENTS; i++)
		if (server->clients[i].state == CLIENT_WAITS)
			return true;
	return false;
}

void server_answer(struct server *server,
		   const char *(*render)(struct buffer *out, bool text, void *data), void *data)
{
	struct buffer bodies[2] = {{0}, {0}};
	const char *types[2] = {NULL, NULL};

	for (size_t i = 0; i < SERVER_MOST_CLIENTS; i++) {
		struct client *client = &server->clients[i];
		bool text = client->wants_text;

		if (client->state != CLIENT_WAITS)
			continue;
		if (!types[text])
			types[text] = render(&bodies[text], text, data);
		http_head(&client->out, types[text], bodies[text].size);
		if (!client->head_only)
			buffer_append(&client->out, bodies[text].data, bodies[text].size);
		/* For want of memory. */
		if (bodies[text].failed || client->out.failed) {
			buffer_clear(&client->out);
			http_refuse(&client->out, HTTP_UNAVAILABLE, client->head_only);
		}
		enter(client, CLIENT_TAKES, TAKE_US);
	}
	buffer_deinit(&bodies[0]);
	buffer_deinit(&bodies[1]);
}

void server_deinit(struct server *server)
{
	for (size_t i = 0; i < SERVER_MOST_CLIENTS; i++)
		drop(&server->clients[i]);
}
