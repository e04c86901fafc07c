/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/type_index.h"

#include "btf_blob.h"

#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct type_index *finish(struct blob *blob)
{
	struct type_index *index = NULL;
	size_t size;
	uint8_t *data = blob_finish(blob, &size);

	assert_null(type_index_from_btf(data, size, free, data, &index));
	return index;
}

static type_id find(const struct type_index *index, const char *name)
{
	type_id id = 0;

	if (!type_index_find(index, name, &id))
		print_error("%s\n", name);
	assert_int_not_equal(id, 0);
	return id;
}

static void test_find_prefers_definitions(void **state)
{
	struct blob blob = {0};
	uint32_t forward = blob_type(&blob, 7, 0, 0, "twice", 0);
	uint32_t empty = blob_type(&blob, 4, 0, 0, "twice", 0);
	uint32_t full = blob_type(&blob, 4, 0, 1, "twice", 4), typedef_id, only, only_union, both;
	struct type_index *index;
	type_id id;

	(void)state;
	blob_member(&blob, "m", 0, 0);
	blob_type(&blob, 4, 0, 1, "twice", 8);
	blob_member(&blob, "other", 0, 0);
	typedef_id = blob_type(&blob, 8, 0, 0, "both", full);
	both = blob_type(&blob, 5, 0, 0, "both", 4);
	only = blob_type(&blob, 7, 0, 0, "only", 0);
	only_union = blob_type(&blob, 7, 1, 0, "only_union", 0);
	blob_type(&blob, 7, 0, 0, "declared", 0);
	id = blob_type(&blob, 8, 0, 0, "declared", full);
	index = finish(&blob);

	assert_int_equal(find(index, "twice"), full);
	assert_int_equal(find(index, "struct twice"), full);
	assert_int_equal(find(index, "both"), both);
	assert_int_equal(find(index, "union both"), both);
	assert_int_equal(find(index, "only"), only);
	assert_int_equal(find(index, "struct only"), only);
	assert_int_equal(find(index, "union only_union"), only_union);
	assert_int_equal(find(index, "declared"), id);
	assert_false(type_index_find(index, "struct both", &id));
	assert_false(type_index_find(index, "enum both", &id));
	assert_false(type_index_find(index, "union only", &id));
	assert_false(type_index_find(index, "struct ", &id));
	assert_false(type_index_find(index, "twic", &id));
	assert_false(type_index_find(index, "twice ", &id));
	(void)forward;
	(void)empty;
	(void)typedef_id;
	type_index_unref(index);
}

