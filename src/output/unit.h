/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers with a unit, as a table shows them to people. */
#ifndef NUNCHI_OUTPUT_UNIT_H
#define NUNCHI_OUTPUT_UNIT_H

#include "core/buffer.h"

#include <stdint.h>

#include <nunchi/nunchi.h>

/*
 * Appends the value in the form that enum nunchi_unit shows. False, with nothing appended, if the
 * unit has no form for that value (a negative size, a time outside the years 1 to 9999): then the
 * plain number is to be shown.
 */
bool unit_append(struct buffer *out, enum nunchi_unit unit, int64_t value);

#endif
