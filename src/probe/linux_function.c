/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Probes of any function of the kernel, "kernel:FUNCTION" and "kernel:FUNCTION(EXPRESSION,…)". The
 * function's parameters, and what expressions lead to, are taken from the kernel's types.
 */
#include "probe/linux_function.h"

#include "guest/linux/lookup.h"
#include "probe/linux_hit.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "kernel:"
/* Limits of an expression. */
#define MAX_STEPS 16
#define NAME_SIZE 256
/* Limit of a text that an expression gives. */
#define MAX_TEXT 4096

static const struct nunchi_column common[] = {PROBE_COLUMNS(VIEW_COLUMN)};
#define MAX_OWN (VIEW_MAX_COLUMNS - PROBE_COLUMN_COUNT)

/* How the value of a column is read. */
enum form { FORM_SIGNED, FORM_UNSIGNED, FORM_ADDRESS, FORM_STRING, FORM_CHARACTERS };

struct value {
	enum form form;
	uint64_t size; /* in bytes, of an integer or of an array of characters */
	uint32_t bit_shift, bit_size;
};

/* A column: a parameter, and the pointers that lead from it to the value. */
struct expression {
	char *text;
	char *column; /* the same, or another name if that one is taken */
	char type[128];
	unsigned parameter; /* its register, from 0 */
	/* each step reads at this offset from the pointer before; the last one reads the value */
	uint64_t offsets[MAX_STEPS];
	unsigned count; /* 0: the parameter itself */
	struct value value;
};

struct linux_function {
	struct probe probe; /* first: see linux_function_of() */
	char *name;
	char *function;
	struct type_index *types;
	struct type prototype;
	type_id prototype_id;
	struct expression expressions[MAX_OWN];
	unsigned count;
	bool returns; /* the last column is the result */
	struct value result;
	struct nunchi_column columns[VIEW_MAX_COLUMNS];
};

static struct linux_function *linux_function_of(const struct probe *probe)
{
	return (struct linux_function *)probe;
}

/* ---- Types ----------------------------------------------------------------------------------- */

static bool is_character(const struct type_index *types, type_id id)
{
	struct type type;

	return type_index_get(types, type_index_strip(types, id), &type) && type.kind == TYPE_INT &&
	       !strcmp(type.name, "char");
}

/* How a value of this type is read; false for a struct or a union. */
static bool value_of(const struct type_index *types, type_id id, struct value *ret)
{
	struct type type;

	*ret = (struct value){0};
	if (!type_index_get(types, type_index_strip(types, id), &type))
		return false;
	switch (type.kind) {
	case TYPE_INT:
	case TYPE_ENUM:
		ret->form = type.is_signed ? FORM_SIGNED : FORM_UNSIGNED;
		ret->size = type.size;
		return type.size >= 1 && type.size <= 8;
	case TYPE_POINTER:
		ret->form = is_character(types, type.target) ? FORM_STRING : FORM_ADDRESS;
		ret->size = type_index_word_size(types);
		return true;
	case TYPE_ARRAY:
		ret->form = FORM_CHARACTERS;
		ret->size = type.count < MAX_TEXT ? type.count : MAX_TEXT;
		return is_character(types, type.target);
	default:
		return false;
	}
}

static enum nunchi_type column_type(const struct value *value)
{
	switch (value->form) {
	case FORM_ADDRESS:
		return NUNCHI_TYPE_ADDRESS;
	case FORM_STRING:
	case FORM_CHARACTERS:
		return NUNCHI_TYPE_TEXT;
	default:
		return NUNCHI_TYPE_INTEGER;
	}
}

static bool find_prototype(struct linux_function *function, const struct type_index *types)
{
	/* Behind the last colon, if a module is named. */
	const char *name = strrchr(function->function, ':');
	uint32_t count = type_index_count(types);
	struct type type;

	name = name ? name + 1 : function->function;
	for (type_id id = type_index_first(types); id < count; id++) {
		if (type_index_get(types, id, &type) && type.kind == TYPE_FUNCTION &&
		    !strcmp(type.name, name)) {
			function->prototype = type;
			function->prototype_id = id;
			return true;
		}
	}
	return false;
}

/* How many of the registers for arguments a parameter takes; false: what follows is not known. */
static bool count_registers(const struct type_index *types, type_id id, unsigned free,
			    unsigned *ret)
{
	unsigned word = type_index_word_size(types);
	uint64_t size;

	if (!type_index_size(types, id, &size) || !size)
		return false;
	/* A kernel of 32 bits has other rules for what is larger. */
	if (word == 4 && size > word)
		return false;
	*ret = (unsigned)((size + word - 1) / word);
	/* A structure of more than two words, or for which there is no room, is on the stack. */
	if (size > 2 * word || *ret > free)
		*ret = 0;
	return true;
}

