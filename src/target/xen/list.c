/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the domains on this host. */
#include "arch/address.h"
#include "target/xen/host.h"
#include "target/xen/hypervisor.h"
#include "target/xen/xen.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define UUID_SIZE 37

struct name {
	char text[XEN_NAME_SIZE];
};

static void format_uuid(const uint8_t uuid[16], char ret[UUID_SIZE])
{
	size_t at = 0;

	for (size_t i = 0; i < 16; i++)
		at += (size_t)snprintf(ret + at, UUID_SIZE - at,
				       i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
				       uuid[i]);
}

/* Describes how opening this domain would reach its memory, without opening it. */
static void describe_access(const struct xen_hypervisor *xen, const struct xen_domain *domain,
			    char *ret, size_t size)
{
	if (domain->flags & XEN_INFO_DYING)
		snprintf(ret, size, "no: it is being destroyed");
	else if (domain->paged_out)
		snprintf(ret, size, "no: %" PRIu64 " of its pages are on disk (xenpaging)",
			 domain->paged_out);
	else if (!xen->domctl)
		snprintf(ret, size, "mapped pages; no pause, no registers: %s", xen->no_control);
	else
		snprintf(ret, size, "mapped %s, pause, registers (interface 0x%x)",
			 domain->type == XEN_TYPE_PV ? "machine frames" : "pages", xen->domctl);
}

/* Makes the word for a domain: with its name, unless the name is not unique or needs quoting. */
static void make_word(const struct xen_domain *domain, const struct name *names, size_t count,
		      const char *name, char *ret, size_t size)
{
	size_t same = 0;

	for (size_t i = 0; i < count; i++)
		same += !strcmp(names[i].text, name);
	if (same == 1 &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789_.+-") == strlen(name) &&
	    strspn(name, "0123456789") < strlen(name))
		snprintf(ret, size, "xen:%s", name);
	else
		snprintf(ret, size, "xen:%u", domain->id);
}

static bool report(struct xen_hypervisor *xen, const struct xen_domain *domain, const char *target,
		   const char *name, target_found_fn *found, void *data)
{
	char hypervisor[32], uuid[UUID_SIZE], access[512];

	snprintf(hypervisor, sizeof(hypervisor), "xen (%s)", xen_type_string(domain->type));
	format_uuid(domain->uuid, uuid);
	describe_access(xen, domain, access, sizeof(access));
	if (xen->no_store && !*name) {
		size_t length = strlen(access);

		snprintf(access + length, sizeof(access) - length, "; no name: %s", xen->no_store);
	}
	return found(
	    &(struct nunchi_found){
		.target = target,
		.name = name,
		.hypervisor = hypervisor,
		.pid = -1,
		.memory = domain->pages << PAGE_SHIFT,
		.vcpus = domain->vcpus,
		.state = xen->domctl ? xen_domain_state(domain) : "unknown",
		.access = access,
		.uuid = xen->domctl ? uuid : "",
		.user = "",
	    },
	    data);
}

/* Lists the ids in xenstore, if the version of the control interface is unknown. */
static struct nunchi_error *domains_in_store(struct xen_hypervisor *xen, struct xen_domain **ret,
					     size_t *ret_count)
{
	size_t size = 0;
	_cleanup_free_ char *names = xen_store_names(xen, "/local/domain", &size);
	struct xen_domain *domains;

	*ret_count = 0;
	if (!names)
		return error_create(
		    NUNCHI_ERROR_UNSUPPORTED, "%s; and in xenstore: %s", xen->no_control,
		    xen->no_store ? xen->no_store
				  : "there is no list of domains, or it is too long");
	/* A name has at least one letter. */
	domains = calloc(size / 2 + 1, sizeof(*domains));
	if (!domains)
		return &error_nomem;
	for (char *name = names, *end; name && name < names + size; name += strlen(name) + 1) {
		unsigned long id = strtoul(name, &end, 10);

		if (*name && !*end && id < XEN_FIRST_RESERVED)
			domains[(*ret_count)++].id = (uint16_t)id;
	}
	*ret = domains;
	return NULL;
}

static struct nunchi_error *list(struct xen_hypervisor *xen, target_found_fn *found, void *data,
				 bool *ret_stopped)
{
	_cleanup_free_ struct xen_domain *domains = NULL;
	_cleanup_free_ struct name *names = NULL;
	char word[XEN_NAME_SIZE + 8];
	struct nunchi_error *err;
	bool more = true;
	size_t count;

	err = xen->domctl ? xen_domains_get(xen, &domains, &count)
			  : domains_in_store(xen, &domains, &count);
	if (err)
		return err;
	names = calloc(count + 1, sizeof(*names));
	if (!names)
		return &error_nomem;
	for (size_t i = 0; i < count; i++)
		xen_domain_name(xen, domains[i].id, names[i].text, sizeof(names[i].text));
	for (size_t i = 0; i < count && more; i++) {
		if (!domains[i].id)
			continue;
		make_word(&domains[i], names, count, names[i].text, word, sizeof(word));
		more = report(xen, &domains[i], word, names[i].text, found, data);
	}
	*ret_stopped = !more;
	return NULL;
}

struct nunchi_error *xen_list_with(const struct xen_calls *calls, target_found_fn *found,
				   void *data, bool *ret_stopped)
{
	struct xen_hypervisor xen;
	struct nunchi_error *err = xen_hypervisor_open_with(calls, &xen);

	if (err)
		return err;
	err = list(&xen, found, data, ret_stopped);
	xen_hypervisor_close(&xen);
	return err;
}

struct nunchi_error *xen_list(bool ask, target_found_fn *found, void *data, bool *ret_stopped)
{
	struct xen_hypervisor xen;
	struct nunchi_error *err;

	(void)ask; /* the hypervisor knows the states */
	*ret_stopped = false;
	/* A guest of Xen may itself be a host of guests, which have nothing to do with Xen. */
	if (!xen_host_may_control(""))
		return NULL;
	err = xen_host_check("", geteuid() == 0);
	if (!err)
		err = xen_hypervisor_open(&xen);
	if (err)
		return error_context(err, "Xen's guests cannot be listed");
	err = list(&xen, found, data, ret_stopped);
	xen_hypervisor_close(&xen);
	return err;
}

struct search {
	const char *name;
	size_t count;
};

static bool count_name(const struct nunchi_found *guest, void *data)
{
	struct search *search = data;

	search->count += !strcmp(guest->name, search->name);
	return true;
}

bool xen_has_guest(const char *name)
{
	struct search search = {.name = name};
	bool stopped;

	nunchi_error_destroy(xen_list(true, count_name, &search, &stopped));
	return search.count == 1;
}
