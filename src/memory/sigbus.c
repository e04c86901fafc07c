/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory/sigbus.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

/*
 * A guarded mapping. Regions are allocated and reused under a lock but never freed, so that the
 * signal handler, which may interrupt any code, can walk the list without the lock. The sequence
 * number is odd while a region is being changed, and has another value afterwards; so the handler
 * notices a change and never uses a start and a size that do not belong together.
 */
struct sigbus_region {
	struct sigbus_region *_Atomic next;
	atomic_uint sequence;
	atomic_uintptr_t start;
	atomic_size_t size; /* 0: the region is not in use */
	atomic_bool *_Atomic gone;
	struct sigbus_region *next_free; /* protected by the lock */
};

static struct {
	pthread_mutex_t lock;
	struct sigbus_region *_Atomic regions;
	struct sigbus_region *free;
	bool installed;
	struct sigaction previous; /* does not change once installed */
} guard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool map_zeros(uintptr_t start, size_t size)
{
	return mmap((void *)start, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) != MAP_FAILED;
}

/*
 * Maps zeros over the page; or over the page and all that follows, if the process has too many
 * mappings.
 */
static bool replace_page(uintptr_t start, size_t size, uintptr_t address)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = address & ~(uintptr_t)(page - 1);

	return map_zeros(from, page) || map_zeros(from, start + size - from);
}

/* Returns true if the address lies in a guarded region, whose page can be read now. */
static bool rescue(uintptr_t address)
{
	for (struct sigbus_region *region = atomic_load(&guard.regions); region;
	     region = atomic_load(&region->next)) {
		unsigned sequence = atomic_load(&region->sequence);
		uintptr_t start = atomic_load(&region->start);
		size_t size = atomic_load(&region->size);
		atomic_bool *gone = atomic_load(&region->gone);

		if (address - start >= size || sequence % 2 ||
		    sequence != atomic_load(&region->sequence))
			continue;
		atomic_store(gone, true);
		return replace_page(start, size, address);
	}
	return false;
}

/* Passes the signal on: does what would have happened without this handler. */
static void chain(int number, siginfo_t *info, void *context)
{
	const struct sigaction *previous = &guard.previous;
	/* sent by kill() and the like, not caused by a memory access */
	bool sent = info->si_code <= 0;

	if (!(previous->sa_flags & SA_SIGINFO) && previous->sa_handler == SIG_IGN && sent)
		return;
	/*
	 * If the previous handler was installed with SA_RESETHAND, the next signal has the default
	 * effect.
	 */
	if ((!(previous->sa_flags & SA_SIGINFO) &&
	     (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN)) ||
	    (previous->sa_flags & SA_RESETHAND))
		signal(number, SIG_DFL);
	if (previous->sa_flags & SA_SIGINFO)
		previous->sa_sigaction(number, info, context);
	else if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN)
		previous->sa_handler(number);
	else if (sent)
		raise(number);
	/*
	 * Otherwise the access is repeated on return and raises SIGBUS again, which ends the
	 * process.
	 */
}

static void handle_sigbus(int number, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	if (info->si_code <= 0 || !rescue((uintptr_t)info->si_addr))
		chain(number, info, context);
	errno = saved_errno;
}

/* Installs the handler. Called with the lock held. */
static struct nunchi_error *install(void)
{
	struct sigaction action = {.sa_sigaction = handle_sigbus};

	if (guard.installed)
		return NULL;
	/* Get the old handler before setting the new one, which may run as soon as it is set. */
	if (sigaction(SIGBUS, NULL, &guard.previous))
		return error_create_errno(errno, "cannot read the SIGBUS handler");
	action.sa_mask = guard.previous.sa_mask;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | (guard.previous.sa_flags & SA_RESTART);
	if (sigaction(SIGBUS, &action, NULL))
		return error_create_errno(errno, "cannot set the SIGBUS handler");
	guard.installed = true;
	return NULL;
}

/* Gets an unused region, whose size is 0. Called with the lock held. */
static struct sigbus_region *take_region(void)
{
	struct sigbus_region *region = guard.free;

	if (region) {
		guard.free = region->next_free;
		return region;
	}
	region = calloc(1, sizeof(*region));
	if (region) {
		atomic_store(&region->next, atomic_load(&guard.regions));
		atomic_store(&guard.regions, region);
	}
	return region;
}

static void set_region(struct sigbus_region *region, uintptr_t start, size_t size,
		       atomic_bool *gone)
{
	atomic_fetch_add(&region->sequence, 1);
	atomic_store(&region->start, start);
	atomic_store(&region->size, size);
	atomic_store(&region->gone, gone);
	atomic_fetch_add(&region->sequence, 1);
}

struct nunchi_error *sigbus_guard_add(void *start, size_t size, atomic_bool *gone,
				      struct sigbus_region **ret)
{
	struct sigbus_region *region = NULL;
	struct nunchi_error *err;

	pthread_mutex_lock(&guard.lock);
	err = install();
	if (!err) {
		region = take_region();
		if (region)
			set_region(region, (uintptr_t)start, size, gone);
		else
			err = &error_nomem;
	}
	pthread_mutex_unlock(&guard.lock);
	if (!err)
		*ret = region;
	return err;
}

void sigbus_guard_remove(struct sigbus_region *region)
{
	if (!region)
		return;
	pthread_mutex_lock(&guard.lock);
	set_region(region, 0, 0, NULL);
	region->next_free = guard.free;
	guard.free = region;
	pthread_mutex_unlock(&guard.lock);
}
