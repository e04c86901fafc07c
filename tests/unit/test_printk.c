/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's log: the ring since 5.10, the records before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/linux/printk.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

/* A ring of 8 descriptors and 256 bytes. */
#define COUNT_BITS 3
#define SIZE_BITS  8
#define SIZE       ((uint64_t)1 << SIZE_BITS)
#define DESC_SIZE  24
#define INFO_SIZE  64

enum { RESERVED, COMMITTED, FINALIZED, REUSABLE };

struct ring {
	struct toy toy;
	uint64_t pointer, ring, descs, infos, data;
};

static void ring_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_printk_ring, &L->printk_ring_count_bits, 0, 4);
	toy_field(toy, LAYOUT_printk_ring, &L->printk_ring_descs, 8, 8);
	toy_field(toy, LAYOUT_printk_ring, &L->printk_ring_infos, 16, 8);
	toy_field(toy, LAYOUT_printk_ring, &L->printk_ring_head_id, 24, 8);
	toy_field(toy, LAYOUT_printk_ring, &L->printk_ring_tail_id, 32, 8);
	toy_field(toy, LAYOUT_printk_ring, &L->printk_ring_size_bits, 40, 4);
	toy_field(toy, LAYOUT_printk_ring, &L->printk_ring_data, 48, 8);
	toy_field(toy, LAYOUT_prb_desc, &L->prb_desc_state, 0, 8);
	toy_field(toy, LAYOUT_prb_desc, &L->prb_desc_begin, 8, 8);
	toy_field(toy, LAYOUT_prb_desc, &L->prb_desc_next, 16, 8);
	toy_field(toy, LAYOUT_printk_info, &L->printk_info_seq, 0, 8);
	toy_field(toy, LAYOUT_printk_info, &L->printk_info_time, 8, 8);
	toy_field(toy, LAYOUT_printk_info, &L->printk_info_length, 16, 2);
	toy_field(toy, LAYOUT_printk_info, &L->printk_info_facility, 18, 1);
	toy_field(toy, LAYOUT_printk_info, &L->printk_info_level, 19, 1);
	L->printk_info_level.bit_shift = 5;
	L->printk_info_level.bit_size = 3;
	toy_field(toy, LAYOUT_printk_info, &L->printk_info_caller, 20, 4);
	L->size[LAYOUT_prb_desc] = DESC_SIZE;
	L->size[LAYOUT_printk_info] = INFO_SIZE;
}

static int setup(void **state)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	struct toy *toy = &ring->toy;

	toy_init(toy);
	ring_layout(toy);
	/* Only that there are types is asked. */
	toy->kernel.types = (struct type_index *)ring;
	memset(toy->kernel.layout.known, true, sizeof(toy->kernel.layout.known));
	ring->pointer = toy_alloc(toy, 8);
	ring->ring = toy_alloc(toy, 64);
	ring->descs = toy_alloc(toy, DESC_SIZE << COUNT_BITS);
	ring->infos = toy_alloc(toy, INFO_SIZE << COUNT_BITS);
	ring->data = toy_alloc(toy, SIZE);
	toy->kernel.symbol[LINUX_prb] = ring->pointer;
	toy_put(toy, ring->pointer, ring->ring, 8);
	toy_set(toy, ring->ring, &L->printk_ring_count_bits, COUNT_BITS);
	toy_set(toy, ring->ring, &L->printk_ring_size_bits, SIZE_BITS);
	toy_set(toy, ring->ring, &L->printk_ring_descs, ring->descs);
	toy_set(toy, ring->ring, &L->printk_ring_infos, ring->infos);
	toy_set(toy, ring->ring, &L->printk_ring_data, ring->data);
	*state = ring;
	return 0;
}

static int teardown(void **state)
{
	struct ring *ring = *state;

	toy_deinit(&ring->toy);
	free(ring);
	return 0;
}

static void set_ids(struct ring *ring, uint64_t tail, uint64_t head)
{
	struct toy *toy = &ring->toy;

	toy_set(toy, ring->ring, &L->printk_ring_tail_id, tail);
	toy_set(toy, ring->ring, &L->printk_ring_head_id, head);
}

