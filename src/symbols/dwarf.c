/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each compile unit of a file repeats the types that it uses. The units are read one after the
 * other. A named type is converted where its name and size occur for the first time; a reference to
 * a named type uses its id, whether the type has been converted yet or not. So the recursion
 * follows only types without a name.
 */
#include "symbols/dwarf.h"

#include "config.h"

#ifdef HAVE_LIBDW

#include "core/hash.h"
#include "core/library.h"
#include "symbols/btf_writer.h"
#include "symbols/type_index_private.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_LIMIT 48 /* greatest nesting of types without a name */
#define LIST_LIMIT  (1u << 20)
/*
 * Limit of the entries read, per byte of the sections: an entry takes at least one byte, but
 * sections may be compressed. More entries than that mean that they refer to each other in a
 * circle.
 */
#define ENTRIES_PER_BYTE 32

/*
 * Functions of libdw (elfutils). dlsym() returns the newest version of a function; each of these
 * has only one version.
 */
#define LIBDW_FUNCTIONS(FUNCTION)                                                                  \
	FUNCTION(dwarf_attr)                                                                       \
	FUNCTION(dwarf_attr_integrate)                                                             \
	FUNCTION(dwarf_begin)                                                                      \
	FUNCTION(dwarf_child)                                                                      \
	FUNCTION(dwarf_diecu)                                                                      \
	FUNCTION(dwarf_dieoffset)                                                                  \
	FUNCTION(dwarf_diename)                                                                    \
	FUNCTION(dwarf_end)                                                                        \
	FUNCTION(dwarf_errmsg)                                                                     \
	FUNCTION(dwarf_formref_die)                                                                \
	FUNCTION(dwarf_formsdata)                                                                  \
	FUNCTION(dwarf_formudata)                                                                  \
	FUNCTION(dwarf_get_units)                                                                  \
	FUNCTION(dwarf_getlocation)                                                                \
	FUNCTION(dwarf_hasattr)                                                                    \
	FUNCTION(dwarf_siblingof)                                                                  \
	FUNCTION(dwarf_tag)                                                                        \
	FUNCTION(dwarf_whatform)

struct libdw_library {
	void *handle;
	LIBDW_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct libdw_library, name)
static const struct library_function functions[] = {LIBDW_FUNCTIONS(FUNCTION)};
LIBRARY(libdw, functions, "libdw.so.1", "DWARF types",
	"libdw1 (Debian, Ubuntu) or elfutils-libs (Fedora)");

struct reader {
	struct libdw_library lib;
	struct btf_writer writer;
	struct hash_map anonymous; /* ids of types without a name, by the offset of their entry */
	unsigned word_size;
	uint64_t entries; /* number of entries that may still be read */
};

/* The members, enumerators or parameters of the type that is being read. */
struct list {
	union {
		struct type_member *members;
		struct type_enumerator *enumerators;
		type_id *parameters;
		void *data;
	};
	uint32_t count, capacity;
};

static void list_deinit(struct list *list)
{
	free(list->data);
}

/* Makes room for one more element. */
static bool list_grow(struct list *list, size_t size)
{
	uint32_t capacity = list->capacity ? list->capacity * 2 : 32;
	void *data;

	if (list->count < list->capacity)
		return true;
	data = capacity <= LIST_LIMIT ? reallocarray(list->data, capacity, size) : NULL;
	if (!data)
		return false;
	list->data = data;
	list->capacity = capacity;
	return true;
}

static type_id convert(struct reader *reader, Dwarf_Die *die, unsigned depth);

/* Steps to the next entry with the same parent. */
static bool next_sibling(struct reader *reader, Dwarf_Die *die)
{
	if (!reader->entries) {
		reader->writer.problem = "its entries refer to each other in a circle";
		return false;
	}
	reader->entries--;
	return !reader->writer.problem && !reader->lib.dwarf_siblingof(die, die);
}

static const char *name_of(struct reader *reader, Dwarf_Die *die)
{
	const char *name = reader->lib.dwarf_diename(die);

	return name ? name : "";
}

