/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report/content.h"

#include "core/error.h"
#include "report/markup.h"
#include "worker/rows.h"

#include <stdlib.h>
#include <string.h>

/* Of the HTML of all rows: some hundred thousand of them. */
#define MOST_BYTES ((size_t)48 << 20)
/* How often all is read to be of one moment. */
#define MOST_READINGS 4

const char *const content_severities[5] = {"alarm", "warning", "unknown", "note", "ok"};

static void take_row(void *data, const struct nunchi_cell *cells, size_t count, bool torn)
{
	struct content *content = data;
	const struct nunchi_cell *first = &cells[0];
	bool has = first->kind == NUNCHI_CELL_VALUE;

	if (content->reading == SECTION_system_info && has)
		markup_text(&content->hostname, first->text, first->text_size);
	else if (content->reading == SECTION_kernel_info && has)
		markup_text(&content->release, first->text, first->text_size);
	else if (content->reading == SECTION_uptime) {
		content->uptime = has ? first->integer : -1;
		content->boot_time = cells[2].kind == NUNCHI_CELL_VALUE ? cells[2].integer : -1;
	}
	for (size_t i = 0; content->reading == SECTION_findings && i < 5; i++)
		content->findings[i] +=
		    has && strlen(content_severities[i]) == first->text_size &&
		    !memcmp(content_severities[i], first->text, first->text_size);
	section_take(&content->sections[content->reading], cells, count, torn);
}

static void take_warning(void *data, const char *text)
{
	struct content *content = data;
	uint32_t bit = (uint32_t)1 << content->reading;
	char *copy;

	for (size_t i = 0; i < content->warning_count; i++)
		if (!strcmp(content->warnings[i].text, text)) {
			content->warnings[i].sections |= bit;
			return;
		}
	if (content->warning_count == CONTENT_MOST_WARNINGS) {
		content->more_warnings++;
		return;
	}
	copy = strdup(text);
	if (copy)
		content->warnings[content->warning_count++] = (struct content_warning){copy, bit};
	else
		content->no_memory = true;
}

/* What one view does not give is missing from the page; the others are shown. */
static struct nunchi_error *read_section(struct content *content, enum section_name name)
{
	struct section *section = &content->sections[name];
	const struct rows_query query = {
	    .view = section->kind->name,
	    .columns = section->kind->columns,
	    .count = section->column_count,
	    .limit = SECTION_MOST_ROWS + 1,
	    /* Not `live`: the page is to be whole, as what "nunchi show" shows is. */
	    .take = take_row,
	    .warn = take_warning,
	    .data = content,
	};
	struct nunchi_error *err;

	content->reading = name;
	err = rows_read(content->options->guest, &query);
	if (err && !rows_error_is_of_guest(err)) {
		section->failure = strdup(nunchi_error_message(err));
		nunchi_error_destroy(err);
		err = section->failure ? NULL : &error_nomem;
	}
	if (!err && (content->no_memory || !section_finish(section)))
		err = &error_nomem;
	return err;
}

/* The processes first: other sections name them. */
static struct nunchi_error *read_sections(struct content *content)
{
	size_t left = MOST_BYTES;
	struct nunchi_error *err;

	section_init(&content->sections[SECTION_processes], SECTION_processes, &content->processes,
		     left / 2);
	err = read_section(content, SECTION_processes);
	left -= content->sections[SECTION_processes].cells.size;
	for (size_t i = 0; i < SECTION_COUNT && !err; i++) {
		if (i == SECTION_processes)
			continue;
		section_init(&content->sections[i], i, &content->processes, left / 2);
		err = read_section(content, i);
		left -= content->sections[i].cells.size;
	}
	return err;
}

/* Before it is read again. */
static void forget(struct content *content)
{
	for (size_t i = 0; i < SECTION_COUNT; i++)
		section_deinit(&content->sections[i]);
	memset(content->sections, 0, sizeof(content->sections));
	section_processes_deinit(&content->processes);
	for (size_t i = 0; i < content->warning_count; i++)
		free(content->warnings[i].text);
	content->warning_count = content->more_warnings = 0;
	memset(content->findings, 0, sizeof(content->findings));
	content->boot_time = content->uptime = -1;
	buffer_deinit(&content->hostname);
	buffer_deinit(&content->release);
}

/* Until all sections are of one moment, if the guest's pages are copied. */
static struct nunchi_error *read_moment(struct content *content, struct nunchi_session *session)
{
	struct nunchi_error *err = NULL;
	uint64_t before, after;

	for (unsigned i = 0; i < MOST_READINGS && !err; i++) {
		forget(content);
		before = nunchi_session_moment(session);
		err = read_sections(content);
		after = nunchi_session_moment(session);
		content->moment = !content->options->live ? CONTENT_SAVED
				  : !after                ? CONTENT_RUNNING
				  : before == after       ? CONTENT_ONE
							  : CONTENT_SEVERAL;
		if (content->moment != CONTENT_SEVERAL)
			break;
	}
	return err;
}

static void take_fact(const struct nunchi_fact *fact, void *data)
{
	struct content *content = data;
	bool is_missing = !strcmp(fact->topic, "missing");
	struct buffer *out = is_missing ? &content->missing : &content->facts;
	const char *texts[] = {fact->topic, fact->name, fact->value, fact->evidence};

	if (is_missing) {
		content->missing_count++;
		buffer_append_string(out, "<li>");
		markup_string(out, fact->name);
		buffer_append_string(out, ": ");
		markup_string(out, fact->value);
		if (fact->evidence) {
			buffer_append_string(out, " (");
			markup_string(out, fact->evidence);
			buffer_append_char(out, ')');
		}
		buffer_append_string(out, "</li>\n");
		return;
	}
	buffer_append_string(out, "<tr>");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		buffer_append_string(out, "<td>");
		if (texts[i])
			markup_long_text(out, texts[i], strlen(texts[i]));
		buffer_append_string(out, "</td>");
	}
	buffer_append_string(out, "</tr>\n");
}

struct nunchi_error *content_read(struct content *content, const struct report_options *options)
{
	struct nunchi_session *session = NULL;
	struct nunchi_error *err, *closing;

	*content = (struct content){.options = options, .boot_time = -1, .uptime = -1};
	err = nunchi_session_open(options->guest, NULL, &session);
	if (!err)
		err = read_moment(content, session);
	closing = nunchi_session_close(session);
	if (err)
		nunchi_error_destroy(closing);
	else
		err = closing;
	if (!err)
		err = nunchi_guest_info(options->guest, take_fact, content);
	if (!err && (content->facts.failed || content->missing.failed || content->hostname.failed ||
		     content->release.failed))
		err = &error_nomem;
	return err;
}

void content_deinit(struct content *content)
{
	forget(content);
	buffer_deinit(&content->facts);
	buffer_deinit(&content->missing);
}
