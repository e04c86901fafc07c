/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/library.h"

#include <dlfcn.h>
#include <string.h>

/*
 * Words the error after what dlopen() says: the library may be installed and lack another one, or
 * the memory to be mapped in.
 */
static struct nunchi_error *missing(const struct library *library)
{
	const char *why = dlerror(), *name = library->name;
	struct nunchi_error *err;

	if (why && !strncmp(why, name, strlen(name)) && strstr(why, "cannot open shared object"))
		err = error_create(NUNCHI_ERROR_UNSUPPORTED,
				   "%s is not installed; it is needed for %s", name,
				   library->purpose);
	else
		err = error_create(NUNCHI_ERROR_UNSUPPORTED,
				   "%s cannot be loaded (%s); it is needed for %s", name,
				   why ? why : "out of memory", library->purpose);
	return error_hint(err, "install %s", library->packages);
}

static struct nunchi_error *lacking(const struct library *library, const char *function)
{
	return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
				       "%s lacks %s(); it is needed for %s", library->name,
				       function, library->purpose),
			  "install %s as the system's own packages have it", library->packages);
}

/*
 * NOW: a function that is missing would otherwise end the program when it is called.
 * NODELETE: few libraries are tested for being unloaded, and to load one again costs little.
 */
static void *open_library(const struct library *library)
{
	return dlopen(library->name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

struct nunchi_error *library_load(const struct library *library, void *table, void **ret)
{
	void *handle = open_library(library);

	if (!handle)
		return missing(library);
	for (size_t i = 0; i < library->count; i++) {
		if (!dlsym(handle, library->functions[i].name)) {
			dlclose(handle);
			return lacking(library, library->functions[i].name);
		}
	}
	for (size_t i = 0; i < library->count; i++) {
		void *address = dlsym(handle, library->functions[i].name);

		memcpy((char *)table + library->functions[i].offset, &address, sizeof(address));
	}
	*ret = handle;
	return NULL;
}

void library_unload(void **handle)
{
	if (*handle)
		dlclose(*handle);
	*handle = NULL;
}
