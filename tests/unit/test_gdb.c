/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The gdb remote protocol: its text, and a client that talks to a stub of the test's. */
#include "target/qemu/gdb_client.h"
#include "target/qemu/gdb_packet.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* ---- Text ------------------------------------------------------------------------------------ */

/* All pieces of the bytes, fed in parts of that size: "+" "-" "!" (corrupt), "[packet]". */
static const char *pieces(const char *bytes, size_t size, size_t part)
{
	static char text[8192];
	static struct gdb_parser parser;
	size_t length = 0, at = 0;

	parser = (struct gdb_parser){0};
	text[0] = '\0';
	while (at < size) {
		enum gdb_piece piece;

		at += gdb_parse(&parser, bytes + at, part < size - at ? part : size - at, &piece);
		if (piece == GDB_PACKET || piece == GDB_NOTIFICATION)
			length += (size_t)snprintf(text + length, sizeof(text) - length,
						   piece == GDB_PACKET ? "[%.*s]" : "{%.*s}",
						   (int)parser.size, parser.data);
		else if (piece != GDB_MORE)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s",
						   piece == GDB_ACK   ? "+"
						   : piece == GDB_NAK ? "-"
								      : "!");
	}
	return text;
}

static void test_packets_are_found(void **state)
{
	static const struct {
		const char *bytes, *pieces;
	} rows[] = {
	    {"+$OK#9a", "+[OK]"},
	    {"$#00+$OK#9a", "[]+[OK]"},
	    {"$OK#9A", "[OK]"},
	    {"-$OK#9b$OK#9a", "-![OK]"},
	    {"$OK#9x$OK#9a", "![OK]"},
	    /* Bytes between packets, and a packet of which the end was lost. */
	    {"xy#00\x03$T05thr$OK#9a", "[OK]"},
	    {"$T05#$OK#9a", "[OK]"},
	    {"$a}\x03z#5b", "[a#z]"},
	    {"$a}#de", "!"},
	    /* ' ' is three times more, '%' eight times. */
	    {"$0* #7a", "[0000]"},
	    {"$0*%1#b0", "[0000000001]"},
	    {"$*%#4f", "!"},
	    {"$0*\x1f#79", "!"},
	    {"%Stop:T05#99$OK#9a", "{Stop:T05}[OK]"},
	    {"%Stop:T05#00$OK#9a", "[OK]"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t part = 1; part <= strlen(rows[i].bytes); part++)
			assert_string_equal(pieces(rows[i].bytes, strlen(rows[i].bytes), part),
					    rows[i].pieces);
	}
}

/* A packet has a limit, by its bytes and by what they are short for; the next one is found. */
static void test_packets_are_limited(void **state)
{
	static char bytes[GDB_PACKET_MAX + 64];
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	buffer_init(&out, 0);
	memset(bytes, 'x', sizeof(bytes));
	assert_true(gdb_write_packet(&out, bytes, GDB_PACKET_MAX + 1));
	buffer_append_string(&out, "$OK#9a$x");
	for (size_t i = 0; i < 400; i++)
		buffer_append_string(&out, "*~");
	buffer_append_string(&out, "#00$OK#9a");
	assert_string_equal(pieces(out.data, out.size, 1000), "![OK]![OK]");
}

static void test_what_is_written_is_read(void **state)
{
	static const char text[] = "a#b$c}d*e";
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	buffer_init(&out, 0);
	assert_true(gdb_write_packet(&out, text, sizeof(text) - 1));
	assert_string_equal(pieces(out.data, out.size, 3), "[a#b$c}d*e]");
	buffer_clear(&out);
	assert_true(gdb_write_packet(&out, "", 0));
	assert_string_equal(buffer_string(&out), "$#00");
	/* The bytes that the guard sends are packets with right checksums. */
	assert_string_equal(pieces(GDB_DETACH, sizeof(GDB_DETACH) - 1, 1) + sizeof(GDB_PLUS_4096),
			    "[vAttach;1]+[~]+[D]");
	assert_string_equal(pieces(GDB_DETACHED, sizeof(GDB_DETACHED) - 1, 1), "[]+[OK]");
	assert_string_equal(pieces(GDB_UNDO, sizeof(GDB_UNDO) - 1, 1) + sizeof(GDB_PLUS_4096),
			    "[vAttach;1]+[~]+[~]+[D]");
	assert_string_equal(pieces(GDB_UNDONE, sizeof(GDB_UNDONE) - 1, 1), "[]+[]+[OK]");
}

