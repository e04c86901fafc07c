/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/hypervisor.h"

#include "core/array.h"
#include "core/bytes.h"
#include "target/xen/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Number of domains requested in one call. */
#define LIST_BATCH 256
/* Limit of the repetitions of a call that Xen asks to repeat. */
#define MOST_TRIES 64

/* ---- Calls ----------------------------------------------------------------------------------- */

/*
 * Makes a call whose argument is a structure, which is passed in a buffer that the hypervisor can
 * write to. Returns 0 or an errno. Repeats the call while Xen answers EAGAIN.
 */
static int call_with(struct xen_hypervisor *xen, unsigned op, void *argument, size_t size)
{
	void *buffer = xen->library.alloc(xen->call, size);
	int result = -1, errnum = ENOMEM;

	if (!buffer)
		return ENOMEM;
	for (unsigned i = 0; i < MOST_TRIES; i++) {
		memcpy(buffer, argument, size);
		result = xen->library.call1(xen->call, op, (uint64_t)(uintptr_t)buffer);
		errnum = result < 0 ? errno : 0;
		if (errnum != EAGAIN && errnum != EINTR)
			break;
	}
	if (result >= 0)
		memcpy(argument, buffer, size);
	xen->library.free(xen->call, buffer);
	return errnum;
}

static int domctl(struct xen_hypervisor *xen, uint32_t command, uint16_t id,
		  struct xen_domctl *argument)
{
	argument->command = command;
	argument->version = xen->domctl;
	argument->domain = id;
	return call_with(xen, XEN_HYPERCALL_DOMCTL, argument, sizeof(*argument));
}

/* A result that the hypervisor never returns. */
#define NO_MEMORY (-2L)

/* Makes a memory_op with an argument. Returns its result, -1 with errno, or NO_MEMORY. */
static long memory_op(struct xen_hypervisor *xen, unsigned op, void *argument, size_t size)
{
	void *buffer = xen->library.alloc(xen->call, size);
	long result;
	int errnum;

	if (!buffer)
		return NO_MEMORY;
	memcpy(buffer, argument, size);
	result =
	    xen->library.call2(xen->call, XEN_HYPERCALL_MEMORY_OP, op, (uint64_t)(uintptr_t)buffer);
	errnum = errno;
	memcpy(argument, buffer, size);
	xen->library.free(xen->call, buffer);
	errno = errnum;
	return result;
}

static struct nunchi_error *failed(int errnum, uint16_t id, const char *what)
{
	struct nunchi_error *err;

	if (errnum == ESRCH || errnum == ENOENT)
		return error_create(NUNCHI_ERROR_GONE, "domain %u is gone: cannot %s", id, what);
	err = error_create_errno(errnum, "Xen refuses to %s of domain %u", what, id);
	if (errnum == EPERM || errnum == EACCES)
		return error_hint(err, "the hypervisor's security policy (XSM, FLASK) forbids it "
				       "to this domain: `xl getenforce`, `xl dmesg` tell more");
	return err;
}

/* ---- Versions -------------------------------------------------------------------------------- */

/*
 * Tries an interface version with a call that changes nothing. It does not matter whether the
 * domain exists: any answer except EACCES means that the version is right.
 */
static int try_domctl(struct xen_hypervisor *xen, uint32_t version)
{
	struct xen_domctl argument = {0};

	xen->domctl = version;
	return domctl(xen, XEN_OP_DOMAIN_INFO, 0, &argument);
}

static struct nunchi_error *probe_domctl(struct xen_hypervisor *xen)
{
	int errnum = EACCES;

