/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the parser share. It evaluates while it parses. */
#ifndef NUNCHI_EXPRESSION_PARSER_H
#define NUNCHI_EXPRESSION_PARSER_H

#include "expression/expression.h"

#define PARSER_NAME_LIMIT 127

/* each() within each other in one expression, at most. */
#define PARSER_LOOP_LIMIT 4

/* The elements of an each(). */
struct parser_loop {
	const char *where; /* in the text */
	uint64_t *elements;
	size_t count, capacity;
	size_t at; /* the one that the expression is evaluated for */
	bool no_memory;
};

/*
 * The loops of an expression, the outermost first. The text is evaluated once for each combination
 * of their elements; a loop is begun when it is met, and ended when it has no more elements.
 */
struct parser_loops {
	struct parser_loop items[PARSER_LOOP_LIMIT];
	size_t count;                /* that have begun */
	struct nunchi_error *broken; /* why elements are missing; of the first such loop */
};

struct parser {
	const struct expression_guest *guest;
	const char *text, *at;
	unsigned depth;
	/*
	 * Above 0: what is parsed has no effect, as what follows 0 && or is within sizeof(). Types
	 * and names are checked, and no memory is read: a number in memory is 1.
	 */
	unsigned idle;
	struct parser_loops *loops;
	size_t loops_met; /* of them, in this evaluation */
};

typedef struct expression_value value_t;

/* ---- parse.c ---- */

/* Adds where in the text the part that failed begins. NULL stays NULL. */
struct nunchi_error *parser_error(const struct parser *parser, const char *where,
				  struct nunchi_error *err);
/* The error for what comes next. */
struct nunchi_error *parser_syntax(const struct parser *parser, const char *what);
void parser_skip(struct parser *parser);
/* Takes the token if it comes next. */
bool parser_take(struct parser *parser, const char *token);
/* Takes a name if one comes next; "" in ret if none does. */
struct nunchi_error *parser_name(struct parser *parser, char ret[PARSER_NAME_LIMIT + 1]);
/* Takes an operand with what stands before and behind it, without the operators that follow. */
struct nunchi_error *parser_unary(struct parser *parser, value_t *ret);
/* Takes an expression up to the , ) or ] that ends it. */
struct nunchi_error *parser_expression(struct parser *parser, value_t *ret);
/* What a number, a pointer or an array decays to: a value that is not in memory. */
struct nunchi_error *parser_decay(struct parser *parser, const char *where, value_t *value);
/* The field of `type` that the path ".member" names. */
struct nunchi_error *parser_field(struct parser *parser, const char *where, type_id type,
				  const char *path, struct type_field *ret);
/* What the pointer or array leads to, as an object in memory. */
struct nunchi_error *parser_follow(struct parser *parser, const char *where, value_t *value);
value_t parser_number(uint64_t value, bool is_signed);

/* ---- type_name.c ---- */

/*
 * Takes a type's name with its stars. *ret_found is false, and nothing taken, if the words that
 * come next name none and do not begin as a type does.
 */
struct nunchi_error *parser_type(struct parser *parser, value_t *ret, bool *ret_found);
/* The type with this name, as C spells it. */
bool parser_find_type(const struct parser *parser, const char *name, type_id *ret);

/* ---- binary.c ---- */

/* Takes operands and the operators between them whose precedence is at least `least`. */
struct nunchi_error *parser_binary(struct parser *parser, unsigned least, value_t *ret);

/* ---- each.c ---- */

/* Evaluates each(), after its "(". error_stop: the container has no elements. */
struct nunchi_error *parser_each(struct parser *parser, value_t *ret);
/* Goes on to the next combination of elements; false if there is none. */
bool parser_next(struct parser_loops *loops);
void parser_loops_deinit(struct parser_loops *loops);

/* ---- function.c ---- */

/*
 * Evaluates what is written as a call, after its name. *ret_found is false, and nothing taken, if
 * there is no such function.
 */
struct nunchi_error *parser_call(struct parser *parser, const char *name, value_t *ret,
				 bool *ret_found);

#endif
