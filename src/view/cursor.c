/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/cursor.h"
#include "core/array.h"
#include "core/clock.h"
#include "core/pages.h"
#include "view/row.h"
#include "view/selection.h"

#include <string.h>

/*
 * The rows of a query on a running guest are kept in memory until the query is complete; this
 * limits their total size.
 */
#define MAX_KEPT_BYTES ((size_t)96 << 20)
/* When half of the limit is used, texts longer than this are not read any more. */
#define LONG_TEXT 256
/*
 * A row can be torn in copies too: the guest was paused while its kernel wrote the structure, such
 * as the timekeeper. So many moments are tried.
 */
#define MAX_MOMENTS 3

/*
 * Memory for kept rows is allocated in blocks, and the pages of a block are populated at once
 * (pages_take()). The first block has this size; each further block has twice the size of the one
 * before.
 */
#define FIRST_BLOCK ((size_t)32 << 10)
#define LAST_BLOCK  ((size_t)1 << 20)

struct kept_block {
	struct kept_block *before;
	size_t size, used;
	_Alignas(max_align_t) uint8_t bytes[];
};

struct kept_row {
	bool torn;
	struct nunchi_cell cells[]; /* the text of the cells follows */
};

struct view_cursor {
	struct view_source source;
	const struct view *view;
	/* the view's provider for the guest's operating system */
	const struct view_provider *provider;
	struct selection selection;
	uint64_t given;

	void *state; /* the provider's state, or NULL */
	struct view_row row;
	struct nunchi_cell cells[VIEW_MAX_COLUMNS]; /* the row that view_cursor_next() returns */

	/* rows of a running guest, in the blocks; NULL while rows are streamed */
	struct kept_row **kept;
	struct kept_block *blocks; /* the block allocated last comes first */
	size_t kept_count, kept_capacity, kept_bytes, kept_next;
	bool any_torn;  /* a row that is kept */
	bool walk_torn; /* the provider could not read to the end, because the guest changed */
	bool keeping;
	size_t max_bytes;   /* of all rows; SIZE_MAX: no limit */
	size_t given_bytes; /* of the rows that were streamed */
	bool ends_full;     /* a result that is too large ends with a warning */
	bool short_texts;   /* long texts are not read any more */
	uint64_t limit_us;  /* for reading a running guest once; CLOCK_NEVER: none */
	bool ended_early;   /* because of that */
	bool resume_failed;
};

static void stop_provider(struct view_cursor *cursor)
{
	if (cursor->state && cursor->provider->close)
		cursor->provider->close(cursor->state);
	free(cursor->state);
	cursor->state = NULL;
}

static struct nunchi_error *start_provider(struct view_cursor *cursor)
{
	const struct view_provider *provider = cursor->provider;
	struct nunchi_error *err;

	stop_provider(cursor);
	cursor->state = calloc(1, provider->size ? provider->size : 1);
	if (!cursor->state)
		return &error_nomem;
	err = provider->open(cursor->state, cursor->source.kernel, &cursor->selection.request);
	if (err) {
		free(cursor->state);
		cursor->state = NULL;
	}
	return err;
}

/*
 * Turns the result into an error if the guest's memory disappeared, or if the query was cancelled
 * (then a walk just ends).
 */
static struct nunchi_error *check_state(const struct view_cursor *cursor, struct nunchi_error *err)
{
	const struct guest_kernel *kernel = cursor->source.kernel;

