/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/hint.h"

#include "core/buffer.h"

#include <ctype.h>
#include <string.h>

static bool is_printed_as_it_is(const char *name)
{
	for (const char *at = name; *at; at++)
		if (iscntrl((unsigned char)*at) || *at == '\\')
			return false;
	return true;
}

/* Characters beyond ASCII mean nothing to a shell. */
static bool needs_quotes(const char *word)
{
	for (const char *at = word; *at; at++)
		if (isascii(*at) && !isalnum((unsigned char)*at) && !strchr("%+,-./:=@_", *at))
			return true;
	return false;
}

static void append_quoted(struct buffer *buf, const char *word)
{
	buffer_append_char(buf, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buffer_append_string(
			    buf, "'\"'\"'"); /* no backslash: it would be printed twice */
		else
			buffer_append_char(buf, *word);
	}
	buffer_append_char(buf, '\'');
}

/* The name with the suffix as one word of a shell that no program takes for an option. */
static void append_word(struct buffer *buf, const char *name, const char *suffix,
			size_t suffix_size)
{
	_cleanup_buffer_ struct buffer word = {0};

	if (name[0] == '-')
		buffer_append_string(&word, "./");
	buffer_append_string(&word, name);
	buffer_append(&word, suffix, suffix_size);
	buf->failed = buf->failed || word.failed;
	if (needs_quotes(buffer_string(&word)))
		append_quoted(buf, buffer_string(&word));
	else
		buffer_append_string(buf, buffer_string(&word));
}

struct nunchi_error *file_hint(struct nunchi_error *err, const char *name, const char *text)
{
	static const char mark[] = "FILE";
	_cleanup_buffer_ struct buffer buf = {0};
	const char *at;

	if (!name || !is_printed_as_it_is(name))
		return error_hint(err, "%s", text);
	while ((at = strstr(text, mark))) {
		const char *suffix = at + sizeof(mark) - 1;
		size_t size = *suffix == '.' ? strspn(suffix, ".abcdefghijklmnopqrstuvwxyz") : 0;

		buffer_append(&buf, text, (size_t)(at - text));
		append_word(&buf, name, suffix, size);
		text = suffix + size;
	}
	buffer_append_string(&buf, text);
	return buf.failed ? err : error_hint(err, "%s", buffer_string(&buf));
}
