/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/grub_vars.h"

#include "core/buffer.h"

#include <string.h>

/* More than these no such files have; they bound what hostile ones cost. */
#define VARS_MAX     1024
#define VALUE_MAX    65536
#define EXPANDED_MAX (4u << 20) /* bytes of values put in for $NAME, in all files */
/* Words that change what follows are shorter. */
#define KEYWORD_MAX 16

struct grub_vars {
	struct grub_var *vars;
	size_t count;
	size_t expanded; /* counted against EXPANDED_MAX */
	char *opaque_file;
	unsigned opaque_line;
};

struct scanner {
	struct grub_vars *vars;
	const char *file;
	const char *at, *end;
	unsigned line;
	unsigned depth; /* of conditions and loops */
	bool first;     /* the next word begins a command */
	bool maybe;     /* which may not be done */
};

struct nunchi_error *grub_vars_create(struct grub_vars **ret)
{
	struct grub_vars *vars = calloc(1, sizeof(*vars));

	if (!vars)
		return &error_nomem;
	*ret = vars;
	return NULL;
}

static void clear_var(struct grub_var *var)
{
	free((char *)var->name);
	free((char *)var->value);
	free((char *)var->file);
}

void grub_vars_destroy(struct grub_vars *vars)
{
	if (!vars)
		return;
	for (size_t i = 0; i < vars->count; i++)
		clear_var(&vars->vars[i]);
	free(vars->vars);
	free(vars->opaque_file);
	free(vars);
}

const struct grub_var *grub_vars_find(const struct grub_vars *vars, const char *name)
{
	for (size_t i = 0; i < vars->count; i++)
		if (!strcmp(vars->vars[i].name, name))
			return &vars->vars[i];
	return NULL;
}

size_t grub_vars_count(const struct grub_vars *vars)
{
	return vars->count;
}

const struct grub_var *grub_vars_get(const struct grub_vars *vars, size_t i)
{
	return &vars->vars[i];
}

const char *grub_vars_opaque(const struct grub_vars *vars, unsigned *ret_line)
{
	if (vars->opaque_file)
		*ret_line = vars->opaque_line;
	return vars->opaque_file;
}

/* ---- Setting --------------------------------------------------------------------------------- */

/* A place for the variable: its old one, emptied but for the name, or a new one. */
static struct nunchi_error *place(struct grub_vars *vars, const char *name, size_t length,
				  struct grub_var **ret)
{
	struct grub_var *more;
	char *copy;

	for (size_t i = 0; i < vars->count; i++)
		if (strlen(vars->vars[i].name) == length &&
		    !memcmp(vars->vars[i].name, name, length)) {
			*ret = &vars->vars[i];
			return NULL;
		}
	if (vars->count == VARS_MAX)
		return error_create(NUNCHI_ERROR_DATA, "sets more than %d variables", VARS_MAX);
	more = realloc(vars->vars, (vars->count + 1) * sizeof(*more));
	if (!more)
		return &error_nomem;
	vars->vars = more;
	copy = strndup(name, length);
	if (!copy)
		return &error_nomem;
	more[vars->count] = (struct grub_var){.name = copy};
	*ret = &more[vars->count++];
	return NULL;
}

static struct nunchi_error *set(struct scanner *s, const char *name, size_t length,
				const char *value, unsigned line, bool exact)
{
	struct nunchi_error *err;
	struct grub_var *var = NULL;
	char *value_copy = strdup(value), *file_copy = strdup(s->file);

	err = value_copy && file_copy ? place(s->vars, name, length, &var) : &error_nomem;
	if (err) {
		free(value_copy);
		free(file_copy);
		return err;
	}
	free((char *)var->value);
	free((char *)var->file);
	var->value = value_copy;
	var->file = file_copy;
	var->line = line;
	var->exact = exact && !s->depth && !s->maybe && !s->vars->opaque_file;
	return NULL;
}

