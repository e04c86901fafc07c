/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/xen.h"

#include "target/stops.h"
#include "target/xen/host.h"
#include "target/xen/internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* ---- State ----------------------------------------------------------------------------------- */

struct nunchi_error *xen_still_there(struct xen_target *xen, struct xen_domain *ret)
{
	struct nunchi_error *err = xen_domain_get(&xen->xen, xen->domain.id, ret);

	if (error_is(err, NUNCHI_ERROR_NOT_FOUND)) {
		nunchi_error_destroy(err);
		return error_create(NUNCHI_ERROR_GONE, "domain %u has ended", xen->domain.id);
	}
	/* Xen reuses an id after thousands of other domains. */
	if (!err && memcmp(ret->uuid, xen->domain.uuid, sizeof(ret->uuid)))
		return error_create(NUNCHI_ERROR_GONE, "the id %u now belongs to another domain",
				    xen->domain.id);
	return err;
}

/*
 * A guest that has shut down or crashed and is preserved counts as paused: its vCPUs stand still.
 */
static struct nunchi_error *get_state(struct target *target, enum target_state *ret)
{
	struct xen_target *xen = xen_of(target);
	struct xen_domain domain;
	struct nunchi_error *err;

	if (!xen->xen.domctl) {
		*ret = TARGET_UNKNOWN;
		return NULL;
	}
	err = xen_still_there(xen, &domain);
	if (error_is(err, NUNCHI_ERROR_GONE)) {
		nunchi_error_destroy(err);
		*ret = TARGET_ENDED;
		return NULL;
	}
	if (err)
		return err;
	if (domain.flags & XEN_INFO_DYING)
		*ret = TARGET_ENDED;
	else if (domain.flags & (XEN_INFO_PAUSED | XEN_INFO_SHUTDOWN))
		*ret = TARGET_PAUSED;
	else
		*ret = TARGET_RUNNING;
	return NULL;
}

static struct nunchi_error *get_registers(struct target *target, unsigned vcpu,
					  struct x86_registers *ret)
{
	struct xen_target *xen = xen_of(target);

	return xen_get_registers(&xen->xen, &xen->domain, vcpu, ret);
}

static void destroy(struct target *target)
{
	struct xen_target *xen = xen_of(target);

	xen_stops.close(target);
	xen_pause_deinit(xen);
	xen_hypervisor_close(&xen->xen);
}

static bool forked(struct target *target)
{
	struct xen_target *xen = xen_of(target);

	if (!xen_hypervisor_forked(&xen->xen))
		return false;
	xen_stops_forked(xen);
	return true;
}

/* Keeps a descriptor that maps memory of this domain and does nothing else. */
static struct nunchi_error *confined(struct target *target)
{
	struct xen_target *xen = xen_of(target);

	target->restricted = xen_hypervisor_confine(&xen->xen, xen->domain.id);
	target->device = xen->xen.driver;
	target->device_request = XEN_MAP_CALL;
	return NULL;
}

static const struct target_control control = {.pause = xen_pause, .resume = xen_resume};

static const struct target_ops xen_ops = {
    .kind = "xen",
    .destroy = destroy,
    .control = &control,
    .stops = &xen_stops,
    .get_registers = get_registers,
    .get_state = get_state,
    .measure = xen_measure,
    .refresh = xen_refresh,
    .forked = forked,
    .confined = confined,
};

/* ---- Finding the domain ---------------------------------------------------------------------- */

static struct nunchi_error *no_such_guest(const char *word)
{
	return error_hint(error_create(NUNCHI_ERROR_NOT_FOUND, "there is no domain \"%s\"", word),
			  "`nunchi list` shows the guests that run here");
}

/* Parses a number that can be the id of a domain. */
static bool parse_id(const char *word, uint16_t *ret)
{
	char *end;
	unsigned long id;

	if (word[0] < '0' || word[0] > '9')
		return false;
	id = strtoul(word, &end, 10);
	if (*end || id >= XEN_FIRST_RESERVED)
		return false;
	*ret = (uint16_t)id;
	return true;
}

