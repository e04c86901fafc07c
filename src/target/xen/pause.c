/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pauses a domain in such a way that it is resumed whatever happens to this process. Xen counts
 * pauses without storing whose they are: a pause must be undone exactly once, because undoing it
 * again would undo the pause of somebody else. So the guard makes both hypercalls, and logs each
 * step (journal/undo.h).
 */
#include "target/xen/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct nunchi_error *look(void *data, enum undo_seen *ret)
{
	struct xen_target *xen = data;
	struct xen_domain domain;
	struct nunchi_error *err = xen_still_there(xen, &domain);

	if (error_is(err, NUNCHI_ERROR_GONE)) {
		nunchi_error_destroy(err);
		*ret = UNDO_SEEN_GONE;
		return NULL;
	}
	if (!err)
		*ret = domain.flags & XEN_INFO_PAUSED ? UNDO_SEEN_SET : UNDO_SEEN_CLEAR;
	return err;
}

static struct nunchi_error *clear(void *data)
{
	struct xen_target *xen = data;
	struct nunchi_error *err = xen_domain_unpause(&xen->xen, xen->domain.id);

	/* Somebody else has resumed the domain (EINVAL), or it has ended. */
	if ((err && nunchi_error_errno(err) == EINVAL) || error_is(err, NUNCHI_ERROR_GONE)) {
		nunchi_error_destroy(err);
		return NULL;
	}
	return err;
}

static bool ran(void *data, struct undo_ran *ret)
{
	struct xen_target *xen = data;
	struct xen_domain domain;
	struct nunchi_error *err = xen_still_there(xen, &domain);

	if (!err)
		*ret = (struct undo_ran){.ns = domain.cpu_time};
	nunchi_error_destroy(err);
	return !err;
}

void xen_undo_name(const struct xen_domain *domain, char *ret, size_t size)
{
	char uuid[2 * sizeof(domain->uuid) + 1];

	for (size_t i = 0; i < sizeof(domain->uuid); i++)
		snprintf(uuid + 2 * i, 3, "%02x", domain->uuid[i]);
	snprintf(ret, size, "%u-%s", domain->id, uuid);
}

bool xen_is_dead(void *data, const char *name)
{
	struct xen_target *xen = data;
	struct xen_domain domain;
	struct nunchi_error *err;
	char now[64];
	bool gone;
	unsigned id;

	if (sscanf(name, "%5u-", &id) != 1 || id >= XEN_FIRST_RESERVED)
		return false;
	err = xen_domain_get(&xen->xen, (uint16_t)id, &domain);
	gone = error_is(err, NUNCHI_ERROR_NOT_FOUND);
	if (!err) {
		xen_undo_name(&domain, now, sizeof(now));
		gone = strcmp(now, name) != 0;
	}
	nunchi_error_destroy(err);
	return gone;
}

static struct nunchi_error *plan(void *data, struct guard_plan *ret)
{
	struct xen_target *xen = data;

	*ret = (struct guard_plan){.handle = xen->xen.driver,
				   .kind = GUARD_XEN,
				   .domctl = xen->xen.domctl,
				   .domain = xen->domain.id};
	return NULL;
}

static void advise(void *data, char *ret, size_t size)
{
	const struct xen_target *xen = data;

	snprintf(ret, size,
		 "if the guest stands still and nobody else has paused it: xl unpause %u",
		 xen->domain.id);
}

static const struct undo_ops undo_ops = {
    .type = UNDO_PAUSE,
    .words = {"paused", "resuming it", "paused: it was resumed"},
    .actor = {.counted = true, .look = look, .clear = clear, .ran = ran},
    .plan = plan,
    .is_dead = xen_is_dead,
    .advise = advise,
};

void xen_pause_init(struct xen_target *xen)
{
	char name[64];

	xen_undo_name(&xen->domain, name, sizeof(name));
	undo_init(&xen->undo, &undo_ops, xen, "xen", "%s", name);
}

void xen_pause_deinit(struct xen_target *xen)
{
	undo_deinit(&xen->undo);
}

void xen_repair(struct xen_target *xen)
{
	char *repaired;
	bool complete;

	if (!xen->xen.domctl)
		return;
	complete = undo_repair(&xen->undo, &repaired);
	target_note_repair(&xen->base, repaired, complete);
	xen_stops_repair(xen);
}

/* Replaces errors of Xen by explanations. */
static struct nunchi_error *explain(const struct xen_target *xen, struct nunchi_error *err)
{
	int errnum = err ? nunchi_error_errno(err) : 0;

	if (errnum == ESRCH) {
		nunchi_error_destroy(err);
		return error_create(NUNCHI_ERROR_GONE, "domain %u has ended", xen->domain.id);
	}
	if (errnum == EPERM || errnum == EACCES)
		return error_hint(err, "the hypervisor's security policy (XSM, FLASK) forbids it");
	return err;
}

struct nunchi_error *xen_pause(struct target *target)
{
	struct xen_target *xen = xen_of(target);
	struct nunchi_error *err;
	char *repaired;
	bool ours;

	err = undo_do(&xen->undo, &ours, &repaired);
	target_note_repair(&xen->base, repaired, !xen->undo.unsure);
	return explain(xen, err);
}

struct nunchi_error *xen_resume(struct target *target)
{
	struct xen_target *xen = xen_of(target);

	return explain(xen, undo_undo(&xen->undo));
}
