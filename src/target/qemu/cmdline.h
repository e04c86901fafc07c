/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a QEMU command line says about its guest: name, memory, vCPUs, accelerator, memory backends
 * and monitor sockets. Pure. Follows options as people, scripts and libvirt write them
 * ("key=value,…" with doubled commas, or JSON); not -readconfig files.
 */
#ifndef NUNCHI_TARGET_QEMU_CMDLINE_H
#define NUNCHI_TARGET_QEMU_CMDLINE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CMDLINE_SOCKETS_MAX  8
#define CMDLINE_BACKENDS_MAX 32

enum cmdline_accel { CMDLINE_ACCEL_UNKNOWN, CMDLINE_ACCEL_TCG, CMDLINE_ACCEL_KVM };

/* A QMP socket on which QEMU listens. */
struct cmdline_socket {
	char *path; /* as written, perhaps relative to QEMU's directory; NULL: by descriptor */
	int fd;     /* in QEMU's process, when path is NULL */
};

/* An -object memory-backend-… */
struct cmdline_backend {
	char *id;
	char *path; /* mem-path, or NULL */
	uint64_t size;
	bool share;
};

struct cmdline {
	char *name;      /* "" if it has none */
	char *machine;   /* "pc", "pc-q35-7.2" …; "" if not given */
	uint64_t memory; /* bytes at start */
	unsigned vcpus;  /* at start, at least 1 */
	enum cmdline_accel accel;
	uint64_t max_below_4g; /* -machine max-ram-below-4g, 0 if not given */
	char *main_backend;    /* -machine memory-backend, NULL if not given */
	struct cmdline_backend backends[CMDLINE_BACKENDS_MAX];
	size_t backend_count;
	char *node_backends[CMDLINE_BACKENDS_MAX]; /* -numa node,memdev=, by node */
	size_t node_count;
	struct cmdline_socket sockets[CMDLINE_SOCKETS_MAX];
	size_t socket_count;
	bool has_other_qmp; /* a QMP monitor on TCP, stdio or the like, which we do not use */
	bool has_slots;     /* memory beyond that of the start may be plugged in */
	bool is_xen;        /* the device model of a Xen guest, which is no guest of QEMU's */
};

/* arguments: argv as /proc/PID/cmdline gives it, each string with its NUL. */
struct nunchi_error *cmdline_parse(const char *arguments, size_t size, struct cmdline *ret);
void cmdline_deinit(struct cmdline *cmdline);
#define _cleanup_cmdline_ _cleanup_(cmdline_deinit)

/* The backend of that id, or NULL. */
const struct cmdline_backend *cmdline_backend(const struct cmdline *cmdline, const char *id);

#endif
