/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written as a call: sizeof, container_of, and what C has not. */
#include "expression/parser.h"

#include <stdio.h>
#include <string.h>

/* Takes a token that must come; `usage` says what is missing. */
static struct nunchi_error *need(struct parser *parser, const char *token, const char *usage)
{
	char what[128];

	if (parser_take(parser, token))
		return NULL;
	snprintf(what, sizeof(what), "%s is missing: %s", token, usage);
	return parser_syntax(parser, what);
}

/* Takes an argument, and makes it a value that is not in memory. */
static struct nunchi_error *take_value(struct parser *parser, value_t *ret)
{
	struct nunchi_error *err;
	const char *start;

	parser_skip(parser);
	start = parser->at;
	err = parser_expression(parser, ret);
	return err ? err : parser_decay(parser, start, ret);
}

static struct nunchi_error *size_of(struct parser *parser, value_t *ret)
{
	const char *start;
	value_t value = {0};
	bool is_type;
	uint64_t size;
	struct nunchi_error *err;

	parser_skip(parser);
	start = parser->at;
	err = parser_type(parser, &value, &is_type);
	value.in_memory = true;
	if (!err && !is_type) {
		parser->idle++;
		err = parser_expression(parser, &value);
		parser->idle--;
	}
	if (err)
		return err;
	if (!expression_size(parser->guest, &value, &size))
		return parser_error(parser, start,
				    error_create(NUNCHI_ERROR_ARGUMENT, "it has no size"));
	*ret = parser_number(size, false);
	return need(parser, ")", "sizeof(EXPRESSION)");
}

/* container_of(pointer, struct type, member.member) */
static struct nunchi_error *container_of(struct parser *parser, value_t *ret)
{
	static const char usage[] = "container_of(POINTER, struct TYPE, MEMBER)";
	value_t pointer = {0}, type = {0};
	const char *start, *end;
	struct nunchi_error *err;
	struct type_field field;
	char path[PARSER_NAME_LIMIT + 2];
	bool found;

	err = take_value(parser, &pointer);
	if (!err)
		err = need(parser, ",", usage);
	if (!err)
		err = parser_type(parser, &type, &found);
	if (!err && (!found || type.stars))
		err = parser_syntax(parser, "a type is missing: "
					    "container_of(POINTER, struct TYPE, MEMBER)");
	if (!err)
		err = need(parser, ",", usage);
	if (err)
		return err;
	parser_skip(parser);
	start = parser->at;
	end = strchr(start, ')');
	if (!end || end - start > PARSER_NAME_LIMIT)
		return parser_syntax(parser, ") is missing");
	snprintf(path, sizeof(path), ".%.*s", (int)(end - start), start);
	err = parser_field(parser, start, type.type, path, &field);
	if (err)
		return err;
	parser->at = end + 1;
	*ret = (value_t){.type = type.type, .stars = 1, .number = pointer.number - field.offset};
	return NULL;
}

/* A process that is not there is as a pointer that leads nowhere: another row may have one. */
static struct nunchi_error *find_task(const struct parser *parser, uint64_t pid, uint64_t *ret)
{
	struct nunchi_error *err = parser->guest->task(parser->guest->data, pid, ret), *fault;

	if (!error_is(err, NUNCHI_ERROR_NOT_FOUND))
		return err;
	fault = error_create(NUNCHI_ERROR_FAULT, "%s", nunchi_error_message(err));
	nunchi_error_destroy(err);
	return fault;
}

/* task(PID): the process's struct task_struct. */
static struct nunchi_error *task(struct parser *parser, value_t *ret)
{
	const char *start = parser->at;
	value_t pid = {0}, result = {.stars = 1, .number = 1};
	struct nunchi_error *err = take_value(parser, &pid);

	if (!err)
		err = need(parser, ")", "task(PID)");
	if (!err && !parser_find_type(parser, "struct task_struct", &result.type))
		err = parser_error(parser, start,
				   error_create(NUNCHI_ERROR_NOT_FOUND,
						"there is no type \"struct task_struct\""));
	if (!err && !parser->idle)
		err = parser_error(parser, start, find_task(parser, pid.number, &result.number));
	if (!err)
		*ret = result;
	return err;
}

/* string(POINTER): the text that it points to. */
static struct nunchi_error *string(struct parser *parser, value_t *ret)
{
	value_t pointer = {0};
	const char *start = parser->at;
	struct nunchi_error *err = take_value(parser, &pointer);
	value_t result = {.stars = 1, .number = pointer.number, .is_text = true};

	if (!err)
		err = need(parser, ")", "string(POINTER)");
	if (!err && !pointer.number)
		err = parser_error(parser, start,
				   error_create(NUNCHI_ERROR_FAULT, "the pointer is NULL"));
	if (!err && !parser_find_type(parser, "char", &result.type))
		err = parser_syntax(parser, "there is no type \"char\"");
	if (!err)
		*ret = result;
	return err;
}

/* Takes the arguments of per_cpu() and per_cpu_ptr(), and moves *address to that CPU's. */
static struct nunchi_error *take_cpu(struct parser *parser, const char *where, const char *usage,
				     uint64_t *address)
{
	const struct expression_guest *guest = parser->guest;
	value_t cpu = {0};
	struct nunchi_error *err = need(parser, ",", usage);

	if (!err)
		err = take_value(parser, &cpu);
	if (!err)
		err = need(parser, ")", usage);
	if (err || parser->idle)
		return err;
	return parser_error(parser, where,
			    guest->per_cpu(guest->data, *address, cpu.number, address));
}

static struct nunchi_error *per_cpu(struct parser *parser, value_t *ret)
{
	const char *start = parser->at;
	struct nunchi_error *err = parser_expression(parser, ret);

	if (!err && (!ret->in_memory || ret->bit_size))
		err = parser_error(
		    parser, start,
		    error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "this is not a variable"),
			       "per_cpu_ptr(POINTER, CPU) takes a pointer"));
	return err ? err : take_cpu(parser, start, "per_cpu(VARIABLE, CPU)", &ret->address);
}

static struct nunchi_error *per_cpu_ptr(struct parser *parser, value_t *ret)
{
	const char *start = parser->at;
	struct nunchi_error *err = take_value(parser, ret);

	return err ? err : take_cpu(parser, start, "per_cpu_ptr(POINTER, CPU)", &ret->number);
}

static const struct {
	const char *name;
	struct nunchi_error *(*call)(struct parser *parser, value_t *ret);
} functions[] = {
    {"container_of", container_of},
    {"each", parser_each},
    {"per_cpu", per_cpu},
    {"per_cpu_ptr", per_cpu_ptr},
    {"sizeof", size_of},
    {"string", string},
    {"task", task},
};

static struct nunchi_error *no_function(const struct parser *parser, const char *name)
{
	_cleanup_buffer_ struct buffer known = {0};

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		buffer_printf(&known, "%s%s()", i ? ", " : "", functions[i].name);
	if (known.failed)
		return &error_nomem;
	return parser_error(parser, parser->at,
			    error_hint(error_create(NUNCHI_ERROR_ARGUMENT,
						    "functions of the guest cannot be called, and "
						    "there is no %s() here",
						    name),
				       "there are %s", buffer_string(&known)));
}

struct nunchi_error *parser_call(struct parser *parser, const char *name, value_t *ret,
				 bool *ret_found)
{
	*ret_found = false;
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (!strcmp(name, functions[i].name) && parser_take(parser, "(")) {
			*ret_found = true;
			return functions[i].call(parser, ret);
		}
	parser_skip(parser);
	return *parser->at == '(' ? no_function(parser, name) : NULL;
}
