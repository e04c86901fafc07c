/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blocks of memory, and rules of YARA over a memory of our own. */
#include "config.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/confine.h"
#include "scan/blocks.h"
#include "scan/scan.h"
#include "scan/strings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Blocks ---------------------------------------------------------------------------------- */

#define PAGES 2048

/* Pages from address 0 on, of which some cannot be read. */
struct toy {
	uint8_t *bytes;
	bool missing[PAGES];
};

static size_t toy_read(void *data, uint64_t address, size_t size, void *buffer)
{
	const struct toy *toy = data;
	size_t done = 0;

	while (done < size) {
		uint64_t at = address + done, rest = BLOCK_PAGE - at % BLOCK_PAGE;

		if (at / BLOCK_PAGE >= PAGES || toy->missing[at / BLOCK_PAGE])
			break;
		if (rest > size - done)
			rest = size - done;
		memcpy((uint8_t *)buffer + done, toy->bytes + at, rest);
		done += rest;
	}
	return done;
}

static struct toy *toy_create(void)
{
	struct toy *toy = calloc(1, sizeof(*toy));

	assert_non_null(toy);
	toy->bytes = calloc(PAGES, BLOCK_PAGE);
	assert_non_null(toy->bytes);
	return toy;
}

static void toy_destroy(struct toy *toy)
{
	free(toy->bytes);
	free(toy);
}

static void test_regions(void **state)
{
	struct scan_regions regions = {0}, pieces;

	(void)state;
	assert_true(scan_regions_add(&regions, 0x1000, 0x2000));
	assert_true(scan_regions_add(&regions, 0x2000, 0x3000)); /* joined */
	assert_true(scan_regions_add(&regions, 0x3000, 0x3000)); /* nothing */
	assert_true(scan_regions_add(&regions, 0x10000, 0x10000 + 2 * BLOCK_OWN + 1));
	assert_int_equal(regions.count, 2);
	assert_int_equal(scan_regions_size(&regions), 0x2000 + 2 * BLOCK_OWN + 1);
	assert_true(scan_regions_cut(&regions, &pieces));
	assert_int_equal(pieces.count, 4);
	assert_int_equal(pieces.items[0].end, 0x3000);
	assert_int_equal(pieces.items[3].start, 0x10000 + 2 * BLOCK_OWN);
	assert_int_equal(pieces.items[3].end, 0x10000 + 2 * BLOCK_OWN + 1);
	scan_regions_deinit(&regions);
	scan_regions_deinit(&pieces);
}

static void add_matches(struct scan_matches *matches, uint32_t string, uint64_t first, size_t count,
			bool backwards)
{
	for (size_t i = 0; i < count; i++) {
		const struct scan_match match = {.string = string,
						 .length = 4,
						 .address =
						     first + (backwards ? count - 1 - i : i)};

		assert_true(scan_matches_add(matches, &match));
		assert_true(matches->count <= matches->most + matches->most / 4 + 1);
	}
}

/* Two strings that match everywhere take no room from others, in whatever order matches come. */
static void test_matches_are_shared(void **state)
{
	(void)state;
	for (int order = 0; order < 3; order++) {
		struct scan_matches matches = {.string_count = 5, .most = 100};
		static const uint64_t kept[] = {39, 10, 39, 12, 0};
		size_t at = 0;

		if (order)
			add_matches(&matches, 2, 0, 5000, order == 2);
		add_matches(&matches, 0, 1000, 3000, order == 1);
		add_matches(&matches, 1, 77, 10, false);
		add_matches(&matches, 3, 5, 12, true);
		if (!order)
			add_matches(&matches, 2, 0, 5000, false);
		assert_true(scan_matches_end(&matches));
		assert_int_equal(matches.count, 100);
		assert_int_equal(matches.shares[0].found, 3000);
		assert_int_equal(matches.shares[2].found, 5000);
		for (uint32_t string = 0; string < 5; string++) {
			static const uint64_t firsts[] = {1000, 77, 0, 5, 0};

			assert_int_equal(matches.shares[string].kept, kept[string]);
			for (uint64_t i = 0; i < kept[string]; i++, at++) {
				assert_int_equal(matches.items[at].string, string);
				assert_int_equal(matches.items[at].address, firsts[string] + i);
			}
		}
		scan_matches_deinit(&matches);
	}
}

