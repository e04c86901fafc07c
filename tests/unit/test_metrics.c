/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What nunchi metrics writes, takes from the process that reads a guest, and answers by HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "metrics/guest.h"
#include "metrics/http.h"
#include "metrics/render.h"
#include "metrics/server.h"
#include "metrics/sockets.h"
#include "metrics/textfile.h"

static struct metrics_reading reading;

static int clear(void **state)
{
	(void)state;
	metrics_reading_clear(&reading);
	return 0;
}

static void render_one(struct buffer *out, enum metrics_form form, const char *label)
{
	const struct metrics_source source = {label, &reading, 0};

	metrics_render(out, form, &source, 1);
	assert_false(out->failed);
}

static void assert_has(const struct buffer *out, const char *line)
{
	if (!strstr(buffer_string(out), line))
		fail_msg("\"%s\" is missing in:\n%s", line, buffer_string(out));
}

static void assert_has_not(const struct buffer *out, const char *text)
{
	if (strstr(buffer_string(out), text))
		fail_msg("\"%s\" is in:\n%s", text, buffer_string(out));
}

/* ---- Rendering ------------------------------------------------------------------------------- */

static void test_values(void **state)
{
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	reading.uptime_ms = 61005;
	reading.load[1] = 0.5;
	reading.memory[METRICS_MEMORY_TOTAL] = INT64_MAX;
	reading.read_us = 2000042;
	reading.cpu_count = 1;
	reading.cpus[0] = (struct metrics_cpu){.core = 7};
	reading.cpus[0].ms[METRICS_MODE_IDLE] = METRICS_ABSENT;
	reading.sockets[METRICS_TCP][METRICS_SOCKET_LISTEN] = 3;
	reading.sockets[METRICS_UDP][METRICS_SOCKET_LISTEN] = 0;
	render_one(&out, METRICS_OPENMETRICS, "a");
	assert_has(&out, "\nnunchi_up{guest=\"a\"} 1\n");
	assert_has(&out, "\n# UNIT nunchi_uptime_seconds seconds\n"
			 "nunchi_uptime_seconds{guest=\"a\"} 61.005\n");
	assert_has(&out, "\nnunchi_load5{guest=\"a\"} 0.50\n");
	assert_has(&out, "\nnunchi_memory_bytes{guest=\"a\",kind=\"total\"} 9223372036854775807\n");
	assert_has(&out, "\nnunchi_read_seconds{guest=\"a\"} 2.000042\n");
	assert_has(&out, "\n# TYPE nunchi_cpu_seconds counter\n");
	assert_has(&out, "\nnunchi_cpu_seconds_total{guest=\"a\",cpu=\"7\",mode=\"user\"} 0.000\n");
	assert_has(&out, "\nnunchi_sockets{guest=\"a\",protocol=\"tcp\",state=\"LISTEN\"} 3\n");
	assert_has_not(&out, "mode=\"idle\"");
	assert_has_not(&out, "nunchi_load1{");
	assert_has_not(&out, "kind=\"free\"");
	assert_has_not(&out, "protocol=\"udp\"");
	assert_string_equal(out.data + out.size - strlen("\n# EOF\n"), "\n# EOF\n");
}

/* The form that node_exporter reads has no units, no infos, and counters under their full names. */
static void test_text(void **state)
{
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	render_one(&out, METRICS_TEXT, "a");
	assert_has(&out, "\n# TYPE nunchi_guest_info gauge\n");
	assert_has(&out, "\n# TYPE nunchi_cpu_seconds_total counter\n");
	assert_has_not(&out, "# UNIT");
	assert_has_not(&out, "# EOF");
}

static void test_json(void **state)
{
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	snprintf(reading.hostname, sizeof(reading.hostname), "a\"b\\");
	render_one(&out, METRICS_JSON, "a");
	assert_has(&out, "{\"name\":\"nunchi_guest_info\",\"labels\":{\"guest\":\"a\",\"hostname\":"
			 "\"a\\\"b\\\\\\\\\",\"kernel\":\"\"},\"value\":1}\n");
	assert_has_not(&out, "#");
}

