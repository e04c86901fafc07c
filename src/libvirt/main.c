/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nunchi-libvirt URI UUID PID: the QMP monitor of a guest that libvirt keeps, which only the
 * library starts (target/qemu/libvirt.h). A QEMU serves one client of its monitor, and that is
 * libvirt. So this program greets its owner on descriptor OWN_PROGRAM_FD as a QEMU would, and hands
 * each command to libvirt (virDomainQemuMonitorCommand(), libvirt-qemu.h, since 0.8.3). There are
 * no events.
 *
 * It ends when the owner, and the guard that shares the connection, are gone and all that they sent
 * is carried out; when the connection to libvirt is lost; and when libvirt does not answer for ten
 * minutes: a `cont` that waits behind another command must not be lost.
 */
#include "config.h"

#include "core/library.h"
#include "core/own_program.h"

#include <errno.h>
#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING_S 60
#define COMMAND_S  600
/* The library sends short commands. */
#define LINE_MAX_SIZE 65536

#define LIBVIRT_FUNCTIONS(FUNCTION)                                                                \
	FUNCTION(virConnectOpen)                                                                   \
	FUNCTION(virConnectIsAlive)                                                                \
	FUNCTION(virDomainLookupByUUIDString)                                                      \
	FUNCTION(virDomainGetName)                                                                 \
	FUNCTION(virGetLastErrorMessage)                                                           \
	FUNCTION(virSetErrorFunc)

struct libvirt {
	void *handle;
	LIBVIRT_FUNCTIONS(LIBRARY_MEMBER)
};

#define LIBVIRT_QEMU_FUNCTIONS(FUNCTION) FUNCTION(virDomainQemuMonitorCommand)

struct libvirt_qemu {
	void *handle;
	LIBVIRT_QEMU_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct libvirt, name)
static const struct library_function functions[] = {LIBVIRT_FUNCTIONS(FUNCTION)};
LIBRARY(libvirt, functions, "libvirt.so.0", "guests of libvirt",
	"libvirt0 (Debian, Ubuntu) or libvirt-libs (Fedora)");
#undef FUNCTION
#define FUNCTION(name) LIBRARY_FUNCTION(struct libvirt_qemu, name)
static const struct library_function qemu_functions[] = {LIBVIRT_QEMU_FUNCTIONS(FUNCTION)};
LIBRARY(libvirt_qemu, qemu_functions, "libvirt-qemu.so.0", "guests of libvirt",
	"libvirt0 (Debian, Ubuntu) or libvirt-libs (Fedora)");
#undef FUNCTION

struct relay {
	struct libvirt lib;
	struct libvirt_qemu qemu;
	virConnectPtr connection;
	virDomainPtr domain;
};

/* ---- Answers --------------------------------------------------------------------------------- */

