/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A name and its value, in the forms in which files, logs and command lines have them:
 *
 *	name=value   name = value   name: value   --name value   name value   NAME USER VALUE
 *	"name": "value"   <name>value</name>   name="…" of an element   {name: value}   ?name=value&
 *	$x['name'] = 'value'   name: "NAME", value: "VALUE"   name%3Dvalue
 */
#include "doctor/facts/redact_scan.h"

#include <string.h>

/* How far behind a secret's name, where that is itself a value, "value" may stand. */
#define PAIR_MAX 256u
/* The longest content of an element that is taken out. */
#define CONTENT_MAX (32u << 10)

/* A name that was found. */
struct name {
	size_t at, end;
	bool dashed;   /* dashes begin it, as an option's */
	bool first;    /* nothing stands before it on its line but blanks, or "export" */
	bool quoted;   /* a quote or bracket stands behind it */
	size_t behind; /* what stands behind it and the quote */
	enum redact_class class;
};

static const enum redact_kind class_kinds[] = {
    [CLASS_NONE] = REDACT_SECRET,   [CLASS_WEAK] = REDACT_SECRET, [CLASS_STRONG] = REDACT_SECRET,
    [CLASS_SERIAL] = REDACT_SERIAL, [CLASS_ID] = REDACT_UUID,     [CLASS_HARDWARE] = REDACT_MAC,
    [CLASS_USER] = REDACT_USER,     [CLASS_HOST] = REDACT_HOST};

static size_t skip_blanks(const struct redact_scan *scan, size_t at)
{
	while (at < scan->size && redact_is_blank(scan->text[at]))
		at++;
	return at;
}

static size_t skip_name(const struct redact_scan *scan, size_t at)
{
	while (at < scan->size && redact_is_name(scan->text[at]))
		at++;
	return at;
}

/* Quotes and brackets between a name and what follows it, also as XML and JSON write them. */
static size_t skip_closers(const struct redact_scan *scan, size_t at)
{
	for (unsigned i = 0; i < 4; i++) {
		char c = redact_at(scan, at);

		if (c && strchr("\"'`])}*#", c))
			at++;
		else if (c == '\\' && redact_at(scan, at + 1) == '"')
			at += 2;
		else if (c == '\\' && redact_at(scan, at + 1) == '=')
			at++;
		else if (redact_starts(scan, at, "&quot;"))
			at += 6;
		else if (redact_starts(scan, at, "&#34;"))
			at += 5;
		else
			break;
	}
	return at;
}

/* A name begins its line, or its argument, or stands behind a word that declares variables. */
static bool is_first(const struct redact_scan *scan, size_t at)
{
	static const char *const before[] = {"export ", "set ", "- ", "setenv ", "declare "};

	if (scan->arguments)
		return !redact_before(scan, at) || redact_before(scan, at) == '\n';
	if (at - scan->first > 12)
		return false;
	at -= at && strchr("\"'", redact_before(scan, at)) ? 1 : 0;
	if (at == scan->first)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(before); i++)
		if (at == scan->first + strlen(before[i]) &&
		    redact_starts(scan, scan->first, before[i]))
			return true;
	return false;
}

/* "Serial Number", "S/N", "Asset Tag": the word before belongs to the name. */
static enum redact_class class_of_two(const struct redact_scan *scan, const struct name *name)
{
	char c = redact_before(scan, name->at);
	size_t from = scan->last_word;

	if ((c != ' ' && c != '/') || scan->last_end + 1 != name->at || name->end - from > 64)
		return CLASS_NONE;
	return redact_name_class(scan->words, scan->text + from, name->end - from);
}

/* What is a secret behind the name of one alone: of QEMU's -object secret and -fw_cfg, of pairs. */
static bool is_pair_value(const struct redact_scan *scan, const struct name *name)
{
	static const char *const words[] = {"data",    "string", "value", "val",
					    "content", "text",   "v"};
	size_t size = name->end - name->at;
	bool paired = name->at < scan->pair_end, listed = redact_before(scan, name->at) == ',';

	for (size_t i = 0; (paired || listed) && i < ARRAY_SIZE(words); i++)
		if (size == strlen(words[i]) && redact_starts(scan, name->at, words[i]))
			return paired || i < 2;
	return false;
}