/* A guest names itself so that a label, and then a sample of another guest, would follow. */
static void test_hostile_names(void **state)
{
	_cleanup_buffer_ struct buffer out = {0}, label = {0};

	(void)state;
	snprintf(reading.hostname, sizeof(reading.hostname),
		 "x\"} 1\nnunchi_up{guest=\"other\"} 1\n# EOF\n\xff\xc0\x80\x1b[2J\\");
	metrics_label(&label, "qemu:\"\n\xfe", 8);
	render_one(&out, METRICS_OPENMETRICS, buffer_string(&label));
	assert_has(&out, "nunchi_up{guest=\"qemu:\\\"\\\\n\\\\xfe\"} 1\n");
	assert_has(&out, "hostname=\"x\\\"} 1\\\\nnunchi_up{guest=\\\"other\\\"} 1\\\\n# EOF\\\\n"
			 "\\\\xff\\\\xc0\\\\x80\\\\x1b[2J\\\\\\\\\"");
	for (size_t i = 0; i < out.size; i++)
		assert_true((out.data[i] >= ' ' && out.data[i] < 0x7f) || out.data[i] == '\n');
}

static void test_missing(void **state)
{
	const struct metrics_source down = {"b", NULL, NUNCHI_ERROR_GONE};
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	metrics_reading_miss(&reading, METRICS_CPU, NUNCHI_ABSENT_NO_LAYOUT);
	metrics_reading_miss(&reading, METRICS_CPU, NUNCHI_ABSENT_NO_LAYOUT);
	metrics_reading_fail(&reading, METRICS_MODULES, NUNCHI_ERROR_UNSUPPORTED);
	render_one(&out, METRICS_OPENMETRICS, "a");
	assert_has(&out, "\nnunchi_missing{guest=\"a\",family=\"nunchi_cpu_seconds\",reason=\"no "
			 "layout\"} 2\n");
	assert_has(&out, "family=\"nunchi_kernel_modules\",reason=\"not supported\"} 1\n");
	buffer_clear(&out);
	metrics_render(&out, METRICS_OPENMETRICS, &down, 1);
	assert_has(&out, "\nnunchi_up{guest=\"b\"} 0\n");
	assert_has(&out, "\nnunchi_missing{guest=\"b\",family=\"all\",reason=\"gone\"} 1\n");
	assert_has_not(&out, "nunchi_guest_info{");
}

/* Two reasons of one name would be two samples of one series. */
static void test_reasons_differ(void **state)
{
	(void)state;
	for (unsigned i = 0; i < METRICS_REASONS; i++)
		for (unsigned other = 0; other < i; other++)
			assert_string_not_equal(metrics_reason(i), metrics_reason(other));
	assert_string_equal(metrics_reason(METRICS_ROWS_MISSING - 1), "ended");
	assert_string_equal(metrics_reason(METRICS_REASONS - 1), "rows missing");
}

/* A list that is cut short gives no count, and the reason why there is none. */
static void test_cut(void **state)
{
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	metrics_reading_set(&reading, METRICS_PROCESSES, 5);
	metrics_reading_set(&reading, METRICS_MODULES, 5);
	metrics_reading_set(&reading, METRICS_SOCKETS, 5);
	reading.check_count = 1;
	snprintf(reading.checks[0].name, sizeof(reading.checks[0].name), "modules");
	metrics_reading_cut(&reading, METRICS_PROCESSES);
	metrics_reading_cut(&reading, METRICS_MODULES);
	metrics_reading_cut(&reading, METRICS_SOCKETS);
	metrics_reading_part(&reading, METRICS_FINDINGS);
	render_one(&out, METRICS_OPENMETRICS, "a");
	assert_has_not(&out, "\nnunchi_processes{");
	assert_has_not(&out, "\nnunchi_threads{");
	assert_has_not(&out, "\nnunchi_kernel_modules{");
	assert_has_not(&out, "\nnunchi_sockets{");
	/* What was found is so, whatever else there is. */
	assert_has(&out, "\nnunchi_findings{guest=\"a\",check=\"modules\",");
	assert_has(&out, "family=\"nunchi_processes\",reason=\"rows missing\"} 1\n");
	assert_has(&out, "family=\"nunchi_threads\",reason=\"rows missing\"} 1\n");
	assert_has(&out, "family=\"nunchi_kernel_modules\",reason=\"rows missing\"} 1\n");
	assert_has(&out, "family=\"nunchi_sockets\",reason=\"rows missing\"} 1\n");
	assert_has(&out, "family=\"nunchi_findings\",reason=\"rows missing\"} 1\n");
}

