/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reports domains that appear and disappear, by xenstore's special watches. */
#include "target/xen/calls.h"
#include "target/xen/host.h"
#include "target/xen/xen.h"

struct xen_watch {
	struct xen_calls calls;
	struct xen_store *store;
};

void xen_watch_destroy(struct xen_watch *watch)
{
	if (!watch)
		return;
	watch->calls.store_close(watch->store);
	free(watch);
}

/* Sets the watches. Each fires once at the start. */
static bool start(struct xen_watch *watch)
{
	enum xen_store_state state;

	watch->store = watch->calls.store_open("", &state);
	return watch->store && watch->calls.store_watch(watch->store, "@introduceDomain", "come") &&
	       watch->calls.store_watch(watch->store, "@releaseDomain", "go");
}

struct nunchi_error *xen_watch_create_with(const struct xen_calls *calls, struct xen_watch **ret)
{
	struct xen_watch *watch = calloc(1, sizeof(*watch));

	*ret = NULL;
	if (!watch)
		return &error_nomem;
	watch->calls = *calls;
	if (start(watch))
		*ret = watch;
	else
		xen_watch_destroy(watch);
	return NULL;
}

int xen_watch_fd(const struct xen_watch *watch)
{
	return watch->calls.store_fd(watch->store);
}

bool xen_watch_clear(struct xen_watch *watch)
{
	return watch->calls.store_clear(watch->store);
}

static bool wake_clear(void *data)
{
	return xen_watch_clear(data);
}

static void wake_destroy(void *data)
{
	xen_watch_destroy(data);
}

struct nunchi_error *xen_wake(struct target_wake *ret)
{
	struct xen_watch *watch;
	struct nunchi_error *err;

	*ret = (struct target_wake){.fd = -1};
	if (!xen_host_may_control(""))
		return NULL;
	err = xen_watch_create_with(&xen_calls, &watch);
	if (!watch)
		return err;
	*ret = (struct target_wake){
	    .fd = xen_watch_fd(watch), .clear = wake_clear, .destroy = wake_destroy, .data = watch};
	return NULL;
}
