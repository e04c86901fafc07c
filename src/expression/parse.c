/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Evaluates while it parses, by one function for each level of C's grammar. */
#include "core/digit.h"
#include "expression/expression.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NESTING_LIMIT 64
#define NAME_LIMIT    127
#define STARS_LIMIT   8

struct parser {
	const struct expression_guest *guest;
	const char *text, *at;
	unsigned depth;
};

typedef struct expression_value value_t;

static struct nunchi_error *unary(struct parser *parser, value_t *ret);
static struct nunchi_error *binary(struct parser *parser, unsigned least, value_t *ret);

/* Adds where in the text the part that failed begins. */
static struct nunchi_error *at(const struct parser *parser, const char *where,
			       struct nunchi_error *err)
{
	if (!err)
		return NULL;
	return error_context(err, "\"%s\": character %td", parser->text, where - parser->text + 1);
}

static struct nunchi_error *syntax(const struct parser *parser, const char *what)
{
	return at(parser, parser->at, error_create(NUNCHI_ERROR_ARGUMENT, "%s", what));
}

static void skip(struct parser *parser)
{
	while (*parser->at == ' ' || *parser->at == '\t' || *parser->at == '\n')
		parser->at++;
}

/* Takes the token if it comes next. */
static bool take(struct parser *parser, const char *token)
{
	size_t size = strlen(token);

	skip(parser);
	if (strncmp(parser->at, token, size) != 0)
		return false;
	parser->at += size;
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

/* Takes a name if one comes next; "" in ret if none does. */
static struct nunchi_error *take_name(struct parser *parser, char ret[NAME_LIMIT + 1])
{
	size_t size = 0;

	skip(parser);
	if (is_letter(*parser->at))
		while (is_letter(parser->at[size]) || digit_value(parser->at[size]) < 10)
			size++;
	if (size > NAME_LIMIT)
		return syntax(parser, "the name is too long");
	memcpy(ret, parser->at, size);
	ret[size] = 0;
	parser->at += size;
	return NULL;
}

static value_t number(uint64_t value, bool is_signed)
{
	return (value_t){.number = value, .is_signed = is_signed};
}

/* What a number, a pointer or an array decays to: a value that is not in memory. */
static struct nunchi_error *decay(struct parser *parser, const char *where, value_t *value)
{
	const struct expression_guest *guest = parser->guest;
	struct nunchi_error *err;
	value_t result = {0};
	struct type type;
	uint64_t loaded;

	expression_type(guest, value, &type);
	err = at(parser, where, expression_load(guest, value, &loaded));
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

/* ---- Types ---- */

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

static bool find_type(const struct parser *parser, const char *name, type_id *ret)
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

	return at(parser, where, near ? error_hint(err, "did you mean \"%s\"?", near) : err);
}

/*
 * Takes a type's name with its stars. *ret_found is false, and nothing taken, if the words that
 * come next name none and do not begin as a type does.
 */
static struct nunchi_error *take_type(struct parser *parser, value_t *ret, bool *ret_found)
{
	char name[3 * (NAME_LIMIT + 2)] = "", word[NAME_LIMIT + 1];
	const char *start = parser->at;
	struct nunchi_error *err;
	value_t type = {0};
	bool certain;

	err = take_name(parser, word);
	if (err)
		return err;
	certain = is_type_word(word);
	snprintf(name, sizeof(name), "%s", word);
	for (int i = 0; i < 2 && is_type_word(word); i++) {
		err = take_name(parser, word);
		if (err)
			return err;
		if (*word) {
			size_t used = strlen(name);

			snprintf(name + used, sizeof(name) - used, " %s", word);
		}
	}
	*ret_found = *name && find_type(parser, name, &type.type);
	if (!*ret_found) {
		if (certain)
			return no_type(parser, start, name);
		parser->at = start;
		return NULL;
	}
	while (take(parser, "*"))
		if (++type.stars > STARS_LIMIT)
			return syntax(parser, "the type has too many *");
	*ret = type;
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
		*ret = number((uint64_t)enumerator, true);
		return NULL;
	}
	if (err)
		return at(parser, where, err);
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if (!strcmp(name, variables[i].name) &&
		    type_index_find(parser->guest->types, variables[i].type, &value.type))
			value.stars = variables[i].stars;
	*ret = value;
	return NULL;
}

