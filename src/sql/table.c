/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Views as virtual tables. SQLite tests each row itself, so that conditions which are passed on to
 * the view need only not lose a row. By its rowid SQLite knows a row again that it reads by other
 * conditions (OR, RIGHT JOIN), so the rowid depends on what the row has alone.
 */
#include "core/array.h"
#include "core/buffer.h"
#include "core/hash.h"
#include "sql/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Conditions passed on to a view at most; the rest is SQLite's. */
#define MAX_CONDITIONS 16

/*
 * Estimates for SQLite's choice of a plan, in the unit of what a row of a process costs. The views
 * of what processes have walk all processes, or with a condition on the process id that one
 * process: then they go over the others' ids alone.
 */
#define PROCESSES         400
#define ROWS_OF_A_PROCESS 20
#define ROWS_OF_SYMBOLS   200000
#define COST_OF_OPENING   4.0

struct table {
	sqlite3_vtab base; /* first: SQLite knows it alone */
	struct sql_source *source;
	const struct nunchi_view *view;
	int key; /* the column `pid`, by which a view reads less; -1: none */
	bool per_process;
};

#define NOT_READ 0xff

struct cursor {
	sqlite3_vtab_cursor base; /* first */
	struct nunchi_cursor *rows;
	const struct nunchi_cell *cells;
	size_t cell_count;
	sqlite3_int64 rowid;
	bool has_rowid;
	struct hash_map equal; /* of rows whose rowid was asked for: how many have the same cells */
	unsigned char place[64]; /* of the view's columns in cells; NOT_READ: in none */
};

/* ---- Declared types -------------------------------------------------------------------------- */

/*
 * What a column is declared as: SQLite takes INT, REAL and TEXT for its affinity and gives the rest
 * back for a plain column of a result, by which the result has the view's type and unit.
 */
static const struct {
	const char *name;
	enum nunchi_type type;
	enum nunchi_unit unit;
} declared[] = {
    {"INTEGER", NUNCHI_TYPE_INTEGER, NUNCHI_UNIT_NONE},
    {"INTEGER BYTES", NUNCHI_TYPE_INTEGER, NUNCHI_UNIT_BYTES},
    {"INTEGER MILLISECONDS", NUNCHI_TYPE_INTEGER, NUNCHI_UNIT_MILLISECONDS},
    {"INTEGER SECONDS", NUNCHI_TYPE_INTEGER, NUNCHI_UNIT_SECONDS},
    {"INTEGER UNIX_TIME", NUNCHI_TYPE_INTEGER, NUNCHI_UNIT_UNIX_TIME},
    {"INTEGER OCTAL", NUNCHI_TYPE_INTEGER, NUNCHI_UNIT_OCTAL},
    {"INTEGER ADDRESS", NUNCHI_TYPE_ADDRESS, NUNCHI_UNIT_NONE},
    {"REAL", NUNCHI_TYPE_REAL, NUNCHI_UNIT_NONE},
    {"TEXT", NUNCHI_TYPE_TEXT, NUNCHI_UNIT_NONE},
};

bool sql_column_declared(const char *name, struct nunchi_column *ret)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(declared); i++) {
		if (strcmp(name, declared[i].name) != 0)
			continue;
		ret->type = declared[i].type;
		ret->unit = declared[i].unit;
		return true;
	}
	return false;
}

static const char *declaration(const struct nunchi_column *column)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(declared) - 1 &&
	       (declared[i].type != column->type || declared[i].unit != column->unit))
		i++;
	return declared[i].name;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static int declare(sqlite3 *db, const struct nunchi_view *view)
{
	_cleanup_buffer_ struct buffer text;

	buffer_init(&text, 0);
	buffer_append_string(&text, "CREATE TABLE x(");
	for (size_t i = 0; i < view->column_count; i++)
		buffer_printf(&text, "%s\"%s\" %s", i ? ", " : "", view->columns[i].name,
			      declaration(&view->columns[i]));
	buffer_append_char(&text, ')');
	return text.failed ? SQLITE_NOMEM : sqlite.sqlite3_declare_vtab(db, buffer_string(&text));
}

