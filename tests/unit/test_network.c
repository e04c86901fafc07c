/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network namespaces, devices, their addresses and counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/linux/counters.h"
#include "guest/linux/network.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

/* Puts nodes into a ring of list_heads. */
static void make_ring(struct toy *toy, const uint64_t *nodes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		toy_put(toy, nodes[i], nodes[(i + 1) % count], 8);
		toy_put(toy, nodes[(i + 1) % count] + 8, nodes[i], 8);
	}
}

/* ---- Namespaces ------------------------------------------------------------------------------ */

/* Whether the walk gives these namespaces, and how it ends. */
static void check_nets(struct toy *toy, const uint64_t *nets, size_t count, enum read_result broken)
{
	struct linux_nets walk = {0};
	uint64_t net;

	linux_nets_init(&walk, &toy->kernel);
	for (size_t i = 0; i < count; i++) {
		assert_true(linux_nets_next(&walk, &net));
		assert_int_equal(net, nets[i]);
	}
	assert_false(linux_nets_next(&walk, &net));
	assert_int_equal(walk.list.broken, broken);
	linux_nets_deinit(&walk);
}

static void test_nets(void **state)
{
	struct toy *toy = *state;
	/* The head lies in the kernel's image, between the first namespace and another. */
	uint64_t task = toy_alloc(toy, 64), nsproxy = toy_alloc(toy, 64);
	uint64_t nets[] = {toy_alloc(toy, 64), toy_alloc(toy, 64), toy_alloc(toy, 64)};
	uint64_t head = toy_alloc(toy, 16);
	uint64_t ring[] = {nets[0] + 8, head, nets[1] + 8, nets[2] + 8};
	uint64_t cut[] = {nets[0]};

	toy->kernel.symbol[LINUX_init_task] = task;
	toy->kernel.text_virtual = head;
	toy->kernel.image_end = head + 16;
	toy_field(toy, LAYOUT_task, &L->task_nsproxy, 8, 8);
	toy_field(toy, LAYOUT_nsproxy, &L->nsproxy_net_ns, 16, 8);
	toy_field(toy, LAYOUT_net, &L->net_list, 8, 16);
	toy_put(toy, task + 8, nsproxy, 8);
	toy_put(toy, nsproxy + 16, nets[0], 8);
	make_ring(toy, ring, ARRAY_SIZE(ring));
	check_nets(toy, nets, ARRAY_SIZE(nets), READ_OK);
	/* A link that leads elsewhere, a page that is missing, no network, no task. */
	toy_put(toy, nets[0] + 8, nets[2] + 8, 8);
	check_nets(toy, cut, 1, READ_BAD_DATA);
	toy_put(toy, nets[0] + 8, TOY_MISSING, 8);
	check_nets(toy, cut, 1, READ_NOT_SAVED);
	toy_put(toy, nsproxy + 16, 0, 8);
	check_nets(toy, NULL, 0, READ_OK);
	toy_put(toy, task + 8, TOY_MISSING, 8);
	check_nets(toy, NULL, 0, READ_NOT_SAVED);
	toy->kernel.symbol[LINUX_init_task] = 0;
	check_nets(toy, NULL, 0, READ_NO_SYMBOL);
}

/* ---- Devices --------------------------------------------------------------------------------- */

enum { FLAGS = 0, GFLAGS = 4, STATE = 8, OPER = 16, MAC = 24, MAC_SIZE = 32, IP4 = 40, IP6 = 48 };
enum { DEVICE_SIZE = 256 };

static uint64_t make_device(struct toy *toy)
{
	toy_field(toy, LAYOUT_net_device, &L->net_device_flags, FLAGS, 4);
	toy_field(toy, LAYOUT_net_device, &L->net_device_gflags, GFLAGS, 2);
	toy_field(toy, LAYOUT_net_device, &L->net_device_state, STATE, 8);
	toy_field(toy, LAYOUT_net_device, &L->net_device_operstate, OPER, 1);
	toy_field(toy, LAYOUT_net_device, &L->net_device_address, MAC, 8);
	toy_field(toy, LAYOUT_net_device, &L->net_device_address_size, MAC_SIZE, 1);
	toy_field(toy, LAYOUT_net_device, &L->net_device_ip4, IP4, 8);
	toy_field(toy, LAYOUT_net_device, &L->net_device_ip6, IP6, 8);
	return toy_alloc(toy, DEVICE_SIZE);
}

