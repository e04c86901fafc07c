/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sources: the JSON schemas of Volatility 3 (volatility3/schemas), and what dwarf2json 0.6 – 0.9
 * writes. It replaces typedefs and qualifiers by the types they stand for, names types without a
 * name "unnamed_" and a hash, and counts bit positions from the least significant bit.
 */
#include "symbols/isf.h"

#include "core/hash.h"
#include "core/json.h"
#include "symbols/btf_writer.h"
#include "symbols/isf_scan.h"
#include "symbols/type_index_private.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_LIMIT 32
#define NAME_LIMIT  511
/* Greatest number accepted as a size, offset or count; all of them are stored in 32 bits. */
#define SIZE_LIMIT ((json_int_t)UINT32_MAX)

struct table {
	const char *text; /* start of the text, for byte offsets in messages */
	struct btf_writer writer;
	unsigned word_size;
	bool has_format, has_types;
};

typedef struct nunchi_error *(*entry_fn)(struct table *table, const char *name,
					 struct isf_span value);

DEFINE_CLEANUP(json_t, json_decref)
#define _cleanup_json_ _cleanup_(cleanup_json_decref_p)

static struct nunchi_error *broken(const struct table *table, const char *at, const char *what)
{
	return error_create(NUNCHI_ERROR_DATA, "symbol table: %s at byte %td", what,
			    at - table->text);
}

static struct nunchi_error *wrong(const char *name, const char *what)
{
	return error_create(NUNCHI_ERROR_DATA, "symbol table: type \"%.100s\": %s", name, what);
}

static struct nunchi_error *parse(const struct table *table, struct isf_span value, json_t **ret)
{
	json_error_t error;
	json_t *json;

	json = json_loadb(value.data, value.size, JSON_DECODE_ANY, &error);
	if (!json && json_no_memory(&error))
		return &error_nomem;
	if (!json)
		return broken(table, value.data + error.position, error.text);
	*ret = json;
	return NULL;
}

/* Calls entry for each member of a JSON object; skips keys that cannot be names. */
static struct nunchi_error *each(struct table *table, struct isf_span object, entry_fn entry)
{
	struct isf_span key, value;
	struct isf_scan scan;

	if (!isf_scan_object(object, &scan))
		return broken(table, object.data, "an object was expected");
	for (;;) {
		enum isf_step step = isf_scan_next(&scan, &key, &value);
		struct nunchi_error *err = NULL;
		char name[NAME_LIMIT + 1];

		if (step == ISF_BROKEN)
			return broken(table, scan.at, "no JSON");
		if (step == ISF_END)
			return NULL;
		if (!key.size || key.size > NAME_LIMIT || memchr(key.data, '\\', key.size) ||
		    memchr(key.data, 0, key.size))
			continue;
		memcpy(name, key.data, key.size);
		name[key.size] = 0;
		err = entry(table, name, value);
		if (err)
			return err;
		if (table->writer.no_memory)
			return &error_nomem;
		if (table->writer.problem)
			return wrong(name, table->writer.problem);
	}
}

static bool number(const json_t *object, const char *key, json_int_t limit, uint64_t *ret)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    json_integer_value(value) > limit)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

static const char *string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static struct nunchi_error *read_format(struct table *table, struct isf_span value)
{
	_cleanup_json_ json_t *json = NULL;
	struct nunchi_error *err = parse(table, value, &json);
	const char *format;
	unsigned major;

	if (err)
		return err;
	format = string(json, "format");
	if (sscanf(format, "%u.", &major) != 1)
		return broken(table, value.data, "metadata without a format");
	if (major < 4 || major > 6)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "symbol table of format %.20s; nunchi reads formats 4 to 6",
				    format);
	table->has_format = true;
	return NULL;
}

static struct nunchi_error *read_base(struct table *table, const char *name, struct isf_span value)
{
	_cleanup_json_ json_t *json = NULL;
	struct nunchi_error *err = parse(table, value, &json);
	uint64_t size;

