/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/routes.h"
#include "view/network_walk.h"

#define COLUMNS(X)                                                                                 \
	X(destination, TEXT, "address that the route leads to, with netmask; 0.0.0.0, ::: all")    \
	X(netmask, INTEGER, "how many bits of the destination count")                              \
	X(gateway, TEXT, "address of the router to send to, if there is one")                      \
	X(source, TEXT, "own address that packets should come from")                               \
	X(flags, INTEGER, "of the hop: 1 dead, 4 onlink, 16 link is down …")                       \
	X(interface, TEXT, "device to send to")                                                    \
	X(mtu, INTEGER, "bytes of the largest packet; 0: that of the device")                      \
	X(metric, INTEGER, "priority: the smallest comes first")                                   \
	X(type, TEXT, "gateway (any that sends on), local, broadcast, anycast or other")           \
	X(hopcount, INTEGER, "hop limit of what is sent; 0: as usual")                             \
	X(family, INTEGER, "2 IPv4, 10 IPv6")                                                      \
	X(route_table, INTEGER, "table: 255 local, 254 main …")                                    \
	X(protocol, INTEGER, "who made it: 2 the kernel, 3 at boot, 4 by hand …")                  \
	X(net_namespace, INTEGER, "number of the namespace, as in /proc/PID/ns/net")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* include/uapi/linux/rtnetlink.h */
enum { TYPE_UNICAST = 1, TYPE_LOCAL = 2, TYPE_BROADCAST = 3, TYPE_ANYCAST = 4 };
enum { METRIC_MTU = 2, METRIC_HOPLIMIT = 10, HOP_FLAGS = 0x5d };
enum { FAMILY_IP4 = 2, FAMILY_IP6 = 10 };

struct routes {
	struct network_walk walk;
	const struct view_request *request;
	bool in_net;
	struct linux_routes list;
	size_t next; /* of the list, the route after the current one */
	struct linux_route_copy route;
	unsigned hop, hops; /* of the current route */
	struct object link;
};

static struct nunchi_error *routes_open(void *data, struct guest_kernel *guest,
					const struct view_request *request)
{
	struct routes *state = data;
	struct nunchi_error *err = linux_routes_check(linux_kernel_of(guest));

	if (err)
		return err;
	state->request = request;
	state->list.kernel = linux_kernel_of(guest);
	return network_walk_open(&state->walk, guest, request->numbers[COLUMN_net_namespace]);
}

static void put_number(struct routes *state, struct view_row *row, unsigned column,
		       enum read_result (*get)(struct linux_kernel *kernel,
					       const struct linux_route_copy *copy, int64_t *ret))
{
	int64_t value = 0;
	enum read_result result = get(state->walk.kernel, &state->route, &value);

	row_read_integer(row, column, result, value);
}

static void put_text(struct routes *state, struct view_row *row, unsigned column,
		     enum read_result (*get)(struct linux_kernel *kernel,
					     const struct linux_route_copy *copy,
					     struct buffer *ret))
{
	enum read_result result;

	buffer_clear(&state->walk.text);
	result = get(state->walk.kernel, &state->route, &state->walk.text);
	row_read_text(row, column, result, &state->walk.text);
}

static void put_metrics(struct routes *state, struct view_row *row, unsigned column, unsigned which)
{
	int64_t value = 0;
	enum read_result result;

	if (!view_wants(state->request, column))
		return;
	result = linux_route_metrics(state->walk.kernel, &state->route, which, &value);
	row_read_integer(row, column, result, value);
}

static void put_type(struct routes *state, struct view_row *row)
{
	static const char *const names[] = {[TYPE_UNICAST] = "gateway",
					    [TYPE_LOCAL] = "local",
					    [TYPE_BROADCAST] = "broadcast",
					    [TYPE_ANYCAST] = "anycast"};
	enum read_result result;
	int64_t type = 0;

	result = linux_route_type(state->walk.kernel, &state->route, &type);
	if (result != READ_OK)
		row_unread(row, COLUMN_type, result);
	else
		row_string(row, COLUMN_type,
			   type > 0 && type < (int64_t)ARRAY_SIZE(names) ? names[type] : "other");
}

