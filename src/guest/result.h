/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The result of reading something in a guest through the structures of its operating system: a
 * fault of the memory (enum memory_fault), or a reason that only the code for the operating system
 * knows.
 */
#ifndef NUNCHI_GUEST_RESULT_H
#define NUNCHI_GUEST_RESULT_H

#include "memory/memory.h"

enum read_result {
	READ_OK = MEMORY_OK,
	READ_NOT_MAPPED = MEMORY_NOT_MAPPED,
	READ_PAGED_OUT = MEMORY_PAGED_OUT,
	READ_NO_RAM = MEMORY_NO_RAM,
	READ_NOT_SAVED = MEMORY_NOT_SAVED,
	READ_IO = MEMORY_IO,
	READ_GONE = MEMORY_GONE,
	READ_NOT_CAPTURED = MEMORY_NOT_CAPTURED,
	READ_NONE,      /* the object does not exist: a kernel thread has no command line */
	READ_NO_LAYOUT, /* the kernel's types lack a field that is needed */
	READ_NO_SYMBOL, /* the address of a kernel variable is unknown */
	READ_BAD_DATA,  /* the bytes were read, but contradict each other */
	READ_LIMIT,     /* larger, longer or more than the limit */
	READ_NO_MEMORY, /* this process has no memory left */
};

static inline enum read_result read_result_of(enum memory_fault fault)
{
	return (enum read_result)fault;
}

/* The result as text ("the saved guest does not contain that page"). Static storage. */
const char *read_result_string(enum read_result result);

#endif
