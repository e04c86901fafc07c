/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that netfilter calls for each packet, of every network namespace and device. Sources:
 * include/net/netns/netfilter.h, include/linux/netfilter.h of Linux 4.14 to 7.2.
 */
#include "check/linux/hooks.h"
#include "guest/linux/network.h"

#include <inttypes.h>
#include <stdio.h>

/* MAX_HOOK_COUNT of net/netfilter/core.c */
#define MAX_ENTRIES 1024
/* Limit of the heads of one protocol: until 4.15 there was one array for all 13. */
#define MAX_HEADS 128

struct filter {
	struct hooks *hooks;
	uint32_t entry_size;
	unsigned nets, devices;
};

/* Looks at a struct nf_hook_entries, the functions of one place in the way of a packet. */
static void look_at_entries(struct filter *filter, const char *name, uint64_t entries)
{
	struct linux_kernel *kernel = filter->hooks->kernel;
	const struct layout *layout = &kernel->layout;
	struct hook_place place = {.name = name};
	uint64_t count, function;
	enum read_result result;

	if (!entries)
		return;
	result = linux_read_field(kernel, entries, &layout->nf_hook_entries_count, &count);
	if (result == READ_OK && count > MAX_ENTRIES)
		result = READ_BAD_DATA;
	for (uint64_t i = 0; result == READ_OK && i < count; i++) {
		place.address =
		    entries + layout->nf_hook_entries_hooks.offset + i * filter->entry_size;
		result =
		    linux_read_field(kernel, place.address, &layout->nf_hook_entry_hook, &function);
		if (result == READ_OK)
			hooks_look(filter->hooks, &place, function);
	}
	check_unread(filter->hooks->report, result, "netfilter's functions at 0x%" PRIx64, entries);
}

/* Looks at the places of one protocol; `field` is the array of pointers to their functions. */
static void look_at_heads(struct filter *filter, uint64_t net, const char *protocol,
			  const struct field *field)
{
	struct linux_kernel *kernel = filter->hooks->kernel;

	for (unsigned i = 0; field->present && i < field->elements && i < MAX_HEADS; i++) {
		uint64_t entries;
		enum read_result result = linux_read_word(
		    kernel, net + field->offset + (uint64_t)i * kernel->word_size, &entries);
		char name[64];

		check_unread(filter->hooks->report, result, "netfilter's tables at 0x%" PRIx64,
			     net);
		if (result != READ_OK)
			return;
		snprintf(name, sizeof(name), "netfilter, %s, hook %u", protocol, i);
		look_at_entries(filter, name, entries);
	}
}

static void look_at_device(struct filter *filter, uint64_t device)
{
	struct linux_kernel *kernel = filter->hooks->kernel;
	const struct layout *layout = &kernel->layout;
	const struct field *const fields[] = {&layout->device_hooks_ingress,
					      &layout->device_hooks_egress};

	filter->devices++;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t entries = 0;
		enum read_result result = READ_OK;

		if (fields[i]->present)
			result = linux_read_field(kernel, device, fields[i], &entries);
		check_unread(filter->hooks->report, result, "the network device at 0x%" PRIx64,
			     device);
		if (result == READ_OK)
			look_at_entries(filter, i ? "netfilter, egress" : "netfilter, ingress",
					entries);
	}
}

static void look_at_net(struct filter *filter, uint64_t net)
{
	const struct layout *layout = &filter->hooks->kernel->layout;
	struct linux_devices devices = {0};
	uint64_t device;

	filter->nets++;
	look_at_heads(filter, net, "all protocols", &layout->net_hooks_all);
	look_at_heads(filter, net, "IPv4", &layout->net_hooks_ipv4);
	look_at_heads(filter, net, "IPv6", &layout->net_hooks_ipv6);
	look_at_heads(filter, net, "ARP", &layout->net_hooks_arp);
	look_at_heads(filter, net, "bridge", &layout->net_hooks_bridge);
	linux_devices_init(&devices, filter->hooks->kernel, net);
	while (linux_devices_next(&devices, &device))
		look_at_device(filter, device);
	check_unread(filter->hooks->report, devices.list.broken, "the network devices");
	linux_devices_deinit(&devices);
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_hooks);
	_cleanup_hooks_ struct hooks hooks = {0};
	struct filter filter = {.hooks = &hooks};
	struct linux_nets nets = {0};
	struct nunchi_error *err;
	uint64_t net;

	err = hooks_init(&hooks, guest, report);
	if (err)
		return err;
	if (!hooks_symbol(&hooks, "nf_hook_slow")) {
		check_summary(report, "this kernel has no netfilter");
		return NULL;
	}
	if (!layout->nf_hook_entries_count.present || !layout->nf_hook_entry_hook.present ||
	    !(layout->net_hooks_ipv4.present || layout->net_hooks_all.present))
		return linux_lacks_fields("netfilter's functions cannot be read",
					  "net.nf and nf_hook_entries");
	err = linux_devices_check(kernel);
	if (err)
		return err;
	filter.entry_size = layout->size[LAYOUT_nf_hook_entry];
	linux_nets_init(&nets, kernel);
	while (linux_nets_next(&nets, &net) && !cancel_requested(guest->cancel))
		look_at_net(&filter, net);
	check_unread(report, nets.list.broken, "the network namespaces");
	linux_nets_deinit(&nets);
	check_summary(report, "%" PRIu64 " functions in %u network namespaces with %u devices",
		      hooks.count, filter.nets, filter.devices);
	return NULL;
}

const struct check check_netfilter = {
    "netfilter", "functions that are called for each network packet", &guest_linux, run};