	if (err)
		return err;
	if (!number(json, "size", SIZE_LIMIT, &size))
		return wrong(name, "no size");
	if (!strcmp(string(json, "endian"), "big"))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "symbol table of a big-endian machine");
	if (!strcmp(name, "pointer") && (size == 4 || size == 8))
		table->word_size = (unsigned)size;
	if (strcmp(name, "void"))
		btf_writer_base(&table->writer,
				btf_writer_named(&table->writer, BTF_INT, name, BTF_SIZE_UNKNOWN),
				name, size, json_is_true(json_object_get(json, "signed")),
				!strcmp(string(json, "kind"), "float"));
	return NULL;
}

/* The name of a type, "" for the "unnamed_" ones that Volatility gives to types without a name. */
static const char *real_name(const char *name)
{
	return strncmp(name, "unnamed_", 8) ? name : "";
}

static type_id convert(struct table *table, const json_t *descriptor, unsigned depth)
{
	const char *kind = string(descriptor, "kind"), *name = string(descriptor, "name");
	struct btf_writer *writer = &table->writer;
	uint64_t count;
	type_id id;

	if (depth > DEPTH_LIMIT)
		return 0;
	if (!strcmp(kind, "pointer") || !strcmp(kind, "array")) {
		id = convert(table, json_object_get(descriptor, "subtype"), depth + 1);
		if (*kind == 'p')
			return btf_writer_derived(writer, BTF_PTR, id);
		if (!number(descriptor, "count", SIZE_LIMIT, &count))
			count = 0;
		return btf_writer_array(writer, id, count);
	}
	if (!strcmp(kind, "function")) {
		id = btf_writer_anonymous(writer);
		btf_writer_prototype(writer, id, 0, NULL, 0);
		return id;
	}
	if (!*name || strlen(name) > NAME_LIMIT)
		return 0;
	if (!strcmp(kind, "struct") || !strcmp(kind, "class"))
		return btf_writer_named(writer, BTF_STRUCT, name, BTF_SIZE_UNKNOWN);
	if (!strcmp(kind, "union"))
		return btf_writer_named(writer, BTF_UNION, name, BTF_SIZE_UNKNOWN);
	if (!strcmp(kind, "enum"))
		return btf_writer_named(writer, BTF_ENUM, name, BTF_SIZE_UNKNOWN);
	if (!strcmp(kind, "base") && strcmp(name, "void"))
		return btf_writer_named(writer, BTF_INT, name, BTF_SIZE_UNKNOWN);
	return 0;
}

static bool read_member(struct table *table, const char *name, const json_t *field,
			struct type_member *ret)
{
	const json_t *type = json_object_get(field, "type");
	uint64_t offset, position, length = 0;

	if (!number(field, "offset", SIZE_LIMIT / 8, &offset))
		return false;
	ret->bit_offset = offset * 8;
	if (!strcmp(string(type, "kind"), "bitfield")) {
		if (!number(type, "bit_position", 63, &position) ||
		    !number(type, "bit_length", 64, &length))
			return false;
		ret->bit_offset += position;
		type = json_object_get(type, "type");
	}
	ret->bit_size = (uint32_t)length;
	ret->type = convert(table, type, 0);
	ret->name = name;
	if (json_is_true(json_object_get(field, "anonymous")) ||
	    !strncmp(name, "unnamed_field_", 14))
		ret->name = "";
	return true;
}

/* Orders members by their offset, since members of a JSON object have no order. */
static int compare_members(const void *a, const void *b)
{
	const struct type_member *x = a, *y = b;

	if (x->bit_offset != y->bit_offset)
		return x->bit_offset < y->bit_offset ? -1 : 1;
	return strcmp(x->name, y->name);
}

static struct nunchi_error *read_user(struct table *table, const char *name, struct isf_span value)
{
	_cleanup_json_ json_t *json = NULL;
	_cleanup_free_ struct type_member *members = NULL;
	struct nunchi_error *err = parse(table, value, &json);
	enum btf_kind kind = BTF_STRUCT;
	json_t *fields, *field;
	const char *key;
	uint32_t count = 0;
	uint64_t size;

