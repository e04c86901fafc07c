/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files out of the guest's page cache, below a directory, with a list of what they are. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LIMIT ((uint64_t)16 << 30)
/*
 * Pages of all files that are looked for: those of 256 GiB. Files may have any size, so one file
 * gets an eighth of those that are left; the others are not lost for it.
 */
#define MAX_PAGES ((uint64_t)1 << 26)
#define ONE_OF    8
#define PAGE      4096u
/* Ranges of missing bytes that are told of a file. */
#define MAX_RANGES 16
/* Descriptors of deleted files, and bytes of their paths, that are kept. */
#define MAX_DELETED       ((size_t)1 << 18)
#define MAX_DELETED_BYTES ((size_t)64 << 20)
#define DELETED           " (deleted)"

static const struct cli_option extract_options[] = {
    {"deleted", OPTION_DELETED, NULL,
     "files that processes have open although they were deleted, and memfds, below deleted/; "
     "without a PATH no others"},
    {"pid", OPTION_PID, "N", "the process whose root directory and mounts a PATH is in (1)"},
    {"limit", OPTION_LIMIT, "SIZE", "copy no more than this many bytes (default: 16G)"},
    PROGRESS_OPTION,
};

#define COLUMNS(X)                                                                                 \
	X(file, TEXT, NONE, "path below DIR; absent if there is no file")                          \
	X(path, TEXT, NONE, "path in the guest")                                                   \
	X(type, TEXT, NONE, "regular or symlink")                                                  \
	X(pid, INTEGER, NONE, "process that has a deleted file open")                              \
	X(fd, INTEGER, NONE, "descriptor in that process")                                         \
	X(mode, INTEGER, OCTAL, "permissions in the guest")                                        \
	X(uid, INTEGER, NONE, "owner in the guest")                                                \
	X(gid, INTEGER, NONE, "group of the owner")                                                \
	X(mtime, INTEGER, UNIX_TIME, "when the content was last changed")                          \
	X(size, INTEGER, BYTES, "size in the guest")                                               \
	X(data, INTEGER, BYTES, "bytes out of the page cache")                                     \
	X(holes, INTEGER, BYTES, "zeros that the file system stores nowhere")                      \
	X(missing, INTEGER, BYTES, "bytes that are not in the memory: holes of the file here")     \
	X(missing_ranges, TEXT, NONE, "where these are, FIRST-LAST, at most 16 ranges")            \
	X(symlink_target_path, TEXT, NONE, "target of a symbolic link, which is not made here")    \
	X(error, TEXT, NONE, "why the file is not there, or not whole")

#define COLUMN_ENUM(name, type, unit, doc)   COLUMN_##name,
#define COLUMN_SCHEMA(name, type, unit, doc) {#name, NUNCHI_TYPE_##type, doc, NUNCHI_UNIT_##unit},

enum { COLUMNS(COLUMN_ENUM) COLUMN_COUNT };
static const struct nunchi_column columns[] = {COLUMNS(COLUMN_SCHEMA)};

/* A descriptor of a file without a name. */
struct deleted {
	int64_t pid, fd;
	uint64_t address; /* of its struct file, which several descriptors may share; 0: unknown */
	char *path;
	size_t path_size;
};

struct extract {
	struct cli *cli;
	char **paths;
	int path_count;
	uint64_t pid, limit, done, pages;
	bool deleted;
	struct deleted *entries; /* of deleted files */
	size_t count, room, bytes;
	bool too_many;
	struct extract_files files;
	struct nunchi_writer *shown, *manifest;
	struct nunchi_error *err; /* that ended it */
	struct progress progress;
	uint64_t rows, made, kept, incomplete, refused, unnamed; /* kept: bytes of those made */
	uint64_t cut;                                            /* files with too many holes */
	uint64_t unknown; /* descriptors of which it is not known whether the file has a name */
};

/* A file that was found, and what was read of it. */
struct found {
	struct nunchi_cell cells[COLUMN_COUNT]; /* what is known before it is read */
	bool is_deleted;
	uint64_t size, data, holes, missing;
	uint64_t start, end; /* the range of missing bytes that was met last */
	unsigned ranges;
	bool opened, begun, refused; /* refused: its file system has no page cache for it */
	char text[MAX_RANGES * 42 + 8];
	char error[256];
	char name[4096]; /* below the directory */
};

