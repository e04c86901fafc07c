/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/reading.h"

#include "core/array.h"
#include "core/io.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_MAGIC 0x706f746e
/* Of each array; a guest has at most four million tasks, which no screen is of use for. */
#define MOST_ITEMS 262144
#define MOST_CPUS  8192

struct frame {
	uint32_t magic;
	uint32_t cpus, tasks, files, maps, warnings;
	uint64_t text;
	struct top_general general;
};

struct top_reading *top_reading_create(void)
{
	struct top_reading *reading = calloc(1, sizeof(*reading));

	if (reading)
		reading->general.details_pid = -1;
	return reading;
}

void top_reading_destroy(struct top_reading *reading)
{
	if (!reading)
		return;
	free(reading->cpus);
	free(reading->tasks);
	free(reading->files);
	free(reading->maps);
	free(reading->warnings);
	free(reading->text);
	free(reading);
}

bool top_reading_keep(struct top_reading *reading, const void *data, size_t size,
		      struct top_text *ret)
{
	*ret = (struct top_text){.absence = NUNCHI_ABSENT_LIMIT};
	if (size > UINT32_MAX || reading->text_size > UINT32_MAX - size)
		return true;
	if (!ARRAY_RESERVE(reading->text, reading->text_size, reading->text_capacity, size))
		return false;
	if (size)
		memcpy(reading->text + reading->text_size, data, size);
	*ret = (struct top_text){(uint32_t)reading->text_size, (uint32_t)size, TOP_KNOWN};
	reading->text_size += size;
	return true;
}

const char *top_reading_text(const struct top_reading *reading, const struct top_text *text,
			     size_t *ret_size)
{
	*ret_size = 0;
	if (text->absence != TOP_KNOWN || text->at > reading->text_size ||
	    text->size > reading->text_size - text->at || !reading->text)
		return "";
	*ret_size = text->size;
	return reading->text + text->at;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static bool send_all(int fd, const void *data, size_t size)
{
	return !size || !io_write_quietly(fd, data, size);
}

bool top_reading_send(const struct top_reading *reading, int fd)
{
	const struct frame frame = {
	    .magic = FRAME_MAGIC,
	    .cpus = (uint32_t)reading->cpu_count,
	    .tasks = (uint32_t)reading->task_count,
	    .files = (uint32_t)reading->file_count,
	    .maps = (uint32_t)reading->map_count,
	    .warnings = (uint32_t)reading->warning_count,
	    .text = reading->text_size,
	    .general = reading->general,
	};

	return send_all(fd, &frame, sizeof(frame)) &&
	       send_all(fd, reading->cpus, reading->cpu_count * sizeof(*reading->cpus)) &&
	       send_all(fd, reading->tasks, reading->task_count * sizeof(*reading->tasks)) &&
	       send_all(fd, reading->files, reading->file_count * sizeof(*reading->files)) &&
	       send_all(fd, reading->maps, reading->map_count * sizeof(*reading->maps)) &&
	       send_all(fd, reading->warnings,
			reading->warning_count * sizeof(*reading->warnings)) &&
	       send_all(fd, reading->text, reading->text_size);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

size_t top_reading_size(const void *data, size_t size)
{
	struct frame frame;
	size_t whole = sizeof(frame);

	if (size < sizeof(frame))
		return 0;
	memcpy(&frame, data, sizeof(frame));
	if (frame.magic != FRAME_MAGIC || frame.cpus > MOST_CPUS || frame.tasks > MOST_ITEMS ||
	    frame.files > MOST_ITEMS || frame.maps > MOST_ITEMS || frame.warnings > MOST_ITEMS ||
	    frame.text > TOP_FRAME_MOST)
		return SIZE_MAX;
	whole += frame.cpus * sizeof(struct top_cpu) + frame.tasks * sizeof(struct top_task);
	whole += ((size_t)frame.files + frame.maps + frame.warnings) * sizeof(struct top_text);
	whole += frame.text;
	return whole > TOP_FRAME_MOST ? SIZE_MAX : whole;
}

/* Takes an array from *at on; NULL if memory is short. */
static void *take(const uint8_t **at, size_t size)
{
	void *copy = malloc(size + 1);

	if (copy)
		memcpy(copy, *at, size);
	*at += size;
	return copy;
}

/*
 * Whether all texts together are as long as the bytes that came: then nothing is to be done twice
 * for one text.
 */
static bool has_own_texts(const struct top_reading *reading)
{
	const struct top_text *const lists[] = {reading->files, reading->maps, reading->warnings};
	const size_t counts[] = {reading->file_count, reading->map_count, reading->warning_count};
	uint64_t sum = 0;

	for (size_t i = 0; i < reading->task_count; i++)
		sum += (uint64_t)reading->tasks[i].name.size + reading->tasks[i].command.size;
	for (size_t list = 0; list < ARRAY_SIZE(lists); list++)
		for (size_t i = 0; i < counts[list]; i++)
			sum += lists[list][i].size;
	return sum <= reading->text_size;
}

struct top_reading *top_reading_decode(const void *data, size_t size)
{
	struct top_reading *reading;
	const uint8_t *at = data;
	struct frame frame;

	if (size < sizeof(frame) || top_reading_size(data, size) != size)
		return NULL;
	reading = top_reading_create();
	if (!reading)
		return NULL;
	memcpy(&frame, at, sizeof(frame));
	at += sizeof(frame);
	reading->general = frame.general;
	reading->cpus = take(&at, frame.cpus * sizeof(*reading->cpus));
	reading->tasks = take(&at, frame.tasks * sizeof(*reading->tasks));
	reading->files = take(&at, frame.files * sizeof(*reading->files));
	reading->maps = take(&at, frame.maps * sizeof(*reading->maps));
	reading->warnings = take(&at, frame.warnings * sizeof(*reading->warnings));
	reading->text = take(&at, frame.text);
	if (!reading->cpus || !reading->tasks || !reading->files || !reading->maps ||
	    !reading->warnings || !reading->text) {
		top_reading_destroy(reading);
		return NULL;
	}
	reading->cpu_count = frame.cpus;
	reading->task_count = frame.tasks;
	reading->file_count = frame.files;
	reading->map_count = frame.maps;
	reading->warning_count = frame.warnings;
	reading->text_size = frame.text;
	if (!has_own_texts(reading)) {
		top_reading_destroy(reading);
		return NULL;
	}
	return reading;
}