static void test_block(void **state)
{
	struct toy *toy = toy_create();
	_cleanup_free_ uint8_t *buffer = malloc(BLOCK_ROOM);
	struct block block;

	(void)state;
	assert_non_null(buffer);
	for (size_t i = 0; i < (size_t)PAGES * BLOCK_PAGE; i++)
		toy->bytes[i] = (uint8_t)(i / 7);
	toy->missing[9] = true;
	/* With bytes before and behind, and a page that cannot be read. */
	block = block_read((struct scan_region){0x8000, 0xb000}, toy_read, toy, buffer);
	assert_int_equal(block.address, 0x8000 - BLOCK_LEAD);
	assert_int_equal(block.size, BLOCK_LEAD + 0x3000 + BLOCK_TAIL);
	assert_int_equal(block.unread, BLOCK_PAGE);
	assert_memory_equal(buffer, toy->bytes + 0x8000 - BLOCK_LEAD, BLOCK_LEAD + 0x1000);
	for (size_t i = 0; i < BLOCK_PAGE; i++)
		assert_int_equal(buffer[BLOCK_LEAD + 0x1000 + i], 0);
	assert_memory_equal(buffer + BLOCK_LEAD + 0x2000, toy->bytes + 0xa000, 0x1000 + BLOCK_TAIL);
	/* Nothing before and nothing behind. */
	block = block_read((struct scan_region){0xa000, 0xa800}, toy_read, toy, buffer);
	assert_int_equal(block.address, 0xa000);
	toy->missing[11] = true;
	block = block_read((struct scan_region){0xa000, 0xb000}, toy_read, toy, buffer);
	assert_int_equal(block.size, 0x1000);
	assert_int_equal(block.unread, 0);
	/* At both ends of the address space. */
	block = block_read((struct scan_region){0, 0x1000}, toy_read, toy, buffer);
	assert_int_equal(block.address, 0);
	block =
	    block_read((struct scan_region){UINT64_MAX - 0xfff, UINT64_MAX}, toy_read, toy, buffer);
	assert_int_equal(block.unread, 0xfff);
	toy_destroy(toy);
}

/* ---- Strings --------------------------------------------------------------------------------- */

/* "address length encoding text" of each string, on a line; at most `left` of them. */
struct listing {
	FILE *file;
	unsigned left;
};

static bool list_string(const struct strings_found *found, void *data)
{
	struct listing *listing = data;

	fprintf(listing->file, "%llx %llu %c %.*s\n", (unsigned long long)found->address,
		(unsigned long long)found->length, found->wide ? 'w' : 'a', (int)found->text_size,
		found->text);
	return --listing->left > 0;
}

/* The strings of bytes that come in pieces of a size. */
static char *strings_of(const void *bytes, size_t size, size_t piece, unsigned most)
{
	struct strings *strings = calloc(1, sizeof(*strings));
	struct listing listing = {.left = most};
	const uint64_t base = 0x1000;
	char *text;
	size_t length;

	assert_non_null(strings);
	listing.file = open_memstream(&text, &length);
	strings->least = 4;
	strings->give = list_string;
	strings->data = &listing;
	for (size_t at = 0; at < size; at += piece)
		if (!strings_feed(strings, base + at, (const uint8_t *)bytes + at,
				  piece < size - at ? piece : size - at))
			break;
	strings_break(strings);
	fclose(listing.file);
	free(strings);
	return text;
}

static void test_strings(void **state)
{
	static const char bytes[] = "abc\0abcd\0a\tb~\x7f"
				    "\0\0\0\0\0\0\0\0\0\0\0\0" /* from 14 */
				    "w\0i\0d\0e\0\0\0"         /* from 26 */
				    "\0\0\0\0\0\0\0\0x\0\0"    /* from 36 */
				    "o\0d\0d\0!\0\0\0\0"       /* from 47 */
				    "\0\0\0\0\0\0\0nextn\0e\0x\0t\0\xff last";
	static const char want[] = "1004 4 a abcd\n1009 4 a a\tb~\n101a 4 w wide\n"
				   "102f 4 w odd!\n1041 5 a nextn\n1045 4 w next\n"
				   "104e 5 a  last\n";

	(void)state;
	for (size_t piece = 1; piece < sizeof(bytes); piece++) {
		char *got = strings_of(bytes, sizeof(bytes) - 1, piece, 100);

		assert_string_equal(got, want);
		free(got);
	}
}

