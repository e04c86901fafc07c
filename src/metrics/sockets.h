/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets, each counted once, although several processes may have it open. */
#ifndef NUNCHI_METRICS_SOCKETS_H
#define NUNCHI_METRICS_SOCKETS_H

#include "metrics/reading.h"

struct metrics_sockets {
	struct metrics_one_socket *items;
	size_t count, capacity;
};

/* The columns sock, family, protocol and state of a row; false if memory is short. */
bool metrics_sockets_add(struct metrics_sockets *sockets, const struct nunchi_cell *cells);
/* Counts those that were added, and forgets them. */
void metrics_sockets_count(struct metrics_sockets *sockets, struct metrics_reading *reading);
void metrics_sockets_deinit(struct metrics_sockets *sockets);

#endif
