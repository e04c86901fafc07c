/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a path of the file system stands for. Nothing is kept of it but the path itself. */
#ifndef NUNCHI_MOUNT_NODE_H
#define NUNCHI_MOUNT_NODE_H

#include <nunchi/nunchi.h>

#include <limits.h>

enum node_kind {
	NODE_TOP,
	NODE_VIEWS,     /* views */
	NODE_VIEW,      /* views/NAME.csv, .json */
	NODE_LOG,       /* log */
	NODE_MEMORY,    /* mem */
	NODE_PHYSICAL,  /* mem/physical */
	NODE_PROCESSES, /* proc */
	NODE_PROCESS,   /* proc/PID */
	NODE_CMDLINE,   /* proc/PID/cmdline … */
	NODE_ENVIRON,
	NODE_MAPS,
	NODE_STATUS,
	NODE_PROCESS_MEMORY,
	NODE_FILE /* files, and what is below it: a path of the guest */
};

struct node {
	enum node_kind kind;
	const struct nunchi_view *view;
	enum nunchi_output output;
	uint64_t pid;
	char path[PATH_MAX]; /* of NODE_FILE: as the guest has it, "/" at least */
};

/* Whether a path can stand for something. It begins with a slash, and has no second one in a row.
 */
bool node_parse(const char *path, struct node *ret);
bool node_is_directory(const struct node *node);
/*
 * The names in a directory that are always there; proc and files have none. NULL if there are no
 * more.
 */
const char *node_name(const struct node *directory, size_t n, char *buffer, size_t size);

/*
 * A name of the guest's as one of ours: bytes that could do harm, or that are none of a name, are
 * written \xNN, as nunchi_escape() does, and so are a slash, and the first dot of "." and "..".
 * Returns false if the result is too long.
 */
bool node_escape_name(const char *name, size_t size, char *ret, size_t capacity);
/*
 * The target of a symbolic link in a directory `depth` below the guest's root, so that it leads
 * nowhere but to what is below that root; false if it does not fit, or is no path.
 */
bool node_convert_link(const char *target, size_t size, unsigned depth, char *ret, size_t capacity);

#endif