static int extract_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct extract *extract = state;

	if (letter == OPTION_DELETED)
		extract->deleted = true;
	else if (letter == OPTION_PROGRESS)
		extract->progress.always = true;
	else if (letter == OPTION_LIMIT && (!parse_size(value, &extract->limit) || !extract->limit))
		return cli_misuse(cli, NULL, "--limit takes a size such as 64G, not \"%s\"", value);
	else if (letter == OPTION_PID &&
		 (!parse_number(value, &extract->pid) || extract->pid > INT32_MAX))
		return cli_misuse(cli, NULL, "\"%s\" is not a process id", value);
	return CLI_DONE;
}

/* ---- One file -------------------------------------------------------------------------------- */

static void end_range(struct found *found)
{
	size_t used = strlen(found->text);

	if (found->start == found->end)
		return;
	if (found->ranges++ < MAX_RANGES)
		snprintf(found->text + used, sizeof(found->text) - used, "%s%" PRIu64 "-%" PRIu64,
			 used ? "," : "", found->start, found->end - 1);
	else if (found->ranges == MAX_RANGES + 1)
		snprintf(found->text + used, sizeof(found->text) - used, ",…");
	found->start = found->end = 0;
}

static void add_missing(struct found *found, uint64_t at, uint64_t size)
{
	if (found->end != at || found->start == found->end) {
		end_range(found);
		found->start = at;
	}
	found->end = at + size;
	found->missing += size;
}

static void say(struct found *found, const char *text)
{
	if (!*found->error)
		snprintf(found->error, sizeof(found->error), "%s", text);
}

/* Takes the text of an error that concerns one file; gives one that concerns all. */
static struct nunchi_error *take_error(const struct extract *extract, struct found *found,
				       struct nunchi_error *err)
{
	enum nunchi_error_code code = nunchi_error_code(err);
	const char *text = nunchi_error_message(err), *target = extract->cli->target;
	size_t size = target ? strlen(target) : 0;

	if (code != NUNCHI_ERROR_NOT_FOUND && code != NUNCHI_ERROR_UNSUPPORTED &&
	    code != NUNCHI_ERROR_FAULT && code != NUNCHI_ERROR_DATA)
		return err;
	/* All are of one guest, which needs no name in each row. */
	if (size && !strncmp(text, target, size) && !strncmp(text + size, ": ", 2))
		text += size + 2;
	say(found, text);
	found->refused = code == NUNCHI_ERROR_UNSUPPORTED;
	nunchi_error_destroy(err);
	return NULL;
}

static struct nunchi_error *lost_maker(void)
{
	return nunchi_error_create(NUNCHI_ERROR_IO, 0, "the process that makes files has ended",
				   NULL);
}

static struct nunchi_error *interrupted(void)
{
	return nunchi_error_create(NUNCHI_ERROR_CANCELLED, 0, "interrupted", NULL);
}

/* The errno with which the other process could not make the file; -1: it has ended. */
static int send_name(struct extract *extract, const struct found *found)
{
	if (!extract_send(&extract->files, EXTRACT_FILE, 0, found->name, strlen(found->name)))
		return -1;
	return extract_answer(&extract->files);
}

/* Names the file as the guest does, with each character that could control a terminal escaped. */
static bool choose_name(struct found *found)
{
	const struct nunchi_cell *path = &found->cells[COLUMN_path];
	const size_t used = strlen("files");
	size_t size;

	snprintf(found->name, sizeof(found->name), "files");
	if (memchr(path->text, '\0', path->text_size))
		return false;
	size = nunchi_escape(path->text, path->text_size, found->name + used,
			     sizeof(found->name) - used);
	return size < sizeof(found->name) - used;
}

/* Has the file made, under a number if its name cannot be one here. */
static struct nunchi_error *begin(struct extract *extract, struct found *found)
{
	int error = ENAMETOOLONG;

