/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Texts of files. That of a saved guest is kept for others that open it, as far as there is room,
 * and its size for as long as we run; that of a running guest is made anew for each.
 */
#include "core/array.h"
#include "mount/served.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TEXT  ((size_t)64 << 20) /* of one file */
#define MOST_TEXTS ((size_t)96 << 20) /* of all */
#define MOST_KEPT  65536              /* files whose sizes are kept */

/* ---- Making one ------------------------------------------------------------------------------ */

struct making {
	struct served *served;
	const struct node *node;
	struct buffer *text;
	struct nunchi_writer *writer;
};

static bool append(const char *data, size_t size, void *text)
{
	return buffer_append(text, data, size);
}

static struct nunchi_error *make_writer(const struct nunchi_column *const *columns, size_t count,
					void *data)
{
	struct making *making = data;
	const struct nunchi_writer_options options = {
	    .size = sizeof(options),
	    .output = making->node->output,
	    .remains = nunchi_guest_remains(making->served->guest),
	};

	return nunchi_writer_create(&options, columns, count, append, making->text,
				    &making->writer);
}

static struct nunchi_error *write_row(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct making *making = data;

	return nunchi_writer_row(making->writer, cells, torn);
}

static void put_cell(struct buffer *text, const struct nunchi_cell *cell)
{
	if (cell->kind == NUNCHI_CELL_VALUE)
		buffer_append(text, cell->text, cell->text_size);
	else if (cell->absence != NUNCHI_ABSENT_NOT_APPLICABLE)
		buffer_printf(text, "<%s>", nunchi_absence_string(cell->absence));
}

static struct nunchi_error *write_log(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct making *making = data;

	making->served->options->log.row(cells, torn, append, making->text);
	return NULL;
}

static struct nunchi_error *write_cmdline(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct making *making = data;

	(void)torn;
	put_cell(making->text, &cells[0]);
	return NULL;
}

/* "NAME=VALUE" and NUL, as /proc/PID/environ. */
static struct nunchi_error *write_variable(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct making *making = data;

	(void)torn;
	put_cell(making->text, &cells[0]);
	if (cells[1].kind == NUNCHI_CELL_VALUE || cells[0].kind == NUNCHI_CELL_VALUE)
		buffer_append_char(making->text, '=');
	put_cell(making->text, &cells[1]);
	buffer_append_char(making->text, '\0');
	return NULL;
}

static void put_number(struct buffer *text, const char *format, const struct nunchi_cell *cell)
{
	uint64_t value =
	    cell->type == NUNCHI_TYPE_ADDRESS ? cell->address : (uint64_t)cell->integer;

	if (cell->kind != NUNCHI_CELL_VALUE)
		buffer_printf(text, "<%s>", nunchi_absence_string(cell->absence));
	else if (*format == 'x')
		buffer_append_unsigned(text, value, 16, 8);
	else
		buffer_append_unsigned(text, value, 10, 1);
}

/* "START-END rwxp OFFSET DEVICE INODE   PATH", as /proc/PID/maps. */
static struct nunchi_error *write_mapping(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct making *making = data;
	struct buffer *text = making->text;
	size_t start = text->size;
	char path[PATH_MAX];

	(void)torn;
	put_number(text, "x", &cells[0]);
	buffer_append_char(text, '-');
	put_number(text, "x", &cells[1]);
	buffer_append_char(text, ' ');
	put_cell(text, &cells[2]);
	buffer_append_char(text, ' ');
	put_number(text, "x", &cells[3]);
	buffer_append_char(text, ' ');
	put_cell(text, &cells[4]);
	buffer_append_char(text, ' ');
	put_number(text, "d", &cells[5]);
	if (cells[6].kind != NUNCHI_CELL_VALUE || cells[6].text_size) {
		while (!text->failed && text->size - start < 73)
			buffer_append_char(text, ' ');
		if (cells[6].kind == NUNCHI_CELL_VALUE) {
			nunchi_escape(cells[6].text, cells[6].text_size, path, sizeof(path));
			buffer_append_string(text, path);
		} else {
			put_cell(text, &cells[6]);
		}
	}
	buffer_append_char(text, '\n');
	return NULL;
}

static const char *const cmdline_columns[] = {"cmdline"};
static const char *const variable_columns[] = {"key", "value"};
static const char *const mapping_columns[] = {"start",  "end",   "permissions", "offset",
					      "device", "inode", "path"};

/* What each file is made of. */
static const struct recipe {
	enum node_kind kind;
	const char *view;
	const char *const *columns;
	size_t count;
	served_row *row;
} recipes[] = {
    {NODE_CMDLINE, "processes", cmdline_columns, ARRAY_SIZE(cmdline_columns), write_cmdline},
    {NODE_ENVIRON, "process_envs", variable_columns, ARRAY_SIZE(variable_columns), write_variable},
    {NODE_MAPS, "process_memory_map", mapping_columns, ARRAY_SIZE(mapping_columns), write_mapping},
    {NODE_STATUS, "processes", NULL, 0, write_row},
};

