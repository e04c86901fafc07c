/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest as gdb sees it: a server of gdb's remote protocol, which only reads. Bytes from gdb go
 * in, bytes for gdb come out; the connection is the caller's. Nothing that gdb sends changes the
 * guest: what would write memory or registers, continue or step is refused, and "detach" and "kill"
 * end the connection alone.
 *
 * The rules of nunchi.h hold here too: for errors, ownership, threads, and fork(). A server belongs
 * to its guest's thread.
 */
#ifndef NUNCHI_GDB_H
#define NUNCHI_GDB_H

#include <nunchi/nunchi.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nunchi_gdb;

struct nunchi_gdb_options {
	size_t size; /* sizeof(struct nunchi_gdb_options) */
	/*
	 * Pauses a running guest until nunchi_gdb_destroy(), so that all that gdb sees is of one
	 * moment. Without this each answer is about the guest as it runs at that time.
	 */
	bool hold;
	/*
	 * Shows a process: its memory by its own page table, its threads, and of them the registers
	 * with which they entered the kernel. 0: the kernel.
	 */
	uint64_t pid;
};

/*
 * Creates a server for one connection. options may be NULL. Finds the kernel if no call has done so
 * before, and fails as nunchi_session_open() does; with NUNCHI_ERROR_NOT_FOUND if there is no such
 * process, and with _UNSUPPORTED if it is a thread of the kernel. With `hold` the guest must have
 * no session, and keeps the server's own until nunchi_gdb_destroy(), which must come before
 * nunchi_guest_close(). If a guest that was paused for a server that cannot be created then cannot
 * be resumed, it fails with that error.
 */
NUNCHI_API struct nunchi_error *nunchi_gdb_create(struct nunchi_guest *guest,
						  const struct nunchi_gdb_options *options,
						  struct nunchi_gdb **ret);
/*
 * Takes bytes that came from gdb, and passes its answers to write(). *ret_open is false when gdb
 * has ended the connection, which is to be closed then. Fails, after which the server can only be
 * destroyed, with NUNCHI_ERROR_DATA if the bytes are not of the protocol, with NUNCHI_ERROR_GONE or
 * _REBOOTED if the guest is another one now, and with NUNCHI_ERROR_CANCELLED if write() returns
 * false.
 */
NUNCHI_API struct nunchi_error *
nunchi_gdb_take(struct nunchi_gdb *gdb, const char *bytes, size_t size,
		bool (*write)(const char *data, size_t size, void *data2), void *data,
		bool *ret_open);
/* Frees a server, and resumes the guest if it was paused for it. NULL is accepted. */
NUNCHI_API struct nunchi_error *nunchi_gdb_destroy(struct nunchi_gdb *gdb);

#ifdef __cplusplus
}
#endif

#endif
