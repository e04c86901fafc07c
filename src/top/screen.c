/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/screen.h"

#include "core/error.h"
#include "top/draw.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

/* A guest's own part of the screen is this wide at least, if guests stand side by side. */
#define LEAST_SPLIT 76
/* Characters of a line that are looked at; no terminal is wider. */
#define MOST_LINE 1024

bool top_screen_is_split(const struct top_screen *screen)
{
	return screen->top->count > 1 && screen->width >= LEAST_SPLIT * (int)screen->top->count;
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* The next character of UTF-8; what the terminal cannot show is '?'. */
static wchar_t next_character(const struct top_screen *screen, const char **at, const char *end)
{
	mbstate_t state = {0};
	wchar_t c;
	size_t size;

	if ((unsigned char)**at < 0x80)
		size = 1, c = (unsigned char)**at;
	else if (screen->utf8)
		size = mbrtowc(&c, *at, (size_t)(end - *at), &state);
	else
		for (size = 1, c = '?'; *at + size < end && ((*at)[size] & 0xc0) == 0x80; size++)
			;
	if (size == 0 || size > (size_t)(end - *at))
		size = 1, c = '?';
	*at += size;
	return iswprint((wint_t)c) && wcwidth(c) > 0 ? c : '?';
}

void draw_text(const struct area *area, int x, int width, attr_t look, short pair, const char *text)
{
	const struct top_screen *screen = area->screen;
	const struct curses_library *curses = &screen->curses;
	const char *end = text + strlen(text);
	wchar_t line[MOST_LINE + 1];
	int columns = 0;
	size_t count = 0;

	if (width > area->width - x)
		width = area->width - x;
	if (width <= 0 || area->y < 0 || area->y >= screen->height)
		return;
	while (text < end && count < MOST_LINE) {
		wchar_t c = next_character(screen, &text, end);

		if (columns + wcwidth(c) > width)
			break;
		columns += wcwidth(c);
		line[count++] = c;
	}
	for (; columns < width && count < MOST_LINE; columns++)
		line[count++] = ' ';
	line[count] = 0;
	curses->wattr_set(screen->window, look, screen->color ? pair : 0, NULL);
	curses->wmove(screen->window, area->y, area->x + x);
	curses->waddnwstr(screen->window, line, (int)count);
}

void draw_line(struct area *area, attr_t look, short pair, const char *text)
{
	draw_text(area, 0, area->width, look, pair, text);
	area->y++;
}

/* ---- All --------------------------------------------------------------------------------------
 */

static void draw_pane(struct area area)
{
	struct top_pane *pane = area.pane;
	int end = area.height - 1;

	draw_title(&area);
	if (area.screen->help) {
		draw_help(&area, end);
	} else if (!pane->source.now) {
		draw_line(&area, A_NORMAL, 0, pane->source.error ? "" : "reading the guest…");
	} else {
		draw_head(&area);
		if (pane->details)
			draw_details(&area, end);
		else
			draw_table(&area, end);
	}
	area.y = end;
	draw_foot(&area);
}

void top_screen_draw(struct top_screen *screen)
{
	const struct curses_library *curses = &screen->curses;
	size_t count = top_screen_is_split(screen) ? screen->top->count : 1;
	int width = screen->width / (int)count;

	curses->wattr_set(screen->window, A_NORMAL, 0, NULL);
	curses->werase(screen->window);
	for (size_t i = 0; i < count; i++)
		draw_pane((struct area){
		    .screen = screen,
		    .pane = &screen->top->panes[count > 1 ? i : screen->active],
		    .x = (int)i * width,
		    .width = width - (i + 1 < count),
		    .height = screen->height,
		});
	curses->wnoutrefresh(screen->window);
	curses->doupdate();
}

static void start_colors(struct top_screen *screen)
{
	const struct curses_library *curses = &screen->curses;

	screen->color =
	    screen->top->options->color && curses->has_colors() && curses->start_color() == OK;
	if (!screen->color)
		return;
	curses->use_default_colors();
	curses->init_pair(PAIR_BAR, COLOR_GREEN, -1);
	curses->init_pair(PAIR_BUSY, COLOR_RED, -1);
	curses->init_pair(PAIR_HEAD, COLOR_CYAN, -1);
	curses->init_pair(PAIR_BAD, COLOR_RED, -1);
}

void top_screen_measure(struct top_screen *screen)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	screen->width = size.ws_col;
	screen->height = size.ws_row;
}

static struct nunchi_error *open_terminal(struct top_screen *screen)
{
	struct curses_library *curses = &screen->curses;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return error_hint(error_create(NUNCHI_ERROR_ARGUMENT,
					       "standard input and output are no terminal"),
				  "--batch writes text");
	setlocale(LC_CTYPE, "");
	screen->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	screen->terminal = curses->newterm(NULL, stdout, stdin);
	if (!screen->terminal)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "the terminal \"%s\" is not known",
					       getenv("TERM") ? getenv("TERM") : ""),
				  "set TERM, or use --batch");
	curses->cbreak();
	curses->noecho();
	curses->set_escdelay(25);
	curses->curs_set(0);
	screen->window = curses->newwin(0, 0, 0, 0);
	if (!screen->window)
		return &error_nomem;
	curses->keypad(screen->window, true);
	curses->nodelay(screen->window, true);
	start_colors(screen);
	top_screen_measure(screen);
	return NULL;
}

struct nunchi_error *top_screen_open(struct top *top, struct top_screen **ret)
{
	struct top_screen *screen = calloc(1, sizeof(*screen));
	struct nunchi_error *err;

	if (!screen)
		return &error_nomem;
	screen->top = top;
	err = curses_load(&screen->curses);
	if (!err)
		err = open_terminal(screen);
	if (err)
		top_screen_close(screen);
	else
		*ret = screen;
	return err;
}

void top_screen_close(struct top_screen *screen)
{
	if (!screen)
		return;
	if (screen->terminal) {
		screen->curses.endwin();
		if (screen->window)
			screen->curses.delwin(screen->window);
		screen->curses.delscreen(screen->terminal);
	}
	free(screen);
}
