/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"

#include <string.h>

/* Gets the address space of the process with this id. */
static struct nunchi_error *process_space(struct nunchi_guest *guest, uint64_t pid,
					  struct address_space **ret)
{
	struct guest_kernel *kernel = guest->kernel;
	struct nunchi_error *err;

	err = kernel->system->process_space(kernel, pid, ret);
	if (error_is(err, NUNCHI_ERROR_NOT_FOUND))
		err = error_hint(err, "nunchi ps %s lists the processes", guest->target->name);
	return guest_error(guest, err);
}

/* On a running guest: fails if the process ended, or got another memory, during the read. */
static struct nunchi_error *check_process(struct nunchi_guest *guest,
					  const struct nunchi_place *place)
{
	if (place->space != NUNCHI_SPACE_PROCESS || !guest->target->live ||
	    (guest->session.open && (guest->session.holds || session_captures(guest))) ||
	    guest->kernel->system->process_stays(guest->kernel))
		return NULL;
	return error_create(NUNCHI_ERROR_NOT_FOUND,
			    "%s: process %llu ended or became another program while it was read",
			    guest->target->name, (unsigned long long)place->id);
}

/*
 * Gets the address space of a place; NULL for physical addresses. The kernel must have been found.
 */
static struct nunchi_error *find_space(struct nunchi_guest *guest, const struct nunchi_place *place,
				       struct address_space **ret)
{
	switch (place->space) {
	case NUNCHI_SPACE_PHYSICAL:
		*ret = NULL;
		return NULL;
	case NUNCHI_SPACE_PROCESS:
		return process_space(guest, place->id, ret);
	case NUNCHI_SPACE_KERNEL:
		*ret = guest->kernel->space;
		return NULL;
	case NUNCHI_SPACE_TABLE:
		/* The walk clears the bits of CR3 that are not part of the address. */
		*ret = guest_space_of(guest->kernel, gpa(place->id));
		return *ret ? NULL : &error_nomem;
	}
	return error_create(NUNCHI_ERROR_ARGUMENT, "unknown address space %d", (int)place->space);
}

/* Gets the address space of a place outside of a session; finds the kernel if necessary. */
static struct nunchi_error *guest_space(struct nunchi_guest *guest,
					const struct nunchi_place *place,
					struct address_space **ret)
{
	struct guest_kernel *kernel;
	struct nunchi_error *err;

	if (place->space != NUNCHI_SPACE_PHYSICAL) {
		err = guest_kernel_quickly(guest, &kernel);
	} else {
		err = session_begin(guest);
		if (guest->target->live)
			memory_new_generation(guest->target->memory);
	}
	return err ? err : find_space(guest, place, ret);
}

/* The arguments of a read, and its result. */
struct place_read {
	struct nunchi_guest *guest;
	const struct nunchi_place *place;
	void *buffer;
	size_t size;
	bool is_virtual;
	enum memory_fault fault;
	uint64_t at; /* address of the fault */
	struct nunchi_error *err;
};

static void copy_from(struct place_read *read, struct address_space *space)
{
	uint64_t address = read->place->address;

	read->at = address;
	read->is_virtual = space;
	if (space) {
		gva_t at = gva(address);

		read->fault = address_space_read(space, at, read->buffer, read->size, &at);
		read->at = at.v;
	} else {
		gpa_t at = gpa(address);

		read->fault =
		    memory_read(read->guest->target->memory, at, read->buffer, read->size, &at);
		read->at = at.v;
	}
}

/* Finds the address space and reads; called by session_run(). */
static struct nunchi_error *read_in_session(void *data)
{
	struct place_read *read = data;
	struct address_space *space;

	nunchi_error_destroy(read->err);
	read->err = find_space(read->guest, read->place, &space);
	if (!read->err && read->size)
		copy_from(read, space);
	return NULL;
}

/* Reads outside of a session; pauses the guest if the pause option asks for it. */
static struct nunchi_error *read_alone(struct place_read *read)
{
	struct nunchi_guest *guest = read->guest;
	bool pause = guest->target->live && guest->pause == NUNCHI_PAUSE_ALWAYS;
	struct address_space *space;
	struct nunchi_error *err = guest_space(guest, read->place, &space);

