/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers that only one machine, disk or network card has: UUIDs, MAC addresses, WWNs, serials. */
#include "doctor/facts/redact_scan.h"

#include "core/digit.h"

#include <string.h>

/* The most groups that are looked at. */
#define GROUPS_MAX 64u

static bool is_hex(char c)
{
	return digit_value(c) < 16;
}

static size_t hex_run(const struct redact_scan *scan, size_t at, size_t most)
{
	size_t end = at;

	while (end < scan->size && end - at < most && is_hex(scan->text[end]))
		end++;
	return end - at;
}

static bool ends_number(const struct redact_scan *scan, size_t at)
{
	return !isalnum((unsigned char)redact_at(scan, at));
}

/* ---- UUIDs ---- */

/* Groups of letters and digits of these sizes with '-' or ':' between. */
static size_t grouped(const struct redact_scan *scan, size_t at, const char *sizes, char between,
		      bool hex)
{
	size_t end = at;

	for (; *sizes; sizes++) {
		unsigned count = (unsigned)(*sizes - '0');

		for (unsigned i = 0; i < count; i++, end++)
			if (!isalnum((unsigned char)redact_at(scan, end)) ||
			    (hex && !is_hex(redact_at(scan, end))))
				return 0;
		if (sizes[1] && redact_at(scan, end++) != between)
			return 0;
	}
	return ends_number(scan, end) ? end - at : 0;
}

static size_t uuid(const struct redact_scan *scan, size_t at)
{
	/* ':' is '9' + 1 and '<' '9' + 3: 12 digits. */
	size_t size = grouped(scan, at, "8444<", '-', true);

	if (!size)
		size = grouped(scan, at, "8888", ':', true); /* of md arrays */
	if (!size)
		size = grouped(scan, at, "6444446", '-', false); /* of LVM */
	return size;
}

/* Of firmware and of partition types: the same on all machines, and they say what one can do. */
bool redact_is_public(const struct redact_scan *scan, size_t at)
{
	static const char *const guids[] = {
	    "603e9613-ef25-4338-a3d0-c46177516db7", /* WMI: NVIDIA's backlight */
	    "05901221-d566-11d1-b2f0-00a0c9062910", /* WMI: descriptions of classes */
	    "8be4df61-93ca-11d2-aa0d-00e098032b8c", /* EFI: global variables */
	    "d719b2cb-3d3a-4596-a3bc-dad00e67656f", /* EFI: image security database */
	    "605dab50-e046-4300-abb6-3dd810dd8b23", /* shim */
	    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", /* the EFI system partition */
	    "0fc63daf-8483-4772-8e79-3d69d8477de4", /* Linux file systems */
	    "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", /* Windows file systems */
	};

	for (size_t i = 0; i < ARRAY_SIZE(guids); i++)
		if (redact_starts(scan, at, guids[i]))
			return true;
	return false;
}

/* ---- MAC addresses and their kin ---- */

/*
 * Groups of two digits with the same character between: six of a MAC address, seven with the type
 * of hardware before it (BOOTIF=01-…), eight of an EUI-64, 16 or 20 of a fingerprint or of
 * InfiniBand.
 */
static size_t pairs_of_digits(const struct redact_scan *scan, size_t at)
{
	char between = redact_at(scan, at + 2), before = redact_before(scan, at);
	size_t groups = 0, end = at;

	if (!between || !strchr(":-_.", between))
		return 0;
	/* A date, 2026-11-29-10-20-30-40: its year stands before. */
	if (before == between && at >= 2 && isdigit((unsigned char)scan->text[at - 2]))
		return 0;
	while (groups < GROUPS_MAX && is_hex(redact_at(scan, end)) &&
	       is_hex(redact_at(scan, end + 1)) && ends_number(scan, end + 2)) {
		groups++;
		end += 2;
		if (redact_at(scan, end) != between)
			break;
		end++;
	}
	end -= redact_before(scan, end) == between;
	return groups >= 6 ? end - at : 0;
}

/* Groups of four digits: "5254.00ab.cdef". */
static size_t dotted_fours(const struct redact_scan *scan, size_t at)
{
	size_t size = grouped(scan, at, "444", '.', true), letters = 0;

	if (!size)
		size = grouped(scan, at, "444", '-', true);
	/* A GUID of InfiniBand, the last half of an IPv6 address. */
	if (!size && redact_before(scan, at) != ':')
		return grouped(scan, at, "4444", ':', true);
	for (size_t i = at; i < at + size; i++)
		letters += isalpha((unsigned char)scan->text[i]) != 0;
	/* Within a longer number, or a version. */
	if (!letters || strchr("-.", redact_before(scan, at)) || redact_at(scan, at + size) == '-')
		return 0;
	return size;
}