/* A record's descriptor and what is known of it; its block spans begin to next. */
static void put_record(struct ring *ring, uint64_t id, unsigned record_state, uint64_t begin,
		       uint64_t next, unsigned length)
{
	struct toy *toy = &ring->toy;
	uint64_t index = id & ((1 << COUNT_BITS) - 1), desc = ring->descs + index * DESC_SIZE;
	uint64_t info = ring->infos + index * INFO_SIZE;

	toy_set(toy, desc, &L->prb_desc_state,
		(uint64_t)record_state << 62 | (id & (UINT64_MAX >> 2)));
	toy_set(toy, desc, &L->prb_desc_begin, begin);
	toy_set(toy, desc, &L->prb_desc_next, next);
	toy_set(toy, info, &L->printk_info_seq, 1000 + id);
	toy_set(toy, info, &L->printk_info_time, 5000000000 + id);
	toy_set(toy, info, &L->printk_info_length, length);
	toy_set(toy, info, &L->printk_info_facility, 3);
	toy_set(toy, info, &L->printk_info_level, 6 << 5 | 0x11);
	toy_set(toy, info, &L->printk_info_caller, 0x80000001);
}

/* The block at an offset of the data: the owner's id, then text. */
static void put_block(struct ring *ring, uint64_t at, uint64_t id, const char *text)
{
	toy_put(&ring->toy, ring->data + at, id, 8);
	toy_put_bytes(&ring->toy, ring->data + at + 8, text, strlen(text));
}

/* The next record must have that number and text (NULL: a text that cannot be read). */
static void gives(struct linux_log *log, uint64_t seq, const char *wanted)
{
	struct linux_log_record record;
	struct buffer text;

	buffer_init(&text, 0);
	assert_true(linux_log_next(log, &record, &text));
	assert_int_equal(record.seq, seq);
	if (wanted) {
		assert_int_equal(record.text_fault, MEMORY_OK);
		assert_int_equal(text.size, strlen(wanted));
		assert_memory_equal(buffer_string(&text), wanted, text.size);
	} else {
		assert_int_not_equal(record.text_fault, MEMORY_OK);
		assert_int_equal(text.size, 0);
	}
	buffer_deinit(&text);
}

static void ends(struct linux_log *log)
{
	struct linux_log_record record;
	struct buffer text;

	buffer_init(&text, 0);
	assert_false(linux_log_next(log, &record, &text));
	buffer_deinit(&text);
	linux_log_deinit(log);
}

static void refused(struct toy *toy, enum nunchi_error_code code, const char *words)
{
	struct linux_log log;
	struct nunchi_error *err = linux_log_init(&log, &toy->kernel);

	assert_non_null(err);
	assert_int_equal(nunchi_error_code(err), code);
	if (!strstr(nunchi_error_message(err), words))
		fail_msg("%s", nunchi_error_message(err));
	nunchi_error_destroy(err);
}

static void test_records_in_order(void **state)
{
	struct ring *ring = *state;
	struct linux_log_record record;
	struct linux_log log;
	struct buffer text;

	put_record(ring, 0, FINALIZED, 0, 24, 5);
	put_block(ring, 0, 0, "hello");
	put_record(ring, 1, FINALIZED, 24, 48, 12);
	put_block(ring, 24, 1, "two\nlines..x");
	set_ids(ring, 0, 1);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	buffer_init(&text, 0);
	assert_true(linux_log_next(&log, &record, &text));
	assert_int_equal(record.seq, 1000);
	assert_int_equal(record.time_ns, 5000000000);
	assert_int_equal(record.facility, 3);
	assert_int_equal(record.level, 6);
	assert_true(record.has_caller);
	assert_int_equal(record.caller, 0x80000001);
	assert_int_equal(text.size, 5);
	assert_memory_equal(text.data, "hello", 5);
	buffer_deinit(&text);
	gives(&log, 1001, "two\nlines..x");
	ends(&log);
}

/* A block that would run over the end stands at the start, its word of the id included. */
static void test_wrapped_block(void **state)
{
	struct ring *ring = *state;
	struct linux_log log;

	put_record(ring, 4, FINALIZED, 3 * SIZE + 240, 4 * SIZE + 32, 20);
	put_block(ring, 0, 4, "at the very beginning");
	set_ids(ring, 4, 4);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	gives(&log, 1004, "at the very beginnin");
	ends(&log);
}

