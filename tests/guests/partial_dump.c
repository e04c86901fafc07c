/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Takes out of a saved guest, one at a time, the pages that a view reads, and runs the view again:
 * each row must be as it was, or differ only by cells that are absent since a page was not saved,
 * and a row may be missing only where such a cell stands for it; or else the result must come with
 * a warning that was not there before, or as an error. All views of the registry are walked.
 *
 * With "words", changes instead one word at a time of those that a view reads: to 0, to all ones,
 * by one bit, or by 8. Then a cell may have another value, and a row more may come; but a row may
 * be missing only with a warning or an error, or where an absent cell stands for it.
 *
 * Each check of the view `findings` is run for itself, so that one that reads much leaves time for
 * the others.
 *
 *	partial_dump [words] FILE [SECONDS [TYPES SYMBOLS]]
 *
 * Where a view reads more than there is time for, those places are taken that a fixed seed chooses.
 * Prints a line for each view and for each fault; 1 if there was a fault.
 */
#include "check/check.h"
#include "core/clock.h"
#include "core/hash.h"
#include "guest/linux/linux.h"
#include "target/target.h"
#include "view/cursor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Faults of one view that are printed. */
#define MAX_SAID 5
/* Where the kernel's half of 64-bit addresses begins. */
#define KERNEL_START    0xffff800000000000
#define KERNEL_START_32 0xc0000000

struct range {
	uint64_t start; /* guest-physical */
	struct guest *guest;
};

/* A guest whose memory is that of a saved one, but for a page that can be taken out. */
struct guest {
	struct target target;
	struct memory *whole;
	struct range ranges[256];
	struct hash_map touched; /* numbers of pages read, while recording */
	bool recording;
	uint64_t missing;       /* number of the page that is not there, or UINT64_MAX */
	bool words;             /* words are changed, and no page is missing */
	uint64_t changed;       /* address of the word that is changed, or UINT64_MAX */
	unsigned change;        /* in which way */
	uint64_t before, after; /* of the last change */
	struct guest_kernel *kernel;
	const char *check; /* the only one that is run; NULL: all */
	unsigned faults;
	unsigned listed; /* differences that are listed as unseen */
};

struct result {
	char **rows; /* each cell as a text, one behind the other, each with its NUL */
	size_t count, capacity;
	char *warnings; /* one a line */
	bool failed;    /* with an error, which is a way to say it */
};

static void die(struct nunchi_error *err)
{
	fprintf(stderr, "partial_dump: %s\n", nunchi_error_message(err));
	exit(2);
}

/* Of a long read, of texts or of a log, the first words stand for all. */
static void record_words(struct guest *guest, uint64_t start, size_t size)
{
	uint64_t end = start + (size < 4096 ? size : 4096);

	for (uint64_t word = start & ~(uint64_t)7; word < end; word += 8)
		hash_map_insert(&guest->touched, word, 0);
}

static uint64_t changed_value(uint64_t value, unsigned change)
{
	switch (change % 4) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return value ^ (uint64_t)1 << change / 4 % 64;
	default:
		return value + 8;
	}
}

/* Puts the part of the changed word into what was read that lies in it. */
static void change_word(struct guest *guest, uint64_t start, void *buffer, size_t size)
{
	uint8_t bytes[8];
	uint64_t value;

	if (guest->changed == UINT64_MAX || start >= guest->changed + 8 ||
	    start + size <= guest->changed ||
	    memory_read(guest->whole, gpa(guest->changed), &value, 8, NULL) != MEMORY_OK)
		return;
	guest->before = value;
	guest->after = value = changed_value(value, guest->change);
	memcpy(bytes, &value, 8);
	for (size_t i = 0; i < 8; i++) {
		if (guest->changed + i >= start && guest->changed + i < start + size)
			((uint8_t *)buffer)[guest->changed + i - start] = bytes[i];
	}
}

static enum memory_fault read_page(void *data, uint64_t offset, void *buffer, size_t size,
				   uint64_t *fault_offset)
{
	const struct range *range = data;
	struct guest *guest = range->guest;
	gpa_t fault_at = gpa(range->start + offset);
	enum memory_fault fault;

	if (guest->recording && guest->words)
		record_words(guest, range->start + offset, size);
	for (uint64_t at = range->start + offset, end = at + size; at < end;
	     at = (at | PAGE_MASK) + 1) {
		if (guest->recording && !guest->words)
			hash_map_insert(&guest->touched, at >> PAGE_SHIFT, 0);
		if (at >> PAGE_SHIFT == guest->missing) {
			*fault_offset = at - range->start;
			return MEMORY_NOT_SAVED;
		}
	}
	fault = memory_read(guest->whole, fault_at, buffer, size, &fault_at);
	*fault_offset = fault_at.v - range->start;
	if (fault == MEMORY_OK)
		change_word(guest, range->start + offset, buffer, size);
	return fault;
}