/* A long one is kept in part; no more are given than are wanted; a gap ends a string. */
static void test_long_string(void **state)
{
	const size_t size = STRINGS_MOST_TEXT + 5;
	_cleanup_free_ uint8_t *bytes = malloc(size);
	struct strings *strings = calloc(1, sizeof(*strings));
	struct listing listing = {.left = 2};
	char *got;
	size_t length;

	(void)state;
	assert_non_null(bytes);
	assert_non_null(strings);
	memset(bytes, 'x', size);
	got = strings_of(bytes, size, 4096, 100);
	assert_memory_equal(got, "1000 16389 a xxx", 16);
	assert_int_equal(strlen(got), strlen("1000 16389 a \n") + STRINGS_MOST_TEXT);
	free(got);
	got = strings_of("one_\0two_\0three", 15, 64, 2);
	assert_string_equal(got, "1000 4 a one_\n1005 4 a two_\n");
	free(got);
	*strings = (struct strings){.least = 2, .give = list_string, .data = &listing};
	listing.file = open_memstream(&got, &length);
	assert_true(strings_feed(strings, 0x10, (const uint8_t *)"ab", 2));
	assert_true(strings_break(strings));
	assert_false(strings_feed(strings, 0x20, (const uint8_t *)"cd\0ef\0", 6));
	fclose(listing.file);
	assert_string_equal(got, "10 2 a ab\n20 2 a cd\n");
	free(got);
	free(strings);
}

/* ---- Rules ----------------------------------------------------------------------------------- */

#ifdef HAVE_YARA

static void no_warning(const char *text, void *data)
{
	(void)data;
	fail_msg("%s", text);
}

static struct nunchi_error *compile(const char *text, struct scan_rules **ret)
{
	char path[] = "/tmp/nunchi-rules-XXXXXX";
	char *const paths[] = {path};
	int fd = mkstemp(path);
	struct nunchi_error *err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	err = scan_rules_compile(paths, 1, no_warning, NULL, ret);
	unlink(path);
	return err;
}

/* Rules that come out of a pipe, of which the first bytes are looked at twice. */
static void test_rules_of_a_pipe(void **state)
{
	static const char text[] = "rule a { strings: $a = \"xyzw\" condition: $a }";
	struct scan_rules *rules = NULL;
	struct nunchi_error *err;
	char path[64];
	char *const paths[] = {path};
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], text, strlen(text)), strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[0]);
	close(pipes[1]);
	err = scan_rules_compile(paths, 1, no_warning, NULL, &rules);
	close(pipes[0]);
	if (err)
		fail_msg("%s", nunchi_error_message(err));
	scan_rules_destroy(rules);
}

static bool go_on(uint64_t done, void *data)
{
	(void)done;
	(void)data;
	return true;
}

/* "rule string address length" of each row, on a line. */
static bool write_row(const struct scan_row *row, void *file)
{
	fprintf(file, "%s", row->rule);
	if (row->match)
		fprintf(file, " %s %llx %u %.*s", row->string,
			(unsigned long long)row->match->address, row->match->length,
			(int)row->match->data_size, (const char *)row->match->data);
	fprintf(file, "\n");
	return true;
}

/* The rows of rules over the toy, by two processes. */
static char *rows_of(const char *text, const struct scan_regions *regions, struct toy *toy)
{
	const struct scan_options options = {.jobs = 2, .open = true};
	const struct scan_job job = {
	    .regions = regions, .read = toy_read, .data = toy, .go_on = go_on};
	struct scan_result result = {0};
	struct scan_rules *rules;
	struct scanner *scanner;
	char *rows;
	size_t size;
	FILE *file = open_memstream(&rows, &size);

	assert_null(compile(text, &rules));
	assert_null(scanner_start(rules, &options, &scanner));
	assert_null(scanner_run(scanner, &job, &result));
	assert_null(result.judging);
	assert_int_equal(result.missed.count, 0);
	assert_null(scan_rows(rules, &result, write_row, file));
	fclose(file);
	scan_result_deinit(&result);
	scanner_destroy(scanner);
	scan_rules_destroy(rules);
	return rows;
}

static void put(struct toy *toy, uint64_t address, const char *text)
{
	memcpy(toy->bytes + address, text, strlen(text));
}

