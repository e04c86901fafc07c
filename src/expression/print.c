/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "expression/expression.h"
#include "output/escape.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Structs and arrays within each other at most; types of a hostile guest may contain themselves. */
#define NESTING_LIMIT 32
/* Elements of an array that are shown; those that follow are counted. */
#define ELEMENTS 200
/* Bytes of a text behind a pointer, and of one that string() asks for. */
#define POINTED_LIMIT 200
#define STRING_LIMIT  4096
#define PAGE          4096

/* An object that was read page by page, as some of it is not in memory. */
struct pieces {
	const uint8_t *bytes;
	size_t lead;                   /* of the first page, in front of the object */
	struct nunchi_error **reasons; /* why a page cannot be read; NULL: it was read */
};

struct printer {
	const struct expression_guest *guest;
	struct buffer *text;
	unsigned depth;
	struct pieces pieces; /* reasons is NULL: all was read */
};

static void print_bytes(struct printer *printer, type_id id, const uint8_t *bytes, size_t size,
			unsigned level);

static void escaped(struct printer *printer, const char *text)
{
	escape_text(printer->text, text, strlen(text));
}

static void new_line(struct printer *printer, unsigned level)
{
	buffer_append_char(printer->text, '\n');
	for (unsigned i = 0; i < level; i++)
		buffer_append_string(printer->text, "  ");
}

static void print_enum(struct printer *printer, type_id id, const struct type *type,
		       uint64_t number)
{
	struct type_enumerator enumerator;

	for (uint32_t i = 0; i < type->count; i++) {
		if (!type_index_enumerator(printer->guest->types, id, i, &enumerator))
			break;
		if (enumerator.value == (int64_t)number) {
			escaped(printer, enumerator.name);
			return;
		}
	}
	buffer_printf(printer->text, "%" PRId64, (int64_t)number);
}

static void print_pointer(struct printer *printer, uint64_t address)
{
	_cleanup_buffer_ struct buffer name = {0};

	if (!address) {
		buffer_append_string(printer->text, "NULL");
		return;
	}
	buffer_printf(printer->text, "0x%" PRIx64, address);
	buffer_init(&name, 0);
	printer->guest->name(printer->guest->data, address, &name);
	escape_text(printer->text, buffer_string(&name), name.size);
}

static bool is_char(const struct expression_guest *guest, type_id id)
{
	struct type type;

	return type_index_get(guest->types, type_index_strip(guest->types, id), &type) &&
	       type.kind == TYPE_INT && type.size == 1 && !strcmp(type.name, "char");
}

static void print_text(struct printer *printer, const uint8_t *bytes, size_t size)
{
	buffer_append_char(printer->text, '"');
	escape_text(printer->text, (const char *)bytes, strnlen((const char *)bytes, size));
	buffer_append_char(printer->text, '"');
}

/* Reads a text up to its NUL, at most `limit` bytes; *ret_ended is false if it goes on. */
static struct nunchi_error *read_text(const struct expression_guest *guest, uint64_t address,
				      size_t limit, uint8_t *bytes, size_t *ret_size,
				      bool *ret_ended)
{
	size_t size = 0;
	bool ended = false;

	while (size < limit && !ended) {
		size_t step = PAGE - (size_t)((address + size) % PAGE);
		struct nunchi_error *err;

		step = step < limit - size ? step : limit - size;
		err = guest->read(guest->data, address + size, step, bytes + size);
		if (err && !size)
			return err;
		nunchi_error_destroy(err);
		if (err)
			break;
		ended = memchr(bytes + size, 0, step);
		size += step;
	}
	*ret_size = ended ? strlen((const char *)bytes) : size;
	*ret_ended = ended;
	return NULL;
}

/* Prints the text at an address up to its NUL; "…" stands for what lies beyond the limit. */
static struct nunchi_error *print_pointed(struct printer *printer, uint64_t address, size_t limit)
{
	uint8_t bytes[STRING_LIMIT];
	struct nunchi_error *err;
	size_t size;
	bool ended;

