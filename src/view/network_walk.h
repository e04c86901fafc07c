/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A walk over all network namespaces and their devices, which the views of the network share. */
#ifndef NUNCHI_VIEW_NETWORK_WALK_H
#define NUNCHI_VIEW_NETWORK_WALK_H

#include "guest/linux/network.h"
#include "view/view.h"

struct network_walk {
	struct linux_kernel *kernel;
	const struct number_filter *namespaces; /* those to show; NULL: all */
	struct linux_nets nets;
	bool in_net; /* there is a current namespace */
	uint64_t inum;
	enum read_result inum_result;
	struct linux_devices devices;
	uint64_t address;     /* of the current device */
	struct object device; /* a copy of it, after network_walk_read() */
	struct buffer text;   /* scratch space */
};

/* Begins a walk. If this fails, nothing is to be closed. */
struct nunchi_error *network_walk_open(struct network_walk *walk, struct guest_kernel *guest,
				       const struct number_filter *namespaces);
void network_walk_close(struct network_walk *walk);
/*
 * Steps to the next namespace that is to be shown, and gets the address of its struct net. False at
 * the end, after warning of namespaces that could not be reached.
 */
bool network_walk_next_net(struct network_walk *walk, struct view_row *row, uint64_t *ret);
/* Steps to the next device. False at the end, after warning of what could not be followed. */
bool network_walk_next(struct network_walk *walk, struct view_row *row);
/* Copies the current device. Warns if it cannot be read; false too if it is gone meanwhile. */
bool network_walk_read(struct network_walk *walk, struct view_row *row);
/* Warns "WHAT of device NAME of network namespace N …: REASON"; nothing for READ_OK, READ_NONE. */
void network_walk_warn(struct network_walk *walk, struct view_row *row, enum read_result result,
		       const char *what);
/* Set a cell to the name of the current device, or to the number of its namespace. */
void row_device_name(struct view_row *row, unsigned column, struct network_walk *walk);
void row_device_namespace(struct view_row *row, unsigned column, const struct network_walk *walk);

#endif
