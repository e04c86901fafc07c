/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets: which file is one, and what is read of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/linux/socket.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

enum { TCP = 6, UNIX = 1, INET = 2, INET6 = 10, NETLINK = 16, PACKET = 17 };

static uint64_t make_socket(struct toy *toy, uint64_t sock)
{
	uint64_t socket = toy_alloc(toy, 256);

	toy_field(toy, LAYOUT_socket, &L->socket_type, 4, 2);
	toy_field(toy, LAYOUT_socket, &L->socket_sk, 24, 8);
	toy_field(toy, LAYOUT_sock, &L->sock_remote, 0, 4);
	toy_field(toy, LAYOUT_sock, &L->sock_local, 4, 4);
	toy_field(toy, LAYOUT_sock, &L->sock_remote_port, 12, 2);
	toy_field(toy, LAYOUT_sock, &L->sock_local_port, 14, 2);
	toy_field(toy, LAYOUT_sock, &L->sock_family, 16, 2);
	toy_field(toy, LAYOUT_sock, &L->sock_state, 18, 1);
	toy_field(toy, LAYOUT_sock, &L->sock_net, 48, 8);
	toy_field(toy, LAYOUT_sock, &L->sock_remote6, 56, 16);
	toy_field(toy, LAYOUT_sock, &L->sock_local6, 72, 16);
	toy_field(toy, LAYOUT_sock, &L->sock_protocol, 100, 2);
	toy_field(toy, LAYOUT_unix_sock, &L->unix_sock_addr, 128, 8);
	toy_field(toy, LAYOUT_packet_sock, &L->packet_sock_protocol, 128, 2);
	toy_field(toy, LAYOUT_unix_address, &L->unix_address_size, 4, 4);
	toy_field(toy, LAYOUT_unix_address, &L->unix_address_name, 8, 0);
	toy_field(toy, LAYOUT_net, &L->net_inum, 16, 4);
	toy_set(toy, socket, &L->socket_type, 1);
	toy_set(toy, socket, &L->socket_sk, sock);
	return socket;
}

static uint64_t make_sock(struct toy *toy, unsigned family, unsigned protocol)
{
	uint64_t sock = toy_alloc(toy, 256);

	(void)make_socket(toy, 0);
	toy_set(toy, sock, &L->sock_family, family);
	toy_set(toy, sock, &L->sock_protocol, protocol);
	return sock;
}

/* Whether the text that was appended is this one; empties it. */
static void check_text(struct buffer *text, const char *expected, size_t size)
{
	assert_int_equal(text->size, size);
	assert_memory_equal(text->data, expected, size);
	buffer_clear(text);
}

/* What linux_file_socket() finds for the file at an address. */
static uint64_t socket_of(struct toy *toy, uint64_t file, enum read_result expected)
{
	_cleanup_object_ struct object copy = {0};
	unsigned word_size = toy->kernel.word_size;
	uint64_t socket = 1;

	toy->kernel.word_size = 8;
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_file, file, &copy), READ_OK);
	toy->kernel.word_size = word_size;
	assert_int_equal(linux_file_socket(&toy->kernel, &copy, &socket), expected);
	return socket;
}

static void file_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_file, &L->file_inode, 0, 8);
	toy_field(toy, LAYOUT_file, &L->file_private, 8, 8);
	toy_field(toy, LAYOUT_file, &L->file_mode, 16, 4);
	toy_field(toy, LAYOUT_socket_alloc, &L->socket_alloc_socket, 16, 0);
	toy_field(toy, LAYOUT_socket_alloc, &L->socket_alloc_inode, 144, 0);
	toy_field(toy, LAYOUT_socket, &L->socket_file, 16, 8);
	toy_field(toy, LAYOUT_inode, &L->inode_mode, 0, 2);
}

