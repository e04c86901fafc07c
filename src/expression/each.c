/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* each(HEAD, struct TYPE.MEMBER): what a list, a tree or an array holds. */
#include "core/array.h"
#include "expression/parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a container's type has its head, and how it is walked. */
static const struct container {
	const char *type, *path;
	enum expression_container kind;
} containers[] = {
    {"list_head", "", EXPRESSION_LIST},
    {"hlist_head", "", EXPRESSION_HLIST},
    {"hlist_nulls_head", "", EXPRESSION_HLIST},
    {"rb_root", ".rb_node", EXPRESSION_RBTREE},
    {"rb_root_cached", ".rb_root.rb_node", EXPRESSION_RBTREE},
    {"xarray", ".xa_head", EXPRESSION_XARRAY},
    {"idr", ".idr_rt.xa_head", EXPRESSION_XARRAY},
    {"maple_tree", "", EXPRESSION_MAPLE},
};

/* What the elements are: objects of a type, of which a member is linked. */
struct element {
	value_t type;
	bool given;
	uint64_t offset; /* of that member */
};

static const struct container *find_container(const struct type *type)
{
	for (size_t i = 0; type->kind == TYPE_STRUCT && i < ARRAY_SIZE(containers); i++)
		if (!strcmp(type->name, containers[i].type))
			return &containers[i];
	return NULL;
}

/* Takes the ".MEMBER" or ", MEMBER" of an element's type, if it has one. */
static struct nunchi_error *take_link(struct parser *parser, struct element *element)
{
	char path[PARSER_NAME_LIMIT + 2];
	struct type_field field;
	struct nunchi_error *err;
	const char *start, *end;

	if (!parser_take(parser, ".") && !parser_take(parser, ","))
		return NULL;
	parser_skip(parser);
	start = parser->at;
	end = strchr(start, ')');
	if (!end || end - start > PARSER_NAME_LIMIT)
		return parser_syntax(parser, ") is missing");
	snprintf(path, sizeof(path), ".%.*s", (int)(end - start), start);
	err = parser_field(parser, start, element->type.type, path, &field);
	if (err)
		return err;
	parser->at = end;
	element->offset = field.offset;
	return NULL;
}

static struct nunchi_error *take_element(struct parser *parser, struct element *element)
{
	struct nunchi_error *err = NULL;

	if (parser_take(parser, ",")) {
		parser_skip(parser);
		err = parser_type(parser, &element->type, &element->given);
		if (!err && (!element->given || element->type.stars))
			err = parser_syntax(parser,
					    "a type is missing: each(HEAD, struct TYPE.MEMBER)");
		if (!err)
			err = take_link(parser, element);
	}
	if (!err && !parser_take(parser, ")"))
		err = parser_syntax(parser, ") is missing: each(HEAD, struct TYPE.MEMBER)");
	return err;
}

static bool add(uint64_t address, void *data)
{
	struct parser_loop *loop = data;

	loop->no_memory = !ARRAY_RESERVE(loop->elements, loop->count, loop->capacity, 1);
	if (!loop->no_memory)
		loop->elements[loop->count++] = address;
	return !loop->no_memory;
}

static struct nunchi_error *add_array(struct parser *parser, const char *where,
				      const value_t *array, const struct type *type,
				      struct parser_loop *loop)
{
	uint64_t size;

	if (!type_index_size(parser->guest->types, type->target, &size))
		return parser_error(
		    parser, where,
		    error_create(NUNCHI_ERROR_ARGUMENT, "its elements have no size"));
	if (type->count > EXPRESSION_ELEMENT_LIMIT)
		return parser_error(parser, where,
				    error_create(NUNCHI_ERROR_UNSUPPORTED,
						 "the array has more than %zu elements",
						 EXPRESSION_ELEMENT_LIMIT));
	for (uint32_t i = 0; i < type->count && add(array->address + i * size, loop); i++)
		;
	return NULL;
}

static struct nunchi_error *add_container(struct parser *parser, const char *where,
					  const value_t *head, const struct container *container,
					  struct parser_loop *loop)
{
	const struct expression_guest *guest = parser->guest;
	struct type_field field = {0};
	struct nunchi_error *err = NULL;

	if (*container->path)
		err = parser_field(parser, where, head->type, container->path, &field);
	if (err)
		return err;
	err = parser_error(parser, where,
			   guest->container(guest->data, container->kind,
					    head->address + field.offset, add, loop));
	if (!error_is(err, NUNCHI_ERROR_FAULT) && !error_is(err, NUNCHI_ERROR_DATA))
		return err;
	if (parser->loops->broken)
		nunchi_error_destroy(err);
	else
		parser->loops->broken = err;
	return NULL;
}

