/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/redact.h"

#include "doctor/facts/redact_scan.h"

#include <string.h>

/* How much is looked at before it is asked whether the call was cancelled. */
#define CANCEL_BYTES (1u << 20)

static const char *const kind_marks[REDACT_KINDS] = {
    [REDACT_SECRET] = "[secret]", [REDACT_KEY] = "[key]",   [REDACT_SERIAL] = "[serial]",
    [REDACT_UUID] = "[UUID]",     [REDACT_MAC] = "[MAC]",   [REDACT_MAIL] = "[mail]",
    [REDACT_HOST] = "[host]",     [REDACT_USER] = "[user]", [REDACT_ADDRESS] = "[IP]"};

const char *redact_kind_mark(enum redact_kind kind)
{
	return kind_marks[kind];
}

size_t redact_next(struct redact_scan *scan, enum redact_mark mark, size_t from)
{
	static const char *const marks[REDACT_MARKS] = {"\"", "'",         "`",
							"<",  "-----END ", "---- END "};
	const char *found;

	if (from >= scan->size)
		return scan->size;
	if (scan->next[mark] >= from && scan->next[mark])
		return scan->next[mark];
	found = memmem(scan->text + from, scan->size - from, marks[mark], strlen(marks[mark]));
	scan->next[mark] = found ? (size_t)(found - scan->text) : scan->size;
	return scan->next[mark];
}

static void new_line(struct redact_scan *scan, size_t at)
{
	scan->line = at;
	scan->first = at;
	scan->last_word = at;
	scan->last_end = at;
	scan->quote = 0;
	scan->in_tag = false;
	scan->program = NULL;
}

/* Takes notice of a byte that stays. */
static void see(struct redact_scan *scan, size_t at)
{
	char c = scan->text[at];

	if (c == '\n') {
		new_line(scan, at + 1);
	} else if (redact_is_blank(c) && scan->first == at) {
		scan->first++;
	} else if (c == '<') {
		scan->in_tag = true;
		scan->secret_tag = false;
	} else if (c == '>') {
		scan->in_tag = false;
	} else if (c == '"' || c == '\'' || c == '`') {
		if (!scan->quote && !isalnum((unsigned char)redact_before(scan, at)))
			scan->quote = c;
		else if (scan->quote == c && redact_before(scan, at) != '\\')
			scan->quote = 0;
	} else if (c == '\0' && scan->arguments) {
		scan->quote = 0;
	}
}

/* What begins there, at a byte before which no letter or digit stands. */
static struct redact_cut find_word(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = redact_token(scan, at);

	if (!cut.size)
		cut = redact_number(scan, at);
	if (!cut.size)
		cut = redact_program(scan, at);
	if (!cut.size && !redact_is_name(redact_before(scan, at)))
		cut = redact_key(scan, at);
	if (!cut.size && scan->people)
		cut = redact_person(scan, at);
	return cut;
}

static struct redact_cut find_here(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_KEY};
	char c = scan->text[at];

	if (c == '-')
		cut.size = redact_key_block(scan, at);
	if (!cut.size && c == ':')
		cut = redact_url(scan, at);
	if (!cut.size && c == '>' && scan->secret_tag)
		cut = redact_content(scan, at + 1);
	if (!cut.size && !isalnum((unsigned char)redact_before(scan, at)))
		cut = find_word(scan, at);
	return cut;
}

static void take_out(struct redaction *redaction, struct redact_scan *scan,
		     const struct redact_cut *cut, struct buffer *out)
{
	buffer_append_string(out, kind_marks[cut->kind]);
	redaction->counts[cut->kind]++;
	/* A finding cites lines by number: each line stays one. */
	for (size_t i = cut->at; i < cut->at + cut->size; i++)
		if (scan->text[i] == '\n') {
			buffer_append_char(out, '\n');
			new_line(scan, i + 1);
		}
}

bool redact(struct redaction *redaction, const char *text, size_t size, struct buffer *out)
{
	struct redact_words words;
	struct redact_scan scan = {
	    .text = text, .size = size, .people = redaction->people, .words = &words};
	size_t at = 0, done = 0, asked = 0;

	redact_words_init(&words);
	redact_programs_init(&words);
	redact_tokens_init(&words);
	redact_storage_init(&words);
	scan.arguments = size && memchr(text, '\0', size);
	while (at < size) {
		struct redact_cut cut;

		if (at - asked >= CANCEL_BYTES) {
			asked = at;
			if (nunchi_context_cancelled(redaction->context))
				return false;
		}
		cut = find_here(&scan, at);
		if (!cut.size) {
			see(&scan, at++);
			continue;
		}
		for (; at < cut.at; at++)
			see(&scan, at);
		buffer_append(out, text + done, cut.at - done);
		take_out(redaction, &scan, &cut, out);
		at = done = cut.at + cut.size;
	}
	buffer_append(out, text + done, size - done);
	return true;
}
