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

/* ---- A process as an ELF core ---------------------------------------------------------------- */

/* A range of a process's memory that is not in its core. */
struct nunchi_core_gap {
	uint64_t start, end;
	const char
	    *mapping; /* path or name of the mapping, mapping_size bytes, as the guest has it */
	size_t mapping_size;
	const char *reason; /* one line, static storage */
	/* it holds nothing of the process: zeros, a page of the kernel such as [vdso], no page */
	bool untouched;
};

/* Who takes the core, and what is said of it. The functions are passed `data`. */
struct nunchi_core_output {
	size_t size; /* sizeof(struct nunchi_core_output) */
	void *data;
	/*
	 * Writes bytes at a place in the file, which is zeros elsewhere. If it returns false the
	 * call fails with NUNCHI_ERROR_CANCELLED.
	 */
	bool (*write)(uint64_t at, const void *bytes, size_t count, void *data);
	/* NULL: not told. */
	void (*gap)(const struct nunchi_core_gap *gap, void *data);
	/* What the core lacks beside memory, one line, which may have bytes of the guest; or NULL.
	 */
	void (*warn)(const char *text, void *data);
	/* Told how many bytes were copied; cancels if it returns false. NULL: not told. */
	bool (*progress)(uint64_t done, void *data);
};

struct nunchi_core_options {
	size_t size;    /* sizeof(struct nunchi_core_options) */
	uint64_t pid;   /* of the process */
	bool hold;      /* pauses a running guest meanwhile, without which it is refused */
	uint64_t limit; /* bytes of memory that are copied at most; 0: 16 GiB */
};

/* What a core has. */
struct nunchi_core_result {
	size_t size;                     /* set by the caller: sizeof(struct nunchi_core_result) */
	uint64_t file_size;              /* of the file, with its holes */
	bool is_64;                      /* the program has 64 bits */
	uint32_t threads, threads_known; /* threads; those whose registers are known */
	uint64_t memory;                 /* bytes of pages of the process */
	uint64_t cached;                 /* of files that it has mapped, out of the page cache */
	uint64_t zeros;                  /* of memory that it has never written */
	uint64_t untouched;              /* of gaps that hold nothing of the process */
	uint64_t missing; /* bytes that are not in the guest's memory, nor in the core */
};

/*
 * Writes a process as an ELF core, as Linux does when a signal ends it: its memory, its threads
 * with the registers with which they entered the kernel, its auxiliary vector and the paths of its
 * files. There are no registers of the FPU. Missing memory is no part of a segment's bytes. The
 * guest must be saved, or `hold` be set. Fails with NUNCHI_ERROR_NOT_FOUND if there is no such
 * process, and with _UNSUPPORTED if it is a thread of the kernel or has more than the limit.
 */
NUNCHI_API struct nunchi_error *nunchi_core(struct nunchi_guest *guest,
					    const struct nunchi_core_options *options,
					    const struct nunchi_core_output *output,
					    struct nunchi_core_result *ret);

#ifdef __cplusplus
}
#endif

#endif
