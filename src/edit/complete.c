/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "edit/complete.h"

#include "core/array.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <nunchi/nunchi.h>

/* Of statements that read; SQLite has more. */
static const char *const keywords[] = {
    "all",    "and",     "as",     "asc",       "between",  "by",           "case",
    "cast",   "collate", "cross",  "desc",      "distinct", "else",         "end",
    "escape", "except",  "exists", "explain",   "filter",   "from",         "full",
    "glob",   "group",   "having", "in",        "inner",    "intersect",    "is",
    "isnull", "join",    "left",   "like",      "limit",    "materialized", "natural",
    "not",    "notnull", "null",   "nulls",     "offset",   "on",           "or",
    "order",  "outer",   "over",   "partition", "plan",     "query",        "recursive",
    "right",  "select",  "then",   "union",     "using",    "values",       "when",
    "where",  "with",
};
static const char *const first_words[] = {"explain", "select", "values", "with"};
/* Behind one of these comes the name of a table. */
static const char *const before_tables[] = {"from", "join"};
/* Each ends the list of tables that "from" began. */
static const char *const clauses[] = {"from",  "group",  "having",   "join",  "limit",
				      "on",    "order",  "select",   "union", "using",
				      "where", "except", "intersect"};
static const char *const functions[] = {
    "abs",     "absence", "avg",    "char",    "coalesce", "count",  "format",      "group_concat",
    "hex",     "ifnull",  "iif",    "instr",   "length",   "lower",  "ltrim",       "max",
    "min",     "nullif",  "print",  "printf",  "quote",    "random", "regex_match", "regex_split",
    "replace", "round",   "rtrim",  "sign",    "split",    "substr", "sum",         "symbol",
    "total",   "trim",    "typeof", "unicode", "upper",
};

/* Names of columns that are words of SQL. */
static const char *const to_be_quoted[] = {"check", "references"};

/* ---- Tokens ---------------------------------------------------------------------------------- */

enum token_kind { TOKEN_NONE, TOKEN_WORD, TOKEN_QUOTED, TOKEN_OTHER };

struct token {
	enum token_kind kind;
	const char *at;
	size_t size;
};

static bool is_of_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static const char *skip_to(const char *at, const char *end, const char *what)
{
	const char *found = memmem(at, (size_t)(end - at), what, strlen(what));

	return found ? found + strlen(what) : NULL;
}

/* Behind blanks and comments; NULL: a comment has no end. */
static const char *skip_blanks(const char *at, const char *end)
{
	while (at && at < end) {
		if (isspace((unsigned char)*at))
			at++;
		else if (end - at >= 2 && at[0] == '-' && at[1] == '-')
			at = skip_to(at, end, "\n");
		else if (end - at >= 2 && at[0] == '/' && at[1] == '*')
			at = skip_to(at + 2, end, "*/");
		else
			break;
	}
	return at;
}

/* The next token, behind which *text stands then; NONE at the end. NULL: quotes have no end. */
static struct token next_token(const char **text, const char *end)
{
	struct token token = {.at = skip_blanks(*text, end)};
	const char *at = token.at;

	if (!at || at == end) {
		*text = at;
		return token;
	}
	if (is_of_word(*at)) {
		token.kind = TOKEN_WORD;
		while (at < end && is_of_word(*at))
			at++;
	} else if (strchr("'\"`[", *at)) {
		const char quote[2] = {*at == '[' ? ']' : *at, '\0'};

		token.kind = TOKEN_QUOTED;
		at = skip_to(at + 1, end, quote);
	} else {
		token.kind = TOKEN_OTHER;
		at++;
	}
	*text = at;
	token.size = at ? (size_t)(at - token.at) : 0;
	return token;
}

static bool is_word(const struct token *token, const char *word)
{
	return token->kind == TOKEN_WORD && token->size == strlen(word) &&
	       !strncasecmp(token->at, word, token->size);
}

static bool is_one_of(const struct token *token, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_word(token, words[i]))
			return true;
	return false;
}