/* The error that says that a domain cannot be found by its name, and why. */
static struct nunchi_error *nameless(const struct xen_hypervisor *xen, const char *word)
{
	struct nunchi_error *err =
	    error_create(NUNCHI_ERROR_UNSUPPORTED,
			 "the names of domains are not known: %s, so \"%s\" cannot be looked up",
			 xen->no_store, word);

	return error_hint(error_of_host(err), "say xen:ID, as `nunchi list` shows it; for names: "
					      "sudo service xen status (xenstored)");
}

/* Finds the only domain with this name. */
static struct nunchi_error *find_by_name(struct xen_hypervisor *xen, const char *word,
					 struct xen_domain *ret)
{
	_cleanup_free_ struct xen_domain *domains = NULL;
	size_t count, found = 0;
	struct nunchi_error *err = xen_domains_get(xen, &domains, &count);
	char name[XEN_NAME_SIZE];

	for (size_t i = 0; !err && i < count; i++) {
		xen_domain_name(xen, domains[i].id, name, sizeof(name));
		if (xen->no_store)
			return nameless(xen, word);
		if (strcmp(name, word))
			continue;
		if (found++)
			return error_hint(error_create(NUNCHI_ERROR_AMBIGUOUS,
						       "domains %u and %u are both named \"%s\"",
						       ret->id, domains[i].id, word),
					  "say xen:%u or xen:%u", ret->id, domains[i].id);
		*ret = domains[i];
	}
	return err || found ? err : no_such_guest(word);
}

/*
 * Finds a domain in xenstore, where the toolstack wrote its type (/libxl/ID/type since Xen 4.9).
 * Used if the version of the control interface is unknown.
 */
static struct nunchi_error *find_in_store(struct xen_hypervisor *xen, const char *word,
					  struct xen_domain *ret)
{
	char path[64], type[16];
	uint16_t id;

	if (!parse_id(word, &id))
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED, "%s", xen->no_control),
				  "say xen:ID instead of the name (`xl list` shows the ids)");
	snprintf(path, sizeof(path), "/libxl/%u/type", id);
	xen_store_read(xen, path, type, sizeof(type));
	/* The memory of a PV guest is read in another way. */
	if (xen->no_store)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the type of domain %u is not known: %s, and %s", id,
				    xen->no_control, xen->no_store);
	*ret = (struct xen_domain){.id = id, .type = XEN_TYPE_UNKNOWN};
	if (!strcmp(type, "pv"))
		ret->type = XEN_TYPE_PV;
	else if (!strcmp(type, "pvh"))
		ret->type = XEN_TYPE_PVH;
	else if (!strcmp(type, "hvm"))
		ret->type = XEN_TYPE_HVM;
	return NULL;
}

static struct nunchi_error *find(struct xen_hypervisor *xen, const char *word,
				 struct xen_domain *ret)
{
	struct nunchi_error *err, *by_name;
	uint16_t id;

