/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report/sections.h"

#include "core/array.h"
#include "output/writer.h"
#include "report/markup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Branches of the tree are drawn to this depth. */
#define MOST_DEPTH 32

const struct section_kind section_kinds[SECTION_COUNT] = {
#define SECTION(name, form, title, about, ...) {#name, title, about, SECTION_##form, {__VA_ARGS__}},
#include "report/sections.def"
#undef SECTION
};

/* By how much they want to be looked at. */
static const char *const severities[] = {"alarm", "warning", "unknown", "note", "ok"};

static const struct nunchi_column *find_column(const char *view_name, const char *name)
{
	const struct nunchi_view *view = nunchi_view_find(view_name);

	for (size_t i = 0; view && i < view->column_count; i++)
		if (!strcmp(view->columns[i].name, name))
			return &view->columns[i];
	return NULL;
}

void section_init(struct section *section, enum section_name name,
		  struct section_processes *processes, size_t most_bytes)
{
	const struct section_kind *kind = &section_kinds[name];

	*section = (struct section){.kind = kind, .processes = processes};
	buffer_init(&section->cells, most_bytes);
	while (kind->columns[section->column_count]) {
		section->columns[section->column_count] =
		    find_column(kind->name, kind->columns[section->column_count]);
		section->column_count++;
	}
}

void section_deinit(struct section *section)
{
	buffer_deinit(&section->cells);
	free(section->rows);
	free(section->failure);
}

void section_processes_deinit(struct section_processes *processes)
{
	free(processes->items);
	free(processes->nodes);
	free(processes->ids);
	free(processes->order);
	buffer_deinit(&processes->names);
	*processes = (struct section_processes){0};
}