/* arguments: the module, the schema and the table, whose name is that of a view. */
static int table_connect(sqlite3 *db, void *data, int count, const char *const *arguments,
			 sqlite3_vtab **ret, char **ret_message)
{
	const struct nunchi_sql *sql = data;
	struct sql_source *source = sql_find_source(sql, arguments[1]);
	const struct nunchi_view *view = nunchi_view_find(arguments[2]);
	struct table *table;
	int result;

	(void)count;
	(void)ret_message;
	if (!source || !view)
		return SQLITE_ERROR;
	result = declare(db, view);
	if (result)
		return result;
	table = calloc(1, sizeof(*table));
	if (!table)
		return SQLITE_NOMEM;
	table->source = source;
	table->view = view;
	table->key = -1;
	for (size_t i = 0; i < view->column_count; i++) {
		if (!strcmp(view->columns[i].name, "pid"))
			table->key = (int)i;
	}
	table->per_process = table->key >= 0 && strcmp(view->name, "processes") != 0;
	*ret = &table->base;
	return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *base)
{
	free(base);
	return SQLITE_OK;
}

/* ---- Choosing a plan ------------------------------------------------------------------------- */

/* The letter of an operator in a plan, or 0 if a view cannot use it for a column of this type. */
static char operator_letter(unsigned char op, enum nunchi_type type, bool in)
{
	bool integer = type == NUNCHI_TYPE_INTEGER, text = type == NUNCHI_TYPE_TEXT;

	switch (op) {
	case SQLITE_INDEX_CONSTRAINT_EQ:
		/* Of real numbers the text of a condition may be rounded. */
		if (type == NUNCHI_TYPE_REAL)
			return 0;
		return in ? 'i' : '=';
	/* SQLite orders addresses as signed numbers, and texts next to numbers in its own way. */
	case SQLITE_INDEX_CONSTRAINT_LT:
		return integer ? '<' : 0;
	case SQLITE_INDEX_CONSTRAINT_LE:
		return integer ? 'l' : 0;
	case SQLITE_INDEX_CONSTRAINT_GT:
		return integer ? '>' : 0;
	case SQLITE_INDEX_CONSTRAINT_GE:
		return integer ? 'g' : 0;
	case SQLITE_INDEX_CONSTRAINT_LIKE:
		return text ? 'L' : 0;
	case SQLITE_INDEX_CONSTRAINT_GLOB:
		return text ? 'G' : 0;
	default:
		return 0;
	}
}

struct plan {
	struct buffer text; /* "COLUMNS COLUMN OPERATOR …": columns a mask, in hexadecimal */
	int arguments;
	bool one_key, some_keys; /* conditions on the key: one value, or several or a range */
	unsigned filters;        /* other conditions */
};

/* Takes condition number i into the plan if the view can use it. */
static void consider(const struct table *table, sqlite3_index_info *info, int i, struct plan *plan)
{
	int column = info->aConstraint[i].iColumn;
	bool in;
	char letter;

	if (!info->aConstraint[i].usable || column < 0 || plan->arguments == MAX_CONDITIONS)
		return;
	in = sqlite.sqlite3_vtab_in(info, i, -1);
	letter = operator_letter(info->aConstraint[i].op, table->view->columns[column].type, in);
	if (!letter)
		return;
	if (table->view->columns[column].type == NUNCHI_TYPE_TEXT && strchr("=i", letter) &&
	    strcmp(sqlite.sqlite3_vtab_collation(info, i), "BINARY") != 0)
		return;
	if (in)
		sqlite.sqlite3_vtab_in(info, i, 1);
	buffer_printf(&plan->text, " %s %c", table->view->columns[column].name, letter);
	info->aConstraintUsage[i].argvIndex = ++plan->arguments;
	if (column != table->key)
		plan->filters++;
	else if (letter == '=')
		plan->one_key = true;
	else
		plan->some_keys = true;
}