	if (!err && pause)
		err = target_pause(guest->target);
	if (err || !read->size)
		return err;
	if (pause)
		memory_new_generation(guest->target->memory);
	copy_from(read, space);
	return pause ? target_resume(guest->target) : NULL;
}

/* The error of a read, or of a translation (`done` says which), that a virtual address ended. */
static struct nunchi_error *virtual_fault(const struct nunchi_guest *guest, uint64_t address,
					  const char *done, enum memory_fault fault)
{
	struct nunchi_error *err =
	    error_create_at(NUNCHI_ERROR_FAULT, address, "virtual address 0x%llx cannot be %s: %s",
			    (unsigned long long)address, done, memory_fault_string(fault));

	return guest_error(
	    guest,
	    error_hint(err, "nunchi translate %s 0x%llx shows at which table the translation ends",
		       guest->target->name, (unsigned long long)address));
}

static struct nunchi_error *read_fault(const struct place_read *read)
{
	const struct nunchi_guest *guest = read->guest;
	struct nunchi_error *err;

	if (read->is_virtual)
		return virtual_fault(guest, read->at, "read", read->fault);
	err = error_create_at(NUNCHI_ERROR_FAULT, read->at,
			      "physical address 0x%llx cannot be read: %s",
			      (unsigned long long)read->at, memory_fault_string(read->fault));
	return guest_error(guest, error_hint(err, "nunchi info %s lists the ranges of its memory",
					     guest->target->name));
}

struct nunchi_error *nunchi_read(struct nunchi_guest *guest, const struct nunchi_place *place,
				 size_t size, void *buffer)
{
	API_REQUIRE(guest && place && (buffer || !size));

	struct place_read read = {.guest = guest, .place = place, .buffer = buffer, .size = size};
	struct nunchi_error *err;
	double start;

	if (guest->session.open) {
		/* Do not measure the time: reading the clock may take longer than the read. */
		err = session_begin(guest);
		if (!err)
			err = session_run(guest, read_in_session, &read);
		if (err)
			nunchi_error_destroy(read.err);
		else
			err = read.err;
	} else {
		start = guest_clock_ms();
		err = read_alone(&read);
		guest->query_ms += guest_clock_ms() - start;
	}
	if (!err)
		err = check_process(guest, place);
	if (err || read.fault == MEMORY_OK)
		return err;
	return read_fault(&read);
}

struct nunchi_error *nunchi_memory_next(struct nunchi_guest *guest, uint64_t address,
					uint64_t *ret_start, uint64_t *ret_end)
{
	API_REQUIRE(guest && ret_start && ret_end);

	struct nunchi_error *err = session_begin(guest);
	gpa_t start, end;

	if (err)
		return err;
	if (!memory_next_data(guest->target->memory, gpa(address), &start, &end))
		return &error_stop;
	*ret_start = start.v;
	*ret_end = end.v;
	return NULL;
}

static const char *table_name(unsigned level)
{
	static const char *const names[] = {"", "PT", "PD", "PDPT", "PML4", "PML5"};

	return level < ARRAY_SIZE(names) ? names[level] : "";
}

/* The arguments of a translation, and its result: the address alone, or a walk. */
struct place_walk {
	struct nunchi_guest *guest;
	const struct nunchi_place *place;
	struct nunchi_error *err;
	enum memory_fault address_fault;
	gpa_t address;
	struct x86_walk *walk; /* NULL: the address alone, by the cache */
	enum x86_fault fault;
};

static void walk_tables(struct place_walk *walk, struct address_space *space)
{
	gva_t address = gva(walk->place->address);

	if (!space)
		walk->err = error_create(NUNCHI_ERROR_ARGUMENT,
					 "%s: a guest-physical address needs no translation",
					 walk->guest->target->name);
	else if (walk->walk)
		walk->fault = address_space_walk(space, address, walk->walk);
	else
		walk->address_fault = address_space_translate(space, address, &walk->address);
}