/*
 * Gets parameter i and the first register in which it is passed. False if it is on the stack, or
 * that cannot be told. (A parameter of the type void stands for the dots of printf().)
 */
static bool get_parameter(const struct linux_function *function, unsigned i, unsigned *ret_register,
			  struct type_member *ret)
{
	bool narrow = type_index_word_size(function->types) == 4;
	unsigned used = 0, count = 0;

	for (unsigned n = 0; n < function->prototype.count; n++) {
		if (!type_index_parameter(function->types, function->prototype_id, n, ret))
			return false;
		if (!ret->type && narrow)
			return false;
	}
	for (unsigned n = 0; n <= i; n++) {
		used += count;
		if (used >= LINUX_MAX_ARGUMENTS ||
		    !type_index_parameter(function->types, function->prototype_id, n, ret) ||
		    !count_registers(function->types, ret->type, LINUX_MAX_ARGUMENTS - used,
				     &count))
			return false;
	}
	*ret_register = used;
	return count > 0;
}

static bool find_parameter(const struct linux_function *function, const char *name, size_t size,
			   unsigned *ret, type_id *ret_type)
{
	struct type_member parameter;

	for (unsigned i = 0; i < function->prototype.count; i++) {
		if (get_parameter(function, i, ret, &parameter) && strlen(parameter.name) == size &&
		    !memcmp(parameter.name, name, size)) {
			*ret_type = parameter.type;
			return true;
		}
	}
	return false;
}

/* ---- Expressions ----------------------------------------------------------------------------- */

static struct nunchi_error *bad(const struct expression *expression, const char *at,
				const char *format, ...)
    __attribute__((format(printf, 3, 4), warn_unused_result));

/* An error that says where in the expression it is. */
static struct nunchi_error *bad(const struct expression *expression, const char *at,
				const char *format, ...)
{
	char reason[NAME_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	return error_create(NUNCHI_ERROR_ARGUMENT, "%s: at character %zu: %s", expression->text,
			    (size_t)(at - expression->text) + 1, reason);
}

static const char *skip_path(const char *at)
{
	while (isalnum((unsigned char)*at) || strchr("_.[]", *at)) {
		if (!*at)
			break;
		at++;
	}
	return at;
}

/*
 * Takes "->PATH" behind a pointer of type *type; then *type is the type of what it names, and
 * *ret_field tells of a bit field.
 */
static struct nunchi_error *take_step(const struct linux_function *function,
				      struct expression *expression, const char **at, type_id *type,
				      struct type_field *ret_field)
{
	const char *path = *at + 2, *end = skip_path(path);
	struct type pointer, pointee;
	char name[NAME_SIZE];
	struct nunchi_error *err;

	if (!type_index_get(function->types, type_index_strip(function->types, *type), &pointer) ||
	    pointer.kind != TYPE_POINTER)
		return bad(expression, *at, "what stands before -> is no pointer");
	if (!type_index_get(function->types, type_index_strip(function->types, pointer.target),
			    &pointee) ||
	    (pointee.kind != TYPE_STRUCT && pointee.kind != TYPE_UNION) || !*pointee.name)
		return bad(expression, *at, "what stands before -> does not point to a struct");
	if (expression->count == MAX_STEPS)
		return bad(expression, *at, "more than %d pointers", MAX_STEPS);
	if (end == path)
		return bad(expression, path, "the name of a member is missing");
	snprintf(name, sizeof(name), "%s %s.%.*s", pointee.kind == TYPE_UNION ? "union" : "struct",
		 pointee.name, (int)(end - path), path);
	err = type_index_resolve(function->types, name, ret_field);
	if (err) {
		struct nunchi_error *where = bad(expression, path, "%s", nunchi_error_message(err));

		nunchi_error_destroy(err);
		return where;
	}
	expression->offsets[expression->count++] = ret_field->offset;
	*type = ret_field->type;
	*at = end;
	return NULL;
}

/* Resolves expression->text. */
static struct nunchi_error *parse(const struct linux_function *function,
				  struct expression *expression)
{
	const char *at = expression->text;
	size_t size = strcspn(at, "-.[ ");
	struct type_field field = {0};
	struct nunchi_error *err = NULL;
	type_id type = 0;

	if (!find_parameter(function, at, size, &expression->parameter, &type))
		return bad(expression, at, "%s has no parameter \"%.*s\" in a register",
			   function->function, (int)size, at);
	for (at += size; !strncmp(at, "->", 2) && !err;)
		err = take_step(function, expression, &at, &type, &field);
	if (err)
		return err;
	if (*at)
		return bad(expression, at, "-> and a member, or the end, is expected");
	if (!value_of(function->types, type, &expression->value))
		return bad(expression, expression->text,
			   "it is neither a number nor a pointer nor a text: name a member of it");
	expression->value.bit_shift = field.bit_shift;
	expression->value.bit_size = field.bit_size;
	if (field.bit_size)
		expression->value.size = field.size;
	type_index_spell(function->types, type, expression->type, sizeof(expression->type));
	return NULL;
}

/* Whether another column has the name, or "probe", which callers show beside the columns. */
static bool is_taken(const char *name, size_t size)
{
	static const char *const others[] = {"probe", "result"};

	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		if (strlen(common[i].name) == size && !memcmp(common[i].name, name, size))
			return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (strlen(others[i]) == size && !memcmp(others[i], name, size))
			return true;
	}
	return false;
}