/* Of a view that failed halfway nothing is given. */
static void test_failed_view(void **state)
{
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	reading.check_count = 1;
	snprintf(reading.checks[0].name, sizeof(reading.checks[0].name), "modules");
	metrics_reading_fail(&reading, METRICS_FINDINGS, NUNCHI_ERROR_FAULT);
	metrics_reading_fail(&reading, METRICS_LOAD1, NUNCHI_ERROR_FAULT);
	render_one(&out, METRICS_OPENMETRICS, "a");
	assert_has_not(&out, "\nnunchi_findings{");
	assert_has(&out, "family=\"nunchi_findings\",reason=\"address not mapped\"} 1\n");
	assert_has(&out, "family=\"nunchi_load15\",reason=\"address not mapped\"} 1\n");
}

/* ---- Readings from another process ----------------------------------------------------------- */

static bool is_taken(void)
{
	static struct metrics_reading taken;

	return metrics_reading_decode(&reading, sizeof(reading), &taken);
}

static void test_decode(void **state)
{
	static struct metrics_reading taken;

	(void)state;
	assert_true(is_taken());
	assert_int_equal(metrics_reading_size(&reading, 7), 0);
	assert_int_equal(metrics_reading_size(&reading, 8), sizeof(reading));
	assert_false(metrics_reading_decode(&reading, sizeof(reading) - 1, &taken));
	reading.magic++;
	assert_int_equal(metrics_reading_size(&reading, 8), SIZE_MAX);
	assert_false(is_taken());
}

static void test_decode_refuses(void **state)
{
	(void)state;
	reading.cpu_count = METRICS_MOST_CPUS + 1;
	assert_false(is_taken());
	reading.cpu_count = 2;
	assert_false(is_taken()); /* two CPUs with the number 0 */
	reading.cpus[1].core = METRICS_MOST_CPUS;
	assert_false(is_taken());
	reading.cpus[1].core = METRICS_MOST_CPUS - 1;
	assert_true(is_taken());
	reading.check_count = METRICS_MOST_FINDINGS + 1;
	assert_false(is_taken());
	reading.check_count = 2;
	assert_false(is_taken()); /* two checks without a name */
	reading.checks[1].name[0] = 'a';
	assert_true(is_taken());
	memset(reading.checks[1].name, 'a', sizeof(reading.checks[1].name));
	assert_false(is_taken());
	reading.check_count = 0;
	reading.load[2] = 1.0 / 0.0;
	assert_false(is_taken());
	reading.load[2] = 0;
	reading.error = NUNCHI_ERROR_STOP + 1;
	assert_false(is_taken());
	reading.error = 0;
	memset(reading.kernel, 'a', sizeof(reading.kernel));
	assert_false(is_taken());
}

/* A process that sends other names each time is found out. */
static void test_names(void **state)
{
	static struct metrics_names names;

	(void)state;
	reading.check_count = 2;
	for (int i = 0; i < METRICS_MOST_FINDINGS - 1; i++) {
		snprintf(reading.checks[1].name, sizeof(reading.checks[1].name), "check%d", i);
		assert_true(metrics_names_add(&names, &reading));
		assert_true(metrics_names_add(&names, &reading));
	}
	assert_int_equal(names.count, METRICS_MOST_FINDINGS);
	snprintf(reading.checks[1].name, sizeof(reading.checks[1].name), "another");
	assert_false(metrics_names_add(&names, &reading));
}

