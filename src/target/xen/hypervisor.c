/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/xen/hypervisor.h"

#include "arch/address.h"
#include "core/array.h"
#include "core/bytes.h"
#include "target/xen/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Number of domains requested in one call. */
#define LIST_BATCH 64
/* Sizes of the memory for the argument of a call, and for the data that the argument points to. */
#define ARGUMENT_SIZE ((size_t)4096)
#define DATA_SIZE     ((size_t)8192)

_Static_assert(sizeof(struct xen_domctl) <= ARGUMENT_SIZE, "a domctl");
_Static_assert(sizeof(struct xen_sysctl) <= ARGUMENT_SIZE, "a sysctl");
_Static_assert(LIST_BATCH *XEN_INFO_SIZE_NEW <= DATA_SIZE, "a list of domains");
_Static_assert(XEN_PV_CPU_SIZE <= DATA_SIZE && XEN_HVM_CPU_SIZE <= DATA_SIZE, "a vCPU's state");
/* Limit of the repetitions of a call that Xen asks to repeat. */
#define MOST_TRIES 64

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Writes to each page, so that the hypervisor finds it mapped and writable. */
static void touch(struct xen_hypervisor *xen)
{
	for (size_t at = 0; at < ARGUMENT_SIZE + DATA_SIZE; at += PAGE_SIZE) {
		volatile uint8_t *byte = xen->argument + at;

		*byte = *byte;
	}
}

/*
 * Makes a call whose argument is a structure, which is passed in memory that the hypervisor can
 * write to. Returns 0 or an errno. Repeats the call while Xen answers EAGAIN, and while the kernel
 * moves a page of that memory (EFAULT).
 */
