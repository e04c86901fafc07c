/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/error.h"
#include "kallsyms_writer.h"
#include "symbols/kallsyms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

DEFINE_CLEANUP(struct kallsyms, kallsyms_destroy)
DEFINE_CLEANUP(struct symbol_index, symbol_index_unref)
#define _cleanup_kallsyms_ _cleanup_(cleanup_kallsyms_destroy_p)
#define _cleanup_index_    _cleanup_(cleanup_symbol_index_unref_p)

static const struct writer_layout layouts[] = {
    {"4.6, 64 bits", 8, WRITE_PERCPU, WRITE_NO_SEQS, 8, 8, .count = 3000},
    {"4.6, 64 bits, one CPU", 8, WRITE_OFFSETS, WRITE_NO_SEQS, 8, 8, .count = 2999},
    {"4.6, absolute", 8, WRITE_ADDRESSES, WRITE_NO_SEQS, 8, 8, .count = 3000},
    {"4.6, 32 bits", 4, WRITE_OFFSETS, WRITE_NO_SEQS, 4, 4, .text_only = true, .count = 3001},
    {"4.6, 32 bits, absolute", 4, WRITE_ADDRESSES, WRITE_NO_SEQS, 4, 4, .count = 3000},
    {"4.20", 8, WRITE_PERCPU, WRITE_NO_SEQS, 4, 8, .count = 3001},
    {"4.20, absolute, odd", 8, WRITE_ADDRESSES, WRITE_NO_SEQS, 4, 8, .count = 2001},
    {"6.1", 8, WRITE_PERCPU, WRITE_NO_SEQS, 4, 8, .long_sizes = true, .count = 3000},
    {"6.1.y", 8, WRITE_PERCPU, WRITE_SEQS_3, 4, 8, .long_sizes = true, .count = 3002},
    {"6.1.y, 32 bits", 4, WRITE_OFFSETS, WRITE_SEQS_3, 4, 4, .long_sizes = true, .text_only = true,
     .count = 3003},
    {"6.2-rc", 8, WRITE_PERCPU, WRITE_SEQS_4, 4, 8, .long_sizes = true, .count = 3000},
    {"6.4", 8, WRITE_PERCPU, WRITE_SEQS_3, 4, 8, .addresses_last = true, .long_sizes = true,
     .labels = true, .count = 3001},
    {"6.4, absolute", 8, WRITE_ADDRESSES, WRITE_SEQS_3, 4, 8, .addresses_last = true,
     .long_sizes = true, .count = 3000},
    {"6.15", 8, WRITE_OFFSETS, WRITE_SEQS_3, 4, 8, .addresses_last = true, .long_sizes = true,
     .labels = true, .count = 3001},
    {"6.15, labels on 4", 8, WRITE_OFFSETS, WRITE_SEQS_3, 4, 4, .addresses_last = true,
     .long_sizes = true, .count = 3000},
    {"6.15, 32 bits", 4, WRITE_OFFSETS, WRITE_SEQS_3, 4, 4, .addresses_last = true,
     .long_sizes = true, .count = 3000},
    {"7.0", 8, WRITE_PLACE, WRITE_SEQS_3, 4, 4, .addresses_last = true, .long_sizes = true,
     .labels = true, .count = 3001},
    {"7.0, 32 bits", 4, WRITE_PLACE, WRITE_SEQS_3, 4, 4, .addresses_last = true, .long_sizes = true,
     .count = 3000},
    {"two markers", 8, WRITE_PERCPU, WRITE_SEQS_3, 4, 8, .addresses_last = true, .long_sizes = true,
     .count = 270},
    {"two markers before seqs", 8, WRITE_PERCPU, WRITE_SEQS_3, 4, 8, .long_sizes = true,
     .count = 271},
    {"exactly full groups", 8, WRITE_OFFSETS, WRITE_NO_SEQS, 4, 8, .count = 1024 - 8},
};

static const struct writer_layout *layout_of(const char *era)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		if (!strcmp(layouts[i].era, era))
			return &layouts[i];
	}
	fail_msg("no layout %s", era);
	return NULL;
}

