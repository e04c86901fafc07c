/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/qmp.h"
#include "target/qemu/qmp_client.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define GREETING                                                                                   \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "         \
	"\"package\": \"x\"}, \"capabilities\": [\"oob\"]}}\r\n"

/* ---- Text -------------------------------------------------------------------------------------
 */

/* The end of the first message, fed in pieces of that size. */
static enum qmp_frame frame(const char *text, size_t piece, size_t *ret_end)
{
	const struct qmp_limits limits = QMP_LIMITS_EVENT;
	struct qmp_framer framer = {0};
	enum qmp_frame result = QMP_FRAME_MORE;
	size_t size = strlen(text);

	for (size_t seen = 0; result == QMP_FRAME_MORE && seen < size;) {
		seen = seen + piece < size ? seen + piece : size;
		result = qmp_frame(&framer, &limits, text, seen, ret_end);
	}
	return result;
}

static void test_frames_end_where_objects_end(void **state)
{
	static const char text[] =
	    " \r\n{\"a\": [1, {\"b\": \"} ] \\\" \\\\\"}],\n \"c\": {}}{\"next\"";
	size_t end = 0;

	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		assert_int_equal(frame(text, piece, &end), QMP_FRAME_COMPLETE);
		assert_string_equal(text + end, "{\"next\"");
	}
	assert_int_equal(frame("{\"open\": \"}", 3, &end), QMP_FRAME_MORE);
	assert_int_equal(frame("", 1, &end), QMP_FRAME_MORE);
}

/* Bytes, tokens and nesting are limited, by command; text in a string is one token. */
static void test_limits(void **state)
{
	const struct qmp_limits status = qmp_limits("query-status");
	const struct qmp_limits human = qmp_limits("human-monitor-command");
	static char text[64 << 10];
	struct {
		char begin, piece;
		size_t size;
		enum qmp_frame status, human;
	} rows[] = {
	    {'"', 'x', 1000, QMP_FRAME_MORE, QMP_FRAME_MORE},
	    {'"', 'x', sizeof(text), QMP_FRAME_BROKEN, QMP_FRAME_MORE},
	    {'[', '[', 30, QMP_FRAME_MORE, QMP_FRAME_MORE},
	    {'[', '[', 40, QMP_FRAME_BROKEN, QMP_FRAME_BROKEN},
	    {'[', '"', 1000, QMP_FRAME_MORE, QMP_FRAME_MORE},
	    {'[', '"', 2000, QMP_FRAME_BROKEN, QMP_FRAME_BROKEN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct qmp_framer one = {0}, other = {0};
		size_t end;

		memset(text, rows[i].piece, rows[i].size);
		text[0] = '{';
		text[1] = rows[i].begin;
		assert_int_equal(qmp_frame(&one, &status, text, rows[i].size, &end),
				 rows[i].status);
		assert_int_equal(qmp_frame(&other, &human, text, rows[i].size, &end),
				 rows[i].human);
	}
	/* "1,1,…" */
	for (size_t i = 2; i < 4000; i++)
		text[i] = i % 2 ? ',' : '1';
	text[1] = '[';
	struct qmp_framer framer = {0};
	size_t end;
	assert_int_equal(qmp_frame(&framer, &status, text, 4000, &end), QMP_FRAME_BROKEN);
}

static void test_what_is_no_object_is_broken(void **state)
{
	char deep[2000];
	size_t end;

	(void)state;
	assert_int_equal(frame("HTTP/1.1 200", 4, &end), QMP_FRAME_BROKEN);
	assert_int_equal(frame("[1]", 1, &end), QMP_FRAME_BROKEN);
	assert_int_equal(frame("}", 1, &end), QMP_FRAME_BROKEN);
	memset(deep, '{', sizeof(deep));
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(frame(deep, 100, &end), QMP_FRAME_BROKEN);
}

static void parse(const char *text, struct qmp_message *ret)
{
	assert_null(qmp_message_parse(text, strlen(text), ret));
}

static void test_messages_are_told_apart(void **state)
{
	struct qmp_message message;

	(void)state;
	parse(GREETING, &message);
	assert_int_equal(message.kind, QMP_GREETING);
	assert_int_equal(message.major, 7);
	assert_int_equal(message.minor, 2);
	qmp_message_deinit(&message);
	parse("{\"return\": {\"status\": \"running\"}, \"id\": 41}", &message);
	assert_int_equal(message.kind, QMP_RETURN);
	assert_int_equal(message.id, 41);
	assert_string_equal(json_string_value(json_object_get(message.value, "status")), "running");
	qmp_message_deinit(&message);
	parse("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": \"x\"}",
	      &message);
	assert_int_equal(message.kind, QMP_ERROR);
	assert_int_equal(message.id, -1);
	assert_string_equal(message.text, "no");
	qmp_message_deinit(&message);
	parse("{\"timestamp\": {\"seconds\": 1795343963, \"microseconds\": 39060}, "
	      "\"event\": \"RESUME\"}",
	      &message);
	assert_int_equal(message.kind, QMP_EVENT);
	assert_string_equal(message.text, "RESUME");
	assert_int_equal(message.time_us, 1795343963039060);
	qmp_message_deinit(&message);
	parse("{\"timestamp\": {\"seconds\": -1, \"microseconds\": -1}, \"event\": \"STOP\"}",
	      &message);
	assert_int_equal(message.time_us, 0);
	qmp_message_deinit(&message);
}

static void test_nonsense_is_an_error(void **state)
{
	static const char *const texts[] = {"{}",         "{\"event\": 1}",
					    "{\"x\": 1}", "{\"return\"}",
					    "[1, 2]",     "{\"event\": \"\xff\"}"};
	struct qmp_message message = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_error_ struct nunchi_error *err =
		    qmp_message_parse(texts[i], strlen(texts[i]), &message);

		assert_true(error_is(err, NUNCHI_ERROR_DATA));
		assert_null(message.json);
	}
}

