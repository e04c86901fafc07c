/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/btf_writer.h"

#include <string.h>

#define SECTION_LIMIT ((size_t)96 << 20)
#define TYPE_LIMIT    (4u << 20)
#define KEY_ATTEMPTS  8
/* In a struct with bit fields, member offsets have 24 bits. */
#define BIT_OFFSET_LIMIT 0xffffff

struct btf_writer_slot {
	uint32_t record;    /* offset in records */
	uint32_t size;      /* of the record; 0: not defined */
	uint32_t name;      /* name under which other types refer to it; the record may have none */
	enum btf_kind kind; /* kind under which other types refer to it */
	enum btf_kind record_kind;
	type_id alias; /* of a declaration: id of the type that defines it, else 0 */
};

void btf_writer_init(struct btf_writer *writer)
{
	*writer = (struct btf_writer){0};
	buffer_init(&writer->records, SECTION_LIMIT);
	buffer_init(&writer->strings, SECTION_LIMIT);
	hash_map_init(&writer->offsets);
	hash_map_init(&writer->named);
	hash_map_init(&writer->derived);
	if (!buffer_append_char(&writer->strings, 0))
		btf_writer_no_memory(writer);
	btf_writer_anonymous(writer); /* id 0 is void */
}

void btf_writer_deinit(struct btf_writer *writer)
{
	buffer_deinit(&writer->records);
	buffer_deinit(&writer->strings);
	hash_map_deinit(&writer->offsets);
	hash_map_deinit(&writer->named);
	hash_map_deinit(&writer->derived);
	free(writer->slots);
	writer->slots = NULL;
}

static void fail(struct btf_writer *writer, const char *problem)
{
	if (!writer->problem)
		writer->problem = problem;
}

void btf_writer_no_memory(struct btf_writer *writer)
{
	writer->no_memory = writer->no_memory || !writer->problem;
	fail(writer, "out of memory");
}

struct nunchi_error *btf_writer_error(const struct btf_writer *writer, const char *what)
{
	if (writer->no_memory)
		return &error_nomem;
	return writer->problem ? error_create(NUNCHI_ERROR_DATA, "%s: %s", what, writer->problem)
			       : NULL;
}

/* An append that failed: by the buffer's limit, which `limit` names, or for want of memory. */
static void fail_append(struct btf_writer *writer, const struct buffer *buf, const char *limit)
{
	if (buf->no_memory)
		btf_writer_no_memory(writer);
	else
		fail(writer, limit);
}

static uint32_t put_string(struct btf_writer *writer, const char *string)
{
	size_t size = strlen(string);
	uint64_t hash, *found;
	uint32_t offset;

	if (!size || writer->problem)
		return 0;
	hash = hash_bytes(string, size);
	found = hash_map_find(&writer->offsets, hash);
	if (found && !strcmp(writer->strings.data + *found, string))
		return (uint32_t)*found;
	offset = (uint32_t)writer->strings.size;
	if (!buffer_append(&writer->strings, string, size + 1)) {
		fail_append(writer, &writer->strings, "too many names");
		return 0;
	}
	if (hash_map_insert(&writer->offsets, hash, offset) == HASH_NOMEM) {
		btf_writer_no_memory(writer);
		return 0;
	}
	return offset;
}

static bool grow(struct btf_writer *writer)
{
	uint32_t capacity = writer->capacity ? writer->capacity * 2 : 1024;
	struct btf_writer_slot *slots;

	if (writer->count < writer->capacity)
		return true;
	if (capacity > TYPE_LIMIT) {
		fail(writer, "too many types");
		return false;
	}
	slots = reallocarray(writer->slots, capacity, sizeof(*slots));
	if (!slots) {
		btf_writer_no_memory(writer);
		return false;
	}
	writer->slots = slots;
	writer->capacity = capacity;
	return true;
}