static void test_replies_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum gdb_reply reply;
	} rows[] = {
	    {"OK", GDB_REPLY_OK},
	    {"", GDB_REPLY_EMPTY},
	    {"E22", GDB_REPLY_ERROR},
	    {"E.no such thing", GDB_REPLY_ERROR},
	    {"E", GDB_REPLY_DATA},
	    {"E2g", GDB_REPLY_DATA},
	    {"T05thread:01;", GDB_REPLY_STOP},
	    {"W00", GDB_REPLY_STOP},
	    {"T", GDB_REPLY_DATA},
	    {"m01", GDB_REPLY_DATA},
	    {"OKAY", GDB_REPLY_DATA},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(gdb_reply(rows[i].text, strlen(rows[i].text)), rows[i].reply);
}

static void test_stops(void **state)
{
	static const struct {
		const char *text;
		bool good;
		struct gdb_stop stop;
	} rows[] = {
	    {"S05", true, {.signal = 5}},
	    {"T05thread:01;", true, {.signal = 5, .thread = 1}},
	    {"T02thread:p01.0a;", true, {.signal = 2, .thread = 10}},
	    {"T05hwbreak:;thread:2", true, {.reason = GDB_STOP_HWBREAK, .signal = 5, .thread = 2}},
	    {"T05thread:01;awatch:ffffffff81000000;",
	     true,
	     {.reason = GDB_STOP_WATCH, .signal = 5, .thread = 1, .address = 0xffffffff81000000}},
	    {"W00", true, {.kind = GDB_STOP_ENDED}},
	    {"X09;process:1", true, {.kind = GDB_STOP_ENDED, .signal = 9}},
	    {"T05thread:;", false, {0}},
	    {"T05thread:0;", false, {0}},
	    {"T05thread:123456789;", false, {0}},
	    {"T05thread", false, {0}},
	    {"T05watch:x;", false, {0}},
	    {"T0", false, {0}},
	    {"S051", false, {0}},
	    {"OK", false, {0}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct gdb_stop stop;

		assert_int_equal(gdb_parse_stop(rows[i].text, strlen(rows[i].text), &stop),
				 rows[i].good);
		if (!rows[i].good)
			continue;
		assert_int_equal(stop.kind, rows[i].stop.kind);
		assert_int_equal(stop.reason, rows[i].stop.reason);
		assert_int_equal(stop.signal, rows[i].stop.signal);
		assert_int_equal(stop.thread, rows[i].stop.thread);
		assert_int_equal(stop.address, rows[i].stop.address);
	}
}

static void test_features_and_threads(void **state)
{
	static const char text[] = "PacketSize=1000;qXfer:features:read+;vContSupported+;x-;y";
	struct gdb_features features;
	uint32_t ids[3];
	bool last;

	(void)state;
	gdb_parse_features(text, sizeof(text) - 1, &features);
	assert_int_equal(features.packet_size, 0x1000);
	assert_true(features.description && features.vcont && !features.no_ack);
	gdb_parse_features(";;QStartNoAckMode+", 18, &features);
	assert_true(features.no_ack && !features.description);
	assert_int_equal(gdb_parse_threads("m01,p1.0a", 9, ids, 3, &last), 2);
	assert_int_equal(ids[1], 10);
	assert_false(last);
	assert_int_equal(gdb_parse_threads("l", 1, ids, 3, &last), 0);
	assert_true(last);
	assert_int_equal(gdb_parse_threads("m1,2,3,4", 8, ids, 3, &last), -1);
	assert_int_equal(gdb_parse_threads("m1,,2", 5, ids, 3, &last), -1);
	assert_int_equal(gdb_parse_threads("m", 1, ids, 3, &last), -1);
}

/* ---- Registers ------------------------------------------------------------------------------- */

static const char target_64[] =
    "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target><architecture>"
    "i386:x86-64</architecture><xi:include href=\"i386-64bit.xml\"/></target>";
static const char core_64[] =
    "<?xml version=\"1.0\"?>\n<!-- a comment with a <reg name=\"rax\" bitsize=\"64\"/> -->\n"
    "<feature name=\"org.gnu.gdb.i386.core\">\n"
    "<flags id=\"x64_eflags\" size=\"4\"><field name=\"\" start=\"22\" end=\"31\"/></flags>\n"
    "<reg name=\"rax\" bitsize=\"64\" type=\"int64\" regnum=\"0\"/>\n"
    "<reg name=\"rbx\" bitsize=\"64\" type=\"int64\"/><reg name=\"rcx\" bitsize=\"64\"/>\n"
    "<reg name='rdx' bitsize='64'/><reg name=\"rsi\" bitsize=\"64\"/>\n"
    "<reg name=\"rdi\" bitsize=\"64\"/><reg name=\"rbp\" bitsize=\"64\"/>\n"
    "<reg name=\"rsp\" bitsize=\"64\"/><reg name=\"r8\" bitsize=\"64\"/>\n"
    "<reg name=\"r9\" bitsize=\"64\"/><reg name=\"r10\" bitsize=\"64\"/>\n"
    "<reg name=\"r11\" bitsize=\"64\"/><reg name=\"r12\" bitsize=\"64\"/>\n"
    "<reg name=\"r13\" bitsize=\"64\"/><reg name=\"r14\" bitsize=\"64\"/>\n"
    "<reg name=\"r15\" bitsize=\"64\"/><reg name=\"rip\" bitsize=\"64\"/>\n"
    "<reg name=\"eflags\" bitsize=\"32\" type=\"x64_eflags\"/>\n"
    "<reg name=\"cs\" bitsize=\"32\"/><reg name=\"ss\" bitsize=\"32\"/>\n"
    "<!--reg name=\"cs_base\" bitsize=\"64\" type=\"int64\"/-->\n"
    "<reg name=\"fs_base\" bitsize=\"64\"/><reg name=\"gs_base\" bitsize=\"64\"/>\n"
    "<reg name=\"k_gs_base\" bitsize=\"64\"/><reg name=\"cr0\" bitsize=\"64\"/>\n"
    "<reg name=\"cr2\" bitsize=\"64\"/><reg name=\"cr3\" bitsize=\"64\"/>\n"
    "<reg name=\"cr4\" bitsize=\"64\"/><reg name=\"cr8\" bitsize=\"64\"/>\n"
    "<reg name=\"efer\" bitsize=\"64\"/><reg name=\"st0\" bitsize=\"80\"/></feature>\n";
static const char core_32[] =
    "<feature><reg name=\"eax\" bitsize=\"32\" regnum=\"0\"/><reg name=\"ecx\" bitsize=\"32\"/>"
    "<reg name=\"edx\" bitsize=\"32\"/><reg name=\"ebx\" bitsize=\"32\"/>"
    "<reg name=\"esp\" bitsize=\"32\"/><reg name=\"ebp\" bitsize=\"32\"/>"
    "<reg name=\"esi\" bitsize=\"32\"/><reg name=\"edi\" bitsize=\"32\"/>"
    "<reg name=\"eip\" bitsize=\"32\"/><reg name=\"eflags\" bitsize=\"32\"/>"
    "<reg name=\"cr0\" bitsize=\"32\"/><reg name=\"cr3\" bitsize=\"32\"/>"
    "<reg name=\"cr4\" bitsize=\"32\"/></feature>";

static bool include_core(const char *name, void *data)
{
	assert_string_equal(name, "i386-64bit.xml");
	return gdb_layout_add(data, core_64, sizeof(core_64) - 1, include_core, data);
}

/* Registers of ascending values: byte I of the answer is I. */
static void write_ascending(char *hex, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned)i);
}