static void test_commands_are_one_line_of_ascii(void **state)
{
	_cleanup_json_ json_t *arguments =
	    json_pack("{s:s, s:i}", "command-line", "a \"b\" \n\xc3\xa4", "cpu-index", 1);
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	assert_true(qmp_command(&out, 7, "human-monitor-command", arguments));
	assert_non_null(strstr(out.data, "\"execute\":\"human-monitor-command\""));
	assert_non_null(strstr(out.data, "\"id\":7"));
	assert_non_null(strstr(out.data, "a \\\"b\\\" \\n\\u00E4"));
	assert_ptr_equal(strchr(out.data, '\n'), out.data + out.size - 1);
}

/* ---- Connection, against servers that misbehave ------------------------------------------------
 */

struct server {
	char folder[32];
	char path[64];
	pid_t pid;
};

/* A process that accepts one client and plays the script; then holds the connection. */
static void serve(struct server *server, void (*script)(int fd))
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(server->folder, "/tmp/nunchi-qmp-XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->path, sizeof(server->path), "%s/s", server->folder);
	strcpy(address.sun_path, server->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int client = script ? accept(fd, NULL, NULL) : -1;

		if (client >= 0)
			script(client);
		for (;;)
			pause();
	}
	close(fd);
}

/* Kills the server after that many seconds, if the test has not ended it by then. */
static void alarm_kill(pid_t pid, unsigned seconds)
{
	pid_t watcher = fork();

	assert_true(watcher >= 0);
	if (watcher)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sleep(seconds);
	kill(pid, SIGKILL);
	_exit(0);
}

static void end(struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	unlink(server->path);
	rmdir(server->folder);
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		_exit(1);
}

/* Up to the end of a line. */
static void hear(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n < size - 1 && recv(fd, line + n, 1, 0) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
}

static struct qmp_wait within(int ms)
{
	return (struct qmp_wait){.deadline_us = clock_us() + (uint64_t)ms * 1000};
}

static struct nunchi_error *negotiate(struct qmp_client *client, int ms)
{
	const struct qmp_wait wait = within(ms);
	size_t ready;

	return qmp_client_negotiate(&client, 1, &wait, &ready);
}

static struct qmp_client *connected(const struct server *server)
{
	struct qmp_client *client = NULL;

	assert_null(qmp_client_create(server->path, &client));
	assert_null(negotiate(client, 2000));
	return client;
}

static void greet(int fd)
{
	char line[512];

	say(fd, GREETING);
	hear(fd, line, sizeof(line));
	say(fd, "{\"return\": {}, \"id\": 0}\r\n");
}

