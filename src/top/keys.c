/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What keys do. */
#include "top/screen.h"

#include "core/clock.h"

#include <string.h>

#define KEY_ESCAPE 27
#define LEAST_US   200000
#define MOST_US    ((uint64_t)3600 * 1000000)
#define CONTROL(c) ((c)&0x1f)

static struct top_pane *pane_of(struct top_screen *screen)
{
	return &screen->top->panes[screen->active];
}

/* ---- Moving ---------------------------------------------------------------------------------- */

static void go_to(struct top_pane *pane, size_t at)
{
	if (!pane->model.count)
		return;
	pane->at = at < pane->model.count ? at : pane->model.count - 1;
	pane->chosen = pane->model.rows[pane->at].task->numbers[TOP_PID].value;
}

/* The cursor stays there, whichever task that is. */
static void go_to_first(struct top_pane *pane)
{
	pane->at = pane->first = 0;
	pane->chosen = -1;
}

static size_t moved(size_t at, long by)
{
	return by < 0 && at < (size_t)-by ? 0 : at + (size_t)by;
}

static void move_by(struct top_pane *pane, long by)
{
	if (pane->details)
		pane->detail_first = moved(pane->detail_first, by);
	else
		go_to(pane, moved(pane->at, by));
}

static void move_to_end(struct top_pane *pane)
{
	if (pane->details)
		pane->detail_first = SIZE_MAX;
	else
		go_to(pane, SIZE_MAX);
}

static bool take_move(struct top_pane *pane, wint_t key)
{
	long page = pane->rows_seen > 1 ? (long)pane->rows_seen - 1 : 1;

	switch (key) {
	case KEY_UP:
		move_by(pane, -1);
		return true;
	case KEY_DOWN:
		move_by(pane, 1);
		return true;
	case KEY_PPAGE:
		move_by(pane, -page);
		return true;
	case KEY_NPAGE:
		move_by(pane, page);
		return true;
	case KEY_HOME:
		if (pane->details)
			pane->detail_first = 0;
		else
			go_to_first(pane);
		return true;
	case KEY_END:
		move_to_end(pane);
		return true;
	default:
		return false;
	}
}

/* From the row after the cursor on, and then from the first one. */
static void search(struct top_pane *pane, size_t from)
{
	const struct top_model *model = &pane->model;

	for (size_t i = 0; i < model->count && pane->search[0]; i++) {
		size_t at = (from + i) % model->count;

		if (top_task_matches(pane->source.now, model->rows[at].task, pane->search)) {
			go_to(pane, at);
			return;
		}
	}
}

/* ---- Choosing -------------------------------------------------------------------------------- */

static void sort_by(struct top_pane *pane, enum top_column column)
{
	pane->order.column = column;
	pane->order.reverse = false;
	go_to_first(pane);
	top_pane_update(pane);
}

static void show_details(struct top_pane *pane, enum top_details details)
{
	const struct top_row *row;

	if (pane->at >= pane->model.count)
		return;
	row = &pane->model.rows[pane->at];
	pane->details = details;
	pane->details_pid = row->task->numbers[TOP_PROCESS].value;
	pane->detail_first = 0;
	pane->again = true;
}

static bool take_sort(struct top_pane *pane, wint_t key)
{
	static const struct {
		char key;
		enum top_column column;
	} keys[] = {{'P', TOP_COLUMN_CPU},
		    {'M', TOP_COLUMN_RESIDENT},
		    {'T', TOP_COLUMN_TIME},
		    {'N', TOP_COLUMN_PID},
		    {'C', TOP_COLUMN_COMMAND}};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (key == (wint_t)keys[i].key) {
			sort_by(pane, keys[i].column);
			return true;
		}
	}
	if (key == '<')
		sort_by(pane, (pane->order.column + TOP_COLUMNS - 1) % TOP_COLUMNS);
	else if (key == '>' || key == KEY_F(6))
		sort_by(pane, (pane->order.column + 1) % TOP_COLUMNS);
	else
		return false;
	return true;
}