static void estimate(const struct table *table, const struct plan *plan, sqlite3_index_info *info)
{
	double processes = table->key < 0 ? 1 : PROCESSES, rows, cost;

	if (plan->one_key)
		processes = 1;
	else if (plan->some_keys)
		processes /= 8;
	if (table->per_process)
		rows = processes * ROWS_OF_A_PROCESS;
	else if (table->key >= 0)
		rows = processes;
	else
		rows = strcmp(table->view->name, "symbols") != 0 ? PROCESSES : ROWS_OF_SYMBOLS;
	cost = COST_OF_OPENING + rows;
	/* The list of processes is walked in any case. */
	if (table->key >= 0)
		cost += PROCESSES / 50.0;
	for (unsigned i = 0; i < plan->filters && rows > 1; i++)
		rows /= 4;
	info->estimatedCost = cost;
	info->estimatedRows = rows < 1 ? 1 : (sqlite3_int64)rows;
	if (plan->one_key && !table->per_process)
		info->idxFlags |= SQLITE_INDEX_SCAN_UNIQUE;
}

static int table_plan(sqlite3_vtab *base, sqlite3_index_info *info)
{
	const struct table *table = (const struct table *)base;
	struct plan plan = {.arguments = 0};
	int result = SQLITE_OK;

	buffer_init(&plan.text, 0);
	buffer_printf(&plan.text, "%" PRIx64, (uint64_t)info->colUsed);
	for (int i = 0; i < info->nConstraint; i++)
		consider(table, info, i, &plan);
	estimate(table, &plan, info);
	info->idxStr =
	    plan.text.failed ? NULL : sqlite.sqlite3_mprintf("%s", buffer_string(&plan.text));
	info->needToFreeIdxStr = 1;
	if (!info->idxStr)
		result = SQLITE_NOMEM;
	buffer_deinit(&plan.text);
	return result;
}

/* ---- Conditions ------------------------------------------------------------------------------ */

/* The conditions of one execution, as texts. */
struct conditions {
	struct nunchi_constraint items[MAX_CONDITIONS];
	size_t count;
	bool none; /* no row can meet them: something is compared with NULL */
};

static void conditions_deinit(struct conditions *conditions)
{
	for (size_t i = 0; i < conditions->count; i++) {
		struct nunchi_constraint *item = &conditions->items[i];

		for (size_t j = 0; j < item->value_count; j++)
			free((char *)item->values[j]);
		free((char **)item->values);
		free((char *)item->value);
	}
}

/*
 * A value as the text of a condition, to be freed. *ret is NULL if the comparison is not the
 * view's, but one by SQLite's rules for values of different types. False: no memory.
 */
static bool value_text(sqlite3_value *value, enum nunchi_type type, char **ret)
{
	int size;

	*ret = NULL;
	if (type != NUNCHI_TYPE_TEXT) {
		int64_t number;

		if (sqlite.sqlite3_value_numeric_type(value) != SQLITE_INTEGER)
			return true;
		number = sqlite.sqlite3_value_int64(value);
		return (type == NUNCHI_TYPE_ADDRESS ? asprintf(ret, "0x%" PRIx64, (uint64_t)number)
						    : asprintf(ret, "%" PRId64, number)) >= 0;
	}
	if (sqlite.sqlite3_value_type(value) != SQLITE_TEXT)
		return true;
	size = sqlite.sqlite3_value_bytes(value);
	*ret = strndup((const char *)sqlite.sqlite3_value_text(value), (size_t)size);
	if (!*ret)
		return false;
	/* The text of a condition ends at a NUL. */
	if (strlen(*ret) != (size_t)size) {
		free(*ret);
		*ret = NULL;
	}
	return true;
}

/* Takes the values of IN. False if the condition is left to SQLite; *no_memory if memory is short.
 */
