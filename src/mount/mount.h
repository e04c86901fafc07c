/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nunchi mount: a guest as a read-only file system (FUSE). Two processes: the first one mounts and
 * unmounts, and reads no byte of the guest; its child opens the guest, which confines it, and
 * answers the kernel.
 */
#ifndef NUNCHI_MOUNT_MOUNT_H
#define NUNCHI_MOUNT_MOUNT_H

#include <nunchi/nunchi.h>

#include <sys/types.h>

/* Rows of a view as text of another form than a table's. */
struct mount_text {
	const char *view;
	const char *const *columns;
	size_t column_count;
	/* Writes a row. */
	void (*row)(const struct nunchi_cell *cells, bool torn,
		    bool (*write)(const char *text, size_t size, void *to), void *to);
};

struct mount_options {
	const char *directory;
	bool fill; /* bytes that cannot be read are zeros */
	struct mount_text log;
	/* In the child: opens the guest. Gives the exit status. */
	int (*open)(void *data, struct nunchi_guest **ret);
	bool live; /* a guest that runs, and no file */
	/* A mount that a nunchi left there when it was killed was taken away. */
	void (*taken_away)(void *data);
	/* In the child: the file system can be used. */
	void (*ready)(void *data);
	/* In the child: something cannot be read. */
	void (*warn)(const char *text, void *data);
	/* In the first process: waits for the descriptor; false if a signal asks us to end. */
	bool (*wait)(int fd, short events);
	void *data;
};

enum mount_end {
	MOUNT_CHILD, /* this is the child, and *ret_status its exit status */
	MOUNT_ENDED  /* unmounted; *ret_status is what the child ended with */
};

/* Mounts, and returns in both processes when it is over. */
struct nunchi_error *mount_run(const struct mount_options *options, enum mount_end *ret,
			       int *ret_status);

#endif
