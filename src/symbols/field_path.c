/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/type_index_private.h"

#include <inttypes.h>
#include <string.h>

#define NESTING_LIMIT 16 /* greatest nesting of anonymous members */
/* Members compared for one path at most; the largest kernel struct has about a thousand. */
#define MEMBER_BUDGET (1u << 14)
#define ARRAY_DEPTH   16
#define NAME_LIMIT    255
/* Larger than any struct, and small enough that sums of offsets cannot overflow. */
#define OFFSET_LIMIT (1ULL << 40)

struct walk {
	const struct type_index *index;
	const char *path;
	const char *at; /* the part of `path` that is not resolved yet */
	unsigned budget;
	type_id type; /* of the field that the resolved part names */
	uint64_t bit_offset;
	uint32_t bit_size;
};

/* The resolved part of the path, for messages. */
#define DONE(walk) (int)((walk)->at - (walk)->path), (walk)->path

static struct nunchi_error *syntax_error(const struct walk *walk, const char *what)
{
	return error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "path \"%s\": %s at character %td",
				       walk->path, what, walk->at - walk->path + 1),
			  "a path is written struct.member[INDEX].member");
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$';
}

static struct nunchi_error *start(struct walk *walk, uint64_t *ret_size)
{
	size_t size = strcspn(walk->path, ".[");
	char name[NAME_LIMIT + 1];

	if (!size || size > NAME_LIMIT)
		return syntax_error(walk, size ? "the name is too long" : "a name is missing");
	memcpy(name, walk->path, size);
	name[size] = 0;
	if (!type_index_find(walk->index, name, &walk->type))
		return error_create(NUNCHI_ERROR_NOT_FOUND, "there is no type \"%s\"", name);
	walk->at += size;
	if (!type_index_size(walk->index, walk->type, ret_size))
		*ret_size = 0;
	return NULL;
}

struct wanted {
	const char *name;
	size_t size;
};

static bool find_member(struct walk *walk, type_id id, const struct wanted *wanted, unsigned depth,
			uint64_t base, struct type_member *ret);

/* Searches for the member inside anonymous member i. */
static bool find_inside(struct walk *walk, type_id id, uint32_t i, const struct wanted *wanted,
			unsigned depth, uint64_t base, struct type_member *ret)
{
	struct type_member member;

	if (depth >= NESTING_LIMIT || !type_index_member(walk->index, id, i, &member) ||
	    member.bit_size)
		return false;
	return find_member(walk, type_index_strip(walk->index, member.type), wanted, depth + 1,
			   base + member.bit_offset, ret);
}

/*
 * Searches a struct or union for the member; ret->bit_offset counts from the same start as `base`.
 */
static bool find_member(struct walk *walk, type_id id, const struct wanted *wanted, unsigned depth,
			uint64_t base, struct type_member *ret)
{
	const struct btf *btf = &walk->index->btf;
	struct btf_record record;

	if (!btf_record(btf, id, &record) ||
	    (record.kind != BTF_STRUCT && record.kind != BTF_UNION))
		return false;
	for (uint32_t i = 0; i < record.vlen; i++) {
		const char *name = btf_name(btf, btf_member_name(&record, i));

		/* Counted before find_inside(), which takes from the same budget. */
		if (!walk->budget)
			return false;
		walk->budget--;
		if (!*name) {
			if (find_inside(walk, id, i, wanted, depth, base, ret))
				return true;
		} else if (!strncmp(name, wanted->name, wanted->size) && !name[wanted->size]) {
			if (!type_index_member(walk->index, id, i, ret))
				return false;
			ret->bit_offset += base;
			return true;
		}
	}
	return false;
}

/* The error that says why a path cannot continue after the resolved part. */
static struct nunchi_error *no_members(const struct walk *walk)
{
	char spelling[128];
	struct type type;