static bool take_list(sqlite3_value *list, enum nunchi_type type, struct nunchi_constraint *item,
		      bool *no_memory)
{
	sqlite3_value *value;
	size_t capacity = 0;
	int result;

	for (result = sqlite.sqlite3_vtab_in_first(list, &value); result == SQLITE_OK;
	     result = sqlite.sqlite3_vtab_in_next(list, &value)) {
		char **values = (char **)item->values;
		char *text;

		if (sqlite.sqlite3_value_type(value) == SQLITE_NULL)
			continue;
		*no_memory = !value_text(value, type, &text) ||
			     !ARRAY_RESERVE(values, item->value_count, capacity, 1);
		item->values = (const char *const *)values;
		if (*no_memory || !text) {
			free(text);
			return false;
		}
		values[item->value_count++] = text;
	}
	return result == SQLITE_DONE;
}

/*
 * How many bytes a text has to begin with to meet a pattern. LIKE takes capital and small letters
 * for the same.
 */
static size_t prefix_size(const char *pattern, bool like)
{
	size_t size = 0;

	while (pattern[size] && (unsigned char)pattern[size] < 0x80 &&
	       !strchr(like ? "%_" : "*?[", pattern[size]) &&
	       !(like && ((pattern[size] >= 'a' && pattern[size] <= 'z') ||
			  (pattern[size] >= 'A' && pattern[size] <= 'Z'))))
		size++;
	return size;
}

static enum nunchi_operator operator_of(char letter)
{
	switch (letter) {
	case '<':
		return NUNCHI_LESS;
	case 'l':
		return NUNCHI_LESS_EQUAL;
	case '>':
		return NUNCHI_GREATER;
	case 'g':
		return NUNCHI_GREATER_EQUAL;
	case 'i':
		return NUNCHI_IN;
	case 'L':
	case 'G':
		return NUNCHI_PREFIX;
	default:
		return NUNCHI_EQUAL;
	}
}

/* False: no memory. */
static bool take_condition(struct conditions *conditions, const struct nunchi_column *column,
			   char letter, sqlite3_value *value)
{
	struct nunchi_constraint *item = &conditions->items[conditions->count];
	bool no_memory = false, useful;
	char *text = NULL;

	*item = (struct nunchi_constraint){.column = column->name, .op = operator_of(letter)};
	if (letter == 'i') {
		useful = take_list(value, column->type, item, &no_memory);
	} else if (sqlite.sqlite3_value_type(value) == SQLITE_NULL) {
		conditions->none = true;
		return true;
	} else {
		no_memory = !value_text(value, column->type, &text);
		useful = text != NULL;
		if (useful && item->op == NUNCHI_PREFIX) {
			text[prefix_size(text, letter == 'L')] = '\0';
			useful = text[0] != '\0';
		}
		item->value = text;
	}
	/* What is not useful is freed with the rest. */
	conditions->count++;
	if (!useful) {
		struct conditions left = {.items = {*item}, .count = 1};

		conditions_deinit(&left);
		conditions->count--;
	}
	return !no_memory;
}

static const struct nunchi_column *find_column(const struct nunchi_view *view, const char *name,
					       size_t size)
{
	for (size_t i = 0; i < view->column_count; i++) {
		if (strlen(view->columns[i].name) == size &&
		    !memcmp(view->columns[i].name, name, size))
			return &view->columns[i];
	}
	return NULL;
}

/* Reads the conditions of a plan, behind its mask. False: no memory. */
static bool take_conditions(struct conditions *conditions, const struct nunchi_view *view,
			    const char *plan, int count, sqlite3_value **values)
{
	for (int i = 0; i < count; i++) {
		const char *name = plan + strspn(plan, " ");
		size_t size = strcspn(name, " ");
		const struct nunchi_column *column = find_column(view, name, size);

		if (!column || name[size] != ' ')
			return true;
		if (!take_condition(conditions, column, name[size + 1], values[i]))
			return false;
		plan = name + size + 2;
	}
	return true;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static int table_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
	struct cursor *cursor = calloc(1, sizeof(*cursor));

	(void)base;
	if (!cursor)
		return SQLITE_NOMEM;
	hash_map_init(&cursor->equal);
	*ret = &cursor->base;
	return SQLITE_OK;
}