/* What the pointer leads to, as an object in memory. */
static struct nunchi_error *follow(struct parser *parser, const char *where, value_t *value)
{
	value_t object = {.in_memory = true};
	struct nunchi_error *err;

	if (!expression_target(parser->guest, value, &object.type, &object.stars))
		return at(parser, where,
			  error_create(NUNCHI_ERROR_ARGUMENT, "this is not a pointer"));
	err = decay(parser, where, value);
	if (err)
		return err;
	if (!value->number)
		return at(parser, where,
			  error_hint(error_create(NUNCHI_ERROR_FAULT, "the pointer is NULL"),
				     "leave the last member out to see the pointer alone"));
	object.address = value->number;
	*value = object;
	return NULL;
}

/* The field of `type` that the path ".member" names. */
static struct nunchi_error *find_field(struct parser *parser, const char *where, type_id type,
				       const char *path, struct type_field *ret)
{
	char spelled[128];
	struct nunchi_error *err = type_index_resolve_in(parser->guest->types, type, path, ret);

	if (!error_is(err, NUNCHI_ERROR_NOT_FOUND))
		return at(parser, where, err);
	nunchi_error_destroy(err);
	type_index_spell(parser->guest->types, type, spelled, sizeof(spelled));
	return at(parser, where,
		  error_hint(error_create(NUNCHI_ERROR_NOT_FOUND, "%s has no member \"%s\"",
					  spelled, path + 1),
			     "nunchi type TARGET \"%s\" lists its members", spelled));
}

static struct nunchi_error *member(struct parser *parser, const char *where, value_t *value)
{
	char path[NAME_LIMIT + 2] = ".";
	struct nunchi_error *err;
	struct type_field field;
	const char *name;

	skip(parser);
	name = parser->at;
	err = take_name(parser, path + 1);
	if (!err && !path[1])
		err = syntax(parser, "a member's name is missing");
	if (err)
		return err;
	if (!value->in_memory || value->stars || value->bit_size)
		return at(parser, where,
			  error_create(NUNCHI_ERROR_ARGUMENT, "this is not a struct or union"));
	err = find_field(parser, name, value->type, path, &field);
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

	err = binary(parser, 0, &index);
	if (!err)
		err = decay(parser, start, &index);
	if (!err && !take(parser, "]"))
		err = syntax(parser, "] is missing");
	if (err)
		return err;
	expression_type(parser->guest, value, &type);
	if (type.kind == TYPE_ARRAY && type.count && index.number >= type.count)
		return at(parser, start,
			  error_create(NUNCHI_ERROR_NOT_FOUND,
				       "the array has %" PRIu32
				       " elements, so there is no element %" PRId64,
				       type.count, (int64_t)index.number));
	err = follow(parser, where, value);
	if (err)
		return err;
	if (!expression_size(parser->guest, value, &size))
		return at(parser, where,
			  error_create(NUNCHI_ERROR_ARGUMENT, "its elements have no size"));
	value->address += size * index.number;
	return NULL;
}

static struct nunchi_error *size_of(struct parser *parser, value_t *ret)
{
	const char *start;
	value_t value = {0};
	bool is_type;
	uint64_t size;
	struct nunchi_error *err;

	if (!take(parser, "("))
		return syntax(parser, "( is missing");
	skip(parser);
	start = parser->at;
	err = take_type(parser, &value, &is_type);
	value.in_memory = true;
	if (!err && !is_type)
		err = binary(parser, 0, &value);
	if (err)
		return err;
	if (!expression_size(parser->guest, &value, &size))
		return at(parser, start, error_create(NUNCHI_ERROR_ARGUMENT, "it has no size"));
	if (!take(parser, ")"))
		return syntax(parser, ") is missing");
	*ret = number(size, false);
	return NULL;
}

