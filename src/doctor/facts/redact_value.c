/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far a value goes, by the grammar that it stands in. Where that is not certain, more is taken
 * out rather than less, but never more than the lines that belong to the value.
 */
#include "doctor/facts/redact_scan.h"

#include <string.h>

/* The most that a value with line ends in quotes may have. */
#define QUOTED_MAX 4096u
/* The most lines that continue a value. */
#define CONTINUED_MAX 256u

static bool ends_line(const struct redact_scan *scan, size_t at)
{
	return at >= scan->size || scan->text[at] == '\n' ||
	       (scan->arguments && scan->text[at] == '\0');
}

static enum redact_mark mark_of(char quote)
{
	return quote == '"'    ? MARK_DOUBLE_QUOTE
	       : quote == '\'' ? MARK_SINGLE_QUOTE
			       : MARK_BACK_QUOTE;
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'' || c == '`';
}

/*
 * Where a value whose quotes are not closed on its line is closed on a later one; 0 if not within
 * QUOTED_MAX. Only for a name that begins its line: within a log's line a quote may be an
 * apostrophe.
 */
static size_t quoted_lines(struct redact_scan *scan, size_t at, char quote)
{
	size_t end = at + 1;

	do
		end = redact_next(scan, mark_of(quote), end) + 1;
	while (end <= scan->size && end - at < QUOTED_MAX && redact_before(scan, end - 1) == '\\');
	return end <= scan->size && end - at < QUOTED_MAX ? end - at : 0;
}

/* Three quotes, as Python and TOML have them. */
static size_t quoted_thrice(struct redact_scan *scan, size_t at, char quote)
{
	for (size_t end = at + 3; end - at < QUOTED_MAX;) {
		end = redact_next(scan, mark_of(quote), end);
		if (end >= scan->size)
			break;
		if (redact_at(scan, end + 1) == quote && redact_at(scan, end + 2) == quote)
			return end + 3 - at;
		end++;
	}
	return 0;
}

size_t redact_quoted(struct redact_scan *scan, size_t at)
{
	/* \"…\", as in a command line within a command line, is closed by \" again. */
	size_t escaped = redact_at(scan, at) == '\\' && is_quote(redact_at(scan, at + 1));
	char quote = redact_at(scan, at + escaped);

	if (!is_quote(quote))
		return 0;
	for (size_t i = at + escaped + 1; !ends_line(scan, i); i++) {
		if (scan->text[i] == '\\' && escaped && redact_at(scan, i + 1) == quote)
			return i + 2 - at;
		if (scan->text[i] == '\\' && !ends_line(scan, i + 1))
			i++;
		else if (scan->text[i] == quote)
			return i + 1 - at;
	}
	return 0;
}

static char closing(char c)
{
	return c == '[' ? ']' : c == '{' ? '}' : c == '(' ? ')' : c == '<' ? '>' : '\0';
}

/* A value in brackets, to the one that closes it; the rest of the line if none does. */
static size_t bracketed(struct redact_scan *scan, size_t at)
{
	char open = redact_at(scan, at), close = closing(open);
	size_t i = at, depth = 0;

	while (!ends_line(scan, i)) {
		size_t quoted = is_quote(scan->text[i]) && i > at ? redact_quoted(scan, i) : 0;

		if (quoted) {
			i += quoted;
			continue;
		}
		if (scan->text[i] == open)
			depth++;
		else if (scan->text[i] == close && !--depth)
			return i + 1 - at;
		i++;
	}
	return i - at;
}

static bool ends_word(const struct redact_scan *scan, size_t at, bool argument)
{
	char c = redact_at(scan, at);

	if (ends_line(scan, at) || c == '\r' || (scan->quote && c == scan->quote))
		return true;
	return !argument && (c == ' ' || c == '\t' || c == '\0');
}

/*
 * A word of the shell: parts in quotes and without them, without a blank between. A part in
 * quotes that is not closed goes to the end of the line.
 */
