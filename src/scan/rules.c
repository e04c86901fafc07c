/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compiling rules, and what they are called. */
#include "scan/protocol.h"

#include "core/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the compiler says. */
struct compiling {
	const char *path;
	void (*warn)(const char *text, void *data);
	void *data;
	const YR_COMPILER *compiler;
	char *error; /* the first one, or NULL if memory ran out; owned */
	bool nomem;
};

static void hear(int level, const char *file, int line, const YR_RULE *rule, const char *message,
		 void *data)
{
	struct compiling *compiling = data;
	char *text;

	(void)rule;
	if (level == YARA_ERROR_LEVEL_ERROR) {
		/* What the compiler says after that is of no use. */
		if (compiling->compiler->last_error == ERROR_INSUFFICIENT_MEMORY)
			compiling->nomem = true;
		if (compiling->error || compiling->nomem)
			return;
	}
	if (!message[0])
		message = "libyara gives no reason; it may be that memory ran out";
	if (asprintf(&text, "%s:%d: %s", file ? file : compiling->path, line, message) < 0)
		return;
	if (level == YARA_ERROR_LEVEL_ERROR) {
		compiling->error = text;
		return;
	}
	compiling->warn(text, compiling->data);
	free(text);
}

/* Why compiled rules are refused: YARA trusts their bytes, and they need no compiler. */
static bool is_compiled(FILE *file)
{
	char magic[4];
	size_t size = fread(magic, 1, sizeof(magic), file);
	bool is = size == sizeof(magic) && !memcmp(magic, "YARA", sizeof(magic));

	/* Pushed back, since a pipe cannot be rewound. */
	while (size)
		ungetc((unsigned char)magic[--size], file);
	return is;
}

static struct nunchi_error *add_file(const struct scan_rules *rules, YR_COMPILER *compiler,
				     struct compiling *compiling)
{
	FILE *file = fopen(compiling->path, "re");
	struct nunchi_error *err = NULL;

	if (!file)
		return error_create_errno(errno, "rules file: %s", compiling->path);
	if (is_compiled(file))
		err = error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					      "%s: rules that yarac compiled are not read",
					      compiling->path),
				 "give the text of the rules");
	else if (rules->lib.yr_compiler_add_file(compiler, file, NULL, compiling->path))
		err = compiling->error ? error_create(NUNCHI_ERROR_ARGUMENT, "%s", compiling->error)
				       : &error_nomem;
	fclose(file);
	return err;
}

static struct nunchi_error *compile(struct scan_rules *rules, YR_COMPILER *compiler,
				    char *const *paths, size_t count, struct compiling *compiling)
{
	struct nunchi_error *err = NULL;

	compiling->compiler = compiler;
	rules->lib.yr_compiler_set_callback(compiler, hear, compiling);
	/* No `include`: rules of others must not have this process read files. */
	rules->lib.yr_compiler_set_include_callback(compiler, NULL, NULL, NULL);
	for (size_t i = 0; i < count && !err; i++) {
		compiling->path = paths[i];
		err = add_file(rules, compiler, compiling);
	}
	if (!err && rules->lib.yr_compiler_get_rules(compiler, &rules->compiled))
		err = &error_nomem;
	if (!err)
		rules->rule_count = rules->compiled->num_rules;
	return err;
}

struct nunchi_error *scan_rules_compile(char *const *paths, size_t count,
					void (*warn)(const char *text, void *data), void *data,
					struct scan_rules **ret)
{
	struct scan_rules *rules = calloc(1, sizeof(*rules));
	struct compiling compiling = {.warn = warn, .data = data};
	uint32_t match_data = SCAN_MATCH_DATA;
	YR_COMPILER *compiler = NULL;
	struct nunchi_error *err;

	if (!rules)
		return &error_nomem;
	err = libyara_load(&rules->lib);
	if (!err) {
		rules->initialized = !rules->lib.yr_initialize();
		if (!rules->initialized ||
		    rules->lib.yr_set_configuration(YR_CONFIG_MAX_MATCH_DATA, &match_data) ||
		    rules->lib.yr_compiler_create(&compiler))
			err = &error_nomem;
	}
	if (!err)
		err = compile(rules, compiler, paths, count, &compiling);
	if (compiler)
		rules->lib.yr_compiler_destroy(compiler);
	free(compiling.error);
	if (err)
		scan_rules_destroy(rules);
	else
		*ret = rules;
	return err;
}

void scan_rules_destroy(struct scan_rules *rules)
{
	if (!rules)
		return;
	if (rules->compiled)
		rules->lib.yr_rules_destroy(rules->compiled);
	if (rules->initialized)
		rules->lib.yr_finalize();
	library_unload(&rules->lib.handle);
	free(rules);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* "a,b" in ret, which has no bound but the rules'. */
static bool join_tags(const YR_RULE *rule, struct buffer *ret)
{
	const char *tag;

	buffer_clear(ret);
	yr_rule_tags_foreach(rule, tag)
	{
		if (ret->size && !buffer_append(ret, ",", 1))
			return false;
		if (!buffer_append(ret, tag, strlen(tag)))
			return false;
	}
	return buffer_append(ret, "", 1);
}

/* The first match of the string, or the end of all. */
static size_t first_match(const struct scan_result *result, uint32_t string)
{
	size_t low = 0, high = result->matches.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (result->matches.items[middle].string < string)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* False if give() ended it. */
static bool give_rule(const YR_RULE *rule, const struct scan_result *result, struct scan_row *row,
		      bool (*give)(const struct scan_row *row, void *data), void *data)
{
	const YR_STRING *string;
	bool any = false;

	yr_rule_strings_foreach(rule, string)
	{
		if (STRING_IS_PRIVATE(string))
			continue;
		row->string = string->identifier;
		for (size_t i = first_match(result, string->idx);
		     i < result->matches.count && result->matches.items[i].string == string->idx;
		     i++) {
			any = true;
			row->match = &result->matches.items[i];
			if (!give(row, data))
				return false;
		}
	}
	row->string = NULL;
	row->match = NULL;
	return any || give(row, data);
}

struct nunchi_error *scan_rows(const struct scan_rules *rules, const struct scan_result *result,
			       bool (*give)(const struct scan_row *row, void *data), void *data)
{
	_cleanup_buffer_ struct buffer tags = {0};

	for (size_t i = 0; i < result->rule_count; i++) {
		const YR_RULE *rule = &rules->compiled->rules_table[result->rules[i]];
		struct scan_row row = {.rule = rule->identifier, .namespace = rule->ns->name};

		if (!join_tags(rule, &tags))
			return &error_nomem;
		row.tags = tags.data;
		if (!give_rule(rule, result, &row, give, data))
			break;
	}
	return NULL;
}

void scan_cut_strings(const struct scan_rules *rules, const struct scan_result *result,
		      void (*give)(const char *rule, const char *string,
				   const struct scan_share *share, void *data),
		      void *data)
{
	const YR_RULE *rule;
	const YR_STRING *string;

	yr_rules_foreach(rules->compiled, rule)
	{
		yr_rule_strings_foreach(rule, string)
		{
			const struct scan_share *share = &result->matches.shares[string->idx];

			if (share->kept < share->found)
				give(rule->identifier, string->identifier, share, data);
		}
	}
}