static void test_registers_of_64_bits(void **state)
{
	struct gdb_layout layout = {0};
	struct x86_registers registers;
	char hex[600];

	(void)state;
	assert_true(
	    gdb_layout_add(&layout, target_64, sizeof(target_64) - 1, include_core, &layout));
	assert_true(gdb_layout_is_useful(&layout));
	assert_int_equal(layout.registers[GDB_RIP].number, 16);
	assert_int_equal(layout.registers[GDB_RIP].offset, 128);
	assert_int_equal(layout.registers[GDB_FS_BASE].offset, 128 + 8 + 12);
	assert_int_equal(layout.bytes, 148 + 9 * 8 + 10);
	write_ascending(hex, 220);
	assert_true(gdb_layout_read(&layout, hex, 440, &registers));
	assert_true(registers.has_general && registers.has_rip && registers.has_segments &&
		    registers.has_kernel_gs && registers.has_efer && registers.has_cr2);
	assert_false(registers.has_selectors || registers.has_idt || registers.has_syscall);
	assert_int_equal(registers.rax, 0x0706050403020100);
	assert_int_equal(registers.r15, 0x7f7e7d7c7b7a7978);
	assert_int_equal(registers.rip, 0x8786858483828180);
	assert_int_equal(registers.rflags, 0x8b8a8988);
	assert_int_equal(registers.cr3, 0xc3c2c1c0bfbebdbc);
	assert_int_equal(registers.efer, 0xdbdad9d8d7d6d5d4);
	/* The stub does not say efer, or the packet ends before it. */
	memset(hex + 424, 'x', 16);
	assert_true(gdb_layout_read(&layout, hex, 440, &registers));
	assert_false(registers.has_efer);
	assert_true(gdb_layout_read(&layout, hex, 424, &registers));
	/* Without cr4 there is no use for it. */
	assert_false(gdb_layout_read(&layout, hex, 398, &registers));
}

