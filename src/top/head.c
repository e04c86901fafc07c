/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lines above the table. */
#include "top/draw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No bar is longer. */
#define MOST_LINE 1024

void draw_title(struct area *area)
{
	const struct top_screen *screen = area->screen;
	const struct top_pane *pane = area->pane;
	const struct top_reading *now = pane->source.now;
	_cleanup_buffer_ struct buffer text = {.limit = 65536};
	bool active = pane == &screen->top->panes[screen->active];
	char uptime[TOP_CELL_SIZE], *target;

	target = top_text_escaped(pane->target);
	buffer_printf(&text, " %s", target ? target : "");
	free(target);
	if (now) {
		if (now->general.hostname.size) {
			buffer_append_string(&text, " (");
			top_text_append(now, &now->general.hostname, &text);
			buffer_append_string(&text, ")");
		}
		top_text_uptime(now->general.uptime_ms, uptime);
		buffer_printf(&text, "  up %s  ", uptime);
		top_text_load(&now->general, &text);
	}
	draw_line(area, active ? A_REVERSE | A_BOLD : A_REVERSE, 0, buffer_string(&text));
	if (screen->top->count > 1 && !top_screen_is_split(screen)) {
		char place[32];
		int size = snprintf(place, sizeof(place), " %zu/%zu Tab ", screen->active + 1,
				    screen->top->count);

		area->y--;
		draw_text(area, area->width - size, size, A_REVERSE, 0, place);
		area->y++;
	}
}

/* "CPU0 [|||||    12.3%]" */
static void draw_bar(const struct area *area, int x, int width, const char *label,
		     struct top_share share, const char *value)
{
	int inside = width - (int)strlen(label) - 3, size = (int)strlen(value), full = 0;
	char bar[MOST_LINE];

	if (inside < 4 || inside >= MOST_LINE)
		return;
	if (share.absence == TOP_KNOWN)
		full = (int)(share.percent * inside / 100 + 0.5);
	full = full < 0 ? 0 : full > inside ? inside : full;
	memset(bar, '|', (size_t)full);
	bar[full] = '\0';
	draw_text(area, x, width, A_NORMAL, 0, label);
	x += (int)strlen(label);
	draw_text(area, x, 1, A_BOLD, 0, "[");
	draw_text(area, x + 1, inside, A_NORMAL, share.percent >= 80 ? PAIR_BUSY : PAIR_BAR, bar);
	if (size <= inside)
		draw_text(area, x + 1 + inside - size, size, A_BOLD, 0, value);
	draw_text(area, x + 1 + inside, 1, A_BOLD, 0, "]");
}

static void draw_cpu(const struct area *area, int x, int width, const struct top_load *load,
		     const char *label)
{
	char share[TOP_CELL_SIZE], value[sizeof(share) + 1];

	top_text_share(load->busy, share);
	snprintf(value, sizeof(value), "%s%s", share, load->busy.absence == TOP_KNOWN ? "%" : "");
	draw_bar(area, x, width, label, load->busy, value);
}

/* As many CPUs as fit into a quarter of the height; if not all do, all together. */
static void draw_cpus(struct area *area)
{
	const struct top_model *model = &area->pane->model;
	int count = (int)model->cpu_count, most = area->height / 4, columns = 1, width;

	while (columns < 8 && (count + columns - 1) / columns > most &&
	       area->width / (columns * 2) >= 18)
		columns *= 2;
	if (!count || (count + columns - 1) / columns > most || most < 2) {
		draw_cpu(area, 0, area->width, &model->all, "CPU ");
		area->y++;
		return;
	}
	width = area->width / columns;
	for (int i = 0; i < count; i++) {
		char label[32];

		snprintf(label, sizeof(label), "%3lld ", (long long)model->cpus[i].core);
		draw_cpu(area, i % columns * width, width - (columns > 1), &model->cpus[i], label);
		if (i % columns == columns - 1 || i == count - 1)
			area->y++;
	}
}

static struct top_share share_of(struct top_cell part, struct top_cell whole)
{
	if (!top_known(&part) || !top_known(&whole) || whole.value <= 0)
		return (struct top_share){.absence = NUNCHI_ABSENT_NOT_APPLICABLE};
	return (struct top_share){100 * (double)part.value / (double)whole.value, TOP_KNOWN};
}

static void draw_memory(struct area *area, const char *label, struct top_cell used,
			struct top_cell total)
{
	char part[TOP_CELL_SIZE], whole[TOP_CELL_SIZE], value[2 * TOP_CELL_SIZE + 1];

	top_text_size(used, part);
	top_text_size(total, whole);
	snprintf(value, sizeof(value), "%s/%s", part, whole);
	draw_bar(area, 0, area->width, label, share_of(used, total), value);
	area->y++;
}

void draw_head(struct area *area)
{
	const struct top_pane *pane = area->pane;
	const struct top_reading *now = pane->source.now;
	const struct top_cell *memory = now->general.memory;
	_cleanup_buffer_ struct buffer text = {.limit = 65536};

	if (area->height >= 8)
		draw_cpus(area);
	if (area->height >= 9)
		draw_memory(area, "Mem ", pane->model.memory_used, memory[TOP_MEMORY_TOTAL]);
	if (area->height >= 20 && top_known(&memory[TOP_SWAP_TOTAL]) &&
	    memory[TOP_SWAP_TOTAL].value > 0)
		draw_memory(area, "Swp ", pane->model.swap_used, memory[TOP_SWAP_TOTAL]);
	if (area->height >= 16) {
		top_text_counts(&pane->model.counts, &text);
		draw_line(area, A_NORMAL, 0, buffer_string(&text));
	}
}