static void test_which_file(void **state)
{
	struct toy *toy = *state;
	uint64_t file = toy_alloc(toy, 64), socket = toy_alloc(toy, 256), inode = socket + 128;
	uint64_t other = toy_alloc(toy, 64);

	file_layout(toy);
	toy_put(toy, file, inode, 8);
	toy_put(toy, file + 8, socket, 8);
	toy_put(toy, inode, 0140777, 2);
	assert_int_equal(socket_of(toy, file, READ_OK), socket);
	/* The socket is found by its inode if the other pointer is damaged, … */
	toy_put(toy, file + 8, 0, 8);
	assert_int_equal(socket_of(toy, file, READ_OK), socket);
	/* … but a socket's name that was opened with O_PATH is none. */
	toy_put(toy, file + 16, 0x4000, 4);
	assert_int_equal(socket_of(toy, file, READ_OK), 0);
	/* It is found by its pointer to the file if that to the inode is damaged. */
	toy_put(toy, file + 16, 0, 4);
	toy_put(toy, file + 8, socket, 8);
	toy_put(toy, file, other, 8);
	toy_put(toy, other, 0100644, 2);
	assert_int_equal(socket_of(toy, file, READ_OK), 0);
	toy_put(toy, socket + 16, file, 8);
	assert_int_equal(socket_of(toy, file, READ_OK), socket);
	/* Without both it cannot be known of a file whose inode is none, or not there. */
	toy_put(toy, socket + 16, 0, 8);
	toy_put(toy, other, 0, 2);
	socket_of(toy, file, READ_BAD_DATA);
	toy_put(toy, other, 0170000, 2);
	socket_of(toy, file, READ_BAD_DATA);
	toy_put(toy, file, TOY_MISSING, 8);
	socket_of(toy, file, READ_NOT_SAVED);
	/* An inode that begins behind the end of a 32-bit address space. */
	toy->kernel.word_size = 4;
	toy_put(toy, file, 0x30, 8);
	toy_put(toy, file + 8, 0xffffffb0, 8);
	assert_int_equal(socket_of(toy, file, READ_OK), 0xffffffb0);
}

static void test_internet(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
	struct toy *toy = *state;
	uint64_t sock = make_sock(toy, INET, TCP), net = toy_alloc(toy, 64), inum;
	uint64_t address = make_socket(toy, sock);
	_cleanup_buffer_ struct buffer text = {0};
	struct linux_socket socket = {0};
	const char *name;
	int64_t port;

	toy_put(toy, sock, 0x0200000a, 4);
	toy_put(toy, sock + 4, 0x0100007f, 4);
	toy_put(toy, sock + 12, 0x5000, 2);
	toy_put(toy, sock + 14, 8080, 2);
	toy_put(toy, sock + 18, 1, 1);
	toy_put(toy, sock + 48, net, 8);
	toy_put(toy, net + 16, 4026531840, 4);
	toy_put_bytes(toy, sock + 72, mapped, 16);
	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(socket.result, READ_OK);
	assert_int_equal(socket.protocol, TCP);
	assert_int_equal(linux_socket_side(&toy->kernel, &socket, false, &text), READ_OK);
	check_text(&text, "127.0.0.1", 9);
	assert_int_equal(linux_socket_side(&toy->kernel, &socket, true, &text), READ_OK);
	check_text(&text, "10.0.0.2", 8);
	assert_int_equal(linux_socket_port(&toy->kernel, &socket, false, &port), READ_OK);
	assert_int_equal(port, 8080);
	assert_int_equal(linux_socket_port(&toy->kernel, &socket, true, &port), READ_OK);
	assert_int_equal(port, 80);
	assert_int_equal(linux_socket_state(&toy->kernel, &socket, &name), READ_OK);
	assert_string_equal(name, "ESTABLISHED");
	assert_int_equal(linux_socket_namespace(&toy->kernel, &socket, &inum), READ_OK);
	assert_int_equal(inum, 4026531840);
	assert_int_equal(linux_socket_path(&toy->kernel, &socket, &text), READ_NONE);
	toy_put(toy, sock + 16, INET6, 2);
	toy_put(toy, sock + 18, 13, 1);
	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(linux_socket_side(&toy->kernel, &socket, false, &text), READ_OK);
	check_text(&text, "::ffff:127.0.0.1", 16);
	assert_int_equal(linux_socket_side(&toy->kernel, &socket, true, &text), READ_OK);
	check_text(&text, "::", 2);
	assert_int_equal(linux_socket_state(&toy->kernel, &socket, &name), READ_BAD_DATA);
	/* An SCTP socket has a port of its own, and lists of addresses. */
	toy_put(toy, sock + 100, LINUX_PROTOCOL_SCTP, 2);
	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(linux_socket_side(&toy->kernel, &socket, false, &text), READ_NONE);
	assert_int_equal(linux_socket_port(&toy->kernel, &socket, false, &port), READ_OK);
	assert_int_equal(linux_socket_port(&toy->kernel, &socket, true, &port), READ_NONE);
	assert_int_equal(linux_socket_state(&toy->kernel, &socket, &name), READ_NONE);
	/* What does not lead back to the socket is not its struct sock. */
	toy_field(toy, LAYOUT_table_sock, &L->table_sock_socket, 200, 8);
	toy_put(toy, sock + 200, address, 8);
	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(socket.result, READ_OK);
	toy_put(toy, sock + 200, address + 8, 8);
	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(socket.result, READ_BAD_DATA);
	linux_socket_deinit(&socket);
}