static void test_registers_of_32_bits(void **state)
{
	struct gdb_layout layout = {0};
	struct x86_registers registers;
	char hex[128];

	(void)state;
	assert_true(gdb_layout_add(&layout, core_32, sizeof(core_32) - 1, include_core, &layout));
	assert_true(gdb_layout_is_useful(&layout));
	write_ascending(hex, 52);
	assert_true(gdb_layout_read(&layout, hex, 104, &registers));
	assert_true(registers.has_general && registers.has_rip && !registers.has_efer);
	assert_int_equal(registers.rbx, 0x0f0e0d0c);
	assert_int_equal(registers.rip, 0x23222120);
	assert_int_equal(registers.cr4, 0x33323130);
}

static bool include_itself(const char *name, void *data)
{
	static const char again[] = "<xi:include href=\"x\"/>";

	(void)name;
	return gdb_layout_add(data, again, sizeof(again) - 1, include_itself, data);
}

static void test_bad_descriptions(void **state)
{
	static const char *const texts[] = {
	    "<reg name=\"rax\" bitsize=\"64\"", /* does not end */
	    "<!-- <reg name=\"rax\"/>",
	    "<reg name=\"rax\"/>",
	    "<reg bitsize=\"64\"/>",
	    "<reg name=\"rax\" bitsize=\"0\"/>",
	    "<reg name=\"rax\" bitsize=\"65\"/>",
	    "<reg name=\"rax\" bitsize=\"-8\"/>",
	    "<reg name=\"rax\" bitsize=\"99999999999\"/>",
	    "<reg name=\"a\" bitsize=\"65536\"/><reg name=\"b\" bitsize=\"65536\"/>",
	    "<reg name=\"rax\" bitsize=\"64\" regnum=\"70000\"/>",
	    "<reg name='a' bitsize='64' regnum='3'/><reg name='b' bitsize='8' regnum='2'/>",
	    "<xi:include href=\"../x\"/>",
	    "<xi:include href=\"\"/>",
	    "<xi:include/>",
	    "<reg>",
	    "<xi:include href=\"itself\"/>",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct gdb_layout layout = {0};

		assert_false(
		    gdb_layout_add(&layout, texts[i], strlen(texts[i]), include_itself, &layout));
	}
}

