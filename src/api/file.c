/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the guest out of its page cache. */
#include "api/guest.h"
#include "view/row.h"

#include <string.h>
#include <sys/stat.h>

struct nunchi_file {
	struct nunchi_guest *guest;
	struct guest_file *file;
	const struct guest_system *system;
	uint64_t session; /* number of the session that holds the guest; 0 for a saved guest */
};

/* What a file is asked for by. */
struct wanted {
	uint64_t pid, fd, address;
	const char *path; /* NULL: by one of the others */
	const struct guest_name *name;
	bool is_mapped; /* by the address */
};

static bool is_held(const struct nunchi_guest *guest)
{
	return guest->session.open && guest->session.holds;
}

/* Gets the kernel of a guest that stands still. */
static struct nunchi_error *still_kernel(struct nunchi_guest *guest, struct guest_kernel **ret)
{
	struct nunchi_error *err = NULL;

	if (guest->target->live && !is_held(guest))
		err = error_create(NUNCHI_ERROR_ARGUMENT,
				   "%s: files and processes can be read only while the guest "
				   "stands still",
				   guest->target->name);
	if (!err)
		err = session_begin(guest);
	return err ? err : guest_kernel_quickly(guest, ret);
}

static struct nunchi_error *find_wanted(struct guest_kernel *kernel, const struct wanted *wanted,
					struct guest_file **ret)
{
	const struct guest_system *system = kernel->system;

	if (wanted->name)
		return system->name_open(kernel, wanted->name, ret);
	if (wanted->path)
		return system->path_open(kernel, wanted->pid, wanted->path, ret);
	if (wanted->is_mapped)
		return system->mapped_open(kernel, wanted->pid, wanted->address, ret);
	return system->file_open(kernel, wanted->pid, wanted->fd, ret);
}

static struct nunchi_error *open_wanted(struct nunchi_guest *guest, const struct wanted *wanted,
					struct nunchi_file **ret)
{
	struct guest_kernel *kernel;
	struct nunchi_file *file;
	struct nunchi_error *err = still_kernel(guest, &kernel);

	if (err)
		return err;
	file = calloc(1, sizeof(*file));
	if (!file)
		return &error_nomem;
	*file = (struct nunchi_file){.guest = guest, .system = kernel->system};
	file->session = is_held(guest) ? guest->session.serial : 0;
	err = find_wanted(kernel, wanted, &file->file);
	if (err) {
		free(file);
		return guest_error(guest, err);
	}
	*ret = file;
	return NULL;
}

struct nunchi_error *nunchi_file_open(struct nunchi_guest *guest, uint64_t pid, uint64_t fd,
				      struct nunchi_file **ret)
{
	API_REQUIRE(guest && ret);

	return open_wanted(guest, &(struct wanted){.pid = pid, .fd = fd}, ret);
}

struct nunchi_error *nunchi_file_open_mapped(struct nunchi_guest *guest, uint64_t pid,
					     uint64_t address, struct nunchi_file **ret)
{
	API_REQUIRE(guest && ret);

	return open_wanted(
	    guest, &(struct wanted){.pid = pid, .address = address, .is_mapped = true}, ret);
}

struct nunchi_error *nunchi_file_open_path(struct nunchi_guest *guest, uint64_t pid,
					   const char *path, struct nunchi_file **ret)
{
	API_REQUIRE(guest && path && ret);

	return open_wanted(guest, &(struct wanted){.pid = pid, .path = path}, ret);
}

struct nunchi_error *nunchi_file_open_name(struct nunchi_guest *guest, struct nunchi_file **ret)
{
	API_REQUIRE(guest && ret);

	if (!guest->given)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "%s: a file can be opened by its name only while "
				    "nunchi_names() gives it",
				    guest->target->name);
	return open_wanted(guest, &(struct wanted){.name = guest->given}, ret);
}

uint64_t nunchi_file_size(const struct nunchi_file *file)
{
	return file->file->size;
}