static bool number_of(struct reader *reader, Dwarf_Die *die, unsigned name, Dwarf_Word *ret)
{
	Dwarf_Attribute memory, *attribute = reader->lib.dwarf_attr_integrate(die, name, &memory);

	return attribute && !reader->lib.dwarf_formudata(attribute, ret);
}

static uint64_t size_of(struct reader *reader, Dwarf_Die *die)
{
	Dwarf_Word size;

	return number_of(reader, die, DW_AT_byte_size, &size) ? size : 0;
}

static bool type_die(struct reader *reader, Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute memory,
	    *attribute = reader->lib.dwarf_attr_integrate(die, DW_AT_type, &memory);

	return attribute && reader->lib.dwarf_formref_die(attribute, ret);
}

/* The type that DW_AT_type of the entry refers to; void if the attribute is missing. */
static type_id target_of(struct reader *reader, Dwarf_Die *die, unsigned depth)
{
	Dwarf_Die target;

	return type_die(reader, die, &target) ? convert(reader, &target, depth + 1) : 0;
}

/*
 * The member's offset in the struct, in bytes: a number, or (until DWARF 3) an expression that adds
 * one.
 */
static uint64_t location_of(struct reader *reader, Dwarf_Die *die)
{
	Dwarf_Attribute memory, *attribute;
	Dwarf_Word number;
	Dwarf_Op *expression;
	size_t length;

	attribute = reader->lib.dwarf_attr_integrate(die, DW_AT_data_member_location, &memory);
	if (!attribute)
		return 0;
	if (!reader->lib.dwarf_formudata(attribute, &number))
		return number;
	if (!reader->lib.dwarf_getlocation(attribute, &expression, &length) && length == 1 &&
	    expression[0].atom == DW_OP_plus_uconst)
		return expression[0].number;
	return 0;
}

/*
 * The size of the integer that contains a bit field; DW_AT_bit_offset, used until DWARF 3, counts
 * from its end.
 */
static uint64_t storage_size(struct reader *reader, Dwarf_Die *die)
{
	Dwarf_Die type, next;
	uint64_t size = size_of(reader, die);

	if (size || !type_die(reader, die, &type))
		return size;
	for (unsigned i = 0; i < DEPTH_LIMIT; i++) {
		size = size_of(reader, &type);
		if (size || !type_die(reader, &type, &next))
			return size;
		type = next;
	}
	return 0;
}

static void place_member(struct reader *reader, Dwarf_Die *die, struct type_member *member)
{
	uint64_t start = location_of(reader, die) * 8;
	Dwarf_Word bits, offset;

	member->bit_offset = start;
	if (!number_of(reader, die, DW_AT_bit_size, &bits))
		return;
	member->bit_size = (uint32_t)bits;
	if (number_of(reader, die, DW_AT_data_bit_offset, &offset))
		member->bit_offset = offset;
	else if (number_of(reader, die, DW_AT_bit_offset,
			   &offset)) /* counts from the most significant bit */
		member->bit_offset = start + storage_size(reader, die) * 8 - offset - bits;
}

static void read_members(struct reader *reader, Dwarf_Die *die, unsigned depth, struct list *list)
{
	Dwarf_Die child;
	bool more = !reader->lib.dwarf_child(die, &child);

	for (; more; more = next_sibling(reader, &child)) {
		struct type_member *member;

		if (reader->lib.dwarf_tag(&child) != DW_TAG_member)
			continue;
		if (!list_grow(list, sizeof(*list->members))) {
			reader->writer.problem = "a type has too many members";
			return;
		}
		member = &list->members[list->count++];
		*member = (struct type_member){.name = name_of(reader, &child),
					       .type = target_of(reader, &child, depth)};
		place_member(reader, &child, member);
	}
}

static void define_struct(struct reader *reader, Dwarf_Die *die, enum btf_kind kind, type_id id,
			  unsigned depth)
{
	_cleanup_(list_deinit) struct list list = {0};

	read_members(reader, die, depth, &list);
	btf_writer_struct(&reader->writer, id, kind, name_of(reader, die), size_of(reader, die),
			  list.members, list.count);
}

/*
 * The value of an enumerator. gcc writes negative values in the signed form only; the short
 * unsigned forms have no sign bit.
 */