size_t section_process_find(const struct section_processes *processes, int64_t pid)
{
	if (!processes->ids)
		return TREE_NONE;
	return tree_find(processes->nodes, processes->count, processes->ids, pid);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static int64_t integer_or(const struct nunchi_cell *cell, int64_t otherwise)
{
	return cell->kind == NUNCHI_CELL_VALUE ? cell->integer : otherwise;
}

static bool is_column(const struct section *section, size_t i, const char *name)
{
	return !strcmp(section->columns[i]->name, name);
}

/* A process id, as a link to the process if it is on the page, and its name where there is room. */
static void append_process(struct section *section, size_t i, const struct nunchi_cell *cell)
{
	const struct section_processes *processes = section->processes;
	bool has_name = section->kind->form == SECTION_OF_PROCESSES;
	struct buffer *out = &section->cells;
	size_t found = TREE_NONE;

	if (cell->kind == NUNCHI_CELL_VALUE)
		found = section_process_find(processes, cell->integer);
	if (found == TREE_NONE) {
		markup_cell(out, section->columns[i], cell);
		buffer_append_string(out, has_name ? "<td></td>" : "");
		return;
	}
	buffer_printf(out, "<td class=\"number\"><a href=\"#p%" PRId64 "\">%" PRId64 "</a></td>",
		      cell->integer, cell->integer);
	if (!has_name)
		return;
	buffer_append_string(out, "<td>");
	buffer_append(out, buffer_string(&processes->names) + processes->items[found].name_at,
		      processes->items[found].name_size);
	buffer_append_string(out, "</td>");
}

/* Where the branches of the tree are to be put into the cell that begins there; 0: nowhere. */
static size_t branches_at(const struct section *section, size_t i, const struct nunchi_cell *cell,
			  size_t begin)
{
	const char *cells = buffer_string(&section->cells);
	const char *end;

	if (section->kind->form != SECTION_TREE || !is_column(section, i, "name") ||
	    cell->kind != NUNCHI_CELL_VALUE || section->cells.failed)
		return 0;
	end = strchr(cells + begin, '>');
	return end ? (size_t)(end - cells) + 1 : 0;
}

/* The beginning of a line in a section that has a name in each. */
static void append_line_name(struct section *section, size_t i, const struct nunchi_cell *cell)
{
	const struct nunchi_column *column = section->columns[i];
	struct buffer *out = &section->cells;

	buffer_append_string(out, "<tr><th scope=\"row\"");
	if (section->kind->form == SECTION_FACTS) {
		buffer_append_string(out, " title=\"");
		markup_string(out, column->description);
		buffer_append_string(out, "\">");
		markup_string(out, column->name);
	} else {
		buffer_append_char(out, '>');
		markup_text(out, cell->text, cell->kind == NUNCHI_CELL_VALUE ? cell->text_size : 0);
	}
	buffer_append_string(out, "</th>");
}

/* Gives where the branches of the tree are to be put in; 0: nowhere. */
static size_t append_cells(struct section *section, const struct nunchi_cell *cells)
{
	enum section_form form = section->kind->form;
	size_t branches = 0, begin;

	for (size_t i = 0; i < section->column_count; i++) {
		if (form == SECTION_FACTS || (form == SECTION_PAIRS && !i))
			append_line_name(section, i, &cells[i]);
		if (form == SECTION_PAIRS && !i)
			continue;
		begin = section->cells.size;
		if (form != SECTION_TREE && is_column(section, i, "pid"))
			append_process(section, i, &cells[i]);
		else
			markup_cell(&section->cells, section->columns[i], &cells[i]);
		branches += branches_at(section, i, &cells[i], begin);
		if (form == SECTION_FACTS)
			buffer_append_string(&section->cells, "</tr>\n");
	}
	if (form == SECTION_PAIRS)
		buffer_append_string(&section->cells, "</tr>\n");
	return branches;
}

static void count_absent(struct section *section, const struct nunchi_cell *cells)
{
	enum nunchi_absence why;

	for (size_t i = 0; i < section->column_count; i++)
		if (writer_is_absent(&cells[i], &why) && why < SECTION_ABSENCES)
			section->absent[i][why]++;
}

/* The severity of a finding, by its number. */
static size_t severity_of(const struct nunchi_cell *cell)
{
	size_t i = 0;

	while (cell->kind == NUNCHI_CELL_VALUE && i < ARRAY_SIZE(severities) &&
	       (strlen(severities[i]) != cell->text_size ||
		memcmp(severities[i], cell->text, cell->text_size)))
		i++;
	return i;
}

static bool add_process(struct section *section, const struct nunchi_cell *cells)
{
	struct section_processes *processes = section->processes;
	struct section_process process = {.name_at = processes->names.size};
	struct tree_node node;

	if (!ARRAY_RESERVE(processes->items, processes->count, processes->capacity, 1) ||
	    !ARRAY_RESERVE(processes->nodes, processes->count, processes->node_capacity, 1))
		return false;
	for (size_t i = 0; i < section->column_count; i++) {
		const struct nunchi_cell *cell = &cells[i];

		if (is_column(section, i, "pid"))
			node.id = integer_or(cell, INT64_MIN);
		else if (is_column(section, i, "parent"))
			node.parent = integer_or(cell, INT64_MIN);
		else if (is_column(section, i, "name") && cell->kind == NUNCHI_CELL_VALUE)
			markup_text(&processes->names, cell->text, cell->text_size);
		else if (is_column(section, i, "start_time")) {
			process.has_start = cell->kind == NUNCHI_CELL_VALUE;
			process.start = integer_or(cell, 0);
		} else if (is_column(section, i, "is_kernel_thread"))
			process.is_kernel_thread = integer_or(cell, 0) == 1;
	}
	process.name_size = processes->names.size - process.name_at;
	processes->items[processes->count] = process;
	processes->nodes[processes->count++] = node;
	return !processes->names.failed;
}

void section_take(void *data, const struct nunchi_cell *cells, size_t count, bool torn)
{
	struct section *section = data;
	struct section_row row = {
	    .at = section->cells.size, .number = section->count, .torn = torn};

	(void)count;
	if (section->cut || section->no_memory)
		return;
	if (section->count == SECTION_MOST_ROWS) {
		section->cut = true;
		return;
	}
	if (section->kind == &section_kinds[SECTION_findings]) {
		row.order = (int64_t)severity_of(&cells[0]);
		row.severity = row.order < ARRAY_SIZE(severities) ? severities[row.order] : NULL;
	}
	row.branches = append_cells(section, cells);
	row.size = section->cells.size - row.at;
	if (section->cells.failed) {
		section->cut = !section->cells.no_memory;
		section->no_memory = section->cells.no_memory;
		return;
	}
	if (!ARRAY_RESERVE(section->rows, section->count, section->capacity, 1) ||
	    (section->kind->form == SECTION_TREE && !add_process(section, cells))) {
		section->no_memory = true;
		return;
	}
	section->rows[section->count++] = row;
	section->torn += torn;
	count_absent(section, cells);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static int compare_rows(const void *a_pointer, const void *b_pointer)
{
	const struct section_row *a = a_pointer, *b = b_pointer;

	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

static bool order_tree(struct section *section)
{
	struct section_processes *processes = section->processes;

	processes->ids = calloc(section->count + 1, sizeof(*processes->ids));
	processes->order = calloc(section->count + 1, sizeof(*processes->order));
	if (!processes->ids || !processes->order)
		return false;
	tree_order(processes->nodes, processes->count, processes->ids, processes->order);
	for (size_t i = 0; i < section->count; i++)
		section->rows[processes->order[i]].order = (int64_t)i;
	return true;
}

bool section_finish(struct section *section)
{
	if (section->no_memory || (section->kind->form == SECTION_TREE && !order_tree(section)))
		return false;
	if (section->count)
		qsort(section->rows, section->count, sizeof(*section->rows), compare_rows);
	return true;
}

/* last[N]: whether the branch at depth N of the rows before is the last one of its parent. */
static void append_branches(const struct tree_node *node, bool *last, struct buffer *out)
{
	size_t depth = node->depth < MOST_DEPTH ? node->depth : MOST_DEPTH;

	last[depth] = node->is_last;
	if (!depth)
		return;
	buffer_append_string(out, "<span class=\"tree\">");
	for (size_t i = 1; i < depth; i++)
		buffer_append_string(out, last[i] ? "   " : "│  ");
	buffer_append_string(out, node->is_last ? "└─ " : "├─ ");
	if (node->depth > depth)
		buffer_printf(out, "+%zu ", node->depth - depth);
	buffer_append_string(out, "</span>");
}

static void append_process_row(const struct section *section, const struct section_row *row,
			       bool *last, struct buffer *out)
{
	const struct section_processes *processes = section->processes;
	const struct tree_node *node = &processes->nodes[row->number];
	const char *cells = buffer_string(&section->cells);
	size_t before = row->branches ? row->branches - row->at : 0;

	buffer_append_string(out, "<tr");
	/* Several processes of a guest that lies may have one id. */
	if (section_process_find(processes, node->id) == row->number && node->id != INT64_MIN)
		buffer_printf(out, " id=\"p%" PRId64 "\"", node->id);
	buffer_printf(out, " data-depth=\"%zu\"", node->depth);
	buffer_append_string(out, row->torn ? " class=\"torn\">" : ">");
	buffer_append(out, cells + row->at, before);
	if (before)
		append_branches(node, last, out);
	buffer_append(out, cells + row->at + before, row->size - before);
	buffer_append_string(out, "</tr>\n");
}

void section_rows(const struct section *section, struct buffer *out)
{
	enum section_form form = section->kind->form;
	bool last[MOST_DEPTH + 1] = {false};

	for (size_t i = 0; i < section->count; i++) {
		const struct section_row *row = &section->rows[i];
		const char *cells = buffer_string(&section->cells) + row->at;

		if (form == SECTION_FACTS || form == SECTION_PAIRS) {
			buffer_append(out, cells, row->size);
		} else if (form == SECTION_TREE) {
			append_process_row(section, row, last, out);
		} else {
			buffer_append_string(out, "<tr");
			if (row->severity || row->torn)
				buffer_printf(out, " class=\"%s%s\"",
					      row->severity ? row->severity : "",
					      row->torn ? " torn" : "");
			buffer_append_char(out, '>');
			buffer_append(out, cells, row->size);
			buffer_append_string(out, "</tr>\n");
		}
	}
}