	err = read_text(printer->guest, address, limit, bytes, &size, &ended);
	if (err)
		return err;
	print_text(printer, bytes, size);
	if (!ended)
		buffer_append_string(printer->text, size < limit ? "<unreadable>" : "…");
	return NULL;
}

/* A pointer to char has its text after it. */
static void print_text_pointer(struct printer *printer, uint64_t address)
{
	struct nunchi_error *err;

	if (!address) {
		print_pointer(printer, address);
		return;
	}
	buffer_printf(printer->text, "0x%" PRIx64 " ", address);
	err = print_pointed(printer, address, POINTED_LIMIT);
	if (err)
		buffer_append_string(printer->text, "<unreadable>");
	nunchi_error_destroy(err);
}

/* A number that is no struct or array; `id` without typedefs. */
static void print_number(struct printer *printer, type_id id, const struct type *type,
			 uint64_t number)
{
	if (type->kind == TYPE_POINTER && is_char(printer->guest, type->target))
		print_text_pointer(printer, number);
	else if (type->kind == TYPE_POINTER)
		print_pointer(printer, number);
	else if (type->kind == TYPE_ENUM)
		print_enum(printer, id, type, number);
	else if (!strcmp(type->name, "_Bool") && number <= 1)
		buffer_append_string(printer->text, number ? "true" : "false");
	else if (type->is_signed)
		buffer_printf(printer->text, "%" PRId64, (int64_t)number);
	else
		buffer_printf(printer->text, "%" PRIu64, number);
}

/* Prints why a part of the object cannot be shown; false if all of it was read. */
static bool print_missing(struct printer *printer, const uint8_t *bytes, size_t size)
{
	const struct pieces *pieces = &printer->pieces;
	size_t first, last;

	if (!pieces->reasons || !size)
		return false;
	first = pieces->lead + (size_t)(bytes - pieces->bytes);
	last = (first + size - 1) / PAGE;
	for (size_t page = first / PAGE; page <= last; page++) {
		if (!pieces->reasons[page])
			continue;
		buffer_append_char(printer->text, '<');
		escaped(printer, nunchi_error_message(pieces->reasons[page]));
		buffer_append_char(printer->text, '>');
		return true;
	}
	return false;
}

static void print_scalar(struct printer *printer, type_id id, const uint8_t *bytes, size_t size,
			 uint32_t shift, uint32_t bits)
{
	struct type type;

	if (print_missing(printer, bytes, size))
		return;
	id = type_index_strip(printer->guest->types, id);
	if (!type_index_get(printer->guest->types, id, &type) || size > 8 || !size ||
	    (type.kind != TYPE_INT && type.kind != TYPE_ENUM && type.kind != TYPE_POINTER)) {
		buffer_printf(printer->text, "<%zu bytes>", size);
		return;
	}
	print_number(printer, id, &type,
		     expression_extract(bytes, size, shift, bits, type.is_signed));
}

static void print_array(struct printer *printer, const struct type *type, const uint8_t *bytes,
			size_t size, unsigned level)
{
	uint64_t each;

	if (is_char(printer->guest, type->target)) {
		if (!print_missing(printer, bytes, size))
			print_text(printer, bytes, size);
		return;
	}
	if (!type_index_size(printer->guest->types, type->target, &each) || !each)
		each = 1;
	buffer_append_char(printer->text, '{');
	for (uint32_t i = 0; i < type->count && (i + 1) * each <= size; i++) {
		if (printer->text->failed)
			return;
		if (i)
			buffer_append_string(printer->text, ", ");
		if (i == ELEMENTS) {
			buffer_printf(printer->text, "<%" PRIu32 " more>", type->count - i);
			break;
		}
		print_bytes(printer, type->target, bytes + i * each, (size_t)each, level);
	}
	buffer_append_char(printer->text, '}');
}

