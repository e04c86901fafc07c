/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The doctor reads text that anybody may have written: logs that guests write to, bundles by mail.
 * Each function that goes over such a text must take time linear in its size. Time itself is not
 * measured: the compiler calls __sanitizer_cov_trace_pc() in each basic block of the files under
 * test (-fsanitize-coverage=trace-pc), and the functions of the C library that go over bytes are
 * wrapped by the linker (--wrap) and count those bytes. The sum is the work, and the same in each
 * run. A text of twice the size may take little more than twice the work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "core/cleanup.h"
#include "doctor/change/grub_env.h"
#include "doctor/facts/grub_menu.h"
#include "doctor/facts/grub_vars.h"
#include "doctor/facts/packages.h"
#include "doctor/facts/redact.h"
#include "doctor/facts/settings.h"
#include "doctor/facts/tree.h"
#include "doctor/story/log_line.h"
#include "doctor/story/paste.h"
#include "doctor/story/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t work;

void __sanitizer_cov_trace_pc(void);

/* The compiler must not put a call of this function into itself; clang does not of its own accord.
 */
#if __has_attribute(no_sanitize_coverage)
__attribute__((no_sanitize_coverage))
#endif
void __sanitizer_cov_trace_pc(void)
{
	work++;
}

/* ---- The C library ---- */

#define WRAP(result, name, parameters, arguments, bytes)                                           \
	result __real_##name parameters;                                                           \
	result __wrap_##name parameters;                                                           \
	result __wrap_##name parameters                                                            \
	{                                                                                          \
		result found = __real_##name arguments;                                            \
                                                                                                   \
		work += (uint64_t)(bytes);                                                         \
		return found;                                                                      \
	}

/* Where the search ended: at what it found, or behind the last byte. */
#define UNTIL(from, all) (found ? (size_t)((const char *)found - (const char *)(from)) : (all))

size_t __real_strlen(const char *text);

WRAP(void *, memchr, (const void *in, int c, size_t size), (in, c, size), UNTIL(in, size))
WRAP(void *, memrchr, (const void *in, int c, size_t size), (in, c, size),
     size - UNTIL(in, (size_t)0))
WRAP(void *, memmem, (const void *in, size_t size, const void *what, size_t length),
     (in, size, what, length), UNTIL(in, size))
WRAP(void *, memcpy, (void *to, const void *from, size_t size), (to, from, size), size)
WRAP(void *, memmove, (void *to, const void *from, size_t size), (to, from, size), size)
WRAP(int, memcmp, (const void *a, const void *b, size_t size), (a, b, size), found ? 1 : size)
WRAP(size_t, strlen, (const char *text), (text), found)
WRAP(char *, strchr, (const char *in, int c), (in, c), UNTIL(in, __real_strlen(in)))
WRAP(char *, strrchr, (const char *in, int c), (in, c), __real_strlen(in))
WRAP(char *, strstr, (const char *in, const char *what), (in, what), UNTIL(in, __real_strlen(in)))
WRAP(char *, strcasestr, (const char *in, const char *what), (in, what),
     UNTIL(in, __real_strlen(in)))
WRAP(size_t, strspn, (const char *text, const char *set), (text, set), found)
WRAP(size_t, strcspn, (const char *text, const char *set), (text, set), found)
WRAP(char *, strpbrk, (const char *in, const char *set), (in, set), UNTIL(in, __real_strlen(in)))
WRAP(int, strcmp, (const char *a, const char *b), (a, b), found ? 1 : __real_strlen(a))

/* ---- What goes over a text ---- */

static void scan_redact(const char *text, size_t size)
{
	_cleanup_buffer_ struct buffer out = {0};

	struct redaction redaction = {0};

	redact(&redaction, text, size, &out);
}

/* As text, as a page and as a mail: how the beginning looks decides. */
static void scan_paste(const char *text, size_t size)
{
	for (unsigned kind = 0; kind < 3; kind++) {
		_cleanup_buffer_ struct buffer out = {0};
		struct paste paste;

		paste_begin(&paste, text, size);
		paste.html = kind == 1;
		paste.quoted_printable = kind == 2;
		paste_lines(&paste, text, size, &out);
	}
}

