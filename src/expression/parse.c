/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Evaluates while it parses, by one function for each level of C's grammar. */
#include "core/digit.h"
#include "expression/parser.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NESTING_LIMIT 64

struct nunchi_error *parser_error(const struct parser *parser, const char *where,
				  struct nunchi_error *err)
{
	if (!err)
		return NULL;
	err = error_context(err, "\"%s\": character %td", parser->text, where - parser->text + 1);
	return error_at_position(err, (size_t)(where - parser->text));
}

struct nunchi_error *parser_syntax(const struct parser *parser, const char *what)
{
	return parser_error(parser, parser->at, error_create(NUNCHI_ERROR_ARGUMENT, "%s", what));
}

void parser_skip(struct parser *parser)
{
	while (*parser->at == ' ' || *parser->at == '\t' || *parser->at == '\n')
		parser->at++;
}

bool parser_take(struct parser *parser, const char *token)
{
	size_t size = strlen(token);

	parser_skip(parser);
	if (strncmp(parser->at, token, size) != 0)
		return false;
	parser->at += size;
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

struct nunchi_error *parser_name(struct parser *parser, char ret[PARSER_NAME_LIMIT + 1])
{
	size_t size = 0;

	parser_skip(parser);
	if (is_letter(*parser->at))
		while (is_letter(parser->at[size]) || digit_value(parser->at[size]) < 10)
			size++;
	if (size > PARSER_NAME_LIMIT)
		return parser_syntax(parser, "the name is too long");
	memcpy(ret, parser->at, size);
	ret[size] = 0;
	parser->at += size;
	return NULL;
}

value_t parser_number(uint64_t value, bool is_signed)
{
	return (value_t){.number = value, .is_signed = is_signed};
}

static bool is_loaded(const struct type *type)
{
	return type->kind == TYPE_INT || type->kind == TYPE_ENUM || type->kind == TYPE_POINTER;
}

struct nunchi_error *parser_decay(struct parser *parser, const char *where, value_t *value)
{
	const struct expression_guest *guest = parser->guest;
	struct nunchi_error *err = NULL;
	value_t result = {0};
	struct type type;
	uint64_t loaded;

	expression_type(guest, value, &type);
	if (parser->idle && value->in_memory && is_loaded(&type))
		loaded = 1;
	else
		err = parser_error(parser, where, expression_load(guest, value, &loaded));
	if (err)
		return err;
	result.number = loaded;
	/* What is smaller than 64 bits fits into a signed number of 64. */
	result.is_signed = type.is_signed || value->bit_size || (type.size && type.size < 8);
	if (expression_target(guest, value, &result.type, &result.stars)) {
		result.stars++;
		if (type_index_word_size(guest->types) == 4)
			result.number = (uint32_t)loaded;
	}
	*value = result;
	return NULL;
}

/* ---- Names and functions ---- */

static const struct variable {
	const char *name;
	unsigned stars;
	const char *type;
} variables[] = {
#define VARIABLE(name, stars, type) {#name, stars, type},
#include "symbols/variables.def"
};

/* A symbol of unknown type is an object of type void, of which only the address can be taken. */
static struct nunchi_error *symbol(struct parser *parser, const char *where, const char *name,
				   value_t *ret)
{
	value_t value = {.in_memory = true};
	int64_t enumerator;
	struct nunchi_error *err = parser->guest->symbol(parser->guest->data, name, &value.address);

	if (error_is(err, NUNCHI_ERROR_NOT_FOUND) &&
	    type_index_enum_value(parser->guest->types, name, &enumerator)) {
		nunchi_error_destroy(err);
		*ret = parser_number((uint64_t)enumerator, true);
		return NULL;
	}
	if (err)
		return parser_error(parser, where, err);
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if (!strcmp(name, variables[i].name) &&
		    parser_find_type(parser, variables[i].type, &value.type))
			value.stars = variables[i].stars;
	if (!value.type)
		value.type = type_index_variable(parser->guest->types, name);
	*ret = value;
	return NULL;
}

struct nunchi_error *parser_follow(struct parser *parser, const char *where, value_t *value)
{
	value_t object = {.in_memory = true};
	struct nunchi_error *err;

	if (!expression_target(parser->guest, value, &object.type, &object.stars))
		return parser_error(parser, where,
				    error_create(NUNCHI_ERROR_ARGUMENT, "this is not a pointer"));
	err = parser_decay(parser, where, value);
	if (err)
		return err;
	if (!value->number && !parser->idle)
		return parser_error(
		    parser, where,
		    error_hint(error_create(NUNCHI_ERROR_FAULT, "the pointer is NULL"),
			       "leave the last member out to see the pointer alone"));
	object.address = value->number;
	*value = object;
	return NULL;
}

struct nunchi_error *parser_field(struct parser *parser, const char *where, type_id type,
				  const char *path, struct type_field *ret)
{
	const char *near;
	char spelled[128];
	struct nunchi_error *err;

	if (!type)
		return parser_error(
		    parser, where,
		    error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "its type is not known"),
			       "cast its address: (*(struct list_head *)&NAME).next"));
	err = type_index_resolve_in(parser->guest->types, type, path, ret);
	if (!error_is(err, NUNCHI_ERROR_NOT_FOUND))
		return parser_error(parser, where, err);
	nunchi_error_destroy(err);
	type_index_spell(parser->guest->types, type, spelled, sizeof(spelled));
	err = error_create(NUNCHI_ERROR_NOT_FOUND, "%s has no member \"%s\"", spelled, path + 1);
	near = type_index_suggest_member(parser->guest->types, type, path + 1);
	if (near)
		err = error_hint(err, "did you mean \"%s\"?", near);
	else
		err = error_hint(err, "nunchi type TARGET \"%s\" lists its members", spelled);
	return parser_error(parser, where, err);
}