static void print_bits(struct printer *printer, const struct type_member *member,
		       const uint8_t *bytes, size_t size)
{
	uint64_t first = member->bit_offset / 8;
	uint64_t bytes_touched = (member->bit_offset % 8 + member->bit_size + 7) / 8;

	if (first >= size || bytes_touched > size - first)
		buffer_append_string(printer->text, "<outside of the struct>");
	else
		print_scalar(printer, member->type, bytes + first, (size_t)bytes_touched,
			     (uint32_t)(member->bit_offset % 8), member->bit_size);
}

static void print_member(struct printer *printer, const struct type_member *member,
			 const uint8_t *bytes, size_t size, unsigned level)
{
	uint64_t first = member->bit_offset / 8, own;

	if (*member->name) {
		escaped(printer, member->name);
		buffer_append_string(printer->text, " = ");
	}
	if (member->bit_size)
		print_bits(printer, member, bytes, size);
	else if (!type_index_size(printer->guest->types, member->type, &own) || first > size ||
		 own > size - first)
		buffer_append_string(printer->text, "<outside of the struct>");
	else
		print_bytes(printer, member->type, bytes + first, (size_t)own, level);
}

static void print_struct(struct printer *printer, type_id id, const struct type *type,
			 const uint8_t *bytes, size_t size, unsigned level)
{
	struct type_member member;

	if (level > printer->depth) {
		buffer_append_string(printer->text, "{…}");
		return;
	}
	buffer_append_char(printer->text, '{');
	for (uint32_t i = 0; i < type->count && !printer->text->failed; i++) {
		if (!type_index_member(printer->guest->types, id, i, &member))
			break;
		new_line(printer, level + 1);
		print_member(printer, &member, bytes, size, level + 1);
		buffer_append_char(printer->text, ',');
	}
	new_line(printer, level);
	buffer_append_char(printer->text, '}');
}

static void print_bytes(struct printer *printer, type_id id, const uint8_t *bytes, size_t size,
			unsigned level)
{
	type_id stripped = type_index_strip(printer->guest->types, id);
	struct type type;

	if (level >= NESTING_LIMIT || printer->text->failed ||
	    !type_index_get(printer->guest->types, stripped, &type))
		buffer_append_string(printer->text, "{…}");
	else if (type.kind == TYPE_STRUCT || type.kind == TYPE_UNION)
		print_struct(printer, stripped, &type, bytes, size, level);
	else if (type.kind == TYPE_ARRAY)
		print_array(printer, &type, bytes, size, level + 1);
	else
		print_scalar(printer, stripped, bytes, size, 0, 0);
}

/*
 * Reads each page of an object by itself. Fails if none can be read; else pieces->reasons has why
 * those are missing that cannot.
 */
static struct nunchi_error *read_pieces(const struct expression_guest *guest, uint64_t address,
					uint8_t *bytes, size_t size, struct pieces *pieces)
{
	size_t lead = (size_t)(address % PAGE), count = (lead + size - 1) / PAGE + 1, missing = 0;
	struct nunchi_error *err;

	*pieces = (struct pieces){bytes, lead, calloc(count, sizeof(*pieces->reasons))};
	if (!pieces->reasons)
		return &error_nomem;
	for (size_t page = 0; page < count; page++) {
		size_t start = page ? page * PAGE - lead : 0, end = (page + 1) * PAGE - lead;

		end = end < size ? end : size;
		memset(bytes + start, 0, end - start);
		pieces->reasons[page] =
		    guest->read(guest->data, address + start, end - start, bytes + start);
		missing += pieces->reasons[page] != NULL;
	}
	if (missing < count)
		return NULL;
	err = pieces->reasons[0];
	pieces->reasons[0] = NULL;
	return err;
}

static void pieces_deinit(struct pieces *pieces, size_t size)
{
	for (size_t page = 0; pieces->reasons && page <= (pieces->lead + size - 1) / PAGE; page++)
		nunchi_error_destroy(pieces->reasons[page]);
	free(pieces->reasons);
}