static void test_paths(void **state)
{
	struct toy *toy = *state;
	uint64_t sock = make_sock(toy, UNIX, 0), address = make_socket(toy, sock);
	uint64_t name = toy_alloc(toy, 256);
	_cleanup_buffer_ struct buffer text = {0};
	struct linux_socket socket = {0};
	char longest[108];

	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(linux_socket_path(&toy->kernel, &socket, &text), READ_NONE);
	toy_put(toy, sock + 128, name, 8);
	toy_put(toy, name + 4, 2 + 10, 4);
	toy_put_bytes(toy, name + 8, "\1\0/run/sock\0", 12);
	assert_int_equal(linux_socket_path(&toy->kernel, &socket, &text), READ_OK);
	check_text(&text, "/run/sock", 9);
	toy_put_bytes(toy, name + 8, "\1\0\0abstr\0ct\0", 12);
	assert_int_equal(linux_socket_path(&toy->kernel, &socket, &text), READ_OK);
	check_text(&text, "@abstr@ct@", 10);
	/* The longest name has the kernel's NUL behind it. */
	memset(longest, 'l', sizeof(longest));
	toy_put(toy, name + 4, 2 + 108 + 1, 4);
	toy_put_bytes(toy, name + 10, longest, sizeof(longest));
	assert_int_equal(linux_socket_path(&toy->kernel, &socket, &text), READ_OK);
	check_text(&text, longest, sizeof(longest));
	/* Sizes that the kernel does not make. */
	for (unsigned size = 0; size < 3; size++) {
		toy_put(toy, name + 4, size, 4);
		assert_int_equal(linux_socket_path(&toy->kernel, &socket, &text), READ_BAD_DATA);
	}
	toy_put(toy, name + 4, 112, 4);
	assert_int_equal(linux_socket_path(&toy->kernel, &socket, &text), READ_BAD_DATA);
	toy_put(toy, sock + 128, TOY_MISSING, 8);
	assert_int_equal(linux_socket_path(&toy->kernel, &socket, &text), READ_NOT_SAVED);
	assert_int_equal(text.size, 0);
	linux_socket_deinit(&socket);
}

/* Whether the socket at an address is one that listens. */
static bool listens(struct toy *toy, uint64_t address, enum read_result expected)
{
	struct linux_socket socket = {0};
	bool ret;

	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(linux_socket_listens(&toy->kernel, &socket, &ret), expected);
	linux_socket_deinit(&socket);
	return ret;
}