static struct object read_device(struct toy *toy, uint64_t device)
{
	struct object copy = {0};

	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_net_device, device, &copy),
			 READ_OK);
	return copy;
}

static int64_t flags_of(struct toy *toy, uint64_t device)
{
	_cleanup_object_ struct object copy = read_device(toy, device);
	int64_t flags = 0;

	assert_int_equal(linux_device_flags(&toy->kernel, &copy, &flags), READ_OK);
	return flags;
}

static void test_flags(void **state)
{
	struct toy *toy = *state;
	uint64_t device = make_device(toy);
	_cleanup_object_ struct object copy = {0};
	int64_t flags;

	/* Up and promiscuous for a listener, which only the device's own flags say. */
	toy_put(toy, device + FLAGS, 0x1143, 4);
	assert_int_equal(flags_of(toy, device), 0x1003);
	toy_put(toy, device + GFLAGS, 0x300, 2);
	assert_int_equal(flags_of(toy, device), 0x1303);
	/* Started: it runs if its carrier is there and it is up or unknown. */
	toy_put(toy, device + STATE, 1, 8);
	assert_int_equal(flags_of(toy, device), 0x11343);
	toy_put(toy, device + OPER, 2, 1);
	toy_put(toy, device + STATE, 1 | 4 | 16, 8);
	assert_int_equal(flags_of(toy, device), 0x21303);
	toy_put(toy, device + OPER, 6, 1);
	assert_int_equal(flags_of(toy, device), 0x21343);
	L->net_device_operstate.present = false;
	copy = read_device(toy, device);
	assert_int_equal(linux_device_flags(&toy->kernel, &copy, &flags), READ_NO_LAYOUT);
}

static enum read_result mac_of(struct toy *toy, uint64_t device, struct buffer *text)
{
	_cleanup_object_ struct object copy = read_device(toy, device);

	buffer_clear(text);
	return linux_device_mac(&toy->kernel, &copy, text);
}

static void test_mac(void **state)
{
	struct toy *toy = *state;
	uint64_t device = make_device(toy), bytes = toy_alloc(toy, 64);
	_cleanup_buffer_ struct buffer text = {0};

	assert_int_equal(mac_of(toy, device, &text), READ_NONE);
	toy_put(toy, device + MAC, bytes, 8);
	toy_put(toy, device + MAC_SIZE, 6, 1);
	toy_put_bytes(toy, bytes, "\x52\x54\x00\x0a\xff\x01", 6);
	assert_int_equal(mac_of(toy, device, &text), READ_OK);
	assert_int_equal(text.size, 17);
	assert_memory_equal(text.data, "52:54:00:0a:ff:01", 17);
	toy_put(toy, device + MAC_SIZE, 33, 1);
	assert_int_equal(mac_of(toy, device, &text), READ_BAD_DATA);
	toy_put(toy, device + MAC_SIZE, 6, 1);
	toy_put(toy, device + MAC, TOY_MISSING, 8);
	assert_int_equal(mac_of(toy, device, &text), READ_NOT_SAVED);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static void address_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_in_device, &L->in_device_device, 0, 8);
	toy_field(toy, LAYOUT_in_device, &L->in_device_list, 16, 8);
	toy_field(toy, LAYOUT_in_ifaddr, &L->in_ifaddr_next, 0, 8);
	toy_field(toy, LAYOUT_in_ifaddr, &L->in_ifaddr_device, 8, 8);
	toy_field(toy, LAYOUT_in_ifaddr, &L->in_ifaddr_local, 16, 4);
	toy_field(toy, LAYOUT_in_ifaddr, &L->in_ifaddr_address, 20, 4);
	toy_field(toy, LAYOUT_in_ifaddr, &L->in_ifaddr_mask, 24, 4);
	toy_field(toy, LAYOUT_in_ifaddr, &L->in_ifaddr_broadcast, 28, 4);
	toy_field(toy, LAYOUT_inet6_dev, &L->inet6_dev_device, 0, 8);
	toy_field(toy, LAYOUT_inet6_dev, &L->inet6_dev_list, 8, 16);
	toy_field(toy, LAYOUT_inet6_ifaddr, &L->inet6_ifaddr_address, 0, 16);
	toy_field(toy, LAYOUT_inet6_ifaddr, &L->inet6_ifaddr_peer, 16, 16);
	toy_field(toy, LAYOUT_inet6_ifaddr, &L->inet6_ifaddr_prefix, 32, 4);
	toy_field(toy, LAYOUT_inet6_ifaddr, &L->inet6_ifaddr_list, 40, 16);
	toy_field(toy, LAYOUT_inet6_ifaddr, &L->inet6_ifaddr_device, 56, 8);
}

