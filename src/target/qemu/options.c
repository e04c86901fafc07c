/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/options.h"
#include "core/buffer.h"
#include "target/qemu/scan.h"

#include <string.h>

/*
 * Limit of the keys of an argument; real ones have tens. A dictionary is built for each argument of
 * each QEMU on the host.
 */
#define KEYS_MAX 512

/* Reads "key=value" up to a single comma; a doubled comma in the value means one comma. */
static const char *take_pair(const char *at, struct buffer *key, struct buffer *value,
			     bool *ret_has_value)
{
	struct buffer *to = key;

	buffer_clear(key);
	buffer_clear(value);
	*ret_has_value = false;
	for (; *at; at++) {
		if (*at == ',' && at[1] != ',')
			return at + 1;
		if (*at == ',')
			at++;
		if (*at == '=' && to == key) {
			to = value;
			*ret_has_value = true;
			continue;
		}
		buffer_append_char(to, *at);
	}
	return at;
}

static bool set(json_t *options, const char *key, const char *value)
{
	/* Not checked for UTF-8, because paths and names may contain any bytes. */
	json_t *string = json_string_nocheck(value);

	return string && json_object_set_new_nocheck(options, key, string) == 0;
}

static bool parse_pairs(const char *text, const char *implied, json_t *options)
{
	_cleanup_buffer_ struct buffer key, value;
	const char *at = text;

	buffer_init(&key, 0);
	buffer_init(&value, 0);
	for (unsigned i = 0; *at && i < KEYS_MAX; i++) {
		bool has_value, ok;

		at = take_pair(at, &key, &value, &has_value);
		if (key.failed || value.failed)
			return false;
		if (has_value)
			ok = set(options, buffer_string(&key), buffer_string(&value));
		else if (i == 0 && implied)
			ok = set(options, implied, buffer_string(&key));
		else
			ok = set(options, buffer_string(&key), "on");
		if (!ok)
			return false;
	}
	return true;
}

json_t *options_parse(const char *text, const char *implied)
{
	json_t *options;

	if (text[0] == '{') {
		options = json_loads(text, 0, NULL);
		if (options && !json_is_object(options)) {
			json_decref(options);
			return NULL;
		}
		return options;
	}
	options = json_object();
	if (options && !parse_pairs(text, implied, options)) {
		json_decref(options);
		return NULL;
	}
	return options;
}

const char *options_string(const json_t *options, const char *key)
{
	return json_string_value(json_object_get(options, key));
}

/* The factor of a unit, 1 for 'B' and so on; 0 if c is not a unit. */
static uint64_t unit_of(char c)
{
	static const char units[] = "bkmgtpe";
	const char *at = c ? strchr(units, c | 0x20) : NULL;

	return at ? (uint64_t)1 << (10 * (at - units)) : 0;
}

bool options_size(const json_t *options, const char *key, uint64_t unit, uint64_t *ret)
{
	const json_t *value = json_object_get(options, key);
	const char *text = json_string_value(value);
	struct scan scan;
	uint64_t number;

	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*ret = (uint64_t)json_integer_value(value);
		return true;
	}
	if (!text)
		return false;
	scan = (struct scan){text, text + strlen(text)};
	if (scan_literal(&scan, "0x") ? !scan_hex(&scan, &number) : !scan_decimal(&scan, &number))
		return false;
	if (*scan.at) {
		unit = unit_of(*scan.at);
		if (!unit || scan.at[1])
			return false;
	}
	return !__builtin_mul_overflow(number, unit, ret);
}

bool options_is_on(const json_t *options, const char *key)
{
	const json_t *value = json_object_get(options, key);
	const char *text = json_string_value(value);

	return json_is_true(value) || (text && (!strcmp(text, "on") || !strcmp(text, "yes") ||
						!strcmp(text, "true") || !strcmp(text, "y")));
}
