/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/btf.h"

#include "core/pages.h"

#include <string.h>
#include <sys/mman.h>

/*
 * Limit of the size of BTF. The largest kernel seen has 5.4 MB (7.2); with this limit no sum of
 * offsets and counts overflows 32 bits.
 */
#define BTF_SIZE_LIMIT (256u << 20)
/* Padding after the names, so that hashing may load 8 bytes from any place in them. */
#define STRING_PADDING 8
/*
 * An arena of this size or more is mapped in whole huge pages: page faults on 4 KiB pages cost more
 * time than decoding (measured for the names of a 7.2 kernel: 1.2 ms against 0.3 ms).
 */
#define ARENA_MAPPED ((size_t)1 << 20)
#define HUGE_PAGE    ((size_t)2 << 20)
/*
 * The mean size of a kernel's type record is at least this many bytes (25 were measured). Used to
 * estimate how many pages of the arena to populate.
 */
#define RECORD_MEAN 24
/* Greatest number of typedefs and qualifiers followed in a chain; C code has fewer than ten. */
#define STRIP_LIMIT 64

/*
 * What follows the header of a record: `fixed` bytes, then vlen elements of `element` bytes each.
 * From include/uapi/linux/btf.h.
 */
struct layout {
	uint8_t fixed;
	uint8_t element;
	bool known;
	bool listed; /* records of this kind are found by name if they have one */
};

static const struct layout kind_layouts[BTF_KINDS] = {
    [BTF_INT] = {4, 0, true, true},         [BTF_PTR] = {0, 0, true, false},
    [BTF_ARRAY] = {12, 0, true, false},     [BTF_STRUCT] = {0, 12, true, true},
    [BTF_UNION] = {0, 12, true, true},      [BTF_ENUM] = {0, 8, true, true},
    [BTF_FWD] = {0, 0, true, true},         [BTF_TYPEDEF] = {0, 0, true, true},
    [BTF_VOLATILE] = {0, 0, true, false},   [BTF_CONST] = {0, 0, true, false},
    [BTF_RESTRICT] = {0, 0, true, false},   [BTF_FUNC] = {0, 0, true, false},
    [BTF_FUNC_PROTO] = {0, 8, true, false}, [BTF_VAR] = {4, 0, true, false},
    [BTF_DATASEC] = {0, 12, true, false},   [BTF_FLOAT] = {0, 0, true, true},
    [BTF_DECL_TAG] = {4, 0, true, false},   [BTF_TYPE_TAG] = {0, 0, true, false},
    [BTF_ENUM64] = {0, 12, true, true},
};

struct header {
	uint32_t types, types_size;
	uint32_t strings, strings_size;
	uint32_t layouts, layouts_size; /* header fields since Linux 7.1; size 0 before */
};

/*
 * Kind and vlen got more bits in Linux 7.1 ("bpf: Extend BTF UAPI vlen, kinds to use unused bits").
 * These bits had to be zero before, so that the same masks are right for all versions.
 */
static unsigned info_kind(uint32_t info)
{
	return info >> 24 & 0x7f;
}

static uint32_t info_vlen(uint32_t info)
{
	return info & 0xffffff;
}

/*
 * Checks that the part [offset, offset + size), which is counted from the end of the header, lies
 * within the data of `limit` bytes, and stores where the part begins. Returns false if it does not.
 */
static bool place(uint32_t header_size, uint32_t offset, uint32_t size, size_t limit, uint32_t *ret)
{
	uint64_t start = (uint64_t)header_size + offset;

	if (start + size > limit)
		return false;
	*ret = (uint32_t)start;
	return true;
}

static struct nunchi_error *check_signature(const uint8_t *data, size_t size)
{
	uint32_t word;