	if (err && err != &error_stop)
		return err;
	if (memory_gone(kernel->memory))
		return error_create(NUNCHI_ERROR_GONE,
				    "the guest's memory disappeared while it was read");
	if (cancel_requested(kernel->cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	return err;
}

/* Gets the provider's next row that meets all constraints, in cursor->row. */
static struct nunchi_error *next_match(struct view_cursor *cursor)
{
	for (;;) {
		struct nunchi_error *err;

		row_reset(&cursor->row);
		cursor->source.kernel->text_limit = cursor->short_texts ? LONG_TEXT : 0;
		err = cursor->provider->next(cursor->state, &cursor->row);
		cursor->source.kernel->text_limit = 0;
		if (!err)
			err = row_finish(&cursor->row);
		else if (err == &error_stop && (cursor->row.no_memory || cursor->row.warning_lost))
			err = &error_nomem;
		err = check_state(cursor, err);
		if (err || selection_accepts(&cursor->selection, &cursor->row))
			return err;
	}
}

static void drop_kept(struct view_cursor *cursor)
{
	while (cursor->blocks) {
		struct kept_block *block = cursor->blocks;

		cursor->blocks = block->before;
		free(block);
	}
	cursor->kept_count = 0;
	cursor->kept_bytes = 0;
	cursor->any_torn = cursor->walk_torn = false;
}

static size_t kept_size(const struct view_cursor *cursor)
{
	size_t size =
	    sizeof(struct kept_row) + cursor->selection.column_count * sizeof(struct nunchi_cell);

	for (size_t i = 0; i < cursor->selection.column_count; i++)
		size += cursor->row.cells[cursor->selection.column_index[i]].text_size;
	return size;
}

/*
 * Removes long texts from the row. Each process can have a megabyte of arguments; many such
 * processes must not prevent the others from being shown.
 */
static void drop_long_texts(struct view_cursor *cursor)
{
	for (size_t i = 0; i < cursor->selection.column_count; i++) {
		unsigned column = cursor->selection.column_index[i];

		if (cursor->row.cells[column].text_size > LONG_TEXT)
			row_absent(&cursor->row, column, NUNCHI_ABSENT_LIMIT);
	}
}

/* Allocates memory for a row of `size` bytes; NULL if memory is short. */
static struct kept_row *make_room(struct view_cursor *cursor, size_t size)
{
	size_t aligned = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	struct kept_block *block = cursor->blocks;

	if (!ARRAY_RESERVE(cursor->kept, cursor->kept_count, cursor->kept_capacity, 1))
		return NULL;
	if (!block || aligned > block->size - block->used) {
		size_t capacity = block ? 2 * block->size : FIRST_BLOCK;

		if (capacity > LAST_BLOCK)
			capacity = LAST_BLOCK;
		if (capacity < aligned)
			capacity = aligned;
		block = malloc(sizeof(*block) + capacity);
		if (!block)
			return NULL;
		*block = (struct kept_block){.before = cursor->blocks, .size = capacity};
		pages_take(block->bytes, capacity);
		cursor->blocks = block;
	}
	block->used += aligned;
	return (struct kept_row *)(block->bytes + block->used - aligned);
}

static void copy_cells(const struct view_cursor *cursor, struct kept_row *kept)
{
	char *text = (char *)&kept->cells[cursor->selection.column_count];

	for (size_t i = 0; i < cursor->selection.column_count; i++) {
		struct nunchi_cell *cell = &kept->cells[i];

		*cell = cursor->row.cells[cursor->selection.column_index[i]];
		if (cell->text_size)
			memcpy(text, cell->text, cell->text_size);
		if (cell->text)
			cell->text = text;
		text += cell->text_size;
	}
}

/* Counts the row, and shortens it where half of the space is used. */
static struct nunchi_error *take_space(struct view_cursor *cursor, size_t *used)
{
	size_t size = kept_size(cursor);

	if (size > cursor->max_bytes / 2 || *used > cursor->max_bytes / 2 - size) {
		cursor->short_texts = true;
		drop_long_texts(cursor);
		size = kept_size(cursor);
	}
	if (size <= cursor->max_bytes && *used <= cursor->max_bytes - size) {
		*used += size;
		return NULL;
	}
	if (!cursor->ends_full)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "the result is larger than %zu MiB",
					       cursor->max_bytes >> 20),
				  "ask for fewer columns, or set a limit or a constraint");
	row_warn(&cursor->row, "rows are missing: those before take %zu MiB, which is the limit",
		 cursor->max_bytes >> 20);
	return &error_stop;
}

static struct nunchi_error *keep_row(struct view_cursor *cursor)
{
	struct nunchi_error *err;
	struct kept_row *kept;
	size_t size;

