/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/network.h"

#include <arpa/inet.h>
#include <string.h>

#define MAX_NETS      65536
#define MAX_DEVICES   (1 << 20)
#define MAX_ADDRESSES (1 << 20) /* of a device */
#define MAX_MAC       32        /* MAX_ADDR_LEN of include/linux/netdevice.h */

struct nunchi_error *linux_devices_check(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_device);

	if (layout->task_nsproxy.present && linux_has_field(kernel, &layout->nsproxy_net_ns) &&
	    linux_has_field(kernel, &layout->net_devices) && layout->net_list.present &&
	    layout->net_device_list.present)
		return NULL;
	return linux_lacks_fields("network devices cannot be walked",
				  "a field of task_struct, nsproxy, net or net_device");
}

/* ---- Namespaces ------------------------------------------------------------------------------ */

void linux_nets_init(struct linux_nets *walk, struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_net);
	uint64_t task = kernel->symbol[LINUX_init_task], nsproxy = 0, net = 0;
	enum read_result result = task ? READ_OK : READ_NO_SYMBOL;

	hash_map_init(&walk->seen);
	if (result == READ_OK)
		result = linux_read_field(kernel, task, &layout->task_nsproxy, &nsproxy);
	if (result == READ_OK)
		result = linux_read_field(kernel, nsproxy, &layout->nsproxy_net_ns, &net);
	linux_list_init(&walk->list, kernel, net + layout->net_list.offset, MAX_NETS, &walk->seen);
	walk->kernel = kernel;
	walk->list.broken = result;
	walk->first = net;
	walk->none = result == READ_OK && !net;
}

void linux_nets_deinit(struct linux_nets *walk)
{
	hash_map_deinit(&walk->seen);
}

/* The head of the list is a variable of the kernel, as is the first namespace. */
static bool is_head(const struct linux_kernel *kernel, uint64_t node)
{
	return node >= kernel->text_virtual && node < kernel->image_end;
}

bool linux_nets_next(struct linux_nets *walk, uint64_t *ret)
{
	uint64_t node = walk->first;

	if (walk->none || walk->list.broken)
		return false;
	walk->first = 0;
	if (node) {
		*ret = node;
		return true;
	}
	while (linux_list_next(&walk->list, &node)) {
		if (is_head(walk->kernel, node))
			continue;
		*ret = node - walk->kernel->layout.net_list.offset;
		return true;
	}
	return false;
}

/* ---- Devices --------------------------------------------------------------------------------- */

void linux_devices_init(struct linux_devices *walk, struct linux_kernel *kernel, uint64_t net)
{
	linux_list_init(&walk->list, kernel, net + kernel->layout.net_devices.offset, MAX_DEVICES,
			&walk->seen);
}

void linux_devices_deinit(struct linux_devices *walk)
{
	hash_map_deinit(&walk->seen);
}

bool linux_devices_next(struct linux_devices *walk, uint64_t *ret)
{
	uint64_t node;

	if (!linux_list_next(&walk->list, &node))
		return false;
	*ret = node - walk->list.kernel->layout.net_device_list.offset;
	return true;
}

bool linux_device_is_listed(struct linux_kernel *kernel, uint64_t device)
{
	return linux_list_holds(kernel, device + kernel->layout.net_device_list.offset);
}

/* As dev_get_flags() of net/core/dev.c has it, whose names these are. */
enum read_result linux_device_flags(struct linux_kernel *kernel, const struct object *device,
				    int64_t *ret)
{
	enum { RUNNING = 0x40, PROMISC = 0x100, ALLMULTI = 0x200, LOWER_UP = 1 << 16 };
	enum { DORMANT = 1 << 17, OPER_UNKNOWN = 0, OPER_UP = 6 };
	enum { STATE_START = 1 << 0, STATE_NOCARRIER = 1 << 2, STATE_DORMANT = 1 << 4 };
	const struct layout *layout = &kernel->layout;
	uint64_t state = object_u64(device, &layout->net_device_state);
	uint64_t oper = object_u64(device, &layout->net_device_operstate), flags;

	if (!layout->net_device_flags.present || !layout->net_device_gflags.present ||
	    !layout->net_device_state.present || !layout->net_device_operstate.present)
		return READ_NO_LAYOUT;
	flags = object_u64(device, &layout->net_device_flags) &
		~(uint64_t)(PROMISC | ALLMULTI | RUNNING | LOWER_UP | DORMANT);
	flags |= object_u64(device, &layout->net_device_gflags) & (PROMISC | ALLMULTI);
	if (state & STATE_START) {
		if (oper == OPER_UP || oper == OPER_UNKNOWN)
			flags |= RUNNING;
		if (!(state & STATE_NOCARRIER))
			flags |= LOWER_UP;
		if (state & STATE_DORMANT)
			flags |= DORMANT;
	}
	*ret = (int64_t)flags;
	return READ_OK;
}

