/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/library.h"

#include "core/library.h"

#include <fcntl.h>
#include <stdarg.h>

#define SYMBOL(name, member)                                                                       \
	{                                                                                          \
		name, offsetof(struct xen_library, member)                                         \
	}

static const struct library_function call_symbols[] = {
    SYMBOL("xencall_open", call_open),
    SYMBOL("xencall_close", call_close),
    SYMBOL("xencall1", call1),
    SYMBOL("xencall2", call2),
    SYMBOL("xencall_alloc_buffer", alloc),
    SYMBOL("xencall_free_buffer", free),
};

static const struct library_function memory_symbols[] = {
    SYMBOL("xenforeignmemory_open", memory_open),
    SYMBOL("xenforeignmemory_close", memory_close),
    SYMBOL("xenforeignmemory_map", memory_map),
    SYMBOL("xenforeignmemory_unmap", memory_unmap),
};

static const struct library_function store_symbols[] = {
    SYMBOL("xs_open", store_open),
    SYMBOL("xs_close", store_close),
    SYMBOL("xs_read", store_read),
    SYMBOL("xs_directory", store_directory),
    SYMBOL("xs_watch", store_watch),
    SYMBOL("xs_fileno", store_fileno),
    SYMBOL("xs_check_watch", store_check_watch),
};

#define PURPOSE "reaching Xen's guests"
#define PACKAGES                                                                                   \
	"libxencall1, libxenforeignmemory1 and libxenstore4 (Debian, Ubuntu) or xen-libs "         \
	"(Fedora, SUSE)"
#define XEN_LIBRARY(soname, older, list)                                                           \
	{                                                                                          \
		.names = {soname, older}, .purpose = PURPOSE, .packages = PACKAGES,                \
		.functions = list, .count = ARRAY_SIZE(list)                                       \
	}

static const struct library libraries[XEN_LIBRARIES] = {
    XEN_LIBRARY("libxencall.so.1", NULL, call_symbols),
    XEN_LIBRARY("libxenforeignmemory.so.1", NULL, memory_symbols),
    /* The number in the library's name changed from 3.0 to 4 between Xen 4.15 and 4.17. */
    XEN_LIBRARY("libxenstore.so.4", "libxenstore.so.3.0", store_symbols),
};
#define STORE 2 /* if it is missing, domains have no names */

LIBRARY_NOTE(xencall, "\"libxencall.so.1\"", PURPOSE, "suggested");
LIBRARY_NOTE(xenforeignmemory, "\"libxenforeignmemory.so.1\"", PURPOSE, "suggested");
LIBRARY_NOTE(xenstore, "\"libxenstore.so.4\",\"libxenstore.so.3.0\"", PURPOSE, "suggested");

static int privcmd_open(void)
{
	int fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);

	return fd >= 0 ? fd : open("/proc/xen/privcmd", O_RDWR | O_CLOEXEC);
}

struct nunchi_error *xen_library_load(struct xen_library *ret)
{
	struct xen_library library = {.privcmd_open = privcmd_open, .store_check = xen_store_check};

	for (size_t i = 0; i < XEN_LIBRARIES; i++) {
		struct nunchi_error *err =
		    library_load(&libraries[i], &library, &library.handles[i]);

		if (err && i != STORE) {
			xen_library_unload(&library);
			return error_of_host(err);
		}
		nunchi_error_destroy(err);
	}
	*ret = library;
	return NULL;
}

void xen_library_unload(struct xen_library *library)
{
	for (size_t i = 0; i < XEN_LIBRARIES; i++)
		library_unload(&library->handles[i]);
}

/* struct xentoollog_logger of xentoollog.h, through which the libraries report errors. */
struct logger {
	void (*message)(struct logger *logger, int level, int errnum, const char *context,
			const char *format, va_list args);
	void (*progress)(struct logger *logger, const char *context, const char *doing, int percent,
			 unsigned long done, unsigned long total);
	void (*destroy)(struct logger *logger);
};

static void drop_message(struct logger *logger, int level, int errnum, const char *context,
			 const char *format, va_list args)
{
	(void)logger, (void)level, (void)errnum, (void)context, (void)format, (void)args;
}

static void drop_progress(struct logger *logger, const char *context, const char *doing,
			  int percent, unsigned long done, unsigned long total)
{
	(void)logger, (void)context, (void)doing, (void)percent, (void)done, (void)total;
}

static void keep_logger(struct logger *logger)
{
	(void)logger;
}

void *xen_library_logger(void)
{
	static const struct logger quiet = {drop_message, drop_progress, keep_logger};

	return (void *)(uintptr_t)&quiet;
}