/* Finds the elements of a loop that begins. */
static struct nunchi_error *begin(struct parser *parser, const char *where, const value_t *head,
				  const struct type *type, const struct container *container)
{
	struct parser_loops *loops = parser->loops;
	struct parser_loop *loop = &loops->items[loops->count];
	struct nunchi_error *err;

	if (loops->count == PARSER_LOOP_LIMIT)
		return parser_error(parser, where,
				    error_create(NUNCHI_ERROR_UNSUPPORTED,
						 "an expression has at most %d each()",
						 PARSER_LOOP_LIMIT));
	*loop = (struct parser_loop){.where = where};
	loops->count++;
	if (container)
		err = add_container(parser, where, head, container, loop);
	else
		err = add_array(parser, where, head, type, loop);
	if (!err && loop->no_memory)
		err = &error_nomem;
	return err ? err : loop->count ? NULL : &error_stop;
}

/* The current element of the loop that is met. */
static struct nunchi_error *current(struct parser *parser, const char *where, const value_t *head,
				    const struct type *type, const struct container *container,
				    uint64_t *ret)
{
	const struct parser_loop *loop = &parser->loops->items[parser->loops_met];
	struct nunchi_error *err = NULL;

	if (parser->loops_met == parser->loops->count)
		err = begin(parser, where, head, type, container);
	else if (loop->where != where)
		err = parser_error(
		    parser, where,
		    error_create(NUNCHI_ERROR_DATA, "the guest's memory changed meanwhile"));
	if (err)
		return err;
	parser->loops_met++;
	*ret = loop->elements[loop->at];
	return NULL;
}

/* Takes what is walked, also by a pointer to it; *ret is NULL for an array. */
static struct nunchi_error *take_head(struct parser *parser, const char *where, value_t *head,
				      struct type *ret_type, const struct container **ret)
{
	struct nunchi_error *err = parser_expression(parser, head);

	if (err)
		return err;
	expression_type(parser->guest, head, ret_type);
	if (ret_type->kind == TYPE_POINTER) {
		err = parser_follow(parser, where, head);
		if (err)
			return err;
		expression_type(parser->guest, head, ret_type);
	}
	*ret = find_container(ret_type);
	if (*ret || (ret_type->kind == TYPE_ARRAY && head->in_memory))
		return NULL;
	return parser_error(
	    parser, where,
	    error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "this is not a list, tree or array"),
		       "each() takes a list_head, hlist_head, rb_root, xarray, idr, maple_tree or "
		       "array; cast the address of a symbol: *(struct list_head *)&NAME"));
}

/* The type of a list's or tree's elements where none is given. */
static const char *own_type(enum expression_container kind)
{
	switch (kind) {
	case EXPRESSION_LIST:
		return "struct list_head";
	case EXPRESSION_HLIST:
		return "struct hlist_node";
	case EXPRESSION_RBTREE:
		return "struct rb_node";
	default:
		return "void";
	}
}

struct nunchi_error *parser_each(struct parser *parser, value_t *ret)
{
	const struct container *container;
	struct element element = {0};
	struct nunchi_error *err;
	const char *where;
	value_t head = {0}, result = {.in_memory = true, .address = 1};
	struct type type;

	parser_skip(parser);
	where = parser->at;
	err = take_head(parser, where, &head, &type, &container);
	if (!err)
		err = take_element(parser, &element);
	if (!err && element.given && !container)
		err = parser_error(
		    parser, where,
		    error_create(NUNCHI_ERROR_ARGUMENT, "an array's elements have their type"));
	if (!err && !parser->idle)
		err = current(parser, where, &head, &type, container, &result.address);
	if (err)
		return err;
	if (element.given)
		result.type = element.type.type;
	else if (!container)
		result.type = type.target;
	else if (!parser_find_type(parser, own_type(container->kind), &result.type))
		return parser_syntax(parser, "the elements' type is missing");
	result.address -= element.offset;
	*ret = result;
	return NULL;
}

bool parser_next(struct parser_loops *loops)
{
	while (loops->count) {
		struct parser_loop *loop = &loops->items[loops->count - 1];

		if (loop->count && ++loop->at < loop->count)
			return true;
		free(loop->elements);
		loops->count--;
	}
	return false;
}

void parser_loops_deinit(struct parser_loops *loops)
{
	while (loops->count)
		free(loops->items[--loops->count].elements);
	nunchi_error_destroy(loops->broken);
}
