/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses /proc/PID/maps: the mappings of a process. Pure functions. Source: proc_pid_maps(5). */
#ifndef NUNCHI_TARGET_QEMU_MAPS_H
#define NUNCHI_TARGET_QEMU_MAPS_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapping {
	uint64_t start, end;
	uint64_t offset; /* in the file */
	uint64_t inode;  /* 0: anonymous */
	unsigned major, minor;
	bool readable, writable, shared;
	const char *path; /* "" if it has none; owned by the struct maps */
};

struct maps {
	struct mapping *entries; /* in ascending order */
	size_t count;
	char *text;
};

/* Parses the text of /proc/PID/maps, which is copied. Fails if the text has another form. */
struct nunchi_error *maps_parse(const char *text, size_t size, struct maps *ret);
void maps_deinit(struct maps *maps);
#define _cleanup_maps_ _cleanup_(maps_deinit)

/* The mapping that contains all of [address, address + size), or NULL. */
const struct mapping *maps_find(const struct maps *maps, uint64_t address, uint64_t size);

#endif