/* ---- A process that is silent ---------------------------------------------------------------- */

/* One that never says that the guest is open is ended as well. */
static void test_silent_process(void **state)
{
	static struct metrics_guest guest;
	const uint64_t now = clock_us(), minute = 60 * CLOCK_US_PER_S;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	guest.worker.fd = pair[0];
	guest.started_at = now;
	metrics_guest_want(&guest);
	metrics_guest_step(&guest);
	assert_true(metrics_guest_next(&guest) == now + minute);
	assert_false(metrics_guest_is_settled(&guest));
	guest.started_at = now - minute - 1;
	metrics_guest_step(&guest);
	assert_true(metrics_guest_is_settled(&guest));
	assert_int_equal(nunchi_error_code(guest.error), NUNCHI_ERROR_TIMEOUT);
	metrics_guest_stop(&guest);
	close(pair[1]);
}

static struct nunchi_cell integer(int64_t value)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_INTEGER, .integer = value};
}

static void add_socket(struct metrics_sockets *sockets, uint64_t address, int64_t family,
		       int64_t protocol, const char *text)
{
	struct nunchi_cell cells[4] = {
	    {.kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_ADDRESS, .address = address},
	    integer(family),
	    integer(protocol)};

	if (text)
		cells[3] = (struct nunchi_cell){.kind = NUNCHI_CELL_VALUE,
						.type = NUNCHI_TYPE_TEXT,
						.text = text,
						.text_size = strlen(text)};
	assert_true(metrics_sockets_add(sockets, cells));
}