static void scan_log_line(const char *text, size_t size)
{
	log_line_writer(text, size);
	log_line_is_banner(text, size);
}

/* A story in which the line stands behind others. */
static void tell(const char *const *before, const char *text, size_t size)
{
	_cleanup_facts_ struct facts facts;
	struct story story;

	facts_init(&facts);
	assert_true(story_init(&story));
	story_begin(&story, "notes");
	for (; *before; before++)
		story_line(&story, &facts, *before, strlen(*before));
	for (const char *end = text + size; text < end;) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		stop = stop ? stop : end;
		story_line(&story, &facts, text, (size_t)(stop - text));
		text = stop + 1;
	}
	story_end(&story, &facts);
	story_deinit(&story);
}

static void scan_prose(const char *text, size_t size)
{
	tell((const char *const[]){"Attempt 1", NULL}, text, size);
}

static void scan_firmware(const char *text, size_t size)
{
	tell((const char *const[]){"BIOS settings", NULL}, text, size);
}

static void scan_typed(const char *text, size_t size)
{
	tell((const char *const[]){"sudo nano /etc/default/grub", NULL}, text, size);
}

static void scan_modprobe(const char *text, size_t size)
{
	tell((const char *const[]){"sudo nano /etc/modprobe.d/a.conf", NULL}, text, size);
}

static void scan_words(const char *text, size_t size)
{
	struct settings settings;
	struct setting_origin origin = {.place = PLACE_RUNNING, .source = "cmdline"};

	settings_init(&settings);
	settings_add_words(&settings, &origin, text, size);
	settings_deinit(&settings);
}

static void scan_grub_vars(const char *text, size_t size)
{
	_cleanup_grub_vars_ struct grub_vars *vars = NULL;

	assert_null(grub_vars_create(&vars));
	nunchi_error_destroy(grub_vars_read(vars, "grub", text, size));
}

static void scan_grub_menu(const char *text, size_t size)
{
	_cleanup_grub_menu_ struct grub_menu menu = {0};

	nunchi_error_destroy(grub_menu_parse(text, size, &menu));
}

static void scan_grub_env(const char *text, size_t size)
{
	static const char signature[] = "# GRUB Environment Block\n";
	_cleanup_buffer_ struct buffer block = {0}, other = {0};

	buffer_append_string(&block, signature);
	buffer_append(&block, text, size);
	buffer_append(&other, block.data, block.size);
	grub_env_same_without(block.data, block.size, other.data, other.size, "next_entry");
	free(grub_env_get(block.data, block.size, "next_entry"));
}

struct reading {
	const char *text;
	size_t size;
};

static ssize_t read_on(void *data, void *to, size_t size)
{
	struct reading *reading = data;
	size_t got = reading->size < size ? reading->size : size;

	memcpy(to, reading->text, got);
	reading->text += got;
	reading->size -= got;
	return (ssize_t)got;
}

static void scan_packages(const char *text, size_t size)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct reading reading = {text, size};

	packages_list(read_on, &reading, &out);
}

static const struct {
	const char *name;
	void (*scan)(const char *text, size_t size);
	size_t size;    /* of the smaller text; the other has twice as much */
	uint64_t slack; /* steps that do not grow with the text */
} scanners[] = {
    /* 32 KiB behind the BEGIN of a key are taken out without being looked at. */
    {"redact", scan_redact, 48 << 10, 13500000},
    {"log_line_writer", scan_log_line, 4000, 0},
    {"paste", scan_paste, 8 << 10, 0},
    {"story: prose", scan_prose, 1500, 0},
    {"story: firmware", scan_firmware, 1500, 0},
    {"story: grub", scan_typed, 1500, 0},
    {"story: modprobe.d", scan_modprobe, 1500, 0},
    {"settings_add_words", scan_words, 8 << 10, 0},
    {"grub_vars_read", scan_grub_vars, 8 << 10, 0},
    {"grub_menu_parse", scan_grub_menu, 8 << 10, 0},
    {"grub_env", scan_grub_env, 4000, 0},
    {"packages_list", scan_packages, 8 << 10, 0},
};

