/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows, files, mappings, help, and the last line. */
#include "top/draw.h"

#include <stdlib.h>
#include <string.h>

/* ---- The table ------------------------------------------------------------------------------- */

/* A narrow pane has the first columns alone, from the most important one on. */
static const struct {
	const char *name;
	int width;
	int least; /* width of the pane from which on it is shown */
} table[TOP_COLUMNS] = {
    [TOP_COLUMN_PID] = {"PID", 7, 0},         [TOP_COLUMN_UID] = {"UID", 6, 60},
    [TOP_COLUMN_STATE] = {"S", 2, 0},         [TOP_COLUMN_THREADS] = {"THR", 5, 70},
    [TOP_COLUMN_CPU] = {"CPU%", 6, 0},        [TOP_COLUMN_RESIDENT] = {"RES", 6, 36},
    [TOP_COLUMN_MEMORY] = {"MEM%", 6, 50},    [TOP_COLUMN_TIME] = {"TIME+", 10, 56},
    [TOP_COLUMN_COMMAND] = {"COMMAND", 0, 0},
};

static void cell_text(const struct top_row *row, enum top_column column, char ret[TOP_CELL_SIZE])
{
	const struct top_cell *numbers = row->task->numbers;

	switch (column) {
	case TOP_COLUMN_UID:
		top_text_number(numbers[TOP_UID], ret);
		break;
	case TOP_COLUMN_STATE:
		snprintf(ret, TOP_CELL_SIZE, "%c",
			 row->task->state > ' ' && row->task->state < 127 ? row->task->state : '?');
		break;
	case TOP_COLUMN_THREADS:
		top_text_number(numbers[TOP_THREADS], ret);
		break;
	case TOP_COLUMN_CPU:
		top_text_share(row->cpu, ret);
		break;
	case TOP_COLUMN_RESIDENT:
		top_text_size(numbers[TOP_RESIDENT], ret);
		break;
	case TOP_COLUMN_MEMORY:
		top_text_share(row->memory, ret);
		break;
	case TOP_COLUMN_TIME:
		top_text_time(row->time_ms, ret);
		break;
	default:
		top_text_number(numbers[TOP_PID], ret);
	}
}

static void draw_columns(struct area *area)
{
	const struct top_order *order = &area->pane->order;
	int x = 0;

	draw_text(area, 0, area->width, A_REVERSE, PAIR_HEAD, "");
	for (size_t i = 0; i < TOP_COLUMNS; i++) {
		attr_t look = i == order->column ? A_REVERSE | A_BOLD | A_UNDERLINE : A_REVERSE;
		int size = (int)strlen(table[i].name);

		if (area->width < table[i].least)
			continue;
		if (table[i].width)
			draw_text(area, x + table[i].width - size, size, look, PAIR_HEAD,
				  table[i].name);
		else
			draw_text(area, x + 1, size, look, PAIR_HEAD, table[i].name);
		x += table[i].width;
	}
	area->y++;
}

static void append_branch(const struct top_screen *screen, const struct top_row *row,
			  struct buffer *text)
{
	unsigned depth = row->depth < 12 ? row->depth : 12;

	if (!depth)
		return;
	buffer_printf(text, "%*s", 3 * (int)(depth - 1), "");
	if (screen->utf8)
		buffer_append_string(text, row->is_last ? "└─ " : "├─ ");
	else
		buffer_append_string(text, row->is_last ? "`- " : "|- ");
}

static void draw_row(struct area *area, const struct top_row *row, bool chosen)
{
	_cleanup_buffer_ struct buffer text = {.limit = 65536};
	attr_t look = chosen ? A_REVERSE : row->task->is_thread ? A_DIM : A_NORMAL;
	int x = 0;

	draw_text(area, 0, area->width, look, 0, "");
	for (size_t i = 0; i + 1 < TOP_COLUMNS; i++) {
		char cell[TOP_CELL_SIZE];

		if (area->width < table[i].least)
			continue;
		cell_text(row, i, cell);
		int size = (int)strlen(cell), room = table[i].width - 1;

		draw_text(area, x + (size < room ? table[i].width - size : 1), room, look, 0, cell);
		x += table[i].width;
	}
	if (area->pane->order.tree)
		append_branch(area->screen, row, &text);
	top_text_command(area->pane->source.now, row->task, &text);
	draw_text(area, x + 1, area->width - x - 1, look, 0, buffer_string(&text));
	area->y++;
}