static void close_rows(struct cursor *cursor)
{
	const struct table *table = (const struct table *)cursor->base.pVtab;

	if (!cursor->rows)
		return;
	sql_take_warnings(table->source, cursor->rows);
	nunchi_cursor_close(cursor->rows);
	cursor->rows = NULL;
	cursor->cells = NULL;
}

static int table_close(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)base;

	close_rows(cursor);
	hash_map_deinit(&cursor->equal);
	free(cursor);
	return SQLITE_OK;
}

static int table_next(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)base;
	struct nunchi_sql *sql = ((const struct table *)base->pVtab)->source->sql;
	struct nunchi_error *err;
	bool torn;

	cursor->cells = NULL;
	cursor->has_rowid = false;
	err = nunchi_cursor_next(cursor->rows, &cursor->cells, &torn);
	if (!err) {
		if (sql->running)
			sql->running->torn += torn;
		return SQLITE_OK;
	}
	close_rows(cursor);
	if (!error_is(err, NUNCHI_ERROR_STOP))
		return sql_keep_error(sql, err);
	nunchi_error_destroy(err);
	return SQLITE_OK;
}

/* Opens the cursor of the view for the columns of the mask. */
static struct nunchi_error *open_rows(struct cursor *cursor, uint64_t mask,
				      const struct conditions *conditions)
{
	const struct table *table = (const struct table *)cursor->base.pVtab;
	struct sql_source *source = table->source;
	const char *columns[64];
	struct nunchi_query query = {.size = sizeof(query),
				     .columns = columns,
				     .constraints = conditions->items,
				     .constraint_count = conditions->count};
	struct nunchi_error *err;

	for (size_t i = 0; i < table->view->column_count && i < ARRAY_SIZE(columns); i++) {
		cursor->place[i] = NOT_READ;
		if (!(mask >> i & 1))
			continue;
		cursor->place[i] = (unsigned char)query.column_count;
		columns[query.column_count++] = table->view->columns[i].name;
	}
	cursor->cell_count = query.column_count;
	err = sql_enter(source);
	if (!err)
		err = nunchi_cursor_open(source->guest, table->view, &query, &cursor->rows);
	if (err)
		return err;
	if (!source->cursors++)
		source->moment = nunchi_session_moment(source->session);
	return NULL;
}

static int table_filter(sqlite3_vtab_cursor *base, int number, const char *plan, int count,
			sqlite3_value **values)
{
	struct cursor *cursor = (struct cursor *)base;
	const struct table *table = (const struct table *)base->pVtab;
	struct conditions conditions = {.count = 0};
	struct nunchi_error *err = NULL;
	char *rest;
	uint64_t mask = strtoull(plan, &rest, 16);

	(void)number;
	close_rows(cursor);
	hash_map_clear(&cursor->equal);
	if (!take_conditions(&conditions, table->view, rest, count, values))
		err = &error_nomem;
	else if (!conditions.none)
		err = open_rows(cursor, mask, &conditions);
	conditions_deinit(&conditions);
	if (err)
		return sql_keep_error(table->source->sql, err);
	return cursor->rows ? table_next(base) : SQLITE_OK;
}