/* 40 KiB in the variable A. */
#define LONG_VALUE                                                                                 \
	"A=0123456789\nA=$A$A$A$A\nA=$A$A$A$A\nA=$A$A$A$A\nA=$A$A$A$A\nA=$A$A$A$A\nA=$A$A$A$A\n"

/* A text is its beginning once, and then the piece again and again. */
static const struct {
	const char *begin, *piece;
} texts[] = {
    {"", "a"},
    {"", "\n"},
    {"", " "},
    {"", "a "},
    {"", "a\n"},
    {"", "\""},
    {"", "'"},
    {"", "`"},
    {"", "."},
    {"", "["},
    {"", "{\n"},
    {"", "="},
    {"", "a=b,"},
    {"", "-----BEGIN x "},
    {"", "-----BEGIN x\n"},
    {"", "-----BEGIN RSA PRIVATE KEY-----\n"},
    {"", "-----BEGIN RSA PRIVATE KEY-----"},
    {"", "-----BEGIN A-----\r\n"},
    {"", "-----BEGIN A-----\nAAAA\n"},
    {"", "-----END A-----"},
    {"-----BEGIN A-----", "A"},
    {"-----BEGIN A-----\n", "A\n"},
    {"", "://"},
    {"", "a://b:c"},
    {"", "key "},
    {"", "key="},
    {"", "key=\""},
    {"", "key=\"\n"},
    {"key", " "},
    {"password=\"", "\\"},
    {"", "--key "},
    {"", "\"key\""},
    {"", "a@b"},
    {"", "a@b.c "},
    {"", "aa:bb:"},
    {"", "01234567-"},
    {"a=b", ","},
    {"ab=", ",.;:"},
    {"", "ab=c., "},
    {"00:02.0 VGA compatible controller [0300]: ", "["},
    {"00:02.0 VGA compatible controller [0300]: ", "[8086:46a6] "},
    {"", "Kernel modules: "},
    {"$ echo ", "> /etc/a "},
    {"$ echo ", "tee /etc/a "},
    {"$ tee /etc/a ", "<<"},
    {"$ rm ", "/etc/* "},
    {"sudo sed -i s/a/b/ ", "s/a/b/ "},
    {"# GRUB Environment Block\n", "a=b\n"},
    {"", "\\"},
    {"", "\\\n"},
    {"", "$("},
    {"", "${"},
    {"", "${a"},
    {"A=0123456789012345678901234567890123456789\n", "A=$A\n"},
    {"A=0123456789\n", "A=$A$A\n"},
    {LONG_VALUE, "B=$A\n"},
    {LONG_VALUE, "$A\n"},
    {LONG_VALUE, "x $A\n"},
    {LONG_VALUE, "eval$A\n"},
    {"", "menuentry 'a' { linux /a\n}\n"},
    {"", "if a; then\n"},
    {"", "set default=a\n"},
    {"", "Package: a\n"},
    {"", "Package: xen-a\nStatus: a ok installed\nVersion: 1\n\n"},
    {"", "{\"_TRANSPORT\" "},
    {"", "\x1b[1m"},
    {"", "> "},
    {"", "<a"},
    {"", "<br>"},
    {"", "&lt;"},
    {"", "=3D"},
    {"", "=\n"},
    {"", "[    1.000000] a message of a length at which a mailer breaks it, more or\nless\n"},
    {"{\"MESSAGE\":[", "91,"},
    {"", "<6>"},
    {"", "password="},
    {"", "password=["},
    {"", "password=[\n"},
    {"", "password=\"\"\""},
    {"", "password=\"\n"},
    {"", "password='\\"},
    {"", "password=$("},
    {"", "password:\n"},
    {"", "password:\n "},
    {"", "password ("},
    {"", "password for "},
    {"", "serial=["},
    {"", "serial=pty,"},
    {"", "uuid="},
    {"", "uuid=uuid"},
    {"", "mac "},
    {"", "a_"},
    {"", "Ab"},
    {"", "password"},
    {"", "--"},
    {"", "<password"},
    {"", "<password>"},
    {"", "<key><![CDATA["},
    {"", "name=password "},
    {"", "curl -u "},
    {"", "mysql -p"},
    {"", "Bearer "},
    {"", "$6$"},
    {"", "eyJ"},
    {"", "iscsi:a:"},
    {"", "://a:b@"},
    {"", "://@/"},
    {"", "0"},
    {"", "0:"},
    {"", "00:"},
    {"", "::"},
    {"", "0123-"},
    {"", "by-id/"},
    {"", "a@"},
    {"", "비밀번호 "},
    {"", "PuTTY-User-Key-File-"},
    {"", "no picture. "},
    {"", "swiotlb bounce "},
};

