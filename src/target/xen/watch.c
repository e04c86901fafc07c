/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains that come and go: xenstore's special watches. */
#include "target/xen/host.h"
#include "target/xen/library.h"
#include "target/xen/xen.h"

struct xen_watch {
	struct xen_library library;
	void *store;
};

void xen_watch_destroy(struct xen_watch *watch)
{
	if (!watch)
		return;
	if (watch->store)
		watch->library.store_close(watch->store);
	xen_library_unload(&watch->library);
	free(watch);
}

struct nunchi_error *xen_watch_create(struct xen_watch **ret)
{
	struct xen_watch *watch;
	struct nunchi_error *err;

	*ret = NULL;
	if (!xen_host_is_xen(""))
		return NULL;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return &error_nomem;
	err = xen_library_load(&watch->library);
	if (!err && watch->library.store_open)
		watch->store = watch->library.store_open(0);
	/* Each fires once at the start. */
	if (!err && watch->store &&
	    watch->library.store_watch(watch->store, "@introduceDomain", "come") &&
	    watch->library.store_watch(watch->store, "@releaseDomain", "go")) {
		*ret = watch;
		return NULL;
	}
	xen_watch_destroy(watch);
	return err;
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
