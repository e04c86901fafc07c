/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's files, as process 1 has them, out of the page cache. What a name stands for is told
 * by its directory's list, because a path that is asked for itself is followed if it is a link.
 * Lists that were used lately are kept: programs ask for one name after the other.
 */
#include "core/error.h"
#include "core/hash.h"
#include "mount/served.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define INIT       1
#define MOST_NAMES ((size_t)1 << 17) /* in a directory */

enum { PATH, TYPE, SIZE, MTIME, LINK, COLUMN_COUNT };
static const char *const column_names[] = {"path", "type", "size", "mtime", "symlink_target_path"};

struct guest_entry {
	uint64_t size;
	int64_t time;
	mode_t mode;
	char *link; /* of a symbolic link, for us; NULL: it cannot be followed */
	char *name; /* for us */
};

/* Where the columns stand that are wanted. */
static void find_columns(size_t ret[COLUMN_COUNT])
{
	size_t count;
	const struct nunchi_column *columns = nunchi_name_columns(&count);

	for (size_t i = 0; i < count; i++)
		for (size_t wanted = 0; wanted < COLUMN_COUNT; wanted++)
			if (!strcmp(columns[i].name, column_names[wanted]))
				ret[wanted] = i;
}

static bool cell_is(const struct nunchi_cell *cell, const char *text)
{
	return cell->kind == NUNCHI_CELL_VALUE && cell->text_size == strlen(text) &&
	       !memcmp(cell->text, text, cell->text_size);
}

/* 0: a file that is not shown: a device, a FIFO, a socket. */
static mode_t type_of(const struct nunchi_cell *type)
{
	if (cell_is(type, "directory"))
		return S_IFDIR;
	if (cell_is(type, "regular"))
		return S_IFREG;
	return cell_is(type, "symlink") ? S_IFLNK : 0;
}

/* By a key that the guest does not know: names that collide would hide each other. */
static uint64_t hash_of(const struct guest_directory *directory, const char *name)
{
	return hash_bytes_keyed(name, strlen(name), directory->key);
}

/* ---- Lists of directories -------------------------------------------------------------------- */

static void clear(struct guest_directory *directory)
{
	for (size_t i = 0; i < directory->count; i++) {
		free(directory->entries[i].name);
		free(directory->entries[i].link);
	}
	free(directory->entries);
	free(directory->path);
	hash_map_deinit(&directory->places);
	*directory = (struct guest_directory){.path = NULL};
}

struct listing {
	size_t column[COLUMN_COUNT];
	struct guest_directory *directory;
	size_t prefix; /* bytes of a path before its name */
	unsigned depth;
	bool first, no_memory, cut;
};

static bool fill_entry(const struct listing *listing, const struct nunchi_cell *cells,
		       const char *name, struct guest_entry *entry)
{
	const struct nunchi_cell *size = &cells[listing->column[SIZE]],
				 *time = &cells[listing->column[MTIME]],
				 *link = &cells[listing->column[LINK]];
	char converted[PATH_MAX];

	if (size->kind == NUNCHI_CELL_VALUE && size->integer > 0)
		entry->size = (uint64_t)size->integer;
	if (time->kind == NUNCHI_CELL_VALUE)
		entry->time = time->integer;
	if (entry->mode == S_IFLNK && link->kind == NUNCHI_CELL_VALUE &&
	    node_convert_link(link->text, link->text_size, listing->depth, converted,
			      sizeof(converted))) {
		entry->link = strdup(converted);
		if (!entry->link)
			return false;
	}
	entry->name = strdup(name);
	return entry->name;
}

/* A list with room for one more. */
static bool grow(struct guest_directory *directory)
{
	size_t capacity = directory->capacity ? 2 * directory->capacity : 64;
	struct guest_entry *grown;

	if (directory->count < directory->capacity)
		return true;
	grown = reallocarray(directory->entries, capacity, sizeof(*grown));
	if (!grown)
		return false;
	directory->entries = grown;
	directory->capacity = capacity;
	return true;
}

static bool take_name(const struct nunchi_cell *cells, void *data)
{
	struct listing *listing = data;
	struct guest_directory *directory = listing->directory;
	const struct nunchi_cell *path = &cells[listing->column[PATH]];
	struct guest_entry entry = {.mode = type_of(&cells[listing->column[TYPE]])};
	char name[NAME_MAX + 1];
	enum hash_result result;

	/* The directory itself. */
	if (listing->first) {
		listing->first = false;
		return entry.mode == S_IFDIR;
	}
	if (!entry.mode || path->kind != NUNCHI_CELL_VALUE || path->text_size <= listing->prefix)
		return true;
	if (!node_escape_name(path->text + listing->prefix, path->text_size - listing->prefix, name,
			      sizeof(name))) {
		listing->cut = true;
		return true;
	}
	listing->cut |= directory->count == MOST_NAMES;
	if (directory->count == MOST_NAMES)
		return false;
	listing->no_memory = !grow(directory) || !fill_entry(listing, cells, name, &entry);
	if (!listing->no_memory) {
		/* Of two of a name the first is shown. */
		result =
		    hash_map_insert(&directory->places, hash_of(directory, name), directory->count);
		listing->no_memory = result == HASH_NOMEM;
		if (result == HASH_INSERTED) {
			directory->entries[directory->count++] = entry;
			return true;
		}
	}
	free(entry.name);
	free(entry.link);
	return !listing->no_memory;
}