static void test_listening(void **state)
{
	enum { STREAM = 1, DGRAM = 2, RAW = 3 };
	struct toy *toy = *state;
	uint64_t sock = make_sock(toy, INET, TCP), address = make_socket(toy, sock);

	/* Of a stream its state decides: bound, listening, connected. */
	toy_put(toy, sock + 14, 80, 2);
	toy_put(toy, sock + 18, 7, 1);
	assert_false(listens(toy, address, READ_OK));
	toy_put(toy, sock + 18, 10, 1);
	assert_true(listens(toy, address, READ_OK));
	toy_put(toy, sock + 18, 1, 1);
	assert_false(listens(toy, address, READ_OK));
	/* Of others the ports, whatever the protocol: bound, connected, not bound. */
	toy_put(toy, address + 4, DGRAM, 2);
	assert_true(listens(toy, address, READ_OK));
	toy_put(toy, address + 4, RAW, 2);
	assert_true(listens(toy, address, READ_OK));
	toy_put(toy, sock + 12, 0x5000, 2);
	assert_false(listens(toy, address, READ_OK));
	toy_put(toy, sock + 12, 0, 2);
	toy_put(toy, sock + 14, 0, 2);
	assert_false(listens(toy, address, READ_OK));
	/* Of a UNIX socket its path, and of others nothing. */
	toy_put(toy, sock + 16, UNIX, 2);
	toy_put(toy, sock + 18, 10, 1);
	assert_false(listens(toy, address, READ_OK));
	toy_put(toy, sock + 128, TOY_MISSING, 8);
	assert_true(listens(toy, address, READ_OK));
	toy_put(toy, sock + 16, NETLINK, 2);
	assert_false(listens(toy, address, READ_OK));
	/* It cannot be known. */
	toy_put(toy, sock + 16, INET6, 2);
	toy_put(toy, address + 4, STREAM, 2);
	L->sock_state.present = false;
	assert_false(listens(toy, address, READ_NO_LAYOUT));
	toy_put(toy, address + 24, TOY_MISSING, 8);
	assert_false(listens(toy, address, READ_NOT_SAVED));
	assert_false(listens(toy, TOY_MISSING, READ_NOT_SAVED));
}

static void test_others(void **state)
{
	struct toy *toy = *state;
	uint64_t sock = make_sock(toy, PACKET, 0), address = make_socket(toy, sock), inum;
	_cleanup_buffer_ struct buffer text = {0};
	struct linux_socket socket = {0};
	const char *name;
	int64_t port;

	toy_put(toy, sock + 128, 0x0608, 2);
	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(socket.protocol_result, READ_OK);
	assert_int_equal(socket.protocol, 0x0806);
	assert_int_equal(linux_socket_port(&toy->kernel, &socket, false, &port), READ_NONE);
	assert_int_equal(linux_socket_state(&toy->kernel, &socket, &name), READ_NONE);
	L->packet_sock_protocol.present = false;
	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(socket.protocol_result, READ_NO_LAYOUT);
	/* A socket that is being closed has no sock. */
	toy_put(toy, address + 24, 0, 8);
	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(socket.type_result, READ_OK);
	assert_int_equal(socket.result, READ_NONE);
	assert_int_equal(linux_socket_side(&toy->kernel, &socket, false, &text), READ_NONE);
	/* A sock whose page was not saved. */
	toy_put(toy, address + 24, TOY_MISSING, 8);
	linux_socket_read(&toy->kernel, address, &socket);
	assert_int_equal(socket.result, READ_NOT_SAVED);
	assert_int_equal(socket.protocol_result, READ_NOT_SAVED);
	assert_int_equal(linux_socket_side(&toy->kernel, &socket, true, &text), READ_NOT_SAVED);
	assert_int_equal(linux_socket_port(&toy->kernel, &socket, true, &port), READ_NOT_SAVED);
	assert_int_equal(linux_socket_path(&toy->kernel, &socket, &text), READ_NOT_SAVED);
	assert_int_equal(linux_socket_state(&toy->kernel, &socket, &name), READ_NOT_SAVED);
	assert_int_equal(linux_socket_namespace(&toy->kernel, &socket, &inum), READ_NOT_SAVED);
	assert_int_equal(text.size, 0);
	linux_socket_deinit(&socket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_which_file, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_internet, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_paths, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_listening, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_others, toy_setup, toy_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
