/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words of patterns, and all of them looked for at once, held against a search for each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "doctor/story/literals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 9

static void test_word_of_pattern(void **state)
{
	static const char *const rows[][2] = {
	    {"abc", "abc"},
	    {"abc?de", "ab"},
	    {"ab*cde", "cde"},
	    {"ab+cd", "ab"},
	    {"x{3}yz", "yz"},
	    {"[a-z]{4}: (one|two) three", " three"},
	    {"^ *virt_caps +: ", "virt_caps "},
	    {"a\\(b\\.c", "a(b.c"},
	    {"[^\\]a]bc", "bc"},
	    {"[(]ab[)]", "ab"},
	    {"(a|b)", ""},
	    {"ends\\", "ends\\"},
	    {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char word[LITERAL_MOST];
		size_t size = literal_of(rows[i][0], strlen(rows[i][0]), word);

		if (size != strlen(rows[i][1]) || memcmp(word, rows[i][1], size) != 0)
			fail_msg("%s: %.*s", rows[i][0], (int)size, word);
	}
}

/* A pattern's word is cut where it would be longer than there is room. */
static void test_long_word(void **state)
{
	char pattern[3 * LITERAL_MOST], word[LITERAL_MOST];

	(void)state;
	memset(pattern, 'a', sizeof(pattern));
	assert_int_equal(literal_of(pattern, sizeof(pattern), word), LITERAL_MOST);
}

static void check_text(const struct literals *literals, char (*words)[LITERAL_MOST],
		       const size_t *sizes, const char *text, size_t size)
{
	uint32_t state = 0;

	for (size_t i = 0; i < size; i++) {
		bool found[WORDS] = {false};

		state = literals_step(literals, state, (unsigned char)text[i]);
		for (unsigned word = literals_end(literals, state); word;
		     word = literals->also[word - 1]) {
			assert_false(found[word - 1]);
			found[word - 1] = true;
		}
		for (size_t j = 0; j < WORDS; j++) {
			bool is = sizes[j] && sizes[j] <= i + 1 &&
				  !memcmp(text + i + 1 - sizes[j], words[j], sizes[j]);

			if (found[j] != is)
				fail_msg("%.*s: %s", (int)(i + 1), text, words[j]);
		}
	}
}

/* Words that begin, end and stand within each other, one twice, one of no bytes. */
static void test_all_at_once(void **state)
{
	static const char *const all[WORDS] = {"he", "she", "his",     "hers",    "e",
					       "",   "he",  "shershe", "\xff\xfe"};
	static const char letters[] = "hesri \xff\xfe";
	char words[WORDS][LITERAL_MOST] = {{0}}, text[4096];
	struct literals literals;
	size_t sizes[WORDS];

	(void)state;
	for (size_t i = 0; i < WORDS; i++) {
		sizes[i] = strlen(all[i]);
		memcpy(words[i], all[i], sizes[i]);
	}
	assert_true(literals_init(&literals, words, sizes, WORDS));
	srand(1);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
	check_text(&literals, words, sizes, text, sizeof(text));
	check_text(&literals, words, sizes, "shershershe", 11);
	literals_deinit(&literals);
}

static void test_none(void **state)
{
	struct literals literals;

	(void)state;
	assert_true(literals_init(&literals, NULL, NULL, 0));
	assert_int_equal(literals_step(&literals, 0, 'a'), 0);
	assert_int_equal(literals_end(&literals, 0), 0);
	literals_deinit(&literals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_word_of_pattern),
	    cmocka_unit_test(test_long_word),
	    cmocka_unit_test(test_all_at_once),
	    cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
