/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Libraries that are loaded when they are needed: there, not there, without what is wanted of them.
 * Each of nunchi's own is hidden from a child of this program, as it is from who has not installed
 * it, by a file of its name that comes first and is none.
 */
#include "config.h"
#include "core/buffer.h"
#include "core/library.h"
#include "doctor/facts/bundle.h"
#include "doctor/facts/initramfs.h"
#include "doctor/story/match.h"
#ifdef HAVE_LIBEDIT
#include "edit/libedit.h"
#endif
#ifdef HAVE_YARA
#include "scan/libyara.h"
#endif
#ifdef HAVE_FUSE
#include "mount/libfuse.h"
#endif
#ifdef HAVE_SQLITE
#include "sql/library.h"
#endif
#include "symbols/dwarf.h"
#include "symbols/isf.h"
#include "target/compression.h"
#include "target/file/avml.h"
#include "target/file/kdump.h"
#include "target/file/unpack.h"
#ifdef HAVE_NCURSES
#include "top/curses.h"
#endif

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define TOY_FUNCTIONS(FUNCTION) FUNCTION(cos) FUNCTION(floor)
struct toy_library {
	void *handle;
	TOY_FUNCTIONS(LIBRARY_MEMBER)
};
#define FUNCTION(name) LIBRARY_FUNCTION(struct toy_library, name)
static const struct library_function functions[] = {TOY_FUNCTIONS(FUNCTION)};
LIBRARY(toy, functions, "libm.so.6", "toys", "libtoy1 (Debian)");

static void test_loads(void **state)
{
	struct toy_library lib = {0};

	(void)state;
	assert_null(library_load(&toy, &lib, &lib.handle));
	assert_non_null(lib.handle);
	assert_true(lib.floor(2.5) == 2.0);
	assert_true(lib.cos(0) == 1.0);
	library_unload(&lib.handle);
	assert_null(lib.handle);
	library_unload(&lib.handle);
}

static void test_not_there(void **state)
{
	struct library other = toy;
	struct toy_library lib = {.handle = &other}, before = lib;
	struct nunchi_error *err;

	(void)state;
	other.name = "libnunchi-nowhere.so.2";
	err = library_load(&other, &lib, &lib.handle);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_UNSUPPORTED);
	assert_string_equal(nunchi_error_message(err),
			    "libnunchi-nowhere.so.2 is not installed; it is needed for toys");
	assert_string_equal(nunchi_error_hint(err), "install libtoy1 (Debian)");
	assert_memory_equal(&lib, &before, sizeof(lib));
	nunchi_error_destroy(err);
}

static void test_lacks_a_function(void **state)
{
	static const struct library_function more[] = {
	    {"floor", offsetof(struct toy_library, floor)},
	    {"nunchi_no_such_function", offsetof(struct toy_library, cos)},
	};
	struct library other = toy;
	struct toy_library lib = {.handle = &other}, before = lib;
	struct nunchi_error *err;

	(void)state;
	other.functions = more;
	err = library_load(&other, &lib, &lib.handle);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_UNSUPPORTED);
	assert_string_equal(nunchi_error_message(err),
			    "libm.so.6 lacks nunchi_no_such_function(); it is needed for toys");
	assert_non_null(strstr(nunchi_error_hint(err), "libtoy1 (Debian)"));
	assert_memory_equal(&lib, &before, sizeof(lib));
	nunchi_error_destroy(err);
}

/* ---- The notes ------------------------------------------------------------------------------- */

/* Whether a note in the segment speaks of the toy. */
static bool has_note(const char *at, size_t size)
{
	static const char text[] =
	    "[{\"soname\":[\"libm.so.6\"],\"feature\":\"toy\",\"description\":"
	    "\"toys\",\"priority\":\"recommended\"}]";
	ElfW(Nhdr) note;

	while (size >= sizeof(note)) {
		size_t name, whole;

		memcpy(&note, at, sizeof(note));
		name = (note.n_namesz + 3) & ~3u;
		whole = sizeof(note) + name + ((note.n_descsz + 3) & ~3u);
		if (whole > size)
			return false;
		if (note.n_type == LIBRARY_NOTE_TYPE && note.n_namesz == 4 &&
		    !memcmp(at + sizeof(note), "FDO", 4) && note.n_descsz == sizeof(text) &&
		    !memcmp(at + sizeof(note) + name, text, sizeof(text)))
			return true;
		at += whole;
		size -= whole;
	}
	return false;
}

static int look_for_note(struct dl_phdr_info *object, size_t size, void *found)
{
	(void)size;
	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];

		if (header->p_type == PT_NOTE && header->p_align == 4 &&
		    has_note((const char *)(object->dlpi_addr + header->p_vaddr), header->p_memsz))
			*(bool *)found = true;
	}
	return 1; /* the first is the program itself */
}

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if __has_feature(address_sanitizer) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

