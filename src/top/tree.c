/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/tree.h"

#include <stdlib.h>
#include <string.h>

struct sorting {
	const struct top_reading *reading;
	enum top_column column;
	int sign;
};

static int compare_integers(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

/* 0 also if neither is known; what is not known comes last, whatever the direction is. */
static int compare_cells(const struct top_cell *a, const struct top_cell *b, int sign)
{
	if (!top_known(a) || !top_known(b))
		return top_known(b) - top_known(a);
	return sign * compare_integers(a->value, b->value);
}

static int compare_shares(const struct top_share *a, const struct top_share *b, int sign)
{
	bool knows_a = a->absence == TOP_KNOWN, knows_b = b->absence == TOP_KNOWN;

	if (!knows_a || !knows_b)
		return knows_b - knows_a;
	return a->percent < b->percent ? -sign : a->percent > b->percent ? sign : 0;
}

static int compare_texts(const struct top_reading *reading, const struct top_task *a,
			 const struct top_task *b)
{
	size_t size_a, size_b, size;
	const char *x = top_reading_text(reading, &a->command, &size_a);
	const char *y = top_reading_text(reading, &b->command, &size_b);
	int result;

	if (!size_a)
		x = top_reading_text(reading, &a->name, &size_a);
	if (!size_b)
		y = top_reading_text(reading, &b->name, &size_b);
	size = size_a < size_b ? size_a : size_b;
	result = size ? memcmp(x, y, size) : 0;
	return result ? result : compare_integers((int64_t)size_a, (int64_t)size_b);
}

static int compare_column(const struct top_row *a, const struct top_row *b,
			  const struct sorting *sorting)
{
	const struct top_cell *x = a->task->numbers, *y = b->task->numbers;
	int sign = sorting->sign;

	switch (sorting->column) {
	case TOP_COLUMN_UID:
		return compare_cells(&x[TOP_UID], &y[TOP_UID], sign);
	case TOP_COLUMN_STATE:
		return sign * compare_integers(a->task->state, b->task->state);
	case TOP_COLUMN_THREADS:
		return compare_cells(&x[TOP_THREADS], &y[TOP_THREADS], sign);
	case TOP_COLUMN_CPU:
		return compare_shares(&a->cpu, &b->cpu, sign);
	case TOP_COLUMN_RESIDENT:
		return compare_cells(&x[TOP_RESIDENT], &y[TOP_RESIDENT], sign);
	case TOP_COLUMN_MEMORY:
		return compare_shares(&a->memory, &b->memory, sign);
	case TOP_COLUMN_TIME:
		return compare_cells(&a->time_ms, &b->time_ms, sign);
	case TOP_COLUMN_COMMAND:
		return sign * compare_texts(sorting->reading, a->task, b->task);
	default:
		return compare_cells(&x[TOP_PID], &y[TOP_PID], sign);
	}
}

/* Of equal rows the one with the smaller id comes first. */
static int compare_rows(const void *a_pointer, const void *b_pointer, void *sorting)
{
	const struct top_row *a = a_pointer, *b = b_pointer;
	int result = compare_column(a, b, sorting);

	if (!result)
		result = compare_cells(&a->task->numbers[TOP_PID], &b->task->numbers[TOP_PID], 1);
	/* Of equal ids the one that was read first. */
	return result ? result : (a->task > b->task) - (a->task < b->task);
}

bool top_column_descends(enum top_column column)
{
	return column >= TOP_COLUMN_THREADS && column <= TOP_COLUMN_TIME;
}

/* ---- The tree -------------------------------------------------------------------------------- */

/* The parent of those that have none in the list; no task has this id. */
#define ROOT INT64_MIN

/* A row, by the id of its task and by that of its parent. */
struct branch {
	int64_t id, parent;
	size_t row; /* in the order of the list */
	bool pushed;
	bool followed; /* the children of its parent were pushed, if it is the first of these */
};

struct tree {
	struct branch *by_parent; /* by parent, then in the order of the list */
	int64_t *ids;             /* sorted */
	size_t *stack;
	size_t count, stack_size;
	struct top_row *rows, *sorted;
	size_t sorted_count;
};

static int compare_branches(const void *a_pointer, const void *b_pointer)
{
	const struct branch *a = a_pointer, *b = b_pointer;
	int result = compare_integers(a->parent, b->parent);

	return result ? result : compare_integers((int64_t)a->row, (int64_t)b->row);
}

static int compare_ids(const void *a, const void *b)
{
	return compare_integers(*(const int64_t *)a, *(const int64_t *)b);
}

static int64_t number_or(const struct top_cell *cell, int64_t otherwise)
{
	return top_known(cell) ? cell->value : otherwise;
}

static size_t first_child(const struct tree *tree, int64_t parent)
{
	size_t low = 0, high = tree->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (tree->by_parent[mid].parent < parent)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Each branch is on the stack once at most, so that the stack never holds more than there are. */
static void push(struct tree *tree, size_t branch, unsigned depth, bool is_last)
{
	struct branch *it = &tree->by_parent[branch];

	if (it->pushed)
		return;
	it->pushed = true;
	tree->rows[it->row].depth = depth;
	tree->rows[it->row].is_last = is_last;
	tree->stack[tree->stack_size++] = branch;
}

static void write_branches(struct tree *tree)
{
	while (tree->stack_size) {
		const struct branch *branch = &tree->by_parent[tree->stack[--tree->stack_size]];
		const struct top_row *row = &tree->rows[branch->row];
		size_t first = first_child(tree, branch->id), end = first;

		tree->sorted[tree->sorted_count++] = *row;
		/* Several rows may have the same id. */
		if (first < tree->count && tree->by_parent[first].followed)
			continue;
		while (end < tree->count && tree->by_parent[end].parent == branch->id)
			end++;
		if (end > first)
			tree->by_parent[first].followed = true;
		for (size_t i = end; i > first; i--)
			push(tree, i - 1, row->depth + 1, i == end);
	}
}

/* First the trees whose root has no parent in the list, then those whose parents form a circle. */
static void write_tree(struct tree *tree)
{
	for (size_t i = first_child(tree, ROOT + 1); i > 0; i--)
		push(tree, i - 1, 0, false);
	write_branches(tree);
	for (size_t i = 0; i < tree->count; i++) {
		push(tree, i, 0, false);
		write_branches(tree);
	}
}

/* The parent of a task; ROOT if it is not in the list. */
static int64_t parent_of(const struct tree *tree, const struct top_cell *numbers)
{
	int64_t parent = number_or(&numbers[TOP_PARENT], ROOT);

	if (parent == number_or(&numbers[TOP_PID], ROOT) ||
	    !bsearch(&parent, tree->ids, tree->count, sizeof(parent), compare_ids))
		return ROOT;
	return parent;
}

static bool sort_tree(struct top_row *rows, size_t count)
{
	struct tree tree = {.count = count, .rows = rows};
	bool good;

	tree.by_parent = calloc(count + 1, sizeof(*tree.by_parent));
	tree.ids = calloc(count + 1, sizeof(*tree.ids));
	tree.stack = calloc(count + 1, sizeof(*tree.stack));
	tree.sorted = calloc(count + 1, sizeof(*tree.sorted));
	good = tree.by_parent && tree.ids && tree.stack && tree.sorted;
	for (size_t i = 0; good && i < count; i++)
		tree.ids[i] = number_or(&rows[i].task->numbers[TOP_PID], -1);
	if (good) {
		qsort(tree.ids, count, sizeof(*tree.ids), compare_ids);
		for (size_t i = 0; i < count; i++)
			tree.by_parent[i] = (struct branch){
			    .id = number_or(&rows[i].task->numbers[TOP_PID], -1),
			    .parent = parent_of(&tree, rows[i].task->numbers),
			    .row = i,
			};
		qsort(tree.by_parent, count, sizeof(*tree.by_parent), compare_branches);
		write_tree(&tree);
		memcpy(rows, tree.sorted, count * sizeof(*rows));
	}
	free(tree.by_parent);
	free(tree.ids);
	free(tree.stack);
	free(tree.sorted);
	return good;
}

bool top_rows_sort(struct top_row *rows, size_t count, const struct top_reading *reading,
		   const struct top_order *order)
{
	struct sorting sorting = {reading, order->column,
				  top_column_descends(order->column) != order->reverse ? -1 : 1};

	if (!count)
		return true;
	qsort_r(rows, count, sizeof(*rows), compare_rows, &sorting);
	return !order->tree || sort_tree(rows, count);
}