static size_t shell_word(struct redact_scan *scan, size_t at, bool argument)
{
	size_t i = at;

	while (!ends_word(scan, i, argument)) {
		char c = scan->text[i];
		size_t part = is_quote(c) || c == '\\' ? redact_quoted(scan, i) : 0;

		if (part) {
			i += part;
			c = redact_at(scan, i);
			/* JSON goes on behind the string. */
			if (c && strchr(",;)]}>:", c))
				break;
		} else if (c == '\\' && !ends_line(scan, i + 1)) {
			i += 2;
		} else if (c == '$' && closing(redact_at(scan, i + 1))) {
			i += 1 + bracketed(scan, i + 1);
		} else if (is_quote(c) && i == at) {
			while (!ends_line(scan, i))
				i++;
		} else {
			i++;
		}
	}
	return i - at;
}

static size_t line_end(const struct redact_scan *scan, size_t at)
{
	while (!ends_line(scan, at) && !(scan->quote && scan->text[at] == scan->quote))
		at++;
	return at;
}

static size_t indentation(const struct redact_scan *scan, size_t line)
{
	size_t at = line;

	while (at < scan->size && at - line < 256 && redact_is_blank(scan->text[at]))
		at++;
	return at - line;
}

/*
 * The lines behind one that ends at end which continue it: those indented deeper (YAML, folded
 * headers, lists over many lines), those behind a backslash, and a list's items below an empty
 * value.
 */
static size_t continued(const struct redact_scan *scan, size_t end, bool empty)
{
	size_t depth = scan->first - scan->line;

	for (unsigned i = 0; i < CONTINUED_MAX && end < scan->size && scan->text[end] == '\n';
	     i++) {
		size_t line = end + 1, inner = indentation(scan, line);
		size_t last = end - (end && scan->text[end - 1] == '\r');
		bool item = empty && inner == depth && redact_at(scan, line + inner) == '-' &&
			    redact_is_blank(redact_at(scan, line + inner + 1));

		if (line >= scan->size ||
		    scan->text[line + inner < scan->size ? line + inner : line] == '\n')
			break;
		if (inner <= depth && !item && redact_before(scan, last) != '\\')
			break;
		end = line;
		while (end < scan->size && scan->text[end] != '\n')
			end++;
	}
	return end;
}

/* A line's rest, without blanks at its end. */
static size_t line_value(struct redact_scan *scan, size_t at)
{
	size_t end = line_end(scan, at), next = end;
	size_t begin = at;

	if (!scan->quote && !scan->arguments)
		next = continued(scan, end,
				 begin == end ||
				     (end - begin <= 3 && strchr("|>", scan->text[begin])));
	if (next > end)
		return next - at;
	while (end > at && (redact_is_blank(scan->text[end - 1]) || scan->text[end - 1] == '\r'))
		end--;
	return end - at;
}

/* To a byte of the set, or to the end of the line. */
static size_t up_to(const struct redact_scan *scan, size_t at, const char *set)
{
	size_t i = at;

	while (!ends_line(scan, i) && scan->text[i] != '\r' && scan->text[i] &&
	       !strchr(set, scan->text[i]) && !(scan->quote && scan->text[i] == scan->quote))
		i++;
	return i - at;
}

/* To a comma or semicolon before a blank, or before a bracket that closes. */
static size_t clause(const struct redact_scan *scan, size_t at)
{
	size_t i = at;

	for (; !ends_line(scan, i) && !(scan->quote && scan->text[i] == scan->quote); i++)
		if ((scan->text[i] == ',' || scan->text[i] == ';') &&
		    redact_is_blank(redact_at(scan, i + 1)))
			break;
	return i - at;
}

/* A value in quotes, and what the shell would join to it. */
static size_t quoted_value(struct redact_scan *scan, size_t at, enum redact_form form)
{
	char quote = redact_at(scan, at);
	size_t size = 0;

	if (redact_at(scan, at + 1) == quote && redact_at(scan, at + 2) == quote)
		size = quoted_thrice(scan, at, quote);
	if (!size && form == FORM_LINE && is_quote(quote) && !redact_quoted(scan, at))
		size = quoted_lines(scan, at, quote);
	if (size)
		return size;
	return shell_word(scan, at, false);
}

