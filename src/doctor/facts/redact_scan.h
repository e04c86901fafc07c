/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of redact() share. redact.c goes over a text once. At each place it asks the
 * others what begins there: redact_key.c for a name and its value, by the grammars in which those
 * are written; redact_token.c for what is a secret by its own form; redact_number.c for numbers
 * that are of one machine alone; redact_people.c for names. No file may look at a byte more than a
 * fixed number of times: what has no bound of its own is remembered in struct redact_scan.
 */
#ifndef NUNCHI_DOCTOR_FACTS_REDACT_SCAN_H
#define NUNCHI_DOCTOR_FACTS_REDACT_SCAN_H

#include "doctor/facts/redact.h"

#include <ctype.h>
#include <string.h>

/* What redact_next() looks for. */
enum redact_mark {
	MARK_DOUBLE_QUOTE,
	MARK_SINGLE_QUOTE,
	MARK_BACK_QUOTE,
	MARK_LESS,
	MARK_KEY_END,
	MARK_SSH_KEY_END
};
#define REDACT_MARKS 6

struct redact_program;

/* What is looked for, so arranged that most places of a text need one look. */
#define REDACT_SLOTS  1024u
#define REDACT_BEGINS 1024u
struct redact_words {
	/* The words of redact_name.c, by their hash. */
	struct {
		const char *text;
		unsigned char size, group;
	} slots[REDACT_SLOTS];
	/* By the first two bytes: what may begin with them. */
	unsigned char begins[REDACT_BEGINS];
};

/* Bits of begins[]. */
#define BEGINS_TOKEN   1u
#define BEGINS_PROGRAM 2u
#define BEGINS_STORAGE 4u

static inline unsigned redact_begin(char first, char second)
{
	return ((unsigned)tolower((unsigned char)first) * 33u ^
		(unsigned)tolower((unsigned char)second)) %
	       REDACT_BEGINS;
}

struct redact_scan {
	const char *text;
	size_t size;
	bool arguments; /* NULs end what otherwise ends with a blank */
	const struct redact_people *people;
	const struct redact_words *words;

	/* Of the line that is gone over. */
	size_t line;                          /* where it begins */
	size_t first;                         /* its first byte that is no blank */
	size_t last_word;                     /* where the word before began … */
	size_t last_end;                      /* … and ended */
	char quote;                           /* the quote that is open, or 0 */
	bool in_tag;                          /* between < and > */
	bool secret_tag;                      /* of an element whose content is a secret */
	const struct redact_program *program; /* whose arguments these are, or NULL */

	size_t pair_end; /* up to here the key "value" has a secret: its name was said before */
	size_t next[REDACT_MARKS];   /* where each mark stands next; valid if >= the place asked */
	size_t host_start, host_end; /* the word behind "://" looked at last … */
	size_t host_at;              /* … and its last '@', or 0 */
};

/* What is taken out. */
struct redact_cut {
	size_t at, size; /* size 0: nothing */
	enum redact_kind kind;
};

/* Bytes of which names are made. Those from 0x80 are letters of UTF-8. */
static inline bool redact_is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' ||
	       (unsigned char)c >= 0x80;
}

static inline bool redact_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The byte there, or 0 behind the end. */
static inline char redact_at(const struct redact_scan *scan, size_t at)
{
	return at < scan->size ? scan->text[at] : '\0';
}

/* Whether what has this bit may begin there. */
static inline bool redact_may_begin(const struct redact_scan *scan, size_t at, unsigned bit)
{
	return scan->words->begins[redact_begin(redact_at(scan, at), redact_at(scan, at + 1))] &
	       bit;
}

/* The byte before; a newline at the beginning. */
static inline char redact_before(const struct redact_scan *scan, size_t at)
{
	return at ? scan->text[at - 1] : '\n';
}