/* Reads at most the bytes of one page from a place in the file, into buffer. */
static enum read_result read_page(struct nunchi_file *file, uint64_t offset, size_t size,
				  uint8_t *buffer)
{
	enum read_result result;
	gpa_t place;

	result = file->system->file_page(file->file, offset >> PAGE_SHIFT, &place);
	if (result == READ_OK)
		result = read_result_of(memory_read(file->guest->target->memory,
						    gpa(place.v + (offset & PAGE_MASK)), buffer,
						    size, NULL));
	if (result != READ_OK)
		memset(buffer, 0, size);
	return result;
}

static struct nunchi_error *check_session(const struct nunchi_file *file)
{
	const struct nunchi_session *session = &file->guest->session;

	if (!file->guest->target->live ||
	    (session->open && session->holds && session->serial == file->session))
		return NULL;
	return error_create(NUNCHI_ERROR_ARGUMENT,
			    "%s: the session in which the file was opened is closed",
			    file->guest->target->name);
}

struct nunchi_error *nunchi_file_read(struct nunchi_file *file, uint64_t offset, size_t size,
				      void *buffer, struct nunchi_piece *ret)
{
	API_REQUIRE(file && buffer && ret);

	uint64_t end = file->file->size;
	uint8_t *to = buffer;
	struct nunchi_error *err = check_session(file);
	enum read_result first = READ_OK;
	size_t done = 0;

	if (!err)
		err = session_begin(file->guest);
	if (err)
		return err;
	if (offset >= end)
		size = 0;
	else if (size > end - offset)
		size = (size_t)(end - offset);
	while (done < size && !cancel_requested(&file->guest->cancel)) {
		size_t part = PAGE_SIZE - ((offset + done) & PAGE_MASK);
		enum read_result result;

		if (part > size - done)
			part = size - done;
		result = read_page(file, offset + done, part, to + done);
		if (result == READ_NO_MEMORY)
			return &error_nomem;
		if (done && result != first)
			break;
		first = result;
		done += part;
	}
	if (done < size && !done)
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	*ret = (struct nunchi_piece){.size = done};
	if (first != READ_OK)
		ret->kind = first == READ_NONE ? NUNCHI_FILE_HOLE : NUNCHI_FILE_MISSING;
	if (ret->kind == NUNCHI_FILE_MISSING)
		ret->why = row_absence_of(first);
	return NULL;
}

struct nunchi_error *nunchi_process_read(struct nunchi_guest *guest, uint64_t pid, uint64_t address,
					 size_t size, void *buffer, struct nunchi_piece *ret)
{
	API_REQUIRE(guest && buffer && ret);

	struct guest_kernel *kernel;
	struct nunchi_error *err = still_kernel(guest, &kernel);
	struct nunchi_piece piece = {.size = 0};
	enum read_result result = READ_OK;

	if (!err && size && cancel_requested(&guest->cancel))
		err = error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	if (!err)
		err = guest_error(guest, kernel->system->process_piece(kernel, pid, address, buffer,
								       size, &piece.size, &result));
	if (!err && result == READ_NO_MEMORY)
		err = &error_nomem;
	if (err)
		return err;
	if (result != READ_OK)
		piece.kind = result == READ_NONE ? NUNCHI_FILE_HOLE : NUNCHI_FILE_MISSING;
	if (piece.kind == NUNCHI_FILE_MISSING)
		piece.why = row_absence_of(result);
	*ret = piece;
	return NULL;
}

void nunchi_file_close(struct nunchi_file *file)
{
	if (!file)
		return;
	file->system->file_close(file->file);
	free(file);
}

/* ---- Names ----------------------------------------------------------------------------------- */

#define COLUMNS(X)                                                                                 \
	X(path, TEXT, "path, for the process asked for")                                           \
	X(type, TEXT, "regular, directory, symlink, block, character, fifo or socket")             \
	X(mode, OCTAL, "permissions, as chmod(1) takes them")                                      \
	X(uid, INTEGER, "owner")                                                                   \
	X(gid, INTEGER, "group of the owner")                                                      \
	X(size, BYTES, "size in bytes")                                                            \
	X(cached, BYTES, "bytes of it in the page cache; of regular files")                        \
	X(mtime, UNIX_TIME, "when the content was last changed")                                   \
	X(atime, UNIX_TIME, "when it was last read, as far as the kernel keeps that")              \
	X(ctime, UNIX_TIME, "when the inode was last changed")                                     \
	X(hard_links, INTEGER, "number of hard links")                                             \
	X(inode, INTEGER, "inode number")                                                          \
	X(symlink_target_path, TEXT, "target of a symbolic link")