/* Answers the first command with what comes before and after its own answer. */
static void script_noise(int fd)
{
	char line[512];

	greet(fd);
	hear(fd, line, sizeof(line));
	say(fd, "{\"timestamp\": {\"seconds\": 5, \"microseconds\": 1}, \"event\": \"STOP\"}\r\n");
	say(fd, "{\"event\": \"RESET\", \"data\": {}}{\"return\": \"not yours\", \"id\": 999}");
	say(fd, "{\"error\": {\"desc\": \"garbage before\"}}\r\n{\n    \"return\":\n [1");
	usleep(20000);
	say(fd, "],\n \"id\": 1\n}\n");
	hear(fd, line, sizeof(line));
	say(fd, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command x\"}, "
		"\"id\": 2}\n");
	close(fd);
}

static void test_answers_are_found_among_noise(void **state)
{
	struct qmp_wait wait = within(2000);
	_cleanup_qmp_client_ struct qmp_client *client = NULL;
	struct server server;
	json_t *value = NULL;

	(void)state;
	serve(&server, script_noise);
	client = connected(&server);
	assert_int_equal(qmp_client_peer(client), getpid());
	assert_null(qmp_client_execute(client, "query", NULL, &wait, &value));
	assert_int_equal(json_array_size(value), 1);
	json_decref(value);
	assert_int_equal(qmp_client_resets(client), 1);
	assert_int_equal(qmp_client_stopped_us(client), 5000001);
	_cleanup_error_ struct nunchi_error *refused =
	    qmp_client_execute(client, "x", NULL, &wait, NULL);
	assert_true(error_is(refused, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(strstr(nunchi_error_message(refused), "The command x"));
	_cleanup_error_ struct nunchi_error *gone =
	    qmp_client_execute(client, "y", NULL, &wait, NULL);
	assert_true(error_is(gone, NUNCHI_ERROR_GONE));
	end(&server);
}

static void test_silence_is_busy(void **state)
{
	_cleanup_qmp_client_ struct qmp_client *client = NULL;
	struct server server;
	uint64_t begin;

	(void)state;
	serve(&server, NULL);
	assert_null(qmp_client_create(server.path, &client));
	begin = clock_us();
	_cleanup_error_ struct nunchi_error *err = negotiate(client, 100);
	assert_true(error_is(err, NUNCHI_ERROR_BUSY));
	assert_in_range(clock_us() - begin, 100000, 2000000);
	end(&server);
}

/* So many wait that the queue is full, until the first is served. */
static void script_slow(int fd)
{
	usleep(200000);
	greet(fd);
}

static void test_full_queue_is_waited_for(void **state)
{
	struct qmp_client *clients[8] = {NULL};
	struct server server;
	size_t connecting = 0;

	(void)state;
	serve(&server, script_slow);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		assert_null(qmp_client_create(server.path, &clients[i]));
		connecting += qmp_client_phase(clients[i]) == QMP_PHASE_CONNECTING;
	}
	assert_true(connecting > 0);
	_cleanup_error_ struct nunchi_error *err = negotiate(clients[7], 100);
	assert_true(error_is(err, NUNCHI_ERROR_BUSY));
	assert_null(negotiate(clients[0], 5000));
	/* Room in the queue is taken. */
	for (size_t i = 1; i < 7; i++)
		qmp_client_destroy(clients[i]);
	qmp_client_advance(clients[7]);
	assert_int_not_equal(qmp_client_phase(clients[7]), QMP_PHASE_DEAD);
	qmp_client_destroy(clients[0]);
	qmp_client_destroy(clients[7]);
	end(&server);
}

static void script_ssh(int fd)
{
	say(fd, "SSH-2.0-OpenSSH_9.2\r\n");
}

static void test_another_protocol_is_refused(void **state)
{
	_cleanup_qmp_client_ struct qmp_client *client = NULL;
	struct server server;

	(void)state;
	serve(&server, script_ssh);
	assert_null(qmp_client_create(server.path, &client));
	_cleanup_error_ struct nunchi_error *err = negotiate(client, 2000);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	end(&server);
}

/* A message without an end must not take memory without an end. */
static void script_flood(int fd)
{
	static char block[65536];
	char line[512];

	greet(fd);
	hear(fd, line, sizeof(line));
	memset(block, ' ', sizeof(block));
	say(fd, "{\"return\": \"");
	while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
		;
}

static void test_endless_message_ends_the_connection(void **state)
{
	struct qmp_wait wait = within(20000);
	_cleanup_qmp_client_ struct qmp_client *client = NULL;
	struct server server;

	(void)state;
	serve(&server, script_flood);
	client = connected(&server);
	_cleanup_error_ struct nunchi_error *err =
	    qmp_client_execute(client, "query", NULL, &wait, NULL);
	assert_true(error_is(err, NUNCHI_ERROR_DATA));
	end(&server);
}

/* Answers late, when nobody waits any more. */
static void script_late(int fd)
{
	char line[512];

	greet(fd);
	hear(fd, line, sizeof(line));
	usleep(150000);
	say(fd, "{\"return\": \"late\", \"id\": 1}\n");
	hear(fd, line, sizeof(line));
	say(fd, "{\"return\": \"second\", \"id\": 2}\n");
}

static void test_late_answer_is_not_taken_for_the_next(void **state)
{
	struct qmp_wait shortly = within(50), wait;
	_cleanup_qmp_client_ struct qmp_client *client = NULL;
	struct server server;
	char *text = NULL;

	(void)state;
	serve(&server, script_late);
	client = connected(&server);
	_cleanup_error_ struct nunchi_error *err =
	    qmp_client_execute(client, "query", NULL, &shortly, NULL);
	assert_true(error_is(err, NUNCHI_ERROR_TIMEOUT));
	wait = within(2000);
	assert_null(qmp_client_human(client, "info", -1, &wait, &text));
	assert_string_equal(text, "second");
	free(text);
	end(&server);
}

static void test_cancel_ends_a_wait(void **state)
{
	struct cancel cancel = {.requested = true};
	struct qmp_wait wait = within(5000);
	_cleanup_qmp_client_ struct qmp_client *client = NULL;
	struct server server;
	size_t ready;

	(void)state;
	wait.cancel = &cancel;
	serve(&server, NULL);
	assert_null(qmp_client_create(server.path, &client));
	_cleanup_error_ struct nunchi_error *err = qmp_client_negotiate(&client, 1, &wait, &ready);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	end(&server);
}

/*
 * Sends a message again and again, as fast as it is taken. Where the kernel lets it, the socket
 * holds so many that the client has something to read for seconds, however slow the sender is.
 */
static void flood(int fd, const char *message)
{
	static char messages[65536];
	size_t length = strlen(message), size = 0;
	int room = 16 << 20;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	for (; size + length <= sizeof(messages); size += length)
		memcpy(messages + size, message, length);
	while (send(fd, messages, size, MSG_NOSIGNAL) > 0)
		;
}

/* Answers nothing but events. */
static void script_events(int fd)
{
	char line[512];

	greet(fd);
	hear(fd, line, sizeof(line));
	flood(fd, "{\"event\": \"BLOCK_JOB_READY\", \"data\": {}}\r\n");
}

/* Sends a message that does not end, a byte at a time. */
static void script_drip(int fd)
{
	char line[512];

	greet(fd);
	hear(fd, line, sizeof(line));
	say(fd, "{\"return\": \"");
	while (send(fd, "x", 1, MSG_NOSIGNAL) > 0)
		usleep(500);
}

/* The same, a byte a second. */
static void script_slow_drip(int fd)
{
	char line[512];

	greet(fd);
	hear(fd, line, sizeof(line));
	say(fd, "{\"return\": \"");
	while (send(fd, "x", 1, MSG_NOSIGNAL) > 0)
		sleep(1);
}

/* Answers to what was not asked, without end. */
static void script_wrong_answers(int fd)
{
	char line[512];

	greet(fd);
	hear(fd, line, sizeof(line));
	flood(fd, "{\"return\": {}, \"id\": 77}\n");
}

/* What a peer says, and for how long it is listened to. */
static const struct {
	void (*script)(int fd);
	int ms;
} chatter[] = {
    {script_events, 200},
    {script_drip, 200},
    {script_slow_drip, 1200},
    {script_wrong_answers, 200},
};

/* A peer that talks and talks does not keep a wait from ending at its deadline. */
static void test_deadline_holds_while_the_peer_talks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(chatter); i++) {
		_cleanup_qmp_client_ struct qmp_client *client = NULL;
		struct server server;
		struct qmp_wait wait;
		uint64_t begin;

		serve(&server, chatter[i].script);
		client = connected(&server);
		begin = clock_us();
		wait = within(chatter[i].ms);
		/* Should the wait have no end, the peer's death ends it. */
		alarm_kill(server.pid, 5);
		_cleanup_error_ struct nunchi_error *err =
		    qmp_client_execute(client, "query", NULL, &wait, NULL);
		assert_true(error_is(err, NUNCHI_ERROR_TIMEOUT));
		assert_in_range(clock_us() - begin, chatter[i].ms * 1000, 1900000);
		end(&server);
	}
}