	if (err)
		return err;
	fields = json_object_get(json, "fields");
	if (!number(json, "size", SIZE_LIMIT, &size))
		return wrong(name, "no size");
	members = calloc(json_object_size(fields) + 1, sizeof(*members));
	if (!members)
		return &error_nomem;
	json_object_foreach(fields, key, field)
	{
		if (!read_member(table, key, field, &members[count++]))
			return wrong(name, "a field without a possible offset");
	}
	qsort(members, count, sizeof(*members), compare_members);
	if (!strcmp(string(json, "kind"), "union"))
		kind = BTF_UNION;
	btf_writer_struct(&table->writer,
			  btf_writer_named(&table->writer, kind, name, BTF_SIZE_UNKNOWN), kind,
			  real_name(name), size, members, count);
	return NULL;
}

static int compare_enumerators(const void *a, const void *b)
{
	const struct type_enumerator *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return strcmp(x->name, y->name);
}

static struct nunchi_error *read_enum(struct table *table, const char *name, struct isf_span value)
{
	_cleanup_json_ json_t *json = NULL;
	_cleanup_free_ struct type_enumerator *enumerators = NULL;
	struct nunchi_error *err = parse(table, value, &json);
	json_t *constants, *value_json;
	const char *key;
	uint32_t count = 0;
	uint64_t size;

	if (err)
		return err;
	constants = json_object_get(json, "constants");
	if (!number(json, "size", 8, &size))
		return wrong(name, "no size");
	enumerators = calloc(json_object_size(constants) + 1, sizeof(*enumerators));
	if (!enumerators)
		return &error_nomem;
	json_object_foreach(constants, key, value_json)
	{
		enumerators[count++] =
		    (struct type_enumerator){.name = key, .value = json_integer_value(value_json)};
	}
	qsort(enumerators, count, sizeof(*enumerators), compare_enumerators);
	btf_writer_enum(&table->writer,
			btf_writer_named(&table->writer, BTF_ENUM, name, BTF_SIZE_UNKNOWN),
			real_name(name), size, enumerators, count);
	return NULL;
}

static struct nunchi_error *read_section(struct table *table, const char *name,
					 struct isf_span value)
{
	if (!strcmp(name, "metadata"))
		return read_format(table, value);
	if (!strcmp(name, "base_types"))
		return each(table, value, read_base);
	if (!strcmp(name, "enums"))
		return each(table, value, read_enum);
	if (!strcmp(name, "user_types")) {
		table->has_types = true;
		return each(table, value, read_user);
	}
	return NULL;
}

static struct nunchi_error *read_table(struct table *table, size_t size)
{
	struct isf_span whole = {table->text, size};
	struct nunchi_error *err = each(table, whole, read_section);

	if (!err && (!table->has_format || !table->has_types))
		err = error_create(NUNCHI_ERROR_DATA,
				   "JSON, but no symbol table: its %s section is missing",
				   table->has_format ? "user_types" : "metadata");
	return error_hint(err, "a Volatility 3 symbol table (ISF), as dwarf2json makes it, "
			       "is expected");
}

struct nunchi_error *type_index_from_isf(const char *text, size_t size, struct type_index **ret)
{
	struct table table = {.text = text};
	struct type_index_source source = {.format = "ISF", .enum_signs = true, .destroy = free};
	struct nunchi_error *err;
	size_t btf_size = 0;

	btf_writer_init(&table.writer);
	err = read_table(&table, size);
	if (!err)
		err = btf_writer_finish(&table.writer, &source.owner, &btf_size);
	btf_writer_deinit(&table.writer);
	if (err)
		return err;
	source.word_size = table.word_size;
	err = type_index_create(source.owner, btf_size, &source, ret);
	if (err)
		free(source.owner);
	return err;
}
