/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared pieces of the in-guest oracle: output as JSON lines, reading of files. */
#ifndef NUNCHI_ORACLE_H
#define NUNCHI_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes with their length; always followed by a NUL that is not counted. */
struct bytes {
	char *data;
	size_t size;
};

/* Rows. Everything is kept in memory until output_flush(). */
void row_begin(const char *view);
void row_number(const char *column, long long value);
void row_unsigned(const char *column, unsigned long long value);
void row_real(const char *column, double value);
void row_null(const char *column);
/* Bytes: valid UTF-8 as it is, any other byte NN as \udcNN. */
void row_bytes(const char *column, const char *data, size_t size);
void row_text(const char *column, const char *text);
/* A JSON array of the NUL-terminated strings in DATA. */
void row_strings(const char *column, const char *data, size_t size);
void row_end(void);

/* Write all rows to stdout, through gzip if wanted; returns an exit status. */
int output_flush(bool compress);

/* Read a whole file; false if it cannot be opened or read. RET is valid until
 * the next call with the same SLOT (0 to 3). */
bool read_file(int slot, struct bytes *ret, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Where a symbolic link leads; false if it cannot be read. */
bool read_link(struct bytes *ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first number of a file, or -1. */
long long read_number(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Numerically named entries of a directory, in its own order; -1 if it cannot be read. */
ssize_t list_numbers(long **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Undo octal escapes (\040) in place. */
void unescape_octal(struct bytes *text);
/* Undo hexadecimal escapes (\x1b) in place. */
void unescape_hex(struct bytes *text);

/* oracle_sockets.c: the sockets of a process. */
void emit_sockets(long pid);
/* Makes a connection that both ends have closed, so that one is in TIME_WAIT for a minute. */
void make_time_wait(void);
/* Of the current network namespace, when the sockets of all processes were emitted. */
void emit_sockets_of_no_process(unsigned long long namespace);

/* oracle_network.c: the network namespace of a process, if it was not met before. */
void emit_network(long pid);

/* oracle_system.c: everything that belongs to no single process. */
void emit_meta(const char *pass);
void emit_modules(void);
void emit_mounts(unsigned long long mount_namespace, const pid_t *pids, size_t count);
void emit_system(void);
void emit_kernel_log(void);
void emit_symbols(void);

#endif
