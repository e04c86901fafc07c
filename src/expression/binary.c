/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Operators between two operands, by their precedence. */
#include "expression/parser.h"

#include <string.h>

enum operation {
	MUL,
	DIV,
	MOD,
	ADD,
	SUB,
	SHL,
	SHR,
	LE,
	GE,
	LT,
	GT,
	EQ,
	NE,
	AND,
	XOR,
	OR,
	BOTH,
	EITHER
};

/* Longer ones before those that they begin with. */
static const struct binary_operator {
	const char *token;
	unsigned precedence;
	enum operation operation;
} operators[] = {
    {"&&", 1, BOTH}, {"||", 0, EITHER}, {"<<", 7, SHL}, {">>", 7, SHR}, {"<=", 6, LE},
    {">=", 6, GE},   {"==", 5, EQ},     {"!=", 5, NE},  {"*", 9, MUL},  {"/", 9, DIV},
    {"%", 9, MOD},   {"+", 8, ADD},     {"-", 8, SUB},  {"<", 6, LT},   {">", 6, GT},
    {"&", 4, AND},   {"^", 3, XOR},     {"|", 2, OR},
};

static const struct binary_operator *take_operator(struct parser *parser, unsigned least)
{
	parser_skip(parser);
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
		return parser_error(
		    parser, where,
		    error_create(NUNCHI_ERROR_ARGUMENT,
				 "a pointer can be added to, subtracted from and compared"));
	pointer->number += operation == ADD ? count * size : 0 - count * size;
	if (type_index_word_size(parser->guest->types) == 4)
		pointer->number = (uint32_t)pointer->number;
	return NULL;
}

static struct nunchi_error *apply(struct parser *parser, const char *where,
				  enum operation operation, value_t *left, const value_t *right)
{
	bool is_signed = left->is_signed && right->is_signed && !left->stars && !right->stars;

	if (operation == SHL || operation == SHR)
		is_signed = left->is_signed;
	if (operation >= LE && operation <= NE)
		*left = parser_number(compare(operation, left, right, is_signed), true);
	else if (left->stars && !right->stars)
		return move_pointer(parser, where, operation, left, right->number);
	else if (right->stars)
		return parser_error(
		    parser, where,
		    error_create(NUNCHI_ERROR_ARGUMENT,
				 "this needs a number on its right side; cast the pointer"));
	else if ((operation == DIV || operation == MOD) && !right->number && parser->idle)
		*left = parser_number(1, is_signed);
	else if ((operation == DIV || operation == MOD) && !right->number)
		return parser_error(parser, where,
				    error_create(NUNCHI_ERROR_ARGUMENT, "division by 0"));
	else
		*left = parser_number(calculate(operation, left->number, right->number, is_signed),
				      is_signed);
	return NULL;
}

/* Evaluates the right side of && or ||, unless the left side decides. */
static struct nunchi_error *decide(struct parser *parser, const struct binary_operator *op,
				   value_t *left, value_t *right, const char *right_start)
{
	bool decided = (left->number != 0) == (op->operation == EITHER);
	struct nunchi_error *err;

	parser->idle += decided;
	err = parser_binary(parser, op->precedence + 1, right);
	if (!err)
		err = parser_decay(parser, right_start, right);
	parser->idle -= decided;
	*left = parser_number(decided ? left->number != 0 : right->number != 0, true);
	return err;
}

struct nunchi_error *parser_binary(struct parser *parser, unsigned least, value_t *ret)
{
	const struct binary_operator *op;
	const char *start, *right_start;
	struct nunchi_error *err;
	value_t right;

	parser_skip(parser);
	start = parser->at;
	err = parser_unary(parser, ret);
	while (!err && (op = take_operator(parser, least))) {
		parser_skip(parser);
		right_start = parser->at;
		right = (value_t){0};
		err = parser_decay(parser, start, ret);
		if (err)
			return err;
		if (op->operation == BOTH || op->operation == EITHER) {
			err = decide(parser, op, ret, &right, right_start);
			continue;
		}
		err = parser_binary(parser, op->precedence + 1, &right);
		if (!err)
			err = parser_decay(parser, right_start, &right);
		if (!err)
			err = apply(parser, start, op->operation, ret, &right);
	}
	return err;
}