static bool is_sign(const struct token *token, char sign)
{
	return token->kind == TOKEN_OTHER && *token->at == sign;
}

/* ---- Candidates ------------------------------------------------------------------------------ */

/* Where the cursor stands. */
struct place {
	const struct edit_options *options;
	struct token word;      /* what stands before it of a word; size 0: nothing */
	struct token before[3]; /* the tokens in front of that, the last one first */
	bool among_tables;      /* in a list of tables */
	const char *text;       /* the statement, with what is behind the cursor */
	struct completion *found;
};

static void offer(const struct place *place, const char *name, char after)
{
	struct completion *found = place->found;

	if (strncasecmp(name, place->word.at, place->word.size) != 0)
		return;
	if (!ARRAY_RESERVE(found->found, found->count, found->capacity, 1)) {
		found->no_memory = true;
		return;
	}
	found->found[found->count++] = (struct candidate){name, after};
}

static void offer_all(const struct place *place, const char *const *names, size_t count, char after)
{
	for (size_t i = 0; i < count; i++)
		offer(place, names[i], after);
}

static void offer_tables(const struct place *place)
{
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);

	for (size_t i = 0; i < count; i++)
		offer(place, views[i]->name, ' ');
}

static void offer_columns(const struct place *place, const struct nunchi_view *view)
{
	for (size_t i = 0; i < view->column_count; i++) {
		const char *name = view->columns[i].name;
		char after = '\0';

		for (size_t j = 0; j < ARRAY_SIZE(to_be_quoted); j++)
			after = strcmp(name, to_be_quoted[j]) ? after : '"';
		offer(place, name, after);
	}
}

static const struct nunchi_view *view_of(const struct token *token)
{
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);

	for (size_t i = 0; token->kind == TOKEN_WORD && i < count; i++)
		if (is_word(token, views[i]->name))
			return views[i];
	return NULL;
}

/* The view whose name or alias the token is: "processes p", "processes as p"; or NULL. */
static const struct nunchi_view *find_named(const struct place *place, const struct token *name)
{
	const char *at = place->text, *end = at + strlen(at);
	const struct nunchi_view *view = view_of(name), *last = NULL;

	while (!view && at && at < end) {
		struct token token = next_token(&at, end);

		if (last && token.size == name->size && token.kind == TOKEN_WORD &&
		    !strncasecmp(token.at, name->at, token.size))
			view = last;
		else if (!is_word(&token, "as"))
			last = view_of(&token);
	}
	return view;
}

/* The columns of all views that the statement names; of all if it names none. */
static void offer_columns_of_statement(const struct place *place)
{
	const char *at = place->text, *end = at + strlen(at);
	bool any = false;
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);

	while (at && at < end) {
		struct token token = next_token(&at, end);
		/* Not the word that is completed, which may look like a table. */
		const struct nunchi_view *view =
		    token.at == place->word.at ? NULL : view_of(&token);

		if (view)
			offer_columns(place, view);
		any = any || view;
	}
	for (size_t i = 0; !any && i < count; i++)
		offer_columns(place, views[i]);
}

/* Behind a period. */
static void offer_members(const struct place *place)
{
	const struct token *name = &place->before[1];
	const struct nunchi_view *view;

	for (size_t i = 0; i < place->options->schema_count && !is_sign(&place->before[2], '.');
	     i++) {
		if (is_word(name, place->options->schemas[i])) {
			offer_tables(place);
			return;
		}
	}
	view = find_named(place, name);
	if (view)
		offer_columns(place, view);
}

static void offer_for(const struct place *place)
{
	const struct token *last = &place->before[0];
	const struct edit_options *options = place->options;

	if (last->kind == TOKEN_NONE || is_sign(last, ';')) {
		offer_all(place, first_words, ARRAY_SIZE(first_words), ' ');
	} else if (is_sign(last, '.')) {
		offer_members(place);
	} else if (is_one_of(last, before_tables, ARRAY_SIZE(before_tables)) ||
		   (is_sign(last, ',') && place->among_tables)) {
		offer_tables(place);
		offer(place, "each", '(');
		offer_all(place, options->schemas, options->schema_count, '.');
	} else {
		offer_columns_of_statement(place);
		offer_all(place, functions, ARRAY_SIZE(functions), '(');
		offer_all(place, keywords, ARRAY_SIZE(keywords), ' ');
		offer_tables(place);
	}
}