	if (!word[0])
		return no_such_guest(word);
	if (!xen->domctl)
		return find_in_store(xen, word, ret);
	if (parse_id(word, &id)) {
		err = xen_domain_get(xen, id, ret);
		if (!error_is(err, NUNCHI_ERROR_NOT_FOUND))
			return err;
		/* A name may consist of digits. */
		by_name = find_by_name(xen, word, ret);
		if (!xen->no_store) {
			nunchi_error_destroy(err);
			return by_name;
		}
		nunchi_error_destroy(by_name);
		return err;
	}
	return find_by_name(xen, word, ret);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void describe_capabilities(struct xen_target *xen)
{
	struct target *target = &xen->base;
	const char *type = xen_type_string(xen->domain.type);

	target_set_support(
	    target, TARGET_WRITE, false,
	    "nunchi only reads the memory of Xen's guests, but for the breakpoints of "
	    "a trace");
	xen_stops_describe(xen);
	if (!xen->xen.domctl) {
		target_set_support(target, TARGET_PAUSE, false, "%s", xen->xen.no_control);
		target_set_support(target, TARGET_REGISTERS, false, "%s", xen->xen.no_control);
		return;
	}
	target_set_support(target, TARGET_PAUSE, true,
			   "pausedomain and unpausedomain, interface 0x%x", xen->xen.domctl);
	target_set_support(
	    target, TARGET_REGISTERS, true, "%s of a %s guest",
	    xen->domain.type == XEN_TYPE_PV ? "getvcpucontext" : "gethvmcontext_partial", type);
}

static struct nunchi_error *set_up(struct xen_target *xen, const char *word,
				   const struct target_options *options)
{
	struct nunchi_error *err = find(&xen->xen, word, &xen->domain);

	if (err)
		return err;
	if (!xen->domain.id)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "domain 0 is dom0, where nunchi itself runs"),
				  "read its own /proc instead");
	if (xen->domain.flags & XEN_INFO_DYING)
		return error_create(NUNCHI_ERROR_GONE, "domain %u is being destroyed",
				    xen->domain.id);
	xen->base.live = true;
	xen->base.vcpu_count = xen->domain.vcpus;
	xen->base.ram_size = xen->domain.pages << PAGE_SHIFT;
	if (xen->domain.type == XEN_TYPE_PV)
		xen->base.frames = TARGET_FRAMES_MACHINE;
	xen_pause_init(xen);
	xen_stops_init(xen);
	describe_capabilities(xen);
	if (xen->domain.flags & XEN_INFO_SHUTDOWN)
		target_note(&xen->base, "the guest has %s; its memory is as it was then",
			    xen_domain_state(&xen->domain));
	xen_repair(xen);
	xen->sigbus_guard = options->sigbus_guard;
	xen->cancel = options->cancel;
	err = options->opened ? options->opened(&xen->base, options->data) : NULL;
	return err ? err : xen_map_memory(xen);
}

/* Creates the target; takes over the hypervisor. */
static struct nunchi_error *create(struct xen_hypervisor *hypervisor, const char *word,
				   const struct target_options *options, struct target **ret)
{
	struct xen_target *xen = calloc(1, sizeof(*xen));
	_cleanup_free_ char *name = NULL;
	struct nunchi_error *err;

	if (!xen || asprintf(&name, "xen:%s", word) < 0) {
		name = NULL;
		free(xen);
		xen_hypervisor_close(hypervisor);
		return &error_nomem;
	}
	xen->xen = *hypervisor;
	xen->stops.channels = -1;
	err = target_init(&xen->base, &xen_ops, name);
	if (!err)
		err = set_up(xen, word, options);
	if (err) {
		target_close(&xen->base);
		return error_context(err, "%s", name);
	}
	*ret = &xen->base;
	return NULL;
}

static const char *without_prefix(const char *word)
{
	return strncmp(word, "xen:", 4) ? word : word + 4;
}

struct nunchi_error *xen_target_open_with(const struct xen_calls *calls, const char *word,
					  const struct target_options *options, struct target **ret)
{
	struct xen_hypervisor hypervisor;
	struct nunchi_error *err = xen_hypervisor_open_with(calls, &hypervisor);

	return err ? err : create(&hypervisor, without_prefix(word), options, ret);
}

static struct nunchi_error *open_on_host(const char *word, const struct target_options *options,
					 struct target **ret)
{
	struct xen_hypervisor hypervisor;
	struct nunchi_error *err = xen_host_check("", geteuid() == 0);

	if (!err)
		err = xen_hypervisor_open(&hypervisor);
	if (err)
		return error_context(err, "%s", word);
	return create(&hypervisor, without_prefix(word), options, ret);
}

static const struct nunchi_target_form forms[] = {
    {"xen:NAME", "a running guest of Xen by its name, as \"xl list\" shows it", true},
    {"xen:ID", "the same by its domain id", true},
};

const struct target_kind xen_kind = {
    .prefix = "xen:",
    .forms = forms,
    .form_count = ARRAY_SIZE(forms),
    .open = open_on_host,
    .list = xen_list,
    .has_guest = xen_has_guest,
    .wake = xen_wake,
};
