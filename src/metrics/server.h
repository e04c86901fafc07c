/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connections of those who ask for metrics. None is waited for: each has so many bytes and so much
 * time, and one that has not asked yet makes room for one that comes.
 */
#ifndef NUNCHI_METRICS_SERVER_H
#define NUNCHI_METRICS_SERVER_H

#include "core/buffer.h"
#include "metrics/http.h"

#include <poll.h>

#define SERVER_MOST_CLIENTS 16

enum client_state {
	CLIENT_NONE,
	CLIENT_ASKS,    /* its request is not whole yet */
	CLIENT_WAITS,   /* for a reading */
	CLIENT_TAKES,   /* a response */
	CLIENT_FINISHES /* it has all; what it still sends is thrown away until it closes */
};

struct client {
	enum client_state state;
	int fd;
	uint64_t deadline; /* of clock_us() */
	char head[HTTP_MOST_HEAD];
	size_t size;
	bool wants_text, head_only;
	struct buffer out;
	size_t sent;
};

struct server {
	int listener;
	uint64_t accept_at; /* none is accepted before, for want of descriptors */
	struct client clients[SERVER_MOST_CLIENTS];
};

void server_init(struct server *server, int listener);
/* Fills in what is to be waited for; gives how many. `ret` has room for all clients and one more.
 */
size_t server_polls(const struct server *server, struct pollfd *ret);
/* When there is something to be done although nothing comes; of clock_us(). */
uint64_t server_next(const struct server *server);
/* Accepts, reads, writes, closes, as far as that is possible without waiting. */
void server_step(struct server *server);
bool server_has_waiting(const struct server *server);
/*
 * Calls render() once for each form that somebody waits for, and sends what it appends. It gives
 * the type of the content.
 */
void server_answer(struct server *server,
		   const char *(*render)(struct buffer *out, bool text, void *data), void *data);
void server_deinit(struct server *server);

#endif
