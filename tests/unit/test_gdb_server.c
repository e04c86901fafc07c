/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server of the gdb remote protocol on a saved guest made by hand: each packet, and what
 * hostile peers send. Real gdb with real guests is in tests/guests/debugger.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_guest.h"
#include "core/buffer.h"
#include "target/qemu/gdb_packet.h"

#include <nunchi/gdb.h>

struct server {
	char path[64];
	struct nunchi_context *context;
	struct nunchi_guest *guest;
	struct nunchi_gdb *gdb;
	struct buffer out; /* what the server wrote */
	bool open, broken;
};

static int setup(void **state)
{
	struct server *server = calloc(1, sizeof(*server));

	api_guest_save(server->path);
	assert_null(nunchi_context_create(0, &server->context));
	assert_null(nunchi_guest_open(server->context, server->path, NULL, &server->guest));
	assert_null(nunchi_gdb_create(server->guest, NULL, &server->gdb));
	buffer_init(&server->out, 0);
	server->open = true;
	*state = server;
	return 0;
}

static int teardown(void **state)
{
	struct server *server = *state;

	assert_null(nunchi_gdb_destroy(server->gdb));
	nunchi_guest_close(server->guest);
	nunchi_context_destroy(server->context);
	buffer_deinit(&server->out);
	unlink(server->path);
	free(server);
	return 0;
}

static bool keep(const char *data, size_t size, void *data2)
{
	struct server *server = data2;

	return !server->broken && buffer_append(&server->out, data, size);
}

static struct nunchi_error *take(struct server *server, const char *bytes, size_t size)
{
	buffer_clear(&server->out);
	return nunchi_gdb_take(server->gdb, bytes, size, keep, server, &server->open);
}

/* The reply to a packet, without its frame; "(none)" where there is none. */
static const char *ask_bytes(struct server *server, const char *text, size_t size, size_t *ret_size)
{
	static struct gdb_parser parser;
	_cleanup_buffer_ struct buffer packet;
	enum gdb_piece piece = GDB_MORE;
	struct nunchi_error *err;
	size_t used = 0;

	buffer_init(&packet, 0);
	assert_true(gdb_write_packet(&packet, text, size));
	err = take(server, packet.data, packet.size);
	if (err)
		fail_msg("%.40s: %s", text, nunchi_error_message(err));
	parser = (struct gdb_parser){0};
	while (used < server->out.size && piece != GDB_PACKET)
		used +=
		    gdb_parse(&parser, server->out.data + used, server->out.size - used, &piece);
	if (piece != GDB_PACKET)
		return "(none)";
	assert_int_equal(used, server->out.size);
	assert_true(parser.size < sizeof(parser.data));
	parser.data[parser.size] = '\0';
	*ret_size = parser.size;
	return parser.data;
}

static const char *ask(struct server *server, const char *text)
{
	size_t size;

	return ask_bytes(server, text, strlen(text), &size);
}

static void replies(struct server *server, const char *text, const char *reply)
{
	const char *got = ask(server, text);

	if (strcmp(got, reply) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", text, got, reply);
}

static void refused(struct nunchi_error *err, enum nunchi_error_code code, const char *words)
{
	assert_non_null(err);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words))
		fail_msg("code %d: %s", nunchi_error_code(err), nunchi_error_message(err));
	nunchi_error_destroy(err);
}

/* ---- Packets --------------------------------------------------------------------------------- */

static void test_acknowledges_until_told_not_to(void **state)
{
	struct server *server = *state;

	assert_null(take(server, "+$?#3f", 6));
	assert_string_equal(buffer_string(&server->out), "+$T05thread:7fffffff;#a7");
	replies(server, "QStartNoAckMode", "OK");
	assert_int_equal(server->out.data[0], '+');
	assert_null(take(server, "+$?#3f", 6));
	assert_string_equal(buffer_string(&server->out), "$T05thread:7fffffff;#a7");
}

/* gdb sends a packet again and again as long as nothing acknowledges it, and wants one answer. */
static void test_packets_that_come_again(void **state)
{
	struct server *server = *state;

	assert_null(take(server, "+$?#3f$?#3f$?#3f", 16));
	assert_string_equal(buffer_string(&server->out), "+$T05thread:7fffffff;#a7");
	assert_null(take(server, "$?#3f+$?#3f", 11));
	assert_string_equal(buffer_string(&server->out),
			    "+$T05thread:7fffffff;#a7+$T05thread:7fffffff;#a7");
	replies(server, "QStartNoAckMode", "OK");
	/* Now none is sent again. */
	assert_null(take(server, "$?#3f$?#3f", 10));
	assert_string_equal(buffer_string(&server->out),
			    "$T05thread:7fffffff;#a7$T05thread:7fffffff;#a7");
}