static struct nunchi_error *member(struct parser *parser, const char *where, value_t *value)
{
	char path[PARSER_NAME_LIMIT + 2] = ".";
	struct nunchi_error *err;
	struct type_field field;
	const char *name;

	parser_skip(parser);
	name = parser->at;
	err = parser_name(parser, path + 1);
	if (!err && !path[1])
		err = parser_syntax(parser, "a member's name is missing");
	if (err)
		return err;
	if (!value->in_memory || value->stars || value->bit_size)
		return parser_error(
		    parser, where,
		    error_create(NUNCHI_ERROR_ARGUMENT, "this is not a struct or union"));
	err = parser_field(parser, name, value->type, path, &field);
	if (err)
		return err;
	*value = (value_t){
	    .type = field.type,
	    .in_memory = true,
	    .address = value->address + field.offset,
	    .bit_size = field.bit_size,
	    .bit_shift = field.bit_shift,
	    .load_size = field.bit_size ? (uint32_t)field.size : 0,
	};
	return NULL;
}

static struct nunchi_error *element(struct parser *parser, const char *where, value_t *value)
{
	const char *start = parser->at;
	struct nunchi_error *err;
	value_t index = {0};
	struct type type;
	uint64_t size;

	err = parser_expression(parser, &index);
	if (!err)
		err = parser_decay(parser, start, &index);
	if (!err && !parser_take(parser, "]"))
		err = parser_syntax(parser, "] is missing");
	if (err)
		return err;
	expression_type(parser->guest, value, &type);
	if (type.kind == TYPE_ARRAY && type.count && index.number >= type.count && !parser->idle)
		return parser_error(parser, start,
				    error_create(NUNCHI_ERROR_NOT_FOUND,
						 "the array has %" PRIu32
						 " elements, so there is no element %" PRId64,
						 type.count, (int64_t)index.number));
	err = parser_follow(parser, where, value);
	if (err)
		return err;
	if (!expression_size(parser->guest, value, &size))
		return parser_error(
		    parser, where,
		    error_create(NUNCHI_ERROR_ARGUMENT, "its elements have no size"));
	value->address += size * index.number;
	return NULL;
}

static struct nunchi_error *literal(struct parser *parser, value_t *ret)
{
	const char *start = parser->at;
	unsigned base = start[0] != '0' ? 10 : start[1] == 'x' || start[1] == 'X' ? 16 : 8;
	uint64_t value = 0;

	if (base == 16)
		parser->at += 2;
	if (digit_value(*parser->at) >= base)
		return parser_syntax(parser, "a digit is missing");
	for (; digit_value(*parser->at) < base; parser->at++)
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit_value(*parser->at), &value))
			return parser_error(parser, start,
					    error_create(NUNCHI_ERROR_ARGUMENT,
							 "the number needs more than 64 bits"));
	if (base == 8 && digit_value(*parser->at) < 10)
		return parser_syntax(parser, "a number that begins with 0 is octal, as in C");
	if (is_letter(*parser->at))
		return parser_syntax(parser, "this does not belong to a number");
	*ret = parser_number(value, base != 16 && value <= INT64_MAX);
	return NULL;
}

