/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of the QEMU Machine Protocol: finds the end of a message, parses a message, and writes
 * commands. Pure functions; the connection is in qmp_client.h. Source: QEMU's
 * docs/interop/qmp-spec.
 */
#ifndef NUNCHI_TARGET_QEMU_QMP_H
#define NUNCHI_TARGET_QEMU_QMP_H

#include "core/buffer.h"
#include "core/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How large a message may be; a larger one ends the connection. Tokens are strings, numbers, words
 * and brackets: each takes far more memory when it is parsed than as text.
 */
struct qmp_limits {
	size_t bytes;
	unsigned tokens;
};

/* For the greeting and for events; the largest event, of device names, has less than 4 KiB. */
#define QMP_LIMITS_EVENT ((struct qmp_limits){16 << 10, 512})
/* The limits for the answer to a command: at least those for events. */
struct qmp_limits qmp_limits(const char *command);

/*
 * Sent before a command to make QEMU's JSON parser skip an incomplete message (0xff never occurs in
 * JSON). QEMU answers with an error message without an id.
 */
#define QMP_RESYNC "\xff\n"

/* State of the search for the end of a message; all zeros at the start of a message. */
struct qmp_framer {
	size_t scanned;
	unsigned depth;
	unsigned tokens;
	bool in_word; /* within a number, true, false or null */
	bool in_string;
	bool escaped;
};

enum qmp_frame {
	QMP_FRAME_MORE,     /* the message continues after size bytes */
	QMP_FRAME_COMPLETE, /* the message ends at *ret_end */
	/* the bytes are not a sequence of JSON objects, or exceed the limits */
	QMP_FRAME_BROKEN,
};

/*
 * Continues the search where the last call ended. data contains the message from its start. A
 * message may be on one line or, with QEMU's option pretty=on, on several lines.
 */
enum qmp_frame qmp_frame(struct qmp_framer *framer, const struct qmp_limits *limits,
			 const char *data, size_t size, size_t *ret_end);

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

struct qmp_message {
	enum qmp_kind kind;
	json_t *json;        /* the whole message; owned */
	const json_t *value; /* for a return: the value returned */
	const char *text;    /* for an event, its name; for an error, its description */
	/* for a return or error: id of the command; -1: not one of nunchi's */
	int64_t id;
	uint64_t time_us;      /* for an event: time on QEMU's wall clock, 0 if not given */
	unsigned major, minor; /* for a greeting: QEMU's version, 0 if not given */
};

/* Parses a complete message. Fails with NUNCHI_ERROR_DATA if it is not a message of QMP. */
struct nunchi_error *qmp_message_parse(const char *data, size_t size, struct qmp_message *ret);
void qmp_message_deinit(struct qmp_message *message);

/* Appends a command with its id; arguments (borrowed) may be NULL. False if memory is short. */
bool qmp_command(struct buffer *out, int64_t id, const char *name, const json_t *arguments);

#endif