static int64_t value_of(struct reader *reader, Dwarf_Die *die)
{
	Dwarf_Attribute memory,
	    *attribute = reader->lib.dwarf_attr(die, DW_AT_const_value, &memory);
	Dwarf_Sword number = 0;
	Dwarf_Word word = 0;

	if (!attribute)
		return 0;
	if (reader->lib.dwarf_whatform(attribute) == DW_FORM_sdata ||
	    reader->lib.dwarf_whatform(attribute) == DW_FORM_implicit_const)
		reader->lib.dwarf_formsdata(attribute, &number);
	else if (!reader->lib.dwarf_formudata(attribute, &word))
		number = (int64_t)word;
	return number;
}

static void define_enum(struct reader *reader, Dwarf_Die *die, type_id id)
{
	_cleanup_(list_deinit) struct list list = {0};
	Dwarf_Die child;
	bool more = !reader->lib.dwarf_child(die, &child);

	for (; more; more = next_sibling(reader, &child)) {
		if (reader->lib.dwarf_tag(&child) != DW_TAG_enumerator)
			continue;
		if (!list_grow(&list, sizeof(*list.enumerators))) {
			reader->writer.problem = "a type has too many enumerators";
			return;
		}
		list.enumerators[list.count++] = (struct type_enumerator){
		    .name = name_of(reader, &child), .value = value_of(reader, &child)};
	}
	btf_writer_enum(&reader->writer, id, name_of(reader, die), size_of(reader, die),
			list.enumerators, list.count);
}

static void define_prototype(struct reader *reader, Dwarf_Die *die, type_id id, unsigned depth)
{
	_cleanup_(list_deinit) struct list list = {0};
	type_id result = target_of(reader, die, depth);
	Dwarf_Die child;
	bool more = !reader->lib.dwarf_child(die, &child);

	for (; more; more = next_sibling(reader, &child)) {
		bool variadic = reader->lib.dwarf_tag(&child) == DW_TAG_unspecified_parameters;

		if (!variadic && reader->lib.dwarf_tag(&child) != DW_TAG_formal_parameter)
			continue;
		if (!list_grow(&list, sizeof(*list.parameters))) {
			reader->writer.problem = "a function has too many parameters";
			return;
		}
		list.parameters[list.count++] = variadic ? 0 : target_of(reader, &child, depth);
	}
	btf_writer_prototype(&reader->writer, id, result, list.parameters, list.count);
}

/* Writes the definition of type id from its entry. */
static void define(struct reader *reader, Dwarf_Die *die, type_id id, unsigned depth)
{
	Dwarf_Word encoding = 0;

	switch (reader->lib.dwarf_tag(die)) {
	case DW_TAG_base_type:
		number_of(reader, die, DW_AT_encoding, &encoding);
		btf_writer_base(&reader->writer, id, name_of(reader, die), size_of(reader, die),
				encoding == DW_ATE_signed || encoding == DW_ATE_signed_char,
				encoding == DW_ATE_float || encoding == DW_ATE_complex_float);
		break;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		define_struct(reader, die, BTF_STRUCT, id, depth);
		break;
	case DW_TAG_union_type:
		define_struct(reader, die, BTF_UNION, id, depth);
		break;
	case DW_TAG_enumeration_type:
		define_enum(reader, die, id);
		break;
	case DW_TAG_typedef:
		btf_writer_typedef(&reader->writer, id, name_of(reader, die),
				   target_of(reader, die, depth));
		break;
	case DW_TAG_subroutine_type:
		define_prototype(reader, die, id, depth);
		break;
	default:
		break;
	}
}

/* The id of a type without a name; each entry is converted once. */
static type_id convert_anonymous(struct reader *reader, Dwarf_Die *die, unsigned depth)
{
	uint64_t offset = reader->lib.dwarf_dieoffset(die);
	uint64_t *found = hash_map_find(&reader->anonymous, offset);
	type_id id;

	if (found)
		return (type_id)*found;
	id = btf_writer_anonymous(&reader->writer);
	if (hash_map_insert(&reader->anonymous, offset, id) == HASH_NOMEM)
		btf_writer_no_memory(&reader->writer);
	define(reader, die, id, depth);
	return id;
}