	found->begun = true;
	if (found->is_deleted)
		snprintf(found->name, sizeof(found->name), "deleted/%" PRId64 "-%" PRId64,
			 found->cells[COLUMN_pid].integer, found->cells[COLUMN_fd].integer);
	if (found->is_deleted || choose_name(found))
		error = send_name(extract, found);
	if (error == ENAMETOOLONG || error == EEXIST || error == ENOTDIR || error == EINVAL) {
		snprintf(found->name, sizeof(found->name), "unnamed/%" PRIu64, ++extract->unnamed);
		error = send_name(extract, found);
	}
	return error < 0 ? lost_maker() : NULL;
}

/* Why no more bytes of a file are copied; NULL: some are. pages: what it may have looked for at
 * most. */
static const char *spent(const struct extract *extract, uint64_t pages)
{
	if (extract->done >= extract->limit)
		return "not copied: all files have more bytes than --limit says";
	if (extract->pages >= pages)
		return "not looked for: the file has too many holes; nunchi cat with the path "
		       "reads it";
	return NULL;
}

static struct nunchi_error *copy(struct extract *extract, struct nunchi_file *file,
				 struct found *found)
{
	static char chunk[EXTRACT_CHUNK];
	const uint64_t pages = extract->pages + (MAX_PAGES - extract->pages) / ONE_OF;
	struct nunchi_error *err = NULL;
	struct nunchi_piece piece;

	for (uint64_t at = 0; !err && at < found->size; at += piece.size) {
		uint64_t most = extract->limit - extract->done;
		const char *why = spent(extract, pages);

		if (why) {
			extract->cut += extract->done < extract->limit;
			add_missing(found, at, found->size - at);
			say(found, why);
			return NULL;
		}
		if (cli_interrupted())
			return interrupted();
		if (most > sizeof(chunk))
			most = sizeof(chunk);
		err = nunchi_file_read(file, at, (size_t)most, chunk, &piece);
		if (err || !piece.size)
			return err;
		extract->pages += (piece.size + PAGE - 1) / PAGE;
		if (piece.kind == NUNCHI_FILE_MISSING) {
			add_missing(found, at, piece.size);
			say(found, piece.why == NUNCHI_ABSENT_PAGED_OUT
				       ? "not in the page cache, or swapped out"
				       : nunchi_absence_string(piece.why));
		}
		found->holes += piece.kind == NUNCHI_FILE_HOLE ? piece.size : 0;
		progress_show(&extract->progress, extract->done, 0);
		if (piece.kind != NUNCHI_FILE_DATA)
			continue;
		found->data += piece.size;
		extract->done += piece.size;
		if (!found->begun)
			err = begin(extract, found);
		if (!err &&
		    !extract_send(&extract->files, EXTRACT_DATA, at, chunk, (size_t)piece.size))
			err = lost_maker();
	}
	return err;
}

/* Copies a file that was opened. One of which no byte is in the memory is not made. */
static struct nunchi_error *copy_whole(struct extract *extract, struct nunchi_file *file,
				       struct found *found)
{
	struct nunchi_error *err;
	char text[sizeof(found->error)];
	int error;

	found->opened = true;
	found->size = nunchi_file_size(file);
	err = copy(extract, file, found);
	end_range(found);
	if (!err && !found->begun && !found->missing)
		err = begin(extract, found);
	if (err || !found->begun)
		return err;
	if (!extract_send(&extract->files, EXTRACT_END, found->size, "", 0))
		return lost_maker();
	error = extract_answer(&extract->files);
	if (error < 0)
		return lost_maker();
	if (error == EFBIG) {
		/* What could be written stays. */
		snprintf(text, sizeof(text), "the file system of DIR has no file of this size");
	} else if (error) {
		found->begun = false;
		snprintf(text, sizeof(text), "cannot make the file: %s", strerror(error));
	}
	if (error)
		snprintf(found->error, sizeof(found->error), "%s", text);
	return NULL;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static bool write_manifest(const char *bytes, size_t size, void *data)
{
	struct extract *extract = data;

	while (size) {
		size_t part = size < EXTRACT_CHUNK ? size : EXTRACT_CHUNK;

		if (!extract_send(&extract->files, EXTRACT_MANIFEST, 0, bytes, part))
			return false;
		bytes += part;
		size -= part;
	}
	return true;
}

static struct nunchi_cell text_cell(const char *text, size_t size)
{
	struct nunchi_cell cell = size ? cell_text("") : cell_not_applicable();

