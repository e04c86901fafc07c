/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QEMU Machine Protocol as text: where a message ends, what it says, and how commands are
 * spelt. Pure; the connection is in qmp_client.h. Source: QEMU's docs/interop/qmp-spec.
 */
#ifndef NUNCHI_TARGET_QEMU_QMP_H
#define NUNCHI_TARGET_QEMU_QMP_H

#include "core/buffer.h"
#include "core/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nothing that we ask for has a longer answer; a longer message ends the connection. */
#define QMP_MESSAGE_MAX ((size_t)16 << 20)

/*
 * Sent before a command, brings QEMU's JSON parser back from the middle of anything to the start
 * of a message (0xff is never part of JSON); costs an error message without an id in answer.
 */
#define QMP_RESYNC "\xff\n"

/* Progress in the search for the end of one message; zeroed at its start. */
struct qmp_framer {
	size_t scanned;
	unsigned depth;
	bool in_string;
	bool escaped;
};

enum qmp_frame {
	QMP_FRAME_MORE,     /* the message goes on beyond size */
	QMP_FRAME_COMPLETE, /* it ends at *ret_end */
	QMP_FRAME_BROKEN,   /* this is not a sequence of JSON objects */
};

/*
 * Looks on from where the last call stopped. data holds the message from its start. Accepts
 * messages on one line and, as with QEMU's pretty=on, on several.
 */
enum qmp_frame qmp_frame(struct qmp_framer *framer, const char *data, size_t size, size_t *ret_end);

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

struct qmp_message {
	enum qmp_kind kind;
	json_t *json;          /* owned: the whole message */
	const json_t *value;   /* of a return: what was returned */
	const char *text;      /* event: its name; error: its description */
	int64_t id;            /* of a return or error; -1: none of ours */
	uint64_t time_us;      /* of an event, by QEMU's wall clock; 0 if it does not say */
	unsigned major, minor; /* greeting: QEMU's version, 0 if it does not say */
};

struct nunchi_error *qmp_message_parse(const char *data, size_t size, struct qmp_message *ret);
void qmp_message_deinit(struct qmp_message *message);

/* Appends a command with its id; arguments (borrowed) may be NULL. False if memory is short. */
bool qmp_command(struct buffer *out, int64_t id, const char *name, const json_t *arguments);

#endif