/* "52:54:0:12:34:56" and other spellings behind a name that says that it is an address. */
static size_t loose_groups(const struct redact_scan *scan, size_t at)
{
	static const char *const names[] = {"mac ",        "ether ",   "hwaddr ", "lladdr ",
					    "link/ether ", "address ", "bdaddr ", "permaddr "};
	size_t groups = 0, end = at;
	bool named = false;

	for (size_t i = 0; redact_before(scan, at) == ' ' && i < ARRAY_SIZE(names); i++) {
		size_t length = strlen(names[i]);

		named = named || (at >= length && redact_starts(scan, at - length, names[i]));
	}
	while (named && groups < 8) {
		size_t digits = hex_run(scan, end, 3);

		if (!digits || digits > 2)
			break;
		groups++;
		end += digits;
		if (!strchr(":- ", redact_at(scan, end)) || !redact_at(scan, end))
			break;
		end++;
	}
	return groups == 6 && ends_number(scan, end) ? end - at : 0;
}

/* Twelve digits without anything between, of one machine: the bit of a group address is clear. */
static bool is_bare_mac(const struct redact_scan *scan, size_t at)
{
	static const char *const not_before[] = {"commit ", "0x", "git ", "-g", "Fixes: "};
	unsigned digits = 0;

	for (size_t i = 0; i < 12; i++)
		digits += isdigit((unsigned char)scan->text[at + i]) != 0;
	for (size_t i = 0; i < ARRAY_SIZE(not_before); i++) {
		size_t length = strlen(not_before[i]);

		if (at >= length && redact_starts(scan, at - length, not_before[i]))
			return false;
	}
	/* "nunchi[1b23c,56277e294000+7c000]" of a crash is an address. */
	return digits && digits < 12 && redact_at(scan, at + 12) != '+' &&
	       digit_value(scan->text[at + 1]) % 2 == 0 &&
	       !redact_is_name(redact_before(scan, at)) &&
	       !redact_is_name(redact_at(scan, at + 12));
}

/* An IPv6 address: its size, 0 if it is none. *ret_eui: made of a MAC address (RFC 4291). */
static size_t ipv6(const struct redact_scan *scan, size_t at, bool *ret_eui)
{
	size_t end = at, groups = 0, gap = 0, ff = 0;

	*ret_eui = false;
	while (groups < 9) {
		size_t digits = hex_run(scan, end, 5);

		if (digits > 4)
			return 0;
		/* …ff:fe… in the middle of the last four groups */
		if (digits == 4 && ff && redact_starts(scan, end, "fe"))
			*ret_eui = true;
		ff = digits >= 2 && redact_starts(scan, end + digits - 2, "ff");
		groups += digits > 0;
		end += digits;
		if (redact_at(scan, end) != ':')
			break;
		if (redact_at(scan, end + 1) == ':') {
			if (gap++)
				return 0;
			end++;
		} else if (!is_hex(redact_at(scan, end + 1))) {
			break;
		}
		end++;
	}
	if (!ends_number(scan, end) || (groups != 8 && !gap) || (gap && !groups && end - at < 2))
		return 0;
	return end - at;
}

/* Four groups of at most three digits, none above 255, and not the loopback's or no address. */
static size_t ipv4(const struct redact_scan *scan, size_t at)
{
	size_t end = at;

	for (unsigned i = 0; i < 4; i++) {
		unsigned value = 0, digits = 0;

		for (; digits < 4 && isdigit((unsigned char)redact_at(scan, end)); digits++)
			value = value * 10 + (unsigned)(scan->text[end++] - '0');
		if (!digits || digits > 3 || value > 255 ||
		    (i < 3 && redact_at(scan, end++) != '.'))
			return 0;
	}
	if (!ends_number(scan, end) ||
	    (redact_at(scan, end) == '.' && isdigit((unsigned char)redact_at(scan, end + 1))))
		return 0;
	return redact_starts(scan, at, "127.") || redact_starts(scan, at, "0.0.0.0") ? 0 : end - at;
}

/* ---- Names of disks, and numbers of storage ---- */

static const struct {
	const char *prefix;
	enum redact_kind kind;
	bool hex;
} disk_prefixes[] = {
    {"naa.", REDACT_MAC, true},      {"eui.", REDACT_MAC, true},
    {"nvme-eui.", REDACT_MAC, true}, {"wwn-0x", REDACT_MAC, true},
    {"wwn-", REDACT_MAC, true},      {"scsi-3", REDACT_MAC, true},
    {"t10.", REDACT_SERIAL, false},  {"by-id/", REDACT_SERIAL, false},
    {"iqn.", REDACT_SERIAL, false},  {"nqn.", REDACT_SERIAL, false},
};

static const char *const interfaces[] = {"enx", "wlx", "wwx", "slx", "ibx"};

void redact_storage_init(struct redact_words *words)
{
	for (size_t i = 0; i < ARRAY_SIZE(disk_prefixes); i++)
		words->begins[redact_begin(disk_prefixes[i].prefix[0],
					   disk_prefixes[i].prefix[1])] |= BEGINS_STORAGE;
	for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++)
		words->begins[redact_begin(interfaces[i][0], interfaces[i][1])] |= BEGINS_STORAGE;
}