static struct nunchi_error *add_expression(struct linux_function *function, const char *text,
					   size_t size)
{
	struct expression *expression = &function->expressions[function->count];

	if (function->count == MAX_OWN - 1)
		return error_create(NUNCHI_ERROR_ARGUMENT, "more than %d expressions",
				    (int)MAX_OWN - 1);
	function->count++;
	expression->text = strndup(text, size);
	if (!expression->text ||
	    asprintf(&expression->column, "%s%.*s", is_taken(text, size) ? "arg_" : "", (int)size,
		     text) < 0) {
		expression->column = NULL;
		return &error_nomem;
	}
	return parse(function, expression);
}

/* Takes "EXPRESSION,…)"; blanks around an expression do not matter. */
static struct nunchi_error *take_expressions(struct linux_function *function, const char *at)
{
	const char *end = at + strlen(at) - 1;
	struct nunchi_error *err = NULL;

	if (end < at || *end != ')')
		return error_create(NUNCHI_ERROR_ARGUMENT, "a closing parenthesis is missing");
	while (at < end && !err) {
		size_t size = strcspn(at, ",)"), used;

		while (size && *at == ' ') {
			at++;
			size--;
		}
		for (used = size; used && at[used - 1] == ' ';)
			used--;
		err = add_expression(function, at, used);
		at += size + 1;
	}
	return err;
}

/* All parameters that are numbers, pointers or texts, in registers. */
static struct nunchi_error *take_parameters(struct linux_function *function)
{
	struct nunchi_error *err = NULL;
	struct type_member parameter;
	struct value value;
	unsigned place;

	for (unsigned i = 0; i < function->prototype.count && !err; i++) {
		if (get_parameter(function, i, &place, &parameter) && *parameter.name &&
		    value_of(function->types, parameter.type, &value))
			err = add_expression(function, parameter.name, strlen(parameter.name));
	}
	return err;
}

/* ---- At a hit -------------------------------------------------------------------------------- */

static int64_t narrow(const struct value *value, uint64_t word)
{
	unsigned bits = value->bit_size ? value->bit_size : (unsigned)(8 * value->size);

	word >>= value->bit_shift;
	if (bits >= 64)
		return (int64_t)word;
	word &= ((uint64_t)1 << bits) - 1;
	if (value->form == FORM_SIGNED && word >> (bits - 1))
		word |= ~(uint64_t)0 << bits;
	return (int64_t)word;
}

/* A text of the kernel, or of the process that the vCPU executes. */
static void set_string(struct probe_hit *hit, unsigned column, uint64_t address, uint64_t limit)
{
	enum read_result result;
	char text[MAX_TEXT];
	size_t size = 0;

	result =
	    hit_read_string(hit, address, text, limit < sizeof(text) ? limit : sizeof(text), &size);
	if (result == READ_OK)
		row_text(hit->row, column, text, size);
	else
		row_unread(hit->row, column, address ? result : READ_NONE);
}

static void set_value(struct probe_hit *hit, unsigned column, const struct value *value,
		      uint64_t word)
{
	switch (value->form) {
	case FORM_ADDRESS:
		row_address(hit->row, column, word);
		return;
	case FORM_STRING:
		set_string(hit, column, word, MAX_TEXT);
		return;
	case FORM_CHARACTERS: /* word is the address of the array */
		set_string(hit, column, word, value->size);
		return;
	default:
		row_integer(hit->row, column, narrow(value, word));
	}
}

