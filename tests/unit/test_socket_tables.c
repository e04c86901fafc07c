/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's tables of TCP and UDP sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/linux/socket.h"
#include "guest/linux/socket_tables.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

enum { ESTABLISHED = 1, FIN_WAIT2 = 5, TIME_WAIT = 6, NEW_SYN_RECV = 12 };
enum { STATE = 18, NODE = 40, SOCKET = 96, SLOTS = 4 };

/* The first namespace, and its tables: connections, those that listen, UDP. */
struct tables {
	uint64_t net, tcp, ehash, lhash2, udp, udp_hash;
};

static struct tables make_tables(struct toy *toy)
{
	struct tables ret = {.net = toy_alloc(toy, 64)};
	uint64_t task = toy_alloc(toy, 64), nsproxy = toy_alloc(toy, 64);

	toy_field(toy, LAYOUT_task, &L->task_nsproxy, 0, 8);
	toy_field(toy, LAYOUT_nsproxy, &L->nsproxy_net_ns, 0, 8);
	toy_field(toy, LAYOUT_net, &L->net_list, 0, 16);
	toy_field(toy, LAYOUT_net, &L->net_tcp, 16, 8);
	toy_field(toy, LAYOUT_net, &L->net_udp, 24, 8);
	toy_field(toy, LAYOUT_hashinfo, &L->hashinfo_ehash, 0, 8);
	toy_field(toy, LAYOUT_hashinfo, &L->hashinfo_ehash_mask, 8, 4);
	toy_field(toy, LAYOUT_hashinfo, &L->hashinfo_lhash2, 16, 8);
	toy_field(toy, LAYOUT_hashinfo, &L->hashinfo_lhash2_mask, 12, 4);
	toy_field(toy, LAYOUT_ehash_bucket, &L->ehash_bucket_chain, 0, 8);
	toy_field(toy, LAYOUT_listen_bucket, &L->listen_bucket_head, 8, 8);
	toy_field(toy, LAYOUT_udp_table, &L->udp_table_hash, 0, 8);
	toy_field(toy, LAYOUT_udp_table, &L->udp_table_mask, 8, 4);
	toy_field(toy, LAYOUT_udp_slot, &L->udp_slot_head, 0, 8);
	toy_field(toy, LAYOUT_sock_common, &L->sock_common_state, STATE, 1);
	toy_field(toy, LAYOUT_sock_common, &L->sock_common_node, NODE, 16);
	toy_field(toy, LAYOUT_table_sock, &L->table_sock_socket, SOCKET, 8);
	L->size[LAYOUT_ehash_bucket] = 8;
	L->size[LAYOUT_listen_bucket] = L->size[LAYOUT_udp_slot] = 16;
	toy->kernel.symbol[LINUX_init_task] = task;
	toy_put(toy, task, nsproxy, 8);
	toy_put(toy, nsproxy, ret.net, 8);
	toy_put(toy, ret.net, ret.net, 8);
	toy_put(toy, ret.net + 8, ret.net, 8);
	ret.tcp = toy_alloc(toy, 64);
	ret.ehash = toy_alloc(toy, SLOTS * 8);
	ret.lhash2 = toy_alloc(toy, SLOTS * 16);
	ret.udp = toy_alloc(toy, 64);
	ret.udp_hash = toy_alloc(toy, SLOTS * 16);
	toy_put(toy, ret.net + 16, ret.tcp, 8);
	toy_put(toy, ret.net + 24, ret.udp, 8);
	toy_put(toy, ret.tcp, ret.ehash, 8);
	toy_put(toy, ret.tcp + 8, SLOTS - 1, 4);
	toy_put(toy, ret.tcp + 12, SLOTS - 1, 4);
	toy_put(toy, ret.tcp + 16, ret.lhash2, 8);
	toy_put(toy, ret.udp, ret.udp_hash, 8);
	toy_put(toy, ret.udp + 8, SLOTS - 1, 4);
	for (uint64_t i = 0; i < SLOTS; i++) {
		toy_put(toy, ret.ehash + 8 * i, i << 1 | 1, 8);
		toy_put(toy, ret.lhash2 + 16 * i + 8, (i + (1 << 29)) << 1 | 1, 8);
	}
	return ret;
}

