/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking out of a text what nobody else should see. */
#ifndef NUNCHI_DOCTOR_FACTS_REDACT_H
#define NUNCHI_DOCTOR_FACTS_REDACT_H

#include "core/buffer.h"

#include <stdbool.h>
#include <stddef.h>

#include <nunchi/nunchi.h>

/*
 * Appends the text without MAC addresses, the values of options whose names speak of passwords,
 * keys, secrets, tokens or serial numbers, UUIDs, private keys between BEGIN and END lines, and
 * e-mail addresses: "[MAC]", "[secret]", "[UUID]" … stand there instead, and lines stay lines.
 * Takes time linear in the size. False if it was cancelled; context may be NULL.
 */
bool redact(struct buffer *out, const char *text, size_t size,
	    const struct nunchi_context *context);

#endif