/* A socket that two processes have open is one. */
static void test_sockets(void **state)
{
	struct metrics_sockets sockets = {0};

	(void)state;
	for (size_t i = 0; i < METRICS_PROTOCOLS; i++)
		memset(reading.sockets[i], 0, sizeof(reading.sockets[i]));
	add_socket(&sockets, 0x1000, AF_INET, 6, "LISTEN");
	add_socket(&sockets, 0x2000, AF_INET6, 17, NULL);
	add_socket(&sockets, 0x1000, AF_INET, 6, "LISTEN");
	add_socket(&sockets, 0, AF_UNIX, 0, "nonsense");
	add_socket(&sockets, 0, AF_UNIX, 0, NULL);
	metrics_sockets_count(&sockets, &reading);
	assert_int_equal(reading.sockets[METRICS_TCP][METRICS_SOCKET_LISTEN], 1);
	assert_int_equal(reading.sockets[METRICS_UDP][METRICS_SOCKET_NONE], 1);
	assert_int_equal(reading.sockets[METRICS_UNIX][METRICS_SOCKET_NONE], 2);
	metrics_sockets_count(&sockets, &reading);
	assert_int_equal(reading.sockets[METRICS_TCP][METRICS_SOCKET_LISTEN], 1);
	metrics_sockets_deinit(&sockets);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

static enum http_status status_of(const char *request)
{
	return http_parse(request, strlen(request)).status;
}

#define HOST "Host: localhost\r\n\r\n"

static void test_requests(void **state)
{
	static const struct {
		const char *text;
		enum http_status status;
	} cases[] = {
	    {"GET /metrics HTTP/1.1\r\n" HOST, HTTP_OK},
	    {"\r\nGET /metrics HTTP/1.1\r\n" HOST, HTTP_OK},
	    {"GET /metrics?a=b HTTP/1.1\nhost:LOCALHOST\n\n", HTTP_OK},
	    {"GET /metrics HTTP/1.0\r\n\r\n", HTTP_OK},
	    {"GET /metrics HTTP/1.1\r\nHost: x\r\nA: b\r\n", HTTP_MORE},
	    {"GET /metrics HTTP/1.1\r", HTTP_MORE},
	    {"", HTTP_MORE},
	    {"GET / HTTP/1.1\r\n" HOST, HTTP_NOT_FOUND},
	    {"GET /metrics/ HTTP/1.1\r\n" HOST, HTTP_NOT_FOUND},
	    {"POST /metrics HTTP/1.1\r\n" HOST, HTTP_METHOD},
	    {"HEAD /metrics HTTP/1.1\r\n" HOST, HTTP_OK},
	    {"GET http://127.0.0.1:9435/metrics HTTP/1.1\r\n" HOST, HTTP_OK},
	    {"GET HTTP://localhost/metrics?a HTTP/1.1\r\nHost: evil.example\r\n\r\n", HTTP_OK},
	    {"GET http://evil.example/metrics HTTP/1.1\r\n" HOST, HTTP_MISDIRECTED},
	    {"GET http://localhost HTTP/1.1\r\n" HOST, HTTP_NOT_FOUND},
	    {"GET http://localhost/metrics HTTP/1.1\r\n\r\n", HTTP_BAD},
	    {"GET https://localhost/metrics HTTP/1.1\r\n" HOST, HTTP_NOT_FOUND},
	    {"get /metrics HTTP/1.1\r\n" HOST, HTTP_METHOD},
	    {"GET /metrics HTTP/2.0\r\n" HOST, HTTP_VERSION},
	    {"GET /metrics HTTP/1.1\r\n\r\n", HTTP_BAD},
	    {"GET /metrics HTTP/1.1\r\nHost: x\r\n" HOST, HTTP_BAD},
	    {"GET /metrics\r\n" HOST, HTTP_BAD},
	    {"GET  /metrics HTTP/1.1\r\n" HOST, HTTP_BAD},
	    {"GET /metrics HTTP/1.1 \r\n" HOST, HTTP_BAD},
	    {"GET /metrics HTTP/1.1x\r\n" HOST, HTTP_BAD},
	    {"G(T /metrics HTTP/1.1\r\n" HOST, HTTP_BAD},
	    {"GET /metrics HTTP/1.1\r\nA : b\r\n" HOST, HTTP_BAD},
	    {"GET /metrics HTTP/1.1\r\nA: b\r\n c\r\n" HOST, HTTP_BAD},
	    {"GET /metrics HTTP/1.1\r\nA: \x1b\r\n" HOST, HTTP_BAD},
	    {"GET /metrics HTTP/1.1\r\nA\r\n" HOST, HTTP_BAD},
	    {"\x16\x03\x01 x\n", HTTP_BAD},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (status_of(cases[i].text) != cases[i].status)
			fail_msg("case %zu: %d, not %d", i, (int)status_of(cases[i].text),
				 (int)cases[i].status);
}

/* Names that lead a browser here and are not this host's own. */
static void test_hosts(void **state)
{
	static const char *const local[] = {"localhost",       "localhost:1",  "127.0.0.1",
					    "127.0.0.1:9435",  "[::1]:80",     "[::1]",
					    "\t localhost \t", "LocalHost:80", "127.0.0.1:"};
	static const char *const foreign[] = {"evil.example",
					      "evil.example:9435",
					      "localhost.evil.example",
					      "localhostx",
					      "127.0.0.1.evil.example",
					      "127.0.0.1:9435.evil.example",
					      "127.0.0.1:80x",
					      "localhost:80@evil.example",
					      "::1",
					      "",
					      "evil.example localhost"};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(local); i++) {
		snprintf(text, sizeof(text), "GET /metrics HTTP/1.1\r\nHost:%s\r\n\r\n", local[i]);
		assert_int_equal(status_of(text), HTTP_OK);
	}
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		for (int minor = 0; minor < 2; minor++) {
			snprintf(text, sizeof(text), "GET /metrics HTTP/1.%d\r\nHost: %s\r\n\r\n",
				 minor, foreign[i]);
			if (status_of(text) != HTTP_MISDIRECTED)
				fail_msg("%s: %d", foreign[i], (int)status_of(text));
		}
	}
}