static void check_part(const struct linux_addresses *walk, const struct object *address,
		       enum linux_address_part part, const char *expected)
{
	_cleanup_buffer_ struct buffer text = {0};
	enum read_result result = linux_address_part(walk, address, part, &text);

	assert_int_equal(result, expected ? READ_OK : READ_NONE);
	assert_int_equal(text.size, expected ? strlen(expected) : 0);
	if (expected)
		assert_memory_equal(text.data, expected, text.size);
}

/* How many addresses the walk gives, and how it ends. */
static void check_walk(struct toy *toy, uint64_t device, size_t expected, enum read_result broken)
{
	_cleanup_object_ struct object copy = read_device(toy, device), address = {0};
	struct linux_addresses walk = {0};
	size_t count = 0;

	linux_addresses_init(&walk, &toy->kernel, &copy);
	while (linux_addresses_next(&walk, &address))
		count++;
	assert_int_equal(count, expected);
	assert_int_equal(walk.broken, broken);
	linux_addresses_deinit(&walk);
}

static void test_addresses(void **state)
{
	static const uint8_t six[32] = {0xfe, 0x80, [15] = 1, [16] = 0xfd, [31] = 2};
	struct toy *toy = *state;
	uint64_t device = make_device(toy), four[] = {toy_alloc(toy, 64), toy_alloc(toy, 64)};
	uint64_t in_device = toy_alloc(toy, 64), inet6_dev = toy_alloc(toy, 64);
	uint64_t wide = toy_alloc(toy, 64), ring[] = {inet6_dev + 8, wide + 40};
	_cleanup_object_ struct object copy = {0}, address = {0};
	struct linux_addresses walk = {0};
	_cleanup_buffer_ struct buffer text = {0};

	address_layout(toy);
	check_walk(toy, device, 0, READ_OK);
	toy_put(toy, device + IP4, in_device, 8);
	toy_put(toy, device + IP6, inet6_dev, 8);
	toy_put(toy, in_device, device, 8);
	toy_put(toy, inet6_dev, device, 8);
	toy_put(toy, in_device + 16, four[0], 8);
	toy_put(toy, four[0], four[1], 8);
	toy_put_bytes(toy, four[0] + 16, "\x0a\0\0\1\x0a\0\0\1\xff\xff\xff\0\x0a\0\0\xff", 16);
	toy_put_bytes(toy, four[1] + 16, "\x0a\0\0\1\x0a\0\0\2\xff\xff\xff\xff\0\0\0\0", 16);
	for (int i = 0; i < 2; i++)
		toy_put(toy, four[i] + 8, in_device, 8);
	make_ring(toy, ring, 2);
	toy_put_bytes(toy, wide, six, 32);
	toy_put(toy, wide + 32, 61, 4);
	toy_put(toy, wide + 56, inet6_dev, 8);
	copy = read_device(toy, device);
	linux_addresses_init(&walk, &toy->kernel, &copy);
	assert_true(linux_addresses_next(&walk, &address));
	check_part(&walk, &address, LINUX_ADDRESS_OWN, "10.0.0.1");
	check_part(&walk, &address, LINUX_ADDRESS_MASK, "255.255.255.0");
	check_part(&walk, &address, LINUX_ADDRESS_BROADCAST, "10.0.0.255");
	check_part(&walk, &address, LINUX_ADDRESS_PEER, NULL);
	assert_true(linux_addresses_next(&walk, &address));
	check_part(&walk, &address, LINUX_ADDRESS_BROADCAST, NULL);
	check_part(&walk, &address, LINUX_ADDRESS_PEER, "10.0.0.2");
	assert_true(linux_addresses_next(&walk, &address));
	assert_true(walk.wide && linux_address_is_listed(&walk, &address));
	check_part(&walk, &address, LINUX_ADDRESS_OWN, "fe80::1");
	check_part(&walk, &address, LINUX_ADDRESS_MASK, "ffff:ffff:ffff:fff8::");
	check_part(&walk, &address, LINUX_ADDRESS_BROADCAST, NULL);
	check_part(&walk, &address, LINUX_ADDRESS_PEER, "fd00::2");
	toy_put(toy, wide + 32, 129, 4);
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_inet6_ifaddr, wide, &address),
			 READ_OK);
	assert_int_equal(linux_address_part(&walk, &address, LINUX_ADDRESS_MASK, &text),
			 READ_BAD_DATA);
	assert_false(linux_addresses_next(&walk, &address));
	assert_int_equal(walk.broken, READ_OK);
	linux_addresses_deinit(&walk);
	/* A loop, an address of another device, one that is not there; IPv6 is walked all the same.
	 */
	toy_put(toy, four[1], four[0], 8);
	check_walk(toy, device, 3, READ_BAD_DATA);
	toy_put(toy, four[1] + 8, device, 8);
	check_walk(toy, device, 2, READ_BAD_DATA);
	toy_put(toy, four[0], TOY_MISSING, 8);
	check_walk(toy, device, 2, READ_NOT_SAVED);
	toy_put(toy, device + IP4, TOY_MISSING, 8);
	check_walk(toy, device, 1, READ_NOT_SAVED);
	/* What belongs to another device. */
	toy_put(toy, device + IP4, four[1], 8);
	check_walk(toy, device, 1, READ_BAD_DATA);
	toy_put(toy, device + IP6, four[1], 8);
	check_walk(toy, device, 0, READ_BAD_DATA);
	toy_put(toy, device + IP6, inet6_dev, 8);
	/* A loop of IPv6; one that another device has; no layout of them. */
	toy_put(toy, device + IP4, 0, 8);
	toy_put(toy, wide + 40, wide + 40, 8);
	check_walk(toy, device, 1, READ_BAD_DATA);
	make_ring(toy, ring, 2);
	toy_put(toy, wide + 56, in_device, 8);
	check_walk(toy, device, 0, READ_BAD_DATA);
	L->inet6_dev_list.present = false;
	check_walk(toy, device, 0, READ_NO_LAYOUT);
}

