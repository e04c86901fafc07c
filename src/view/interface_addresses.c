/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/network_walk.h"

#define COLUMNS(X)                                                                                 \
	X(interface, TEXT, "name of the device")                                                   \
	X(address, TEXT, "address of IPv4 or IPv6")                                                \
	X(mask, TEXT, "its network: 255.255.255.0, ffff:ffff:ffff:ffff:: …")                       \
	X(broadcast, TEXT, "address of all in the network (IPv4)")                                 \
	X(point_to_point, TEXT, "address of the other end")                                        \
	X(net_namespace, INTEGER, "number of the device's namespace, as in /proc/PID/ns/net")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct interface_addresses {
	struct network_walk walk;
	const struct view_request *request;
	bool in_device; /* the addresses of the current device are walked */
	struct linux_addresses addresses;
	struct object address;
};

static struct nunchi_error *interface_addresses_open(void *data, struct guest_kernel *guest,
						     const struct view_request *request)
{
	struct interface_addresses *state = data;

	hash_map_init(&state->addresses.seen);
	state->request = request;
	return network_walk_open(&state->walk, guest, request->numbers[COLUMN_net_namespace]);
}

static void put_part(struct interface_addresses *state, struct view_row *row, unsigned column,
		     enum linux_address_part part)
{
	struct buffer *text = &state->walk.text;
	enum read_result result;

	buffer_clear(text);
	result = linux_address_part(&state->addresses, &state->address, part, text);
	row_read_text(row, column, result, text);
}

static bool fill(void *data, struct view_row *row)
{
	struct interface_addresses *state = data;
	struct linux_kernel *kernel = state->walk.kernel;

	if (kernel->guest.live && !linux_address_is_listed(&state->addresses, &state->address))
		return false;
	row_device_name(row, COLUMN_interface, &state->walk);
	row_device_namespace(row, COLUMN_net_namespace, &state->walk);
	put_part(state, row, COLUMN_address, LINUX_ADDRESS_OWN);
	put_part(state, row, COLUMN_mask, LINUX_ADDRESS_MASK);
	put_part(state, row, COLUMN_broadcast, LINUX_ADDRESS_BROADCAST);
	put_part(state, row, COLUMN_point_to_point, LINUX_ADDRESS_PEER);
	return true;
}

/* Ends the current device's addresses, and begins those of the next one. */
static bool next_device(struct interface_addresses *state, struct view_row *row)
{
	if (state->in_device)
		network_walk_warn(&state->walk, row, state->addresses.broken,
				  "the list of addresses is cut short");
	state->in_device = false;
	while (network_walk_next(&state->walk, row)) {
		if (!network_walk_read(&state->walk, row))
			continue;
		linux_addresses_init(&state->addresses, state->walk.kernel, &state->walk.device);
		state->in_device = true;
		return true;
	}
	return false;
}

static struct nunchi_error *interface_addresses_next(void *data, struct view_row *row)
{
	struct interface_addresses *state = data;

	do {
		while (state->in_device &&
		       linux_addresses_next(&state->addresses, &state->address)) {
			if (row_settle(row, &state->walk.kernel->guest, UINT64_MAX, fill, state))
				return NULL;
		}
	} while (next_device(state, row));
	return &error_stop;
}

static void interface_addresses_close(void *data)
{
	struct interface_addresses *state = data;

	network_walk_close(&state->walk);
	linux_addresses_deinit(&state->addresses);
	object_deinit(&state->address);
}

const struct view view_interface_addresses = {
    .schema = {"interface_addresses", "addresses of the devices of all network namespaces", columns,
	       ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_interface) | VIEW_COLUMN_BIT(COLUMN_address) |
		      VIEW_COLUMN_BIT(COLUMN_net_namespace)},
    .providers = {{&guest_linux, sizeof(struct interface_addresses), interface_addresses_open,
		   interface_addresses_next, interface_addresses_close}},
};