/* Whether something is assigned behind the name. */
static bool has_separator(const struct redact_scan *scan, const struct name *name)
{
	char c = redact_at(scan, skip_blanks(scan, name->behind));

	return c == '=' || c == ':' || c == '+' || c == '?' || c == '%';
}

static bool find_name(struct redact_scan *scan, size_t at, struct name *ret)
{
	struct name name = {.at = at};
	char before = redact_before(scan, at);

	/* What redact() put there. */
	if (before == '[' && redact_begins_plain(scan, at - 1, CLASS_STRONG))
		return false;
	name.end = skip_name(scan, at);
	while (name.at < name.end && scan->text[name.at] == '-')
		name.at++;
	name.dashed = name.at > at &&
		      (isspace((unsigned char)before) || !before || strchr("\"'`=[(", before));
	while (name.end > name.at && strchr(".-", scan->text[name.end - 1]))
		name.end--;
	if (name.end - name.at < 1)
		return false;
	name.behind = skip_closers(scan, name.end);
	name.quoted = name.behind > name.end;
	name.first = is_first(scan, at);
	name.class = redact_name_class(scan->words, scan->text + name.at, name.end - name.at);
	if (name.class == CLASS_NONE && is_pair_value(scan, &name))
		name.class = CLASS_STRONG;
	if (name.class == CLASS_NONE && has_separator(scan, &name))
		name.class = class_of_two(scan, &name);
	*ret = name;
	return true;
}

/* "=", ":=", "=>", "+=", ":" … at at: its size, 0 if none stands there. "::" belongs to a name. */
static size_t separator(const struct redact_scan *scan, size_t at)
{
	static const char *const signs[] = {
	    "::=", ":=", "=>", "==", "+=", "?=", "%3D", "%3A", "=", ":"};

	if (redact_starts(scan, at, "::") && !redact_starts(scan, at, "::="))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (redact_starts(scan, at, signs[i]))
			return strlen(signs[i]);
	return 0;
}

static enum redact_form form_of(const struct redact_scan *scan, const struct name *name, char sign,
				bool tight)
{
	char before = redact_before(scan, name->at);

	if (before == '?' || before == '&' || sign == '%')
		return FORM_QUERY;
	if (scan->in_tag && sign == '=')
		return FORM_WORD;
	if (before == ';' && sign == '=')
		return FORM_LIST;
	if (scan->arguments)
		return name->dashed && sign == ':' ? FORM_WORD : FORM_ARGUMENT;
	if (name->quoted && sign == ':' && !name->first)
		return FORM_FLOW;
	if (name->dashed || (tight && !name->first))
		return FORM_WORD;
	return name->class == CLASS_WEAK && !name->first ? FORM_CLAUSE : FORM_LINE;
}

/* A word, or what stands between quotes. It may stay, so no more is looked at than that. */
static size_t simple_word(struct redact_scan *scan, size_t at)
{
	size_t size = redact_quoted(scan, at), end = at;

	while (!size && end < scan->size && scan->text[end] &&
	       !isspace((unsigned char)scan->text[end]) &&
	       !(scan->quote && scan->text[end] == scan->quote))
		end++;
	return size ? size : end - at;
}

static struct redact_cut cut_value(struct redact_scan *scan, const struct name *name, size_t at,
				   enum redact_form form)
{
	struct redact_cut cut = {.at = at, .kind = class_kinds[name->class]};

	if (name->quoted && scan->quote &&
	    memchr(scan->text + name->end, scan->quote, name->behind - name->end))
		scan->quote = 0;
	if (redact_begins_plain(scan, at, name->class))
		return cut;
	/* "CONFIG_KEYS=y CONFIG_X=m": the first word is the value, if it is none of a secret. */
	if (form == FORM_LINE && scan->text[at - 1] == '=' &&
	    redact_is_plain(scan, at, simple_word(scan, at), name->class))
		form = FORM_WORD;
	cut.size =
	    name->class >= CLASS_ID ? redact_identifier(scan, at) : redact_value(scan, at, form);
	if (redact_is_plain(scan, at, cut.size, name->class))
		cut.size = 0;
	return cut;
}