	if (size < BTF_HEADER_SIZE)
		return error_create(NUNCHI_ERROR_TRUNCATED,
				    "BTF ends in its header, after %zu bytes", size);
	if (size > BTF_SIZE_LIMIT)
		return error_create(NUNCHI_ERROR_DATA, "BTF of %zu bytes is too large", size);
	word = btf_load(data);
	if ((word & 0xffff) == __builtin_bswap16(BTF_MAGIC))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "BTF of a big-endian machine cannot be read");
	if ((word & 0xffff) != BTF_MAGIC)
		return error_create(NUNCHI_ERROR_DATA,
				    "not BTF: the data starts with 0x%04x, not 0x%04x",
				    word & 0xffff, BTF_MAGIC);
	if ((word >> 16 & 0xff) != BTF_VERSION)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "BTF version %u is not known",
				    word >> 16 & 0xff);
	return NULL;
}

static struct nunchi_error *read_header(const uint8_t *data, size_t size, struct header *ret)
{
	struct nunchi_error *err = check_signature(data, size);
	struct header header = {0};
	uint32_t header_size, offset;

	if (err)
		return err;
	header_size = btf_load(data + 4);
	if (header_size < BTF_HEADER_SIZE || header_size > size)
		return error_create(NUNCHI_ERROR_DATA,
				    "the BTF header has an impossible size of %u bytes",
				    header_size);
	offset = btf_load(data + 8);
	header.types_size = btf_load(data + 12);
	if (!place(header_size, offset, header.types_size, size, &header.types))
		return error_create(NUNCHI_ERROR_TRUNCATED,
				    "BTF types (%u bytes at %u) end after the data (%zu bytes)",
				    header.types_size, offset, size);
	offset = btf_load(data + 16);
	header.strings_size = btf_load(data + 20);
	if (!place(header_size, offset, header.strings_size, size, &header.strings))
		return error_create(NUNCHI_ERROR_TRUNCATED,
				    "BTF names (%u bytes at %u) end after the data (%zu bytes)",
				    header.strings_size, offset, size);
	if (header_size >= BTF_HEADER_SIZE + 8) {
		offset = btf_load(data + 24);
		header.layouts_size = btf_load(data + 28);
		if (!place(header_size, offset, header.layouts_size, size, &header.layouts))
			return error_create(NUNCHI_ERROR_TRUNCATED,
					    "BTF layouts (%u bytes at %u) end after the data",
					    header.layouts_size, offset);
	}
	*ret = header;
	return NULL;
}

static size_t round_up(size_t size, size_t to)
{
	return (size + to - 1) & ~(to - 1);
}

static char *map_arena(size_t size)
{
	size_t mapped = size + HUGE_PAGE;
	char *start = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (start == MAP_FAILED)
		return NULL;
	before = round_up((uintptr_t)start, HUGE_PAGE) - (uintptr_t)start;
	if (before)
		munmap(start, before);
	if (HUGE_PAGE - before)
		munmap(start + before + size, HUGE_PAGE - before);
	/*
	 * madvise() is only advice: if the host has no huge pages, small pages do, at a cost in
	 * time.
	 */
	madvise(start + before, size, MADV_HUGEPAGE);
	return start + before;
}

/*
 * Allocates the arena for the names, the copy of the type records (if `copy` is set) and the
 * offsets of the records. The number of offsets assumes the worst case: all records are headers
 * without payload.
 */
static struct nunchi_error *make_arena(struct btf *btf, const struct header *header, bool copy)
{
	size_t strings = round_up((size_t)header->strings_size + STRING_PADDING, 8);
	size_t types = copy ? round_up(header->types_size, 8) : 0;
	size_t most = header->types_size / BTF_RECORD_SIZE + 2;

	btf->arena_size = strings + types + most * sizeof(*btf->offsets);
	btf->arena_mapped = btf->arena_size >= ARENA_MAPPED;
	if (btf->arena_mapped) {
		btf->arena_size = round_up(btf->arena_size, HUGE_PAGE);
		btf->arena = map_arena(btf->arena_size);
	} else {
		btf->arena = calloc(1, btf->arena_size);
	}
	btf->listed = malloc(most * sizeof(*btf->listed));
	if (!btf->arena || !btf->listed)
		return &error_nomem;
	if (btf->arena_mapped)
		pages_take(btf->arena, strings + types + header->types_size / RECORD_MEAN * 4);
	btf->strings = btf->arena;
	btf->offsets = (uint32_t *)(btf->arena + strings + types);
	return NULL;
}

