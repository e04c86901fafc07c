/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/neighbours.h"
#include "view/view.h"

#define COLUMNS(X)                                                                                 \
	X(address, TEXT, "address of IPv4 or IPv6")                                                \
	X(mac, TEXT, "hardware address that it has; none while it is asked for")                   \
	X(interface, TEXT, "device behind which it is")                                            \
	X(permanent, TEXT, "1 if it was set by hand, otherwise 0")                                 \
	X(state, TEXT, "INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED or PERMANENT")          \
	X(net_namespace, INTEGER, "number of the device's namespace, as in /proc/PID/ns/net")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct arp_cache {
	struct linux_neighbours walk;
	const struct view_request *request;
	uint64_t address; /* of the current neighbour */
	struct object neighbour, device;
	struct buffer text;
};

static struct nunchi_error *arp_cache_open(void *data, struct guest_kernel *guest,
					   const struct view_request *request)
{
	struct arp_cache *state = data;

	state->request = request;
	return linux_neighbours_init(&state->walk, linux_kernel_of(guest));
}

static void put_state(struct arp_cache *state, struct view_row *row)
{
	static const char *const names[] = {"INCOMPLETE", "REACHABLE", "STALE", "DELAY",
					    "PROBE",      "FAILED",    NULL,    "PERMANENT"};
	uint64_t bits = object_u64(&state->neighbour, &state->walk.kernel->layout.neighbour_state);

	row_string(row, COLUMN_permanent, bits & LINUX_NUD_PERMANENT ? "1" : "0");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (bits == 1u << i && names[i]) {
			row_string(row, COLUMN_state, names[i]);
			return;
		}
	}
	row_unread(row, COLUMN_state, READ_BAD_DATA);
}

/* The columns that the device tells: its name, its namespace, how long a hardware address is. */
static void put_device(struct arp_cache *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->walk.kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_device);
	struct object *device = &state->device;
	uint64_t at = object_u64(&state->neighbour, &layout->neighbour_device), inum = 0;
	enum read_result result = linux_read_object(kernel, LAYOUT_net_device, at, device);
	enum read_result number = result;

	buffer_clear(&state->text);
	if (result == READ_OK)
		result = object_append_text(device, &layout->net_device_name, &state->text);
	row_read_text(row, COLUMN_interface, result, &state->text);
	buffer_clear(&state->text);
	if (device->result == READ_OK)
		result = linux_neighbour_mac(&state->walk, &state->neighbour,
					     object_u64(device, &layout->net_device_address_size),
					     &state->text);
	row_read_text(row, COLUMN_mac, result, &state->text);
	if (!view_wants(state->request, COLUMN_net_namespace))
		return;
	if (number == READ_OK)
		number = layout->net_device_net.present ? READ_OK : READ_NO_LAYOUT;
	if (number == READ_OK)
		number = linux_read_field(kernel, object_u64(device, &layout->net_device_net),
					  &layout->net_inum, &inum);
	row_read_integer(row, COLUMN_net_namespace, number, (int64_t)inum);
}

static bool fill(void *data, struct view_row *row)
{
	struct arp_cache *state = data;
	const struct layout *layout = &state->walk.kernel->layout;
	enum read_result result;

	result = linux_neighbour_read(&state->walk, state->address, &state->neighbour);
	if (result != READ_OK && state->walk.kernel->guest.live)
		return false;
	if (result != READ_OK)
		row_warn(row, "a neighbour at 0x%llx cannot be read: %s",
			 (unsigned long long)state->address, read_result_string(result));
	/* Those that need no resolution (multicast, broadcast) are not shown by the kernel either.
	 */
	if (result != READ_OK ||
	    !(object_u64(&state->neighbour, &layout->neighbour_state) & ~(uint64_t)LINUX_NUD_NOARP))
		return false;
	buffer_clear(&state->text);
	result = linux_neighbour_address(&state->walk, &state->neighbour, &state->text);
	row_read_text(row, COLUMN_address, result, &state->text);
	put_state(state, row);
	put_device(state, row);
	return true;
}

static struct nunchi_error *arp_cache_next(void *data, struct view_row *row)
{
	static const char *const tables[] = {"IPv4", "IPv6"};
	struct arp_cache *state = data;

	while (linux_neighbours_next(&state->walk, &state->address)) {
		if (row_settle(row, &state->walk.kernel->guest, UINT64_MAX, fill, state))
			return NULL;
	}
	for (unsigned i = 0; i < LINUX_NEIGHBOUR_TABLES; i++) {
		if (!state->walk.broken[i])
			continue;
		row_warn(row, "neighbours of %s are missing: %s", tables[i],
			 read_result_string(state->walk.broken[i]));
		row_torn(row);
	}
	return &error_stop;
}

static void arp_cache_close(void *data)
{
	struct arp_cache *state = data;

	linux_neighbours_deinit(&state->walk);
	object_deinit(&state->neighbour);
	object_deinit(&state->device);
	buffer_deinit(&state->text);
}

const struct view view_arp_cache = {
    .schema = {"arp_cache", "hardware addresses of neighbours, of all network namespaces", columns,
	       ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_address) | VIEW_COLUMN_BIT(COLUMN_interface) |
		      VIEW_COLUMN_BIT(COLUMN_net_namespace),
	       .changing = VIEW_COLUMN_BIT(COLUMN_state)},
    .providers = {{&guest_linux, sizeof(struct arp_cache), arp_cache_open, arp_cache_next,
		   arp_cache_close}},
};
