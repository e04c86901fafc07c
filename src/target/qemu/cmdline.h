/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses the command line of a QEMU for the properties of its guest: name, memory, vCPUs,
 * accelerator, memory backends and monitor sockets. Pure functions. Supports options as people,
 * scripts and libvirt write them ("key=value,…" with doubled commas, or JSON), but not -readconfig
 * files.
 */
#ifndef NUNCHI_TARGET_QEMU_CMDLINE_H
#define NUNCHI_TARGET_QEMU_CMDLINE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CMDLINE_SOCKETS_MAX  8
#define CMDLINE_BACKENDS_MAX 32
/* More RAM than the addresses of any processor reach is a lie: 4 PiB. */
#define CMDLINE_MEMORY_MAX ((uint64_t)1 << 52)

enum cmdline_accel { CMDLINE_ACCEL_UNKNOWN, CMDLINE_ACCEL_TCG, CMDLINE_ACCEL_KVM };

/* A QMP socket on which QEMU listens. */
struct cmdline_socket {
	/* as written, possibly relative to QEMU's directory; NULL if given as a descriptor */
	char *path;
	int fd; /* descriptor in QEMU's process, if path is NULL */
};

/* An option -object memory-backend-… */
struct cmdline_backend {
	char *id;
	char *path; /* mem-path, or NULL */
	uint64_t size;
	bool share;
};

struct cmdline {
	char *name;      /* "" if the guest has none */
	char *uuid;      /* as written; "" if not given */
	char *machine;   /* "pc", "pc-q35-7.2" …; "" if not given */
	uint64_t memory; /* at start, in bytes */
	unsigned vcpus;  /* at start, at least 1 */
	enum cmdline_accel accel;
	uint64_t max_below_4g; /* of -machine; 0 if not given */
	char *main_backend;    /* memory-backend of -machine; NULL if not given */
	struct cmdline_backend backends[CMDLINE_BACKENDS_MAX];
	size_t backend_count;
	char *node_backends[CMDLINE_BACKENDS_MAX]; /* memdev of -numa node, by node */
	size_t node_count;
	struct cmdline_socket sockets[CMDLINE_SOCKETS_MAX];
	size_t socket_count;
	char *gdb_chardev;        /* id of the chardev of -gdb; NULL if it has none */
	bool has_libvirt_monitor; /* one of its monitors has the name that libvirt gives */
	/* there is a QMP monitor on TCP, stdio or the like, which nunchi does not use */
	bool has_other_qmp;
	uint64_t plugged;       /* bytes of the DIMMs among the devices, beyond `memory` */
	const char *encryption; /* "AMD SEV" …, static; NULL if not given */
	bool has_slots;         /* more memory than at start may be plugged in */
	bool is_xen;            /* it is the device model of a Xen guest, not a guest of QEMU */
};

/* Parses the arguments as /proc/PID/cmdline contains them, each with a NUL. */
struct nunchi_error *cmdline_parse(const char *arguments, size_t size, struct cmdline *ret);
void cmdline_deinit(struct cmdline *cmdline);
#define _cleanup_cmdline_ _cleanup_(cmdline_deinit)

/* The backend with this id, or NULL. */
const struct cmdline_backend *cmdline_backend(const struct cmdline *cmdline, const char *id);

#endif
