/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A guest that counts what is done to it. */
struct toy {
	struct target base;
	unsigned *paused, *resumed, *destroyed;
	bool refuse;
	bool refuse_resume;
};

static struct nunchi_error *toy_pause(struct target *target)
{
	struct toy *toy = (struct toy *)target;

	if (toy->refuse)
		return error_create(NUNCHI_ERROR_TIMEOUT, "no");
	++*toy->paused;
	return NULL;
}

static struct nunchi_error *toy_resume(struct target *target)
{
	struct toy *toy = (struct toy *)target;

	++*toy->resumed;
	return toy->refuse_resume ? error_create(NUNCHI_ERROR_TIMEOUT, "no") : NULL;
}

static struct nunchi_error *toy_registers(struct target *target, unsigned vcpu,
					  struct x86_registers *ret)
{
	(void)target;
	*ret = (struct x86_registers){.cr3 = vcpu + 1};
	return NULL;
}

static void toy_destroy(struct target *target)
{
	++*((struct toy *)target)->destroyed;
}

static const struct target_control toy_control = {.pause = toy_pause, .resume = toy_resume};
static const struct target_ops toy_ops = {
    .kind = "toy", .destroy = toy_destroy, .control = &toy_control, .get_registers = toy_registers};
static const struct target_ops saved_ops = {.kind = "saved"};

static unsigned paused, resumed, destroyed;

static struct toy *make(const struct target_ops *ops)
{
	struct toy *toy = calloc(1, sizeof(*toy));

	paused = resumed = destroyed = 0;
	toy->paused = &paused;
	toy->resumed = &resumed;
	toy->destroyed = &destroyed;
	assert_null(target_init(&toy->base, ops, "toy:x"));
	return toy;
}