/* Types of a module: ids and names go on where the kernel's end, and each is found by its name. */
static void test_split(void **state)
{
	struct blob blob = {0};
	uint32_t word = blob_int(&blob, "int", 4, 1), own, pointer;
	struct type_index *base, *index = NULL;
	struct type_member member;
	struct type_field field;
	uint32_t names, count;
	int64_t value;
	uint8_t *data;
	char text[64];
	size_t size;

	(void)state;
	blob_type(&blob, 7, 0, 0, "declared", 0);
	blob_type(&blob, 4, 0, 1, "common", 4);
	blob_member(&blob, "kernels", word, 0);
	blob_type(&blob, 6, 0, 1, "", 4);
	blob_pair(&blob, "KERNELS", 3);
	base = finish(&blob);
	names = type_index_names_size(base);
	count = type_index_count(base);
	/* What blob.h writes begins with id 1 and name 0: moved to where the kernel's end. */
	own = blob_type(&blob, 4, 0, 2, "declared", 16);
	blob_member(&blob, "number", word, 0);
	blob_member(&blob, "next", count + 1, 64);
	pointer = blob_type(&blob, 2, 0, 0, "", count);
	blob_type(&blob, 6, 0, 1, "", 4);
	blob_pair(&blob, "MODULES", 5);
	for (uint32_t i = 0; i < blob.types_size / 4; i++) {
		/* Words 0, 3, 6 of the struct, none of the pointer, 0 and 3 of the enum. */
		static const uint8_t named[] = {1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
		uint32_t name;

		memcpy(&name, blob.types + i * 4, 4);
		name += named[i] ? names : 0;
		memcpy(blob.types + i * 4, &name, 4);
	}
	data = blob_finish(&blob, &size);
	assert_null(type_index_from_split_btf(base, data, size, &index));
	free(data);
	type_index_unref(base);
	assert_int_equal(type_index_first(index), count);
	assert_int_equal(type_index_count(index), count + 3);
	assert_int_equal(find(index, "struct declared"), count + own - 1);
	assert_int_equal(find(index, "declared"), count + own - 1);
	assert_true(find(index, "struct common") < count);
	assert_true(type_index_member(index, count + own - 1, 1, &member));
	assert_string_equal(member.name, "next");
	assert_int_equal(member.type, count + pointer - 1);
	type_index_spell(index, member.type, text, sizeof(text));
	assert_string_equal(text, "struct declared *");
	assert_true(type_index_member(index, count + own - 1, 0, &member));
	type_index_spell(index, member.type, text, sizeof(text));
	assert_string_equal(text, "int");
	assert_null(type_index_resolve(index, "declared.next", &field));
	assert_int_equal(field.offset, 8);
	assert_int_equal(field.size, 8);
	assert_true(type_index_enum_value(index, "MODULES", &value));
	assert_int_equal(value, 5);
	assert_true(type_index_enum_value(index, "KERNELS", &value));
	assert_int_equal(value, 3);
	assert_false(type_index_enum_value(index, "NOBODYS", &value));
	type_index_unref(index);
}

static void test_find_every_length(void **state)
{
	struct blob blob = {0};
	struct type_index *index;
	char name[600];
	type_id id;

	(void)state;
	for (size_t size = 1; size < sizeof(name); size++) {
		memset(name, 'x', size);
		name[size] = 0;
		blob_int(&blob, name, 4, 0);
		if (size == 599)
			break;
	}
	index = finish(&blob);
	for (size_t size = 1; size < sizeof(name); size++) {
		memset(name, 'x', size);
		name[size] = 0;
		assert_int_equal(type_index_find(index, name, &id), size <= 511);
		if (size <= 511)
			assert_int_equal(id, size);
	}
	type_index_unref(index);
}

static void check_spelling(const struct type_index *index, type_id id, const char *expected)
{
	char spelling[256];

	type_index_spell(index, id, spelling, sizeof(spelling));
	assert_string_equal(spelling, expected);
}

static void test_spelling(void **state)
{
	struct blob blob = {0};
	uint32_t integer = blob_int(&blob, "int", 4, 1);
	uint32_t letter = blob_int(&blob, "char", 1, 1);
	uint32_t pair = blob_type(&blob, 4, 0, 0, "pair", 8), nameless, any, choice, forward;
	uint32_t constant, text, texts, text_constant, row, matrix, row_pointer, proto, callback;
	uint32_t array, nothing, getter, getter_pointer, returns, tagged, flexible, tag_pointer;
	uint32_t fwd_union, double_pointer, volatile_const, named;
	struct type_index *index;

	(void)state;
	nameless = blob_type(&blob, 4, 0, 0, "", 8);
	any = blob_type(&blob, 5, 0, 0, "any", 8);
	choice = blob_type(&blob, 6, 0, 0, "choice", 4);
	forward = blob_type(&blob, 7, 0, 0, "later", 0);
	fwd_union = blob_type(&blob, 7, 1, 0, "later", 0);
	constant = blob_type(&blob, 10, 0, 0, "", letter);
	text = blob_type(&blob, 2, 0, 0, "", constant);
	text_constant = blob_type(&blob, 10, 0, 0, "", text);
	texts = blob_type(&blob, 2, 0, 0, "", text_constant);
	row = blob_array(&blob, integer, 3);
	matrix = blob_array(&blob, row, 2);
	row_pointer = blob_type(&blob, 2, 0, 0, "", row);
	proto = blob_type(&blob, 13, 0, 3, "", integer);
	blob_pair(&blob, "p", text);
	blob_pair(&blob, "n", row_pointer);
	blob_pair(&blob, "", 0);
	callback = blob_type(&blob, 2, 0, 0, "", proto);
	array = blob_array(&blob, callback, 4);
	nothing = blob_type(&blob, 13, 0, 0, "", 0);
	getter = blob_type(&blob, 13, 0, 1, "", callback); /* gives a pointer to a function */
	blob_pair(&blob, "", pair);
	getter_pointer = blob_type(&blob, 2, 0, 0, "", getter);
	returns = blob_type(&blob, 2, 0, 0, "", nothing);
	double_pointer = blob_type(&blob, 2, 0, 0, "", returns);
	tagged = blob_type(&blob, 18, 0, 0, "user", letter);
	tag_pointer = blob_type(&blob, 2, 0, 0, "", tagged);
	flexible = blob_array(&blob, pair, 0);
	volatile_const = blob_type(&blob, 9, 0, 0, "", constant);
	named = blob_type(&blob, 12, 0, 1, "f", nothing);
	index = finish(&blob);

	check_spelling(index, 0, "void");
	check_spelling(index, integer, "int");
	check_spelling(index, pair, "struct pair");
	check_spelling(index, nameless, "struct {...}");
	check_spelling(index, any, "union any");
	check_spelling(index, choice, "enum choice");
	check_spelling(index, forward, "struct later");
	check_spelling(index, fwd_union, "union later");
	check_spelling(index, text, "const char *");
	check_spelling(index, text_constant, "const char *const");
	check_spelling(index, texts, "const char *const *");
	check_spelling(index, matrix, "int[2][3]");
	check_spelling(index, row_pointer, "int (*)[3]");
	check_spelling(index, callback, "int (*)(const char *, int (*)[3], ...)");
	check_spelling(index, array, "int (*[4])(const char *, int (*)[3], ...)");
	check_spelling(index, nothing, "void(void)");
	check_spelling(index, named, "void(void)");
	check_spelling(index, returns, "void (*)(void)");
	check_spelling(index, double_pointer, "void (**)(void)");
	check_spelling(index, getter_pointer,
		       "int (*(*)(struct pair))(const char *, int (*)[3], ...)");
	check_spelling(index, tag_pointer, "char *");
	check_spelling(index, flexible, "struct pair[]");
	check_spelling(index, volatile_const, "volatile const char");
	check_spelling(index, 999, "?");
	type_index_unref(index);
}

static void test_spelling_is_cut_short(void **state)
{
	struct blob blob = {0};
	uint32_t pair = blob_type(&blob, 4, 0, 0, "pair", 8);
	uint32_t pointer = blob_type(&blob, 2, 0, 0, "", pair);
	struct type_index *index = finish(&blob);
	char buf[32];

	(void)state;
	for (size_t size = 0; size < sizeof(buf); size++) {
		memset(buf, 'x', sizeof(buf));
		type_index_spell(index, pointer, buf, size);
		assert_int_equal(buf[size], 'x');
		if (size)
			assert_memory_equal(buf, "struct pair *", strlen(buf));
	}
	type_index_unref(index);
}

/* Types that contain themselves must end. */
static void test_circles_end(void **state)
{
	struct blob blob = {0};
	uint32_t alias = blob_type(&blob, 8, 0, 0, "circle", 2);
	uint32_t constant = blob_type(&blob, 10, 0, 0, "", 1), array, pointer, proto;
	struct type_index *index;
	static char spelling[65536];
	struct type_field field;
	uint64_t size;

	(void)state;
	array = blob_array(&blob, 3, 1000);
	pointer = blob_type(&blob, 2, 0, 0, "", 4);
	proto = blob_type(&blob, 13, 0, 30, "", 6);
	for (int i = 0; i < 30; i++)
		blob_pair(&blob, "", 6);
	blob_type(&blob, 2, 0, 0, "", proto);
	/* Anonymous members that are the struct itself: 30 ways to go on at each level. */
	blob_type(&blob, 4, 0, 30, "inside", 8);
	for (int i = 0; i < 30; i++)
		blob_member(&blob, "", 7, 0);
	index = finish(&blob);
	assert_int_equal(type_index_strip(index, alias), 0);
	assert_int_equal(type_index_strip(index, constant), 0);
	assert_false(type_index_size(index, alias, &size));
	assert_false(type_index_size(index, array, &size));
	assert_true(type_index_size(index, pointer, &size));
	for (type_id id = 0; id <= 8; id++)
		type_index_spell(index, id, spelling, sizeof(spelling));
	nunchi_error_destroy(type_index_resolve(index, "inside.x", &field));
	nunchi_error_destroy(type_index_resolve(index, "circle.x", &field));
	type_index_unref(index);
}

static void test_sizes(void **state)
{
	struct blob blob = {0};
	uint32_t length = blob_int(&blob, "long unsigned int", 4, 0);
	uint32_t pointer = blob_type(&blob, 2, 0, 0, "", 0), row = blob_array(&blob, length, 6);
	uint32_t matrix = blob_array(&blob, row, 7), huge = blob_array(&blob, matrix, UINT32_MAX);
	uint32_t huger = blob_array(&blob, huge, UINT32_MAX);
	uint32_t alias = blob_type(&blob, 8, 0, 0, "m", matrix);
	uint32_t proto = blob_type(&blob, 13, 0, 0, "", 0);
	struct type_index *index = finish(&blob);
	uint64_t size;

	(void)state;
	assert_int_equal(type_index_word_size(index), 4);
	assert_true(type_index_size(index, pointer, &size));
	assert_int_equal(size, 4);
	assert_true(type_index_size(index, alias, &size));
	assert_int_equal(size, 4 * 6 * 7);
	assert_true(type_index_size(index, huge, &size));
	assert_int_equal(size, 4ULL * 6 * 7 * UINT32_MAX);
	assert_false(type_index_size(index, huger, &size));
	assert_false(type_index_size(index, 0, &size));
	assert_false(type_index_size(index, proto, &size));
	type_index_unref(index);
}

static void test_suggestions(void **state)
{
	struct blob blob = {0};
	struct type_index *index;

	(void)state;
	blob_type(&blob, 4, 0, 0, "task_struct", 8);
	blob_type(&blob, 4, 0, 0, "taskstats", 8);
	blob_type(&blob, 4, 0, 0, "vm_area_struct", 8);
	blob_int(&blob, "task_strukt", 4, 0); /* base types are not proposed */
	index = finish(&blob);
	assert_string_equal(type_index_suggest(index, "task_sturct"), "task_struct");
	assert_string_equal(type_index_suggest(index, "struct taskstruct"), "task_struct");
	assert_string_equal(type_index_suggest(index, "vm_area_strct"), "vm_area_struct");
	assert_null(type_index_suggest(index, "inode"));
	assert_null(type_index_suggest(index, ""));
	type_index_unref(index);
}

static void count_calls(void *owner)
{
	++*(int *)owner;
}

static void test_ownership(void **state)
{
	struct blob blob = {0};
	struct type_index *index = NULL;
	struct nunchi_error *err;
	uint8_t *data;
	size_t size;
	int calls = 0;

	(void)state;
	blob_int(&blob, "int", 4, 1);
	data = blob_finish(&blob, &size);
	err = type_index_from_btf(data, size - 1, count_calls, &calls, &index);
	assert_non_null(err);
	nunchi_error_destroy(err);
	assert_int_equal(calls, 0); /* still the caller's */
	assert_null(type_index_from_btf(data, size, count_calls, &calls, &index));
	assert_string_equal(type_index_description(index), "BTF, 1 types");
	assert_ptr_equal(type_index_ref(index), index);
	type_index_unref(index);
	assert_int_equal(calls, 0);
	type_index_unref(index);
	assert_int_equal(calls, 1);
	type_index_unref(NULL);
	free(data);
}

static void *look_up(void *data)
{
	const struct type_index *index = data;
	char name[32];
	int64_t value;

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "ENUMERATOR_%d", i);
		if (!type_index_enum_value(index, name, &value) || value != i)
			return NULL;
	}
	return data;
}

