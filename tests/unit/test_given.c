/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of symbols and types that belong to the kernel in the guest, or to another: the guest made
 * by hand of attach_guest.h, with a first task.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attach_guest.h"
#include "btf_blob.h"

#include <elf.h>
#include <unistd.h>

/* The offsets in this kernel's task_struct. */
enum { TASKS = 8, PID = 32, PARENT = 40, LEADER = 48, COMM = 64, TASK_SIZE = 128 };

/* A BTF file of a task_struct, with all fields `shift` bytes further on than in the kernel. */
static uint8_t *make_types(uint32_t word, uint32_t shift, size_t *ret_size)
{
	struct blob blob = {0};
	uint32_t number = blob_int(&blob, "int", 4, 1), letter = blob_int(&blob, "char", 1, 0);
	uint32_t name = blob_array(&blob, letter, 16), pointer, list;

	blob_int(&blob, "long unsigned int", word, 0);
	list = blob_type(&blob, 4, 0, 2, "list_head", 16);
	blob_member(&blob, "next", list + 1, 0);
	blob_member(&blob, "prev", list + 1, 64);
	blob_type(&blob, 2, 0, 0, "", list);
	pointer = blob_type(&blob, 2, 0, 0, "", list + 3);
	blob_type(&blob, 4, 0, 5, "task_struct", TASK_SIZE + shift);
	blob_member(&blob, "tasks", list, (TASKS + shift) * 8);
	blob_member(&blob, "pid", number, (PID + shift) * 8);
	blob_member(&blob, "real_parent", pointer, (PARENT + shift) * 8);
	blob_member(&blob, "group_leader", pointer, (LEADER + shift) * 8);
	blob_member(&blob, "comm", name, (COMM + shift) * 8);
	return blob_finish(&blob, ret_size);
}

#define ID_SIZE 20

/* A note with a build id of 20 times this byte, after a note of somebody else. */
static size_t make_notes(uint8_t *at, uint8_t byte)
{
	static const uint32_t words[] = {4, 8, 3,       0x006e6558 /* Xen */, 1,
					 2, 4, ID_SIZE, NT_GNU_BUILD_ID,      0x00554e47 /* GNU */};

	memcpy(at, words, sizeof(words));
	memset(at + sizeof(words), byte, ID_SIZE);
	return sizeof(words) + ID_SIZE;
}

/* An ELF file with BTF and notes: sections 1, 2 and 3, which holds the names. */
static size_t make_elf(uint8_t *file, const uint8_t *btf, size_t size, uint8_t byte)
{
	static const char names[] = "\0.BTF\0.notes\0.names";
	Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
			     .e_type = ET_EXEC,
			     .e_machine = EM_X86_64,
			     .e_shoff = 64,
			     .e_shentsize = 64,
			     .e_shnum = 4,
			     .e_shstrndx = 3};
	Elf64_Shdr sections[4] = {
	    [1] = {.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = 1024, .sh_size = size},
	    [2] = {.sh_name = 6, .sh_type = SHT_NOTE, .sh_offset = 512},
	    [3] = {.sh_name = 13,
		   .sh_type = SHT_STRTAB,
		   .sh_offset = 768,
		   .sh_size = sizeof(names)},
	};

	sections[2].sh_size = make_notes(file + 512, byte);
	memcpy(file, &header, sizeof(header));
	memcpy(file + 64, sections, sizeof(sections));
	memcpy(file + 768, names, sizeof(names));
	memcpy(file + 1024, btf, size);
	return 1024 + size;
}

/* The first task of the kernel at that physical address, with its fields that much further on. */
static void put_task(struct guest *guest, uint64_t physical, uint32_t shift)
{
	uint64_t task = physical + TASK + shift, self = WRITER_BASE + TASK;

	memset(guest->ram + physical + TASK, 0, 512);
	put(guest, task + TASKS, self + shift + TASKS);
	put(guest, task + TASKS + 8, self + shift + TASKS);
	put(guest, task + PARENT, self);
	put(guest, task + LEADER, self);
	strcpy((char *)guest->ram + task + COMM, "swapper/0");
}

static void put_whole_kernel(struct guest *guest, uint64_t physical, uint64_t page)
{
	put_kernel(guest, physical);
	put_task(guest, physical, 0);
	put_trampoline(guest, page, physical + TOP);
}

/* Attaches with a file of these bytes: of types, or of symbols. */
static struct nunchi_error *attach_file(struct guest *guest, const void *data, size_t size,
					bool symbols, struct linux_kernel **ret)
{
	char path[] = "/tmp/nunchi-given-XXXXXX";
	struct guest_attach_options options = {.cancel = &guest->cancel};
	int fd = mkstemp(path);
	struct nunchi_error *err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
	*(symbols ? &options.symbols_path : &options.types_path) = path;
	*ret = NULL;
	err = linux_kernel_attach(&guest->target, &options, ret);
	unlink(path);
	return err;
}

