/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics/sockets.h"

#include "core/array.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Numbers of protocols of IPv4 and IPv6. */
enum { TCP = 6, UDP = 17 };

struct metrics_one_socket {
	uint64_t address; /* of its struct sock; 0: not known */
	uint8_t protocol, state;
};

static enum metrics_protocol protocol_of(const struct nunchi_cell *family,
					 const struct nunchi_cell *protocol)
{
	if (family->kind != NUNCHI_CELL_VALUE)
		return METRICS_OTHER_PROTOCOL;
	switch (family->integer) {
	case AF_UNIX:
		return METRICS_UNIX;
	case AF_NETLINK:
		return METRICS_NETLINK;
	case AF_PACKET:
		return METRICS_PACKET;
	case AF_INET:
	case AF_INET6:
		if (protocol->kind == NUNCHI_CELL_VALUE && protocol->integer == TCP)
			return METRICS_TCP;
		if (protocol->kind == NUNCHI_CELL_VALUE && protocol->integer == UDP)
			return METRICS_UDP;
		return METRICS_OTHER_PROTOCOL;
	default:
		return METRICS_OTHER_PROTOCOL;
	}
}

static enum metrics_socket state_of(const struct nunchi_cell *state)
{
	for (unsigned i = 1; i < METRICS_SOCKETS_STATES && state->kind == NUNCHI_CELL_VALUE; i++)
		if (state->text_size == strlen(metrics_socket_states[i]) &&
		    !memcmp(state->text, metrics_socket_states[i], state->text_size))
			return i;
	return METRICS_SOCKET_NONE;
}

bool metrics_sockets_add(struct metrics_sockets *sockets, const struct nunchi_cell *cells)
{
	if (!ARRAY_RESERVE(sockets->items, sockets->count, sockets->capacity, 1))
		return false;
	sockets->items[sockets->count++] = (struct metrics_one_socket){
	    cells[0].kind == NUNCHI_CELL_VALUE ? cells[0].address : 0,
	    (uint8_t)protocol_of(&cells[1], &cells[2]), (uint8_t)state_of(&cells[3])};
	return true;
}

static int compare(const void *one, const void *other)
{
	const struct metrics_one_socket *a = one, *b = other;

	return (a->address > b->address) - (a->address < b->address);
}

void metrics_sockets_count(struct metrics_sockets *sockets, struct metrics_reading *reading)
{
	const struct metrics_one_socket *items = sockets->items;

	if (sockets->count)
		qsort(sockets->items, sockets->count, sizeof(*sockets->items), compare);
	/* Of a view that failed nothing is known. */
	for (size_t i = 0; i < sockets->count && reading->sockets[0][0] != METRICS_ABSENT; i++) {
		if (i && items[i].address && items[i].address == items[i - 1].address)
			continue;
		reading->sockets[items[i].protocol][items[i].state]++;
	}
	sockets->count = 0;
}

void metrics_sockets_deinit(struct metrics_sockets *sockets)
{
	free(sockets->items);
	sockets->items = NULL;
	sockets->count = sockets->capacity = 0;
}