	cell.text = text;
	cell.text_size = size;
	return cell;
}

/* Shows what became of the file. */
static struct nunchi_error *show(struct extract *extract, struct found *found)
{
	struct nunchi_cell *cells = found->cells;
	struct nunchi_error *err;

	if (found->opened) {
		cells[COLUMN_type] = cell_text("regular");
		cells[COLUMN_size] = cell_integer((int64_t)found->size);
		cells[COLUMN_data] = cell_integer((int64_t)found->data);
		cells[COLUMN_holes] = cell_integer((int64_t)found->holes);
		cells[COLUMN_missing] = cell_integer((int64_t)found->missing);
	}
	if (found->begun)
		cells[COLUMN_file] = text_cell(found->name, strlen(found->name));
	cells[COLUMN_missing_ranges] = text_cell(found->text, strlen(found->text));
	cells[COLUMN_error] = text_cell(found->error, strlen(found->error));
	extract->rows++;
	err = nunchi_writer_row(extract->manifest, cells, false);
	return err ? err : nunchi_writer_row(extract->shown, cells, false);
}

/* Copies the file, if it could be opened, and shows it. */
static struct nunchi_error *extract_one(struct extract *extract, struct nunchi_error *err,
					struct nunchi_file *file, struct found *found)
{
	const struct nunchi_cell *size = &found->cells[COLUMN_size];

	if (err)
		err = take_error(extract, found, err);
	else if (file)
		err = copy_whole(extract, file, found);
	nunchi_file_close(file);
	if (err)
		return err;
	/* A file of /proc and the like has no size, and no page cache. */
	if (found->refused && size->kind == NUNCHI_CELL_VALUE && !size->integer) {
		extract->refused++;
		return NULL;
	}
	extract->made += found->begun;
	extract->kept += found->begun ? found->data : 0;
	extract->incomplete += *found->error != '\0';
	return show(extract, found);
}

static void found_init(struct found *found, const char *path, size_t path_size)
{
	*found = (struct found){.size = 0};
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		found->cells[i] = cell_not_applicable();
	found->cells[COLUMN_path] = cell_text("");
	found->cells[COLUMN_path].text = path;
	found->cells[COLUMN_path].text_size = path_size;
}

/* ---- Files with names ------------------------------------------------------------------------ */

/* The cells of nunchi_names(). */
enum { PATH, TYPE, MODE, UID, GID, SIZE, CACHED, MTIME, ATIME, CTIME, LINKS, INODE, TARGET };

static bool has_text(const struct nunchi_cell *cell, const char *text)
{
	return cell->kind == NUNCHI_CELL_VALUE && cell->text_size == strlen(text) &&
	       !memcmp(cell->text, text, cell->text_size);
}

static bool take_name(const struct nunchi_cell *cells, void *data)
{
	static struct found found;
	struct extract *extract = data;
	bool is_regular = has_text(&cells[TYPE], "regular");
	struct nunchi_file *file = NULL;
	struct nunchi_error *err = NULL;

	if (cli_interrupted())
		return false;
	if (!is_regular && !has_text(&cells[TYPE], "symlink") &&
	    cells[TYPE].kind == NUNCHI_CELL_VALUE)
		return true;
	found_init(&found, cells[PATH].text, cells[PATH].text_size);
	found.cells[COLUMN_type] = cells[TYPE];
	found.cells[COLUMN_mode] = cells[MODE];
	found.cells[COLUMN_uid] = cells[UID];
	found.cells[COLUMN_gid] = cells[GID];
	found.cells[COLUMN_mtime] = cells[MTIME];
	found.cells[COLUMN_size] = cells[SIZE];
	found.cells[COLUMN_symlink_target_path] = cells[TARGET];
	if (is_regular)
		err = nunchi_file_open_name(extract->cli->guest, &file);
	else if (cells[TYPE].kind != NUNCHI_CELL_VALUE)
		say(&found, "its inode cannot be read, so that its type is not known");
	extract->err = extract_one(extract, err, file, &found);
	return !extract->err;
}

static int extract_names(struct extract *extract)
{
	static char root[] = "/";
	char *everything = root;
	char **paths = extract->path_count ? extract->paths : &everything;
	int count = extract->path_count, status = CLI_DONE;

	if (!count && !extract->deleted)
		count = 1;
	for (int i = 0; i < count && !extract->err && !cli_interrupted(); i++) {
		struct nunchi_error *err = nunchi_names(extract->cli->guest, extract->pid, paths[i],
							UINT_MAX, take_name, extract);
		int failed;

		progress_end(&extract->progress);
		failed = cli_fail(extract->cli, err);
		status = failed ? failed : status;
	}
	return status;
}

/* ---- Files without names --------------------------------------------------------------------- */

static struct deleted *new_deleted(struct extract *extract, const struct nunchi_cell *path)
{
	struct deleted *entry;