/* Sends the message as a line, if anybody still takes it; gives its reference up. */
static void say(json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t size = text ? strlen(text) : 0, sent = 0;

	json_decref(message);
	if (!text)
		return;
	text[size++] = '\n'; /* in place of the NUL */
	while (sent < size) {
		ssize_t n = send(OWN_PROGRAM_FD, text + sent, size - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	free(text);
}

static void say_error(json_t *id, const char *why)
{
	json_t *message =
	    json_pack("{s:{s:s, s:s}}", "error", "class", "GenericError", "desc", why);

	if (id)
		json_object_set(message, "id", id);
	say(message);
}

/* ---- Commands -------------------------------------------------------------------------------- */

/* Has QEMU execute the command; the answer as it gave it, or NULL. Ends this process if libvirt
 * hangs. */
static json_t *execute(struct relay *relay, const char *command)
{
	char *said = NULL;
	json_t *answer;
	int failed;

	alarm(COMMAND_S);
	failed = relay->qemu.virDomainQemuMonitorCommand(relay->domain, command, &said, 0);
	alarm(0);
	answer = failed ? NULL : json_loads(said, 0, NULL);
	free(said);
	return answer;
}

/*
 * libvirt gives each command an id of its own, so ours is put back. Where nobody takes the answer
 * any more, the next command may still resume the guest. False if the connection to libvirt is
 * lost.
 */
static bool carry_out(struct relay *relay, json_t *command)
{
	json_t *id = json_incref(json_object_get(command, "id")), *answer = NULL;
	const char *name = json_string_value(json_object_get(command, "execute"));

	if (name && !strcmp(name, "qmp_capabilities")) {
		answer = json_pack("{s:{}}", "return");
	} else {
		char *text;

		json_object_del(command, "id");
		text = json_dumps(command, JSON_COMPACT);
		answer = text ? execute(relay, text) : NULL;
		free(text);
	}
	if (!answer && relay->lib.virConnectIsAlive(relay->connection) != 1) {
		json_decref(id);
		return false;
	}
	if (answer) {
		json_object_del(answer, "id");
		if (id)
			json_object_set(answer, "id", id);
		say(answer);
	} else {
		say_error(id, relay->lib.virGetLastErrorMessage());
	}
	json_decref(id);
	return true;
}

/* Carries out each complete line of the input. False if there is nothing left to do. */
static bool take_lines(struct relay *relay, char *input, size_t *size)
{
	char *end;

	while ((end = memchr(input, '\n', *size))) {
		size_t length = (size_t)(end - input);
		json_t *command = json_loadb(input, length, 0, NULL);
		bool go_on = !command || carry_out(relay, command);

		json_decref(command);
		*size -= length + 1;
		memmove(input, end + 1, *size);
		if (!go_on)
			return false;
	}
	return *size < LINE_MAX_SIZE;
}

static void serve(struct relay *relay)
{
	static char input[LINE_MAX_SIZE];
	size_t size = 0;

	for (;;) {
		ssize_t n = recv(OWN_PROGRAM_FD, input + size, sizeof(input) - size, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		size += (size_t)n;
		if (!take_lines(relay, input, &size))
			return;
	}
}

/* ---- Beginning ------------------------------------------------------------------------------- */

/* libvirt prints its errors unless it is told not to. */
static void be_silent(void *data, virErrorPtr error)
{
	(void)data;
	(void)error;
}

/*
 * Whether libvirt has noted this process for the guest: in NAME.pid of its folder for QEMU's state
 * (stateDir of src/qemu/qemu_conf.c).
 */
static bool is_process(const struct relay *relay, const char *uri, long pid)
{
	bool session = strcmp(uri, "qemu:///system");
	const char *name = relay->lib.virDomainGetName(relay->domain);
	const char *runtime = session ? getenv("XDG_RUNTIME_DIR") : "/run";
	char path[PATH_MAX];
	long noted = -1;
	FILE *file;

	if (!name || !runtime ||
	    snprintf(path, sizeof(path), "%s/libvirt/qemu/%s%s.pid", runtime, session ? "run/" : "",
		     name) >= (int)sizeof(path))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%ld", &noted) != 1)
		noted = -1;
	fclose(file);
	return noted == pid;
}

/* Connects to libvirt, and greets as QEMU does. Returns NULL, or why not. */
static const char *greet(struct relay *relay, const char *uri, const char *uuid, long pid)
{
	json_t *answer;

	relay->lib.virSetErrorFunc(NULL, be_silent);
	alarm(GREETING_S);
	relay->connection = relay->lib.virConnectOpen(uri);
	if (relay->connection)
		relay->domain = relay->lib.virDomainLookupByUUIDString(relay->connection, uuid);
	alarm(0);
	answer = relay->domain ? execute(relay, "{\"execute\":\"query-version\"}") : NULL;
	if (!answer)
		return relay->lib.virGetLastErrorMessage();
	if (!is_process(relay, uri, pid)) {
		json_decref(answer);
		return "the guest with this UUID is another process, by libvirt's own record";
	}
	say(json_pack("{s:{s:O?, s:[]}}", "QMP", "version", json_object_get(answer, "return"),
		      "capabilities"));
	json_decref(answer);
	return NULL;
}

static struct nunchi_error *load(struct relay *relay)
{
	struct nunchi_error *err = library_load(&libvirt, &relay->lib, &relay->lib.handle);

	return err ? err : library_load(&libvirt_qemu, &relay->qemu, &relay->qemu.handle);
}

int main(int argc, char **argv)
{
	static struct relay relay; /* libvirt's connection is closed by the end of the process */
	struct nunchi_error *err;
	const char *why;
	sigset_t alarms;

	if (argc != 4)
		return 2;
	/* What the owner inherited from others is not ours. */
	close_range(OWN_PROGRAM_FD + 1, ~0U, 0);
	/* What the owner ignores is inherited. */
	signal(SIGALRM, SIG_DFL);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarms, NULL);
	err = load(&relay);
	if (err) {
		say_error(NULL, nunchi_error_message(err));
		nunchi_error_destroy(err);
		return 1;
	}
	why = greet(&relay, argv[1], argv[2], strtol(argv[3], NULL, 10));
	if (why)
		say_error(NULL, why);
	else
		serve(&relay);
	return why ? 1 : 0;
}
