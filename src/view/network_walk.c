/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/network_walk.h"

struct nunchi_error *network_walk_open(struct network_walk *walk, struct guest_kernel *guest,
				       const struct number_filter *namespaces)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err = linux_devices_check(kernel);

	if (err)
		return err;
	walk->kernel = kernel;
	walk->namespaces = namespaces;
	linux_nets_init(&walk->nets, kernel);
	return NULL;
}

void network_walk_close(struct network_walk *walk)
{
	linux_nets_deinit(&walk->nets);
	linux_devices_deinit(&walk->devices);
	object_deinit(&walk->device);
	buffer_deinit(&walk->text);
}

bool network_walk_next_net(struct network_walk *walk, struct view_row *row, uint64_t *ret)
{
	while (linux_nets_next(&walk->nets, ret)) {
		walk->inum_result = linux_read_field(walk->kernel, *ret,
						     &walk->kernel->layout.net_inum, &walk->inum);
		if (walk->inum_result == READ_OK &&
		    !number_filter_passes(walk->namespaces, (int64_t)walk->inum))
			continue;
		return true;
	}
	if (walk->nets.none)
		row_warn(row, "this kernel has no network");
	if (walk->nets.list.broken) {
		row_warn(row, "the list of network namespaces is cut short after %llu: %s",
			 (unsigned long long)walk->nets.list.count,
			 read_result_string(walk->nets.list.broken));
		row_torn(row);
	}
	return false;
}

bool network_walk_next(struct network_walk *walk, struct view_row *row)
{
	for (;;) {
		const struct linux_list *list = &walk->devices.list;
		uint64_t net;

		if (walk->in_net && linux_devices_next(&walk->devices, &walk->address))
			return true;
		if (walk->in_net && list->broken) {
			row_warn(row,
				 "network namespace %llu: the list of devices is cut short after "
				 "%llu: %s",
				 (unsigned long long)walk->inum, (unsigned long long)list->count,
				 read_result_string(list->broken));
			row_torn(row);
		}
		walk->in_net = network_walk_next_net(walk, row, &net);
		if (!walk->in_net)
			return false;
		linux_devices_init(&walk->devices, walk->kernel, net);
	}
}

bool network_walk_read(struct network_walk *walk, struct view_row *row)
{
	enum read_result result =
	    linux_read_object(walk->kernel, LAYOUT_net_device, walk->address, &walk->device);

	if (walk->kernel->guest.live && !linux_device_is_listed(walk->kernel, walk->address))
		return false;
	if (result != READ_OK)
		row_warn(row, "network namespace %llu: a device at 0x%llx cannot be read: %s",
			 (unsigned long long)walk->inum, (unsigned long long)walk->address,
			 read_result_string(result));
	return result == READ_OK;
}

void network_walk_warn(struct network_walk *walk, struct view_row *row, enum read_result result,
		       const char *what)
{
	const char *name = "";
	size_t size = object_text(&walk->device, &walk->kernel->layout.net_device_name, &name);

	if (result != READ_OK && result != READ_NONE)
		row_warn(row, "network namespace %llu: %s of the device %.*s: %s",
			 (unsigned long long)walk->inum, what, (int)size, name,
			 read_result_string(result));
}

void row_device_name(struct view_row *row, unsigned column, struct network_walk *walk)
{
	enum read_result result;

	buffer_clear(&walk->text);
	result =
	    object_append_text(&walk->device, &walk->kernel->layout.net_device_name, &walk->text);
	row_read_text(row, column, result, &walk->text);
}

void row_device_namespace(struct view_row *row, unsigned column, const struct network_walk *walk)
{
	row_read_integer(row, column, walk->inum_result, (int64_t)walk->inum);
}
