/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Breakpoints over a target that stops when the test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/breakpoints.h"
#include "fake_stops.h"

#define CODE  UINT64_C(0x1000)
#define PAGES 2

static uint8_t code[PAGES * 4096];

struct fixture {
	struct fake_stops fake;
	struct address_space *space;
	struct breakpoints *set;
};

static enum memory_fault read_code(void *data, uint64_t offset, void *buffer, size_t size,
				   uint64_t *fault_offset)
{
	(void)data;
	(void)fault_offset;
	memcpy(buffer, code + offset, size);
	return MEMORY_OK;
}

/* The tables map the first gigabyte to itself. */
static enum memory_fault read_tables(void *data, uint64_t offset, void *buffer, size_t size,
				     uint64_t *fault_offset)
{
	static const uint64_t first = ((uint64_t)1 << 40) + 0x1000 + 3, large = 0x83;
	uint8_t bytes[8192] = {0};

	(void)data;
	(void)fault_offset;
	memcpy(bytes, &first, 8);
	memcpy(bytes + 4096, &large, 8);
	memcpy(buffer, bytes + offset, size);
	return MEMORY_OK;
}

static int setup(void **state)
{
	static const struct x86_paging paging = {.mode = X86_MODE_4LEVEL,
						 .root = {(uint64_t)1 << 40}};
	struct fixture *f = calloc(1, sizeof(*f));

	memset(code, 0xcc, sizeof(code));
	f->fake.target.ops = &fake_stops_target;
	f->fake.room = FAKE_MAX;
	assert_null(memory_create(false, &f->fake.target.memory));
	assert_null(memory_add_reader(f->fake.target.memory, gpa(CODE), sizeof(code), read_code,
				      NULL, NULL));
	assert_null(memory_add_reader(f->fake.target.memory, gpa((uint64_t)1 << 40), 8192,
				      read_tables, NULL, NULL));
	assert_null(memory_seal(f->fake.target.memory));
	assert_null(address_space_create(f->fake.target.memory, &paging, &f->space));
	assert_null(breakpoints_create(&f->fake.target, f->space, &f->set));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	breakpoints_destroy(f->set);
	address_space_destroy(f->space);
	memory_destroy(f->fake.target.memory);
	free(f);
	return 0;
}

static void count(void *data, const struct target_stop *stop)
{
	(void)stop;
	++*(unsigned *)data;
}

static struct breakpoint *add(struct fixture *f, uint64_t address, unsigned *counter)
{
	struct breakpoint *ret = NULL;

	f->fake.held = 1;
	assert_null(breakpoints_add(f->set, address, count, counter, &ret));
	f->fake.held = 0;
	return ret;
}

/* The vCPU gets to an address, and goes on; returns where. */
static uint64_t hit_with(struct fixture *f, const struct x86_registers *registers)
{
	struct breakpoints_result result;
	unsigned went = f->fake.went;

	assert_true(fake_hit(&f->fake, registers));
	assert_null(breakpoints_dispatch(f->set, &result));
	assert_int_equal(result.kind, TARGET_STOP_BREAKPOINT);
	assert_int_equal(f->fake.went, went + 1);
	return f->fake.went_to;
}

static uint64_t hit(struct fixture *f, uint64_t address, uint64_t rflags)
{
	return hit_with(f, &(struct x86_registers){.rip = address, .rflags = rflags});
}

static void users_share_an_address(void **state)
{
	struct fixture *f = *state;
	unsigned a = 0, b = 0, c = 0;
	struct breakpoint *first = add(f, CODE, &a);

	add(f, CODE, &b);
	add(f, CODE + 64, &c);
	assert_int_equal(f->fake.inserted, 2);
	hit(f, CODE, 0);
	assert_int_equal(a, 1);
	assert_int_equal(b, 1);
	breakpoints_remove(f->set, first);
	hit(f, CODE, 0);
	assert_int_equal(a, 1);
	assert_int_equal(b, 2);
	assert_int_equal(c, 0);
}

static void end_watching(void *data, const struct target_stop *stop)
{
	(void)stop;
	breakpoints_end(data, "the guest is saved");
}

/* The guest does not go on with breakpoints: they are removed in place of that. */
static void a_hit_ends_watching(void **state)
{
	struct fixture *f = *state;
	struct breakpoints_result result;
	struct breakpoint *breakpoint;
	struct nunchi_error *err;
	unsigned other = 0;

	add(f, CODE + 64, &other);
	f->fake.held = 1;
	assert_null(breakpoints_add(f->set, CODE, end_watching, f->set, &breakpoint));
	f->fake.held = 0;
	assert_true(fake_hit(&f->fake, &(struct x86_registers){.rip = CODE}));
	err = breakpoints_dispatch(f->set, &result);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	assert_string_equal(nunchi_error_message(err), "the guest is saved");
	nunchi_error_destroy(err);
	assert_true(f->fake.closed);
	assert_int_equal(f->fake.went, 0);
}

static void nothing_is_pending(void **state)
{
	struct fixture *f = *state;
	struct breakpoints_result result;

	assert_null(breakpoints_dispatch(f->set, &result));
	assert_int_equal(result.kind, TARGET_STOP_NONE);
	assert_int_equal(f->fake.went, 0);
	f->fake.pending.kind = TARGET_STOP_PAUSED;
	assert_null(breakpoints_dispatch(f->set, &result));
	assert_int_equal(result.kind, TARGET_STOP_PAUSED);
	assert_int_equal(f->fake.went, 0);
}