/* ---- The client ------------------------------------------------------------------------------ */

/* What the stub of the test does: it waits for these bytes and sends those. */
struct line {
	const char *wanted, *sent;
};

struct stub {
	int fd;
	const struct line *lines;
	size_t count;
	bool split; /* bytes are sent one by one */
	char got[16384];
	pthread_t thread;
};

static void send_all(const struct stub *stub, const char *text)
{
	size_t size = strlen(text), step = stub->split ? 1 : size;

	for (size_t i = 0; i < size; i += step) {
		if (stub->split)
			usleep(200);
		if (send(stub->fd, text + i, step, MSG_NOSIGNAL) < 0)
			return;
	}
}

/* Only one byte is read at once, and nothing behind what a line waits for. */
static void *serve(void *data)
{
	struct stub *stub = data;
	size_t size = 0, begin = 0;

	for (size_t i = 0; i < stub->count; i++) {
		size_t length = strlen(stub->lines[i].wanted);

		while (size - begin < length ||
		       memcmp(stub->got + size - length, stub->lines[i].wanted, length) != 0) {
			if (size + 1 >= sizeof(stub->got) ||
			    recv(stub->fd, stub->got + size, 1, 0) != 1)
				return NULL;
			size++;
		}
		begin = size;
		send_all(stub, stub->lines[i].sent);
	}
	return NULL;
}

static struct gdb_stub known;
static int client_fd;

static struct gdb_client *start(struct stub *stub, const struct line *lines, size_t count)
{
	struct gdb_client *client;
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	known = (struct gdb_stub){.thread_count = 2, .threads = {1, 2}};
	known.layout.registers[GDB_RIP].number = 16;
	known.layout.registers[GDB_RIP].size = 8;
	*stub =
	    (struct stub){.fd = sockets[1], .lines = lines, .count = count, .split = stub->split};
	client_fd = sockets[0];
	assert_int_equal(fcntl(client_fd, F_SETFL, O_NONBLOCK), 0);
	assert_null(gdb_client_create(client_fd, &known, &client));
	assert_int_equal(pthread_create(&stub->thread, NULL, serve, stub), 0);
	return client;
}

static void finish(struct stub *stub, struct gdb_client *client)
{
	gdb_client_destroy(client);
	close(client_fd);
	shutdown(stub->fd, SHUT_RDWR);
	pthread_join(stub->thread, NULL);
	close(stub->fd);
}

static struct gdb_wait within(unsigned ms)
{
	return (struct gdb_wait){.deadline_us = clock_us() + ms * CLOCK_US_PER_MS};
}

static void ok(struct nunchi_error *err)
{
	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
}

static void fails(struct nunchi_error *err, enum nunchi_error_code code)
{
	if (!error_is(err, code))
		print_error("%s\n", err ? nunchi_error_message(err) : "no error");
	assert_true(error_is(err, code));
	nunchi_error_destroy(err);
}

