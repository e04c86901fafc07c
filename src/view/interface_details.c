/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/counters.h"
#include "view/network_walk.h"

#define COLUMNS(X)                                                                                 \
	X(interface, TEXT, "name of the device")                                                   \
	X(mac, TEXT, "hardware address")                                                           \
	X(type, INTEGER, "kind of hardware (ARPHRD): 1 Ethernet, 772 loopback …")                  \
	X(mtu, INTEGER, "bytes of the largest packet")                                             \
	X(metric, INTEGER, "always 0, as Linux has none")                                          \
	X(flags, INTEGER, "bits of netdevice(7): 0x1 up, 0x40 running, 0x100 promiscuous …")       \
	X(ipackets, INTEGER, "packets received")                                                   \
	X(opackets, INTEGER, "packets sent")                                                       \
	X(ibytes, BYTES, "received")                                                               \
	X(obytes, BYTES, "sent")                                                                   \
	X(ierrors, INTEGER, "packets received with an error")                                      \
	X(oerrors, INTEGER, "packets not sent because of an error")                                \
	X(idrops, INTEGER, "packets received and dropped")                                         \
	X(odrops, INTEGER, "packets dropped instead of sent")                                      \
	X(collisions, INTEGER, "on Ethernet without a switch")                                     \
	X(net_namespace, INTEGER, "number of the device's namespace, as in /proc/PID/ns/net")      \
	X(interface_index, INTEGER, "number of the device in its namespace")                       \
	X(device, ADDRESS, "address of its struct net_device")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* The columns of what the device counts, in the order of enum linux_counter. */
static const unsigned counters[LINUX_COUNTER_COUNT] = {
    [LINUX_RX_PACKETS] = COLUMN_ipackets,   [LINUX_TX_PACKETS] = COLUMN_opackets,
    [LINUX_RX_BYTES] = COLUMN_ibytes,       [LINUX_TX_BYTES] = COLUMN_obytes,
    [LINUX_RX_ERRORS] = COLUMN_ierrors,     [LINUX_TX_ERRORS] = COLUMN_oerrors,
    [LINUX_RX_DROPS] = COLUMN_idrops,       [LINUX_TX_DROPS] = COLUMN_odrops,
    [LINUX_COLLISIONS] = COLUMN_collisions,
};

struct interface_details {
	struct network_walk walk;
	const struct view_request *request;
};

static struct nunchi_error *interface_details_open(void *data, struct guest_kernel *guest,
						   const struct view_request *request)
{
	struct interface_details *state = data;

	state->request = request;
	return network_walk_open(&state->walk, guest, request->numbers[COLUMN_net_namespace]);
}

static bool wants_counters(const struct view_request *request)
{
	for (size_t i = 0; i < LINUX_COUNTER_COUNT; i++) {
		if (view_wants(request, counters[i]))
			return true;
	}
	return false;
}

static void put_counters(struct interface_details *state, struct view_row *row)
{
	uint64_t values[LINUX_COUNTER_COUNT];
	enum read_result result =
	    linux_device_counters(state->walk.kernel, &state->walk.device, values);

	for (size_t i = 0; i < LINUX_COUNTER_COUNT; i++)
		row_read_integer(row, counters[i], result, (int64_t)values[i]);
}

static void put_number(struct interface_details *state, struct view_row *row, unsigned column,
		       const struct field *field)
{
	int64_t value = 0;
	enum read_result result = object_number(&state->walk.device, field, &value);

	row_read_integer(row, column, result, value);
}

static bool fill(void *data, struct view_row *row)
{
	struct interface_details *state = data;
	struct network_walk *walk = &state->walk;
	const struct layout *layout = &walk->kernel->layout;
	enum read_result result;
	int64_t flags = 0;

	if (!network_walk_read(walk, row))
		return false;
	row_device_name(row, COLUMN_interface, walk);
	row_device_namespace(row, COLUMN_net_namespace, walk);
	row_address(row, COLUMN_device, walk->address);
	put_number(state, row, COLUMN_interface_index, &layout->net_device_index);
	put_number(state, row, COLUMN_type, &layout->net_device_type);
	put_number(state, row, COLUMN_mtu, &layout->net_device_mtu);
	/* dev_ifsioc_locked() of net/core/dev_ioctl.c answers SIOCGIFMETRIC so. */
	row_integer(row, COLUMN_metric, 0);
	result = linux_device_flags(walk->kernel, &walk->device, &flags);
	row_read_integer(row, COLUMN_flags, result, flags);
	if (view_wants(state->request, COLUMN_mac)) {
		buffer_clear(&walk->text);
		result = linux_device_mac(walk->kernel, &walk->device, &walk->text);
		row_read_text(row, COLUMN_mac, result, &walk->text);
	}
	if (wants_counters(state->request))
		put_counters(state, row);
	return true;
}

/* What the device counts may change all the time. */
static uint64_t stable(void)
{
	uint64_t ret = UINT64_MAX;

	for (size_t i = 0; i < LINUX_COUNTER_COUNT; i++)
		ret &= ~VIEW_COLUMN_BIT(counters[i]);
	return ret;
}

static struct nunchi_error *interface_details_next(void *data, struct view_row *row)
{
	struct interface_details *state = data;

	while (network_walk_next(&state->walk, row)) {
		if (row_settle(row, &state->walk.kernel->guest, stable(), fill, state))
			return NULL;
	}
	return &error_stop;
}

static void interface_details_close(void *data)
{
	struct interface_details *state = data;

	network_walk_close(&state->walk);
}

const struct view view_interface_details = {
    .schema = {"interface_details", "network devices of all network namespaces", columns,
	       ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_interface) | VIEW_COLUMN_BIT(COLUMN_net_namespace),
	       .changing = VIEW_COLUMN_BIT(COLUMN_ipackets) | VIEW_COLUMN_BIT(COLUMN_opackets) |
			   VIEW_COLUMN_BIT(COLUMN_ibytes) | VIEW_COLUMN_BIT(COLUMN_obytes) |
			   VIEW_COLUMN_BIT(COLUMN_ierrors) | VIEW_COLUMN_BIT(COLUMN_oerrors) |
			   VIEW_COLUMN_BIT(COLUMN_idrops) | VIEW_COLUMN_BIT(COLUMN_odrops) |
			   VIEW_COLUMN_BIT(COLUMN_collisions)},
    .providers = {{&guest_linux, sizeof(struct interface_details), interface_details_open,
		   interface_details_next, interface_details_close}},
};