/* Whether a quote like the one that is open opens another, instead of closing that one. */
static bool begins_quoted(struct redact_scan *scan, size_t at)
{
	char c = redact_at(scan, at + 1);

	if (!isalnum((unsigned char)c) || !redact_quoted(scan, at))
		return false;
	scan->quote = 0;
	return true;
}

size_t redact_value(struct redact_scan *scan, size_t at, enum redact_form form)
{
	char c = redact_at(scan, at);
	size_t quote = is_quote(c), key = redact_key_block(scan, at + quote);

	if (key)
		return quote + key;
	if ((quote || (c == '\\' && is_quote(redact_at(scan, at + 1)))) && form != FORM_ARGUMENT &&
	    (c != scan->quote || begins_quoted(scan, at)))
		return quoted_value(scan, at, form);
	if (closing(c) && form != FORM_ARGUMENT && form != FORM_QUERY && form != FORM_LINE)
		return bracketed(scan, at);
	switch (form) {
	case FORM_WORD:
		return shell_word(scan, at, false);
	case FORM_ARGUMENT:
		return quote ? shell_word(scan, at, false) : up_to(scan, at, "\n");
	case FORM_LINE:
		return line_value(scan, at);
	case FORM_CLAUSE:
		return clause(scan, at);
	case FORM_FLOW:
		return up_to(scan, at, ",}])");
	case FORM_LIST:
		return up_to(scan, at, ";");
	case FORM_QUERY:
		return up_to(scan, at, "&#<> \t\"'");
	}
	return 0;
}

/* What says whether there is a secret, or that none was written down. */
static const char *const plain[] = {
    "on",   "off",     "yes",      "no",     "true",     "false",    "none",
    "null", "enabled", "disabled", "prompt", "required", "optional", "prohibit-password"};
/* Where a serial line leads, of QEMU and xl.cfg; and what Linux calls its driver. */
static const char *const lines[] = {
    "pty",     "stdio", "null",     "none", "mon:", "file:", "unix:", "tcp:", "udp:", "pipe:",
    "telnet:", "/dev/", "chardev:", "tty",  "vc",   "com1",  "com2",  "8250", "[",    "websocket:"};

size_t redact_identifier(const struct redact_scan *scan, size_t at)
{
	size_t i = at;

	while (i < scan->size && i - at < 160 &&
	       (redact_is_name(scan->text[i]) || strchr("\"'{}:", scan->text[i])) &&
	       scan->text[i] && !(i > at && scan->quote && scan->text[i] == scan->quote))
		i++;
	return i - at;
}

bool redact_begins_plain(const struct redact_scan *scan, size_t at, enum redact_class class)
{
	at += at < scan->size && is_quote(scan->text[at]);
	for (int i = 0; i < REDACT_KINDS; i++)
		if (redact_starts(scan, at, redact_kind_mark((enum redact_kind)i)))
			return true;
	if (class == CLASS_SERIAL)
		for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
			if (redact_starts(scan, at, lines[i]))
				return true;
	return redact_starts(scan, at, "(null)") ||
	       (class == CLASS_ID && redact_is_public(scan, at));
}

static bool has_digit(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (isdigit((unsigned char)text[i]))
			return true;
	return false;
}

bool redact_is_plain(const struct redact_scan *scan, size_t at, size_t size,
		     enum redact_class class)
{
	const char *text = scan->text + at;
	size_t digits = 0;

	while (size && (is_quote(*text) || *text == ' '))
		text++, size--;
	while (size && (is_quote(text[size - 1]) || strchr(",; ", text[size - 1])))
		size--;
	while (digits < size && isdigit((unsigned char)text[digits]))
		digits++;
	if (!size)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (size == strlen(plain[i]) && !strncasecmp(text, plain[i], size))
			return true;
	if (class == CLASS_ID || class == CLASS_HARDWARE)
		return size < (class == CLASS_ID ? 4 : 6) || !has_digit(text, size);
	/* One character says that there is a secret: CONFIG_KEYS=y. */
	if (size == 1)
		return true;
	/* A number of so few digits counts or numbers something. */
	return digits == size && digits <= (class == CLASS_WEAK ? 3 : 1);
}