/* The image from offset `from` on, in memory of its own, so that a sanitizer sees overruns. */
static struct kernel_image image_of(const struct writer *w, size_t from, size_t to, uint8_t **ret)
{
	*ret = malloc(to - from);
	memcpy(*ret, w->data + from, to - from);
	return (struct kernel_image){.data = *ret,
				     .size = to - from,
				     .address = gva(w->base + from),
				     .word_size = w->layout.word_size};
}

static struct nunchi_error *find(const struct writer *w, struct kallsyms **ret)
{
	struct kernel_image image = {.data = w->data,
				     .size = WRITER_SIZE,
				     .address = gva(w->base),
				     .word_size = w->layout.word_size};

	return kallsyms_find(&image, ret);
}

static void assert_found(const struct writer *w)
{
	_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;
	_cleanup_error_ struct nunchi_error *err = find(w, &kallsyms);

	if (err)
		fail_msg("%s: %s", w->layout.era, nunchi_error_message(err));
	assert_int_equal(kallsyms_count(kallsyms), w->count);
}

static void assert_refused(const struct writer *w, enum nunchi_error_code code)
{
	_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;
	_cleanup_error_ struct nunchi_error *err = find(w, &kallsyms);

	if (!err)
		fail_msg("%s: a table was found that is none", w->layout.era);
	assert_null(kallsyms);
	if (nunchi_error_code(err) != code)
		fail_msg("%s: %s", w->layout.era, nunchi_error_message(err));
	assert_non_null(nunchi_error_hint(err));
}

static void assert_all_equal(const struct writer *w, const struct kallsyms *kallsyms)
{
	_cleanup_index_ struct symbol_index *index = NULL;
	_cleanup_error_ struct nunchi_error *err = kallsyms_to_index(kallsyms, &index);

	assert_null(err);
	assert_int_equal(symbol_index_count(index), w->count);
	for (uint32_t i = 0; i < w->count; i++) {
		struct symbol symbol = symbol_index_get(index, i);
		size_t at;

		assert_string_equal(symbol.name, w->symbols[i].text + 1);
		assert_int_equal(symbol.type, w->symbols[i].text[0]);
		assert_int_equal(symbol.address, w->symbols[i].address);
		assert_true(symbol_index_find(index, symbol.name, &at));
		assert_true(at <= i);
	}
}

static uint64_t first_address(const struct writer *w, const char *name)
{
	uint32_t i = 0;

	while (i < w->count && strcmp(w->symbols[i].text + 1, name))
		i++;
	return i < w->count ? w->symbols[i].address : 0;
}

/* Every 37th symbol and a few that are not there, all at once. */
static void assert_lookup_agrees(const struct writer *w, const struct kallsyms *kallsyms)
{
	const char *names[WRITER_SYMBOLS_MAX];
	uint64_t addresses[WRITER_SYMBOLS_MAX];
	size_t count = 0;
	uint32_t i;

	for (i = 0; i < w->count; i += 37)
		names[count++] = w->symbols[i].text + 1;
	names[count++] = "_stex";
	names[count++] = "_stextt";
	names[count++] = "";
	assert_null(kallsyms_lookup(kallsyms, names, count, addresses));
	for (i = 0; i < count - 3; i++)
		assert_int_equal(addresses[i], first_address(w, names[i]));
	for (; i < count; i++)
		assert_int_equal(addresses[i], 0);
}

static void test_every_layout(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		_cleanup_writer_ struct writer w;

		writer_init(&w, &layouts[i], NULL);
		assert_true(w.count % 256 || !strcmp(layouts[i].era, "exactly full groups"));
		/* The whole image, then read-only data alone, then the table alone. */
		for (size_t from = 0; from <= WRITER_TABLE; from += WRITER_TABLE / 2) {
			_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;
			_cleanup_error_ struct nunchi_error *err = NULL;
			_cleanup_free_ uint8_t *copy = NULL;
			struct kernel_image image =
			    image_of(&w, from, from == WRITER_TABLE ? w.end : WRITER_SIZE, &copy);

			err = kallsyms_find(&image, &kallsyms);
			if (err)
				fail_msg("%s: %s", layouts[i].era, nunchi_error_message(err));
			assert_int_equal(kallsyms_count(kallsyms), w.count);
			assert_non_null(strstr(kallsyms_description(kallsyms), " symbols"));
			assert_all_equal(&w, kallsyms);
			assert_lookup_agrees(&w, kallsyms);
		}
	}
}

