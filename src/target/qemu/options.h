/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One option argument of QEMU's as a dictionary: "q35,accel=kvm" or its JSON form. Pure.
 */
#ifndef NUNCHI_TARGET_QEMU_OPTIONS_H
#define NUNCHI_TARGET_QEMU_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A dictionary of an argument: the first value has the key `implied` if none is given; a later
 * word without a value ("server", "nowait") is "on". JSON is taken as it is. A new reference, or
 * NULL if there is no memory or the JSON is broken.
 */
json_t *options_parse(const char *text, const char *implied);

/* The value as text: numbers and booleans of the JSON form are NULL. Owned by the dictionary. */
const char *options_string(const json_t *options, const char *key);
/* A size: bytes if it is a number of the JSON form, else in `unit` unless it says ("4G"). */
bool options_size(const json_t *options, const char *key, uint64_t unit, uint64_t *ret);
bool options_is_on(const json_t *options, const char *key);

#endif