	for (uint32_t version = XEN_DOMCTL_NEWEST; version >= XEN_DOMCTL_OLDEST; version--) {
		errnum = try_domctl(xen, version);
		if (errnum != EACCES)
			break;
	}
	if (errnum == EPERM || errnum == ENOSYS || errnum == ENOTTY)
		return error_hint(
		    error_create_errno(errnum,
				       "Xen does not permit this domain to control other domains"),
		    "nunchi must run in the control domain (dom0), or in one that the security "
		    "policy (XSM) allows to");
	if (errnum == ENOMEM)
		return &error_nomem;
	if (errnum != EACCES)
		return NULL;
	xen->domctl = 0;
	if (asprintf(&xen->no_control,
		     "Xen %u.%u knows none of the control interfaces 0x%x to 0x%x (Xen 4.11 to "
		     "4.22): it is newer than this nunchi, or its security policy (FLASK) forbids "
		     "them; memory can be read, nothing else",
		     xen->major, xen->minor, XEN_DOMCTL_OLDEST, XEN_DOMCTL_NEWEST) < 0) {
		xen->no_control = NULL;
		return &error_nomem;
	}
	return NULL;
}

struct nunchi_error *xen_need_control(const struct xen_hypervisor *xen)
{
	if (xen->domctl)
		return NULL;
	return error_create(NUNCHI_ERROR_UNSUPPORTED, "%s", xen->no_control);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static struct nunchi_error *cannot_open(const char *what)
{
	int errnum = errno;
	struct nunchi_error *err =
	    error_of_host(error_create_errno(errnum, "cannot open Xen's %s", what));

	if (errnum == EACCES || errnum == EPERM)
		return error_hint(err, "run it as root: sudo nunchi …");
	if (errnum == ENOENT || errnum == ENODEV || errnum == ENXIO)
		return error_hint(err, "load the module: sudo modprobe xen-privcmd");
	return err;
}

struct nunchi_error *xen_hypervisor_open_with(const struct xen_library *library,
					      struct xen_hypervisor *ret)
{
	struct xen_hypervisor xen = {.library = *library};
	struct nunchi_error *err = NULL;
	int version;

	xen.call = library->call_open(xen_library_logger(), 0);
	if (!xen.call)
		err = cannot_open("hypercalls (/dev/xen/privcmd)");
	if (!err) {
		xen.memory = library->memory_open(xen_library_logger(), 0);
		if (!xen.memory)
			err = cannot_open("guest memory (/dev/xen/privcmd)");
	}
	if (!err) {
		version = library->call2(xen.call, XEN_HYPERCALL_VERSION, XEN_OP_VERSION, 0);
		if (version > 0) {
			xen.major = (unsigned)version >> 16;
			xen.minor = (unsigned)version & 0xffff;
		}
		err = probe_domctl(&xen);
	}
	if (err) {
		xen_hypervisor_close(&xen);
		return err;
	}
	*ret = xen;
	return NULL;
}

struct nunchi_error *xen_hypervisor_open(struct xen_hypervisor *ret)
{
	struct xen_library library;
	struct nunchi_error *err = xen_library_load(&library);

	if (err)
		return err;
	err = xen_hypervisor_open_with(&library, ret);
	if (err)
		xen_library_unload(&library);
	else
		ret->loaded = true;
	return err;
}

void xen_hypervisor_close(struct xen_hypervisor *xen)
{
	if (xen->store)
		xen->library.store_close(xen->store);
	if (xen->memory)
		xen->library.memory_close(xen->memory);
	if (xen->call)
		xen->library.call_close(xen->call);
	free(xen->no_control);
	if (xen->loaded)
		xen_library_unload(&xen->library);
	*xen = (struct xen_hypervisor){0};
}

/* ---- Domains --------------------------------------------------------------------------------- */

static enum xen_type type_of(const struct xen_hypervisor *xen, const struct xen_domain_info *info)
{
	uint32_t emulated = load_le32(xen->domctl >= XEN_DOMCTL_WIDE_INFO ? info->emulation_new
									  : info->emulation_old);

