/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qXfer: documents that gdb reads in parts. One is made when its beginning is asked for. */
#include "gdb/gdb.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Appends text in which nothing is markup. */
static void put_plain(struct buffer *out, const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c == '&' || *c == '<' || *c == '>' || *c == '"' || *c == '\'')
			buffer_printf(out, "&#%d;", *c);
		else
			buffer_append_char(out, *c);
	}
}

/* The guest's text, escaped as a table's is; NULL if memory is short. */
static char *escape(const char *text, size_t size, struct buffer *out)
{
	size_t needed = nunchi_escape(text, size, NULL, 0);
	char *shown = malloc(needed + 1);

	if (shown)
		nunchi_escape(text, size, shown, needed + 1);
	else
		out->failed = out->no_memory = true;
	return shown;
}

/* Appends the guest's text to a document in XML. */
static void put_text(struct buffer *out, const char *text, size_t size)
{
	_cleanup_free_ char *shown = escape(text, size, out);

	if (shown)
		put_plain(out, shown);
}

/* ---- Objects --------------------------------------------------------------------------------- */

static struct nunchi_error *make_features(struct nunchi_gdb *gdb, const char *annex,
					  struct buffer *out)
{
	if (strcmp(annex, "target.xml"))
		return error_create(NUNCHI_ERROR_NOT_FOUND, "there is no description of that name");
	gdb_describe(gdb, out);
	return NULL;
}

static const char *state_words(char state)
{
	static const struct {
		char letter;
		const char *words;
	} states[] = {{'R', "running"}, {'S', "sleeping"}, {'D', "waiting"}, {'T', "stopped"},
		      {'t', "traced"},  {'Z', "zombie"},   {'I', "idle"}};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		if (states[i].letter == state)
			return states[i].words;
	}
	return "";
}

static struct nunchi_error *make_threads(struct nunchi_gdb *gdb, const char *annex,
					 struct buffer *out)
{
	struct nunchi_error *err = gdb_list_threads(gdb);

	(void)annex;
	if (err)
		return err;
	buffer_append_string(out, "<?xml version=\"1.0\"?><threads>");
	for (size_t i = 0; i < gdb->thread_count; i++) {
		const struct gdb_thread *thread = &gdb->threads[i];

		buffer_printf(out, "<thread id=\"%" PRIx32 "\"", thread->id);
		if (thread->cpu >= 0)
			buffer_printf(out, " core=\"%" PRId64 "\"", thread->cpu);
		buffer_append_string(out, " name=\"");
		put_plain(out, thread->name);
		buffer_printf(out, "\">%s</thread>", state_words(thread->state));
	}
	buffer_append_string(out, "</threads>");
	return NULL;
}

/* All addresses can be read as far as they are mapped, and none can be written. */
static struct nunchi_error *make_memory_map(struct nunchi_gdb *gdb, const char *annex,
					    struct buffer *out)
{
	(void)annex;
	buffer_printf(out,
		      "<?xml version=\"1.0\"?><memory-map>"
		      "<memory type=\"rom\" start=\"0\" length=\"%s\"/></memory-map>",
		      gdb->is_64 ? "0xffffffffffffffff" : "0x100000000");
	return NULL;
}

/* The tables of `info os`: the views. */
static void put_types(struct buffer *out)
{
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);

	buffer_append_string(out, "<?xml version=\"1.0\"?><osdata type=\"types\">");
	for (size_t i = 0; i < count; i++)
		buffer_printf(out,
			      "<item><column name=\"Type\">%s</column>"
			      "<column name=\"Description\">%s</column>"
			      "<column name=\"Title\">%s</column></item>",
			      views[i]->name, views[i]->description, views[i]->name);
	buffer_append_string(out, "</osdata>");
}

static void put_cell(struct buffer *out, const struct nunchi_cell *cell)
{
	if (cell->kind == NUNCHI_CELL_ABSENT)
		return;
	switch (cell->type) {
	case NUNCHI_TYPE_INTEGER:
		buffer_printf(out, "%" PRId64, cell->integer);
		break;
	case NUNCHI_TYPE_ADDRESS:
		buffer_printf(out, "0x%" PRIx64, cell->address);
		break;
	case NUNCHI_TYPE_REAL:
		buffer_printf(out, "%.17g", cell->real);
		break;
	case NUNCHI_TYPE_TEXT:
		put_text(out, cell->text, cell->text_size);
		break;
	}
}