void *btf_take_arena(struct btf *btf, size_t size)
{
	size_t start = round_up(btf->arena_size - btf->arena_left, 8);

	if (start > btf->arena_size || size > btf->arena_size - start)
		return NULL;
	btf->arena_left = btf->arena_size - start - size;
	pages_take(btf->arena + start, size);
	return btf->arena + start;
}

/*
 * Copies the names, so that each stays a NUL-terminated string even if the guest changes its
 * memory.
 */
static struct nunchi_error *copy_strings(struct btf *btf, const uint8_t *data,
					 const struct header *header)
{
	uint32_t size = header->strings_size;

	/* The BTF of a module may use only the names of the kernel's BTF. */
	if (!size && btf->base)
		return NULL;
	if (!size)
		return error_create(NUNCHI_ERROR_DATA, "BTF has no names");
	memcpy(btf->strings, data + header->strings, size);
	btf->strings_size = size;
	if ((btf->strings[0] && !btf->base) || btf->strings[size - 1])
		return error_create(NUNCHI_ERROR_DATA,
				    "BTF names do not start and end with a zero byte");
	return NULL;
}

/*
 * Reads the layouts of kinds that this program does not know; since Linux 7.1 the data contains
 * them.
 */
static void read_layouts(const uint8_t *data, const struct header *header,
			 struct layout layouts[128])
{
	for (unsigned kind = 0; kind < 128; kind++) {
		if (kind < BTF_KINDS) {
			layouts[kind] = kind_layouts[kind];
		} else if (kind < header->layouts_size / 4) {
			uint32_t word = btf_load(data + header->layouts + kind * 4);

			layouts[kind] = (struct layout){word & 0xff, word >> 8 & 0xff, true, false};
		} else {
			layouts[kind] = (struct layout){0};
		}
	}
}

static struct nunchi_error *bad_record(const struct btf *btf, uint32_t offset, uint32_t info)
{
	unsigned kind = info_kind(info);

	if (!kind)
		return error_create(NUNCHI_ERROR_DATA, "BTF type %u (at offset %u) has no kind",
				    btf->count, offset);
	if (kind >= BTF_KINDS)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "BTF type %u (at offset %u) has the unknown kind %u",
					       btf->count, offset, kind),
				  "this kernel is newer than this program: give its types in "
				  "another form (--types)");
	return error_create(NUNCHI_ERROR_DATA,
			    "BTF type %u (kind %u, %u elements, at offset %u) ends after the types "
			    "(%u bytes)",
			    btf->count, kind, info_vlen(info), offset, btf->types_size);
}

static struct nunchi_error *bad_name(const struct btf *btf, uint32_t offset, uint32_t name)
{
	return error_hint(error_create(NUNCHI_ERROR_DATA,
				       "BTF type %u (at offset %u) has its name at %u, after the "
				       "names (%u bytes)",
				       btf->count, offset, name,
				       btf->first_string + btf->strings_size),
			  btf->base ? "was it made for another kernel?"
				    : "the BTF of a module is incomplete without the kernel's: "
				      "give the BTF of the kernel");
}

/*
 * Passes over all records once: stores the offset of each, checks that each lies within the data,
 * and lists those that can be looked up by name.
 */
static struct nunchi_error *index_records(struct btf *btf, const struct layout layouts[128])
{
	/*
	 * In split BTF, name offsets below first_string refer to the names of the base, which were
	 * checked when the base was indexed.
	 */
	uint32_t names_end = btf->first_string + btf->strings_size;
	/* Copies of btf's members, which the compiler could not keep in registers. */
	const uint8_t *types = btf->types;
	uint32_t types_size = btf->types_size;
	uint32_t *offsets = btf->offsets, *listed = btf->listed;
	uint32_t offset = 0, id = btf->first_id;