	if (!(info->flags & XEN_INFO_HVM))
		return XEN_TYPE_PV;
	return emulated & ~(XEN_EMULATED_LAPIC | XEN_EMULATED_VPCI) ? XEN_TYPE_HVM : XEN_TYPE_PVH;
}

static struct xen_domain take(const struct xen_hypervisor *xen, const struct xen_domain_info *info)
{
	struct xen_domain domain = {
	    .id = info->domain,
	    .type = type_of(xen, info),
	    .flags = info->flags,
	    .pages = info->tot_pages,
	    .most_pages = info->max_pages,
	    .paged_out = info->paged_pages,
	    .shared_info_frame = info->shared_info_frame,
	    .vcpus = info->max_vcpu_id == XEN_NO_VCPU ? 0 : info->max_vcpu_id + 1,
	};

	memcpy(domain.uuid, info->handle, sizeof(domain.uuid));
	return domain;
}

struct nunchi_error *xen_domain_get(struct xen_hypervisor *xen, uint16_t id, struct xen_domain *ret)
{
	struct xen_domctl argument = {0};
	struct nunchi_error *err = xen_need_control(xen);
	int errnum;

	if (err)
		return err;
	errnum = domctl(xen, XEN_OP_DOMAIN_INFO, id, &argument);
	/*
	 * Up to Xen 4.17, if the domain does not exist, the call returns the next domain instead.
	 */
	if (errnum == ESRCH || (!errnum && argument.u.info.domain != id))
		return error_create(NUNCHI_ERROR_NOT_FOUND, "there is no domain %u", id);
	if (errnum)
		return failed(errnum, id, "tell the state");
	*ret = take(xen, &argument.u.info);
	return NULL;
}

static int sysctl(struct xen_hypervisor *xen, struct xen_sysctl *argument)
{
	argument->version = xen->sysctl;
	return call_with(xen, XEN_HYPERCALL_SYSCTL, argument, sizeof(*argument));
}

/*
 * Lists domains from `first` on into buffer. The first call also finds the version of the
 * interface.
 */
static int list_from(struct xen_hypervisor *xen, uint16_t first, void *buffer, uint32_t *ret_count)
{
	uint32_t oldest = xen->sysctl ? xen->sysctl : XEN_SYSCTL_OLDEST;
	uint32_t version = xen->sysctl ? xen->sysctl : XEN_SYSCTL_NEWEST;
	int errnum = EACCES;

	for (; version >= oldest && errnum == EACCES; version--) {
		struct xen_sysctl argument = {.command = XEN_OP_DOMAIN_LIST};

		argument.u.list.first = first;
		argument.u.list.limit = LIST_BATCH;
		argument.u.list.buffer = (uint64_t)(uintptr_t)buffer;
		xen->sysctl = version;
		errnum = sysctl(xen, &argument);
		*ret_count = argument.u.list.count;
	}
	if (errnum)
		xen->sysctl = 0;
	return errnum;
}

/*
 * Adds a batch to the array; *first is the id from which the next batch begins. False if memory is
 * short.
 */
static bool add_batch(const struct xen_hypervisor *xen, const uint8_t *buffer, uint32_t count,
		      struct xen_domain **domains, size_t *total, size_t *capacity, uint32_t *first)
{
	size_t stride = xen->domctl >= XEN_DOMCTL_WIDE_INFO ? XEN_INFO_SIZE_NEW : XEN_INFO_SIZE_OLD;