	err = take_space(cursor, &cursor->kept_bytes);
	if (err)
		return err;
	size = kept_size(cursor);
	/* The byte after the last text may be read. */
	kept = make_room(cursor, size + 1);
	if (!kept)
		return &error_nomem;
	kept->torn = cursor->row.torn;
	copy_cells(cursor, kept);
	cursor->kept[cursor->kept_count++] = kept;
	cursor->any_torn |= kept->torn;
	return NULL;
}

/*
 * Runs the whole query and keeps its rows. Copies, and a paused guest, do not change, so that then
 * no row needs to be read twice.
 */
static struct nunchi_error *run_kept(void *data)
{
	struct view_cursor *cursor = data;
	const struct moment now = {.target = cursor->source.target};
	struct guest_kernel *kernel = cursor->source.kernel;
	uint64_t deadline = cursor->limit_us;
	struct nunchi_error *err;

	if (deadline != CLOCK_NEVER)
		deadline += clock_us();
	drop_kept(cursor);
	cursor->short_texts = false;
	row_deinit(&cursor->row);
	row_init(&cursor->row, &cursor->view->schema);
	kernel->live = !moment_is_still(&now);
	kernel->until_us = deadline;
	kernel->late = false;
	err = start_provider(cursor);
	while (!err && !(cursor->selection.request.limit &&
			 cursor->kept_count == cursor->selection.request.limit)) {
		err = next_match(cursor);
		if (!err)
			err = keep_row(cursor);
		if ((!err && clock_us() >= deadline) || (err == &error_stop && kernel->late)) {
			cursor->ended_early = true;
			row_warn(&cursor->row,
				 "rows are missing: reading the guest took longer than the limit "
				 "for this query");
			err = &error_stop;
		}
	}
	stop_provider(cursor);
	kernel->live = true;
	kernel->until_us = 0;
	if (err != &error_stop)
		return err;
	cursor->walk_torn = cursor->row.torn;
	return NULL;
}

/*
 * Whether there is time to read the guest again, into copies and then from these, after reading it
 * once took took_us. Each of both gets half of the time that is left; else the limit would cut off
 * rows that were read already.
 */
static bool is_time_left(struct view_cursor *cursor, uint64_t took_us)
{
	if (cursor->limit_us == CLOCK_NEVER)
		return true;
	if (took_us > cursor->limit_us / 5)
		return false;
	cursor->limit_us = (cursor->limit_us - took_us) / 2;
	return true;
}

/*
 * Runs the query on copies of one moment. If the moment is the session's, the session keeps the
 * copies.
 */
static struct nunchi_error *run_captured(struct view_cursor *cursor)
{
	struct moment own = {.target = cursor->source.target};
	struct moment *moment = cursor->source.moment ? cursor->source.moment : &own;
	struct nunchi_error *err;
	uint64_t number, start;

	for (unsigned i = 1;; i++) {
		number = moment->number;
		start = clock_us();
		err = moment_run(moment, cursor->source.pause == NUNCHI_PAUSE_ALWAYS, run_kept,
				 cursor);
		/* Copies that the moment had before are what other cursors show too. */
		if (err || !cursor->any_torn || moment->number == number || i == MAX_MOMENTS ||
		    !is_time_left(cursor, clock_us() - start))
			break;
		moment_end(moment);
	}
	cursor->resume_failed = moment->resume_failed;
	if (!cursor->source.moment)
		moment_end(moment);
	return err;
}

/* Whether torn rows are better than this error, which occurred in an attempt to avoid them. */
static bool may_stay_torn(const struct view_cursor *cursor, const struct nunchi_error *err)
{
	return err && !cursor->resume_failed && !error_is(err, NUNCHI_ERROR_NOMEM) &&
	       !error_is(err, NUNCHI_ERROR_CANCELLED) && !error_is(err, NUNCHI_ERROR_GONE);
}

static struct nunchi_error *run_live(struct view_cursor *cursor)
{
	struct target *target = cursor->source.target;
	_cleanup_error_ struct nunchi_error *reason = NULL;
	uint64_t start = clock_us();
	struct nunchi_error *err;