/* The table of enumerators is made by whoever needs it first. */
static void test_threads_share(void **state)
{
	struct type_index *index;
	struct blob blob = {0};
	pthread_t threads[8];
	char name[32];

	(void)state;
	blob_type(&blob, 6, 0, 1000, "e", 4);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "ENUMERATOR_%d", i);
		blob_pair(&blob, name, (uint32_t)i);
	}
	index = finish(&blob);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_up, index), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *result;

		pthread_join(threads[i], &result);
		assert_ptr_equal(result, index);
	}
	type_index_unref(index);
}

/* An ELF file whose section 1 is .BTF and 2 holds the names. */
static size_t write_elf(uint8_t *file, const uint8_t *btf, size_t size, uint32_t type)
{
	static const char names[] = "\0.BTF\0.shstrtab";
	Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
			     .e_type = ET_EXEC,
			     .e_machine = EM_X86_64,
			     .e_version = 1,
			     .e_shoff = sizeof(header),
			     .e_ehsize = sizeof(header),
			     .e_shentsize = sizeof(Elf64_Shdr),
			     .e_shnum = 3,
			     .e_shstrndx = 2};
	size_t start = sizeof(header) + 3 * sizeof(Elf64_Shdr);
	Elf64_Shdr sections[3] = {
	    {0},
	    {.sh_name = 1, .sh_type = type, .sh_offset = start + sizeof(names), .sh_size = size},
	    {.sh_name = 6, .sh_type = SHT_STRTAB, .sh_offset = start, .sh_size = sizeof(names)}};

	memcpy(file, &header, sizeof(header));
	memcpy(file + sizeof(header), sections, sizeof(sections));
	memcpy(file + start, names, sizeof(names));
	memcpy(file + start + sizeof(names), btf, size);
	return start + sizeof(names) + size;
}