/* How many names deep a directory is. */
static unsigned depth_of(const char *path)
{
	unsigned depth = path[1] != '\0';

	for (const char *at = path + 1; (at = strchr(at, '/')); at++)
		depth++;
	return depth;
}

static int read_list(struct served *served, const char *path, const char *directory_path,
		     struct guest_directory *directory)
{
	struct listing listing = {.directory = directory, .first = true};
	struct nunchi_error *err;

	listing.prefix = strlen(directory_path) + (directory_path[1] != '\0');
	listing.depth = depth_of(directory_path);
	find_columns(listing.column);
	if (getrandom(directory->key, sizeof(directory->key), 0) != sizeof(directory->key))
		return -EIO;
	directory->path = strdup(directory_path);
	if (!directory->path)
		return -ENOMEM;
	err = nunchi_names(served->guest, INIT, directory_path, 1, take_name, &listing);
	/* Names are missing; those that can be read were given. */
	if (error_is(err, NUNCHI_ERROR_FAULT)) {
		served_warn(served, path, nunchi_error_message(err));
		nunchi_error_destroy(err);
		err = NULL;
	}
	if (listing.cut)
		served_warn(served, path,
			    "not all of its names are shown: they are too many, or too long");
	if (!listing.no_memory)
		return served_errno(served, path, err);
	nunchi_error_destroy(err);
	return -ENOMEM;
}

/* The list of a directory, kept or read. It is valid until the next call. */
static int find_list(struct served *served, const char *path, const char *directory_path,
		     const struct guest_directory **ret)
{
	struct guest_directory *oldest = &served->directories[0];
	int result;

	for (size_t i = 0; i < SERVED_DIRECTORIES; i++) {
		struct guest_directory *at = &served->directories[i];

		if (at->path && !strcmp(at->path, directory_path)) {
			at->used = ++served->clock;
			*ret = at;
			return 0;
		}
		if (at->used < oldest->used)
			oldest = at;
	}
	clear(oldest);
	result = read_list(served, path, directory_path, oldest);
	if (result) {
		clear(oldest);
		return result;
	}
	oldest->used = ++served->clock;
	*ret = oldest;
	return 0;
}

void guest_directories_deinit(struct served *served)
{
	for (size_t i = 0; i < SERVED_DIRECTORIES; i++)
		clear(&served->directories[i]);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* An entry by our name of it, which is the last one of the path that was asked for. */
static const struct guest_entry *find_entry(const struct guest_directory *directory,
					    const char *name)
{
	const uint64_t *place = hash_map_find(&directory->places, hash_of(directory, name));

	if (!place || strcmp(directory->entries[*place].name, name))
		return NULL;
	return &directory->entries[*place];
}

int guest_name_find(struct served *served, const char *path, const struct node *node,
		    struct guest_name *ret)
{
	const struct guest_directory *directory;
	const struct guest_entry *entry;
	char parent[PATH_MAX];
	char *slash;
	int result;

	*ret = (struct guest_name){.mode = S_IFDIR};
	if (served->options->live)
		return -ENOENT;
	if (!node->path[1])
		return 0;
	memcpy(parent, node->path, sizeof(parent));
	slash = strrchr(parent, '/');
	slash[slash == parent] = '\0';
	result = find_list(served, path, parent, &directory);
	if (result)
		return result;
	entry = find_entry(directory, strrchr(path, '/') + 1);
	if (!entry)
		return -ENOENT;
	ret->mode = entry->mode;
	ret->size = entry->size;
	ret->time = entry->time;
	ret->link = entry->link ? entry->link : "?";
	return 0;
}

int guest_name_list(struct served *served, const char *path, const struct node *node,
		    bool (*give)(const char *name, mode_t mode, void *data), void *data)
{
	const struct guest_directory *directory;
	int result = find_list(served, path, node->path, &directory);

	for (size_t i = 0; !result && i < directory->count; i++)
		if (!give(directory->entries[i].name, directory->entries[i].mode, data))
			break;
	return result;
}

/* ---- Contents -------------------------------------------------------------------------------- */

int guest_file_open(struct served *served, const char *path, const struct node *node,
		    struct nunchi_file **ret)
{
	return served_errno(served, path,
			    nunchi_file_open_path(served->guest, INIT, node->path, ret));
}

int guest_file_read(struct served *served, const char *path, struct nunchi_file *file, char *to,
		    size_t size, uint64_t at)
{
	uint64_t end = nunchi_file_size(file);
	struct nunchi_piece piece;
	size_t done = 0;

	if (at >= end)
		return 0;
	if (size > end - at)
		size = (size_t)(end - at);
	while (done < size) {
		struct nunchi_error *err =
		    nunchi_file_read(file, at + done, size - done, to + done, &piece);
		int result = served_errno(served, path, err);

		if (!result && !piece.size)
			return (int)done;
		if (!result && piece.kind == NUNCHI_FILE_MISSING && !served->options->fill)
			result = -EIO;
		if (result)
			return done ? (int)done : result;
		done += (size_t)piece.size;
	}
	return (int)done;
}