	type_index_spell(walk->index, walk->type, spelling, sizeof(spelling));
	if (!type_index_get(walk->index, type_index_strip(walk->index, walk->type), &type))
		type.kind = TYPE_OTHER;
	return error_create(NUNCHI_ERROR_NOT_FOUND, "\"%.*s\" is %s (%s)", DONE(walk),
			    type.kind == TYPE_POINTER ? "a pointer, which a path does not follow"
			    : type.kind == TYPE_ARRAY ? "an array and needs an index"
			    : type.kind == TYPE_FORWARD
				? "only declared, not defined"
				: "not a struct or union and has no members",
			    spelling);
}

static struct nunchi_error *step_member(struct walk *walk)
{
	struct wanted wanted = {.name = walk->at + 1};
	struct type_member member;
	struct type type;
	type_id id = type_index_strip(walk->index, walk->type);

	while (is_name_char(wanted.name[wanted.size]))
		wanted.size++;
	if (!wanted.size) {
		walk->at++;
		return syntax_error(walk, "a member's name is missing");
	}
	if (walk->bit_size || !type_index_get(walk->index, id, &type) ||
	    (type.kind != TYPE_STRUCT && type.kind != TYPE_UNION))
		return no_members(walk);
	if (!find_member(walk, id, &wanted, 0, 0, &member))
		return error_create(NUNCHI_ERROR_NOT_FOUND, "\"%.*s\" has no member \"%.*s\"",
				    DONE(walk), (int)wanted.size, wanted.name);
	walk->bit_offset += member.bit_offset;
	walk->bit_size = member.bit_size;
	walk->type = member.type;
	walk->at = wanted.name + wanted.size;
	return NULL;
}

/* Parses a decimal number below 2^32, without sign or leading zeros. */
static bool parse_number(const char *text, size_t size, int64_t *ret)
{
	uint64_t value = 0;

	if (!size || size > 10)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*ret = (int64_t)value;
	return value <= UINT32_MAX;
}

static struct nunchi_error *parse_index(struct walk *walk, int64_t *ret)
{
	const char *text = walk->at + 1;
	char name[NAME_LIMIT + 1];
	size_t size = 0;

	while (is_name_char(text[size]))
		size++;
	if (!size || size > NAME_LIMIT || text[size] != ']') {
		walk->at++;
		return syntax_error(walk, "an index is a number or an enumerator in [ ]");
	}
	memcpy(name, text, size);
	name[size] = 0;
	if (*name >= '0' && *name <= '9') {
		if (!parse_number(text, size, ret)) {
			walk->at++;
			return syntax_error(walk, "the index is not a decimal number below 2^32");
		}
	} else if (!type_index_enum_value(walk->index, name, ret)) {
		return error_create(NUNCHI_ERROR_NOT_FOUND, "there is no enumerator \"%s\"", name);
	}
	return NULL;
}

static struct nunchi_error *step_index(struct walk *walk)
{
	struct nunchi_error *err;
	struct type type;
	int64_t index = 0;
	uint64_t size;

	err = parse_index(walk, &index);
	if (err)
		return err;
	if (walk->bit_size ||
	    !type_index_get(walk->index, type_index_strip(walk->index, walk->type), &type) ||
	    type.kind != TYPE_ARRAY)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "\"%.*s\" is not an array", DONE(walk));
	/* A flexible array (0 elements) has no known end, so that any index is accepted. */
	if (index < 0 || (type.count && (uint64_t)index >= type.count))
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "\"%.*s\" has %u elements, so there is no element %" PRId64,
				    DONE(walk), type.count, index);
	if (!type_index_size(walk->index, type.target, &size) ||
	    __builtin_mul_overflow(size, (uint64_t)index * 8, &size) || size > OFFSET_LIMIT * 8)
		return error_create(NUNCHI_ERROR_NOT_FOUND,
				    "the elements of \"%.*s\" have an impossible size", DONE(walk));
	walk->bit_offset += size;
	walk->type = type.target;
	walk->at = strchr(walk->at, ']') + 1;
	return NULL;
}

