/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When processes started: a picture, and a table of the seconds in which one did. */
#include "output/unit.h"
#include "report/parts.h"

#include <inttypes.h>
#include <stdlib.h>

/* Of the picture, in its own unit, of which a mark is two wide. */
#define WIDTH  1000
#define HEIGHT 40

struct timeline {
	const struct section_processes *processes;
	size_t *sorted; /* processes with a start, by it */
	size_t count;
	int64_t first, last; /* seconds since 1970 that the picture shows */
};

static int compare_starts(const void *a_pointer, const void *b_pointer, void *data)
{
	const struct section_processes *processes = data;
	size_t a = *(const size_t *)a_pointer, b = *(const size_t *)b_pointer;
	int64_t x = processes->items[a].start, y = processes->items[b].start;

	if (x != y)
		return x < y ? -1 : 1;
	return a < b ? -1 : a > b;
}

static void append_time(struct buffer *out, int64_t seconds)
{
	if (!unit_append(out, NUNCHI_UNIT_UNIX_TIME, seconds))
		buffer_printf(out, "%" PRId64, seconds);
}

/* The place of a time in the picture; times that it does not show are at its ends. */
static unsigned place_of(const struct timeline *timeline, int64_t seconds)
{
	double all = (double)timeline->last - (double)timeline->first;
	double part = (double)seconds - (double)timeline->first;

	if (all <= 0 || part <= 0)
		return 0;
	return part >= all ? WIDTH : (unsigned)(part / all * WIDTH);
}

/* A mark is higher where more processes started: by 6 for each time that their number doubles. */
static void append_mark(struct buffer *out, unsigned place, size_t processes)
{
	unsigned height = 10;

	for (; processes > 1 && height < HEIGHT; processes /= 2)
		height += 6;
	height = height < HEIGHT ? height : HEIGHT;
	buffer_printf(out, "<rect x=\"%u\" y=\"%u\" width=\"2\" height=\"%u\"/>", place,
		      HEIGHT - height, height);
}

static void append_picture(const struct timeline *timeline, struct buffer *out)
{
	size_t i = 0;

	buffer_printf(out,
		      "<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
		      "aria-label=\"starts of processes between boot and now\">",
		      WIDTH + 2, HEIGHT);
	while (i < timeline->count) {
		unsigned place =
		    place_of(timeline, timeline->processes->items[timeline->sorted[i]].start);
		size_t from = i;

		while (i < timeline->count &&
		       place_of(timeline, timeline->processes->items[timeline->sorted[i]].start) ==
			   place)
			i++;
		append_mark(out, place, i - from);
	}
	buffer_append_string(out, "</svg>\n<p class=\"axis\"><span>");
	append_time(out, timeline->first);
	buffer_append_string(out, "</span><span>");
	append_time(out, timeline->last);
	buffer_append_string(out, "</span></p>\n");
}

static void append_names(const struct timeline *timeline, size_t from, size_t to,
			 struct buffer *out)
{
	const struct section_processes *processes = timeline->processes;
	size_t threads = 0;
	const char *before = "";

	for (size_t i = from; i < to; i++) {
		const struct section_process *process = &processes->items[timeline->sorted[i]];
		int64_t pid = processes->nodes[timeline->sorted[i]].id;

		if (process->is_kernel_thread) {
			threads++;
			continue;
		}
		buffer_printf(out, "%s<a href=\"#p%" PRId64 "\"><bdi>", before, pid);
		buffer_append(out, buffer_string(&processes->names) + process->name_at,
			      process->name_size);
		buffer_printf(out, "</bdi> %" PRId64 "</a>", pid);
		before = ", ";
	}
	if (threads)
		buffer_printf(out, "%s%zu kernel thread%s", before, threads,
			      threads == 1 ? "" : "s");
}

static void append_second(const struct content *content, const struct timeline *timeline,
			  size_t from, size_t to, struct buffer *out)
{
	int64_t start = timeline->processes->items[timeline->sorted[from]].start, after;

	buffer_printf(out, "<tr><td data-v=\"%" PRId64 "\">", start);
	append_time(out, start);
	buffer_append_string(out, "</td>");
	/* Both are whatever the guest says. */
	if (content->boot_time < 0 || __builtin_sub_overflow(start, content->boot_time, &after)) {
		buffer_append_string(out, "<td class=\"absent\" title=\"not known\">–</td>");
	} else {
		buffer_printf(out, "<td class=\"number\" data-v=\"%" PRId64 "\">", after);
		if (!unit_append(out, NUNCHI_UNIT_SECONDS, after))
			buffer_printf(out, "%" PRId64 " s", after);
		buffer_append_string(out, "</td>");
	}
	buffer_printf(out, "<td class=\"number\">%zu</td><td>", to - from);
	append_names(timeline, from, to, out);
	buffer_append_string(out, "</td></tr>\n");
}

static void append_table(const struct content *content, const struct timeline *timeline,
			 struct buffer *out)
{
	const struct section_process *items = timeline->processes->items;
	size_t i = 0;

	buffer_append_string(out,
			     "<div class=\"wide\"><table class=\"rows\"><thead><tr>"
			     "<th scope=\"col\">start_time</th><th scope=\"col\">after boot</th>"
			     "<th scope=\"col\">started</th><th scope=\"col\">processes</th>"
			     "</tr></thead><tbody>\n");
	while (i < timeline->count) {
		size_t from = i;

		while (i < timeline->count &&
		       items[timeline->sorted[i]].start == items[timeline->sorted[from]].start)
			i++;
		append_second(content, timeline, from, i, out);
	}
	buffer_append_string(out, "</tbody></table></div>\n");
}

void parts_timeline(const struct content *content, struct buffer *out)
{
	struct timeline timeline = {.processes = &content->processes};
	const struct section_process *items = content->processes.items;
	int64_t now;

	timeline.sorted = calloc(content->processes.count + 1, sizeof(*timeline.sorted));
	if (!timeline.sorted) {
		out->failed = out->no_memory = true;
		return;
	}
	for (size_t i = 0; i < content->processes.count; i++)
		if (items[i].has_start)
			timeline.sorted[timeline.count++] = i;
	if (!timeline.count) {
		buffer_append_string(out, "<p>No start of a process is known.</p>\n");
		free(timeline.sorted);
		return;
	}
	qsort_r(timeline.sorted, timeline.count, sizeof(*timeline.sorted), compare_starts,
		(void *)&content->processes);
	timeline.first = items[timeline.sorted[0]].start;
	timeline.last = items[timeline.sorted[timeline.count - 1]].start;
	if (content->boot_time >= 0 && content->uptime >= 0 &&
	    !__builtin_add_overflow(content->boot_time, content->uptime, &now)) {
		timeline.first = content->boot_time;
		timeline.last = now;
	}
	append_picture(&timeline, out);
	append_table(content, &timeline, out);
	free(timeline.sorted);
}