/* ---- A name and its value with a sign between ---- */

static struct redact_cut assigned(struct redact_scan *scan, const struct name *name)
{
	size_t at = skip_blanks(scan, name->behind), size = separator(scan, at), value;
	char sign = redact_at(scan, at);
	bool tight;

	if (!size)
		return (struct redact_cut){0};
	value = skip_blanks(scan, at + size);
	tight = at == name->behind && value == at + size;
	/* "serial:1-1" and "key:" within a word are names of devices, or time after time prose. */
	if (sign == ':' && tight && name->class != CLASS_STRONG && name->class != CLASS_WEAK &&
	    !name->quoted)
		return (struct redact_cut){0};
	/* The scheme of a URL. */
	if (sign == ':' && redact_starts(scan, at, "://"))
		return (struct redact_cut){0};
	return cut_value(scan, name, value, form_of(scan, name, sign, tight));
}

/* ---- A name and its value with a blank between ---- */

/* Whether a word looks as if it was made to be guessed by nobody. */
static bool looks_secret(const struct redact_scan *scan, size_t at, size_t size)
{
	size_t digits = 0, letters = 0, signs = 0;

	if (size && strchr("\"'", scan->text[at]))
		return size > 2;
	while (size && strchr(".,;:!?)", scan->text[at + size - 1]))
		size--;
	if (size < 4 || scan->text[at] == '/' || scan->text[at] == '[')
		return false;
	for (size_t i = at; i < at + size; i++) {
		unsigned char c = (unsigned char)scan->text[i];

		if (c == '=' && i + 2 < at + size)
			return false;
		digits += isdigit(c) != 0;
		letters += isalpha(c) != 0;
		signs += c && strchr("!@#$%^&*+~?=", c) != NULL;
	}
	return signs || digits == size || (digits && letters && size >= 6);
}

/* How many words stand in the rest of the line, four at most. */
static unsigned count_words(struct redact_scan *scan, size_t at)
{
	unsigned count = 0;

	for (; count < 4; count++) {
		size_t size;

		at = skip_blanks(scan, at);
		size = redact_at(scan, at) == '#' ? 0 : simple_word(scan, at);
		if (!size)
			break;
		at += size;
	}
	return count;
}

/* "is ", "has been set to " … at at: where what comes behind begins; at if none stands there. */
static size_t skip_verb(const struct redact_scan *scan, size_t at)
{
	/* Longer ones before those that they begin with. */
	static const char *const verbs[] = {
	    "is now ",     "is set to ", "is ",     "was set to ",      "was changed to ",
	    "was ",        "to ",        "set to ", "has been set to ", "has been changed to ",
	    "changed to ", "will be ",
	};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (redact_starts(scan, at, verbs[i]))
			return skip_blanks(scan, at + strlen(verbs[i]));
	return at;
}

/* "password is x", "password for bob: x", "password of the disk is x" */
static size_t skip_link(const struct redact_scan *scan, size_t at)
{
	size_t behind = skip_verb(scan, at);

	if (behind > at)
		return behind;
	if (!redact_starts(scan, at, "for ") && !redact_starts(scan, at, "of "))
		return at;
	for (size_t i = at; i < at + 80 && i < scan->size && scan->text[i] != '\n'; i++) {
		if (scan->text[i] == ':' && redact_is_blank(redact_at(scan, i + 1)))
			return skip_blanks(scan, i + 1);
		behind = redact_is_blank(scan->text[i]) ? skip_verb(scan, i + 1) : 0;
		if (behind > i + 1)
			return behind;
	}
	return redact_starts(scan, at, "of ") ? skip_blanks(scan, at + strlen("of ")) : at;
}

/* An option's argument. One that has the form of an option is none: the name was a flag. */
static struct redact_cut option_value(struct redact_scan *scan, const struct name *name)
{
	size_t at = name->behind + 1, end;
	bool flag;