	for (; offset < types_size; id++) {
		uint32_t left = types_size - offset, name, info;
		uint64_t size = BTF_RECORD_SIZE;
		const struct layout *layout;

		btf->count = id;
		if (left < BTF_RECORD_SIZE)
			return error_create(NUNCHI_ERROR_DATA,
					    "BTF types end inside type %u (at offset %u)", id,
					    offset);
		name = btf_load(types + offset);
		info = btf_load(types + offset + 4);
		layout = &layouts[info_kind(info)];
		size += layout->fixed + (uint64_t)info_vlen(info) * layout->element;
		if (!layout->known || size > left)
			return bad_record(btf, offset, info);
		if (name >= names_end)
			return bad_name(btf, offset, name);
		if (layout->listed) {
			if (name || layout == &layouts[BTF_ENUM] || layout == &layouts[BTF_ENUM64])
				*listed++ = id;
			if (layout == &layouts[BTF_ENUM] && info & BTF_KIND_FLAG)
				btf->enum_signs = true;
		}
		*offsets++ = offset;
		offset += (uint32_t)size;
	}
	*offsets = offset;
	btf->count = id;
	btf->listed_count = (uint32_t)(listed - btf->listed);
	return NULL;
}

static struct nunchi_error *init(struct btf *btf, const uint8_t *data, const struct header *header,
				 bool copy)
{
	struct nunchi_error *err = make_arena(btf, header, copy);
	struct layout layouts[128];
	uint32_t *listed;

	if (!err)
		err = copy_strings(btf, data, header);
	if (err)
		return err;
	btf->types = data + header->types;
	btf->types_size = header->types_size;
	if (copy) {
		uint8_t *types = (uint8_t *)btf->offsets - round_up(header->types_size, 8);

		memcpy(types, btf->types, btf->types_size);
		btf->types = types;
	}
	read_layouts(data, header, layouts);
	err = index_records(btf, layouts);
	if (err)
		return err;
	btf->arena_left =
	    btf->arena_size -
	    (size_t)((char *)(btf->offsets + btf->count - btf->first_id + 1) - btf->arena);
	/* Gives back the unused part of the array, whose pages were never touched. */
	listed = realloc(btf->listed, (btf->listed_count + 1) * sizeof(*listed));
	if (listed)
		btf->listed = listed;
	return NULL;
}

struct nunchi_error *btf_init(struct btf *btf, const struct btf *base, const void *data,
			      size_t size, bool copy)
{
	struct nunchi_error *err;
	struct header header = {0};

	*btf = (struct btf){.first_id = 1};
	if (base) {
		/*
		 * Split BTF has one level: the base is the kernel's own BTF and has no base itself.
		 */
		btf->base = base;
		btf->first_id = base->count;
		btf->first_string = base->strings_size;
		btf->enum_signs = base->enum_signs;
	}
	err = read_header(data, size, &header);
	if (!err)
		err = init(btf, data, &header, copy);
	if (err)
		btf_deinit(btf);
	return err;
}

void btf_deinit(struct btf *btf)
{
	if (btf->arena_mapped && btf->arena)
		munmap(btf->arena, btf->arena_size);
	else
		free(btf->arena);
	free(btf->listed);
	*btf = (struct btf){0};
}

bool btf_record(const struct btf *btf, type_id id, struct btf_record *ret)
{
	const struct layout *layout;
	const uint8_t *record;
	const uint32_t *offsets;
	uint32_t room, info;
	unsigned kind;

	if (id < btf->first_id)
		return btf->base && btf_record(btf->base, id, ret);
	if (id >= btf->count)
		return false;
	offsets = btf->offsets + (id - btf->first_id);
	record = btf->types + offsets[0];
	room = offsets[1] - offsets[0] - BTF_RECORD_SIZE;
	info = btf_load(record + 4);
	kind = info_kind(info);
	if (kind >= BTF_KINDS) {
		kind = BTF_KINDS;
	} else {
		layout = &kind_layouts[kind];
		if (!kind || layout->fixed + (uint64_t)info_vlen(info) * layout->element > room)
			return false;
	}
	ret->kind = (enum btf_kind)kind;
	ret->kind_flag = info & BTF_KIND_FLAG;
	ret->vlen = info_vlen(info);
	ret->name = btf_load(record);
	ret->word = btf_load(record + 8);
	ret->payload = record + BTF_RECORD_SIZE;
	return true;
}