static void accepted(struct guest *guest, const void *data, size_t size, bool symbols,
		     uint64_t physical)
{
	struct linux_kernel *kernel;
	struct nunchi_error *err = attach_file(guest, data, size, symbols, &kernel);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	assert_int_equal(kernel->text_physical, physical);
	linux_kernel_destroy(kernel);
}

/* Refused with this reason after the file's name, and a hint that contains these words. */
static void refused(struct guest *guest, const void *data, size_t size, bool symbols,
		    const char *reason, const char *hint)
{
	struct linux_kernel *kernel;
	struct nunchi_error *err = attach_file(guest, data, size, symbols, &kernel);
	const char *message;

	assert_non_null(err);
	message = nunchi_error_message(err);
	if (!error_is(err, NUNCHI_ERROR_DATA) || !strstr(message, " do not fit this kernel: ") ||
	    !strstr(message, reason))
		fail_msg("code %d: %s", nunchi_error_code(err), message);
	if (!nunchi_error_hint(err) || !strstr(nunchi_error_hint(err), hint))
		fail_msg("%s", nunchi_error_hint(err));
	nunchi_error_destroy(err);
}

static void test_types_fit(void **state)
{
	struct guest *guest = *state;
	size_t size;
	_cleanup_free_ uint8_t *types = make_types(8, 0, &size);

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	accepted(guest, types, size, false, 16 * MIB);
}

static void test_types_of_another_build(void **state)
{
	struct guest *guest = *state;
	size_t size;
	_cleanup_free_ uint8_t *types = make_types(8, 16, &size);

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	refused(guest, types, size, false,
		"init_task.comm is not \"swapper\" at offset 80, where the file has it; this "
		"kernel has it at offset 64",
		"exactly this build: Linux version 6.1.0-test");
}

static void test_types_of_other_words(void **state)
{
	struct guest *guest = *state;
	size_t size;
	_cleanup_free_ uint8_t *types = make_types(4, 0, &size);

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	refused(guest, types, size, false, "its pointers have 4 bytes, the kernel's have 8",
		"exactly this build");
}

/* The name is in its place, another field is not. */
static void test_types_of_shuffled_fields(void **state)
{
	struct guest *guest = *state;
	uint64_t task = 16 * MIB + TASK;
	size_t size;
	_cleanup_free_ uint8_t *types = make_types(8, 0, &size);

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	put(guest, task + LEADER, 0x1234);
	refused(guest, types, size, false,
		"init_task.group_leader is 0x1234 by these types, which is not init_task itself",
		"exactly this build");
	put_task(guest, 16 * MIB, 0);
	put(guest, task + PID, 7);
	refused(guest, types, size, false, "init_task.pid is 0x7 by these types, which is not 0",
		"exactly this build");
}

/* A first task without its name was overwritten: that says nothing against the types. */
static void test_overwritten_task(void **state)
{
	struct guest *guest = *state;
	struct linux_kernel *kernel;
	size_t size;
	_cleanup_free_ uint8_t *types = make_types(8, 0, &size);
	struct nunchi_error *err;

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	memset(guest->ram + 16 * MIB + TASK, 0x55, 4096);
	err = attach_file(guest, types, size, false, &kernel);
	assert_true(error_is(err, NUNCHI_ERROR_NO_KERNEL));
	nunchi_error_destroy(err);
}

/* Of two kernels the one is taken that the types belong to, whichever is met first. */
static void test_types_choose(void **state)
{
	struct guest *guest = *state;
	size_t size, other_size;
	_cleanup_free_ uint8_t *types = make_types(8, 0, &size);
	_cleanup_free_ uint8_t *other = make_types(8, 16, &other_size);

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	put_whole_kernel(guest, 32 * MIB, 0x90000);
	put_task(guest, 32 * MIB, 16);
	accepted(guest, types, size, false, 16 * MIB);
	accepted(guest, other, other_size, false, 32 * MIB);
}

static void test_build_ids(void **state)
{
	struct guest *guest = *state;
	size_t size;
	_cleanup_free_ uint8_t *types = make_types(8, 0, &size), *file = calloc(1, size + 1024);

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	/* The kernel says nothing. */
	accepted(guest, file, make_elf(file, types, size, 0xab), false, 16 * MIB);
	make_notes(guest->ram + 16 * MIB + NOTES, 0xab);
	accepted(guest, file, make_elf(file, types, size, 0xab), false, 16 * MIB);
	refused(guest, file, make_elf(file, types, size, 0x12), false,
		"the build id of the file is 1212121212121212121212121212121212121212, the "
		"kernel's is abababababababababababababababababababab",
		"debuginfod-find debuginfo abababababababababababababababababababab");
	/* The file says nothing. */
	accepted(guest, types, size, false, 16 * MIB);
	/* The same build, and yet other fields: shuffled by gcc. */
	put_task(guest, 16 * MIB, 8);
	refused(guest, file, make_elf(file, types, size, 0xab), false, "init_task.comm",
		"RANDSTRUCT");
}