/* A block that ends exactly with the ring is not wrapped. */
static void test_block_to_the_exact_end(void **state)
{
	struct ring *ring = *state;
	struct linux_log log;

	put_record(ring, 4, FINALIZED, 3 * SIZE + 232, 4 * SIZE, 16);
	put_block(ring, 232, 4, "sixteen bytes...");
	set_ids(ring, 4, 4);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	gives(&log, 1004, "sixteen bytes...");
	ends(&log);
}

/* An empty line is a record, one whose text was lost is passed over, as dmesg does. */
static void test_dataless(void **state)
{
	struct ring *ring = *state;
	struct linux_log log;

	put_record(ring, 0, FINALIZED, 3, 3, 0);
	put_record(ring, 1, FINALIZED, 1, 1, 40);
	put_record(ring, 2, FINALIZED, 0, 16, 2);
	put_block(ring, 0, 2, "ok");
	set_ids(ring, 0, 2);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	gives(&log, 1000, "");
	gives(&log, 1002, "ok");
	ends(&log);
}

/* What is being written, or was given back, is no record. */
static void test_other_states(void **state)
{
	struct ring *ring = *state;
	struct linux_log log;

	for (uint64_t id = 0; id < 4; id++) {
		put_record(ring, id, (unsigned)id, id * 24, id * 24 + 24, 4);
		put_block(ring, id * 24, id, "text");
	}
	set_ids(ring, 0, 3);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	gives(&log, 1002, "text");
	ends(&log);
}

/* The descriptor has been used again for a later record: the one looked for is gone. */
static void test_recycled_descriptor(void **state)
{
	struct ring *ring = *state;
	struct linux_log log;

	put_record(ring, 8, FINALIZED, 0, 24, 4);
	put_block(ring, 0, 8, "late");
	put_record(ring, 1, FINALIZED, 24, 48, 4);
	put_block(ring, 24, 1, "text");
	set_ids(ring, 0, 1);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	gives(&log, 1001, "text");
	ends(&log);
}

/* The text has been overwritten: its block has another owner. */
static void test_recycled_block(void **state)
{
	struct ring *ring = *state;
	struct linux_log log;

	put_record(ring, 0, FINALIZED, 0, 24, 4);
	put_block(ring, 0, 5, "else");
	set_ids(ring, 0, 0);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	gives(&log, 1000, NULL);
	ends(&log);
}

static void test_text_longer_than_its_block(void **state)
{
	struct ring *ring = *state;
	struct linux_log log;

	put_record(ring, 0, FINALIZED, 0, 16, 60000);
	put_block(ring, 0, 0, "12345678");
	set_ids(ring, 0, 0);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	gives(&log, 1000, "12345678");
	ends(&log);
}

static void test_nonsensical_blocks(void **state)
{
	static const uint64_t blocks[][2] = {
	    {24, 0}, {24, 24}, {0, 4}, {24, 16}, {248, 2 * SIZE + 4}, {0, UINT64_MAX - 1},
	};
	struct ring *ring = *state;

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		struct linux_log log;

		put_record(ring, 0, FINALIZED, blocks[i][0], blocks[i][1], 4);
		set_ids(ring, 0, 0);
		assert_null(linux_log_init(&log, &ring->toy.kernel));
		gives(&log, 1000, NULL);
		ends(&log);
	}
}

/* Ids are counted in 62 bits and wrap. */
static void test_ids_wrap(void **state)
{
	struct ring *ring = *state;
	uint64_t last = UINT64_MAX >> 2;
	struct linux_log log;

	put_record(ring, last, FINALIZED, 0, 24, 4);
	put_block(ring, 0, last, "last");
	put_record(ring, 0, FINALIZED, 24, 48, 5);
	put_block(ring, 24, 0, "first");
	set_ids(ring, last, 0);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	gives(&log, 1000 + last, "last");
	gives(&log, 1000, "first");
	ends(&log);
}

/* Head and tail may be anything: no more is looked at than there are descriptors. */
static void test_ids_far_apart(void **state)
{
	struct ring *ring = *state;
	struct linux_log log;

	set_ids(ring, 0, UINT64_MAX >> 3);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	ends(&log);
	assert_int_equal(log.left, 0);
}

static void test_cancelled(void **state)
{
	struct ring *ring = *state;
	struct linux_log log;

	put_record(ring, 0, FINALIZED, 3, 3, 0);
	set_ids(ring, 0, 0);
	assert_null(linux_log_init(&log, &ring->toy.kernel));
	cancel_request(&ring->toy.cancel);
	ends(&log);
}