/* A whole handshake; the description comes in two parts. */
static void test_start(void **state)
{
	static const struct line lines[] = {
	    {"$qSupported:xmlRegisters=i386#c1",
	     "+$PacketSize=1000;qXfer:features:read+;vContSupported+#02"},
	    {"qXfer:features:read:target.xml:0,7f0#18",
	     "+$m<target><xi:include href=\"c.xml\"/>#3e"},
	    {"qXfer:features:read:target.xml:22,7f0#4c", "+$l</target>#9c"},
	    {"qXfer:features:read:c.xml:0,7f0#f4",
	     "+$l<reg name=\"rip\" bitsize=\"64\" regnum=\"16\"/><reg name=\"rsp\" "
	     "bitsize=\"64\"/><reg name=\"cr0\" bitsize=\"64\"/><reg name=\"cr3\" "
	     "bitsize=\"64\"/><reg name=\"cr4\" bitsize=\"64\"/>#9e"},
	    {"+$qfThreadInfo#bb", "+$m01#ce"},
	    {"+$qsThreadInfo#c8", "+$m02,03#5e"},
	    {"+$qsThreadInfo#c8", "+$l#6c"},
	};

	(void)state;
	for (unsigned split = 0; split < 2; split++) {
		struct stub stub = {.split = split};
		struct gdb_client *client = start(&stub, lines, ARRAY_SIZE(lines));
		const struct gdb_wait wait = within(5000);

		ok(gdb_client_start(client, &wait));
		assert_int_equal(known.thread_count, 3);
		assert_int_equal(known.layout.registers[GDB_CR4].offset, 32);
		assert_false(known.no_ack);
		finish(&stub, client);
	}
}

static void test_damaged_and_lost(void **state)
{
	static const struct line lines[] = {
	    /* Our packet was damaged on its way, and is sent again. */
	    {"$Z1,ffffffff81000000,1#cd", "-"},
	    {"$Z1,ffffffff81000000,1#cd", "+$OK#9b"},
	    /* The answer was damaged, and is asked for again. */
	    {"-", "$O$OK#9a"},
	    {"+$z1,1,1#65", "+$E22#a9"},
	    {"+$Z1,2,1#46", "+$E22#a9"},
	    {"+$Z1,3,1#47", "+$#00"},
	};
	struct stub stub = {0};
	struct gdb_client *client = start(&stub, lines, ARRAY_SIZE(lines));
	const struct gdb_wait wait = within(5000);

	(void)state;
	ok(gdb_client_insert(client, 0xffffffff81000000, &wait));
	fails(gdb_client_remove(client, 1, &wait), NUNCHI_ERROR_UNSUPPORTED);
	fails(gdb_client_insert(client, 2, &wait), NUNCHI_ERROR_BUSY);
	fails(gdb_client_insert(client, 3, &wait), NUNCHI_ERROR_UNSUPPORTED);
	finish(&stub, client);
}

static void test_always_damaged(void **state)
{
	static const struct line lines[] = {
	    {"$z1,1,1#65", "-"}, {"$z1,1,1#65", "-"}, {"$z1,1,1#65", "-"},
	    {"$z1,1,1#65", "-"}, {"$z1,1,1#65", "-"},
	};
	struct stub stub = {0};
	struct gdb_client *client = start(&stub, lines, ARRAY_SIZE(lines));
	const struct gdb_wait wait = within(5000);

	(void)state;
	fails(gdb_client_remove(client, 1, &wait), NUNCHI_ERROR_DATA);
	finish(&stub, client);
}