static void test_large_request(void **state)
{
	_cleanup_buffer_ struct buffer request = {0};

	(void)state;
	buffer_append_string(&request, "GET /metrics HTTP/1.1\r\n");
	while (request.size < HTTP_MOST_HEAD - 8)
		buffer_append_string(&request, "A: b\r\n");
	assert_int_equal(status_of(request.data), HTTP_MORE);
	buffer_append_string(&request, "A: bcdefgh\r\n");
	assert_int_equal(status_of(request.data), HTTP_LARGE);
	buffer_append_string(&request, HOST);
	assert_int_equal(status_of(request.data), HTTP_LARGE);
}

static void test_accept(void **state)
{
	static const char text[] = "GET /metrics HTTP/1.1\r\naccept: Text/Plain\r\n" HOST;
	static const char both[] = "GET /metrics HTTP/1.1\r\nAccept: text/plain;q=0.5,"
				   "application/openmetrics-text;version=1.0.0\r\n" HOST;
	static const char any[] = "GET /metrics HTTP/1.1\r\nAccept: */*\r\n" HOST;

	(void)state;
	assert_true(http_parse(text, strlen(text)).wants_text);
	assert_false(http_parse(both, strlen(both)).wants_text);
	assert_false(http_parse(any, strlen(any)).wants_text);
}

/* ---- Serving --------------------------------------------------------------------------------- */

struct place {
	struct server server;
	struct sockaddr_un address;
	char directory[64];
};

static int open_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_non_null(place);
	snprintf(place->directory, sizeof(place->directory), "/tmp/nunchi-test.XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	place->address.sun_family = AF_UNIX;
	snprintf(place->address.sun_path, sizeof(place->address.sun_path), "%s/socket",
		 place->directory);
	assert_int_equal(bind(fd, (struct sockaddr *)&place->address, sizeof(place->address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	server_init(&place->server, fd);
	*state = place;
	return 0;
}

static int close_place(void **state)
{
	struct place *place = *state;

	server_deinit(&place->server);
	close(place->server.listener);
	unlink(place->address.sun_path);
	rmdir(place->directory);
	free(place);
	return 0;
}

static int connect_to(struct place *place, const char *request)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&place->address, sizeof(place->address)),
			 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	return fd;
}

static const char *render_body(struct buffer *out, bool text, void *data)
{
	++*(int *)data;
	buffer_append_string(out, text ? "text\n" : "open\n");
	return "a/b";
}

static void assert_answer(int fd, const char *begin, const char *end)
{
	char bytes[1024] = "";
	ssize_t size = read(fd, bytes, sizeof(bytes) - 1);

	assert_true(size > 0);
	assert_memory_equal(bytes, begin, strlen(begin));
	assert_string_equal(bytes + size - strlen(end), end);
	close(fd);
}

/* Silent and slow clients, more than there is room for, do not keep one that asks from its answer.
 */
static void test_slow_clients(void **state)
{
	struct place *place = *state;
	int silent[2 * SERVER_MOST_CLIENTS], fd, count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		silent[i] = connect_to(place, i & 1 ? "GET /met" : "");
		server_step(&place->server);
	}
	fd = connect_to(place, "GET /metrics HTTP/1.1\r\n" HOST);
	server_step(&place->server);
	server_step(&place->server);
	assert_true(server_has_waiting(&place->server));
	server_answer(&place->server, render_body, &count);
	server_step(&place->server);
	assert_int_equal(count, 1);
	assert_answer(fd, "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n",
		      "Connection: close\r\n\r\nopen\n");
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		close(silent[i]);
	server_step(&place->server);
	for (size_t i = 0; i < SERVER_MOST_CLIENTS; i++)
		assert_int_equal(place->server.clients[i].state, CLIENT_NONE);
}