/* The memory of an open guest behind read_page(). */
static struct nunchi_error *wrap(struct guest *guest, struct target *from)
{
	static const struct target_ops ops = {.kind = "partial"};
	struct nunchi_error *err;
	const struct memory_range *ranges;
	size_t count;

	guest->target = *from;
	guest->target.ops = &ops;
	guest->whole = from->memory;
	guest->missing = guest->changed = UINT64_MAX;
	err = memory_create(true, &guest->target.memory);
	ranges = memory_ranges(from->memory, &count);
	if (count > ARRAY_SIZE(guest->ranges))
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "%zu ranges of memory", count);
	for (size_t i = 0; !err && i < count; i++) {
		guest->ranges[i] = (struct range){ranges[i].start.v, guest};
		err = memory_add_reader(guest->target.memory, ranges[i].start, ranges[i].size,
					read_page, NULL, &guest->ranges[i]);
	}
	return err ? err : memory_seal(guest->target.memory);
}

static void clear(struct result *result)
{
	for (size_t i = 0; i < result->count; i++)
		free(result->rows[i]);
	result->count = 0;
	free(result->warnings);
	result->warnings = NULL;
	result->failed = false;
}

static void keep_cell(struct buffer *row, const struct nunchi_cell *cell)
{
	if (cell->kind == NUNCHI_CELL_ABSENT)
		buffer_printf(row, "-%s", nunchi_absence_string(cell->absence));
	else if (cell->type == NUNCHI_TYPE_INTEGER)
		buffer_printf(row, "=%lld", (long long)cell->integer);
	else if (cell->type == NUNCHI_TYPE_ADDRESS)
		buffer_printf(row, "=%llx", (unsigned long long)cell->address);
	else if (cell->type == NUNCHI_TYPE_REAL)
		buffer_printf(row, "=%.17g", cell->real);
	else
		/* A text may hold NULs: its hash stands for the rest. */
		buffer_printf(row, "=%.*s#%llx",
			      (int)(cell->text_size < 200 ? cell->text_size : 200), cell->text,
			      (unsigned long long)hash_bytes(cell->text, cell->text_size));
	buffer_append_char(row, '\0');
}

static void keep_row(struct result *result, const struct nunchi_cell *cells, size_t columns)
{
	struct buffer row = {0};

	for (size_t i = 0; i < columns; i++)
		keep_cell(&row, &cells[i]);
	if (result->count == result->capacity) {
		result->capacity = result->capacity ? result->capacity * 2 : 1024;
		result->rows = realloc(result->rows, result->capacity * sizeof(*result->rows));
		if (!result->rows)
			die(&error_nomem);
	}
	if (row.failed)
		die(&error_nomem);
	result->rows[result->count++] = row.data;
}

static void run(struct guest *guest, const struct view *view, struct result *result)
{
	struct view_source source = {
	    .kernel = guest->kernel, .target = &guest->target, .pause = NUNCHI_PAUSE_NEVER};
	const struct nunchi_cell *cells;
	struct view_cursor *cursor;
	struct buffer warnings = {0};
	const char *warning;
	const struct nunchi_constraint only = {.column = "check", .value = guest->check};
	const struct nunchi_query query = {
	    .size = sizeof(query), .constraints = &only, .constraint_count = 1};
	bool torn;
	struct nunchi_error *err;

	clear(result);
	/* What was translated before may have been through the page that is missing now. */
	memory_new_generation(guest->target.memory);
	err = view_cursor_create(&source, view, guest->check ? &query : NULL, &cursor);
	if (!err) {
		while (!(err = view_cursor_next(cursor, &cells, &torn)))
			keep_row(result, cells, view->schema.column_count);
		for (size_t i = 0; (warning = view_cursor_warning(cursor, i)); i++)
			buffer_printf(&warnings, "%s\n", warning);
		view_cursor_destroy(cursor);
	}
	result->failed = err != &error_stop;
	nunchi_error_destroy(err);
	result->warnings = warnings.data;
}