/* Gives the error, or NULL and whether "struct pair" was found. */
static struct nunchi_error *load(const uint8_t *file, size_t size)
{
	char path[] = "/tmp/nunchi-elf-XXXXXX";
	struct type_index *index = NULL;
	struct nunchi_error *err;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file, size), size);
	close(fd);
	err = type_index_from_file(path, &index);
	unlink(path);
	if (err) {
		assert_non_null(strstr(nunchi_error_message(err), path));
	} else {
		find(index, "struct pair");
		assert_int_equal(type_index_word_size(index), 8);
		type_index_unref(index);
	}
	return err;
}

static void test_elf_files(void **state)
{
	struct blob blob = {0};
	struct nunchi_error *err;
	uint8_t file[1024], *btf;
	size_t size, btf_size;

	(void)state;
	blob_type(&blob, 4, 0, 0, "pair", 8);
	btf = blob_finish(&blob, &btf_size);
	size = write_elf(file, btf, btf_size, SHT_PROGBITS);
	assert_null(load(file, size));
	for (size_t cut = 4; cut < size; cut++) {
		err = load(file, cut);
		assert_non_null(err);
		nunchi_error_destroy(err);
	}
	err = load(file, size - 1);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_TRUNCATED);
	nunchi_error_destroy(err);
	/* The section's header without its bytes, as in files of debugging information only. */
	size = write_elf(file, btf, btf_size, SHT_NOBITS);
	err = load(file, size);
	assert_true(nunchi_error_code(err) == NUNCHI_ERROR_NOT_FOUND ||
		    nunchi_error_code(err) == NUNCHI_ERROR_UNSUPPORTED);
	nunchi_error_destroy(err);
	file[16] = ET_REL;
	err = load(file, size);
	assert_non_null(strstr(nunchi_error_message(err), "not a linked vmlinux"));
	nunchi_error_destroy(err);
	assert_null(load(btf, btf_size)); /* and without any ELF */
	free(btf);
}