type_id btf_writer_anonymous(struct btf_writer *writer)
{
	if (writer->problem)
		return 0;
	if (!grow(writer))
		return 0;
	writer->slots[writer->count] = (struct btf_writer_slot){0};
	return writer->count++;
}

/* Finds the id reserved for kind, name and size, or reserves a new one; *ret_new says which. */
static type_id intern(struct btf_writer *writer, enum btf_kind kind, const char *name,
		      uint64_t size, bool *ret_new)
{
	uint64_t words[3] = {kind, size, hash_bytes(name, strlen(name))};
	uint64_t key = hash_bytes(words, sizeof(words));
	struct btf_writer_slot *slot;
	type_id id;

	*ret_new = false;
	for (int i = 0; i < KEY_ATTEMPTS; i++, key++) {
		uint64_t *found = hash_map_find(&writer->named, key);

		if (!found)
			break;
		slot = &writer->slots[*found];
		if (slot->kind == kind && !strcmp(writer->strings.data + slot->name, name))
			return (type_id)*found;
	}
	id = btf_writer_anonymous(writer);
	if (!id)
		return 0;
	switch (hash_map_insert(&writer->named, key, id)) {
	case HASH_INSERTED:
		break;
	case HASH_NOMEM:
		btf_writer_no_memory(writer);
		return 0;
	default:
		fail(writer, "too many names have the same hash");
		return 0;
	}
	writer->slots[id].kind = kind;
	writer->slots[id].name = put_string(writer, name);
	*ret_new = true;
	return writer->problem ? 0 : id;
}

type_id btf_writer_named(struct btf_writer *writer, enum btf_kind kind, const char *name,
			 uint64_t size)
{
	type_id id, declaration;
	bool is_new;

	if (writer->problem)
		return 0;
	id = intern(writer, kind, name, size, &is_new);
	if (is_new && size != BTF_SIZE_UNKNOWN) {
		declaration = intern(writer, kind, name, BTF_SIZE_UNKNOWN, &is_new);
		if (declaration && !writer->slots[declaration].alias)
			writer->slots[declaration].alias = id;
	}
	return writer->problem ? 0 : id;
}

bool btf_writer_defined(const struct btf_writer *writer, type_id id)
{
	return id >= writer->count || !id || writer->slots[id].size;
}

static void put_word(struct btf_writer *writer, uint32_t word)
{
	if (!writer->problem && !buffer_append(&writer->records, &word, sizeof(word)))
		fail_append(writer, &writer->records, "too many types");
}

/* Begins the record of type id; false if the type is already defined or too large, or after a
 * problem. */
static bool start(struct btf_writer *writer, type_id id, enum btf_kind kind, uint32_t name,
		  uint32_t vlen, bool kind_flag, uint64_t word)
{
	uint32_t info = (uint32_t)kind << 24 | vlen | (kind_flag ? BTF_KIND_FLAG : 0);

	if (writer->problem || btf_writer_defined(writer, id))
		return false;
	if (vlen > 0xffffff || word > UINT32_MAX) {
		fail(writer, "a type is too large");
		return false;
	}
	writer->slots[id].record = (uint32_t)writer->records.size;
	writer->slots[id].record_kind = kind;
	put_word(writer, name);
	put_word(writer, info);
	put_word(writer, (uint32_t)word);
	return true;
}

static void end(struct btf_writer *writer, type_id id)
{
	writer->slots[id].size = (uint32_t)writer->records.size - writer->slots[id].record;
}

void btf_writer_base(struct btf_writer *writer, type_id id, const char *name, uint64_t size,
		     bool is_signed, bool is_float)
{
	uint32_t bits = size <= 16 ? (uint32_t)size * 8 : 0;

	if (!start(writer, id, is_float ? BTF_FLOAT : BTF_INT, put_string(writer, name), 0, false,
		   size))
		return;
	if (!is_float)
		put_word(writer, bits | (is_signed ? 1u << 24 : 0));
	end(writer, id);
}