/* A socket between a link and the one that came next. */
static uint64_t add(struct toy *toy, uint64_t link, unsigned state, uint64_t socket)
{
	uint64_t sock = toy_alloc(toy, 256), next;

	memcpy(&next, toy->ram + (link - TOY_BASE), sizeof(next));
	toy_put(toy, link, sock + NODE, 8);
	toy_put(toy, sock + NODE, next, 8);
	toy_put(toy, sock + NODE + 8, link, 8);
	if (next && !(next & 1))
		toy_put(toy, next + 8, sock + NODE, 8);
	toy_put(toy, sock + STATE, state, 1);
	toy_put(toy, sock + SOCKET, socket, 8);
	return sock;
}

static void check_count(struct toy *toy, size_t expected, enum read_result broken)
{
	struct linux_socket_tables tables = {.kernel = &toy->kernel};

	linux_socket_tables_collect(&tables);
	assert_int_equal(tables.count, expected);
	assert_int_equal(tables.broken, broken);
	linux_socket_tables_deinit(&tables);
}

static void test_what_is_found(void **state)
{
	struct toy *toy = *state;
	struct tables made = make_tables(toy);
	struct linux_socket_tables tables = {.kernel = &toy->kernel};
	uint64_t held = add(toy, made.ehash, ESTABLISHED, 0x1000);
	uint64_t closed = add(toy, made.ehash, TIME_WAIT, 0x2000);
	uint64_t made_now = add(toy, made.ehash + 24, NEW_SYN_RECV, 0x3000);
	uint64_t listens = add(toy, made.lhash2 + 16 + 8, 10, 0x4000);
	uint64_t datagrams = add(toy, made.udp_hash + 32, 7, 0);
	const struct linux_table_socket expected[] = {
	    {closed, 0}, {held, 0x1000}, {made_now, 0}, {listens, 0x4000}, {datagrams, 0},
	};

	linux_socket_tables_collect(&tables);
	assert_int_equal(tables.broken, READ_OK);
	assert_int_equal(tables.count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < tables.count; i++) {
		assert_int_equal(tables.items[i].sock, expected[i].sock);
		assert_int_equal(tables.items[i].socket, expected[i].socket);
		assert_true(linux_socket_is_in_table(&toy->kernel, expected[i].sock));
	}
	toy_put(toy, held + NODE + 8, 0, 8);
	assert_false(linux_socket_is_in_table(&toy->kernel, held));
	linux_socket_tables_deinit(&tables);
}

static void test_damage(void **state)
{
	struct toy *toy = *state;
	struct tables made = make_tables(toy);
	uint64_t first = add(toy, made.ehash, ESTABLISHED, 0);
	uint64_t second = add(toy, first + NODE, ESTABLISHED, 0);

	check_count(toy, 2, READ_OK);
	/* A chain that ends as another one does, or as those that listen do. */
	toy_put(toy, second + NODE, 3, 8);
	check_count(toy, 2, READ_BAD_DATA);
	toy_put(toy, second + NODE, 1 << 30 | 1, 8);
	check_count(toy, 2, READ_BAD_DATA);
	/* A loop, a socket that does not point back, a page that is missing. */
	toy_put(toy, second + NODE, first + NODE, 8);
	check_count(toy, 2, READ_BAD_DATA);
	toy_put(toy, second + NODE, 1, 8);
	toy_put(toy, second + NODE + 8, made.ehash, 8);
	check_count(toy, 1, READ_BAD_DATA);
	toy_put(toy, first + NODE, TOY_MISSING, 8);
	check_count(toy, 1, READ_NOT_SAVED);
	/* A slot that is its own socket. */
	toy_put(toy, made.ehash + 8, made.ehash + 8, 8);
	toy_put(toy, made.ehash + 16, made.ehash + 8, 8);
	toy_put(toy, first + NODE, 1, 8);
	check_count(toy, 2, READ_BAD_DATA);
	toy_put(toy, made.ehash + 8, 3, 8);
	toy_put(toy, made.ehash + 16, 5, 8);
	/* An empty chain's slot without its end. */
	toy_put(toy, made.ehash, 0, 8);
	check_count(toy, 0, READ_NOT_MAPPED);
	toy_put(toy, made.ehash, 1, 8);
	check_count(toy, 0, READ_OK);
	/* Tables that are not there, or too large. */
	toy_put(toy, made.tcp + 8, UINT32_MAX, 4);
	check_count(toy, 0, READ_LIMIT);
	toy_put(toy, made.tcp + 8, SLOTS - 1, 4);
	toy_put(toy, made.net + 24, TOY_MISSING, 8);
	check_count(toy, 0, READ_NOT_SAVED);
	/* Before UDP is set up; a kernel whose namespaces have no such field, nor a symbol. */
	toy_put(toy, made.net + 24, 0, 8);
	check_count(toy, 0, READ_OK);
	L->net_udp.present = false;
	check_count(toy, 0, READ_NO_SYMBOL);
	toy->kernel.symbol[LINUX_udp_table] = made.udp;
	check_count(toy, 0, READ_OK);
	add(toy, made.udp_hash, 7, 0);
	check_count(toy, 1, READ_OK);
}