static void test_first_of_several(void **state)
{
	static const char *const names[] = {"duplicate", "_end", "duplicate", "no_such", "_end"};
	_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;
	_cleanup_writer_ struct writer w;
	uint64_t addresses[5], end;

	(void)state;
	writer_init(&w, layout_of("7.0"), NULL);
	assert_null(find(&w, &kallsyms));
	assert_null(kallsyms_lookup(kallsyms, names, 5, addresses));
	end = w.symbols[w.count - 1].address;
	assert_int_equal(addresses[0], w.base + 16 + 2000 * 32);
	assert_int_equal(addresses[1], end);
	assert_int_equal(addresses[2], addresses[0]);
	assert_int_equal(addresses[3], 0);
	assert_int_equal(addresses[4], end);
	assert_null(kallsyms_lookup(kallsyms, NULL, 0, NULL));
}

/* Names changed by the compiler stand for the one that is missing, if there is one of them. */
static void test_variants(void **state)
{
	static const char *const names[] = {"moved", "twice", "both", "piece"};
	static const char *const whole[] = {"moved.llvm.55"};
	_cleanup_free_ struct writer_tokens *tokens = calloc(1, sizeof(*tokens));
	_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;
	_cleanup_writer_ struct writer w;
	uint64_t addresses[4], at;

	(void)state;
	writer_init(&w, layout_of("7.0"), NULL);
	at = w.symbols[w.count - 1].address;
	writer_add(&w, 'd', at, "moved.llvm.55");
	writer_add(&w, 'd', at, "moved.llvm.x");
	writer_add(&w, 'd', at, "twice.llvm.1");
	writer_add(&w, 'd', at, "twice.llvm.2");
	writer_add(&w, 't', at, "both.isra.0");
	writer_add(&w, 't', at + 8, "both");
	writer_add(&w, 't', at + 8, "piece.cold");
	writer_compress(&w, tokens);
	writer_put_again(&w, tokens);
	assert_null(find(&w, &kallsyms));
	assert_null(kallsyms_lookup(kallsyms, names, 4, addresses));
	assert_int_equal(addresses[0], at);
	assert_int_equal(addresses[1], 0);
	assert_int_equal(addresses[2], at + 8);
	assert_int_equal(addresses[3], 0);
	assert_null(kallsyms_lookup(kallsyms, whole, 1, addresses));
	assert_int_equal(addresses[0], at);
}

static void test_truncated(void **state)
{
	_cleanup_writer_ struct writer w;

	(void)state;
	writer_init(&w, layout_of("6.4"), NULL);
	for (size_t end = WRITER_TABLE; end < w.end; end += 997) {
		_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;
		_cleanup_free_ uint8_t *copy = NULL;
		struct kernel_image image = image_of(&w, 0, end, &copy);
		_cleanup_error_ struct nunchi_error *err = kallsyms_find(&image, &kallsyms);

		/* seqs_of_names are at the end, and not needed. */
		if (end < w.relative_base + 8)
			assert_non_null(err);
		else
			assert_null(err);
	}
}

/* What a table is without its beginning: its addresses or number, then names, are gone. */
static void test_cut_at_the_front(void **state)
{
	_cleanup_writer_ struct writer w;

	(void)state;
	writer_init(&w, layout_of("6.1.y"), NULL);
	for (size_t from = w.addresses + 8; from < w.token_table; from += 4096) {
		_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;
		_cleanup_free_ uint8_t *copy = NULL;
		struct kernel_image image = image_of(&w, from & ~(size_t)7, WRITER_SIZE, &copy);
		_cleanup_error_ struct nunchi_error *err = kallsyms_find(&image, &kallsyms);

		assert_true(error_is(err, NUNCHI_ERROR_DATA));
	}
}