void btf_writer_typedef(struct btf_writer *writer, type_id id, const char *name, type_id target)
{
	if (start(writer, id, BTF_TYPEDEF, put_string(writer, name), 0, false, target))
		end(writer, id);
}

static bool fits_bits(const struct type_member *member)
{
	return member->bit_offset <= BIT_OFFSET_LIMIT && member->bit_size <= 255;
}

void btf_writer_struct(struct btf_writer *writer, type_id id, enum btf_kind kind, const char *name,
		       uint64_t size, const struct type_member *members, uint32_t count)
{
	bool bit_fields = false, fit = true, plain = true;

	for (uint32_t i = 0; i < count; i++) {
		bit_fields |= members[i].bit_size > 0;
		fit &= fits_bits(&members[i]);
		plain &= members[i].bit_offset <= UINT32_MAX;
	}
	if (bit_fields ? !fit : !plain) {
		fail(writer, "a struct is too large");
		return;
	}
	if (!start(writer, id, kind, put_string(writer, name), count, bit_fields, size))
		return;
	for (uint32_t i = 0; i < count; i++) {
		put_word(writer, put_string(writer, members[i].name));
		put_word(writer, members[i].type);
		put_word(writer, (uint32_t)members[i].bit_offset | members[i].bit_size << 24);
	}
	end(writer, id);
}

void btf_writer_enum(struct btf_writer *writer, type_id id, const char *name, uint64_t size,
		     const struct type_enumerator *enumerators, uint32_t count)
{
	bool is_signed = false, wide = size > 4;

	for (uint32_t i = 0; i < count; i++)
		is_signed |= enumerators[i].value < 0;
	for (uint32_t i = 0; i < count; i++) {
		int64_t value = enumerators[i].value;

		wide |= value > (is_signed ? INT32_MAX : (int64_t)UINT32_MAX) || value < INT32_MIN;
	}
	if (!start(writer, id, wide ? BTF_ENUM64 : BTF_ENUM, put_string(writer, name), count,
		   is_signed, size))
		return;
	for (uint32_t i = 0; i < count; i++) {
		put_word(writer, put_string(writer, enumerators[i].name));
		put_word(writer, (uint32_t)enumerators[i].value);
		if (wide)
			put_word(writer, (uint32_t)((uint64_t)enumerators[i].value >> 32));
	}
	end(writer, id);
}

void btf_writer_prototype(struct btf_writer *writer, type_id id, type_id result,
			  const type_id *parameters, uint32_t count)
{
	if (!start(writer, id, BTF_FUNC_PROTO, 0, count, false, result))
		return;
	for (uint32_t i = 0; i < count; i++) {
		put_word(writer, 0);
		put_word(writer, parameters[i]);
	}
	end(writer, id);
}

/*
 * Finds the id of an equal derived type and returns it; or returns 0 and stores a new id in
 * *ret_id, whose record the caller writes.
 */
static bool find_derived(struct btf_writer *writer, uint64_t kind, uint64_t target, uint64_t count,
			 type_id *ret_id)
{
	uint64_t words[3] = {kind, target, count};
	uint64_t key = hash_bytes(words, sizeof(words));
	uint64_t *found = hash_map_find(&writer->derived, key);

	if (found) {
		*ret_id = (type_id)*found;
		return true;
	}
	*ret_id = btf_writer_anonymous(writer);
	if (*ret_id && hash_map_insert(&writer->derived, key, *ret_id) == HASH_NOMEM)
		btf_writer_no_memory(writer);
	return false;
}

type_id btf_writer_derived(struct btf_writer *writer, enum btf_kind kind, type_id target)
{
	type_id id;

	if (!find_derived(writer, kind, target, 0, &id) &&
	    start(writer, id, kind, 0, 0, false, target))
		end(writer, id);
	return id;
}

