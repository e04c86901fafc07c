/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reports domains that appear and disappear, by xenstore's special watches. */
#include "target/xen/host.h"
#include "target/xen/library.h"
#include "target/xen/xen.h"

struct xen_watch {
	struct xen_library library;
	bool loaded; /* this object has loaded the library, and unloads it */
	void *store;
};

void xen_watch_destroy(struct xen_watch *watch)
{
	if (!watch)
		return;
	if (watch->store)
		watch->library.store_close(watch->store);
	if (watch->loaded)
		xen_library_unload(&watch->library);
	free(watch);
}

/* Sets the watches. Each fires once at the start. */
static bool start(struct xen_watch *watch)
{
	if (watch->library.store_open && watch->library.store_check("") == XEN_STORE_ANSWERS)
		watch->store = watch->library.store_open(0);
	return watch->store &&
	       watch->library.store_watch(watch->store, "@introduceDomain", "come") &&
	       watch->library.store_watch(watch->store, "@releaseDomain", "go");
}

struct nunchi_error *xen_watch_create_with(const struct xen_library *library,
					   struct xen_watch **ret)
{
	struct xen_watch *watch = calloc(1, sizeof(*watch));

	*ret = NULL;
	if (!watch)
		return &error_nomem;
	watch->library = *library;
	if (start(watch))
		*ret = watch;
	else
		xen_watch_destroy(watch);
	return NULL;
}

int xen_watch_fd(const struct xen_watch *watch)
{
	return watch->library.store_fileno(watch->store);
}

void xen_watch_clear(struct xen_watch *watch)
{
	char **event;

	while ((event = watch->library.store_check_watch(watch->store)))
		free(event);
}

static void wake_clear(void *data)
{
	xen_watch_clear(data);
}

static void wake_destroy(void *data)
{
	xen_watch_destroy(data);
}

struct nunchi_error *xen_wake(struct target_wake *ret)
{
	struct xen_library library;
	struct xen_watch *watch;
	struct nunchi_error *err;

	*ret = (struct target_wake){.fd = -1};
	if (!xen_host_may_control(""))
		return NULL;
	err = xen_library_load(&library);
	if (err)
		return err;
	err = xen_watch_create_with(&library, &watch);
	if (!watch) {
		xen_library_unload(&library);
		return err;
	}
	watch->loaded = true;
	*ret = (struct target_wake){
	    .fd = xen_watch_fd(watch), .clear = wake_clear, .destroy = wake_destroy, .data = watch};
	return NULL;
}