enum { COLUMNS(VIEW_COLUMN_ENUM) COLUMN_COUNT };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

const struct nunchi_column *nunchi_name_columns(size_t *ret_count)
{
	*ret_count = COLUMN_COUNT;
	return columns;
}

struct giving {
	struct nunchi_guest *guest;
	bool (*give)(const struct nunchi_cell *cells, void *data);
	void *data;
};

static const char *type_of(uint64_t mode)
{
	static const char *const types[] = {
	    [S_IFREG >> 12] = "regular", [S_IFDIR >> 12] = "directory", [S_IFLNK >> 12] = "symlink",
	    [S_IFBLK >> 12] = "block",   [S_IFCHR >> 12] = "character", [S_IFIFO >> 12] = "fifo",
	    [S_IFSOCK >> 12] = "socket",
	};
	uint64_t type = (mode & S_IFMT) >> 12;

	return type < ARRAY_SIZE(types) ? types[type] : NULL;
}

static struct nunchi_cell number_cell(enum read_result result, uint64_t value)
{
	struct nunchi_cell cell = {.kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_INTEGER};

	cell.integer = (int64_t)value;
	if (result != READ_OK)
		cell = (struct nunchi_cell){.absence = row_absence_of(result)};
	return cell;
}

static struct nunchi_cell text_cell(enum read_result result, const char *text, size_t size)
{
	struct nunchi_cell cell = {.kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_TEXT};

	cell.text = text;
	cell.text_size = size;
	if (result != READ_OK)
		cell = (struct nunchi_cell){.absence = row_absence_of(result)};
	return cell;
}

static bool give_cells(const struct guest_name *name, void *data)
{
	const struct giving *giving = data;
	const char *type = name->result == READ_OK ? type_of(name->mode) : "";
	enum read_result known = name->result, content = name->content_result;
	bool is_regular = known != READ_OK || (name->mode & S_IFMT) == S_IFREG, goes_on;
	struct nunchi_cell cells[COLUMN_COUNT] = {
	    [COLUMN_path] = text_cell(READ_OK, name->path, name->path_size),
	    [COLUMN_type] = text_cell(type ? known : READ_BAD_DATA, type, type ? strlen(type) : 0),
	    [COLUMN_mode] = number_cell(known, name->mode & 07777),
	    [COLUMN_uid] = number_cell(known, name->uid),
	    [COLUMN_gid] = number_cell(known, name->gid),
	    [COLUMN_size] = number_cell(content, (uint64_t)name->size),
	    [COLUMN_cached] = number_cell(is_regular ? content : READ_NONE, name->cached),
	    [COLUMN_mtime] = number_cell(content, (uint64_t)name->modified),
	    [COLUMN_atime] = number_cell(content, (uint64_t)name->accessed),
	    [COLUMN_ctime] = number_cell(content, (uint64_t)name->changed),
	    [COLUMN_hard_links] = number_cell(known, name->links),
	    [COLUMN_inode] = number_cell(known, name->inode),
	    [COLUMN_symlink_target_path] =
		text_cell(name->target_result, name->target, name->target_size),
	};

	giving->guest->given = name;
	goes_on = giving->give(cells, giving->data);
	giving->guest->given = NULL;
	return goes_on;
}

struct nunchi_error *nunchi_names(struct nunchi_guest *guest, uint64_t pid, const char *path,
				  unsigned depth,
				  bool (*give)(const struct nunchi_cell *cells, void *data),
				  void *data)
{
	API_REQUIRE(guest && path && give);

	struct giving giving = {guest, give, data};
	struct guest_kernel *kernel;
	struct nunchi_error *err = still_kernel(guest, &kernel);

	if (err)
		return err;
	err = kernel->system->names(kernel, pid, path, depth, give_cells, &giving);
	return guest_error(guest, err);
}