/* container_of(pointer, struct type, member.member) */
static struct nunchi_error *container_of(struct parser *parser, value_t *ret)
{
	value_t pointer = {0}, type = {0};
	const char *start, *end;
	struct nunchi_error *err;
	struct type_field field;
	char path[NAME_LIMIT + 2];
	bool found;

	if (!take(parser, "("))
		return syntax(parser, "( is missing");
	start = parser->at;
	err = binary(parser, 0, &pointer);
	if (!err)
		err = decay(parser, start, &pointer);
	if (!err && !take(parser, ","))
		err = syntax(parser, ", is missing: container_of(pointer, struct type, member)");
	if (!err)
		err = take_type(parser, &type, &found);
	if (!err && (!found || type.stars || !take(parser, ",")))
		err =
		    syntax(parser, "a type is missing: container_of(pointer, struct type, member)");
	if (err)
		return err;
	skip(parser);
	start = parser->at;
	end = strchr(start, ')');
	if (!end || end - start > NAME_LIMIT)
		return syntax(parser, ") is missing");
	snprintf(path, sizeof(path), ".%.*s", (int)(end - start), start);
	err = find_field(parser, start, type.type, path, &field);
	if (err)
		return err;
	parser->at = end + 1;
	*ret = (value_t){.type = type.type, .stars = 1, .number = pointer.number - field.offset};
	return NULL;
}

static struct nunchi_error *literal(struct parser *parser, value_t *ret)
{
	const char *start = parser->at;
	unsigned base = start[0] == '0' && (start[1] == 'x' || start[1] == 'X') ? 16 : 10;
	uint64_t value = 0;

	if (base == 16)
		parser->at += 2;
	if (digit_value(*parser->at) >= base)
		return syntax(parser, "a digit is missing");
	for (; digit_value(*parser->at) < base; parser->at++)
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit_value(*parser->at), &value))
			return at(parser, start,
				  error_create(NUNCHI_ERROR_ARGUMENT,
					       "the number needs more than 64 bits"));
	if (is_letter(*parser->at))
		return syntax(parser, "this does not belong to a number");
	*ret = number(value, base == 10 && value <= INT64_MAX);
	return NULL;
}

static struct nunchi_error *primary(struct parser *parser, value_t *ret)
{
	char name[NAME_LIMIT + 1];
	const char *start;
	struct nunchi_error *err;

	skip(parser);
	start = parser->at;
	if (digit_value(*start) < 10)
		return literal(parser, ret);
	if (take(parser, "(")) {
		err = binary(parser, 0, ret);
		if (!err && !take(parser, ")"))
			err = syntax(parser, ") is missing");
		return err;
	}
	err = take_name(parser, name);
	if (err)
		return err;
	if (!*name)
		return syntax(parser, *start ? "a name or number is needed here"
					     : "the expression ends too early");
	if (!strcmp(name, "sizeof"))
		return size_of(parser, ret);
	if (!strcmp(name, "container_of"))
		return container_of(parser, ret);
	return symbol(parser, start, name, ret);
}

static struct nunchi_error *postfix(struct parser *parser, value_t *ret)
{
	struct nunchi_error *err;
	const char *start;