static void test_answers(void **state)
{
	struct place *place = *state;
	int one = connect_to(place, "GET /metrics HTTP/1.1\r\n" HOST);
	int other = connect_to(place, "GET /metrics HTTP/1.1\r\nAccept: text/plain\r\n" HOST);
	int third = connect_to(place, "GET /metrics HTTP/1.0\r\n\r\n");
	int wrong = connect_to(place, "PUT /metrics HTTP/1.1\r\n" HOST), count = 0;

	server_step(&place->server);
	server_step(&place->server);
	server_answer(&place->server, render_body, &count);
	server_step(&place->server);
	/* Once for each form. */
	assert_int_equal(count, 2);
	assert_answer(one, "HTTP/1.1 200 OK\r\n", "open\n");
	assert_answer(other, "HTTP/1.1 200 OK\r\n", "text\n");
	assert_answer(third, "HTTP/1.1 200 OK\r\n", "open\n");
	assert_answer(wrong, "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n",
		      "405 Method Not Allowed\n");
}

/* The response to HEAD has no body, whatever it is. */
static void test_heads(void **state)
{
	struct place *place = *state;
	int one = connect_to(place, "HEAD /metrics HTTP/1.1\r\n" HOST);
	int other = connect_to(place, "HEAD / HTTP/1.1\r\n" HOST), count = 0;

	server_step(&place->server);
	server_step(&place->server);
	server_answer(&place->server, render_body, &count);
	server_step(&place->server);
	assert_int_equal(count, 1);
	assert_answer(one, "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n",
		      "\r\n\r\n");
	assert_answer(other, "HTTP/1.1 404 Not Found\r\n", "\r\n\r\n");
}

static void test_deadline(void **state)
{
	struct place *place = *state;
	int fd = connect_to(place, "GET /metrics");

	server_step(&place->server);
	server_step(&place->server);
	assert_int_equal(place->server.clients[0].state, CLIENT_ASKS);
	assert_true(server_next(&place->server) == place->server.clients[0].deadline);
	place->server.clients[0].deadline = 1;
	server_step(&place->server);
	assert_int_equal(place->server.clients[0].state, CLIENT_NONE);
	close(fd);
}

/* ---- The file -------------------------------------------------------------------------------- */

static void test_textfile(void **state)
{
	struct place *place = *state;
	char path[128], link[128], target[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/a.prom", place->directory);
	snprintf(link, sizeof(link), "%s/b.prom", place->directory);
	snprintf(target, sizeof(target), "%s/c", place->directory);
	assert_null(textfile_write(path, "one\n", 4));
	assert_null(textfile_write(path, "two\nthree\n", 10));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 10);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(symlink(target, link), 0);
	for (int i = 0; i < 2; i++) {
		struct nunchi_error *err =
		    textfile_write(i ? "/nonexistent/a.prom" : link, "one\n", 4);

		assert_non_null(err);
		nunchi_error_destroy(err);
	}
	assert_int_not_equal(lstat(target, &st), 0);
	unlink(path);
	unlink(link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_values, clear),
	    cmocka_unit_test_setup(test_text, clear),
	    cmocka_unit_test_setup(test_json, clear),
	    cmocka_unit_test_setup(test_hostile_names, clear),
	    cmocka_unit_test_setup(test_missing, clear),
	    cmocka_unit_test(test_reasons_differ),
	    cmocka_unit_test_setup(test_cut, clear),
	    cmocka_unit_test_setup(test_failed_view, clear),
	    cmocka_unit_test_setup(test_names, clear),
	    cmocka_unit_test(test_silent_process),
	    cmocka_unit_test_setup(test_decode, clear),
	    cmocka_unit_test_setup(test_decode_refuses, clear),
	    cmocka_unit_test_setup(test_sockets, clear),
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_large_request),
	    cmocka_unit_test(test_accept),
	    cmocka_unit_test_setup_teardown(test_slow_clients, open_place, close_place),
	    cmocka_unit_test_setup_teardown(test_answers, open_place, close_place),
	    cmocka_unit_test_setup_teardown(test_heads, open_place, close_place),
	    cmocka_unit_test_setup_teardown(test_deadline, open_place, close_place),
	    cmocka_unit_test_setup_teardown(test_textfile, open_place, close_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
