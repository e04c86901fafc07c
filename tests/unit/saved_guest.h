/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening what writers.h writes, and comparing it. Include after cmocka.h. */
#ifndef NUNCHI_TESTS_SAVED_GUEST_H
#define NUNCHI_TESTS_SAVED_GUEST_H

#include "target/file/file.h"
#include "writers.h"

#include <string.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

/* Opens a saved guest of those bytes; returns the error if that fails. The file is unlinked. */
static inline struct nunchi_error *saved_try(const struct blob *blob, struct target **ret)
{
	struct target_options options = {.sigbus_guard = true};
	struct nunchi_error *err;
	char path[64];

	writer_save(blob, path);
	err = file_target_open(path, &options, ret);
	unlink(path);
	return err;
}

static inline struct target *saved_open(const struct blob *blob)
{
	struct target *target = NULL;
	struct nunchi_error *err = saved_try(blob, &target);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	return target;
}

/* Opening must fail with that code and a message that has these words. */
static inline void saved_refused(const struct blob *blob, enum nunchi_error_code code,
				 const char *words)
{
	struct target *target = NULL;
	struct nunchi_error *err = saved_try(blob, &target);

	assert_non_null(err);
	assert_null(target);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words))
		fail_msg("code %d, not %d: %s", nunchi_error_code(err), code,
			 nunchi_error_message(err));
	nunchi_error_destroy(err);
}

/* Asserts that [address, address + size) can be read and has the bytes of writer_fill(). */
static inline void saved_has(struct target *target, uint64_t address, uint64_t size)
{
	uint8_t bytes[3 * WRITER_PAGE];

	/* An odd size crosses pages, frames and segments. */
	for (uint64_t at = 0; at < size; at += sizeof(bytes) - 7) {
		size_t n = size - at < sizeof(bytes) - 7 ? (size_t)(size - at) : sizeof(bytes) - 7;
		gpa_t where = gpa(0);
		enum memory_fault fault =
		    memory_read(target->memory, gpa(address + at), bytes, n, &where);

		if (fault != MEMORY_OK)
			fail_msg("0x%lx: %s", (unsigned long)where.v, memory_fault_string(fault));
		assert_int_equal(writer_check(address + at, bytes, n), UINT64_MAX);
	}
}

/* Asserts that each page of [address, address + size) gives that fault, at its own address. */
static inline void saved_lacks(struct target *target, uint64_t address, uint64_t size,
			       enum memory_fault wanted)
{
	uint8_t bytes[8];

	for (uint64_t at = 0; at < size; at += WRITER_PAGE) {
		gpa_t where = gpa(0);

		assert_int_equal(
		    memory_read(target->memory, gpa(address + at), bytes, sizeof(bytes), &where),
		    wanted);
		assert_int_equal(where.v, address + at);
	}
}

static inline bool saved_notes(const struct target *target, const char *words)
{
	for (size_t i = 0; i < target->note_count; i++) {
		if (strstr(target->notes[i], words))
			return true;
	}
	return false;
}

#endif