static enum type_kind type_kind_of(enum btf_kind kind)
{
	static const enum type_kind kinds[BTF_KINDS + 1] = {
	    [BTF_VOID] = TYPE_VOID,          [BTF_INT] = TYPE_INT,
	    [BTF_PTR] = TYPE_POINTER,        [BTF_ARRAY] = TYPE_ARRAY,
	    [BTF_STRUCT] = TYPE_STRUCT,      [BTF_UNION] = TYPE_UNION,
	    [BTF_ENUM] = TYPE_ENUM,          [BTF_FWD] = TYPE_FORWARD,
	    [BTF_TYPEDEF] = TYPE_TYPEDEF,    [BTF_VOLATILE] = TYPE_QUALIFIER,
	    [BTF_CONST] = TYPE_QUALIFIER,    [BTF_RESTRICT] = TYPE_QUALIFIER,
	    [BTF_FUNC] = TYPE_FUNCTION,      [BTF_FUNC_PROTO] = TYPE_FUNCTION,
	    [BTF_VAR] = TYPE_VARIABLE,       [BTF_DATASEC] = TYPE_OTHER,
	    [BTF_FLOAT] = TYPE_FLOAT,        [BTF_DECL_TAG] = TYPE_OTHER,
	    [BTF_TYPE_TAG] = TYPE_QUALIFIER, [BTF_ENUM64] = TYPE_ENUM,
	    [BTF_KINDS] = TYPE_OTHER,
	};

	return kinds[kind];
}

/*
 * Finds the prototype that a named function refers to; the function's own record has no parameters.
 */
static bool prototype(const struct btf *btf, const struct btf_record *record,
		      struct btf_record *ret)
{
	if (record->kind != BTF_FUNC) {
		*ret = *record;
		return record->kind == BTF_FUNC_PROTO;
	}
	return btf_record(btf, record->word, ret) && ret->kind == BTF_FUNC_PROTO;
}

static void describe(const struct btf *btf, const struct btf_record *record, struct type *type)
{
	struct btf_record proto;

	switch (record->kind) {
	case BTF_INT:
		type->size = record->word;
		type->is_signed = btf_load(record->payload) >> 24 & 1;
		break;
	case BTF_FLOAT:
		type->size = record->word;
		type->is_signed = true;
		break;
	case BTF_STRUCT:
	case BTF_UNION:
		type->size = record->word;
		type->count = record->vlen;
		break;
	case BTF_ENUM:
	case BTF_ENUM64:
		type->size = record->word;
		type->count = record->vlen;
		type->is_signed =
		    record->kind_flag || (record->kind == BTF_ENUM && !btf->enum_signs);
		break;
	case BTF_ARRAY:
		type->target = btf_load(record->payload);
		type->count = btf_load(record->payload + 8);
		break;
	case BTF_FUNC:
	case BTF_FUNC_PROTO:
		if (prototype(btf, record, &proto)) {
			type->target = proto.word;
			type->count = proto.vlen;
		}
		break;
	case BTF_FWD:
	case BTF_DATASEC:
	case BTF_KINDS:
		break;
	default:
		type->target = record->word;
	}
}

bool btf_type(const struct btf *btf, type_id id, struct type *ret)
{
	struct btf_record record;

	if (!id) {
		*ret = (struct type){.kind = TYPE_VOID, .name = ""};
		return true;
	}
	if (!btf_record(btf, id, &record))
		return false;
	*ret = (struct type){.kind = type_kind_of(record.kind), .name = btf_name(btf, record.name)};
	describe(btf, &record, ret);
	return true;
}