static enum btf_kind named_kind(int tag)
{
	switch (tag) {
	case DW_TAG_base_type:
		return BTF_INT;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		return BTF_STRUCT;
	case DW_TAG_union_type:
		return BTF_UNION;
	case DW_TAG_enumeration_type:
		return BTF_ENUM;
	case DW_TAG_typedef:
		return BTF_TYPEDEF;
	default:
		return BTF_VOID;
	}
}

/*
 * The id of a named type. *ret_complete says whether this entry is its definition, not a
 * declaration.
 */
static type_id convert_named(struct reader *reader, Dwarf_Die *die, enum btf_kind kind,
			     const char *name, bool *ret_complete)
{
	*ret_complete = !reader->lib.dwarf_hasattr(die, DW_AT_declaration);
	return btf_writer_named(&reader->writer, kind, name,
				!*ret_complete        ? BTF_SIZE_UNKNOWN
				: kind == BTF_TYPEDEF ? 0
						      : size_of(reader, die));
}

/*
 * Converts an array. Each dimension is a child entry of the array's entry; the first is the
 * outermost.
 */
static type_id convert_array(struct reader *reader, Dwarf_Die *die, unsigned depth)
{
	uint64_t counts[DEPTH_LIMIT];
	unsigned dimensions = 0;
	type_id id = target_of(reader, die, depth);
	Dwarf_Die child;
	bool more = !reader->lib.dwarf_child(die, &child);

	for (; more && dimensions < DEPTH_LIMIT; more = next_sibling(reader, &child)) {
		Dwarf_Word number;

		if (reader->lib.dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		counts[dimensions] = 0;
		if (number_of(reader, &child, DW_AT_count, &number))
			counts[dimensions] = number;
		else if (number_of(reader, &child, DW_AT_upper_bound, &number))
			/*
			 * The upper bound of an empty array is -1, written with as few bytes as
			 * possible.
			 */
			counts[dimensions] = (number & 0xffffffff) == 0xffffffff ? 0 : number + 1;
		dimensions++;
	}
	if (!dimensions)
		return btf_writer_array(&reader->writer, id, 0);
	while (dimensions--)
		id = btf_writer_array(&reader->writer, id, counts[dimensions]);
	return id;
}

static type_id convert(struct reader *reader, Dwarf_Die *die, unsigned depth)
{
	const char *name = name_of(reader, die);
	int tag = reader->lib.dwarf_tag(die);
	enum btf_kind kind = named_kind(tag);
	bool complete;

	if (depth >= DEPTH_LIMIT || reader->writer.problem)
		return 0;
	if (kind != BTF_VOID)
		return *name ? convert_named(reader, die, kind, name, &complete)
			     : convert_anonymous(reader, die, depth);
	switch (tag) {
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
		return btf_writer_derived(&reader->writer, BTF_PTR, target_of(reader, die, depth));
	case DW_TAG_const_type:
		return btf_writer_derived(&reader->writer, BTF_CONST,
					  target_of(reader, die, depth));
	case DW_TAG_volatile_type:
		return btf_writer_derived(&reader->writer, BTF_VOLATILE,
					  target_of(reader, die, depth));
	case DW_TAG_restrict_type:
		return btf_writer_derived(&reader->writer, BTF_RESTRICT,
					  target_of(reader, die, depth));
	case DW_TAG_array_type:
		return convert_array(reader, die, depth);
	case DW_TAG_subroutine_type:
		return convert_anonymous(reader, die, depth);
	default: /* not a type of C, or one that only wraps another (atomic) */
		return target_of(reader, die, depth);
	}
}

/*
 * Converts the named types among the children of an entry, which is a unit or a type (clang nests
 * types).
 */
static void read_types(struct reader *reader, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;
	bool more = !reader->lib.dwarf_child(parent, &die);

	for (; more; more = next_sibling(reader, &die)) {
		enum btf_kind kind = named_kind(reader->lib.dwarf_tag(&die));
		const char *name;
		bool complete;
		type_id id;

		if (kind == BTF_VOID)
			continue;
		name = name_of(reader, &die);
		if (!*name)
			continue;
		id = convert_named(reader, &die, kind, name, &complete);
		if (!complete || btf_writer_defined(&reader->writer, id))
			continue;
		define(reader, &die, id, 0);
		if ((kind == BTF_STRUCT || kind == BTF_UNION) && depth < DEPTH_LIMIT)
			read_types(reader, &die, depth + 1);
	}
}

/*
 * Whether a unit is in Rust. Rust's version of a kernel structure has the same name and may lack
 * members.
 */
static bool is_rust(struct reader *reader, Dwarf_Die *unit)
{
	Dwarf_Word language;

	return number_of(reader, unit, DW_AT_language, &language) && language == DW_LANG_Rust;
}

static void read_units(struct reader *reader, Dwarf *dwarf)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die, memory;
	uint8_t address_size;
	uint8_t type;

	while (!reader->lib.dwarf_get_units(dwarf, unit, &unit, NULL, &type, &die, NULL)) {
		if ((type != DW_UT_compile && type != DW_UT_partial && type != DW_UT_type) ||
		    is_rust(reader, &die))
			continue;
		if (!reader->word_size &&
		    reader->lib.dwarf_diecu(&die, &memory, &address_size, NULL) &&
		    (address_size == 4 || address_size == 8))
			reader->word_size = address_size;
		read_types(reader, &die, 0);
	}
}

