/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/redact.h"

#include "core/digit.h"

#include <ctype.h>
#include <string.h>

/* How much is looked at before it is asked whether the call was cancelled. */
#define CANCEL_BYTES (1u << 20)

/* In names of options, in small letters. */
static const char *const secret_words[] = {"password", "passwd", "passphrase", "pass",    "secret",
					   "token",    "apikey", "api_key",    "api-key", "serial",
					   "private",  "psk",    "credential", "auth",    "key"};
/* Names that hold such a word and no secret. */
static const char *const plain_words[] = {"keyboard",     "keymap", "keytable",
					  "passthrough",  "author", "console_serial",
					  "authenticamd", "keep",   "serial0"};

/* Names that hold a secret as a whole only: of QEMU's -object secret, and of -fw_cfg. */
static const char *const secret_names[] = {"data", "string"};

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

/* "aa:bb:cc:dd:ee:ff" or with '-', not part of more. */
static size_t mac_address(const char *text, size_t size)
{
	if (size < 17)
		return 0;
	for (size_t i = 0; i < 17; i++) {
		if (i % 3 == 2 ? text[i] != ':' && text[i] != '-' : digit_value(text[i]) > 15)
			return 0;
	}
	return size > 17 && (digit_value(text[17]) < 16 || text[17] == ':') ? 0 : 17;
}

/* 8-4-4-4-12 hexadecimal digits. */
static size_t uuid(const char *text, size_t size)
{
	if (size < 36)
		return 0;
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : digit_value(text[i]) > 15)
			return 0;
	}
	return 36;
}

/* GUIDs of firmware, which are the same on all machines of a kind and say what it can do. */
static bool is_public(const char *text)
{
	return !strncasecmp(text, "603e9613-ef25-4338-a3d0-c46177516db7", 36) ||
	       !strncasecmp(text, "8be4df61-93ca-11d2-aa0d-00e098032b8c", 36);
}

static bool has_word(const char *name, size_t size, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(words[i]);

		for (size_t j = 0; j + length <= size; j++)
			if (tolower((unsigned char)name[j]) == words[i][0] &&
			    !strncasecmp(name + j, words[i], length))
				return true;
	}
	return false;
}

static bool is_secret(const char *name, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(secret_names); i++)
		if (size == strlen(secret_names[i]) && !memcmp(name, secret_names[i], size))
			return true;
	return has_word(name, size, secret_words, ARRAY_SIZE(secret_words)) &&
	       !has_word(name, size, plain_words, ARRAY_SIZE(plain_words));
}

/*
 * "name=value", "name: value", "--name value", "\"name\": value" of JSON: how far it is to the
 * value, 0 if it is no secret.
 */
static size_t secret_name(const char *text, size_t size)
{
	size_t name = 0, at;

	while (name < size && name < 64 && is_name(text[name]))
		name++;
	if (name < 3 || !is_secret(text, name))
		return 0;
	at = name;
	if (text[0] == '-' && text[1] == '-' && at < size && (text[at] == ' ' || !text[at]))
		return at + 1;
	at += at < size && text[at] == '"';
	while (at < size && (text[at] == ' ' || text[at] == '\t'))
		at++;
	if (at == size || (text[at] != '=' && text[at] != ':'))
		return 0;
	at++;
	while (at < size && (text[at] == ' ' || text[at] == '\t'))
		at++;
	return at;
}

/* To the end of the word, or of the argument where NULs end those; within quotes, to the quote. */
static size_t value_size(const char *text, size_t size, bool arguments)
{
	size_t at = 0;

	if (size && (*text == '"' || *text == '\'')) {
		for (at = 1; at < size && text[at] != *text && text[at] != '\n'; at++)
			at += text[at] == '\\' && at + 1 < size && text[at + 1] != '\n';
		return at < size && text[at] == *text ? at + 1 : at;
	}
	while (at < size && text[at] && !strchr(arguments ? "\n" : " \t\r\n\"'", text[at]))
		at++;
	return at;
}

/* "NAME@HOST.TLD": the whole of it from its first character. */
static size_t mail_address(const char *text, size_t size)
{
	size_t at = 0, point = 0;

	while (at < size && at < 64 && is_name(text[at]))
		at++;
	if (!at || at == size || text[at] != '@')
		return 0;
	for (at++; at < size && at < 192 && is_name(text[at]); at++)
		point += text[at] == '.';
	return point ? at : 0;
}

/*
 * The most that is taken out behind the BEGIN of a key. The longest keys in use, RSA with 16,384
 * bits, have 12.7 KiB as PEM, and a log puts a prefix before each line.
 */
#define KEY_MAX (32u << 10)

/* Where the next "-----END " is, so that no part of the text is searched twice for it. */
struct key_search {
	const char *end_mark; /* the first at or after the place searched last; NULL: none yet */
};

static const char begin_mark[] = "-----BEGIN ", end_mark[] = "-----END ";

