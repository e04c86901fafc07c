/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses an option argument of QEMU into a dictionary: "q35,accel=kvm", or its JSON form. Pure
 * functions.
 */
#ifndef NUNCHI_TARGET_QEMU_OPTIONS_H
#define NUNCHI_TARGET_QEMU_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Makes a dictionary of an argument. If the first value has no key, its key is `implied`; a later
 * word without a value ("server", "nowait") has the value "on". JSON is used as it is. Returns a
 * new reference, or NULL if memory is short or the JSON is invalid.
 */
json_t *options_parse(const char *text, const char *implied);

/*
 * The value as text; NULL if it is a number or boolean of the JSON form. Owned by the dictionary.
 */
const char *options_string(const json_t *options, const char *key);
/*
 * Gets a size. A number of the JSON form is in bytes; a text is in `unit` unless it has a suffix
 * ("4G").
 */
bool options_size(const json_t *options, const char *key, uint64_t unit, uint64_t *ret);
/* Whether the option is given as "on" or, in the JSON form, as true. */
bool options_is_on(const json_t *options, const char *key);

#endif
