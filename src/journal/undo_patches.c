/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes that breakpoints replace, in the undo log. */
#include "core/cleanup.h"
#include "journal/undo_log_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Behind this no byte to be replaced is noted, so that there is room for what undoes them. */
#define PATCHES_END (UNDO_TEXT_MAX / 2)

int undo_log_append_patch(struct undo_log *log, const struct undo_patch *patch, bool made)
{
	char line[UNDO_LINE_MAX];
	struct stat st;
	int at;

	if (fstat(log->fd, &st))
		return errno;
	if (st.st_size > (off_t)(made ? PATCHES_END : UNDO_TEXT_MAX - PATCHES_END / 2))
		return EFBIG;
	at = snprintf(line, sizeof(line), "%s %" PRIx64 " %x", made ? "patch" : "restored",
		      patch->frame, patch->offset);
	for (size_t i = 0; made && i < patch->size; i++)
		at += snprintf(line + at, sizeof(line) - (size_t)at, "%s%02x", i ? "" : " ",
			       patch->bytes[i]);
	snprintf(line + at, sizeof(line) - (size_t)at, "\n");
	log->restored |= !made;
	return undo_text_append(log->fd, line);
}

/* Parses a line about a byte; false if it is another one. */
static bool parse_patch(const char *line, struct undo_patch *ret, bool *ret_made)
{
	char bytes[2 * UNDO_PATCH_BYTES + 1] = "";
	unsigned offset, byte;

	*ret = (struct undo_patch){0};
	*ret_made =
	    sscanf(line, "patch %" SCNx64 " %x %16[0-9a-f]", &ret->frame, &offset, bytes) == 3;
	if (!*ret_made && sscanf(line, "restored %" SCNx64 " %x", &ret->frame, &offset) != 2)
		return false;
	ret->offset = (uint16_t)offset;
	while (ret->size < UNDO_PATCH_BYTES && sscanf(bytes + 2 * ret->size, "%2x", &byte) == 1)
		ret->bytes[ret->size++] = (uint8_t)byte;
	return offset < UNDO_PATCH_PAGE && offset + ret->size <= UNDO_PATCH_PAGE &&
	       *ret_made == (ret->size > 0);
}

/* The newest line about a byte decides. */
static int put_patch(struct undo_patch *patches, size_t *count, const struct undo_patch *patch,
		     bool made)
{
	size_t at = 0;

	while (at < *count &&
	       (patches[at].frame != patch->frame || patches[at].offset != patch->offset))
		at++;
	if (!made) {
		if (at < *count)
			patches[at] = patches[--*count];
		return 0;
	}
	if (at == UNDO_PATCHES_MAX)
		return EFBIG;
	patches[at] = *patch;
	*count += at == *count;
	return 0;
}

int undo_log_patches(const struct undo_log *log, struct undo_patch *ret, size_t *ret_count)
{
	_cleanup_free_ struct undo_text *text = malloc(sizeof(*text));
	int errnum = text ? undo_text_read(log->fd, text) : ENOMEM;

	*ret_count = 0;
	if (!errnum && !undo_text_has_header(text))
		errnum = EBADMSG;
	for (char *at = text ? text->data : NULL; !errnum && *at;) {
		char *end = strchr(at, '\n');
		struct undo_patch patch;
		bool made;

		*end = '\0';
		if (parse_patch(at, &patch, &made))
			errnum = put_patch(ret, ret_count, &patch, made);
		at = end + 1;
	}
	return errnum;
}