/* ---- The cursor ------------------------------------------------------------------------------ */

/* The token stands before the cursor. */
static void pass(struct place *place, const struct token *token)
{
	if (!token->kind)
		return;
	memmove(&place->before[1], &place->before[0], 2 * sizeof(*token));
	place->before[0] = *token;
	if (is_one_of(token, clauses, ARRAY_SIZE(clauses)))
		place->among_tables = is_one_of(token, before_tables, ARRAY_SIZE(before_tables));
}

/* False within quotes and comments. */
static bool find_place(const char *text, size_t size, struct place *place)
{
	const char *at = text, *end = text + size;
	struct token token = {0};

	place->word.at = end;
	while (at && at < end) {
		pass(place, &token);
		token = next_token(&at, end);
	}
	if (!at)
		return false;
	if (token.kind == TOKEN_WORD && token.at + token.size == end)
		place->word = token;
	else
		pass(place, &token);
	return true;
}

/* A line that begins with a period: the command, or its argument. */
static void offer_commands(const struct place *place, const char *text)
{
	const struct edit_options *options = place->options;
	size_t size = strcspn(text, " \t");

	for (size_t i = 0; i < options->command_count; i++) {
		const struct edit_command *command = &options->commands[i];

		if (place->word.at == text) {
			offer(place, command->name, command->words || command->tables ? ' ' : '\0');
		} else if (strlen(command->name) == size && !strncmp(text, command->name, size)) {
			for (size_t j = 0; command->words && command->words[j]; j++)
				offer(place, command->words[j], '\0');
			if (command->tables)
				offer_tables(place);
		}
	}
}

static int compare(const void *left, const void *right)
{
	const struct candidate *one = left, *other = right;
	int order = strcmp(one->name, other->name);

	/* A name that is a function too: what comes behind it is not known. */
	return order ? order : (unsigned char)one->after - (unsigned char)other->after;
}

static void put_in_order(struct completion *found)
{
	size_t kept = 0;

	if (found->count)
		qsort(found->found, found->count, sizeof(*found->found), compare);
	for (size_t i = 0; i < found->count; i++)
		if (!kept || strcmp(found->found[kept - 1].name, found->found[i].name))
			found->found[kept++] = found->found[i];
	found->count = kept;
	found->common = kept ? strlen(found->found[0].name) : 0;
	for (size_t i = 1; i < kept; i++) {
		size_t same = 0;

		while (same < found->common &&
		       found->found[0].name[same] == found->found[i].name[same])
			same++;
		found->common = same;
	}
}

void complete(const struct edit_options *options, const char *text, size_t size,
	      struct completion *ret)
{
	struct place place = {.options = options, .text = text, .found = ret};
	const char *command = text + strspn(text, " \t");
	bool upper = false, lower = false;

	*ret = (struct completion){0};
	if (*command == '.' && command < text + size) {
		const char *word = text + size;

		while (word > command && !strchr(" \t", word[-1]))
			word--;
		place.word = (struct token){TOKEN_WORD, word, (size_t)(text + size - word)};
		offer_commands(&place, command);
	} else if (find_place(text, size, &place)) {
		offer_for(&place);
	}
	for (size_t i = 0; i < place.word.size; i++) {
		upper = upper || isupper((unsigned char)place.word.at[i]);
		lower = lower || islower((unsigned char)place.word.at[i]);
	}
	ret->prefix = place.word.size;
	ret->capitals = upper && !lower;
	put_in_order(ret);
}

void completion_deinit(struct completion *completion)
{
	free(completion->found);
	*completion = (struct completion){0};
}
