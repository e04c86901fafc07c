/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output/unit.h"

#include <time.h>

static void append(struct buffer *out, uint64_t value, unsigned min_digits, const char *after)
{
	buffer_append_unsigned(out, value, 10, min_digits);
	buffer_append_string(out, after);
}

/* "820 B", "44 KiB", "1.5 GiB": below 100 with one decimal, unless the size is a whole number. */
static void append_bytes(struct buffer *out, uint64_t value)
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned step = 0;
	uint64_t unit, whole, rest, tenths;

	while (step + 1 < ARRAY_SIZE(names) && value >> (10 * step) >= 1024)
		step++;
	unit = (uint64_t)1 << (10 * step);
	whole = value / unit;
	rest = value % unit;
	tenths = (rest * 10 + unit / 2) / unit;
	if (!rest || whole >= 100 || tenths == 10) {
		append(out, whole + (rest > 0 && rest >= unit / 2), 1, " ");
	} else {
		append(out, whole, 1, ".");
		append(out, tenths, 1, " ");
	}
	buffer_append_string(out, names[step]);
}

/* A duration of a minute or more, in its two greatest units. */
static void append_long_duration(struct buffer *out, uint64_t seconds)
{
	uint64_t minutes = seconds / 60, hours = minutes / 60;

	if (minutes < 60) {
		append(out, minutes, 1, " min ");
		append(out, seconds % 60, 2, " s");
	} else if (hours < 24) {
		append(out, hours, 1, " h ");
		append(out, minutes % 60, 2, " min");
	} else {
		append(out, hours / 24, 1, " d ");
		append(out, hours % 24, 2, " h");
	}
}

static void append_milliseconds(struct buffer *out, uint64_t value)
{
	if (value >= 60000) {
		append_long_duration(out, value / 1000);
		return;
	}
	append(out, value / 1000, 1, ".");
	append(out, value % 1000 / 10, 2, " s");
}

static void append_seconds(struct buffer *out, uint64_t value)
{
	if (value < 60)
		append(out, value, 1, " s");
	else
		append_long_duration(out, value);
}

static bool append_unix_time(struct buffer *out, int64_t value)
{
	time_t seconds = (time_t)value;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || tm.tm_year < 1 - 1900 || tm.tm_year > 9999 - 1900)
		return false;
	append(out, (uint64_t)tm.tm_year + 1900, 4, "-");
	append(out, (uint64_t)tm.tm_mon + 1, 2, "-");
	append(out, (uint64_t)tm.tm_mday, 2, " ");
	append(out, (uint64_t)tm.tm_hour, 2, ":");
	append(out, (uint64_t)tm.tm_min, 2, ":");
	append(out, (uint64_t)tm.tm_sec, 2, "");
	return true;
}

bool unit_append(struct buffer *out, enum nunchi_unit unit, int64_t value)
{
	if (unit == NUNCHI_UNIT_UNIX_TIME)
		return append_unix_time(out, value);
	if (value < 0)
		return false;
	switch (unit) {
	case NUNCHI_UNIT_BYTES:
		append_bytes(out, (uint64_t)value);
		return true;
	case NUNCHI_UNIT_MILLISECONDS:
		append_milliseconds(out, (uint64_t)value);
		return true;
	case NUNCHI_UNIT_SECONDS:
		append_seconds(out, (uint64_t)value);
		return true;
	case NUNCHI_UNIT_OCTAL:
		if (value)
			buffer_append_char(out, '0');
		buffer_append_unsigned(out, (uint64_t)value, 8, 1);
		return true;
	case NUNCHI_UNIT_NONE:
	case NUNCHI_UNIT_UNIX_TIME:
		break;
	}
	return false;
}