static void test_sizes_that_cannot_be(void **state)
{
	struct ring *ring = *state;
	struct toy *toy = &ring->toy;

	toy_set(toy, ring->ring, &L->printk_ring_count_bits, 27);
	refused(toy, NUNCHI_ERROR_DATA, "impossible size");
	toy_set(toy, ring->ring, &L->printk_ring_count_bits, COUNT_BITS);
	toy_set(toy, ring->ring, &L->printk_ring_size_bits, 64);
	refused(toy, NUNCHI_ERROR_DATA, "impossible size");
	toy_put(toy, ring->pointer, 0x1234, 8);
	refused(toy, NUNCHI_ERROR_FAULT, "cannot be read");
}

/* An empty log is not what a kernel's types that lack something give. */
static void test_missing_layout(void **state)
{
	struct ring *ring = *state;
	struct toy *toy = &ring->toy;
	struct field *fields[] = {&L->printk_ring_infos,     &L->printk_ring_data,
				  &L->printk_ring_size_bits, &L->prb_desc_begin,
				  &L->printk_info_length,    &L->printk_info_seq};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i]->present = false;
		refused(toy, NUNCHI_ERROR_UNSUPPORTED, "the layout of the ring");
		fields[i]->present = true;
	}
	toy->kernel.types = NULL;
	refused(toy, NUNCHI_ERROR_UNSUPPORTED, "types");
}

/* ---- Until 5.9 ------------------------------------------------------------------------------- */

#define HEADER   16
#define LOG_SIZE 256

struct plain {
	uint64_t buffer, variables;
};

static struct plain plain_init(struct toy *toy, unsigned first, unsigned next)
{
	static const enum linux_symbol symbols[] = {LINUX_log_buf, LINUX_log_buf_len,
						    LINUX_log_first_idx, LINUX_log_next_idx,
						    LINUX_log_first_seq};
	struct plain plain = {toy_alloc(toy, LOG_SIZE), toy_alloc(toy, 5 * 8)};

	toy->kernel.symbol[LINUX_prb] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
		toy->kernel.symbol[symbols[i]] = plain.variables + i * 8;
	toy_put(toy, plain.variables, plain.buffer, 8);
	toy_put(toy, plain.variables + 8, LOG_SIZE, 4);
	toy_put(toy, plain.variables + 16, first, 4);
	toy_put(toy, plain.variables + 24, next, 4);
	toy_put(toy, plain.variables + 32, 70, 8);
	toy_field(toy, LAYOUT_printk_log, &L->printk_log_time, 0, 8);
	toy_field(toy, LAYOUT_printk_log, &L->printk_log_size, 8, 2);
	toy_field(toy, LAYOUT_printk_log, &L->printk_log_length, 10, 2);
	toy_field(toy, LAYOUT_printk_log, &L->printk_log_facility, 14, 1);
	toy_field(toy, LAYOUT_printk_log, &L->printk_log_level, 15, 1);
	L->size[LAYOUT_printk_log] = HEADER;
	return plain;
}

static void put_plain(struct toy *toy, const struct plain *plain, unsigned at, unsigned size,
		      unsigned length, const char *text)
{
	uint64_t record = plain->buffer + at;

	toy_set(toy, record, &L->printk_log_time, at * 100);
	toy_set(toy, record, &L->printk_log_size, size);
	toy_set(toy, record, &L->printk_log_length, length);
	toy_put_bytes(toy, record + HEADER, text, strlen(text));
}

static void test_plain_records(void **state)
{
	struct toy *toy = &((struct ring *)*state)->toy;
	struct plain plain = plain_init(toy, 32, 96);
	struct linux_log_record record;
	struct linux_log log;
	struct buffer text;

	put_plain(toy, &plain, 32, 24, 5, "first");
	put_plain(toy, &plain, 56, 40, 20, "a second one with 20");
	assert_null(linux_log_init(&log, &toy->kernel));
	buffer_init(&text, 0);
	assert_true(linux_log_next(&log, &record, &text));
	assert_int_equal(record.seq, 70);
	assert_int_equal(record.time_ns, 3200);
	assert_false(record.has_caller);
	assert_int_equal(text.size, 5);
	assert_memory_equal(text.data, "first", 5);
	buffer_deinit(&text);
	gives(&log, 71, "a second one with 20");
	ends(&log);
}

