/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PCRE2 backtracks: for "a.*b" it would look for b behind each a, which takes quadratic time where
 * a text has many of them and no b. So each pattern is split at its ".*" into parts, and within a
 * line each part is looked for behind the end of the one before. What is left to backtrack over is
 * short.
 *
 * A pass for each pattern would be slow: lines are searched for a word of each, for all in one pass
 * (literals.h), and for the patterns alone whose word they have.
 */
#include "config.h"

#ifdef HAVE_PCRE2
#define PCRE2_CODE_UNIT_WIDTH 8

#include "core/array.h"
#include "core/library.h"
#include "doctor/story/literals.h"
#include "doctor/story/match_engines.h"

#include <assert.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_FUNCTIONS(FUNCTION)                                                                  \
	FUNCTION(pcre2_code_free_8)                                                                \
	FUNCTION(pcre2_compile_8)                                                                  \
	FUNCTION(pcre2_compile_context_create_8)                                                   \
	FUNCTION(pcre2_compile_context_free_8)                                                     \
	FUNCTION(pcre2_get_error_message_8)                                                        \
	FUNCTION(pcre2_get_ovector_pointer_8)                                                      \
	FUNCTION(pcre2_jit_compile_8)                                                              \
	FUNCTION(pcre2_match_8)                                                                    \
	FUNCTION(pcre2_match_data_create_8)                                                        \
	FUNCTION(pcre2_match_data_free_8)                                                          \
	FUNCTION(pcre2_set_newline_8)

struct pcre2_library {
	void *handle;
	PCRE2_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct pcre2_library, name)
static const struct library_function functions[] = {PCRE2_FUNCTIONS(FUNCTION)};
LIBRARY(libpcre2, functions, "libpcre2-8.so.0", "reading logs",
	"libpcre2-8-0 (Debian, Ubuntu) or pcre2 (Fedora)");
static_assert(PCRE2_MAJOR == 10, "the SONAME is of another version");

#define PARTS_MAX 4

/* An alternative of a pattern, or a whole one without ".*". */
struct alternative {
	size_t pattern;
	pcre2_code *parts[PARTS_MAX];
	size_t count;
	char word[LITERAL_MOST]; /* a line with a match has it */
	size_t word_size;
	uint64_t tried; /* in which line */
};

struct pcre2 {
	struct matcher matcher;
	struct pcre2_library lib;
	pcre2_compile_context *context;
	pcre2_match_data *data;
	struct alternative *alternatives;
	size_t count, capacity;
	struct literals literals; /* the words of the alternatives, by their numbers */
	uint64_t lines;
};

static void destroy(struct matcher *matcher)
{
	struct pcre2 *pcre2 = (struct pcre2 *)matcher;

	for (size_t i = 0; i < pcre2->count; i++)
		for (size_t j = 0; j < pcre2->alternatives[i].count; j++)
			pcre2->lib.pcre2_code_free_8(pcre2->alternatives[i].parts[j]);
	free(pcre2->alternatives);
	literals_deinit(&pcre2->literals);
	if (pcre2->lib.handle) {
		pcre2->lib.pcre2_match_data_free_8(pcre2->data);
		pcre2->lib.pcre2_compile_context_free_8(pcre2->context);
	}
	library_unload(&pcre2->lib.handle);
	free(pcre2);
}

/* ---- Compiling ---- */

/* The length up to what ends a part: ".*" or "|" outside of groups and classes, or the end. */
static size_t part_length(const char *pattern)
{
	unsigned depth = 0;
	bool in_class = false;
	size_t at;

	for (at = 0; pattern[at]; at++) {
		char c = pattern[at];

		if (!in_class && !depth && (c == '|' || (c == '.' && pattern[at + 1] == '*')))
			break;
		if (c == '\\' && pattern[at + 1])
			at++;
		else if (in_class)
			in_class = c != ']';
		else if (c == '[')
			in_class = true;
		else if (c == '(')
			depth++;
		else if (c == ')' && depth)
			depth--;
	}
	return at;
}

static struct nunchi_error *compile_part(struct pcre2 *pcre2, struct alternative *alternative,
					 const char *part, size_t length)
{
	PCRE2_UCHAR8 text[160] = "";
	char word[LITERAL_MOST];
	size_t size = literal_of(part, length, word);
	PCRE2_SIZE offset;
	pcre2_code *code;
	int error;

	if (alternative->count == PARTS_MAX)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "a rule has more than %d parts",
				    PARTS_MAX);
	code = pcre2->lib.pcre2_compile_8((PCRE2_SPTR8)part, length, PCRE2_MULTILINE, &error,
					  &offset, pcre2->context);
	if (!code) {
		pcre2->lib.pcre2_get_error_message_8(error, text, sizeof(text));
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "PCRE2 cannot compile the rules: %s",
				    (const char *)text);
	}
	/* Where code must not be made while a program runs, PCRE2 interprets the pattern. */
	pcre2->lib.pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE);
	alternative->parts[alternative->count++] = code;
	if (size > alternative->word_size) {
		memcpy(alternative->word, word, size);
		alternative->word_size = size;
	}
	return NULL;
}