/* A breakpoint, a step that is told of, going on, and a stop that the socket announces. */
static void test_stops_and_steps(void **state)
{
	static const struct line lines[] = {
	    {"$c#63", "+"},
	    {"\x03", "$T05thread:02;#08"},
	    {"+$p10#d1", "+$1122334455667788#48"},
	    {"+$P10=8877665544332211#36", "+$OK#9a"},
	    {"+$Hg1#e0", "+$OK#9a"},
	    {"+$p10#d1", "+$0100000000000000#01"},
	    {"+$vCont;s:2#24", "+$T05thread:02;#08"},
	    {"+$c#63", "+$T05thread:02;#08"},
	    {"+$c#63", "+$W00#b7"},
	};
	struct stub stub = {0};
	struct gdb_client *client = start(&stub, lines, ARRAY_SIZE(lines));
	const struct gdb_wait wait = within(5000);
	struct pollfd pfd = {.fd = client_fd, .events = POLLIN};
	struct gdb_stop stop;
	uint64_t rip;
	unsigned vcpu;
	bool stopped;

	(void)state;
	ok(gdb_client_continue(client, &wait));
	ok(gdb_client_poll(client, NULL, &stopped, &stop));
	assert_false(stopped);
	ok(gdb_client_interrupt(client, &wait, &stop));
	assert_true(gdb_client_vcpu(client, &stop, &vcpu));
	assert_int_equal(vcpu, 1);
	ok(gdb_client_read_rip(client, 1, &wait, &rip));
	assert_int_equal(rip, 0x8877665544332211);
	ok(gdb_client_write_rip(client, 1, 0x1122334455667788, &wait));
	ok(gdb_client_read_rip(client, 0, &wait, &rip));
	assert_int_equal(rip, 1);
	ok(gdb_client_step(client, 1, &wait, &stop));
	assert_int_equal(stop.thread, 2);
	ok(gdb_client_continue(client, &wait));
	/* The stop that came with the acknowledgement was left in the socket. */
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	ok(gdb_client_poll(client, NULL, &stopped, &stop));
	assert_true(stopped);
	ok(gdb_client_continue(client, &wait));
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	ok(gdb_client_poll(client, NULL, &stopped, &stop));
	assert_int_equal(stop.kind, GDB_STOP_ENDED);
	fails(gdb_client_read_rip(client, 7, &wait, &rip), NUNCHI_ERROR_ARGUMENT);
	finish(&stub, client);
}

/*
 * Somebody resumed the guest while it was held. The request stopped it, and is lost: it is sent
 * again. Or the guest met its breakpoint again, and the request is answered.
 */
static void test_stops_that_nobody_asked_for(void **state)
{
	static const struct line lines[] = {
	    {"$Z1,1,1#45", "$T02thread:01;#04"},
	    {"+$Z1,1,1#45", "+$OK#9a"},
	    {"+$Z1,2,1#46", "$T05thread:02;#08+$OK#9a"},
	    {"+$Z1,3,1#47", "$W00#b7"},
	};
	struct stub stub = {0};
	struct gdb_client *client = start(&stub, lines, ARRAY_SIZE(lines));
	const struct gdb_wait wait = within(5000);

	(void)state;
	ok(gdb_client_insert(client, 1, &wait));
	assert_true(gdb_client_has_stopped_it(client));
	ok(gdb_client_insert(client, 2, &wait));
	fails(gdb_client_insert(client, 3, &wait), NUNCHI_ERROR_GONE);
	finish(&stub, client);
}

static void test_waits_end(void **state)
{
	static const struct line lines[] = {{"$z1,1,1#65", "+"}, {"$z1,2,1#66", "+$OK"}};
	struct stub stub = {0};
	struct gdb_client *client = start(&stub, lines, ARRAY_SIZE(lines));
	struct cancel cancel = {0};
	struct gdb_wait wait = within(50);
	struct gdb_stop stop;
	bool stopped;

	(void)state;
	fails(gdb_client_remove(client, 1, &wait), NUNCHI_ERROR_TIMEOUT);
	wait = within(5000);
	wait.cancel = &cancel;
	cancel_request(&cancel);
	fails(gdb_client_remove(client, 2, &wait), NUNCHI_ERROR_CANCELLED);
	cancel_clear(&cancel);
	shutdown(stub.fd, SHUT_RDWR);
	fails(gdb_client_remove(client, 3, &wait), NUNCHI_ERROR_GONE);
	ok(gdb_client_poll(client, NULL, &stopped, &stop));
	assert_true(stopped);
	assert_int_equal(stop.kind, GDB_STOP_ENDED);
	finish(&stub, client);
}