static void test_corrupted_parts(void **state)
{
	_cleanup_writer_ struct writer w;

	(void)state;
	writer_init(&w, layout_of("6.4"), NULL);
	assert_found(&w);
	w.data[w.markers + 5 * 4] ^= 1; /* a marker that points beside a name */
	assert_refused(&w, NUNCHI_ERROR_DATA);
	w.data[w.markers + 5 * 4] ^= 1;
	w.data[w.names + 3]++; /* a token of the first name: nothing proves it wrong */
	assert_found(&w);
	w.data[w.names + 3]--;
	w.data[w.names]++; /* the size of the first name */
	assert_refused(&w, NUNCHI_ERROR_DATA);
	w.data[w.names]--;
	w.data[w.addresses + 1000 * 4 + 3] ^= 0x40; /* one address out of order */
	assert_refused(&w, NUNCHI_ERROR_DATA);
	w.data[w.addresses + 1000 * 4 + 3] ^= 0x40;
	w.data[w.token_index + 17 * 2]++;
	assert_refused(&w, NUNCHI_ERROR_NOT_FOUND);
	w.data[w.token_index + 17 * 2]--;
	w.data[w.token_table + 60] = w.data[w.token_table + 60] ? 0 : 'x'; /* other token bounds */
	assert_refused(&w, NUNCHI_ERROR_NOT_FOUND);
}

static void test_wrong_number(void **state)
{
	static const uint32_t deltas[] = {1, (uint32_t)-1, 256, (uint32_t)-256, 0x10000000};
	_cleanup_writer_ struct writer w;

	(void)state;
	writer_init(&w, layout_of("7.0"), NULL);
	for (size_t i = 0; i < ARRAY_SIZE(deltas); i++) {
		uint32_t number = w.count + deltas[i];

		memcpy(w.data + w.num_syms, &number, sizeof(number));
		assert_refused(&w, NUNCHI_ERROR_DATA);
	}
}

static void test_huge_number(void **state)
{
	_cleanup_writer_ struct writer w;

	(void)state;
	writer_init(&w, layout_of("4.6, 64 bits"), NULL);
	memset(w.data + w.num_syms, 0xff, 4);
	assert_refused(&w, NUNCHI_ERROR_DATA);
	memset(w.data + w.num_syms, 0xff, 8);
	assert_refused(&w, NUNCHI_ERROR_DATA);
}

/* Addresses of another kernel, or of this one as it was elsewhere. */
static void test_wrong_base(void **state)
{
	static const int64_t shifts[] = {0x200000,    -0x200000,    0x40000000,
					 -0x40000000, 0x7f00000000, -0x10000000};
	_cleanup_writer_ struct writer w;

	(void)state;
	writer_init(&w, layout_of("6.4"), NULL);
	for (size_t i = 0; i < ARRAY_SIZE(shifts); i++) {
		uint64_t base = w.base + (uint64_t)shifts[i];

		memcpy(w.data + w.relative_base, &base, sizeof(base));
		assert_refused(&w, NUNCHI_ERROR_DATA);
	}
}

/* The page tables say that the image is elsewhere; only _text tells, as there is no data. */
static void test_image_elsewhere(void **state)
{
	_cleanup_writer_ struct writer w;

	(void)state;
	writer_init(&w, layout_of("6.1.y, 32 bits"), NULL);
	assert_found(&w);
	w.base -= 0x200000;
	assert_refused(&w, NUNCHI_ERROR_DATA);
}

