/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/io.h"
#include "journal/undo_log_internal.h"

#include <errno.h>
#include <string.h>

int undo_text_read(int fd, struct undo_text *ret)
{
	ssize_t size = io_pread_full(fd, ret->data, UNDO_TEXT_MAX, 0);

	if (size < 0)
		return (int)-size;
	if ((size_t)size == UNDO_TEXT_MAX)
		return EFBIG;
	ret->size = (size_t)size;
	while (ret->size && ret->data[ret->size - 1] != '\n')
		ret->size--;
	ret->data[ret->size] = '\0';
	/* A log contains no zero bytes. */
	return strlen(ret->data) == ret->size ? 0 : EBADMSG;
}

bool undo_text_has_header(const struct undo_text *text)
{
	return !strncmp(text->data, UNDO_TEXT_HEADER, sizeof(UNDO_TEXT_HEADER) - 1);
}

bool undo_text_is_fragment(int fd)
{
	char start[sizeof(UNDO_TEXT_HEADER)];
	ssize_t size = io_pread_full(fd, start, sizeof(UNDO_TEXT_HEADER) - 1, 0);

	return size >= 0 && size < (ssize_t)sizeof(UNDO_TEXT_HEADER) - 1 &&
	       !memcmp(start, UNDO_TEXT_HEADER, (size_t)size);
}

int undo_text_append(int fd, const char *text)
{
	off_t before = lseek(fd, 0, SEEK_END);
	int errnum = before < 0 ? errno : -io_write_full(fd, text, strlen(text));

	if (errnum && before >= 0 && ftruncate(fd, before))
		return errno;
	return errnum;
}