static struct nunchi_error *primary(struct parser *parser, value_t *ret)
{
	char name[PARSER_NAME_LIMIT + 1];
	const char *start;
	struct nunchi_error *err;
	bool called;

	parser_skip(parser);
	start = parser->at;
	if (digit_value(*start) < 10)
		return literal(parser, ret);
	if (parser_take(parser, "(")) {
		err = parser_expression(parser, ret);
		if (!err && !parser_take(parser, ")"))
			err = parser_syntax(parser, ") is missing");
		return err;
	}
	err = parser_name(parser, name);
	if (err)
		return err;
	if (!*name)
		return parser_syntax(parser, *start ? "a name or number is needed here"
						    : "the expression ends too early");
	err = parser_call(parser, name, ret, &called);
	return err || called ? err : symbol(parser, start, name, ret);
}

static struct nunchi_error *postfix(struct parser *parser, value_t *ret)
{
	struct nunchi_error *err;
	const char *start;

	parser_skip(parser);
	start = parser->at;
	err = primary(parser, ret);
	while (!err) {
		struct type type;

		if (parser_take(parser, "->")) {
			err = parser_follow(parser, start, ret);
			if (!err)
				err = member(parser, start, ret);
		} else if (parser_take(parser, ".")) {
			/* A pointer is followed, as gdb does. */
			expression_type(parser->guest, ret, &type);
			if (type.kind == TYPE_POINTER)
				err = parser_follow(parser, start, ret);
			if (!err)
				err = member(parser, start, ret);
		} else if (parser_take(parser, "[")) {
			err = element(parser, start, ret);
		} else {
			break;
		}
	}
	return err;
}

/* ---- Operators ---- */

/* Makes the value one of another type; a struct cannot be cast. */
static struct nunchi_error *cast(struct parser *parser, const char *where, const value_t *to,
				 value_t *value)
{
	struct nunchi_error *err = parser_decay(parser, where, value);
	struct type type;
	uint64_t size;
	value_t result = *to;

	if (err)
		return err;
	result.in_memory = true; /* so that type 0 is void */
	expression_type(parser->guest, &result, &type);
	if ((type.kind != TYPE_INT && type.kind != TYPE_ENUM && type.kind != TYPE_POINTER) ||
	    !expression_size(parser->guest, &result, &size) || !size || size > 8)
		return parser_error(parser, where,
				    error_create(NUNCHI_ERROR_ARGUMENT,
						 "a cast needs the type of a number or pointer"));
	result.in_memory = false;
	result.number =
	    expression_extract((const uint8_t *)&value->number, size, 0, 0, type.is_signed);
	*value = result;
	return NULL;
}

/* Takes "(type)" and casts what follows; *ret_done is false if no type comes next. */
static struct nunchi_error *take_cast(struct parser *parser, value_t *ret, bool *ret_done)
{
	const char *start = parser->at;
	struct nunchi_error *err;
	value_t to = {0};

	*ret_done = false;
	if (!parser_take(parser, "("))
		return NULL;
	err = parser_type(parser, &to, ret_done);
	if (err)
		return err;
	if (!*ret_done || !parser_take(parser, ")")) {
		*ret_done = false;
		parser->at = start;
		return NULL;
	}
	parser_skip(parser);
	start = parser->at;
	err = parser_unary(parser, ret);
	return err ? err : cast(parser, start, &to, ret);
}

static struct nunchi_error *address_of(struct parser *parser, const char *where, value_t *value)
{
	if (!value->in_memory || value->bit_size)
		return parser_error(parser, where,
				    error_create(NUNCHI_ERROR_ARGUMENT, "this has no address"));
	*value =
	    (value_t){.type = value->type, .stars = value->stars + 1, .number = value->address};
	return NULL;
}

static struct nunchi_error *sign(struct parser *parser, char op, const char *where, value_t *value)
{
	struct nunchi_error *err = parser_decay(parser, where, value);

	if (err)
		return err;
	if (op == '!')
		*value = parser_number(!value->number, true);
	else
		*value =
		    parser_number(op == '-' ? 0 - value->number : ~value->number, value->is_signed);
	return NULL;
}