enum read_result linux_device_mac(struct linux_kernel *kernel, const struct object *device,
				  struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t size = object_u64(device, &layout->net_device_address_size);
	uint8_t bytes[MAX_MAC];
	enum read_result result;

	if (!layout->net_device_address.present || !layout->net_device_address_size.present)
		return READ_NO_LAYOUT;
	if (size > sizeof(bytes))
		return READ_BAD_DATA;
	if (!size)
		return READ_NONE;
	result = linux_read(kernel, object_u64(device, &layout->net_device_address), bytes, size);
	for (size_t i = 0; result == READ_OK && i < size; i++) {
		if (i)
			buffer_append_char(ret, ':');
		buffer_append_unsigned(ret, bytes[i], 16, 2);
	}
	return result == READ_OK && ret->failed ? READ_NO_MEMORY : result;
}

/* ---- Addresses ------------------------------------------------------------------------------- */

/* Whether what a device has for its addresses points back to the device. */
static enum read_result check_owner(const struct linux_addresses *walk, uint64_t owner,
				    const struct field *field)
{
	uint64_t device;
	enum read_result result = linux_read_field(walk->kernel, owner, field, &device);

	return result == READ_OK && device != walk->device ? READ_BAD_DATA : result;
}

/* Begins the IPv6 addresses, if the device has any. */
static void begin_wide(struct linux_addresses *walk)
{
	const struct layout *layout = &walk->kernel->layout;
	enum read_result result = READ_OK;

	walk->wide = true;
	linux_list_init(&walk->list, walk->kernel, walk->inet6_dev + layout->inet6_dev_list.offset,
			MAX_ADDRESSES, &walk->seen);
	if (walk->inet6_dev)
		result = check_owner(walk, walk->inet6_dev, &layout->inet6_dev_device);
	if (walk->inet6_dev &&
	    (!layout->inet6_dev_list.present || !layout->inet6_ifaddr_list.present))
		result = READ_NO_LAYOUT;
	if (result == READ_OK)
		return;
	walk->broken = result;
	walk->inet6_dev = 0;
}

void linux_addresses_init(struct linux_addresses *walk, struct linux_kernel *kernel,
			  const struct object *device)
{
	const struct layout *layout = &kernel->layout;

	hash_map_clear(&walk->seen);
	walk->kernel = kernel;
	walk->device = device->address;
	walk->wide = false;
	walk->next = 0;
	walk->broken = READ_OK;
	walk->in_device = object_u64(device, &layout->net_device_ip4);
	walk->inet6_dev = object_u64(device, &layout->net_device_ip6);
	if (!walk->in_device)
		return;
	walk->broken = check_owner(walk, walk->in_device, &layout->in_device_device);
	if (!walk->broken)
		walk->broken =
		    linux_read_field(kernel, walk->in_device, &layout->in_device_list, &walk->next);
}

void linux_addresses_deinit(struct linux_addresses *walk)
{
	hash_map_deinit(&walk->seen);
}

static const struct field *owner_field(const struct linux_addresses *walk)
{
	const struct layout *layout = &walk->kernel->layout;

	return walk->wide ? &layout->inet6_ifaddr_device : &layout->in_ifaddr_device;
}

/* Copies an address, which points back to what the device has for it. */
static enum read_result copy_address(struct linux_addresses *walk, uint64_t at,
				     struct object *address)
{
	enum read_result result = linux_read_object(
	    walk->kernel, walk->wide ? LAYOUT_inet6_ifaddr : LAYOUT_in_ifaddr, at, address);

	if (result != READ_OK)
		return result;
	if (!owner_field(walk)->present)
		return READ_NO_LAYOUT;
	return object_u64(address, owner_field(walk)) ==
		       (walk->wide ? walk->inet6_dev : walk->in_device)
		   ? READ_OK
		   : READ_BAD_DATA;
}

