/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/story/log_line.h"

#include "core/cleanup.h"
#include "core/digit.h"
#include "core/hash.h"

#include <ctype.h>
#include <string.h>

/* What stands before a message is not longer. */
#define MOST_PREFIX 160

/* A part of a line that is still to be looked at. */
struct rest {
	const char *at, *end;
};

static bool begins(const struct rest *rest, const char *text)
{
	size_t size = strlen(text);

	return (size_t)(rest->end - rest->at) >= size && !memcmp(rest->at, text, size);
}

static bool take(struct rest *rest, const char *text)
{
	if (!begins(rest, text))
		return false;
	rest->at += strlen(text);
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t digits(const struct rest *rest)
{
	const char *at = rest->at;

	while (at < rest->end && is_digit(*at))
		at++;
	return (size_t)(at - rest->at);
}

static bool has_within(const struct rest *rest, const char *text)
{
	size_t size = (size_t)(rest->end - rest->at);

	return memmem(rest->at, size < MOST_PREFIX ? size : MOST_PREFIX, text, strlen(text));
}

/* A terminal's "ESC [ 32 m"; false if there is none. */
static bool take_colour(struct rest *rest)
{
	const char *at = rest->at + 2;

	if (!begins(rest, "\x1b["))
		return false;
	while (at < rest->end && (is_digit(*at) || *at == ';'))
		at++;
	if (at == rest->end)
		return false;
	rest->at = at + 1;
	return true;
}

/* Blanks, colours, "> " of a quotation. */
static void skip_decoration(struct rest *rest)
{
	while (rest->at < rest->end)
		if (strchr(" \t\r>", *rest->at) && *rest->at)
			rest->at++;
		else if (!take_colour(rest))
			return;
}

/* "<6>" of dmesg -r and syslog. */
static void take_priority(struct rest *rest)
{
	struct rest inner = *rest;
	size_t size;

	if (!take(&inner, "<"))
		return;
	size = digits(&inner);
	inner.at += size;
	if (size && size <= 3 && take(&inner, ">"))
		*rest = inner;
}

/* "[    1.234567]", "[Sat Nov 22 10:00:00 2025]", "[  +0.000012]". */
static bool has_timestamp(const struct rest *rest)
{
	const char *at = rest->at;
	size_t numbers = 0, points = 0;

	if (at == rest->end || *at++ != '[')
		return false;
	for (; at < rest->end && *at != ']' && at - rest->at <= 48; at++) {
		numbers += is_digit(*at);
		points += *at == '.' || *at == ':';
	}
	return at < rest->end && *at == ']' && numbers >= 4 && points;
}

/* "6,339,5140900,-;" (linux/Documentation/ABI/testing/dev-kmsg). */
static bool is_kmsg(const struct rest *rest)
{
	struct rest inner = *rest;

	for (int i = 0; i < 3; i++) {
		size_t size = digits(&inner);

		inner.at += size;
		if (!size || !take(&inner, ","))
			return false;
	}
	return take(&inner, "-;") || take(&inner, "c;");
}

/* "2025-11-22T10:00:00,123456+00:00 " of dmesg --time-format=iso, which alone puts a comma. */
static bool is_iso(const struct rest *rest)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd,dddddd";

	if ((size_t)(rest->end - rest->at) < sizeof(form))
		return false;
	for (size_t i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == 'd' ? !is_digit(rest->at[i]) : rest->at[i] != form[i])
			return false;
	return true;
}

/* "kern  :info  : " of dmesg -x, which may be followed by a time. */
static bool is_decoded(const struct rest *rest)
{
	return begins(rest, "kern  :") && has_within(rest, ": ");
}

/* Takes text of a form: x is a hexadecimal digit. */
static bool take_form(struct rest *rest, const char *form)
{
	const char *at = rest->at;

	for (; *form; form++, at++)
		if (at == rest->end || (*form == 'x' ? digit_value(*at) > 15 : *at != *form))
			return false;
	rest->at = at;
	return true;
}

/*
 * "i915 0000:00:02.0: ", "nvidia-wmi-ec-backlight 603E9613-…: ": dev_printk() puts the driver and
 * the device (linux/drivers/base/core.c).
 */