/* Neither a chain nor a table takes longer than the query may. */
static void test_late(void **state)
{
	struct toy *toy = *state;
	struct tables made = make_tables(toy);
	uint64_t link = made.ehash;

	for (unsigned i = 0; i < 200; i++)
		link = add(toy, link, ESTABLISHED, 0) + NODE;
	check_count(toy, 200, READ_OK);
	toy->kernel.guest.until_us = 1;
	check_count(toy, 0, READ_LIMIT);
	assert_true(toy->kernel.guest.late);
}

/* What is not a whole struct sock is read as far as it goes. */
static void test_bare(void **state)
{
	struct toy *toy = *state;
	struct tables made = make_tables(toy);
	/* At the end of what was saved. */
	uint64_t sock = TOY_MISSING - SOCKET;
	struct linux_socket socket = {0};
	const char *name = NULL;

	(void)made;
	toy_field(toy, LAYOUT_sock, &L->sock_family, 16, 2);
	toy_field(toy, LAYOUT_sock, &L->sock_state, STATE, 1);
	toy_field(toy, LAYOUT_sock, &L->sock_protocol, SOCKET + 16, 2);
	toy_field(toy, LAYOUT_table_sock, &L->table_sock_type, SOCKET + 18, 2);
	toy_field(toy, LAYOUT_timewait, &L->timewait_state, 64, 1);
	toy_put(toy, sock + 16, LINUX_FAMILY_INET, 2);
	toy_put(toy, sock + STATE, TIME_WAIT, 1);
	toy_put(toy, sock + 64, FIN_WAIT2, 1);
	linux_socket_read_bare(&toy->kernel, sock, &socket);
	assert_int_equal(socket.result, READ_OK);
	assert_int_equal(socket.protocol_result, READ_OK);
	assert_int_equal(socket.protocol, LINUX_PROTOCOL_TCP);
	assert_int_equal(linux_socket_state(&toy->kernel, &socket, &name), READ_OK);
	assert_string_equal(name, "FIN_WAIT2");
	toy_put(toy, sock + STATE, NEW_SYN_RECV, 1);
	linux_socket_read_bare(&toy->kernel, sock, &socket);
	assert_int_equal(linux_socket_state(&toy->kernel, &socket, &name), READ_OK);
	assert_string_equal(name, "SYN_RECV");
	/* One that should be whole is not there in full. */
	toy_put(toy, sock + STATE, ESTABLISHED, 1);
	linux_socket_read_bare(&toy->kernel, sock, &socket);
	assert_int_equal(socket.result, READ_NOT_SAVED);
	assert_int_equal(socket.protocol_result, READ_NOT_SAVED);
	linux_socket_deinit(&socket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_what_is_found, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_damage, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_late, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_bare, toy_setup, toy_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