static struct nunchi_error *print_object(struct printer *printer,
					 const struct expression_value *value)
{
	struct nunchi_error *err;
	uint64_t size;
	uint8_t *bytes;

	if (!expression_size(printer->guest, value, &size))
		return error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "its type is not known"),
				  "cast its address: *(struct list_head *)&NAME");
	if (size > EXPRESSION_READ_LIMIT)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "it has %" PRIu64 " bytes; at most %zu are read at once", size,
				    EXPRESSION_READ_LIMIT);
	bytes = malloc(size ? size : 1);
	if (!bytes)
		return &error_nomem;
	err = size ? printer->guest->read(printer->guest->data, value->address, size, bytes) : NULL;
	if (error_is(err, NUNCHI_ERROR_FAULT) &&
	    (value->address + size - 1) / PAGE != value->address / PAGE) {
		nunchi_error_destroy(err);
		err = read_pieces(printer->guest, value->address, bytes, size, &printer->pieces);
	}
	if (!err)
		print_bytes(printer, value->type, bytes, size, 0);
	pieces_deinit(&printer->pieces, size);
	free(bytes);
	return err;
}

struct nunchi_error *expression_print(const struct expression_guest *guest,
				      const struct expression_value *value, unsigned depth,
				      struct buffer *text)
{
	struct printer printer = {.guest = guest, .text = text, .depth = depth};
	struct nunchi_error *err;
	struct type type;
	uint64_t number;

	expression_type(guest, value, &type);
	if (value->stars > 1)
		type.target = 0; /* It is a pointer to a pointer, whatever that leads to. */
	if (type.kind == TYPE_INT || type.kind == TYPE_ENUM || type.kind == TYPE_POINTER) {
		err = expression_load(guest, value, &number);
		if (!err && value->is_text)
			err = print_pointed(&printer, number, STRING_LIMIT);
		else if (!err)
			print_number(&printer, type_index_strip(guest->types, value->type), &type,
				     number);
	} else {
		err = print_object(&printer, value);
	}
	if (err || !text->failed)
		return err;
	if (text->no_memory)
		return &error_nomem;
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    "its text is larger than %zu bytes; name a "
			    "member of it",
			    EXPRESSION_TEXT_LIMIT);
}

/* The text of an array of char, or of what a pointer to char leads to. */
static struct nunchi_error *plain_text(const struct expression_guest *guest, uint64_t address,
				       uint64_t limit, enum expression_kind *ret,
				       struct buffer *text)
{
	uint8_t bytes[STRING_LIMIT];
	struct nunchi_error *err;
	size_t size;
	bool ended;

	err = read_text(guest, address, limit < sizeof(bytes) ? (size_t)limit : sizeof(bytes),
			bytes, &size, &ended);
	if (err)
		return err;
	buffer_append(text, bytes, size);
	*ret = EXPRESSION_TEXT;
	return text->no_memory ? &error_nomem : NULL;
}

struct nunchi_error *expression_plain(const struct expression_guest *guest,
				      const struct expression_value *value,
				      enum expression_kind *ret, uint64_t *ret_number,
				      struct buffer *text)
{
	struct nunchi_error *err;
	struct type type;

	*ret = EXPRESSION_COMPOSITE;
	*ret_number = 0;
	expression_type(guest, value, &type);
	if (type.kind == TYPE_ARRAY && value->in_memory && is_char(guest, type.target) &&
	    type.count)
		return plain_text(guest, value->address, type.count, ret, text);
	if (type.kind != TYPE_INT && type.kind != TYPE_ENUM && type.kind != TYPE_POINTER)
		return NULL;
	err = expression_load(guest, value, ret_number);
	if (err)
		return err;
	*ret = type.is_signed ? EXPRESSION_SIGNED : EXPRESSION_UNSIGNED;
	if (type.kind != TYPE_POINTER || value->stars > 1 || !is_char(guest, type.target))
		return NULL;
	*ret = EXPRESSION_NO_TEXT;
	err = *ret_number ? plain_text(guest, *ret_number, STRING_LIMIT, ret, text) : NULL;
	if (!error_is(err, NUNCHI_ERROR_FAULT) || value->is_text)
		return err;
	nunchi_error_destroy(err);
	return NULL;
}