/* A packet that comes byte by byte is the same packet; 0x03 between packets asks nothing. */
static void test_packets_in_pieces(void **state)
{
	static const char bytes[] = "\x03+$?#3f";
	struct server *server = *state;

	for (size_t i = 0; i + 1 < sizeof(bytes); i++)
		assert_null(take(server, bytes + i, 1));
	assert_string_equal(buffer_string(&server->out), "+$T05thread:7fffffff;#a7");
}

static void test_what_is_supported(void **state)
{
	struct server *server = *state;
	const char *reply = ask(server, "qSupported:multiprocess+;swbreak+;xmlRegisters=i386");
	struct gdb_features features;

	gdb_parse_features(reply, strlen(reply), &features);
	assert_int_equal(features.packet_size, GDB_PACKET_MAX);
	assert_true(features.no_ack && features.description);
	assert_false(features.vcont);
	assert_non_null(strstr(reply, ";qXfer:osdata:read+"));
	replies(server, "vMustReplyEmpty", "");
	/* Without an answer gdb would take files of this host for the guest's. */
	replies(server, "vFile:setfs:0", "F0");
	replies(server, "vFile:open:2f62696e,0,0", "F-1,2");
	replies(server, "vKill;1", "");
	replies(server, "vCont?", "");
	replies(server, "!", "");
	replies(server, "", "");
	replies(server, "qSupportedx", "");
	replies(server, "qAttached", "1");
	replies(server, "qC", "QC7fffffff");
}

static void test_threads(void **state)
{
	struct server *server = *state;
	size_t size;

	replies(server, "qfThreadInfo", "m7fffffff");
	replies(server, "qsThreadInfo", "l");
	replies(server, "Hg7fffffff", "OK");
	replies(server, "Hg0", "OK");
	replies(server, "Hc-1", "OK");
	replies(server, "Hg2", "E03");
	replies(server, "Hgx", "E03");
	replies(server, "Hx1", "E03");
	assert_string_equal(ask_bytes(server, "H\0001", 3, &size), "E03");
	replies(server, "H", "E03");
	replies(server, "T7fffffff", "OK");
	replies(server, "T2", "E03");
	replies(server, "T", "E03");
	replies(server, "qThreadExtraInfo,7fffffff", "6b65726e656c");
	replies(server, "qThreadExtraInfo,2", "E03");
	assert_non_null(strstr(ask(server, "qXfer:threads:read::0,1000"),
			       "<thread id=\"7fffffff\" name=\"kernel\"></thread>"));
}

/* Memory is what nunchi_read() gives, up to where it ends. */
static void test_memory(void **state)
{
	struct server *server = *state;
	uint64_t banner = WRITER_BASE + BANNER, end = WRITER_BASE + 6 * MIB;
	char text[64];
	size_t size;

	snprintf(text, sizeof(text), "m%llx,5", (unsigned long long)banner);
	replies(server, text, "4c696e7578");
	text[0] = 'x';
	assert_memory_equal(ask_bytes(server, text, strlen(text), &size), "bLinux", 6);
	assert_int_equal(size, 6);
	/* Two bytes of four. */
	snprintf(text, sizeof(text), "m%llx,4", (unsigned long long)end - 2);
	assert_int_equal(strlen(ask(server, text)), 4);
	snprintf(text, sizeof(text), "m%llx,4", (unsigned long long)end);
	replies(server, text, "E0e");
	snprintf(text, sizeof(text), "m%llx,0", (unsigned long long)banner);
	replies(server, text, "");
}

static void test_memory_requests_have_limits(void **state)
{
	static const char *const malformed[] = {"m",
						"m,",
						"m0",
						"m0,",
						"m,1",
						"mx,1",
						"m0,1:",
						"m0,1,",
						"m0,-1",
						"x",
						"x0",
						"m 0,1",
						"m0,10000000000000000",
						"m10000000000000000,1"};
	struct server *server = *state;
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
		replies(server, malformed[i], "E16");
	replies(server, "mffffffffffffffff,2", "E0e");
	replies(server, "m0,ffffffffffffffff", "E0e");
	/* More than a packet holds: a part is given. */
	snprintf(text, sizeof(text), "m%llx,ffffffffffffffff", (unsigned long long)WRITER_BASE);
	assert_in_range(strlen(ask(server, text)), 4096, GDB_PACKET_MAX);
}

/* Our own client understands what the server says of its registers. */
static bool include_nothing(const char *name, void *data)
{
	(void)name;
	(void)data;
	return false;
}