static void take_view(struct top_pane *pane, wint_t key)
{
	switch (key) {
	case 'I':
		pane->order.reverse = !pane->order.reverse;
		top_pane_update(pane);
		break;
	case 't':
	case KEY_F(5):
		pane->order.tree = !pane->order.tree;
		top_pane_update(pane);
		break;
	case 'H':
		pane->threads = !pane->threads;
		pane->again = true;
		break;
	case 'l':
	case '\n':
	case '\r':
	case KEY_ENTER:
		show_details(pane, TOP_FILES);
		break;
	case 'm':
		show_details(pane, TOP_MAPS);
		break;
	case 'n':
		search(pane, pane->at + 1);
		break;
	default:
		break;
	}
}

/* ---- Typing ---------------------------------------------------------------------------------- */

static void typed(struct top_screen *screen)
{
	struct top_pane *pane = pane_of(screen);

	if (screen->typing == TOP_TYPES_FILTER)
		top_pane_update(pane);
	else
		search(pane, pane->at);
}

/* Keys of a text, of ASCII; the rest of what is typed is left out. */
static void take_text(struct top_screen *screen, wint_t key, bool is_function)
{
	struct top_pane *pane = pane_of(screen);
	char *text = screen->typing == TOP_TYPES_FILTER ? pane->filter : pane->search;
	size_t length = strlen(text);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		screen->typing = TOP_KEYS;
		return;
	}
	if (key == KEY_ESCAPE) {
		text[0] = '\0';
		typed(screen);
		screen->typing = TOP_KEYS;
		return;
	}
	if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
		if (length)
			text[length - 1] = '\0';
	} else if (!is_function && key >= ' ' && key < 127 && length + 1 < sizeof(pane->filter)) {
		text[length] = (char)key;
		text[length + 1] = '\0';
	}
	typed(screen);
}

static void start_typing(struct top_screen *screen, enum top_typing typing)
{
	struct top_pane *pane = pane_of(screen);

	screen->typing = typing;
	pane->details = TOP_NO_DETAILS;
	if (typing == TOP_TYPES_SEARCH)
		pane->search[0] = '\0';
}

/* ---------------------------------------------------------------------------------------------- */

static void change_interval(struct top *top, bool longer)
{
	uint64_t interval = longer ? top->interval_us * 2 : top->interval_us / 2;

	if (interval < LEAST_US || interval > MOST_US)
		return;
	top->interval_us = interval;
	/* What was due after the longer interval comes after the new one. */
	if (top->next_at > clock_us() + interval)
		top->next_at = clock_us() + interval;
}

/* Back from what is seen to the table; false if that is seen already. */
static bool go_back(struct top_screen *screen)
{
	struct top_pane *pane = pane_of(screen);

	if (!screen->help && !pane->details)
		return false;
	screen->help = false;
	pane->details = TOP_NO_DETAILS;
	return true;
}

static void resize(struct top_screen *screen)
{
	top_screen_measure(screen);
	screen->curses.wresize(screen->window, screen->height, screen->width);
	screen->curses.clearok(screen->window, true);
}

/* False if the user wants to end. */
static bool take_key(struct top_screen *screen, wint_t key)
{
	struct top_pane *pane = pane_of(screen);

	switch (key) {
	case 'q':
		return go_back(screen);
	case KEY_F(10):
		return false;
	case KEY_ESCAPE:
		go_back(screen);
		break;
	case '\t':
		screen->active = (screen->active + 1) % screen->top->count;
		break;
	case 'h':
	case '?':
	case KEY_F(1):
		screen->help = !screen->help;
		break;
	case '/':
	case KEY_F(3):
		start_typing(screen, TOP_TYPES_SEARCH);
		break;
	case '\\':
	case KEY_F(4):
		start_typing(screen, TOP_TYPES_FILTER);
		break;
	case '+':
	case '-':
		change_interval(screen->top, key == '+');
		break;
	case CONTROL('L'):
		screen->curses.clearok(screen->window, true);
		break;
	default:
		if (!take_move(pane, key) && !take_sort(pane, key))
			take_view(pane, key);
	}
	return true;
}

bool top_screen_keys(struct top_screen *screen)
{
	bool goes_on = true, any = false;
	wint_t key;
	int kind;

	while (goes_on && (kind = screen->curses.wget_wch(screen->window, &key)) != ERR) {
		any = true;
		if (kind == KEY_CODE_YES && key == KEY_RESIZE)
			resize(screen);
		else if (screen->typing != TOP_KEYS)
			take_text(screen, key, kind == KEY_CODE_YES);
		else
			goes_on = take_key(screen, key);
	}
	if (any)
		top_screen_draw(screen);
	return goes_on;
}