static void reader_deinit(struct reader *reader)
{
	btf_writer_deinit(&reader->writer);
	hash_map_deinit(&reader->anonymous);
	library_unload(&reader->lib.handle);
}

static struct nunchi_error *read_dwarf(struct reader *reader, Dwarf *dwarf, uint64_t size,
				       void **ret, size_t *ret_size)
{
	reader->entries = size * ENTRIES_PER_BYTE;
	read_units(reader, dwarf);
	if (reader->writer.count <= 1)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "its DWARF contains no named types");
	return btf_writer_finish(&reader->writer, ret, ret_size);
}

/* Reads the types into BTF. The DWARF is closed, and its memory freed, before the index is made. */
static struct nunchi_error *read_file(int fd, struct reader *reader, void **ret, size_t *ret_size)
{
	struct nunchi_error *err;
	struct stat st;
	Dwarf *dwarf;

	if (fstat(fd, &st))
		return error_create_errno(errno, "cannot be examined");
	dwarf = reader->lib.dwarf_begin(fd, DWARF_C_READ);
	if (!dwarf)
		return error_hint(
		    error_create(NUNCHI_ERROR_NOT_FOUND, "neither .BTF nor DWARF types (%s)",
				 reader->lib.dwarf_errmsg(-1)),
		    "use the vmlinux from the distribution's package of debugging symbols");
	err = read_dwarf(reader, dwarf, (uint64_t)st.st_size, ret, ret_size);
	reader->lib.dwarf_end(dwarf);
	return err;
}

struct nunchi_error *type_index_from_dwarf(int fd, struct type_index **ret)
{
	_cleanup_(reader_deinit) struct reader reader = {0};
	struct type_index_source source = {.format = "DWARF", .enum_signs = true, .destroy = free};
	struct nunchi_error *err;
	size_t size;

	btf_writer_init(&reader.writer);
	hash_map_init(&reader.anonymous);
	err = library_load(&libdw, &reader.lib, &reader.lib.handle);
	if (!err)
		err = read_file(fd, &reader, &source.owner, &size);
	if (err)
		return err;
	source.word_size = reader.word_size;
	err = type_index_create(source.owner, size, &source, ret);
	if (err)
		free(source.owner);
	return err;
}

void dwarf_load_library(void)
{
	struct libdw_library lib;

	/* It stays loaded (library.c). */
	if (!library_load(&libdw, &lib, &lib.handle))
		library_unload(&lib.handle);
}

#else

void dwarf_load_library(void)
{
}

struct nunchi_error *type_index_from_dwarf(int fd, struct type_index **ret)
{
	(void)fd;
	(void)ret;
	return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
				       "no .BTF section, and DWARF needs a build with libdw"),
			  "rebuild with -Ddwarf=enabled (elfutils' libdw), or give BTF or ISF");
}

#endif