/*
 * Every type of a real kernel: of the host, or of the files that NUNCHI_TEST_TYPES names, separated
 * by colons.
 */
static void check_all_types(const struct type_index *index)
{
	uint32_t count = type_index_count(index);

	for (type_id id = 0; id < count; id++) {
		struct type_enumerator enumerator;
		struct type_member member;
		char spelling[512];
		struct type type;
		uint64_t size;

		assert_true(type_index_get(index, id, &type));
		type_index_spell(index, id, spelling, sizeof(spelling));
		if (type.kind != TYPE_OTHER && strchr(spelling, '?'))
			print_error("%u: %s\n", id, spelling);
		assert_true(type.kind == TYPE_OTHER || !strchr(spelling, '?'));
		assert_true(*spelling);
		for (uint32_t i = 0; i < type.count; i++) {
			if (type.kind == TYPE_STRUCT || type.kind == TYPE_UNION) {
				assert_true(type_index_member(index, id, i, &member));
				assert_true(member.type < count);
				assert_true(member.bit_offset + member.bit_size <= type.size * 8);
				if (!member.bit_size && type_index_size(index, member.type, &size))
					assert_true(member.bit_offset + size * 8 <= type.size * 8);
			} else if (type.kind == TYPE_ENUM) {
				assert_true(type_index_enumerator(index, id, i, &enumerator));
				assert_true(*enumerator.name);
			} else if (type.kind == TYPE_FUNCTION) {
				assert_true(type_index_parameter(index, id, i, &member));
			}
		}
	}
}