type_id btf_writer_array(struct btf_writer *writer, type_id element, uint64_t count)
{
	type_id id;

	if (count > UINT32_MAX) {
		fail(writer, "an array is too large");
		return 0;
	}
	if (!find_derived(writer, BTF_ARRAY, element, count, &id) &&
	    start(writer, id, BTF_ARRAY, 0, 0, false, 0)) {
		put_word(writer, element);
		put_word(writer, 0);
		put_word(writer, (uint32_t)count);
		end(writer, id);
	}
	return id;
}

/* Writes a forward declaration for a type that was reserved but never defined. */
static void declare(struct btf_writer *writer, type_id id)
{
	struct btf_writer_slot *slot = &writer->slots[id];
	enum btf_kind kind = slot->kind;
	bool is_union = kind == BTF_UNION;
	uint32_t size = kind == BTF_ENUM ? 4 : 0;

	if (kind == BTF_STRUCT || is_union)
		kind = BTF_FWD;
	else if (kind != BTF_ENUM)
		kind = BTF_TYPEDEF;
	if (start(writer, id, kind, slot->name, 0, is_union, size))
		end(writer, id);
}

/* Replaces, in a word that holds a type id, the id of a declaration by that of its definition. */
static void relink(const struct btf_writer *writer, uint8_t *word)
{
	type_id id;

	memcpy(&id, word, sizeof(id));
	if (id < writer->count && writer->slots[id].alias)
		memcpy(word, &writer->slots[id].alias, sizeof(id));
}

static void relink_record(const struct btf_writer *writer, const struct btf_writer_slot *slot,
			  uint8_t *record)
{
	switch (slot->record_kind) {
	case BTF_PTR:
	case BTF_TYPEDEF:
	case BTF_VOLATILE:
	case BTF_CONST:
	case BTF_RESTRICT:
		relink(writer, record + 8);
		break;
	case BTF_ARRAY:
		relink(writer, record + BTF_RECORD_SIZE);
		break;
	case BTF_STRUCT:
	case BTF_UNION:
		for (uint32_t at = BTF_RECORD_SIZE; at < slot->size; at += 12)
			relink(writer, record + at + 4);
		break;
	case BTF_FUNC_PROTO:
		relink(writer, record + 8);
		for (uint32_t at = BTF_RECORD_SIZE; at < slot->size; at += 8)
			relink(writer, record + at + 4);
		break;
	default:
		break;
	}
}

/* Writes the header, the records in the order of their ids, and the strings. */
static void assemble(const struct btf_writer *writer, uint8_t *data)
{
	uint32_t types = (uint32_t)writer->records.size, strings = (uint32_t)writer->strings.size;
	uint32_t header[BTF_HEADER_SIZE / 4] = {
	    BTF_MAGIC | BTF_VERSION << 16, BTF_HEADER_SIZE, 0, types, types, strings};
	uint8_t *at = data + BTF_HEADER_SIZE;

	memcpy(data, header, sizeof(header));
	for (type_id id = 1; id < writer->count; id++) {
		const struct btf_writer_slot *slot = &writer->slots[id];

		memcpy(at, writer->records.data + slot->record, slot->size);
		relink_record(writer, slot, at);
		at += slot->size;
	}
	memcpy(at, writer->strings.data, strings);
}

struct nunchi_error *btf_writer_finish(struct btf_writer *writer, void **ret, size_t *ret_size)
{
	uint8_t *data;
	size_t size;

	for (type_id id = 1; id < writer->count; id++) {
		if (!writer->slots[id].size)
			declare(writer, id);
	}
	if (writer->problem)
		return btf_writer_error(writer, "the types cannot be converted to BTF");
	size = BTF_HEADER_SIZE + writer->records.size + writer->strings.size;
	data = malloc(size);
	if (!data)
		return &error_nomem;
	assemble(writer, data);
	*ret = data;
	*ret_size = size;
	return NULL;
}