static struct nunchi_error *put_rows(struct nunchi_cursor *cursor, struct buffer *out)
{
	const struct nunchi_column *const *columns;
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	size_t count;
	bool torn;

	columns = nunchi_cursor_columns(cursor, &count);
	while (!(err = nunchi_cursor_next(cursor, &cells, &torn)) && !out->failed) {
		buffer_append_string(out, "<item>");
		for (size_t i = 0; i < count; i++) {
			buffer_printf(out, "<column name=\"%s\">", columns[i]->name);
			put_cell(out, &cells[i]);
			buffer_append_string(out, "</column>");
		}
		buffer_append_string(out, "</item>");
	}
	if (error_is(err, NUNCHI_ERROR_STOP)) {
		nunchi_error_destroy(err);
		err = NULL;
	}
	return err;
}

/* A view as a table; of processes what a line of a terminal has room for. */
static struct nunchi_error *make_osdata(struct nunchi_gdb *gdb, const char *annex,
					struct buffer *out)
{
	static const char *const short_columns[] = {"pid",     "parent", "uid",    "state",
						    "threads", "name",   "cmdline"};
	struct nunchi_query query = {.size = sizeof(query)};
	const struct nunchi_view *view = nunchi_view_find(annex);
	struct nunchi_cursor *cursor = NULL;
	struct nunchi_error *err;

	if (!*annex || !strcmp(annex, "types")) {
		put_types(out);
		return NULL;
	}
	if (!view)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "there is no view of that name");
	if (!strcmp(annex, "processes")) {
		query.columns = short_columns;
		query.column_count = ARRAY_SIZE(short_columns);
	}
	err = nunchi_cursor_open(gdb->guest, view, &query, &cursor);
	buffer_printf(out, "<?xml version=\"1.0\"?><osdata type=\"%s\">", annex);
	if (!err)
		err = put_rows(cursor, out);
	buffer_append_string(out, "</osdata>");
	nunchi_cursor_close(cursor);
	return err;
}

/* The auxiliary vector, as the kernel keeps it for /proc/PID/auxv: bytes. */
static struct nunchi_error *make_auxv(struct nunchi_gdb *gdb, const char *annex, struct buffer *out)
{
	const struct gdb_offsets *offsets = &gdb->offsets;
	const struct gdb_thread *first = gdb_find_thread(gdb, gdb->pid);
	uint64_t mm;
	char *room;

	(void)annex;
	if (offsets->auxv == GDB_UNKNOWN || offsets->mm == GDB_UNKNOWN || !first ||
	    !gdb_read_word(gdb, first->task + offsets->mm, &mm))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the auxiliary vector cannot be found");
	room = buffer_reserve(out, offsets->auxv_size);
	if (!room)
		return NULL;
	if (!gdb_read(gdb, mm + offsets->auxv, room, offsets->auxv_size))
		return error_create(NUNCHI_ERROR_FAULT, "the auxiliary vector cannot be read");
	out->size += offsets->auxv_size;
	return NULL;
}

/* The path of the executable, for people: gdb cannot have the file. */
static struct nunchi_error *make_exec_file(struct nunchi_gdb *gdb, const char *annex,
					   struct buffer *out)
{
	static const char *const column[] = {"path"};
	char pid[24];
	const struct nunchi_constraint of_process = {
	    .column = "pid", .value = pid, .op = NUNCHI_EQUAL};
	const struct nunchi_query query = {.size = sizeof(query),
					   .columns = column,
					   .column_count = 1,
					   .constraints = &of_process,
					   .constraint_count = 1};
	struct nunchi_cursor *cursor = NULL;
	_cleanup_free_ char *shown = NULL;
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	bool torn;

	(void)annex;
	snprintf(pid, sizeof(pid), "%" PRIu64, gdb->pid);
	err = nunchi_cursor_open(gdb->guest, nunchi_view_find("processes"), &query, &cursor);
	if (!err)
		err = nunchi_cursor_next(cursor, &cells, &torn);
	if (!err && cells[0].kind == NUNCHI_CELL_VALUE)
		shown = escape(cells[0].text, cells[0].text_size, out);
	if (shown)
		buffer_append_string(out, shown);
	nunchi_cursor_close(cursor);
	if (!error_is(err, NUNCHI_ERROR_STOP))
		return err;
	nunchi_error_destroy(err);
	return error_create(NUNCHI_ERROR_NOT_FOUND, "there is no process %s any more", pid);
}