/* True if each line of some stands in all. */
static bool has_lines(const char *all, const char *some)
{
	return !some || !some[0] || (all && !strcmp(all, some));
}

/* The cell, by its column's number, in which a row differs by more than a page that is missing. */
static int wrong_cell(const char *row, const char *whole, size_t columns)
{
	for (size_t i = 0; i < columns; i++) {
		if (strcmp(row, whole) && strcmp(row, "-not saved"))
			return (int)i;
		row += strlen(row) + 1;
		whole += strlen(whole) + 1;
	}
	return -1;
}

static const char *cell_of(const char *row, int column)
{
	while (column--)
		row += strlen(row) + 1;
	return row;
}

__attribute__((format(printf, 4, 5))) static void
say(const struct guest *guest, const struct view *view, unsigned said, const char *format, ...)
{
	va_list args;

	if (said >= MAX_SAID)
		return;
	if (guest->words)
		printf("%s with 0x%llx for 0x%llx at 0x%llx: ", view->schema.name,
		       (unsigned long long)guest->after, (unsigned long long)guest->before,
		       (unsigned long long)guest->changed);
	else
		printf("%s without page 0x%llx: ", view->schema.name,
		       (unsigned long long)guest->missing << PAGE_SHIFT);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static bool is_gap(const char *row, size_t columns)
{
	for (size_t i = 0; i < columns; i++, row += strlen(row) + 1) {
		if (!strcmp(row, "-not saved"))
			return true;
	}
	return false;
}

static bool has_gap(const struct result *result, size_t columns)
{
	for (size_t i = 0; i < result->count; i++) {
		if (is_gap(result->rows[i], columns))
			return true;
	}
	return false;
}

static uint64_t hash_row(const char *row, size_t columns)
{
	const char *end = row;

	while (columns--)
		end += strlen(end) + 1;
	return hash_bytes(row, (size_t)(end - row));
}

/* Whether every row without a gap was among those of the whole. */
static bool all_known(const struct guest *guest, const struct view *view, const struct result *got,
		      const struct result *whole, unsigned said)
{
	_cleanup_hash_map_ struct hash_map known = {0};
	size_t columns = view->schema.column_count;

	for (size_t i = 0; i < whole->count; i++)
		hash_map_insert(&known, hash_row(whole->rows[i], columns), 0);
	for (size_t i = 0; i < got->count; i++) {
		if (!is_gap(got->rows[i], columns) &&
		    !hash_map_find(&known, hash_row(got->rows[i], columns))) {
			say(guest, view, said, "row %zu is none of the whole's", i);
			return false;
		}
	}
	return true;
}

/* The words of the guest's size within the changed one; calls fits() for each that was changed. */
static bool each_change(const struct guest *guest,
			bool (*fits)(uint64_t before, uint64_t after, unsigned bits))
{
	unsigned bits = linux_kernel_of(guest->kernel)->word_size * 8;
	uint64_t mask = UINT64_MAX >> (64 - bits);

	for (unsigned shift = 0; shift < 64; shift += bits) {
		uint64_t before = guest->before >> shift & mask;
		uint64_t after = guest->after >> shift & mask;

		if (before != after && !fits(before, after, bits))
			return false;
	}
	return true;
}

/* From one address of the kernel to another. */
static bool is_pointer(uint64_t before, uint64_t after, unsigned bits)
{
	uint64_t start = bits == 64 ? KERNEL_START : KERNEL_START_32;

	return before >= start && after >= start;
}

/* The two flags in front of an id: the state of a descriptor of the log. */
static bool is_state(uint64_t before, uint64_t after, unsigned bits)
{
	return (before ^ after) << 2 == 0 || (bits == 32 && !((before ^ after) & 0x3fffffff));
}

/* Not from one address of the kernel to another. */
static bool is_value(uint64_t before, uint64_t after, unsigned bits)
{
	return !is_pointer(before, after, bits);
}

/* What no reader could see, and why. */
static const struct {
	const char *view;
	bool (*fits)(uint64_t before, uint64_t after, unsigned bits);
	const char *why;
} unseen[] = {
    {"mounts", is_pointer,
     "a mount whose parents lead elsewhere is outside of the namespace's root, where the kernel "
     "shows none either"},
    {"process_envs", is_pointer,
     "a pointer leads to another mm_struct, of which nothing says whose it is"},
    {"arp_cache", is_value, "a neighbour whose state is none is not shown"},
    {"cpu_time", is_value, "a CPU whose bit is clear is not online"},
    {"routes", is_value, "an empty table has no node, and the last route of a node has no next"},
    {"interface_addresses", is_value,
     "a device whose pointer to its addresses of a family is none has none, and so has the last "
     "address of IPv4"},
    {"listening_ports", is_value,
     "a socket of another family, state or port, or without a path, is not one that listens; "
     "process_open_sockets, for which nothing is permitted, walks the same way"},
    {"findings", is_value, "a file whose name has a place in the hash table was not removed"},
    {"kernel_log", is_state, "the newest records may be ones that the kernel is still writing"},
};

/* Whether all rows are among those of the whole: then no cell was changed. */
static bool is_part(const struct result *got, const struct result *whole, size_t columns)
{
	_cleanup_hash_map_ struct hash_map known = {0};

	for (size_t i = 0; i < whole->count; i++)
		hash_map_insert(&known, hash_row(whole->rows[i], columns), 0);
	for (size_t i = 0; i < got->count; i++) {
		if (!hash_map_find(&known, hash_row(got->rows[i], columns)))
			return false;
	}
	return true;
}

static size_t count_absent(const struct result *result, size_t columns)
{
	size_t count = 0;

	for (size_t i = 0; i < result->count; i++) {
		const char *row = result->rows[i];

		for (size_t j = 0; j < columns; j++, row += strlen(row) + 1)
			count += *row == '-';
	}
	return count;
}

/* Whether a result with a changed word has all rows, or says what is missing. */
static bool check_rows(struct guest *guest, const struct view *view, const struct result *got,
		       const struct result *whole, unsigned said)
{
	size_t columns = view->schema.column_count;

	if (got->count >= whole->count ||
	    count_absent(got, columns) > count_absent(whole, columns) ||
	    !is_part(got, whole, columns))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(unseen); i++) {
		/* Of other changes of these views nothing is permitted. */
		if (!strcmp(view->schema.name, unseen[i].view) &&
		    each_change(guest, unseen[i].fits)) {
			guest->listed++;
			return true;
		}
	}
	say(guest, view, said, "%zu rows, not %zu, and no warning", got->count, whole->count);
	return false;
}