static void test_registers(void **state)
{
	struct server *server = *state;
	const char *reply = ask(server, "qXfer:features:read:target.xml:0,1f00");
	struct gdb_layout layout = {0};
	size_t size;

	assert_int_equal(reply[0], 'l');
	assert_true(gdb_layout_add(&layout, reply + 1, strlen(reply + 1), include_nothing, NULL));
	assert_true(gdb_layout_is_useful(&layout));
	assert_non_null(strstr(reply, "<architecture>i386:x86-64</architecture>"));
	reply = ask_bytes(server, "g", 1, &size);
	assert_int_equal(size, layout.bytes * 2);
	/* A raw file has no registers; gdb ends the connection where no program counter is known.
	 */
	assert_int_equal(strspn(reply, "x"), 2 * layout.registers[GDB_RIP].offset);
	assert_int_equal(strspn(reply + 2 * layout.registers[GDB_FLAGS].offset, "x"),
			 size - 2 * layout.registers[GDB_FLAGS].offset);
	replies(server, "p10", "0000000000000000");
	replies(server, "p0", "xxxxxxxxxxxxxxxx");
	replies(server, "pffff", "E16");
	replies(server, "p", "E16");
	replies(server, "pg", "E16");
}

static void test_documents_in_parts(void **state)
{
	struct server *server = *state;
	_cleanup_buffer_ struct buffer whole;
	char text[64];
	const char *reply = "m";

	buffer_init(&whole, 0);
	for (size_t at = 0; reply[0] == 'm'; at += 7) {
		snprintf(text, sizeof(text), "qXfer:features:read:target.xml:%zx,7", at);
		reply = ask(server, text);
		buffer_append_string(&whole, reply + 1);
	}
	reply = ask(server, "qXfer:features:read:target.xml:0,1f00");
	assert_string_equal(buffer_string(&whole), reply + 1);
	replies(server, "qXfer:features:read:target.xml:fffff,10", "l");
	assert_non_null(strstr(ask(server, "qXfer:memory-map:read::0,400"), "type=\"rom\""));
	assert_non_null(strstr(ask(server, "qXfer:osdata:read::0,1f00"),
			       "<column name=\"Type\">processes</column>"));
	assert_non_null(strstr(ask(server, "qXfer:osdata:read:symbols:0,1f00"),
			       "<osdata type=\"symbols\"><item><column name=\"name\">"));
	assert_int_equal(strncmp(ask(server, "qXfer:osdata:read:nothing:0,10"), "E.", 2), 0);
	assert_int_equal(strncmp(ask(server, "qXfer:features:read:x:0,10"), "E.", 2), 0);
}

static void test_documents_malformed(void **state)
{
	static const char *const malformed[] = {
	    "qXfer",
	    "qXfer:",
	    "qXfer:features",
	    "qXfer:features:read",
	    "qXfer:features:read:target.xml",
	    "qXfer:features:read:target.xml:",
	    "qXfer:features:read:target.xml:0",
	    "qXfer:features:read:target.xml:0,",
	    "qXfer:features:read:target.xml:,1",
	    "qXfer:features:read:target.xml:0,0",
	    "qXfer:features:read:target.xml:0,1g",
	    "qXfer:features:write:target.xml:0:00",
	    "qXfer:nothing:read::0,1",
	    "qXfer:auxv:read::0,1", /* of a process alone */
	    "qXfer::read::0,1",
	};
	struct server *server = *state;
	char text[4096];
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
		replies(server, malformed[i], "");
	/* An annex with a NUL, and one that is longer than any name. */
	ask_bytes(server, "qXfer:osdata:read:a\0b:0,1", 25, &size);
	assert_int_equal(size, 0);
	memset(text, 'a', sizeof(text));
	memcpy(text, "qXfer:osdata:read:", 18);
	memcpy(text + sizeof(text) - 5, ":0,1", 5);
	replies(server, text, "");
}

static void test_nothing_is_written(void **state)
{
	static const char *const changing[] = {"M0,1:00",
					       "X0,1:a",
					       "G00",
					       "P0=00",
					       "Z0,0,1",
					       "z0,0,1",
					       "Z2,0,1",
					       "c",
					       "C05",
					       "s",
					       "S05",
					       "vCont;c",
					       "vRun;",
					       "R00",
					       "r",
					       "A0",
					       "vAttach;1",
					       "vFlashWrite:0:a",
					       "vFlashErase:0,1000",
					       "i",
					       "I",
					       "vFlashDone",
					       "t0:0,0"};
	struct server *server = *state;

	for (size_t i = 0; i < ARRAY_SIZE(changing); i++) {
		replies(server, changing[i], "E.nunchi shows the guest read-only");
		assert_true(server->open);
	}
}