static const struct object {
	const char *name;
	bool of_process;
	struct nunchi_error *(*make)(struct nunchi_gdb *gdb, const char *annex, struct buffer *out);
} objects[] = {
    {"auxv", true, make_auxv},          {"exec-file", true, make_exec_file},
    {"features", false, make_features}, {"memory-map", false, make_memory_map},
    {"osdata", false, make_osdata},     {"threads", false, make_threads},
};

void gdb_put_objects(const struct nunchi_gdb *gdb, struct buffer *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		if (gdb->pid || !objects[i].of_process)
			buffer_printf(out, ";qXfer:%s:read+", objects[i].name);
	}
}

/* ---- Parts ----------------------------------------------------------------------------------- */

struct request {
	const struct object *object;
	char name[sizeof(((struct nunchi_gdb *)NULL)->document_name)]; /* "OBJECT:ANNEX" */
	const char *annex;                                             /* in name */
	uint64_t offset, length;
};

/* Cuts a word at a ':' off the text. */
static bool take_word(const char **text, size_t *size, const char **ret, size_t *ret_size)
{
	const char *colon = memchr(*text, ':', *size);

	if (!colon)
		return false;
	*ret = *text;
	*ret_size = (size_t)(colon - *text);
	*size -= *ret_size + 1;
	*text = colon + 1;
	return true;
}

static bool parse_range(const char *text, size_t size, struct request *ret)
{
	size_t digits = gdb_parse_hex(text, size, &ret->offset);

	if (!digits || digits == size || text[digits] != ',')
		return false;
	text += digits + 1;
	size -= digits + 1;
	return size && gdb_parse_hex(text, size, &ret->length) == size && ret->length;
}

/* False if the object is not known or the request is malformed. */
static bool parse(const char *text, size_t size, bool is_process, struct request *ret)
{
	const char *name, *verb, *annex;
	size_t name_size, verb_size, annex_size;

	if (!take_word(&text, &size, &name, &name_size) ||
	    !take_word(&text, &size, &verb, &verb_size) ||
	    !take_word(&text, &size, &annex, &annex_size) || verb_size != 4 ||
	    memcmp(verb, "read", 4) != 0 || name_size + annex_size + 2 > sizeof(ret->name) ||
	    memchr(annex, '\0', annex_size))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		if (strlen(objects[i].name) == name_size &&
		    !memcmp(objects[i].name, name, name_size))
			ret->object = &objects[i];
	}
	if (!ret->object || (ret->object->of_process && !is_process))
		return false;
	memcpy(ret->name, name, name_size);
	ret->name[name_size] = ':';
	memcpy(ret->name + name_size + 1, annex, annex_size);
	ret->name[name_size + 1 + annex_size] = '\0';
	ret->annex = ret->name + name_size + 1;
	return parse_range(text, size, ret);
}

/* Makes the document, unless it is there and its beginning was read before. */
static struct nunchi_error *prepare(struct nunchi_gdb *gdb, const struct request *request)
{
	struct nunchi_error *err;

	if (request->offset && !strcmp(gdb->document_name, request->name))
		return NULL;
	buffer_deinit(&gdb->document);
	buffer_init(&gdb->document, GDB_DOCUMENT_LIMIT);
	gdb->document_name[0] = '\0';
	err = request->object->make(gdb, request->annex, &gdb->document);
	if (!err && gdb->document.failed)
		err = gdb->document.no_memory
			  ? &error_nomem
			  : error_create(NUNCHI_ERROR_UNSUPPORTED, "the table is too large");
	if (!err)
		memcpy(gdb->document_name, request->name, sizeof(gdb->document_name));
	return err;
}

void gdb_transfer(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	struct request request = {.object = NULL};
	struct nunchi_error *err;
	size_t left;

	/* An empty reply: not known. */
	if (!parse(text, size, gdb->pid != 0, &request))
		return;
	err = prepare(gdb, &request);
	if (err) {
		gdb_refuse_error(gdb, err);
		return;
	}
	left = request.offset < gdb->document.size ? gdb->document.size - request.offset : 0;
	if (request.length > GDB_REPLY_MAX)
		request.length = GDB_REPLY_MAX;
	buffer_append_char(&gdb->text, left > request.length ? 'm' : 'l');
	buffer_append(&gdb->text, buffer_string(&gdb->document) + (left ? request.offset : 0),
		      left < request.length ? left : (size_t)request.length);
}