static bool is_checks(const struct view *view)
{
	return !strcmp(view->schema.name, "findings");
}

/* Whether a check takes a page that is missing for an attack. */
static bool is_false_alarm(const struct view *view, const struct result *got)
{
	if (!is_checks(view))
		return false;
	for (size_t i = 0; i < got->count; i++) {
		if (!strncmp(got->rows[i], "=warning", 8) || !strncmp(got->rows[i], "=alarm", 6))
			return true;
	}
	return false;
}

/* Whether a result without one page tells the truth. */
static bool check(struct guest *guest, const struct view *view, const struct result *got,
		  const struct result *whole, unsigned said)
{
	size_t columns = view->schema.column_count;

	if (!guest->words && is_false_alarm(view, got)) {
		say(guest, view, said, "a finding, although nothing was changed");
		return false;
	}
	if (got->failed || !has_lines(whole->warnings, got->warnings))
		return true;
	if (guest->words)
		return check_rows(guest, view, got, whole, said);
	/*
	 * A part that is missing may have been the ends of several rows, or the middle of one, as
	 * of environment variables: what is left of it is then two rows.
	 */
	if (got->count != whole->count && has_gap(got, columns))
		return all_known(guest, view, got, whole, said);
	if (got->count != whole->count) {
		say(guest, view, said, "%zu rows, not %zu, and no warning", got->count,
		    whole->count);
		return false;
	}
	for (size_t i = 0; i < got->count; i++) {
		int wrong = wrong_cell(got->rows[i], whole->rows[i], columns);

		if (wrong >= 0) {
			say(guest, view, said, "row %zu, %s: \"%s\", not \"%s\", and no warning", i,
			    view->schema.columns[wrong].name, cell_of(got->rows[i], wrong),
			    cell_of(whole->rows[i], wrong));
			return false;
		}
	}
	return true;
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* The pages that were touched, in an order that the seed alone decides. */
static uint64_t *shuffled(const struct hash_map *touched)
{
	uint64_t *pages = calloc(touched->count + 1, sizeof(*pages)), seed = 88172645463325252u;
	size_t count = 0;

	if (!pages)
		die(&error_nomem);
	for (size_t i = 0; i < touched->capacity; i++) {
		if (touched->entries[i].used)
			pages[count++] = touched->entries[i].key;
	}
	for (size_t i = count; i > 1; i--) {
		size_t other = next_random(&seed) % i;
		uint64_t page = pages[i - 1];

		pages[i - 1] = pages[other];
		pages[other] = page;
	}
	return pages;
}

/* Another change for each place, whatever their order. */
static void change_at(struct guest *guest, uint64_t address, unsigned number)
{
	guest->changed = address;
	guest->change = number + (unsigned)(address >> 3);
}

static void try_view(struct guest *guest, const struct view *view, uint64_t budget_us)
{
	struct result whole = {0}, got = {0};
	unsigned faults = 0, warned = 0;
	_cleanup_free_ uint64_t *pages = NULL;
	uint64_t end;
	size_t tried = 0;

	hash_map_clear(&guest->touched);
	guest->missing = guest->changed = UINT64_MAX;
	guest->recording = true;
	run(guest, view, &whole);
	guest->recording = false;
	if (whole.failed) {
		printf("%s: an error although all pages are there\n", view->schema.name);
		guest->faults++;
	}
	pages = shuffled(&guest->touched);
	end = clock_us() + budget_us;
	for (; tried < guest->touched.count && clock_us() < end; tried++) {
		if (guest->words)
			change_at(guest, pages[tried], (unsigned)tried);
		else
			guest->missing = pages[tried];
		run(guest, view, &got);
		faults += !check(guest, view, &got, &whole, faults);
		warned += got.failed || !has_lines(whole.warnings, got.warnings);
	}
	guest->missing = guest->changed = UINT64_MAX;
	printf("%s%s%s: %zu rows, %zu of %zu %s, %u told of by a warning or an error, "
	       "%u in silence\n",
	       view->schema.name, guest->check ? ", " : "", guest->check ? guest->check : "",
	       whole.count, tried, guest->touched.count,
	       guest->words ? "words changed" : "pages taken out", warned, faults);
	for (size_t i = 0; guest->listed && i < ARRAY_SIZE(unseen); i++) {
		if (!strcmp(view->schema.name, unseen[i].view))
			printf("  and %u times: %s\n", guest->listed, unseen[i].why);
	}
	guest->listed = 0;
	guest->faults += faults;
	clear(&whole);
	clear(&got);
	free(whole.rows);
	free(got.rows);
}

/* Tries all views within a time; each check as if it were a view. */
static void try_all(struct guest *guest, uint64_t budget_us)
{
	size_t count, check_count;
	const struct view *const *views = view_registry(&count);
	const struct check *const *checks = check_registry(&check_count);
	uint64_t each_us = budget_us / (count - 1 + check_count);

	/* The checks have the kernel's symbols read, which the view `symbols` then does not. */
	for (size_t i = 0; i < count; i++)
		if (!is_checks(views[i]))
			try_view(guest, views[i], each_us);
	for (size_t i = 0; i < check_count; i++) {
		guest->check = checks[i]->name;
		try_view(guest, view_find("findings"), each_us);
	}
	guest->check = NULL;
}

int main(int argc, char **argv)
{
	static const struct cancel cancel = {.requested = false};
	const struct target_options target_options = {.sigbus_guard = true};
	struct guest_attach_options options = {.cancel = &cancel};
	static struct guest guest;
	struct guest_kernel *arranged = NULL;
	struct target *target;
	struct nunchi_error *err;
	uint64_t seconds;

	if (argc > 1 && !strcmp(argv[1], "words")) {
		guest.words = true;
		argc--;
		argv++;
	}
	if (argc != 2 && argc != 3 && argc != 5) {
		fprintf(stderr, "usage: partial_dump [words] FILE [SECONDS [TYPES SYMBOLS]]\n");
		return 2;
	}
	seconds = argc > 2 ? strtoull(argv[2], NULL, 10) : 60;
	options.types_path = argc > 3 ? argv[3] : NULL;
	options.symbols_path = argc > 3 ? argv[4] : NULL;
	err = target_open(argv[1], &target_options, &target);
	/* The kernel tells how a raw file's memory lies. */
	if (!err)
		err = guest_attach(target, &options, &arranged);
	if (!err)
		err = wrap(&guest, target);
	if (!err)
		err = guest_attach(&guest.target, &options, &guest.kernel);
	if (err)
		die(err);
	try_all(&guest, seconds * 1000000);
	guest_kernel_destroy(guest.kernel);
	memory_destroy(guest.target.memory);
	hash_map_deinit(&guest.touched);
	guest_kernel_destroy(arranged);
	target_close(target);
	return guest.faults ? 1 : 0;
}
