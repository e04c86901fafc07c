/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking secrets out of a text: passwords, keys, addresses, serial numbers; names of people. */
#ifndef NUNCHI_DOCTOR_FACTS_REDACT_H
#define NUNCHI_DOCTOR_FACTS_REDACT_H

#include "core/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nunchi/nunchi.h>

/* What is taken out. redact_kind_mark() has what stands there instead. */
enum redact_kind {
	REDACT_SECRET, /* the value of a name that speaks of a password, key, token …; tokens */
	REDACT_KEY,    /* from BEGIN to END */
	REDACT_SERIAL, /* serial numbers, asset and service tags */
	REDACT_UUID,   /* UUIDs, file system and LVM ids, machine ids */
	REDACT_MAC,    /* MAC addresses, EUI-64, WWNs */
	REDACT_MAIL,
	REDACT_HOST, /* this and the next two only if people is set */
	REDACT_USER,
	REDACT_ADDRESS /* of IP */
};
#define REDACT_KINDS 9

struct redact_people;

struct redaction {
	const struct nunchi_context
	    *context;                       /* asked once a MiB whether it is cancelled, or NULL */
	const struct redact_people *people; /* whose names, and that IP addresses, are taken out */
	uint64_t counts[REDACT_KINDS];      /* added to: how many were taken out */
};

/*
 * Appends the text without what enum redact_kind lists. Each thing taken out is replaced by its
 * mark; lines stay lines. Takes time linear in the size. False if it was cancelled.
 */
bool redact(struct redaction *redaction, const char *text, size_t size, struct buffer *out);
/* "[secret]", "[UUID]" … */
const char *redact_kind_mark(enum redact_kind kind);

#endif