static void test_says_so_in_its_notes(void **state)
{
	bool found = false;

	(void)state;
	dl_iterate_phdr(look_for_note, &found);
#ifdef SANITIZED
	skip(); /* AddressSanitizer puts bytes of its own between them */
#endif
	assert_true(found);
}

/* ---- Nunchi's own, hidden -------------------------------------------------------------------- */

static void say(struct nunchi_error *err)
{
	const char *hint = err ? nunchi_error_hint(err) : NULL;

	printf("%d %s | %s\n", err ? (int)nunchi_error_code(err) : -1,
	       err ? nunchi_error_message(err) : "it works", hint ? hint : "");
	nunchi_error_destroy(err);
}

static ssize_t read_gzip(void *data, void *to, size_t size, uint64_t offset)
{
	static const char bytes[] = "\x1f\x8b\x08 and what follows";
	size_t left = offset < sizeof(bytes) ? sizeof(bytes) - (size_t)offset : 0;

	(void)data;
	size = size < left ? size : left;
	memcpy(to, bytes + sizeof(bytes) - left, size);
	return (ssize_t)size;
}

static void use_packed(void)
{
	struct unpacker *unpacker = unpacker_create();
	char page[16];

	assert_non_null(unpacker);
#ifdef HAVE_ZLIB
	say(unpacker_load(unpacker, KDUMP_ZLIB));
#endif
#ifdef HAVE_LZO
	say(unpacker_load(unpacker, KDUMP_LZO));
#endif
#ifdef HAVE_SNAPPY
	say(unpacker_load(unpacker, KDUMP_SNAPPY));
#endif
#ifdef HAVE_ZSTD
	say(unpacker_load(unpacker, KDUMP_ZSTD));
#endif
	assert_false(unpacker_run(unpacker, KDUMP_ZLIB, "x", 1, page, sizeof(page)));
	unpacker_destroy(unpacker);
}

/* What the child does: everything that needs a library, whose errors it prints. */
static int use_all(void)
{
	_cleanup_buffer_ struct buffer modules = {0};
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct extents extents;
	struct avml_info info;
	struct source file = {0}, unpacked;
	struct type_index *types;
	struct tree *tree;
	const char *const patterns[] = {"a"};
	struct matcher *matcher;
	char *text;
	size_t size;

	(void)fd, (void)types, (void)text, (void)size, (void)extents, (void)info, (void)file;
	(void)unpacked, (void)tree, (void)say, (void)read_gzip;
#ifdef HAVE_LIBDW
	say(type_index_from_dwarf(fd, &types));
#endif
#ifdef HAVE_LZMA
	say(isf_unpack("x", 1, &text, &size));
#endif
	for (size_t i = 0; match_engines[i]; i++)
		say(match_engines[i]->create(patterns, 1, &matcher));
#ifdef HAVE_SQLITE
	say(sqlite_load());
#endif
#ifdef HAVE_NCURSES
	say(curses_load(&(struct curses_library){0}));
#endif
#ifdef HAVE_LIBEDIT
	say(libedit_load(&(struct libedit){0}));
#endif
#ifdef HAVE_YARA
	say(libyara_load(&(struct libyara){0}));
#endif
#ifdef HAVE_FUSE
	say(libfuse_load(&(struct libfuse){0}));
#endif
#ifdef HAVE_LIBARCHIVE
	say(bundle_parse("x", 1, "input", &tree));
	printf("%d\n", initramfs_list(read_gzip, NULL, &modules) == ELIBACC);
#endif
#ifdef HAVE_SNAPPY
	say(avml_parse(&file, &unpacked, &extents, &info));
#endif
	use_packed();
	return 0;
}