static const char *next_end_mark(struct key_search *search, const char *text, size_t size)
{
	if (!search->end_mark || search->end_mark < text) {
		search->end_mark = memmem(text, size, end_mark, sizeof(end_mark) - 1);
		if (!search->end_mark)
			search->end_mark = text + size;
	}
	return search->end_mark;
}

/* "-----BEGIN LABEL-----" and its END (RFC 7468): the size, 0 if it is not one. */
static size_t key_line(const char *text, size_t size, const char *mark)
{
	size_t at = strlen(mark);

	if (size < at || memcmp(text, mark, at))
		return 0;
	while (at < size && at < 80 &&
	       (isupper((unsigned char)text[at]) || text[at] == ' ' ||
		isdigit((unsigned char)text[at])))
		at++;
	return size - at >= 5 && !memcmp(text + at, "-----", 5) ? at + 5 : 0;
}

/*
 * A key block from its BEGIN to its END. Where no END follows within KEY_MAX (the key's rest was
 * cut off, or stands elsewhere), KEY_MAX bytes or all that is left of the text.
 */
static size_t key_block(struct key_search *search, const char *text, size_t size)
{
	size_t begin = key_line(text, size, begin_mark), end;

	if (!begin)
		return 0;
	end = (size_t)(next_end_mark(search, text + begin, size - begin) - text);
	if (end < size && end < KEY_MAX) {
		size_t line = key_line(text + end, size - end, end_mark);

		return end + (line ? line : sizeof(end_mark) - 1);
	}
	return size < KEY_MAX ? size : KEY_MAX;
}

/* "USER:PASSWORD@" behind "://": its size with the '@', 0 if there is none. */
static size_t url_user(const char *text, size_t size)
{
	size_t at = 3;

	if (size < 5 || memcmp(text, "://", 3))
		return 0;
	while (at < size && at < 256 && text[at] && !strchr("/ \t\r\n\"'@", text[at]))
		at++;
	return at > 3 && at < size && text[at] == '@' ? at : 0;
}

/* What begins here and is taken out: its size, and what stands for it; 0 if nothing. */
static size_t taken(const char *text, size_t size, const char **ret)
{
	size_t length = uuid(text, size);

	*ret = "[UUID]";
	if (length && is_public(text))
		return 0;
	if (!length) {
		length = mac_address(text, size);
		*ret = "[MAC]";
	}
	if (!length) {
		length = mail_address(text, size);
		*ret = "[mail]";
	}
	return length;
}

struct redaction {
	struct key_search search;
	const char *text;
	size_t size;
	bool arguments; /* NULs end what would else end with a blank */
	bool starts;    /* a word may begin here */
};

/* The value behind a secret's name, which may be a key of many lines. */
static size_t secret_value(struct redaction *redaction, size_t at)
{
	const char *text = redaction->text + at;
	size_t size = redaction->size - at;
	size_t quote = size && (*text == '"' || *text == '\'');
	size_t key = key_block(&redaction->search, text + quote, size - quote);

	return key ? quote + key : value_size(text, size, redaction->arguments);
}

/*
 * What is to be taken out at or behind *at, which is moved to its first byte: its size, and what
 * stands for it; 0 if nothing is.
 */
static size_t find_here(struct redaction *redaction, size_t *at, const char **ret)
{
	const char *text = redaction->text + *at;
	size_t size = redaction->size - *at, value, length;

	*ret = "[key]";
	length = *text == '-' ? key_block(&redaction->search, text, size) : 0;
	if (length)
		return length;
	value = redaction->starts ? secret_name(text, size) : 0;
	if (value) {
		*ret = "[secret]";
		*at += value;
		return secret_value(redaction, *at);
	}
	length = redaction->starts ? taken(text, size, ret) : 0;
	if (!length && *text == ':' && url_user(text, size)) {
		length = url_user(text, size) - 3;
		*ret = "[secret]";
		*at += 3;
	}
	return length;
}

bool redact(struct buffer *out, const char *text, size_t size, const struct nunchi_context *context)
{
	struct redaction redaction = {.text = text, .size = size, .starts = true};
	size_t at = 0, done = 0, asked = 0;

	redaction.arguments = memchr(text, '\0', size);
	while (at < size) {
		const char *instead;
		size_t length;

		if (at - asked >= CANCEL_BYTES) {
			asked = at;
			if (nunchi_context_cancelled(context))
				return false;
		}
		length = find_here(&redaction, &at, &instead);
		if (length) {
			buffer_append(out, text + done, at - done);
			buffer_append_string(out, instead);
			/* A finding cites lines by number: each line stays one. */
			for (size_t i = at; i < at + length; i++)
				if (text[i] == '\n')
					buffer_append_char(out, '\n');
			at += length;
			done = at;
			redaction.starts = false;
			continue;
		}
		redaction.starts = at < size && !is_name(text[at]);
		at += at < size;
	}
	buffer_append(out, text + done, size - done);
	return true;
}
