/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of types, as C spells them. */
#include "expression/parser.h"

#include <stdio.h>
#include <string.h>

#define STARS_LIMIT 8

/* Names that C permits, and those that compilers write into the kernel's types. */
static const struct {
	const char *written, *name;
} spellings[] = {
    {"unsigned", "unsigned int"},
    {"signed", "int"},
    {"short", "short int"},
    {"unsigned short", "short unsigned int"},
    {"long", "long int"},
    {"unsigned long", "long unsigned int"},
    {"long long", "long long int"},
    {"unsigned long long", "long long unsigned int"},
    {"bool", "_Bool"},
};

static bool is_type_word(const char *name)
{
	static const char *const words[] = {"struct", "union", "enum", "unsigned", "signed",
					    "long",   "short", "int",  "char"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(name, words[i]))
			return true;
	return false;
}

/*
 * Finds an integer type. Not by type_index_find(): types from DWARF also have typedefs with the
 * names of integers, which stand for nothing.
 */
static bool find_integer(const struct type_index *types, const char *name, type_id *ret)
{
	struct type type;

	for (type_id id = 1; id < type_index_count(types); id++)
		if (type_index_get(types, id, &type) && type.kind == TYPE_INT &&
		    !strcmp(type.name, name)) {
			*ret = id;
			return true;
		}
	return false;
}

bool parser_find_type(const struct parser *parser, const char *name, type_id *ret)
{
	const struct type_index *types = parser->guest->types;
	const char *spelled = name;

	if (!strcmp(name, "void")) {
		*ret = 0;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++)
		if (!strcmp(name, spellings[i].written))
			spelled = spellings[i].name;
	if (!type_index_find(types, spelled, ret))
		return false;
	return type_index_strip(types, *ret) || find_integer(types, spelled, ret);
}

static struct nunchi_error *no_type(const struct parser *parser, const char *where,
				    const char *name)
{
	const char *near = type_index_suggest(parser->guest->types, name);
	struct nunchi_error *err =
	    error_create(NUNCHI_ERROR_NOT_FOUND, "there is no type \"%s\"", name);

	return parser_error(parser, where,
			    near ? error_hint(err, "did you mean \"%s\"?", near) : err);
}

struct nunchi_error *parser_type(struct parser *parser, value_t *ret, bool *ret_found)
{
	char name[3 * (PARSER_NAME_LIMIT + 2)] = "", word[PARSER_NAME_LIMIT + 1];
	const char *start = parser->at;
	struct nunchi_error *err;
	value_t type = {0};
	bool certain;

	err = parser_name(parser, word);
	if (err)
		return err;
	certain = is_type_word(word);
	snprintf(name, sizeof(name), "%s", word);
	for (int i = 0; i < 2 && is_type_word(word); i++) {
		err = parser_name(parser, word);
		if (err)
			return err;
		if (*word) {
			size_t used = strlen(name);

			snprintf(name + used, sizeof(name) - used, " %s", word);
		}
	}
	*ret_found = *name && parser_find_type(parser, name, &type.type);
	if (!*ret_found) {
		if (certain)
			return no_type(parser, start, name);
		parser->at = start;
		return NULL;
	}
	while (parser_take(parser, "*"))
		if (++type.stars > STARS_LIMIT)
			return parser_syntax(parser, "the type has too many *");
	*ret = type;
	return NULL;
}