static bool is_of_device(const struct rest *rest)
{
	struct rest inner = *rest;

	while (inner.at < inner.end &&
	       (isalnum((unsigned char)*inner.at) || *inner.at == '_' || *inner.at == '-'))
		inner.at++;
	if (inner.at == rest->at || !take(&inner, " "))
		return false;
	return (take_form(&inner, "xxxx:xx:xx.x") || take_form(&inner, "xxxxx:xx:xx.x") ||
		take_form(&inner, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")) &&
	       take(&inner, ": ");
}

/* How a line without any prefix begins that is a message of the kernel and no sentence. */
static const char *const bare_starts[] = {
    /* Of DRM's own functions (linux/drivers/gpu/drm/drm_print.c). */
    "[drm] ",
    "[drm:",
    /* Others that a rule of rules.def is about. */
    "Linux version ",
    "Booting kernel on ",
    "Booting paravirtualized kernel on ",
    "Xen version: ",
    "x86/PAT: Configuration ",
    "ACPI: RMAD 0x",
    "efifb: framebuffer at ",
    "sysfb: ",
    "NVRM: ",
    "nouveau: probe of ",
    "video: unknown parameter ",
    "Kernel is locked down from ",
    "Kernel panic - not syncing: ",
    "Kernel Offset: ",
    "Kernel command line: ",
    "Oops: ",
    "BUG: ",
    "kernel BUG at ",
    "general protection fault",
    "invalid opcode: ",
    "divide error: ",
    "RIP: ",
    "watchdog: BUG: ",
    "INFO: task ",
    "rcu: INFO: ",
    "VFS: ",
    "mce: [Hardware Error]: ",
    "x86/cpu: ",
    "kvm: ",
    "kvm_intel: ",
    "kvm_amd: ",
    "kvm [",
    "L1TF CPU bug ",
    "Booting Linux on ",
    "riscv: ",
    "CPU: ARMv",
    "WARNING: CPU: ",
    "WARNING: at ",
    "WARNING: arch/",
    "WARNING: drivers/",
    "WARNING: fs/",
    "WARNING: kernel/",
    "WARNING: mm/",
    "WARNING: net/",
    "WARNING: sound/",
    "---[ end trace ",
    "IO_PAGE_FAULT device=",
    "INVALID_DEVICE_REQUEST device=",
    "DMI: ",
    "Hypervisor detected: ",
    "nvme nvme",
    "DMAR: [",
    "DMAR: VT-d detected ",
    "dmar: DMAR:",
    "AMD-Vi: ",
    "vfio_iommu_type1_attach_group: ",
    "xen:",
    "clocksource: ",
    "Out of memory: Killed process ",
    "NETDEV WATCHDOG: ",
    "blk_update_request: ",
    "ACPI BIOS Error (bug): ",
};

static bool is_bare(const struct rest *rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(bare_starts); i++)
		if (begins(rest, bare_starts[i]))
			return true;
	return is_of_device(rest);
}

/* journalctl -o json: the whole entry is one line. */
static bool is_json(const struct rest *rest)
{
	static const char *const marks[] = {"\"_TRANSPORT\":\"kernel\"",
					    "\"_TRANSPORT\" : \"kernel\""};
	size_t size = (size_t)(rest->end - rest->at);

	if (!begins(rest, "{"))
		return false;
	return memmem(rest->at, size, marks[0], strlen(marks[0])) ||
	       memmem(rest->at, size, marks[1], strlen(marks[1]));
}

enum log_writer log_line_writer(const char *line, size_t size)
{
	struct rest rest = {.at = line, .end = line + size};

	if (has_within(&rest, "(XEN) "))
		return LOG_XEN;
	if (has_within(&rest, " kernel: ") || has_within(&rest, " kernel - - "))
		return LOG_KERNEL;
	skip_decoration(&rest);
	take_priority(&rest);
	if (take(&rest, "MESSAGE=") || take(&rest, "\"MESSAGE\" : \"") ||
	    take(&rest, "\"MESSAGE\": \""))
		return is_bare(&rest) ? LOG_KERNEL : LOG_NOBODY;
	if (begins(&rest, "kernel: ") || has_timestamp(&rest) || is_kmsg(&rest) || is_iso(&rest) ||
	    is_decoded(&rest) || is_json(&rest) || is_bare(&rest))
		return LOG_KERNEL;
	return LOG_NOBODY;
}

static bool is_of(char c, const char *set)
{
	return c && strchr(set, c);
}

/* "Nov 22 10:00:00 " or "2025-11-22T10:00:00.123456+0900 ", and the blank behind it. */
static bool take_date(struct rest *rest)
{
	static const char clock[] = "dd:dd:dd";
	const char *at =
	    memchr(rest->at, ':',
		   (size_t)(rest->end - rest->at) < 24 ? (size_t)(rest->end - rest->at) : 24);

	if (!at || at - rest->at < 9 || (size_t)(rest->end - at) < sizeof(clock))
		return false;
	at -= 2;
	for (size_t i = 0; i < sizeof(clock) - 1; i++)
		if (clock[i] == 'd' ? !is_digit(at[i]) : at[i] != clock[i])
			return false;
	if (!isalpha((unsigned char)*rest->at) && !is_digit(*rest->at))
		return false;
	for (at += sizeof(clock) - 1; at < rest->end && *at != ' '; at++)
		if (!is_digit(*at) && !is_of(*at, "+-:.,Z"))
			return false;
	if (at == rest->end)
		return false;
	rest->at = at + 1;
	return true;
}

uint64_t log_line_host(const char *line, size_t size)
{
	struct rest rest = {.at = line, .end = line + size};
	const char *name, *program;

	skip_decoration(&rest);
	if (!take_date(&rest))
		return 0;
	name = rest.at;
	while (rest.at < rest.end && (isalnum((unsigned char)*rest.at) || is_of(*rest.at, "-_.")))
		rest.at++;
	if (rest.at == name || rest.at == rest.end || *rest.at != ' ')
		return 0;
	program = rest.at + 1;
	for (rest.at++; rest.at < rest.end && *rest.at != ' '; rest.at++)
		;
	if (rest.at == program || rest.at[-1] != ':')
		return 0;
	return hash_bytes(name, (size_t)(program - 1 - name)) | 1;
}

bool log_line_is_banner(const char *line, size_t size)
{
	struct rest rest = {.at = line, .end = line + size};

	skip_decoration(&rest);
	return take(&rest, "Linux version ") && digits(&rest) &&
	       memmem(rest.at, (size_t)(rest.end - rest.at), " (", 2);
}