	if (!ARRAY_RESERVE(*domains, *total, *capacity, count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct xen_domain_info info = {0};

		memcpy(&info, buffer + i * stride, stride);
		/* The ids must be in ascending order; other data is not a list. */
		if (info.domain < *first)
			break;
		(*domains)[(*total)++] = take(xen, &info);
		*first = (uint32_t)info.domain + 1;
	}
	return true;
}

struct nunchi_error *xen_domains_get(struct xen_hypervisor *xen, struct xen_domain **ret,
				     size_t *ret_count)
{
	struct nunchi_error *err = xen_need_control(xen);
	struct xen_domain *domains = NULL;
	uint32_t first = 0, count = 0, before;
	size_t total = 0, capacity = 0;
	void *buffer;
	int errnum;

	if (err)
		return err;
	buffer = xen->library.alloc(xen->call, LIST_BATCH * XEN_INFO_SIZE_NEW);
	if (!buffer)
		return &error_nomem;
	do {
		before = first;
		errnum = list_from(xen, (uint16_t)first, buffer, &count);
		if (!errnum && count > LIST_BATCH)
			count = LIST_BATCH;
		if (!errnum && !add_batch(xen, buffer, count, &domains, &total, &capacity, &first))
			err = &error_nomem;
		/*
		 * A short batch is not necessarily the last one, because domains may disappear
		 * during the call.
		 */
	} while (!errnum && !err && count && first > before && first < XEN_FIRST_RESERVED);
	xen->library.free(xen->call, buffer);
	if (errnum)
		err = error_create_errno(errnum, "Xen refuses to list its domains");
	if (errnum == EACCES || errnum == EPERM)
		err = error_hint(err, "its interface is newer than this nunchi knows, or the "
				      "hypervisor's security policy (XSM, FLASK) forbids it");
	if (err) {
		free(domains);
		return err;
	}
	*ret = domains;
	*ret_count = total;
	return NULL;
}

const char *xen_type_string(enum xen_type type)
{
	static const char *const names[] = {"?", "PV", "PVH", "HVM"};

	return names[type];
}

const char *xen_domain_state(const struct xen_domain *domain)
{
	if (domain->flags & XEN_INFO_DYING)
		return "dying";
	if (domain->flags & XEN_INFO_SHUTDOWN) {
		switch (domain->flags >> XEN_INFO_SHUTDOWN_SHIFT & XEN_INFO_SHUTDOWN_MASK) {
		case XEN_SHUTDOWN_CRASH:
			return "crashed";
		case XEN_SHUTDOWN_SUSPEND:
			return "suspended";
		default:
			return "shut down";
		}
	}
	return domain->flags & XEN_INFO_PAUSED ? "paused" : "running";
}

/* ---- Control --------------------------------------------------------------------------------- */

struct nunchi_error *xen_domain_unpause(struct xen_hypervisor *xen, uint16_t id)
{
	struct xen_domctl argument = {0};
	struct nunchi_error *err = xen_need_control(xen);
	int errnum;