/* ---- Counters -------------------------------------------------------------------------------- */

enum { OPS = 56, PERCPU = 64, KIND = 72, OWN = 80, CORE = 160, CPUS = 2 };

static void counter_layout(struct toy *toy)
{
	struct field *own[] = {
	    &L->net_device_rx_packets, &L->net_device_tx_packets, &L->net_device_rx_bytes,
	    &L->net_device_tx_bytes,   &L->net_device_rx_errors,  &L->net_device_tx_errors,
	    &L->net_device_rx_drops,   &L->net_device_tx_drops,   &L->net_device_collisions};

	for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
		toy_field(toy, LAYOUT_net_device, own[i], OWN + i * 8, 8);
	toy_field(toy, LAYOUT_net_device, &L->net_device_ops, OPS, 8);
	toy_field(toy, LAYOUT_net_device, &L->net_device_percpu, PERCPU, 8);
	toy_field(toy, LAYOUT_net_device, &L->net_device_percpu_kind, KIND, 1);
	toy_field(toy, LAYOUT_net_device, &L->net_device_core, CORE, 8);
	toy_field(toy, LAYOUT_device_ops, &L->device_ops_stats64, 0, 8);
	toy_field(toy, LAYOUT_device_ops, &L->device_ops_stats, 8, 8);
	toy_field(toy, LAYOUT_lstats, &L->lstats_packets, 0, 8);
	toy_field(toy, LAYOUT_lstats, &L->lstats_bytes, 8, 8);
	toy_field(toy, LAYOUT_tstats, &L->tstats_rx_packets, 0, 8);
	toy_field(toy, LAYOUT_tstats, &L->tstats_rx_bytes, 8, 8);
	toy_field(toy, LAYOUT_tstats, &L->tstats_tx_packets, 16, 8);
	toy_field(toy, LAYOUT_tstats, &L->tstats_tx_bytes, 24, 8);
	toy_field(toy, LAYOUT_core_stats, &L->core_stats_rx_drops, 0, 8);
	toy_field(toy, LAYOUT_core_stats, &L->core_stats_tx_drops, 8, 8);
}