static void test_decoys_of_digits(void **state)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009\0:\0;\0<\0";
	_cleanup_writer_ struct writer w;
	struct writer_tokens tokens = {0};

	(void)state;
	writer_init(&w, layout_of("6.1"), &tokens);
	/* UTF-16 on even and odd places, one after the other, before the table and in it. */
	for (size_t at = 0x1000; at < 0x1400; at += sizeof(digits))
		memcpy(w.data + at, digits, sizeof(digits));
	memcpy(w.data + 0x2001, digits, sizeof(digits));
	/* A whole token table with its index, and nothing before it. */
	w.at = 0x4000;
	writer_put_tokens(&w, &tokens);
	assert_found(&w);
	/* And alone: then the digits are none, and the tokens are something broken. */
	memset(w.data + WRITER_TABLE, 0, w.end - WRITER_TABLE);
	assert_refused(&w, NUNCHI_ERROR_DATA);
	memset(w.data + 0x4000, 0, 0x2000);
	assert_refused(&w, NUNCHI_ERROR_NOT_FOUND);
}

static void test_runs_everywhere(void **state)
{
	_cleanup_writer_ struct writer w;

	(void)state;
	writer_init(&w, layout_of("6.1"), NULL);
	for (size_t at = 0; at < WRITER_SIZE; at++)
		w.data[at] = at % 2 ? 0 : (uint8_t)('0' + at / 2 % 10);
	assert_refused(&w, NUNCHI_ERROR_DATA);
}

/* Two markers, two markers, two markers …: not each may cost a search for names. */
static void test_markers_everywhere(void **state)
{
	static const uint32_t pair[2] = {0, 600};
	_cleanup_writer_ struct writer w;
	struct writer_tokens tokens = {0};

	(void)state;
	writer_init(&w, layout_of("6.1.y"), &tokens);
	for (size_t at = 0; at < WRITER_SIZE; at += sizeof(pair))
		memcpy(w.data + at, pair, sizeof(pair));
	w.at = WRITER_SIZE / 2;
	writer_put_tokens(&w, &tokens);
	assert_refused(&w, NUNCHI_ERROR_DATA);
}

/* Puts the table of a kernel that lies `shift` higher at offset `at`; w stays as it was. */
static void put_other_table(struct writer *w, const struct writer_tokens *tokens, size_t at,
			    uint64_t shift)
{
	struct writer other = *w;

	other.base += shift;
	for (uint32_t i = 0; i < w->count; i++)
		w->symbols[i].address += shift;
	writer_put_table(&other, tokens, at);
	for (uint32_t i = 0; i < w->count; i++)
		w->symbols[i].address -= shift;
}

static void test_two_tables(void **state)
{
	_cleanup_writer_ struct writer w;
	struct writer_tokens tokens = {0};
	struct writer_layout layout = *layout_of("6.15");

	(void)state;
	layout.labels = false;
	layout.count = 1500;
	writer_init(&w, &layout, &tokens);
	/* Another kernel's table before: passed over for the one that agrees with its place. */
	put_other_table(&w, &tokens, 0x20000, 0x2000000);
	assert_found(&w);
	{
		_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;

		assert_null(find(&w, &kallsyms));
		assert_all_equal(&w, kallsyms);
	}
	/* Two of other kernels: neither, and it is said. */
	put_other_table(&w, &tokens, WRITER_TABLE, 0x4000000);
	assert_refused(&w, NUNCHI_ERROR_AMBIGUOUS);
	/* One. */
	memset(w.data + 0x20000, 0, WRITER_TABLE - 0x20000);
	assert_refused(&w, NUNCHI_ERROR_DATA);
}

/* The guest runs on and its memory is reused: an error, in bounds. */
static void test_changes_while_read(void **state)
{
	static const char *const names[] = {"_text", "no_such"};
	_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;
	_cleanup_free_ uint8_t *copy = NULL;
	_cleanup_writer_ struct writer w;
	struct kernel_image image;
	uint64_t addresses[2] = {7, 7};

	(void)state;
	writer_init(&w, layout_of("6.1.y"), NULL);
	image = image_of(&w, 0, w.end, &copy);
	assert_null(kallsyms_find(&image, &kallsyms));
	for (unsigned fill = 0; fill < 256; fill += 51) {
		_cleanup_error_ struct nunchi_error *err = NULL, *other = NULL;
		struct symbol_index *index = NULL;

		memset(copy, (int)fill, image.size);
		err = kallsyms_to_index(kallsyms, &index);
		assert_true(error_is(err, NUNCHI_ERROR_DATA));
		assert_null(index);
		other = kallsyms_lookup(kallsyms, names, 2, addresses);
		assert_true(error_is(other, NUNCHI_ERROR_DATA));
		assert_int_equal(addresses[0], 7);
	}
}