/* Follows the pointers of an expression; the result is its value, or the address of its text. */
static enum read_result follow(const struct probe_hit *hit, const struct expression *expression,
			       uint64_t *ret)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	enum read_result result =
	    linux_argument(kernel, hit->registers, expression->parameter, ret);

	for (unsigned i = 0; i < expression->count && result == READ_OK; i++) {
		uint64_t address = *ret + expression->offsets[i];
		bool last = i + 1 == expression->count;

		if (last && expression->value.form == FORM_CHARACTERS) {
			*ret = address;
			return READ_OK;
		}
		if (!last) {
			result = linux_read_word(kernel, address, ret);
			continue;
		}
		*ret = 0;
		result = linux_read(kernel, address, ret, expression->value.size);
	}
	return result;
}

static enum probe_next enter(struct probe_hit *hit)
{
	const struct linux_function *function = linux_function_of(hit->probe);

	for (unsigned i = 0; i < function->count; i++) {
		unsigned column = PROBE_COLUMN_COUNT + i;
		uint64_t word = 0;
		enum read_result result = follow(hit, &function->expressions[i], &word);

		if (result == READ_OK)
			set_value(hit, column, &function->expressions[i].value, word);
		else
			row_unread(hit->row, column, result);
	}
	return function->returns && view_wants(hit->request, PROBE_COLUMN_COUNT + function->count)
		   ? PROBE_RETURNS
		   : PROBE_ROW;
}

static bool leave(struct probe_hit *hit)
{
	const struct linux_function *function = linux_function_of(hit->probe);

	set_value(hit, PROBE_COLUMN_COUNT + function->count, &function->result,
		  linux_returned_address(linux_hit_of(hit)->kernel, hit->registers));
	return true;
}

/* ---------------------------------------------------------------------------------------------- */

static void make_columns(struct linux_function *function)
{
	unsigned count = PROBE_COLUMN_COUNT;

	memcpy(function->columns, common, sizeof(common));
	for (unsigned i = 0; i < function->count; i++) {
		const struct expression *expression = &function->expressions[i];

		function->columns[count++] = (struct nunchi_column){
		    .name = expression->column,
		    .type = column_type(&expression->value),
		    .description = expression->type,
		};
	}
	/* A function without a result has type 0, void. */
	function->returns =
	    value_of(function->types, function->prototype.target, &function->result) &&
	    function->result.size <= type_index_word_size(function->types);
	if (function->returns)
		function->columns[count++] = (struct nunchi_column){
		    .name = "result",
		    .type = column_type(&function->result),
		    .description = "what the function returns",
		};
	function->probe.schema = (struct nunchi_view){
	    .name = function->name,
	    .description = "calls of a function of the kernel",
	    .columns = function->columns,
	    .column_count = count,
	};
	function->probe.providers[0] = (struct probe_provider){
	    .system = &guest_linux,
	    .hooks = {{function->function, enter, leave}},
	};
}

static struct nunchi_error *make(struct linux_function *function, struct linux_kernel *kernel,
				 const char *text)
{
	size_t size = strcspn(text, "(");
	struct nunchi_error *err;

	function->function = strndup(text, size);
	if (!function->function)
		return &error_nomem;
	err = linux_function_types(kernel, function->function, &function->types);
	if (err)
		return err;
	if (!find_prototype(function, function->types))
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "the kernel's types do not describe the function %s",
				    function->function);
	err = text[size] ? take_expressions(function, text + size + 1) : take_parameters(function);
	if (!err)
		make_columns(function);
	return err;
}

struct nunchi_error *linux_function_create(struct guest_kernel *kernel, const char *name,
					   struct probe **ret)
{
	struct linux_function *function;
	struct nunchi_error *err;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0) {
		*ret = NULL;
		return NULL;
	}
	function = calloc(1, sizeof(*function));
	if (!function)
		return &error_nomem;
	function->name = strdup(name);
	err = function->name ? make(function, linux_kernel_of(kernel), name + strlen(PREFIX))
			     : &error_nomem;
	if (err) {
		linux_function_destroy(&function->probe);
		return err;
	}
	*ret = &function->probe;
	return NULL;
}

void linux_function_destroy(struct probe *probe)
{
	struct linux_function *function;

	if (!probe)
		return;
	function = linux_function_of(probe);
	for (unsigned i = 0; i < function->count; i++) {
		free(function->expressions[i].text);
		free(function->expressions[i].column);
	}
	type_index_unref(function->types);
	free(function->function);
	free(function->name);
	free(function);
}