static void check_paths(const struct type_index *index)
{
	/* Alternatives separated by |: one of them must be there. */
	static const char *const paths[] = {
	    "task_struct.tasks.next",
	    "task_struct.comm",
	    "task_struct.__state|task_struct.state",
	    "task_struct.sched_reset_on_fork",
	    "task_struct.cred",
	    "module.mem[MOD_TEXT].base|module.core_layout.base",
	    "module.list",
	    "mm_struct.pgd",
	    "mm_struct.mm_mt.ma_root|mm_struct.mmap",
	    "vm_area_struct.vm_start",
	    "maple_tree.ma_root|vm_area_struct.vm_next",
	    "maple_node.mr64.slot|vm_area_struct.vm_rb",
	    "file.f_path.dentry",
	    "dentry.d_name.len",
	    "dentry.d_children|dentry.d_subdirs",
	    "mount.mnt.mnt_root",
	    "inode.i_uid.val",
	    "kernfs_node.__parent|kernfs_node.parent",
	    "atomic_t.counter",
	    "pid.numbers[0].nr",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *path = paths[i];
		bool found = false;

		while (!found && *path) {
			size_t size = strcspn(path, "|");
			struct type_field field;
			char part[128];

			snprintf(part, sizeof(part), "%.*s", (int)size, path);
			_cleanup_error_ struct nunchi_error *err =
			    type_index_resolve(index, part, &field);
			found = !err;
			if (found)
				assert_in_range(field.size, 1, 4096);
			path += size + (path[size] == '|');
		}
		if (!found)
			print_error("%s\n", paths[i]);
		assert_true(found);
	}
}

static void test_real_kernels(void **state)
{
	const char *paths = getenv("NUNCHI_TEST_TYPES");

	(void)state;
	if (!paths && access("/sys/kernel/btf/vmlinux", R_OK))
		skip();
	for (const char *at = paths ? paths : "/sys/kernel/btf/vmlinux"; *at;) {
		size_t size = strcspn(at, ":");
		struct type_index *index = NULL;
		struct nunchi_error *err;
		char path[4096];

		snprintf(path, sizeof(path), "%.*s", (int)size, at);
		err = type_index_from_file(path, &index);
		if (err)
			print_error("%s\n", nunchi_error_message(err));
		assert_null(err);
		check_all_types(index);
		check_paths(index);
		type_index_unref(index);
		at += size + (at[size] == ':');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find_prefers_definitions),
	    cmocka_unit_test(test_split),
	    cmocka_unit_test(test_find_every_length),
	    cmocka_unit_test(test_spelling),
	    cmocka_unit_test(test_spelling_is_cut_short),
	    cmocka_unit_test(test_circles_end),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_suggestions),
	    cmocka_unit_test(test_ownership),
	    cmocka_unit_test(test_threads_share),
	    cmocka_unit_test(test_elf_files),
	    cmocka_unit_test(test_real_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