	if (!scan->arguments)
		at = skip_blanks(scan, at);
	for (end = at; end < scan->size && scan->text[end] == '-'; end++)
		;
	flag = end > at;
	for (; flag && end < scan->size && !isspace((unsigned char)scan->text[end]) &&
	       scan->text[end];
	     end++)
		flag = islower((unsigned char)scan->text[end]) || strchr("-=", scan->text[end]) ||
		       end == at + 1;
	if (flag)
		return (struct redact_cut){0};
	return cut_value(scan, name, at, scan->arguments ? FORM_ARGUMENT : FORM_WORD);
}

static struct redact_cut spaced(struct redact_scan *scan, const struct name *name)
{
	size_t at = skip_blanks(scan, name->behind), size;
	struct redact_cut cut = {.at = at, .kind = REDACT_SECRET};
	unsigned words;

	if (name->quoted || at == name->behind || name->class > CLASS_STRONG ||
	    (name->class == CLASS_WEAK && !name->first &&
	     !(class_of_two(scan, name) == CLASS_STRONG && skip_verb(scan, at) > at)))
		return cut;
	/* GRUB's "password USER PLAIN" and "password_pbkdf2 USER HASH"; "psk VALUE" of other files.
	 */
	words = name->first && name->class == CLASS_STRONG ? count_words(scan, at) : 0;
	if (words == 1 || (words == 2 && islower((unsigned char)scan->text[name->at])) ||
	    (words == 3 && redact_starts(scan, at, "--"))) {
		cut.size = redact_value(scan, at, FORM_LINE);
		if (redact_is_plain(scan, at, cut.size, CLASS_STRONG))
			cut.size = 0;
		return cut;
	}
	cut.at = skip_link(scan, at);
	size = simple_word(scan, cut.at);
	cut.size = looks_secret(scan, cut.at, size) ? size : 0;
	return cut;
}

/* ---- A value in parentheses, and of an option of one letter ---- */

/* "password(x)": what is quoted, or looks secret. */
static struct redact_cut called(struct redact_scan *scan, const struct name *name)
{
	struct redact_cut cut = {.at = name->behind + 1, .kind = REDACT_SECRET};
	size_t quoted, end = cut.at;

	if (name->class != CLASS_STRONG || redact_at(scan, name->behind) != '(')
		return cut;
	quoted = redact_quoted(scan, cut.at);
	while (end < scan->size && !isspace((unsigned char)scan->text[end]) &&
	       !strchr(",)(", scan->text[end]))
		end++;
	if (quoted > 2)
		cut.size = quoted;
	else if (!quoted && redact_at(scan, end) == ')' && looks_secret(scan, cut.at, end - cut.at))
		cut.size = end - cut.at;
	return cut;
}

/* Programs whose -p is something else and takes such names. */
static bool is_innocent(const struct redact_scan *scan)
{
	static const char *const programs[] = {"mkdir", "cp", "install", "tar", "rmdir", "git"};
	size_t size = scan->last_end - scan->last_word;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (size == strlen(programs[i]) &&
		    !memcmp(scan->text + scan->last_word, programs[i], size))
			return true;
	return false;
}

/* "-p x" of a program that is not known: only what has letters and digits, and is no path or port.
 */
static struct redact_cut letter_value(struct redact_scan *scan, const struct name *name)
{
	struct redact_cut cut = {.at = name->end + 1, .kind = REDACT_SECRET};
	size_t digits = 0, letters = 0, end = cut.at;

	if (name->end - name->at != 1 || scan->text[name->at] != 'p' || !name->dashed ||
	    scan->text[name->at - 1] != '-' || (name->at > 1 && scan->text[name->at - 2] == '-') ||
	    is_innocent(scan) ||
	    !(redact_is_blank(redact_at(scan, name->end)) ||
	      (scan->arguments && name->end < scan->size && !scan->text[name->end])))
		return cut;
	for (; end < scan->size && scan->text[end] && !isspace((unsigned char)scan->text[end]);
	     end++) {
		if (strchr("/.:,=", scan->text[end]))
			return cut;
		digits += isdigit((unsigned char)scan->text[end]) != 0;
		letters += isalpha((unsigned char)scan->text[end]) != 0;
	}
	if (digits && letters && end - cut.at >= 6 && scan->text[cut.at] != '[')
		cut.size = end - cut.at;
	return cut;
}