	if (extract->count == extract->room) {
		size_t room = extract->room ? 2 * extract->room : 256;
		struct deleted *more = realloc(extract->entries, room * sizeof(*more));

		if (!more)
			return NULL;
		extract->entries = more;
		extract->room = room;
	}
	entry = &extract->entries[extract->count];
	*entry = (struct deleted){.path_size = path->text_size};
	entry->path = malloc(path->text_size + 1);
	if (!entry->path)
		return NULL;
	memcpy(entry->path, path->text, path->text_size);
	extract->bytes += path->text_size;
	extract->count++;
	return entry;
}

/* Whether a path of /proc/PID/fd is that of a file without a name. */
static bool is_deleted(const struct nunchi_cell *path)
{
	const size_t size = strlen(DELETED);

	return path->kind == NUNCHI_CELL_VALUE && path->text_size > size &&
	       !memcmp(path->text + path->text_size - size, DELETED, size);
}

static struct nunchi_error *take_open(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct extract *extract = data;
	struct deleted *entry;

	(void)torn;
	extract->unknown +=
	    cells[2].kind == NUNCHI_CELL_ABSENT && cells[2].absence != NUNCHI_ABSENT_NOT_APPLICABLE;
	if (!is_deleted(&cells[2]) || cells[0].kind != NUNCHI_CELL_VALUE ||
	    cells[1].kind != NUNCHI_CELL_VALUE || cells[0].integer < 0 || cells[1].integer < 0)
		return NULL;
	if (extract->count >= MAX_DELETED || extract->bytes >= MAX_DELETED_BYTES) {
		extract->too_many = true;
		return NULL;
	}
	entry = new_deleted(extract, &cells[2]);
	if (!entry)
		return nunchi_error_create(NUNCHI_ERROR_NOMEM, 0, "out of memory", NULL);
	entry->pid = cells[0].integer;
	entry->fd = cells[1].integer;
	if (cells[3].kind == NUNCHI_CELL_VALUE)
		entry->address = cells[3].address;
	return NULL;
}

/* By the open file, then in the order of the view. */
static int compare_deleted(const void *left, const void *right)
{
	const struct deleted *a = left, *b = right;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return (a->fd > b->fd) - (a->fd < b->fd);
}

/* Several descriptors may share an open file, of which there is one copy then. */
static struct nunchi_error *extract_deleted_one(struct extract *extract,
						const struct deleted *entry,
						const struct deleted *before)
{
	static struct found found;
	bool shared = before && entry->address && before->address == entry->address;
	struct nunchi_file *file = NULL;
	struct nunchi_error *err;

	if (shared) {
		found.cells[COLUMN_pid] = cell_integer(entry->pid);
		found.cells[COLUMN_fd] = cell_integer(entry->fd);
		return show(extract, &found);
	}
	found_init(&found, entry->path, entry->path_size);
	found.is_deleted = true;
	found.cells[COLUMN_type] = cell_not_applicable();
	found.cells[COLUMN_pid] = cell_integer(entry->pid);
	found.cells[COLUMN_fd] = cell_integer(entry->fd);
	err =
	    nunchi_file_open(extract->cli->guest, (uint64_t)entry->pid, (uint64_t)entry->fd, &file);
	return extract_one(extract, err, file, &found);
}

static int extract_deleted(struct extract *extract)
{
	static const char *const wanted[] = {"pid", "fd", "path", "file"};
	const struct nunchi_query query = {
	    .size = sizeof(query), .columns = wanted, .column_count = ARRAY_SIZE(wanted)};
	struct cli *cli = extract->cli;
	int status =
	    cli_rows(cli, nunchi_view_find("process_open_files"), &query, take_open, extract);

	if (extract->count)
		qsort(extract->entries, extract->count, sizeof(*extract->entries), compare_deleted);
	for (size_t i = 0; i < extract->count && !extract->err && !cli_interrupted(); i++)
		extract->err = extract_deleted_one(extract, &extract->entries[i],
						   i ? &extract->entries[i - 1] : NULL);
	if (extract->too_many)
		return cli_fail_with(cli,
				     "there are more than %zu descriptors of deleted files, or "
				     "their paths are too long; the others are left out",
				     extract->count);
	return status;
}

/* ---- The command ----------------------------------------------------------------------------- */

static struct nunchi_error *make_writers(struct extract *extract)
{
	const struct nunchi_column *pointers[COLUMN_COUNT];
	const struct nunchi_writer_options json = {
	    .size = sizeof(json), .output = NUNCHI_OUTPUT_JSON, .never_torn = true};
	struct nunchi_error *err;