/* Strings at and over borders of blocks are found once; conditions count those of all blocks. */
static void test_borders(void **state)
{
	static const char text[] =
	    "rule four { strings: $a = \"needle\" condition: #a == 4 }\n"
	    "rule less { strings: $a = \"needle\" condition: #a < 4 }\n"
	    "rule word { strings: $b = \"beta\" fullword condition: $b }\n"
	    "rule integer { condition: uint32(0x1ffffe) == 0x6465656e }\n"
	    "rule placed { strings: $a = \"needle\" condition: $a at 0x400000 }\n"
	    "rule not_there { strings: $c = \"absent\" condition: not $c }\n"
	    "rule far { strings: $d = { 61 6c 66 61 [0-9000] 6f 6d 65 67 61 } condition: $d }\n";
	struct toy *toy = toy_create();
	struct scan_regions regions = {0};
	char *rows;

	(void)state;
	put(toy, 0, "needle");
	put(toy, BLOCK_OWN - 2, "needle");
	put(toy, 2 * BLOCK_OWN, "needle");
	put(toy, 3 * BLOCK_OWN - 6, "needle");
	put(toy, BLOCK_OWN + 0x100000, "alphabeta beta");
	/* Not a word, though a block begins with it. */
	put(toy, 3 * BLOCK_OWN - 1, "xbeta");
	put(toy, 2 * BLOCK_OWN - 0x100, "alfa");
	put(toy, 2 * BLOCK_OWN + 0x2000, "omega");
	toy->bytes[3 * BLOCK_OWN - 1] = 'e';
	assert_true(scan_regions_add(&regions, 0, (uint64_t)PAGES * BLOCK_PAGE));
	rows = rows_of(text, &regions, toy);
	assert_string_equal(rows, "four $a 0 6 needle\n"
				  "four $a 1ffffe 6 needle\n"
				  "four $a 400000 6 needle\n"
				  "four $a 5ffffa 6 needle\n"
				  "word $b 30000a 4 beta\n"
				  "integer\n"
				  "placed $a 400000 6 needle\n"
				  "not_there\n"
				  "far $d 3fff00 8453 alfa\n");
	free(rows);
	scan_regions_deinit(&regions);
	toy_destroy(toy);
}

static size_t nothing(void *data, uint64_t address, size_t size, void *buffer)
{
	(void)data, (void)address, (void)size, (void)buffer;
	return 0;
}

static bool not_for_long(uint64_t done, void *data)
{
	(void)done;
	return clock_us() < *(const uint64_t *)data + CLOCK_US_PER_S;
}

/*
 * Ends a scan in the middle of a condition, in a process that is confined as one that has opened a
 * guest; gives the seconds until the scanner's processes have ended, or 99.
 */
static int seconds_to_end(void)
{
	static const char text[] = "rule endless { condition: for all i in (0..1000000000) : "
				   "(for all j in (0..1000000000) : (i + j >= 0)) }\n";
	const struct scan_options options = {.jobs = 2};
	const struct confine_options none = {.device = -1};
	struct confine_result confined;
	const struct scan_regions regions = {0};
	uint64_t start = clock_us();
	const struct scan_job job = {
	    .regions = &regions, .read = nothing, .data = &start, .go_on = not_for_long};
	struct scan_result result = {0};
	struct scan_rules *rules;
	struct scanner *scanner;
	struct nunchi_error *err;
	bool good;

	if (compile(text, &rules) || scanner_start(rules, &options, &scanner) ||
	    confine_process(&none, &confined))
		return 99;
	err = scanner_run(scanner, &job, &result);
	good = nunchi_error_code(err) == NUNCHI_ERROR_CANCELLED;
	nunchi_error_destroy(err);
	scan_result_deinit(&result);
	scanner_destroy(scanner);
	scan_rules_destroy(rules);
	return good ? (int)((clock_us() - start) / CLOCK_US_PER_S) : 99;
}

/* A scan can be ended at any time: neither it nor what follows waits for YARA. */
static void test_ended(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (!child)
		_exit(seconds_to_end());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_in_range(WEXITSTATUS(status), 0, 10);
}

static void refused(const char *text, const char *says)
{
	struct scan_rules *rules = NULL;
	struct nunchi_error *err = compile(text, &rules);

	assert_non_null(err);
	assert_null(rules);
	if (!strstr(nunchi_error_message(err), says))
		fail_msg("%s", nunchi_error_message(err));
	nunchi_error_destroy(err);
}

static void test_refused(void **state)
{
	(void)state;
	refused("rule a { condition: true }\nrule b { condition: }\n", ":2: syntax error");
	refused("include \"/etc/passwd\"\n", ":1: includes are disabled");
	refused("YARAxxxxxxxx", "yarac");
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_matches_are_shared),
	    cmocka_unit_test(test_regions),
	    cmocka_unit_test(test_block),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_long_string),
#ifdef HAVE_YARA
	    cmocka_unit_test(test_borders),
	    cmocka_unit_test(test_ended),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_rules_of_a_pipe),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