void draw_table(struct area *area, int end)
{
	struct top_pane *pane = area->pane;
	size_t room;

	draw_columns(area);
	room = pane->rows_seen = end > area->y ? (size_t)(end - area->y) : 0;
	if (pane->at < pane->first)
		pane->first = pane->at;
	if (room && pane->at >= pane->first + room)
		pane->first = pane->at - room + 1;
	if (pane->first + room > pane->model.count)
		pane->first = pane->model.count > room ? pane->model.count - room : 0;
	for (size_t i = pane->first; i < pane->model.count && area->y < end; i++)
		draw_row(area, &pane->model.rows[i], i == pane->at);
}

/* ---- Files and mappings ---------------------------------------------------------------------- */

void draw_details(struct area *area, int end)
{
	struct top_pane *pane = area->pane;
	const struct top_reading *now = pane->source.now;
	bool files = pane->details == TOP_FILES;
	const struct top_text *lines = files ? now->files : now->maps;
	size_t count = files ? now->file_count : now->map_count;
	char title[128];

	if (now->general.details_pid != pane->details_pid)
		count = 0;
	snprintf(title, sizeof(title), " %s of process %lld: %zu%s",
		 files ? "open files and sockets" : "mappings", (long long)pane->details_pid, count,
		 now->general.details_pid != pane->details_pid ? " (being read)" : "");
	draw_line(area, A_REVERSE, PAIR_HEAD, title);
	pane->rows_seen = end > area->y ? (size_t)(end - area->y) : 0;
	if (pane->detail_first >= count)
		pane->detail_first = count ? count - 1 : 0;
	for (size_t i = pane->detail_first; i < count && area->y < end; i++) {
		_cleanup_buffer_ struct buffer text = {.limit = 65536};
		size_t size;
		const char *bytes = top_reading_text(now, &lines[i], &size);

		for (size_t at = 0; at < size; at++)
			buffer_append_string(&text,
					     bytes[at] == '\t' ? "  " : (char[2]){bytes[at], '\0'});
		draw_line(area, A_NORMAL, 0, buffer_string(&text));
	}
}

/* ---- Help, and the last line ----------------------------------------------------------------- */

static const char help_text[] =
    "Up Down PgUp PgDn Home End   move\n"
    "Tab                          the next guest\n"
    "P M T N C                    sort by CPU, memory, time, id, command\n"
    "< >                          sort by the column to the left, to the right\n"
    "I                            the other direction\n"
    "t F5                         tree\n"
    "H                            threads\n"
    "\\ F4                         filter: only rows with this text\n"
    "/ F3, n                      search; the next one\n"
    "l Enter                      open files and sockets of the process\n"
    "m                            its mappings\n"
    "Esc                          back\n"
    "+ -                          refresh more seldom, more often\n"
    "q F10 Ctrl-C                 end\n"
    "CPU% is of one CPU, by the guest's own clock and counters. The guest is never paused.";

void draw_help(struct area *area, int end)
{
	const char *at = help_text;

	while (*at && area->y < end) {
		size_t size = strcspn(at, "\n");
		char line[128];

		snprintf(line, sizeof(line), "%.*s", (int)size, at);
		draw_line(area, A_NORMAL, 0, line);
		at += size + (at[size] == '\n');
	}
}

/* The last line: what is typed, what is wrong, or which keys there are. */
void draw_foot(struct area *area)
{
	const struct top_screen *screen = area->screen;
	const struct top_pane *pane = area->pane;
	_cleanup_buffer_ struct buffer text = {.limit = 65536};
	short pair = 0;

	if (screen->typing != TOP_KEYS && pane == &screen->top->panes[screen->active]) {
		bool filter = screen->typing == TOP_TYPES_FILTER;

		buffer_printf(&text, "%s: %s_", filter ? "Filter" : "Search",
			      filter ? pane->filter : pane->search);
	} else if (pane->source.error) {
		char *message = top_text_escaped(nunchi_error_message(pane->source.error));

		buffer_printf(&text, "%s; trying again", message ? message : "");
		free(message);
		pair = PAIR_BAD;
	} else if (pane->source.now && pane->source.now->warning_count) {
		top_text_append(pane->source.now, &pane->source.now->warnings[0], &text);
		pair = PAIR_BAD;
	} else if (screen->help || pane->details != TOP_NO_DETAILS) {
		buffer_append_string(&text, "h help  Esc back");
	} else if (pane->source.now && !pane->source.now->general.live) {
		buffer_append_string(&text,
				     "a saved guest: one reading, so no CPU%  h help  q end");
	} else {
		buffer_printf(&text,
			      "h help  t tree  H threads  / search  \\ filter%s  l files  "
			      "m mappings  q end",
			      pane->filter[0] ? "*" : "");
	}
	draw_text(area, 0, area->width, A_REVERSE, pair, buffer_string(&text));
}