/* Finds the address space and walks its page tables; called by session_run(). */
static struct nunchi_error *walk_in_session(void *data)
{
	struct place_walk *walk = data;
	struct address_space *space;

	nunchi_error_destroy(walk->err);
	walk->err = find_space(walk->guest, walk->place, &space);
	if (!walk->err)
		walk_tables(walk, space);
	return NULL;
}

static struct nunchi_error *walk_place(struct place_walk *walk)
{
	struct nunchi_guest *guest = walk->guest;
	struct address_space *space;
	struct nunchi_error *err;

	if (!guest->session.open) {
		err = guest_space(guest, walk->place, &space);
		if (!err)
			walk_tables(walk, space);
	} else {
		err = session_begin(guest);
		if (!err)
			err = session_run(guest, walk_in_session, walk);
	}
	if (err)
		nunchi_error_destroy(walk->err);
	return err ? err : walk->err;
}

struct nunchi_error *nunchi_translate(struct nunchi_guest *guest, const struct nunchi_place *place,
				      struct nunchi_translation *ret)
{
	API_REQUIRE(guest && place && ret);

	struct x86_walk walk = {0};
	struct place_walk made = {.guest = guest, .place = place, .walk = &walk};
	struct nunchi_translation translation = {0};
	struct nunchi_error *err = walk_place(&made);
	const enum x86_fault fault = made.fault;

	if (!err)
		err = check_process(guest, place);
	if (err)
		return err;
	translation.level_count = walk.level_count;
	for (size_t i = 0; i < walk.level_count; i++) {
		bool last = i + 1 == walk.level_count;

		translation.levels[i] = (struct nunchi_translation_level){
		    .table = table_name(walk.levels[i].level),
		    .entry_address = walk.levels[i].entry_address.v,
		    .entry = walk.levels[i].entry,
		    .present = walk.levels[i].entry & 1,
		    .large = last && fault == X86_FAULT_NONE && walk.levels[i].level > 1,
		};
	}
	if (fault == X86_FAULT_NONE) {
		translation.mapped = true;
		translation.physical = walk.address.v;
		translation.page_size = (uint64_t)1 << walk.page_shift;
		translation.writable = walk.writable;
		translation.user = walk.user;
		translation.executable = walk.executable;
	} else {
		translation.fault = x86_fault_string(fault);
	}
	*ret = translation;
	return NULL;
}

/* Translates an address in any space, in a session or outside of one. */
static struct nunchi_error *translate_place(struct nunchi_guest *guest,
					    const struct nunchi_place *place, gpa_t *ret,
					    enum memory_fault *ret_fault)
{
	struct place_walk made = {.guest = guest, .place = place};
	struct nunchi_error *err = walk_place(&made);

	*ret = made.address;
	*ret_fault = made.address_fault;
	return err ? err : check_process(guest, place);
}

struct nunchi_error *nunchi_translate_address(struct nunchi_guest *guest,
					      const struct nunchi_place *place, uint64_t *ret)
{
	API_REQUIRE(guest && place && ret);

	enum memory_fault fault;
	struct nunchi_error *err;
	gpa_t physical;

	/* The usual call, often made for many addresses: nothing is to be set up. */
	if (guest->session.open && !session_captures(guest) &&
	    place->space == NUNCHI_SPACE_KERNEL) {
		err = session_begin(guest);
		if (err)
			return err;
		fault =
		    address_space_translate(guest->kernel->space, gva(place->address), &physical);
	} else {
		err = translate_place(guest, place, &physical, &fault);
		if (err)
			return err;
	}
	if (fault != MEMORY_OK)
		return virtual_fault(guest, place->address, "translated", fault);
	*ret = physical.v;
	return NULL;
}

bool nunchi_memory_range(const struct nunchi_guest *guest, size_t n, uint64_t *ret_start,
			 uint64_t *ret_size)
{
	size_t count;
	const struct memory_range *ranges = memory_ranges(guest->target->memory, &count);

	if (n >= count)
		return false;
	*ret_start = ranges[n].start.v;
	*ret_size = ranges[n].size;
	return true;
}