	for (size_t i = 0; i < COLUMN_COUNT; i++)
		pointers[i] = &columns[i];
	err = cli_list_writer(extract->cli, columns, COLUMN_COUNT, &extract->shown);
	return err ? err
		   : nunchi_writer_create(&json, pointers, COLUMN_COUNT, write_manifest, extract,
					  &extract->manifest);
}

static void tell(struct extract *extract)
{
	struct cli *cli = extract->cli;
	char text[256];

	snprintf(text, sizeof(text), "%" PRIu64 " files, of %" PRIu64 " KiB, are in the directory",
		 extract->made, extract->kept >> 10);
	cli_note(cli, text);
	if (extract->refused) {
		snprintf(text, sizeof(text),
			 "%" PRIu64 " files without a size, which have no page cache, as those of "
			 "/proc, are left out",
			 extract->refused);
		cli_note(cli, text);
	}
	if (!extract->incomplete)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 " files are not there, or not whole",
		 extract->incomplete);
	cli_warn(cli, text);
}

/* What was not looked for as it was asked for is no success. */
static int fail_for_the_left_out(struct extract *extract)
{
	int status = CLI_DONE;

	if (extract->cut)
		status = cli_fail_with(
		    extract->cli, "%" PRIu64 " files have too many holes to look for all of them",
		    extract->cut);
	if (extract->unknown)
		status = cli_fail_with(
		    extract->cli,
		    "of %" PRIu64 " descriptors the path cannot be read, so that it is "
		    "not known whether their files were deleted; nunchi show TARGET "
		    "process_open_files says why",
		    extract->unknown);
	return status;
}

/* Gives the manifest its name: all that was found is in it. */
static int name_manifest(struct extract *extract)
{
	int error = EPIPE;

	if (extract_send(&extract->files, EXTRACT_DONE, 0, "", 0))
		error = extract_answer(&extract->files);
	if (error)
		return cli_fail_with(extract->cli, "cannot make the manifest: %s",
				     strerror(error < 0 ? EPIPE : error));
	return CLI_DONE;
}

static int extract_held(struct cli *cli, void *data)
{
	struct extract *extract = data;
	struct nunchi_error *err = make_writers(extract);
	int status = CLI_DONE, failed;

	if (err)
		return cli_fail(cli, err);
	progress_begin(&extract->progress);
	status = extract_names(extract);
	if (extract->deleted && !extract->err && !cli_interrupted()) {
		failed = extract_deleted(extract);
		status = failed ? failed : status;
	}
	progress_end(&extract->progress);
	/* Nothing could be looked for, and was said. */
	if (status && !extract->rows && !extract->err)
		return status;
	if (!extract->err && !cli_interrupted())
		extract->err = nunchi_writer_finish(extract->shown);
	/* Otherwise the manifest keeps the name of a part. */
	if (!extract->err && !cli_interrupted()) {
		failed = name_manifest(extract);
		status = failed ? failed : status;
		tell(extract);
		failed = fail_for_the_left_out(extract);
		return failed ? failed : status;
	}
	if (cli_interrupted()) {
		nunchi_error_destroy(extract->err);
		extract->err = NULL;
		return CLI_FAILED;
	}
	failed = cli_fail(cli, extract->err);
	extract->err = NULL;
	return failed;
}