	if (err)
		return err;
	errnum = domctl(xen, XEN_OP_UNPAUSE, id, &argument);
	return errnum ? failed(errnum, id, "resume the vCPUs") : NULL;
}

/* Finds out whether a PV guest is a 32-bit guest. */
static int is_narrow(struct xen_hypervisor *xen, uint16_t id, bool *ret)
{
	struct xen_domctl argument = {0};
	int errnum = domctl(xen, XEN_OP_ADDRESS_SIZE, id, &argument);

	*ret = !errnum && argument.u.address_size == 32;
	return errnum;
}

/* Requests the state of a vCPU into buffer. */
static int ask_registers(struct xen_hypervisor *xen, const struct xen_domain *domain, unsigned vcpu,
			 void *buffer)
{
	struct xen_domctl argument = {0};

	if (domain->type == XEN_TYPE_PV) {
		argument.u.vcpu_context =
		    (struct xen_vcpu_context_op){.vcpu = vcpu, .buffer = (uintptr_t)buffer};
		return domctl(xen, XEN_OP_VCPU_CONTEXT, domain->id, &argument);
	}
	argument.u.hvm_context = (struct xen_hvm_context_op){.type = XEN_HVM_SAVE_CPU,
							     .instance = vcpu,
							     .size = XEN_HVM_CPU_SIZE,
							     .buffer = (uintptr_t)buffer};
	return domctl(xen, XEN_OP_HVM_CONTEXT, domain->id, &argument);
}

struct nunchi_error *xen_get_registers(struct xen_hypervisor *xen, const struct xen_domain *domain,
				       unsigned vcpu, struct x86_registers *ret)
{
	struct nunchi_error *err = xen_need_control(xen);
	bool narrow = false;
	void *buffer;
	int errnum = 0;

	if (err)
		return err;
	buffer = xen->library.alloc(xen->call, XEN_PV_CPU_SIZE);
	if (!buffer)
		return &error_nomem;
	memset(buffer, 0, XEN_PV_CPU_SIZE);
	if (domain->type == XEN_TYPE_PV)
		errnum = is_narrow(xen, domain->id, &narrow);
	if (!errnum)
		errnum = ask_registers(xen, domain, vcpu, buffer);
	if (!errnum && domain->type != XEN_TYPE_PV)
		*ret = xen_cpu_from_hvm(buffer);
	else if (!errnum)
		*ret = xen_cpu_from_context(buffer, narrow ? XEN_GUEST_PV32 : XEN_GUEST_PV);
	xen->library.free(xen->call, buffer);
	/* Xen 4.11 returns ENOENT instead of ENODATA. */
	if (errnum == ENODATA || errnum == ENOENT || errnum == EINVAL)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "vCPU %u was never started", vcpu);
	return errnum ? failed(errnum, domain->id, "give the registers") : NULL;
}

bool xen_frame_hint(struct xen_hypervisor *xen, uint16_t id, uint64_t *ret)
{
	uint16_t argument[4] = {id};
	long last = memory_op(xen, XEN_OP_MAXIMUM_GPFN, argument, sizeof(argument));

	*ret = last < 0 ? 0 : (uint64_t)last + 1;
	return last != NO_MEMORY;
}

struct nunchi_error *xen_machine_frame_count(struct xen_hypervisor *xen, uint64_t *ret)
{
	int last =
	    xen->library.call2(xen->call, XEN_HYPERCALL_MEMORY_OP, XEN_OP_MAXIMUM_RAM_PAGE, 0);

	if (last <= 0)
		return error_create_errno(errno, "Xen does not tell the host's last frame of RAM");
	*ret = (uint64_t)last + 1;
	return NULL;
}

uint64_t xen_pages_on_demand(struct xen_hypervisor *xen, uint16_t id)
{
	struct xen_pod_op argument = {.domain = id};

	if (memory_op(xen, XEN_OP_GET_POD_TARGET, &argument, sizeof(argument)) < 0)
		return 0;
	return argument.entries;
}

/* ---- xenstore -------------------------------------------------------------------------------- */

void *xen_store(struct xen_hypervisor *xen)
{
	static const char *const reasons[] = {
	    [XEN_STORE_ANSWERS] = "xenstored cannot be reached",
	    [XEN_STORE_NONE] = "xenstored does not run",
	    [XEN_STORE_SILENT] = "xenstored does not answer",
	    [XEN_STORE_CLOSED] = "this user may not connect to xenstored",
	};
	enum xen_store_state state;

	if (xen->store || xen->no_store)
		return xen->store;
	if (!xen->library.store_open) {
		xen->no_store = "libxenstore is not installed";
		return NULL;
	}
	state = xen->library.store_check("");
	if (state == XEN_STORE_ANSWERS)
		xen->store = xen->library.store_open(0);
	if (!xen->store)
		xen->no_store = reasons[state];
	return xen->store;
}

void xen_store_read(struct xen_hypervisor *xen, const char *path, char *ret, size_t size)
{
	unsigned length = 0;
	void *store = xen_store(xen);
	char *value = store ? xen->library.store_read(store, 0, path, &length) : NULL;
	bool good = value && length < size;

	for (unsigned i = 0; good && i < length; i++)
		good = (unsigned char)value[i] >= ' ' && value[i] != 0x7f;
	if (good)
		memcpy(ret, value, length);
	ret[good ? length : 0] = '\0';
	free(value);
}

void xen_domain_name(struct xen_hypervisor *xen, uint16_t id, char *ret, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/name", id);
	xen_store_read(xen, path, ret, size);
}