static void test_detach_and_kill(void **state)
{
	struct server *server = *state;

	replies(server, "D", "OK");
	assert_false(server->open);
	/* What came behind it is not answered. */
	assert_null(take(server, "$?#3f", 5));
	assert_int_equal(server->out.size, 0);
	assert_null(nunchi_gdb_destroy(server->gdb));
	assert_null(nunchi_gdb_create(server->guest, NULL, &server->gdb));
	assert_null(take(server, "$k#6b$?#3f", 10));
	assert_string_equal(buffer_string(&server->out), "+");
	assert_false(server->open);
}

/* ---- Hostile peers --------------------------------------------------------------------------- */

static void ends(struct server *server, const char *bytes, size_t size, const char *words)
{
	refused(take(server, bytes, size), NUNCHI_ERROR_DATA, words);
	assert_null(take(server, "$?#3f", 5));
	assert_int_equal(server->out.size, 0);
	assert_false(server->open);
	assert_null(nunchi_gdb_destroy(server->gdb));
	assert_null(nunchi_gdb_create(server->guest, NULL, &server->gdb));
}

static void test_bad_bytes_end_the_connection(void **state)
{
	struct server *server = *state;
	static char large[GDB_PACKET_MAX + 16];

	ends(server, "$?#40", 5, "wrong checksum");
	ends(server, "$?#3x", 5, "wrong checksum");
	ends(server, "$*!#4b", 6, "wrong checksum");
	ends(server, "$?}#bc", 6, "wrong checksum");
	ends(server, "+-", 2, "wants a packet again");
	/* A page in a browser may have it send this to a port of ours. */
	ends(server, "POST / HTTP/1.1\r\n\r\n$?#3f", 24, "the byte 0x50 stands where");
	ends(server, "", 1, "the byte 0x00 stands where");
	memset(large, 'm', sizeof(large));
	large[0] = '$';
	memcpy(large + sizeof(large) - 3, "#00", 3);
	ends(server, large, sizeof(large), "more than 16384 bytes");
}

static void test_a_lost_connection_ends_it(void **state)
{
	struct server *server = *state;

	server->broken = true;
	refused(take(server, "$?#3f", 5), NUNCHI_ERROR_CANCELLED, "lost");
}

static void test_arguments(void **state)
{
	struct server *server = *state;
	struct nunchi_registers registers = {.size = sizeof(registers)};
	struct nunchi_gdb_options options = {.size = 1};
	struct nunchi_gdb *gdb = NULL;
	bool open;

	refused(nunchi_gdb_create(NULL, NULL, &gdb), NUNCHI_ERROR_ARGUMENT, "NULL");
	refused(nunchi_gdb_create(server->guest, NULL, NULL), NUNCHI_ERROR_ARGUMENT, "NULL");
	refused(nunchi_gdb_create(server->guest, &options, &gdb), NUNCHI_ERROR_ARGUMENT, "size");
	refused(nunchi_gdb_take(NULL, "", 0, keep, NULL, &open), NUNCHI_ERROR_ARGUMENT, "NULL");
	assert_null(nunchi_gdb_destroy(NULL));
	assert_int_equal(nunchi_vcpu_count(server->guest), 0);
	for (uint32_t i = 0; i < 2; i++)
		refused(nunchi_registers(server->guest, i, &registers), NUNCHI_ERROR_UNSUPPORTED,
			"registers");
	options.size = sizeof(options);
	options.pid = 1;
	refused(nunchi_gdb_create(server->guest, &options, &gdb), NUNCHI_ERROR_UNSUPPORTED, "");
	options.pid = 0;
	options.hold = true;
	/* A session of the caller's is in the way. */
	assert_null(nunchi_gdb_create(server->guest, &options, &gdb));
	refused(nunchi_gdb_create(server->guest, &options, &server->gdb), NUNCHI_ERROR_BUSY,
		"session");
	assert_null(nunchi_gdb_destroy(gdb));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(test_acknowledges_until_told_not_to),
	    TEST(test_packets_that_come_again),
	    TEST(test_packets_in_pieces),
	    TEST(test_what_is_supported),
	    TEST(test_threads),
	    TEST(test_memory),
	    TEST(test_memory_requests_have_limits),
	    TEST(test_registers),
	    TEST(test_documents_in_parts),
	    TEST(test_documents_malformed),
	    TEST(test_nothing_is_written),
	    TEST(test_detach_and_kill),
	    TEST(test_bad_bytes_end_the_connection),
	    TEST(test_a_lost_connection_ends_it),
	    TEST(test_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