static struct nunchi_error *make_rows(struct making *making, const char *path)
{
	const struct node *node = making->node;
	const struct mount_text *log = &making->served->options->log;
	struct nunchi_query query = {.size = sizeof(query)};
	struct nunchi_constraint where = {.column = "pid"};
	const struct nunchi_view *view = node->view;
	served_row *row = write_row;
	char pid[24];

	if (node->kind == NODE_LOG) {
		view = nunchi_view_find(log->view);
		query.columns = log->columns;
		query.column_count = log->column_count;
		row = write_log;
	}
	for (size_t i = 0; i < ARRAY_SIZE(recipes); i++) {
		if (recipes[i].kind != node->kind)
			continue;
		snprintf(pid, sizeof(pid), "%" PRIu64, node->pid);
		where.value = pid;
		view = nunchi_view_find(recipes[i].view);
		query.columns = recipes[i].columns;
		query.column_count = recipes[i].count;
		query.constraints = &where;
		query.constraint_count = 1;
		row = recipes[i].row;
	}
	return served_rows(making->served, path, view, &query,
			   row == write_row ? make_writer : NULL, row, making);
}

static int make(struct served *served, const char *path, const struct node *node,
		struct buffer *text)
{
	struct making making = {.served = served, .node = node, .text = text};
	struct nunchi_error *err = make_rows(&making, path);
	int result;

	if (!err && making.writer)
		err = nunchi_writer_finish(making.writer);
	nunchi_writer_destroy(making.writer);
	result = text->failed ? 0 : served_errno(served, path, err);
	if (!text->failed)
		return result;
	nunchi_error_destroy(err);
	served_warn(served, path, text->no_memory ? "memory is short" : "its text is too long");
	return text->no_memory ? -ENOMEM : -EFBIG;
}

/* ---- Keeping them ---------------------------------------------------------------------------- */

static void give_up_text(struct served *served, struct content *content)
{
	served->content_bytes -= content->text.size;
	buffer_deinit(&content->text);
	content->has_text = false;
}

static void destroy(struct served *served, struct content *content)
{
	give_up_text(served, content);
	free(content->path);
	free(content);
}

/* Gives up texts that nobody has open, those first that were not used for the longest time. */
static void make_room(struct served *served, size_t bytes)
{
	struct content *last;

	while (served->content_bytes + bytes > MOST_TEXTS) {
		last = NULL;
		for (struct content *at = served->contents; at; at = at->next)
			if (at->has_text && at->text.size && !at->handles)
				last = at;
		if (!last)
			return;
		give_up_text(served, last);
	}
}

/* What is kept of a path, which becomes the first; NULL if there is nothing. */
static struct content *find_kept(struct served *served, const char *path)
{
	for (struct content **at = &served->contents; *at; at = &(*at)->next) {
		struct content *content = *at;

		if (strcmp(content->path, path))
			continue;
		*at = content->next;
		content->next = served->contents;
		served->contents = content;
		return content;
	}
	return NULL;
}

static void forget_last(struct served *served)
{
	struct content **last = NULL, *content;

	for (struct content **at = &served->contents; *at; at = &(*at)->next)
		if (!(*at)->handles)
			last = at;
	if (!last)
		return;
	content = *last;
	*last = content->next;
	served->content_count--;
	destroy(served, content);
}

static struct content *create(struct served *served, const char *path)
{
	struct content *content = calloc(1, sizeof(*content));

	if (!content || served->options->live)
		return content;
	content->path = strdup(path);
	if (!content->path) {
		free(content);
		return NULL;
	}
	if (served->content_count >= MOST_KEPT)
		forget_last(served);
	content->next = served->contents;
	served->contents = content;
	served->content_count++;
	return content;
}

static void release(struct served *served, struct content *content)
{
	content->handles--;
	if (!content->path && !content->handles)
		destroy(served, content);
}

int served_content_open(struct served *served, const char *path, const struct node *node,
			struct content **ret)
{
	struct content *content = served->options->live ? NULL : find_kept(served, path);
	size_t room;
	int result;

	if (!content)
		content = create(served, path);
	if (!content)
		return -ENOMEM;
	content->handles++;
	if (!content->has_text) {
		make_room(served, MOST_TEXT);
		room = served->content_bytes < MOST_TEXTS ? MOST_TEXTS - served->content_bytes : 1;
		buffer_init(&content->text, room < MOST_TEXT ? room : MOST_TEXT);
		result = make(served, path, node, &content->text);
		served->content_bytes += content->text.size;
		if (result) {
			give_up_text(served, content);
			release(served, content);
			return result;
		}
		content->size = content->text.size;
		content->has_text = content->has_size = true;
	}
	*ret = content;
	return 0;
}

void served_content_close(struct served *served, struct content *content)
{
	release(served, content);
}

int64_t served_content_size(struct served *served, const char *path, const struct node *node)
{
	struct content *content;
	int64_t size;
	int result;

	if (served->options->live)
		return 0;
	content = find_kept(served, path);
	if (content && content->has_size)
		return (int64_t)content->size;
	result = served_content_open(served, path, node, &content);
	if (result)
		return result;
	size = (int64_t)content->size;
	release(served, content);
	return size;
}

void served_content_deinit(struct served *served)
{
	struct content *next;

	for (struct content *at = served->contents; at; at = next) {
		next = at->next;
		destroy(served, at);
	}
	served->contents = NULL;
}