static uint64_t work_of(size_t scanner, size_t text, size_t size)
{
	size_t begin = strlen(texts[text].begin), length = strlen(texts[text].piece);
	char *copy = malloc(size + 1);

	assert_non_null(copy);
	for (size_t i = 0; i < size; i++)
		copy[i] =
		    i < begin ? texts[text].begin[i] : texts[text].piece[(i - begin) % length];
	copy[size] = '\0';
	work = 0;
	scanners[scanner].scan(copy, size);
	free(copy);
	return work;
}

static void complain(size_t scanner, size_t text, uint64_t once, uint64_t twice)
{
	_cleanup_buffer_ struct buffer shown = {0};
	const char *const parts[] = {texts[text].begin, " + ", texts[text].piece};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		for (const char *c = parts[i]; *c; c++)
			buffer_append_char(&shown, *c == '\n' ? '|' : *c);
	print_error("%s of \"%s\" again and again: %zu bytes take %ju steps, twice as many %ju\n",
		    scanners[scanner].name, buffer_string(&shown), scanners[scanner].size,
		    (uintmax_t)once, (uintmax_t)twice);
}

/* AddressSanitizer checks each access in blocks of its own, which count as well. */
#if defined(__SANITIZE_ADDRESS__)
#define CHECKS 3
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECKS 3
#endif
#endif
#ifndef CHECKS
#define CHECKS 1
#endif

/* Nor may a byte take more than so many steps, whatever stands around it. */
#define STEPS_A_BYTE (2000 * CHECKS)

static void test_work_is_linear(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(scanners); i++)
		for (size_t j = 0; j < ARRAY_SIZE(texts); j++) {
			uint64_t once = work_of(i, j, scanners[i].size);
			uint64_t twice = work_of(i, j, 2 * scanners[i].size);

			if (twice <= 2 * once + once / 4 + scanners[i].slack * CHECKS &&
			    twice <= 2 * scanners[i].size * STEPS_A_BYTE)
				continue;
			complain(i, j, once, twice);
			wrong++;
		}
	assert_int_equal(wrong, 0);
}

/* A bundle may have many members, whose names may have much in common. */
static uint64_t work_of_tree(unsigned count)
{
	_cleanup_tree_ struct tree *tree = NULL;

	assert_null(tree_create_empty(&tree));
	work = 0;
	for (unsigned i = 0; i < count; i++) {
		char name[128];

		snprintf(name, sizeof(name), "/%0100d/%u", 0, i);
		assert_null(tree_put(tree, TREE_FILE, name, "", 0, 0));
	}
	assert_non_null(tree_text(tree, TREE_FILE, tree_entry(tree, count - 1)->name));
	assert_null(tree_text(tree, TREE_LIST, tree_entry(tree, count - 1)->name));
	return work;
}

static void test_entries_are_found_at_once(void **state)
{
	uint64_t once = work_of_tree(1000), twice = work_of_tree(2000);

	(void)state;
	print_message("1000 entries take %ju steps, 2000 %ju\n", (uintmax_t)once, (uintmax_t)twice);
	assert_true(twice <= 2 * once + once / 4);
}

/* The count itself: a search over n bytes counts as n steps. */
static void test_work_is_counted(void **state)
{
	char *text = malloc(1 << 20);

	(void)state;
	assert_non_null(text);
	memset(text, 'a', 1 << 20);
	work = 0;
	assert_null(memmem(text, 1 << 20, "b", 1));
	assert_true(work >= 1 << 20);
	work = 0;
	scan_redact(text, 1 << 20);
	assert_true(work >= 1 << 20);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_work_is_counted),
	    cmocka_unit_test(test_work_is_linear),
	    cmocka_unit_test(test_entries_are_found_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