/* Instructions without effect need no step; all others are executed. */
static void goes_on_behind_idle_instructions(void **state)
{
	static const uint8_t start[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0x55};
	struct fixture *f = *state;
	unsigned n = 0;

	memcpy(code, start, sizeof(start));
	add(f, CODE, &n);
	assert_int_equal(hit(f, CODE, 0), CODE + 9);
	/* A debugger inside the guest waits for the trap behind the instruction. */
	assert_int_equal(hit(f, CODE, 0x100), CODE);
	/* Behind an indirect branch ENDBR must be executed, where that is tracked. */
	assert_int_equal(hit_with(f, &(struct x86_registers){.rip = CODE, .cr4 = 1 << 23}), CODE);
	/* A breakpoint between the two is met. */
	add(f, CODE + 4, &n);
	assert_int_equal(hit(f, CODE, 0), CODE + 4);
	assert_int_equal(hit(f, CODE + 4, 0), CODE + 9);
	/* What a tracer of the guest has put there is a call. */
	code[4] = 0xe8;
	assert_int_equal(hit(f, CODE + 4, 0), CODE + 4);
	/* Code that cannot be read is executed where it is. */
	add(f, CODE + sizeof(code), &n);
	assert_int_equal(hit(f, CODE + sizeof(code), 0), CODE + sizeof(code));
}

struct changing {
	struct fixture *f;
	struct breakpoint *own, *other;
	unsigned others;
	uint64_t next;
};

static void change(void *data, const struct target_stop *stop)
{
	struct changing *changing = data;
	struct breakpoint *unused;

	(void)stop;
	breakpoints_remove(changing->f->set, changing->own);
	breakpoints_remove(changing->f->set, changing->other);
	for (unsigned i = 0; i < 100; i++)
		assert_null(breakpoints_add(changing->f->set, changing->next++, count,
					    &changing->others, &unused));
}

static void changes_within_a_hit(void **state)
{
	struct fixture *f = *state;
	struct changing changing = {.f = f, .next = CODE + 100};

	changing.other = add(f, CODE, &changing.others);
	f->fake.held = 1;
	assert_null(breakpoints_add(f->set, CODE, change, &changing, &changing.own));
	f->fake.held = 0;
	hit(f, CODE, 0);
	/* The one that was removed is not called, though it stands behind. */
	assert_int_equal(changing.others, 0);
	hit(f, CODE, 0);
	assert_int_equal(changing.others, 0);
	hit(f, CODE + 150, 0);
	assert_int_equal(changing.others, 1);
}

/* A processor with four breakpoints: one without users gives way. */
static void room_is_made(void **state)
{
	struct fixture *f = *state;
	struct breakpoint *four[4], *more = NULL;
	struct nunchi_error *err;
	unsigned n = 0;

	f->fake.room = 4;
	for (unsigned i = 0; i < 4; i++)
		four[i] = add(f, CODE + i * 16, &n);
	f->fake.held = 1;
	err = breakpoints_add(f->set, CODE + 100, count, &n, &more);
	assert_true(error_is(err, NUNCHI_ERROR_BUSY));
	assert_null(more);
	nunchi_error_destroy(err);
	breakpoints_remove(f->set, four[2]);
	assert_int_equal(f->fake.removed, 0);
	assert_true(fake_is_set(&f->fake, CODE + 32));
	assert_null(breakpoints_add(f->set, CODE + 100, count, &n, &more));
	assert_int_equal(f->fake.removed, 1);
	assert_false(fake_is_set(&f->fake, CODE + 32));
	assert_true(fake_is_set(&f->fake, CODE + 100));
	f->fake.held = 0;
	hit(f, CODE + 48, 0);
	assert_int_equal(n, 1);
}

/* One that is set again before it was taken out is not inserted twice. */
static void idle_breakpoints_are_used_again(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;

	for (unsigned i = 0; i < 1000; i++)
		breakpoints_remove(f->set, add(f, CODE, &n));
	assert_int_equal(f->fake.inserted, 1);
	hit(f, CODE, 0);
	assert_int_equal(n, 0);
}

static void too_many(void **state)
{
	struct fixture *f = *state;
	struct breakpoint *one = NULL;
	struct nunchi_error *err;
	unsigned n = 0;

	for (unsigned i = 0; i < BREAKPOINTS_MAX; i++)
		add(f, CODE + i, &n);
	f->fake.held = 1;
	err = breakpoints_add(f->set, CODE + BREAKPOINTS_MAX, count, &n, &one);
	assert_true(error_is(err, NUNCHI_ERROR_BUSY));
	nunchi_error_destroy(err);
}

static void an_error_ends_it(void **state)
{
	struct fixture *f = *state;
	struct breakpoints_result result;
	struct nunchi_error *err;

	f->fake.fails = error_create(NUNCHI_ERROR_GONE, "gone");
	err = breakpoints_dispatch(f->set, &result);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	nunchi_error_destroy(err);
	assert_int_equal(f->fake.went, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(users_share_an_address, setup, teardown),
	    cmocka_unit_test_setup_teardown(nothing_is_pending, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_hit_ends_watching, setup, teardown),
	    cmocka_unit_test_setup_teardown(goes_on_behind_idle_instructions, setup, teardown),
	    cmocka_unit_test_setup_teardown(changes_within_a_hit, setup, teardown),
	    cmocka_unit_test_setup_teardown(room_is_made, setup, teardown),
	    cmocka_unit_test_setup_teardown(idle_breakpoints_are_used_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(too_many, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_error_ends_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