static void assert_not_decoded(const struct writer *w)
{
	_cleanup_kallsyms_ struct kallsyms *kallsyms = NULL;
	_cleanup_error_ struct nunchi_error *err = NULL;
	struct symbol_index *index = NULL;

	assert_null(find(w, &kallsyms));
	err = kallsyms_to_index(kallsyms, &index);
	assert_true(error_is(err, NUNCHI_ERROR_DATA));
	assert_null(index);
}

/* Tokens that make a name of more than 512 bytes; a letter without a name. */
static void test_names_of_impossible_size(void **state)
{
	_cleanup_writer_ struct writer w;
	struct writer_tokens tokens = {0};

	(void)state;
	writer_init(&w, layout_of("7.0"), &tokens);
	w.symbols[300].codes[0] = 't';
	w.symbols[300].code_count = 1;
	writer_put_again(&w, &tokens);
	assert_not_decoded(&w);
	w.symbols[300].codes[1] = 'x';
	w.symbols[300].code_count = 2;
	/* Only the long names have digits like that. */
	memset(tokens.text['Q'], 'y', 63);
	memset(w.symbols[1000].codes, 'Q', 9);
	w.symbols[1000].code_count = 9;
	writer_put_again(&w, &tokens);
	assert_not_decoded(&w);
	w.symbols[1000].code_count = 8;
	writer_put_again(&w, &tokens);
	assert_found(&w);
}

static void test_impossible_images(void **state)
{
	static const uint8_t bytes[64] = {0};
	const struct kernel_image images[] = {
	    {.data = bytes, .size = 64, .address = gva(0x1000), .word_size = 2},
	    {.data = bytes, .size = 64, .address = gva(0x1001), .word_size = 8},
	    {.data = bytes, .size = 64, .address = gva(UINT64_MAX - 7), .word_size = 8},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		struct kallsyms *kallsyms = NULL;
		_cleanup_error_ struct nunchi_error *err = kallsyms_find(&images[i], &kallsyms);

		assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	}
	for (size_t size = 0; size < sizeof(bytes); size++) {
		struct kernel_image image = {.size = size, .address = gva(0x1000), .word_size = 4};
		_cleanup_free_ uint8_t *copy = calloc(1, size ? size : 1);
		struct kallsyms *kallsyms = NULL;
		_cleanup_error_ struct nunchi_error *err = NULL;

		memcpy(copy, "0\0001\0002\0003\0004\0005\0006\0007\0008\0009",
		       size < 20 ? size : 20);
		image.data = copy;
		err = kallsyms_find(&image, &kallsyms);
		assert_true(error_is(err, NUNCHI_ERROR_NOT_FOUND));
	}
	kallsyms_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_layout),
	    cmocka_unit_test(test_first_of_several),
	    cmocka_unit_test(test_variants),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_cut_at_the_front),
	    cmocka_unit_test(test_corrupted_parts),
	    cmocka_unit_test(test_wrong_number),
	    cmocka_unit_test(test_huge_number),
	    cmocka_unit_test(test_wrong_base),
	    cmocka_unit_test(test_image_elsewhere),
	    cmocka_unit_test(test_decoys_of_digits),
	    cmocka_unit_test(test_runs_everywhere),
	    cmocka_unit_test(test_markers_everywhere),
	    cmocka_unit_test(test_two_tables),
	    cmocka_unit_test(test_changes_while_read),
	    cmocka_unit_test(test_names_of_impossible_size),
	    cmocka_unit_test(test_impossible_images),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