static struct nunchi_error *follow(struct walk *walk)
{
	while (*walk->at) {
		struct nunchi_error *err;

		if (*walk->at == '.')
			err = step_member(walk);
		else if (*walk->at == '[')
			err = step_index(walk);
		else
			return syntax_error(walk, "neither . nor [");
		if (err)
			return err;
		if (walk->bit_offset > OFFSET_LIMIT * 8)
			return error_create(NUNCHI_ERROR_DATA,
					    "\"%.*s\" is said to be %" PRIu64 " bytes in",
					    DONE(walk), walk->bit_offset / 8);
	}
	return NULL;
}

/*
 * Determines the load for a bit field: an aligned one inside the struct of `limit` bytes if
 * possible. See struct type_field.
 */
static bool place_bits(const struct walk *walk, uint64_t limit, struct type_field *field)
{
	uint64_t start = walk->bit_offset, end = start + walk->bit_size;

	field->bit_size = walk->bit_size;
	for (uint64_t bytes = 1; bytes <= 8; bytes *= 2) {
		uint64_t first = start / (bytes * 8) * bytes;

		if (end <= (first + bytes) * 8 && first + bytes <= limit) {
			field->offset = first;
			field->size = bytes;
			field->bit_shift = (uint32_t)(start - first * 8);
			return true;
		}
	}
	field->offset = start / 8;
	field->size = (end + 7) / 8 - start / 8;
	field->bit_shift = (uint32_t)(start % 8);
	return field->size <= 8;
}

/* Counts the elements of an array over all dimensions, and stores whether they are signed. */
static bool describe_elements(const struct walk *walk, struct type_field *field)
{
	type_id id = walk->type;
	struct type type;

	field->elements = 1;
	for (int depth = 0; depth < ARRAY_DEPTH; depth++) {
		if (!type_index_get(walk->index, type_index_strip(walk->index, id), &type))
			return false;
		if (type.kind != TYPE_ARRAY) {
			field->is_signed = type.is_signed;
			return true;
		}
		if (__builtin_mul_overflow(field->elements, type.count, &field->elements))
			return false;
		id = type.target;
	}
	return false;
}

static struct nunchi_error *finish(const struct walk *walk, uint64_t limit, struct type_field *ret)
{
	struct type_field field = {.type = walk->type};

	if (!describe_elements(walk, &field) ||
	    !type_index_size(walk->index, walk->type, &field.size))
		return error_create(NUNCHI_ERROR_NOT_FOUND, "\"%s\" has no size", walk->path);
	if (walk->bit_size) {
		if (!place_bits(walk, limit, &field))
			return error_create(NUNCHI_ERROR_UNSUPPORTED,
					    "bit field \"%s\" (%u bits at bit %" PRIu64
					    ") cannot be loaded at once",
					    walk->path, walk->bit_size, walk->bit_offset);
	} else if (walk->bit_offset % 8) {
		return error_create(NUNCHI_ERROR_DATA,
				    "\"%s\" is said to start inside of a byte (bit %" PRIu64 ")",
				    walk->path, walk->bit_offset);
	} else {
		field.offset = walk->bit_offset / 8;
	}
	*ret = field;
	return NULL;
}

struct nunchi_error *type_index_resolve(const struct type_index *index, const char *path,
					struct type_field *ret)
{
	struct walk walk = {.index = index, .path = path, .at = path, .budget = MEMBER_BUDGET};
	struct nunchi_error *err;
	uint64_t limit = 0;

	err = start(&walk, &limit);
	if (!err)
		err = follow(&walk);
	return err ? err : finish(&walk, limit, ret);
}

struct nunchi_error *type_index_resolve_in(const struct type_index *index, type_id type,
					   const char *path, struct type_field *ret)
{
	struct walk walk = {
	    .index = index, .path = path, .at = path, .budget = MEMBER_BUDGET, .type = type};
	struct nunchi_error *err = follow(&walk);
	uint64_t limit;

	if (err)
		return err;
	if (!type_index_size(index, type, &limit))
		limit = 0;
	return finish(&walk, limit, ret);
}