static void test_saved_guest_can_only_be_read(void **state)
{
	struct toy *toy = make(&saved_ops);
	struct target *target = &toy->base;
	struct x86_registers registers;
	enum target_state now = TARGET_UNKNOWN;

	(void)state;
	assert_string_equal(target->name, "toy:x");
	for (unsigned i = 0; i < TARGET_CAPABILITY_COUNT; i++) {
		assert_int_equal(target->support[i].available, i == TARGET_READ);
		assert_non_null(target->support[i].reason);
		assert_non_null(target_capability_string(i));
	}
	_cleanup_error_ struct nunchi_error *pause = target_pause(target);
	assert_true(error_is(pause, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(strstr(nunchi_error_message(pause), "does not run"));
	_cleanup_error_ struct nunchi_error *regs = target_get_registers(target, 0, &registers);
	assert_true(error_is(regs, NUNCHI_ERROR_UNSUPPORTED));
	assert_null(target_get_state(target, &now));
	assert_int_equal(now, TARGET_SAVED);
	target_close(target);
}

static void test_pauses_nest(void **state)
{
	struct toy *toy = make(&toy_ops);
	struct target *target = &toy->base;

	(void)state;
	target_set_support(target, TARGET_PAUSE, true, "as %s", "ever");
	assert_string_equal(target->support[TARGET_PAUSE].reason, "as ever");
	assert_null(memory_create(true, &target->memory));
	uint64_t generation = memory_generation(target->memory);
	assert_null(target_pause(target));
	assert_true(memory_generation(target->memory) != generation);
	generation = memory_generation(target->memory);
	assert_null(target_pause(target));
	assert_int_equal(paused, 1);
	assert_true(memory_generation(target->memory) == generation);
	usleep(3000);
	assert_true(target_paused_us(target) >= 3000);
	assert_null(target_resume(target));
	assert_int_equal(resumed, 0);
	assert_null(target_resume(target));
	assert_int_equal(resumed, 1);
	assert_true(memory_generation(target->memory) != generation);
	uint64_t us = target_paused_us(target);
	assert_true(us >= 3000);
	usleep(1000);
	assert_true(target_paused_us(target) == us);
	_cleanup_error_ struct nunchi_error *err = target_resume(target);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	/* What is still paused at the end is resumed once. */
	assert_null(target_pause(target));
	assert_null(target_pause(target));
	target_close(target);
	assert_int_equal(resumed, 2);
	assert_int_equal(destroyed, 1);
}

static void test_pause_that_fails_is_none(void **state)
{
	struct toy *toy = make(&toy_ops);

	(void)state;
	target_set_support(&toy->base, TARGET_PAUSE, true, "yes");
	toy->refuse = true;
	_cleanup_error_ struct nunchi_error *err = target_pause(&toy->base);
	assert_true(error_is(err, NUNCHI_ERROR_TIMEOUT));
	assert_int_equal(target_paused_us(&toy->base), 0);
	target_close(&toy->base);
	assert_int_equal(resumed, 0);
}

/* The pause is handed on then, so that the next one must stop the guest again. */
static void test_resume_that_fails_ends_the_pause(void **state)
{
	struct toy *toy = make(&toy_ops);
	struct target *target = &toy->base;

	(void)state;
	target_set_support(target, TARGET_PAUSE, true, "yes");
	assert_null(memory_create(true, &target->memory));
	assert_null(target_pause(target));
	uint64_t generation = memory_generation(target->memory);
	toy->refuse_resume = true;
	_cleanup_error_ struct nunchi_error *err = target_resume(target);
	assert_true(error_is(err, NUNCHI_ERROR_TIMEOUT));
	/* It may run again at any time: what was read is no longer valid. */
	assert_true(memory_generation(target->memory) != generation);
	toy->refuse_resume = false;
	assert_null(target_pause(target));
	assert_int_equal(paused, 2);
	assert_null(target_resume(target));
	assert_int_equal(resumed, 2);
	target_close(target);
	assert_int_equal(resumed, 2);
}

static void test_vcpus_that_are_not_there(void **state)
{
	struct toy *toy = make(&toy_ops);
	struct x86_registers registers;

	(void)state;
	target_set_support(&toy->base, TARGET_REGISTERS, true, "yes");
	toy->base.vcpu_count = 2;
	assert_null(target_get_registers(&toy->base, 1, &registers));
	assert_int_equal(registers.cr3, 2);
	_cleanup_error_ struct nunchi_error *err = target_get_registers(&toy->base, 2, &registers);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	target_close(&toy->base);
}

static void test_notes_are_kept_and_bounded(void **state)
{
	struct toy *toy = make(&saved_ops);

	(void)state;
	for (int i = 0; i < 1000; i++)
		target_note(&toy->base, "note %d", i);
	assert_in_range(toy->base.note_count, 10, 100);
	assert_string_equal(toy->base.notes[3], "note 3");
	target_close(&toy->base);
	target_close(NULL);
}

static void test_words_that_name_no_target(void **state)
{
	static const struct {
		const char *word;
		enum nunchi_error_code code;
		const char *hint;
	} cases[] = {
	    {"xen:guest", NUNCHI_ERROR_UNSUPPORTED, "dom0"},
	    {"vmware:x", NUNCHI_ERROR_NOT_FOUND, "qemu:NAME"},
	    {"no-such-file", NUNCHI_ERROR_NOT_FOUND, "nunchi list"},
	    {"/no/such/file", NUNCHI_ERROR_NOT_FOUND, "nunchi list"},
	    {"qemu:", NUNCHI_ERROR_ARGUMENT, NULL},
	    {"qemu:no-guest-has-this-name", NUNCHI_ERROR_NOT_FOUND, ""},
	    {"qemu:999999999", NUNCHI_ERROR_NOT_FOUND, ""},
	    {"qemu:99999999999999999999999", NUNCHI_ERROR_NOT_FOUND, ""},
	};
	const struct target_options options = {.sigbus_guard = true};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct target *target = NULL;
		_cleanup_error_ struct nunchi_error *err =
		    target_open(cases[i].word, &options, &target);

		assert_null(target);
		assert_true(error_is(err, cases[i].code));
		assert_non_null(strstr(nunchi_error_message(err),
				       cases[i].code == NUNCHI_ERROR_ARGUMENT ? "qemu:" : "no"));
		if (cases[i].hint)
			assert_non_null(strstr(nunchi_error_hint(err), cases[i].hint));
	}
}

/* Help, completion and the hint for unknown words rest on this. */
static void test_kinds(void **state)
{
	const struct target_kind *kind;
	size_t kinds = 0, forms = 0;

	(void)state;
	for (; (kind = target_kind(kinds)); kinds++) {
		size_t length = strlen(kind->prefix);

		assert_non_null(kind->open);
		assert_true(kind->form_count > 0);
		/* A word without a prefix belongs to the last kind alone. */
		assert_true(!length == !target_kind(kinds + 1));
		assert_true(!length || kind->prefix[length - 1] == ':');
		for (size_t i = 0; i < kind->form_count; i++) {
			assert_ptr_equal(nunchi_target_form(forms++), &kind->forms[i]);
			assert_false(strncmp(kind->forms[i].word, kind->prefix, length));
			assert_int_equal(kind->forms[i].live, length > 0);
		}
	}
	assert_int_equal(kinds, 3);
	assert_null(nunchi_target_form(forms));
	assert_null(nunchi_target_form(SIZE_MAX));
	assert_string_equal(nunchi_file_format(0)->name, "xen-core");
	assert_null(nunchi_file_format(SIZE_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_saved_guest_can_only_be_read),
	    cmocka_unit_test(test_pauses_nest),
	    cmocka_unit_test(test_pause_that_fails_is_none),
	    cmocka_unit_test(test_resume_that_fails_ends_the_pause),
	    cmocka_unit_test(test_vcpus_that_are_not_there),
	    cmocka_unit_test(test_notes_are_kept_and_bounded),
	    cmocka_unit_test(test_words_that_name_no_target),
	    cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