/* In the order in which they are used; none in a build without any feature. */
static const struct {
	const char *name, *purpose, *packages;
} hidden[] = {
#ifdef HAVE_LIBDW
    {"libdw.so.1", "DWARF types", "libdw1 (Debian, Ubuntu) or elfutils-libs (Fedora)"},
#endif
#ifdef HAVE_LZMA
    {"liblzma.so.5", ".xz symbol tables",
     "liblzma5 (Debian, Ubuntu) or xz-libs (Fedora), or unpack the file with xz -d"},
#endif
#ifdef HAVE_LIBHS
    {"libhs.so.5", "reading logs", "libhyperscan5 (Debian, Ubuntu) or hyperscan (Fedora)"},
#endif
#ifdef HAVE_PCRE2
    {"libpcre2-8.so.0", "reading logs", "libpcre2-8-0 (Debian, Ubuntu) or pcre2 (Fedora)"},
#endif
#ifdef HAVE_SQLITE
    {"libsqlite3.so.0", "SQL", "libsqlite3-0 (Debian, Ubuntu) or sqlite-libs (Fedora)"},
#endif
#ifdef HAVE_NCURSES
    {"libncursesw.so.6", "nunchi top on a terminal",
     "libncursesw6 (Debian, Ubuntu) or ncurses-libs (Fedora)"},
#endif
#ifdef HAVE_LIBEDIT
    {"libedit.so.2", "line editing in nunchi sql", "libedit2 (Debian, Ubuntu) or libedit (Fedora)"},
#endif
#ifdef HAVE_YARA
#if YR_MINOR_VERSION >= 3
    {"libyara.so.10", "rules of YARA", "libyara10 (Debian, Ubuntu) or yara (Fedora)"},
#else
    {"libyara.so.9", "rules of YARA", "libyara9 (Debian, Ubuntu) or yara (Fedora)"},
#endif
#endif
#ifdef HAVE_FUSE
    {"libfuse3.so.3", "nunchi mount",
     "fuse3 and libfuse3-3 (Debian, Ubuntu) or fuse3 and fuse3-libs (Fedora)"},
#endif
#ifdef HAVE_LIBARCHIVE
    {"libarchive.so.13", "bundles, compressed initramfs and saved guests",
     "libarchive13 (Debian, Ubuntu) or libarchive (Fedora)"},
    {NULL, NULL, NULL}, /* the initramfs */
#endif
#ifdef HAVE_SNAPPY
    {"libsnappy.so.1", "files packed with snappy (AVML, kdump)",
     "libsnappy1v5 (Debian, Ubuntu) or snappy (Fedora)"},
#endif
#ifdef HAVE_ZLIB
    {"libz.so.1", "what is packed with zlib (gzip, kdump)",
     "zlib1g (Debian, Ubuntu) or zlib (Fedora)"},
#endif
#ifdef HAVE_LZO
    {"liblzo2.so.2", "kdump files packed with LZO", "liblzo2-2 (Debian, Ubuntu) or lzo (Fedora)"},
#endif
#ifdef HAVE_SNAPPY
    {"libsnappy.so.1", "files packed with snappy (AVML, kdump)",
     "libsnappy1v5 (Debian, Ubuntu) or snappy (Fedora)"},
#endif
#ifdef HAVE_ZSTD
    {"libzstd.so.1", "kdump files packed with zstd",
     "libzstd1 (Debian, Ubuntu) or libzstd (Fedora)"},
#endif
};

static void hide(const char *directory, bool hiding)
{
	for (size_t i = 0; i != ARRAY_SIZE(hidden); i++) {
		_cleanup_free_ char *path = NULL;
		int fd;

		if (!hidden[i].name)
			continue;
		assert_true(asprintf(&path, "%s/%s", directory, hidden[i].name) > 0);
		if (hiding) {
			fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
			assert_true(fd >= 0);
			close(fd);
		} else {
			unlink(path);
		}
	}
}

static void check_line(FILE *said, size_t i)
{
	_cleanup_free_ char *line = NULL, *wanted = NULL;
	size_t capacity = 0;

	assert_true(getline(&line, &capacity, said) > 0);
	if (!hidden[i].name) {
		assert_string_equal(line, "1\n");
		return;
	}
	assert_true(asprintf(&wanted, "/%s: file too short); it is needed for %s | ",
			     hidden[i].name, hidden[i].purpose) > 0);
	if (atoi(line) != NUNCHI_ERROR_UNSUPPORTED || !strstr(line, wanted))
		fail_msg("%s: %s", hidden[i].name, line);
	free(wanted);
	assert_true(asprintf(&wanted, " | install %s\n", hidden[i].packages) > 0);
	if (!strstr(line, wanted))
		fail_msg("%s: %s", hidden[i].name, line);
}

static void test_hidden(void **state)
{
	char directory[] = "/tmp/nunchi-library-XXXXXX";
	int pipes[2], status;
	FILE *said;
	pid_t child;

	(void)state;
	assert_non_null(mkdtemp(directory));
	hide(directory, true);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		dup2(pipes[1], STDOUT_FILENO);
		setenv("LD_LIBRARY_PATH", directory, 1);
		execl(program_invocation_name, program_invocation_name, "--use-all", NULL);
		_exit(127);
	}
	close(pipes[1]);
	said = fdopen(pipes[0], "r");
	assert_non_null(said);
	for (size_t i = 0; i != ARRAY_SIZE(hidden); i++)
		check_line(said, i);
	fclose(said);
	hide(directory, false);
	rmdir(directory);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_loads),
	    cmocka_unit_test(test_not_there),
	    cmocka_unit_test(test_lacks_a_function),
	    cmocka_unit_test(test_says_so_in_its_notes),
	    cmocka_unit_test(test_hidden),
	};

	if (argc == 2 && !strcmp(argv[1], "--use-all"))
		return use_all();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