static struct cancel cancel_soon;

static void cancel_now(int number)
{
	(void)number;
	cancel_request(&cancel_soon);
}

/* Nor does it keep a cancel from ending it. */
static void test_cancel_holds_while_the_peer_talks(void **state)
{
	const struct itimerval soon = {.it_value = {0, 100000}};

	(void)state;
	assert_true(signal(SIGALRM, cancel_now) != SIG_ERR);
	for (size_t i = 0; i < ARRAY_SIZE(chatter); i++) {
		_cleanup_qmp_client_ struct qmp_client *client = NULL;
		struct server server;
		struct qmp_wait wait;
		uint64_t begin;

		serve(&server, chatter[i].script);
		client = connected(&server);
		begin = clock_us();
		wait = within(8000);
		cancel_clear(&cancel_soon);
		wait.cancel = &cancel_soon;
		alarm_kill(server.pid, 5);
		assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
		_cleanup_error_ struct nunchi_error *err =
		    qmp_client_execute(client, "query", NULL, &wait, NULL);
		assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
		assert_in_range(clock_us() - begin, 50000, 1500000);
		end(&server);
	}
	signal(SIGALRM, SIG_DFL);
}

/* Two sockets, the first of which is busy. */
static void test_the_free_one_of_several_is_taken(void **state)
{
	struct qmp_client *clients[3] = {NULL};
	const struct qmp_wait wait = within(2000);
	struct server busy, open;
	size_t ready = 9;

	(void)state;
	serve(&busy, NULL);
	serve(&open, greet);
	assert_null(qmp_client_create(busy.path, &clients[0]));
	assert_null(qmp_client_create(open.path, &clients[2]));
	assert_null(qmp_client_negotiate(clients, 3, &wait, &ready));
	assert_int_equal(ready, 2);
	qmp_client_destroy(clients[0]);
	qmp_client_destroy(clients[2]);
	end(&busy);
	end(&open);
}

