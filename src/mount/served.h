/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the process that answers the kernel has: the guest, and the contents of files. */
#ifndef NUNCHI_MOUNT_SERVED_H
#define NUNCHI_MOUNT_SERVED_H

#include "core/buffer.h"
#include "core/hash.h"
#include "mount/libfuse.h"
#include "mount/mount.h"
#include "mount/node.h"

#define SERVED_MOST_TOLD   64
#define SERVED_DIRECTORIES 8

struct guest_entry;

/* The names in a directory of the guest. */
struct guest_directory {
	char *path; /* as the guest has it; NULL: there is none */
	struct guest_entry *entries;
	size_t count, capacity;
	struct hash_map places; /* of names, by their hashes */
	uint64_t key[2];        /* of the hashes */
	uint64_t used;          /* by served.clock */
};

/* The text of a file that is made when it is opened. */
struct content {
	struct content *next; /* of those that are kept; the one used last is the first */
	char *path;           /* NULL: it is not kept, but freed when it is closed */
	struct buffer text;
	size_t size; /* of the text, also when that was given up */
	bool has_text, has_size;
	unsigned handles; /* that have it open */
};

struct served {
	const struct mount_options *options;
	struct nunchi_guest *guest;
	struct nunchi_session *session; /* of a saved guest */
	uid_t uid;
	gid_t gid;
	time_t time;
	struct content *contents;
	size_t content_count;
	size_t content_bytes; /* of all texts in memory */
	/* Of a saved guest: those used last. */
	struct guest_directory directories[SERVED_DIRECTORIES];
	uint64_t clock;
	/* What was said: each text once. */
	uint64_t told[SERVED_MOST_TOLD];
	size_t told_count;
};

/* Says once that something cannot be read. */
void served_warn(struct served *served, const char *path, const char *text);
/* Destroys the error, and gives the errno for it; says so unless the file is not there. */
int served_errno(struct served *served, const char *path, struct nunchi_error *err);

/* ---- content.c ---- */

/*
 * The text of a node, as it is now; a negative errno. Give it back by served_content_close(). Of a
 * running guest it is read again each time.
 */
int served_content_open(struct served *served, const char *path, const struct node *node,
			struct content **ret);
void served_content_close(struct served *served, struct content *content);
/*
 * The size of the text of a saved guest, which is made if it was not made before; of a running
 * guest 0. A negative errno.
 */
int64_t served_content_size(struct served *served, const char *path, const struct node *node);
void served_content_deinit(struct served *served);

/* ---- memory.c ---- */

/* Reads memory of the guest or of a process: the number of bytes; a negative errno. */
int served_memory_read_at(struct served *served, const char *path, const struct node *node,
			  char *to, size_t size, uint64_t at);
/* The first address behind all memory. */
uint64_t served_memory_end(const struct served *served);

/* ---- guest_files.c ---- */

struct guest_name {
	mode_t mode;
	uint64_t size;
	int64_t time;
	const char *link; /* of a symbolic link, for us; valid until the next call */
};

/* What there is at a path of the guest: 0; a negative errno. */
int guest_name_find(struct served *served, const char *path, const struct node *node,
		    struct guest_name *ret);
/* Calls give() for each name in a directory of the guest. */
int guest_name_list(struct served *served, const char *path, const struct node *node,
		    bool (*give)(const char *name, mode_t mode, void *data), void *data);
void guest_directories_deinit(struct served *served);
int guest_file_open(struct served *served, const char *path, const struct node *node,
		    struct nunchi_file **ret);
int guest_file_read(struct served *served, const char *path, struct nunchi_file *file, char *to,
		    size_t size, uint64_t at);

/* ---- rows.c: reading views ---- */

/* Whether there is such a process: 0, or a negative errno. */
int served_process_find(struct served *served, const char *path, uint64_t pid);
/* Calls give() for each process. */
int served_process_list(struct served *served, const char *path,
			void (*give)(uint64_t pid, void *data), void *data);

typedef struct nunchi_error *served_row(const struct nunchi_cell *cells, bool torn, void *data);
/*
 * Calls columns() once, which may be NULL, and row() for each row; the warnings are said.
 */
struct nunchi_error *
served_rows(struct served *served, const char *path, const struct nunchi_view *view,
	    const struct nunchi_query *query,
	    struct nunchi_error *(*columns)(const struct nunchi_column *const *columns,
					    size_t count, void *data),
	    served_row *row, void *data);

/* ---- serve.c ---- */

/* The operations, for this file system: the only one of the process. */
const struct fuse_operations *serve_begin(struct served *served);

#endif