static int call_with(struct xen_hypervisor *xen, unsigned op, void *argument, size_t size)
{
	int result = -1, errnum = EINVAL;

	for (unsigned i = 0; i < MOST_TRIES; i++) {
		memcpy(xen->argument, argument, size);
		touch(xen);
		result = xen->calls.call(xen->driver, op, (uint64_t)(uintptr_t)xen->argument, 0);
		errnum = result < 0 ? errno : 0;
		if (errnum != EAGAIN && errnum != EINTR && errnum != EFAULT)
			break;
	}
	if (result >= 0)
		memcpy(argument, xen->argument, size);
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

/* Makes a memory_op with an argument. Returns its result, or -1 with errno. */
static int memory_op(struct xen_hypervisor *xen, unsigned op, void *argument, size_t size)
{
	int result;

	memcpy(xen->argument, argument, size);
	result = xen->calls.call(xen->driver, XEN_HYPERCALL_MEMORY_OP, op,
				 (uint64_t)(uintptr_t)xen->argument);
	memcpy(argument, xen->argument, size);
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
	/* Domain 0, or the next one, is there; or none is (ESRCH). */
	if (errnum != EACCES && errnum && errnum != ESRCH)
		return error_create_errno(errnum, "Xen does not answer a question for a domain");
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

static struct nunchi_error *cannot_open(int errnum)
{
	struct nunchi_error *err;

	if (errnum == ENOTSUP)
		return error_of_host(error_create(NUNCHI_ERROR_UNSUPPORTED,
						  "guests of Xen can be read on x86 hosts only"));
	err = error_of_host(error_create_errno(errnum, "cannot open /dev/xen/privcmd"));
	if (errnum == EACCES || errnum == EPERM)
		return error_hint(err, "run it as root: sudo nunchi …");
	if (errnum == ENOENT || errnum == ENODEV || errnum == ENXIO)
		return error_hint(err, "load the module: sudo modprobe xen-privcmd");
	return err;
}

struct nunchi_error *xen_hypervisor_open_with(const struct xen_calls *calls,
					      struct xen_hypervisor *ret)
{
	struct xen_hypervisor xen = {.calls = *calls};
	struct nunchi_error *err;
	int version;

	xen.driver = calls->open();
	if (xen.driver < 0)
		return cannot_open(errno);
	xen.argument = calls->alloc(ARGUMENT_SIZE + DATA_SIZE);
	if (!xen.argument) {
		calls->close(xen.driver);
		return &error_nomem;
	}
	xen.data = xen.argument + ARGUMENT_SIZE;
	version = calls->call(xen.driver, XEN_HYPERCALL_VERSION, XEN_OP_VERSION, 0);
	if (version > 0) {
		xen.major = (unsigned)version >> 16;
		xen.minor = (unsigned)version & 0xffff;
	}
	err = probe_domctl(&xen);
	if (err) {
		xen_hypervisor_close(&xen);
		return err;
	}
	*ret = xen;
	return NULL;
}

struct nunchi_error *xen_hypervisor_open(struct xen_hypervisor *ret)
{
	return xen_hypervisor_open_with(&xen_calls, ret);
}

void xen_hypervisor_close(struct xen_hypervisor *xen)
{
	xen->calls.store_close(xen->store);
	xen->calls.free(xen->argument, ARGUMENT_SIZE + DATA_SIZE);
	xen->calls.close(xen->driver);
	free(xen->no_control);
	*xen = (struct xen_hypervisor){0};
}

bool xen_hypervisor_forked(struct xen_hypervisor *xen)
{
	xen->argument = xen->calls.alloc(ARGUMENT_SIZE + DATA_SIZE);
	xen->data = xen->argument + ARGUMENT_SIZE;
	return xen->argument != NULL;
}

bool xen_hypervisor_confine(struct xen_hypervisor *xen, uint16_t domain)
{
	int driver = xen->calls.open();

	xen->calls.store_close(xen->store);
	xen->store = NULL;
	xen->no_store = "this process is confined";
	if (driver < 0)
		return false;
	if (!xen->calls.restrict_to(driver, domain)) {
		xen->calls.close(driver);
		return false;
	}
	xen->calls.close(xen->driver);
	xen->driver = driver;
	return true;
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
	    .cpu_time = info->cpu_time,
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
 * Lists domains from `first` on into xen->data. The first call also finds the version of the
 * interface.
 */
static int list_from(struct xen_hypervisor *xen, uint16_t first, uint32_t *ret_count)
{
	uint32_t oldest = xen->sysctl ? xen->sysctl : XEN_SYSCTL_OLDEST;
	uint32_t version = xen->sysctl ? xen->sysctl : XEN_SYSCTL_NEWEST;
	int errnum = EACCES;

	for (; version >= oldest && errnum == EACCES; version--) {
		struct xen_sysctl argument = {.command = XEN_OP_DOMAIN_LIST};

		argument.u.list.first = first;
		argument.u.list.limit = LIST_BATCH;
		argument.u.list.buffer = (uint64_t)(uintptr_t)xen->data;
		xen->sysctl = version;
		errnum = sysctl(xen, &argument);
		*ret_count = argument.u.list.count;
	}
	if (errnum)
		xen->sysctl = 0;
	return errnum;
}

/*
 * Adds the batch in xen->data to the array; *first is the id from which the next batch begins.
 * False if memory is short.
 */
static bool add_batch(const struct xen_hypervisor *xen, uint32_t count, struct xen_domain **domains,
		      size_t *total, size_t *capacity, uint32_t *first)
{
	size_t stride = xen->domctl >= XEN_DOMCTL_WIDE_INFO ? XEN_INFO_SIZE_NEW : XEN_INFO_SIZE_OLD;

	if (!ARRAY_RESERVE(*domains, *total, *capacity, count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct xen_domain_info info = {0};

		memcpy(&info, xen->data + i * stride, stride);
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
	int errnum;

	if (err)
		return err;
	do {
		before = first;
		errnum = list_from(xen, (uint16_t)first, &count);
		if (!errnum && count > LIST_BATCH)
			count = LIST_BATCH;
		if (!errnum && !add_batch(xen, count, &domains, &total, &capacity, &first))
			err = &error_nomem;
		/*
		 * A short batch is not necessarily the last one, because domains may disappear
		 * during the call.
		 */
	} while (!errnum && !err && count && first > before && first < XEN_FIRST_RESERVED);
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

/* Requests the state of a vCPU into xen->data. */
static int ask_registers(struct xen_hypervisor *xen, const struct xen_domain *domain, unsigned vcpu)
{
	struct xen_domctl argument = {0};

	if (domain->type == XEN_TYPE_PV) {
		argument.u.vcpu_context =
		    (struct xen_vcpu_context_op){.vcpu = vcpu, .buffer = (uintptr_t)xen->data};
		return domctl(xen, XEN_OP_VCPU_CONTEXT, domain->id, &argument);
	}
	argument.u.hvm_context = (struct xen_hvm_context_op){.type = XEN_HVM_SAVE_CPU,
							     .instance = vcpu,
							     .size = XEN_HVM_CPU_SIZE,
							     .buffer = (uintptr_t)xen->data};
	return domctl(xen, XEN_OP_HVM_CONTEXT, domain->id, &argument);
}

struct nunchi_error *xen_get_registers(struct xen_hypervisor *xen, const struct xen_domain *domain,
				       unsigned vcpu, struct x86_registers *ret)
{
	struct nunchi_error *err = xen_need_control(xen);
	bool narrow = false;
	int errnum = 0;

	if (err)
		return err;
	memset(xen->data, 0, DATA_SIZE);
	if (domain->type == XEN_TYPE_PV)
		errnum = is_narrow(xen, domain->id, &narrow);
	if (!errnum)
		errnum = ask_registers(xen, domain, vcpu);
	if (!errnum && domain->type != XEN_TYPE_PV)
		*ret = xen_cpu_from_hvm(xen->data);
	else if (!errnum)
		*ret = xen_cpu_from_context(xen->data, narrow ? XEN_GUEST_PV32 : XEN_GUEST_PV);
	/* Xen 4.11 returns ENOENT instead of ENODATA. */
	if (errnum == ENODATA || errnum == ENOENT || errnum == EINVAL)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "vCPU %u was never started", vcpu);
	return errnum ? failed(errnum, domain->id, "give the registers") : NULL;
}

uint64_t xen_frame_hint(struct xen_hypervisor *xen, uint16_t id)
{
	uint16_t argument[4] = {id};
	int last = memory_op(xen, XEN_OP_MAXIMUM_GPFN, argument, sizeof(argument));

	return last < 0 ? 0 : (uint64_t)last + 1;
}

struct nunchi_error *xen_machine_frame_count(struct xen_hypervisor *xen, uint64_t *ret)
{
	int last =
	    xen->calls.call(xen->driver, XEN_HYPERCALL_MEMORY_OP, XEN_OP_MAXIMUM_RAM_PAGE, 0);

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

/* Gives xenstore up, and says why. */
static void no_store(struct xen_hypervisor *xen, enum xen_store_state state)
{
	static const char *const reasons[] = {
	    [XEN_STORE_ANSWERS] = "xenstored cannot be reached",
	    [XEN_STORE_NONE] = "xenstored does not run",
	    [XEN_STORE_SILENT] = "xenstored does not answer",
	    [XEN_STORE_CLOSED] = "this user may not connect to xenstored",
	    [XEN_STORE_BAD] = "xenstored does not keep to its protocol",
	};

	xen->calls.store_close(xen->store);
	xen->store = NULL;
	xen->no_store = reasons[state];
}

/* Makes a request with store_read() or store_names(); opens xenstore before the first. */
static char *ask_store(struct xen_hypervisor *xen, const char *path, bool names, size_t *ret_size)
{
	enum xen_store_state state;
	char *value;

	if (xen->no_store)
		return NULL;
	if (!xen->store) {
		xen->store = xen->calls.store_open("", &state);
		if (!xen->store) {
			no_store(xen, state);
			return NULL;
		}
	}
	value =
	    (names ? xen->calls.store_names : xen->calls.store_read)(xen->store, path, ret_size);
	state = xen->calls.store_state(xen->store);
	if (state != XEN_STORE_ANSWERS)
		no_store(xen, state);
	return value;
}

void xen_store_read(struct xen_hypervisor *xen, const char *path, char *ret, size_t size)
{
	size_t length = 0;
	char *value = ask_store(xen, path, false, &length);
	bool good = value && length < size;

	for (size_t i = 0; good && i < length; i++)
		good = (unsigned char)value[i] >= ' ' && value[i] != 0x7f;
	if (good)
		memcpy(ret, value, length);
	ret[good ? length : 0] = '\0';
	free(value);
}

char *xen_store_names(struct xen_hypervisor *xen, const char *path, size_t *ret_size)
{
	return ask_store(xen, path, true, ret_size);
}

void xen_domain_name(struct xen_hypervisor *xen, uint16_t id, char *ret, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/name", id);
	xen_store_read(xen, path, ret, size);
}
