/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

struct symbol {
	const char *name;
	size_t offset; /* of the pointer in struct xen_library */
};

#define SYMBOL(name, member)                                                                       \
	{                                                                                          \
		name, offsetof(struct xen_library, member)                                         \
	}

static const struct symbol call_symbols[] = {
    SYMBOL("xencall_open", call_open),
    SYMBOL("xencall_close", call_close),
    SYMBOL("xencall1", call1),
    SYMBOL("xencall2", call2),
    SYMBOL("xencall_alloc_buffer", alloc),
    SYMBOL("xencall_free_buffer", free),
};

static const struct symbol memory_symbols[] = {
    SYMBOL("xenforeignmemory_open", memory_open),
    SYMBOL("xenforeignmemory_close", memory_close),
    SYMBOL("xenforeignmemory_map", memory_map),
    SYMBOL("xenforeignmemory_unmap", memory_unmap),
};

static const struct symbol store_symbols[] = {
    SYMBOL("xs_open", store_open),
    SYMBOL("xs_close", store_close),
    SYMBOL("xs_read", store_read),
    SYMBOL("xs_directory", store_directory),
    SYMBOL("xs_watch", store_watch),
    SYMBOL("xs_fileno", store_fileno),
    SYMBOL("xs_check_watch", store_check_watch),
};

static const struct {
	const char *names[2]; /* the library's file, newest first */
	const struct symbol *symbols;
	size_t count;
	bool optional;
} libraries[XEN_LIBRARIES] = {
    {{"libxencall.so.1"}, call_symbols, ARRAY_SIZE(call_symbols), false},
    {{"libxenforeignmemory.so.1"}, memory_symbols, ARRAY_SIZE(memory_symbols), false},
    /* The name's number went from 3.0 to 4 between Xen 4.15 and 4.17. */
    {{"libxenstore.so.4", "libxenstore.so.3.0"}, store_symbols, ARRAY_SIZE(store_symbols), true},
};

static void *open_library(const char *const names[2])
{
	void *handle = dlopen(names[0], RTLD_NOW | RTLD_LOCAL);

	return handle || !names[1] ? handle : dlopen(names[1], RTLD_NOW | RTLD_LOCAL);
}

static struct nunchi_error *missing(const char *library, const char *what)
{
	struct nunchi_error *err = error_create(
	    NUNCHI_ERROR_UNSUPPORTED,
	    "Xen's library %s %s, without which its guests cannot be reached", library, what);

	return error_hint(error_of_host(err),
			  "install libxencall1, libxenforeignmemory1 and libxenstore4 "
			  "(Debian, Ubuntu) or xen-libs (Fedora, SUSE)");
}

/* By what dlopen() says: it may be there and lack another. */
static struct nunchi_error *cannot_load(const char *library)
{
	const char *reason = dlerror();
	_cleanup_free_ char *what = NULL;

	if (!reason || !strncmp(reason, library, strlen(library)))
		return missing(library, "is not installed");
	if (asprintf(&what, "cannot be loaded (%s)", reason) < 0) {
		what = NULL;
		return &error_nomem;
	}
	return missing(library, what);
}

#define IOCTL_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct xen_raw_call))

static int raw_open(void)
{
	int fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);

	return fd >= 0 ? fd : open("/proc/xen/privcmd", O_RDWR | O_CLOEXEC);
}

static int raw_call(int fd, struct xen_raw_call *call)
{
	return ioctl(fd, IOCTL_HYPERCALL, call);
}

struct nunchi_error *xen_library_load(struct xen_library *ret)
{
	struct xen_library library = {
	    .raw_open = raw_open, .raw_call = raw_call, .store_check = xen_store_check};

	for (size_t i = 0; i < XEN_LIBRARIES; i++) {
		library.handles[i] = open_library(libraries[i].names);
		if (!library.handles[i] && !libraries[i].optional) {
			struct nunchi_error *err = cannot_load(libraries[i].names[0]);

			xen_library_unload(&library);
			return err;
		}
		for (size_t j = 0; library.handles[i] && j < libraries[i].count; j++) {
			const struct symbol *symbol = &libraries[i].symbols[j];
			void *address = dlsym(library.handles[i], symbol->name);

			if (!address) {
				xen_library_unload(&library);
				return missing(libraries[i].names[0], "lacks a function");
			}
			memcpy((char *)&library + symbol->offset, &address, sizeof(address));
		}
	}
	*ret = library;
	return NULL;
}

void xen_library_unload(struct xen_library *library)
{
	for (size_t i = 0; i < XEN_LIBRARIES; i++) {
		if (library->handles[i])
			dlclose(library->handles[i]);
		library->handles[i] = NULL;
	}
}

const char *xen_library_name(size_t n)
{
	return libraries[n].names[0];
}

bool xen_library_is_there(size_t n)
{
	void *handle = open_library(libraries[n].names);

	if (handle)
		dlclose(handle);
	return handle != NULL;
}

/* struct xentoollog_logger of xentoollog.h, by which the libraries say what fails. */
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
