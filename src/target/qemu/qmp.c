/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/qmp.h"

#include "core/json.h"

#include <string.h>

/* Limit of the nesting. The answers that nunchi asks for have five levels, events ten. */
#define DEPTH_MAX 32

struct qmp_limits qmp_limits(const char *command)
{
	static const struct {
		const char *command;
		struct qmp_limits limits;
	} known[] = {
	    /* about ten tokens and 150 bytes for each of at most 65,535 vCPUs */
	    {"query-cpus-fast", {16 << 20, 1 << 20}},
	    {"query-memdev", {256 << 10, 16384}},
	    /* one string; `info mtree -f` of a large guest has a MiB */
	    {"human-monitor-command", {16 << 20, 512}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(command, known[i].command))
			return known[i].limits;
	return QMP_LIMITS_EVENT;
}

/* Counts the token that begins with this character outside of strings. */
static void count_token(struct qmp_framer *framer, char c)
{
	bool word = !strchr(" \t\r\n,:{}[]\"", c);

	framer->tokens += (word && !framer->in_word) || c == '"' || c == '{' || c == '[';
	framer->in_word = word;
}

/* Goes over one character within a string. */
static void scan_string(struct qmp_framer *framer, char c)
{
	if (framer->escaped)
		framer->escaped = false;
	else if (c == '\\')
		framer->escaped = true;
	else if (c == '"')
		framer->in_string = false;
}

enum qmp_frame qmp_frame(struct qmp_framer *framer, const struct qmp_limits *limits,
			 const char *data, size_t size, size_t *ret_end)
{
	for (; framer->scanned < size; framer->scanned++) {
		const char c = data[framer->scanned];

		if (framer->scanned >= limits->bytes || framer->tokens > limits->tokens)
			return QMP_FRAME_BROKEN;
		if (framer->in_string) {
			scan_string(framer, c);
			continue;
		}
		if (c == '\0' || (framer->depth == 0 && c != '{' && !strchr(" \t\r\n", c)))
			return QMP_FRAME_BROKEN;
		count_token(framer, c);
		if (c == '"') {
			framer->in_string = true;
		} else if (c == '{' || c == '[') {
			if (++framer->depth > DEPTH_MAX)
				return QMP_FRAME_BROKEN;
		} else if ((c == '}' || c == ']') && --framer->depth == 0) {
			*ret_end = ++framer->scanned;
			return QMP_FRAME_COMPLETE;
		}
	}
	return QMP_FRAME_MORE;
}

static struct nunchi_error *not_qmp(struct qmp_message *message, const char *what)
{
	qmp_message_deinit(message);
	return error_create(NUNCHI_ERROR_DATA, "QMP: %s", what);
}

static void parse_greeting(const json_t *qmp, struct qmp_message *message)
{
	const json_t *version = json_object_get(json_object_get(qmp, "version"), "qemu");

	message->kind = QMP_GREETING;
	message->major = (unsigned)json_integer_value(json_object_get(version, "major"));
	message->minor = (unsigned)json_integer_value(json_object_get(version, "minor"));
}

/* The time of an event. QEMU writes -1 if its clock fails; an impossible time counts as missing. */
static uint64_t parse_time(const json_t *message)
{
	const json_t *timestamp = json_object_get(message, "timestamp");
	json_int_t seconds = json_integer_value(json_object_get(timestamp, "seconds"));
	json_int_t part = json_integer_value(json_object_get(timestamp, "microseconds"));

	if (seconds <= 0 || seconds > INT64_MAX / 2000000 || part < 0 || part >= 1000000)
		return 0;
	return (uint64_t)seconds * 1000000 + (uint64_t)part;
}

struct nunchi_error *qmp_message_parse(const char *data, size_t size, struct qmp_message *ret)
{
	struct qmp_message message = {.id = -1};
	const json_t *value;
	json_error_t why;

	message.json = json_loadb(data, size, JSON_ALLOW_NUL, &why);
	if (!message.json && json_no_memory(&why))
		return &error_nomem;
	if (!message.json)
		return error_create(NUNCHI_ERROR_DATA, "QMP: a message that is not JSON: %s",
				    why.text);
	value = json_object_get(message.json, "id");
	if (json_is_integer(value))
		message.id = json_integer_value(value);
	if ((value = json_object_get(message.json, "QMP"))) {
		parse_greeting(value, &message);
	} else if ((value = json_object_get(message.json, "event"))) {
		message.kind = QMP_EVENT;
		message.text = json_string_value(value);
		message.time_us = parse_time(message.json);
		if (!message.text)
			return not_qmp(&message, "an event without a name");
	} else if ((value = json_object_get(message.json, "error"))) {
		message.kind = QMP_ERROR;
		message.text = json_string_value(json_object_get(value, "desc"));
		if (!message.text)
			message.text = "an error without a description";
	} else if ((value = json_object_get(message.json, "return"))) {
		message.kind = QMP_RETURN;
		message.value = value;
	} else {
		return not_qmp(&message, "a message that is neither answer nor event");
	}
	*ret = message;
	return NULL;
}

void qmp_message_deinit(struct qmp_message *message)
{
	json_decref(message->json);
	*message = (struct qmp_message){.id = -1};
}

bool qmp_command(struct buffer *out, int64_t id, const char *name, const json_t *arguments)
{
	json_t *command = json_pack("{s:s, s:I}", "execute", name, "id", (json_int_t)id);
	char *text;
	bool ok;

	/*
	 * json_object_set() increments the reference count of the arguments, which does not change
	 * their value.
	 */
	if (command && arguments &&
	    json_object_set(command, "arguments", (json_t *)arguments) != 0) {
		json_decref(command);
		return false;
	}
	text = command ? json_dumps(command, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	json_decref(command);
	ok = text && buffer_append_string(out, text) && buffer_append_char(out, '\n');
	free(text);
	return ok;
}
