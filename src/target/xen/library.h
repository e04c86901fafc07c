/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Xen's stable libraries, loaded when they are first needed, so that the same program runs on hosts
 * without them. Only these files load them. All other code uses the table of functions, which tests
 * fill with those of a simulated hypervisor. The functions are documented in Xen's headers
 * xencall.h, xenforeignmemory.h and xenstore.h.
 */
#ifndef NUNCHI_TARGET_XEN_LIBRARY_H
#define NUNCHI_TARGET_XEN_LIBRARY_H

#include "core/error.h"
#include "target/xen/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XEN_LIBRARIES 3

/* A hypercall in the form of the kernel's driver (struct privcmd_hypercall, xen/sys/privcmd.h). */
struct xen_raw_call {
	uint64_t number;
	uint64_t arguments[5];
};

struct xen_library {
	void *handles[XEN_LIBRARIES]; /* from dlopen() */

	/* libxencall */
	void *(*call_open)(void *logger, unsigned flags);
	int (*call_close)(void *call);
	int (*call1)(void *call, unsigned op, uint64_t arg);
	int (*call2)(void *call, unsigned op, uint64_t arg1, uint64_t arg2);
	void *(*alloc)(void *call, size_t size);
	void (*free)(void *call, void *buffer);

	/*
	 * Opens the driver itself, for the guard program, which makes hypercalls without libraries.
	 */
	int (*privcmd_open)(void);

	/* libxenforeignmemory */
	void *(*memory_open)(void *logger, unsigned flags);
	int (*memory_close)(void *memory);
	void *(*memory_map)(void *memory, uint32_t domain, int protection, size_t pages,
			    const uint64_t *frames, int *errors);
	int (*memory_unmap)(void *memory, void *address, size_t pages);

	/* libxenstore; NULL if it is not installed: then domains have no names */
	void *(*store_open)(unsigned long flags);
	void (*store_close)(void *store);
	void *(*store_read)(void *store, uint32_t transaction, const char *path, unsigned *length);
	char **(*store_directory)(void *store, uint32_t transaction, const char *path,
				  unsigned *count);
	bool (*store_watch)(void *store, const char *path, const char *token);
	int (*store_fileno)(void *store);
	char **(*store_check_watch)(void *store);
	/*
	 * Not a function of libxenstore: called before store_open(), which may wait for ever. See
	 * xen_store_check().
	 */
	enum xen_store_state (*store_check)(const char *root);
};

/* Loads the libraries. NUNCHI_ERROR_UNSUPPORTED names the packages to install if one is missing. */
struct nunchi_error *xen_library_load(struct xen_library *ret);
void xen_library_unload(struct xen_library *library);

/* A logger for the open functions that discards the libraries' messages. */
void *xen_library_logger(void);

#endif