/* ---- */

static bool is_taken(const struct redact_scan *scan, enum redact_class class)
{
	return class != CLASS_NONE && (scan->people || class < CLASS_USER);
}

/* Where a secret's name is a value, its own value comes under the name "value", or in <string>. */
static void note_pair(struct redact_scan *scan, const struct name *name)
{
	size_t at = name->at;
	char before;

	if (!is_taken(scan, name->class))
		return;
	while (at > scan->line && strchr("\"' \t-\\", redact_before(scan, at)))
		at--;
	before = redact_before(scan, at);
	if (before == '=' || before == ':' || before == '>' || redact_at(scan, name->end) == ',')
		scan->pair_end = name->end + PAIR_MAX;
	/* <entry name='serial'>…</entry> */
	if (before == '=' && scan->in_tag)
		scan->secret_tag = true;
}

/* The name of an element: what stands between it and the next '<' is its value. */
static bool note_tag(struct redact_scan *scan, const struct name *name)
{
	size_t at = name->at;
	static const char *const values[] = {"string", "value", "data"};
	bool is_value = false;

	if (!scan->in_tag)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		is_value = is_value || (name->end - name->at == strlen(values[i]) &&
					redact_starts(scan, name->at, values[i]));
	/* <ns:name> */
	if (redact_before(scan, at) == ':' && scan->last_word < at)
		at = scan->last_word;
	if (redact_before(scan, at) != '<')
		return false;
	scan->secret_tag = name->class == CLASS_STRONG || name->class == CLASS_WEAK ||
			   name->class == CLASS_SERIAL || (is_value && name->at < scan->pair_end);
	if (scan->secret_tag)
		scan->pair_end = name->end + PAIR_MAX;
	return true;
}

struct redact_cut redact_key(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at};
	struct name name;
	size_t value;

	if (!redact_is_name(scan->text[at]) || !find_name(scan, at, &name))
		return cut;
	redact_see_program(scan, at, name.end - at);
	if (note_tag(scan, &name))
		goto out;
	if (is_taken(scan, name.class)) {
		cut = assigned(scan, &name);
		value = name.behind;
		if (!cut.size && name.dashed && name.class <= CLASS_STRONG &&
		    (redact_at(scan, value) == ' ' || (scan->arguments && !redact_at(scan, value))))
			cut = option_value(scan, &name);
		if (!cut.size)
			cut = called(scan, &name);
		if (!cut.size && !separator(scan, skip_blanks(scan, value)))
			cut = spaced(scan, &name);
	} else if (name.class == CLASS_NONE) {
		cut = letter_value(scan, &name);
	}
	if (!cut.size)
		note_pair(scan, &name);
out:
	scan->last_word = name.at;
	scan->last_end = name.end;
	return cut;
}

struct redact_cut redact_content(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_SECRET};
	size_t end;

	scan->secret_tag = false;
	scan->in_tag = false;
	if (at >= 2 && scan->text[at - 2] == '/')
		return cut;
	if (redact_starts(scan, at, "<![CDATA["))
		cut.at = at + strlen("<![CDATA[");
	end = redact_next(scan, MARK_LESS, cut.at);
	while (cut.at > at && end < scan->size && redact_at(scan, end + 1) != '/')
		end = redact_next(scan, MARK_LESS, end + 1);
	if (end - cut.at > CONTENT_MAX)
		end = cut.at + CONTENT_MAX;
	for (cut.size = end - cut.at; cut.size && isspace((unsigned char)scan->text[cut.at]);
	     cut.size--)
		cut.at++;
	if (redact_begins_plain(scan, cut.at, CLASS_STRONG))
		cut.size = 0;
	/* <key>password</key><string>…</string>: what was said is a name. */
	if (cut.size && cut.size < 64 &&
	    redact_name_class(scan->words, scan->text + cut.at, cut.size) != CLASS_NONE) {
		scan->pair_end = end + PAIR_MAX;
		cut.size = 0;
	}
	return cut;
}