	skip(parser);
	start = parser->at;
	err = primary(parser, ret);
	while (!err) {
		struct type type;

		if (take(parser, "->")) {
			err = follow(parser, start, ret);
			if (!err)
				err = member(parser, start, ret);
		} else if (take(parser, ".")) {
			/* A pointer is followed, as gdb does. */
			expression_type(parser->guest, ret, &type);
			if (type.kind == TYPE_POINTER)
				err = follow(parser, start, ret);
			if (!err)
				err = member(parser, start, ret);
		} else if (take(parser, "[")) {
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
	struct nunchi_error *err = decay(parser, where, value);
	struct type type;
	uint64_t size;
	value_t result = *to;

	if (err)
		return err;
	result.in_memory = true; /* so that type 0 is void */
	expression_type(parser->guest, &result, &type);
	if ((type.kind != TYPE_INT && type.kind != TYPE_ENUM && type.kind != TYPE_POINTER) ||
	    !expression_size(parser->guest, &result, &size) || !size || size > 8)
		return at(parser, where,
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
	if (!take(parser, "("))
		return NULL;
	err = take_type(parser, &to, ret_done);
	if (err)
		return err;
	if (!*ret_done || !take(parser, ")")) {
		*ret_done = false;
		parser->at = start;
		return NULL;
	}
	skip(parser);
	start = parser->at;
	err = unary(parser, ret);
	return err ? err : cast(parser, start, &to, ret);
}

static struct nunchi_error *address_of(struct parser *parser, const char *where, value_t *value)
{
	if (!value->in_memory || value->bit_size)
		return at(parser, where,
			  error_create(NUNCHI_ERROR_ARGUMENT, "this has no address"));
	*value =
	    (value_t){.type = value->type, .stars = value->stars + 1, .number = value->address};
	return NULL;
}

static struct nunchi_error *sign(struct parser *parser, char op, const char *where, value_t *value)
{
	struct nunchi_error *err = decay(parser, where, value);

	if (err)
		return err;
	if (op == '!')
		*value = number(!value->number, true);
	else
		*value = number(op == '-' ? 0 - value->number : ~value->number, value->is_signed);
	return NULL;
}

static struct nunchi_error *prefixed(struct parser *parser, value_t *ret)
{
	static const char operators[] = "&*-!~";
	struct nunchi_error *err;
	const char *where;
	bool done;
	char op;

	skip(parser);
	op = *parser->at;
	if (!op || !strchr(operators, op)) {
		err = take_cast(parser, ret, &done);
		return err || done ? err : postfix(parser, ret);
	}
	where = ++parser->at;
	err = unary(parser, ret);
	if (err)
		return err;
	if (op == '&')
		return address_of(parser, where, ret);
	if (op == '*')
		return follow(parser, where, ret);
	return sign(parser, op, where, ret);
}

static struct nunchi_error *unary(struct parser *parser, value_t *ret)
{
	struct nunchi_error *err;

	if (parser->depth >= NESTING_LIMIT)
		return syntax(parser, "the expression is nested too deeply");
	parser->depth++;
	err = prefixed(parser, ret);
	parser->depth--;
	return err;
}

enum operation { MUL, DIV, MOD, ADD, SUB, SHL, SHR, LE, GE, LT, GT, EQ, NE, AND, XOR, OR };

/* Longer ones before those that they begin with. */
static const struct binary_operator {
	const char *token;
	unsigned precedence;
	enum operation operation;
} operators[] = {
    {"<<", 7, SHL}, {">>", 7, SHR}, {"<=", 6, LE}, {">=", 6, GE}, {"==", 5, EQ}, {"!=", 5, NE},
    {"*", 9, MUL},  {"/", 9, DIV},  {"%", 9, MOD}, {"+", 8, ADD}, {"-", 8, SUB}, {"<", 6, LT},
    {">", 6, GT},   {"&", 4, AND},  {"^", 3, XOR}, {"|", 2, OR},
};

static const struct binary_operator *take_operator(struct parser *parser, unsigned least)
{
	skip(parser);
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		size_t size = strlen(operators[i].token);

		if (strncmp(parser->at, operators[i].token, size) != 0)
			continue;
		if (operators[i].precedence < least)
			return NULL;
		parser->at += size;
		return &operators[i];
	}
	return NULL;
}

static uint64_t compare(enum operation operation, const value_t *a, const value_t *b,
			bool is_signed)
{
	int64_t x = (int64_t)a->number, y = (int64_t)b->number;
	bool less = is_signed ? x < y : a->number < b->number;

	switch (operation) {
	case LT:
		return less;
	case GE:
		return !less;
	case LE:
		return less || x == y;
	case GT:
		return !less && x != y;
	case EQ:
		return x == y;
	default:
		return x != y;
	}
}

static uint64_t shifted(enum operation operation, uint64_t x, uint64_t count, bool is_signed)
{
	if (count > 63)
		return operation == SHR && is_signed && x >> 63 ? ~(uint64_t)0 : 0;
	if (operation == SHL)
		return x << count;
	x >>= count;
	if (is_signed && count && x >> (63 - count))
		x |= ~(uint64_t)0 << (64 - count);
	return x;
}

/* y is not 0. */
static uint64_t divided(enum operation operation, uint64_t x, uint64_t y, bool is_signed)
{
	if (!is_signed)
		return operation == DIV ? x / y : x % y;
	if (y == ~(uint64_t)0)
		return operation == DIV ? 0 - x : 0;
	return (uint64_t)(operation == DIV ? (int64_t)x / (int64_t)y : (int64_t)x % (int64_t)y);
}

static uint64_t calculate(enum operation operation, uint64_t x, uint64_t y, bool is_signed)
{
	switch (operation) {
	case MUL:
		return x * y;
	case DIV:
	case MOD:
		return divided(operation, x, y, is_signed);
	case ADD:
		return x + y;
	case SUB:
		return x - y;
	case SHL:
	case SHR:
		return shifted(operation, x, y, is_signed);
	case AND:
		return x & y;
	case XOR:
		return x ^ y;
	default:
		return x | y;
	}
}

/* Moves a pointer by a number of elements. */
static struct nunchi_error *move_pointer(struct parser *parser, const char *where,
					 enum operation operation, value_t *pointer, uint64_t count)
{
	value_t target = {.in_memory = true, .type = pointer->type, .stars = pointer->stars - 1};
	uint64_t size;

	if (!expression_size(parser->guest, &target, &size) || !size)
		size = 1; /* void */
	if (operation != ADD && operation != SUB)
		return at(parser, where,
			  error_create(NUNCHI_ERROR_ARGUMENT,
				       "a pointer can be added to, subtracted from and compared"));
	pointer->number += operation == ADD ? count * size : 0 - count * size;
	return NULL;
}

static struct nunchi_error *apply(struct parser *parser, const char *where,
				  enum operation operation, value_t *left, const value_t *right)
{
	bool is_signed = left->is_signed && right->is_signed && !left->stars && !right->stars;

	if (operation == SHL || operation == SHR)
		is_signed = left->is_signed;
	if (operation >= LE && operation <= NE)
		*left = number(compare(operation, left, right, is_signed), true);
	else if (left->stars && !right->stars)
		return move_pointer(parser, where, operation, left, right->number);
	else if (right->stars)
		return at(parser, where,
			  error_create(NUNCHI_ERROR_ARGUMENT,
				       "this needs a number on its right side; cast the pointer"));
	else if ((operation == DIV || operation == MOD) && !right->number)
		return at(parser, where, error_create(NUNCHI_ERROR_ARGUMENT, "division by 0"));
	else
		*left =
		    number(calculate(operation, left->number, right->number, is_signed), is_signed);
	return NULL;
}

static struct nunchi_error *binary(struct parser *parser, unsigned least, value_t *ret)
{
	const struct binary_operator *op;
	const char *start, *right_start;
	struct nunchi_error *err;
	value_t right;

	skip(parser);
	start = parser->at;
	err = unary(parser, ret);
	while (!err && (op = take_operator(parser, least))) {
		skip(parser);
		right_start = parser->at;
		right = (value_t){0};
		err = decay(parser, start, ret);
		if (!err)
			err = binary(parser, op->precedence + 1, &right);
		if (!err)
			err = decay(parser, right_start, &right);
		if (!err)
			err = apply(parser, start, op->operation, ret, &right);
	}
	return err;
}

struct nunchi_error *expression_evaluate(const struct expression_guest *guest, const char *text,
					 struct expression_value *ret)
{
	struct parser parser = {.guest = guest, .text = text, .at = text};
	value_t value = {0};
	struct nunchi_error *err = binary(&parser, 0, &value);

	skip(&parser);
	if (!err && *parser.at)
		err = syntax(&parser, "an operator is needed here");
	if (!err)
		*ret = value;
	return err;
}