/* VMCOREINFO has the build id too; a note of another kernel is not asked. */
static void test_build_id_of_note(void **state)
{
	struct guest *guest = *state;
	size_t size;
	_cleanup_free_ uint8_t *types = make_types(8, 0, &size), *file = calloc(1, size + 1024);

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	size = make_elf(file, types, size, 0x12);
	for (unsigned i = 0; i < 2; i++) {
		char *note = calloc(1, 512);

		snprintf(note, 512,
			 "OSRELEASE=6.1.0-test\nBUILD-ID=%040x\nPAGESIZE=4096\n"
			 "SYMBOL(_stext)=%llx\n",
			 0xab, WRITER_BASE + i * 4096);
		free(guest->target.vmcoreinfo);
		guest->target.vmcoreinfo = note;
		guest->target.vmcoreinfo_size = strlen(note);
		if (i)
			accepted(guest, file, size, false, 16 * MIB);
		else
			refused(guest, file, size, false,
				"the kernel's is 00000000000000000000000000000000000000ab",
				"debuginfod-find");
		for (size_t j = 0; j < guest->target.note_count; j++)
			free(guest->target.notes[j]);
		free(guest->target.notes);
		guest->target.notes = NULL;
		guest->target.note_count = 0;
	}
}

/* What System.map says of this kernel as it was linked, with one symbol moved. */
static size_t make_map(char *text, size_t size, unsigned etext_moved, unsigned banner_moved)
{
	const uint64_t base = 0xffffffff81000000;
	/* writer_add_symbols() */
	uint64_t etext = base + 16 + layout.count * 2 / 3 * 32 + 8;

	return (size_t)snprintf(
	    text, size,
	    "0000000000000010 A percpu_variable\n%llx T _text\n%llx T _stext\n%llx T _etext\n"
	    "%llx D linux_banner\n%llx D phys_base\n%llx D init_top_pgt\n",
	    (unsigned long long)base, (unsigned long long)base,
	    (unsigned long long)etext + etext_moved,
	    (unsigned long long)base + BANNER + banner_moved, (unsigned long long)base + PHYS_BASE,
	    (unsigned long long)base + TOP);
}

static void test_symbols(void **state)
{
	struct guest *guest = *state;
	char map[1024];

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	accepted(guest, map, make_map(map, sizeof(map), 0, 0), true, 16 * MIB);
	refused(guest, map, make_map(map, sizeof(map), 16, 0), true,
		"_etext is at 0xffffffff9a603228 by the file, but at 0xffffffff9a603218 by the "
		"kernel's own symbol table",
		"leave --symbols out");
	/* Without a table of its own. */
	memset(guest->ram + 16 * MIB + WRITER_TABLE, 0, WRITER_SIZE - WRITER_TABLE);
	accepted(guest, map, make_map(map, sizeof(map), 0, 0), true, 16 * MIB);
	refused(guest, map, make_map(map, sizeof(map), 0, 32), true,
		"linux_banner is at 0xffffffff9a63ffe0 by the file, but at 0xffffffff9a63ffc0 by "
		"its text in memory",
		"exactly this build: Linux version 6.1.0-test (a) (b) #1 SMP today");
}

static void fails(struct guest *guest, const struct guest_attach_options *options,
		  const char *message)
{
	struct linux_kernel *kernel = NULL;
	struct nunchi_error *err = linux_kernel_attach(&guest->target, options, &kernel);

	assert_non_null(err);
	assert_string_equal(nunchi_error_message(err), message);
	nunchi_error_destroy(err);
}

/* A file that cannot be used is not "no kernel found". */
static void test_files_without_use(void **state)
{
	struct guest *guest = *state;
	const struct guest_attach_options types = {.types_path = "/nonexistent",
						   .cancel = &guest->cancel};
	const struct guest_attach_options symbols = {.symbols_path = "/nonexistent",
						     .cancel = &guest->cancel};
	static const char zeros[] = "0000000000000000 T _text\n0000000000000000 T _stext\n";
	struct linux_kernel *kernel;
	struct nunchi_error *err;

	put_whole_kernel(guest, 16 * MIB, 0x98000);
	fails(guest, &types, "types file: /nonexistent: No such file or directory");
	fails(guest, &symbols, "symbols file: /nonexistent: No such file or directory");
	/* /proc/kallsyms as a user reads it. */
	err = attach_file(guest, zeros, sizeof(zeros) - 1, true, &kernel);
	assert_non_null(err);
	if (!strstr(nunchi_error_message(err), " are zero") ||
	    !strstr(nunchi_error_hint(err), "read it as root"))
		fail_msg("%s", nunchi_error_message(err));
	nunchi_error_destroy(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_types_fit, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_types_of_another_build, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_types_of_other_words, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_types_of_shuffled_fields, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_overwritten_task, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_types_choose, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_build_ids, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_build_id_of_note, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_symbols, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_files_without_use, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