static int table_eof(sqlite3_vtab_cursor *base)
{
	return !((struct cursor *)base)->cells;
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	const struct cursor *cursor = (const struct cursor *)base;
	unsigned place = cursor->place[column];
	const struct nunchi_cell *cell = place != NOT_READ ? &cursor->cells[place] : NULL;

	if (!cell || cell->kind != NUNCHI_CELL_VALUE) {
		sqlite.sqlite3_result_null(context);
		if (cell)
			sqlite.sqlite3_result_subtype(context,
						      SQL_ABSENCE + (unsigned)cell->absence);
		return SQLITE_OK;
	}
	switch (cell->type) {
	case NUNCHI_TYPE_INTEGER:
		sqlite.sqlite3_result_int64(context, cell->integer);
		break;
	case NUNCHI_TYPE_ADDRESS:
		sqlite.sqlite3_result_int64(context, (sqlite3_int64)cell->address);
		break;
	case NUNCHI_TYPE_REAL:
		sqlite.sqlite3_result_double(context, cell->real);
		break;
	case NUNCHI_TYPE_TEXT:
		sqlite.sqlite3_result_text64(context, cell->text, cell->text_size, SQLITE_TRANSIENT,
					     SQLITE_UTF8);
		break;
	}
	return SQLITE_OK;
}

static void append_cell(struct buffer *buffer, const struct nunchi_cell *cell)
{
	const bool text = cell->kind == NUNCHI_CELL_VALUE && cell->type == NUNCHI_TYPE_TEXT;
	const uint64_t head[] = {
	    (uint64_t)cell->kind << 32 | (uint64_t)cell->type,
	    cell->kind != NUNCHI_CELL_VALUE ? (uint64_t)cell->absence : 0,
	    text ? cell->text_size : 0,
	};
	uint64_t bits = 0;

	buffer_append(buffer, head, sizeof(head));
	if (text) {
		buffer_append(buffer, cell->text, cell->text_size);
		return;
	}
	if (cell->kind != NUNCHI_CELL_VALUE)
		return;
	if (cell->type == NUNCHI_TYPE_REAL)
		memcpy(&bits, &cell->real, sizeof(bits));
	else
		bits = cell->type == NUNCHI_TYPE_ADDRESS ? cell->address : (uint64_t)cell->integer;
	buffer_append(buffer, &bits, sizeof(bits));
}

/*
 * A hash of the row's cells, and of how many rows with the same cells were asked for before. Which
 * columns are read does not depend on the conditions that are passed on, and those are about
 * columns that are read: so equal rows meet all of them or none.
 */
static bool make_rowid(struct cursor *cursor, const uint64_t key[2])
{
	_cleanup_buffer_ struct buffer buffer;
	uint64_t cells[2], *before;

	buffer_init(&buffer, 0);
	for (size_t i = 0; i < cursor->cell_count; i++)
		append_cell(&buffer, &cursor->cells[i]);
	if (buffer.failed)
		return false;
	cells[0] = hash_bytes_keyed(buffer.data, buffer.size, key);
	before = hash_map_find(&cursor->equal, cells[0]);
	cells[1] = before ? ++*before : 0;
	if (!before && hash_map_insert(&cursor->equal, cells[0], 0) == HASH_NOMEM)
		return false;
	cursor->rowid = (sqlite3_int64)hash_bytes_keyed(cells, sizeof(cells), key);
	cursor->has_rowid = true;
	return true;
}

static int table_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
	const struct table *table = (const struct table *)base->pVtab;
	struct cursor *cursor = (struct cursor *)base;

	if (!cursor->has_rowid && !make_rowid(cursor, table->source->sql->key))
		return SQLITE_NOMEM;
	*ret = cursor->rowid;
	return SQLITE_OK;
}

static const sqlite3_module module = {
    .iVersion = 1,
    .xCreate = table_connect,
    .xConnect = table_connect,
    .xBestIndex = table_plan,
    .xDisconnect = table_disconnect,
    .xDestroy = table_disconnect,
    .xOpen = table_open,
    .xClose = table_close,
    .xFilter = table_filter,
    .xNext = table_next,
    .xEof = table_eof,
    .xColumn = table_column,
    .xRowid = table_rowid,
};

struct nunchi_error *sql_create_module(struct nunchi_sql *sql)
{
	int result = sqlite.sqlite3_create_module_v2(sql->db, "nunchi", &module, sql, NULL);

	return result ? sql_error(sql, result) : NULL;
}
