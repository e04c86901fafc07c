/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/packages.h"

#include "core/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MOST_BYTES (256u << 20)
#define MOST_LINE  4096 /* longer ones are none that is looked for */

static const char *const wanted[] = {
    "xen-",           "linux-image-",    "linux-firmware",
    "firmware-",      "intel-microcode", "amd64-microcode",
    "grub-",          "shim-signed",     "qemu-system",
    "ovmf",           "initramfs-tools", "dracut",
    "nvidia-driver",  "nvidia-kernel-",  "openssh-server",
    "libvirt-daemon",
};

struct parser {
	char name[128], version[128];
	bool installed;
	char line[MOST_LINE];
	size_t size;
	bool overlong;
	struct buffer *out;
};

static bool is_wanted(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!strncmp(name, wanted[i], strlen(wanted[i])))
			return true;
	return false;
}

static void end_package(struct parser *parser)
{
	if (parser->installed && *parser->name && *parser->version && is_wanted(parser->name))
		buffer_printf(parser->out, "%s %s\n", parser->name, parser->version);
	parser->name[0] = parser->version[0] = '\0';
	parser->installed = false;
}

/* The value behind "NAME: ", if it is one word. */
static void take_word(const char *line, const char *name, char *value, size_t capacity)
{
	size_t length = strlen(name);

	if (strncmp(line, name, length))
		return;
	line += length;
	for (const char *c = line; *c; c++)
		if (!isgraph((unsigned char)*c))
			return;
	if (strlen(line) < capacity)
		snprintf(value, capacity, "%s", line);
}

static void end_line(struct parser *parser)
{
	const char *line = parser->line;

	parser->line[parser->size] = '\0';
	if (!parser->size && !parser->overlong) {
		end_package(parser);
	} else if (!parser->overlong && strlen(line) == parser->size) {
		take_word(line, "Package: ", parser->name, sizeof(parser->name));
		take_word(line, "Version: ", parser->version, sizeof(parser->version));
		/* "WANTED STATE STATUS" of dpkg-query(1). */
		if (!strncmp(line, "Status: ", 8))
			parser->installed = strstr(line, " ok installed");
	}
	parser->size = 0;
	parser->overlong = false;
}

static void take(struct parser *parser, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\n')
			end_line(parser);
		else if (parser->size < MOST_LINE - 1)
			parser->line[parser->size++] = text[i];
		else
			parser->overlong = true;
}

int packages_list(packages_read read, void *data, struct buffer *ret)
{
	struct parser parser = {.out = ret};
	uint64_t all = 0;

	for (;;) {
		char piece[16384];
		ssize_t size = read(data, piece, sizeof(piece));

		if (size < 0)
			return errno;
		if (!size)
			break;
		all += (uint64_t)size;
		if (all > MOST_BYTES)
			return EFBIG;
		take(&parser, piece, (size_t)size);
	}
	end_line(&parser);
	end_package(&parser);
	if (ret->no_memory)
		return ENOMEM;
	return ret->failed ? EFBIG : 0;
}