type_id btf_strip(const struct btf *btf, type_id id)
{
	struct btf_record record;

	for (int i = 0; i < STRIP_LIMIT; i++) {
		enum type_kind kind;

		if (!btf_record(btf, id, &record))
			return 0;
		kind = type_kind_of(record.kind);
		if (kind != TYPE_TYPEDEF && kind != TYPE_QUALIFIER)
			return id;
		id = record.word;
	}
	return 0;
}

/*
 * Applies the older encoding of a bit field, which is still valid in a struct whose kind_flag is 0:
 * the member's integer type has fewer bits than its size, and may add a bit offset.
 */
static void apply_integer_bits(const struct btf *btf, struct type_member *member)
{
	struct btf_record record;
	uint32_t encoding, bits;

	if (!btf_record(btf, btf_strip(btf, member->type), &record) || record.kind != BTF_INT)
		return;
	encoding = btf_load(record.payload);
	bits = encoding & 0xff;
	if (bits && (uint64_t)bits < (uint64_t)record.word * 8) {
		member->bit_size = bits;
		member->bit_offset += encoding >> 16 & 0xff;
	}
}

bool btf_member(const struct btf *btf, type_id id, uint32_t i, struct type_member *ret)
{
	struct btf_record record;
	uint32_t offset;

	if (!btf_record(btf, id, &record) ||
	    (record.kind != BTF_STRUCT && record.kind != BTF_UNION) || i >= record.vlen)
		return false;
	offset = btf_load(record.payload + (size_t)i * 12 + 8);
	*ret = (struct type_member){.name = btf_name(btf, btf_member_name(&record, i)),
				    .type = btf_member_type(&record, i),
				    .bit_offset = offset};
	if (record.kind_flag) {
		ret->bit_offset = offset & 0xffffff;
		ret->bit_size = offset >> 24;
	}
	if (!ret->bit_size)
		apply_integer_bits(btf, ret);
	return true;
}

static bool is_enum(const struct btf *btf, type_id id, struct btf_record *ret)
{
	return btf_record(btf, id, ret) && (ret->kind == BTF_ENUM || ret->kind == BTF_ENUM64);
}

static size_t enumerator_size(const struct btf_record *record)
{
	return record->kind == BTF_ENUM ? 8 : 12;
}

static int64_t enumerator_value(const struct btf *btf, const struct btf_record *record,
				const uint8_t *element)
{
	uint32_t low = btf_load(element + 4);

	if (record->kind == BTF_ENUM64)
		return (int64_t)(low | (uint64_t)btf_load(element + 8) << 32);
	return record->kind_flag || !btf->enum_signs ? (int32_t)low : (int64_t)low;
}

bool btf_enumerator(const struct btf *btf, type_id id, uint32_t i, struct type_enumerator *ret)
{
	struct btf_record record;
	const uint8_t *element;

	if (!is_enum(btf, id, &record) || i >= record.vlen)
		return false;
	element = record.payload + i * enumerator_size(&record);
	*ret = (struct type_enumerator){.name = btf_name(btf, btf_load(element)),
					.value = enumerator_value(btf, &record, element)};
	return true;
}

bool btf_find_enumerator(const struct btf *btf, const char *name, int64_t *ret)
{
	for (uint32_t i = 0; *name && i < btf->listed_count; i++) {
		struct btf_record record;
		size_t size;

		if (!is_enum(btf, btf->listed[i], &record))
			continue;
		size = enumerator_size(&record);
		for (const uint8_t *at = record.payload, *end = at + record.vlen * size; at < end;
		     at += size) {
			if (strcmp(btf_name(btf, btf_load(at)), name))
				continue;
			*ret = enumerator_value(btf, &record, at);
			return true;
		}
	}
	return false;
}

bool btf_parameter(const struct btf *btf, type_id id, uint32_t i, struct type_member *ret)
{
	struct btf_record record, proto;

	if (!btf_record(btf, id, &record) || !prototype(btf, &record, &proto) || i >= proto.vlen)
		return false;
	*ret = (struct type_member){.name = btf_name(btf, btf_load(proto.payload + (size_t)i * 8)),
				    .type = btf_load(proto.payload + (size_t)i * 8 + 4)};
	return true;
}