/* The end of an exchange that was broken off is not taken for the end of debugging. */
static void test_detaching(void **state)
{
	static const struct line lines[] = {
	    {"$z1,1,1#65", "+"},
	    {"$D#44", "$OK#9a$T02thread:01;#04+$T05thread:01;#07+$#00+$O"},
	    {"", "K#9a"},
	};
	struct stub stub = {.split = true};
	struct gdb_client *client = start(&stub, lines, ARRAY_SIZE(lines));
	struct gdb_wait wait = within(20);

	(void)state;
	fails(gdb_client_remove(client, 1, &wait), NUNCHI_ERROR_TIMEOUT);
	wait = within(5000);
	ok(gdb_client_detach(client, &wait));
	finish(&stub, client);
	stub = (struct stub){0};
	client = start(&stub, lines, 2);
	wait = within(20);
	fails(gdb_client_remove(client, 1, &wait), NUNCHI_ERROR_TIMEOUT);
	fails(gdb_client_detach(client, &wait), NUNCHI_ERROR_TIMEOUT);
	finish(&stub, client);
}

/* What a stub sends without end, or as one packet without end, ends with the wait. */
static void test_endless_answers(void **state)
{
	static char garbage[60001];
	const struct line lines[] = {{"$z1,1,1#65", garbage}};
	struct stub stub = {0};
	struct gdb_client *client;
	const struct gdb_wait wait = within(300);

	(void)state;
	memset(garbage, 'x', sizeof(garbage) - 1);
	garbage[0] = '$';
	client = start(&stub, lines, ARRAY_SIZE(lines));
	fails(gdb_client_remove(client, 1, &wait), NUNCHI_ERROR_TIMEOUT);
	finish(&stub, client);
}

/* A look without waiting takes a part of what has come, for more may come all the time. */
static void test_looks_end(void **state)
{
	static const char packets[] = "$x#78$x#78$x#78$x#78";
	_cleanup_gdb_client_ struct gdb_client *client = NULL;
	struct gdb_stub shared = {0};
	struct cancel cancel = {0};
	struct gdb_stop stop;
	struct pollfd pfd = {.events = POLLIN};
	size_t size = 0;
	bool stopped;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	for (ssize_t n = 1; n > 0; size += n > 0 ? (size_t)n : 0) {
		char chunk[200 * (sizeof(packets) - 1)];

		for (size_t i = 0; i < sizeof(chunk); i += sizeof(packets) - 1)
			memcpy(chunk + i, packets, sizeof(packets) - 1);
		n = write(fds[1], chunk, sizeof(chunk));
	}
	assert_true(size > 80000);
	ok(gdb_client_create(fds[0], &shared, &client));
	ok(gdb_client_poll(client, NULL, &stopped, &stop));
	assert_false(stopped);
	pfd.fd = fds[0];
	assert_int_equal(poll(&pfd, 1, 0), 1);
	cancel_request(&cancel);
	fails(gdb_client_poll(client, &cancel, &stopped, &stop), NUNCHI_ERROR_CANCELLED);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_packets_are_found),
	    cmocka_unit_test(test_packets_are_limited),
	    cmocka_unit_test(test_what_is_written_is_read),
	    cmocka_unit_test(test_replies_are_told_apart),
	    cmocka_unit_test(test_stops),
	    cmocka_unit_test(test_features_and_threads),
	    cmocka_unit_test(test_registers_of_64_bits),
	    cmocka_unit_test(test_registers_of_32_bits),
	    cmocka_unit_test(test_bad_descriptions),
	    cmocka_unit_test(test_start),
	    cmocka_unit_test(test_damaged_and_lost),
	    cmocka_unit_test(test_always_damaged),
	    cmocka_unit_test(test_stops_and_steps),
	    cmocka_unit_test(test_stops_that_nobody_asked_for),
	    cmocka_unit_test(test_waits_end),
	    cmocka_unit_test(test_detaching),
	    cmocka_unit_test(test_endless_answers),
	    cmocka_unit_test(test_looks_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
