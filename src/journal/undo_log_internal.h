/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declarations shared by the files of the undo log: its object, and the text of the file. */
#ifndef NUNCHI_JOURNAL_UNDO_LOG_INTERNAL_H
#define NUNCHI_JOURNAL_UNDO_LOG_INTERNAL_H

#include "journal/undo_log.h"

#include <sys/types.h>

#define UNDO_TEXT_HEADER "nunchi undo log 1\n"
/* Limit of the length of a line that is written. */
#define UNDO_LINE_MAX 256
#define UNDO_TEXT_MAX ((size_t)64 * 1024)

struct undo_log {
	int fd;
	int directory; /* checked by open_trusted(); the file is named within it alone from then on
			*/
	char *path;    /* for messages, and for the guard */
	uint64_t owner;
	off_t before;  /* size of the file when this owner took it; 0: this owner created it */
	bool restored; /* this owner noted that a byte was written back */
};

struct undo_text {
	char data[UNDO_TEXT_MAX + 1];
	size_t size;
};

/* Reads the whole log up to its last complete line. Returns 0 or an errno. */
int undo_text_read(int fd, struct undo_text *ret);
/* Whether the text begins as a log that this nunchi can read. */
bool undo_text_has_header(const struct undo_text *text);
/*
 * Whether the first lines of the log were not written completely. Then nothing had been done to the
 * guest yet.
 */
bool undo_text_is_fragment(int fd);
/*
 * Appends whole lines, or nothing: what follows a part of a line would be lost with it. Returns 0
 * or an errno.
 */
int undo_text_append(int fd, const char *text);

#endif