/* "enx525400123456": the name of a network interface by its address (systemd.net-naming-scheme(7)).
 */
static size_t interface_name(const struct redact_scan *scan, size_t at)
{
	for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++)
		if (redact_starts(scan, at, interfaces[i]))
			return hex_run(scan, at + 3, 13) == 12 && ends_number(scan, at + 15) ? 15
											     : 0;
	return 0;
}

/* "naa.5000…", "eui.0025…", "wwn-0x5000…", a name in /dev/disk/by-id, the end of an iqn. */
static struct redact_cut storage(const struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_SERIAL};

	for (size_t i = 0; i < ARRAY_SIZE(disk_prefixes); i++) {
		size_t begin, end;

		if (scan->text[at] != *disk_prefixes[i].prefix ||
		    !redact_starts(scan, at, disk_prefixes[i].prefix))
			continue;
		begin = end = at + strlen(disk_prefixes[i].prefix);
		while (end < scan->size && (redact_is_name(scan->text[end]) ||
					    scan->text[end] == ':' || scan->text[end] == '+'))
			end++;
		if (disk_prefixes[i].hex ? hex_run(scan, begin, 17) < 8 : end - begin < 6)
			continue;
		cut = (struct redact_cut){begin, end - begin, disk_prefixes[i].kind};
		break;
	}
	return cut;
}

/* A partition's number stays: "…-part2". */
static size_t without_part(const struct redact_scan *scan, size_t at, size_t size)
{
	size_t end = at + size;

	while (end > at && isdigit((unsigned char)scan->text[end - 1]))
		end--;
	return end - at > 5 && end < at + size && redact_starts(scan, end - 5, "-part")
		   ? end - 5 - at
		   : size;
}

/* Digits and letters: no bar of one character. */
static bool has_both(const struct redact_scan *scan, size_t at, size_t size)
{
	bool digit = false, letter = false;

	for (size_t i = at; i < at + size && !(digit && letter); i++) {
		digit = digit || isdigit((unsigned char)scan->text[i]);
		letter = letter || isalpha((unsigned char)scan->text[i]);
	}
	return digit && letter;
}

static struct redact_cut digits_alone(const struct redact_scan *scan, size_t at)
{
	size_t begin = at + (redact_starts(scan, at, "0x") ? 2 : 0);
	size_t size = hex_run(scan, begin, scan->size);
	struct redact_cut cut = {.at = begin, .kind = REDACT_UUID, .size = size};

	/* A key, or the hash of one, from 256 bits. */
	if (size >= 64 && has_both(scan, begin, size)) {
		cut.kind = REDACT_SECRET;
		return cut;
	}
	if (!ends_number(scan, begin + size) ||
	    (begin == at && redact_is_name(redact_before(scan, at)) && size != 32))
		cut.size = 0;
	else if (size == 32 && begin == at)
		cut.kind = REDACT_UUID; /* a machine's id, a UUID without dashes */
	else if ((size == 16 && scan->text[begin] == '5') || (size == 32 && begin > at))
		cut.kind = REDACT_MAC; /* a WWN of the types 5 and 6 */
	else if (size == 12 && begin == at && is_bare_mac(scan, at))
		cut.kind = REDACT_MAC;
	else
		cut.size = 0;
	return cut;
}

static struct redact_cut addresses(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_ADDRESS};
	char c = scan->text[at];
	bool eui = false;

	if (!is_hex(c) && c != ':')
		return cut;
	cut.size = ipv6(scan, at, &eui);
	if (eui)
		cut.kind = REDACT_MAC;
	else if (!scan->people)
		cut.size = 0;
	if (!cut.size && scan->people)
		cut.size = ipv4(scan, at);
	return cut;
}

struct redact_cut redact_number(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_UUID};

	if (!isalnum((unsigned char)scan->text[at]) && scan->text[at] != ':')
		return cut;
	cut.size = uuid(scan, at);
	if (cut.size && redact_is_public(scan, at))
		cut.size = 0;
	if (cut.size)
		return cut;
	cut.kind = REDACT_MAC;
	if (is_hex(scan->text[at])) {
		cut.size = pairs_of_digits(scan, at);
		if (!cut.size)
			cut.size = dotted_fours(scan, at);
		if (!cut.size)
			cut.size = loose_groups(scan, at);
	}
	if (!cut.size && redact_may_begin(scan, at, BEGINS_STORAGE))
		cut.size = interface_name(scan, at);
	if (!cut.size)
		cut = addresses(scan, at);
	if (!cut.size && is_hex(scan->text[at]))
		cut = digits_alone(scan, at);
	if (!cut.size && redact_may_begin(scan, at, BEGINS_STORAGE)) {
		cut = storage(scan, at);
		cut.size = without_part(scan, cut.at, cut.size);
	}
	return cut;
}
