/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool known(struct top_cell cell, char ret[TOP_CELL_SIZE])
{
	snprintf(ret, TOP_CELL_SIZE, "-");
	return top_known(&cell);
}

void top_text_share(struct top_share share, char ret[TOP_CELL_SIZE])
{
	if (share.absence == TOP_KNOWN)
		snprintf(ret, TOP_CELL_SIZE, "%.1f", share.percent);
	else
		snprintf(ret, TOP_CELL_SIZE, "-");
}

void top_text_size(struct top_cell bytes, char ret[TOP_CELL_SIZE])
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes.value;
	size_t unit = 0;

	if (!known(bytes, ret))
		return;
	while (value >= 1000 && unit + 1 < sizeof(units) - 1) {
		value /= 1024;
		unit++;
	}
	snprintf(ret, TOP_CELL_SIZE, unit && value < 9.95 ? "%.1f%c" : "%.0f%c", value,
		 units[unit]);
}

void top_text_time(struct top_cell ms, char ret[TOP_CELL_SIZE])
{
	int64_t seconds = ms.value / 1000;

	if (!known(ms, ret))
		return;
	if (seconds >= 100 * 3600)
		snprintf(ret, TOP_CELL_SIZE, "%" PRId64 "h%02" PRId64, seconds / 3600,
			 seconds / 60 % 60);
	else
		snprintf(ret, TOP_CELL_SIZE, "%" PRId64 ":%02" PRId64 ".%02" PRId64, seconds / 60,
			 seconds % 60, ms.value % 1000 / 10);
}

void top_text_uptime(struct top_cell ms, char ret[TOP_CELL_SIZE])
{
	int64_t seconds = ms.value / 1000;
	unsigned second = (unsigned)(seconds % 86400);
	char days[24] = "";

	if (!known(ms, ret))
		return;
	if (seconds >= 86400)
		snprintf(days, sizeof(days), "%" PRId64 " d ", seconds / 86400);
	snprintf(ret, TOP_CELL_SIZE, "%.12s%02u:%02u:%02u", days, second / 3600 % 24,
		 second / 60 % 60, second % 60);
}

void top_text_number(struct top_cell number, char ret[TOP_CELL_SIZE])
{
	if (known(number, ret))
		snprintf(ret, TOP_CELL_SIZE, "%" PRId64, number.value);
}

static void append_escaped(const char *bytes, size_t size, struct buffer *ret)
{
	size_t needed = nunchi_escape(bytes, size, NULL, 0);
	char *room = buffer_reserve(ret, needed + 1);

	if (!room)
		return;
	nunchi_escape(bytes, size, room, needed + 1);
	ret->size += needed;
}

char *top_text_escaped(const char *text)
{
	size_t needed = nunchi_escape(text, strlen(text), NULL, 0);
	char *escaped = malloc(needed + 1);

	if (escaped)
		nunchi_escape(text, strlen(text), escaped, needed + 1);
	return escaped;
}

void top_text_append(const struct top_reading *reading, const struct top_text *text,
		     struct buffer *ret)
{
	size_t size;
	const char *bytes = top_reading_text(reading, text, &size);

	append_escaped(bytes, size, ret);
}

void top_text_command(const struct top_reading *reading, const struct top_task *task,
		      struct buffer *ret)
{
	size_t size;
	const char *text = top_reading_text(reading, &task->command, &size);
	bool lacks = task->command.absence != TOP_KNOWN &&
		     task->command.absence != NUNCHI_ABSENT_NOT_APPLICABLE;
	bool quote;

	if (!size || task->is_kernel)
		text = top_reading_text(reading, &task->name, &size);
	quote = size && !task->is_kernel && (strchr("[ \"", text[0]) || text[size - 1] == '>');
	if (task->is_kernel || quote)
		buffer_append_char(ret, task->is_kernel ? '[' : '"');
	append_escaped(text, size, ret);
	if (task->is_kernel || quote)
		buffer_append_char(ret, task->is_kernel ? ']' : '"');
	if (lacks)
		buffer_printf(ret, " <%s>",
			      nunchi_absence_string((enum nunchi_absence)task->command.absence));
	if (task->torn)
		buffer_append_string(ret, " ~");
}

void top_text_counts(const struct top_counts *counts, struct buffer *ret)
{
	static const char *const words[] = {"running", "sleeping", "waiting", "stopped",
					    "traced",  "zombie",   "idle"};
	const char *between = ": ";

	buffer_printf(ret, "%zu processes", counts->processes);
	if (counts->threads)
		buffer_printf(ret, ", %zu more threads", counts->threads);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!counts->states[i])
			continue;
		buffer_printf(ret, "%s%zu %s", between, counts->states[i], words[i]);
		between = ", ";
	}
}

void top_text_load(const struct top_general *general, struct buffer *ret)
{
	buffer_append_string(ret, "load");
	for (size_t i = 0; i < 3; i++) {
		if (general->load[i].absence == TOP_KNOWN)
			buffer_printf(ret, " %.2f", general->load[i].value);
		else
			buffer_append_string(ret, " -");
	}
}

void top_text_cpu(const struct top_load *load, struct buffer *ret)
{
	const struct {
		const char *word;
		struct top_share share;
	} parts[] = {{"user", load->user},
		     {"nice", load->nice},
		     {"system", load->system},
		     {"waiting", load->iowait},
		     {"stolen", load->steal}};
	char text[TOP_CELL_SIZE];

	if (load->busy.absence != TOP_KNOWN) {
		buffer_printf(ret, "unknown (%s)",
			      load->busy.absence == NUNCHI_ABSENT_NOT_COMPUTED
				  ? "one reading"
				  : nunchi_absence_string((enum nunchi_absence)load->busy.absence));
		return;
	}
	top_text_share(load->busy, text);
	buffer_printf(ret, "%s%% busy:", text);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		top_text_share(parts[i].share, text);
		buffer_printf(ret, "%s %s%% %s", i ? "," : "", text, parts[i].word);
	}
}

void top_text_memory(const struct top_general *general, const struct top_model *model,
		     struct buffer *ret)
{
	char used[TOP_CELL_SIZE], total[TOP_CELL_SIZE], unused[TOP_CELL_SIZE],
	    cached[TOP_CELL_SIZE];

	top_text_size(model->memory_used, used);
	top_text_size(general->memory[TOP_MEMORY_TOTAL], total);
	top_text_size(general->memory[TOP_MEMORY_FREE], unused);
	top_text_size(general->memory[TOP_MEMORY_CACHED], cached);
	buffer_printf(ret, "%s of %s used, %s free, %s cached", used, total, unused, cached);
	top_text_size(model->swap_used, used);
	top_text_size(general->memory[TOP_SWAP_TOTAL], total);
	buffer_printf(ret, "; swap %s of %s", used, total);
}