static void put_hop(struct routes *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->walk.kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_device);
	struct buffer *text = &state->walk.text;
	enum read_result result = linux_route_hop(kernel, &state->route, state->hop, &state->link);
	uint64_t device = result == READ_OK ? object_u64(&state->link, &layout->hop_device) : 0;
	enum read_result gateway = result;
	int64_t flags = 0;

	if (result == READ_OK)
		result = object_number(&state->link, &layout->hop_flags, &flags);
	row_read_integer(row, COLUMN_flags, result, flags & HOP_FLAGS);
	buffer_clear(text);
	if (gateway == READ_OK)
		gateway = linux_hop_gateway(kernel, &state->link, text);
	row_read_text(row, COLUMN_gateway, gateway, text);
	if (!view_wants(state->request, COLUMN_interface))
		return;
	/* A route that leads nowhere has no device. */
	if (result == READ_OK)
		result = device ? linux_read_object(kernel, LAYOUT_net_device, device,
						    &state->walk.device)
				: READ_NONE;
	if (result == READ_OK)
		row_device_name(row, COLUMN_interface, &state->walk);
	else
		row_unread(row, COLUMN_interface, result);
}

static bool fill(void *data, struct view_row *row)
{
	struct routes *state = data;
	const struct linux_route *route = &state->list.items[state->next - 1];
	enum read_result result = linux_route_read(state->walk.kernel, route, &state->route);

	if (result != READ_OK && state->walk.kernel->guest.live)
		return false;
	state->hops = state->route.hops ? state->route.hops : 1;
	row_integer(row, COLUMN_family, route->wide ? FAMILY_IP6 : FAMILY_IP4);
	row_integer(row, COLUMN_route_table, route->table);
	row_device_namespace(row, COLUMN_net_namespace, &state->walk);
	put_text(state, row, COLUMN_destination, linux_route_destination);
	put_text(state, row, COLUMN_source, linux_route_source);
	put_number(state, row, COLUMN_netmask, linux_route_prefix);
	put_number(state, row, COLUMN_metric, linux_route_metric);
	put_number(state, row, COLUMN_protocol, linux_route_protocol);
	put_metrics(state, row, COLUMN_mtu, METRIC_MTU);
	put_metrics(state, row, COLUMN_hopcount, METRIC_HOPLIMIT);
	put_type(state, row);
	put_hop(state, row);
	return true;
}

/* Collects the routes of the next namespace. False at the end. */
static bool next_net(struct routes *state, struct view_row *row, struct nunchi_error **ret)
{
	static const char *const families[] = {"IPv4", "IPv6"};
	uint64_t net;

	for (unsigned i = 0; state->in_net && i < ARRAY_SIZE(families); i++) {
		if (!state->list.broken[i])
			continue;
		row_warn(row, "network namespace %llu: routes of %s are missing: %s",
			 (unsigned long long)state->walk.inum, families[i],
			 read_result_string(state->list.broken[i]));
		row_torn(row);
	}
	state->in_net = network_walk_next_net(&state->walk, row, &net);
	state->next = 0;
	if (!state->in_net)
		return false;
	*ret = linux_routes_collect(&state->list, net);
	return !*ret;
}

static struct nunchi_error *routes_next(void *data, struct view_row *row)
{
	struct routes *state = data;
	struct nunchi_error *err = NULL;

	do {
		for (;;) {
			if (++state->hop >= state->hops) {
				if (!state->in_net || state->next == state->list.count)
					break;
				state->next++;
				state->hop = 0;
			}
			if (row_settle(row, &state->walk.kernel->guest, UINT64_MAX, fill, state))
				return NULL;
			state->hops = 0;
		}
		state->hops = 0;
	} while (next_net(state, row, &err));
	return err ? err : &error_stop;
}

static void routes_close(void *data)
{
	struct routes *state = data;

	network_walk_close(&state->walk);
	linux_routes_deinit(&state->list);
	linux_route_deinit(&state->route);
	object_deinit(&state->link);
}

const struct view view_routes = {
    .schema = {"routes", "routes of IPv4 and IPv6, of all tables and network namespaces", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct routes), routes_open, routes_next, routes_close}},
};