static bool next_narrow(struct linux_addresses *walk, struct object *address)
{
	const struct layout *layout = &walk->kernel->layout;

	if (!walk->next || cancel_requested(walk->kernel->guest.cancel))
		return false;
	walk->broken = walk->seen.count < MAX_ADDRESSES ? READ_OK : READ_LIMIT;
	if (!walk->broken && hash_map_insert(&walk->seen, walk->next, 0) != HASH_INSERTED)
		walk->broken = READ_BAD_DATA;
	if (!walk->broken)
		walk->broken = copy_address(walk, walk->next, address);
	if (walk->broken)
		return false;
	walk->next = object_u64(address, &layout->in_ifaddr_next);
	return true;
}

bool linux_addresses_next(struct linux_addresses *walk, struct object *address)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t node;

	if (!walk->wide) {
		if (!walk->broken && next_narrow(walk, address))
			return true;
		/* Those of IPv6 are there all the same. */
		begin_wide(walk);
	}
	if (!walk->inet6_dev)
		return false;
	while (linux_list_next(&walk->list, &node)) {
		enum read_result result =
		    copy_address(walk, node - layout->inet6_ifaddr_list.offset, address);

		if (result == READ_OK)
			return true;
		walk->broken = result;
	}
	if (walk->list.broken)
		walk->broken = walk->list.broken;
	return false;
}

bool linux_address_is_listed(const struct linux_addresses *walk, const struct object *address)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t owner;

	if (linux_read_field(walk->kernel, address->address, owner_field(walk), &owner) !=
		READ_OK ||
	    owner != (walk->wide ? walk->inet6_dev : walk->in_device))
		return false;
	return !walk->wide ||
	       linux_list_holds(walk->kernel, address->address + layout->inet6_ifaddr_list.offset);
}

/* Appends the IPv4 or IPv6 address in a field. */
static enum read_result put_address(const struct object *address, const struct field *field,
				    struct buffer *ret)
{
	char text[INET6_ADDRSTRLEN];

	if (!field->present || (field->size != 4 && field->size != 16) ||
	    field->offset + field->size > address->size)
		return READ_NO_LAYOUT;
	inet_ntop(field->size == 4 ? AF_INET : AF_INET6, address->data + field->offset, text,
		  sizeof(text));
	return buffer_append_string(ret, text) ? READ_OK : READ_NO_MEMORY;
}

static enum read_result put_prefix(const struct object *address, const struct field *field,
				   struct buffer *ret)
{
	uint64_t prefix = object_u64(address, field);
	char text[INET6_ADDRSTRLEN];
	uint8_t mask[16];

	if (!field->present)
		return READ_NO_LAYOUT;
	if (prefix > 128)
		return READ_BAD_DATA;
	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = prefix > i * 8 ? (unsigned)prefix - i * 8 : 0;

		mask[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);
	}
	inet_ntop(AF_INET6, mask, text, sizeof(text));
	return buffer_append_string(ret, text) ? READ_OK : READ_NO_MEMORY;
}

static bool is_zero(const struct object *address, const struct field *field)
{
	static const uint8_t zeros[16];

	return field->present && field->size <= sizeof(zeros) &&
	       field->offset + field->size <= address->size &&
	       !memcmp(address->data + field->offset, zeros, field->size);
}

enum read_result linux_address_part(const struct linux_addresses *walk,
				    const struct object *address, enum linux_address_part part,
				    struct buffer *ret)
{
	const struct layout *layout = &walk->kernel->layout;
	const struct field *own =
	    walk->wide ? &layout->inet6_ifaddr_address : &layout->in_ifaddr_local;

	switch (part) {
	case LINUX_ADDRESS_OWN:
		return put_address(address, own, ret);
	case LINUX_ADDRESS_MASK:
		return walk->wide ? put_prefix(address, &layout->inet6_ifaddr_prefix, ret)
				  : put_address(address, &layout->in_ifaddr_mask, ret);
	case LINUX_ADDRESS_BROADCAST:
		if (walk->wide || is_zero(address, &layout->in_ifaddr_broadcast))
			return READ_NONE;
		return put_address(address, &layout->in_ifaddr_broadcast, ret);
	case LINUX_ADDRESS_PEER:
		break;
	}
	if (walk->wide)
		return is_zero(address, &layout->inet6_ifaddr_peer)
			   ? READ_NONE
			   : put_address(address, &layout->inet6_ifaddr_peer, ret);
	if (layout->in_ifaddr_address.present && layout->in_ifaddr_local.present &&
	    object_u64(address, &layout->in_ifaddr_address) ==
		object_u64(address, &layout->in_ifaddr_local))
		return READ_NONE;
	return put_address(address, &layout->in_ifaddr_address, ret);
}