/* Compiles the parts of an alternative, and moves *pattern behind it. */
static struct nunchi_error *
compile_alternative(struct pcre2 *pcre2, struct alternative *alternative, const char **pattern)
{
	for (;;) {
		size_t length = part_length(*pattern);
		struct nunchi_error *err = compile_part(pcre2, alternative, *pattern, length);

		*pattern += length;
		if (err || **pattern != '.')
			return err;
		*pattern += strlen(".*");
	}
}

static struct nunchi_error *compile_pattern(struct pcre2 *pcre2, size_t id, const char *pattern)
{
	const char *whole = pattern;

	for (;;) {
		struct nunchi_error *err;

		if (!ARRAY_RESERVE(pcre2->alternatives, pcre2->count, pcre2->capacity, 1))
			return &error_nomem;
		pcre2->alternatives[pcre2->count] = (struct alternative){.pattern = id};
		err = compile_alternative(pcre2, &pcre2->alternatives[pcre2->count++], &pattern);
		if (!err && !pcre2->alternatives[pcre2->count - 1].word_size)
			err = error_create(NUNCHI_ERROR_UNSUPPORTED, "no word is in: %s", whole);
		if (err || *pattern != '|')
			return err;
		pattern++;
	}
}

static struct nunchi_error *gather_words(struct pcre2 *pcre2)
{
	char(*words)[LITERAL_MOST] = calloc(pcre2->count, sizeof(*words));
	size_t *sizes = calloc(pcre2->count, sizeof(*sizes));
	bool done = words && sizes;

	for (size_t i = 0; done && i < pcre2->count; i++) {
		memcpy(words[i], pcre2->alternatives[i].word, pcre2->alternatives[i].word_size);
		sizes[i] = pcre2->alternatives[i].word_size;
	}
	done = done && literals_init(&pcre2->literals, words, sizes, pcre2->count);
	free(words);
	free(sizes);
	return done ? NULL : &error_nomem;
}

static struct nunchi_error *create(const char *const *patterns, size_t count, struct matcher **ret)
{
	struct pcre2 *pcre2 = calloc(1, sizeof(*pcre2));
	struct nunchi_error *err;

	if (!pcre2)
		return &error_nomem;
	pcre2->matcher.engine = &match_pcre2;
	err = library_load(&libpcre2, &pcre2->lib, &pcre2->lib.handle);
	if (!err) {
		pcre2->context = pcre2->lib.pcre2_compile_context_create_8(NULL);
		pcre2->data = pcre2->lib.pcre2_match_data_create_8(1, NULL);
		if (!pcre2->context || !pcre2->data)
			err = &error_nomem;
		else
			pcre2->lib.pcre2_set_newline_8(pcre2->context, PCRE2_NEWLINE_LF);
	}
	for (size_t i = 0; i < count && !err; i++)
		err = compile_pattern(pcre2, i, patterns[i]);
	if (!err)
		err = gather_words(pcre2);
	if (err)
		destroy(&pcre2->matcher);
	else
		*ret = &pcre2->matcher;
	return err;
}

/* ---- Matching ---- */

/* Looks for the code from *at on, and moves *at to the end of what it matches. */
static bool find(const struct pcre2 *pcre2, const pcre2_code *code, const char *text, size_t size,
		 size_t *at)
{
	if (pcre2->lib.pcre2_match_8(code, (PCRE2_SPTR8)text, size, *at, 0, pcre2->data, NULL) < 0)
		return false;
	*at = pcre2->lib.pcre2_get_ovector_pointer_8(pcre2->data)[1];
	return true;
}

/* A pass over the text to learn that costs as much as the search of its lines. */
static bool any(struct matcher *matcher, const char *text, size_t size)
{
	(void)matcher;
	(void)text;
	return size > 0;
}

static void try(struct pcre2 *pcre2, struct alternative *alternative, const char *text, size_t size,
		bool *matched)
{
	size_t at = 0, part = 0;

	if (matched[alternative->pattern] || alternative->tried == pcre2->lines)
		return;
	alternative->tried = pcre2->lines;
	while (part < alternative->count && find(pcre2, alternative->parts[part], text, size, &at))
		part++;
	matched[alternative->pattern] = part == alternative->count;
}

static void line(struct matcher *matcher, const char *text, size_t size, bool *matched)
{
	struct pcre2 *pcre2 = (struct pcre2 *)matcher;
	const struct literals *literals = &pcre2->literals;
	uint32_t state = 0;

	pcre2->lines++;
	for (size_t i = 0; i < size; i++) {
		state = literals_step(literals, state, (unsigned char)text[i]);
		for (unsigned word = literals_end(literals, state); word;
		     word = literals->also[word - 1])
			try(pcre2, &pcre2->alternatives[word - 1], text, size, matched);
	}
}

const struct match_engine match_pcre2 = {"PCRE2", create, destroy, any, line};
#endif