	cursor->keeping = true;
	if (cursor->source.pause == NUNCHI_PAUSE_ALWAYS)
		return error_context(run_captured(cursor), "with the guest paused");
	memory_new_generation(target->memory);
	err = run_kept(cursor);
	if (err || cursor->ended_early || !(cursor->any_torn || cursor->walk_torn) ||
	    cursor->source.pause != NUNCHI_PAUSE_AUTO || !target->support[TARGET_PAUSE].available ||
	    !is_time_left(cursor, clock_us() - start))
		return err;
	err = run_captured(cursor);
	if (!may_stay_torn(cursor, err))
		return err;
	reason = err;
	err = run_kept(cursor);
	if (!err)
		row_warn(&cursor->row, "torn rows, since reading with the guest paused failed: %s",
			 nunchi_error_message(reason));
	return err;
}

/* Finds the view's provider for the guest's operating system. */
static struct nunchi_error *take_provider(struct view_cursor *cursor)
{
	const struct guest_system *system = cursor->source.kernel->system;
	const struct view *view = cursor->view;

	for (size_t i = 0; i < VIEW_MAX_SYSTEMS && view->providers[i].system; i++) {
		if (view->providers[i].system == system) {
			cursor->provider = &view->providers[i];
			return NULL;
		}
	}
	return error_create(NUNCHI_ERROR_UNSUPPORTED, "it does not exist for guests that run %s",
			    system->name);
}

struct nunchi_error *view_cursor_create(const struct view_source *source, const struct view *view,
					const struct nunchi_query *query, struct view_cursor **ret)
{
	struct view_cursor *cursor = calloc(1, sizeof(*cursor));
	struct nunchi_error *err;

	if (!cursor)
		return &error_nomem;
	cursor->source = *source;
	cursor->view = view;
	cursor->ends_full = query && query->max_bytes;
	if (cursor->ends_full)
		cursor->max_bytes = query->max_bytes;
	else
		cursor->max_bytes =
		    source->target->live && !source->still ? MAX_KEPT_BYTES : SIZE_MAX;
	cursor->limit_us = query && query->max_ms ? query->max_ms * CLOCK_US_PER_MS : CLOCK_NEVER;
	row_init(&cursor->row, &view->schema);
	err = take_provider(cursor);
	if (!err)
		err = selection_init(&cursor->selection, "view", &view->schema, query);
	if (!err)
		err = source->target->live && !source->still ? run_live(cursor)
							     : start_provider(cursor);
	if (err) {
		view_cursor_destroy(cursor);
		return error_context(err, "view %s", view->schema.name);
	}
	*ret = cursor;
	return NULL;
}

void view_cursor_destroy(struct view_cursor *cursor)
{
	if (!cursor)
		return;
	stop_provider(cursor);
	drop_kept(cursor);
	free(cursor->kept);
	row_deinit(&cursor->row);
	selection_deinit(&cursor->selection);
	free(cursor);
}

const struct nunchi_column *const *view_cursor_columns(const struct view_cursor *cursor,
						       size_t *ret_count)
{
	*ret_count = cursor->selection.column_count;
	return cursor->selection.columns;
}

struct nunchi_error *view_cursor_next(struct view_cursor *cursor,
				      const struct nunchi_cell **ret_cells, bool *ret_torn)
{
	struct nunchi_error *err;

	if (cursor->keeping) {
		if (cursor->kept_next == cursor->kept_count)
			return &error_stop;
		*ret_cells = cursor->kept[cursor->kept_next]->cells;
		*ret_torn = cursor->kept[cursor->kept_next++]->torn;
		return NULL;
	}
	if (!cursor->state ||
	    (cursor->selection.request.limit && cursor->given == cursor->selection.request.limit))
		return &error_stop;
	err = next_match(cursor);
	if (!err)
		err = take_space(cursor, &cursor->given_bytes);
	if (err) {
		stop_provider(cursor);
		return err;
	}
	for (size_t i = 0; i < cursor->selection.column_count; i++)
		cursor->cells[i] = cursor->row.cells[cursor->selection.column_index[i]];
	cursor->given++;
	*ret_cells = cursor->cells;
	*ret_torn = cursor->row.torn;
	return NULL;
}

const char *view_cursor_warning(const struct view_cursor *cursor, size_t index)
{
	return index < cursor->row.warning_count ? cursor->row.warnings[index] : NULL;
}