/* Whether the text there begins with the word, whatever the case of its letters. */
static inline bool redact_starts(const struct redact_scan *scan, size_t at, const char *word)
{
	size_t size;

	if (at >= scan->size ||
	    tolower((unsigned char)scan->text[at]) != tolower((unsigned char)*word))
		return false;
	size = strlen(word);
	return scan->size - at >= size && !strncasecmp(scan->text + at, word, size);
}

/* Where the mark stands at or behind from; the text's size if nowhere. */
size_t redact_next(struct redact_scan *scan, enum redact_mark mark, size_t from);

/* ---- redact_name.c: what a name speaks of ---- */

enum redact_class {
	CLASS_NONE,
	CLASS_WEAK, /* "key", "auth": may hold a secret */
	CLASS_STRONG,
	CLASS_SERIAL,
	CLASS_ID,
	CLASS_HARDWARE, /* MAC addresses, WWNs */
	CLASS_USER,
	CLASS_HOST
};

/* Sets the words; the next three, what begins with which bytes. */
void redact_words_init(struct redact_words *words);
void redact_programs_init(struct redact_words *words);
void redact_tokens_init(struct redact_words *words);
void redact_storage_init(struct redact_words *words);
/* The name may have blanks and slashes between its words. */
enum redact_class redact_name_class(const struct redact_words *words, const char *name,
				    size_t size);

/* ---- redact_value.c: how far a value goes ---- */

enum redact_form {
	FORM_WORD,     /* a word of a command line, with the shell's quotes */
	FORM_ARGUMENT, /* to the NUL that ends an argument */
	FORM_LINE,     /* the rest of the line, and of lines that continue it */
	FORM_CLAUSE,   /* to the next comma or semicolon that ends a clause */
	FORM_FLOW,     /* to the next comma or bracket, as a number in JSON */
	FORM_LIST,     /* to the next semicolon */
	FORM_QUERY     /* to the next '&' of a URL */
};

/* The size of the value. */
size_t redact_value(struct redact_scan *scan, size_t at, enum redact_form form);
/* The size of what stands between quotes there, with them; 0 if nothing does on this line. */
size_t redact_quoted(struct redact_scan *scan, size_t at);
/* The size of the identifier there, with its quotes: 160 bytes at most. */
size_t redact_identifier(const struct redact_scan *scan, size_t at);
/* Whether the value says whether there is a secret, or where a device is, and holds no secret. */
bool redact_is_plain(const struct redact_scan *scan, size_t at, size_t size,
		     enum redact_class class);
/* The same by its beginning, before it is known how far it goes. */
bool redact_begins_plain(const struct redact_scan *scan, size_t at, enum redact_class class);

/* ---- redact_key.c: a name and its value ---- */

struct redact_cut redact_key(struct redact_scan *scan, size_t at);
/* The content of an element whose name is a secret's, which begins at at. */
struct redact_cut redact_content(struct redact_scan *scan, size_t at);

/* ---- redact_program.c: options of one letter, and directives without a name for the secret ----
 */

/* Notes that a program's name, of that size, stands there. */
void redact_see_program(struct redact_scan *scan, size_t at, size_t size);
struct redact_cut redact_program(struct redact_scan *scan, size_t at);

/* ---- redact_token.c ---- */

/* A key block from its BEGIN to its END: its size, 0 if it is none. */
size_t redact_key_block(struct redact_scan *scan, size_t at);
struct redact_cut redact_token(struct redact_scan *scan, size_t at);
/* "USER:PASSWORD@" behind the "://" that begins there. */
struct redact_cut redact_url(struct redact_scan *scan, size_t at);

/* ---- redact_number.c ---- */

struct redact_cut redact_number(struct redact_scan *scan, size_t at);
/* A UUID that is the same on all machines of a kind. */
bool redact_is_public(const struct redact_scan *scan, size_t at);

/* ---- redact_people.c ---- */

struct redact_cut redact_person(struct redact_scan *scan, size_t at);

#endif