static void test_paths_that_are_no_sockets(void **state)
{
	struct qmp_client *client = NULL;

	(void)state;
	_cleanup_error_ struct nunchi_error *none = qmp_client_create("/nonexistent", &client);
	assert_true(error_is(none, NUNCHI_ERROR_NOT_FOUND));
	_cleanup_error_ struct nunchi_error *file = qmp_client_create("/etc/passwd", &client);
	assert_non_null(file);
	assert_null(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_frames_end_where_objects_end),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_what_is_no_object_is_broken),
	    cmocka_unit_test(test_messages_are_told_apart),
	    cmocka_unit_test(test_nonsense_is_an_error),
	    cmocka_unit_test(test_commands_are_one_line_of_ascii),
	    cmocka_unit_test(test_answers_are_found_among_noise),
	    cmocka_unit_test(test_silence_is_busy),
	    cmocka_unit_test(test_full_queue_is_waited_for),
	    cmocka_unit_test(test_another_protocol_is_refused),
	    cmocka_unit_test(test_endless_message_ends_the_connection),
	    cmocka_unit_test(test_late_answer_is_not_taken_for_the_next),
	    cmocka_unit_test(test_cancel_ends_a_wait),
	    cmocka_unit_test(test_deadline_holds_while_the_peer_talks),
	    cmocka_unit_test(test_cancel_holds_while_the_peer_talks),
	    cmocka_unit_test(test_the_free_one_of_several_is_taken),
	    cmocka_unit_test(test_paths_that_are_no_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
