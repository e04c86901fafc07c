/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output/unit.h"

#include <inttypes.h>
#include <time.h>

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
	if (!rest || whole >= 100 || tenths == 10)
		buffer_printf(out, "%" PRIu64 " %s", whole + (rest > 0 && rest >= unit / 2),
			      names[step]);
	else
		buffer_printf(out, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths, names[step]);
}

/* A duration of a minute or more, in its two greatest units. */
static void append_long_duration(struct buffer *out, uint64_t seconds)
{
	uint64_t minutes = seconds / 60, hours = minutes / 60;

	if (minutes < 60)
		buffer_printf(out, "%" PRIu64 " min %02" PRIu64 " s", minutes, seconds % 60);
	else if (hours < 24)
		buffer_printf(out, "%" PRIu64 " h %02" PRIu64 " min", hours, minutes % 60);
	else
		buffer_printf(out, "%" PRIu64 " d %02" PRIu64 " h", hours / 24, hours % 24);
}

static void append_milliseconds(struct buffer *out, uint64_t value)
{
	if (value < 60000)
		buffer_printf(out, "%" PRIu64 ".%02" PRIu64 " s", value / 1000, value % 1000 / 10);
	else
		append_long_duration(out, value / 1000);
}

static void append_seconds(struct buffer *out, uint64_t value)
{
	if (value < 60)
		buffer_printf(out, "%" PRIu64 " s", value);
	else
		append_long_duration(out, value);
}

static bool append_unix_time(struct buffer *out, int64_t value)
{
	time_t seconds = (time_t)value;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || tm.tm_year < 1 - 1900 || tm.tm_year > 9999 - 1900)
		return false;
	buffer_printf(out, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
		      tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
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
		buffer_printf(out, value ? "0%" PRIo64 : "%" PRIo64, (uint64_t)value);
		return true;
	case NUNCHI_UNIT_NONE:
	case NUNCHI_UNIT_UNIX_TIME:
		break;
	}
	return false;
}
