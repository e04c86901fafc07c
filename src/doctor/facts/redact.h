/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking secrets out of a text: keys, passwords, addresses, serial numbers. */
#ifndef NUNCHI_DOCTOR_FACTS_REDACT_H
#define NUNCHI_DOCTOR_FACTS_REDACT_H

#include "core/buffer.h"

#include <stdbool.h>
#include <stddef.h>

#include <nunchi/nunchi.h>

/*
 * Appends the text without MAC addresses, the values of options whose names speak of passwords,
 * keys, secrets, tokens or serial numbers, UUIDs, private keys from their BEGIN to their END, and
 * e-mail addresses: "[MAC]", "[secret]", "[UUID]" … stand there instead, and lines stay lines.
 * Behind a BEGIN that has no END, 32 KiB are taken out. Takes time linear in the size. False if it
 * was cancelled, which is asked once a MiB; context may be NULL.
 */
bool redact(struct buffer *out, const char *text, size_t size,
	    const struct nunchi_context *context);

#endif