static struct nunchi_error *make_opaque(struct scanner *s)
{
	if (s->vars->opaque_file)
		return NULL;
	s->vars->opaque_file = strdup(s->file);
	if (!s->vars->opaque_file)
		return &error_nomem;
	s->vars->opaque_line = s->line;
	for (size_t i = 0; i < s->vars->count; i++)
		s->vars->vars[i].exact = false;
	return NULL;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_part(char c)
{
	return is_name_start(c) || (c >= '0' && c <= '9');
}

static size_t name_length(const char *at, const char *end)
{
	size_t length = 0;

	if (at < end && is_name_start(*at))
		while (at + length < end && is_name_part(at[length]))
			length++;
	return length;
}

static bool ends_word(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == ';' || c == '&' || c == '|' || c == '(' ||
	       c == ')' || c == '<' || c == '>';
}

static void append_variable(const struct scanner *s, const char *name, size_t length,
			    struct buffer *out, bool *exact)
{
	_cleanup_free_ char *copy = strndup(name, length);
	const struct grub_var *var = copy ? grub_vars_find(s->vars, copy) : NULL;

	/* grub-mkconfig has variables of its own when it sources these files; not of these names.
	 */
	if (!copy || (!var && strncmp(copy, "GRUB_CMDLINE_", 13) && strncmp(copy, "XEN_", 4)))
		*exact = false;
	if (!var)
		return;
	s->vars->expanded += strlen(var->value);
	if (s->vars->expanded <= EXPANDED_MAX)
		buffer_append_string(out, var->value);
	if (!var->exact)
		*exact = false;
}

/* Skips a command's output: `…` or $(…), where nested ones count. */
static void skip_command(struct scanner *s, char closing)
{
	unsigned depth = 1;

	while (s->at < s->end && depth) {
		char c = *s->at++;

		if (c == '\n')
			s->line++;
		else if (c == '\\' && s->at < s->end)
			s->at++;
		else if (c == closing)
			depth--;
		else if (c == '(' && closing == ')')
			depth++;
	}
}

/* After a '$'. */
static void take_dollar(struct scanner *s, struct buffer *out, bool *exact)
{
	size_t length;

	if (s->at < s->end && *s->at == '(') {
		s->at++;
		skip_command(s, ')');
		*exact = false;
		return;
	}
	if (s->at < s->end && *s->at == '{') {
		const char *name = s->at + 1;
		const char *close = memchr(name, '}', (size_t)(s->end - name));

		length = name_length(name, s->end);
		if (close && length && name + length == close)
			append_variable(s, name, length, out, exact);
		else
			*exact = false; /* ${NAME:-…} and the like */
		for (const char *c = s->at; close && c < close; c++)
			s->line += *c == '\n';
		s->at = close ? close + 1 : s->end;
		return;
	}
	length = name_length(s->at, s->end);
	if (!length) {
		buffer_append_char(out, '$');
		/* $1, $? … */
		if (s->at < s->end && *s->at != '"' && !ends_word(*s->at))
			*exact = false;
		return;
	}
	append_variable(s, s->at, length, out, exact);
	s->at += length;
}

static void take_single(struct scanner *s, struct buffer *out)
{
	while (s->at < s->end && *s->at != '\'') {
		s->line += *s->at == '\n';
		buffer_append_char(out, *s->at++);
	}
	if (s->at < s->end)
		s->at++;
}

static void take_double(struct scanner *s, struct buffer *out, bool *exact)
{
	while (s->at < s->end && *s->at != '"') {
		char c = *s->at++;

		if (c == '\n')
			s->line++;
		if (c == '$') {
			take_dollar(s, out, exact);
		} else if (c == '`') {
			skip_command(s, '`');
			*exact = false;
		} else if (c == '\\' && s->at < s->end && strchr("$`\"\\\n", *s->at) && *s->at) {
			if (*s->at == '\n')
				s->line++;
			else
				buffer_append_char(out, *s->at);
			s->at++;
		} else {
			buffer_append_char(out, c);
		}
	}
	if (s->at < s->end)
		s->at++;
}

/* One word, its quotes taken away and its variables put in. */
static void take_word(struct scanner *s, struct buffer *out, bool *exact)
{
	while (s->at < s->end && !ends_word(*s->at)) {
		char c = *s->at++;

		if (c == '\'') {
			take_single(s, out);
		} else if (c == '"') {
			take_double(s, out, exact);
		} else if (c == '$') {
			take_dollar(s, out, exact);
		} else if (c == '`') {
			skip_command(s, '`');
			*exact = false;
		} else if (c == '\\' && s->at < s->end) {
			if (*s->at == '\n')
				s->line++;
			else
				buffer_append_char(out, *s->at);
			s->at++;
		} else if (c) {
			buffer_append_char(out, c);
		}
	}
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void skip_blanks(struct scanner *s)
{
	while (s->at < s->end) {
		if (*s->at == ' ' || *s->at == '\t' || *s->at == '\r') {
			s->at++;
		} else if (*s->at == '\\' && s->end - s->at > 1 && s->at[1] == '\n') {
			s->at += 2;
			s->line++;
		} else {
			break;
		}
	}
}

static void skip_comment(struct scanner *s)
{
	while (s->at < s->end && *s->at != '\n')
		s->at++;
}

/* NAME=word. The words that follow tell whether it is one: NAME=word command sets nothing. */
static struct nunchi_error *take_assignment(struct scanner *s, size_t length)
{
	_cleanup_buffer_ struct buffer value;
	const char *name = s->at;
	unsigned line = s->line;
	bool exact = true;

	buffer_init(&value, VALUE_MAX);
	s->at += length + 1;
	take_word(s, &value, &exact);
	skip_blanks(s);
	if (s->at < s->end && *s->at != '\n' && *s->at != ';' && *s->at != '#')
		exact = false;
	if (value.no_memory)
		return &error_nomem;
	if (value.failed)
		return error_create(NUNCHI_ERROR_DATA, "line %u: a value longer than %d bytes",
				    line, VALUE_MAX);
	return set(s, name, length, buffer_string(&value), line, exact);
}

static bool one_of(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

/* A word that is no assignment: what it does to those that follow, and to the variables. */
static struct nunchi_error *take_other(struct scanner *s)
{
	static const char *const deeper[] = {"if", "case", "for", "while", "until", "{"};
	static const char *const back[] = {"fi", "esac", "done", "}"};
	static const char *const before[] = {"if",   "while", "until", "then", "do",
					     "else", "elif",  "{",     "!"};
	static const char *const opaque[] = {".",    "source", "eval", "unset",
					     "read", "return", "exit", "exec"};
	_cleanup_buffer_ struct buffer word;
	const char *start = s->at;
	bool exact = true, first = s->first;
	const char *keyword;

	buffer_init(&word, KEYWORD_MAX);
	take_word(s, &word, &exact);
	if (word.no_memory)
		return &error_nomem;
	keyword = word.failed ? "" : buffer_string(&word);
	s->first = false;
	if (s->at == start)
		s->at++; /* ( ) < > */
	if (!first)
		return NULL;
	s->first = one_of(keyword, before, ARRAY_SIZE(before));
	if (one_of(keyword, deeper, ARRAY_SIZE(deeper)))
		s->depth++;
	else if (one_of(keyword, back, ARRAY_SIZE(back)) && s->depth)
		s->depth--;
	else if (one_of(keyword, opaque, ARRAY_SIZE(opaque)))
		return make_opaque(s);
	return NULL;
}

/* Whether an assignment stands here, possibly behind "export"; s->at is then at its name. */
static size_t assignment_here(struct scanner *s)
{
	size_t length;

	if (s->end - s->at > 7 && !memcmp(s->at, "export", 6) &&
	    (s->at[6] == ' ' || s->at[6] == '\t')) {
		s->at += 7;
		skip_blanks(s);
	}
	length = name_length(s->at, s->end);
	return length && s->end - s->at > (ptrdiff_t)length && s->at[length] == '=' ? length : 0;
}

/* The end of a command; what follows && and || may not be done. */
static void take_separator(struct scanner *s)
{
	s->maybe = *s->at == '&' || *s->at == '|';
	s->line += *s->at == '\n';
	s->at++;
	s->first = true;
}

struct nunchi_error *grub_vars_read(struct grub_vars *vars, const char *file, const char *text,
				    size_t size)
{
	struct scanner s = {
	    .vars = vars, .file = file, .at = text, .end = text + size, .line = 1, .first = true};

	while (s.at < s.end) {
		struct nunchi_error *err = NULL;
		size_t length;

		skip_blanks(&s);
		if (s.at == s.end)
			break;
		if (*s.at == '#')
			skip_comment(&s);
		else if (*s.at == '\n' || *s.at == ';' || *s.at == '&' || *s.at == '|')
			take_separator(&s);
		else if (s.first && (length = assignment_here(&s)))
			err = take_assignment(&s, length);
		else
			err = take_other(&s);
		if (!err && vars->expanded > EXPANDED_MAX)
			err = error_create(NUNCHI_ERROR_DATA,
					   "line %u: variables of more than %u MiB in all", s.line,
					   EXPANDED_MAX >> 20);
		if (err)
			return error_context(err, "%s", file);
	}
	return NULL;
}
