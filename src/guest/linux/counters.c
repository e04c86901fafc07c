/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/counters.h"

#include <string.h>

/* enum netdev_stat_type of include/linux/netdevice.h: what the kernel counts for each CPU. */
enum { KIND_TSTATS = 2, KIND_DSTATS = 3 };

/* A counter, and the field for each CPU that adds to it. */
struct part {
	enum linux_counter counter;
	const struct field *field;
};

/* Adds what each CPU has counted in its copy of a structure. */
static enum read_result add_each_cpu(struct linux_kernel *kernel, enum layout_struct type,
				     uint64_t base, const struct part *parts, size_t count,
				     uint64_t ret[LINUX_COUNTER_COUNT])
{
	_cleanup_object_ struct object copy = {0};
	enum read_result result;
	unsigned cpus = 0;

	for (size_t i = 0; i < count; i++) {
		if (!parts[i].field->present)
			return READ_NO_LAYOUT;
	}
	result = linux_cpu_count(kernel, &cpus);
	for (unsigned cpu = 0; result == READ_OK && cpu < cpus; cpu++) {
		uint64_t at = 0;

		result = linux_per_cpu(kernel, base, cpu, &at);
		if (result == READ_OK)
			result = linux_read_object(kernel, type, at, &copy);
		for (size_t i = 0; result == READ_OK && i < count; i++)
			ret[parts[i].counter] += object_u64(&copy, parts[i].field);
	}
	return result;
}

/* The counters in the device itself. */
static enum read_result add_own(const struct layout *layout, const struct object *device,
				uint64_t ret[LINUX_COUNTER_COUNT])
{
	const struct part parts[] = {
	    {LINUX_RX_PACKETS, &layout->net_device_rx_packets},
	    {LINUX_TX_PACKETS, &layout->net_device_tx_packets},
	    {LINUX_RX_BYTES, &layout->net_device_rx_bytes},
	    {LINUX_TX_BYTES, &layout->net_device_tx_bytes},
	    {LINUX_RX_ERRORS, &layout->net_device_rx_errors},
	    {LINUX_TX_ERRORS, &layout->net_device_tx_errors},
	    {LINUX_RX_DROPS, &layout->net_device_rx_drops},
	    {LINUX_TX_DROPS, &layout->net_device_tx_drops},
	    {LINUX_COLLISIONS, &layout->net_device_collisions},
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!parts[i].field->present)
			return READ_NO_LAYOUT;
		ret[parts[i].counter] = object_u64(device, parts[i].field);
	}
	return READ_OK;
}

static enum read_result add_tstats(struct linux_kernel *kernel, const struct object *device,
				   uint64_t ret[LINUX_COUNTER_COUNT])
{
	const struct layout *layout = &kernel->layout;
	const struct part parts[] = {
	    {LINUX_RX_PACKETS, &layout->tstats_rx_packets},
	    {LINUX_TX_PACKETS, &layout->tstats_tx_packets},
	    {LINUX_RX_BYTES, &layout->tstats_rx_bytes},
	    {LINUX_TX_BYTES, &layout->tstats_tx_bytes},
	};

	return add_each_cpu(kernel, LAYOUT_tstats, object_u64(device, &layout->net_device_percpu),
			    parts, ARRAY_SIZE(parts), ret);
}

/* The loopback device counts each packet once, which it sends and receives. */
static enum read_result add_loopback(struct linux_kernel *kernel, const struct object *device,
				     uint64_t ret[LINUX_COUNTER_COUNT])
{
	const struct layout *layout = &kernel->layout;
	const struct part parts[] = {
	    {LINUX_RX_PACKETS, &layout->lstats_packets},
	    {LINUX_RX_BYTES, &layout->lstats_bytes},
	};
	enum read_result result =
	    add_each_cpu(kernel, LAYOUT_lstats, object_u64(device, &layout->net_device_percpu),
			 parts, ARRAY_SIZE(parts), ret);

	ret[LINUX_TX_PACKETS] = ret[LINUX_RX_PACKETS];
	ret[LINUX_TX_BYTES] = ret[LINUX_RX_BYTES];
	return result;
}

/* What the kernel dropped before or behind the driver. */
static enum read_result add_core(struct linux_kernel *kernel, const struct object *device,
				 uint64_t ret[LINUX_COUNTER_COUNT])
{
	const struct layout *layout = &kernel->layout;
	const struct part parts[] = {
	    {LINUX_RX_DROPS, &layout->core_stats_rx_drops},
	    {LINUX_TX_DROPS, &layout->core_stats_tx_drops},
	};
	uint64_t core;

	if (layout->net_device_core_rx_drops.present && layout->net_device_core_tx_drops.present) {
		ret[LINUX_RX_DROPS] += object_u64(device, &layout->net_device_core_rx_drops);
		ret[LINUX_TX_DROPS] += object_u64(device, &layout->net_device_core_tx_drops);
		return READ_OK;
	}
	if (!layout->net_device_core.present)
		return READ_NO_LAYOUT;
	/* It is made when the device drops its first packet. */
	core = object_u64(device, &layout->net_device_core);
	return core ? add_each_cpu(kernel, LAYOUT_core_stats, core, parts, ARRAY_SIZE(parts), ret)
		    : READ_OK;
}

/* What the driver has counted, or the kernel in its place. */
static enum read_result add_driver(struct linux_kernel *kernel, const struct object *device,
				   uint64_t ret[LINUX_COUNTER_COUNT])
{
	const struct layout *layout = &kernel->layout;
	uint64_t ops = object_u64(device, &layout->net_device_ops), stats64 = 0, stats = 0;
	uint64_t kind = object_u64(device, &layout->net_device_percpu_kind);
	enum read_result result =
	    linux_read_field(kernel, ops, &layout->device_ops_stats64, &stats64);

	if (result == READ_OK)
		result = linux_read_field(kernel, ops, &layout->device_ops_stats, &stats);
	if (result != READ_OK)
		return result;
	if (stats64 && stats64 == kernel->symbol[LINUX_loopback_stats])
		return add_loopback(kernel, device, ret);
	if (stats64 && stats64 == kernel->symbol[LINUX_tstats])
		kind = KIND_TSTATS;
	else if (stats64 || stats || kind >= KIND_DSTATS)
		return READ_NO_LAYOUT;
	result = add_own(layout, device, ret);
	return result == READ_OK && kind == KIND_TSTATS ? add_tstats(kernel, device, ret) : result;
}

enum read_result linux_device_counters(struct linux_kernel *kernel, const struct object *device,
				       uint64_t ret[LINUX_COUNTER_COUNT])
{
	enum read_result result;

	memset(ret, 0, LINUX_COUNTER_COUNT * sizeof(*ret));
	result = add_driver(kernel, device, ret);
	return result == READ_OK ? add_core(kernel, device, ret) : result;
}