/* A part "." or ".." would be refused when the files are made. */
static bool is_plain(const char *path)
{
	for (const char *part = path; *part; part += strcspn(part, "/")) {
		size_t size;

		part += strspn(part, "/");
		size = strcspn(part, "/");
		if ((size == 1 && part[0] == '.') || (size == 2 && !strncmp(part, "..", 2)))
			return false;
	}
	return path[0] == '/' && !strstr(path, "//");
}

/* Whether `path` is `above` or lies below it. */
static bool is_below(const char *path, const char *above)
{
	size_t size = strlen(above);

	while (size && above[size - 1] == '/')
		size--;
	return !strncmp(path, above, size) && (path[size] == '/' || !path[size]);
}

static int check_paths(struct cli *cli, char **paths, int count)
{
	for (int i = 0; i < count; i++) {
		if (!is_plain(paths[i]))
			return cli_misuse(cli, NULL,
					  "the path \"%s\" does not begin with /, or has a part "
					  "\".\", \"..\" or \"\"",
					  paths[i]);
		for (int k = 0; k < count; k++) {
			if (i != k && is_below(paths[i], paths[k]))
				return cli_misuse(cli, NULL, "\"%s\" is below \"%s\"", paths[i],
						  paths[k]);
		}
	}
	return CLI_DONE;
}

static int extract_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct extract *extract = state;
	int status;

	extract->cli = cli;
	extract->paths = arguments + 2;
	extract->path_count = count - 2;
	extract->limit = extract->limit ? extract->limit : DEFAULT_LIMIT;
	extract->pid = extract->pid ? extract->pid : 1;
	status = check_paths(cli, extract->paths, extract->path_count);
	if (!status)
		status = held_check(cli, arguments[0]);
	if (!status)
		status = extract_start(cli, arguments[1], &extract->files);
	if (!status)
		status = cli_open(cli, arguments[0]);
	if (!status)
		status = held_run(cli, extract_held, extract);
	nunchi_writer_destroy(extract->manifest);
	nunchi_writer_destroy(extract->shown);
	extract_end(&extract->files);
	return status;
}

static void extract_clean(void *state)
{
	struct extract *extract = state;

	for (size_t i = 0; i < extract->count; i++)
		free(extract->entries[i].path);
	free(extract->entries);
}

const struct command command_extract = {
    .name = "extract",
    .arguments = "TARGET DIR [PATH…]",
    .summary = "write many files of the guest, out of its page cache",
    .description =
	"Writes the regular files at each PATH and below it (/), as far as the guest's kernel has "
	"their names and bytes in memory, below DIR/files, and with --deleted those that have "
	"no name any more below DIR/deleted, as PID-FD. DIR must be new, or an empty directory of "
	"the caller's. Its manifest.jsonl has a line for each file: its path, mode, owner and "
	"times in the guest, which bytes are missing and why; the same is shown. Files are made "
	"with mode 0600, owned by the caller; missing bytes are holes of the file, and one of "
	"which no byte is in the memory is not made. In names, characters that a terminal would "
	"not show are escaped; a file whose name cannot be one here is below DIR/unnamed. "
	"Symbolic links, modes and owners stand in the manifest alone.\n"
	"After Ctrl-C, or where the command fails, the manifest is manifest.jsonl.part and has the "
	"files until then. A running guest is paused for as "
	"long as this takes, and only with --pause always.",
    .examples = "  nunchi extract memory.raw evidence /tmp /home /root\n"
		"  nunchi extract memory.raw gone --deleted --json\n"
		"  nunchi extract xen:web etc /etc --pause always\n",
    .options = extract_options,
    .option_count = ARRAY_SIZE(extract_options),
    .least = 2,
    .most = 64,
    .state_size = sizeof(struct extract),
    .option = extract_option,
    .run = extract_run,
    .clean = extract_clean,
};