static struct nunchi_error *prefixed(struct parser *parser, value_t *ret)
{
	static const char operators[] = "&*-!~";
	struct nunchi_error *err;
	const char *where;
	bool done;
	char op;

	parser_skip(parser);
	op = *parser->at;
	if (!op || !strchr(operators, op)) {
		err = take_cast(parser, ret, &done);
		return err || done ? err : postfix(parser, ret);
	}
	where = ++parser->at;
	err = parser_unary(parser, ret);
	if (err)
		return err;
	if (op == '&')
		return address_of(parser, where, ret);
	if (op == '*')
		return parser_follow(parser, where, ret);
	return sign(parser, op, where, ret);
}

struct nunchi_error *parser_unary(struct parser *parser, value_t *ret)
{
	struct nunchi_error *err;

	if (parser->depth >= NESTING_LIMIT)
		return parser_syntax(parser, "the expression is nested too deeply");
	parser->depth++;
	err = prefixed(parser, ret);
	parser->depth--;
	return err;
}

/* Takes a side of ?: which has no effect if the other one is chosen. */
static struct nunchi_error *take_side(struct parser *parser, bool chosen, value_t *ret)
{
	struct nunchi_error *err;
	value_t side = {0};

	parser->idle += !chosen;
	err = parser_expression(parser, &side);
	parser->idle -= !chosen;
	if (chosen)
		*ret = side;
	return err;
}

static struct nunchi_error *choose(struct parser *parser, const char *start, value_t *ret)
{
	struct nunchi_error *err = parser_decay(parser, start, ret);
	bool yes = ret->number != 0;

	if (!err)
		err = take_side(parser, yes, ret);
	if (!err && !parser_take(parser, ":"))
		err = parser_syntax(parser, ": is missing");
	return err ? err : take_side(parser, !yes, ret);
}

struct nunchi_error *parser_expression(struct parser *parser, value_t *ret)
{
	struct nunchi_error *err;
	const char *start;

	if (parser->depth >= NESTING_LIMIT)
		return parser_syntax(parser, "the expression is nested too deeply");
	parser->depth++;
	parser_skip(parser);
	start = parser->at;
	err = parser_binary(parser, 0, ret);
	if (!err && parser_take(parser, "?"))
		err = choose(parser, start, ret);
	parser->depth--;
	return err;
}

/* Evaluates the text for the current elements of its loops. */
static struct nunchi_error *evaluate(struct parser *parser, value_t *ret)
{
	value_t value = {0};
	struct nunchi_error *err;

	parser->at = parser->text;
	parser->loops_met = 0;
	err = parser_expression(parser, &value);
	parser_skip(parser);
	if (!err && *parser->at)
		err =
		    parser_syntax(parser, *parser->at == '=' ? "nothing is assigned to; == compares"
							     : "an operator is needed here");
	*ret = value;
	return err;
}

typedef struct nunchi_error *row_function(const struct expression_value *value,
					  const struct nunchi_error *why, void *data);

/* Gives the row for the current elements. An empty container has none. */
static struct nunchi_error *give_row(struct parser *parser, row_function *row, void *data)
{
	struct nunchi_error *err, *why;
	value_t value;

	err = evaluate(parser, &value);
	if (err == &error_stop)
		return NULL;
	value.is_element = parser->loops->count;
	if (!err)
		err = row(&value, NULL, data);
	if (!parser->loops->count || !error_is(err, NUNCHI_ERROR_FAULT))
		return err;
	why = err;
	err = row(NULL, why, data);
	nunchi_error_destroy(why);
	return err;
}

struct nunchi_error *expression_evaluate(const struct expression_guest *guest, const char *text,
					 row_function *row, void *data)
{
	struct parser_loops loops = {0};
	struct parser parser = {.guest = guest, .text = text, .loops = &loops};
	struct nunchi_error *err = give_row(&parser, row, data);

	for (size_t rows = 1; !err && parser_next(&loops); rows++) {
		if (rows < EXPRESSION_ELEMENT_LIMIT)
			err = give_row(&parser, row, data);
		else
			err =
			    error_create(NUNCHI_ERROR_UNSUPPORTED, "\"%s\" has more than %zu rows",
					 text, EXPRESSION_ELEMENT_LIMIT);
	}
	if (!err) {
		err = loops.broken;
		loops.broken = NULL;
	}
	parser_loops_deinit(&loops);
	return err == &error_stop ? NULL : err;
}