static enum read_result count(struct toy *toy, uint64_t device, uint64_t *ret)
{
	_cleanup_object_ struct object copy = read_device(toy, device);

	return linux_device_counters(&toy->kernel, &copy, ret);
}

static void test_counters(void **state)
{
	struct toy *toy = *state;
	uint64_t device = make_device(toy), ops = toy_alloc(toy, 64), cpus = toy_alloc(toy, 8);
	uint64_t offsets = toy_alloc(toy, 16), areas = toy_alloc(toy, 1024);
	uint64_t values[LINUX_COUNTER_COUNT];

	counter_layout(toy);
	toy->kernel.symbol[LINUX_nr_cpu_ids] = cpus;
	toy->kernel.symbol[LINUX_per_cpu_offset] = offsets;
	toy->kernel.symbol[LINUX_loopback_stats] = 0x1111;
	toy->kernel.symbol[LINUX_tstats] = 0x2222;
	toy_put(toy, cpus, CPUS, 4);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		toy_put(toy, offsets + cpu * 8, areas + cpu * 512, 8);
		for (unsigned i = 0; i < 4; i++)
			toy_put(toy, areas + cpu * 512 + i * 8, 100 * (cpu + 1) + i, 8);
	}
	for (unsigned i = 0; i < LINUX_COUNTER_COUNT; i++)
		toy_put(toy, device + OWN + i * 8, i + 1, 8);
	/* The device's own alone; the per-CPU ones start at offset 0. */
	toy_put(toy, device + OPS, ops, 8);
	assert_int_equal(count(toy, device, values), READ_OK);
	assert_int_equal(values[LINUX_RX_PACKETS], 1);
	assert_int_equal(values[LINUX_COLLISIONS], 9);
	/* Those for each CPU are added: 100 + 200, and the third is 102 + 202. */
	toy_put(toy, device + KIND, 2, 1);
	assert_int_equal(count(toy, device, values), READ_OK);
	assert_int_equal(values[LINUX_RX_PACKETS], 1 + 300);
	assert_int_equal(values[LINUX_TX_PACKETS], 2 + 304);
	assert_int_equal(values[LINUX_RX_BYTES], 3 + 302);
	assert_int_equal(values[LINUX_TX_ERRORS], 6);
	toy_put(toy, device + KIND, 0, 1);
	toy_put(toy, ops, 0x2222, 8);
	assert_int_equal(count(toy, device, values), READ_OK);
	assert_int_equal(values[LINUX_TX_BYTES], 4 + 306);
	/* The loopback device has none of its own. */
	toy_put(toy, ops, 0x1111, 8);
	assert_int_equal(count(toy, device, values), READ_OK);
	assert_int_equal(values[LINUX_RX_PACKETS], 300);
	assert_int_equal(values[LINUX_TX_PACKETS], 300);
	assert_int_equal(values[LINUX_TX_BYTES], 302);
	assert_int_equal(values[LINUX_RX_ERRORS], 0);
	/* What the kernel dropped. */
	toy_put(toy, device + CORE, 32, 8);
	toy_put(toy, areas + 512 + 32, 7, 8);
	assert_int_equal(count(toy, device, values), READ_OK);
	assert_int_equal(values[LINUX_RX_DROPS], 7);
	/* A driver that counts elsewhere, and a kind that is not known. */
	toy_put(toy, ops, 0x3333, 8);
	assert_int_equal(count(toy, device, values), READ_NO_LAYOUT);
	toy_put(toy, ops, 0, 8);
	toy_put(toy, ops + 8, 0x3333, 8);
	assert_int_equal(count(toy, device, values), READ_NO_LAYOUT);
	toy_put(toy, ops + 8, 0, 8);
	toy_put(toy, device + KIND, 3, 1);
	assert_int_equal(count(toy, device, values), READ_NO_LAYOUT);
	toy_put(toy, device + OPS, TOY_MISSING, 8);
	assert_int_equal(count(toy, device, values), READ_NOT_SAVED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_nets, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_flags, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_mac, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_addresses, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_counters, toy_setup, toy_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