/* A record of size 0 says that the next one is at the start. */
static void test_plain_wraps(void **state)
{
	struct toy *toy = &((struct ring *)*state)->toy;
	struct plain plain = plain_init(toy, 200, 24);
	struct linux_log log;

	put_plain(toy, &plain, 200, 24, 3, "old");
	put_plain(toy, &plain, 0, 24, 3, "new");
	assert_null(linux_log_init(&log, &toy->kernel));
	gives(&log, 70, "old");
	gives(&log, 71, "new");
	ends(&log);
}

/* Nothing but zeros: it must not go round. */
static void test_plain_empty(void **state)
{
	struct toy *toy = &((struct ring *)*state)->toy;
	struct linux_log log;

	plain_init(toy, 200, 24);
	assert_null(linux_log_init(&log, &toy->kernel));
	ends(&log);
	assert_true(log.left >= LOG_SIZE / 16 - 2);
}

/* Records that never come to where the last one should be. */
static void test_plain_endless(void **state)
{
	struct toy *toy = &((struct ring *)*state)->toy;
	struct plain plain = plain_init(toy, 0, 1);
	struct linux_log_record record;
	struct linux_log log;
	struct buffer text;
	size_t count = 0;

	put_plain(toy, &plain, 0, 16, 0, "");
	assert_null(linux_log_init(&log, &toy->kernel));
	buffer_init(&text, 0);
	while (count < 100 && linux_log_next(&log, &record, &text))
		count++;
	/* And once it has ended, it stays so. */
	assert_false(linux_log_next(&log, &record, &text));
	buffer_deinit(&text);
	assert_true(count < 100);
}

/* A text may not leave its record, nor a record the buffer. */
static void test_plain_too_long(void **state)
{
	struct toy *toy = &((struct ring *)*state)->toy;
	struct plain plain = plain_init(toy, 0, 200);
	struct linux_log log;

	put_plain(toy, &plain, 0, 24, 9, "nine char");
	put_plain(toy, &plain, 24, 24, 8, "all good");
	put_plain(toy, &plain, 48, 60000, 10, "over the end");
	assert_null(linux_log_init(&log, &toy->kernel));
	gives(&log, 70, NULL);
	gives(&log, 71, "all good");
	gives(&log, 72, NULL);
	ends(&log);
	/* Smaller than its own header. */
	put_plain(toy, &plain, 0, 8, 0, "");
	assert_null(linux_log_init(&log, &toy->kernel));
	gives(&log, 70, NULL);
	linux_log_deinit(&log);
}

static void test_plain_missing(void **state)
{
	struct toy *toy = &((struct ring *)*state)->toy;
	struct plain plain = plain_init(toy, 0, 0);

	toy->kernel.symbol[LINUX_log_next_idx] = 0;
	refused(toy, NUNCHI_ERROR_UNSUPPORTED, "log_next_idx");
	toy->kernel.symbol[LINUX_log_next_idx] = plain.variables + 24;
	L->printk_log_length.present = false;
	refused(toy, NUNCHI_ERROR_UNSUPPORTED, "layout of its records");
	L->printk_log_length.present = true;
	toy_put(toy, plain.variables + 16, LOG_SIZE + 1, 4);
	refused(toy, NUNCHI_ERROR_DATA, "impossible size");
	toy->kernel.symbol[LINUX_log_first_idx] = 0;
	refused(toy, NUNCHI_ERROR_UNSUPPORTED, "prb");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(records_in_order),
	    TEST(wrapped_block),
	    TEST(block_to_the_exact_end),
	    TEST(dataless),
	    TEST(other_states),
	    TEST(recycled_descriptor),
	    TEST(recycled_block),
	    TEST(text_longer_than_its_block),
	    TEST(nonsensical_blocks),
	    TEST(ids_wrap),
	    TEST(ids_far_apart),
	    TEST(cancelled),
	    TEST(sizes_that_cannot_be),
	    TEST(missing_layout),
	    TEST(plain_records),
	    TEST(plain_wraps),
	    TEST(plain_empty),
	    TEST(plain_endless),
	    TEST(plain_too_long),
	    TEST(plain_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
